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
"""Which portals leave unacknowledged what this host sends them.

Read off /proc/net/tcp and tcp6, where the kernel's own NVMe/TCP connections
are listed like any other and to which no privilege is needed.  For RDMA there
is no such witness: a silent target is then found by the keep-alive alone.
Source: Documentation/networking/proc_net_tcp.rst.
"""

from __future__ import annotations

import ipaddress
import os
import sys

from os_brick.agent import model

_ESTABLISHED = '01'


def unanswered(root: str = '/') -> frozenset[model.Portal]:
    """Return the remote ends that have not answered a retransmission."""
    found = set()
    for table in ('tcp', 'tcp6'):
        try:
            with open(os.path.join(root, 'proc/net', table),
                      encoding='ascii', errors='replace') as lines:
                next(lines, None)
                for line in lines:
                    portal = _silent_end(line.split())
                    if portal is not None:
                        found.add(portal)
        except OSError:
            continue
    return frozenset(found)


def _silent_end(fields: list[str]) -> model.Portal | None:
    """The remote end, where it is one that does not answer.

    Field 6 counts the retransmissions since the last acknowledgement.
    """
    if len(fields) < 7 or fields[3] != _ESTABLISHED:
        return None
    if not fields[6].strip('0'):
        return None
    address, _, port = fields[2].partition(':')
    try:
        return model.Portal(_address(address), int(port, 16))
    except ValueError:
        return None


def _address(text: str) -> str:
    """Parse 32-bit words in the byte order of this machine."""
    words = [bytes.fromhex(text[start:start + 8])
             for start in range(0, len(text), 8)]
    if sys.byteorder == 'little':
        words = [word[::-1] for word in words]
    address = ipaddress.ip_address(b''.join(words))
    mapped = getattr(address, 'ipv4_mapped', None)
    return str(mapped or address)
