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
"""Drivers that leave about what they should not: secrets, threads, files."""

import logging
import os
import threading

from os_brick.agent.tests.unit.testing.conformance import entering
from os_brick.agent.tests.unit.testing.conformance import shelf
from os_brick.agent.vendors import base

LOG = logging.getLogger(__name__)
Right = shelf.PerfectDriver
wrong = entering.wrong
HELD = entering.HELD


@wrong('no_secret_in_the_drivers_own_text')
class Shown(Right):
    def __repr__(self):
        return '<driver, token %s>' % self.conf.shelf_token


@wrong('no_secret_in_an_error')
class Telling(Right):
    def get_volumes(self, host, arrays, targets_for):
        if self.shelf.mood == 'refusing':
            raise base.Unauthorized('option shelf_token: %s is refused'
                                    % self.conf.shelf_token)
        return super().get_volumes(host, arrays, targets_for)


@wrong('no_secret_in_the_log')
class Logging(Right):
    def reach(self):
        LOG.debug('asking with %s', self.conf.shelf_token)
        super().reach()


@wrong('calls_may_come_from_any_thread')
class Threadbound(Right):
    thread = None

    def set_up(self):
        super().set_up()
        self.thread = threading.current_thread()

    def reach(self):
        if self.thread not in (None, threading.current_thread()):
            raise base.Unavailable('another thread than that of set_up')
        super().reach()


@wrong('close_may_come_at_once')
class Unready(Right):
    def reach(self):
        self.reached = True
        super().reach()

    def close(self):
        del self.reached


@wrong('no_thread_is_left_behind')
class Spinning(Right):
    def heartbeat(self, host, interval):
        super().heartbeat(host, interval)
        threading.Thread(target=self.shelf.the_end.wait, daemon=True).start()


@wrong('no_descriptor_is_left_behind')
class Leaking(Right):
    def heartbeat(self, host, interval):
        super().heartbeat(host, interval)
        HELD.append(os.open('/dev/null', os.O_RDONLY))
