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
"""What is promised of a provisioner that limits copies in its fleet."""

from __future__ import annotations

from collections.abc import Mapping
import contextlib

from os_brick.agent import model
from os_brick.agent.testing.conformance import bench
from os_brick.agent.vendors import base

_FULL = 'test_one_resync_waits_for_another'


class ResyncCases(bench.Bench):
    """Which copies wait; a driver that limits none is held to the first."""

    def test_resyncs_that_wait_are_named(self):
        """delay_resyncs returns None, or a mapping of wanted replicas to
        sentences that say why they wait.
        """
        driver = self.started()
        one = self._two(driver)[0]
        said = driver.delay_resyncs((), [one])
        driver.delay_resyncs((), ())
        if said is None:
            return
        if not isinstance(said, Mapping):
            self.fail('it returned a %s' % type(said).__name__)
        for replica, why in said.items():
            if replica != one.replica.uuid:
                self.fail('it names %r, which was not wanted' % (replica,))
            if not isinstance(why, str) or not why:
                self.fail('why %s waits is %r' % (replica, why))

    @bench.needs('resync_limit')
    def test_one_resync_waits_for_another(self):
        """Where one copy may be under way, one of two that are wanted waits,
        and the other may begin.
        """
        with self._limited() as driver:
            self._full(driver)

    @bench.needs('resync_limit')
    def test_resync_that_may_begin_still_may_later(self):
        """A copy that may begin has its place: it may still begin when it is
        asked for again.
        """
        with self._limited() as driver:
            begun, other = self._full(driver)
            for _ in range(3):
                if self._waits(driver, (), [begun]):
                    self.fail('it waits now')

    @bench.needs('resync_limit')
    def test_resync_that_goes_on_keeps_its_place(self):
        """A copy that is under way keeps its place for as long as it is
        listed.
        """
        with self._limited() as driver:
            begun, other = self._full(driver)
            for _ in range(5):
                if not self._waits(driver, [begun], [other]):
                    self.fail('another one may begin')

    @bench.needs('resync_limit')
    def test_resync_that_ended_frees_its_place(self):
        """A copy that is neither under way nor wanted any more frees its
        place.
        """
        with self._limited() as driver:
            begun, other = self._full(driver)
            self._waits(driver, [begun], ())
            if self._waits(driver, (), [other]):
                self.fail('the other one still waits: %s' % (
                    self._waits(driver, (), [other]),))

    @bench.needs('resync_limit')
    def test_resync_counts_without_having_been_asked_for(self):
        """A copy that is under way counts, though nobody asked for it.
        """
        with self._limited() as driver:
            there, other = self._two(driver)
            if not self._waits(driver, [there], [other]):
                self.fail('another one may begin')

    @bench.needs('resync_limit')
    def test_reason_of_a_wait_stays_the_same(self):
        """Why a copy waits is said in the same words for as long as it waits
        for the same, for they are logged when they change.
        """
        with self._limited() as driver:
            begun, other = self._full(driver)
            said = {str(self._waits(driver, [begun], [other]))
                    for _ in range(3)}
            if len(said) != 1:
                self.fail('it says %s' % ', then '.join(sorted(said)))

    @bench.needs('resync_limit')
    def test_restart_frees_what_it_has_forgotten(self):
        """An agent that was killed and knows nothing of a copy that might
        have begun frees its place with its first calls.
        """
        with self._limited() as driver:
            begun, other = self._full(driver)
            again = self.killed(driver)
            self._waits(again, (), ())
            if self._waits(again, (), [other]):
                self.fail('the other one still waits')

    @bench.needs('resync_limit', 'outage')
    def test_outage_lifts_no_limit(self):
        """While the provisioner cannot be reached delay_resyncs raises
        Unavailable; an empty answer would lift the limit.
        """
        with self._limited() as driver:
            begun, other = self._full(driver)
            with self.outage():
                self.refuses('delay_resyncs', lambda: driver.delay_resyncs(
                    [begun], [other]), base.Unavailable)

    @bench.needs('resync_limit', 'silence')
    def test_delaying_ends_in_silence(self):
        """delay_resyncs ends by itself, with Unavailable, where the
        provisioner takes the request and does not answer.
        """
        with self._limited() as driver:
            begun, other = self._full(driver)
            with self.silence():
                ended = self.within_limit(lambda: driver.delay_resyncs(
                    [begun], [other]))
                if not ended:
                    self.fail('it has not ended after %.0f s'
                              % self.call_limit)
                if not isinstance(ended[0], base.Unavailable):
                    self.fail('it ended with %r, where Unavailable is to be '
                              'raised' % (ended[0],))

    @contextlib.contextmanager
    def _limited(self):
        """A driver in whose fleet one copy may be under way."""
        with self.resync_limit():
            driver = self.started()
            self.ask(driver)
            try:
                yield driver
            finally:
                self.error_of(lambda: self._waits(driver, (), ()))

    def _two(self, driver) -> list[model.Resync]:
        volume = self.volume(driver)
        return [model.Resync(volume, replica)
                for replica in volume.replicas[:2]]

    def _full(self, driver) -> tuple[model.Resync, model.Resync]:
        """Let one copy begin; return it, and the one that waits."""
        two = self._two(driver)
        said = self._waits(driver, (), two)
        waits = [one for one in two if one.replica.uuid in said]
        if len(waits) != 1:
            self.stuck(_FULL, 'of two copies %d wait where one may be under '
                       'way' % len(waits))
        return next(one for one in two if one is not waits[0]), waits[0]

    def _waits(self, driver, under_way, wanted):
        """Ask as a pass does; return what waits."""
        driver.heartbeat(self.host, 30.0)
        self.ask(driver)
        said = driver.delay_resyncs(list(under_way), list(wanted))
        return said if isinstance(said, Mapping) else {}
