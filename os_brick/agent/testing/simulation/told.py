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
"""A real driver, in the place of the simulated provisioner."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence

from os_brick.agent import model
from os_brick.agent.testing.simulation import baton as batons
from os_brick.agent.testing.simulation import kernel as kernels
from os_brick.agent.testing.simulation import provisioner as provisioners
from os_brick.agent.vendors import base

State = model.ReplicaState


class Told(provisioners.Provisioner):
    """A driver, and what the judge is to know of its answers.

    :param show: makes a namespace that was listed be there for this host.
    :ivar driver: it; another one where the agent was started anew.
    """

    def __init__(self, driver: base.ProvisionerDriver,
                 kernel: kernels.Kernel, baton: batons.Baton,
                 show: Callable[[model.Replica], None]) -> None:
        super().__init__(kernel, baton.point, baton.wait, lambda what: None)
        self.driver = driver
        self._show = show

    def heartbeat(self, host: model.Host, interval: float) -> None:
        self.driver.heartbeat(host, interval)

    def get_volumes(self, host: model.Host, arrays: Collection[model.Array],
                    targets_for: Collection[str]) -> Sequence[model.Volume]:
        answer = self.driver.get_volumes(host, arrays, targets_for)
        self.truths += 1
        for volume in answer:
            mine = self.volumes.get(volume.uuid)
            if mine is None:
                mine = self.volumes[volume.uuid] = provisioners.SimVolume(
                    volume.uuid, volume.alias, {}, volume.replica_count)
            mine.replicas = {one.uuid: one.state for one in volume.replicas}
            for replica in volume.replicas:
                if replica.target and not self._there(replica.uuid):
                    self._show(replica)
            mine.given |= set(mine.replicas)
            mine.ever |= mine.given
            mine.doomed |= {uuid for uuid, state in mine.replicas.items()
                            if state is State.TERMINATING}
        return answer

    def _there(self, uuid: str) -> bool:
        """Whether it is exported: let go, it is not, until it is again."""
        return (uuid in self.kernel.media
                and uuid in self.kernel.home(uuid).media)

    def delay_resyncs(self, under_way: Collection[model.Resync],
                      wanted: Collection[model.Resync]
                      ) -> Mapping[str, str] | None:
        return self.driver.delay_resyncs(under_way, wanted)

    def report_replica_state(self, volume: model.Volume,
                             replica: model.Replica, state: State) -> None:
        self.heard(volume.uuid, replica.uuid, state)
        self.driver.report_replica_state(volume, replica, state)

    def report_event(self, event: model.Event) -> None:
        self.count('event %s' % event.kind)
        self.driver.report_event(event)

    def request_replacement(self, volume: model.Volume,
                            replica: model.Replica) -> None:
        self.driver.request_replacement(volume, replica)

    def retire_replica(self, volume: model.Volume,
                       replica: model.Replica) -> None:
        self.give_away(replica.uuid, False)
        self.driver.retire_replica(volume, replica)
        self.terminate(self.volumes[volume.uuid], replica.uuid)

    def confirm_replica_removed(self, volume: model.Volume,
                                replica: model.Replica) -> None:
        self.give_away(replica.uuid, True)
        self.driver.confirm_replica_removed(volume, replica)
        self.volumes[volume.uuid].given.discard(replica.uuid)
        self.kernel.remove_namespace(replica.uuid)

    def certificates(self) -> Sequence[model.Certificate]:
        return self.driver.certificates()
