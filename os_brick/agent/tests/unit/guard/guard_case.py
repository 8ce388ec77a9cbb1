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
"""Hosts for the tests of the guard: drawn at random, or simulated."""

from __future__ import annotations

import dataclasses

from hypothesis import strategies as st
from oslotest import base

from os_brick.agent.guard import roles
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership
from os_brick.agent.safety import rules
from os_brick.agent.tests.unit import scripted_world

OURS = frozenset(['md0', 'md1'])
TRANSPORTS = ('tcp', 'tcp', 'rdma')
BAD = ((), (), (), ((0, 8),), ((4, 16),), ((0, 8), (20, 24)))
STATES = ('live', 'live', 'live', 'connecting', 'resetting', 'fencing')


def portal(number: int) -> model.Portal:
    return model.Portal('192.0.2.%d' % number, 4420)


@st.composite
def hosts(draw: st.DrawFn) -> snapshots.HostSnapshot:
    """Arrays with legs in any state, whose controllers may be shared."""
    controllers = [model.Controller(
        'nvme%d' % number, 'nqn.t%d' % number,
        dataclasses.replace(portal(number if draw(st.booleans()) else 0),
                            transport=draw(st.sampled_from(TRANSPORTS))),
        None,
        draw(st.sampled_from(STATES)),
        draw(st.sampled_from([None, None, 1.0, 2.0, 30.0])),
        draw(st.sampled_from([True, True, True, False])))
        for number in range(draw(st.integers(1, 5)))]
    controllers = [controller if controller.has_fast_io_fail else
                   dataclasses.replace(controller, fast_io_fail_tmo=None)
                   for controller in controllers]
    names = [controller.name for controller in controllers]
    namespaces: list[model.Namespace] = []
    arrays: list[model.Array] = []
    for name in ('md0', 'md1', 'md7'):
        legs: list[model.Leg] = []
        for slot in range(draw(st.integers(1, 3))):
            number = len(namespaces)
            namespaces.append(model.Namespace(
                'nvme%dn1' % (100 + number), scripted_world.uuid_of(number), 1,
                tuple(draw(st.sets(st.sampled_from(names), min_size=1,
                                   max_size=2))), (name,),
                barred=draw(st.one_of(st.just(frozenset[str]()), st.frozensets(
                    st.sampled_from(names))))))
            legs.append(model.Leg(
                namespaces[-1].device, slot, frozenset([draw(
                    st.sampled_from(['in_sync', 'in_sync', 'in_sync',
                                     'spare', 'faulty'])),
                    *draw(st.sampled_from([(), ('failfast',)]))]),
                draw(st.sampled_from([namespaces[-1].uuid] * 5 + [None])),
                draw(st.sampled_from(BAD))))
        arrays.append(model.Array(name, None, None, len(legs), 0, 'active',
                                  'idle', 1, tuple(legs)))
    return snapshots.HostSnapshot(tuple(controllers), tuple(namespaces),
                                  tuple(arrays))


@st.composite
def sights(draw: st.DrawFn) -> roles.Symptoms:
    """Whatever may be seen, be it consistent or not."""
    arrays = st.frozensets(st.sampled_from(['md0', 'md1', 'md7']))
    portals = st.frozensets(st.builds(portal, st.integers(0, 5)))
    stalled, silent = draw(arrays), draw(portals)
    standing = draw(arrays) | stalled
    return roles.Symptoms(
        draw(arrays) | standing, standing, stalled, draw(portals) | silent,
        silent, draw(st.frozensets(st.builds('nvme{}n1'.format,
                                             st.integers(100, 108)))),
        listening=dict.fromkeys(draw(portals), False))


def listening(snapshot: snapshots.HostSnapshot) -> dict[model.Portal, bool]:
    """Nobody listens where something is lost."""
    found: dict[model.Portal, bool] = {}
    for path in snapshot.controllers:
        if path.portal is not None:
            found[path.portal] = path.live and found.get(path.portal, True)
    return found


