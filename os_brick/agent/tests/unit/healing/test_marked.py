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
"""Whether md's bitmap on this host marks all that a former leg lacks.

A copy that is put back by a bitmap that does not is old and passes for new.
The histories of two hosts are new ones in each run; the seed is printed when
one fails.
"""

from __future__ import annotations

import dataclasses
import random

from oslotest import base
from testtools import content

from os_brick.agent.healing import observing
from os_brick.agent.healing import replica_record
from os_brick.agent.healing import volume_view
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.store import encoding
from os_brick.agent.testing.simulation import targets
from os_brick.agent.tests import unit

HISTORIES = 2000
STAYS, OUT = map(targets.uuid_of, range(2))
Records = replica_record.ReplicaRecords
VOLUME = model.Volume(targets.uuid_of(99), 'v', replicas=tuple(
    model.Replica(uuid, model.ReplicaState.AVAILABLE)
    for uuid in (STAYS, OUT)))


def look(records: Records, out: bool, instance: str = 'boot/1/array',
         written: bool = True, attached: bool = False, observe: str = '',
         flags: str = 'in_sync') -> Records:
    """Look once, and keep what was seen as the ledger does."""
    found = observing.observe(view(records, out, instance, written, attached,
                                   observe, flags))
    return {uuid: encoding.load_record(encoding.dump_record(record))
            for uuid, record in found.items()}


def view(records: Records, out: bool, instance: str = 'boot/1/array',
         written: bool = True, attached: bool = False, observe: str = '',
         flags: str = 'in_sync') -> volume_view.VolumeView:
    legs = [STAYS] if out else [STAYS, OUT]
    array = model.Array(
        'md1', 'v', None, 2, 2 - len(legs), 'active', 'idle', 1 << 20, tuple(
            model.Leg('nvme%dn1' % slot, slot, frozenset(
                [flags if slot else 'in_sync']), uuid)
            for slot, uuid in enumerate(legs)), instance=instance,
        written=written)
    return volume_view.VolumeView(
        dataclasses.replace(VOLUME, observe=observe), array,
        snapshots.HostSnapshot(), records, 0.0,
        replica_record.HealingPolicy(), attached)


def marked(records: Records, instance: str = 'boot/1/array') -> bool:
    """Whether the leg that is out may be put back by the bitmap."""
    return view(records, True, instance).marked(VOLUME.replicas[1])


class MarkedTest(base.BaseTestCase):

    def seen(self, *looks: dict[str, object]) -> Records:
        records: Records = {}
        for one in looks:
            records = look(records, **one)    # type: ignore[arg-type]
        return records

    def test_a_leg_that_was_dropped_here_is_put_back_by_the_bitmap(
            self) -> None:
        records = self.seen({'out': False}, {'out': True}, {'out': True})
        self.assertTrue(marked(records))

    def test_so_is_one_after_the_agent_was_started_again(self) -> None:
        records = self.seen({'out': False}, {'out': True},
                            {'out': True, 'attached': True})
        self.assertTrue(marked(records))

    def test_one_that_was_out_when_the_array_came_up_is_not(self) -> None:
        """Another host may have had it between, and at the same time."""
        records = self.seen({'out': False}, {'out': True},
                            {'out': True, 'instance': 'boot/2/array'})
        self.assertFalse(marked(records, 'boot/2/array'))
        self.assertFalse(marked(self.seen({'out': True})))

    def test_nor_after_a_boot_or_under_the_same_name(self) -> None:
        records = self.seen({'out': False})
        for instance in ('next/1/array', 'boot/1/other', ''):
            self.assertFalse(marked(records, instance))

    def test_nor_one_that_left_before_this_host_wrote(self) -> None:
        """Where it is attached for a migration, the source writes."""
        records = self.seen({'out': False, 'written': False}, {'out': True})
        self.assertFalse(marked(records))

    def test_nor_one_that_was_only_being_copied_to(self) -> None:
        records = look({}, False, flags='spare')
        self.assertFalse(marked(look(records, True)))

    def test_nor_one_that_was_only_observed(self) -> None:
        records = self.seen({'out': False}, {'out': False, 'observe': 'b'},
                            {'out': True})
        self.assertFalse(marked(records))
        records = self.seen({'out': False}, {'out': True, 'observe': 'b'},
                            {'out': True})
        self.assertFalse(marked(records))

    def test_a_detach_that_was_seen_ends_it(self) -> None:
        records = replica_record.detached(self.seen({'out': False}), 1.0)
        self.assertFalse(marked(records))

    def test_a_ledger_of_before_tells_no_lie(self) -> None:
        """What it says of an instance is true of that one for ever."""
        backup = self.seen({'out': False})
        self.assertTrue(marked(look(backup, True, attached=True)))
        self.assertFalse(marked(look(backup, True, 'boot/2/array',
                                     attached=True), 'boot/2/array'))

    def test_where_the_kernel_numbers_no_disk_the_looks_have_to_join(
            self) -> None:
        records = self.seen({'out': False, 'instance': ''},
                            {'out': True, 'instance': ''})
        self.assertTrue(marked(records, ''))
        again = look(records, True, '', attached=True)
        self.assertFalse(marked(again, ''))

    def test_nor_does_an_old_kernels_word_count_with_a_new_one(self) -> None:
        records = self.seen({'out': False, 'instance': ''}, {'out': True})
        self.assertFalse(marked(records))


