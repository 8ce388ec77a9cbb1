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
"""Options, the constructor and set_up: before anything is asked."""

from __future__ import annotations

from os_brick.agent.testing.conformance import bench
from os_brick.agent.testing.conformance import witness
from os_brick.agent.vendors import base


class OptionsCases(bench.Bench):
    """What is promised before the first call."""

    def _options(self):
        return list(type(self.make_driver()).options())

    def test_options_begin_with_the_vendors_name(self):
        """Every option begins with the driver's name and an underscore."""
        wrong = [option.name for option in self._options()
                 if not option.dest.startswith(self.vendor + '_')]
        if wrong:
            self.fail('the driver is called "%s", its options %s' % (
                self.vendor, ', '.join(wrong)))

    def test_options_are_the_same_when_asked_again(self):
        """options() answers the same every time: it is asked by the agent,
        by its check of an edited file, and by the generator of the sample.
        """
        if self._options() != self._options():
            self.fail('two calls of options() differ')

    def test_options_say_what_they_are_for(self):
        """Every option has a help, which the sample file shows."""
        wrong = [option.name for option in self._options()
                 if not (option.help or '').strip()]
        if wrong:
            self.fail('no help: %s' % ', '.join(wrong))

    @bench.needs('secrets')
    def test_options_that_hold_a_secret_are_declared_so(self):
        """An option that holds a secret is declared with secret=True, or the
        agent's log would show it.
        """
        conf, secrets = self.configured(), set(self.secrets())
        wrong = [option.name for option in self._options()
                 if str(conf[option.dest]) in secrets and not option.secret]
        if wrong:
            self.fail('not declared secret: %s' % ', '.join(wrong))

    def test_constructor_does_no_io(self):
        """__init__ keeps conf; it opens no file and connects to nothing."""
        conf, driver = self.configured(), type(self.make_driver())
        with witness.watch() as seen:
            driver(conf)
        if seen:
            self.fail('__init__: %s' % ', '.join(
                '%s of %s' % pair for pair in seen))

    @bench.needs('impossible_settings')
    def test_what_can_never_work_is_refused_by_name(self):
        """A configuration that can never work raises ConfigurationError from
        set_up, and the text names the option or the file.
        """
        count = 0
        for option, driver in self.impossible_settings():
            count += 1
            error = self.refuses('set_up with a wrong %s' % option,
                                 driver.set_up, base.ConfigurationError)
            if option not in str(error):
                self.fail('the text does not name %s: %s' % (option, error))
        if not count:
            self.fail('impossible_settings() gave none')

    @bench.needs('outage')
    def test_set_up_needs_no_provisioner(self):
        """A provisioner that is down at the start is no error of set_up."""
        with self.outage():
            error = self.error_of(self.started)
        if error is not None:
            self.fail('set_up raised %r' % error)

    @bench.needs('live_changes')
    def test_mutable_option_is_in_force_at_once(self):
        """An option that is declared mutable is in force with the next call
        after the file was read again (SIGHUP): it is read off conf when it
        is used, and not kept.
        """
        mutable = {option.dest for option in self._options()
                   if option.mutable}
        driver = self.started()
        self.ask(driver)
        for change in self.live_changes():
            self.change(**{change.option: change.value})
            mutable.discard(change.option)
            try:
                change.in_force(driver)
            except AssertionError as error:
                self.fail('%s = %s is not in force: %s' % (
                    change.option, change.value, error))
        if mutable:
            self.fail('live_changes() says nothing of %s' % ', '.join(
                sorted(mutable)))

    def test_reading_the_file_again_disturbs_nothing(self):
        """Configuration files that are read again unchanged change nothing:
        the agent lives on, and so does what the driver holds open.
        """
        driver = self.started()
        before = self.ask(driver)
        self.change()
        error = self.error_of(lambda: self.ask(driver))
        if error is not None:
            self.fail('get_volumes raised %r after that' % error)
        after = self.ask(driver)
        if {volume.uuid for volume in before} != {
                volume.uuid for volume in after}:
            self.fail('other volumes are listed after that')
