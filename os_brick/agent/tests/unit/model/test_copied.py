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
"""What md has copied to a leg, out of what the kernel counts as written."""

from __future__ import annotations

import dataclasses

from oslotest import base

from os_brick.agent import model
from os_brick.agent.model import copied
from os_brick.agent.model import events
from os_brick.agent.model import snapshots

A = 'aaaaaaaa-0000-4000-8000-000000000001'
B = 'bbbbbbbb-0000-4000-8000-000000000002'
MIB = 1 << 20
STAYS = model.Leg('nvme1n1', 0, frozenset({'in_sync'}), A)
RECOVERS = model.Leg('nvme2n1', 1, frozenset({'spare'}), B)
BACK = dataclasses.replace(RECOVERS, flags=frozenset({'in_sync'}))
FAULTY = dataclasses.replace(RECOVERS, flags=frozenset({'faulty'}))
WHOLE = model.Array('md127', 'vol1', 'u', 2, 0, 'clean', 'idle', 64 << 30)
KEY = ('md127', 'nvme2n1')


def host(*legs: model.Leg, holders: tuple[str, ...] = ('md127',),
         **changes: object) -> snapshots.HostSnapshot:
    """A host with one array; its second namespace is perhaps nobody's."""
    return snapshots.HostSnapshot(
        namespaces=(model.Namespace('nvme1n1', A, 64 << 30, ('nvme1',),
                                    ('md127',)),
                    model.Namespace('nvme2n1', B, 64 << 30,
                                    ('nvme2', 'nvme3'), holders)),
        arrays=(dataclasses.replace(
            WHOLE, legs=(STAYS, *legs), **changes),))  # type: ignore


FINE, OUT = host(BACK), host(holders=())


class CopiedTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.last = copied.Look()
        self.time = 100.0

    def look(self, snapshot: snapshots.HostSnapshot, leg: int = 0,
             array: int = 0, seconds: float = 10.0,
             **devices: copied.Count) -> snapshots.HostSnapshot:
        """Look again; MiB that were written to the leg and to the array."""
        self.time += seconds
        counts = {'nvme2n1': copied.Count((7, leg * MIB)),
                  'md127': copied.Count((3, array * MIB)), **devices}
        wanted = copied.to_count(self.last, snapshot)
        self.last = copied.follow(
            self.last, snapshot, self.time,
            {name: counts[name] for name in wanted})
        return self.last.snapshot

    def most(self) -> int | None:
        return self.last.snapshot.copied[KEY].most

    def told(self, old: snapshots.HostSnapshot) -> dict[str, model.Event]:
        return {event.kind: event for event
                in events.diff(old, self.last.snapshot)}

    def test_nothing_is_read_of_a_host_whose_arrays_are_whole(self):
        self.assertEqual({}, copied.to_count(self.last, FINE))
        self.look(FINE)
        self.assertEqual({}, copied.to_count(self.last, FINE))

    def test_what_is_read_when_a_leg_is_out_and_when_it_is_back(self):
        self.look(FINE)
        ways = {'nvme2n1': ('nvme2', 'nvme3')}
        self.assertEqual(ways, copied.to_count(self.last, OUT))
        self.look(OUT)
        self.assertEqual({**ways, 'md127': ()},
                         copied.to_count(self.last, host(RECOVERS)))
        self.look(host(RECOVERS))
        # once more: what was written since
        self.assertEqual({**ways, 'md127': ()},
                         copied.to_count(self.last, FINE))
        self.look(FINE)
        self.assertEqual({}, copied.to_count(self.last, FINE))

    def test_copied_between_two_looks(self) -> None:
        self.look(FINE)
        self.look(OUT, leg=1000)
        was = self.last.snapshot
        self.look(FINE, leg=1014)
        self.assertEqual(14 * MIB, self.most())
        event = self.told(was)['LEG_IN_SYNC']
        self.assertTrue(event.message.endswith(
            'is in sync: at most 14 MiB of 64 GiB were copied to it'), event)
        self.assertIn(('copied', str(14 * MIB)), event.names)

    def test_what_the_array_is_written_is_not_copied(self) -> None:
        self.look(FINE)
        self.look(OUT, leg=1000)
        # before it was added nothing of this went to it
        self.look(host(RECOVERS), leg=1010, array=5000)
        self.look(host(RECOVERS), leg=1060, array=5040)
        was = self.last.snapshot
        self.look(FINE, leg=1104, array=5080)
        self.assertEqual((10 + 10 + 4) * MIB, self.most())
        told = self.told(was)
        self.assertIn('is in sync after 20 s: at most 24 MiB of 64 GiB were '
                      'copied to it', told['LEG_IN_SYNC'].message)
        self.assertIn(('seconds', '20'), told['LEG_IN_SYNC'].names)
        self.assertIn('is healthy again after 30 s: all 2 legs in sync',
                      told['ARRAY_HEALTHY'].message)
        self.assertIn(('seconds', '30'), told['ARRAY_HEALTHY'].names)
        self.look(FINE, leg=1200, array=5200)
        self.assertEqual({}, self.last.snapshot.copied)
        self.assertEqual({}, self.last.snapshot.healed)

    def test_a_faulty_leg_that_md_takes_back(self) -> None:
        self.look(FINE)
        self.look(host(FAULTY), leg=1000)
        self.look(FINE, leg=1003)
        self.assertEqual(3 * MIB, self.most())

    def test_no_more_than_there_is(self) -> None:
        self.look(FINE)
        self.look(OUT)
        was = self.last.snapshot
        self.look(FINE, leg=70 * 1024)
        self.assertIn('at most 64 GiB of 64 GiB',
                      self.told(was)['LEG_IN_SYNC'].message)

    def test_no_figure_where_the_beginning_was_not_seen(self) -> None:
        self.look(host(RECOVERS), leg=1000)
        self.look(host(RECOVERS), leg=1010)
        was = self.last.snapshot
        self.look(FINE, leg=1020)
        self.assertEqual({}, self.last.snapshot.copied)
        told = self.told(was)
        self.assertTrue(told['LEG_IN_SYNC'].message.endswith('is in sync'))
        self.assertIn('is healthy: all 2', told['ARRAY_HEALTHY'].message)
        # in sync by the next look, and it was in sync in the one before
        self.look(FINE)
        self.look(host(RECOVERS), leg=2000)
        self.look(FINE, leg=2010)
        self.assertIsNone(self.most())

    def test_no_figure_for_another_device_of_that_name(self) -> None:
        self.look(FINE)
        self.look(OUT, leg=1000)
        self.look(host(RECOVERS), leg=0,
                  nvme2n1=copied.Count((8, 2000 * MIB)))
        self.assertIsNone(self.most())
        self.look(FINE, nvme2n1=copied.Count((8, 2001 * MIB)))
        self.assertIsNone(self.most())

    def test_no_figure_where_it_cannot_be_read(self) -> None:
        self.look(FINE)
        self.look(OUT, leg=1000)
        self.last = copied.follow(self.last, FINE, 200.0, {})
        self.assertIsNone(self.most())

    def test_an_array_of_the_same_name(self) -> None:
        self.look(FINE)
        self.look(host(RECOVERS, uuid='other'), leg=1000)
        self.assertEqual({}, self.last.degraded)
        self.assertEqual({}, self.last.snapshot.copied)


class CountTest(base.BaseTestCase):

    PATHS = ((1, 10 * MIB), (2, 5 * MIB))

    def test_a_device_without_paths(self) -> None:
        self.assertEqual(3, copied.Count((7, 8)).since(copied.Count((7, 5))))

    def test_before_linux_6_2_only_the_paths_have_counts(self) -> None:
        now = copied.Count((7, 0), ((1, 12 * MIB), (2, 6 * MIB)))
        self.assertEqual(3 * MIB,
                         now.since(copied.Count((7, 0), self.PATHS)))
        # one of them has gone, and with it what it had counted
        self.assertIsNone(now.since(copied.Count((7, 0), self.PATHS[:1])))

    def test_from_linux_6_2_on_the_namespace_itself_has(self) -> None:
        now = copied.Count((7, 18 * MIB), self.PATHS[:1])
        self.assertEqual(18 * MIB,
                         now.since(copied.Count((7, 0), self.PATHS)))

    def test_nothing_before(self) -> None:
        self.assertIsNone(copied.Count((7, 0)).since(None))
