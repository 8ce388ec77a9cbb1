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
"""KumoScale's driver heals real arrays, through HTTPS and step by step.

What the agent asked for is read from the provisioner's own log of requests,
each with what the host was like at the moment at which it arrived.
"""

from __future__ import annotations

import time

from os_brick.agent.tests.functional import kumoscale_story as kumo
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import provisioner
from os_brick.agent.tests.functional.lab import redundancy
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional import story


class ExchangeTest(kumo.KumoScaleTestCase):
    """One replica leaves and another one takes its place."""

    def test_step_by_step(self) -> None:
        """Missing, then nothing for a while, then one exchange in order."""
        volume = self.session.attach('vol-steps')
        dead, survivor = [target for target, _ns in volume.replicas]
        old = self.uuid(dead)
        self.slow_down(volume)
        self.provisioner.world.fresh = 'Unknown'
        self.serve(volume)
        writer = self.session.write(volume)
        writer.wait_for_writes(50)
        before = time.monotonic()
        dead.kill()
        self.provisioner.wait_for_change(volume, 'Missing ' + old, story.LONG)
        self.assertEqual(['Missing ' + old], self.provisioner.changes(volume))
        new = self.new_replica(volume)
        self.wait_settled(volume, self.uuid(survivor), new)
        self.assertEqual(
            ['Missing ' + old, 'add', 'Synchronizing ' + new,
             'Available ' + new, 'retire ' + old, 'confirm ' + old],
            self.provisioner.changes(volume))
        self._check_moments(volume, old, new, before)
        self.assertFalse(self.connected(dead))
        self._check_probe()
        self.assert_nothing_lost(writer, volume)

    def _check_probe(self) -> None:
        probe = self.provisioner.requests('host_probe')[0].body
        self.assertEqual(provisioner.HOST_NQN.read_text().strip(),
                         probe['hostNqn'])
        self.assertEqual(provisioner.HOST_UUID, probe['hostId'])
        self.assertEqual(2, probe['duration'])
        self.assertTrue(probe['version'] and probe['name'], str(probe))

    def _check_moments(self, volume: connector.Volume, old: str, new: str,
                       before: float) -> None:
        asked = self.provisioner
        added = asked.request(volume, 'add')
        self.assertGreaterEqual(added.moment - before, 60 * kumo.SHORT)
        target = asked.world.target_of(new)
        gone = asked.world.target_of(old)
        published = [request for request in asked.requests('publish')
                     if request.moment > added.moment]
        self.assertFalse(published[0].seen.connected(target))
        seen = asked.change(volume, 'Synchronizing ' + new)
        self.assertLess(published[0].moment, asked.request(
            volume, 'Synchronizing ' + new).moment)
        leg = seen.arrays[volume.alias].leg(new)
        self.assertTrue(leg and not leg.in_sync, str(leg))
        for words in ('Available ' + new, 'retire ' + old):
            seen = asked.change(volume, words)
            self.assertIsNone(self.whole_array(seen, volume).leg(old))
        seen = asked.change(volume, 'confirm ' + old)
        self.assertFalse(seen.holds(old))
        self.assertFalse(seen.connected(gone))

    def test_replaced_by_the_provisioner(self) -> None:
        """It acts within the grace period: the agent only carries it out."""
        volume = self.session.attach('vol-by-itself')
        dead, survivor = [target for target, _ns in volume.replicas]
        old = self.uuid(dead)
        self.serve(volume, minutes=kumo.LONG)
        writer = self.session.write(volume)
        writer.wait_for_writes(50)
        dead.kill()
        self.provisioner.wait_for_change(volume, 'Missing ' + old, story.LONG)
        new = self.replace_itself(volume, old)
        self.wait_settled(volume, self.uuid(survivor), new)
        changes = self.provisioner.changes(volume)
        self.assertNotIn('add', changes)
        self.assertNotIn('retire ' + old, changes)
        self.assertEqual(1, changes.count('Available ' + new))
        # the lost one may go before the new one is in sync, but once
        self.assertEqual(1, changes.count('confirm ' + old))
        self.assertFalse(self.provisioner.change(
            volume, 'confirm ' + old).holds(old))
        self.assertFalse(self.connected(dead))
        self.assert_nothing_lost(writer, volume)

    def test_healthy_replica_is_moved(self) -> None:
        """Exchanged in place: two copies of each block at any moment."""
        volume = self.session.attach('vol-moved', portals=2)
        leaving, staying = [target for target, _ns in volume.replicas]
        old = self.uuid(leaving)
        self.slow_down(volume)
        self.serve(volume)
        writer = self.session.write(volume)
        writer.wait_for_writes(50)
        with redundancy.Watch(volume.alias) as watch:
            new = self.replace_itself(volume, old)
            self.wait_settled(volume, self.uuid(staying), new)
            self.assertEqual(0, watch.worst)
        self.assertGreater(watch.samples, 100)
        # listed as Synchronizing from the first: that need not be told
        self.assertEqual(['Available ' + new, 'confirm ' + old],
                         self.provisioner.changes(volume))
        seen = self.provisioner.change(volume, 'confirm ' + old)
        self.assertFalse(seen.holds(old))
        self.assertFalse(seen.connected(leaving))
        self.whole_array(seen, volume)
        self.assert_nothing_lost(writer, volume)

    def test_target_returns_after_the_request(self) -> None:
        """It serves until its replacement is in sync, and leaves then."""
        volume = self.session.attach('vol-late')
        self.serve(volume)
        late, survivor = (one for one, _ns in volume.replicas)
        old = self.uuid(late)
        spare = self.spares[0]
        spare.kill()
        writer = self.session.write(volume)
        writer.wait_for_writes(50)
        late.kill()
        new = self.new_replica(volume)
        with self.provisioner.lock:
            # the operator sees it and grants more time
            self.provisioner.world.volumes[volume.uuid][
                'maxReplicaDownTime'] = kumo.LONG
        late.revive()
        self.wait_whole(volume, late, survivor)
        with redundancy.Watch(volume.alias) as watch:
            spare.revive()
            self.wait_settled(volume, self.uuid(survivor), new)
            self.assertEqual(0, watch.worst)
        changes = self.provisioner.changes(volume)
        for words in ('add', 'retire ' + old, 'confirm ' + old):
            self.assertEqual(1, changes.count(words),
                             str(changes))
        self.whole_array(self.provisioner.change(volume, 'retire ' + old),
                         volume)
        self.assertFalse(self.connected(late))
        self.assert_nothing_lost(writer, volume)

    def test_two_of_three_replicas_lost(self) -> None:
        """Each of them is replaced, and once."""
        self.provisioner.world.most_replicas = 5
        self._two_of_three('vol-three')

    def test_two_of_three_replicas_lost_with_room_for_one(self) -> None:
        """KumoScale lists four replicas at most: one after the other."""
        self._two_of_three('vol-room')

    def _two_of_three(self, alias: str) -> None:
        volume = self.session.attach(alias, replicas=3)
        one, two, three = [target for target, _ns in volume.replicas]
        lost = {self.uuid(one), self.uuid(three)}
        self.serve(volume, spares=2)
        writer = self.session.write(volume)
        writer.wait_for_writes(50)
        for target in (one, three):
            # where nothing new is placed meanwhile
            self.provisioner.world.backends[target.name]['state'] = 'Lost'
            target.kill()
        waiting.wait_until(
            lambda: len(set(self.provisioner.replicas(volume)) - lost) == 3,
            'both are replaced', story.LONG)
        new = set(self.provisioner.replicas(volume)) - lost
        self.wait_settled(volume, *new)
        changes = self.provisioner.changes(volume)
        for uuid in lost:
            self.assertEqual(1, changes.count('confirm ' + uuid),
                             str(changes))
        for target in (one, three):
            self.assertFalse(self.connected(target))
        self.assert_nothing_lost(writer, volume)
