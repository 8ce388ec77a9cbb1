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
"""Drivers that are wrong about the exchange of a replica."""

from os_brick.agent import model
from os_brick.agent.tests.unit.testing.conformance import entering
from os_brick.agent.tests.unit.testing.conformance import shelf
from os_brick.agent.vendors import base

State = model.ReplicaState
Right = shelf.PerfectDriver
wrong = entering.wrong
force = entering.force


@wrong('replacement_is_listed')
class Hollow(Right):
    def request_replacement(self, volume, replica):
        self.kept(volume, replica)
        if not self.shelf.spares:
            raise base.Rejected('the shelf has no spare left')


@wrong('replacement_asked_twice_is_one')
class Generous(Right):
    """It forgets within one life what it asked for."""

    asked = False

    def request_replacement(self, volume, replica):
        self.kept(volume, replica)
        if self.asked:
            self.shelf.place(volume.uuid, None)
        super().request_replacement(volume, replica)
        self.asked = True


@wrong('replacement_asked_again_after_a_crash_is_one')
class Forgetful(Right):
    """A request of another life than the one that reported it."""

    def set_up(self):
        super().set_up()
        self.here = set()

    def report_replica_state(self, volume, replica, state):
        super().report_replica_state(volume, replica, state)
        self.here.add(replica.uuid)

    def request_replacement(self, volume, replica):
        kept = self.kept(volume, replica)
        if kept is not None and kept.successor and (
                replica.uuid not in self.here):
            self.shelf.place(volume.uuid, None)
            return
        super().request_replacement(volume, replica)


@wrong('replacement_whose_answer_was_lost_is_one')
class Careless(Right):
    def request_replacement(self, volume, replica):
        if self.shelf.mood == 'losing':
            self.shelf.place(volume.uuid, None)
            self.answer()
        super().request_replacement(volume, replica)


@wrong('fresh_copy_is_not_available')
class Optimistic(Right):
    def request_replacement(self, volume, replica):
        super().request_replacement(volume, replica)
        name = list(self.shelf.volumes[volume.uuid])[-1]
        if self.shelf.volumes[volume.uuid][name].state is State.UNKNOWN:
            self.shelf.volumes[volume.uuid][name].state = State.AVAILABLE


@wrong('replacement_has_a_target')
class Untargeted(Right):
    def replica(self, name, kept):
        replica = super().replica(name, kept)
        if kept.number > 100:
            force(replica, target=None)
        return replica


@wrong('replacement_leaves_the_number_of_replicas')
class Counting(Right):
    def volume(self, described):
        volume = super().volume(described)
        return force(volume, replica_count=len(volume.replicas))


@wrong('exchange_leaves_the_others_alone')
class Rough(Right):
    def retire_replica(self, volume, replica):
        super().retire_replica(volume, replica)
        if replica.uuid == shelf.uuid(11):
            self.shelf.volumes[volume.uuid][
                shelf.uuid(10)].state = State.MISSING


@wrong('replacement_that_is_not_possible_is_declined')
class Silent(Right):
    def request_replacement(self, volume, replica):
        if self.shelf.spares or self.shelf.mood:
            super().request_replacement(volume, replica)


@wrong('retired_replica_is_on_its_way_out')
class Reluctant(Right):
    def retire_replica(self, volume, replica):
        self.kept(volume, replica)


@wrong('retiring_twice_is_like_once')
class Once(Right):
    def retire_replica(self, volume, replica):
        kept = self.kept(volume, replica)
        if kept is not None and kept.state is State.TERMINATING:
            raise base.Rejected('it is TERMINATING already')
        super().retire_replica(volume, replica)


@wrong('retiring_what_is_gone_is_success')
class Pedantic(Right):
    def retire_replica(self, volume, replica):
        if self.kept(volume, replica) is None:
            raise base.Rejected('no such replica')
        super().retire_replica(volume, replica)


@wrong('confirmed_replica_is_gone')
class Hoarding(Right):
    """A removal is carried out with the next start only."""

    def confirm_replica_removed(self, volume, replica):
        kept = self.kept(volume, replica)
        if kept is not None and kept.state is State.TERMINATING:
            self.shelf.leaving.append((volume, replica))
            return
        super().confirm_replica_removed(volume, replica)

    def set_up(self):
        super().set_up()
        for volume, replica in self.shelf.leaving:
            super().confirm_replica_removed(volume, replica)
        self.shelf.leaving.clear()


@wrong('confirming_twice_is_like_once')
class Surprised(Right):
    def confirm_replica_removed(self, volume, replica):
        kept = self.kept(volume, replica)
        if kept is None and replica.state is State.TERMINATING:
            raise base.Rejected('it is gone')
        super().confirm_replica_removed(volume, replica)


@wrong('confirming_what_is_gone_is_success')
class Unknowing(Right):
    def confirm_replica_removed(self, volume, replica):
        if self.kept(volume, replica) is None and (
                replica.state is State.UNKNOWN):
            raise base.Rejected('no such replica')
        super().confirm_replica_removed(volume, replica)


@wrong('confirming_removes_only_what_is_terminating')
class Trusting(Right):
    def confirm_replica_removed(self, volume, replica):
        self.kept(volume, replica)
        self.shelf.volumes[volume.uuid].pop(replica.uuid, None)


@wrong('exchange_survives_a_crash_between_any_two_steps')
class Mortal(Right):
    """What was retired in another life is not let go in this one."""

    def retire_replica(self, volume, replica):
        super().retire_replica(volume, replica)
        self.retired = replica.uuid

    def confirm_replica_removed(self, volume, replica):
        if self.kept(volume, replica) is not None and (
                replica.uuid != getattr(self, 'retired', None)
                and replica.state is State.TERMINATING):
            raise base.Rejected('who said so?')
        super().confirm_replica_removed(volume, replica)
