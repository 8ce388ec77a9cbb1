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
"""Portals are asked side by side, once for all volumes, and not too often."""

from __future__ import annotations

import errno
import socket
import threading
from unittest import mock

from oslotest import base

from os_brick.agent.host import effects
from os_brick.agent.host import portals
from os_brick.agent import model
from os_brick.agent.tests.unit import small_world


def target(number: int, *addresses: str, transport: str = 'tcp'
           ) -> model.Target:
    return model.Target('nqn.2024-01.test:%d' % number, tuple(
        model.Portal(address, 4420, transport) for address in addresses))


class HealthCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.now = 1000.0
        self.asked: list[str] = []
        self.dead: dict[str, OSError] = {}
        self.health = portals.PortalHealth(
            self.probe_all, small_world.Timer(lambda: self.now))

    def probe_all(self, wanted):
        self.asked += [portal.address for portal in wanted]
        return {portal: self.dead[portal.address] for portal in wanted
                if portal.address in self.dead}

    def kill(self, *addresses: str, error: OSError | None = None) -> None:
        for address in addresses:
            self.dead[address] = error or TimeoutError('timed out')

    def ask(self, *targets: model.Target) -> list[str]:
        """Return the addresses that were asked."""
        self.asked = []
        self.health.ask((one, one.portals) for one in targets)
        return self.asked

    def silent(self) -> set[str]:
        return {portal.address for portal in self.health.silences()}


class TestMemory(HealthCase):

    def test_each_portal_is_asked_once_for_all_volumes(self):
        one = target(1, '192.0.2.1', '192.0.2.2')
        self.kill('192.0.2.1', '192.0.2.2')
        self.assertEqual(['192.0.2.1', '192.0.2.2'], self.ask(one, one, one))
        self.assertEqual([], self.ask(one))
        self.assertEqual({'192.0.2.1', '192.0.2.2'}, self.silent())

    def test_it_is_asked_ever_less_often_and_at_least_twice_a_minute(self):
        one = target(1, '192.0.2.1')
        self.kill('192.0.2.1')
        when = []
        for second in range(200):
            self.now = 1000.0 + second
            if self.ask(one):
                when.append(second)
        self.assertEqual([0, 5, 15, 35, 65, 95, 125, 155, 185], when)

    def test_one_that_answers_again_is_as_good_as_new(self):
        one = target(1, '192.0.2.1')
        self.kill('192.0.2.1')
        for _time in range(4):
            self.ask(one)
            self.now += 40.0
        del self.dead['192.0.2.1']
        self.ask(one)
        self.assertEqual(set(), self.silent())
        self.kill('192.0.2.1')
        self.ask(one)
        self.now += 5.0
        self.assertEqual(['192.0.2.1'], self.ask(one))

    def test_one_to_which_connecting_hung_is_left_alone(self):
        for transport in ('tcp', 'rdma'):
            one = target(1, '192.0.2.1', transport=transport)
            self.ask(one)
            self.health.put_off(one.portals[0], 'it hung')
            self.now += portals.HUNG - 1
            self.ask(one)
            self.assertEqual({'192.0.2.1'}, self.silent())
            self.now += 1
            self.ask(one)
            self.assertEqual(set(), self.silent())

    def test_what_nobody_wants_is_forgotten(self):
        one, two = target(1, '192.0.2.1'), target(2, '192.0.2.2')
        self.kill('192.0.2.1', '192.0.2.2')
        self.ask(one, two)
        self.health.keep([two.nqn])
        self.assertEqual({'192.0.2.2'}, self.silent())


