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
"""What a world begins with: as the dice have it, or as a test needs it."""

from __future__ import annotations

import dataclasses
import random

SPARES = 12


@dataclasses.dataclass(frozen=True)
class Shape:
    """What a world begins with.

    :ivar portals: of each target.
    :ivar first_is_small: the first spare is too small to be a leg.
    :ivar sync_time: seconds that a copy takes.
    :ivar count: of how many replicas the provisioner speaks, None: of none;
        ``down_time``: and of how long one may be bad.
    :ivar failfast: os-brick's legs have md's flag.
    :ivar companion: another volume has its replicas on the same targets.
    """

    replicas: int = 2
    spares: int = SPARES
    portals: int = 1
    first_is_small: bool = False
    sync_time: float = 15.0
    count: int | None = None
    down_time: float | None = None
    failfast: bool = True
    companion: bool = False


def drawn(dice: random.Random) -> Shape:
    replicas, portals = dice.choice((2, 2, 3)), dice.choice((1, 1, 2))
    return Shape(
        replicas, portals=portals, first_is_small=dice.random() < 0.2,
        sync_time=dice.choice((3.0, 15.0)),
        count=replicas if dice.random() < 0.5 else None,
        down_time=dice.choice((None, 10.0)))
