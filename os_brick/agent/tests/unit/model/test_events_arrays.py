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
"""The events of arrays and their legs, and of what md copies."""

from __future__ import annotations

from os_brick.agent import model
from os_brick.agent.model import events
from os_brick.agent.model import snapshots
from os_brick.agent.tests.unit.model import events_case

A, B, C, OK = events_case.A, events_case.B, events_case.C, events_case.OK
FAULTY, SPARE, EMPTY = events_case.FAULTY, events_case.SPARE, events_case.EMPTY
leg = events_case.leg
array = events_case.array


class TestArrays(events_case.EventCase):

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


class TestLegs(events_case.EventCase):

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


class TestSync(events_case.EventCase):

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
