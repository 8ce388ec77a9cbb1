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
"""Drivers that are wrong only after a long story."""

from os_brick.agent.tests.unit.testing.conformance import entering
from os_brick.agent.tests.unit.testing.conformance import shelf
from os_brick.agent.vendors import base

Right = shelf.PerfectDriver
wrong = entering.wrong


@wrong('stories_of_faults_end_well')
class Weary(Right):
    """Its session ends after some answers, and it begins no new one."""

    answers = 0

    def get_volumes(self, host, arrays, targets_for):
        self.answers += 1
        if self.answers > 15:
            raise base.Unauthorized('option shelf_token: it has expired')
        return super().get_volumes(host, arrays, targets_for)


@wrong('stories_with_the_whole_agent_end_well')
class Single(Right):
    """What it has begun for one volume keeps it from hearing of others."""

    busy = None

    def request_replacement(self, volume, replica):
        super().request_replacement(volume, replica)
        self.busy = volume.uuid

    def report_replica_state(self, volume, replica, state):
        if self.busy not in (None, volume.uuid):
            raise base.Rejected('volume %s comes first' % self.busy)
        super().report_replica_state(volume, replica, state)
