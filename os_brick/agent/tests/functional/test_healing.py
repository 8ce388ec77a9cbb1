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
"""A degraded volume heals itself: the main job, on a real kernel."""

from __future__ import annotations

import os

from os_brick.agent.host import identity
from os_brick.agent.tests.functional import base
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import inventory
from os_brick.agent.tests.functional.lab import session as session_lib
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional.lab import writer as writer_lib
from os_brick.agent.tests.functional import story


class HealingTest(story.StoryTestCase):
    """Targets die; the volume goes on and becomes whole again."""

    @base.by_console_script
    def test_heals_after_the_death_of_a_target(self) -> None:
        """Reported, requested after the grace period, exchanged, let go."""
        volume = self.session.attach('vol-heal')
        dead, survivor = [target for target, _ns in volume.replicas]
        agent = self.watched(volume)
        writer = self.session.write(volume)
        writer.wait_for_writes(50)
        dead.kill()
        agent.wait_for_log('replica %s is MISSING' % self.uuid(dead))
        # the writer goes on long before the spare is there
        writer.wait_for_writes(20, story.LONG)
        agent.wait_for_log(story.REPLACE % self.uuid(dead), story.LONG)
        self.wait_whole(volume, survivor, self.spares[0])
        agent.wait_for_log('replica %s is AVAILABLE' % self.uuid(
            self.spares[0]), story.LONG)
        agent.wait_for_log(story.CONFIRM % self.uuid(dead), story.LONG)
        self.assertFalse(self.connected(dead))
        self.assert_nothing_lost(writer, volume)
        self.assertEqual(1, agent.log().count(
            story.REPLACE % self.uuid(dead)))

    def test_heals_when_the_fault_falls_between_two_writes(self) -> None:
        """Writes then wait in the multipath head; the agent releases them."""
        volume = self.session.attach('vol-gaps')
        dead, survivor = [target for target, _ns in volume.replicas]
        self.watched(volume)
        writer = self.session.write(volume, burst=10, gap=2.0)
        writer.wait_for_gap(story.LONG)
        dead.kill()
        self.wait_whole(volume, survivor, self.spares[0])
        self.assert_nothing_lost(writer, volume)

    def test_heals_after_a_silent_loss(self) -> None:
        """The target's packets are dropped, as when it loses its power."""
        volume = self.session.attach('vol-silent')
        survivor, dead = [target for target, _ns in volume.replicas]
        self.watched(volume)
        writer = self.session.write(volume)
        dead.lose_power()
        self.wait_whole(volume, survivor, self.spares[0])
        self.assert_nothing_lost(writer, volume)

    def test_returns_within_the_grace_period(self) -> None:
        """Put back with its bitmap; nothing is requested."""
        volume = self.session.attach('vol-return')
        flaky, other = [target for target, _ns in volume.replicas]
        agent = self.watched(volume, grace=600)
        writer = self.session.write(volume)
        flaky.kill()
        agent.wait_for_log('replica %s is MISSING' % self.uuid(flaky))
        writer.wait_for_writes(20, story.LONG)
        agent.skip_log()
        flaky.revive()
        self.wait_whole(volume, flaky, other)
        agent.wait_for_log('replica %s is AVAILABLE' % self.uuid(flaky),
                           story.LONG)
        self.assertNotIn('provisioner to replace', agent.log())
        self.assert_nothing_lost(writer, volume)

    def test_no_spare_left_until_the_operator_adds_one(self) -> None:
        volume = self.session.attach('vol-none')
        self.hold_open(volume)
        dead, survivor = [target for target, _ns in volume.replicas]
        agent = self.watched(volume, spares=0, grace=1)
        dead.kill()
        agent.wait_for_log(story.REPLACE % self.uuid(dead), story.LONG)
        self.assertEqual({self.uuid(survivor)}, self.legs(volume))
        spare = self.rack.add()
        agent.write_inventory(inventory.text([volume], [spare]))
        self.wait_whole(volume, survivor, spare)

    def test_both_targets_gone_and_back(self) -> None:
        """S9: a stall, no error; nothing is failed, nothing requested."""
        volume = self.session.attach('vol-both')
        first, second = [target for target, _ns in volume.replicas]
        # the grace period runs only while another leg is good
        agent = self.watched(volume, grace=20)
        writer = self.session.write(volume)
        waiting.wait_until(
            lambda: (array := host.array(volume.alias)) is not None and all(
                'failfast' not in leg.states for leg in array.legs),
            'every leg waits', story.LONG)
        first.lose_power()
        second.lose_power()
        writer.wait_for_stall(22, story.LONG)
        first.restore_power()
        second.restore_power()
        # the leg that returns later may be cut off, for the writer's sake
        writer.wait_for_writes(20, story.LONG)
        self.wait_whole(volume, first, second)
        self.assertNotIn('provisioner to replace', agent.log())
        self.assert_nothing_lost(writer, volume)

    def test_unusual_array_name(self) -> None:
        volume = self.session.attach('vol.a_b+c-7')
        self.hold_open(volume)
        dead, survivor = [target for target, _ns in volume.replicas]
        self.watched(volume, grace=1)
        dead.kill()
        self.wait_whole(volume, survivor, self.spares[0])

    def test_two_of_three_replicas_lost_at_once(self) -> None:
        volume = self.session.attach('vol-three', replicas=3)
        one, two, three = [target for target, _ns in volume.replicas]
        self.watched(volume, spares=2, grace=1)
        writer = self.session.write(volume)
        one.kill()
        three.kill()
        self.wait_whole(volume, two, *self.spares)
        self.assert_nothing_lost(writer, volume)

    def test_one_of_two_paths_lost(self) -> None:
        """The leg stays; the path is told of."""
        volume = self.session.attach('vol-paths', portals=2)
        target = volume.replicas[0][0]
        controllers = host.controllers(target.nqn)
        agent = self.watched(volume, grace=1)
        if len(controllers) < 2:
            # os-brick connects all portals only where multipath is asked
            agent.wait_for_log('starts on host')
        target.kill(target.addresses[1:])
        writer = self.session.write(volume)
        writer.wait_for_writes(50)
        self.assertEqual(2, len(self.legs(volume)))
        self.assertNotIn('FailLeg', agent.log())
        self.assert_nothing_lost(writer, volume)


