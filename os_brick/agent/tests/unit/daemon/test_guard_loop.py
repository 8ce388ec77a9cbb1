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
"""The guard's thread: what it looks at, whom it asks, what it says."""

from __future__ import annotations

import dataclasses
import logging
import threading
from unittest import mock

import fixtures

from os_brick.agent.daemon import guard_loop
from os_brick.agent.daemon import observer
from os_brick.agent.guard import cutoff
from os_brick.agent.guard import keeping
from os_brick.agent.guard import roles
from os_brick.agent.guard import stall
from os_brick.agent.host import activity
from os_brick.agent.host import attributes
from os_brick.agent.host import execute
from os_brick.agent.host import not_done
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership
from os_brick.agent.tests.unit import small_world

PATIENCE = 30.0


class GuardianCase(small_world.WorldCase):
    """The small world, its guard, and a clock that the test sets."""

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.conf.set_override('io_guard', 'on')
        self.conf.set_override('legs_fail_fast', 'but-one')
        self.time = 1000.0
        self.fast: dict[str, float | None] = {}
        self.flow = model.IoCounters(0, 0)
        self.quiet: dict[model.Portal, float] = {}
        self.words: dict[str, str] = {}
        self.identities: dict[str, int] = {}
        self.keep_alive: dict[str, float] = {}
        self.answering = {'nvme10n1', 'nvme11n1'}
        self.woken: list[float] = []
        self.real_do = self.host._do
        patch = mock.patch.object(self.host, '_do', self.do)
        patch.start()
        self.addCleanup(patch.stop)
        self.host.answering = self.answer   # type: ignore[attr-defined]
        self.listens: set[model.Portal] = set()
        self.host.listening = (         # type: ignore[attr-defined]
            lambda portals: frozenset(portals) & self.listens)
        self.asked: list[frozenset[str]] = []
        self.guardian = guard_loop.GuardLoop(
            self.conf, self.scan, self.host,  # type: ignore[arg-type]
            mock.Mock(read=self.beat), self.unanswered,
            lambda: self.woken.append(self.time),
            small_world.Timer(lambda: self.time))
        self.guardian.publish(ownership.KnownVolumes(
            {volume.uuid: volume for volume
             in self.driver.volumes.values()}))

    def do(self, action: act.Action) -> None:
        if isinstance(action, act.SetFastIoFail):
            self.fast[action.controller] = action.seconds
        elif isinstance(action, act.SetKeepAlive):
            self.keep_alive[action.controller] = action.seconds
        elif isinstance(action, act.ResetConnection):
            self.host.live[action.controller] = False
        else:
            self.real_do(action)

    def unanswered(self) -> dict[model.Portal, float]:
        """As TCP counts it; what is here says since when."""
        return {portal: self.time - since - 0.2
                for portal, since in self.quiet.items()
                if self.time - since >= 0.4}

    def answer(self, devices: frozenset[str]) -> frozenset[str]:
        self.asked.append(devices)
        return devices & self.answering

    def scan(self) -> snapshots.HostSnapshot:
        snapshot = self.host.scan()
        return dataclasses.replace(snapshot, controllers=tuple(
            dataclasses.replace(
                one, fast_io_fail_tmo=self.fast.get(one.name),
                identity=self.identities.get(one.name, 0),
                state=self.words.get(one.name, one.state),
                keep_alive=self.keep_alive.get(one.name, 5.0))
            for one in snapshot.controllers))

    def beat(self, arrays: object) -> activity.Activity:
        return activity.Activity(
            {name: self.words.get(
                name, 'live' if live else 'connecting')
             for name, live in self.host.live.items()},
            {name: self.flow for name in arrays},   # type: ignore
            dict(self.identities))

    def looks(self, seconds: float) -> None:
        end = self.time + seconds
        while self.time < end:
            self.time += self.guardian.look()

    def lose(self, letter: str) -> None:
        self.host.live[self.host.name(1, letter)] = False

    def did(self, kind: type[act.Action]) -> list[act.Action]:
        return [action for action in self.host.did
                if isinstance(action, kind)]


