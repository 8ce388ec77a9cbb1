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
"""What is said of a step that was not done."""

from __future__ import annotations

import logging
import sys

from os_brick.agent.host import not_done
from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.daemon import healing_loop_case


class Handled(logging.Handler):
    """Keeps which exception was handled when something was said."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[type[BaseException] | None] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(sys.exc_info()[0])


class NotDoneTest(healing_loop_case.CycleCase):
    """Leg B was dropped, and is to be removed."""

    def fails(self, error: not_done.NotDone) -> Handled:
        handled = Handled()
        logging.getLogger().addHandler(handled)
        self.addCleanup(logging.getLogger().removeHandler, handled)

        def broken(action: act.Action) -> None:
            if isinstance(action, act.RemoveLeg):
                raise error

        self.host.broken = broken
        self.host.legs[1]['B'] = (None, {'faulty'})
        self.lose()
        self.turn(3)
        return handled

    def test_what_has_ended_by_itself_is_no_trouble(self):
        self.fails(not_done.Ended('the leg is gone'))
        self.assertEqual([], self.lines('the leg is gone'))

    def test_the_reason_is_said_once(self):
        """oslo.log appends the exception that is being handled."""
        handled = self.fails(not_done.NotDone('mdadm: it is busy'))
        self.assertEqual(1, len(self.lines('not done: mdadm: it is busy')))
        self.assertTrue(handled.found)
        self.assertEqual({None}, set(handled.found))
