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
"""The events that lead from one snapshot to the next: each change, once."""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses

from hypothesis import given
from hypothesis import strategies
from oslotest import base

from os_brick.agent import model
from os_brick.agent.model import events
from os_brick.agent.model import snapshots

A = 'aaaaaaaa-0000-4000-8000-000000000001'
B = 'bbbbbbbb-0000-4000-8000-000000000002'
C = 'cccccccc-0000-4000-8000-000000000003'
PORTAL = model.Portal('192.0.2.1', 4420)
OK = frozenset({'in_sync', 'failfast'})
FAULTY = frozenset({'faulty', 'failfast'})
SPARE = frozenset({'spare'})
EMPTY = snapshots.HostSnapshot()


def controller(name: str = 'nvme1', state: str = 'live',
               nqn: str = 'nqn.2024-01.test:a') -> model.Controller:
    return model.Controller(name, nqn, PORTAL, None, state)


def namespace(*controllers: str, device: str = 'nvme1n1',
              uuid: str | None = A) -> model.Namespace:
    return model.Namespace(device, uuid, 1 << 20, controllers)


def leg(device: str, flags: frozenset[str] = OK,
        replica_uuid: str | None = None,
        slot: int | None = None) -> model.Leg:
    number = int(device[4])
    return model.Leg(device, number - 1 if slot is None else slot, flags,
                     replica_uuid or (None, A, B, C)[number])


WHOLE = model.Array('md127', 'volume', None, 2, 0, 'clean', 'idle', 1 << 20,
                    (leg('nvme1n1'), leg('nvme2n1')))


def array(*legs: model.Leg, **changes: object) -> snapshots.HostSnapshot:
    """A snapshot with one array; without legs, a whole one."""
    base_array = dataclasses.replace(WHOLE, legs=legs or WHOLE.legs)
    return snapshots.HostSnapshot(arrays=(
        dataclasses.replace(base_array, **changes),))  # type: ignore


def hosts(*controllers: model.Controller,
          namespaces: Iterable[model.Namespace] = ()
          ) -> snapshots.HostSnapshot:
    return snapshots.HostSnapshot(controllers, tuple(namespaces))


class EventCase(base.BaseTestCase):

    def expect(self, old: snapshots.HostSnapshot, new: snapshots.HostSnapshot,
               *kinds: str) -> tuple[model.Event, ...]:
        found = events.diff(old, new)
        self.assertEqual(list(kinds), [event.kind for event in found])
        self.assertEqual((), events.diff(new, new))
        return found


