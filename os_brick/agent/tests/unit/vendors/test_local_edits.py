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
"""What the operator edits after the local driver has replaced a replica."""

from os_brick.agent.tests.unit.vendors import local_case

OTHER = local_case.OTHER
ns = local_case.ns
spare = local_case.spare
volume = local_case.volume


class AfterwardsTestCase(local_case.LocalTestCase):
    """What the operator edits after a replacement."""

    def setUp(self):
        super().setUp()
        self.start(volume('a', 'b'), spares=[spare('c')])
        self.exchange('a')

    def held(self):
        """The spare keeps its place, and the volume its two replicas."""
        self.assertEqual({'b': 'AVAILABLE', 'c': 'UNKNOWN'}, self.listed())
        self.assertEqual(2, self.volumes()['vol1'].replica_count)

    def test_old_replica_is_taken_out(self):
        self.write(volume('b'), spares=[spare('c')])
        self.held()

    def test_spare_is_taken_out(self):
        self.write(volume('a', 'b'))
        self.held()

    def test_spare_becomes_a_replica(self):
        self.write(volume('c', 'b'))
        self.held()
        self.write(volume('a', 'c', 'b'))
        self.assertEqual({'a', 'b', 'c'}, set(self.listed()))

    def test_spare_is_listed_beside_the_old_replica(self):
        self.write(volume('a', 'c', 'b'))
        self.held()

    def test_both_are_taken_out(self):
        self.write(volume('b'))
        self.assertEqual({'b': 'AVAILABLE', 'c': 'TERMINATING'},
                         self.listed())
        self.assertEqual(1, self.volumes()['vol1'].replica_count)
        self.write(volume('b'), spares=[spare('c')])
        self.held()
        self.write(volume('b'))
        self.confirm('c')
        self.assertEqual({'b': 'AVAILABLE'}, self.listed())

    def test_used_namespace_needs_the_operators_word(self):
        self.write(volume('b'), spares=[spare('c'), spare('a')])
        self.rejected(ns('a') + ': was in use before', '"returned: 1"',
                      call=lambda: self.request('b'))
        self.write(volume('b'), spares=[spare('c'),
                                        spare('a', returned=True)])
        self.request('b')
        self.assertEqual({'a': 'UNKNOWN', 'b': 'AVAILABLE', 'c': 'UNKNOWN'},
                         self.listed())

    def test_one_word_counts_once(self):
        self.write(volume('b'), spares=[spare('c'), spare('a', returned=1)])
        self.exchange('b')
        self.assertEqual({'a', 'c'}, set(self.listed()))
        self.write(volume('c'), spares=[spare('a', returned=1),
                                        spare('b', returned=1)])
        self.exchange('a')
        self.assertEqual({'b', 'c'}, set(self.listed()))
        self.rejected(ns('a') + ': was in use before; "returned: 2"',
                      call=lambda: self.request('c'))

    def test_used_namespace_of_a_removed_volume(self):
        other = volume('d', 'e', uuid=OTHER, alias='vol2')
        self.write(other, spares=[spare('b'), spare('c', returned=5)])
        self.assertEqual({'vol2'}, set(self.volumes()))
        self.request('d', alias='vol2')
        self.assertEqual({'c', 'd', 'e'}, set(self.listed('vol2')))
        self.assertEqual(1, self.driver._ledger.used()[ns('c')])
        self.rejected(ns('b') + ': was in use before; "returned: 1"',
                      call=lambda: self.request('e', alias='vol2'))
        # the volume returns: the spare it had is another's now
        self.write(other, volume('a', 'b'), spares=[spare('c', returned=5)])
        self.assertEqual({'a': 'UNKNOWN', 'b': 'AVAILABLE'}, self.listed())
        self.assertEqual({'c', 'd', 'e'}, set(self.listed('vol2')))

    def test_replica_of_a_removed_volume_moves_to_another(self):
        self.write(volume('b', 'c', uuid=OTHER, alias='vol2'))
        self.assertEqual({'b', 'c'}, set(self.listed('vol2')))
        self.write(volume('a', 'b'),
                   volume('c', uuid=OTHER, alias='vol2'))
        self.assertEqual({'b': 'TERMINATING', 'c': 'AVAILABLE'},
                         self.listed('vol2'))
        self.assertEqual({'a': 'UNKNOWN'}, self.listed())
