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
"""A back end that is away, silent, unwilling, or talks nonsense."""

from __future__ import annotations

from os_brick.agent import model
from os_brick.agent.model import events
from os_brick.agent.testing.conformance import bench
from os_brick.agent.vendors import base

State = bench.State


class FaultsCases(bench.Bench):
    """What is promised while something is wrong."""

    def _tellings(self, driver, volume, replica):
        """The calls that must arrive, by name."""
        return (
            ('report_replica_state', lambda: driver.report_replica_state(
                volume, replica, State.MISSING)),
            ('request_replacement', lambda: driver.request_replacement(
                volume, replica)),
            ('retire_replica', lambda: driver.retire_replica(
                volume, replica)),
            ('confirm_replica_removed',
             lambda: driver.confirm_replica_removed(volume, replica)))

    @bench.needs('outage')
    def test_outage_is_no_empty_answer(self):
        """While the provisioner cannot be reached get_volumes raises
        Unavailable; an empty answer would be a lie.
        """
        driver = self.started()
        self.ask(driver)
        with self.outage():
            self.refuses('get_volumes', lambda: self.ask(driver),
                         base.Unavailable)

    @bench.needs('outage', 'changes')
    def test_outage_swallows_nothing(self):
        """While the provisioner cannot be reached, each call that has to
        arrive raises Unavailable.
        """
        driver = self.started()
        volume = self.volume(driver)
        with self.outage():
            for what, call in self._tellings(driver, volume,
                                             self.victim(volume)):
                self.refuses(what, call, base.Unavailable)

    @bench.needs('outage')
    def test_outage_spoils_no_heartbeat_or_event(self):
        """heartbeat and report_event may fail while the provisioner cannot
        be reached, but with Unavailable.
        """
        driver = self.started()
        with self.outage():
            for what, call in (
                    ('heartbeat', lambda: driver.heartbeat(self.host, 30.0)),
                    ('report_event', lambda: driver.report_event(
                        model.Event('LEG_FAULTY', events.WARN, 'a leg')))):
                error = self.error_of(call)
                if error is not None and not isinstance(
                        error, base.Unavailable):
                    self.fail('%s raised %r' % (what, error))

    @bench.needs('outage')
    def test_outage_ends(self):
        """When the provisioner is back, the next pass works, without a
        restart.
        """
        driver = self.started()
        self.ask(driver)
        with self.outage():
            for _ in range(3):
                self.error_of(lambda: driver.heartbeat(self.host, 30.0))
                self.error_of(lambda: self.ask(driver))
        for what, call in (
                ('heartbeat', lambda: driver.heartbeat(self.host, 30.0)),
                ('get_volumes', lambda: self.ask(driver))):
            error = self.error_of(call)
            if error is not None:
                self.fail('%s raised %r' % (what, error))

    @bench.needs('silence')
    def test_listing_ends_in_silence(self):
        """get_volumes ends by itself, with Unavailable, where the
        provisioner takes the request and does not answer.
        """
        driver = self.started()
        self.ask(driver)
        with self.silence():
            self._ends('get_volumes', lambda: self.ask(driver))

    @bench.needs('silence', 'changes')
    def test_telling_ends_in_silence(self):
        """Each call that has to arrive ends by itself, with Unavailable,
        where the provisioner takes the request and does not answer.
        """
        driver = self.started()
        volume = self.volume(driver)
        with self.silence():
            for what, call in self._tellings(driver, volume,
                                             self.victim(volume)):
                self._ends(what, call)

    def _ends(self, what, call):
        ended = self.within_limit(call)
        if not ended:
            self.fail('%s has not ended after %.0f s' % (what,
                                                         self.call_limit))
        if not isinstance(ended[0], base.Unavailable):
            self.fail('%s ended with %r, where Unavailable is to be raised'
                      % (what, ended[0]))

    @bench.needs('refused_credentials')
    def test_refused_credentials_name_the_option(self):
        """Credentials that are refused raise Unauthorized, and the text
        names the option to look at.
        """
        driver = self.started()
        with self.refused_credentials():
            error = self.refuses('get_volumes', lambda: self.ask(driver),
                                 base.Unauthorized)
        names = [option.name for option in type(driver).options()]
        if not any(name in str(error) for name in names):
            self.fail('the text names no option: %s' % error)

    @bench.needs('hostile_answers')
    def test_nonsense_is_no_answer(self):
        """An answer that makes no sense, an HTML page or half of a list say,
        raises BadAnswer or Unavailable; nothing of it is believed, and the
        next answer is.
        """
        for what, spoilt in self.hostile_answers():
            driver = self.started()
            self.ask(driver)
            with spoilt:
                self.refuses('get_volumes answered by %s' % what,
                             lambda: self.ask(driver), base.BadAnswer,
                             base.Unavailable)
            driver.heartbeat(self.host, 30.0)
            if not self.ask(driver):
                self.fail('nothing is listed after %s' % what)
            self.stop(driver)

    @bench.needs('hostile_answers', 'changes')
    def test_nonsense_is_no_success(self):
        """A call that has to arrive, and is answered by what makes no sense,
        has not succeeded: it raises BadAnswer or Unavailable.
        """
        for what, spoilt in self.hostile_answers():
            driver = self.started()
            volume = self.volume(driver)
            with spoilt:
                self.refuses(
                    'a report answered by %s' % what,
                    lambda: driver.report_replica_state(
                        volume, self.victim(volume), State.AVAILABLE),
                    base.BadAnswer, base.Unavailable)
            self.stop(driver)

    @bench.needs('broken_volume')
    def test_one_broken_volume_costs_no_other(self):
        """A volume whose description makes no sense is left out; the others
        are listed.
        """
        driver = self.started()
        before = {volume.alias for volume in self.ask(driver)}
        with self.broken_volume() as broken:
            error = self.error_of(lambda: self.ask(driver))
            if error is not None:
                self.fail('get_volumes raised %r' % error)
            listed = {volume.alias for volume in self.ask(driver)}
        if listed != before - {broken}:
            self.fail('%s are listed; %s was broken of %s' % (
                sorted(listed), broken, sorted(before)))

    @bench.needs('broken_volume')
    def test_broken_volume_is_logged_once(self):
        """That a volume is left out is logged when it begins, and not again
        in every pass.
        """
        driver = self.started()
        self.ask(driver)
        with self.broken_volume():
            counts = []
            for _ in range(3):
                with self.logged() as records:
                    self.ask(driver)
                counts.append(sum(record.levelname in (
                    'WARNING', 'ERROR', 'CRITICAL') for record in records))
        if not counts[0]:
            self.fail('nothing was logged')
        if counts[1] or counts[2]:
            self.fail('%d lines in the second pass, %d in the third' % (
                counts[1], counts[2]))
