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
"""Drivers that are wrong about what they are told."""

from os_brick.agent import model
from os_brick.agent.model import events
from os_brick.agent.tests.unit.testing.conformance import entering
from os_brick.agent.tests.unit.testing.conformance import shelf
from os_brick.agent.vendors import base

State = model.ReplicaState
Right = shelf.PerfectDriver
wrong = entering.wrong
force = entering.force


@wrong('heartbeat_may_come_at_any_time')
class Whole(Right):
    def heartbeat(self, host, interval):
        super().heartbeat(host, interval)
        1 // int(interval)


@wrong('listing_needs_no_heartbeat')
class Formal(Right):
    greeted = False

    def heartbeat(self, host, interval):
        self.greeted = True
        super().heartbeat(host, interval)

    def get_volumes(self, host, arrays, targets_for):
        if not self.greeted:
            raise base.Rejected('who are you?')
        return super().get_volumes(host, arrays, targets_for)


@wrong('event_of_any_kind_is_taken')
class Choosy(Right):
    def report_event(self, event):
        super().report_event(event)
        if event.level != events.WARN:
            {'WARN': 1}[event.level]


@wrong('reported_state_is_listed')
class Vague(Right):
    """What is being copied is listed as UNKNOWN."""

    def replica(self, name, kept):
        replica = super().replica(name, kept)
        if kept.state is State.SYNCHRONIZING:
            force(replica, state=State.UNKNOWN)
        return replica


@wrong('report_may_come_twice')
class Strict(Right):
    def report_replica_state(self, volume, replica, state):
        kept = self.kept(volume, replica)
        if kept is not None and kept.state is state is State.MISSING:
            raise base.BadAnswer('it is so already')
        super().report_replica_state(volume, replica, state)


@wrong('report_changes_no_other_replica')
class Sweeping(Right):
    def report_replica_state(self, volume, replica, state):
        super().report_replica_state(volume, replica, state)
        others = self.shelf.volumes[volume.uuid]
        if state is State.MISSING and len(others) == 2:
            for name, kept in others.items():
                if name != replica.uuid:
                    kept.state = State.UNKNOWN

    def request_replacement(self, volume, replica):
        super().request_replacement(volume, replica)
        for kept in self.shelf.volumes[volume.uuid].values():
            if kept.state is State.UNKNOWN and kept.number < 100:
                kept.state = State.AVAILABLE


@wrong('report_may_be_the_first_call')
class Ordered(Right):
    greeted = False

    def heartbeat(self, host, interval):
        self.greeted = True
        super().heartbeat(host, interval)

    def report_replica_state(self, volume, replica, state):
        if not self.greeted:
            raise base.Rejected('who are you?')
        super().report_replica_state(volume, replica, state)


@wrong('report_of_a_replica_that_is_gone_is_declined')
class Agreeable(Right):
    def report_replica_state(self, volume, replica, state):
        if self.kept(volume, replica) is not None:
            super().report_replica_state(volume, replica, state)


@wrong('report_does_not_bring_a_replica_back')
class Reviving(Right):
    def report_replica_state(self, volume, replica, state):
        kept = self.kept(volume, replica)
        if kept is not None and kept.state is State.TERMINATING:
            kept.state = state
            return
        super().report_replica_state(volume, replica, state)
