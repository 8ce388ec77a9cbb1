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
"""Each case of the kit is failed by a driver that is wrong in just that."""

import os
import unittest

from oslotest import base

from os_brick.agent.testing.conformance import suite
from os_brick.agent.tests.unit.testing.conformance import entering
from os_brick.agent.tests.unit.testing.conformance import shelf
from os_brick.agent.tests.unit.testing.conformance import wrong_drivers

WRONG = wrong_drivers.WRONG
STORIES = ('test_stories_of_faults_end_well',
           'test_stories_with_the_whole_agent_end_well')


class Quick(shelf.ShelfConformance):
    """Where a driver is known to hang, no long wait is needed."""

    call_limit = 0.2
    patience = 0.2
    story_shortened = False
    # they are others in each run; the first that goes wrong is the last
    story_examples = history_examples = 500


class Few(Quick):

    story_examples = 30


class Patient(Quick):
    """Where the machine may only have been busy for a moment."""

    call_limit = 5.0
    patience = 5.0


def load_tests(loader, tests, pattern):
    """Leave out what is no test by itself."""
    return loader.loadTestsFromTestCase(TestWrongDrivers)


class TestWrongDrivers(base.BaseTestCase):

    def failing(self, driver, names, kind=Quick):
        """Return the cases that this driver does not pass."""
        found = []
        case_class = type('Wrong', (kind,), {'driver': driver})
        for name in names:
            result = unittest.TestResult()
            case = case_class(name)
            case.run(result)
            self.assertEqual([], [why for _, why in result.skipped
                                  if not why.startswith('depends on ')])
            if not result.wasSuccessful():
                found.append(name)
            case.shelf.the_end.set()
        return found

    def test_there_is_one_for_each_case(self):
        self.assertEqual(sorted(suite.cases()), sorted(WRONG))

    def test_each_fails_exactly_that_one(self):
        names = [name for name in suite.cases() if name not in STORIES]
        self.addCleanup(self.let_go)
        surprises = {}
        for name, driver in sorted(WRONG.items()):
            if name in STORIES:
                continue
            found = self.failing(driver, names)
            if found != [name]:
                found = self.failing(driver, found, Patient)
            if found != [name]:
                surprises[name] = found
        self.assertEqual({}, surprises)

    def let_go(self):
        while entering.HELD:
            os.close(entering.HELD.pop())

    def test_the_story_finds_what_no_single_case_does(self):
        for story in STORIES:
            # a story that nothing goes wrong in is told to the end
            others = [name for name in suite.cases() if name not in STORIES]
            self.assertEqual([story], self.failing(WRONG[story],
                                                   [story, *others]))

    def test_only_the_whole_agent_finds_what_two_volumes_do(self):
        plain, whole = STORIES
        self.assertEqual([], self.failing(
            WRONG[whole], [plain], Few))