class TestRoles(GuardianCase):

    def test_the_roles_are_dealt_and_kept(self) -> None:
        self.looks(60.0)
        self.assertEqual({'nvme11': 1.0}, self.fast)
        self.assertEqual(1, len(self.did(act.SetFastIoFail)))

    def test_no_leg_fails_fast_where_nothing_is_said(self) -> None:
        self.conf.clear_override('legs_fail_fast')
        self.looks(60.0)
        self.assertEqual({}, self.fast)
        self.assertEqual({}, dict(self.guardian.anchors))

    def test_no_leg_fails_fast_any_more_after_a_reload(self) -> None:
        self.looks(60.0)
        self.conf.set_override('legs_fail_fast', 'none')
        self.looks(60.0)
        self.assertEqual({'nvme11': None}, self.fast)

    def test_nothing_is_scanned_while_nothing_happens(self) -> None:
        self.looks(5.0)
        with mock.patch.object(self.host, 'scan') as scan:
            self.looks(20.0)
        scan.assert_not_called()

    def test_a_claim_that_comes_later_is_taken_in_at_once(self) -> None:
        known = self.guardian._known_volumes
        self.guardian.publish(ownership.KnownVolumes())
        self.looks(1.0)
        self.assertEqual({}, self.fast)
        self.guardian.publish(known)
        self.looks(0.1)
        self.assertEqual({'nvme11': 1.0}, self.fast)

    def test_it_leaves_no_leg_failing_fast(self) -> None:
        self.looks(1.0)
        self.guardian.stop()
        self.assertEqual({'nvme11': None}, self.fast)

    def test_it_leaves_none_of_a_volume_that_was_dropped(self) -> None:
        """Known is what the arrays were matched with, not what came later."""
        self.looks(1.0)
        self.guardian.publish(ownership.KnownVolumes())
        self.guardian.stop()
        self.assertEqual({'nvme11': None}, self.fast)

    def test_switched_off_it_leaves_no_leg_failing_fast(self) -> None:
        self.looks(1.0)
        self.conf.set_override('io_guard', 'off')
        self.looks(1.0)
        self.assertEqual({'nvme11': None}, self.fast)
        self.host.did.clear()
        self.lose('A')
        self.flow = model.IoCounters(0, 1)
        self.looks(10.0)
        self.assertEqual([], self.host.did)

    def test_it_only_observes_where_dry_run_is_set(self) -> None:
        self.conf.set_override('io_guard', 'on')
        self.conf.set_override('dry_run', True)
        self.looks(90.0)
        self.assertEqual([], self.host.did)
        self.assertIn('it would be done', self.log.output)

    def test_observing_says_what_would_be_done_once(self) -> None:
        self.conf.set_override('io_guard', 'observe')
        self.looks(90.0)
        self.assertEqual([], self.host.did)
        self.assertEqual(1, len([
            line for line in self.log.output.splitlines()
            if 'SetFastIoFail' in line and 'it would be done' in line]))


