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
"""The service with a pass and a guard of the test's own."""

from __future__ import annotations

import queue
import tempfile
import threading
from unittest import mock

import fixtures
from oslo_service import backend
from oslotest import base

backend.init_backend(backend.BackendType.THREADING)

from os_brick.agent.daemon import liveness  # noqa: E402
from os_brick.agent.daemon import pace  # noqa: E402
from os_brick.agent.daemon import service  # noqa: E402
from os_brick.agent.tests.unit import small_world  # noqa: E402

PATIENCE = 30.0


class ServiceCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.log = self.useFixture(fixtures.FakeLogger())
        self.put('notify', self.note)
        self.put('notify', self.note, liveness)
        self.put('GAP', 0.0, liveness)
        self.notes: list[str] = []
        self.put('SOON', 0.01, pace)
        self.put('GAP', 0.0, pace)
        self.conf = small_world.configuration(
            run_dir=self.folder, poll_jitter=0.0, poll_interval=3600.0)
        self.passes: queue.Queue[int] = queue.Queue()
        self.cleaned: list[int] = []
        self.stopping = threading.Event()

    def put(self, name: str, value: object, where: object = service) -> None:
        patch = mock.patch.object(where, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def note(self, message: str) -> None:
        self.notes.append(message)

    def one_pass(self) -> None:
        self.passes.put(1)
        return None

    def agent(self, run_pass=None, clean_up=None) -> service.AgentService:
        self.guard = mock.Mock(pressed=False)
        self.guard.stop = clean_up or (lambda: self.cleaned.append(1))
        return service.AgentService(
            self.conf, run_pass or self.one_pass, self.guard, self.stopping)

    def begin(self, run_pass=None, clean_up=None) -> service.AgentService:
        agent = self.agent(run_pass, clean_up)
        agent.start()
        self.addCleanup(self.end, agent)
        return agent

    def end(self, agent: service.AgentService) -> None:
        if not self.stopping.is_set():
            agent.stop()
            agent.wait()

    def wait_for_a_pass(self) -> None:
        self.passes.get(timeout=PATIENCE)
