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
"""What one scan leaves to the next must never outlive what it describes."""

from __future__ import annotations

from collections.abc import Callable
import os
import tempfile
from typing import Any
from unittest import mock

from hypothesis import settings
from hypothesis import stateful
from hypothesis import strategies
from oslotest import base

from os_brick.agent.host import attributes
from os_brick.agent.host import descriptors
from os_brick.agent.host import sysfs
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.tests.unit.host import fakesys
from os_brick.agent.tests.unit.host import test_sysfs

A, B = test_sysfs.A, test_sysfs.B
C = 'cccccccc-0000-4000-8000-000000000003'


class KeptCase(test_sysfs.ScanCase):
    """Every scan of a test is by one scanner, which has seen the host."""

    def build(self) -> None:
        super().build()
        self.scanner = sysfs.Scanner(self.host.root)
        self.scanner.scan()
        self.scanner.scan()

    def scan(self) -> snapshots.HostSnapshot:
        kept = self.scanner.scan()
        self.assertEqual(sysfs.Scanner(self.host.root).scan(), kept)
        return kept

    def replace_namespace(self, uuid: str = C) -> None:
        self.host.lose_namespace('nvme1n1')
        self.host.namespace('nvme1n1', uuid, ('nvme1',))

    def replace_controller(self) -> None:
        self.host.lose_namespace('nvme1n1')
        self.host.remove('sys/class/nvme-fabrics/ctl/nvme1')
        self.host.controller('nvme1', 'nqn.2024-01.test:other', '192.0.2.9',
                             hostnqn='nqn.2024-01.test:host')
        self.host.namespace('nvme1n1', C, ('nvme1',))