class TestLost(GuardianCase):

    def test_a_lost_anchor_is_cut_off_within_a_second(self) -> None:
        self.looks(1.0)
        self.flow = model.IoCounters(0, 1)
        self.lose('A')
        self.looks(1.1)
        self.assertEqual(['FailLeg', 'Disconnect', 'KeepMarked'],
                         [type(action).__name__ for action
                          in self.host.did[-3:]])
        self.assertIsNone(self.fast['nvme11'])

    def keeps(self) -> int:
        return len(self.did(act.KeepMarked))

    def test_what_is_marked_is_kept_once(self) -> None:
        self.looks(1.0)
        self.host.legs[1]['A'] = (None, {'faulty'})
        self.guardian.wake()
        self.looks(60.0)
        action, = self.did(act.KeepMarked)
        self.assertEqual('nvme11n1', getattr(action, 'device'))

    def failing(self, error: Exception) -> list[float]:
        """Return when it is tried, where it fails each time."""
        tried: list[float] = []

        def fail(action: act.Action) -> None:
            if isinstance(action, act.KeepMarked):
                tried.append(self.time)
                raise error

        self.looks(1.0)
        self.host.broken = fail
        self.host.legs[1]['A'] = (None, {'faulty'})
        self.guardian.wake()
        self.looks(60.0)
        return tried

    def test_what_cannot_be_kept_is_said_once_and_left(self) -> None:
        tried = self.failing(execute.NotDone('no write-intent bitmap'))
        self.assertLessEqual(10, len(tried))
        self.assertLessEqual(tried[-1] - tried[0], keeping.LIFE)
        self.assertEqual(1, self.log.output.count('no write-intent bitmap'))

    def test_md_looks_as_often_as_the_option_says(self) -> None:
        self.host.bitmap_delay = 5.0
        for seconds, wanted in ((0, []), (40, [40.0]), (30, []),
                                (60, [60.0])):
            self.conf.set_override('bitmap_delay', seconds)
            self.host.did.clear()
            self.looks(20.0)
            self.assertEqual(wanted, [
                action.seconds for action in self.host.did
                if isinstance(action, act.SetBitmapDelay)], str(seconds))

    def test_what_was_put_off_is_not_late(self) -> None:
        tried = self.failing(not_done.PutOff('what is urgent comes first'))
        self.assertLess(tried[1] - tried[0], 0.3)

    def test_another_host_keeps_it(self) -> None:
        self.guardian.publish(ownership.KnownVolumes({
            volume.uuid: dataclasses.replace(volume, observe='not here')
            for volume in self.driver.volumes.values()}))
        self.looks(1.0)
        self.host.legs[1]['A'] = (None, {'faulty'})
        self.guardian.wake()
        self.looks(60.0)
        self.assertEqual(0, self.keeps())

    def test_passes_wait_until_a_lost_leg_is_cut_off(self) -> None:
        self.looks(1.0)
        self.assertFalse(self.guardian.pressed)
        self.flow = model.IoCounters(0, 1)
        self.lose('A')
        self.guardian.wake()
        self.assertTrue(self.guardian.pressed)
        self.time += self.guardian.look()
        while not self.did(act.Disconnect):
            self.assertTrue(self.guardian.pressed)
            self.time += self.guardian.look()
        self.flow = model.IoCounters(1, 0)
        self.looks(0.5)
        self.assertFalse(self.guardian.pressed)

    def test_in_an_outage_passes_wait_for_a_moment(self) -> None:
        self.looks(1.0)
        self.flow = model.IoCounters(0, 1)
        self.lose('A')
        self.lose('B')
        self.looks(0.5)
        self.assertTrue(self.guardian.pressed)
        self.looks(guard_loop.FIRST)
        self.assertFalse(self.guardian.pressed)
        self.host.live['nvme10'] = True
        self.looks(3.0)
        self.host.live['nvme11'] = True
        self.flow = model.IoCounters(1, 0)
        self.looks(3.0)
        self.flow = model.IoCounters(1, 1)
        self.lose('A')
        self.looks(0.3)
        self.assertTrue(self.guardian.pressed)

    def test_what_was_done_is_counted(self) -> None:
        self.looks(1.0)
        self.flow = model.IoCounters(0, 1)
        self.lose('A')
        self.looks(1.1)
        counted = self.guardian.tally.actions
        for action in ('FailLeg', 'Disconnect'):
            self.assertEqual(1, counted['volume1', action])
        self.assertLess(0.5, self.guardian.standing['md1'])
        self.flow = model.IoCounters(1, 0)
        self.looks(1.0)
        self.assertEqual({}, self.guardian.standing)
        one = self.guardian.tally.pauses['volume1']
        self.assertEqual(1, one.counts[-1])
        self.assertLess(0.5, one.total)
        # it is no longer here
        self.host.legs.clear()
        self.guardian.wake()
        self.looks(1.0)
        self.assertEqual({}, self.guardian.tally.pauses)

    def test_an_unknown_state_is_lost_named_and_looked_at_again(
            self) -> None:
        self.looks(1.0)
        self.flow = model.IoCounters(0, 1)
        self.words['nvme10'] = 'fencing'
        self.looks(30.0)
        self.assertEqual([], self.did(act.FailLeg))
        self.assertEqual(1, self.log.output.count("state 'fencing'"))
        # the other leg waits now
        self.assertIsNone(self.fast['nvme11'])
        self.words['nvme10'] = 'fenced'
        self.looks(30.0)
        self.assertEqual(1, self.log.output.count("state 'fenced'"))
        self.assertEqual([], self.did(act.Disconnect))
        del self.words['nvme10']
        self.lose('A')
        self.looks(1.1)
        self.assertEqual(1, len(self.did(act.Disconnect)))

    def test_a_blip_costs_nothing(self) -> None:
        self.looks(1.0)
        self.flow = model.IoCounters(0, 1)
        self.lose('A')
        self.looks(0.3)
        self.host.live['nvme10'] = True
        self.looks(30.0)
        self.assertEqual([], self.did(act.FailLeg))

    def test_an_idle_array_waits_for_the_kernel_to_reconnect(self) -> None:
        self.looks(1.0)
        self.lose('A')
        self.looks(12.0)
        self.assertEqual([], self.did(act.FailLeg))
        self.looks(10.0)
        self.assertEqual(1, len(self.did(act.FailLeg)))

    def test_the_passes_are_woken(self) -> None:
        self.looks(1.0)
        self.woken.clear()
        self.lose('B')
        self.looks(3.0)
        self.assertEqual(1, len(self.woken))

    def test_a_loss_is_told_though_it_was_cut_before_a_pass_looked(
            self) -> None:
        passes = observer.Observer(self.scan, lost=self.guardian.take_lost)
        passes.look()
        self.looks(1.0)
        passes.take()
        self.flow = model.IoCounters(0, 1)
        self.lose('A')
        self.looks(10.0)
        self.assertEqual(1, len(self.did(act.Disconnect)))
        passes.look()
        self.assertEqual(['CONNECTION_LOST', 'CONNECTION_GONE'], [
            event.kind for event in passes.take()
            if ('controller', 'nvme10') in event.names])

    def test_each_loss_is_told_once(self) -> None:
        passes = observer.Observer(self.scan, lost=self.guardian.take_lost)
        passes.look()
        passes.take()
        self.looks(1.0)
        for there in (False, True, False, True):
            self.host.live['nvme10'] = there
            self.looks(0.3)
        passes.look()
        self.looks(0.3)
        passes.look()
        self.assertEqual(['CONNECTION_LOST', 'CONNECTION_RESTORED'], [
            event.kind for event in passes.take()
            if ('controller', 'nvme10') in event.names])
        self.assertEqual({}, self.guardian.take_lost())

    def test_a_loss_is_not_told_of_what_had_the_name_before(self) -> None:
        """It was detached, and another one attached, between two passes."""
        passes = observer.Observer(self.scan, lost=self.guardian.take_lost)
        self.identities['nvme10'] = 1
        self.looks(0.3)
        passes.look()
        passes.take()
        self.identities['nvme10'] = 2
        for there in (True, False, True):
            self.host.live['nvme10'] = there
            self.looks(0.3)
        passes.look()
        self.assertEqual([], passes.take())

    def test_one_that_is_just_being_made_is_not_lost(self) -> None:
        """It has the name of one that has gone since the last look."""
        self.identities['nvme10'] = 1
        self.looks(0.3)
        self.identities['nvme10'] = 2
        self.host.live['nvme10'] = False
        self.looks(0.3)
        self.assertEqual({}, self.guardian.take_lost())

    def test_a_loss_is_told_after_a_scan_that_failed(self) -> None:
        fails: list[Exception] = []

        def scan() -> snapshots.HostSnapshot:
            if fails:
                raise fails.pop()
            return self.scan()

        passes = observer.Observer(scan, lost=self.guardian.take_lost)
        passes.look()
        self.looks(0.3)
        passes.take()
        for there in (False, True):
            self.host.live['nvme10'] = there
            self.looks(0.3)
        fails.append(attributes.Exhausted('no descriptor is left'))
        self.assertRaises(attributes.Exhausted, passes.look)
        passes.look()
        self.assertEqual(['CONNECTION_LOST', 'CONNECTION_RESTORED'], [
            event.kind for event in passes.take()])
        passes.look()
        self.assertEqual([], passes.take())

    def test_what_is_let_go_on_purpose_is_not_lost(self) -> None:
        self.looks(1.0)
        for word in ('deleting', 'deleting (no IO)', 'new', 'live'):
            self.words['nvme10'] = word
            self.looks(0.3)
        self.assertEqual({}, self.guardian.take_lost())
        for word in ('fencing', 'resetting', 'connecting'):
            self.words['nvme10'] = 'live'
            self.looks(0.3)
            self.words['nvme10'] = word
            self.looks(0.3)
            self.assertEqual({('nvme10', 0): word},
                             self.guardian.take_lost())

    def test_what_fails_is_said_once_and_tried_again(self) -> None:
        self.looks(1.0)
        self.flow = model.IoCounters(0, 1)
        self.lose('A')
        tried = []

        def refuse(action: act.Action) -> None:
            tried.append(action)
            raise execute.NotDone('mdadm failed (1): busy')

        self.host.broken = refuse
        self.looks(10.0)
        self.assertGreater(len(tried), 6)
        self.assertEqual(1, self.log.output.count('FailLeg'))
        self.host.broken = lambda action: None
        self.looks(2.0)
        self.assertEqual(1, len(self.did(act.Disconnect)))


