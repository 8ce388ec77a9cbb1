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
"""What can go wrong on the way to the double, asked for one at a time."""

from __future__ import annotations

import dataclasses
import re
import threading

KINDS = {
    'delay': 'answer only after that many seconds',
    'drop': 'close the connection instead of carrying the call out',
    'drop_after': 'carry the call out, then close the connection',
    'error500': 'HTTP 500 without JSON',
    'html': 'HTTP 200 with HTML',
    'truncated': 'half of the JSON',
    'short': 'fewer bytes than announced',
    'trickle': 'a list that never ends, a byte at a time',
    'huge': 'a list that goes on for that many bytes',
    'redirect': 'HTTP 302 to that address',
    'unauthorized': 'HTTP 401',
    'forbidden': 'HTTP 403',
    'status401': 'HTTP 200 whose text says Status 401',
    'empty': 'an empty list',
    'refusal': 'that status word, and nothing is done',
    'body': 'HTTP 200 with that text',
    'gateway400': 'HTTP 400 with that text, of something on the way',
    'gateway404': 'HTTP 404 with that text, of something on the way',
}

_ANSWERS = {
    'error500': (500, '<html>Internal error</html>'),
    'html': (200, '<html><body>Log in</body></html>'),
    'redirect': (302, ''),
    'unauthorized': (401, 'expired'),
    'forbidden': (403, 'denied'),
    'status401': (200, '<html>HTTP Status 401 - Unauthorized</html>'),
    'refusal': (200, '{"status": "{value}", '
                '"description": "refused on request"}'),
    'body': (200, '{value}'),
    'gateway400': (400, '{value}'),
    'gateway404': (404, '{value}'),
}


@dataclasses.dataclass
class Fault:
    """What is to be done to requests instead of answering them.

    :ivar path: regular expression that the path has to match.
    :ivar count: requests that are spoilt; None: all.
    :ivar value: what the kind needs: seconds, bytes, an address, a text.
    :ivar server: only on the address of that index.
    """

    kind: str
    path: str = ''
    method: str = ''
    count: int | None = 1
    value: str = ''
    server: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError('there is no fault %r; there are: %s' % (
                self.kind, ', '.join(sorted(KINDS))))
        re.compile(self.path)

    @property
    def instead(self) -> bool:
        """The call is not carried out."""
        return (self.kind in _ANSWERS
                or self.kind in ('drop', 'huge', 'trickle'))

    def answer(self) -> tuple[int, bytes]:
        """Return HTTP status and body of what is sent instead."""
        status, body = _ANSWERS.get(self.kind, (200, ''))
        return status, body.replace('{value}', self.value).encode()


class Faults:
    """The faults that wait for a request; the first that fits strikes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()

    def strike(self, method: str, path: str, server: int) -> Fault | None:
        with self._lock:
            for fault in self._waiting:
                if (fault.method not in ('', method)
                        or fault.server not in (None, server)
                        or not re.search(fault.path, path)):
                    continue
                if fault.count is not None:
                    fault.count -= 1
                    if fault.count <= 0:
                        self._waiting.remove(fault)
                return fault
        return None
