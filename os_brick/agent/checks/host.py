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
"""This host: programs, modules, the lock, udev; pure."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Set
import dataclasses
import re

from os_brick.agent.checks import findings
from os_brick.agent import model

ABOUT = 'host'
#: Program -> what it is needed for.
PROGRAMS = {'nvme': 'connecting targets', 'mdadm': 'changing arrays'}
#: Module -> what it is needed for; of the transports one is enough.
MODULES = {'raid1': 'the arrays'}
TRANSPORTS = ('nvme_tcp', 'nvme_rdma')
#: Since which release of Linux there is something that matters here, and what
#: is so without it.  Distributions take much of it into older ones.
SINCE = (((5, 11), 'connections have no fast_io_fail_tmo: a writer waits for '
                   'a lost leg until the guard has cut it off'),
         ((5, 15), 'a keep-alive time that is changed (option '
                   'keep_alive_timeout) is not followed, and disks have no '
                   'number of their own (diskseq)'))
#: Defects of the kernel that matter here: the first releases that may have
#: them, and that are mended, and what they are.
DEFECTS = (
    ((0, 0), (6, 5), 'a connection that is removed while it is made anew may '
                     'hang until the next boot (mended by 1b95e8179160): the '
                     'agent waits for an attempt to reconnect that may be '
                     'under way'),
    ((6, 2), (6, 11), 'where a target names an optimal I/O size that is '
                      'larger than the write-intent bitmap '
                      '(/sys/class/block/nvme*n1/queue/optimal_io_size), md '
                      'writes other memory behind the bitmap, or NVMe/TCP '
                      'fails to send it, and the leg is dropped (mended by '
                      'ab99a87542f1)'))
#: What makes mdadm put a device that carries nothing into an array.
_SPARE = re.compile(r'\baction\s*=\s*((?:force-)?spare(?:-same-slot)?)\b',
                    re.I)


def programs(found: Mapping[str, str | None]) -> Iterator[findings.Finding]:
    """:param found: program -> where it is, None: nowhere."""
    for name, purpose in PROGRAMS.items():
        path = found.get(name)
        yield findings.fine(ABOUT, '%s: %s' % (name, path)) if path else (
            findings.failure(
                ABOUT, 'there is no %s, which is needed for %s' % (
                    name, purpose), 'install it (nvme-cli, mdadm)'))


def multipath(value: str | None) -> Iterator[findings.Finding]:
    """:param value: of nvme_core's parameter, None: it is not loaded."""
    if value is None:
        yield findings.warning(
            ABOUT, 'the module nvme_core is not loaded: nothing is known of '
            'its multipath mode', 'modprobe nvme-tcp, and check again')
    elif value.strip() != 'Y':
        yield findings.warning(
            ABOUT, 'native NVMe multipath is off (nvme_core.multipath=%s): '
            'each portal is a device of its own' % value.strip(),
            'boot with nvme_core.multipath=Y')
    else:
        yield findings.fine(ABOUT, 'native NVMe multipath is on')


def iopolicy(policies: Mapping[str, model.Subsystem],
             is_set: bool) -> Iterator[findings.Finding]:
    """:param policies: target -> how its I/O is spread.

    :param is_set: the guard sees to it.
    """
    idle = sorted(target for target, found in policies.items()
                  if found.paths > 1 and found.policy == 'numa')
    if idle and not is_set:
        yield findings.warning(
            ABOUT, 'of the paths to %s%s one carries all I/O (iopolicy '
            'numa): when such a target falls silent, writers may wait five '
            'seconds longer' % (idle[0], ' and %d other targets' % (
                len(idle) - 1) if len(idle) > 1 else ''),
            'set the option iopolicy to round-robin, or have the kernel use '
            'all of them (nvme_core.iopolicy=round-robin); see "Several '
            'paths" in the guard\'s page')


def modules(there: Set[str], listed: bool) -> Iterator[findings.Finding]:
    """:param there: those that are loaded, or can be.

    :param listed: what can be loaded is known; a unit or a container may hide
        it.
    """
    if not listed and not (there >= MODULES.keys() and there & {*TRANSPORTS}):
        yield findings.fine(ABOUT, 'modules: loaded are %s; what else could '
                            'be is not seen from here' % (
                                ', '.join(sorted(there)) or 'none'))
        return
    for name, purpose in MODULES.items():
        if name not in there:
            yield findings.failure(
                ABOUT, 'the kernel has no module %s, which is needed for %s'
                % (name, purpose), 'install the modules of the running kernel '
                '(linux-modules-extra, kernel-modules)')
    if not there & {*TRANSPORTS}:
        yield findings.failure(
            ABOUT, 'the kernel has neither %s: no target can be connected'
            % ' nor '.join(TRANSPORTS), 'install the modules of the running '
            'kernel (linux-modules-extra, kernel-modules)')
    elif there >= MODULES.keys():
        yield findings.fine(ABOUT, 'modules: %s' % ', '.join(
            [*MODULES, *(name for name in TRANSPORTS if name in there)]))


def kernel(release: str) -> Iterator[findings.Finding]:
    """:param release: what ``uname -r`` prints."""
    found = re.match(r'([0-9]+)\.([0-9]+)', release)
    number = (int(found[1]), int(found[2])) if found else None
    lacks = [what for since, what in SINCE if number and number < since]
    for what in lacks:
        yield findings.warning(
            ABOUT, 'Linux %s: unless its distribution has taken it over, %s'
            % (release, what), 'run a later kernel')
    known = ['; unless its distribution has mended it, %s' % what
             for first, since, what in DEFECTS
             if number and first <= number < since]
    if not lacks:
        yield findings.fine(ABOUT, 'Linux %s%s' % (release, ''.join(known)))


