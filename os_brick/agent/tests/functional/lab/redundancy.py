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
"""Whether an array was ever degraded while something was done to it."""

from __future__ import annotations

import pathlib
import select
import threading

from os_brick.agent.tests.functional.lab import host

#: Milliseconds; md announces each change as well, to whoever polls.
INTERVAL = 20


class Watch(threading.Thread):
    """Reads md's ``degraded`` again and again until it is stopped.

    :ivar worst: the most legs that were ever missing.
    :ivar samples: how often that was looked at.
    """

    def __init__(self, alias: str) -> None:
        super().__init__(daemon=True)
        name = (pathlib.Path('/dev/md') / alias).resolve().name
        self._path = host.BLOCK / name / 'md' / 'degraded'
        self._done = threading.Event()
        self.worst = 0
        self.samples = 0

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._done.set()
        self.join()

    def run(self) -> None:
        """Look; an array that vanishes is looked at no more."""
        poller = select.poll()
        with self._path.open('rb', buffering=0) as attribute:
            poller.register(attribute, select.POLLPRI | select.POLLERR)
            while not self._done.is_set():
                try:
                    attribute.seek(0)
                    self.worst = max(self.worst, int(attribute.read()))
                except OSError:
                    return   # the array is gone
                self.samples += 1
                poller.poll(INTERVAL)
