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
"""Who may fail I/O fast, who waits, and whose dead path is cut."""

from __future__ import annotations

import dataclasses
import unittest

import hypothesis
from hypothesis import strategies as st
from oslotest import base

from os_brick.agent.guard import giving_up
from os_brick.agent.guard import roles
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import connections
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
                                   max_size=2))), (name,)))
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


class PropertyTest(unittest.TestCase):

    @hypothesis.settings(max_examples=400, deadline=None)
    @hypothesis.given(hosts(), sights())
    def test_S9_at_every_step_a_good_leg_waits(
            self, snapshot: snapshots.HostSnapshot,
            sight: roles.Symptoms) -> None:
        # for what is silent is as good as lost
        snapshot = giving_up.without_silent(snapshot, sight.silent)
        for kind in (waiting, patient):
            now = snapshot
            had = {array.name for array in now.arrays if kind(array, now)}
            for name, action in decide(snapshot, sight=sight).actions:
                if refused(name, action, now):
                    continue
                now = apply(now, action)
                for array in now.arrays:
                    if array.name in had:
                        self.assertTrue(kind(array, now), action)
                    elif kind(array, now):
                        had.add(array.name)

    @hypothesis.settings(max_examples=400, deadline=None)
    @hypothesis.given(hosts(), sights())
    def test_S1_S4_what_is_done(self, snapshot: snapshots.HostSnapshot,
                                sight: roles.Symptoms) -> None:
        foreign = {name for namespace in snapshot.namespaces
                   if 'md7' in namespace.holders
                   for name in namespace.controllers}
        dim = giving_up.without_silent(snapshot, sight.silent)
        for name, action in decide(snapshot, sight=sight).actions:
            self.assertIn(name, OURS)
            if isinstance(action, act.ResetConnection):
                self._justified(name, action, dim, sight)
            snapshot = dim
            if isinstance(action, act.FailLeg):
                array = snapshot.array(action.array)
                assert array is not None
                self.assertTrue([leg for leg in array.legs
                                 if snapshot.good(leg)
                                 and leg.device != action.device], 'S1')
                leg = array.leg(action.device)
                assert leg is not None
                self.assertFalse(snapshot.good(leg), 'S3')
                self._vouched(array, leg, snapshot, sight)
            elif isinstance(action, (
                    act.Disconnect, act.ResetConnection)) or (
                    isinstance(action, act.SetFastIoFail)
                    and action.seconds is not None):
                self.assertNotIn(getattr(action, 'controller'), foreign)
                if isinstance(action, act.Disconnect):
                    self._spared(action, snapshot, sight)
                for controller in snapshot.controllers:
                    if controller.portal == getattr(action, 'portal', 0):
                        self.assertNotIn(controller.name, foreign)

    def _vouched(self, array: model.Array, leg: model.Leg,
                 snapshot: snapshots.HostSnapshot,
                 sight: roles.Symptoms) -> None:
        """Another leg does what is asked of it, just now."""
        self.assertTrue([
            other for other in array.legs if snapshot.good(other)
            and other.device != leg.device
            and other.device in sight.answered], 'S1')

    def _spared(self, action: act.Disconnect,
                snapshot: snapshots.HostSnapshot,
                sight: roles.Symptoms) -> None:
        """So it is with every array whose I/O it ends."""
        for one in snapshot.namespaces:
            array = snapshot.array(one.holders[0])
            leg = array.leg(one.device) if array else None
            if (action.controller in one.controllers and array and leg
                    and not leg.faulty and not snapshot.reachable(one)):
                self._vouched(array, leg, snapshot, sight)

    def _justified(self, name: str, action: act.ResetConnection,
                   snapshot: snapshots.HostSnapshot,
                   sight: roles.Symptoms) -> None:
        """Only a silent connection, of an array that can spare it.

        Its I/O stands still, or goes to another path of the same leg.
        """
        controller = snapshot.controller(action.controller)
        assert controller is not None and controller.portal is not None
        if controller.portal.transport == 'tcp':
            self.assertTrue(
                name in sight.standing or name in sight.busy
                and self._beside_a_live_one(controller, snapshot, sight))
            self.assertTrue(controller.portal in sight.silent
                            or self._deaf_beside_a_silent_one(
                                controller, snapshot, sight))
        else:
            # a question, and nothing is closed
            self.assertIsNone(action.portal)
            self.assertIn(name, sight.stalled)
            self.assertTrue([
                one for one in snapshot.namespaces
                if controller.name in one.controllers
                and one.device not in sight.answered])
        for namespace in snapshot.namespaces:
            if controller.name not in namespace.controllers or any(
                    path.live and path.name != controller.name
                    for path in snapshot.paths(namespace)):
                continue
            for holder in namespace.holders:
                array = snapshot.array(holder)
                leg = array.leg(namespace.device) if array else None
                if array is not None and leg is not None and not leg.faulty:
                    self.assertTrue([
                        other for other in array.legs if snapshot.good(other)
                        and other.device in sight.answered], 'S1')
        # be it with all that is connected to the same portal
        after = apply(snapshot, action)
        for had in snapshot.arrays:
            array = after.array(had.name)
            assert array is not None
            if any(map(snapshot.good, had.legs)):
                self.assertTrue(any(map(after.good, array.legs)), 'S1')

    def _beside_a_live_one(self, controller: model.Controller,
                           snapshot: snapshots.HostSnapshot,
                           sight: roles.Symptoms) -> bool:
        return any(
            path.live and path.name != controller.name
            and path.portal not in sight.doubted
            for namespace in snapshot.through(controller.name)
            for path in snapshot.paths(namespace))

    def _deaf_beside_a_silent_one(self, controller: model.Controller,
                                  snapshot: snapshots.HostSnapshot,
                                  sight: roles.Symptoms) -> bool:
        assert controller.portal is not None
        return sight.listening.get(controller.portal) is False and any(
            path.portal in sight.silent
            for namespace in snapshot.through(controller.name)
            for path in snapshot.paths(namespace))

    @hypothesis.settings(max_examples=200, deadline=None)
    @hypothesis.given(hosts())
    def test_it_settles(self, snapshot: snapshots.HostSnapshot) -> None:
        memory = roles.GuardMemory()
        for _pass in range(8):
            decision = decide(snapshot, memory)
            self.assertEqual(
                {}, {name: device for name, device in memory.anchors.items()
                     if name in decision.memory.anchors
                     and decision.memory.anchors[name] != device},
                'an anchor changed for no reason')
            memory = decision.memory
            todo = [action for name, action in decision.actions
                    if not refused(name, action, snapshot)]
            if not todo:
                return
            for action in todo:
                snapshot = apply(snapshot, action)
        self.fail('still changing: %s' % (todo,))

    @hypothesis.settings(max_examples=200, deadline=None)
    @hypothesis.given(hosts(), sights())
    def test_what_the_kernel_calls_by_an_unknown_word_is_not_cut(
            self, snapshot: snapshots.HostSnapshot,
            sight: roles.Symptoms) -> None:
        unknown = {controller.name for controller in snapshot.controllers
                   if controller.state == 'fencing'}
        for _name, action in decide(snapshot, sight=sight).actions:
            if isinstance(action, act.Disconnect):
                self.assertNotIn(action.controller, unknown)
            elif isinstance(action, act.ResetConnection):
                self.assertFalse(unknown & connections.given_up(
                    action, snapshot))

    @hypothesis.settings(max_examples=200, deadline=None)
    @hypothesis.given(hosts(), st.booleans())
    def test_a_living_host_is_left_alone(
            self, snapshot: snapshots.HostSnapshot, stalled: bool) -> None:
        """However slow: nothing is cut while nothing is lost or silent."""
        snapshot = dataclasses.replace(snapshot, controllers=tuple(
            dataclasses.replace(controller, state='live')
            for controller in snapshot.controllers))
        still = OURS if stalled else frozenset()
        sight = roles.Symptoms(OURS, still, still, answered=frozenset(
            namespace.device for namespace in snapshot.namespaces))
        self.assertEqual([], [
            action for _name, action in decide(snapshot, sight=sight).actions
            if isinstance(action, (act.FailLeg, act.Disconnect,
                                   act.ResetConnection))])


