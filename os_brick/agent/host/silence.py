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
"""For how long portals have left unacknowledged what this host sends them.

Read off /proc/net/tcp and tcp6, where the kernel's own NVMe/TCP connections
are listed like any other and to which no privilege is needed.  For RDMA there
is no such witness: a silent target is then found by the keep-alive alone.
Sources: Documentation/networking/proc_net_tcp.rst; net/ipv4/tcp_ipv4.c,
get_tcp4_sock; net/ipv4/tcp_timer.c, tcp_retransmit_timer.
"""

from __future__ import annotations

import ipaddress
import os
import sys

from os_brick.agent.host import attributes
from os_brick.agent import model

_ESTABLISHED = _RETRANSMITTING = '01'
#: The kernel's tables count time in these, whatever its own tick is.
_TICKS = os.sysconf('SC_CLK_TCK')


def unanswered(root: str = '/') -> dict[model.Portal, float]:
    """Return the remote ends that have not answered a retransmission.

    :returns: portal -> seconds since the oldest of what it has not
        acknowledged was first sent, or less; of several connections to one
        portal the longest.
    """
    found: dict[model.Portal, float] = {}
    for table in ('tcp', 'tcp6'):
        try:
            with open(os.path.join(root, 'proc/net', table),
                      encoding='ascii', errors='replace') as lines:
                next(lines, None)
                for line in lines:
                    silent = _silent_end(line.split())
                    if silent is not None:
                        portal, seconds = silent
                        found[portal] = max(seconds,
                                            found.get(portal, 0.0))
        except OSError as error:
            attributes.absent(error)
    return found


def _silent_end(fields: list[str]) -> tuple[model.Portal, float] | None:
    """The remote end, where it is one that does not answer.

    Field 6 counts the retransmissions since the last acknowledgement.
    """
    if len(fields) < 13 or fields[3] != _ESTABLISHED:
        return None
    timer, _, left = fields[5].partition(':')
    if timer != _RETRANSMITTING or not fields[6].strip('0'):
        return None
    address, _, port = fields[2].partition(':')
    try:
        return (model.Portal(_address(address), int(port, 16)),
                _elapsed(int(fields[6], 16), int(fields[12]),
                         int(left, 16)))
    except ValueError:
        return None


def _elapsed(retransmissions: int, timeout: int, left: int) -> float:
    """Seconds since what is unacknowledged was first sent, or less.

    The retransmission time-out has doubled each time: its first values add
    up to what it is now less what it was at first.
    """
    before = timeout - (timeout >> retransmissions)
    return (before + timeout - min(left, timeout)) / _TICKS


def _address(text: str) -> str:
    """Parse 32-bit words in the byte order of this machine."""
    words = [bytes.fromhex(text[start:start + 8])
             for start in range(0, len(text), 8)]
    if sys.byteorder == 'little':
        words = [word[::-1] for word in words]
    address = ipaddress.ip_address(b''.join(words))
    mapped = getattr(address, 'ipv4_mapped', None)
    return str(mapped or address)
