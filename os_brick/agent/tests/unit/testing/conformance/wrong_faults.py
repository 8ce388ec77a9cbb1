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
"""Drivers that are wrong when their provisioner is."""

import logging

from os_brick.agent.tests.unit.testing.conformance import entering
from os_brick.agent.tests.unit.testing.conformance import shelf
from os_brick.agent.vendors import base

LOG = logging.getLogger(__name__)
Right = shelf.PerfectDriver
wrong = entering.wrong


@wrong('outage_is_no_empty_answer')
class Empty(Right):
    def get_volumes(self, host, arrays, targets_for):
        if self.shelf.mood == 'outage':
            return []
        return super().get_volumes(host, arrays, targets_for)


@wrong('outage_swallows_nothing')
class Swallowing(Right):
    def retire_replica(self, volume, replica):
        if self.shelf.mood != 'outage':
            super().retire_replica(volume, replica)


@wrong('outage_spoils_no_heartbeat_or_event')
class Raw(Right):
    def report_event(self, event):
        if self.shelf.mood == 'outage':
            raise ConnectionRefusedError('refused')
        super().report_event(event)


@wrong('outage_ends')
class Sulking(Right):
    failures = 0

    def reach(self):
        if self.shelf.mood == 'outage':
            self.failures += 1
        if self.failures > 5:
            raise base.Unavailable('it was away too often')
        super().reach()


@wrong('listing_ends_in_silence')
class Patient(Right):
    def get_volumes(self, host, arrays, targets_for):
        if self.shelf.mood == 'silence':
            self.shelf.released.wait()
        return super().get_volumes(host, arrays, targets_for)


@wrong('telling_ends_in_silence')
class Persistent(Right):
    def confirm_replica_removed(self, volume, replica):
        if self.shelf.mood == 'silence':
            self.shelf.released.wait()
        super().confirm_replica_removed(volume, replica)


@wrong('refused_credentials_name_the_option')
class Mute(Right):
    def get_volumes(self, host, arrays, targets_for):
        if self.shelf.mood == 'refusing':
            raise base.Unauthorized('401')
        return super().get_volumes(host, arrays, targets_for)


@wrong('nonsense_is_no_answer')
class Believing(Right):
    def get_volumes(self, host, arrays, targets_for):
        if self.shelf.mood == 'nonsense':
            return []
        return super().get_volumes(host, arrays, targets_for)


@wrong('nonsense_is_no_success')
class Sanguine(Right):
    def report_replica_state(self, volume, replica, state):
        if self.shelf.mood != 'nonsense':
            super().report_replica_state(volume, replica, state)


@wrong('one_broken_volume_costs_no_other')
class Dismayed(Right):
    """All are left out, and said to be."""

    def get_volumes(self, host, arrays, targets_for):
        found = super().get_volumes(host, arrays, targets_for)
        return [] if self.shelf.mood == 'broken' else found


@wrong('broken_volume_is_logged_once')
class Chatty(Right):
    def get_volumes(self, host, arrays, targets_for):
        found = super().get_volumes(host, arrays, targets_for)
        if len(found) < 2:
            LOG.warning('a volume is left out')
        return found
