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
"""What nova's configuration says of the directory in which it locks."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import os

from oslo_config import cfg

from os_brick.agent.checks import host

#: In the order in which nova-compute reads them; of two values the later
#: counts.  The first is RDO's.
PLACES = ('/usr/share/nova/nova-dist.conf', '/etc/nova/nova.conf',
          '/etc/nova/nova-compute.conf', '/etc/nova/nova.conf.d',
          '/etc/nova/nova-compute.conf.d')
#: Where os-brick looks first, and what it takes without.
_SECTIONS = ('os_brick', 'oslo_concurrency')
_Sections = dict[str, dict[str, list[str]]]


def lock(places: Iterable[str] = PLACES) -> host.NovaLock:
    """Return the lock path of nova, or why it is not known."""
    sections: _Sections = {}
    read, unread = [], []
    for path, trouble in _files(places):
        if not trouble:
            trouble = _parse(path, sections)
        if trouble:
            unread.append('%s: %s' % (path, trouble))
        else:
            read.append(path)
    for section in _SECTIONS:
        value = sections.get(section, {}).get('lock_path')
        if value:
            return _resolved(section, value[-1], sections)
    if unread:
        return host.NovaLock(unread=unread[0])
    if read:
        return host.NovaLock(unknown='%s sets no lock_path'
                             % ' and '.join(read))
    return host.NovaLock()


def _files(places: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the files that are there, and why one cannot be looked at."""
    for place in places:
        try:
            # a directory that may not be entered hides whether there is one
            os.stat(place)
            names = sorted(os.listdir(place)) if os.path.isdir(place) else ()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            yield place, os.strerror(error.errno or 0)
            continue
        if os.path.isdir(place):
            for name in names:
                if name.endswith('.conf'):
                    yield os.path.join(place, name), ''
        else:
            yield place, ''


def _parse(path: str, sections: _Sections) -> str:
    """Add what a file has; return why it cannot be read, '' if it can."""
    found: _Sections = {}
    try:
        cfg.ConfigParser(path, found).parse()
    except OSError as error:
        return os.strerror(error.errno or 0)
    except (ValueError, cfg.Error, cfg.ParseError):
        # what the error says has the line in it, which may be a password
        return 'it cannot be parsed'
    for section, values in found.items():
        for name, value in values.items():
            sections.setdefault(section, {}).setdefault(
                name, []).extend(value)
    return ''


def _resolved(section: str, written: str,
              sections: Mapping[str, Mapping[str, Sequence[str]]]
              ) -> host.NovaLock:
    """Replace what refers to other options as oslo.config does for nova."""
    conf = cfg.ConfigOpts()
    for group, values in sections.items():
        for name, value in values.items():
            # one that bears no reference is not needed, whatever it is called
            with contextlib.suppress(cfg.Error, ValueError):
                conf.register_opt(
                    cfg.StrOpt(name, default=value[-1]),
                    None if group == 'DEFAULT' else group)
    try:
        return host.NovaLock(path=conf[section].lock_path)
    except (cfg.Error, AttributeError, RecursionError):
        return host.NovaLock(
            unknown='lock_path = %s in [%s] refers to what nova.conf does not '
            'set' % (written, section))
