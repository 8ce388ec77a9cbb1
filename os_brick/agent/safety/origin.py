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
"""What is known of the past of copies beside what is read of them; pure."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from os_brick.agent import model
from os_brick.agent.model import actions as act


@dataclasses.dataclass(frozen=True)
class Origin:
    """An instance of an array before this host wrote to it.

    :ivar events: the count in the superblocks of its legs, as it was read last
        before this host was seen to write to it, or first after that; None:
        it was not read yet.
    :ivar legs: the replicas that have been legs of it.
    :ivar written: this host was seen to write to it.
    """

    events: int | None = None
    legs: frozenset[str] = frozenset()
    written: bool = False


@dataclasses.dataclass(frozen=True)
class Background:
    """What is known of the past, beside what is read of the copies.

    :ivar set_back: the latest time that this host's wall clock was set back
        from, None where it was not.
    :ivar origins: by the instance of the array, see ``instance``.
    """

    set_back: float | None = None
    origins: Mapping[str, Origin] = dataclasses.field(default_factory=dict)

    def came_up_with(self, array: model.Array, replica_uuid: str,
                     left: act.Departure = act.Departure()) -> int | None:
        """Return the count that no copy of before is above; None: not known.

        Nor does it say anything of a copy that was a leg of this instance.

        :param left: how the copy left the array.
        """
        origin = self.origins.get(instance(array))
        return (None if origin is None or not origin.written
                or replica_uuid in origin.legs or left.of(array)
                else origin.events)


def instance(array: model.Array) -> str:
    """Return what stands for this array until it is stopped.

    Where the kernel does not number it, one that was put together anew between
    two looks is taken for the one before.
    """
    return array.instance or '%s %s' % (array.name, array.uuid)


def numbered(name: str) -> bool:
    """Return whether that is of one which the kernel numbers."""
    return ' ' not in name