class TestReturning(GuardianCase):
    """A target listens again when its leg is to be cut."""

    def setUp(self) -> None:
        super().setUp()
        self.conf.set_override('legs_fail_fast', 'none')
        self.looks(1.0)
        # nobody vouches for the other leg before the kernel tries again
        self.answering.clear()
        self.flow = model.IoCounters(0, 1)
        self.lose('A')
        self.looks(10.0)
        self.assertEqual([], self.did(act.FailLeg))

    def test_it_is_given_an_attempt(self) -> None:
        self.listens = {small_world.portal(1, 'A')}
        self.answering = {'nvme11n1'}
        self.looks(cutoff.RETURN + 10.5)
        self.assertEqual([], self.did(act.FailLeg))
        self.assertEqual(1, self.log.output.count('listens again'))
        # the kernel's attempt has failed
        self.looks(1.0)
        self.assertEqual(1, len(self.did(act.FailLeg)))

    def test_where_nobody_listens_it_is_cut(self) -> None:
        self.answering = {'nvme11n1'}
        self.looks(cutoff.RETURN + 0.5)
        self.assertEqual(1, len(self.did(act.FailLeg)))

    def test_who_only_observes_asks_nobody(self) -> None:
        self.conf.set_override('io_guard', 'observe')
        self.host.listening = mock.Mock(  # type: ignore[attr-defined]
            side_effect=AssertionError)
        self.looks(cutoff.RETURN + 0.5)
        self.assertIn('FailLeg', self.log.output)


