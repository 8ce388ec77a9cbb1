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
"""What this host has right now, read without the agent's own code.

A test that asked the agent's scan whether the agent is right would learn
nothing, so arrays, legs and controllers are read here a second time and in
another way: from /proc/mdstat and single plain files.
"""

from __future__ import annotations

import dataclasses
import logging
import pathlib
import re

from os_brick.agent.tests.functional.lab import backing
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import waiting

LOG = logging.getLogger(__name__)

BLOCK = pathlib.Path('/sys/class/block')
CONTROLLERS = pathlib.Path('/sys/class/nvme-fabrics/ctl')
SECTOR = 512


@dataclasses.dataclass(frozen=True)
class Leg:
    """A member of an array; ``slot`` is None for a spare or a faulty one."""

    device: str
    uuid: str | None
    slot: int | None
    states: frozenset[str]
    data_offset: int

    @property
    def in_sync(self) -> bool:
        """Whether md takes its content as good."""
        return 'in_sync' in self.states and 'faulty' not in self.states


@dataclasses.dataclass(frozen=True)
class Array:
    """An md array.

    :ivar size: in bytes.
    :ivar state: md's ``array_state``; ``clean`` once md itself has nothing
        left to write after the last write.
    :ivar health: mdstat's ``UU``.
    """

    name: str
    size: int
    state: str
    health: str
    sync_action: str
    legs: tuple[Leg, ...]

    @property
    def whole(self) -> bool:
        """Whether every slot is in sync and nothing is left to do."""
        return (bool(self.health) and '_' not in self.health
                and self.sync_action == 'idle'
                and all(leg.in_sync for leg in self.legs))

    def leg(self, uuid: str) -> Leg | None:
        """Return the leg with that NVMe UUID, or None."""
        for leg in self.legs:
            if leg.uuid == uuid:
                return leg
        return None


@dataclasses.dataclass(frozen=True)
class Controller:
    """One NVMe-oF connection.

    :ivar host_nqn: as which host it was made.
    """

    name: str
    nqn: str
    address: str
    state: str
    host_nqn: str = ''

    def set(self, attribute: str, value: int | str) -> None:
        """Write one of its sysfs attributes, as ``reconnect_delay``."""
        (CONTROLLERS / self.name / attribute).write_text(str(value))

    def disconnect(self, limit: float = 30.0) -> None:
        """Let go of the connection."""
        process.run('nvme', 'disconnect', '-d', self.name, limit=limit)


def _text(path: pathlib.Path) -> str | None:
    # What is looked at may vanish at any moment: that is an answer.
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _uuid(device: str) -> str | None:
    value = _text(BLOCK / device / 'uuid')
    return value.lower() if value else None


def namespace(uuid: str) -> str | None:
    """Return the device of a namespace, None where it is not here."""
    return next((path.parent.name for path in BLOCK.glob('nvme*n*/uuid')
                 if _text(path) == uuid), None)


def _leg(member: pathlib.Path) -> Leg:
    device = member.name[len('dev-'):]
    slot = _text(member / 'slot')
    states = _text(member / 'state') or ''
    return Leg(
        device=device, uuid=_uuid(device),
        slot=int(slot) if slot and slot.isdigit() else None,
        states=frozenset(word.strip() for word in states.split(',') if word),
        data_offset=int(_text(member / 'offset') or 0) * SECTOR)


def iopolicy(nqn: str) -> str:
    """Return how the kernel spreads I/O to a target, '' if it has none."""
    for folder in pathlib.Path('/sys/class/nvme-subsystem').glob('*'):
        if _text(folder / 'subsysnqn') == nqn:
            return _text(folder / 'iopolicy') or ''
    return ''


def arrays() -> dict[str, Array]:
    """Return every md array by its kernel name, as /proc/mdstat lists them."""
    found = {}
    sections = re.split(r'\n(?=md\S* :)', _text(pathlib.Path('/proc/mdstat'))
                        or '')
    for section in sections:
        match = re.match(r'(md\S*) :', section)
        if not match:
            continue
        name = match.group(1)
        health = re.search(r'\[([U_]+)\]', section)
        md = BLOCK / name / 'md'
        found[name] = Array(
            name=name,
            size=int(_text(BLOCK / name / 'size') or 0) * SECTOR,
            state=_text(md / 'array_state') or '',
            health=health.group(1) if health else '',
            sync_action=_text(md / 'sync_action') or '',
            legs=tuple(_leg(member) for member in sorted(md.glob('dev-*'))))
    return found