def decide(snapshot: snapshots.HostSnapshot,
           memory: roles.GuardMemory = roles.GuardMemory(),
           sight: roles.Symptoms = roles.Symptoms(),
           ours: frozenset[str] = OURS) -> roles.GuardDecision:
    """Decide, long after whatever was lost was lost."""
    owned = ownership.Owned(ours, frozenset(
        namespace.uuid for namespace in snapshot.namespaces
        if namespace.uuid and set(namespace.holders) & ours))
    sight = dataclasses.replace(sight, listening={**listening(snapshot),
                                                  **sight.listening})
    first = roles.decide(snapshot, owned, memory, 100.0, roles.GuardPolicy(),
                         sight)
    return roles.decide(snapshot, owned, dataclasses.replace(
        first.memory, resets=memory.resets), 200.0, roles.GuardPolicy(), sight)


def apply(snapshot: snapshots.HostSnapshot,
          action: act.Action) -> snapshots.HostSnapshot:
    """The host after an action of the guard."""
    if isinstance(action, act.SetFastIoFail):
        return dataclasses.replace(snapshot, controllers=tuple(
            dataclasses.replace(controller, fast_io_fail_tmo=action.seconds)
            if controller.name == action.controller else controller
            for controller in snapshot.controllers))
    if isinstance(action, act.ResetConnection):
        # one that is only asked, and lives, answers
        return dataclasses.replace(snapshot, controllers=tuple(
            dataclasses.replace(controller, state='connecting')
            if (controller.name == action.controller
                or controller.portal == action.portal)
            and not (controller.live and action.portal is None) else
            controller for controller in snapshot.controllers))
    if isinstance(action, act.Disconnect):
        return dataclasses.replace(snapshot, controllers=tuple(
            controller for controller in snapshot.controllers
            if controller.name != action.controller))
    assert isinstance(action, (act.FailLeg, act.SetFailfast))
    flags = {'faulty'} if isinstance(action, act.FailLeg) else {'failfast'}
    return dataclasses.replace(snapshot, arrays=tuple(
        dataclasses.replace(array, legs=tuple(
            dataclasses.replace(leg, flags=leg.flags - flags if getattr(
                action, 'on', True) is False else leg.flags | flags)
            if leg.device == action.device else leg for leg in array.legs))
        if array.name == action.array else array
        for array in snapshot.arrays))


def patient(array: model.Array, snapshot: snapshots.HostSnapshot) -> set[str]:
    """The good legs to which md sends what waits for another path."""
    return {leg.device for leg in array.legs if snapshot.good(leg)
            and not leg.failfast}


def waiting(array: model.Array, snapshot: snapshots.HostSnapshot) -> set[str]:
    """The good legs of which a path waits for ever."""
    return {leg.device for leg in array.legs if snapshot.good(leg)
            and any(path.fast_io_fail_tmo is None
                    for namespace in snapshot.namespaces
                    if namespace.device == leg.device
                    for path in snapshot.paths(namespace))}


def refused(name: str, action: act.Action, snapshot: snapshots.HostSnapshot,
            ours: frozenset[str] = OURS) -> bool:
    """Whether a rule forbids it, for whoever owns these arrays.

    Every leg has answered: who really has is the guard's to know.
    """
    array = snapshot.array(name)
    assert array is not None
    volume = model.Volume(scripted_world.uuid_of(99), 'v', None, tuple(
        model.Replica(leg.replica_uuid) for leg in array.legs
        if leg.replica_uuid))
    return rules.refusal(
        action, volume, snapshot, ownership.Owned(ours),
        answered={leg.device for leg in array.legs}) is not None


class GuardCase(base.BaseTestCase):
    """In the simulated world: legs on nvme7 and nvme9, a writer at work."""

    def paths(self, world: scripted_world.World) -> dict[str, float | None]:
        return {path.name: path.tmo for path in world.kernel.paths.values()
                if path.name in ('nvme7', 'nvme9')}
