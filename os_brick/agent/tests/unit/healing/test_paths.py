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
"""A path that a leg had is connected again, once its portal listens again.

Nobody else does it: a controller that was disconnected, or given up after
its ctrl_loss_tmo, the kernel has forgotten.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence
import dataclasses
from typing import Any
from unittest import mock

import hypothesis
from hypothesis import strategies as st
from oslotest import base

from os_brick.agent.healing import decision
from os_brick.agent.healing import targets
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import pauses
from os_brick.agent.model import snapshots
from os_brick.agent.testing.simulation import hands
from os_brick.agent.tests.unit.daemon import healing_loop_case
from os_brick.agent.tests.unit import scripted_world
from os_brick.agent.tests.unit import small_world

A, B = (scripted_world.uuid_of(number) for number in range(2))
PORTALS = tuple(model.Portal('192.0.2.%d' % number, 4420)
                for number in range(4))


class PathsCase(base.BaseTestCase):
    """A and B on targets with two portals each; a grace period of 1000 s."""

    portals = 2
    guarded = True

    def setUp(self) -> None:
        super().setUp()
        self.world = scripted_world.world(self, portals=self.portals,
                                          guarded=self.guarded,
                                          down_time=1000.0)
        self.kernel = self.world.kernel
        self.target = self.world.targets[0]
        # of a target with one portal both are that one
        self.one, self.other = (self.target.portals[0],
                                self.target.portals[-1])
        self.world.passes(2)

    def paths(self, uuid: str = A) -> set[model.Portal]:
        """Through which it is reached."""
        return {path.portal for path in self.kernel.through(uuid)
                if path.lost_at is None}

    def more(self) -> list[act.Connect]:
        return [action for action in self.world.done
                if isinstance(action, act.Connect) and action.more]

    def forget(self, portal: model.Portal, dead: bool = True) -> None:
        """The path is lost, for longer than its ctrl_loss_tmo."""
        if dead:
            self.kernel.lose_portal(self.target, portal)
        path, = (path for path in self.kernel.paths.values()
                 if (path.nqn, path.portal) == (self.target.nqn, portal))
        self.kernel.forget_path(path)

    def listen(self, *portals: model.Portal) -> None:
        """These listen from now on, and no others."""
        self.target.dead = {*self.target.portals} - {*portals}
        self.kernel.restore(self.target)

    def healed(self, but: str = '') -> bool:
        """Without the guard nobody deals roles."""
        return all(true for what, true in self.world.facts().items()
                   if what != but and (self.guarded or what != 'anchored'))

    def have_all_back(self) -> None:
        self.world.until(lambda: self.paths() == {*self.target.portals})
        self.world.until(self.healed)
        self.assertEqual([], self.asked())

    def asked(self) -> list[str]:
        return [what for what in self.world.asked
                if not what.startswith('report')]

    def name(self, *portals: model.Portal) -> None:
        """The provisioner names these portals of A from now on."""
        def lie(volumes: list[model.Volume]) -> object:
            return [dataclasses.replace(volume, replicas=tuple(
                replica if replica.uuid != A or replica.target is None
                else dataclasses.replace(replica, target=model.Target(
                    replica.target.nqn, portals))
                for replica in volume.replicas)) for volume in volumes]
        self.world.vendor.lie = lie


class BackLaterTest(PathsCase):
    """The leg is back through one path first."""

    def lose_both(self) -> None:
        """The guard disconnects them, or their ctrl_loss_tmo is over."""
        self.kernel.lose(self.target)
        self.world.passes(2)
        for path in self.kernel.through(A):
            self.kernel.forget_path(path)
        self.world.passes(2)

    def return_with(self, portal: model.Portal) -> None:
        self.listen(portal)
        self.world.until(lambda: {A, B} == {
            member.medium.uuid for member in self.world.raid.members
            if member.in_sync})
        self.assertEqual({portal}, self.paths())

    def test_whichever_is_first(self) -> None:
        for portal in self.target.portals:
            self.lose_both()
            self.return_with(portal)
            self.listen(*self.target.portals)
            self.have_all_back()

    def test_over_a_restart(self) -> None:
        self.lose_both()
        self.world.restart()
        self.return_with(self.one)
        self.world.restart()
        self.world.passes(3)
        self.listen(*self.target.portals)
        self.have_all_back()

    def test_the_first_is_lost_meanwhile(self) -> None:
        self.lose_both()
        self.return_with(self.one)
        self.listen(self.other)
        self.kernel.lose_portal(self.target, self.one)
        self.world.until(lambda: self.paths() == {self.other})
        self.listen(*self.target.portals)
        self.have_all_back()


class BothLegsTest(PathsCase):

    def test_of_both_legs(self) -> None:
        other = self.world.targets[1]
        for target, uuid in ((self.target, A), (other, B)):
            target.dead = {target.portals[1]}
            self.kernel.lose(target)
            self.world.until(lambda: not self.kernel.through(uuid))
            self.kernel.restore(target)
            self.world.until(lambda: self.healed(but='paths'))
        for target in (self.target, other):
            target.dead.clear()
        self.have_all_back()
        self.assertEqual({*other.portals}, self.paths(B))


class OnePathTest(PathsCase):
    """One path of a leg is forgotten while the other one lives."""

    def test_it_was_lost_for_too_long(self) -> None:
        self.forget(self.other)
        self.world.passes(10)
        self.assertEqual([], self.more())
        self.listen(*self.target.portals)
        self.have_all_back()

    def test_it_was_lost_when_the_agent_first_looked(self) -> None:
        self.kernel.lose_portal(self.target, self.other)
        self.world.passes(1)
        self.world.forget()
        self.world.passes(2)
        self.forget(self.other)
        self.world.passes(2)
        self.listen(*self.target.portals)
        self.have_all_back()

    def test_somebody_disconnected_it(self) -> None:
        self.forget(self.other, dead=False)
        self.have_all_back()
        action, = self.more()
        self.assertEqual((self.other,), action.portals)

    def test_a_pause_keeps_it_away(self) -> None:
        self.world.agent._store.pause(self.world.volume.uuid, pauses.Pause(
            self.world.clock.wall() + 600.0, ''))
        self.forget(self.other, dead=False)
        self.world.passes(10)
        self.assertEqual({self.one}, self.paths())
        self.world.agent._store.resume(self.world.volume.uuid)
        self.have_all_back()

    def test_with_the_provisioner_away(self) -> None:
        self.world.vendor.silent = True
        self.forget(self.other, dead=False)
        self.world.passes(3)
        self.assertEqual({*self.target.portals}, self.paths())

    def test_not_where_the_provisioner_names_it_no_more(self) -> None:
        self.name(self.one)
        self.forget(self.other, dead=False)
        self.world.passes(10)
        self.assertEqual([], self.more())
        # nor on its last word, once it is away
        self.world.vendor.silent = True
        self.world.passes(10)
        self.assertEqual([], self.more())
        self.world.vendor.silent = False
        self.name(*self.target.portals)
        self.have_all_back()

    def test_not_what_it_never_had(self) -> None:
        self.name(*self.target.portals, PORTALS[0])
        self.target.portals += (PORTALS[0],)
        self.forget(self.other, dead=False)
        self.world.passes(5)
        self.assertEqual({self.one, self.other}, self.paths())

    def test_not_where_another_connection_leads_there(self) -> None:
        self.forget(self.other, dead=False)
        self.kernel.connect(self.target.nqn, self.other)
        self.world.passes(5)
        self.assertEqual([], self.more())

    def test_a_lost_leg_is_looked_for_first(self) -> None:
        """A driver takes what is looked for to be lost."""
        wanted: list[frozenset[str]] = []
        asked = self.world.vendor.get_volumes

        def get_volumes(host: model.Host, arrays: Any,
                        targets_for: Collection[str]) -> Any:
            wanted.append(frozenset(targets_for))
            return asked(host, arrays, targets_for)

        self.world.vendor.get_volumes = (  # type: ignore[method-assign]
            get_volumes)
        self.forget(self.other)
        self.kernel.lose(self.world.targets[1])
        self.world.passes(10)
        self.assertEqual({frozenset([B])}, {*wanted[-5:]})
        self.kernel.restore(self.world.targets[1])
        self.world.passes(10)
        self.assertEqual({frozenset([A])}, {*wanted[-3:]})


class DeadPortalTest(PathsCase):
    """A portal that stays dead."""

    def test_it_is_asked_twice_a_minute_and_blamed_on_nobody(self) -> None:
        asked: list[model.Portal] = []
        probe = hands.Hands.probe

        def counted(self, portal, *words):
            asked.append(portal)
            probe(self, portal, *words)

        self.forget(self.other)
        with mock.patch.object(hands.Hands, 'probe', counted):
            self.world.passes(120)
        self.assertEqual({self.other}, {*asked})
        self.assertLess(len(asked), 25)
        record = self.world.records[A]
        self.assertEqual(('', 0.0), (record.failed, record.down))
        self.assertEqual([], self.world.asked)

    def test_one_that_does_not_connect_is_tried_ever_less_often(self
                                                                ) -> None:
        tried: list[float] = []

        def refuse(nqn, portal):
            tried.append(self.world.baton.now)
            raise scripted_world.targets.md.KernelError('invalid host')

        self.forget(self.other, dead=False)
        with mock.patch.object(self.kernel, 'connect', refuse):
            self.world.passes(240)
        self.assertTrue(3 <= len(tried) <= 8, tried)
        # later than that it is there
        self.world.until(lambda: self.paths() == {*self.target.portals},
                         within=700.0)


class SingleTest(PathsCase):
    """A leg that never had two paths at once has one."""

    portals = 1

    def test_a_second_portal_is_let_alone(self) -> None:
        self.target.portals += (PORTALS[1],)
        self.world.passes(5)
        self.kernel.lose(self.target)
        self.world.until(lambda: not self.kernel.through(A))
        self.listen(PORTALS[1])
        self.world.until(lambda: self.paths() == {PORTALS[1]})
        self.listen(*self.target.portals)
        self.world.passes(30)
        self.assertEqual({PORTALS[1]}, self.paths())


class UnguardedTest(BackLaterTest):
    """It is the kernel that forgets them all."""

    guarded = False


class OrderTest(healing_loop_case.CycleCase):
    """A of volume 1 lacks a path, and volume 2 has lost a leg."""

    volumes = 2

    def test_what_is_not_reached_goes_first(self) -> None:
        asked: list[tuple[list[bool], bool]] = []
        self.host.survey = (  # type: ignore[method-assign]
            lambda connects, more=False: asked.append((
                [one.more for one in connects], more)))
        self.turn(2)
        volume, uuid = self.driver.volumes[1].uuid, small_world.uuid(1, 'a')
        record = self.book.records(volume)[uuid]
        assert record.target is not None
        both = model.Target(record.target.nqn, (*record.target.portals,
                                                PORTALS[0]))
        self.book.save(volume, {uuid: dataclasses.replace(record,
                                                          target=both)})
        self.restart()
        self.driver.answer = lambda volumes: [
            dataclasses.replace(volume, replicas=tuple(
                dataclasses.replace(replica, target=both)
                if replica.uuid == uuid and replica.target else replica
                for replica in volume.replicas)) for volume in volumes]
        del self.host.legs[2]['B'], self.host.live[self.host.name(2, 'B')]
        self.turn(2)
        self.assertEqual([False, True], [
            action.more for action in self.host.did
            if isinstance(action, act.Connect)][:2])
        self.assertEqual([([False, True], False), ([False, True], True)],
                         asked[:2])


class SoFarTest(base.BaseTestCase):
    """What is remembered of the paths of a leg."""

    def look(self, known: model.Target | None,
             portals: Sequence[model.Portal | None],
             nqn: str = 'nqn.a') -> model.Target | None:
        paths = tuple(model.Controller('nvme%d' % number, nqn, portal, None,
                                       'live')
                      for number, portal in enumerate(portals))
        array = model.Array('md1', 'v', None, 2, 0, 'active', 'idle', 1, (
            model.Leg('nvme9n1', 0, frozenset(['in_sync']), A),))
        return targets.so_far(known, array, A, snapshots.HostSnapshot(
            paths, (model.Namespace('nvme9n1', A, 1, tuple(
                path.name for path in paths)),), (array,)))

    @hypothesis.given(st.lists(st.sets(st.sampled_from(PORTALS))))
    def test_what_it_had_at_once_it_keeps(self, looks) -> None:
        known = None
        for portals in looks:
            known = self.look(known, sorted(portals))
        had = {*known.portals} if known else set()
        self.assertLessEqual(had, set().union(*looks))
        seen = [portals for portals in looks if portals]
        for portals in seen[-1:] + [one for one in seen if len(one) > 1]:
            self.assertLessEqual(portals, had)
        if had and max(map(len, seen)) == 1:
            self.assertEqual(seen[-1], had)

    def test_another_target_is_another_place(self) -> None:
        known = self.look(None, PORTALS[:2])
        self.assertEqual(model.Target('nqn.b', PORTALS[:1]),
                         self.look(known, PORTALS[:1], 'nqn.b'))

    def test_another_attachment_knows_nothing_of_it(self) -> None:
        record = decision.ReplicaRecord(target=self.look(None, PORTALS[:2]))
        self.assertIsNone(decision.detached({A: record}, 1.0)[A].target)
