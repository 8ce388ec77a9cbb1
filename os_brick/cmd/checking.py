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
"""What can be looked at without asking anybody; the daemon does, at its start.

It reads files and attributes, and waits for nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import itertools
import os
import shutil
from typing import Any

from oslo_concurrency import opts as concurrency_opts
from oslo_config import cfg
from oslo_log import _options as log_options

from os_brick.agent.checks import configuration
from os_brick.agent.checks import findings
from os_brick.agent.checks import host
from os_brick.agent.daemon import endpoint
from os_brick.agent.daemon import outlets
from os_brick.agent.host import stacked
from os_brick.agent.host import subsystems
from os_brick.agent.host import udev_rule
from os_brick.agent import opts
from os_brick.agent.provisioner import drivers
from os_brick.agent.sinks import base as sink
from os_brick.agent.vendors import base
from os_brick.cmd import nova_file
from os_brick.cmd import unit_file
from os_brick import opts as brick_opts  # type: ignore[attr-defined]

MULTIPATH = '/sys/module/nvme_core/parameters/multipath'
SPEED_LIMITS = ('/proc/sys/dev/raid/speed_limit_min',
                '/proc/sys/dev/raid/speed_limit_max')
MODULES = ('/sys/module', '/lib/modules')
MDADM = ('/etc/mdadm.conf', '/etc/mdadm/mdadm.conf', '/etc/mdadm.conf.d',
         '/etc/mdadm/mdadm.conf.d')
#: sudo and the unit have these, an operator's shell may not.
PATH = os.pathsep.join(('/usr/local/sbin', '/usr/sbin', '/sbin',
                        '/usr/local/bin', '/usr/bin', '/bin'))
#: Its name, or its group, and what may be written in it.
_Section = tuple[object, Sequence[cfg.Opt]]


def cheap(conf: cfg.ConfigOpts, more: Iterable[findings.Finding] = ()
          ) -> Iterator[findings.Finding]:
    """Look at the configuration, and at what the agent needs of this host.

    :param more: what else was found in the configuration.
    """
    yield from of_configuration(conf, more)
    yield from of_host(conf)


def of_configuration(conf: cfg.ConfigOpts, more: Iterable[findings.Finding]
                     ) -> Iterator[findings.Finding]:
    """Look at the files and at what they say."""
    files = {path: _written(path) for path in _files(conf)}
    known, secret = _known(conf, files.values())
    wrong = False
    for path, written in files.items():
        secrets = secret & {name for names in written.values()
                            for name in names}
        status = os.stat(path)
        for one in (*configuration.names(path, written, known),
                    *configuration.mode(path, status.st_mode, status.st_uid,
                                        secrets)):
            wrong = True
            yield one
    for one in (*_directories(files, conf.config_dir or ()),
                *configuration.values(conf.host_uuid, conf.io_fail_timeout,
                                      conf.poll_interval,
                                      unit_file.watchdog()),
                *configuration.textfile(conf.metrics_textfile)):
        wrong = True
        yield one
    for one in more:
        wrong = True
        yield one
    if not wrong:
        yield findings.fine(configuration.ABOUT, ', '.join(files))


def of_extras(conf: cfg.ConfigOpts) -> Iterator[findings.Finding]:
    """Find what the daemon does not start with: it makes them itself."""
    try:
        endpoint.look(conf)
        outlets.make(conf)
    except (endpoint.Missing, sink.ConfigurationError, cfg.Error) as error:
        yield findings.failure(configuration.ABOUT, str(error),
                               'correct it, or leave the option out')


def of_host(conf: cfg.ConfigOpts) -> Iterator[findings.Finding]:
    """Look at what the agent needs of this host."""
    yield from host.programs({name: shutil.which(name, path=PATH)
                              for name in host.PROGRAMS})
    release = os.uname().release
    yield from host.kernel(release)
    yield from host.modules(*_modules(release, *MODULES))
    yield from host.multipath(unit_file.content(MULTIPATH))
    yield from host.iopolicy(subsystems.policies(), bool(
        conf.iopolicy and conf.io_guard == 'on' and not conf.dry_run))
    yield from host.lvm(stacked.lvm())
    yield from host.copy_speed(conf.resync_speed_max, *(
        unit_file.content(path) for path in SPEED_LIMITS))
    yield from host.mdadm_policy(_mdadm(MDADM))
    lock_path = conf.os_brick.lock_path
    yield from host.lock(lock_path, _unusable(lock_path), _same(
        lock_path, nova_file.lock()))
    yield from host.udev(udev_rule.trouble())
    for option in ('state_dir', 'run_dir'):
        path = conf[option]
        yield from host.directory(
            option, path, _unusable(path), not os.path.exists(path)
            and os.path.normpath(path) in unit_file.made())


def _files(conf: cfg.ConfigOpts) -> list[str]:
    folders = conf.config_dir or []
    return list(dict.fromkeys(itertools.chain(conf.config_file or (), *(
        sorted(os.path.join(folder, name) for name in os.listdir(folder)
               if name.endswith('.conf')) for folder in folders))))


def _directories(files: Iterable[str], read_whole: Iterable[str]
                 ) -> Iterator[findings.Finding]:
    """Look at the directories of files, and of what they are links to.

    :param read_whole: those of which every file is read.
    """
    whole = {os.path.realpath(path) for path in read_whole}
    for path in sorted({os.path.dirname(found) for one in files for found in (
            os.path.abspath(one), os.path.realpath(one))} | whole):
        status = os.stat(path)
        yield from configuration.directory(
            path, status.st_mode, status.st_uid,
            os.path.realpath(path) in whole)


def _written(path: str) -> dict[str, set[str]]:
    """Return section -> the names that a file has in it."""
    sections: dict[str, dict[str, Any]] = {}
    cfg.ConfigParser(path, sections).parse()
    return {section: set(values) for section, values in sections.items()}


def _known(conf: cfg.ConfigOpts,
           files: Iterable[Mapping[str, Collection[str]]]
           ) -> tuple[dict[str, set[str]], set[str]]:
    """Return section -> its options, and the names of those secret.

    What an embedded driver or sink reads that is not chosen is known, too.
    They are loaded only where something is written that nobody else reads:
    the agent runs with what it has imported.

    :param files: what is written in each.
    """
    light = [*opts.own_opts(), *_chosen(conf)]
    known, secret = _by_section(light)
    if all(name.replace('-', '_') in known.get(section, ())
           for written in files for section, names in written.items()
           for name in names):
        return known, secret
    return _by_section([*light, *opts.list_opts()])


def _chosen(conf: cfg.ConfigOpts) -> Iterator[_Section]:
    """What is read by what the configuration names, and by libraries."""
    # that one cannot be loaded is found elsewhere
    with contextlib.suppress(base.ProvisionerError):
        yield 'DEFAULT', list(
            drivers.load_class(conf.provisioner_driver).options())
    for name in {*conf.event_sinks} - {outlets.LOGGED, outlets.TOLD}:
        with contextlib.suppress(sink.ConfigurationError):
            kind = outlets.load(name)
            yield 'DEFAULT', list(kind.options())
            yield from kind.sections()
    for library in (log_options, concurrency_opts, brick_opts):
        yield from library.list_opts()


def _by_section(sections: Iterable[_Section]
                ) -> tuple[dict[str, set[str]], set[str]]:
    known: dict[str, set[str]] = {
        'DEFAULT': {'config_file', 'config_dir', 'config_source'}}
    secret = set()
    for group, options in sections:
        section = known.setdefault(str(getattr(group, 'name', group)
                                       or 'DEFAULT'), set())
        for option in options:
            section |= {option.dest, *(
                old.name.replace('-', '_') for old in option.deprecated_opts
                if old.name)}
            if option.secret:
                secret.add(option.dest)
    return known, secret


def _modules(release: str, loaded: str, installed: str
             ) -> tuple[set[str], bool]:
    """Return those that are there, and whether all are known that can be.

    :param loaded: and ``installed``: directories.
    """
    wanted = {*host.MODULES, *host.TRANSPORTS}
    there = {name for name in wanted
             if os.path.isdir(os.path.join(loaded, name))}
    if there == wanted:
        return there, True
    lists = [unit_file.content(os.path.join(installed, release, name))
             for name in ('modules.builtin', 'modules.dep')]
    there |= {name for name in wanted for listed in lists if listed and (
        '/%s.ko' % name in listed
        or '/%s.ko' % name.replace('_', '-') in listed)}
    return there, None not in lists


def _mdadm(paths: Iterable[str]) -> dict[str, str]:
    files = itertools.chain.from_iterable(
        [path] if not os.path.isdir(path) else sorted(
            os.path.join(path, name) for name in os.listdir(path)
            if name.endswith('.conf')) for path in paths)
    return {path: content for path in files
            if (content := unit_file.content(path)) is not None}


def _same(path: str, nova: host.NovaLock) -> host.NovaLock:
    """Call one directory by one name: /var/lock is /run/lock."""
    if nova.path and os.path.realpath(nova.path) == os.path.realpath(path):
        return dataclasses.replace(nova, path=path)
    return nova


def _unusable(path: str) -> str:
    if not os.path.isdir(path):
        return 'there is no such directory'
    return '' if os.access(path, os.W_OK | os.X_OK) else (
        'it may not be written by user %d' % os.geteuid())
