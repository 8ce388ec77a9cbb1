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
"""The whole agent, on a simulated host, with a vendor's driver.

The loops, the ledger and the guard are the shipped ones; kernel, arrays and
time are those of the simulation, and so is the judge that holds the agent to
the laws.  What stands on the back end comes true on the host: a replica that
the driver lists is a namespace that can be connected.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
import contextlib
import logging
import random
import tempfile

from os_brick.agent import model
from os_brick.agent.testing.conformance import bench
from os_brick.agent.testing.conformance import troubles
from os_brick.agent.testing.simulation import agent as agents
from os_brick.agent.testing.simulation import baton as batons
from os_brick.agent.testing.simulation import disk
from os_brick.agent.testing.simulation import hands as simulated_hands
from os_brick.agent.testing.simulation import judge as judges
from os_brick.agent.testing.simulation import kernel as kernels
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import told as tolds
from os_brick.agent.vendors import base

State = model.ReplicaState
_LOG = logging.getLogger('os_brick.agent')
#: Seconds that a copy takes.
SYNC_TIME = 20.0


class SimulatedHost:
    """A host with the vendor's volumes attached, and its agent.

    :param side: the vendor's bench with a fresh back end.
    :param seed: decides in which order the agent's threads take turns.
    :ivar lost: the targets that are away.
    :ivar reachable: whether the back end is, in this story.
    """

    def __init__(self, side: bench.Bench, seed: int) -> None:
        disk.works()
        self._side = side
        self._files = contextlib.ExitStack()
        # a daemon has a log; a case has none, but whoever runs it may
        silent = logging.NullHandler()
        _LOG.addHandler(silent)
        self._files.callback(_LOG.removeHandler, silent)
        self.lost: list[str] = []
        self.reachable = True
        self._writes = 0
        self._dice = random.Random(seed)
        self._baton = batons.Baton(self._dice, self._advance)
        self._clock = batons.Clock(self._baton)
        self.kernel = kernels.Kernel()
        self.kernel.number_disks()
        self.kernel.wall = self._clock.wall
        driver = side.started()
        self._attach(self._listed(driver))
        self._watched = _Watched(self, driver)
        self._judge = judges.Judge(self.kernel, self._watched)
        self._watched.give_away = self._judge.give_away
        conf = agents.configuration()
        agents.reset(conf)
        self._agent = agents.Agent(
            conf, self._files.enter_context(
                tempfile.TemporaryDirectory(dir=disk.memory())),
            self.kernel, self._watched, self._judge, simulated_hands.Hands(
                self.kernel, self._baton, self._judge, lambda what: None),
            self._baton, self._clock, self._dice, side.host)
        self.kernel.changed = self._agent.changed
        self._agent.start()

    def _listed(self, driver: base.ProvisionerDriver) -> list[model.Volume]:
        """Return what is attached, with targets."""
        uuids = [replica.uuid for volume in self._side.ask(driver)
                 for replica in volume.replicas]
        return [volume for volume in self._side.ask(driver, uuids)
                if volume.alias in self._side.aliases]

    def _attach(self, volumes: list[model.Volume]) -> None:
        self.meant = {volume.uuid: len(volume.replicas)
                      for volume in volumes}
        for volume in volumes:
            for replica in volume.replicas:
                self.show(replica)
            raid = self.kernel.attach(
                self._side.arrays[volume.alias].name, volume.alias,
                *(replica.uuid for replica in volume.replicas),
                failfast=False, sync_time=SYNC_TIME)
            # its virtual machine has run for a while
            raid.written = True

    def show(self, replica: model.Replica) -> None:
        """Let its namespace be there, at the target that was named."""
        said = replica.target or model.Target(
            'nqn.2014-08.org.example:%s' % replica.uuid,
            (model.Portal('192.0.2.1', 4420),))
        target = self.kernel.targets.get(said.nqn)
        if target is None:
            target = self.kernel.target(len(self.kernel.targets))
            del self.kernel.targets[target.nqn]
            target.nqn, target.portals = said.nqn, tuple(said.portals)
            self.kernel.targets[said.nqn] = target
        self.kernel.export(target, md.Medium(replica.uuid))

    # what happens to it

    def live(self, seconds: float) -> None:
        """Let time pass, for the agent and the applications.

        :raises judges.Violation: a law was broken.
        """
        self._baton.run(seconds)
        self._side.settle()

    def _advance(self, seconds: float) -> None:
        while seconds > 0.0:
            step = min(seconds, 1.0)
            seconds -= step
            self._writes += 1
            for raid in self.kernel.raids.values():
                self.kernel.write(raid, self._writes % md.BLOCKS)
            self.kernel.advance(step)
            self._judge.guarded = self._agent.alive and self._agent.knows
            self._judge.after()

    def targets(self) -> list[str]:
        """Return those of which each array can do without."""
        good = [{self.kernel.home(member.medium.uuid).nqn
                 for member in raid.members if member.in_sync}
                for raid in self.kernel.raids.values()]
        return [nqn for nqn in sorted(set().union(*good))
                if nqn not in self.lost
                and all(homes - {nqn, *self.lost} for homes in good)]

    def lose(self, nqn: str, silent: bool) -> None:
        self.lost.append(nqn)
        self.kernel.lose(self.kernel.targets[nqn], silent)

    def restore(self) -> None:
        """Let the target come back that was lost first."""
        self.kernel.restore(self.kernel.targets[self.lost.pop(0)])

    def restart(self) -> None:
        """SIGKILL, and systemd starts it again."""
        self._agent.kill()
        self._watched.driver = self._side.killed(self._watched.driver)
        self._agent.start()
        self.live(1.0)

    @property
    def troubles(self) -> list[str]:
        """What a driver did that it must not, and broken laws."""
        return self._watched.troubles + (
            [self._judge.broken] if self._judge.broken else [])

    def settled(self) -> bool:
        """Every volume is whole, on the host and on the back end."""
        volumes = self._watched.listed
        return bool(volumes) and all(
            len(volume.replicas) == self.meant[volume.uuid] and all(
                replica.state is State.AVAILABLE
                and replica.uuid in self.in_sync()
                for replica in volume.replicas)
            for volume in volumes) and all(
                raid.whole for raid in self.kernel.raids.values())

    def in_sync(self) -> set[str]:
        return {member.medium.uuid for raid in self.kernel.raids.values()
                for member in raid.members if member.in_sync}

    def described(self) -> str:
        """Return how things stand, for whoever reads of a failure."""
        return 'the driver lists %s, and the host has %s in sync' % (
            [(volume.alias, replica.uuid, replica.state.value)
             for volume in self._watched.listed
             for replica in volume.replicas], sorted(self.in_sync()))

    def close(self) -> None:
        self._agent.kill()
        self._files.close()


class _Watched(tolds.Told):
    """The driver, of which is noted what it must not do.

    :ivar listed: the volumes of its last answer.
    """

    def __init__(self, host: SimulatedHost, driver: base.ProvisionerDriver
                 ) -> None:
        super().__init__(driver, host.kernel, host._baton, host.show)
        self._host = host
        self.troubles: list[str] = []
        self.listed: list[model.Volume] = []
        self._known: set[str] = set()
        self._asked: set[str] = set()
        self._given_up: set[str] = set()
        self._new = 0

    def heartbeat(self, host: model.Host, interval: float) -> None:
        self._watch('heartbeat', lambda: super(_Watched, self).heartbeat(
            host, interval))

    def get_volumes(self, host: model.Host, arrays: Collection[model.Array],
                    targets_for: Collection[str]) -> Sequence[model.Volume]:
        found: list[model.Volume] = []
        self._watch('get_volumes', lambda: found.extend(
            super(_Watched, self).get_volumes(host, arrays, targets_for)))
        self.listed = [volume for volume in found
                       if volume.uuid in self._host.meant]
        self._judge_answer()
        return found

    def _judge_answer(self) -> None:
        for uuid in sorted(self._host.meant.keys() - {
                volume.uuid for volume in self.listed}):
            self.troubles.append('volume %s is not listed' % uuid)
        states = {replica.uuid: replica.state for volume in self.listed
                  for replica in volume.replicas}
        self.troubles += troubles.taken(sorted(
            self._host.in_sync() - self._asked - self._given_up), states)
        if self._known:
            self._new += len(states.keys() - self._known)
        self._known |= states.keys()
        self.troubles += troubles.given(self._new, len(self._asked))

    def report_replica_state(self, volume: model.Volume,
                             replica: model.Replica, state: State) -> None:
        self._watch('report_replica_state', lambda: super(
            _Watched, self).report_replica_state(volume, replica, state))

    def report_event(self, event: model.Event) -> None:
        self._watch('report_event', lambda: super(
            _Watched, self).report_event(event))

    def request_replacement(self, volume: model.Volume,
                            replica: model.Replica) -> None:
        self._asked.add(replica.uuid)
        self._watch('request_replacement', lambda: super(
            _Watched, self).request_replacement(volume, replica))

    def retire_replica(self, volume: model.Volume,
                       replica: model.Replica) -> None:
        self._given_up.add(replica.uuid)
        self._watch('retire_replica', lambda: super(
            _Watched, self).retire_replica(volume, replica))

    def confirm_replica_removed(self, volume: model.Volume,
                                replica: model.Replica) -> None:
        self._given_up.add(replica.uuid)
        self._watch('confirm_replica_removed', lambda: super(
            _Watched, self).confirm_replica_removed(volume, replica))
        # it may come back as a new one
        self._known.discard(replica.uuid)
        self._given_up.discard(replica.uuid)
        self._asked.discard(replica.uuid)
        self._new -= 1

    def _watch(self, what: str, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:
            self.troubles += troubles.raised(what, error,
                                             self._host.reachable)
            raise
