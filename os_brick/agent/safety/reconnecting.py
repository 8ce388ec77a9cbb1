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
"""Whether the kernel may be reconnecting a lost connection just now; pure.

A controller that is removed while its queues are made anew hangs in Linux
6.1: the attempt fails half-way and leaves its queues quiesced, and the
removal waits for what stands in them until the next boot (mended in Linux
6.5, "nvme: fix possible hang when removing a controller during error
recovery").  Queues are made only where the target listens again, and then
nothing needs to be removed: the attempt that is due brings it back.

The laws:

* Until shortly before the first attempt is due, none can be under way.
* After that a lost connection is removed only when its portal does not
  listen, or has listened for so long that an attempt has ended and failed.
"""

from __future__ import annotations

from os_brick.agent import model

#: Seconds between two attempts where the connection does not say (Linux
#: drivers/nvme/host/fabrics.h, NVMF_DEF_RECONNECT_DELAY).
DEFAULT_DELAY = 10.0
#: Seconds that an attempt may take.
ATTEMPT = 1.0
#: Seconds between a decision and what is done about it.
MARGIN = 0.25


def askable(path: model.Controller) -> bool:
    """Whether there is a portal that can be asked: RDMA has none."""
    return path.portal is not None and path.portal.transport == 'tcp'


def possible(path: model.Controller, lost: float, now: float) -> bool:
    """Whether an attempt may be under way.

    :param lost: when it was lost at the earliest.
    """
    return (path.cuttable and askable(path)
            and now >= lost + _delay(path) - MARGIN)


def over(path: model.Controller, listening: float) -> float:
    """When an attempt has met a target that listens, and ended.

    :param listening: since when its portal has listened.
    """
    return listening + _delay(path) + ATTEMPT


def _delay(path: model.Controller) -> float:
    return (DEFAULT_DELAY if path.reconnect_delay is None
            else path.reconnect_delay)
