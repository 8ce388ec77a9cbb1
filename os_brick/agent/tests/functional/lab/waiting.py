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
"""Wait for a condition, and say what the host looked like when it never came.

Limits are generous: they bound a hang and are no expectation of speed.
"""

from __future__ import annotations

from collections.abc import Callable
import pathlib
import time
from typing import TypeVar

Answer = TypeVar('Answer')

#: Seconds.  An emulated processor that shares its host may be very slow.
LIMIT = 120.0


class TimedOut(Exception):
    """A condition did not become true in time."""


def wait_until(condition: Callable[[], Answer | None], what: str,
               limit: float = LIMIT, interval: float = 0.1) -> Answer:
    """Return the first true answer of a condition.

    :param what: the end of the sentence 'waited N s until ...'.
    :param limit: seconds.
    :param interval: seconds between two looks.
    :raises TimedOut: naming ``what``, with the last answer and /proc/mdstat.
    """
    end = time.monotonic() + limit
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise TimedOut('waited %d s in vain until %s; last answer: %r\n'
                           '/proc/mdstat:\n%s' % (limit, what, answer,
                                                  _mdstat()))
        time.sleep(interval)


def _mdstat() -> str:
    try:
        return pathlib.Path('/proc/mdstat').read_text()
    except OSError as problem:
        return str(problem)
