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
"""The daemon in a simulated world: its own loops, behind other walls."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
import os
import random
from typing import Any

from oslo_config import cfg

from os_brick.agent.daemon import guard_loop
from os_brick.agent.daemon import healing_loop
from os_brick.agent.daemon import pace
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent import opts
from os_brick.agent.store import ledger
from os_brick.agent.testing.simulation import baton as batons
from os_brick.agent.testing.simulation import hands as simulated_hands
from os_brick.agent.testing.simulation import judge as judges
from os_brick.agent.testing.simulation import kernel as kernels
from os_brick.agent.testing.simulation import provisioner as provisioners
from os_brick.agent.testing.simulation import walls

HOST = model.Host('nqn.2014-08.org.nvmexpress:uuid:host', None, 'compute')


class Agent:
    """What is started, killed and started again.

    :param folder: the directory of the ledgers' files.
    :param vendor: the provisioner, or what stands for one.
    :param identity: what its host is called.
    :ivar host: number of the host on which it is started; each has a ledger.
    :ivar done: told of each action that it has carried out.
    """

    def __init__(self, conf: cfg.ConfigOpts, folder: str,
                 kernel: kernels.Kernel, vendor: provisioners.Provisioner,
                 judge: judges.Judge, hands: simulated_hands.Hands,
                 baton: batons.Baton, clock: batons.Clock,
                 dice: random.Random, identity: model.Host = HOST
                 ) -> None:
        self._conf = conf
        self._identity = identity
        self.folder = folder
        self.host = 0
        # of each host, what is still to be delivered from there, and whether
        # its disk did not take all
        self._left: dict[int, tuple[walls.Owed, bool]] = {}
        self._kernel = kernel
        self._vendor = vendor
        self._judge = judge
        self._hands = hands
        self._baton = baton
        self._clock = clock
        self._dice = dice
        self._actors: list[batons.Actor] = []
        self._owed: walls.Owed = {}
        self._arrived: tuple[str, str, model.ReplicaState] | None = None
        self._forgot = False
        self._boot, self._knew_nothing_at = clock.boots, -1
        vendor.heard = self._heard
        self.done: Callable[[act.Action], None] = lambda action: None
        self.alive = False

    def _heard(self, volume: str, replica: str,
               state: model.ReplicaState) -> None:
        due = self._owed.get(volume, [])
        if self._store.trouble:
            # one that a restart would send again holds up its replica only
            due = [one for one in due if one[0] == replica]
        if not due or due[0] != (replica, state):
            raise self._judge.broke('S6: %s of %s was told; due is %s' % (
                state.value, replica, due[:1]))
        self._arrived = (volume, replica, state)

    def _struck(self, report: ledger.Pending) -> None:
        if self._arrived != (report.volume, report.replica, report.state):
            raise self._judge.broke('S6: %s of %s was struck out, and has not '
                                    'arrived' % (report.state.value,
                                                 report.replica))

    def _saved(self, replicas: Collection[str]) -> None:
        if self._store.trouble:
            return    # a restart would not find it
        noted = self._vendor.accepted.intersection(replicas)
        self._vendor.noted |= noted
        self._vendor.accepted -= noted

    def start(self) -> None:
        """As systemd does: another process, with the same files."""
        baton, clock, point = self._baton, self._clock, self._baton.point
        store = walls.SimLedger(os.path.join(self.folder, '%s%s' % (
            self.host or '', ledger.FILE)), clock)
        if (store.trouble or self._forgot or not store.volumes()
                or self._boot != self._clock.boots):
            # the provisioner's last word is lost, was never written down, or
            # counts no more
            self._boot, self._knew_nothing_at = (self._clock.boots,
                                                 self._vendor.truths)
        if self._forgot or store.trouble:
            # what the disk did not take is lost
            self._owed.clear()
            for report in store.pending():
                self._owed.setdefault(report.volume, []).append(
                    (report.replica, report.state))
            self._judge.forget([
                uuid for volume in self._vendor.volumes
                for uuid, record in store.records(volume).items()
                if record.joined])
        store.owed, store.saved = self._owed, self._saved
        store.struck, store.reported = self._struck, self._judge.reported
        self._store = store
        walled: Any = walls.Wall(store, point)
        kernel: Any = walls.Wall(self._kernel, point)
        stopping = clock.event()
        executor = walls.SimExecutor(
            self._conf, kernel, self._identity, stopping.is_set, self._hands,
            clock)
        executor.refused, executor.done = self._vendor.count, self.done
        self._wake = clock.event()
        self._guard = guard_loop.GuardLoop(
            self._conf, kernel.scan, executor, kernel,
            self._kernel.unanswered, self._wake.set, clock)
        loop = healing_loop.HealingLoop(
            self._conf, self._vendor, self._identity, kernel.scan, executor,
            walled, stopping.is_set, self._guard.publish, clock,
            lost=self._guard.take_lost)
        self.alive = True
        self._actors = [
            baton.start('guard', lambda: self._guard.run(stopping)),
            baton.start('passes', lambda: self._passes(loop, stopping))]

    def _passes(self, loop: healing_loop.HealingLoop, stopping: Any) -> None:
        """As ``service`` does it."""
        tempo = pace.Pace(self._conf, self._dice.uniform)
        delay = tempo.first()
        while True:
            self._wake.wait(delay)
            stopping.wait(tempo.rest(self._clock.monotonic()))
            self._wake.clear()
            began = self._clock.monotonic()
            wanted = loop.run()
            delay = tempo.after(began, self._clock.monotonic(), wanted)

    @property
    def knows(self) -> bool:
        """It was told since it lost its memory."""
        return self._vendor.truths > self._knew_nothing_at

    def knows_no_more(self) -> None:
        """Of a volume that was detached it waits to be told anew."""
        self._knew_nothing_at = self._vendor.truths

    @property
    def doomed(self) -> bool:
        """It was killed where it stood, and is not started again yet."""
        return any(actor.doomed for actor in self._actors)

    def doom(self) -> None:
        """SIGKILL, from within: nothing that comes has an effect."""
        for actor in self._actors:
            actor.doomed = True

    def changed(self) -> None:
        """The kernel has announced a change."""
        if self.alive:
            self._guard.wake()
            self._wake.set()

    def records(self, volume: str) -> Any:
        """What the agent has written down of a volume's replicas."""
        return self._store.records(volume)

    def choose(self, volume: str, replica: str) -> None:
        """The operator's word: ``nvme-agent use``."""
        self._store.choose(volume, replica)
        self._wake.set()

    def move(self, host: int) -> None:
        """From now on it is another host's; for one that is not alive."""
        self._left[self.host] = self._owed, self._forgot
        self.host = host
        self._owed, self._forgot = self._left.get(host, ({}, False))

    def stand_in(self, host: int, other: Agent) -> None:
        """From now on it is that host's, beside another one."""
        self._left = other._left
        self.host = host
        self._owed, self._forgot = self._left.get(host, ({}, False))
        self._knew_nothing_at = self._vendor.truths

    def leave(self) -> None:
        """It is killed; what it owes is its host's."""
        self.kill()
        self._left[self.host] = self._owed, self._forgot

    def kill(self) -> None:
        """SIGKILL: what was not committed is lost."""
        if not self.alive:
            return
        self.alive = False
        self._vendor.accepted.clear()
        self._baton.kill(self._actors)
        self._forgot = self._store.trouble
        self._store.close()


def configuration() -> cfg.ConfigOpts:
    """The agent's options, as a history begins with them."""
    conf = cfg.ConfigOpts()
    opts.register(conf)
    conf.register_opts([cfg.StrOpt('lock_path', default='/run/lock')],
                       'os_brick')
    conf([], default_config_files=[])
    return conf


def reset(conf: cfg.ConfigOpts) -> None:
    for name, value in (('poll_interval', 5.0), ('poll_jitter', 1.0),
                        ('replacement_grace_period', 20.0),
                        ('report_repeat_interval', 30.0),
                        ('io_guard', 'on'), ('io_stall_timeout', 1.0),
                        ('connection_check_interval', 0.5),
                        ('lock_timeout', 10.0), ('keep_alive_timeout', 0),
                        ('reconnect_delay', 0), ('resync_speed_max', 0)):
        conf.set_override(name, value)
