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
"""Whether a copy may be put into an array: what its superblock tells; pure.

A copy that left an array and comes back is *behind* it: it holds nothing that
the array lacks, and what it lacks is copied to it.  A copy that was in charge
itself meanwhile is *divergent*: it may hold acknowledged writes that are
nowhere else.  md does not tell the two apart.  ``mdadm --re-add`` and
``--add`` take either in, copy what the array's own bitmap marks, and call the
result in sync (Linux 6.1, mdadm 4.2: also where the returning copy has fewer
events than the array).

Three things in a superblock do tell:

* its count of events is higher than the array's, by more than the one that
  md takes back when an array becomes clean (md.c, md_update_sb);
* it lists none of the legs that the array has now: it ran without them.  One
  that was dropped by the array was last written while they were in it.  md
  lists legs by number, and gives the number of one that was removed to the
  next that is added (md.c, bind_rdev_to_array): of a leg that was put in since
  the copy left, it can tell nothing. All legs may have been put in, or back,
  since.  Where the agent saw it in sync in this very instance of the array
  when this host had written to it, and knows of no other host that has had
  the volume since, that instance dropped it, and it is enough that it lists
  anybody but itself: one that went on elsewhere has likely gone on alone;
* it was written later than the array itself. Times are of the wall clock of
  whoever wrote them: where this host's was set back since, a copy of before
  that is none, and has fewer events than the array. The agent notes the time
  with each pass: what md wrote a little later is of before that, too.

Each of the three fades: an array goes on, and overtakes the count and the time
of a copy that was in charge before it came up here on an older one; and its
number may be another's in that copy's list.  So the agent notes the count that
the array had before this host wrote to it: a copy that has not been a leg of
this instance has no higher one, unless it was written elsewhere, or md was
still copying to it.  And where another copy that is here has carried a number
as lately as the one that lists it, it is that one's.

None of them is enough to call a copy good; each is enough not to touch it.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import enum

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import bad_blocks
from os_brick.agent.model import snapshots
from os_brick.agent.model import superblock
from os_brick.agent.safety import origin


#: Seconds after the last note of the time in which its clock was set back: a
#: pass may be slow.
NOTED_WITHIN = 300.0


class Standing(enum.Enum):
    """What a copy is to an array."""

    BLANK = 'blank'
    BEHIND = 'behind'
    DIVERGENT = 'divergent'
    FOREIGN = 'foreign'
    UNKNOWN = 'unknown'
    UNREADABLE = 'unreadable'


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A copy's standing, and the sentence that says why.

    Only BLANK and BEHIND may be put in.
    """

    standing: Standing
    why: str = ''

    @property
    def usable(self) -> bool:
        return self.standing in (Standing.BLANK, Standing.BEHIND)


def to_be_read(device: str, array: model.Array, volume: model.Volume,
               snapshot: snapshots.HostSnapshot) -> frozenset[str]:
    """Return the namespaces on which ``judge`` rests."""
    others = (snapshot.namespace_of(replica.uuid)
              for replica in volume.replicas
              if array.leg_of(replica.uuid) is None)
    return frozenset([device, *(leg.device for leg in array.in_sync
                                if snapshot.good(leg)), *(
        other.device for other in others
        if other is not None and snapshot.reachable(other))])


def judge(device: str, array: model.Array,
          contents: Mapping[str, superblock.Content],
          past: origin.Background = origin.Background(),
          left: act.Departure = act.Departure(),
          replica_uuid: str = '') -> Judgement:
    """Return what the copy on a namespace is to an array.

    :param contents: device -> what was just read from it, or that it cannot
        be; one that did not answer is not in it.
    :param left: how it left the array.
    :param replica_uuid: of that namespace.
    """
    content = contents.get(device)
    if content is None:
        return Judgement(Standing.UNKNOWN, '%s did not answer a read of its '
                         'superblock' % device)
    if content.unreadable:
        return Judgement(Standing.UNREADABLE, 'the superblock of %s cannot '
                         'be read: %s' % (device, content.unreadable))
    if content.damaged:
        return Judgement(Standing.FOREIGN, '%s carries what begins like a '
                         'superblock of md, but %s' % (device,
                                                       content.damaged))
    if not content.superblocks:
        return Judgement(Standing.BLANK)
    legs = _of_legs(array, contents)
    beside = _of_legs(array, contents, left.later)
    if not legs:
        return Judgement(Standing.UNKNOWN, 'the superblock of no leg of %s '
                         'could be read' % array.name)
    others = _beside(device, array, contents)
    for copy in content.superblocks:
        found = _compare(device, copy, array, legs, past.set_back,
                         _knows_them(copy, beside, others, array, left),
                         past.came_up_with(array, replica_uuid, left))
        if not found.usable:
            return found
    return Judgement(Standing.BEHIND)


def judge_among(device: str, array: model.Array,
                contents: Mapping[str, superblock.Content],
                past: origin.Background = origin.Background(),
                left: act.Departure = act.Departure(),
                replica_uuid: str = '') -> Judgement:
    """Return the same, and UNKNOWN where the legs contradict each other."""
    found = intruder(array, contents)
    if found is not None:
        return Judgement(Standing.UNKNOWN, found
                         + ': another host may be writing to it')
    return judge(device, array, contents, past, left, replica_uuid)


