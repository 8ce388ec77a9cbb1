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
"""What wakes the service: a datagram, a controller, and nothing else."""

from __future__ import annotations

import grp
import os
import queue
import socket
import tempfile
import threading
import time
from unittest import mock

import fixtures
from oslotest import base

from os_brick.agent.daemon import watch

PATIENCE = 30.0


class WatchCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.socket = os.path.join(self.folder, 'nudge.sock')
        self.put('MDSTAT', os.path.join(self.folder, 'mdstat'))
        self.put('AGAIN', 0.01)
        # uevents of this machine are not the test's
        self.uevents = Uevents()
        self.addCleanup(self.uevents.close)
        self.put('_uevents', lambda: self.uevents)
        self.woken: queue.Queue[int] = queue.Queue()
        self.waiting = threading.Event()
        loop = watch.Watch._loop

        def begun(*arguments):
            self.waiting.set()
            loop(*arguments)

        patch = mock.patch.object(watch.Watch, '_loop', begun)
        patch.start()
        self.addCleanup(patch.stop)

    def put(self, name: str, value: object) -> None:
        patch = mock.patch.object(watch, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def begin(self) -> watch.Watch:
        seen = watch.Watch(self.socket, lambda: self.woken.put(1))
        seen.ensure_running()
        self.addCleanup(seen.stop)
        self.assertTrue(self.waiting.wait(PATIENCE))
        return seen

    def assertWoken(self) -> None:
        self.woken.get(timeout=PATIENCE)


class TestNudges(WatchCase):

    def nudge(self, count: int = 1) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hook:
            hook.setblocking(False)
            for _number in range(count):
                try:
                    hook.sendto(b'attached', self.socket)
                except BlockingIOError:
                    return

    def test_a_flood_of_nudges_wakes_once_in_each_gap(self):
        self.put('NUDGE_GAP', 30.0)
        self.begin()
        for _number in range(20):
            self.nudge(20)
            time.sleep(0.01)
        self.assertWoken()
        time.sleep(0.1)
        self.assertEqual(0, self.woken.qsize())
        # what the kernel tells is followed all the same
        self.uevents.send('md127')
        self.assertWoken()

    def test_a_nudge_within_the_gap_is_not_lost(self):
        self.put('NUDGE_GAP', 0.2)
        self.begin()
        for _number in range(3):
            self.nudge()
            self.assertWoken()

    def test_the_socket_is_open_to_its_group_alone(self):
        self.begin()
        self.assertEqual(0o660, os.stat(self.socket).st_mode & 0o777)

    def test_the_group_is_the_operators(self):
        with mock.patch.object(watch.os, 'chown') as chown:
            seen = watch.Watch(self.socket, lambda: None,
                               grp.getgrgid(0).gr_name)
            self.addCleanup(seen.stop)
            seen.ensure_running()
            self.assertTrue(self.waiting.wait(PATIENCE))
        chown.assert_called_once_with(self.socket, -1, 0)

    def test_a_group_that_cannot_be_used_is_said(self):
        log = self.useFixture(fixtures.FakeLogger())
        seen = watch.Watch(self.socket, lambda: None, 'no-such-group')
        self.addCleanup(seen.stop)
        seen.ensure_running()
        self.assertTrue(self.waiting.wait(PATIENCE))
        self.assertIn('nudge_group', log.output)
        self.assertEqual(0o660, os.stat(self.socket).st_mode & 0o777)


class Uevents:
    """Stands in for pyudev's monitor; ``send`` is the kernel."""

    def __init__(self) -> None:
        self._ours, self._kernels = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ours.setblocking(False)

    def fileno(self) -> int:
        return self._ours.fileno()

    def send(self, name: str) -> None:
        self._kernels.send(name.encode())

    def poll(self, timeout: float) -> mock.Mock | None:
        try:
            return mock.Mock(sys_name=self._ours.recv(64).decode())
        except BlockingIOError:
            return None

    def close(self) -> None:
        self._ours.close()
        self._kernels.close()


class TestUevents(WatchCase):

    def test_an_nvme_or_md_device_wakes(self):
        self.begin()
        for name in ('nvme1', 'nvme1n1', 'md127'):
            self.uevents.send(name)
            self.assertWoken()

    def test_a_device_of_another_kind_does_not(self):
        seen = self.begin()
        for _number in range(5):
            self.uevents.send('sda')
        self.uevents.send('md127')
        self.assertWoken()
        seen.stop()
        # at most one more: the burst may have been taken in in two parts
        self.assertLessEqual(self.woken.qsize(), 0)

    def test_a_kernel_that_tells_nothing_is_survived(self):
        self.put('_uevents', lambda: None)
        self.begin()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hook:
            hook.sendto(b'attached', self.socket)
        self.assertWoken()


class TestMonitor(base.BaseTestCase):

    def test_no_netlink_is_said(self):
        log = self.useFixture(fixtures.FakeLogger())
        with mock.patch.object(watch.pyudev.Monitor, 'from_netlink',
                               side_effect=OSError('not permitted')):
            self.assertIsNone(watch._uevents())
        self.assertIn('not permitted', log.output)


class TestDatagram(WatchCase):

    def nudge(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hook:
            hook.sendto(b'attached\n', self.socket)

    def test_an_attachment_wakes(self):
        self.begin()
        self.nudge()
        self.assertWoken()

    def test_many_attachments_at_once_are_taken_in_at_once(self):
        self.begin()
        for _number in range(5):
            self.nudge()
        self.assertWoken()
        self.nudge()
        self.assertWoken()

    def test_what_a_killed_agent_left_is_replaced(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as old:
            old.bind(self.socket)
        self.begin()
        self.nudge()
        self.assertWoken()

    def test_without_a_socket_the_rest_is_watched(self):
        log = self.useFixture(fixtures.FakeLogger())
        self.socket = os.path.join(self.folder, 'missing', 'nudge.sock')
        self.begin()
        self.uevents.send('nvme1')
        self.assertWoken()
        self.assertIn(self.socket, log.output)


class TestMdstat(WatchCase):

    def test_its_absence_is_survived_and_its_coming_noticed(self):
        opened = threading.Event()
        real = watch._open_mdstat

        def notice():
            mdstat = real()
            if mdstat is not None:
                opened.set()
            return mdstat

        self.put('_open_mdstat', notice)
        self.begin()
        self.assertFalse(opened.is_set())
        with open(watch.MDSTAT, 'w', encoding='ascii') as mdstat:
            mdstat.write('Personalities : [raid1]\n')
        self.assertTrue(opened.wait(PATIENCE))
        self.uevents.send('nvme1')
        self.assertWoken()

    def test_an_array_that_changes_wakes(self):
        """The kernel reports POLLPRI on it; no file of a test's does."""
        with open(watch.MDSTAT, 'w', encoding='ascii') as mdstat:
            mdstat.write('Personalities : [raid1]\n')
        changed = threading.Event()
        asked: dict[int, int] = {}

        class Poller:
            def register(self, stream, events):
                asked[stream.fileno()] = events

            def poll(self, _milliseconds):
                changed.wait(PATIENCE)
                changed.clear()
                return [(number, events) for number, events in asked.items()
                        if events & watch.select.POLLPRI]

        self.put('select', mock.Mock(wraps=watch.select, poll=Poller,
                                     POLLPRI=watch.select.POLLPRI,
                                     POLLERR=watch.select.POLLERR,
                                     POLLIN=watch.select.POLLIN))
        seen = self.begin()
        changed.set()
        self.assertWoken()
        # stop() rings a bell that this poller does not hear
        self.addCleanup(changed.set)
        self.addCleanup(seen._worker.stopping.set)


class TestThread(WatchCase):

    def test_a_thread_that_died_is_started_again_and_said_once(self):
        log = self.useFixture(fixtures.FakeLogger())
        seen = watch.Watch(self.socket, lambda: self.woken.put(1))
        self.addCleanup(seen.stop)
        worker = seen._worker
        with mock.patch.object(seen, '_loop', side_effect=ValueError('why')):
            for _time in range(3):
                seen.ensure_running()
                assert worker._thread is not None
                worker._thread.join(PATIENCE)
        self.assertEqual(1, log.output.count('ValueError: why; it is begun'))
        seen.ensure_running()
        self.assertTrue(self.waiting.wait(PATIENCE))
        self.assertTrue(worker._thread.is_alive())

    def test_only_one_thread(self):
        seen = self.begin()
        first = seen._worker._thread
        seen.ensure_running()
        self.assertIs(first, seen._worker._thread)

    def test_stopping_waits_for_nothing(self):
        seen = self.begin()
        seen.stop()
        assert seen._worker._thread is not None
        self.assertFalse(seen._worker._thread.is_alive())
        self.assertTrue(self.woken.empty())
        seen.stop()