class TestOutcomes(GuardianCase):
    """What became of an action is said as loud as it matters."""

    def becomes(self, outcome: Exception) -> str:
        self.looks(1.0)
        self.flow = model.IoCounters(0, 1)
        self.lose('A')
        self.host.broken = mock.Mock(side_effect=outcome)
        self.looks(3.0)
        return self.log.output

    def test_what_has_ended_already_is_no_news(self) -> None:
        self.assertNotIn('FailLeg', self.becomes(
            not_done.Ended('the leg is gone')))

    def test_what_goes_on_is_no_warning(self) -> None:
        with fixtures.FakeLogger(level=logging.WARNING) as warnings:
            self.becomes(not_done.UnderWay('it hangs'))
            self.assertNotIn('FailLeg', warnings.output)
        # and is seen to again
        self.host.broken = lambda action: None
        self.looks(2.0)
        self.assertEqual(1, len(self.did(act.FailLeg)))

    def test_what_is_refused_is_one(self) -> None:
        self.assertIn('not done: S1: no', self.becomes(
            not_done.Refused('S1: no')))


class TestTimes(GuardianCase):
    """The keep-alive time of live connections."""

    def setUp(self) -> None:
        super().setUp()
        self.conf.set_override('keep_alive_timeout', 2)

    def test_it_is_set_and_put_back(self) -> None:
        self.looks(60.0)
        both = {'nvme10': 2.0, 'nvme11': 2.0}
        self.assertEqual(both, self.keep_alive)
        self.assertEqual(2, len(self.did(act.SetKeepAlive)))
        self.guardian.stop()
        self.assertEqual(dict.fromkeys(both, 5.0), self.keep_alive)

    def test_it_is_set_on_the_next_connection_of_the_name(self) -> None:
        """Cut off and made anew between two looks, it has its own times."""
        self.identities = {'nvme10': 1, 'nvme11': 2}
        self.looks(60.0)
        self.identities['nvme10'] = 3
        self.keep_alive['nvme10'] = 5.0
        self.looks(60.0)
        self.assertEqual({'nvme10': 2.0, 'nvme11': 2.0}, self.keep_alive)
        self.assertEqual(3, len(self.did(act.SetKeepAlive)))

    def test_nothing_is_set_while_something_is_wrong(self) -> None:
        self.conf.set_override('keep_alive_timeout', 0)
        self.flow = model.IoCounters(0, 1)
        self.looks(2.0)
        self.conf.set_override('keep_alive_timeout', 2)
        self.looks(60.0)
        self.assertEqual([], self.did(act.SetKeepAlive))
        self.flow = model.IoCounters(1, 0)
        self.looks(60.0)
        self.assertEqual(2, len(self.did(act.SetKeepAlive)))

    def test_a_target_that_refuses_is_named_once(self) -> None:
        def refuse(action: act.Action) -> None:
            if isinstance(action, act.SetKeepAlive):
                raise execute.NotDone('the target refuses it (status 0x2)')
        self.host.broken = refuse
        self.looks(300.0)
        self.assertEqual(2, self.log.output.count('the target refuses it'))

    def test_left_alone_where_nobody_asks(self) -> None:
        self.conf.set_override('keep_alive_timeout', 0)
        self.looks(60.0)
        self.guardian.stop()
        self.assertEqual({}, self.keep_alive)


