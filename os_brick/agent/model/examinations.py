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
"""What a provisioner says of itself, and certificates that end."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math

from os_brick.agent.model import volumes as nouns


DAY = 86400.0
#: Days before the end of a certificate from which a warning is given, and
#: from which it is critical.
SOON, VERY_SOON = 30, 7


@dataclasses.dataclass(frozen=True)
class Certificate:
    """One that the agent and its provisioner know each other by.

    :ivar whose: in words, with the option or the address: 'of this host
        (option kioxia_cert_file)'.
    :ivar ends_at: seconds since the epoch from which it is not valid.
    """

    whose: str
    ends_at: float

    def days_left(self, now: float) -> int:
        """Return whole days, below 0 where it has ended.

        :param now: seconds since the epoch.
        """
        return math.floor((self.ends_at - now) / DAY)


@dataclasses.dataclass(frozen=True)
class Examination:
    """What a provisioner has answered to one who only asked.

    :ivar where: what has answered: a URL, a file.
    :ivar version: its release, '' where it does not say.
    :ivar volumes: those of this host; None: they were not asked for.
    :ivar troubles: what is not as it should be, a sentence each.
    :ivar credentials: it was given some, and has taken them.
    """

    where: str
    version: str = ''
    volumes: Sequence[nouns.Volume] | None = None
    troubles: tuple[str, ...] = ()
    credentials: bool = False
