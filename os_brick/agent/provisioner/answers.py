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
"""What is believed of a driver's answer, and what stays in force.

A driver is foreign code: its answer may be anything.  What cannot be believed
costs its volume alone; that one is unknown then, never gone, and its last
word stays in force (S8).

A replica that two volumes list is unknown for both.  Both go on with their
other replicas; that one is taken out of what they are believed to list, which
is what "merely no longer listed" means everywhere: it is neither added nor
failed, not replaced, not retired and not confirmed.  Holding the volumes back
altogether would let one wrong entry stop the healing of both.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import itertools

from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.vendors import base

#: An answer that goes on for longer is not read to its end.
MOST = 100000


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What of an answer is believed, and what is wrong with the rest.

    :ivar problems: what it is about -> why it is not believed.
    """

    volumes: Mapping[str, model.Volume]
    problems: Mapping[str, str]


def judge(answer: object) -> Judgement:
    """Return the good volumes of what a driver returned.

    :raises base.BadAnswer: nothing of it can be believed.
    :raises Exception: it is a generator that raised before it gave any.
    """
    if not isinstance(answer, Iterable) or isinstance(
            answer, (str, bytes, Mapping)):
        raise base.BadAnswer('the driver returned %s, no list of volumes'
                             % _kind(answer))
    volumes: dict[str, model.Volume] = {}
    problems: dict[str, str] = {}
    doubted: set[str] = set()
    count = 0
    try:
        for item in itertools.islice(answer, MOST):
            count += 1
            if not isinstance(item, model.Volume):
                problems['an item'] = 'it is %s, no volume' % _kind(item)
            elif volumes.setdefault(item.uuid, item) != item:
                doubted.add(item.uuid)
    except Exception as error:
        if not volumes:
            raise
        problems['its end'] = 'it broke off: %s: %s' % (
            type(error).__name__, error)
    if count >= MOST:
        problems['its end'] = 'it lists more than %d volumes' % MOST
    for uuid in doubted:
        problems['volume %s' % uuid] = 'it is listed twice, differently'
        del volumes[uuid]
    if problems and not volumes:
        raise base.BadAnswer('; '.join(
            '%s: %s' % pair for pair in sorted(problems.items())))
    return Judgement(volumes, problems)


def delays(answer: object) -> dict[str, str] | None:
    """Return which copies have to wait, and why.

    :returns: None where nothing is limited.
    :raises base.BadAnswer: it cannot be believed.
    """
    if answer is None:
        return None
    if not isinstance(answer, Mapping):
        raise base.BadAnswer('the driver returned %s, which does not say '
                             'what copies have to wait' % _kind(answer))
    return {str(replica): str(why) or 'the provisioner does not say why'
            for replica, why in answer.items()}


def contested(words: Mapping[str, model.Volume]) -> dict[str, list[str]]:
    """Return the replicas that several volumes list, and these volumes."""
    owners: dict[str, list[str]] = {}
    for volume in words.values():
        for replica in volume.replicas:
            owners.setdefault(replica.uuid, []).append(volume.uuid)
    return {replica: uuids for replica, uuids in owners.items()
            if len(uuids) > 1}


def without(words: Mapping[str, model.Volume], replicas: Collection[str]
            ) -> dict[str, model.Volume]:
    """Return the volumes without these replicas; most are as they were."""
    found = {}
    for uuid, volume in words.items():
        kept = tuple(replica for replica in volume.replicas
                     if replica.uuid not in replicas)
        found[uuid] = (volume if len(kept) == len(volume.replicas) else
                       dataclasses.replace(volume, replicas=kept))
    return found


class Answers:
    """The words in force.

    :ivar words: volume UUID -> what the provisioner said of it last.
    :ivar believed: the same without the replicas that two volumes list.
    :ivar listed: the volumes of the last answer.
    :param driver: its name, for the log.
    """

    def __init__(self, driver: str, words: Mapping[str, model.Volume],
                 log: log_once.LogOnce) -> None:
        self._driver = driver
        self._log_once = log
        self._said: set[str] = set()
        self.words = dict(words)
        self.listed: frozenset[str] = frozenset()
        self.believed = without(self.words, contested(self.words))

    def take(self, answer: object, here: Collection[str]) -> None:
        """Take a driver's answer in; what it does not say stays.

        :param here: volumes whose array is on this host.  One that is
            neither here nor listed has no say about arrays to come.
        :raises Exception: see ``judge``; nothing has changed then.
        """
        judged = judge(answer)
        fresh = {}
        for uuid, volume in judged.volumes.items():
            if volume.replicas:
                known = self.words.get(uuid)
                fresh[uuid] = known if known == volume else volume
        self.listed = frozenset(fresh)
        self.words = {uuid: volume for uuid, volume
                      in {**self.words, **fresh}.items()
                      if uuid in fresh or uuid in here}
        disputed = contested(self.words)
        believed = without(self.words, disputed)
        for uuid, volume in believed.items():
            if self.believed.get(uuid) == volume:
                believed[uuid] = self.believed[uuid]
        self.believed = believed
        problems = dict(judged.problems)
        for replica, uuids in disputed.items():
            problems['replica %s' % replica] = (
                'volumes %s all list it; it is unknown for each of them'
                % ', '.join(sorted(uuids)))
        self._say(problems)

    def _say(self, problems: Mapping[str, str]) -> None:
        said = set()
        for what, why in problems.items():
            subject = 'answer of the driver %s, %s' % (self._driver, what)
            said.add(subject)
            self._log_once.trouble(subject, 'not believed: %s' % why)
        for subject in self._said - said:
            self._log_once.fine(subject)
        self._said = said


def _kind(value: object) -> str:
    return 'None' if value is None else 'a %s' % type(value).__name__
