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
"""Which spare the local driver assigns to a volume, and what it lets go."""

from os_brick.agent import model
from os_brick.agent.tests.unit.vendors import local_case
from os_brick.agent.vendors import local

State = model.ReplicaState
VOLUME = local_case.VOLUME
OTHER = local_case.OTHER
GIB = local_case.GIB
namespace = local_case.namespace
ns = local_case.ns
spare = local_case.spare
volume = local_case.volume


class ReplaceTestCase(local_case.LocalTestCase):

    def test_exchange(self):
        self.start(volume('a', 'b'), spares=[spare('c')])
        self.request('a')
        self.assertEqual({'a': 'AVAILABLE', 'b': 'AVAILABLE',
                          'c': 'UNKNOWN'}, self.listed())
        one = self.volumes()['vol1']
        self.assertEqual(2, one.replica_count)
        self.assertEqual('nqn.2014-08.org.example:c',
                         one.replica(ns('c')).target.nqn)
        self.report('c', State.AVAILABLE)
        self.retire('a')
        self.retire('a')
        self.assertEqual({'a': 'TERMINATING', 'b': 'AVAILABLE',
                          'c': 'AVAILABLE'}, self.listed())
        self.assertEqual(2, self.volumes()['vol1'].replica_count)
        self.confirm('a')
        self.confirm('a')
        self.retire('a')
        self.restart()
        self.assertEqual({'b': 'AVAILABLE', 'c': 'AVAILABLE'},
                         self.listed())
        self.assertEqual(2, self.volumes()['vol1'].replica_count)

    def test_asked_twice_one_spare_is_assigned(self):
        self.start(volume('a', 'b'), spares=[spare('c'), spare('d')])
        self.request('a')
        self.restart()
        self.request('a')
        self.assertEqual({'a', 'b', 'c'}, set(self.listed()))
        self.retire('a')
        self.request('a')
        self.assertEqual({'a', 'b', 'c'}, set(self.listed()))

    def test_of_what_is_not_listed(self):
        self.start(volume('a', 'b'), spares=[spare('c')])
        self.rejected(ns('f'), 'vol1', self.path,
                      call=lambda: self.request('f'))
        self.exchange('a')
        self.rejected(ns('a'), call=lambda: self.request('a'))

    def test_of_a_volume_that_is_not_listed(self):
        self.start(volume('a', 'b'), spares=[spare('c')])
        one = self.volumes()['vol1']
        self.write(volume('d', uuid=OTHER, alias='vol2'))
        self.volumes()
        self.rejected('vol1', call=lambda: self.driver.request_replacement(
            one, one.replicas[0]))

    def test_replica_without_successor_is_not_retired(self):
        self.start(volume('a', 'b'))
        self.rejected(ns('a'), 'vol1', call=lambda: self.retire('a'))
        self.assertEqual('AVAILABLE', self.listed()['a'])

    def test_the_failed_spare_is_listed_and_its_successor_is_not(self):
        """The place is the listed one's in that very answer."""
        self.start(volume('a', 'b'), spares=[spare('c'), spare('d')])
        self.request('b')
        self.request('c')
        self.write(volume('c'))
        self.assertEqual(1, self.volumes()['vol1'].replica_count)
        self.assertNotEqual('TERMINATING', self.listed()['c'])
        self.assertEqual('TERMINATING', self.listed()['d'])

    def test_failed_spare_is_replaced_too(self):
        self.start(volume('a', 'b'), spares=[spare('c'), spare('d')])
        self.request('a')
        self.request('c')
        self.assertEqual({'a', 'b', 'c', 'd'}, set(self.listed()))
        self.assertEqual(2, self.volumes()['vol1'].replica_count)
        for old in ('c', 'a'):
            self.retire(old)
            self.confirm(old)
        self.assertEqual({'b', 'd'}, set(self.listed()))
        self.assertEqual(2, self.volumes()['vol1'].replica_count)

    def test_no_spare(self):
        self.start(volume('a', 'b'))
        self.rejected('vol1', ns('a'), self.path, 'lists none')

    def test_why_no_spare_will_do(self):
        self.start(
            volume('a', 'b', size=2 * GIB),
            volume('c', uuid=OTHER, alias='vol2'), spares=[
                spare('d', size=2 * GIB - 1),
                spare('e', size=9 * GIB, volumes=['vol2']),
                spare('f', size=2 * GIB, tags=['gold'])])
        self.rejected('%s: too small, %d bytes where %d are needed' % (
            ns('d'), 2 * GIB - 1, 2 * GIB),
            ns('e') + ': set aside', ns('f') + ': set aside')

    def test_spare_of_another_volume(self):
        other = volume('c', 'd', uuid=OTHER, alias='vol2')
        self.start(volume('a', 'b'), other, spares=[spare('e')])
        self.request('c', alias='vol2')
        self.rejected(ns('e') + ': in use by volume vol2')

    def test_set_aside(self):
        for number, (fields, allowed) in enumerate((
                ({'volumes': ['vol1']}, True), ({'volumes': [VOLUME]}, True),
                ({'volumes': ['vol2']}, False), ({'tags': ['x']}, True),
                ({'tags': ['y']}, False),
                ({'tags': ['x'], 'volumes': ['vol2']}, True))):
            with self.subTest(number):
                self.write(volume('a', 'b', tags=['x']),
                           volume('c', uuid=OTHER, alias='vol2'),
                           spares=[spare('d', **fields)])
                self.conf.set_override('state_dir', self.state_dir
                                       + str(number))
                self.driver = local.LocalDriver(self.conf)
                self.driver.set_up()
                if allowed:
                    self.request('a')
                    self.assertIn('d', self.listed())
                else:
                    self.rejected('set aside')
                self.driver.close()

    def best(self, *spares, replicas=('a', 'b'), **fields):
        self.start(volume(*replicas, **fields), spares=spares)
        self.request('a')
        return set(self.listed()) - {'a', 'b'}

    def test_size_of_the_other_replicas_counts(self):
        self.assertEqual({'d'}, self.best(
            spare('c', size=GIB), spare('d', size=3 * GIB),
            replicas=(namespace('a'), namespace('b', size=2 * GIB))))

    def test_smallest_that_will_do(self):
        self.assertEqual({'d'}, self.best(
            spare('c', size=4 * GIB), spare('d', size=2 * GIB),
            spare('e', size=GIB), size=2 * GIB))

    def test_set_aside_for_the_volume_comes_first(self):
        self.assertEqual({'d'}, self.best(
            spare('c'), spare('d', size=5 * GIB, volumes=['vol1'])))

    def test_other_failure_domain_comes_first(self):
        self.assertEqual({'d'}, self.best(
            spare('c', 'r2', volumes=['vol1']), spare('d', 'r1', 9 * GIB),
            replicas=(namespace('a', 'r1'), namespace('b', 'r2'))))

    def test_same_failure_domain_rather_than_none(self):
        self.assertEqual({'c'}, self.best(
            spare('c', 'r2'),
            replicas=(namespace('a', 'r1'), namespace('b', 'r2'))))

    def test_shared_address_is_a_failure_domain(self):
        self.assertEqual({'d'}, self.best(
            spare('c', portals=namespace('b')['portals']),
            spare('d', size=9 * GIB)))

    def test_shared_subsystem_is_a_failure_domain(self):
        self.assertEqual({'d'}, self.best(
            spare('c', nqn=namespace('b')['nqn']), spare('d', size=9 * GIB)))

    def test_where_the_replica_was_lost_comes_later(self):
        self.assertEqual({'d'}, self.best(
            spare('c', 'r1', volumes=['vol1']), spare('d', 'r3', 9 * GIB),
            replicas=(namespace('a', 'r1'), namespace('b', 'r2'))))

    def test_where_two_were_lost_comes_last(self):
        self.assertEqual({'c'}, self.best(
            spare('c', 'r1'), spare('d', 'r1', 9 * GIB),
            spare('e', 'r2', 9 * GIB),
            replicas=(namespace('a', 'r1'), namespace('b', 'r2'))))
        self.report('a', State.MISSING)
        self.report('c', State.MISSING)
        self.request('c')
        self.assertEqual({'a', 'b', 'c', 'e'}, set(self.listed()))
