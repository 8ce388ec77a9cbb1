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
"""What the operator does not want to hear of for a while; pure.

A mute ends by itself, and when what it is about gets worse.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
from typing import Any

from os_brick.agent.reporting import health


@dataclasses.dataclass(frozen=True)
class Mute:
    """The operator's wish.

    :ivar volume: alias of the volume, '' for all, and for the host.
    :ivar until: seconds since the epoch.
    :ivar weights: volume -> the weight of the finding when it was muted.
    """

    code: str
    volume: str
    until: float
    weights: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def covers(self, finding: health.Finding, now: float) -> bool:
        """Return whether the finding is not to be heard of.

        One that was not there when the code was muted is no worse than none:
        it is covered as long as it is not worse than the lightest.
        """
        return (self.code == finding.code and now < self.until
                and self.volume in ('', finding.volume)
                and finding.weight <= self.weights.get(finding.volume, 1))


def applied(findings: Iterable[health.Finding], mutes: Iterable[Mute],
            now: float) -> list[health.Finding]:
    """Return the findings, with those marked that are muted."""
    mutes = tuple(mutes)
    return [dataclasses.replace(finding, muted_until=max(
        (mute.until for mute in mutes if mute.covers(finding, now)),
        default=None)) for finding in findings]


def load(content: object) -> tuple[Mute, ...]:
    """Return the mutes of a file's content.

    :raises ValueError: it is none.
    """
    if not isinstance(content, list):
        raise ValueError('it is no list')
    found = []
    for item in content:
        if not isinstance(item, dict):
            raise ValueError('an entry is no mapping')
        weights: Any = item.get('weights', {})
        if not isinstance(weights, dict):
            raise ValueError('the weights of an entry are no mapping')
        try:
            found.append(Mute(
                str(item['code']), str(item['volume']), float(item['until']),
                {str(name): int(weight) for name, weight
                 in weights.items()}))
        except (KeyError, TypeError) as error:
            raise ValueError('an entry lacks %s' % error) from error
    return tuple(found)
