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
"""What was removed, or taken off a host, before a restore."""

from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.tests.unit.vendors import etcd_restored_case
from os_brick.agent.tests.unit.vendors import test_etcd
from os_brick.agent.vendors import base as vendor

volume_uuid = etcd_fleet.volume_uuid


class RestoredRemovedTestCase(etcd_restored_case.RestoredCase):

    def test_what_was_removed_long_ago_is_in_nobodys_way(self):
        self.load({2: (5, 6)})
        self.live('one')
        self.operator.remove('v1')
        self.load({9: (1, 19)}, name='two')
        self.live('two')
        self.backup()
        self.restore()
        self.live('two')
        # somebody might still say that the namespace is free
        error = self.assertRaises(vendor.BadAnswer, self.live, 'one')
        self.assertIn('resume --force', str(error))
        self.operator.resume(force=True)
        with self.assertLogs('os_brick.agent', 'WARNING') as logs:
            self.assertEqual({'v2'}, set(self.live('one')))
        self.assertIn('volume v1 is forgotten', ''.join(logs.output))
        self.assertEqual({'v2'}, set(self.live('one')))
        self.assertEqual((9, []), (self.uses()[1], self.operator.resume()))

    def test_what_was_removed_and_is_still_used_here_is_loud(self):
        self.operator.remove('v1')
        self.load({9: (1, 19)}, name='two')
        self.backup()
        self.restore()
        error = self.assertRaises(vendor.BadAnswer, self.live, 'one',
                                  [test_etcd.array(1, 2)])
        self.assertIn('stop one of them', str(error))

    def test_what_was_taken_off_a_host_does_not_come_back(self):
        self.hand_over('v1', 'two')
        self.operator.detach('v1', 'one')
        found = self.live('one', [test_etcd.array(1, 2)])
        self.assertIn('no longer', found['v1'].observe)
        self.backup()
        self.restore()
        self.live('one', [test_etcd.array(1, 2)])
        self.live('two')
        self.assertEqual({('two', volume_uuid(1))}, set(
            self.operator.everything().records))

    def migrate(self):
        """The ordinary way, to the end; return what the volume took."""
        self.hand_over('v1', 'two')
        self.operator.detach('v1', 'one')
        taken = self.exchange('two', 1, 1)
        self.live('one')
        return taken

    def test_what_was_taken_off_a_host_is_not_healed_there(self):
        self.backup()
        taken = self.migrate()
        self.restore()
        # in the order in which they come
        self.assertEqual([], self.healers('one'))
        self.assertEqual(['two'], self.healers('one', 'two', 'one'))
        self.operator.resume()
        self.assertEqual(([], {1: None, 2: 1, taken: 1}), (
            self.problems(), self.uses()))
        self.assertIn('the host two heals it', self.live('one')['v1'].observe)

    def test_nor_where_the_host_that_has_it_is_cut_off(self):
        self.backup()
        self.migrate()
        self.restore()
        two = self.drivers.pop('two')
        self.assertEqual([], self.healers('one'))
        self.assertIn('it is not known who heals it',
                      self.live('one')['v1'].observe)
        for call in (self.operator.resume,
                     lambda: self.operator.hand_over('v1', 'one')):
            self.assertIn('another one may', str(self.assertRaises(
                vendor.Rejected, call)))
        self.assertIn('another one may', self.problems()[0])
        # by force spares are taken, and nobody heals it all the same
        self.operator.resume(force=True)
        self.assertEqual([], self.healers('one'))
        self.drivers['two'] = two
        self.assertEqual(['two'], self.healers('one', 'two', 'one'))
        self.operator.resume()
        self.assertEqual([], self.problems())

    def test_what_was_removed_is_not_healed(self):
        self.backup()
        self.operator.remove('v1')
        for name in ('one', 'two'):
            self.live(name)
        self.restore()
        self.assertEqual([], self.healers('one', 'two'))
        self.assertRaises(vendor.Rejected, self.operator.resume)
        self.operator.remove('v1')
        self.operator.resume()
        self.assertEqual([], self.problems())

    def test_what_was_removed_and_is_here_is_not_healed(self):
        arrays = [test_etcd.array(1, 2)]
        self.backup()
        self.operator.remove('v1')
        self.load({1: (1, 2)}, name='two')
        self.assertIn('no longer', self.live('one', arrays)['v1'].observe)
        self.assertEqual(['two'], self.healers('two'))
        self.restore()
        self.live('one', arrays)
        self.live('two')
        self.assertTrue(self.live('one', arrays)['v1'].observe)
        self.assertEqual(['two'], self.healers('two'))
        # that was no hand-over, and nothing tells which one was the last
        self.assertRaises(vendor.Rejected, self.operator.resume)
        self.operator.resume(force=True)
        self.assertEqual([], self.problems())
