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
"""A provisioner, truthful or not as the history wishes, behind a driver."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
import dataclasses
from typing import Any

from os_brick.agent import model
from os_brick.agent.testing.simulation import kernel as kernels
from os_brick.agent.vendors import base

State = model.ReplicaState
#: A volume's replicas, how many it is to have, its spares; and what is owed.
Backup = tuple[dict[str, State], int | None, list[str], list[str]]


@dataclasses.dataclass(eq=False)
class SimVolume:
    """What the provisioner knows.

    :ivar count: how many replicas it tells that the volume is to have.
    :ivar given: every replica that it ever gave the volume, unless it took
        the word of the host that it was let go; ``ever``: those, too.
    :ivar doomed: every replica that it ever listed as TERMINATING.
    :ivar successors: replica -> the one that was assigned in its place.
    """

    uuid: str
    alias: str
    replicas: dict[str, State]
    count: int | None
    down_time: float | None = None
    spares: list[str] = dataclasses.field(default_factory=list)
    given: set[str] = dataclasses.field(default_factory=set)
    ever: set[str] = dataclasses.field(default_factory=set)
    doomed: set[str] = dataclasses.field(default_factory=set)
    successors: dict[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.given |= set(self.replicas)
        self.ever |= self.given


class Provisioner(base.ProvisionerDriver):
    """The driver and what it speaks to, in one.

    :ivar silent: no call is answered; ``slowly``: seconds that each takes.
    :ivar deaf: calls are carried out, and the answers lost.
    :ivar hides: replicas left out of its lists.
    :ivar lie: changes the list that is returned, None: it is the truth.
    :ivar slow: replacements are accepted but assigned by ``assign`` only.
    :ivar asked: the replicas of which its host has requested a replacement
        since they were in sync.
    :ivar shown: the replicas that were listed in an answer that arrived, on
        the host that has the volume, each as it was listed last.
    :ivar accepted: those of which the agent was told so; ``noted``: and has
        written it down since.
    :ivar confirmed: the replicas of which it was told that they have left.
    :ivar truths: how many of its answers that arrived were not made up.
    :ivar seen: how often which event was told, and which law refused what.
    :ivar restored: from a backup, and not repaired since.
    :ivar told: replica -> the state that was reported last.
    :ivar attached: the host has the volume; ``healer``: the driver of the one
        that is to heal it, None: whoever has it; ``observed``: another one
        did, by the last answer that arrived.
    :ivar attachments: how many hosts have it; ``kept``: what one of them has
        confirmed, and another one may still use.
    :ivar others: replica -> all that there were when a replacement of it was
        requested first.
    """

    def __init__(self, kernel: kernels.Kernel,
                 point: Callable[[str], None],
                 wait: Callable[[float], None],
                 tell: Callable[[str], None]) -> None:
        self.kernel = kernel
        self._point = point
        self._wait = wait
        self._tell = tell
        self.give_away: Callable[[str, bool], None] = (
            lambda uuid, confirmed: None)
        self.double: Callable[[str], None] = lambda uuid: None
        self.heard: Callable[[str, str, State], None] = (
            lambda volume, uuid, state: None)
        self.volumes: dict[str, SimVolume] = {}
        self.silent = self.deaf = self.slow = False
        self.slowly = 0.0
        self.lie: Callable[[list[model.Volume]], object] | None = None
        self.hides: set[str] = set()
        self.owed: list[str] = []
        self.asked: set[str] = set()
        self.shown: dict[str, State] = {}
        self._shown_on = {0: self.shown}
        self.accepted: set[str] = set()
        self.noted: set[str] = set()
        self.withdrawn: set[str] = set()
        self.restored = False
        self.confirmed: set[str] = set()
        self.truths = 0
        self.seen: dict[str, int] = {}
        self.told: dict[str, State] = {}
        self.others: dict[str, frozenset[str]] = {}
        self.attached, self.observed = True, False
        self.healer: Provisioner | None = None
        self.attachments = 1
        self.kept: set[str] = set()

    def beside(self, kernel: kernels.Kernel) -> Provisioner:
        """The driver of another host, which speaks to the same one."""
        return Elsewhere(self, kernel)

    def volume(self, number: int, alias: str, uuids: list[str],
               spares: list[str], count: int | None = None,
               down_time: float | None = None) -> SimVolume:
        made = SimVolume(kernels.uuid_of(1000 + number), alias,
                         {uuid: State.AVAILABLE for uuid in uuids},
                         count, down_time, spares)
        self.volumes[made.uuid] = made
        return made

    def move(self, host: int) -> None:
        """From now on another host asks."""
        self.shown = self._shown_on.setdefault(host, {})

    def count(self, what: str) -> None:
        self.seen[what] = self.seen.get(what, 0) + 1

    # what the agent calls

    def heartbeat(self, host: model.Host, interval: float) -> None:
        self._call('heartbeat', '')

    def get_volumes(self, host: model.Host, arrays: Collection[model.Array],
                    targets_for: Collection[str]) -> Sequence[model.Volume]:
        self._call('get_volumes', '')
        answer = []
        observe = ('the other host heals it' if self.healer not in (
            None, self) else '')
        for volume in self.volumes.values() if self.attached else ():
            replicas = tuple(
                model.Replica(uuid, state, None, self._target(uuid)
                              if uuid in targets_for else None)
                for uuid, state in volume.replicas.items()
                if uuid not in self.hides)
            if replicas:
                answer.append(model.Volume(
                    volume.uuid, volume.alias, None, replicas, volume.count,
                    volume.down_time, observe))
        self._answer('get_volumes')
        if answer and self.lie is None:
            self.observed = bool(observe)
        if self.lie is not None:
            return self.lie(answer)    # type: ignore[return-value]
        self.truths += bool(answer)
        self.shown.update((replica.uuid, replica.state) for volume in answer
                          for replica in volume.replicas)
        return answer

    def _target(self, uuid: str) -> model.Target | None:
        for target in self.kernel.targets.values():
            if uuid in target.media:
                return model.Target(target.nqn, target.portals)
        return None

    def report_replica_state(self, volume: model.Volume,
                             replica: model.Replica, state: State) -> None:
        self._call('report', '%s of %s' % (state.value, replica.uuid))
        self.heard(volume.uuid, replica.uuid, state)
        mine = self.volumes[volume.uuid]
        self.told[replica.uuid] = state
        if mine.replicas.get(replica.uuid) not in (None, State.TERMINATING):
            mine.replicas[replica.uuid] = state
        self._answer('report')

    def report_event(self, event: model.Event) -> None:
        self._call('event', event.kind)
        self.count('event %s' % event.kind)

    def request_replacement(self, volume: model.Volume,
                            replica: model.Replica) -> None:
        self._call('replace', replica.uuid)
        self.double(replica.uuid)
        mine = self.volumes[volume.uuid]
        if not mine.spares and not self.slow:
            raise base.Rejected('no spare is left')
        if replica.uuid not in self.owed:
            self.owed.append(replica.uuid)
        self.others.setdefault(replica.uuid, frozenset(mine.ever))
        if not self.slow:
            self.assign(mine)
        self._answer('replace')
        self.accepted.add(replica.uuid)

    def assign(self, volume: SimVolume) -> None:
        """Give what was promised, as far as there are spares."""
        while volume.spares and (old := next(
                (uuid for uuid in self.owed
                 if uuid in volume.ever | volume.given), None)):
            self.owed.remove(old)
            volume.successors[old] = self.give(volume)

    def restore(self, volume: SimVolume, backup: Backup) -> None:
        """Believe again what was so when the backup was made."""
        replicas, count, spares, owed = backup
        volume.replicas, volume.count = dict(replicas), count
        # one that was assigned since it would assign to another volume
        volume.spares = [uuid for uuid in spares if uuid in volume.spares]
        self.owed = [uuid for uuid in owed if uuid in replicas]
        self.restored = True
        self.told.clear()
        volume.given |= set(replicas)
        for uuid in replicas:
            # it exports again what it lists
            self.withdrawn.discard(uuid)
            self.kernel.home(uuid).media[uuid] = self.kernel.media[uuid]
        self.kernel.rescan()

    def repair(self, volume: SimVolume, legs: Sequence[str]) -> None:
        """Its operator looks at the host after it was restored.

        What it has assigned since it lists again, and what was confirmed to
        it it takes away once more: that a list lacks it would be no word of
        that (S8).
        """
        if self.restored:
            self.restored = False
            for uuid in sorted(self.confirmed.difference(legs)):
                self.terminate(volume, uuid)
            for uuid in sorted((volume.ever - self.confirmed).union(legs)):
                volume.replicas.setdefault(uuid, State.MISSING)
                volume.given.add(uuid)
            # what it had accepted it does not know of any more
            self.owed += sorted(
                uuid for uuid in self.asked & volume.replicas.keys()
                if uuid not in self.owed and uuid not in volume.successors)

    def fill(self, volume: SimVolume) -> None:
        """Give what is missing, as the provisioner itself counts."""
        staying = [uuid for uuid, state in volume.replicas.items()
                   if state is not State.TERMINATING]
        if (volume.count and len(staying) < volume.count and volume.spares
                and not self.owed):
            self.give(volume)

    def give(self, volume: SimVolume) -> str:
        """Assign a spare."""
        uuid = volume.spares.pop(0)
        self.confirmed.discard(uuid)
        volume.replicas[uuid] = State.UNKNOWN
        volume.given.add(uuid)
        volume.ever.add(uuid)
        self.withdrawn.discard(uuid)
        home = self.kernel.home(uuid)
        home.media[uuid] = self.kernel.media[uuid]
        if len(home.media) > 1:    # the host may be connected
            self.kernel.rescan()
        return uuid

    def retire_replica(self, volume: model.Volume,
                       replica: model.Replica) -> None:
        self._call('retire', replica.uuid)
        self.give_away(replica.uuid, False)
        self.terminate(self.volumes[volume.uuid], replica.uuid)
        self._answer('retire')

    def terminate(self, volume: SimVolume, uuid: str) -> None:
        if uuid in volume.replicas:
            volume.replicas[uuid] = State.TERMINATING
            volume.doomed.add(uuid)

    def confirm_replica_removed(self, volume: model.Volume,
                                replica: model.Replica) -> None:
        self._call('confirm', replica.uuid)
        self.give_away(replica.uuid, True)
        mine = self.volumes[volume.uuid]
        self.confirmed.add(replica.uuid)
        # restored from a backup it may list it again: as another fault
        self.asked.discard(replica.uuid)
        if mine.replicas.pop(replica.uuid, None):
            # what nobody uses is no longer exported
            mine.given.discard(replica.uuid)
            if self.attachments > 1:
                self.kept.add(replica.uuid)
            else:
                self._withdraw(replica.uuid)
        self._answer('confirm')

    def _withdraw(self, uuid: str) -> None:
        self.withdrawn.add(uuid)
        self.kernel.remove_namespace(uuid)

    def detached(self, legs: Collection[str]) -> None:
        """One of two hosts has detached it; the other one has these legs."""
        self.attached = False
        self.attachments -= 1
        for uuid in sorted(self.kept.difference(legs)):
            self._withdraw(uuid)
        self.kept.clear()

    def _call(self, what: str, about: str) -> None:
        self._point('before ' + what)
        if self.slowly:
            self._wait(self.slowly)
        if self.silent:
            self._wait(5.0)
            raise base.Unavailable('the provisioner does not answer')
        if what not in ('heartbeat', 'get_volumes', 'event'):
            self._tell('the agent to the provisioner: %s %s' % (what, about))

    def _answer(self, what: str) -> None:
        self._point('after ' + what)
        if self.deaf:
            raise base.Unavailable('the answer was lost')


#: What is of a host, and not of the provisioner.
_OF_A_HOST = frozenset((
    'first', 'kernel', 'give_away', 'double', 'heard', 'asked', 'accepted',
    'noted', 'shown', 'truths', 'attached', 'observed'))


class Elsewhere(Provisioner):
    """The driver of a second host: what the provisioner is, it shares.

    :param first: that of the first one.
    """

    def __init__(self, first: Provisioner, kernel: kernels.Kernel) -> None:
        self.first, self.kernel = first, kernel
        self.asked, self.accepted, self.noted = set(), set(), set()
        self.shown, self.truths = {}, 0
        self.attached, self.observed = False, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__['first'], name)

    def __setattr__(self, name: str, value: object) -> None:
        if name in _OF_A_HOST:
            object.__setattr__(self, name, value)
        else:
            setattr(self.first, name, value)
