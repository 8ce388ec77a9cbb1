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
"""What is set and kept in md, and when md would wait for a lost leg."""

from __future__ import annotations

import dataclasses

from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.safety import rules_case

A, C, IN_SYNC = rules_case.A, rules_case.C, rules_case.IN_SYNC
FAULTY, SPARE = rules_case.FAULTY, rules_case.SPARE
State = rules_case.State
leg = rules_case.leg
namespace = rules_case.namespace
controller = rules_case.controller


class SettingsTest(rules_case.RulesCase):

    def test_a_limit_of_somebody_else_is_not_replaced(self) -> None:
        limit = act.SetSyncSpeedMax('', 'md1', 51201)
        self.assert_allowed(limit)
        self.assert_refused('S4', limit, ours=())
        self.speed = 900
        self.assert_refused('its limit has been changed', limit)
        self.assert_allowed(act.SetSyncSpeedMax('', 'md1', 0, 900))
        self.speed = None
        self.assert_refused('its limit has been changed', limit)
        # nothing waits in md for it, and no leg is touched
        self.speed = 0
        self.controllers[1] = controller(1, 'connecting')
        self.assert_allowed(limit)

    def test_how_long_md_marks_is_no_matter_of_its_legs(self) -> None:
        delay = act.SetBitmapDelay('', 'md1', 25.0)
        self.controllers[1] = controller(1, 'connecting')
        self.assert_allowed(delay)
        self.assert_refused('S4', delay, ours=())

    def test_nothing_is_changed_while_md_would_wait(self) -> None:
        """A lost leg's superblock is written, under the array's lock."""
        self.legs.append(leg(2, SPARE, None))
        self.namespaces[2] = namespace(2)
        self.namespaces.append(dataclasses.replace(
            namespace(3, ''), uuid=C))
        self.mark(A, State.TERMINATING)
        changes = (act.SetFailfast('', 'md1', 'nvme0n1', False),
                   act.ReplaceLeg('', 'md1', 'nvme0n1', 'nvme2n1', C),
                   act.Resize('', 'md1', 3),
                   act.AddLeg('', 'md1', 'nvme3n1', C, False))
        for change in changes:
            self.assert_allowed(change)
        self.controllers[1] = controller(1, 'connecting')
        # failed, and a write to it still under way
        for flags in (IN_SYNC, FAULTY | {'blocked'}):
            self.legs[1] = leg(1, flags)
            for change in changes:
                self.assert_refused('md would wait for nvme1n1', change)
        self.legs[1] = leg(1, FAULTY)
        self.assert_allowed(changes[0])

    def test_what_is_marked_is_kept_of_a_good_leg(self) -> None:
        keep = act.KeepMarked('', 'md1', 'nvme0n1')
        self.legs[1] = leg(1, FAULTY)
        self.assert_allowed(keep)
        self.assert_refused('S4', keep, ours=())
        self.assert_refused('the leg is not in sync',
                            act.KeepMarked('', 'md1', 'nvme1n1'))
        self.assert_refused('the leg is gone',
                            act.KeepMarked('', 'md1', 'nvme2n1'))
        for self.array_state, why in (('readonly', 'it is set read-only'),
                                      ('broken', 'a write to its last leg')):
            self.assert_refused(why, keep)
        self.array_state = 'active'
        # a write to it is still under way
        self.legs[1] = leg(1, FAULTY | {'blocked'})
        self.controllers[1] = controller(1, 'connecting')
        self.assert_refused('md would wait for nvme1n1', keep)
        self.legs[1] = leg(1, FAULTY)
        self.controllers[0] = controller(0, 'connecting')
        self.assert_refused('md would wait for nvme0n1', keep)

    def test_another_hosts_marks_are_not_kept(self) -> None:
        keep = act.KeepMarked('', 'md1', 'nvme0n1')
        self.written = False
        self.assert_refused('S15', keep)
        self.written = True
        self.volume = dataclasses.replace(self.volume, observe='not here')
        self.assert_refused('another host heals it', keep)
