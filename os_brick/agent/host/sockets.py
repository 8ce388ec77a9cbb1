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
"""Ending the TCP connections of the kernel's own NVMe initiator.

By sock_diag(7): SOCK_DESTROY ends a connection with ECONNABORTED, as a reset
of its far end would, and sends a reset there.  It needs CAP_NET_ADMIN and a
kernel with CONFIG_INET_DIAG_DESTROY.  Structures: linux/inet_diag.h.

An initiator in user space may be connected to the same portal, and its
connections look like the kernel's (S4).  Two things tell: the kernel's are
root's, whoever needs them, and there is one for each queue of a controller
that is live.
"""

from __future__ import annotations

from collections.abc import Iterator
import errno
import ipaddress
import os
import socket
import struct

_SOCK_DIAG, _BY_FAMILY, _DESTROY = 4, 20, 21
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_ESTABLISHED = 1 << 1
# struct nlmsghdr; inet_diag_req_v2 up to its id; inet_diag_msg up to its id
# and what follows that: timer, queues, owner, inode
_HEADER = struct.Struct('=IHHII')
_ASKED = struct.Struct('=BBBxI')
_SAID = struct.Struct('=BBBB')
_MORE = struct.Struct('=IIIII')
# struct inet_diag_sockid, as far as it is looked at: ports and addresses, and
# the interface that it is bound to, as a link-local address is
_ENDS = struct.Struct('!HH16s16s')
_BOUND = struct.Struct('=36xI')
_ID = 48
#: Seconds.
PATIENCE = 1.0
_ROOT = 0


class NotOnlyOurs(Exception):
    """Some connections to a portal may be a program's, and none shows it."""


def close(address: str, port: int, queues: int) -> int:
    """End the kernel's connections to a portal; return how many there were.

    :param queues: how many the kernel's live controllers have to it.
    :raises NotOnlyOurs: there are more; none was ended.
    :raises OSError: the kernel refused it, or cannot do it.
    """
    plain, _percent, zone = address.partition('%')
    far = ipaddress.ip_address(plain)
    link = _link(zone) if zone else 0
    if isinstance(far, ipaddress.IPv4Address):
        # a connection may have been made to it as one mapped into IPv6
        ends = [(socket.AF_INET, far.packed),
                (socket.AF_INET6, bytes(10) + b'\xff\xff' + far.packed)]
    else:
        ends = [(socket.AF_INET6, far.packed)]
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW,
                       _SOCK_DIAG) as kernel:
        kernel.settimeout(PATIENCE)
        kernel.bind((0, 0))
        found = [(family, one) for family, packed in ends
                 for one, owner in _connections(kernel, family)
                 if _far_end(one, len(packed)) == (packed, port)
                 and (not link or _BOUND.unpack_from(one)[0] == link)
                 and owner == _ROOT]
        if len(found) > queues:
            raise NotOnlyOurs(
                'root has %d TCP connections to it, and the kernel\'s live '
                'NVMe controllers have %d queues there: the others may be a '
                'program\'s, and none is closed' % (len(found), queues))
        return sum(_end(kernel, family, one) for family, one in found)


def _link(zone: str) -> int:
    """Return the index of a link that is named, or given by its index.

    In this order, as the kernel has it (net/core/utils.c, inet6_pton).

    :raises OSError: there is no such link.
    """
    try:
        return socket.if_nametoindex(zone)
    except OSError:
        if not zone.isdecimal():
            raise
        return int(zone)


def _far_end(connection: bytes, length: int) -> tuple[bytes, int]:
    _near_port, port, _near, address = _ENDS.unpack_from(connection)
    return address[:length], port


def _connections(kernel: socket.socket,
                 family: int) -> list[tuple[bytes, int]]:
    """Return id and owner of every TCP connection of a family."""
    _send(kernel, _BY_FAMILY, _REQUEST | _DUMP, family, bytes(_ID))
    found: list[tuple[bytes, int]] = []
    while True:
        for kind, body in _messages(kernel):
            if kind == _DONE:
                return found
            _check(kind, body)
            end = _SAID.size + _ID
            owner = _MORE.unpack_from(body, end)[3]
            found.append((body[_SAID.size:end], owner))


def _end(kernel: socket.socket, family: int, connection: bytes) -> int:
    _send(kernel, _DESTROY, _REQUEST | _ACK, family, connection)
    for kind, body in _messages(kernel):
        try:
            _check(kind, body)
        except FileNotFoundError:
            return 0    # it has ended by itself
    return 1


def _send(kernel: socket.socket, kind: int, flags: int, family: int,
          connection: bytes) -> None:
    body = _ASKED.pack(family, socket.IPPROTO_TCP, 0,
                       _ESTABLISHED) + connection
    kernel.sendto(_HEADER.pack(_HEADER.size + len(body), kind, flags, 1, 0)
                  + body, (0, 0))


def _messages(kernel: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Yield type and body of what one read brings."""
    received = kernel.recv(1 << 16)
    while len(received) >= _HEADER.size:
        length, kind, _flags, _number, _port = _HEADER.unpack_from(received)
        if length < _HEADER.size:
            raise OSError(errno.EBADMSG, os.strerror(errno.EBADMSG))
        yield kind, received[_HEADER.size:length]
        received = received[(length + 3) & ~3:]


def _check(kind: int, body: bytes) -> None:
    """:raises OSError: what the kernel answers is an error."""
    if kind == _ERROR:
        (code,) = struct.unpack_from('=i', body)
        if code:
            raise OSError(-code, os.strerror(-code))
