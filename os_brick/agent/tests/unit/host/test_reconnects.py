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
"""Nothing is disconnected while the kernel may be reconnecting it."""

from __future__ import annotations

from collections.abc import Collection

from oslotest import base

from os_brick.agent.host import not_done
from os_brick.agent.host import reconnects
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.tests.unit import small_world

PORTAL = model.Portal('192.0.2.1', 4420)


class ReconnectsTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.now, self.state, self.transport = 1000.0, 'connecting', 'tcp'
        self.listens = True
        self.reconnects = reconnects.Reconnects(
            self.scan, self,   # type: ignore[arg-type]
            small_world.Timer(lambda: self.now))

    def scan(self) -> snapshots.HostSnapshot:
        return snapshots.HostSnapshot((model.Controller(
            'nvme1', 'nqn.t', model.Portal(
                PORTAL.address, PORTAL.port, self.transport), None,
            self.state, reconnect_delay=2.0),))

    def listening(self, portals: Collection[model.Portal]
                  ) -> frozenset[model.Portal]:
        self.assertEqual([PORTAL], list(portals))
        return frozenset(portals if self.listens else ())

    def why(self, name: str = 'nvme1') -> str:
        try:
            self.reconnects.settled(name)
        except not_done.PutOff as error:
            return str(error)
        return ''

    def test_a_target_that_listens_is_given_an_attempt(self) -> None:
        self.assertEqual(
            'tcp://192.0.2.1:4420 listens again, and the kernel may be '
            'reconnecting nvme1 just now; removed in that moment it could '
            'hang', self.why())
        self.now += 2.9
        self.assertNotEqual('', self.why())
        self.now += 0.1
        self.assertEqual('', self.why())

    def test_one_that_does_not_listen_is_not_waited_for(self) -> None:
        self.why()
        self.listens = False
        self.assertEqual('', self.why())
        # when it does again, its time begins anew
        self.listens, self.now = True, self.now + 10
        self.assertNotEqual('', self.why())

    def test_what_was_seen_long_ago_does_not_count(self) -> None:
        self.why()
        self.now += reconnects.ASKED + 1
        self.assertNotEqual('', self.why())

    def test_only_what_is_lost_is_asked_about(self) -> None:
        self.listens = True
        for self.state in ('live', 'resetting', 'deleting'):
            self.assertEqual('', self.why())
        self.state, self.transport = 'connecting', 'rdma'
        self.assertEqual('', self.why())
        self.assertEqual('', self.why('nvme2'))
