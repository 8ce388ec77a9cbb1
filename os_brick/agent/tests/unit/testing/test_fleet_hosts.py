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
"""The simulated fleet heals on a real etcd, and its audit sees what is wrong.

The whole story is tools/demo-fleet.sh.
"""

import json
import os
from unittest import mock

from oslotest import base
import yaml

from os_brick.agent.testing.fleet import audit
from os_brick.agent.testing.fleet import callers
from os_brick.agent.testing.fleet import hosts
from os_brick.agent.testing.fleet import shelves
from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.vendors.fleet import loading
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import share
from os_brick.agent.vendors.inventory import inventory_file

PLAN = shelves.Plan(hosts=2, volumes=2, shelves=3, spares=3)


class HostsTestCase(etcd_fleet.RealTestCase):

    def test_a_shelf_that_dies_is_replaced_from_the_pool(self):
        self.operator.begin()
        loading.load(self.store, self.keys, inventory_file.parse(
            'the file', yaml.safe_dump(PLAN.inventory()).encode()), '', False)
        self.operator.limit({'total': 1})
        fleet = hosts.Fleet(PLAN, [self.member.url], self.directory,
                            etcd_prefix=self.prefix, max_resyncs=1)
        self.addCleanup(fleet.close)
        fleet.start()
        fleet.live(10.0)
        fleet.lose(1)
        for _turn in range(20):
            fleet.live(10.0)
            seen = self.audited()
            if all(set(replicas.values()) == {audit.State.AVAILABLE}
                   for replicas in seen.replicas().values()):
                break
        self.assertEqual([], seen.wrongs)
        self.assertEqual({1}, set(seen.taken.values()))
        # each host would begin one, if the fleet had no limit
        self.assertEqual(1, fleet.resyncs)
        for host in fleet.hosts:
            for alias, legs in host.copies().items():
                self.assertEqual(2, len(legs))
                self.assertEqual(legs, set(seen.replicas()[alias]))
                self.assertFalse(legs & set(PLAN.namespaces(1)))
            self.assertEqual((1, 0), (host.resyncs, host.write_errors()))
        self.assertTrue(os.path.exists(os.path.join(
            self.directory, 'compute-1', 'etcd.json')))

    def test_a_volume_is_handed_over_between_two_daemons(self):
        self.operator.begin()
        loading.load(self.store, self.keys, inventory_file.parse(
            'the file', yaml.safe_dump(PLAN.inventory()).encode()), '', False)
        fleet = hosts.Fleet(PLAN, [self.member.url], self.directory,
                            etcd_prefix=self.prefix)
        self.addCleanup(fleet.close)
        source, other = fleet.hosts
        fleet.start()
        fleet.live(60.0)
        said = []
        true_yield = share.Share._yield

        def watched(one, uuid):
            # what a restart of the source would find at this moment
            said.append(source.agent._store.volumes()[uuid].observe)
            true_yield(one, uuid)

        with mock.patch.object(share.Share, '_yield', watched):
            under_way = self.operator.hand_over('vol-0', other.name)
            for _turn in range(40):
                fleet.live(5.0)
                under_way.look()
                under_way.step()
                if not under_way.waits_for:
                    break
        self.assertEqual((), under_way.waits_for)
        why, = said
        self.assertIn('its hand-over is not done', why)
        fleet.live(60.0)
        self.assertEqual('', other.agent._store.volumes()[
            shelves.uuid(shelves.VOLUME, 0)].observe)

    def audited(self):
        seen = audit.Audit(self.keys)
        seen.replay(audit.history(self.member.url, self.prefix + '/',
                                  audit.revision(self.store, self.keys)))
        return seen


class CallersTestCase(etcd_fleet.RealTestCase):

    def test_a_crowd_heals_what_a_shelf_takes(self):
        plan = shelves.Plan(hosts=8, volumes=1, shelves=2, spares=5, extra=2)
        self.operator.begin()
        loading.load(self.store, self.keys, inventory_file.parse(
            'the file', yaml.safe_dump(plan.inventory()).encode()), '', False)
        crowd = callers.Crowd(3)
        for number in range(plan.hosts):
            caller = callers.Caller(
                number, plan, callers.Times(0.2, 0.02, 0.05, 0.1, 0.1),
                [self.member.url], self.directory, crowd.note, self.prefix)
            caller.set_up()
            crowd.callers.append(caller)
        crowd.start()
        try:
            etcd_fleet.wait_for(lambda: crowd.told)
            self.assertEqual(plan.hosts, len(
                self.operator.everything().alive))
            crowd.lose(set(plan.namespaces(1)))
            etcd_fleet.wait_for(lambda: not crowd.busy)
        finally:
            crowd.stop()
        seen = audit.Audit(self.keys)
        seen.replay(audit.history(self.member.url, self.prefix + '/',
                                  audit.revision(self.store, self.keys)))
        self.assertEqual([], seen.wrongs)
        self.assertEqual({1}, set(seen.taken.values()))
        for replicas in seen.replicas().values():
            self.assertEqual(2, len(replicas))
            self.assertFalse(set(plan.namespaces(1)).intersection(replicas))
        self.assertTrue(all(answered for _at, _took, answered
                            in crowd.samples))
        self.assertTrue(crowd.lags)


class AuditTestCase(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.keys = schema.Keys('/x')
        self.spare = shelves.uuid(shelves.SPARE, 1)
        self.volumes = [shelves.uuid(shelves.VOLUME, number)
                        for number in range(2)]

    def use(self, revision, volume):
        return audit.Change(revision, self.keys.uses + self.spare, json.dumps(
            {'namespace': self.spare, 'nqn': 'nqn.2014-08.org.example:t',
             'portals': [['192.0.2.1', 4420, 'tcp']], 'size': 1, 'times': 0,
             'failure_domain': None, 'volume': volume}))

    def record(self, revision, volume, state='AVAILABLE'):
        return audit.Change(revision, self.keys.volume('one', volume),
                            json.dumps({
                                'serial': 1, 'healer': 'one', 'uuid': volume,
                                'alias': volume, 'size': 1, 'tags': [],
                                'max_replica_down_time': None, 'replicas': [{
                                    'namespace': self.spare, 'size': 1,
                                    'nqn': 'nqn.2014-08.org.example:t',
                                    'portals': [['192.0.2.1', 4420, 'tcp']],
                                    'failure_domain': None, 'state': state,
                                    'state_since': 1.0, 'stands_for': None,
                                    'successor': None}]}))

    def replayed(self, *changes):
        seen = audit.Audit(self.keys)
        seen.replay(changes)
        return seen

    def test_a_namespace_in_two_volumes(self):
        one, two = self.volumes
        seen = self.replayed(self.use(2, one), self.record(2, one),
                             self.use(3, two), self.record(3, two))
        self.assertEqual(2, seen.taken[self.spare])
        self.assertIn('revision 3: %s is in volumes' % self.spare,
                      ' '.join(seen.wrongs))

    def test_one_step_is_one_transaction(self):
        one, two = self.volumes
        self.assertEqual([], self.replayed(
            self.record(2, one), self.use(2, one)).wrongs)
        self.assertIn('in use by None', ' '.join(self.replayed(
            self.record(2, one), self.use(3, one)).wrongs))
        seen = self.replayed(self.use(2, one), self.record(
            2, one, 'TERMINATING'))
        self.assertEqual(1, seen.moving)
