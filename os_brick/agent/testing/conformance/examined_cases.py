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
"""examine and certificates: what ``nvme-agent check`` is told."""

from __future__ import annotations

import threading
import traceback

from os_brick.agent import model
from os_brick.agent.testing.conformance import bench
from os_brick.agent.testing.conformance import witness
from os_brick.agent.vendors import base

_CYCLES = 3
_EARLIEST, _LATEST = 1e8, 1e11      # 1973; what in milliseconds is later


class ExaminedCases(bench.Bench):
    """What is promised of an instance that only asks."""

    def _unready(self):
        """Return a driver that is not set up; it is closed after the case."""
        driver = self.make_driver()
        self._open.append(driver)
        return driver

    def _examine(self, driver):
        return driver.examine(self.host, tuple(
            array.seen() for array in self.arrays.values()))

    def _examined(self, driver=None):
        """Return the answer; skip where there is none to speak of."""
        found = []
        error = self.error_of(lambda: found.append(
            self._examine(driver or self._unready())))
        if error is not None or (found[0] is not None and _wrong(found[0])):
            self.stuck('test_examine_needs_no_set_up', error or _wrong(
                found[0]))
        if found[0] is None:
            self.skipTest('examine returned None: the driver has no way to '
                          'ask')
        return found[0]

    def test_examine_needs_no_set_up(self):
        """On an instance that was not set up examine answers, with an
        Examination whose fields are of their types, or with None; close
        comes after it.
        """
        driver = self._unready()
        found = []
        error = self.error_of(lambda: found.append(self._examine(driver)))
        if error is not None:
            self.fail('it raised %r' % error)
        if found[0] is not None and _wrong(found[0]):
            self.fail(_wrong(found[0]))
        error = self.error_of(lambda: self.stop(driver))
        if error is not None:
            self.fail('after it close raised %r' % error)

    def test_examine_lists_what_the_agent_is_told(self):
        """The volumes of an Examination are those that get_volumes lists."""
        found = self._examined()
        if found.volumes is None:
            self.skipTest('no volumes are asked for')
        told = {volume.uuid for volume in self.ask(self.started())}
        named = {volume.uuid for volume in found.volumes}
        if named != told:
            self.fail('examine names %s, the agent is told of %s' % (
                sorted(named), sorted(told)))

    def test_examine_changes_nothing(self):
        """examine opens no file to write, and disturbs no agent that is
        running.
        """
        agent = self.started()
        before = {volume.uuid for volume in self.ask(agent)}
        driver = self._unready()
        with witness.watch() as seen:
            self._examined(driver)
        if witness.of_writing(seen):
            self.fail(', '.join(witness.of_writing(seen)))
        after = {volume.uuid for volume in self.ask(agent)}
        if before != after:
            self.fail('the agent was told of %s, now of %s' % (
                sorted(before), sorted(after)))

    @bench.needs('outage')
    def test_examine_finds_an_outage(self):
        """Where the provisioner cannot be reached examine raises
        Unavailable.
        """
        self._examined()
        with self.outage():
            self.refuses('examine', lambda: self._examine(self._unready()),
                         base.Unavailable)

    @bench.needs('silence')
    def test_examine_ends_in_silence(self):
        """examine ends by itself, with Unavailable, where the provisioner
        takes the request and does not answer.
        """
        self._examined()
        with self.silence():
            self._comes_back(
                'examine', lambda: self._examine(self._unready()),
                base.Unavailable)

    @bench.needs('refused_credentials')
    def test_examine_names_the_option_of_refused_credentials(self):
        """Where the credentials are refused examine raises Unauthorized, and
        the text names the option to look at.
        """
        self._examined()
        driver = self._unready()
        with self.refused_credentials():
            error = self.refuses('examine', lambda: self._examine(driver),
                                 base.Unauthorized)
        if not any(option.name in str(error)
                   for option in type(driver).options()):
            self.fail('the text names no option: %s' % error)

    @bench.needs('broken_volume')
    def test_examine_tells_of_a_broken_volume(self):
        """A volume whose description makes no sense is among the troubles of
        an Examination, and spoils no other one.
        """
        before = self._examined()
        if before.volumes is None:
            self.skipTest('no volumes are asked for')
        found = []
        with self.broken_volume() as broken:
            error = self.error_of(lambda: found.append(
                self._examine(self._unready())))
        if error is not None:
            self.fail('it raised %r' % error)
        if len(found[0].troubles) <= len(before.troubles):
            self.fail('no trouble is told')
        left = {volume.alias for volume in found[0].volumes}
        if left != {volume.alias for volume in before.volumes} - {broken}:
            self.fail('%s is broken, named are %s' % (broken, sorted(left)))

    @bench.needs('secrets')
    def test_no_secret_in_an_examination(self):
        """No secret is in an Examination, nor in an error of examine."""
        texts = [repr(self._examined())]
        for trouble in ('refused_credentials', 'outage'):
            if trouble in self.missing:
                continue
            driver = self._unready()
            with getattr(self, trouble)():
                texts += traceback.format_exception(
                    self.error_of(lambda: self._examine(driver)))
        if any(secret in text for secret in self.secrets()
               for text in texts):
            self.fail('it shows a secret')

    def test_nothing_is_left_behind_after_examine(self):
        """After examine, certificates and close no thread goes on, and no
        file and no connection stays open.
        """
        self._examine_and_end()     # what libraries keep for good
        threads = set(threading.enumerate())
        before = self.descriptors()
        for _ in range(_CYCLES):
            self._examine_and_end()
        left = self.until_none(lambda: [
            thread.name for thread in threading.enumerate()
            if thread not in threads])
        if left:
            self.fail('there still are: %s' % ', '.join(left))
        more = self.descriptors_left(before)
        if more >= _CYCLES:
            self.fail('%d descriptors more each time' % (more // _CYCLES))

    def _examine_and_end(self):
        driver = self._unready()
        self._examined(driver)
        driver.certificates()
        self.stop(driver)

    def test_certificates_have_words_and_a_date(self):
        """certificates returns a list or tuple of Certificate: in words whose
        it is, and when it ends, in seconds since the epoch; once the driver
        was set up, and after examine.
        """
        drivers, examined = [self.started()], self._unready()
        if self.error_of(lambda: self._examine(examined)) is None:
            drivers.append(examined)
        for driver in drivers:
            answer = []
            error = self.error_of(
                lambda: answer.append(driver.certificates()))
            if error is not None:
                self.fail('it raised %r' % error)
            if not isinstance(answer[0], (list, tuple)):
                self.fail('it returned a %s' % type(answer[0]).__name__)
            for one in answer[0]:
                if not (isinstance(one, model.Certificate)
                        and isinstance(one.whose, str) and one.whose
                        and isinstance(one.ends_at, (int, float))
                        and _EARLIEST < one.ends_at < _LATEST):
                    self.fail('it lists %r' % (one,))

    @bench.needs('outage')
    def test_certificates_of_what_does_not_answer_are_left_out(self):
        """While the provisioner cannot be reached certificates leaves its
        own out, and raises nothing.
        """
        driver = self.started()
        with self.outage():
            error = self.error_of(driver.certificates)
        if error is not None:
            self.fail('it raised %r' % error)

    @bench.needs('silence')
    def test_certificates_end_in_silence(self):
        """certificates ends by itself where the provisioner takes what is
        sent and does not answer.
        """
        driver = self.started()
        with self.silence():
            self._comes_back('certificates', driver.certificates, type(None))

    def _comes_back(self, what, call, kind):
        ended = self.within_limit(call)
        if not ended:
            self.fail('%s has not ended after %.0f s' % (what,
                                                         self.call_limit))
        if not isinstance(ended[0], kind):
            self.fail('%s ended with %r' % (what, ended[0]))


def _wrong(found: object) -> str:
    """Return what is wrong with an Examination, or ''."""
    if not isinstance(found, model.Examination):
        return 'it returned a %s' % type(found).__name__
    if not (isinstance(found.where, str) and found.where):
        return 'where is %r' % (found.where,)
    if not isinstance(found.version, str):
        return 'version is %r' % (found.version,)
    if not (found.volumes is None or isinstance(
            found.volumes, (list, tuple)) and all(
                isinstance(one, model.Volume) for one in found.volumes)):
        return 'volumes are %r' % (found.volumes,)
    if not (isinstance(found.troubles, (list, tuple)) and all(
            isinstance(one, str) and one for one in found.troubles)):
        return 'troubles are %r' % (found.troubles,)
    return ''
