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
runs one program with an argument list and a time-out.  It decides nothing:
whether a thing may be done was settled before (rules.py).
"""

from __future__ import annotations

from collections.abc import Sequence
import ipaddress
import os
import re
import subprocess
import threading
import time

from oslo_config import cfg
from oslo_privsep import capabilities
from oslo_privsep import priv_context

# mdadm's ioctls and the attributes of NVMe controllers ask for SYS_ADMIN;
# a program run by uid 0 reads and writes root's own files without more.
CAPABILITIES = [capabilities.CAP_SYS_ADMIN]

default = priv_context.PrivContext(
    __name__, cfg_section='privsep_nvme_agent', pypath=__name__ + '.default',
    capabilities=CAPABILITIES, logger_name=__name__)

# A call that hangs with its device must not keep the others waiting.
cfg.CONF.set_default('thread_pool_size', 16, group='privsep_nvme_agent')

COMMAND_TIMEOUT = 60.0
WRITE_TIMEOUT = FAIL_TIMEOUT = 3.0
BLOCK = '/sys/class/block'
CONTROLLERS = '/sys/class/nvme-fabrics/ctl'
PROGRAMS = '/usr/sbin:/usr/bin:/sbin:/bin'
_ARRAY = re.compile(r'md([0-9]{1,7}|_[A-Za-z0-9._+-]{1,64})\Z')
_NAMESPACE = re.compile(r'nvme[0-9]{1,6}n[0-9]{1,6}\Z')
_CONTROLLER = re.compile(r'nvme[0-9]{1,6}\Z')
# /dev/nvme-fabrics takes options with commas between them: an NQN or an
# address with one in it would bring options of its own
_NQN = re.compile(r'nqn\.[A-Za-z0-9._:@+~-]{1,219}\Z')
_ADDRESS = re.compile(r'[0-9A-Fa-f.:]{2,45}(%[A-Za-z0-9_.-]{1,15})?\Z')


class CommandFailed(Exception):
    """A program failed; the text says which, on what, and its own words."""


class BadArgument(Exception):
    """An argument does not look like what it is meant to be."""


def _match(pattern: re.Pattern[str], text: str, noun: str) -> str:
    if not isinstance(text, str) or not pattern.match(text):
        raise BadArgument('%r is no %s' % (text, noun))
    return text


def _number(value: int, low: int, high: int, noun: str) -> int:
    # True is an int
    if type(value) is not int or not low <= value <= high:
        raise BadArgument('%r is no %s' % (value, noun))
    return value


def _run(*command: str, limit: float | None = None) -> str:
    """Run a program and return what it printed.

    :param limit: seconds; COMMAND_TIMEOUT where it is not given.

    One that hangs in the kernel cannot be killed; it is left behind, so that
    the others are served.
    """
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors='replace',
            umask=0o022, env={'PATH': PROGRAMS, 'LC_ALL': 'C'})
    except OSError as error:
        raise CommandFailed('%s cannot be run: %s' % (
            ' '.join(command), error.strerror)) from None
    limit = COMMAND_TIMEOUT if limit is None else limit
    try:
        output, _none = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        raise CommandFailed('%s did not end within %g s' % (
            ' '.join(command), limit)) from None
    if process.returncode:
        raise CommandFailed('%s failed (%d): %s' % (
            ' '.join(command), process.returncode,
            ' '.join(output.split()) or 'it said nothing'))
    return output


def _start(*command: str) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={'PATH': PROGRAMS, 'LC_ALL': 'C'})
    except OSError as error:
        raise CommandFailed('%s cannot be started: %s' % (
            command[0], error.strerror)) from None


def _leave_behind(*command: str) -> None:
    threading.Thread(target=_start(*command).wait, daemon=True).start()


def _attribute(device: str, *names: str) -> int:
    path = os.path.join(BLOCK, _namespace(device), *names)
    try:
        with open(path, encoding='ascii') as attribute:
            return int(attribute.read())
    except (OSError, ValueError) as error:
        raise CommandFailed('reading %s failed: %s' % (path, error)) from None


def _write(text: str, *parts: str) -> None:
    """Write an attribute; md's hang while a command on the array does."""
    path = os.path.join(*parts)
    errors: list[str] = []

    def write() -> None:
        try:
            with open(path, 'w', encoding='ascii') as attribute:
                attribute.write(text)
        except OSError as error:
            errors.append(error.strerror or str(error))

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    thread.join(WRITE_TIMEOUT)
    if thread.is_alive():
        errors.append('it hangs')
    if errors:
        raise CommandFailed('writing %s to %s failed: %s' % (
            text, path, errors[0])) from None


def _md(array: str) -> str:
    return '/dev/' + _match(_ARRAY, array, 'md array')


def _namespace(device: str) -> str:
    return _match(_NAMESPACE, device, 'NVMe namespace')


@default.entrypoint
def ready() -> None:
    """Do nothing; the first call starts the helper."""