class Host:
    """One of two that may have the array, with its agent.

    :ivar legs: what md has in sync here; None: no array.
    :ivar dirty: what md's bitmap marks, in this host's memory.
    """

    def __init__(self, numbered: bool) -> None:
        self.numbered = numbered
        self.legs: set[str] | None = None
        self.dirty: set[int] = set()
        self.written = False
        self.boot = self.disk = 0
        self.records: Records = {}
        self.backup: Records = {}
        self.new = True

    @property
    def instance(self) -> str:
        return '%d-%d/%d/array' % (id(self), self.boot, self.disk
                                   ) if self.numbered else ''

    def look(self, observe: str) -> None:
        if self.legs is None:
            self.records = replica_record.detached(self.records, 1.0)
            self.new = True
            return
        self.records = look(self.records, OUT not in self.legs, self.instance,
                            self.written, self.new, observe)
        self.new = False


class Pair:
    """A volume of eight blocks that is migrated between two hosts.

    What md itself mixes is left out: both hosts lose the leg at once.

    :ivar lacks: what the leg that may leave lacks.
    :ivar disk: the bitmap on the leg that stays.
    """

    def __init__(self, numbered: bool) -> None:
        self.hosts = Host(numbered), Host(numbered)
        self.at, self.lacks = 0, set[int]()
        self.disk: set[int] = set()
        self.up = self.in_sync = True
        self.attach(0)

    def attach(self, number: int) -> None:
        host = self.hosts[number]
        host.legs = {STAYS, OUT} if self.in_sync and self.up else {STAYS}
        host.dirty, host.written = set(self.disk), False
        host.disk += 1
        if not host.numbered:
            host.new = True    # that is all its agent has to go by

    def detach(self, number: int) -> None:
        host = self.hosts[number]
        self.disk = set(host.dirty)
        host.legs = None

    def write(self, block: int) -> None:
        host = self.hosts[self.at]
        assert host.legs is not None
        host.written = True
        if OUT not in host.legs:
            host.dirty.add(block)
            self.lacks.add(block)
            self.disk = set(host.dirty)

    def drop(self) -> None:
        self.up = self.in_sync = False
        for host in self.hosts:
            if host.legs is not None:
                host.legs = {STAYS}

    def migrate(self, between: list[int], early: bool,
                awake: bool) -> None:
        """:param between: what is written while both have it.

        :param early: the leg leaves while both have it.
        :param awake: the agent of the source sees that it is detached.
        """
        source, target = self.at, 1 - self.at
        self.attach(target)
        self.hosts[target].look('')
        if early:
            self.drop()
        for block in between:
            self.write(block)
        self.at = target
        for block in between[:1]:
            self.write((block + 1) % 8)
        self.detach(source)
        self.hosts[source].new = True
        if awake:
            self.hosts[source].look('')

    def stop_and_start(self, elsewhere: bool) -> None:
        self.detach(self.at)
        self.at = 1 - self.at if elsewhere else self.at
        self.attach(self.at)

    def put_back(self) -> bool | None:
        """Return whether it was by the bitmap, None: it was not.

        :raises AssertionError: the bitmap does not mark what it lacks.
        """
        host = self.hosts[self.at]
        host.look('')
        assert host.legs is not None
        if OUT in host.legs or not self.up:
            return None
        by_bitmap = marked(host.records, host.instance)
        if by_bitmap:
            assert self.lacks <= host.dirty, (self.lacks, host.dirty)
        host.legs, self.in_sync = {STAYS, OUT}, True
        host.dirty.clear()
        self.lacks.clear()
        self.disk = set()
        return by_bitmap


STEPS = ('write', 'write', 'look', 'look', 'drop', 'up', 'up', 'put back',
         'put back', 'migrate', 'stop and start', 'restart', 'boot', 'backup',
         'restore')


def play(dice: random.Random) -> list[bool]:
    """Return of each that was put back whether it was by the bitmap."""
    pair, found = Pair(dice.random() < 0.5), []
    for _number in range(dice.randrange(40)):
        host = pair.hosts[pair.at]
        match dice.choice(STEPS):
            case 'write':
                pair.write(dice.randrange(8))
            case 'drop':
                pair.drop()
            case 'up':
                pair.up = True
            case 'look':
                host.look('')
            case 'put back':
                by_bitmap = pair.put_back()
                found += [] if by_bitmap is None else [by_bitmap]
            case 'migrate':
                pair.migrate([dice.randrange(8) for _block
                              in range(dice.randrange(4))],
                             dice.random() < 0.5, dice.random() < 0.5)
            case 'stop and start':
                pair.stop_and_start(dice.random() < 0.5)
            case 'restart':
                host.new = True
            case 'boot':
                pair.detach(pair.at)
                host.boot, host.disk, host.new = host.boot + 1, 0, True
                pair.attach(pair.at)
            case 'backup':
                host.backup = dict(host.records)
            case 'restore':
                host.records, host.new = dict(host.backup), True
    return found


class TwoHostsTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.addDetail('seed', content.text_content(str(unit.SEED)))

    def test_what_the_bitmap_lacks_is_copied_whole(self) -> None:
        seen: list[bool] = []
        for number in range(HISTORIES):
            self.addDetail('history', content.text_content(str(number)))
            seen += play(random.Random('%d, history %d' % (unit.SEED,
                                                           number)))
        # neither is the rule trivial
        self.assertEqual({True, False}, set(seen))
