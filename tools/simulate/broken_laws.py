#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.
"""Deliberate defects that break a law: see ``mutants.py``."""

from __future__ import annotations

#: name -> file, text, what stands there instead.
MUTANTS: dict[str, tuple[str, str, str]] = {
    'S1: the last good leg may be failed': (
        'safety/rules.py',
        '    why = _needed(array, leg, snapshot)\n    if why is not None:\n'
        '        return why\n    if connections', '    if connections'),
    'S2: a namespace that is too small may be added': (
        'safety/rules.py', 'if namespace.size < room_needed(array):',
        'if namespace.size < 0:'),
    'S3: a leg that works may be failed': (
        'safety/rules.py', '    if not snapshot.good(leg):\n'
        '        return None\n    replica = volume', '    return None\n'
        '    replica = volume'),
    'S4: any connection may be given up': (
        'safety/connections.py',
        '                              silent or not controller.live)\n'
        '        if foreign is not None:\n            return foreign\n',
        '                              silent or not controller.live)\n'),
    'a leg without access is not cut': (
        'model/snapshots.py',
        '    return path.cuttable or (path.live and path.name in '
        'namespace.barred)\n', '    return path.cuttable\n'),
    'a leg without access counts as good': (
        'model/snapshots.py', '        if namespace.barred:\n',
        '        if False:\n'),
    'S6: a report is forgotten before it is sent': (
        'provisioner/outbox.py',
        '            if self._stopping():\n                return False\n'
        '            # not', '            self._ledger.delivered(pending.seq)'
        '\n            # not'),
    'S6: the newest report goes first': (
        'store/ledger.py', 'OR volume = ?1 ORDER BY seq',
        'OR volume = ?1 ORDER BY seq DESC'),
    'S7: a request is not written down before': (
        'provisioner/outbox.py',
        '            if record != before or self._ledger.trouble:\n',
        '            if False:\n'),
    'S7: that a request was accepted is forgotten': (
        'healing/replica_record.py',
        "    return dataclasses.replace(record, retry_at=float('inf'))",
        '    return record'),
    'S8: what is not listed is gone': (
        'healing/volume_view.py',
        'or len(self.members) + len(self.unlisted))',
        'or len(self.members))'),
    'S9: no leg waits for a lost path': (
        'guard/roles.py', 'if (path.name not in waiting and path.live',
        'if (path.live'),
    'S9: md fails I/O of the anchor fast': (
        'guard/roles.py', '    if leg is not None and leg.failfast:',
        '    if False:'),
    'S9: a new anchor after the old one fails fast': (
        'safety/connections.py',
        '                    snapshot.good(leg) and waits(leg, snapshot, '
        'without)\n', '                    True\n'),
    'S11: a copy is given up unasked': (
        'daemon/telling.py',
        '        return farewell.giving_up(\n            replica, one.volume, '
        'array, snapshot, answered,\n            copies.never_one(found, '
        'one.records[replica].was_leg))\n', '        return None\n'),
    'S5: removal is confirmed at once': (
        'healing/decision.py',
        '                or not view.incomplete(replica)):\n'
        '            continue\n', '                or True):\n'
        '            pass\n'),
    'S13: a leg that was cut may return at once': (
        'safety/late_writes.py',
        'else max(0.0, left + hold(keep_alive) - now)', 'else 0.0'),
    'S13: the time is counted from when the leg was lost': (
        'healing/observing.py', 'record.left_at, leg is not None,',
        'record.left_at, leg is not None and not leg.faulty,'),
    'S10: a copy that is ahead may be put in': (
        'safety/copies.py', 'if copy.events > newest + 1:',
        'if copy.events > newest + 1000:'),
    'S10: a count that was overtaken says nothing': (
        'safety/copies.py', '    if (came_up_with is not None and',
        '    if (False and'),
    'S10: a number is whosever it is now': (
        'safety/copies.py', 'and other.events + 1 >= copy.events',
        'and False'),
    'S10: a copy that was alone in charge may be put in': (
        'safety/copies.py',
        '    if not knows_them:\n', '    if False:\n'),
    'S10: the copy that is put in is not read': (
        'safety/rules.py', '    if found.usable or (action.erase and',
        '    if True or (action.erase and'),
    'S10: a copy is given up whatever it holds': (
        'safety/superfluous.py',
        '    if found.usable or found.standing is Standing.UNREADABLE:\n',
        '    if True:\n'),
    'S10: a connection is closed on a copy that was not read': (
        'safety/reading.py', '            return frozenset().union(*(\n',
        '            return frozenset() and frozenset().union(*(\n'),
    'S8: a list that lacks whoever was in charge is believed': (
        'healing/custody.py', 'legs if here and not kept and not owing else',
        'legs if not kept else'),
    'S10: an old copy that came up is as good as any': (
        'healing/custody.py', '    if leg and stale:\n',
        '    if False:\n'),
    'S11: whoever answers is not waited for': (
        'safety/farewell.py', "    missing = sorted(set(devices).difference("
        "answered))\n", '    missing: list[str] = []\n'),
    'S2: a namespace that somebody holds may be added': (
        'safety/rules.py', '    if namespace.holders:\n        return Law.S2',
        '    if False:\n        return Law.S2'),
    'S6: what a full disk did not delete is overtaken': (
        'store/ledger.py',
        'return (report.volume, report.replica) in self._left_behind',
        'return False'),
    'S7: a request goes out though the disk is full': (
        'store/database.py', '            if durable:\n',
        '            if False:\n'),
    'S1: the last path of an array may be given up': (
        'safety/connections.py', '        if not others:\n',
        '        if False:\n'),
    'S1: a connection on what no other leg holds may be given up': (
        'safety/connections.py',
        '        if not leg.faulty and not model.held_by(leg, others):\n',
        '        if False:\n'),
    'S1: a leg is cut off whatever it alone holds': (
        'guard/vouching.py',
        '        return rules.spared(array, leg, self.snapshot)\n',
        '        return True\n'),
    'S9: who shares a connection that is cut need not wait': (
        'guard/roles.py',
        '        found.update(holder for namespace in snapshot.through('
        '*gone)\n                     for holder in namespace.holders)\n',
        ''),
    'S6: a leg that lacks blocks is AVAILABLE': (
        'healing/volume_view.py',
        'return State.AVAILABLE if leg.complete else',
        'return State.AVAILABLE if leg.in_sync else'),
    'S9: only the anchor waits, whatever blocks it lacks': (
        'guard/roles.py', '        if not model.held_by(leg, waiting):\n',
        '        if False:\n'),
    'S10: a copy is put in beside legs that lack what it holds': (
        'safety/rules.py', '            copies.holds(action.device, '
        'array.lacks, contents)):\n', '            False):\n'),
    'S1: nobody has to answer before an action': (
        'safety/farewell.py', '    if witnesses.heard(answered):\n',
        '    if True:\n'),
    'S1: an answer counts for a minute': (
        'daemon/guard_kept.py', 'FRESH = 1.0\n', 'FRESH = 60.0\n'),
    'S3: a leg on which I/O hangs is removed': (
        'healing/planning.py',
        "            if leg.faulty and 'blocked' not in leg.flags]",
        '            if leg.faulty]'),
    'S5: what something still holds is confirmed': (
        'healing/decision.py', '    return (not needless and (\n',
        '    return (True or (\n'),
    'S6: a report that did not arrive is struck out': (
        'provisioner/outbox.py',
        "                                       'later' % error)\n"
        '                return False\n',
        "                                       'later' % error)\n"),
    'S7: one replica is what two requests have brought': (
        'healing/assigning.py',
        'if other.uuid not in record.known and other.uuid not in taken\n',
        'if other.uuid not in record.known\n'),
    'S7: who was there before a request is what it has brought': (
        'healing/assigning.py',
        'if other.uuid not in record.known and other.uuid not in taken\n',
        'if other.uuid not in taken\n'),
    'S8: a list that makes no sense is acted on': (
        'healing/decision.py', '    if view.nonsense:\n',
        '    if False:\n'),
    'S8: a list that makes no sense is remembered': (
        'healing/observing.py', '    if view.nonsense:\n',
        '    if False:\n'),
    'S8: a leg that no list has had is not missed': (
        'healing/observing.py', '        for leg in view.array.in_sync\n',
        '        for leg in view.array.in_sync[:0]\n'),
    'S9: a leg is cut before another one waits': (
        'guard/roles.py',
        '    actions = first + cut.actions + later\n    for array in whole',
        '    actions = cut.actions + first + later\n    for array in whole'),
    'S9: a leg is cut before another one waits, where all do': (
        'guard/roles.py',
        '    actions = first + cut.actions + later + failfast\n',
        '    actions = cut.actions + first + later + failfast\n'),
    'S10: an array that is in doubt is healed': (
        'healing/decision.py', '    if alarm:\n', '    if False:\n'),
    'S10: whoever came after it had left does not count': (
        'healing/custody.py',
        '    if record is None:\n',
        '    if True:\n'),
    'S10: a leg comes back by a bitmap that lacks writes': (
        'healing/planning.py', '            record.joined and marked and ',
        '            record.joined and '),
    'S11: a copy is given up while the array is not whole': (
        'safety/farewell.py',
        '        _not_whole(array) if namespace is not None and not blank\n',
        '        _not_whole(array) if False\n'),
    'S12: a host that is to observe heals': (
        'healing/decision.py', '    if volume.observe:\n',
        '    if False:\n'),
    'S13: that it came up meanwhile does not count': (
        'safety/late_writes.py',
        'return now if before is None or came_up else before',
        'return now if before is None else before'),
    'S15: a leg is put in where nobody has written': (
        'safety/first_write.py', '    if puts_in and array.unwritten:\n',
        '    if False:\n'),
    'S14: what hangs is waited for by the guard, too': (
        'host/brick_lock.py', '        if urgent:\n'
        '            return 0.0 if known else URGENT_PATIENCE\n', ''),
}
