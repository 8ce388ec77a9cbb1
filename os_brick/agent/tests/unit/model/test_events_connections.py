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
"""The events of connections: made, lost, restored, gone."""

from __future__ import annotations

import dataclasses

from os_brick.agent.model import events
from os_brick.agent.tests.unit.model import events_case

A, B, EMPTY = events_case.A, events_case.B, events_case.EMPTY
controller = events_case.controller
namespace = events_case.namespace
hosts = events_case.hosts


class TestConnections(events_case.EventCase):

    def test_new(self) -> None:
        (event,) = self.expect(
            EMPTY, hosts(controller(), namespaces=[namespace('nvme1')]),
            'CONNECTION_NEW')
        self.assertEqual(
            'connection nvme1 to nqn.2024-01.test:a at '
            'tcp://192.0.2.1:4420 is new and live', event.message)
        self.assertEqual(events.INFO, event.level)
        self.assertEqual(
            (('controller', 'nvme1'), ('nqn', 'nqn.2024-01.test:a'),
             ('portal', 'tcp://192.0.2.1:4420'), ('replica', A)),
            event.names)

    def test_one_in_the_making_is_told_of_once_it_has_a_target(self) -> None:
        making = hosts(controller(nqn='', state='connecting'))
        self.expect(EMPTY, making)
        self.expect(making, EMPTY)
        self.expect(making, hosts(controller()), 'CONNECTION_NEW')

    def test_gone_names_what_was_behind_it(self) -> None:
        (event,) = self.expect(
            hosts(controller(), namespaces=[namespace('nvme1')]), EMPTY,
            'CONNECTION_GONE')
        self.assertIn(('replica', A), event.names)

    def test_lost_and_restored(self) -> None:
        live = hosts(controller(), namespaces=[namespace('nvme1')])
        for word in ('connecting', 'resetting', 'deleting'):
            lost = hosts(controller(state=word),
                         namespaces=[namespace('nvme1')])
            (event,) = self.expect(live, lost, 'CONNECTION_LOST')
            self.assertEqual(events.WARN, event.level)
            self.assertIn('was lost (%s)' % word, event.message)
            (event,) = self.expect(lost, live, 'CONNECTION_RESTORED')
            self.assertEqual(events.INFO, event.level)

    def test_from_one_dead_state_to_the_next_is_no_event(self) -> None:
        self.expect(hosts(controller(state='resetting')),
                    hosts(controller(state='connecting')))

    def test_a_path_is_lost_while_another_lives(self) -> None:
        head = [namespace('nvme1', 'nvme2')]
        both = hosts(controller(), controller('nvme2'), namespaces=head)
        one = hosts(controller(state='connecting'), controller('nvme2'),
                    namespaces=head)
        none = hosts(controller(state='connecting'),
                     controller('nvme2', 'connecting'), namespaces=head)
        (event,) = self.expect(both, one, 'PATH_LOST')
        self.assertEqual(events.WARN, event.level)
        self.assertIn('other paths to its namespaces live', event.message)
        self.expect(one, none, 'CONNECTION_LOST')
        self.expect(both, none, 'CONNECTION_LOST', 'CONNECTION_LOST')

    def test_a_target_that_lives_gives_no_access(self) -> None:
        both = (controller(), controller('nvme2'))
        head = namespace('nvme1', 'nvme2')
        plain, one, none = (hosts(*both, namespaces=[dataclasses.replace(
            head, barred=frozenset(barred))]) for barred in (
                (), ('nvme1',), ('nvme1', 'nvme2')))
        (event,) = self.expect(plain, one, 'ACCESS_LOST')
        self.assertEqual(events.WARN, event.level)
        self.assertEqual(
            'replica %s (nvme1n1): its target gives no access to it over '
            'nvme1 (ANA); another path lives' % A, event.message)
        self.assertEqual((('controller', 'nvme1'), ('replica', A)),
                         event.names)
        (event,) = self.expect(one, none, 'ACCESS_LOST')
        self.assertIn('over nvme2 (ANA), nor does another path',
                      event.message)
        (event,) = self.expect(one, plain, 'ACCESS_RESTORED')
        self.assertIn('gives access to it over nvme1 again', event.message)
        # what it was disconnected for is no news
        self.expect(hosts(controller(), namespaces=[dataclasses.replace(
            namespace('nvme1'), barred=frozenset(['nvme1']))]),
            hosts(controller(), namespaces=[namespace('nvme1', uuid=B)]))

    def test_a_path_is_not_enough_where_one_namespace_has_none(self) -> None:
        spaces = [namespace('nvme1', 'nvme2'),
                  namespace('nvme1', device='nvme1n2', uuid=B)]
        self.expect(
            hosts(controller(), controller('nvme2'), namespaces=spaces),
            hosts(controller(state='connecting'), controller('nvme2'),
                  namespaces=spaces), 'CONNECTION_LOST')

    def test_a_connection_without_namespaces_has_no_spare_path(self) -> None:
        self.expect(hosts(controller()), hosts(controller(state='deleting')),
                    'CONNECTION_LOST')

    def test_the_name_now_belongs_to_another_connection(self) -> None:
        gone, new = self.expect(
            hosts(controller()), hosts(controller(nqn='nqn.other')),
            'CONNECTION_GONE', 'CONNECTION_NEW')
        self.assertIn('nqn.2024-01.test:a', gone.message)
        self.assertIn('nqn.other', new.message)

    def test_a_namespace_without_uuid_is_named_by_its_device(self) -> None:
        (event,) = self.expect(
            EMPTY, hosts(controller(),
                         namespaces=[namespace('nvme1', uuid=None)]),
            'CONNECTION_NEW')
        self.assertIn(('replica', 'nvme1n1'), event.names)

    def test_a_connection_without_portal(self) -> None:
        (event,) = self.expect(
            EMPTY, hosts(dataclasses.replace(controller(), portal=None)),
            'CONNECTION_NEW')
        self.assertIn('at no address', event.message)
