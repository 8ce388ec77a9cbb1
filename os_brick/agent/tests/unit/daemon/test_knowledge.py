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
"""What was let go while it was out of reach (S4)."""

from __future__ import annotations

import os

import fixtures
from oslotest import base

from os_brick.agent.daemon import knowledge
from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.store import ledger

VOLUME, A, B = ('00000000-0000-4000-8000-00000000000%d' % number
                for number in range(3))


def seen(state: str = '', held: bool = False) -> snapshots.HostSnapshot:
    """The host, with the namespace A behind a connection; '': without.

    :param held: the array md1 has it.
    """
    controller = model.Controller('nvme0', 'nqn.a', model.Portal(
        '192.0.2.1', 4420), None, state)
    array = model.Array('md1', 'v', 'x', 2, 1, 'clean', 'idle', 1, (
        model.Leg('nvme0n1', 0, frozenset(['faulty']), A),))
    return snapshots.HostSnapshot(
        (controller,), (model.Namespace('nvme0n1', A, 1, ('nvme0',)),),
        (array,) if held else ()
    ) if state else snapshots.HostSnapshot()


class TestLetGo(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = self.useFixture(fixtures.TempDir()).path
        store = ledger.Ledger(os.path.join(folder, ledger.FILE))
        self.addCleanup(store.close)
        self.known = knowledge.Knowledge('x', store, log_once.LogOnce())
        self.known.joined(VOLUME, frozenset([A, B]))

    def passes(self, listed: str, *states: str) -> frozenset[str]:
        """Each a look, and the list of that time; return who was let go."""
        for state in states:
            self.known.note_lost(seen(state))
            self.known.take([model.Volume(VOLUME, 'v', replicas=tuple(
                map(model.Replica, listed.split())))])
            self.known.keep()
        return self.known.learnt().let_go

    def test_while_its_target_was_lost(self) -> None:
        self.assertEqual(frozenset(), self.passes(
            A + ' ' + B, 'live', 'connecting'))
        self.assertEqual({A}, self.passes(B, 'connecting', 'connecting'))

    def test_while_it_could_be_reached(self) -> None:
        """Somebody else may have opened it before its target was lost."""
        self.passes(A + ' ' + B, 'live')
        self.assertEqual(frozenset(), self.passes(
            B, 'live', 'connecting', 'connecting'))

    def test_md_had_it_when_its_target_was_lost(self) -> None:
        """Nobody else can have opened it, be it listed or not."""
        for whose, let_go in (({}, frozenset()), ({'md1': VOLUME}, {A})):
            self.known.arrays = whose
            self.passes(B, 'live')
            self.known.note_lost(seen('connecting', held=True))
            self.assertEqual(let_go, self.passes(B, 'connecting'))

    def test_it_was_there_again(self) -> None:
        for between in ('live', ''):
            self.passes(A + ' ' + B, 'connecting')
            self.assertEqual({A}, self.passes(B, 'connecting'))
            self.assertEqual(frozenset(), self.passes(
                B, between, 'connecting'))

    def test_what_was_never_a_leg(self) -> None:
        self.known.joined(VOLUME, frozenset([B]))
        self.passes(A + ' ' + B, 'connecting')
        self.assertEqual(frozenset(), self.passes(B, 'connecting'))
