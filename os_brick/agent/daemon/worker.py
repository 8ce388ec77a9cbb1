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
"""A thread that is started again when it died."""

from __future__ import annotations

from collections.abc import Callable
import logging
import threading

from os_brick.agent import log_once

LOG = logging.getLogger(__name__)


class Worker:
    """A thread, and what it runs until it is stopped.

    :param name: what it does, for the log: 'watching for changes'.
    :param body: runs until ``stopping`` is set.
    :ivar stopping: set when the thread is to end.
    """

    def __init__(self, name: str, body: Callable[[], None]) -> None:
        self._name = name
        self._body = body
        self._log_once = log_once.LogOnce()
        self._thread: threading.Thread | None = None
        self.stopping = threading.Event()

    def ensure_running(self) -> None:
        """Start the thread, also again after it died."""
        if self.stopping.is_set() or (self._thread is not None
                                      and self._thread.is_alive()):
            return
        self._thread = threading.Thread(target=self._run, name=self._name,
                                        daemon=True)
        self._thread.start()

    def stop(self, wake: Callable[[], object]) -> None:
        """End the thread and wait for it.

        :param wake: called once, after ``stopping`` is set.
        """
        self.stopping.set()
        wake()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            self._body()
        except Exception as error:
            if self._log_once.trouble(self._name, '%s: %s; it is begun again '
                                      'with the next pass' % (
                                          type(error).__name__, error)):
                LOG.debug('%s ended', self._name, exc_info=True)
        except BaseException as error:
            # of a SystemExit, say, Python itself says nothing in a thread
            self._log_once.defect(self._name, error)
