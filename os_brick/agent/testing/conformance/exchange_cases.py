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
"""The exchange of a replica: request, retire, confirm; twice, and killed."""

from __future__ import annotations

from os_brick.agent import model
from os_brick.agent.testing.conformance import bench
from os_brick.agent.vendors import base

State = bench.State


class ExchangeCases(bench.Bench):
    """What is promised of a replacement."""

    @bench.needs('changes', 'replacement')
    def test_replacement_is_listed(self):
        """A request that came back leads to a new replica of this volume,
        which a later answer lists.
        """
        driver = self.started()
        volume, bad = self.lost(driver)
        self.request(driver, volume, bad)
        self.new_replicas(volume, driver)

    @bench.needs('changes', 'replacement')
    def test_replacement_asked_twice_is_one(self):
        """A request that is made again for the same fault gives no second
        replica.
        """
        driver = self.started()
        volume, bad = self.lost(driver)
        self.request(driver, volume, bad)
        self.request(driver, volume, bad)
        self._exactly_one(volume, driver)

    @bench.needs('changes', 'replacement')
    def test_replacement_asked_again_after_a_crash_is_one(self):
        """An agent that was killed in the middle of a request makes it again
        after its restart, in the words that it remembers: one replica comes
        of both.
        """
        driver = self.started()
        volume, bad = self.lost(driver)
        self.request(driver, volume, bad)
        driver = self.killed(driver)
        self.request(driver, volume, bad)
        self._exactly_one(volume, driver)

    @bench.needs('changes', 'replacement', 'lost_answer')
    def test_replacement_whose_answer_was_lost_is_one(self):
        """A request whose answer was lost raises Unavailable or is found to
        have succeeded; made again, one replica comes of both.
        """
        driver = self.started()
        volume, bad = self.lost(driver)
        with self.lost_answer():
            error = self.error_of(lambda: driver.request_replacement(
                volume, bad))
        if error is not None and not isinstance(error, base.Unavailable):
            self.fail('it raised %r' % error)
        self.request(driver, volume, bad)
        self._exactly_one(volume, driver)

    def _exactly_one(self, before, driver):
        self.new_replicas(before, driver)
        self.settle()
        now, found = self.new_replicas(before, driver)
        if len(found) != 1:
            self.fail('%d new replicas: %s' % (len(found), ', '.join(
                replica.uuid for replica in found)))

    @bench.needs('changes', 'replacement')
    def test_fresh_copy_is_not_available(self):
        """A replica that was just placed is SYNCHRONIZING, MISSING or
        UNKNOWN until this host reports it AVAILABLE: it holds nothing yet.
        """
        driver = self.started()
        volume, bad = self.lost(driver)
        self.request(driver, volume, bad)
        _, found = self.new_replicas(volume, driver)
        if found[0].state not in (State.SYNCHRONIZING, State.MISSING,
                                  State.UNKNOWN):
            self.fail('it is %s' % found[0].state.value)

    @bench.needs('changes', 'replacement')
    def test_replacement_has_a_target(self):
        """A new replica that is asked for comes with its target, to which
        this host has been given access.
        """
        driver = self.started()
        volume, bad = self.lost(driver)
        self.request(driver, volume, bad)
        volume, found = self.new_replicas(volume, driver)
        new = self.volume(driver, {found[0].uuid}).replica(found[0].uuid)
        if new is None or new.target is None or not new.target.portals:
            self.fail('replica %s has no target' % found[0].uuid)

    @bench.needs('changes', 'replacement')
    def test_replacement_leaves_the_number_of_replicas(self):
        """Volume.replica_count is how many there are to be: it does not grow
        while there is one more, for the time of an exchange.
        """
        driver = self.started()
        volume, bad = self.lost(driver)
        self.request(driver, volume, bad)
        now, _ = self.new_replicas(volume, driver)
        if now.replica_count != volume.replica_count:
            self.fail('%s before, %s now' % (volume.replica_count,
                                             now.replica_count))

    @bench.needs('changes', 'replacement')
    def test_exchange_leaves_the_others_alone(self):
        """No other replica is marked or taken away by an exchange."""
        driver = self.started()
        before = self.volume(driver)
        volume, old = self.retired(driver)
        for replica in before.replicas:
            listed = volume.replica(replica.uuid)
            if replica.uuid != old.uuid and (
                    listed is None or listed.state is not State.AVAILABLE):
                self.fail('replica %s is %s' % (
                    replica.uuid, listed.state.value if listed else 'gone'))

    @bench.needs('changes', 'without_spares')
    def test_replacement_that_is_not_possible_is_declined(self):
        """A request that cannot be met now is declined with Rejected and
        the provisioner's own words; nothing has changed.
        """
        driver = self.started()
        volume, bad = self.lost(driver)
        with self.without_spares():
            volume = self.volume(driver)
            error = self.refuses(
                'the request', lambda: driver.request_replacement(
                    volume, bad), base.Rejected)
            now = self.volume(driver)
        if not str(error).strip():
            self.fail('Rejected says nothing')
        if {replica.uuid for replica in now.replicas} != {
                replica.uuid for replica in volume.replicas}:
            self.fail('other replicas are listed after it')

    @bench.needs('changes', 'replacement')
    def test_retired_replica_is_on_its_way_out(self):
        """A replica that was retired is listed as TERMINATING, or no longer;
        its successor stays.
        """
        driver = self.started()
        volume, old, new = self.replaced(driver)
        driver.retire_replica(volume, old)
        volume = self.volume(driver)
        listed = volume.replica(old.uuid)
        if listed is not None and listed.state is not State.TERMINATING:
            self.fail('it is %s' % listed.state.value)
        if volume.replica(new.uuid) is None:
            self.fail('its successor is not listed')

    @bench.needs('changes', 'replacement')
    def test_retiring_twice_is_like_once(self):
        """A replica that was retired may be retired again."""
        driver = self.started()
        volume, old, _ = self.replaced(driver)
        driver.retire_replica(volume, old)
        error = self.error_of(lambda: driver.retire_replica(volume, old))
        if error is not None:
            self.fail('the second time: %r' % error)

    @bench.needs('changes')
    def test_retiring_what_is_gone_is_success(self):
        """Retiring a replica that the provisioner no longer knows is
        success.
        """
        driver = self.started()
        volume = self.volume(driver)
        error = self.error_of(lambda: driver.retire_replica(
            volume, model.Replica(bench.NOBODY)))
        if error is not None:
            self.fail('it raised %r' % error)

    @bench.needs('changes', 'replacement')
    def test_confirmed_replica_is_gone(self):
        """A TERMINATING replica whose removal was confirmed is no longer
        listed.
        """
        driver = self.started()
        volume, old = self.retired(driver)
        driver.confirm_replica_removed(volume, old)
        if self.volume(driver).replica(old.uuid) is not None:
            self.fail('it is still listed')

    @bench.needs('changes', 'replacement')
    def test_confirming_twice_is_like_once(self):
        """A removal that was confirmed may be confirmed again."""
        driver = self.started()
        volume, old = self.retired(driver)
        driver.confirm_replica_removed(volume, old)
        error = self.error_of(lambda: driver.confirm_replica_removed(
            volume, old))
        if error is not None:
            self.fail('the second time: %r' % error)

    @bench.needs('changes')
    def test_confirming_what_is_gone_is_success(self):
        """Confirming a replica that the provisioner no longer knows is
        success.
        """
        driver = self.started()
        volume = self.volume(driver)
        error = self.error_of(lambda: driver.confirm_replica_removed(
            volume, model.Replica(bench.NOBODY)))
        if error is not None:
            self.fail('it raised %r' % error)

    @bench.needs('changes')
    def test_confirming_removes_only_what_is_terminating(self):
        """A replica that is not TERMINATING is not given up because its
        removal was confirmed, by a mistake say.
        """
        driver = self.started()
        volume = self.volume(driver)
        good = self.victim(volume)
        error = self.error_of(lambda: driver.confirm_replica_removed(
            volume, good))
        if error is not None and not isinstance(error,
                                                base.ProvisionerError):
            self.fail('it raised %r' % error)
        listed = self.volume(driver).replica(good.uuid)
        if listed is None or listed.state is State.TERMINATING:
            self.fail('it is %s' % (listed.state.value if listed
                                    else 'gone'))

    @bench.needs('changes', 'replacement')
    def test_exchange_survives_a_crash_between_any_two_steps(self):
        """An agent that is killed between any two steps of an exchange, and
        started again, brings it to its end.
        """
        driver = self.started()
        volume, bad = self.lost(driver)
        driver = self.killed(driver)
        self.request(driver, volume, bad)
        driver = self.killed(driver)
        volume, found = self.new_replicas(volume, driver)
        for state in (State.SYNCHRONIZING, State.AVAILABLE):
            self.see(volume, found[0].uuid, state)
            driver = self.killed(driver)
            driver.report_replica_state(volume, found[0], state)
        self.see(volume, bad.uuid, None)
        for step in ('retire_replica', 'confirm_replica_removed'):
            driver = self.killed(driver)
            volume = self.volume(driver)
            old = volume.replica(bad.uuid)
            if old is None:
                continue
            if step != 'retire_replica' and (
                    old.state is not State.TERMINATING):
                self.stuck('test_retired_replica_is_on_its_way_out',
                           'it is %s' % old.state.value)
            getattr(driver, step)(volume, old)
        driver = self.killed(driver)
        volume = self.volume(driver)
        new = volume.replica(found[0].uuid)
        if volume.replica(bad.uuid) is not None:
            self.fail('the old replica is still listed')
        if new is None or new.state is not State.AVAILABLE:
            self.fail('the new replica is %s' % (new.state.value if new
                                                 else 'gone'))