class DaemonTest(story.StoryTestCase):
    """The daemon among its neighbours."""

    @base.by_console_script
    def test_ordinary_user_without_capabilities(self) -> None:
        """Only the helper may do anything; a second agent is refused."""
        volume = self.session.attach('vol-plain')
        agent = self.watched(volume)
        with open('/proc/%d/status' % agent.pid) as status:
            fields = dict(line.split(':', 1) for line in status)
        self.assertNotEqual('0', fields['Uid'].split()[0])
        for name in ('CapEff', 'CapPrm', 'CapInh', 'CapAmb'):
            self.assertEqual(0, int(fields[name], 16), name)
        second = self.session.agent(start=False)
        second.options['DEFAULT'] = dict(agent.options['DEFAULT'])
        second.start(wait=False)
        waiting.wait_until(lambda: not second.running(), 'it is refused')
        self.assertIn('with pid %d' % agent.pid, second.log())
        self.assertEqual(0, agent.stop())

    def test_its_identity_is_what_os_brick_gives_cinder(self) -> None:
        """Otherwise no provisioner would know whom it hears from."""
        session_lib.attacher()      # sets os-brick up
        from os_brick.initiator.connectors import nvmeof
        said = nvmeof.NVMeOFConnector.get_connector_properties('sudo')
        found = identity.identify('', '', '')
        self.assertEqual(said['nqn'], found.nqn)
        self.assertEqual(said.get('uuid') or None, found.uuid)

    @base.by_console_script
    def test_stops_in_order_and_leaves_no_leg_failing_fast(self) -> None:
        volume = self.session.attach('vol-stop')
        agent = self.watched(volume, legs_fail_fast='but-one')
        agent.wait_for_log('is not the anchor')
        self.assertEqual(0, agent.stop())
        for controller in host.controllers():
            path = os.path.join('/sys/class/nvme-fabrics/ctl',
                                controller.name, 'fast_io_fail_tmo')
            with open(path) as attribute:
                self.assertEqual('off', attribute.read().strip())

    def test_broken_inventory_keeps_the_last_good_one(self) -> None:
        volume = self.session.attach('vol-broken')
        self.hold_open(volume)
        dead, survivor = [target for target, _ns in volume.replicas]
        agent = self.watched(volume, grace=1)
        agent.write_inventory('volumes: [\n')
        agent.wait_for_log(r'volumes\.yaml, line \d+')
        dead.kill()
        self.wait_whole(volume, survivor, self.spares[0])

    def test_detached_in_the_middle(self) -> None:
        """os-brick detaches while the agent heals; both stay sound."""
        volume = self.session.attach('vol-detach')
        writer_lib.touch(volume.path)
        dead, _survivor = [target for target, _ns in volume.replicas]
        agent = self.watched(volume, grace=1)
        dead.kill()
        agent.wait_for_log(story.REPLACE % self.uuid(dead), story.LONG)
        self.session.detach(volume)
        agent.wait_for_log('was stopped', story.LONG)
        self.assertIsNone(host.array(volume.alias))
        self.assertTrue(agent.running())
        self.assertEqual(0, agent.stop())