class TestFailedLook(GuardianCase):
    """A look that fails has seen nothing: the next one makes up for it."""

    def setUp(self) -> None:
        super().setUp()
        self.looks(1.0)
        self.woken.clear()

    def fail_once(self) -> None:
        """The next look's scan fails, and nothing announces another one."""
        with mock.patch.object(self.guardian._looker, '_scan', side_effect=(
                attributes.Exhausted('this host cannot be looked at'))):
            self.assertRaises(attributes.Exhausted, self.guardian.look)
        self.time += 0.1

    def test_a_loss_is_not_missed(self) -> None:
        self.flow = model.IoCounters(0, 1)
        self.lose('A')
        self.fail_once()
        self.looks(0.6)
        self.assertEqual(1, len(self.did(act.FailLeg)))

    def test_the_passes_are_woken_all_the_same(self) -> None:
        self.lose('B')
        self.fail_once()
        self.looks(1.0)
        self.assertEqual(1, len(self.woken))

    def test_a_wake_up_is_not_missed(self) -> None:
        self.guardian.wake()
        self.fail_once()
        with mock.patch.object(self.guardian._looker, '_scan',
                               side_effect=self.scan) as scan:
            self.looks(5.0)
        scan.assert_called_once_with()

    def test_a_wake_up_before_the_connections_are_read(self) -> None:
        self.guardian.wake()
        with mock.patch.object(self.guardian, '_reader', mock.Mock(
                read=mock.Mock(side_effect=attributes.Exhausted('none')))):
            self.assertRaises(attributes.Exhausted, self.guardian.look)
        with mock.patch.object(self.guardian._looker, '_scan',
                               side_effect=self.scan) as scan:
            self.guardian.look()
        scan.assert_called_once_with()

    def test_what_is_due_stays_due(self) -> None:
        self.time += self.conf.poll_interval
        self.fail_once()
        with mock.patch.object(self.guardian._looker, '_scan',
                               side_effect=self.scan) as scan:
            self.guardian.look()
        scan.assert_called_once_with()


