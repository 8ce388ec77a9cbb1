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
"""Volumes, their targets and their agent, and what a fault does to them."""

from __future__ import annotations

from collections.abc import Callable
import functools
import time
from typing import Any

import load as load_lib
import patient as patient_lib
import series
import timeline as timeline_lib

from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import inventory
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import session as session_lib
from os_brick.agent.tests.functional.lab import waiting

LIMIT = 300.0
#: Seconds after which a writer stands still for no fault that is under way.
STILL = 60.0
#: Seconds that systemd waits before it starts the agent again.
RESTART = 1.0
#: What an agent says, and ends, on a machine that is too busy for it.
SLOW_START = 'could not be started: it takes longer than'
#: Longer than any fault lasts, however slow the machine: a target that is away
#: comes back before a spare takes its place.
GRACE = 180.0


class WentWrong(Exception):
    """What must not happen has; the text says what."""


class Rig:
    """Two volumes under load, and an agent.

    :ivar down: seconds in which no target could be reached: begin, end.
    """

    def __init__(self, session: session_lib.Session,
                 options: dict[str, str]) -> None:
        self._session = session
        self.down: list[tuple[float, float]] = []
        self.notes: list[str] = []
        self.timeline = timeline_lib.Timeline(self.look)
        self.loads: dict[str, load_lib.Load] = {}
        shares = {name: [volume for volume, members in series.VOLUMES.items()
                         if name in members] for name in series.PORTALS}
        made = {name: session.rack.add(
            namespaces=len(shares[name]), portals=portals, slow=True)
            for name, portals in series.PORTALS.items()}
        self.volumes = {volume: connector.Volume(volume, [
            (made[name], made[name].namespaces[shares[name].index(volume)])
            for name in members])
            for volume, members in series.VOLUMES.items()}
        spares = [session.rack.add() for _ in self.volumes]
        for volume in self.volumes.values():
            session_lib.attacher().attach(volume)
        self.patients = {name: patient_lib.Patient(target)
                         for name, target in made.items()}
        self.agent = session.agent(
            {'DEFAULT': {'replacement_grace_period': GRACE, 'debug': False,
                         'poll_interval': 5, **options}},
            inventory.text(self.volumes.values(), spares), start=False)
        # the program's own times: what they are for is what is tried here
        self.agent.shortened.clear()
        self._alive = True
        self.agent.start(wait=False)
        self.agent.wait_for_log(agent_lib.STARTED, LIMIT)
        self._wait_dealt(options.get('legs_fail_fast', 'none'))
        for name, volume in self.volumes.items():
            self.loads[name] = load_lib.Load(session, volume, name == 'file')

    def _wait_dealt(self, legs_fail_fast: str) -> None:
        """With failfast on all legs, as os-brick has it, no outage is safe."""
        fast = 0 if legs_fail_fast == 'none' else 1
        for volume in self.volumes.values():
            waiting.wait_until(
                lambda: (array := host.array(volume.alias)) is not None
                and sum('failfast' in leg.states for leg in array.legs)
                <= fast, 'the roles of %s are dealt' % volume.alias, LIMIT)

    def look(self) -> None:
        """Raise what must not be.

        :raises WentWrong: with a sentence.
        """
        if self._alive and not self.agent.running():
            self._ended()
        cut_off = any(one.cut_off for one in self.patients.values())
        for load in self.loads.values():
            if trouble := load.trouble():
                raise WentWrong(trouble)
            still = load.writer.status().under_way
            if still > STILL and not cut_off:
                raise WentWrong('a write to volume %s has hung for %d s '
                                'while no target is lost' % (
                                    load.volume.alias, still))

    def _ended(self) -> None:
        """Start an agent again that had no time to start, as systemd does."""
        last = self.agent.log().strip().rpartition('\n')[2]
        if SLOW_START not in last:
            raise WentWrong('the agent has ended by itself: ' + last)
        self.notes.append(last)
        self._alive = False
        self.timeline.at(time.monotonic() + RESTART, self._start)

    def whole(self) -> bool:
        """Whether all volumes are, and all connections live."""
        return all((array := host.array(volume.alias)) is not None
                   and array.whole and len(array.legs) == len(volume.replicas)
                   for volume in self.volumes.values()) and all(
            len(found := host.controllers(one.target.nqn))
            == len(one.target.addresses)
            and all(controller.state == 'live' for controller in found)
            for one in self.patients.values())

    def settle(self) -> None:
        """Wait until all volumes are whole.

        :raises WentWrong: they are not within the limit.
        """
        if not self.timeline.wait(self.whole, LIMIT):
            raise WentWrong('not all volumes are whole after %d s: %s' % (
                LIMIT, self._state()))

    def prepare(self, fault: series.Fault) -> None:
        """Wait until the fault may begin.

        The series leaves each volume a copy; but copies return when they do.

        :raises WentWrong: it may not within the limit.
        """
        if fault.kind != 'outage' and fault.loses:
            self._wait(lambda: all(self._good(volume, fault) for volume
                                   in self.volumes.values()),
                       'each volume has a copy in sync without %s'
                       % fault.victim)
        if fault.kind == 'disconnect':
            # an operator removes what lives
            target = self.patients[fault.victim].target
            self._wait(lambda: all(one.state == 'live' for one
                                   in host.controllers(target.nqn)),
                       'all connections to %s live' % fault.victim)

    def strike(self, fault: series.Fault) -> float:
        """Let a fault begin, and note its end; return when that was."""
        begun = time.monotonic()
        getattr(self, '_' + fault.kind, self._lose)(fault, begun)
        return begun

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + LIMIT
        while not condition():
            if time.monotonic() > end:
                raise WentWrong('waited %d s in vain until %s: %s' % (
                    LIMIT, what, self._state()))
            self.timeline.sleep(timeline_lib.LOOK)

    def _good(self, volume: connector.Volume, fault: series.Fault) -> bool:
        """Whether it has a copy in sync that will be there."""
        array = host.array(volume.alias)
        if array is None:
            return False
        away = fault.loses | {name for name, one in self.patients.items() if (
            one.troubled if fault.kind == 'namespace' else one.cut_off)}
        return bool({leg.uuid for leg in array.legs if leg.in_sync} - {
            namespace.uuid for name in away
            for namespace in self.patients[name].target.namespaces})

    # What each kind does.

    def _lose(self, fault: series.Fault, begun: float) -> None:
        addresses = self.patients[fault.victim].target.addresses
        self._trouble(fault, begun + fault.lasts, patient_lib.Trouble(
            way=fault.way, addresses=tuple(addresses)))

    def _path(self, fault: series.Fault, begun: float) -> None:
        target = self.patients[fault.victim].target
        self._trouble(fault, begun + fault.lasts, patient_lib.Trouble(
            way=fault.way, addresses=(target.addresses[fault.portal],)))

    def _slow(self, fault: series.Fault, begun: float) -> None:
        self._trouble(fault, begun + fault.lasts, patient_lib.Trouble(
            round_trip=fault.round_trip, disk=fault.disk))

    def _namespace(self, fault: series.Fault, begun: float) -> None:
        target = self.patients[fault.victim].target
        numbers = tuple(namespace.nsid for one, namespace
                        in self.volumes[fault.volume].replicas
                        if one is target)
        self._trouble(fault, begun + fault.lasts,
                      patient_lib.Trouble(namespaces=numbers))

    def _outage(self, fault: series.Fault, begun: float) -> None:
        for name in fault.order:
            self.patients[name].begin(fault.number, patient_lib.Trouble(
                way=fault.way,
                addresses=tuple(self.patients[name].target.addresses)))
        lost = time.monotonic()
        for index, name in enumerate(fault.order):
            end = functools.partial(self.patients[name].end, fault.number)
            if not index:
                end = functools.partial(self._first_back, end, lost)
            self.timeline.at(begun + fault.lasts + index * fault.later, end)

    def _first_back(self, end: Callable[[], None], lost: float) -> None:
        end()
        self.down.append((lost, time.monotonic()))

    def _agent(self, fault: series.Fault, begun: float) -> None:
        kill = begun
        if fault.moment == 'before':
            self._kill()
            self.timeline.at(begun + fault.later, functools.partial(
                self._lose, fault, begun + fault.later))
        elif fault.moment == 'alone':
            self._kill()
        else:
            self._lose(fault, begun)
            kill += fault.later + (
                fault.lasts if fault.moment == 'after' else 0.0)
            self.timeline.at(kill, self._kill)
        self.timeline.at(kill + RESTART, self._start)

    def _disconnect(self, fault: series.Fault, _begun: float) -> None:
        for controller in host.controllers(
                self.patients[fault.victim].target.nqn):
            process.attempt(controller.disconnect)

    def _trouble(self, fault: series.Fault, end: float,
                 trouble: patient_lib.Trouble) -> None:
        patient = self.patients[fault.victim]
        patient.begin(fault.number, trouble)
        self.timeline.at(end, functools.partial(patient.end, fault.number))

    def _kill(self) -> None:
        self._alive = False
        try:
            self.agent.kill(10.0)
        except waiting.TimedOut:
            # it waits in the kernel for a lost target, and ends after that
            self.notes.append('the helper of a killed agent outlived it')

    def _start(self) -> None:
        if not self.agent.running():
            self.agent.start(wait=False)
        self._alive = True

    # The end.

    def end(self) -> None:
        """Let every fault end, and those that were to come not begin."""
        self.timeline.clear()
        for patient in self.patients.values():
            patient.recover()
        self._session.rack.restore()
        self._start()

    def compare(self) -> int:
        """Let md compare the legs of each volume; return what differs."""
        found = 0
        for volume in self.volumes.values():
            array = host.array(volume.alias)
            if array is None:
                raise WentWrong('array %s is gone' % volume.alias)
            md = host.BLOCK / array.name / 'md'
            waiting.wait_until(
                lambda: (md / 'sync_action').read_text().strip() == 'idle',
                'nothing is copied in %s' % volume.alias, LIMIT)
            found += host.mismatches(array.name, LIMIT)
        return found

    def _state(self) -> str:
        """Arrays and connections in a line."""
        words: list[Any] = ['%s [%s] %s' % (
            volume.alias, array.health, ' '.join('%s(%s)' % (
                leg.device, ','.join(sorted(leg.states)))
                for leg in array.legs))
            if (array := host.array(volume.alias)) else volume.alias + ' gone'
            for volume in self.volumes.values()]
        words += ['%s %s' % (name, '/'.join(
            one.state for one in host.controllers(patient.target.nqn)) or
            'not connected') for name, patient in self.patients.items()]
        return '; '.join(words)
