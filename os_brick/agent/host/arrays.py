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
"""The RAID1 arrays whose legs are NVMe-oF namespaces, or were.

Nothing of an array is kept from one scan to the next but which device a leg
is on: an array may be stopped, and another started, under the same device.
Source: Documentation/admin-guide/md.rst (md/*).
"""

from __future__ import annotations

from collections.abc import Mapping
import functools
import os
import re

from os_brick.agent.host import attributes
from os_brick.agent.host import blocks
from os_brick.agent.host import descriptors
from os_brick.agent import model
from os_brick.agent.model import bad_blocks

SECTOR = 512
KIB = 1024
_WHOLE_NAMESPACE = re.compile(r'nvme\d+n\d+\Z')
#: The attributes of an array, as ``_make_array`` takes them.
_ATTRIBUTES = ('uuid', 'raid_disks', 'degraded', 'array_state',
               'component_size', '../ro',
               '../diskseq', 'sync_speed_max', 'bitmap/time_base')
#: Of ``stat``: sectors written by what uses the array, not by md (stat.rst).
_WRITTEN = 6


class _Member:
    """A device of an array, and what is settled of it.

    :ivar link: the directory of the device that md took in.
    :ivar offset: where md's data begins on it, in sectors; it can be set by
        hand only while the leg has no slot (md.c, offset_store).
    """

    def __init__(self, entry: str, link: str | None) -> None:
        self.device = entry[len('dev-'):]
        self.link = link
        self.offset: bytes | None = None
        self.state = entry + '/state'
        self.slot = entry + '/slot'
        self.bad = entry + '/bad_blocks'

    def offset_now(self, slot: bytes | None, at: int) -> bytes | None:
        if self.offset is not None and _place(slot) is not None:
            return self.offset
        offset = attributes.read('dev-' + self.device + '/offset', at)
        self.offset = None if _place(slot) is None else offset
        return offset


class Kept:
    """What one scan leaves to the next."""

    def __init__(self) -> None:
        self.members = attributes.Constants[_Member](
            lambda member: member.link is not None)
        self.written = attributes.Constants[bool](bool)
        self.values = attributes.Values()
        self.boot = ''

    def boot_id(self, root: str) -> str:
        """Return what is another one after each boot, '' where unknown."""
        if not self.boot:
            self.boot = attributes.text(attributes.read(os.path.join(
                root, 'proc/sys/kernel/random/boot_id')))
        return self.boot

    def forget_unused(self) -> None:
        self.members.forget_unused()
        self.written.forget_unused()
        self.values.forget_unused()


class Arrays:
    """The arrays of one scan.

    :param fabric: every NVMe-oF device -> its namespace, None for one that
        was left out.
    """

    def __init__(self, root: str, kept: Kept, keep: descriptors.Open,
                 devices: blocks.Blocks, fabric: Mapping[
                     str, model.Namespace | None]) -> None:
        self._boot = kept.boot_id(root)
        self._md_links = os.path.join(root, 'dev/md')
        self._kept = kept
        self._open = keep
        self._devices = devices
        self._fabric = fabric

    def all(self, problems: list[str]) -> tuple[model.Array, ...]:
        """Return them; what makes no sense is named in ``problems``."""
        arrays = []
        aliases = self._aliases()
        for name in sorted(name for name in self._devices.identities
                           if name.startswith('md')):
            try:
                array = self._array(name, aliases.get(name))
            except FileNotFoundError:
                continue
            except ValueError as error:
                problems.append('array %s left out: %s' % (name, error))
                continue
            if array is not None:
                arrays.append(array)
        return tuple(arrays)

    def _aliases(self) -> dict[str, str]:
        """md127 -> the name of udev's link /dev/md/NAME to it."""
        aliases = {}
        for alias in attributes.names(self._md_links):
            link = attributes.link(os.path.join(self._md_links, alias))
            if link is not None:
                aliases[os.path.basename(link)] = alias
        return aliases

    def _array(self, name: str, alias: str | None) -> model.Array | None:
        """Return the array, None where it is none of ours."""
        device = self._devices.device(name)
        if device is None:
            raise FileNotFoundError(name)
        place = device.place + '/md'
        directory = attributes.open_directory(place)
        try:
            return self._read(name, alias, place, directory)
        finally:
            os.close(directory)

    def _read(self, name: str, alias: str | None, place: str,
              at: int) -> model.Array | None:
        # md/, also while the device stays when an array is stopped
        ours = os.fstat(at).st_ino
        if attributes.text(self._open.read('level', ours, at)) != 'raid1':
            return None
        legs, offsets = [], []
        remote = local = lost = False
        for entry, identity in sorted(attributes.identities(
                at, 'dev-').items()):
            member = self._kept.members.get(
                name + '/' + entry, identity, functools.partial(
                    _member, entry, place, at))
            assert member is not None
            leg, offset, vanished = self._leg(name, member, identity, at)
            if leg is None:
                continue
            legs.append(leg)
            offsets.append(offset)
            if not vanished:
                remote = remote or leg.device in self._fabric
                local = local or leg.device not in self._fabric
            elif _WHOLE_NAMESPACE.match(leg.device):
                lost = True
        # A lost leg may have been an NVMe drive in this very machine: while
        # a leg lives, that one tells whose array it is.
        if not remote and (local or not lost):
            return None
        action = attributes.text(
            self._open.read('sync_action', ours, at)) or 'idle'
        # md.c, sync_completed_show: 'none' unless something runs
        progress = None if action == 'idle' else attributes.read(
            'sync_completed', at)
        return self._kept.values.get(
            name, _make_array, name, self._boot, alias, tuple(legs),
            tuple(offsets), action, progress,
            self._kept.written.get(name, ours, lambda _name: _written(at)),
            *[self._open.read(attribute, ours, at)
              for attribute in _ATTRIBUTES])

    def _leg(self, array: str, member: _Member, identity: int,
             at: int) -> tuple[model.Leg | None, bytes | None, bool]:
        """Return a leg, its offset, and whether its device has vanished.

        A device that comes back may get the name of one that md still lists,
        and the link ``block`` is resolved by its text: it then leads to the
        newcomer.  Only ``holders`` tells which device md has open.
        """
        state = self._open.read(member.state, identity, at)
        if state is None:
            return None, None, False
        slot = self._open.read(member.slot, identity, at)
        offset = member.offset_now(slot, at)
        name = member.device
        device = self._devices.device(name)
        vanished = (device is None or member.link != device.place
                    or array not in self._devices.holders(name))
        namespace = None if vanished else self._fabric.get(name)
        return self._kept.values.get(
            (array, name), _make_leg, name, slot, state,
            self._open.read(member.bad, identity, at), offset,
            namespace.uuid if namespace else None), offset, vanished


