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
"""The body of an HTTP answer: it ends in time, is whole, and not too large.

urllib3 2 returns what has come, and tells of a body that is cut off.  1.26,
which the constraints of older releases have, does neither: it waits for all of
a piece, a byte at a time and each within the time-out.
"""

from __future__ import annotations

import requests
from urllib3 import exceptions as urllib3_exceptions

from os_brick.agent.vendors import heads

_PIECE = 65536


class TooLarge(Exception):
    """There is more of it than is read."""


def read(response: requests.Response, most: int, seconds: float) -> bytes:
    """Read the body of an answer to a session that ``heads.bound`` has.

    :param response: that was asked for with ``stream=True``.
    :param most: bytes.
    :param seconds: within which it has to end.
    :raises TooLarge: it is larger.
    :raises TimeoutError: it did not end in time.
    :raises ConnectionResetError: it was cut off; what else urllib3 raises for
        a connection that is lost may come, too.
    """
    raw, body = response.raw, bytearray()
    piece = getattr(raw, 'read1', raw.read)
    with heads.ending(raw, seconds) as late:
        try:
            while found := piece(_PIECE):
                body += found
                if len(body) > most:
                    raise TooLarge
        except (OSError, urllib3_exceptions.HTTPError) as error:
            if not late.is_set():
                raise
            raise TimeoutError('timed out') from error
    if late.is_set():
        # what is cut off for that may look like its end
        raise TimeoutError('timed out')
    if getattr(raw, 'length_remaining', None):
        raise ConnectionResetError('the body of the answer was cut off')
    return bytes(body)
