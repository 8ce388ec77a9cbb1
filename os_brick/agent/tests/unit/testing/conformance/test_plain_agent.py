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
"""The plain agent of the kit asks for what the real one would ask for."""

import unittest

from os_brick.agent import model
from os_brick.agent.testing.conformance import plain_agent
from os_brick.agent.tests.unit.testing.conformance import shelf
from os_brick.agent.vendors import base

State = model.ReplicaState


class TestPlainAgent(shelf.OnShelf, unittest.TestCase):
    """Over a shelf that keeps the last copy it knows to be good."""

    def setUp(self):
        super().setUp()
        self.agent = plain_agent.PlainAgent(self)
        self.first, self.second = self.agent.legs

    def run_until(self, wanted):
        for _ in range(10):
            if wanted():
                return
            self.agent.run()
        self.fail('it did not come to that in ten passes')

    def test_successor_is_reported_before_the_old_one_is_retired(self):
        """The only other copy is lost in the pass in which it came in sync.

        A provisioner that was not told yet must refuse to let go.
        """
        self.agent.lose(self.second)
        self.run_until(lambda: len(self.agent.good()) == 2)
        self.agent.lost.clear()
        self.agent.lose(self.first)
        self.run_until(lambda: len(self.agent.volume.replicas) == 2
                       and self.second not in self.agent.legs)
        self.assertEqual([], self.agent.troubles)

    def test_nothing_is_retired_in_the_pass_that_ends_the_copy(self):
        """What is in sync at its end is reported in the next one."""
        self.agent.lose(self.second)
        self.run_until(lambda: len(self.agent.good()) == 2)
        self.assertEqual([State.SYNCHRONIZING], [
            kept.state for name, kept in
            self.shelf.volumes[self.agent.volume.uuid].items()
            if name not in (self.first, self.second)])
        self.assertIn(self.second, self.agent.legs)

    def test_replica_of_which_a_report_fails_holds_up_the_requests(self):
        self.agent.lose(self.second)
        self.agent.driver.report_replica_state = self.unavailable
        self.agent.reachable = False
        for _ in range(10):
            self.agent.run()
        self.assertEqual(2, len(self.agent.volume.replicas))
        self.assertEqual({}, self.agent.successors)

    @staticmethod
    def unavailable(volume, replica, state):
        raise base.Unavailable('away')