def never_one(found: Judgement, was_leg: bool) -> bool:
    """Return whether it is no copy, and has never been one.

    That nothing of md's is on one that was a leg says something else: it was
    wiped, or its target shows something else for now.
    """
    return found.standing is Standing.BLANK and not was_leg


def holds(device: str, wanted: bad_blocks.Ranges,
          contents: Mapping[str, superblock.Content]) -> bool:
    """Return whether a copy may hold some of what is wanted."""
    return any(not bad_blocks.within(wanted, copy.bad)
               for copy in contents[device].superblocks)


def _compare(device: str, copy: superblock.Superblock, array: model.Array,
             legs: Collection[superblock.Superblock],
             set_back: float | None, knows_them: bool,
             came_up_with: int | None) -> Judgement:
    if copy.array_uuid not in {leg.array_uuid for leg in legs}:
        return Judgement(Standing.FOREIGN, '%s carries the superblock of '
                         'another array, %s' % (device, copy.array_uuid))
    newest = max(leg.events for leg in legs)
    if copy.events > newest + 1:
        return Judgement(Standing.DIVERGENT, '%s is ahead of %s: %d changes '
                         'against %d' % (device, array.name, copy.events,
                                         newest))
    if (came_up_with is not None and copy.complete
            and copy.events > came_up_with + 1):
        return Judgement(Standing.DIVERGENT, '%s is ahead of what %s was when '
                         'this host began to write to it: %d changes against '
                         '%d' % (device, array.name, copy.events,
                                 came_up_with))
    if not knows_them:
        return Judgement(Standing.DIVERGENT, '%s was in charge without any '
                         'of the legs that %s has now' % (device, array.name))
    if copy.updated > max(leg.updated for leg in legs) and not (
            set_back is not None and copy.updated <= set_back + NOTED_WITHIN
            and copy.events < newest):
        return Judgement(Standing.UNKNOWN, '%s was written later than any '
                         'leg of %s, perhaps by another host, or before a '
                         'clock was set back that the agent does not know of'
                         % (device, array.name))
    return Judgement(Standing.BEHIND)


def _knows_them(copy: superblock.Superblock,
                beside: Collection[superblock.Superblock],
                others: Collection[superblock.Superblock],
                array: model.Array, left: act.Departure) -> bool:
    """Return whether it was last written while others were in charge, too.

    :param beside: the legs that were legs before it left.
    :param others: further copies, which are no legs.
    """
    if not beside and left.of(array):
        return any(number != copy.number for number, _slot in copy.roles)
    # md gives the number of a removed device away: its own says nothing, nor
    # does one that another copy had when this one was written
    return any(copy.has(leg.number) for leg in beside
               if (leg.number != copy.number
                   or leg.device_uuid == copy.device_uuid)
               # this very instance has seen that leg beside it
               and (left.of(array) or not any(
                   other.number == leg.number
                   and other.array_uuid == copy.array_uuid
                   and other.device_uuid != leg.device_uuid
                   and other.events + 1 >= copy.events
                   for other in others)))


def _of_legs(array: model.Array,
             contents: Mapping[str, superblock.Content],
             without: Collection[str] = ()) -> list[superblock.Superblock]:
    """The superblocks of the array's in-sync legs, as far as they are its.

    Each leg counts by the superblock that is the array's.
    """
    return [copy for leg in array.in_sync if leg.replica_uuid not in without
            if (content := contents.get(leg.device)) is not None
            for copy in _own(content, array)]


def _beside(device: str, array: model.Array,
            contents: Mapping[str, superblock.Content]
            ) -> list[superblock.Superblock]:
    """The array's superblocks on what is neither that copy nor a leg."""
    legs = {leg.device for leg in array.in_sync}
    return [copy for other, content in contents.items()
            if other != device and other not in legs
            for copy in _own(content, array)]


def _own(content: superblock.Content,
         array: model.Array) -> list[superblock.Superblock]:
    """The superblocks on a leg that are the array's."""
    return [copy for copy in content.superblocks
            if array.uuid in (None, copy.array_uuid)]


def intruder(array: model.Array,
             contents: Mapping[str, superblock.Content]) -> str | None:
    """Return what shows that another host writes to the array's legs.

    md writes the same list of members to each of them.  One in sync that
    does not name another one, or carries another array's superblock, was
    written by somebody else since.
    """
    read = {leg.device: contents[leg.device] for leg in array.in_sync
            if leg.device in contents
            and not contents[leg.device].unreadable}
    own: dict[str, superblock.Superblock] = {}
    for device, content in sorted(read.items()):
        mine = _own(content, array)
        if not mine:
            return ('leg %s of %s no longer carries its superblock'
                    % (device, array.name))
        own[device] = mine[0]
    for device, copy in own.items():
        for other, theirs in own.items():
            if not copy.has(theirs.number):
                return ('the superblock of leg %s of %s does not name leg %s'
                        % (device, array.name, other))
    return None
