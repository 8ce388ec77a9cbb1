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
"""An array at a boot: it is stopped, and assembled on what connects.

As ``mdadm --assemble --run`` of mdadm 4.2 does it for os-brick.
"""

from __future__ import annotations

from os_brick.agent.testing.simulation import md


def stop(raid: md.Raid) -> None:
    """The host is gone: what was under way has no end."""
    if raid.pending is not None:
        raid.torn.add(raid.pending)
    for member in raid.members:
        if member.in_sync:
            member.medium.bitmap = frozenset(raid.dirty), raid.cleared
    raid.pending, raid.busy, raid.broken = None, False, False
    raid.sync_speed_max, raid.by_hand = 0, None
    raid.queued.clear()
    raid.fading.clear()
    raid.lost.clear()
    raid.members = []


def assemble(raid: md.Raid, found: list[tuple[str, md.Medium]]) -> None:
    """``mdadm --assemble --run`` over these namespaces.

    The copy with the most events is believed; one that it does not list,
    or that lacks events, is left out.

    :raises md.KernelError: there is nothing to assemble.
    """
    copies = [(device, medium, medium.written)
              for device, medium in found if medium.whole
              and medium.written is not None
              and medium.written.array_uuid == raid.uuid]
    if not copies:
        raise md.KernelError('mdadm: no superblock was found')
    _device, best, newest = max(
        copies, key=lambda one: one[2].events)
    places = dict(newest.roles)
    raid.raid_disks, raid.events = newest.raid_disks, newest.events
    raid.dirty, raid.cleared = set(best.bitmap[0]), best.bitmap[1]
    raid.members = [
        md.Member(device, medium, places[copy.number], {'in_sync'} | (
            {'failfast'} if raid.failfast else set()), copy.number,
            bad=dict.fromkeys(medium.bad, raid.now()))
        for device, medium, copy in copies
        if copy.number in places and copy.events >= newest.events - 1
        and (medium is best or copy.number != newest.number)
        and _like(raid, medium, best)]
    _count_what_is_lacking(raid, best)
    _make_equal(raid, best)
    raid.write_superblocks()
    raid.changed()


def _like(raid: md.Raid, medium: md.Medium, best: md.Medium) -> bool:
    """md would mix two copies that were in charge, each for itself.

    No agent could keep it from that.  Here it takes one of them.
    """
    open_ = raid.torn | best.bitmap[0]
    open_ |= medium.bad | best.bad
    return all(one == other or block in open_ for block, (one, other)
               in enumerate(zip(medium.blocks, best.blocks)))


def _count_what_is_lacking(raid: md.Raid, best: md.Medium) -> None:
    """From now on that counts as acknowledged which is here."""
    blocks = _held_by_legs(raid, best)
    raid.promised = list(map(max, raid.promised, raid.acknowledged))
    # what nobody was told of is none of it
    raid.beyond -= {medium.uuid for medium in raid.all_media() if all(
        min(held, told) <= here for held, told, here
        in zip(medium.blocks, raid.promised, blocks))}
    if all(held >= told for held, told in zip(blocks, raid.acknowledged)):
        return
    # one that has a single write by chance could be told by nobody
    raid.beyond |= {
        medium.uuid for medium in raid.all_media()
        if medium.whole and medium.written is not None
        and medium.written.array_uuid == raid.uuid
        and all(held >= told for held, told in zip(
            medium.blocks, raid.acknowledged))}
    raid.acknowledged = [min(held, told) for held, told in zip(
        blocks, raid.acknowledged)]


def _held_by_legs(raid: md.Raid, best: md.Medium) -> list[int]:
    """What is bad in one is read from another; what all lack is owed."""
    blocks = list(best.blocks)
    for block in best.bad:
        blocks[block] = max((
            member.medium.blocks[block] for member in raid.members
            if block not in member.bad), default=raid.acknowledged[block])
    return blocks


def _make_equal(raid: md.Raid, first: md.Medium) -> None:
    """What a write left half done is copied from one leg."""
    source = next(member for member in raid.members
                  if member.medium is first)
    for member in raid.members:
        for block in raid.torn | raid.dirty:
            raid.resync(source, member, block)
    raid.torn.clear()
    if raid.whole:
        raid.dirty = raid.marked_still()
