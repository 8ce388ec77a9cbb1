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
"""Who is not heard after a restore, and may be healing all the same."""

from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.tests.unit.vendors import etcd_restored_case
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.fleet import store

host = etcd_fleet.host


class RestoredSilentTestCase(etcd_restored_case.RestoredCase):

    def test_one_whose_healer_is_not_there(self):
        self.backup()
        self.hand_over('v1', 'two')
        taken = self.exchange('two', 1, 1)
        self.restore()
        self.live('one')
        # a spare that it took would look free
        for found in (str(self.assertRaises(
                vendor.Rejected, self.operator.resume)), self.problems()[0]):
            self.assertIn('the host two may heal it, and has not', found)
        self.operator.resume(force=True)
        self.assertIn('the host two may heal it', self.problems()[0])
        # it comes back, and is heard
        self.live('two')
        self.assertIn('nvme-agent-fleet resume', self.problems()[0])
        self.operator.resume()
        self.assertEqual(([], 1, None), (
            self.problems(), self.uses()[taken], self.uses()[1]))

    def test_one_that_is_named_and_has_no_document_may_be_healing(self):
        """It is cut off, and goes on by its last word."""
        self.backup()
        self.hand_over('v1', 'two')
        self.exchange('two', 1, 1)
        self.restore()
        self.drivers.pop('two')
        self.live('one')
        self.refuses_unheard('one')
        self.operator.resume(force=True)
        self.refuses_unheard('one')
        self.assertTrue(self.live('one')['v1'].observe)
        # the operator knows better
        self.operator.hand_over('v1', 'one', stopped=True)
        self.assertEqual(('', []), (self.live('one')['v1'].observe,
                                    self.problems()))
        self.operator.resume()

    def test_one_whose_document_is_of_before_may_be_healing(self):
        """The backup was made in the middle of the hand-over to it."""
        under_way = self.operator.hand_over('v1', 'two')
        self.live('one')
        self.backup()
        under_way.look()
        under_way.step()
        self.assertEqual('', self.live('two')['v1'].observe)
        self.restore()
        two = self.drivers.pop('two')
        self.live('one')
        self.refuses_unheard('two')    # its agent does not show itself
        self.refuses_unheard('one')
        under_way.look()
        self.assertRaises(vendor.Rejected, under_way.step)
        self.drivers['two'] = two
        self.assertEqual('', self.live('two')['v1'].observe)
        self.operator.resume()
        self.assertEqual([], self.problems())
        self.hand_over('v1', 'one')

    def test_who_is_to_heal_first_writes_what_it_remembers(self):
        self.backup()
        self.exchange('one', 1, 1)
        self.restore()
        error = self.assertRaises(vendor.Rejected, self.operator.hand_over,
                                  'v1', 'one', stopped=True)
        self.assertIn('Wait for its agent', str(error))
        self.live('one')
        self.operator.hand_over('v1', 'one', stopped=True)

    def test_a_document_of_before_is_not_detached(self):
        self.hand_over('v1', 'two')
        self.hand_over('v1', 'one')
        self.backup()
        self.hand_over('v1', 'two')
        self.restore()
        self.drivers.pop('two')
        self.live('one')
        error = self.assertRaises(vendor.Rejected, self.operator.detach,
                                  'v1', 'two')
        self.assertIn('the host two may heal it', str(error))
        self.operator.hand_over('v1', 'one', stopped=True)
        self.operator.detach('v1', 'two', gone=True)

    def test_who_was_off_finds_what_was_said_after_a_detach_too(self):
        self.operator.hand_over('v1', 'two', stopped=True)
        self.live('two')
        self.assertRaises(vendor.Rejected, self.operator.detach, 'v1', 'one')
        self.operator.accept()    # of no backup
        self.assertEqual(['two'], self.healers('one', 'two'))

    def test_who_observes_and_is_silent_is_in_nobodys_way(self):
        self.hand_over('v1', 'two')
        self.backup()
        self.restore()
        self.drivers.pop('one')
        self.live('two')
        self.operator.resume()
        self.assertEqual([], self.problems())
        self.live('three')
        self.hand_over('v1', 'three')
        self.operator.detach('v1', 'one')

    def test_who_is_silent_and_has_written_is_heard(self):
        self.hand_over('v1', 'two')
        self.backup()
        self.restore()
        for name in ('one', 'two'):
            self.live(name)
        self.operator.resume()
        for name in ('one', 'two'):
            self.store.write(store.Write({self.keys.alive(name): None}))
        self.assertEqual([], self.problems())
        self.assertEqual([], self.operator.resume())

    def test_what_was_shown_to_another_store_is_not_shown_to_this_one(self):
        """Two restored backups may be of one generation."""
        self.backup()
        self.restore()
        for name in ('one', 'two'):
            self.live(name)
        self.hand_over('v1', 'two')
        self.restore()
        for driver, name in ((self.drivers[one], one) for one
                             in ('one', 'two')):
            driver.heartbeat(host(name), 30)
            self.assertRaises(vendor.BadAnswer, self.volumes, driver, name)
        error = self.assertRaises(vendor.Rejected, self.operator.resume)
        self.assertIn('free: one, two;', str(error))
        self.operator.accept()
        for name in ('one', 'two'):
            self.live(name)
        self.operator.resume()
        self.assertEqual('', self.live('two')['v1'].observe)

    def comes_back_and_does_not_heal(self):
        """It was off, as the operator said."""
        self.restore()
        two = self.drivers.pop('two')
        self.live('one')
        self.operator.hand_over('v1', 'one', stopped=True)
        self.drivers['two'] = two
        self.assertEqual(['one'], self.healers('two', 'one'))
        self.operator.resume()
        self.assertEqual([], self.problems())
        self.hand_over('v1', 'two')

    def test_the_word_that_a_host_is_off_counts_when_it_comes_back(self):
        self.hand_over('v1', 'two')
        self.hand_over('v1', 'one')
        self.backup()
        for name in ('two', 'one', 'two'):
            self.hand_over('v1', name)
        self.exchange('two', 1, 1)
        self.comes_back_and_does_not_heal()

    def test_so_it_does_where_the_backup_does_not_have_the_host(self):
        self.backup()
        for name in ('two', 'one', 'two'):
            self.hand_over('v1', name)
        self.exchange('two', 1, 1)
        self.comes_back_and_does_not_heal()
