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
"""heartbeat, report_event and report_replica_state."""

from __future__ import annotations

from os_brick.agent import model
from os_brick.agent.model import events
from os_brick.agent.testing.conformance import bench
from os_brick.agent.vendors import base

State = bench.State
_TOLD = (State.MISSING, State.SYNCHRONIZING, State.AVAILABLE)


class TellingCases(bench.Bench):
    """What is promised of the calls that tell."""

    def test_heartbeat_may_come_at_any_time(self):
        """A heartbeat may come early, late and twice."""
        driver = self.started()
        for interval in (30.0, 0.5, 3600.0):
            driver.heartbeat(self.host, interval)

    def test_listing_needs_no_heartbeat(self):
        """get_volumes answers also where no heartbeat arrived before."""
        error = self.error_of(lambda: self.ask(self.started(greet=False)))
        if error is not None:
            self.fail('it raised %r' % error)

    @bench.needs('changes')
    def test_event_of_any_kind_is_taken(self):
        """An event of any level and of a kind that the driver has never
        heard of is taken, or declined with an error of the interface.
        """
        driver = self.started()
        self.ask(driver)
        for level in (events.INFO, events.WARN, events.FATAL):
            for names in ((), (('array', 'md127'), ('alias', 'vol-1'))):
                error = self.error_of(lambda: driver.report_event(
                    model.Event('A_KIND_TO_COME', level, 'something '
                                'happened: \u2026', names)))
                if error is not None and not isinstance(
                        error, base.ProvisionerError):
                    self.fail('level %s: %r' % (level, error))

    @bench.needs('changes')
    def test_reported_state_is_listed(self):
        """A state that was reported is what the next answer lists."""
        driver = self.started()
        volume = self.volume(driver)
        replica = self.victim(volume)
        for state in _TOLD:
            self.see(volume, replica.uuid, state)
            driver.report_replica_state(volume, replica, state)
            volume = self.volume(driver)
            listed = volume.replica(replica.uuid)
            if listed is None or listed.state is not state:
                self.fail('%s was reported, %s is listed' % (
                    state.value, listed and listed.state.value))

    @bench.needs('changes')
    def test_report_may_come_twice(self):
        """The same state may be reported again, after an outage say."""
        driver = self.started()
        volume = self.volume(driver)
        replica = self.victim(volume)
        for state in _TOLD:
            driver.report_replica_state(volume, replica, state)
            error = self.error_of(lambda: driver.report_replica_state(
                volume, replica, state))
            if error is not None:
                self.fail('%s for the second time: %r' % (
                    state.value, error))

    @bench.needs('changes')
    def test_report_changes_no_other_replica(self):
        """A report changes the replica that it is about, and no other."""
        driver = self.started()
        before = self.volume(driver)
        volume, bad = self.lost(driver)
        for replica in volume.replicas:
            old = before.replica(replica.uuid)
            if replica.uuid != bad.uuid and (
                    old is None or old.state is not replica.state):
                self.fail('replica %s is %s' % (replica.uuid,
                                                replica.state.value))
        driver.report_replica_state(volume, bad, State.AVAILABLE)

    @bench.needs('changes')
    def test_report_may_be_the_first_call(self):
        """After a restart a report that was kept may be the first call that
        reaches the provisioner; it is taken.
        """
        driver = self.started()
        volume = self.volume(driver)
        replica = self.victim(volume)
        self.stop(driver)
        driver = self.started(greet=False)
        error = self.error_of(lambda: driver.report_replica_state(
            volume, replica, State.AVAILABLE))
        if error is not None:
            self.fail('it raised %r' % error)

    @bench.needs('changes')
    def test_report_of_a_replica_that_is_gone_is_declined(self):
        """A report about a replica that the provisioner no longer knows is
        declined with Rejected: then it is not repeated for ever.
        """
        driver = self.started()
        volume = self.volume(driver)
        self.refuses('a report', lambda: driver.report_replica_state(
            volume, model.Replica(bench.NOBODY), State.MISSING),
            base.Rejected)

    @bench.needs('changes', 'replacement')
    def test_report_does_not_bring_a_replica_back(self):
        """A TERMINATING replica stays so, whatever is reported of it."""
        driver = self.started()
        volume, old = self.retired(driver)
        if volume.replica(old.uuid) is None:
            return
        error = self.error_of(lambda: driver.report_replica_state(
            volume, old, State.AVAILABLE))
        if error is not None and not isinstance(error, base.Rejected):
            self.fail('it raised %r' % error)
        listed = self.volume(driver).replica(old.uuid)
        if listed is not None and listed.state is not State.TERMINATING:
            self.fail('it is %s' % listed.state.value)
