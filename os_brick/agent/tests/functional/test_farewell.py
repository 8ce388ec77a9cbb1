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
"""A copy that was exchanged, when those which are to replace it die (S11)."""

from __future__ import annotations

import contextlib
import sqlite3

from oslo_concurrency import lockutils

from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import inventory
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional import story


class FarewellTest(story.StoryTestCase):

    def test_s11_a_released_copy_is_the_last_one_that_is_reached(
            self) -> None:
        """It is neither disconnected nor confirmed: it holds everything."""
        volume = self.session.attach('vol-farewell')
        released, staying = [target for target, _ns in volume.replicas]
        successor = self.rack.add()
        agent = self.watched(volume, spares=0, grace=600)
        writer = self.session.write(volume)
        self.slow_down(volume)
        agent.write_inventory(inventory.text([connector.Volume(
            volume.alias, [(one, one.namespace) for one
                           in (staying, successor)], volume.uuid)]))
        agent.wait_for_log('done: ReplaceLeg', story.LONG)
        # as if something was attached: nothing more is done meanwhile
        with lockutils.lock('connect_volume', 'os-brick-', external=True,
                            lock_path=str(connector.LOCK_PATH)):
            self.let_go(volume, released)
            # the kernel calls them live for seconds more
            staying.lose_power()
            successor.lose_power()
        agent.wait_for_log(r'was let go\): not done: S1[01]:', story.LONG)
        self.assert_kept(agent, released)
        self.assertTrue(self.connected(released))
        # somebody closes it: the copy is still there; nvme-cli would ask the
        # silent targets for their namespaces first
        for controller in host.controllers(released.nqn):
            controller.set('delete_controller', 1)
        agent.wait_for_log('letting go of replica %s: put off: S11: .* did '
                           'not answer' % self.uuid(released), story.LONG)
        self.assert_kept(agent, released)
        self.assertEqual({self.uuid(staying), self.uuid(successor)},
                         self.legs(volume))
        self.assertGreater(writer.status().under_way, 0)
        staying.restore_power()
        successor.restore_power()
        self.wait_whole(volume, staying, successor)
        waiting.wait_until(lambda: self.known(agent, released) is None,
                           'the provisioner may delete it', story.LONG)
        # the one that was back later may have been cut, and is put back
        self.wait_whole(volume, staying, successor)
        self.assert_nothing_lost(writer, volume)

    def let_go(self, volume: connector.Volume,
               target: targets.Target) -> None:
        """Wait until md has exchanged a leg, and let it list it no more."""
        leg = self.array(volume).leg(self.uuid(target))
        assert leg is not None
        waiting.wait_until(
            lambda: (array := self.array(volume)).health == 'UU'
            and array.sync_action == 'idle'
            and self.uuid(target) not in self.legs(volume),
            'the leg is exchanged', story.LONG)
        self.drop(volume, '/dev/' + leg.device)

    def assert_kept(self, agent: agent_lib.Agent,
                    target: targets.Target) -> None:
        """The provisioner was not told that it may delete the copy."""
        self.assertEqual('TERMINATING', self.known(agent, target))
        self.assertNotIn(story.CONFIRM % self.uuid(target), agent.log())

    def known(self, agent: agent_lib.Agent,
              target: targets.Target) -> str | None:
        """The state that the local driver has noted; None: it is let go."""
        with contextlib.closing(sqlite3.connect(
                'file:%s/local.sqlite?mode=ro' % agent.state_dir,
                uri=True)) as ledger:
            row = ledger.execute('SELECT state FROM replica WHERE uuid = ?',
                                 [self.uuid(target)]).fetchone()
        return row[0] if row else None
