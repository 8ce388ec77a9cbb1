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
"""Running the cases, and what came of each."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import traceback
import unittest

from os_brick.agent.testing.conformance import suite

PASSED, FAILED, SKIPPED = 'passed', 'failed', 'skipped'


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of one case.

    :ivar sentence: of the contract, that the driver was held to.
    :ivar result: passed, failed or skipped.
    :ivar reason: why it failed or was skipped, on one line.
    :ivar detail: a traceback, where something broke in a case.
    """

    case: str
    sentence: str
    result: str
    reason: str = ''
    detail: str = ''


class _Listener(unittest.TestResult):
    """Hands each outcome on when it is there."""

    def __init__(self, tell: Callable[[Outcome], None]) -> None:
        super().__init__()
        self._tell = tell

    def _note(self, test, result, reason='', detail=''):
        name = test.id().rpartition('.')[2]
        self._tell(Outcome(name, suite.cases().get(name, test.id()), result,
                           ' '.join(str(reason).split()), detail))

    def addSuccess(self, test):
        self._note(test, PASSED)

    def addSkip(self, test, reason):
        self._note(test, SKIPPED, reason)

    def addFailure(self, test, err):
        self._note(test, FAILED, err[1])

    def addError(self, test, err):
        self._note(test, FAILED, '%s: %s' % (err[0].__name__, err[1]),
                   ''.join(traceback.format_exception(*err)))


def run(vendors: type[unittest.TestCase],
        tell: Callable[[Outcome], None]) -> list[Outcome]:
    """Run all cases of a vendor's class in the order of their names.

    :param vendors: derives from ``DriverConformance``.
    :param tell: is given each outcome at once.
    """
    found: list[Outcome] = []

    def note(outcome: Outcome) -> None:
        found.append(outcome)
        tell(outcome)

    unittest.TestSuite(
        unittest.defaultTestLoader.loadTestsFromTestCase(vendors)
    ).run(_Listener(note))
    return found
