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
"""What the stories about KumoScale share: the double among real targets."""

from __future__ import annotations

from collections.abc import Callable
import logging
from typing import Any

from os_brick.agent.testing.kumoscale import server
from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import provisioner
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional import story

LOG = logging.getLogger(__name__)

#: maxReplicaDownTime is in minutes, and a fraction is a number like others.
SHORT = 0.1
LONG = 10.0


class KumoScaleTestCase(story.StoryTestCase):
    """Steps and statements in the words of the stories."""

    def setUp(self) -> None:
        super().setUp()
        self.provisioner = provisioner.Provisioner()
        self.addCleanup(self.provisioner.close)

    def _keep_evidence(self, exc_info: Any) -> None:
        if hasattr(self, 'provisioner'):
            self.provisioner.log_requests()
        super()._keep_evidence(exc_info)

    def serve(self, *volumes: connector.Volume, minutes: float = SHORT,
              spares: int = 1,
              prepare: Callable[[agent_lib.Agent], object] | None = None,
              **options: Any) -> agent_lib.Agent:
        """Start an agent for these volumes; it has looked at them then.

        :param spares: how many targets have room for a new replica.
        :param prepare: called with the agent before it is started.
        """
        for volume in volumes:
            self.provisioner.world.adopt(volume, minutes)
        self.spares = [self.rack.add(namespaces=0) for _ in range(spares)]
        for spare in self.spares:
            self.provisioner.world.take(spare)
        agent = self.session.agent({'DEFAULT': dict(
            self.provisioner.options, **options)}, start=False)
        if prepare is not None:
            prepare(agent)
        agent.start()
        for volume in volumes:
            waiting.wait_until(
                lambda: self._guarded(volume),
                'no leg of %s fails fast' % volume.alias)
        return agent

    def _guarded(self, volume: connector.Volume) -> bool:
        array = host.array(volume.alias)
        return array is not None and not any(
            'failfast' in leg.states for leg in array.legs)

    def new_replica(self, volume: connector.Volume) -> str:
        """Wait for the replica that was not there at first, and name it."""
        old = {namespace.uuid for _target, namespace in volume.replicas}
        return waiting.wait_until(
            lambda: next(iter(set(self.provisioner.replicas(volume)) - old),
                         None),
            'volume %s has a new replica' % volume.alias, story.LONG)

    def replace_itself(self, volume: connector.Volume, uuid: str) -> str:
        """Let the provisioner exchange a replica; return the new one."""
        world = self.provisioner.world
        with self.provisioner.lock:
            world.add_replica('', volume.uuid, {})
            world.change(world.replica('', volume.uuid, uuid), 'Terminating')
        return self.new_replica(volume)

    def wait_settled(self, volume: connector.Volume, *replicas: str) -> None:
        """Wait until host and provisioner agree on these replicas alone."""
        wanted = dict.fromkeys(replicas, 'Available')

        def settled() -> bool:
            array = host.array(volume.alias)
            return (array is not None and array.whole
                    and self.legs(volume) == set(replicas)
                    and self.provisioner.replicas(volume) == wanted)
        waiting.wait_until(settled, 'volume %s is settled over %s' % (
            volume.alias, ', '.join(replicas)), story.LONG)

    def whole_array(self, seen: provisioner.Seen,
                    volume: connector.Volume) -> host.Array:
        """Return the array as it was seen, which is expected to be whole."""
        array = seen.arrays[volume.alias]
        self.assertTrue(array.whole, str(array))
        return array

    def events(self, pattern: str) -> list[server.Request]:
        """The forwarded events with that text in their message."""
        return [request for request
                in self.provisioner.requests('forward_log')
                if pattern in request.body['message']]
