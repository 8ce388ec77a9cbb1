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
"""KumoScale's driver when the provisioner, a target or a path is away."""

from __future__ import annotations

import re

from os_brick.agent.tests.functional import kumoscale_story as kumo
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import redundancy
from os_brick.agent.tests.functional.lab import session as session_lib
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional import story


class ProvisionerAwayTest(kumo.KumoScaleTestCase):
    """The provisioner does not answer while something happens."""

    def test_reports_are_kept_and_delivered_in_order(self) -> None:
        """S6: lost, back, lost again; all of it is told, then healed."""
        volume = self.session.attach('vol-away')
        agent = self.serve(volume)
        flaky, survivor = (one for one, _ns in volume.replicas)
        old = self.uuid(flaky)
        for one in host.controllers(flaky.nqn):
            one.set('reconnect_delay', 1)
        writer = self.session.write(volume)
        writer.wait_for_writes(50)
        self.provisioner.double.stop()
        asked = len(self.provisioner.requests())
        flaky.kill()
        agent.wait_for_log('replica %s is MISSING' % old, story.LONG)
        writer.wait_for_writes(20, story.LONG)
        flaky.revive()
        self.wait_whole(volume, flaky, survivor)
        agent.wait_for_log('replica %s is AVAILABLE' % old, story.LONG)
        agent.skip_log()
        flaky.kill()
        agent.wait_for_log('replica %s is MISSING' % old, story.LONG)
        writer.wait_for_writes(20, story.LONG)
        self.assertEqual(asked, len(self.provisioner.requests()))
        self.provisioner.double.start()
        new = self.new_replica(volume)
        self.wait_settled(volume, self.uuid(survivor), new)
        seen = [word.title() for word in re.findall(
            r'replica %s is (\w+)$' % old, agent.log(), re.MULTILINE)]
        self.assertGreaterEqual(len(seen), 3)
        told = [words.split()[0] for words
                in self.provisioner.changes(volume)
                if words.endswith(' ' + old)]
        self.assertEqual(seen + ['retire', 'confirm'], told)
        self.assertEqual(1, self.provisioner.changes(volume).count('add'))
        self.assert_nothing_lost(writer, volume)


class SharedTargetTest(kumo.KumoScaleTestCase):
    """Two volumes, each with one replica in the same subsystem."""

    def setUp(self) -> None:
        super().setUp()
        self.shared = self.rack.add(namespaces=2)
        self.others = [self.rack.add(), self.rack.add()]
        self.volumes = [
            connector.Volume('vol-shared-%d' % index, [
                (self.shared, self.shared.namespaces[index]),
                (self.others[index], self.others[index].namespace)])
            for index in (0, 1)]
        for volume in self.volumes:
            session_lib.attacher().attach(volume)
        self.serve(*self.volumes)

    def healed(self, volume: connector.Volume,
               survivor: targets.Target) -> None:
        """Wait for it; told once, asked once, let go once."""
        old = volume.replicas[0][1].uuid
        new = self.new_replica(volume)
        self.wait_settled(volume, self.uuid(survivor), new)
        changes = self.provisioner.changes(volume)
        for words in ('Missing ' + old, 'add', 'Available ' + new,
                      'retire ' + old, 'confirm ' + old):
            self.assertEqual(1, changes.count(words),
                             str(changes))
        self.assertFalse(self.provisioner.change(
            volume, 'confirm ' + old).holds(old))

    def test_namespace_removed(self) -> None:
        """One volume is healed; the other one, on its path, is let alone."""
        lost, spared = self.volumes
        writers = [self.session.write(volume) for volume in self.volumes]
        writers[0].wait_for_writes(50)
        with redundancy.Watch(spared.alias) as watch:
            self.shared.namespaces[0].remove()
            self.healed(lost, self.others[0])
            self.assertEqual(0, watch.worst)
        self.assertGreater(watch.samples, 100)
        self.assertEqual([], self.provisioner.changes(spared))
        self.assertEqual(['live'], [
            one.state for one in host.controllers(self.shared.nqn)])
        for writer, volume in zip(writers, self.volumes):
            self.assert_nothing_lost(writer, volume)

    def test_target_killed(self) -> None:
        """Both volumes are healed, here onto one and the same target."""
        writers = [self.session.write(volume) for volume in self.volumes]
        writers[0].wait_for_writes(50)
        self.shared.kill()
        for volume, survivor in zip(self.volumes, self.others):
            self.healed(volume, survivor)
        waiting.wait_until(lambda: not self.connected(self.shared),
                           'the lost target is let go', story.LONG)
        self.assertEqual(1, len(host.controllers(self.spares[0].nqn)))
        for writer, volume in zip(writers, self.volumes):
            self.assert_nothing_lost(writer, volume)


class PathTest(kumo.KumoScaleTestCase):
    """Two portals for each target."""

    def test_one_path_lost_and_back(self) -> None:
        """No leg is failed, nothing is asked, each event is told once."""
        volume = self.session.attach('vol-paths', portals=2)
        target = volume.replicas[0][0]
        agent = self.serve(volume)
        lost = target.addresses[1]
        for one in host.controllers(target.nqn):
            one.set('reconnect_delay', 1)
        writer = self.session.write(volume)
        writer.wait_for_writes(50)
        with redundancy.Watch(volume.alias) as watch:
            target.kill([lost])
            self._told('was lost', lost)
            target.revive([lost])
            self._told('is live again', lost)
            self.assertEqual(0, watch.worst)
        self.assertEqual([], self.provisioner.changes(volume))
        self.assertNotIn('FailLeg', agent.log())
        self.assertNotIn('Disconnect', agent.log())
        self.assert_nothing_lost(writer, volume)

    def test_a_path_that_is_back_later(self) -> None:
        """The leg is back through one portal; the other one comes, too."""
        volume = self.session.attach('vol-later', portals=2)
        target, survivor = (one for one, _ns in volume.replicas)
        self.serve(volume, minutes=kumo.LONG)
        writer = self.session.write(volume)
        writer.wait_for_writes(50)
        target.kill()
        waiting.wait_until(
            lambda: self.legs(volume) == {self.uuid(survivor)},
            'md has dropped the leg', story.LONG)
        # what the guard has not disconnected has a ctrl_loss_tmo
        for one in host.controllers(target.nqn):
            process.attempt(one.disconnect)
        waiting.wait_until(lambda: not self.connected(target),
                           'the kernel has forgotten it', story.LONG)
        first, other = target.addresses
        target.revive([first])
        self.wait_whole(volume, target, survivor)
        self.assertEqual([first], self._live(target))
        target.revive([other])
        waiting.wait_until(
            lambda: self._live(target) == sorted([first, other]),
            'both paths live', story.LONG)
        self.assertFalse([words for words in self.provisioner.changes(volume)
                          if words.startswith(('add', 'retire'))])
        self.assert_nothing_lost(writer, volume)

    def _live(self, target: targets.Target) -> list[str]:
        """The addresses through which a target is reached."""
        return sorted(one.address for one in host.controllers(target.nqn)
                      if one.state == 'live')

    def _told(self, what: str, address: str) -> None:
        """Wait for an event, and for what would be a second one."""
        waiting.wait_until(lambda: self.events(what), 'it is told', story.LONG)
        self.provisioner.wait_for_passes(3, story.LONG)
        told = [request.body for request in self.events(what)]
        self.assertEqual(1, len(told), str(told))
        self.assertIn(address, told[0]['message'])
        if what == 'was lost':
            self.assertEqual('WARN', told[0]['level'])
            self.assertIn('other paths', told[0]['message'])
