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
"""Deliberate defects in what is done, and when: see ``mutants.py``."""

from __future__ import annotations

#: name -> file, text, what stands there instead.
MUTANTS: dict[str, tuple[str, str, str]] = {
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
    'what a leg may lack that has left is forgotten': (
        'daemon/guard_look.py',
        '[*decision.actions, *self._keep(this.now),\n',
        '[*decision.actions,\n'),
    'targets are not asked for': (
        'daemon/healing_loop.py',
        '        this.targets_wanted = frozenset[str]().union(\n'
        '            *(one.targets_wanted for one in served))\n', ''),
    'the targets of one volume only are asked for': (
        'daemon/healing_loop.py',
        '            *(one.targets_wanted for one in served))\n',
        '            *(one.targets_wanted for one in served[:1]))\n'),
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
    'a calm volume is calm for ever': (
        'healing/settled.py',
        '            if (kept.policy, kept.basis) != (policy, '
        '_basis(*asked)):\n', '            if kept.policy != policy:\n'),
    'the host is not looked at again after a slow answer': (
        'daemon/healing_loop.py',
        '        if self._clock.monotonic() - asked > STALE:\n',
        '        if False:\n'),
    'what the kernel announces does not wake the guard': (
        'daemon/guard_loop.py', '            kept.unseen = True\n',
        '            pass\n'),
    'that a copy was put in is not noted before': (
        'daemon/acting.py', '        if isinstance(action, act.AddLeg):\n'
        '            self._keep', '        if False:\n'
        '            self._keep'),
    'a connection that nobody needs stays': (
        'healing/planning.py',
        '        steps += connecting.disconnect(self.view, self.staying, '
        'self.owned)\n', ''),
    'a former leg is not connected again': (
        'healing/connecting.py',
        '    for replica in wanted(view):\n',
        '    for replica in view.members:\n'),
    'a path that a leg had is not connected again': (
        'healing/connecting.py',
        '    return frozenset(known.portals) - {path.portal for path in paths}'
        '\n', '    return frozenset()\n'),
    'only one path that a leg had is remembered': (
        'healing/observing.py',
        '            target=targets.so_far(record.target, view.array, '
        'replica.uuid,\n'
        '                                  view.snapshot),\n',
        '            target=targets.reached(view.array, replica.uuid, '
        'view.snapshot)\n            or record.target,\n'),
    'the array never grows': (
        'healing/planning.py',
        '                and self.array.raid_disks < self.view.goal + only):'
        '\n', '                and False):\n'),
    'what was told is never told again': (
        'healing/decision.py',
        '        forgotten = view.now >= record.farewell_at + '
        'view.policy.repeat\n', '        forgotten = False\n'),
    'a state that did not stick is not told again': (
        'healing/decision.py',
        '        if agreed or record.reported is not state or overdue:\n',
        '        if agreed or record.reported is not state:\n'),
    'an array of which a leg is lost keeps it': (
        'healing/planning.py', '        steps += self._fail_dead()\n', ''),
}
