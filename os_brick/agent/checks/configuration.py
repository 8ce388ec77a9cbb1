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
"""The configuration: names, values and who may read and write it; pure."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
import difflib
import stat
import uuid

from os_brick.agent.checks import findings

ABOUT = 'configuration'
#: Section -> the names of its options.
Names = Mapping[str, Collection[str]]


def names(path: str, written: Names, known: Names
          ) -> Iterator[findings.Finding]:
    """Find what is written in a file and known to nobody.

    :param written: what the file holds.
    :param known: what there is.
    """
    for section in written:
        if section not in known:
            yield findings.warning(
                ABOUT, '%s: nobody reads the section [%s]%s' % (
                    path, section, _near(section, known)),
                'correct its name, or remove it')
            continue
        for name in sorted(written[section]):
            if name.replace('-', '_') not in known[section]:
                yield findings.warning(
                    ABOUT, '%s: nobody reads the option %s of [%s]%s' % (
                        path, name, section, _near(name, known[section])
                        or _elsewhere(name, known)),
                    'correct its name, or remove it')


def _near(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), 1, 0.75)
    return '; is %s meant?' % near[0] if near else ''


def _elsewhere(name: str, known: Names) -> str:
    sections = [section for section in sorted(known) if name in known[section]]
    return '; there is one of that name in [%s]' % sections[0] if (
        sections) else ''


def mode(path: str, bits: int, owner: int, secrets: Collection[str]
         ) -> Iterator[findings.Finding]:
    """Find out who may write a file, and read the secrets in it.

    :param bits: its mode.
    :param owner: the number of the user whom it belongs to.
    :param secrets: the names of the secret options that are in it.
    """
    yield from _owned(path, owner, 'chown root:nvme-agent %s, and chmod 0640'
                      % path)
    if bits & (stat.S_IWGRP | stat.S_IWOTH):
        yield findings.failure(
            ABOUT, '%s may be written by others (mode %04o): the helper, '
            'which runs as root, reads it' % (path, bits & 0o7777),
            'chmod go-w %s' % path)
    if secrets and bits & stat.S_IROTH:
        yield findings.failure(
            ABOUT, '%s holds %s and may be read by everybody (mode %04o)' % (
                path, ', '.join(sorted(secrets)), bits & 0o7777),
            'chmod o-r %s, with the group nvme-agent' % path)


def textfile(path: str) -> Iterator[findings.Finding]:
    """:param path: ``metrics_textfile``."""
    if path and not (path.startswith('/') and path.endswith('.prom')):
        yield findings.warning(
            ABOUT, 'option metrics_textfile: %s: node_exporter will not find '
            'it' % path, 'give the whole path, in the directory of its '
            'textfile collector, and a name that ends in .prom')


def directory(path: str, bits: int, owner: int, adding: bool
              ) -> Iterator[findings.Finding]:
    """Find out who may put another file in the place of one.

    :param adding: what is added to it is read, too.
    """
    yield from _owned(path, owner, 'chown root %s' % path)
    # in one that is sticky nobody replaces what is another's
    if bits & (stat.S_IWGRP | stat.S_IWOTH) and (
            adding or not bits & stat.S_ISVTX):
        yield findings.failure(
            ABOUT, '%s may be written by others (mode %04o): they may put '
            'another file in the place of one that the helper, which runs as '
            'root, reads' % (path, bits & 0o7777), 'chmod go-w %s' % path)


def _owned(path: str, owner: int, remedy: str) -> Iterator[findings.Finding]:
    if owner:
        yield findings.warning(
            ABOUT, '%s belongs to user %d, who may thus change what the '
            'helper, which runs as root, reads' % (path, owner), remedy)


def values(host_uuid: str, io_fail_timeout: float, poll_interval: float,
           watchdog: float) -> Iterator[findings.Finding]:
    """Find values that are allowed and will not do what is expected.

    :param watchdog: seconds of the unit's watchdog, 0: it has none.
    """
    try:
        if host_uuid:
            uuid.UUID(host_uuid)
    except ValueError:
        yield findings.failure(
            ABOUT, 'option host_uuid: "%s" is no UUID' % host_uuid,
            'leave it empty, or give the one that Cinder has of this host')
    if io_fail_timeout != int(io_fail_timeout):
        yield findings.warning(
            ABOUT, 'option io_fail_timeout: the kernel takes whole seconds: '
            '%g becomes %d' % (io_fail_timeout, round(io_fail_timeout)),
            'give whole seconds')
    if watchdog and poll_interval > watchdog / 2:
        yield findings.failure(
            ABOUT, 'option poll_interval: %g s is more than half of the '
            'watchdog\'s %g s: systemd may take a healthy agent for dead' % (
                poll_interval, watchdog),
            'raise WatchdogSec= of the unit, or lower poll_interval')
