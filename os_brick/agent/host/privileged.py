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
"""All that runs as root: the privsep context and its entry points.

An entry point does one thing, takes strings that match a strict pattern, and
runs one program with an argument list, or writes one attribute, with a
time-out.  It decides nothing: whether a thing may be done was settled before
(rules.py).

What ends hanging I/O starts no program: that would have to be loaded, perhaps
from where no I/O ends either.
"""

from __future__ import annotations

from collections.abc import Sequence
import ipaddress
import os
import re

from oslo_config import cfg
from oslo_privsep import capabilities

from os_brick.agent.host import addresses
from os_brick.agent.host import admin
from os_brick.agent.host import attributes
from os_brick.agent.host import commands
from os_brick.agent.host import helper
from os_brick.agent.host import marks
from os_brick.agent.host import memory
from os_brick.agent.host import namespaces
from os_brick.agent.host import reads
from os_brick.agent.host import sockets
from os_brick.agent import model

# mdadm's ioctls and the attributes of NVMe controllers ask for SYS_ADMIN,
# closing a TCP connection that has fallen silent for NET_ADMIN; a program run
# by uid 0 reads and writes root's own files without more.
CAPABILITIES = [capabilities.CAP_SYS_ADMIN, capabilities.CAP_NET_ADMIN]

default = helper.Context(
    __name__, cfg_section='privsep_nvme_agent', pypath=__name__ + '.default',
    capabilities=CAPABILITIES, logger_name=__name__)

# A call that hangs with its device must not keep the others waiting.
cfg.CONF.set_default('thread_pool_size', 16, group='privsep_nvme_agent')

# For what runs no program.
_no_program = default.entrypoint_with_timeout(helper.SHORT)

ROOT = '/'
BLOCK = '/sys/class/block'
CONTROLLERS = '/sys/class/nvme-fabrics/ctl'
SUBSYSTEMS = '/sys/class/nvme-subsystem'
_ARRAY = re.compile(r'md([0-9]{1,7}|_[A-Za-z0-9._+-]{1,64})\Z')
_NAMESPACE = re.compile(r'nvme[0-9]{1,6}n[0-9]{1,6}\Z')
_UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z')
_CONTROLLER = re.compile(r'nvme[0-9]{1,6}\Z')
_SUBSYSTEM = re.compile(r'nvme-subsys[0-9]{1,6}\Z')
_POLICY = re.compile(r'[a-z][a-z-]{1,30}\Z')
# /dev/nvme-fabrics takes options with commas between them: an NQN or an
# address with one in it would bring options of its own
_NQN = re.compile(r'nqn\.[A-Za-z0-9._:@+~-]{1,219}\Z')
_ADDRESS = re.compile(r'[0-9A-Fa-f.:]{2,45}(%[A-Za-z0-9_.-]{1,15})?\Z')
_answers = reads.Reads(reads.first_block)
# the law wants it read just before (S10), not asked for some time ago
_superblocks = reads.Reads(reads.superblocks, reads.RECENT)


def _md(array: str) -> str:
    return '/dev/' + commands.match(_ARRAY, array, 'md array')


def _state(array: str, device: str) -> tuple[str, ...]:
    """Where md is told of a leg by its kernel name: its node may be gone."""
    return (BLOCK, commands.match(_ARRAY, array, 'md array'), 'md',
            'dev-' + _namespace(device), 'state')


def _controller(name: str) -> str:
    return commands.match(_CONTROLLER, name, 'NVMe controller')


def _address(text: str) -> str:
    try:
        ipaddress.ip_address(commands.match(_ADDRESS, text, 'IP address'))
    except ValueError:
        raise commands.BadArgument('%r is no IP address' % text) from None
    return text


def _seconds(milliseconds: int) -> float:
    return commands.number(milliseconds, 1, 60000, 'time-out') / 1000


def _namespace(device: str) -> str:
    return commands.match(_NAMESPACE, device, 'NVMe namespace')


def _node(device: str, uuid: str) -> str:
    """Return what a program is to write to; ask for it just before.

    :raises commands.NotMeant: it is not the namespace of that UUID.
    """
    name = _namespace(device)
    namespaces.require(name, commands.match(_UUID, uuid, 'UUID'), ROOT)
    return '/dev/' + name


@default.entrypoint
def ready() -> None:
    """Do nothing; the first call starts the helper."""


@default.entrypoint
def lock_memory() -> str:
    """Keep the helper in memory; return why it cannot be, or ''."""
    return memory.lock()


@default.entrypoint
def connect(nqn: str, address: str, port: int, transport: str,
            host_nqn: str) -> None:
    """Connect one portal with os-brick's queue depth and loss time-out."""
    if transport not in ('tcp', 'rdma'):
        raise commands.BadArgument('%r is no transport' % transport)
    try:
        commands.run(
            'nvme', 'connect', '-t', transport, '-a', _address(address),
            '-s', str(commands.number(port, 1, 65535, 'port')),
            '-n', commands.match(_NQN, nqn, 'NQN'),
            '-q', commands.match(_NQN, host_nqn, 'host NQN'),
            '-Q', '128', '-l', '-1')
    except commands.CommandFailed as error:
        if 'already connected' not in str(error):
            raise