class TestConnections(EventCase):

    def test_new(self) -> None:
        (event,) = self.expect(
            EMPTY, hosts(controller(), namespaces=[namespace('nvme1')]),
            'CONNECTION_NEW')
        self.assertEqual(
            'connection nvme1 to nqn.2024-01.test:a at '
            'tcp://192.0.2.1:4420 is new and live', event.message)
        self.assertEqual(events.INFO, event.level)
        self.assertEqual(
            (('controller', 'nvme1'), ('nqn', 'nqn.2024-01.test:a'),
             ('portal', 'tcp://192.0.2.1:4420'), ('replica', A)),
            event.names)

    def test_one_in_the_making_is_told_of_once_it_has_a_target(self) -> None:
        making = hosts(controller(nqn='', state='connecting'))
        self.expect(EMPTY, making)
        self.expect(making, EMPTY)
        self.expect(making, hosts(controller()), 'CONNECTION_NEW')

    def test_gone_names_what_was_behind_it(self) -> None:
        (event,) = self.expect(
            hosts(controller(), namespaces=[namespace('nvme1')]), EMPTY,
            'CONNECTION_GONE')
        self.assertIn(('replica', A), event.names)

    def test_lost_and_restored(self) -> None:
        live = hosts(controller(), namespaces=[namespace('nvme1')])
        for word in ('connecting', 'resetting', 'deleting'):
            lost = hosts(controller(state=word),
                         namespaces=[namespace('nvme1')])
            (event,) = self.expect(live, lost, 'CONNECTION_LOST')
            self.assertEqual(events.WARN, event.level)
            self.assertIn('was lost (%s)' % word, event.message)
            (event,) = self.expect(lost, live, 'CONNECTION_RESTORED')
            self.assertEqual(events.INFO, event.level)

    def test_from_one_dead_state_to_the_next_is_no_event(self) -> None:
        self.expect(hosts(controller(state='resetting')),
                    hosts(controller(state='connecting')))

    def test_a_path_is_lost_while_another_lives(self) -> None:
        head = [namespace('nvme1', 'nvme2')]
        both = hosts(controller(), controller('nvme2'), namespaces=head)
        one = hosts(controller(state='connecting'), controller('nvme2'),
                    namespaces=head)
        none = hosts(controller(state='connecting'),
                     controller('nvme2', 'connecting'), namespaces=head)
        (event,) = self.expect(both, one, 'PATH_LOST')
        self.assertEqual(events.WARN, event.level)
        self.assertIn('other paths to its namespaces live', event.message)
        self.expect(one, none, 'CONNECTION_LOST')
        self.expect(both, none, 'CONNECTION_LOST', 'CONNECTION_LOST')

    def test_a_path_is_not_enough_where_one_namespace_has_none(self) -> None:
        spaces = [namespace('nvme1', 'nvme2'),
                  namespace('nvme1', device='nvme1n2', uuid=B)]
        self.expect(
            hosts(controller(), controller('nvme2'), namespaces=spaces),
            hosts(controller(state='connecting'), controller('nvme2'),
                  namespaces=spaces), 'CONNECTION_LOST')

    def test_a_connection_without_namespaces_has_no_spare_path(self) -> None:
        self.expect(hosts(controller()), hosts(controller(state='deleting')),
                    'CONNECTION_LOST')

    def test_the_name_now_belongs_to_another_connection(self) -> None:
        gone, new = self.expect(
            hosts(controller()), hosts(controller(nqn='nqn.other')),
            'CONNECTION_GONE', 'CONNECTION_NEW')
        self.assertIn('nqn.2024-01.test:a', gone.message)
        self.assertIn('nqn.other', new.message)

    def test_a_namespace_without_uuid_is_named_by_its_device(self) -> None:
        (event,) = self.expect(
            EMPTY, hosts(controller(),
                         namespaces=[namespace('nvme1', uuid=None)]),
            'CONNECTION_NEW')
        self.assertIn(('replica', 'nvme1n1'), event.names)

    def test_a_connection_without_portal(self) -> None:
        (event,) = self.expect(
            EMPTY, hosts(dataclasses.replace(controller(), portal=None)),
            'CONNECTION_NEW')
        self.assertIn('at no address', event.message)


class TestArrays(EventCase):

    def test_new(self) -> None:
        (event,) = self.expect(EMPTY, array(), 'ARRAY_NEW')
        self.assertEqual(
            'array volume (md127) is new: 2 of 2 legs in sync',
            event.message)
        self.assertEqual(events.INFO, event.level)
        self.assertEqual((('array', 'md127'), ('alias', 'volume')),
                         event.names)

    def test_new_and_degraded(self) -> None:
        (event,) = self.expect(EMPTY, array(leg('nvme1n1')), 'ARRAY_NEW')
        self.assertEqual(events.WARN, event.level)
        self.assertIn('1 of 2', event.message)

    def test_stopped(self) -> None:
        self.expect(array(), EMPTY, 'ARRAY_STOPPED')

    def test_another_array_has_the_name(self) -> None:
        old, new = self.expect(
            array(uuid=A), array(uuid=B, alias='other'), 'ARRAY_STOPPED',
            'ARRAY_NEW')
        self.assertIn('array volume (md127)', old.message)
        self.assertIn('array other (md127)', new.message)

    def test_without_alias_the_name_serves(self) -> None:
        (event,) = self.expect(EMPTY, array(alias=None), 'ARRAY_NEW')
        self.assertIn('array md127 (md127)', event.message)

    def test_degraded_and_healthy(self) -> None:
        degraded = array(leg('nvme1n1'), leg('nvme2n1', FAULTY))
        _leg, event = self.expect(array(), degraded, 'LEG_FAULTY',
                                  'ARRAY_DEGRADED')
        self.assertEqual(events.WARN, event.level)
        self.assertIn('is degraded: 1 of 2 legs in sync', event.message)
        _leg, event = self.expect(degraded, array(), 'LEG_IN_SYNC',
                                  'ARRAY_HEALTHY')
        self.assertIn('is healthy: all 2 legs in sync', event.message)

    def test_the_last_good_leg_is_lost(self) -> None:
        degraded = array(leg('nvme1n1'))
        dead = array(leg('nvme1n1', FAULTY))
        for before, also in ((degraded, ()), (array(), ('LEG_REMOVED',))):
            *_legs, event = self.expect(before, dead, 'LEG_FAULTY', *also,
                                        'ARRAY_DEGRADED')
            self.assertEqual(events.FATAL, event.level)
            self.assertIn('0 of 2', event.message)

    def test_grown(self) -> None:
        self.expect(array(), array(raid_disks=3), 'ARRAY_DEGRADED')