def mdadm_policy(files: Mapping[str, str]) -> Iterator[findings.Finding]:
    """:param files: mdadm's configuration files, and what is in them."""
    for path, content in files.items():
        # a line that begins with a blank continues the one before it
        for line in re.sub(r'\n[ \t]+', ' ', content).splitlines():
            action = _SPARE.search(line)
            if action and line.lower().startswith('pol'):
                yield findings.warning(
                    ABOUT, '%s: POLICY action=%s: mdadm may put a blank '
                    'namespace, such as a replacement, into any array' % (
                        path, action[1]), 'limit the line to local disks '
                    '(path=, or type=)')


def lvm(held: Mapping[str, str]) -> Iterator[findings.Finding]:
    """:param held: array of a volume -> the logical volume that is on it."""
    for array, name in held.items():
        yield findings.warning(
            ABOUT, 'LVM of this host has activated %s, which a guest has made '
            'on %s: os-brick cannot stop the array when the volume is '
            'detached' % (name, array), 'vgchange -an the group (or, where it '
            'was detached, dmsetup remove %s; mdadm --stop /dev/%s), and keep '
            'LVM from volumes (global_filter in lvm.conf); see "What else '
            'runs on the host" in the installation guide' % (name, array))


def copy_speed(wanted: int, least: str | None, most: str | None
               ) -> Iterator[findings.Finding]:
    """:param wanted: ``resync_speed_max``, in MiB a second; 0: none.

    :param least: and ``most``: md's own limits for all arrays, in KiB.
    """
    words = [(text or '').strip() for text in (least, most)]
    low, high = (int(word) if word.isdigit() else None for word in words)
    if wanted and low is not None and wanted * 1024 <= low:
        yield findings.warning(
            ABOUT, 'resync_speed_max is %d MiB/s, and md copies with '
            '%d KiB/s at least (dev.raid.speed_limit_min): the option has no '
            'effect' % (wanted, low),
            'sysctl -w dev.raid.speed_limit_min=1000, and see who sets it in '
            '/etc/sysctl.d')
    elif wanted and high is not None and wanted * 1024 > high:
        yield findings.warning(
            ABOUT, 'resync_speed_max is %d MiB/s, which lets the arrays of '
            'the agent copy faster than the %d KiB/s that this host has for '
            'all of them (dev.raid.speed_limit_max)' % (wanted, high),
            'lower it, or leave it out, if that is not meant')


def helper(trouble: str) -> Iterator[findings.Finding]:
    """:param trouble: why it cannot be started, '' if it can."""
    yield findings.failure(
        ABOUT, trouble, 'see what sudo says of it, as the agent\'s user: '
        'sudo -l') if (
            trouble) else findings.fine(ABOUT, 'the privileged helper starts')


@dataclasses.dataclass(frozen=True)
class NovaLock:
    """What is known of nova's lock path; of a host without nova: nothing.

    :ivar path: the directory, None where it is not known.
    :ivar unread: the file of nova's that cannot be read, and why.
    :ivar unknown: why it is not known though nova's files were read.
    """

    path: str | None = None
    unread: str = ''
    unknown: str = ''


def lock(path: str, trouble: str, nova: NovaLock
         ) -> Iterator[findings.Finding]:
    """:param trouble: why no file can be made there, '' if one can."""
    if trouble:
        yield findings.failure(
            ABOUT, 'lock_path %s: %s' % (path, trouble),
            'make it, writable by nova and by nvme-agent; see the '
            'installation guide')
    if nova.path is not None and nova.path != path:
        yield findings.failure(
            ABOUT, 'lock_path is %s here and %s in nova.conf: an attach and '
            'the agent may work on the same array at once' % (
                path, nova.path), 'give lock_path the value of nova.conf')
    elif nova.unread:
        yield findings.warning(
            ABOUT, 'lock_path %s: whether nova has the same is not known (%s)'
            % (path, nova.unread), 'run the check as a user who may read '
            'nova\'s configuration: once as root, or sudo -u nvme-agent -g '
            'nova nvme-agent check')
    elif nova.unknown:
        yield findings.warning(
            ABOUT, 'lock_path %s: whether nova has the same is not known: %s'
            % (path, nova.unknown), 'set lock_path of [oslo_concurrency] in '
            'nova.conf; or see that nova-compute makes its lock file there: '
            'after an attach, find / -xdev -name os-brick-connect_volume '
            'names one directory')
    elif not trouble:
        yield findings.fine(ABOUT, 'lock_path %s%s' % (
            path, ' is nova\'s' if nova.path else
            '; this host has no nova.conf to compare it with'))


def udev(trouble: str) -> Iterator[findings.Finding]:
    """:param trouble: what is wrong with the agent's rule, '' if nothing."""
    yield findings.warning(
        ABOUT, 'udev may put legs back or drop them, or start arrays, by '
        'itself: %s' % trouble,
        'install the rule; see the installation guide') if trouble else (
            findings.fine(ABOUT, 'the udev rule is there'))


def directory(option: str, path: str, trouble: str, made: bool
              ) -> Iterator[findings.Finding]:
    """:param trouble: why it cannot be used, '' if it can.

    :param made: it is not there, and the agent's unit makes it.
    """
    if made:
        yield findings.fine(ABOUT, '%s %s: the unit makes it when it starts'
                            % (option, path))
    elif trouble:
        yield findings.failure(
            ABOUT, 'option %s: %s: %s' % (option, path, trouble),
            'make it, owned by nvme-agent')
    else:
        yield findings.fine(ABOUT, '%s %s' % (option, path))
