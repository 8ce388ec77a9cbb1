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
"""The base class of every test that runs in the lab."""

from __future__ import annotations

import logging
import os
import pathlib
from typing import Any
from typing import Callable
from typing import TypeVar

from oslotest import base

from os_brick.agent.tests.functional.lab import evidence
from os_brick.agent.tests.functional.lab import forked
from os_brick.agent.tests.functional.lab import session as session_lib

LOG = logging.getLogger(__name__)

DIRECTORY = pathlib.Path('/run/nvme-agent-lab')
Method = TypeVar('Method', bound=Callable[..., None])


def by_console_script(method: Method) -> Method:
    """Let a test's agents be executed as an operator's are, never forked."""
    setattr(method, 'by_console_script', True)
    return method


class LabTestCase(base.BaseTestCase):
    """A test with a session of its own, and evidence kept when it fails.

    :ivar session: targets, volumes, writers and agents of this test.
    """

    session: session_lib.Session

    def setUp(self) -> None:
        super().setUp()
        if os.environ.get('LAB') != '1':
            self.skipTest('needs the lab: run tools/lab.sh run')
        # Class and method, without the package: a folder's name.
        self.name = '.'.join(self.id().split('.')[-2:])
        self._log_path = DIRECTORY / 'test.log'
        self._keep_log()
        self.addOnException(self._keep_evidence)
        evidence.mark('begin %s' % self.name)
        method = getattr(self, self._testMethodName)
        executed = getattr(method, 'by_console_script', False)
        self.session = session_lib.Session(
            fork=forked.wanted() and not executed)
        self.addCleanup(self._close)

    @property
    def rack(self) -> Any:
        """The targets."""
        return self.session.rack

    def _keep_log(self) -> None:
        DIRECTORY.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(self._log_path, mode='w')
        handler.setFormatter(logging.Formatter(
            '%(asctime)s.%(msecs)03d %(levelname)s %(name)s %(message)s',
            datefmt='%H:%M:%S'))
        root = logging.getLogger()
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        self.addCleanup(handler.close)
        self.addCleanup(root.removeHandler, handler)

    def _keep_evidence(self, exc_info: Any) -> None:
        if issubclass(exc_info[0], self.skipException):
            return
        LOG.error('%s failed', self.name, exc_info=exc_info)
        session = getattr(self, 'session', None)
        folder = evidence.collect(
            self.name, [self._log_path, *(session.logs() if session else [])])
        LOG.info('evidence is in %s', folder)

    def _close(self) -> None:
        LOG.info('cleaning up')
        self.session.close()