class TestReplaced(KeptCase):
    """Another object has got the name."""

    def test_a_namespace(self) -> None:
        self.replace_namespace()
        self.assertEqual(C, self.namespace().uuid)
        self.assertIsNone(self.leg('nvme1n1').replica_uuid)

    def test_a_namespace_without_a_uuid(self) -> None:
        self.host.lose_namespace('nvme1n1')
        self.host.namespace('nvme1n1', None, ('nvme1',))
        self.assertIsNone(self.namespace().uuid)
        self.host.attributes('sys/class/block/nvme1n1', uuid=C)
        self.assertEqual(C, self.namespace().uuid)

    def test_a_namespace_on_another_controller(self) -> None:
        self.host.lose_namespace('nvme1n1')
        self.host.namespace('nvme1n1', A, ('nvme2',))
        self.assertEqual(('nvme2',), self.namespace().controllers)

    def test_a_namespace_that_keeps_its_name_on_another_controller(
            self) -> None:
        for controller in ('nvme1', 'nvme2', 'nvme1'):
            self.host.lose_namespace('nvme1n1')
            self.host.namespace('nvme1n1', A, (controller,), multipath=False)
            self.assertEqual((controller,), self.namespace().controllers)

    def test_a_controller_that_could_not_be_read(self) -> None:
        read = descriptors.Open.read

        def blind(self: descriptors.Open, path: str, identity: int = 0,
                  at: int | None = None) -> bytes | None:
            return None if path == 'nvme1/state' else read(
                self, path, identity, at)

        with mock.patch.object(descriptors.Open, 'read', blind):
            self.assertEqual(['nvme2n1'], [found.device for found
                                           in self.scan().namespaces])
        self.assertEqual(('nvme1',), self.namespace().controllers)

    def test_a_controller_that_is_being_connected(self) -> None:
        """Its subsystem gets known later: what stands there is no name."""
        self.host.lose_namespace('nvme1n1')
        self.host.remove('sys/class/nvme-fabrics/ctl/nvme1')
        self.host.controller('nvme1', '(efault)', state='connecting')
        self.assertEqual(('', model.Portal('192.0.2.1', 4420)),
                         (self.controller().nqn, self.controller().portal))
        self.host.attributes('sys/class/nvme-fabrics/ctl/nvme1', state='live',
                             subsysnqn='nqn.2024-01.test:nvme1')
        self.assertEqual('nqn.2024-01.test:nvme1', self.controller().nqn)

    def test_the_number_of_a_namespace(self) -> None:
        before = self.host.number('nvme1n1')
        self.host.mount(before, '/mnt')
        self.assertEqual('it is mounted on /mnt', self.namespace().in_use)
        self.replace_namespace()
        self.assertEqual('', self.namespace().in_use)
        self.host.mount(self.host.number('nvme1n1'), '/srv')
        self.assertEqual('it is mounted on /srv', self.namespace().in_use)

    def test_a_controller(self) -> None:
        self.replace_controller()
        found = self.controller()
        self.assertEqual(
            ('nqn.2024-01.test:other', 'nqn.2024-01.test:host',
             model.Portal('192.0.2.9', 4420)),
            (found.nqn, found.host_nqn, found.portal))

    def test_the_device_of_a_leg(self) -> None:
        self.host.remove('sys/class/block/md127/md/dev-nvme1n1')
        self.host.remove('sys/class/block/nvme1n1/holders/md127')
        self.assertEqual(1, len(self.array().legs))
        self.replace_namespace()
        self.host.leg('md127', 'nvme1n1', 0)
        self.host.set_leg('md127', 'nvme1n1', offset=4096)
        self.assertEqual(C, self.leg('nvme1n1').replica_uuid)
        self.assertEqual(2 * fakesys.MEBIBYTE, self.array().data_offset)

    def test_an_array_that_was_started_under_the_same_name(self) -> None:
        self.host.remove('sys/class/block/md127/md')
        for device in ('nvme1n1', 'nvme2n1'):
            self.host.remove('sys/class/block/%s/holders/md127' % device)
        self.host.remove('sys/class/block/md127')
        self.host.remove('sys/devices/virtual/block/md127')
        self.assertEqual((), self.scan().arrays)
        self.host.array('md127', ('nvme2n1',), uuid=C)
        self.assertEqual(C, self.array().uuid)
        self.assertEqual(1, len(self.array().legs))

    def test_an_array_whose_attributes_were_made_again(self) -> None:
        self.host.set_array('md127', array_state='clear')
        self.scan()
        # between two scans, and the device stays
        self.host.remove('sys/class/block/md127/md')
        for slot, device in enumerate(('nvme2n1', 'nvme1n1')):
            self.host.remove('sys/class/block/%s/holders/md127' % device)
            self.host.leg('md127', device, slot)
        self.host.set_array(
            'md127', level='raid1', raid_disks=2, degraded=0, uuid=C,
            array_state='active', sync_action='idle', component_size=512)
        self.assertEqual((C, 'active'), (self.array().uuid,
                                         self.array().array_state))
        self.assertEqual(0, self.leg('nvme2n1').slot)

    def test_a_leg_that_was_taken_out_and_added_again(self) -> None:
        self.host.remove('sys/class/block/md127/md/dev-nvme1n1')
        self.host.remove('sys/class/block/nvme1n1/holders/md127')
        self.host.leg('md127', 'nvme1n1', None, ('spare',))
        self.assertEqual((None, {'spare'}), (self.leg('nvme1n1').slot,
                                             self.leg('nvme1n1').flags))

    def test_an_array(self) -> None:
        # also the device may stay when an array is stopped
        self.host.set_array('md127', uuid=C)
        self.assertEqual(C, self.array().uuid)

    def test_the_offset_of_a_leg_without_a_slot(self) -> None:
        self.host.set_leg('md127', 'nvme1n1', slot='none', state='spare')
        self.scan()
        self.host.set_leg('md127', 'nvme1n1', offset=4096)
        self.assertEqual(2 * fakesys.MEBIBYTE, self.array().data_offset)
        self.host.set_leg('md127', 'nvme1n1', slot=0)
        self.assertEqual(2 * fakesys.MEBIBYTE, self.array().data_offset)
        self.host.set_leg('md127', 'nvme1n1', slot='none', offset=6144)
        self.assertEqual(3 * fakesys.MEBIBYTE, self.array().data_offset)
        self.host.set_leg('md127', 'nvme1n1', slot=0, offset=8192)
        self.assertEqual(4 * fakesys.MEBIBYTE, self.array().data_offset)


