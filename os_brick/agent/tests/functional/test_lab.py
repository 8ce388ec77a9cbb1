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
"""The lab itself is true: what it breaks is broken, what it finds is real."""

from __future__ import annotations

import logging
import time

from os_brick.agent.tests.functional import base
from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import blocks
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import waiting

LOG = logging.getLogger(__name__)


class LabTest(base.LabTestCase):
    """One test for each thing that other tests rely on."""

    def _array(self, volume: connector.Volume) -> host.Array:
        array = host.array(volume.alias)
        assert array is not None
        return array

    def test_attach_and_detach(self) -> None:
        """os-brick builds the array over the given namespaces."""
        volume = self.session.attach('vol-attach', replicas=3)
        array = self._array(volume)
        self.assertEqual({namespace.uuid for _one, namespace
                          in volume.replicas},
                         {leg.uuid for leg in array.legs})
        self.assertTrue(array.whole)
        self.assertEqual('UUU', array.health)
        self.assertEqual(['live'] * 3,
                         [one.state for one in host.controllers()])
        self.session.detach(volume)
        self.assertIsNone(host.array(volume.alias))
        self.assertEqual([], host.controllers())

    def test_several_namespaces_and_portals(self) -> None:
        """Two volumes share two targets of two portals each."""
        first = self.rack.add(namespaces=2, portals=2)
        second = self.rack.add(namespaces=2, portals=2)
        from os_brick.agent.tests.functional.lab import session
        for index in (0, 1):
            volume = connector.Volume('vol-shared-%d' % index, [
                (first, first.namespaces[index]),
                (second, second.namespaces[index])])
            session.attacher().attach(volume)
            self.assertTrue(self._array(volume).whole)
        self.assertEqual(4, len(host.controllers()))
        first.kill(first.addresses[:1])
        waiting.wait_until(
            lambda: {one.state for one in host.controllers(first.nqn)}
            == {'live', 'connecting'}, 'one of two paths is lost')

    def test_writer_is_read_back(self) -> None:
        """Every acknowledged write is found on each leg and the array."""
        volume = self.session.attach('vol-writer')
        writer = self.session.write(volume)
        writer.wait_for_writes(200)
        status = writer.stop()
        self.assertEqual(0, status.errors)
        self.assertEqual(status.finished, len(writer.writes()))
        result = writer.verify()
        self.assertTrue(result.ok, str(result))
        self.assertEqual(3, len(result.compared))

    def test_spoilt_block_is_found(self) -> None:
        """The verifier names the one leg and the one block that is wrong."""
        volume = self.session.attach('vol-spoilt')
        writer = self.session.write(volume)
        writer.wait_for_writes(50)
        writer.stop()
        target, namespace = volume.replicas[1]
        leg = self._array(volume).leg(namespace.uuid)
        assert leg is not None
        write = writer.writes()[20]
        namespace.backing.spoil(leg.data_offset + write.offset + 100, b'!')
        result = writer.verify()
        self.assertFalse(result.ok)
        wrong = [one for one in result.mismatches
                 if one.where == '/dev/' + leg.device]
        self.assertEqual([write.offset], [one.offset for one in wrong])
        self.assertIn('torn or spoilt write %d' % write.sequence,
                      wrong[0].found)

    def test_lost_write_is_found(self) -> None:
        """A leg that keeps an older write than the acknowledged one."""
        volume = self.session.attach('vol-lost')
        writer = self.session.write(volume)
        writer.wait_for_writes(20)
        writer.stop()
        _target, namespace = volume.replicas[0]
        leg = self._array(volume).leg(namespace.uuid)
        assert leg is not None
        write = writer.writes()[10]
        namespace.backing.spoil(leg.data_offset + write.offset,
                                bytes(blocks.SIZE))
        result = writer.verify({'/dev/' + leg.device: leg.data_offset})
        self.assertEqual([(write.offset, 'zeros')],
                         [(one.offset, one.found)
                          for one in result.mismatches])

    def test_killed_target(self) -> None:
        """A reset between two writes stalls the next one until it is freed.

        It goes on when the leg is failed and the controller disconnected.
        """
        volume = self.session.attach('vol-killed')
        writer = self.session.write(volume, burst=5, gap=2.0)
        target, namespace = volume.replicas[0]
        writer.wait_for_gap()
        target.kill()
        host.wait_for_state(target.nqn, 'connecting')
        writer.wait_for_stall(3.0)
        leg = self._array(volume).leg(namespace.uuid)
        assert leg is not None
        process.run('mdadm', '--fail', volume.path, '/dev/' + leg.device)
        host.controllers(target.nqn)[0].disconnect()
        writer.wait_for_writes(10)
        status = writer.stop()
        self.assertEqual(0, status.errors)
        self.assertGreater(status.longest_pause, 3.0)
        result = writer.verify()
        self.assertTrue(result.ok, str(result))
        self.assertEqual(2, len(result.compared))

    def test_silent_target(self) -> None:
        """Lost power is seen by the keep-alive only, and can be undone."""
        volume = self.session.attach('vol-silent')
        writer = self.session.write(volume)
        target, _namespace = volume.replicas[1]
        for one in host.controllers(target.nqn):
            one.set('reconnect_delay', 1)
        target.lose_power()
        self.assertEqual(['live'], [one.state for one
                                    in host.controllers(target.nqn)])
        writer.wait_for_stall(1.0)
        host.wait_for_state(target.nqn, 'connecting')
        target.restore_power()
        host.wait_for_state(target.nqn, 'live')
        writer.wait_for_writes(20)
        status = writer.stop()
        self.assertEqual(0, status.errors)
        result = writer.verify()
        self.assertTrue(result.ok, str(result))

    def test_vanished_namespace(self) -> None:
        """A namespace goes while its connection lives; md drops the leg."""
        volume = self.session.attach('vol-vanished')
        writer = self.session.write(volume)
        target, namespace = volume.replicas[1]
        namespace.remove()
        waiting.wait_until(
            lambda: '_' in self._array(volume).health,
            'md has dropped the leg')
        self.assertEqual(['live'], [one.state for one
                                    in host.controllers(target.nqn)])
        writer.wait_for_writes(20)
        status = writer.stop()
        self.assertEqual(0, status.errors)
        result = writer.verify()
        self.assertTrue(result.ok, str(result))
        self.assertEqual(2, len(result.compared))

    def test_slow_target(self) -> None:
        """Delays of the network and of the device make writes slow."""
        volume = self.session.attach('vol-slow', slow=True)
        writer = self.session.write(volume)
        target, namespace = volume.replicas[0]

        def slow() -> bool:
            return writer.status().last_latency >= 0.4
        target.delay(0.4)
        waiting.wait_until(slow, 'a write takes the delay of the network')
        target.delay(0)
        writer.wait_for_writes(2)
        waiting.wait_until(lambda: not slow(), 'the delay is over')
        namespace.backing.set_delay(0.4)
        waiting.wait_until(slow, 'a write takes the delay of the device')
        namespace.backing.set_delay(0)
        waiting.wait_until(lambda: not slow(), 'the device is fast again')
        self.assertEqual(0, writer.stop().errors)

    def test_cleanup_after_hung_writes(self) -> None:
        """Nothing is left although all targets were lost under writes."""
        volume = self.session.attach('vol-hung')
        writer = self.session.write(volume)
        for target, _namespace in volume.replicas:
            target.kill()

        def over() -> bool:
            status = writer.status()
            return bool(status.errors) or status.under_way >= 1.0
        # a write that the last target ends with an error as it dies makes
        # the array broken: then none hangs, and all fail
        waiting.wait_until(over, 'a write hangs, or fails')
        self.assertNotEqual([], host.leftovers())
        began = time.monotonic()
        self.session.close()
        LOG.info('cleaned up in %.1f s', time.monotonic() - began)
        self.assertEqual([], host.leftovers())

    def test_ordinary_user_may_start_the_helper(self) -> None:
        """The agent's user has no privilege of its own, but sudo's one."""
        agent = self.session.agent(start=False)
        as_user = ['setpriv', '--reuid', connector.USER, '--regid',
                   connector.USER, '--init-groups', '--inh-caps=-all']
        self.assertIn('CapEff:\t0000000000000000', process.run(
            *as_user, 'cat', '/proc/self/status'))
        process.run(*as_user, agent_lib.script('python'), '-c',
                    'import os_brick.agent.model')
        agent.allow_sudo()
        listed = process.run(*as_user, 'sudo', '-n', '-l')
        self.assertIn(agent_lib.CONTEXT, listed)
        self.assertRaises(process.CommandFailed, process.run,
                          *as_user, 'sudo', '-n', 'id')