class TestLegs(EventCase):

    def test_faulty_is_told_with_its_replica_though_md_forgot(self) -> None:
        old = array()
        new = array(leg('nvme1n1'),
                    model.Leg('nvme2n1', None, FAULTY, None))
        event, _array = self.expect(old, new, 'LEG_FAULTY', 'ARRAY_DEGRADED')
        self.assertEqual(events.WARN, event.level)
        self.assertEqual('leg nvme2n1 (replica %s) of array volume (md127) '
                         'is faulty' % B, event.message)
        self.assertEqual(
            (('array', 'md127'), ('alias', 'volume'), ('leg', 'nvme2n1'),
             ('replica', B)), event.names)

    def test_faulty_while_it_still_says_in_sync(self) -> None:
        self.expect(array(), array(leg('nvme1n1'),
                                   leg('nvme2n1', OK | FAULTY)),
                    'LEG_FAULTY', 'ARRAY_DEGRADED')

    def test_exchange(self) -> None:
        degraded = array(leg('nvme1n1'), leg('nvme2n1', FAULTY))
        added = array(leg('nvme1n1'), leg('nvme2n1', FAULTY),
                      leg('nvme3n1', SPARE, slot=1))
        synced = array(leg('nvme1n1'), leg('nvme2n1', FAULTY),
                       leg('nvme3n1', slot=1))
        removed = array(leg('nvme1n1'), leg('nvme3n1', slot=1))
        self.expect(degraded, added, 'LEG_ADDED')
        self.expect(added, synced, 'LEG_IN_SYNC', 'ARRAY_HEALTHY')
        self.expect(synced, removed, 'LEG_REMOVED')

    def test_back(self) -> None:
        faulty = array(leg('nvme1n1'), leg('nvme2n1', FAULTY))
        back = array(leg('nvme1n1'), leg('nvme2n1', SPARE))
        (event,) = self.expect(faulty, back, 'LEG_BACK')
        self.assertEqual(events.INFO, event.level)
        self.expect(faulty, array(), 'LEG_IN_SYNC', 'ARRAY_HEALTHY')

    def test_out_and_back_between_two_looks(self) -> None:
        self.expect(array(), array(leg('nvme1n1'), leg('nvme2n1', SPARE)),
                    'LEG_BACK', 'ARRAY_DEGRADED')

    def test_added_and_faulty_between_two_looks(self) -> None:
        self.expect(array(leg('nvme1n1')),
                    array(leg('nvme1n1'), leg('nvme2n1', FAULTY)),
                    'LEG_ADDED', 'LEG_FAULTY')

    def test_the_name_now_belongs_to_another_replica(self) -> None:
        removed, added, _leg = self.expect(
            array(), array(leg('nvme1n1'), leg('nvme2n1', replica_uuid=C)),
            'LEG_REMOVED', 'LEG_ADDED', 'LEG_IN_SYNC')
        self.assertIn(('replica', B), removed.names)
        self.assertIn(('replica', C), added.names)

    def test_a_leg_that_loses_its_device_is_still_the_same(self) -> None:
        self.expect(array(), array(
            leg('nvme1n1'), model.Leg('nvme2n1', 1, OK, None)))

    def test_an_unknown_replica(self) -> None:
        (event,) = self.expect(
            array(leg('nvme1n1'), model.Leg('nvme9n1', None, SPARE, None)),
            array(leg('nvme1n1')), 'LEG_REMOVED')
        self.assertIn(('replica', 'unknown'), event.names)


