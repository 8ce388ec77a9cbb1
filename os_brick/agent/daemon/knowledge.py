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
"""What the passes know: the provisioner's word, and whose each array is."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping

from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.provisioner import answers
from os_brick.agent.safety import ownership
from os_brick.agent.store import ledger


class Knowledge:
    """It outlives a pass; what of it outlives a restart is in the ledger.

    :param driver: the driver's name, for the log.
    :ivar arrays: array name -> uuid of its volume, as matched last; those
        that are certain.
    :ivar doubts: what it is about -> why it is left alone.
    """

    def __init__(self, driver: str, store: ledger.Ledger,
                 log: log_once.LogOnce) -> None:
        self._ledger = store
        self._log_once = log
        self._answers = answers.Answers(driver, store.volumes(), log)
        self._volumes = self._answers.believed
        self._legs = store.legs()
        # former legs that have been out of reach since a list had them
        self._lost: frozenset[str] = frozenset()
        self._matcher = ownership.Matcher()
        self.doubts: Mapping[str, str] = {}
        self._known = ownership.KnownVolumes()
        self.arrays: Mapping[str, str] = {}

    def volume(self, uuid: str) -> model.Volume:
        return self._volumes[uuid]

    def take(self, answer: object) -> None:
        """Take the provisioner's word; what it does not say stays (S8).

        :raises Exception: nothing of it can be believed; see ``answers``.
        """
        self._answers.take(answer, set(self.arrays.values()))

    def listed(self, uuid: str) -> bool:
        """The last answer of the provisioner spoke of the volume."""
        return uuid in self._answers.listed

    def keep(self) -> None:
        """Work with what was taken from now on, also after a restart."""
        self._volumes = self._answers.believed
        self._ledger.keep_volumes(self._answers.words.values())

    def joined(self, volume: str, legs: frozenset[str]) -> None:
        """Remember which replicas have been legs of a volume's array."""
        self._legs[volume] = legs

    def note_lost(self, snapshot: snapshots.HostSnapshot) -> None:
        """Note which legs are out of reach, and stay so once they are let go.

        What was let go while it could be reached, somebody else may have
        opened before its target was lost; not what md still has.
        """
        lost = {namespace.uuid for namespace in snapshot.namespaces
                if not snapshot.linked(namespace)}
        legs = frozenset[str]().union(*self._legs.values())
        self._lost = legs.intersection(lost) & (
            self._replicas() | self._lost | self._held(snapshot))

    def _held(self, snapshot: snapshots.HostSnapshot) -> set[str | None]:
        """The replicas that nobody can open but the arrays served here."""
        return {leg.replica_uuid for array in snapshot.arrays
                if array.name in self.arrays for leg in array.legs
                if snapshot.behind(leg) is not None}

    def _replicas(self) -> frozenset[str]:
        return frozenset(replica.uuid for volume in self._volumes.values()
                         for replica in volume.replicas)

    @property
    def remembered(self) -> Mapping[str, frozenset[str]]:
        """Volume -> replicas that have been legs, of all that are known."""
        return self._legs

    def forget(self, volumes: Iterable[str]) -> None:
        """Remember nothing more of these volumes, nor after a restart."""
        gone = frozenset(volumes)
        self._ledger.forget(gone)
        self._legs = {uuid: legs for uuid, legs in self._legs.items()
                      if uuid not in gone}

    def word(self, uuid: str) -> model.Volume | None:
        """Return the volume as far as the provisioner has spoken of it."""
        return self._volumes.get(uuid)

    def learnt(self) -> ownership.KnownVolumes:
        """Return what is known now; while that stays, the same value."""
        now = ownership.KnownVolumes(dict(self._volumes), dict(self._legs),
                                     self._lost - self._replicas())
        if now != self._known:
            self._known = now
        return self._known

    def match(self, snapshot: snapshots.HostSnapshot) -> Mapping[str, str]:
        """Return array name -> uuid of its volume, where it is certain."""
        found = self._matcher.match(self.learnt(), snapshot, self.arrays)
        for subject, why in found.doubts.items():
            self._log_once.trouble(subject, why)
        for subject in self.doubts.keys() - found.doubts.keys():
            self._log_once.fine(subject)
        self.doubts = found.doubts
        self.arrays = dict(found.arrays)
        return self.arrays