def array(alias: str) -> Array | None:
    """Return the array that /dev/md/<alias> points to, or None."""
    link = pathlib.Path('/dev/md') / alias
    return arrays().get(link.resolve().name) if link.exists() else None


def controllers(nqn: str | None = None) -> list[Controller]:
    """Return the NVMe-oF connections, of one subsystem or of all."""
    found = []
    for path in sorted(CONTROLLERS.glob('nvme*')):
        name = _text(path / 'subsysnqn')
        state = _text(path / 'state')
        if name and state and nqn in (None, name):
            address = re.search(r'traddr=([^,]+)',
                                _text(path / 'address') or '')
            found.append(Controller(path.name, name,
                                    address.group(1) if address else '',
                                    state, _text(path / 'hostnqn') or ''))
    return found


def wait_for_state(nqn: str, state: str,
                   limit: float = waiting.LIMIT) -> None:
    """Wait until every connection to a subsystem is in that state."""
    waiting.wait_until(
        lambda: (found := controllers(nqn)) and all(
            controller.state == state for controller in found),
        'every connection to %s is %s' % (nqn, state), limit)


def wait_until_whole(alias: str, legs: int,
                     limit: float = waiting.LIMIT) -> Array:
    """Wait until an array has so many legs, all of them in sync."""
    def whole() -> Array | None:
        found = array(alias)
        if found and found.whole and len(found.legs) == legs:
            return found
        return None
    return waiting.wait_until(
        whole, '%s is whole with %d legs' % (alias, legs), limit)


def wait_until_settled(alias: str, limit: float = 120.0) -> None:
    """Wait until md has nothing left to write of what was written.

    Seconds after a write it marks the array clean, and clears the bits of its
    bitmap, by writes to each leg.
    """
    def settled() -> bool:
        found = array(alias)
        section = re.search(r'^%s :(?:.|\n)*?bitmap: (\d+)/' % found.name,
                            _text(pathlib.Path('/proc/mdstat')) or '',
                            re.MULTILINE) if found else None
        state = _text(BLOCK / found.name / 'md/array_state') if found else ''
        return (section is not None and int(section[1]) == 0
                and state in ('clean', 'read-auto'))
    waiting.wait_until(settled, 'md has written all there is of %s' % alias,
                       limit)


def mismatches(name: str, limit: float) -> int:
    """Let md compare an idle array's legs; return the sectors that differ."""
    md = BLOCK / name / 'md'
    (md / 'sync_action').write_text('check')
    waiting.wait_until(
        lambda: (md / 'sync_action').read_text().strip() == 'idle',
        'the legs of %s are compared' % name, limit)
    return int((md / 'mismatch_cnt').read_text())


def stop_arrays() -> None:
    """Stop every array, hung or not; this host has none of its own."""
    for name in arrays():
        process.attempt(process.run, 'mdadm', '--stop', '/dev/' + name,
                        limit=15)


def disconnect_all() -> None:
    """End every NVMe-oF connection, hung or not."""
    for controller in controllers():
        _let_go(controller)


def _let_go(controller: Controller) -> None:
    # A lost controller that is not yet `connecting` hangs on disconnect.
    process.attempt(
        waiting.wait_until,
        lambda: _text(CONTROLLERS / controller.name / 'state')
        in (None, 'live', 'connecting'),
        '%s may be disconnected' % controller.name, limit=30)
    process.attempt(controller.disconnect)


def leftovers() -> list[str]:
    """Name everything that a session leaves behind if it goes wrong."""
    found = ['array %s' % name for name in arrays()]
    found += ['connection %s to %s' % (one.name, one.nqn)
              for one in controllers()]
    found += ['namespace %s' % path.name for path in BLOCK.glob('nvme*n*')]
    found += ['link %s' % path
              for path in pathlib.Path('/dev/md').glob('*')]
    found += ['loop device of %s' % path for path in backing.attached()]
    found += ['mapped device %s' % path.name
              for path in pathlib.Path('/dev/mapper').glob('lab-*')]
    for kind in ('ports', 'subsystems'):
        found += ['nvmet %s %s' % (kind, path.name) for path in
                  pathlib.Path('/sys/kernel/config/nvmet', kind).glob('*')]
    return found