class TestNetwork(HealthCase):
    """Whose fault it is: the targets', or this host's."""

    def test_several_targets_at_different_addresses(self):
        addresses = ['192.0.2.%d' % number for number in range(1, 4)]
        self.kill(*addresses)
        shelf = [target(10 + number, '192.0.2.1') for number in range(5)]
        self.ask(*shelf, target(2, '192.0.2.2'))
        self.assertEqual('', self.health.network())
        self.ask(target(3, '192.0.2.3'))
        self.assertIn('3 targets at different addresses',
                      self.health.network())

    def test_a_portal_that_has_answered_of_late_clears_the_network(self):
        self.ask(target(9, '192.0.2.9'))
        self.kill(*['192.0.2.%d' % number for number in range(1, 9)])
        targets = [target(number, '192.0.2.%d' % number)
                   for number in range(1, 9)]
        self.now += portals.RECENT
        self.ask(*targets)
        self.assertEqual('', self.health.network())
        self.now += 1.0
        self.assertNotEqual('', self.health.network())

    def test_a_host_without_a_route(self):
        self.kill('192.0.2.1', error=OSError(errno.ENETUNREACH,
                                             'Network is unreachable'))
        self.ask(target(1, '192.0.2.1'))
        self.assertIn('no network to tcp://192.0.2.1:4420',
                      self.health.network())

    def test_a_neighbour_that_is_switched_off_is_no_trouble_of_the_host(self):
        self.kill('192.0.2.1', error=OSError(errno.EHOSTUNREACH,
                                             'No route to host'))
        self.ask(target(1, '192.0.2.1'))
        self.assertEqual('', self.health.network())


class TestReached(HealthCase):
    """Portals of targets that are reached through others."""

    def lack(self, *targets: model.Target) -> list[str]:
        self.asked = []
        self.health.ask(((one, one.portals) for one in targets),
                        reached=True)
        return self.asked

    def test_they_are_asked_no_more_often(self):
        one = target(1, '192.0.2.1')
        self.kill('192.0.2.1')
        self.assertEqual(['192.0.2.1'], self.lack(one, one))
        self.assertEqual([], self.lack(one))
        self.health.keep([], [one.nqn])
        self.assertEqual([], self.lack(one))
        self.health.keep([one.nqn])
        self.assertEqual(['192.0.2.1'], self.lack(one))

    def test_they_say_nothing_of_the_network(self):
        addresses = ['192.0.2.%d' % number for number in range(1, 5)]
        self.kill(*addresses)
        self.kill('192.0.2.9', error=OSError(errno.ENETUNREACH,
                                             'Network is unreachable'))
        self.lack(*(target(number, address) for number, address
                    in enumerate([*addresses, '192.0.2.9'])))
        self.assertEqual(5, len(self.silent()))
        self.assertEqual('', self.health.network())

    def test_one_that_does_not_connect_keeps_nobody_else_away(self):
        one, other = target(1, '192.0.2.1'), target(2, '192.0.2.1')
        portal, = one.portals
        for wait in (30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0):
            self.health.decline(one.nqn, portal, 'invalid host')
            self.now += wait - 1.0
            self.assertEqual({portal}, {*self.health.declined(one.nqn)})
            self.assertEqual({}, {**self.health.declined(other.nqn)})
            self.now += 1.0
            self.assertEqual({}, {**self.health.declined(one.nqn)})
        self.health.decline(one.nqn, portal, 'invalid host')
        self.health.keep([one.nqn])
        self.assertEqual({}, {**self.health.declined(one.nqn)})


class TestSideBySide(base.BaseTestCase):

    def test_all_are_under_way_at_once(self):
        wanted = [model.Portal('192.0.2.%d' % number, 4420)
                  for number in range(1, 21)]
        together = threading.Barrier(len(wanted), timeout=60.0)

        def connect(address, timeout):
            together.wait()
            if address[0] == '192.0.2.7':
                return mock.Mock(spec=socket.socket)
            raise TimeoutError('timed out')

        with mock.patch.object(effects.socket, 'create_connection', connect):
            errors = effects.Effects().probe_all(wanted)
        self.assertEqual(set(wanted) - {wanted[6]}, set(errors))

    def test_a_world_of_its_own_is_asked_one_by_one(self):
        threads = set()

        class World(effects.Effects):
            def probe(self, portal, seconds):
                threads.add(threading.current_thread())

        World().probe_all([model.Portal('192.0.2.%d' % number, 4420)
                           for number in range(1, 5)])
        self.assertEqual({threading.current_thread()}, threads)