@_no_program
def disconnect(controller: str) -> None:
    """Disconnect one controller, as ``nvme disconnect`` does.

    What takes longer goes on by itself, and does not hold os-brick's lock.
    """
    commands.write('1', *_delete(controller))


@_no_program
def disconnect_all(controllers: Sequence[str],
                   milliseconds: int) -> list[str]:
    """Disconnect several at once; say of each why it failed, or ''.

    :param milliseconds: for all of them together; what takes longer goes on.
    """
    return commands.write_all('1', list(map(_delete, controllers)),
                              _seconds(milliseconds))


def _delete(controller: str) -> tuple[str, ...]:
    return CONTROLLERS, _controller(controller), 'delete_controller'


@_no_program
def set_fast_io_fail(controller: str, seconds: int) -> None:
    """Set fast_io_fail_tmo; -1 turns it off (writing ``off`` is EINVAL)."""
    commands.number(seconds, -1, 3600, 'fast_io_fail_tmo')
    commands.write(str(seconds), CONTROLLERS, _controller(controller),
                   'fast_io_fail_tmo')


@_no_program
def set_keep_alive(controller: str, seconds: int) -> None:
    """Set the keep-alive time-out of a live connection; it may be refused."""
    admin.set_keep_alive(
        '/dev/' + _controller(controller),
        1000 * commands.number(seconds, 1, 3600, 'keep-alive time-out'))


@_no_program
def set_reconnect_delay(controller: str, seconds: int) -> None:
    """Set the seconds between two attempts of the kernel to reconnect.

    It counts attempts, and shows their greatest number times the delay as
    ctrl_loss_tmo: that is put back, or the connection would end sooner.
    """
    commands.number(seconds, 1, 3600, 'reconnect_delay')
    place = CONTROLLERS, _controller(controller)
    limit = attributes.text(attributes.read(
        '/'.join((*place, 'ctrl_loss_tmo'))))
    commands.write(str(seconds), *place, 'reconnect_delay')
    if limit.isdigit():
        commands.write(limit, *place, 'ctrl_loss_tmo')


@_no_program
def set_iopolicy(subsystem: str, nqn: str, policy: str) -> None:
    """Set how the kernel spreads I/O over the paths to a target.

    :raises commands.CommandFailed: the name is another target's by now.
    """
    place = SUBSYSTEMS, commands.match(_SUBSYSTEM, subsystem,
                                       'NVMe subsystem')
    found = attributes.text(attributes.read(os.path.join(*place,
                                                         'subsysnqn')))
    if found != nqn:
        raise commands.CommandFailed('%s is not %s (any more), but %s' % (
            subsystem, nqn, found or 'gone'))
    commands.write(commands.match(_POLICY, policy, 'I/O policy'), *place,
                   'iopolicy')


@_no_program
def set_failfast(array: str, device: str, on: bool) -> None:
    """Set or clear md's failfast flag of a leg."""
    commands.write('failfast' if on is True else '-failfast',
                   *_state(array, device))


@_no_program
def set_sync_speed_max(array: str, kib_per_s: int) -> None:
    """Set how fast md copies within an array at most; 0: as all others.

    It takes no lock of md's (Linux drivers/md/md.c, sync_max_store).
    """
    commands.number(kib_per_s, 0, 2**31 - 1, 'speed limit')
    commands.write(str(kib_per_s) if kib_per_s else 'system', BLOCK,
                   commands.match(_ARRAY, array, 'md array'), 'md',
                   'sync_speed_max')


@_no_program
def set_bitmap_delay(array: str, seconds: int) -> None:
    """Set after how long md looks what its bitmap need mark no longer.

    It takes no lock of md's (Linux drivers/md/md-bitmap.c, timeout_store).
    """
    commands.write(str(commands.number(seconds, 1, 3600, 'bitmap delay')),
                   BLOCK, commands.match(_ARRAY, array, 'md array'), 'md',
                   'bitmap', 'time_base')


@_no_program
def close_connections(address: str, port: int) -> int:
    """End the kernel's connections to a portal as if it had reset them.

    The kernel's NVMe/TCP then reconnects (drivers/nvme/host/tcp.c,
    nvme_tcp_state_change).  Returns how many there were.
    """
    commands.number(port, 1, 65535, 'port')
    try:
        return sockets.close(_address(address), port, addresses.queues(
            model.Portal(address, port), CONTROLLERS))
    except sockets.NotOnlyOurs as why:
        raise commands.CommandFailed(
            'closing the TCP connections to %s port %d was not tried: %s' % (
                address, port, why)) from None
    except OSError as error:
        raise commands.CommandFailed(
            'closing the TCP connections to %s port %d failed: %s' % (
                address, port, error.strerror or error)) from None