def open_below(root: str) -> int:
    """How many descriptors this process holds below a directory."""
    found = 0
    for number in os.listdir('/proc/self/fd'):
        try:
            found += os.readlink('/proc/self/fd/' + number).startswith(
                os.path.realpath(root) + '/')
        except OSError:
            continue
    return found


class Meddling:
    """Lets something happen to the host before a look of a scan."""

    def __init__(self, after: int, meddle: Callable[[], None]) -> None:
        self.left = after
        self._meddle = meddle

    def __enter__(self) -> None:
        self._patches = [
            mock.patch.object(attributes, name,
                              self._looking(getattr(attributes, name)))
            for name in ('read', 'names', 'identities', 'open_directory')
        ] + [mock.patch.object(descriptors.Open, 'read',
                               self._looking(descriptors.Open.read))]
        for patch in self._patches:
            patch.start()

    def __exit__(self, *_error: object) -> None:
        for patch in self._patches:
            patch.stop()

    def _looking(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def look(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left == -1:
                self._meddle()
            return real(*args, **kwargs)

        return look


class TestReplacedMeanwhile(KeptCase):
    """A snapshot is of before or of after, and no mixture."""

    def all_or_nothing(self, meddle: Callable[[], None]) -> None:
        for after in range(1000):
            before = self.scan()
            meddling = Meddling(after, meddle)
            with meddling:
                seen = self.scanner.scan()
            if meddling.left >= 0:
                self.assertGreater(after, 20)
                return
            now = sysfs.Scanner(self.host.root).scan()
            self.assertNotEqual(before, now)
            self.assertIn(seen, (before, now), 'look %d' % after)
            self.build()
        raise AssertionError('the scan never ends')

    def test_a_namespace(self) -> None:
        self.all_or_nothing(self.replace_namespace)

    def test_a_controller(self) -> None:
        self.all_or_nothing(self.replace_controller)


class Host(stateful.RuleBasedStateMachine):
    """A host that changes at random, seen by a scanner that remembers."""

    controllers = strategies.sampled_from(['nvme1', 'nvme2', 'nvme3'])
    uuids = strategies.sampled_from([A, B, C, None])

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.host = fakesys.FakeHost(self.folder.name)
        self.host.array('md127', ())
        for number, uuid in enumerate((A, B, C)):
            name = 'nvme%d' % (number + 1)
            self.connect(name, 1, 'a')
            self.appear(name, uuid, 1, True)
            self.add_leg(name, number)
        self.scanner = sysfs.Scanner(self.host.root)

    def teardown(self) -> None:
        self.folder.cleanup()

    def here(self, *parts: str) -> bool:
        return os.path.lexists(self.host.path(*parts))

    @stateful.rule(name=controllers, address=strategies.integers(1, 9),
                   nqn=strategies.sampled_from('ab'))
    def connect(self, name: str, address: int, nqn: str) -> None:
        if not self.here('sys/class/nvme-fabrics/ctl', name):
            self.host.controller(name, 'nqn.2024-01.test:' + nqn,
                                 '192.0.2.%d' % address)

    @stateful.rule(name=controllers)
    def disconnect(self, name: str) -> None:
        self.lose(name)
        if self.here('sys/class/nvme-fabrics/ctl', name):
            self.host.remove('sys/class/nvme-fabrics/ctl/' + name)

    @stateful.rule(name=controllers, uuid=uuids, size=strategies.integers(
        1, 4), multipath=strategies.booleans())
    def appear(self, name: str, uuid: str | None, size: int,
               multipath: bool) -> None:
        if (self.here('sys/class/nvme-fabrics/ctl', name)
                and not self.here('sys/class/block', name + 'n1')):
            self.host.namespace(name + 'n1', uuid, (name,),
                                size * fakesys.MEBIBYTE, multipath)

    @stateful.rule(name=controllers)
    def lose(self, name: str) -> None:
        if self.here('sys/class/block', name + 'n1'):
            self.host.lose_namespace(name + 'n1')

    @stateful.rule(name=controllers, uuid=uuids)
    def replace(self, name: str, uuid: str | None) -> None:
        self.lose(name)
        self.appear(name, uuid, 1, True)

    @stateful.rule(name=controllers, address=strategies.integers(1, 9))
    def reconnect(self, name: str, address: int) -> None:
        self.disconnect(name)
        self.connect(name, address, 'a')

    @stateful.rule(name=controllers, size=strategies.integers(1, 4))
    def resize(self, name: str, size: int) -> None:
        if self.here('sys/class/block', name + 'n1'):
            self.host.attributes('sys/class/block/%sn1' % name, size=size)

    @stateful.rule(name=controllers, state=strategies.sampled_from(
        ['live', 'connecting']), tmo=strategies.sampled_from(['off', 2]))
    def change(self, name: str, state: str, tmo: object) -> None:
        if self.here('sys/class/nvme-fabrics/ctl', name):
            self.host.set_controller(name, state=state, fast_io_fail_tmo=tmo)

    @stateful.rule(name=controllers, slot=strategies.sampled_from(
        [None, 0, 1]))
    def add_leg(self, name: str, slot: int | None) -> None:
        device = name + 'n1'
        if (self.here('sys/class/block', device) and not self.here(
                'sys/class/block/md127/md/dev-' + device)):
            self.host.leg('md127', device, slot)

    @stateful.rule(name=controllers)
    def remove_leg(self, name: str) -> None:
        device = name + 'n1'
        if self.here('sys/class/block/md127/md/dev-' + device):
            self.host.remove('sys/class/block/md127/md/dev-' + device)
        if self.here('sys/class/block', device, 'holders/md127'):
            self.host.remove('sys/class/block/%s/holders/md127' % device)

    @stateful.rule(name=controllers, state=strategies.sampled_from(
        ['in_sync', 'faulty', 'spare']), slot=strategies.sampled_from(
            ['none', 0, 1]))
    def change_leg(self, name: str, state: str, slot: object) -> None:
        if self.here('sys/class/block/md127/md/dev-%sn1' % name):
            self.host.set_leg('md127', name + 'n1', state=state, slot=slot)

    @stateful.invariant()
    def seen_as_by_a_newcomer(self) -> None:
        assert self.scanner.scan() == sysfs.Scanner(self.host.root).scan()


class TestHistories(base.BaseTestCase):

    def test_any_history(self) -> None:
        stateful.run_state_machine_as_test(
            Host, settings=settings(max_examples=50, stateful_step_count=25,
                                    deadline=None))


class TestKept(KeptCase):

    def kept(self, scanner: sysfs.Scanner) -> int:
        """How many things a scanner remembers."""
        (kept,) = scanner._idle
        todo, count = [vars(kept)], 0
        while todo:
            for one in todo.pop().values():
                if isinstance(one, dict):
                    count += len(one)
                elif hasattr(one, '__dict__'):
                    todo.append(vars(one))
        return count

    def test_what_has_gone_is_forgotten(self) -> None:
        self.replace_namespace()
        counts = set()
        for _ in range(5):
            self.replace_controller()
            self.scan()
            self.scan()
            counts.add(self.kept(self.scanner))
        (count,) = counts
        self.assertGreater(count, 10)
        for name in ('nvme1', 'nvme2'):
            self.host.lose_namespace(name + 'n1')
            self.host.remove('sys/class/nvme-fabrics/ctl/' + name)
        self.host.remove('sys/class/block/md127')
        self.scan()
        self.assertEqual(0, self.kept(self.scanner))

    def test_a_scan_within_a_scan(self) -> None:
        # as two threads may do it
        whole = self.scan()
        for after in range(1000):
            inner: list[snapshots.HostSnapshot] = []
            meddling = Meddling(after, lambda: inner.append(
                self.scanner.scan()))
            with meddling:
                self.assertEqual(whole, self.scanner.scan())
            if meddling.left >= 0:
                break
            self.assertEqual([whole], inner)
        self.assertGreater(after, 20)
        self.assertEqual(2, len(self.scanner._idle))

    def test_descriptors_are_closed_with_what_has_gone(self) -> None:
        counts = set()
        for _ in range(5):
            self.replace_controller()
            self.scanner.scan()
            counts.add(open_below(self.host.root))
        (count,) = counts
        # per controller, namespace and leg, and of the array
        self.assertEqual(2 * 2 + 2 + 2 * 3 + 7, count)
        for name in ('nvme1', 'nvme2'):
            self.host.lose_namespace(name + 'n1')
            self.host.remove('sys/class/nvme-fabrics/ctl/' + name)
        self.host.remove('sys/class/block/md127')
        self.scanner.scan()
        self.assertEqual(0, open_below(self.host.root))

    def test_a_scanner_that_goes_leaves_nothing_open(self) -> None:
        self.assertLess(0, open_below(self.host.root))
        del self.scanner
        self.assertEqual(0, open_below(self.host.root))

    def test_a_scan_within_a_scan_keeps_nothing_open(self) -> None:
        count = open_below(self.host.root)
        inner: list[snapshots.HostSnapshot] = []
        with Meddling(5, lambda: inner.append(self.scanner.scan())):
            self.scanner.scan()
        self.assertEqual(2, len(self.scanner._idle))
        for _ in range(3):
            self.scanner.scan()
            # and the one with the descriptors is used again
            self.assertIs(self.scanner._idle[-1].open,
                          max((kept.open for kept in self.scanner._idle),
                              key=lambda one: one.most))
            self.assertEqual(count, open_below(self.host.root))

    def test_a_path_that_could_not_be_seen_is_looked_at_again(self) -> None:
        readlink = os.readlink

        def blind(path: str, **kwargs: Any) -> str:
            if path.endswith('/nvme1c1n1'):
                raise OSError(19, 'No such device', path)
            return readlink(path, **kwargs)

        self.scanner = sysfs.Scanner(self.host.root)
        with mock.patch.object(os, 'readlink', blind):
            self.assertIsNone(self.scanner.scan().namespace('nvme1n1'))
        self.assertIsNotNone(self.scan().namespace('nvme1n1'))

    def test_what_has_not_changed_is_the_same_value(self) -> None:
        one, other = self.scan(), self.scan()
        self.assertIs(one, other)
        self.host.set_controller('nvme1', state='connecting')
        other = self.scan()
        self.assertNotEqual(one, other)
        self.assertIs(one.arrays[0], other.arrays[0])
        self.assertIs(one.namespaces[1], other.namespaces[1])

    def test_what_is_settled_is_read_once(self) -> None:
        read, read_again = attributes.read, descriptors.Open.read
        paths = []

        def spy(path: str, at: int | None = None) -> bytes | None:
            paths.append(path.rsplit('/', 1)[-1])
            return read(path, at)

        def spy_again(self: descriptors.Open, path: str, identity: int = 0,
                      at: int | None = None) -> bytes | None:
            paths.append(path.rsplit('/', 1)[-1])
            return read_again(self, path, identity, at)

        with mock.patch.object(attributes, 'read', spy), \
                mock.patch.object(descriptors.Open, 'read', spy_again):
            self.scanner.scan()
        self.assertEqual(set(), set(paths) & {
            'address', 'dev', 'hostnqn', 'offset', 'partition', 'subsysnqn',
            'transport'})
        # the array's
        self.assertEqual(1, paths.count('uuid'))
        self.assertLessEqual({'state', 'size', 'fast_io_fail_tmo', 'slot'},
                             set(paths))
