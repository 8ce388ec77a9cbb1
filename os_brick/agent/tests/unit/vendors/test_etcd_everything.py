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
"""The whole fleet is read, however big it is, as it was at one moment."""

import base64
import itertools
from unittest import mock

from os_brick.agent import model
from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.fleet import store
from os_brick.agent.vendors.fleet import wire

VOLUMES = {number: (10 * number, 10 * number + 1) for number in range(1, 8)}


class EverythingTestCase(etcd_fleet.RealTestCase):

    def test_many_events_are_not_in_the_way(self):
        self.begin(VOLUMES)
        driver = self.driver()
        for _number in range(100):
            driver.report_event(model.Event('KIND', 'INFO', 'x' * 1000))
        with mock.patch.object(wire, '_MOST', 64 * 1024):
            # each of them is some KiB: the answer would not end
            self.assertRaises(vendor.Unavailable, self.store.read, [],
                              [self.prefix + '/'])
            self.assertEqual(7, len(self.operator.everything().records))

    def test_a_fleet_that_fits_into_no_answer_is_read_in_pages(self):
        self.begin(VOLUMES, spares=range(200, 240))
        whole = self.operator.everything()
        with mock.patch.object(wire, '_MOST', 12 * 1024):
            self.assertRaises(vendor.Unavailable, self.operator.everything)
            for page in (1, 3):
                with mock.patch.object(store, 'PAGE', page):
                    self.assertEqual(whole, self.operator.everything())

    def test_what_is_written_between_two_pages_is_not_seen(self):
        self.begin(VOLUMES)
        before = self.operator.everything()
        behind, asked = self.wire.call, []

        def call(path, body):
            answer = behind(path, body)
            asked.append(body)
            if len(asked) == 1:
                self.wire.call = behind
                self.operator.remove('v7')
                self.wire.call = call
            return answer
        self.wire.call = call
        with mock.patch.object(store, 'PAGE', 2):
            self.assertEqual(before, self.operator.everything())
        self.assertEqual(6, len(self.operator.everything().records))

    def test_a_moment_that_was_compacted_away_is_no_half_answer(self):
        self.begin(VOLUMES)
        behind, asked = self.wire.call, []

        def call(path, body):
            answer = behind(path, body)
            asked.append(body)
            if len(asked) == 1:
                behind('kv/put', {'key': base64.b64encode(
                    b'/elsewhere').decode(), 'value': ''})
                behind('kv/compaction', {'revision': str(int(
                    answer['header']['revision']) + 1), 'physical': True})
            return answer
        self.wire.call = call
        with mock.patch.object(store, 'PAGE', 2):
            error = self.assertRaises(vendor.Unavailable,
                                      self.operator.everything)
        self.assertIn('compacted', str(error))


class HostileTestCase(etcd_fleet.FleetTestCase):

    def test_the_same_page_for_ever_is_no_answer(self):
        self.begin(VOLUMES)
        behind = self.wire.call

        def call(path, body):
            if next(calls) > 100:
                raise AssertionError('asked for ever')
            answer = behind(path, {**body, 'success': [
                {'request_range': {**one['request_range'], 'key':
                                   first['request_range']['key']}}
                for one, first in zip(body['success'], asked or
                                      body['success'])]})
            asked[:] = asked or body['success']
            return answer
        asked: list = []
        calls = itertools.count()
        self.wire.call = call
        with mock.patch.object(store, 'PAGE', 2):
            self.assertRaises(vendor.BadAnswer, self.operator.everything)