class TestSync(EventCase):

    def sync(self, action: str = 'recover', percent: int | None = None,
             ) -> snapshots.HostSnapshot:
        return array(leg('nvme1n1'), leg('nvme2n1', SPARE),
                     sync_action=action, sync_done=percent,
                     sync_total=None if percent is None else 100)

    def test_started_and_finished(self) -> None:
        (event,) = self.expect(self.sync('idle'), self.sync(),
                               'SYNC_STARTED')
        self.assertIn('started to recover', event.message)
        (event,) = self.expect(self.sync(percent=99), self.sync('idle'),
                               'SYNC_FINISHED')
        self.assertIn('ended its recover: 1 of 2 legs in sync',
                      event.message)

    def test_one_action_follows_another(self) -> None:
        self.expect(self.sync('resync'), self.sync('recover'),
                    'SYNC_FINISHED', 'SYNC_STARTED')

    def test_a_check_is_no_sync(self) -> None:
        self.expect(self.sync('idle'), self.sync('check'))

    def test_progress_is_told_in_quarters(self) -> None:
        told = []
        before = self.sync('idle')
        for percent in (None, *range(101)):
            now = self.sync(percent=percent)
            told += [event.message[len('array volume (md127) '):]
                     for event in events.diff(before, now)]
            before = now
        self.assertEqual(
            ['started to recover', 'recover at 25 %', 'recover at 50 %',
             'recover at 75 %', 'recover at 100 %'], told)

    def test_progress_of_nothing(self) -> None:
        self.expect(self.sync(), array(
            leg('nvme1n1'), leg('nvme2n1', SPARE), sync_action='recover',
            sync_done=0, sync_total=0))


DEVICES = ('nvme1n1', 'nvme2n1', 'nvme3n1')
_legs = strategies.fixed_dictionaries({}, optional={
    device: strategies.sampled_from((OK, FAULTY, SPARE))
    for device in DEVICES})
_states = strategies.fixed_dictionaries({}, optional={
    name: strategies.sampled_from(('live', 'connecting', 'deleting'))
    for name in ('nvme1', 'nvme2')})


def _word(flags: frozenset[str]) -> str:
    return {OK: 'LEG_IN_SYNC', FAULTY: 'LEG_FAULTY',
            SPARE: 'LEG_BACK'}[flags]


class TestEverything(EventCase):
    """Whoever has read all events knows the host."""

    @given(strategies.lists(_legs, min_size=2, max_size=6))
    def test_legs(self, history: list[dict[str, frozenset[str]]]) -> None:
        snapshots = [array(*(leg(device, flags) for device, flags
                             in sorted(legs.items()))) if legs else EMPTY
                     for legs in history]
        known = {device: _word(flags)
                 for device, flags in history[0].items()}
        for old, new, legs in zip(snapshots, snapshots[1:], history[1:],
                                  strict=False):
            told: set[model.Event] = set()
            for event in events.diff(old, new):
                self.assertNotIn(event, told)
                told.add(event)
                names = dict(event.names)
                if event.kind == 'ARRAY_STOPPED':
                    known = {}
                elif event.kind == 'ARRAY_NEW':
                    known = {device: _word(flags)
                             for device, flags in legs.items()}
                elif event.kind == 'LEG_ADDED':
                    self.assertNotIn(names['leg'], known)
                    known[names['leg']] = 'LEG_BACK'
                elif event.kind == 'LEG_REMOVED':
                    del known[names['leg']]
                elif event.kind.startswith('LEG_'):
                    self.assertNotEqual(known[names['leg']], event.kind)
                    known[names['leg']] = event.kind
            self.assertEqual(known, {device: _word(flags)
                                     for device, flags in legs.items()})

    @given(strategies.lists(_states, min_size=1, max_size=6))
    def test_connections(self, history: list[dict[str, str]]) -> None:
        alive: dict[str, bool] = {}
        before = EMPTY
        for states in history:
            now = hosts(*(controller(name, state)
                          for name, state in states.items()))
            for event in events.diff(before, now):
                name = dict(event.names)['controller']
                if event.kind == 'CONNECTION_NEW':
                    self.assertNotIn(name, alive)
                    alive[name] = event.message.endswith('new and live')
                elif event.kind == 'CONNECTION_GONE':
                    del alive[name]
                else:
                    restored = event.kind == 'CONNECTION_RESTORED'
                    self.assertIsNot(restored, alive[name])
                    alive[name] = restored
            self.assertEqual({name: state == 'live'
                              for name, state in states.items()}, alive)
            before = now


