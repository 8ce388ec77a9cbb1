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
"""Drivers that are wrong in their answers: what they list, and how."""

import os
import time

from os_brick.agent import model
from os_brick.agent.tests.unit.testing.conformance import entering
from os_brick.agent.vendors import base

State = model.ReplicaState
answer = entering.answer
force = entering.force


@answer('answer_is_a_sequence_of_volumes')
def as_generator(self, found, *_):
    return (volume for volume in found)


@answer('every_field_has_its_type')
def size_as_text(self, found, *_):
    force(found[-1], size='1073741824')
    return found


@answer('state_since_is_a_moment_gone_by')
def since_in_milliseconds(self, found, *_):
    force(found[-1].replicas[0], state_since=1000 * time.time())
    return found


@answer('in_peace_two_answers_agree')
def growing(self, found, *_):
    self.asked = getattr(self, 'asked', 0) + 1
    force(found[-1], max_replica_down_time=float(self.asked))
    return found


@answer('replica_is_listed_once')
def also_elsewhere(self, found, *_):
    if len(found) > 1:
        force(found[1], replicas=found[1].replicas + found[0].replicas[:1])
    return found


@answer('wanted_target_is_given')
def without_old_targets(self, found, host, arrays, targets_for):
    for replica in found[0].replicas:
        if replica.state is State.AVAILABLE:
            force(replica, target=None)
    return found


@answer('unknown_replica_in_targets_for_is_no_error')
def looked_up(self, found, host, arrays, targets_for):
    known = {replica.uuid for volume in found for replica in volume.replicas}
    for replica in targets_for:
        if replica not in known:
            raise KeyError(replica)
    return found


@answer('foreign_array_changes_nothing')
def every_array(self, found, host, arrays, targets_for):
    if len(arrays) != 2:
        raise base.BadAnswer('an array has no volume')
    return found


@answer('host_without_a_uuid_is_answered')
def host_uuid(self, found, host, *_):
    return found if host.uuid.lower() else None


@answer('looks_at_no_device_and_starts_no_program')
def looking(self, found, *_):
    os.path.exists('/sys/block') and os.listdir('/sys/block')
    return found


@answer('attached_volumes_are_listed')
def without_replicas(self, found, *_):
    if len(found) > 1:
        force(found[1], replicas=())
    return found
