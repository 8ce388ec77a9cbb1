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
"""Where the tests of the lab spend their time: a sample every moment.

A sample is the lines of the tests that the main thread is in, the test's own
first.  What it calls beside them counts for the line that calls it.
"""

from __future__ import annotations

import collections
import csv
import pathlib
import sys
import threading
import time
import types

#: Seconds between two samples.
PERIOD = 0.25
#: Part of the paths of those files whose lines count.
TESTS = '/os_brick/agent/tests/functional/'


def lines(frame: types.FrameType | None) -> tuple[str, ...]:
    """Return the tests' lines that a thread is in, as 'file:number'."""
    found: list[str] = []
    while frame is not None:
        _before, here, name = frame.f_code.co_filename.partition(TESTS)
        if here:
            # between two lines it has none
            found.append('%s:%d' % (name, frame.f_lineno
                                    or frame.f_code.co_firstlineno))
        frame = frame.f_back
    return tuple(reversed(found))


class Places:
    """Samples one thread, which is that of the caller.

    :ivar test: whom samples count for; '' for nobody.
    """

    def __init__(self) -> None:
        self.test = ''
        self._thread = threading.get_ident()
        self._seconds: dict[tuple[str, tuple[str, ...]], float] = (
            collections.defaultdict(float))
        self._end = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def start(self) -> None:
        self._sampler.start()

    def _sample(self) -> None:
        before = time.monotonic()
        while not self._end.wait(PERIOD):
            now = time.monotonic()
            test = self.test
            if test:
                self._seconds[test, lines(sys._current_frames().get(
                    self._thread))] += now - before
            before = now

    def stop(self, file: pathlib.Path) -> None:
        """Write test, seconds, lines; what took longest first."""
        self._end.set()
        self._sampler.join()
        with file.open('w', encoding='utf-8', newline='') as output:
            writer = csv.writer(output)
            writer.writerow(['test', 'seconds', 'lines'])
            for (test, places), seconds in sorted(
                    self._seconds.items(), key=lambda one: -one[1]):
                writer.writerow([test, '%.1f' % seconds, ' '.join(places)])