class TestSilent(GuardianCase):
    """The kernel calls the connection live; nothing comes back from it."""

    def silent(self, *letters: str) -> None:
        self.looks(1.0)
        self.flow = model.IoCounters(5, 1)
        for letter in letters:
            self.quiet[small_world.portal(1, letter)] = self.time
            self.answering.discard(self.host.name(1, letter) + 'n1')

    def given_up(self, letter: str) -> list[str]:
        """What was done to the connection, within 3 seconds."""
        self.silent(letter)
        self.looks(3.0)
        return [type(action).__name__ for action in self.host.did
                if getattr(action, 'controller', '')
                == self.host.name(1, letter)]

    def test_a_silent_anchor_is_given_up_and_cut_off(self) -> None:
        self.assertEqual(['ResetConnection', 'Disconnect'],
                         self.given_up('A'))
        self.assertEqual(1, len(self.did(act.FailLeg)))

    def test_it_is_given_up_before_the_kernel_sends_a_keep_alive(
            self) -> None:
        """The time that it has begun to look more closely is not lost."""
        self.silent('A')
        self.looks(1.2)
        self.assertEqual(1, len(self.did(act.ResetConnection)))
        self.assertEqual(small_world.portal(1, 'A'), getattr(
            self.did(act.ResetConnection)[0], 'portal'))

    def copied_to_and_silent(self, letter: str, used: bool = True) -> None:
        """B is copied to; what waits for that is not counted as under way."""
        self.host.legs[1]['B'] = (1, {'spare'})
        self.looks(40.0)
        if used:
            self.flow = model.IoCounters(5, 0)
        self.looks(0.5)
        self.quiet[small_world.portal(1, letter)] = self.time
        self.answering.discard(self.host.name(1, letter) + 'n1')

    def test_a_leg_that_md_copies_to_falls_silent(self) -> None:
        self.copied_to_and_silent('B')
        self.looks(0.7)
        self.assertEqual([], self.did(act.ResetConnection))
        self.looks(1.0)
        self.assertEqual(['nvme11'], [
            getattr(action, 'controller') for action
            in self.did(act.ResetConnection)])

    def test_nobody_waits_for_what_md_copies(self) -> None:
        """It is not begun anew for a silence of some seconds."""
        self.copied_to_and_silent('B', used=False)
        with mock.patch.object(self.guardian._looker, '_unanswered',
                               side_effect=AssertionError):
            self.looks(60.0)
        self.assertEqual([], self.did(act.ResetConnection))

    def test_a_leg_that_md_copies_from_falls_silent(self) -> None:
        """There is no other one that holds the data."""
        self.copied_to_and_silent('A')
        self.looks(60.0)
        self.assertEqual([], self.did(act.ResetConnection))
        self.assertEqual([], self.did(act.FailLeg))

    def test_one_that_was_refused_is_asked_for_again(self) -> None:
        """A refusal is no request that the kernel has heard."""
        tries: list[float] = []

        def refused(action: act.Action) -> None:
            if isinstance(action, act.ResetConnection):
                tries.append(self.time)
                raise not_done.Refused('S9: nobody would wait')
            self.do(action)

        with mock.patch.object(self.host, '_do', refused):
            self.silent('A')
            self.looks(4.0)
        self.assertGreater(len(tries), 1)
        self.looks(2.0)
        self.assertEqual(len(tries) + 1, len(self.did(act.ResetConnection)))

    def test_io_under_way_is_looked_at_again_soon(self) -> None:
        """It may have begun to stand still just after the last look."""
        self.looks(1.0)
        self.assertEqual(0.5, self.guardian.look())
        self.flow = model.IoCounters(5, 1)
        self.time += 0.5
        self.assertEqual(stall.MOMENT, self.guardian.look())
        self.conf.set_override('connection_check_interval', 0.2)
        self.flow = model.IoCounters(6, 1)
        self.time += 0.25
        self.assertEqual(0.2, self.guardian.look())

    def test_the_operator_may_have_more_patience(self) -> None:
        self.conf.set_override('io_stall_timeout', 5.0)
        self.silent('A')
        self.looks(4.8)
        self.assertEqual([], self.did(act.ResetConnection))
        self.assertNotEqual([], self.asked)
        self.looks(0.6)
        self.assertEqual(1, len(self.did(act.ResetConnection)))

    def test_another_silent_leg_is_given_up_once(self) -> None:
        """What hangs on it the kernel then ends: it fails fast."""
        self.assertEqual(['SetFastIoFail', 'ResetConnection'],
                         self.given_up('B')[:2])
        self.assertEqual(1, len(self.did(act.ResetConnection)))

    def test_one_that_acknowledges_is_slow_and_not_silent(self) -> None:
        self.silent()
        self.looks(2.0)
        with mock.patch.object(self.host, 'scan') as scan:
            self.looks(20.0)
        scan.assert_not_called()
        self.looks(3600.0)
        self.assertEqual([], self.did(act.ResetConnection))
        self.assertEqual([], self.asked)

    def test_S9_nobody_is_given_up_when_nobody_answers(self) -> None:
        self.silent('A', 'B')
        self.looks(60.0)
        self.assertEqual([], self.did(act.ResetConnection))
        self.assertEqual([], self.did(act.FailLeg))

    def test_an_answer_counts_for_a_second(self) -> None:
        """What has answered once may be silent now: it is asked again."""
        self.looks(1.0)
        self.flow = model.IoCounters(0, 1)
        self.quiet = {small_world.portal(1, 'B'): self.time}
        self.looks(1.1)
        self.assertTrue(self.asked)
        self.answering.clear()
        self.host.live['nvme11'] = True
        self.quiet.clear()
        # the array stands still all the time
        self.looks(300.0)
        self.lose('B')
        self.asked.clear()
        self.looks(5.0)
        self.assertEqual([], self.did(act.FailLeg))
        self.assertIn(frozenset(['nvme10n1']), self.asked)
        # and then the other one may return first
        self.answering = {'nvme10n1'}
        self.looks(3.0)
        self.assertEqual([], self.did(act.FailLeg))
        self.looks(1.5)
        self.assertEqual(1, len(self.did(act.FailLeg)))
        # who has answered is not asked again
        self.assertEqual({'nvme10n1'}, self.host.heard)

    def test_S9_the_other_leg_has_to_answer_a_read(self) -> None:
        self.silent('A')
        self.answering.clear()
        self.looks(60.0)
        self.assertEqual([], self.did(act.ResetConnection))
        self.assertIn(frozenset({'nvme11n1'}), self.asked)

    def test_a_read_that_cannot_be_tried_is_said_once(self) -> None:
        self.silent('A')
        self.host.answering = mock.Mock(  # type: ignore[attr-defined]
            side_effect=execute.NotDone('dd cannot be started'))
        self.looks(20.0)
        self.assertEqual(1, self.log.output.count('dd cannot be started'))


