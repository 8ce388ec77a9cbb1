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
"""Whose TCP connections are ended (S4)."""

import errno
import ipaddress
import os
import socket
import struct
import unittest
from unittest import mock

from oslotest import base

from os_brick.agent.host import sockets

PATIENCE = 30.0
PORTAL, OTHER = '192.0.2.1', '192.0.2.2'
ROOT, QEMU = 0, 64055


def connection(address, port, near, owner, link=0):
    """What inet_diag says of one, see linux/inet_diag.h."""
    far = ipaddress.ip_address(address).packed
    return (struct.pack('=BBBB', 0, 1, 0, 0)
            + struct.pack('!HH16s16s', near, port, bytes(16), far)
            + struct.pack('=III', link, 7, 9)
            + struct.pack('=IIIII', 0, 0, 0, owner, 4711))


class Kernel:
    """The far end of a netlink socket."""

    def __init__(self, ipv4=(), ipv6=()):
        self.connections = {socket.AF_INET: ipv4, socket.AF_INET6: ipv6}
        self.answers = []
        self.ended = []

    def __enter__(self):
        return self

    def __exit__(self, *_args):
        pass

    def settimeout(self, _seconds):
        pass

    def bind(self, _address):
        pass

    def sendto(self, request, _address):
        _length, kind, *_rest = struct.unpack_from('=IHHII', request)
        if kind == 20:
            self.answers.append(b''.join(
                self._message(20, one)
                for one in self.connections[request[16]])
                + self._message(3, bytes(4)))
            return
        (near,) = struct.unpack_from('!H', request, 24)
        self.ended.append(near)
        self.answers.append(self._message(2, struct.pack(
            '=i', -errno.ENOENT if near == 1 else 0)))

    def recv(self, _most):
        return self.answers.pop(0)

    def _message(self, kind, body):
        whole = struct.pack('=IHHII', 16 + len(body), kind, 0, 1, 0) + body
        return whole.ljust((len(whole) + 3) & ~3, b'\0')


class TestSockets(base.BaseTestCase):

    def close(self, kernel, queues, address=PORTAL):
        with mock.patch.object(socket, 'socket', return_value=kernel):
            return sockets.close(address, 4420, queues)

    def test_the_kernels_own(self):
        kernel = Kernel([connection(PORTAL, 4420, 10, ROOT),
                         connection(PORTAL, 4421, 11, ROOT),
                         connection(OTHER, 4420, 12, ROOT),
                         connection(PORTAL, 4420, 13, ROOT)],
                        [connection('::ffff:' + PORTAL, 4420, 14, ROOT)])
        self.assertEqual(3, self.close(kernel, 3))
        self.assertEqual([10, 13, 14], kernel.ended)

    def test_one_that_has_ended_by_itself_is_not_counted(self):
        kernel = Kernel([connection(PORTAL, 4420, 1, ROOT),
                         connection(PORTAL, 4420, 2, ROOT)])
        self.assertEqual(1, self.close(kernel, 2))

    def test_s4_what_is_another_users_stays(self):
        kernel = Kernel([connection(PORTAL, 4420, 10, ROOT),
                         connection(PORTAL, 4420, 11, QEMU)])
        self.assertEqual(1, self.close(kernel, 1))
        self.assertEqual([10], kernel.ended)

    def test_s4_more_of_roots_than_the_kernel_has_queues(self):
        kernel = Kernel([connection(PORTAL, 4420, near, ROOT)
                         for near in range(10, 14)])
        error = self.assertRaises(sockets.NotOnlyOurs, self.close, kernel, 3)
        self.assertIn('4 TCP connections', str(error))
        self.assertIn('3 queues', str(error))
        self.assertEqual([], kernel.ended)

    def test_ipv6(self):
        kernel = Kernel([connection(PORTAL, 4420, 10, ROOT)],
                        [connection('2001:db8::1', 4420, 11, ROOT)])
        self.assertEqual(1, self.close(kernel, 1, '2001:db8::1'))
        self.assertEqual([11], kernel.ended)

    def test_a_link_local_address_on_two_links(self):
        link = socket.if_nametoindex('lo')
        kernel = Kernel(ipv6=[
            connection('fe80::1', 4420, 10, ROOT, link),
            connection('fe80::1', 4420, 11, ROOT, link + 1)])
        for zone in ('lo', str(link)):
            kernel.ended.clear()
            self.assertEqual(1, self.close(kernel, 1, 'fe80::1%' + zone))
            self.assertEqual([10], kernel.ended)

    def test_a_link_that_has_gone(self):
        self.assertRaises(OSError, sockets.close, 'fe80::1%none', 4420, 1)

    def test_what_the_real_kernel_says_of_a_connection(self):
        listener = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(listener.close)
        port = listener.getsockname()[1]
        client = socket.create_connection(('127.0.0.1', port))
        self.addCleanup(client.close)
        loopback = ipaddress.ip_address('127.0.0.1').packed
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW,
                           sockets._SOCK_DIAG) as kernel:
            kernel.settimeout(30)
            kernel.bind((0, 0))
            owners = [owner for one, owner
                      in sockets._connections(kernel, socket.AF_INET)
                      if sockets._far_end(one, 4) == (loopback, port)]
        self.assertEqual([os.getuid()], owners)


