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
"""What systemd has been told of the agent's unit."""

from __future__ import annotations

from collections.abc import Sequence
import glob
import os
import re

UNIT = 'nvme-agent.service'
#: The first that has the unit counts; of drop-ins of one name, too.
DIRECTORIES = ('/etc/systemd/system', '/run/systemd/system',
               '/usr/local/lib/systemd/system', '/usr/lib/systemd/system',
               '/lib/systemd/system')
#: systemd.time(7); what has no unit is seconds.
_UNITS = {'usec': 1e-6, 'us': 1e-6, 'msec': 1e-3, 'ms': 1e-3, '': 1.0,
          's': 1.0, 'sec': 1.0, 'second': 1.0, 'seconds': 1.0, 'm': 60.0,
          'min': 60.0, 'minute': 60.0, 'minutes': 60.0, 'h': 3600.0,
          'hr': 3600.0, 'hour': 3600.0, 'hours': 3600.0, 'd': 86400.0,
          'day': 86400.0, 'days': 86400.0}
_SPAN = re.compile(r'\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)')


def watchdog(directories: Sequence[str] = DIRECTORIES) -> float:
    """Return WatchdogSec= of the unit and its drop-ins, 0: none is set."""
    return seconds((['', *_values('WatchdogSec', directories)])[-1])


def made(directories: Sequence[str] = DIRECTORIES) -> set[str]:
    """Return the directories that systemd makes for the unit."""
    found: set[str] = set()
    for name, above in (('StateDirectory', '/var/lib'),
                        ('RuntimeDirectory', '/run')):
        for value in _values(name, directories):
            # an empty one takes back those before it
            found = {path for path in found if value
                     or not path.startswith(above + '/')}
            found |= {os.path.join(above, word.partition(':')[0])
                      for word in value.split()}
    return found


def _values(name: str, directories: Sequence[str]) -> list[str]:
    """Return what the unit and its drop-ins say of a setting, in order."""
    main = next((path for path in (os.path.join(one, UNIT)
                                   for one in directories)
                 if os.path.exists(path)), None)
    drop_ins: dict[str, str] = {}
    for one in reversed(directories):
        drop_ins |= {os.path.basename(path): path for path in glob.glob(
            os.path.join(glob.escape(one), UNIT + '.d', '*.conf'))}
    found: list[str] = []
    pattern = re.compile(r'^[ \t]*%s[ \t]*=[ \t]*(.*?)[ \t]*$' % name, re.M)
    for path in ([main] if main else []) + [
            drop_ins[name] for name in sorted(drop_ins)]:
        found += pattern.findall(content(path) or '')
    return found


def seconds(span: str) -> float:
    """Return a time span as systemd has it, 0 for none and for infinity."""
    total, place = 0.0, 0
    while place < len(span):
        one = _SPAN.match(span, place)
        if one is None or one[2] not in _UNITS:
            return 0.0
        total += float(one[1]) * _UNITS[one[2]]
        place = one.end()
    return total


def content(path: str) -> str | None:
    """Return what is in a file, None where it cannot be read."""
    try:
        with open(path, encoding='utf-8', errors='replace') as stream:
            return stream.read()
    except OSError:
        return None
