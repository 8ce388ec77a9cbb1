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
"""A small world whose passes write a state file, and who looks at it."""

from __future__ import annotations

import argparse
import logging
import os
from typing import Any

import fixtures

from os_brick.agent.daemon import chronicle
from os_brick.agent.daemon import healing_loop
from os_brick.agent.daemon import showing
from os_brick.agent import model
from os_brick.agent.tests.unit import small_world
from os_brick.agent.vendors import base
from os_brick.cmd import status
from os_brick.cmd import viewing

A, B, C = (small_world.uuid(1, letter) for letter in 'abc')
DOCUMENTATION = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                             *['..'] * 5, 'doc', 'source', 'admin')
HOST = model.Host('nqn.2014-08.org.nvmexpress:uuid:host', None, 'compute',
                  '1.0')


class ShownCase(small_world.WorldCase):

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.conf.set_override('io_guard', 'on')

    def restart(self) -> None:
        super().restart()
        self.folder = os.path.dirname(self.path)
        self.conf.set_override('run_dir', self.folder)
        self.conf.set_override('state_dir', self.folder)
        self.notified: list[str] = []
        self.anchors: dict[str, str] = {}
        self.story = chronicle.Chronicle(self.conf, self.clock)
        self.cycle = healing_loop.HealingLoop(
            self.conf, self.driver, HOST, self.host.scan,
            self.host,  # type: ignore[arg-type]
            self.book, lambda: self.stopping, self.claimed.append, self.clock,
            show=showing.Showing(self.conf, HOST, lambda: self.anchors,
                                 self.notified.append, self.clock,
                                 self.story))

    def catch(self) -> None:
        logger = logging.getLogger('os_brick.agent')
        logger.addHandler(self.story)
        self.addCleanup(logger.removeHandler, self.story)

    def shown(self) -> dict[str, Any]:
        return viewing.load(os.path.join(self.folder, showing.STATE_FILE))

    def codes(self) -> set[str]:
        return {one['code'] for one in self.shown()['findings']}

    def look(self, *words: str) -> tuple[int, str]:
        return status.look(os.path.join(self.folder, showing.STATE_FILE),
                           self.parsed(status, *words), self.clock)

    def parsed(self, module: Any, *words: str) -> argparse.Namespace:
        parser = argparse.ArgumentParser()
        module.add_arguments(parser)
        return parser.parse_args(words)

    def outage(self, *names: str) -> None:
        def broken(name: str, alias: str) -> None:
            if not names or name in names:
                raise base.Unavailable('192.0.2.99 does not answer')

        self.driver.broken = broken

    def lose(self, letter: str = 'B') -> None:
        self.host.live[self.host.name(1, letter)] = False
        self.host.legs[1][letter] = (None, {'faulty'})
