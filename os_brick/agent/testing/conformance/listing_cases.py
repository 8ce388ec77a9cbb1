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
"""get_volumes in peace: what is listed, and of what types."""

from __future__ import annotations

import dataclasses
import time

from os_brick.agent import model
from os_brick.agent.testing.conformance import bench
from os_brick.agent.testing.conformance import plain_host
from os_brick.agent.testing.conformance import witness
from os_brick.agent.vendors import base

# 2001-09-09; before it, what was meant is a duration.
_EARLIEST = 1e9
_A_DAY = 86400.0


def _words(volumes):
    """What two answers in peace have to agree in."""
    return sorted((volume.uuid, volume.alias, volume.size,
                   volume.replica_count, volume.max_replica_down_time,
                   sorted((replica.uuid, replica.state.value)
                          for replica in volume.replicas))
                  for volume in volumes)


class ListingCases(bench.Bench):
    """What is promised of an answer in peace."""

    def test_answer_is_a_sequence_of_volumes(self):
        """get_volumes returns a list or tuple of Volume, never None, and
        not a generator that may break off.
        """
        driver = self.started()
        answer = driver.get_volumes(self.host, tuple(
            array.seen() for array in self.arrays.values()), frozenset())
        if not isinstance(answer, (list, tuple)):
            self.fail('it returned a %s' % type(answer).__name__)
        wrong = {type(item).__name__ for item in answer
                 if not isinstance(item, model.Volume)}
        if wrong:
            self.fail('it lists %s' % ', '.join(sorted(wrong)))

    def test_attached_volumes_are_listed(self):
        """Every volume that this host has attached is listed, with all its
        replicas.
        """
        driver = self.started()
        self.volume(driver)
        listed = {volume.alias for volume in self.ask(driver)
                  if volume.replicas}
        gone = [alias for alias in self.aliases if alias not in listed]
        if gone:
            self.fail('not listed, or without replicas: %s' % ', '.join(gone))

    def test_every_field_has_its_type(self):
        """Every field of a Volume, Replica, Target and Portal is of the type
        and in the range that the model says; None only where it may be.
        """
        for volume in self.ask(self.started()):
            if not isinstance(volume, model.Volume):
                continue
            error = self.error_of(lambda: _made_anew(volume))
            if error is not None:
                self.fail('volume %s: %s' % (volume.uuid, error))

    def test_state_since_is_a_moment_gone_by(self):
        """Replica.state_since is None or seconds since the epoch: no
        duration, no milliseconds, and not to come.
        """
        latest = time.time() + _A_DAY
        for volume in self.ask(self.started()):
            for replica in volume.replicas:
                since = replica.state_since
                if since is not None and not _EARLIEST < since < latest:
                    self.fail('replica %s: %s' % (replica.uuid, since))

    def test_in_peace_two_answers_agree(self):
        """Asking changes nothing: in peace two answers say the same."""
        driver = self.started()
        first, second = (_words(self.ask(driver)) for _ in range(2))
        if first != second:
            self.fail('first %s, then %s' % (first, second))

    def test_replica_is_listed_once(self):
        """A volume is listed once, and a replica by one volume only."""
        uuids: list[str] = []
        for volume in self.ask(self.started()):
            uuids.append(volume.uuid)
            uuids += [replica.uuid for replica in volume.replicas]
        twice = sorted({uuid for uuid in uuids if uuids.count(uuid) > 1})
        if twice:
            self.fail('listed twice: %s' % ', '.join(twice))

    def test_wanted_target_is_given(self):
        """A replica in targets_for that is listed comes with a target, and
        that with a portal.
        """
        driver = self.started()
        volume = self.volume(driver)
        wanted = self.victim(volume).uuid
        self.see(volume, wanted, bench.State.MISSING)
        replica = self.volume(driver, {wanted}).replica(wanted)
        target = replica and replica.target
        if target is None or not target.portals:
            self.fail('replica %s: target %s' % (wanted, target))

    def test_unknown_replica_in_targets_for_is_no_error(self):
        """A replica in targets_for that the provisioner no longer knows
        spoils nothing: the volumes are listed.
        """
        driver = self.started()
        before = {volume.uuid for volume in self.ask(driver)}
        error = self.error_of(lambda: self.ask(driver, {bench.NOBODY}))
        if error is not None:
            self.fail('it raised %r' % error)
        if before != {volume.uuid for volume
                      in self.ask(driver, {bench.NOBODY})}:
            self.fail('other volumes than without it')

    def test_foreign_array_changes_nothing(self):
        """An array of this host that is no volume of this provisioner, a
        boot RAID say, neither adds nor spoils a volume.
        """
        driver = self.started()
        before = {volume.uuid for volume in self.ask(driver)}
        foreign = plain_host.PlainArray('md0', 'boot')
        foreign.seen = plain_host.foreign
        arrays = {**self.arrays, 'boot': foreign}
        self.arrays.update(arrays)
        error = self.error_of(lambda: self.ask(driver))
        if error is not None:
            self.fail('it raised %r' % error)
        after = {volume.uuid for volume in self.ask(driver)}
        if before != after:
            self.fail('%s volumes without it, %s with it' % (
                len(before), len(after)))

    def test_host_without_a_uuid_is_answered(self):
        """Host.uuid may be None, in a container say: every call answers, or
        declines with an error of the interface.
        """
        host = dataclasses.replace(self.host, uuid=None)
        driver = self.started()
        for what, call in (
                ('heartbeat', lambda: driver.heartbeat(host, 30.0)),
                ('get_volumes', lambda: self.ask(driver, host=host))):
            error = self.error_of(call)
            if error is not None and not isinstance(
                    error, base.ProvisionerError):
                self.fail('%s raised %r' % (what, error))

    def test_looks_at_no_device_and_starts_no_program(self):
        """A driver looks at no device of this host and starts no program:
        what a device is like, the agent tells it.
        """
        with witness.watch() as seen:
            driver = self.started()
            driver.heartbeat(self.host, 30.0)
            self.ask(driver)
        wrong = witness.of_devices(seen)
        if wrong:
            self.fail(', '.join(wrong))


def _made_anew(volume: model.Volume) -> None:
    """:raises TypeError, ValueError: a field is not what it should be."""
    for replica in volume.replicas:
        if replica.target is not None:
            for portal in replica.target.portals:
                dataclasses.replace(portal)
            dataclasses.replace(replica.target)
        dataclasses.replace(replica)
    dataclasses.replace(volume)