class GuardTest(base.BaseTestCase):
    """In the simulated world: legs on nvme7 and nvme9, a writer at work."""

    def paths(self, world: scripted_world.World) -> dict[str, float | None]:
        return {path.name: path.tmo for path in world.kernel.paths.values()
                if path.name in ('nvme7', 'nvme9')}

    def switch_off(self, world: scripted_world.World) -> None:
        """The operator does: the guard leaves the arrays sane."""
        world.mode = 'off'
        world.conf.set_override('io_guard', 'off')
        world.passes(1)

    def test_all_but_one_fail_fast(self) -> None:
        world = scripted_world.world(self)
        world.passes(1)
        self.assertEqual({'nvme7': None, 'nvme9': 1.0}, self.paths(world))
        self.assertEqual([], world.passes(5))

    def test_the_anchors_target_dies(self) -> None:
        world = scripted_world.world(self)
        world.passes(1)
        world.kernel.lose(world.targets[0])
        world.kernel.write(world.raid, 0)
        self.assertIsNotNone(world.raid.pending)
        done = [type(action) for action in world.passes(1)]
        self.assertEqual(
            [act.SetFastIoFail, act.FailLeg, act.Disconnect], done[:3])
        self.assertIn(act.SetFailfast, done)
        self.assertIsNone(world.raid.pending)
        self.assertEqual({'nvme9': None}, self.paths(world))

    def test_a_silent_leg_is_given_up_for_a_stall_only(self) -> None:
        """The kernel's keep-alive has the time that a writer has not."""
        snapshot = scripted_world.world(self).kernel.scan()
        answered = frozenset(namespace.device for namespace
                             in snapshot.namespaces)
        array = snapshot.array('md1')
        assert array is not None
        namespace = snapshot.behind(array.legs[1])
        assert namespace is not None
        silent = frozenset(path.portal for path in snapshot.paths(namespace)
                           if path.portal is not None)
        ours = frozenset(['md1'])
        for standing, given_up in ((frozenset[str](), 0), (ours, 1)):
            sight = roles.Symptoms(ours, standing, frozenset(), silent, silent,
                                   answered)
            self.assertEqual(given_up, len([
                action for _array, action in decide(
                    snapshot, sight=sight, ours=ours).actions
                if isinstance(action, act.ResetConnection)]))

    def test_one_of_two_paths_falls_silent(self) -> None:
        """The other one is live: no other leg has to answer for it."""
        world = scripted_world.world(self)
        snapshot = world.kernel.scan()
        path = snapshot.controller('nvme7')
        assert path is not None and path.portal is not None
        snapshot = dataclasses.replace(
            snapshot, controllers=snapshot.controllers + (
                dataclasses.replace(path, name='nvme8', portal=portal(8)),),
            namespaces=tuple(
                dataclasses.replace(one, controllers=('nvme7', 'nvme8'))
                if 'nvme7' in one.controllers else one
                for one in snapshot.namespaces))
        ours, silent = frozenset(['md1']), frozenset([path.portal])
        decision = decide(snapshot, ours=ours, sight=roles.Symptoms(
            ours, ours, ours, silent, silent))
        cuts = [action for _array, action in decision.actions if isinstance(
            action, (act.ResetConnection, act.FailLeg, act.Disconnect))]
        self.assertEqual([('nvme7', path.portal)], [
            (getattr(cut, 'controller'), getattr(cut, 'portal'))
            for cut in cuts])
        self.assertEqual(frozenset(), decision.probe)
        # S1: live, but it does not answer either
        decision = decide(snapshot, ours=ours, sight=roles.Symptoms(
            ours, ours, ours, silent | {portal(8)}, silent))
        self.assertEqual([], [
            action for _array, action in decision.actions if isinstance(
                action, (act.ResetConnection, act.FailLeg, act.Disconnect))])
        self.assertEqual({'nvme10n1'}, decision.probe)

    def test_S1_everything_behind_a_silent_path_has_a_substitute(
            self) -> None:
        """One leg has another path; of another array it is the only one."""
        world = scripted_world.world(self)
        snapshot = world.kernel.scan()
        path = snapshot.controller('nvme7')
        assert path is not None and path.portal is not None
        legs = [model.Namespace('nvme%dn1' % number,
                                scripted_world.uuid_of(number), 1,
                                ('nvme%d' % through,), ('md2',))
                for number, through in ((50, 7), (51, 11))]
        array = model.Array('md2', 'w', None, 2, 0, 'active', 'idle', 1, tuple(
            model.Leg(one.device, slot, frozenset(['in_sync']), one.uuid)
            for slot, one in enumerate(legs)))
        snapshot = dataclasses.replace(
            snapshot, arrays=snapshot.arrays + (array,),
            controllers=snapshot.controllers + tuple(
                dataclasses.replace(path, name='nvme%d' % number,
                                    portal=portal(number))
                for number in (8, 11)),
            namespaces=tuple(
                dataclasses.replace(one, controllers=('nvme7', 'nvme8'))
                if 'nvme7' in one.controllers else one
                for one in snapshot.namespaces) + tuple(legs))
        ours, silent = frozenset(['md1', 'md2']), frozenset([path.portal])
        for answered, given_up in ((set[str](), 0), ({'nvme51n1'}, 1)):
            decision = decide(snapshot, ours=ours, sight=roles.Symptoms(
                ours, ours, ours, silent, silent, frozenset(answered)))
            self.assertEqual(given_up, len([
                action for _array, action in decision.actions
                if isinstance(action, act.ResetConnection)]))
            self.assertEqual({'nvme51n1'} - answered, decision.probe)
        # a leg that md has dropped needs none
        dropped = dataclasses.replace(array, legs=(dataclasses.replace(
            array.legs[0], flags=frozenset(['faulty'])), array.legs[1]))
        decision = decide(dataclasses.replace(
            snapshot, arrays=snapshot.arrays[:-1] + (dropped,)), ours=ours,
            sight=roles.Symptoms(ours, ours, ours, silent, silent))
        self.assertEqual(1, len([
            action for _array, action in decision.actions
            if isinstance(action, act.ResetConnection)]))
        self.assertEqual(frozenset(), decision.probe)

    def test_a_silent_target_of_rdma_is_asked(self) -> None:
        """Nobody says what it has acknowledged; its leg does not answer."""
        snapshot = scripted_world.world(self).kernel.scan()
        path = snapshot.controller('nvme9')
        assert path is not None and path.portal is not None
        snapshot = dataclasses.replace(snapshot, controllers=tuple(
            dataclasses.replace(one, portal=dataclasses.replace(
                one.portal, transport='rdma')) if one.portal else one
            for one in snapshot.controllers))
        (dead,) = [one.device for one in snapshot.namespaces
                   if 'nvme9' in one.controllers]
        array = snapshot.array('md1')
        assert array is not None
        legs = {leg.device for leg in array.legs}
        ours = frozenset(['md1'])
        for stalled, answered, probe, asked in (
                (frozenset[str](), set[str](), set[str](), []),
                (ours, set[str](), legs, []),
                (ours, {dead}, set[str](), ['nvme7']),
                (ours, legs - {dead}, set[str](), ['nvme9']),
                (ours, legs, set[str](), [])):
            decision = roles.decide(
                snapshot, ownership.Owned(ours, frozenset(
                    leg.replica_uuid for leg in array.legs
                    if leg.replica_uuid)), roles.GuardMemory(), 0.0,
                roles.GuardPolicy(), roles.Symptoms(
                    ours, ours, stalled, answered=frozenset(answered)))
            resets = [action for _array, action in decision.actions
                      if isinstance(action, act.ResetConnection)]
            self.assertEqual(asked, [reset.controller for reset in resets])
            for reset in resets:
                self.assertIn('another leg does', reset.reason)
            self.assertEqual(probe, decision.probe)

    def test_two_connections_to_a_silent_portal(self) -> None:
        """One of them is not ours: only the other one is given up."""
        world = scripted_world.world(self)
        snapshot = world.kernel.scan()
        path = snapshot.controller('nvme9')
        assert path is not None and path.portal is not None
        answered = frozenset(one.device for one in snapshot.namespaces)
        ours, silent = frozenset(['md1']), frozenset([path.portal])
        for uuid, closed in ((None, None),
                             (scripted_world.uuid_of(5), path.portal)):
            other = dataclasses.replace(path, name='nvme8')
            host = dataclasses.replace(
                snapshot, controllers=snapshot.controllers + (other,),
                namespaces=snapshot.namespaces + (model.Namespace(
                    'nvme8n1', uuid, 1, ('nvme8',)),))
            decision = roles.decide(
                host, ownership.Owned(ours, frozenset([
                    scripted_world.uuid_of(5), *(
                        leg.replica_uuid for array in host.arrays
                        for leg in array.legs if leg.replica_uuid)])),
                roles.GuardMemory(), 0.0, roles.GuardPolicy(),
                roles.Symptoms(ours, ours, ours, silent, silent, answered))
            self.assertEqual([('nvme9', closed)], [
                (action.controller, action.portal)
                for _array, action in decision.actions
                if isinstance(action, act.ResetConnection)])
            # what is closed with it is not closed again
            self.assertEqual({'nvme9', 'nvme8'} if closed else {'nvme9'},
                             set(decision.memory.resets))

    def test_another_target_dies(self) -> None:
        """The kernel lets go by itself; its controller goes on trying."""
        world = scripted_world.world(self)
        world.passes(1)
        world.kernel.lose(world.targets[1])
        world.kernel.write(world.raid, 0)
        world.kernel.advance(1.0)
        self.assertIsNone(world.raid.pending)
        world.passes(2)
        self.assertEqual({'nvme7': None, 'nvme9': 1.0}, self.paths(world))

    def test_S9_outage_of_the_hosts_network(self) -> None:
        world = scripted_world.world(self)
        world.passes(1)
        world.kernel.cut()
        world.passes(24)
        world.kernel.mend()
        world.passes(20)
        self.assertEqual([], world.raid.errors)
        self.assertEqual(2, len(world.judge.good(world.raid)))

    def test_leg_in_resync_fails_fast_too(self) -> None:
        world = scripted_world.world(self, replicas=3)
        world.passes(1)
        world.raid.fault(world.raid.members[2])
        world.passes(5)
        self.assertIn('spare', world.raid.members[2].flags)
        world.passes(1)
        world.kernel.lose(world.targets[2])
        world.kernel.write(world.raid, 0)
        world.kernel.advance(1.0)
        self.assertIsNone(world.raid.pending)

    def test_restore_leaves_no_leg_failing_fast(self) -> None:
        world = scripted_world.world(self, replicas=3)
        world.passes(1)
        self.assertIn(1.0, {path.tmo for path
                            in world.kernel.paths.values()})
        self.switch_off(world)
        self.assertEqual({None}, {path.tmo for path
                                  in world.kernel.paths.values()})

    def test_restore_keeps_what_the_operator_set(self) -> None:
        world = scripted_world.world(self)
        world.kernel.paths['nvme7'].tmo = 30.0
        self.assertEqual((), roles.restore(
            world.kernel.scan(), frozenset(['md1']), 1.0))

    def test_what_was_found_is_put_back_and_was_named(self) -> None:
        world = scripted_world.world(self)
        for name in ('nvme7', 'nvme9'):
            world.kernel.paths[name].tmo = 30.0
        world.passes(1)
        self.assertEqual({'nvme7': None, 'nvme9': 1.0}, self.paths(world))
        reasons = [action.reason for action in world.done
                   if isinstance(action, act.SetFastIoFail)]
        self.assertEqual(2, len(reasons))
        for reason in reasons:
            self.assertIn('30 s was set', reason)
        self.switch_off(world)
        self.assertEqual({'nvme7': None, 'nvme9': 30.0}, self.paths(world))

    def test_a_leg_with_several_paths_is_without_failfast(self) -> None:
        """One of them may break: its writes are to take another one."""
        world = scripted_world.world(self)
        world.passes(2)
        snapshot = world.kernel.scan()
        memory = roles.decide(
            snapshot, ownership.Owned(frozenset(['md1'])),
            roles.GuardMemory(), 0.0, roles.GuardPolicy()).memory
        path = snapshot.controller('nvme9')
        assert path is not None
        snapshot = dataclasses.replace(
            snapshot, controllers=snapshot.controllers + (dataclasses.replace(
                path, name='nvme8', state='connecting'),),
            namespaces=tuple(
                dataclasses.replace(one, controllers=('nvme8', 'nvme9'))
                if 'nvme9' in one.controllers else one
                for one in snapshot.namespaces))
        for _time, flags in enumerate(([False], [])):
            actions = [action for _array, action in roles.decide(
                snapshot, ownership.Owned(frozenset(['md1'])),
                memory, 0.0, roles.GuardPolicy()).actions
                if isinstance(action, act.SetFailfast)]
            self.assertEqual(flags, [action.on for action in actions])
            for action in actions:
                snapshot = apply(snapshot, action)

    def test_a_lost_leg_is_cut_for_one_that_answers(self) -> None:
        """Be the loss short or long, and TCP or RDMA: live is a belief."""
        plain = scripted_world.world(self).kernel.scan()
        other = [one.device for one in plain.namespaces
                 if 'nvme9' in one.controllers]
        ours = frozenset(['md1'])
        for transport in ('tcp', 'rdma'):
            snapshot = dataclasses.replace(plain, controllers=tuple(
                dataclasses.replace(
                    one, state='connecting' if one.name == 'nvme7'
                    else one.state, portal=one.portal and dataclasses.replace(
                        one.portal, transport=transport))
                for one in plain.controllers))
            for sight in (roles.Symptoms(ours), roles.Symptoms()):
                silent = decide(snapshot, sight=sight, ours=ours)
                self.assertEqual([], [
                    action for _array, action in silent.actions
                    if isinstance(action, (act.FailLeg, act.Disconnect))])
                self.assertEqual(frozenset(other), silent.probe)
                heard = decide(snapshot, ours=ours, sight=dataclasses.replace(
                    sight, answered=frozenset(other)))
                self.assertEqual([act.FailLeg, act.Disconnect], [
                    type(action) for _array, action in heard.actions
                    if isinstance(action, (act.FailLeg, act.Disconnect))])
                self.assertEqual(frozenset(), heard.probe)

    def outage(self, returning: str, all_wait: bool, seconds: float,
               after: float) -> list[type[act.Action]]:
        """What is cut when a leg is back for so long after an outage."""
        plain = scripted_world.world(self).kernel.scan()
        owned = ownership.Owned(frozenset(['md1']), frozenset(
            one.uuid for one in plain.namespaces if one.uuid))
        policy = roles.GuardPolicy(all_wait=all_wait)
        memory = roles.GuardMemory()

        def look(live: set[str], now: float) -> roles.GuardDecision:
            snapshot = dataclasses.replace(plain, controllers=tuple(
                dataclasses.replace(
                    one, state='live' if one.name in live else 'connecting')
                for one in plain.controllers))
            return roles.decide(
                snapshot, owned, memory, now, policy, roles.Symptoms(
                    owned.arrays, answered=frozenset(
                        one.device for one in snapshot.namespaces
                        if snapshot.reachable(one)),
                    listening=listening(snapshot)))

        memory = look({'nvme7', 'nvme9'}, 100.0).memory
        memory = look(set(), 101.0).memory
        memory = look(set(), 101.0 + seconds).memory
        begun = look({returning}, 101.1 + seconds)
        memory = begun.memory
        self.assertEqual(frozenset(), begun.probe)
        later = look({returning}, 101.1 + seconds + after)
        if not later.actions:
            self.assertIsNotNone(later.again_at)
        return [type(action) for _array, action in later.actions
                if isinstance(action, act.FailLeg | act.Disconnect)]

    def test_after_an_outage_of_all_the_others_may_return(self) -> None:
        cut = [act.FailLeg, act.Disconnect]
        for returning in ('nvme7', 'nvme9'):
            self.assertEqual([], self.outage(returning, True, 20.0, 3.5))
            self.assertEqual(cut, self.outage(returning, True, 20.0, 4.1))
            # a moment without either is no outage
            self.assertEqual(cut, self.outage(returning, True, 0.5, 0.6))

    def test_who_waits_before_what_is_cut_where_none_may_fail_fast(
            self) -> None:
        world = scripted_world.world(self)
        world.passes(1)
        world.kernel.lose(world.targets[0])
        snapshot = world.kernel.scan()
        owned = ownership.Owned(frozenset(['md1']), frozenset(
            one.uuid for one in snapshot.namespaces if one.uuid))
        memory = roles.GuardMemory()
        for now in (0.0, 1.0):
            decision = roles.decide(
                snapshot, owned, memory, now,
                roles.GuardPolicy(all_wait=True), roles.Symptoms(
                    owned.arrays, answered=frozenset(
                        one.device for one in snapshot.namespaces),
                    listening=listening(snapshot)))
            memory = decision.memory
        self.assertEqual(
            [act.SetFastIoFail, act.FailLeg, act.Disconnect],
            [type(action) for _array, action in decision.actions][:3])
        for name, action in decision.actions:
            self.assertFalse(refused(name, action, snapshot,
                                     frozenset([name])), action)
            snapshot = apply(snapshot, action)

    def test_all_arrays_behind_a_silent_connection_have_one_that_waits(
            self) -> None:
        """It is given up once, for whichever array asks first (S9)."""
        controllers = tuple(model.Controller(
            'nvme%d' % number, 'nqn.t%d' % number, portal(number), None,
            'live', None if number == 0 else 1.0, True)
            for number in range(3))
        namespaces, arrays = [], []
        for number in (0, 1):
            legs = []
            for slot, path in enumerate((0, number + 1)):
                device = 'nvme%dn%d' % (100 + path, number + 1)
                uuid = scripted_world.uuid_of(10 * number + slot)
                namespaces.append(model.Namespace(
                    device, uuid, 1, ('nvme%d' % path,),
                    ('md%d' % number,)))
                legs.append(model.Leg(device, slot, frozenset(
                    ['in_sync'] + ['failfast'] * slot), uuid))
            arrays.append(model.Array(
                'md%d' % number, None, None, 2, 0, 'active', 'idle', 1,
                tuple(legs)))
        snapshot = snapshots.HostSnapshot(
            controllers, tuple(namespaces), tuple(arrays))
        quiet = frozenset([portal(0)])
        actions = decide(snapshot, sight=roles.Symptoms(
            OURS, OURS, OURS, quiet, quiet, frozenset(
                one.device for one in namespaces))).actions
        kinds = [type(action) for _array, action in actions]
        reset = kinds.index(act.ResetConnection)
        self.assertEqual({('md0', 'nvme1'), ('md1', 'nvme2')}, {
            (array, action.controller) for array, action in actions[:reset]
            if isinstance(action, act.SetFastIoFail)
            and action.seconds is None})

    def test_no_leg_fails_fast_where_none_may(self) -> None:
        world = scripted_world.world(self)
        world.passes(1)
        snapshot = world.kernel.scan()
        self.assertEqual({None, 1.0}, {
            one.fast_io_fail_tmo for one in snapshot.controllers
            if one.name in ('nvme7', 'nvme9')})
        owned = ownership.Owned(frozenset(['md1']), frozenset(
            one.uuid for one in snapshot.namespaces if one.uuid))
        policy = roles.GuardPolicy(all_wait=True)
        for _look in range(2):
            decision = roles.decide(snapshot, owned, roles.GuardMemory(), 0.0,
                                    policy)
            for _array, action in decision.actions:
                snapshot = apply(snapshot, action)
        self.assertEqual((), decision.actions)
        array = snapshot.array('md1')
        assert array is not None
        self.assertFalse(any(leg.failfast for leg in array.legs))
        self.assertEqual({None}, {
            one.fast_io_fail_tmo for one in snapshot.controllers
            if one.name in ('nvme7', 'nvme9')})

    def test_fractions_of_a_second_settle(self) -> None:
        """The kernel takes whole seconds only."""
        world = scripted_world.world(self)
        snapshot = world.kernel.scan()

        def actions() -> list[act.Action]:
            return [action for _array, action in roles.decide(
                snapshot, ownership.Owned(frozenset(['md1'])),
                roles.GuardMemory(), 0.0, roles.GuardPolicy(1.5)).actions]

        for action in actions():
            self.assertEqual(2.0, getattr(action, 'seconds', 2.0))
            snapshot = apply(snapshot, action)
        self.assertEqual([], actions())

    def test_a_dead_path_is_not_cut_from_another_arrays_last_hope(
            self) -> None:
        world = scripted_world.world(self)
        snapshot = world.kernel.scan()
        other = model.Namespace('nvme99n1', scripted_world.uuid_of(99), 1,
                                ('nvme7',), ('md2',))
        last = model.Array('md2', 'w', None, 1, 0, 'active', 'idle', 1, (
            model.Leg('nvme99n1', 0, frozenset(['in_sync']), other.uuid),))
        snapshot = dataclasses.replace(
            snapshot, namespaces=snapshot.namespaces + (other,),
            arrays=snapshot.arrays + (last,),
            controllers=tuple(
                dataclasses.replace(controller, state='connecting')
                if controller.name == 'nvme7' else controller
                for controller in snapshot.controllers))
        ours = frozenset(['md1', 'md2'])
        actions = [action for _array, action in decide(
            snapshot, sight=roles.Symptoms(ours, answered=frozenset(
                one.device for one in snapshot.namespaces)),
            ours=ours).actions]
        self.assertIn(act.FailLeg, [type(action) for action in actions])
        self.assertNotIn(act.Disconnect,
                         [type(action) for action in actions])
