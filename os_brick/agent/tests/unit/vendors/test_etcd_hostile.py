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
"""Answers to the etcd driver that no etcd gives, and none at all."""

import tempfile

from oslotest import base

from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.fleet import fields
from os_brick.agent.vendors.fleet import store
from os_brick.agent.vendors.fleet import wire


class HostileTestCase(base.BaseTestCase):
    """Answers that no etcd gives."""

    def test_no_answer_is_believed_by_half(self):
        class Liar:
            def call(self, path, body):
                return answer

        header = {'cluster_id': '1', 'revision': '5'}
        etcd_says = store.Store(Liar())
        for answer in (
                {}, {'header': 7}, {'header': {'revision': 'x'}},
                {'header': header}, {'header': header, 'responses': {}},
                {'header': header, 'responses': None},
                {'header': header, 'responses': 5},
                {'header': header, 'responses': [{}]},
                {'header': header, 'responses': [7]},
                {'header': header, 'responses': [{'response_range': {
                    'kvs': [{'key': '***', 'mod_revision': '1'}]}}]},
                {'header': header, 'responses': [{'response_range': {
                    'kvs': 7}}]}):
            self.assertRaises(vendor.BadAnswer, etcd_says.read, ['/a'])

    def test_a_number_that_no_float_holds(self):
        """It costs the document that has it, and no other one."""
        for name in ('since', 'max_replica_down_time'):
            said = fields.Fields({name: 10 ** 400})
            self.assertRaises(fields.Nonsense, said.seconds, name)
        said = fields.Fields({
            'nqn': 'nqn.x', 'portals': [['192.0.2.1', 10 ** 400]]})
        self.assertRaises(fields.Nonsense, said.backing)

    def test_a_port_that_nobody_listens_on(self):
        with tempfile.TemporaryDirectory():
            made = wire.Wire(wire.Settings(
                ('http://127.0.0.1:%d' % etcd_fleet.free_port(),), 1.0))
            self.addCleanup(made.close)
            self.assertRaises(vendor.Unavailable, made.call, 'kv/txn', {})
