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
"""One fault of many volumes is one warning."""

from __future__ import annotations

import logging

import fixtures
from oslotest import base

from os_brick.agent import log_once
from os_brick.agent.tests.unit.daemon import healing_loop_case


class TogetherTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(
            format='%(levelname)s %(message)s', level=logging.INFO))

    def said(self, number: int, level: int = logging.WARNING) -> list[str]:
        log_once.say_together([
            log_once.Line('LEG_FAULTY', level, 'leg %d' % one, {})
            for one in range(number)])
        return self.log.output.splitlines()

    def test_a_few_are_said_as_they_are(self) -> None:
        self.assertEqual(['WARNING leg 0', 'WARNING leg 1', 'WARNING leg 2'],
                         self.said(log_once.FEW))

    def test_of_many_one_counts_the_others(self) -> None:
        self.assertEqual(
            ['WARNING leg 0; and 3 more of the kind LEG_FAULTY, each with a '
             'line of level INFO', 'INFO leg 1', 'INFO leg 2', 'INFO leg 3'],
            self.said(4))

    def test_what_is_worse_is_said_as_it_is(self) -> None:
        self.assertEqual(['CRITICAL leg %d' % one for one in range(6)],
                         self.said(6, logging.CRITICAL))

    def test_another_kind_is_another_fault(self) -> None:
        log_once.say_together([
            log_once.Line('KIND%d' % (one % 3), logging.WARNING,
                          str(one), {}) for one in range(9)])
        self.assertEqual(9, self.log.output.count('WARNING'))

    def test_the_same_words_are_one_warning_in_a_pass(self) -> None:
        log = log_once.LogOnce()
        for _time in range(2):
            log.begin()
            for volume in 'abc':
                log.trouble('volume %s%d' % (volume, _time), 'nobody answers')
        self.assertEqual(
            ['WARNING volume a0: nobody answers',
             'INFO volume b0: nobody answers',
             'INFO volume c0: nobody answers',
             'WARNING volume a1: nobody answers',
             'INFO volume b1: nobody answers',
             'INFO volume c1: nobody answers'], self.log.output.splitlines())

    def test_who_never_begins_says_each(self) -> None:
        """And keeps none of them: nobody would take them away."""
        log = log_once.LogOnce()
        self.addCleanup(lambda: self.assertFalse(log.just_said('nobody')))
        for volume in 'ab':
            log.trouble('volume ' + volume, 'nobody answers')
        self.assertEqual(2, self.log.output.count('WARNING'))


class MonthsTest(base.BaseTestCase):
    """Subjects come that were never there before, and nobody takes them."""

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(fixtures.FakeLogger())
        self.log = log_once.LogOnce()

    def test_the_last_ones_are_remembered(self) -> None:
        for number in range(3 * log_once.MOST):
            self.log.trouble('replica %d' % number, 'it is nobody\'s')
        self.assertEqual(log_once.MOST, len(self.log.standing()))
        self.assertTrue(self.log.troubled('replica %d' % number))
        self.assertFalse(self.log.troubled('replica 0'))

    def test_one_that_changes_is_among_them(self) -> None:
        for number in range(2 * log_once.MOST):
            self.log.trouble('provisioner', 'not for %d s' % number)
            self.log.trouble('replica %d' % number, 'it is nobody\'s')
        self.assertTrue(self.log.troubled('provisioner'))

    def test_a_volume_takes_its_own_along(self) -> None:
        for volume in ('a', 'ab'):
            for subject in ('volume %s, its copies',
                            'provisioner, replace replica x of volume %s'):
                self.log.trouble(subject % volume, 'no')
        self.log.forget_volume('a')
        self.assertEqual(('volume ab, its copies: no',
                          'provisioner, replace replica x of volume ab: no'),
                         self.log.standing())


class TargetDiesTest(healing_loop_case.CycleCase):
    """Each of ten volumes has its leg B on it."""

    volumes = 10

    def test_it_is_a_handful_of_warnings(self) -> None:
        self.turn(2)
        for number in range(1, 11):
            self.lose('B', number)
            self.host.legs[number]['B'] = (None, {'faulty'})
        handler = fixtures.FakeLogger(format='%(levelname)s %(message)s')
        log = self.useFixture(handler)
        self.turn(1)
        warnings = [line for line in log.output.splitlines()
                    if line.startswith('WARNING')]
        self.assertLessEqual(len(warnings), 5, str(warnings))
        self.assertIn('and 9 more of the kind LEG_FAULTY', log.output)
        for number in range(1, 11):
            self.assertIn('of array volume%d (md%d) is faulty' % (
                number, number), log.output)