class TestThread(GuardianCase):

    def test_a_storm_of_wake_ups_does_not_make_looks_a_storm(self) -> None:
        looked = threading.Event()

        def look() -> float:
            looked.set()
            return 0.0

        with mock.patch.object(guard_loop, 'GAP', PATIENCE), \
                mock.patch.object(self.guardian, 'look', look):
            self.guardian.ensure_running()
            self.assertTrue(looked.wait(PATIENCE))
            looked.clear()
            for _time in range(100):
                self.guardian.wake()
            self.assertFalse(looked.wait(0.2))
            self.guardian.stop()

    def test_at_rest_it_wakes_up_once_for_each_look(self) -> None:
        waits: list[float] = []

        def wait(seconds: float) -> None:
            waits.append(seconds)
            self.time += seconds

        stopping = mock.Mock()
        stopping.is_set.side_effect = [False, False, False, True]
        with mock.patch.object(self.guardian, '_bell', mock.Mock(wait=wait)), \
                mock.patch.object(self.guardian._worker, 'stopping',
                                  stopping), \
                mock.patch.object(self.guardian, 'look', lambda: 0.5):
            self.guardian._run()
        self.assertEqual([0.5] * 3, waits)
        stopping.wait.assert_not_called()

    def test_a_defect_is_said_once_and_the_guard_goes_on(self) -> None:
        decide, ready = roles.decide, threading.Event()
        calls: list[int] = []

        def broken(*arguments: object, **words: object) -> object:
            calls.append(1)
            if len(calls) < 3:
                raise ZeroDivisionError('why')
            ready.set()
            return decide(*arguments, **words)   # type: ignore

        with mock.patch.object(guard_loop, 'AGAIN', 0.01), \
                mock.patch.object(roles, 'decide', broken):
            self.guardian._looker.kept.due = 0.0
            self.guardian.ensure_running()
            while not ready.wait(0.05):
                self.guardian.wake()
            self.guardian.stop()
        self.assertEqual(1, self.log.output.count('defect: ZeroDivision'))
        self.assertEqual({'nvme11': None}, self.fast)

    def test_what_would_exit_leaves_no_host_unguarded(self) -> None:
        looked = threading.Event()
        errors: list[BaseException] = [SystemExit(3), SystemExit(3)]

        def look() -> float:
            if errors:
                raise errors.pop()
            looked.set()
            return PATIENCE

        with mock.patch.object(guard_loop, 'AGAIN', 0.01), \
                mock.patch.object(self.guardian, 'look', look):
            self.guardian.ensure_running()
            self.assertTrue(looked.wait(PATIENCE))
            self.guardian.stop()
        self.assertEqual(1, self.log.output.count('defect: SystemExit: 3'))

    def test_what_cannot_be_looked_at_is_said_and_changes_nothing(
            self) -> None:
        """S9, with no descriptor left: nothing is taken for gone."""
        scan, ready = self.guardian._looker._scan, threading.Event()
        before: list[dict[str, float | None]] = []

        def exhausted() -> snapshots.HostSnapshot:
            before.append(dict(self.fast))
            if len(before) < 3:
                raise attributes.Exhausted('this host cannot be looked at')
            ready.set()
            return scan()

        with mock.patch.object(guard_loop, 'AGAIN', 0.01), \
                mock.patch.object(self.guardian._looker, '_scan', exhausted):
            self.guardian._looker.kept.due = 0.0
            self.guardian.ensure_running()
            while not ready.wait(0.05):
                self.guardian.wake()
            self.guardian._worker.stop(self.guardian._bell.set)
        self.assertEqual([{}] * 3, before[:3])
        self.assertEqual({'nvme11': 1.0}, self.fast)
        self.assertEqual(1, self.log.output.count('cannot be looked at'))
        self.assertNotIn('defect', self.log.output)
        self.assertIn('io_guard: works again', self.log.output)
