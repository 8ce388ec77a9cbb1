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
"""The metrics by HTTP: what is served, and what clients cannot do."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import errno
import http.client
import os
import socket
import subprocess
import sys
import threading
from unittest import mock

import fixtures
from prometheus_client import parser

from os_brick.agent.daemon import endpoint
from os_brick.agent.model import tallies
from os_brick.agent.reporting import metrics
from os_brick.agent.tests.unit.cmd import command_case
from os_brick.agent.tests.unit.reporting import shown_case

LONG = 60


def free_port() -> int:
    with socket.create_server(('127.0.0.1', 0)) as one:
        return int(one.getsockname()[1])


class EndpointTest(shown_case.ShownCase):

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(lambda: self.port.close())
        self.conf.set_override('metrics_port', free_port())

    def restart(self) -> None:
        super().restart()
        self.port = endpoint.Endpoint(self.conf)
        self.cycle._show._endpoint = self.port  # type: ignore

    def fetch(self, method: str = 'GET', path: str = '/metrics'
              ) -> tuple[int, str]:
        with contextlib.closing(http.client.HTTPConnection(
                '127.0.0.1', self.port.port, timeout=LONG)) as client:
            client.request(method, path)
            answer = client.getresponse()
            return answer.status, answer.read().decode()

    @staticmethod
    def samples(text: str) -> set[tuple[str, frozenset[tuple[str, str]],
                                        float]]:
        return {(one.name, frozenset(one.labels.items()), one.value)
                for family in parser.text_string_to_metric_families(text)
                for one in family.samples}

    def test_both_say_the_same(self) -> None:
        self.lose()
        self.outage()
        self.cycle._show._counted = lambda: (  # type: ignore
            tallies.Tally().stood('volume1', 3.0).done('volume1', 'X'), {})
        self.turn(2)
        status, text = self.fetch()
        self.assertEqual(200, status)
        served = self.samples(text)
        self.assertTrue(served)
        self.assertEqual(self.samples(metrics.text(self.shown())), served)
        self.assertEqual({'gauge', 'counter', 'histogram'}, {
            line.split()[-1] for line in text.splitlines()
            if line.startswith('# TYPE')})

    def test_as_of_the_last_pass(self) -> None:
        self.turn()
        before = self.samples(self.fetch()[1])
        self.assertEqual(before, self.samples(self.fetch()[1]))
        self.lose()
        self.turn()
        self.assertNotEqual(before, self.samples(self.fetch()[1]))

    def test_it_is_not_open_unless_it_is_wanted(self) -> None:
        self.conf.set_override('metrics_port', 0)
        with fixtures.MockPatchObject(endpoint, '_Server') as made:
            self.turn()
        self.assertFalse(made.mock.called)
        self.assertEqual(0, self.port.port)
        self.assertEqual('127.0.0.1', self.conf.metrics_address)

    def test_a_port_in_use_is_tried_again(self) -> None:
        with socket.create_server(('127.0.0.1', 0)) as other:
            taken = other.getsockname()[1]
            self.conf.set_override('metrics_port', taken)
            self.turn(3)
            self.assertEqual(1, self.log.output.count('metrics: '))
            self.assertIn(
                'metrics: 127.0.0.1 port %d (options metrics_address, '
                'metrics_port) cannot be opened: %s; it is tried again'
                % (taken, os.strerror(errno.EADDRINUSE)), self.log.output)
            self.assertEqual([], self.shown()['findings'])
        self.turn()
        self.assertEqual(200, self.fetch()[0])
        self.assertIn('metrics are served at', self.log.output)

    def test_an_address_that_is_not_of_this_host(self) -> None:
        self.conf.set_override('metrics_address', '192.0.2.1')
        self.turn(2)
        self.assertEqual(1, self.log.output.count(
            'metrics: 192.0.2.1 port'))

    def test_ipv6(self) -> None:
        self.conf.set_override('metrics_address', '::1')
        self.turn()
        if 'cannot be opened' in self.log.output:
            self.skipTest('this host has no IPv6')
        with contextlib.closing(http.client.HTTPConnection(
                '::1', self.port.port, timeout=LONG)) as client:
            client.request('GET', '/metrics')
            self.assertEqual(200, client.getresponse().status)

    def test_no_name_server_is_asked(self) -> None:
        with fixtures.MockPatchObject(socket, 'getfqdn',
                                      side_effect=AssertionError):
            self.turn()
        self.assertEqual(200, self.fetch()[0])

    def test_nothing_can_be_told_it(self) -> None:
        self.turn()
        self.assertEqual(405, self.fetch('POST')[0])

    @contextlib.contextmanager
    def hanging(self, number: int) -> Iterator[list[socket.socket]]:
        with contextlib.ExitStack() as held:
            yield [held.enter_context(socket.create_connection(
                ('127.0.0.1', self.port.port), LONG))
                for _number in range(number)]

    def test_clients_that_hang_hold_nothing_up(self) -> None:
        self.useFixture(fixtures.MonkeyPatch(
            'os_brick.agent.daemon.endpoint._Handler.timeout', None))
        self.turn()
        with self.hanging(endpoint.MOST) as clients:
            for client in clients:
                client.sendall(b'GET')
            # one more is sent away, and the passes go on
            with self.hanging(1) as (late,):
                self.assertEqual(b'', late.recv(1))
            self.turn(2)
            # nor does the end wait for them
            closing = threading.Thread(target=self.port.close, daemon=True)
            closing.start()
            closing.join(LONG)
            self.assertFalse(closing.is_alive())
        self.assertEqual([], self.shown()['findings'])

    def test_one_that_says_nothing_is_sent_away(self) -> None:
        self.useFixture(fixtures.MonkeyPatch(
            'os_brick.agent.daemon.endpoint._Handler.timeout', 0.05))
        self.turn()
        for _number in range(3):
            with self.hanging(endpoint.MOST) as clients:
                for client in clients:
                    self.assertEqual(b'', client.recv(1))
        self.useFixture(fixtures.MonkeyPatch(
            'os_brick.agent.daemon.endpoint._Handler.timeout', LONG))
        # each has made room for another one
        self.assertEqual(200, self.fetch()[0])

    def test_no_descriptor_is_left(self) -> None:
        """It must not be asked for again and again without a rest."""
        self.turn()
        server = self.port._server
        assert server is not None
        with mock.patch.object(server, '_rest') as rest, mock.patch(
                'socketserver.TCPServer.get_request',
                side_effect=OSError(errno.EMFILE, 'x')):
            self.assertRaises(OSError, server.get_request)
        rest.wait.assert_called_once_with(endpoint.PAUSE)

    def test_there_is_a_limit(self) -> None:
        self.assertEqual(endpoint.PATIENCE, endpoint._Handler.timeout)


class MissingTest(command_case.CommandCase):

    def test_the_line(self) -> None:
        # a package that cannot be loaded stands before the one installed
        os.mkdir(os.path.join(self.folder, 'prometheus_client'))
        with open(os.path.join(self.folder, 'prometheus_client',
                               '__init__.py'), 'w', encoding='ascii') as one:
            one.write('raise ImportError("none here")\n')
        argv = self.configured(metrics_port='9')
        self.refused(78, argv, 'option metrics_port', 'prometheus-client',
                     'os-brick-nvme-agent[prometheus]')
        self.assertIn('Failure  configuration: option metrics_port',
                      self.run_agent('check', *argv).stdout)
        self.assertIn('Success  configuration', self.run_agent(
            'check', *self.configured()).stdout)

    def test_it_is_loaded_only_where_it_is_wanted(self) -> None:
        said = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c',
             'import sys, os_brick.cmd.agent; '
             'print("prometheus_client" in sys.modules)'],
            cwd=command_case.TREE, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=LONG)
        self.assertEqual('False', said.stdout.strip(), said.stderr)
