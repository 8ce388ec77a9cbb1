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
"""The laws: what must never happen, in one numbered list; pure.

What holds a law names it by its number: a rule in the text with which it
refuses an action, so that an operator reads ``S2: ...``; any other code in a
comment; a test in its name.
"""

from __future__ import annotations

import enum


class Law(enum.Enum):
    """A thing that must never happen; the value says it in one sentence."""

    S1 = ('The last in-sync leg of an array is never failed, removed, '
          'replaced or disconnected.')
    S2 = ('A namespace is written to, that is added to an array, only if its '
          'NVMe UUID is that of a replica which the provisioner gave this '
          'very volume, nothing else holds it (no array, mount, device-mapper '
          'device or partition in use), and it is at least as large as the '
          'array\'s component size.')
    S3 = ('An in-sync leg leaves an array only after the array is whole '
          'without it, or when the provisioner marks it TERMINATING and '
          'another leg is in sync.')
    S4 = ('Arrays and connections which are not the provisioner\'s volumes '
          'are never touched: a local boot RAID, another product\'s NVMe-oF '
          'connection.')
    S5 = ('A removal is confirmed to the provisioner only after the leg has '
          'left the array.')
    S6 = ('Every change of a replica\'s state reaches the provisioner at '
          'least once and in order, across outages of the provisioner and '
          'restarts of the agent; no older state is sent after a newer one.')
    S7 = ('Killed at any instant and started again, the agent carries on: no '
          'second replacement is requested for the same fault, no half-done '
          'replacement is left behind.')
    S8 = ('An unreachable provisioner, an empty list, a truncated or '
          'nonsensical answer is "unknown", never "gone": nothing is removed '
          'because of it.')
    S9 = ('An I/O error of the application is never caused by the agent '
          'while an in-sync replica lives or may come back.')
    S10 = ('A leg is put in only when its superblock, read just before, is '
           'this array\'s and not ahead of it, or there is none; a copy that '
           'can be read is given up only when it is not ahead; one that is, '
           'or an array that came up on a copy known to be old, stops '
           'everything but guarding and telling.')
    S11 = ('A copy is given up (retired, confirmed, its leg failed or '
           'disconnected) only while the array is whole without it and its '
           'legs have answered a read within seconds.')
    S12 = ('Access that was withdrawn from this host is never asked for '
           'again; while a volume is attached to two hosts, one of them '
           'heals.')
    S13 = ('A leg that was cut with I/O under way returns only when its '
           'target can no longer execute what it was sent.')
    S14 = ('Nothing waits without a bound: a pass, a batch of the guard, a '
           'call to what runs as root, a full or broken state directory.')

    S15 = ('Nothing is put into an array to which nobody on this host has '
           'written since it was put together: another host may write to it.')

    def refuses(self, why: str, *words: object) -> str:
        """Return why an action is refused, with the number of the law.

        :param words: what is put into ``why``, as with ``%``.
        """
        return '%s: %s' % (self.name, why % words)


#: Those that are held in part: of two hosts one heals only where a driver says
#: which one (S12).  The list only shrinks.
NOT_YET_HELD = frozenset({Law.S12})