def _member(entry: str, place: str, at: int, _name: str) -> _Member:
    link = attributes.link(entry + '/block', at)
    return _Member(entry, None if link is None else os.path.normpath(
        '%s/%s/%s' % (place, entry, link)))


def _written(at: int) -> bool:
    """Something was written to the array; once so, that stays."""
    fields = attributes.text(attributes.read('../stat', at)).split()
    return (len(fields) > _WRITTEN and fields[_WRITTEN].isdigit()
            and int(fields[_WRITTEN]) > 0)


def _place(slot: bytes | None) -> int | None:
    place = attributes.text(slot)
    return int(place) if place not in ('none', '') else None


def _make_leg(device: str, slot: bytes | None, state: bytes,
              bad: bytes | None, offset: bytes | None,
              replica_uuid: str | None) -> model.Leg:
    return model.Leg(
        device=device, slot=_place(slot),
        flags=frozenset(word for word in attributes.text(state).split(',')
                        if word), replica_uuid=replica_uuid,
        bad=bad_blocks.parse(attributes.text(bad), int(
            attributes.text(offset)) if offset else None))


def _make_array(name: str, boot: str, alias: str | None,
                legs: tuple[model.Leg, ...],
                offsets: tuple[bytes | None, ...], action: str,
                progress: bytes | None, written: bool, *attribute: bytes | None
                ) -> model.Array:
    (uuid, raid_disks, degraded, state, size, read_only, sequence,
     speed, delay) = map(attributes.text, attribute)
    if None in (attribute[1], attribute[3], attribute[4]):
        raise FileNotFoundError(name)
    done, total = _progress(attributes.text(progress))
    return model.Array(
        name=name, alias=alias, uuid=blocks.uuid(uuid),
        # "2 (1)" while the number is being changed
        raid_disks=int(raid_disks.partition(' ')[0]),
        degraded=int(degraded or 0), array_state=state, sync_action=action,
        component_size=int(size) * KIB, legs=legs, sync_done=done,
        sync_total=total,
        data_offset=max((int(offset) for offset in map(
            attributes.text, offsets) if offset), default=0) * SECTOR,
        locked=read_only == '1', instance='%s/%s/%s' % (
            boot, sequence, uuid) if boot and sequence else '',
        written=written, sync_speed_max=_speed(speed),
        bitmap_delay=_seconds(delay))


def _speed(text: str) -> int | None:
    """Parse sync_speed_max: ``51200 (local)``, or ``200000 (system)``."""
    number, _blank, whose = text.partition(' ')
    if whose == '(system)':
        return 0
    return int(number) if whose == '(local)' else None


def _seconds(text: str) -> float | None:
    """Parse time_base: ``5``, or ``0.500``."""
    return float(text) if text.replace('.', '', 1).isdecimal() else None


def _progress(text: str) -> tuple[int | None, int | None]:
    """Parse sync_completed: ``1024 / 131072`` sectors, or a word."""
    words = text.split()
    if len(words) == 3 and words[1] == '/':
        return int(words[0]) * SECTOR, int(words[2]) * SECTOR
    return None, None
