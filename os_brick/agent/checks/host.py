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

from os_brick.agent.checks import findings

ABOUT = 'host'
#: Program -> what it is needed for.
PROGRAMS = {'nvme': 'connecting targets', 'mdadm': 'changing arrays'}


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


def lock(path: str, trouble: str, nova: str | None
         ) -> Iterator[findings.Finding]:
    """:param trouble: why no file can be made there, '' if one can.

    :param nova: nova's own lock path, None where it is not known.
    """
    if trouble:
        yield findings.failure(
            ABOUT, 'lock_path %s: %s' % (path, trouble),
            'make it, writable by nova and by nvme-agent; see the '
            'installation guide')
    if nova is not None and nova.rstrip('/') != path.rstrip('/'):
        yield findings.failure(
            ABOUT, 'lock_path is %s here and %s in nova.conf: an attach and '
            'the agent may work on the same array at once' % (path, nova),
            'give lock_path the value of nova.conf')
    elif not trouble:
        yield findings.fine(ABOUT, 'lock_path %s%s' % (
            path, ' is nova\'s' if nova else '; nova.conf was not read'))


def udev(trouble: str) -> Iterator[findings.Finding]:
    """:param trouble: what is wrong with the agent's rule, '' if nothing."""
    yield findings.warning(
        ABOUT, 'udev may put legs back, or start arrays, by itself: %s'
        % trouble, 'install the rule; see the installation guide') if (
            trouble) else findings.fine(ABOUT, 'the udev rule is there')


def directory(option: str, path: str, trouble: str
              ) -> Iterator[findings.Finding]:
    """:param trouble: why it cannot be used, '' if it can."""
    yield findings.failure(
        ABOUT, 'option %s: %s: %s' % (option, path, trouble),
        'make it, owned by nvme-agent') if trouble else findings.fine(
            ABOUT, '%s %s' % (option, path))
