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
"""How long and how much, in the words of an operator."""

from __future__ import annotations

_UNITS = ('B', 'KiB', 'MiB', 'GiB', 'TiB')


def span(seconds: float) -> str:
    """Return a time in at most two units: 3 min 20 s."""
    left = max(0, round(seconds))
    units: list[str] = []
    for name, length in (('d', 86400), ('h', 3600), ('min', 60), ('s', 1)):
        count, left = divmod(left, length)
        if count or units or name == 's':
            units.append('%d %s' % (count, name))
    return ' '.join(unit for unit in units[:2] if not unit.startswith('0 ')
                    ) or '0 s'


def size(count: float) -> str:
    """Return bytes in the largest unit that keeps them above one."""
    for unit in _UNITS[:-1]:
        if count < 1024:
            return '%.3g %s' % (count, unit) if count < 1000 else (
                '%d %s' % (count, unit))
        count /= 1024
    return '%.4g %s' % (count, _UNITS[-1])
