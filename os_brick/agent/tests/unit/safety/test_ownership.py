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
"""Matching arrays and volumes: the short way finds what the long way does."""

from __future__ import annotations

from unittest import mock

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies
from oslotest import base

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import connections
from os_brick.agent.safety import ownership

UUIDS = ['%08d-0000-4000-8000-000000000000' % number for number in range(6)]
ALIASES = ['one', 'two', 'three']
legs = strategies.lists(strategies.sampled_from(UUIDS), max_size=3,
                        unique=True)
arrays = strategies.lists(strategies.tuples(
    strategies.sampled_from([*ALIASES, None]), legs,
    strategies.booleans()), max_size=4)
volumes = strategies.lists(strategies.tuples(
    strategies.sampled_from(ALIASES), legs, legs), max_size=4)


def _array(number: int, alias: str | None, replicas: list[str],
           vanished: bool) -> model.Array:
    return model.Array(
        'md%d' % number, alias, None, 2, 0, 'clean', 'idle', 1, tuple(
            model.Leg('nvme%dn1' % slot, slot, frozenset({'in_sync'}),
                      None if vanished else uuid)
            for slot, uuid in enumerate(replicas)))


class TestMatching(base.BaseTestCase):

    @settings(max_examples=400, deadline=None)
    @given(arrays, volumes, strategies.dictionaries(
        strategies.sampled_from(['md0', 'md1', 'md2']),
        strategies.sampled_from(UUIDS)))
    def test_as_if_every_volume_was_asked(
            self, found: list[tuple[str | None, list[str], bool]],
            told: list[tuple[str, list[str], list[str]]],
            before: dict[str, str]) -> None:
        snapshot = snapshots.HostSnapshot(arrays=tuple(
            _array(number, *one) for number, one in enumerate(found)))
        listed = {UUIDS[number]: model.Volume(
            UUIDS[number], alias, replicas=tuple(map(model.Replica, uuids)))
            for number, (alias, uuids, _legs) in enumerate(told)}
        remembered = {UUIDS[number]: uuids
                      for number, (_alias, _uuids, uuids) in enumerate(told)}
        short = ownership.match(snapshot, listed, before, remembered)
        with mock.patch.object(ownership.Index, 'candidates',
                               lambda self, array: listed):
            long = ownership.match(snapshot, listed, before, remembered)
        self.assertEqual(long, short)

    @settings(max_examples=200, deadline=None)
    @given(strategies.lists(strategies.tuples(
        strategies.integers(0, 1), strategies.integers(0, 1),
        strategies.sampled_from([{}, {'md0': UUIDS[0]}, {'md0': UUIDS[1]}])),
        min_size=2, max_size=8))
    def test_a_matcher_finds_what_its_claims_do(
            self, turns: list[tuple[int, int, dict[str, str]]]) -> None:
        claimed = [ownership.KnownVolumes({uuid: model.Volume(
            uuid, 'one', replicas=(model.Replica(UUIDS[2]),))}, {})
            for uuid in UUIDS[:2]]
        # the second says nothing but through what was matched before
        scans = [snapshots.HostSnapshot(arrays=(
            _array(0, alias, [UUIDS[2]], bool(vanished)),))
            for vanished, alias in enumerate(['one', 'two'])]
        matcher = ownership.Matcher()
        for claim, snapshot, before in turns:
            self.assertEqual(
                claimed[claim].match(scans[snapshot], before),
                matcher.match(claimed[claim], scans[snapshot], before))

    def test_a_matcher_does_not_match_twice(self) -> None:
        matcher, nobody = ownership.Matcher(), ownership.KnownVolumes()
        snapshot = snapshots.HostSnapshot(arrays=(
            _array(0, 'one', UUIDS[:2], False),))
        with mock.patch.object(ownership, 'match') as match:
            for _turn in range(3):
                matcher.match(nobody, snapshot, {})
        self.assertEqual(1, match.call_count)


A, B, RAW = ('00000000-0000-4000-8000-00000000000%s' % n for n in 'abc')
VOL, SINGLE = ('00000000-0000-4000-8000-0000000000f%d' % n for n in (1, 2))


