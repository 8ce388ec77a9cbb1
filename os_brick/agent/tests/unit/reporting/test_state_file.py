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
"""What a pass writes to the state file, and what it finds wrong."""

from __future__ import annotations

import dataclasses
import logging
import os
import sqlite3
from unittest import mock

import fixtures

from os_brick.agent.daemon import showing
from os_brick.agent import log_once
from os_brick.agent.reporting import health
from os_brick.agent.reporting import verdict
from os_brick.agent.store import ledger
from os_brick.agent.tests.unit.reporting import shown_case
from os_brick.agent.tests.unit import superblocks

A, B, C = shown_case.A, shown_case.B, shown_case.C


class TestStateFile(shown_case.ShownCase):

    def test_all_is_well(self) -> None:
        self.turn()
        shown = self.shown()
        self.assertEqual(1, shown['schema'])
        self.assertEqual([], shown['findings'])
        volume, = shown['volumes']
        self.assertEqual(('volume1', 2, 2), (
            volume['alias'], volume['good'], volume['wanted']))
        self.assertEqual(['AVAILABLE'] * 2, [
            replica['here'] for replica in volume['replicas']])
        self.assertEqual(shown['time']['wall'],
                         shown['provisioner']['answered_at'])
        self.assertEqual(['STATUS=1 volumes, 1 attached, 0 degraded; '
                          'provisioner answers'], self.notified)
        self.assertEqual(0o644, 0o777 & os.stat(os.path.join(
            self.folder, showing.STATE_FILE)).st_mode)
        self.assertEqual({'agent.sqlite', 'state.json'},
                         {name for name in os.listdir(self.folder)
                          if not name.endswith('-journal')})

    def test_the_anchor_and_those_that_do_not_wait(self) -> None:
        self.anchors['md1'] = 'nvme10n1'
        self.turn()
        self.assertEqual(['anchor', 'waits'], [
            replica['leg']['role']
            for replica in self.shown()['volumes'][0]['replicas']])

    def test_a_lost_replica_from_first_to_last(self) -> None:
        self.lose()
        self.turn()
        self.assertIn('ARRAY_DEGRADED', self.codes())
        replica = self.shown()['volumes'][0]['replicas'][1]
        self.assertEqual(('MISSING', 'its target does not answer'),
                         (replica['here'], replica['why']))
        self.turn()
        replica = self.shown()['volumes'][0]['replicas'][1]
        self.assertIn('grace period', replica['waits_for'])
        # 40 s, of which 10 s have gone
        self.assertAlmostEqual(
            30.0, replica['until_at'] - self.shown()['time']['wall'])
        self.assertTrue(replica['was_leg'])
        # nothing of it is left in md, and it is shown all the same
        self.assertIsNone(replica['leg'])
        self.turn(20)
        self.assertEqual(set(), self.codes())
        self.assertEqual({A, C}, {
            one['uuid'] for one in self.shown()['volumes'][0]['replicas']})
        self.assertIn('ARRAY_DEGRADED, volume volume1: over',
                      self.log.output)

    def test_a_target_that_lives_and_gives_no_access(self) -> None:
        seen = self.host.scan()
        head = seen.namespace_of(B)
        assert head is not None
        closed = dataclasses.replace(seen, namespaces=tuple(
            dataclasses.replace(one, barred=frozenset(one.controllers))
            if one is head else one for one in seen.namespaces))
        with mock.patch.object(self.host, 'scan', lambda: closed):
            self.restart()
            self.turn()
        replica = self.shown()['volumes'][0]['replicas'][1]
        self.assertEqual('its target gives no access to it', replica['why'])
        self.assertEqual(['without access'],
                         [path['state'] for path in replica['paths']])

    def test_S15_a_replica_that_waits_for_the_first_write(self) -> None:
        self.host.used = False
        self.host.legs[1].pop('B')
        self.turn(8)
        self.assertEqual({'ARRAY_DEGRADED'}, self.codes())
        replica = self.shown()['volumes'][0]['replicas'][1]
        self.assertEqual(('first write', None), (
            replica['waits_for'][4:15], replica['until_at']))
        words = 'nobody on this host has written to it'
        self.assertIn(words, replica['why'])
        self.assertIn('put off: S15: ' + words, self.look()[1])
        self.assertEqual(1, self.log.output.count('put off: S15: ' + words))
        self.assertEqual([], self.said('replace'))
        self.host.used = True
        self.turn(3)
        self.assertEqual(set(), self.codes())

    def test_each_finding_is_said_once(self) -> None:
        self.turn()
        self.lose()
        self.turn(3)
        # why was not said before
        self.assertEqual(1, self.log.output.count(
            'ARRAY_DEGRADED, volume volume1: 1 of 2 copies are good'))

    def test_the_log_does_not_say_why_twice(self) -> None:
        self.outage()
        self.turn(3)
        self.assertEqual(1, self.log.output.count(
            'PROVISIONER_UNREACHABLE: the provisioner does not answer, or not '
            'as it should'))
        self.assertNotIn('UNREACHABLE: 192.0.2.99', self.log.output)
        # who is shown it, or told as an event, has not read the log
        self.assertIn('PROVISIONER_UNREACHABLE: 192.0.2.99 does not answer',
                      self.look()[1])
        told = [one['text'] for one in self.shown()['findings']]
        self.assertEqual(['192.0.2.99 does not answer'], told)
        # in a later pass it was said long ago
        log = log_once.LogOnce()
        log.begin()
        log.trouble('x', 'it is so. Advice')
        self.assertTrue(log.just_said('it is so'))
        self.assertFalse(log.just_said('it is not'))
        log.begin()
        log.trouble('x', 'it is so. Advice')
        log.trouble('y', 'it is new', logging.INFO)
        self.assertFalse(log.just_said('it is so'))
        self.assertFalse(log.just_said('it is new'))

    def test_an_outage(self) -> None:
        self.turn()
        before = self.shown()['provisioner']['answered_at']
        self.outage()
        self.lose()
        self.turn(2)
        self.assertEqual(before,
                         self.shown()['provisioner']['answered_at'])
        self.assertLessEqual({'PROVISIONER_UNREACHABLE', 'REPORTS_WAITING',
                              'ARRAY_DEGRADED'}, self.codes())
        self.assertEqual(
            [1], [one['reports_waiting'] for one in self.shown()['volumes']])
        self.assertIn('provisioner does not answer; 1 reports wait',
                      self.notified[-1])

    def test_a_request_that_is_not_accepted(self) -> None:
        self.lose()
        self.outage('replace')
        self.turn(20)
        self.assertIn('NO_SPARE', self.codes())
        self.assertIn('was not accepted', self.look()[1].replace(
            '\n      ', ' '))

    def test_no_good_copy(self) -> None:
        self.host.live = dict.fromkeys(self.host.live, False)
        self.turn()
        self.assertIn('NO_GOOD_LEG', self.codes())
        self.assertEqual(verdict.CRITICAL, self.look()[0])

    def test_what_a_rule_keeps_back(self) -> None:
        """It is told of when it lasts, and not where it ends at once."""
        self.turn()
        device = self.host.name(1, 'B') + 'n1'
        self.host.written[device] = superblocks.content(
            superblocks.of(1, 9, (0,), updated=5000.0, array='md-uuid-1'))
        del self.host.legs[1]['B']
        self.turn(3, seconds=30.0)
        status, text = self.look('volume1')
        self.assertEqual(1, status)
        self.assertRegex(' '.join(text.split()),
                         r'kept back for .*: S10: .*later than any leg')
        self.assertNotIn('STEP_REFUSED', self.codes())
        self.turn(40, seconds=30.0)
        self.assertIn('STEP_REFUSED', self.codes())
        del self.host.written[device]
        self.turn(2, seconds=30.0)
        self.assertNotIn('STEP_REFUSED', self.codes())
        self.assertNotIn('kept back', self.look('volume1')[1])

    def test_how_bad_it_is(self) -> None:
        self.lose()
        self.turn()
        content = self.shown()
        for good, weight in ((1, 1), (2, 2)):
            content['volumes'][0].update(good=good, wanted=good + weight)
            found, = [one for one in health.findings(content)
                      if one.code == 'ARRAY_DEGRADED']
            self.assertEqual(weight, found.weight)

    def test_the_guard_is_off(self) -> None:
        self.conf.set_override('io_guard', 'observe')
        self.turn()
        self.assertEqual({'GUARD_OFF'}, self.codes())

    def test_a_pass_that_fails(self) -> None:
        self.turn()
        for error, code in ((OSError('x'), 'PASS_FAILED'),
                            (sqlite3.OperationalError('disk is full'),
                             'STATE_DIR')):
            with fixtures.MockPatchObject(self.book, 'owing',
                                          side_effect=error):
                self.assertRaises(type(error), self.turn)
            self.assertEqual({code}, self.codes())
            self.assertIn(str(error), self.shown()['failed'])
            self.assertEqual('volume1', self.shown()['volumes'][0]['alias'])
        self.turn()
        self.assertEqual(set(), self.codes())

    def test_a_ledger_that_is_in_memory_only(self) -> None:
        with fixtures.MockPatchObject(ledger.Ledger, 'trouble', True):
            self.turn()
        self.assertEqual({'STATE_DIR'}, self.codes())
        self.turn()
        self.assertEqual(set(), self.codes())

    def test_a_full_run_costs_one_line(self) -> None:
        self.turn()
        self.conf.set_override('run_dir', os.path.join(self.folder, 'none'))
        self.turn(3)
        self.assertEqual(1, self.log.output.count('(option run_dir)'))
        self.assertRegex(self.log.output,
                         r'state\.json cannot be written: [A-Z]')
        self.assertEqual(4, len(
            [words for words in self.driver.said if words[0] == 'volumes']))

    def test_the_first_line(self) -> None:
        self.outage('volumes')
        self.turn(2)
        self.assertNotIn('provisioner reached', self.log.output)
        self.driver.broken = lambda name, volume: None
        self.turn(3)
        self.assertEqual(1, self.log.output.count(
            'provisioner reached (driver local): 1 volumes listed, 1 arrays '
            'of this host matched, 0 left alone'))