@_no_program
def send_keep_alive(controller: str, milliseconds: int) -> None:
    """Send a keep-alive command (18h) with a short time-out.

    Where that runs out, the kernel gives the connection up and reconnects.
    It is not waited for.
    """
    commands.run_detached(
        'nvme', 'admin-passthru', '/dev/' + _controller(controller),
        '--opcode=0x18', '--timeout=%d' % commands.number(
            milliseconds, 1, 60000, 'time-out'))


@_no_program
def answering(devices: Sequence[str], milliseconds: int) -> list[str]:
    """Return those namespaces that have answered a direct read by then."""
    wanted = [_namespace(device) for device in devices]
    return list(_answers.of(wanted, _seconds(milliseconds)))


@_no_program
def superblocks(devices: Sequence[str],
                milliseconds: int) -> dict[str, list[bytes] | str]:
    """Return namespace -> its blocks that begin like a superblock of md.

    Or why its disk could not be read.  One of which nothing has come by then
    is left out.
    """
    wanted = [_namespace(device) for device in devices]
    return _superblocks.or_why_not(wanted, _seconds(milliseconds))


@_no_program
def fail(array: str, device: str) -> None:
    """Make md drop a leg, as ``mdadm --fail`` does.

    It waits for whatever is being done to the array; what comes after it
    ends that.
    """
    commands.write('faulty', *_state(array, device))


@_no_program
def fail_all(legs: Sequence[Sequence[str]], milliseconds: int) -> list[str]:
    """Make md drop several legs at once; say of each why it failed, or ''.

    :param legs: pairs of array and device.
    :param milliseconds: for all of them together; what takes longer goes on.
    """
    return commands.write_all(
        'faulty', [_state(array, device) for array, device in legs],
        _seconds(milliseconds))


@_no_program
def keep_marked(array: str, device: str, milliseconds: int) -> int:
    """Have md keep what its bitmap marks until a leg is put back.

    By itself it forgets a write that has ended some seconds later.

    :param device: a leg that is in sync, from which the bitmap is read.
    :returns: how many chunks it marks.
    """
    return marks.keep(os.path.join(BLOCK, commands.match(
        _ARRAY, array, 'md array')), _namespace(device),
        _seconds(milliseconds))


@default.entrypoint
def remove(array: str, device: str) -> None:
    """Take a faulty leg or a spare out of the array."""
    commands.run('mdadm', '--manage', _md(array), '--remove',
                 _namespace(device))


def _nobody_is_replaced(array: str) -> None:
    """Have md put nothing in the place of a leg that is in use.

    After a write error it takes what is added for a replacement of that leg,
    be there an empty slot or not, and fails the leg when it is copied
    (raid1.c, raid1_end_write_request and raid1_add_disk).  Who is replaced,
    and when, is not md's to say.
    """
    folder = os.path.join(BLOCK, commands.match(_ARRAY, array, 'md array'),
                          'md')
    for leg in attributes.names(folder):
        state = attributes.text(attributes.read(os.path.join(
            folder, leg, 'state'))) if leg.startswith('dev-') else ''
        if 'want_replacement' in state.split(','):
            commands.write('-want_replacement', folder, leg, 'state')


@default.entrypoint
def add(array: str, device: str, uuid: str) -> None:
    """Add a namespace; md starts a recovery where a slot is empty.

    :param uuid: its NVMe UUID.  So it is for all that write to a device that
        is not in use yet: its name may be another one's by now, and no local
        disk is ever meant.
    :raises commands.NotMeant: see ``namespaces.require``.
    """
    _nobody_is_replaced(array)
    commands.run('mdadm', '--manage', _md(array), '--add', '--failfast',
                 _node(device, uuid))


@default.entrypoint
def re_add(array: str, device: str, uuid: str) -> None:
    """Put a former leg back; only what the bitmap marks is copied.

    :raises commands.NotMeant: as ``add`` does.
    """
    _nobody_is_replaced(array)
    commands.run('mdadm', '--manage', _md(array), '--re-add',
                 _node(device, uuid))


@default.entrypoint
def erase_superblock(device: str, uuid: str) -> None:
    """Make a namespace one that md knows nothing of; md must not have it.

    :raises commands.NotMeant: as ``add`` does.
    """
    commands.run('mdadm', '--zero-superblock', _node(device, uuid))


@default.entrypoint
def replace(array: str, device: str, spare: str, uuid: str) -> None:
    """Copy a leg to a spare, which then takes its slot.

    :param uuid: that of the spare.
    :raises commands.NotMeant: as ``add`` does, of the spare.
    """
    commands.run('mdadm', '--manage', _md(array), '--replace',
                 '/dev/' + _namespace(device), '--with',
                 _node(spare, uuid))


@default.entrypoint
def resize(array: str, raid_disks: int) -> None:
    """Change the number of legs the array is meant to have."""
    commands.number(raid_disks, 1, 64, 'number of legs')
    force = ('--force',) if raid_disks == 1 else ()
    commands.run('mdadm', '--grow', _md(array),
                 '--raid-devices=%d' % raid_disks, *force)