class TestRealConnections(base.BaseTestCase):
    """On this machine's own loopback addresses."""

    def connected(self, family: socket.AddressFamily, address: str
                  ) -> tuple[int, list[socket.socket]]:
        with socket.socket(family) as listener:
            listener.bind((address, 0))
            listener.listen()
            name = listener.getsockname()
            ends = []
            for _number in range(3):
                ends.append(socket.create_connection(name[:2], PATIENCE))
                ends.append(listener.accept()[0])
        for end in ends:
            self.addCleanup(end.close)
        return name[1], ends[::2]

    @unittest.skipIf(os.getuid(), 'another user has them')
    def test_s4_one_more_than_the_kernel_can_have_and_all_stay(self) -> None:
        port, ends = self.connected(socket.AF_INET, '127.0.0.1')
        self.assertRaises(sockets.NotOnlyOurs, sockets.close, '127.0.0.1',
                          port, 2)
        for end in ends:
            end.setblocking(False)
            self.assertRaises(BlockingIOError, end.recv, 1)

    def test_all_to_one_far_end_and_no_other(self) -> None:
        others = self.connected(socket.AF_INET, '127.0.0.2')[1]
        families = [(socket.AF_INET, '127.0.0.1')]
        if socket.has_ipv6 and os.path.exists('/proc/net/if_inet6'):
            families.append((socket.AF_INET6, '::1'))
        for family, address in families:
            try:
                port, ends = self.connected(family, address)
                closed = sockets.close(address, port, 3)
            except OSError as error:
                if error.errno in (errno.EPERM, errno.EOPNOTSUPP,
                                   errno.EADDRNOTAVAIL):
                    self.skipTest('this machine does not let it: %s' % error)
                raise
            if os.getuid():
                self.assertEqual(0, closed)    # another user's
                continue
            self.assertEqual(3, closed)
            for end in ends:
                self.assertRaises(ConnectionAbortedError, end.recv, 1)
            self.assertEqual(0, sockets.close(address, port, 3))
        for other in others:
            other.setblocking(False)
            self.assertRaises(BlockingIOError, other.recv, 1)

    def test_one_that_is_mapped_into_ipv6_ends_with_its_ipv4_end(self) -> None:
        """A portal has its IPv4 spelling, however it was connected."""
        asked = []

        def connections(kernel, family):
            asked.append(family)
            near, far = bytes(16), (
                bytes(10) + b'\xff\xff' + bytes([192, 0, 2, 1]))
            return [(sockets._ENDS.pack(1, 4420, near, far), 0)] if (
                family == socket.AF_INET6) else []

        with mock.patch.object(socket, 'socket', return_value=mock.MagicMock()
                               ), mock.patch.object(
                sockets, '_connections', connections), mock.patch.object(
                sockets, '_end', return_value=1):
            self.assertEqual(1, sockets.close('192.0.2.1', 4420, 1))
        self.assertEqual([socket.AF_INET, socket.AF_INET6], asked)

    def test_a_refusal_is_an_error(self) -> None:
        refusal = sockets._HEADER.pack(20, sockets._ERROR, 0, 1, 0) + (
            (-errno.EPERM).to_bytes(4, 'little', signed=True))
        kernel = mock.MagicMock()
        kernel.__enter__.return_value.recv.return_value = refusal
        with mock.patch.object(socket, 'socket', return_value=kernel):
            self.assertRaises(PermissionError, sockets.close, '192.0.2.1',
                              4420, 1)

    def test_nonsense_is_an_error(self) -> None:
        kernel = mock.MagicMock()
        kernel.__enter__.return_value.recv.return_value = bytes(16)
        with mock.patch.object(socket, 'socket', return_value=kernel):
            self.assertRaises(OSError, sockets.close, '192.0.2.1', 4420, 1)
