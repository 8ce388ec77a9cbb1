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
"""What this host cannot do is not held against a replica."""

from __future__ import annotations

from os_brick.agent.host import execute
from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.daemon import healing_loop_case


class TestWhoseFault(healing_loop_case.CycleCase):
    """A host that cannot do it uses up no spares."""

    def test_a_missing_program_consumes_no_spare(self):
        def broken(action):
            if isinstance(action, act.AddLeg):
                raise execute.HostUnfit('mdadm cannot be run')
        self.host.broken = broken
        self.lose()
        self.turn(200)
        self.assertEqual(1, len(self.said('replace')))

    def test_a_program_that_is_needed_to_reach_it(self):
        """What was assigned is not here, and that is not its fault."""
        def broken(action):
            if isinstance(action, act.Connect):
                raise execute.HostUnfit('nvme cannot be run')
        self.host.broken = broken
        self.lose()
        self.turn(200)
        self.assertEqual(1, len(self.said('replace')))
        self.host.broken = lambda action: None
        self.turn(20)
        self.assertEqual({'A', 'C'}, self.legs())

    def stands_still(self):
        self.turn(60)
        self.assertEqual([], self.said('replace'))

    def test_a_target_that_this_host_has_no_way_to(self):
        self.turn(3)
        self.host.no_way = 'this host has no way to 192.0.2.2'
        self.lose()
        self.stands_still()
        self.host.no_way = ''
        self.turn(20)
        self.assertEqual({'A', 'C'}, self.legs())

    def test_an_array_that_is_read_only(self):
        self.turn(3)
        self.host.array_state = 'readonly'
        self.lose()
        self.stands_still()
        self.assertEqual(1, len(self.lines('takes no writes', 'readonly')))
        self.host.array_state = 'active'
        self.turn(20)
        self.assertEqual(1, len(self.lines('takes writes again')))
        self.assertEqual({'A', 'C'}, self.legs())

    def test_an_array_that_is_read_only_until_its_first_write(self):
        """What comes is put in; no more than that is done about a loss."""
        self.host.array_state = 'read-auto'
        self.turn(3)
        self.lose()
        self.host.legs[1]['B'] = (None, {'faulty'})
        self.stands_still()
        self.host.live[self.host.name(1, 'B')] = True
        self.turn(3)
        self.assertIn(act.AddLeg, [type(done) for done in self.host.did])

    def test_a_lock_that_is_held_all_the_time(self):
        self.lose()

        def held(action):
            if isinstance(action, act.Connect):
                raise execute.LockHeld('os-brick is attaching')
        self.host.broken = held
        self.turn(200)
        self.assertEqual(1, len(self.said('replace')))
        self.host.broken = lambda action: None
        self.turn(20)
        self.assertEqual({'A', 'C'}, self.legs())
