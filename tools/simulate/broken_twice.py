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
"""Mutants of laws that are held in several places: all of them are broken.

With one of them broken such a law is still held, which is meant to be so.
"""

from __future__ import annotations

import broken_laws

LAWS = broken_laws.MUTANTS
ONE_BREAK = tuple[str, str, str]

#: name -> all that is broken at once.
MUTANTS: dict[str, tuple[ONE_BREAK, ...]] = {
    'S1: nobody keeps the last good leg': (
        LAWS['S1: the last good leg may be failed'],
        LAWS['S1: nobody has to answer before an action'],
        LAWS['S1: a leg is cut off whatever it alone holds'],
        ('guard/cutoff.py',
         '            if not any(map(self._snapshot.good, array.legs)):\n',
         '            if False:\n'),
        ('guard/vouching.py',
         '        if self._answered(array, leg):\n            return True\n',
         '        return True\n'),
        ('safety/rules.py',
         '    if connections.waits(leg, snapshot) and not any(\n',
         '    if False and not any(\n')),
    'S1: nobody asks what else a connection leads to': (
        ('safety/connections.py',
         '    for namespace in snapshot.through(*names):\n'
         '        why = _give_up',
         '    for namespace in [*snapshot.through(*names)][:1]:\n'
         '        why = _give_up'),
        ('guard/vouching.py',
         '        for namespace in self.snapshot.through(*names):\n',
         '        for namespace in [*self.snapshot.through(*names)][:1]:\n')),
    'S3: nobody keeps a leg that works': (
        LAWS['S3: a leg that works may be failed'],
        ('healing/planning.py',
         '                    or self.view.local(replica) is not '
         'State.MISSING\n', '')),
    'S4: nobody looks whose connection it is': (
        LAWS['S4: any connection may be given up'],
        ('healing/connecting.py',
         '            if snapshots.cuttable(path, namespace) and '
         'rules.refusal(\n'
         '                    step, view.volume, view.snapshot, mine) is '
         'None:\n', '            if path.cuttable:\n'),
        ('healing/connecting.py',
         '        if not any(other.holders or other.in_use or other.uuid in '
         'staying\n                   or other.uuid not in known for other in '
         'behind):\n', '        if True:\n')),
    'S8: nobody counts who is not listed': (
        LAWS['S8: what is not listed is gone'],
        ('healing/planning.py',
         '        unlisted = (set[str]() if self.volume.replica_count\n'
         '                    else set(self.view.unlisted))\n',
         '        unlisted = set[str]()\n')),
    'S10: nothing in a superblock says that a copy is ahead': (
        LAWS['S10: a copy that is ahead may be put in'],
        LAWS['S10: a count that was overtaken says nothing'],
        LAWS['S10: a copy that was alone in charge may be put in'],
        ('safety/copies.py',
         '    if copy.updated > max(leg.updated for leg in legs) and not (\n',
         '    if False and not (\n')),
    'S9: nobody lets a leg wait': (
        LAWS['S9: no leg waits for a lost path'],
        LAWS['S9: a new anchor after the old one fails fast']),
}