class TestRawNamespace(base.BaseTestCase):

    def test_s4_a_raw_namespace_of_a_single_replica_volume(self):
        """Its guest has it open without md, and no holder shows that."""
        portal = model.Portal('192.0.2.1', 4420)
        snapshot = snapshots.HostSnapshot(
            controllers=(model.Controller('nvme0', 'nqn.x', portal, None,
                                          'live'),),
            namespaces=(
                model.Namespace('nvme0n1', A, 1 << 20, ('nvme0',), ('md1',)),
                model.Namespace('nvme0n2', RAW, 1 << 20, ('nvme0',))),
            arrays=(model.Array(
                'md1', 'vol', None, 2, 1, 'active', 'idle', 1 << 19,
                (model.Leg('nvme0n1', 0, frozenset({'in_sync'}), A),)),))
        known = ownership.KnownVolumes({
            VOL: model.Volume(VOL, 'vol', replicas=(
                model.Replica(A), model.Replica(B))),
            SINGLE: model.Volume(SINGLE, 'single', replicas=(
                model.Replica(RAW),))})
        self.assertEqual({'md1': VOL}, known.match(snapshot, {}).arrays)
        self.assertIsNotNone(connections.foreign_use(
            'nvme0', snapshot, known.owned({'md1': VOL})))

    def test_s4_a_replica_that_is_being_attached(self):
        """It keeps nobody hanging on a dead connection; a live one stays."""
        for others, count, freed in (
                ((RAW, UUIDS[5]), None, True), ((RAW, UUIDS[5]), 2, True),
                ((RAW,), None, False),
                # a virtual machine has it, and it is on its way elsewhere
                ((RAW, UUIDS[5]), 1, False)):
            self.assert_freed(freed, {SINGLE: model.Volume(
                SINGLE, 'late', replicas=tuple(map(model.Replica, others)),
                replica_count=count)})

    def test_s4_a_leg_that_was_let_go(self):
        """So does this, unless it is somebody's again."""
        former = {VOL: frozenset([A, B, RAW])}
        self.assert_freed(True, {}, former, frozenset([RAW]))
        # it could be reached when it was let go
        self.assert_freed(False, {}, former)
        self.assert_freed(False, {SINGLE: model.Volume(
            SINGLE, 'raw', replicas=(model.Replica(RAW),))}, former,
            frozenset([RAW]))

    def assert_freed(self, freed: bool, others: dict[str, model.Volume],
                     legs: dict[str, frozenset[str]] | None = None,
                     let_go: frozenset[str] = frozenset()) -> None:
        """Whether a connection with RAW may be ended once it is dead."""
        known = ownership.KnownVolumes({VOL: model.Volume(
            VOL, 'vol', replicas=(model.Replica(A), model.Replica(B))),
            **others}, legs or {}, let_go)
        portal = model.Portal('192.0.2.1', 4420)
        elsewhere = model.Portal('192.0.2.2', 4420)
        whole = model.Array(
            'md1', 'vol', None, 2, 0, 'active', 'idle', 1 << 19,
            tuple(model.Leg('nvme%dn1' % slot, slot, frozenset({'in_sync'}),
                            uuid) for slot, uuid in enumerate((A, B))))
        for state in ('live', 'connecting'):
            snapshot = snapshots.HostSnapshot(
                (model.Controller('nvme0', 'nqn.x', portal, None, state),
                 model.Controller('nvme1', 'nqn.y', elsewhere, None,
                                  'live')),
                (model.Namespace('nvme0n1', A, 1, ('nvme0',), ('md1',)),
                 model.Namespace('nvme0n2', RAW, 1, ('nvme0',)),
                 model.Namespace('nvme1n1', B, 1, ('nvme1',), ('md1',))),
                (whole,))
            owned = known.owned({'md1': VOL})
            why = connections.disconnect(frozenset(['nvme0']), snapshot,
                                         owned)
            self.assertEqual(freed and state != 'live', why is None,
                             str(why))
            # and a silent one is dead, whatever the kernel calls it
            silent = connections.give_up(act.ResetConnection(
                '', 'nvme0', portal), snapshot, owned)
            self.assertEqual(freed, silent is None, str(silent))
            # nothing is set on it
            self.assertIsNotNone(connections.foreign_use(
                'nvme0', snapshot, owned))