@default.entrypoint
def connect(nqn: str, address: str, port: int, transport: str,
            host_nqn: str) -> None:
    """Connect one portal with os-brick's queue depth and loss time-out."""
    if transport not in ('tcp', 'rdma'):
        raise BadArgument('%r is no transport' % transport)
    try:
        ipaddress.ip_address(_match(_ADDRESS, address, 'IP address'))
    except ValueError:
        raise BadArgument('%r is no IP address' % address) from None
    try:
        _run('nvme', 'connect', '-t', transport, '-a', address,
             '-s', str(_number(port, 1, 65535, 'port')),
             '-n', _match(_NQN, nqn, 'NQN'),
             '-q', _match(_NQN, host_nqn, 'host NQN'),
             '-Q', '128', '-l', '-1')
    except CommandFailed as error:
        if 'already connected' not in str(error):
            raise


@default.entrypoint
def disconnect(controller: str) -> None:
    """Disconnect one controller."""
    _run('nvme', 'disconnect', '-d',
         _match(_CONTROLLER, controller, 'NVMe controller'))


@default.entrypoint
def set_fast_io_fail(controller: str, seconds: int) -> None:
    """Set fast_io_fail_tmo; -1 turns it off (writing ``off`` is EINVAL)."""
    _number(seconds, -1, 3600, 'fast_io_fail_tmo')
    _write(str(seconds), CONTROLLERS, _match(
        _CONTROLLER, controller, 'NVMe controller'), 'fast_io_fail_tmo')


@default.entrypoint
def set_failfast(array: str, device: str, on: bool) -> None:
    """Set or clear md's failfast flag of a leg."""
    _write('failfast' if on is True else '-failfast', BLOCK,
           _match(_ARRAY, array, 'md array'), 'md',
           'dev-' + _namespace(device), 'state')


@default.entrypoint
def give_up(device: str, milliseconds: int) -> None:
    """Read a block through a namespace's path, with a short time-out.

    Where that runs out, the kernel gives the connection up and reconnects.
    It is not waited for.
    """
    _number(milliseconds, 1, 60000, 'time-out')
    size, nsid = (_attribute(device, *names) for names in (
        ('queue', 'logical_block_size'), ('nsid',)))
    _leave_behind(
        'nvme', 'io-passthru', '/dev/' + device, '--opcode=2', '--read',
        '--namespace-id=%d' % nsid, '--data-len=%d' % size,
        '--timeout=%d' % milliseconds)


@default.entrypoint
def answering(devices: Sequence[str], milliseconds: int) -> list[str]:
    """Return those namespaces that answer a direct read in that time."""
    _number(milliseconds, 1, 60000, 'time-out')
    reads = {device: _start(
        'dd', 'if=/dev/' + _namespace(device), 'of=/dev/null', 'bs=4096',
        'count=1', 'iflag=direct', 'status=none') for device in devices}
    end = time.monotonic() + milliseconds / 1000
    found = []
    for device, read in reads.items():
        try:
            if read.wait(max(0.0, end - time.monotonic())) == 0:
                found.append(device)
        except subprocess.TimeoutExpired:
            # it ends with the I/O it waits for; somebody has to bury it
            read.kill()
            threading.Thread(target=read.wait, daemon=True).start()
    return found


@default.entrypoint
def fail(array: str, device: str) -> None:
    """Make md drop a leg (by its kernel name: the node may be gone).

    It waits for whatever is being done to the array; what comes after it
    ends that.
    """
    _run('mdadm', '--manage', _md(array), '--fail', _namespace(device),
         limit=FAIL_TIMEOUT)


@default.entrypoint
def remove(array: str, device: str) -> None:
    """Take a faulty leg or a spare out of the array."""
    _run('mdadm', '--manage', _md(array), '--remove', _namespace(device))


@default.entrypoint
def add(array: str, device: str) -> None:
    """Add a namespace; md starts a recovery where a slot is empty."""
    _run('mdadm', '--manage', _md(array), '--add', '--failfast',
         '/dev/' + _namespace(device))


@default.entrypoint
def re_add(array: str, device: str) -> None:
    """Put a former leg back; only what the bitmap marks is copied."""
    _run('mdadm', '--manage', _md(array), '--re-add',
         '/dev/' + _namespace(device))


@default.entrypoint
def replace(array: str, device: str, spare: str) -> None:
    """Copy a leg to a spare, which then takes its slot."""
    _run('mdadm', '--manage', _md(array), '--replace',
         '/dev/' + _namespace(device), '--with', '/dev/' + _namespace(spare))


@default.entrypoint
def resize(array: str, raid_disks: int) -> None:
    """Change the number of legs the array is meant to have."""
    _number(raid_disks, 1, 64, 'number of legs')
    force = ('--force',) if raid_disks == 1 else ()
    _run('mdadm', '--grow', _md(array), '--raid-devices=%d' % raid_disks,
         *force)
