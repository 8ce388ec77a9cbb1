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

import os
import queue
import socket
import stat
import tempfile
import threading
from unittest import mock

import fixtures
from oslotest import base

from os_brick.agent import watch

PATIENCE = 30.0


class WatchCase(base.BaseTestCase):

    interval = 60.0

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.socket = os.path.join(self.folder, 'nudge.sock')
        self.controllers = os.path.join(self.folder, 'ctl')
        self.put('CONTROLLERS', self.controllers)
        self.put('MDSTAT', os.path.join(self.folder, 'mdstat'))
        self.woken: queue.Queue[int] = queue.Queue()
        # what the thread has seen before it waits
        self.looked = queue.Queue()  # type: ignore[var-annotated]
        states = watch._states

        def look():
            seen = states()
            self.looked.put(seen)
            return seen

        self.put('_states', look)

    def put(self, name: str, value: object) -> None:
        patch = mock.patch.object(watch, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def begin(self) -> watch.Watch:
        seen = watch.Watch(self.socket, lambda: self.interval,
                           lambda: self.woken.put(1))
        seen.ensure_running()
        self.addCleanup(seen.stop)
        self.looked.get(timeout=PATIENCE)
        return seen

    def controller(self, name: str, state: str) -> None:
        os.makedirs(os.path.join(self.controllers, name), exist_ok=True)
        path = os.path.join(self.controllers, name, 'state')
        with open(path + '.new', 'w', encoding='ascii') as attribute:
            attribute.write(state + '\n')
        os.rename(path + '.new', path)

    def assertWoken(self) -> None:
        self.woken.get(timeout=PATIENCE)


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

    def test_everybody_may_nudge(self):
        self.begin()
        self.assertEqual(0o666, stat.S_IMODE(os.stat(self.socket).st_mode))

    def test_what_a_killed_agent_left_is_replaced(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as old:
            old.bind(self.socket)
        self.begin()
        self.nudge()
        self.assertWoken()

    def test_without_a_socket_the_rest_is_watched(self):
        log = self.useFixture(fixtures.FakeLogger())
        self.socket = os.path.join(self.folder, 'missing', 'nudge.sock')
        self.interval = 0.01
        self.begin()
        self.controller('nvme1', 'live')
        self.assertWoken()
        self.assertIn(self.socket, log.output)


class TestControllers(WatchCase):

    interval = 0.01

    def test_a_change_of_state_wakes(self):
        self.controller('nvme1', 'live')
        self.begin()
        self.controller('nvme1', 'connecting')
        self.assertWoken()
        self.controller('nvme1', 'live')
        self.assertWoken()

    def test_a_new_controller_and_one_that_goes_wake(self):
        self.begin()
        self.controller('nvme1', 'live')
        self.assertWoken()
        os.unlink(os.path.join(self.controllers, 'nvme1', 'state'))
        self.assertWoken()

    def test_nothing_wakes_where_nothing_changes(self):
        self.controller('nvme1', 'live')
        self.begin()
        for _look in range(5):
            self.looked.get(timeout=PATIENCE)
        self.assertTrue(self.woken.empty())

    def test_bytes_that_are_no_text_do_no_harm(self):
        self.begin()
        self.controller('nvme1', 'live')
        self.assertWoken()
        with open(os.path.join(self.controllers, 'nvme1', 'state'),
                  'wb') as attribute:
            attribute.write(b'\xff\xfe')
        self.assertWoken()


class TestMdstat(WatchCase):

    interval = 0.01

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
        self.looked.get(timeout=PATIENCE)
        self.assertFalse(opened.is_set())
        with open(watch.MDSTAT, 'w', encoding='ascii') as mdstat:
            mdstat.write('Personalities : [raid1]\n')
        self.assertTrue(opened.wait(PATIENCE))
        self.controller('nvme1', 'live')
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
        self.addCleanup(seen._stop.set)


class TestThread(WatchCase):

    def test_a_thread_that_died_is_started_again_and_said_once(self):
        log = self.useFixture(fixtures.FakeLogger())
        seen = watch.Watch(self.socket, lambda: self.interval,
                           lambda: self.woken.put(1))
        self.addCleanup(seen.stop)
        with mock.patch.object(seen, '_loop', side_effect=ValueError('why')):
            for _time in range(3):
                seen.ensure_running()
                assert seen._thread is not None
                seen._thread.join(PATIENCE)
        self.assertEqual(1, log.output.count('ValueError: why; it is begun'))
        seen.ensure_running()
        self.looked.get(timeout=PATIENCE)
        assert seen._thread is not None
        self.assertTrue(seen._thread.is_alive())

    def test_only_one_thread(self):
        seen = self.begin()
        first = seen._thread
        seen.ensure_running()
        self.assertIs(first, seen._thread)

    def test_stopping_does_not_wait_for_the_interval(self):
        self.interval = 1e5
        seen = self.begin()
        seen.stop()
        assert seen._thread is not None
        self.assertFalse(seen._thread.is_alive())
        self.assertTrue(self.woken.empty())
        seen.stop()
