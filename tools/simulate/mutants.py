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
"""Breaks the agent on purpose, and counts histories until that is found.

Each mutant is a copy of the tree with one text replaced; see ``MUTANTS``.  A
mutant that no history finds is a hole in the simulation, or code that is not
needed.

    tools/simulate.sh --mutants [HISTORIES [NAME...]]

The histories have all faults.  One that breaks without the mutant, too, is
no find: of the seeds that come, those are left out which break the agent as it
is.
"""

from __future__ import annotations

import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

TREE = pathlib.Path(__file__).resolve().parents[2]
AGENT = 'os_brick/agent/'
#: name -> file, text, what stands there instead.
MUTANTS: dict[str, tuple[str, str, str]] = {
    'S1: the last good leg may be failed': (
        'safety/rules.py',
        '    if not other_good(array, leg, snapshot):\n'
        '        return _no_other_good()\n    if connections',
        '    if connections'),
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
        '        return farewell.giving_up(replica, array, snapshot, '
        'answered)\n', '        return None\n'),
    'S5: removal is confirmed at once': (
        'healing/decision.py',
        '        if view.leg(replica) is not None:\n            continue\n'
        '        forgotten', '        forgotten'),
    'S13: a leg that was cut may return at once': (
        'safety/late_writes.py',
        'else max(0.0, left + hold(keep_alive) - now)', 'else 0.0'),
    'S13: the time is counted from when the leg was lost': (
        'healing/observing.py', 'record.left_at, leg is not None,',
        'record.left_at, leg is not None and not leg.faulty,'),
    'S10: a copy that is ahead may be put in': (
        'safety/copies.py', 'if copy.events > newest + 1:',
        'if copy.events > newest + 1000:'),
    'S10: a copy that was alone in charge may be put in': (
        'safety/copies.py',
        '    if not any(copy.has(leg.number) for leg in beside\n',
        '    if not any(True for leg in beside\n'),
    'S10: the copy that is put in is not read': (
        'safety/rules.py', '    if found.usable or (action.erase and',
        '    if True or (action.erase and'),
    'S10: a copy is given up whatever it holds': (
        'safety/superfluous.py',
        '    if found.usable or found.standing is Standing.UNREADABLE:\n',
        '    if True:\n'),
    'S10: a connection is closed on a copy that was not read': (
        'safety/reading.py', '            if array is None or action.given_up:'
        '\n', '            if True:\n'),
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
    'a reboot is not seen': (
        'store/ledger.py',
        'return bool(boots) and boots[0] != self._clock.boot()',
        'return False'),
    'the word of before a reboot counts': (
        'store/ledger.py', "'SELECT uuid, content FROM volume WHERE boot = ?'",
        "'SELECT uuid, content FROM volume WHERE ? IS NOT NULL'"),
    'nothing is reported': (
        'healing/decision.py', '            if not agreed:\n',
        '            if False:\n'),
    'no replacement is requested': (
        'healing/decision.py',
        '                and view.healthy and not view.surplus(replica)',
        '                and False'),
    'a leg that md dropped is not removed': (
        'healing/planning.py',
        "            if leg.faulty and 'blocked' not in leg.flags]",
        '            if False]'),
    'a spare never takes the place of a leg that leaves': (
        'healing/planning.py', '        return steps[:1]\n\n    # the number',
        '        return []\n\n    # the number'),
    'the array never shrinks': (
        'healing/planning.py',
        '        if (goal < self.array.raid_disks\n', '        if (False\n'),
    'a lost leg is never cut off': (
        'guard/roles.py', '    actions = first + cut.actions + later\n',
        '    actions = first + later\n'),
    'targets are not asked for': (
        'daemon/healing_loop.py',
        '        this.targets_wanted = frozenset[str]().union(\n'
        '            *(one.targets_wanted for one in served))\n', ''),
    'the lock is never let go': (
        'host/brick_lock.py', '                    let_go()\n',
        '                    pass\n'),
    'the guard does not learn what is known': (
        'daemon/guard_loop.py', '            self._known_volumes = known\n',
        '            pass\n'),
    'agent time goes twice as fast after a restart': (
        'store/ledger.py', '            agent += max(0.0, elapsed)\n',
        '            agent += max(0.0, elapsed) * 2\n'),
    'a choice of the operator is not taken in': (
        'daemon/healing_loop.py', '        self._take_in_choices()\n', ''),
    'the guard stops after a defect of the driver': (
        'daemon/guard_loop.py', '            pause = self.step()\n',
        '            pause = self.step() + 600.0\n'),
}


def main(words: list[str]) -> int:
    histories = int(words[0]) if words else 200
    wanted = words[1:]
    survived = []
    for name, (path, old, new) in MUTANTS.items():
        if wanted and not any(word in name for word in wanted):
            continue
        found = _play(path, old, new, histories)
        print('%-52s %s' % (name, found), flush=True)
        if not found.startswith('found'):
            survived.append(name)
    print('%d survived%s' % (len(survived), ''.join(
        '\n  ' + name for name in survived)))
    return 1 if survived else 0


def _play(path: str, old: str, new: str, histories: int) -> str:
    """Return what became of the mutant."""
    with tempfile.TemporaryDirectory() as folder:
        copied = pathlib.Path(folder, 'os_brick')
        shutil.copytree(TREE / 'os_brick', copied,
                        ignore=shutil.ignore_patterns('tests', '*.pyc'))
        mutant = pathlib.Path(folder, AGENT, path)
        text = mutant.read_text(encoding='utf-8')
        if text.count(old) != 1:
            return 'NOT MADE: its text is there %d times' % text.count(old)
        mutant.write_text(text.replace(old, new), encoding='utf-8')
        seed, played = random.SystemRandom().randrange(1 << 41), 0
        while played < histories:
            output = _histories(folder, seed, histories - played)
            broken = re.search(r'BROKEN, seed (\d+): (.*)', output)
            count = re.search(r'(\d+) histories in', output)
            if count is None:
                return 'found at once: %s' % (
                    output.strip().split('\n')[-1] or 'it does not run')
            played += int(count[1])
            if broken is None:
                break
            if 'BROKEN' not in _histories(str(TREE), int(broken[1]), 1):
                return 'found after %4d: %s' % (played, broken[2][:90])
            seed = int(broken[1]) + 1
        return 'SURVIVED %d histories' % histories


def _histories(tree: str, seed: int, number: int) -> str:
    """Play that many, or up to the first that is broken."""
    return subprocess.run(
        [sys.executable, '-W', 'ignore', '-m',
         'os_brick.agent.testing.simulation', '--seed', str(seed),
         '--histories', str(number), '--first'], text=True, cwd=tree,
        env={**os.environ, 'PYTHONPATH': tree},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
