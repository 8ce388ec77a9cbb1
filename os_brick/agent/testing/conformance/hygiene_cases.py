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
"""Secrets, threads and descriptors: what a driver must not leave about."""

from __future__ import annotations

import logging
import threading
import traceback

from os_brick.agent.testing.conformance import bench

State = bench.State
_CYCLES = 3


class HygieneCases(bench.Bench):
    """What is promised of all calls together."""

    def _life(self, driver, troubles=('refused_credentials', 'outage')):
        """A short life of a driver; return the errors of it."""
        errors = []

        def attempt(call):
            error = self.error_of(call)
            if error is not None:
                errors.append(error)
        attempt(lambda: driver.heartbeat(self.host, 30.0))
        attempt(lambda: self.ask(driver))
        if 'changes' not in self.missing:
            volume = self.volume(driver)
            attempt(lambda: driver.report_replica_state(
                volume, self.victim(volume), State.AVAILABLE))
        for trouble in troubles:
            if trouble not in self.missing:
                with getattr(self, trouble)():
                    attempt(lambda: self.ask(driver))
        return errors

    def _leaks(self, texts):
        return sum(secret in text for secret in self.secrets()
                   for text in texts)

    @bench.needs('secrets')
    def test_no_secret_in_the_drivers_own_text(self):
        """No secret is in what a driver is printed as."""
        driver = self.started()
        if self._leaks([repr(driver), str(driver)]):
            self.fail('repr() or str() of the driver shows a secret')

    @bench.needs('secrets')
    def test_no_secret_in_an_error(self):
        """No secret is in an error, nor in what it was raised from."""
        for error in self._life(self.started()):
            if self._leaks([str(error), repr(error), *(
                    traceback.format_exception(error))]):
                self.fail('a %s shows a secret' % type(error).__name__)

    @bench.needs('secrets')
    def test_no_secret_in_the_log(self):
        """No secret is logged, at whatever level."""
        with self.logged() as records:
            self._life(self.started())
        form = logging.Formatter()
        for record in records:
            if self._leaks([form.format(record)]):
                self.fail('%s, level %s, line %d shows a secret' % (
                    record.name, record.levelname, record.lineno))

    def test_calls_may_come_from_any_thread(self):
        """set_up, the calls and close come one at a time, but not all from
        the same thread.
        """
        driver = self.started()
        errors: list[BaseException | None] = []

        def calls():
            errors.append(self.error_of(lambda: driver.heartbeat(
                self.host, 30.0)))
            errors.append(self.error_of(lambda: self.ask(driver)))
        for _ in range(2):
            thread = threading.Thread(target=calls)
            thread.start()
            thread.join()
        for error in filter(None, errors):
            self.fail('it raised %r' % error)

    def test_close_may_come_at_once(self):
        """A driver that was asked nothing can be closed."""
        error = self.error_of(lambda: self.stop(
            self.started(greet=False)))
        if error is not None:
            self.fail('it raised %r' % error)

    def test_no_thread_is_left_behind(self):
        """After close no thread of the driver's goes on."""
        # no trouble: the hooks may start threads of a back end anew
        self._life_and_end(troubles=())     # what libraries keep for good
        before = set(threading.enumerate())
        self._life_and_end(troubles=())
        left = self.until_none(lambda: [
            thread for thread in threading.enumerate()
            if thread not in before])
        if left:
            self.fail('there still are: %s' % ', '.join(
                thread.name for thread in left))

    def test_no_descriptor_is_left_behind(self):
        """After close no file and no connection stays open."""
        self._life_and_end()    # what libraries keep for good
        before = self.descriptors()
        for _ in range(_CYCLES):
            self._life_and_end()
        left = self.descriptors_left(before)
        if left >= _CYCLES:
            self.fail('%d more for each driver' % (left // _CYCLES))

    def _life_and_end(self, **kinds):
        driver = self.started()
        self._life(driver, **kinds)
        self.stop(driver)
