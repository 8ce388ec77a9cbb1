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
"""Which replica was assigned in the place of which."""

from __future__ import annotations

import dataclasses

from oslotest import base

from os_brick.agent.healing import observing
from os_brick.agent.healing import replica_record
from os_brick.agent import model
from os_brick.agent.tests.unit.healing import test_observing
from os_brick.agent.tests.unit import scripted_world

A, B, C, D = (scripted_world.uuid_of(number) for number in range(4))
view = test_observing.view
REPLACE = replica_record.RequestKind.REPLACE


def asked(world: scripted_world.World, record: replica_record.ReplicaRecord
          ) -> replica_record.ReplicaRecord:
    """Return the record once a replacement was requested."""
    return replica_record.asked(record, REPLACE, world.listed(),
                                world.kernel.now)


def requested(world: scripted_world.World,
              record: replica_record.ReplicaRecord
              ) -> replica_record.ReplicaRecord:
    """Return the record once the request was accepted, too."""
    return replica_record.answered(asked(world, record), REPLACE, 0.0)


class TestAssigned(base.BaseTestCase):

    def test_two_requests_do_not_get_the_same_replica(self) -> None:
        world = scripted_world.world(self)
        records = observing.observe(view(world, {}))
        noted = {uuid: asked(world, record)
                 for uuid, record in records.items()}
        world.vendor.give(world.volume)
        for target in world.targets[:2]:
            world.kernel.lose(target)
        world.kernel.advance(5.0)
        later = observing.observe(view(world, noted))
        self.assertEqual((C, None), (later[A].successor, later[B].successor))
        # a request that may never have arrived waits for the next one
        noted[B] = replica_record.answered(noted[B], REPLACE,
                                           world.kernel.now)
        later = observing.observe(view(world, noted))
        self.assertEqual((None, C), (later[A].successor, later[B].successor))

    def test_one_whose_request_was_accepted_is_first(self) -> None:
        """That of A was noted, and the agent killed before it was made."""
        world = scripted_world.world(self)
        records = dict(observing.observe(view(world, {})))
        records[A] = asked(world, records[A])
        records[B] = requested(world, records[B])
        world.vendor.give(world.volume)
        for target in world.targets[:2]:
            world.kernel.lose(target)
        world.kernel.advance(5.0)
        later = observing.observe(view(world, records))
        self.assertEqual((None, C), (later[A].successor, later[B].successor))

    def test_S7_one_that_is_to_stay_is_what_was_asked_for(self) -> None:
        """C comes at the same time, and goes: one that leaves dooms nobody."""
        world = scripted_world.world(self)
        records = dict(observing.observe(view(world, {})))
        records[A] = asked(world, records[A])
        world.vendor.give(world.volume)
        world.vendor.terminate(world.volume, C)
        world.kernel.lose(world.targets[0])
        world.kernel.advance(5.0)
        self.assertEqual(C, observing.observe(view(world, records)
                                              )[A].successor)
        world.vendor.give(world.volume)
        other, = set(world.volume.replicas) - {A, B, C}
        self.assertEqual([A, B, C, other], list(world.volume.replicas))
        self.assertEqual(other, observing.observe(view(world, records)
                                                  )[A].successor)

    def test_S7_one_that_outlived_its_replacement_gets_no_other(self) -> None:
        """C was assigned in its place, and let go; the next is B's."""
        world = scripted_world.world(self)
        records = {**observing.observe(view(world, {})), C:
                   replica_record.ReplicaRecord(confirmed=True, joined=True)}
        for uuid in (A, B):
            records[uuid] = requested(world, records[uuid])
        records[A] = dataclasses.replace(records[A], successor=C)
        world.kernel.lose(world.targets[1])
        world.kernel.advance(5.0)
        world.volume.spares.remove(C)
        other = world.vendor.give(world.volume)
        seen = observing.observe(view(world, records))
        self.assertEqual((None, other), (seen[A].successor,
                                         seen[B].successor))
        self.assertIsNone(seen[A].requested_at)
        # what was not let go may be listed again; but whoever is bad is first
        records[C] = replica_record.ReplicaRecord()
        seen = observing.observe(view(world, records))
        self.assertEqual((C, other), (seen[A].successor, seen[B].successor))

    def test_S7_one_that_leaves_at_once_was_the_replacement(self) -> None:
        """Then the next one came for another replica; and A stays."""
        world = scripted_world.world(self, count=None)
        records = dict(observing.observe(view(world, {})))
        for uuid in (A, B):
            records[uuid] = requested(world, records[uuid])
            world.kernel.advance(5.0)
            given = world.vendor.give(world.volume)
            if uuid == A:
                world.vendor.terminate(world.volume, given)
        for target in world.targets[:2]:
            world.kernel.lose(target)
        seen = view(world, observing.observe(view(world, records)))
        self.assertEqual((C, given), (seen.records[A].successor,
                                      seen.records[B].successor))
        self.assertEqual([B, C], [one.uuid for one in seen.leaving])

    def replaced(self, world: scripted_world.World) -> dict[
            str, replica_record.ReplicaRecord]:
        """A is lost, and C was assigned upon a request that was accepted."""
        records = dict(observing.observe(view(world, {})))
        records[A] = requested(world, records[A])
        world.vendor.give(world.volume)
        world.kernel.lose(world.targets[0])
        world.kernel.advance(5.0)
        return dict(observing.observe(view(world, records)))

    def test_one_whose_replacement_is_to_leave_itself_gets_another(
            self) -> None:
        """C keeps a place until somebody takes it, and A never comes."""
        world = scripted_world.world(self, count=None)
        seen = self.replaced(world)
        self.assertEqual((C, float('inf')), (seen[A].successor,
                                             seen[A].retry_at))
        world.vendor.terminate(world.volume, C)
        leaving = observing.observe(view(world, seen))
        # not soon, and not later and later
        self.assertEqual(world.kernel.now + 60.0, leaving[A].retry_at)
        world.kernel.advance(5.0)
        later = observing.observe(view(world, leaving))
        self.assertEqual(leaving[A].retry_at, later[A].retry_at)
        # it may be to stay after all
        world.volume.replicas[C] = model.ReplicaState.MISSING
        self.assertEqual(float('inf'), observing.observe(
            view(world, later))[A].retry_at)

    def test_S7_what_comes_for_one_that_leaves_is_the_replacement(
            self) -> None:
        """The provisioner takes C away again, and gives the next one."""
        world = scripted_world.world(self)
        records = self.replaced(world)
        self.assertEqual(C, records[A].successor)
        world.vendor.terminate(world.volume, C)
        other = world.vendor.give(world.volume)
        seen = observing.observe(view(world, records))
        self.assertEqual((other, float('inf')), (seen[A].successor,
                                                 seen[A].retry_at))
        # whoever never got one has the first claim on what comes
        records[B] = dataclasses.replace(
            requested(world, records[B]), known=(A, B, C))
        world.kernel.lose(world.targets[1])
        world.kernel.advance(5.0)
        seen = observing.observe(view(world, records))
        self.assertEqual((C, other), (seen[A].successor, seen[B].successor))

    def test_one_that_is_good_is_not_given_up_for_what_comes(self) -> None:
        """It came back, and what was assigned for it is taken away."""
        world = scripted_world.world(self, count=None)
        records = self.replaced(world)
        world.kernel.restore(world.targets[0])
        world.kernel.advance(30.0)
        records = dict(observing.observe(view(world, records)))
        world.vendor.terminate(world.volume, C)
        world.vendor.give(world.volume)
        seen = view(world, records)
        seen = view(world, observing.observe(seen))
        replica = seen.volume.replica(A)
        assert replica is not None
        self.assertIs(model.ReplicaState.AVAILABLE, seen.local(replica))
        self.assertEqual((C, False), (seen.records[A].successor,
                                      seen.doomed(replica)))

    def test_S7_what_has_gone_again_was_not_the_replacement(self) -> None:
        """The volume was to have another replica, and then not."""
        world = scripted_world.world(self)
        records = dict(observing.observe(view(world, {})))
        records[A] = requested(world, records[A])
        world.kernel.lose(world.targets[0])
        world.kernel.advance(5.0)
        other = world.vendor.give(world.volume)
        seen = observing.observe(view(world, records))
        self.assertEqual(other, seen[A].successor)
        del world.volume.replicas[other]
        world.kernel.advance(5.0)
        without = observing.observe(view(world, seen))
        self.assertEqual(other, without[A].successor)
        world.volume.replicas[D] = model.ReplicaState.UNKNOWN
        world.kernel.advance(5.0)
        later = observing.observe(view(world, without))
        self.assertEqual((D, float('inf')), (
            later[A].successor,
            observing.observe(view(world, later))[A].retry_at))
        # it is held against the next one as the first one would have been
        self.assertEqual((1, 1), (seen[other].fruitless, later[D].fruitless))