class TestBadBlocks(EventCase):

    @staticmethod
    def lacking(*bad: tuple[tuple[int, int], ...],
                flags: frozenset[str] = OK) -> snapshots.HostSnapshot:
        return array(*(dataclasses.replace(leg(
            'nvme%dn1' % number, flags), bad=one)
            for number, one in enumerate(bad, 1)))

    def test_a_leg_that_lacks_blocks_and_no_longer(self) -> None:
        bad = self.lacking(((0, 8),), ())
        event, = self.expect(array(), bad, 'LEG_BAD_BLOCKS')
        self.assertEqual(
            'leg nvme1n1 (replica %s) of array volume (md127) lacks 4 KiB, '
            'though md calls it in sync: that could not be written to it (bad '
            'blocks)' % A, event.message)
        self.assertIn(('lost', '4096'), event.names)
        # that it is more is in the status, and not told each time
        more = self.lacking(((0, 16),), ())
        self.expect(bad, more)
        self.expect(more, array(), 'LEG_COMPLETE', 'ARRAY_HEALTHY')

    def test_what_is_there_at_the_first_look(self) -> None:
        self.expect(EMPTY, self.lacking(((0, 8),), ()), 'ARRAY_NEW',
                    'LEG_BAD_BLOCKS')

    def test_a_copy_that_ended_with_bad_blocks_is_not_healthy(self) -> None:
        copying = array(leg('nvme1n1'), leg('nvme2n1', SPARE),
                        sync_action='recover')
        self.expect(copying, self.lacking((), ((0, 8),)), 'LEG_IN_SYNC',
                    'LEG_BAD_BLOCKS', 'SYNC_FINISHED')

    def test_what_no_leg_holds(self) -> None:
        one = self.lacking(((0, 8),), ())
        both = self.lacking(((0, 8),), ((0, 16),))
        _leg, event = self.expect(one, both, 'LEG_BAD_BLOCKS', 'BLOCKS_LOST')
        self.assertEqual(events.FATAL, event.level)
        self.assertIn('no leg in sync that holds 4 KiB', event.message)
        more = self.lacking(((0, 16),), ((0, 16),))
        self.expect(both, more, 'BLOCKS_LOST')
        self.expect(more, both)
        self.expect(both, one, 'LEG_COMPLETE', 'BLOCKS_FOUND')

    def test_a_leg_that_is_dropped_has_held_them(self) -> None:
        one = self.lacking(((0, 8),), ())
        alone = array(one.arrays[0].legs[0], leg('nvme2n1', FAULTY))
        self.expect(one, alone, 'LEG_FAULTY', 'BLOCKS_LOST', 'ARRAY_DEGRADED')
        self.expect(EMPTY, alone, 'ARRAY_NEW', 'LEG_BAD_BLOCKS',
                    'BLOCKS_LOST')

    def test_broken(self) -> None:
        broken = array(leg('nvme1n1'), leg('nvme2n1', FAULTY),
                       array_state='broken')
        event = self.expect(array(leg('nvme1n1'), leg('nvme2n1', FAULTY)),
                            broken, 'ARRAY_BROKEN')[0]
        self.assertEqual(events.FATAL, event.level)
        self.assertIn('takes no writes', event.message)
        self.expect(EMPTY, broken, 'ARRAY_NEW', 'ARRAY_BROKEN')
