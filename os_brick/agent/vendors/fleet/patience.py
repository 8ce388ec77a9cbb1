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
"""How long one call of the driver may wait for etcd, in all."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

from os_brick.agent.vendors import base
from os_brick.agent.vendors.fleet import store

#: Seconds; the daemon's watchdog allows three minutes, of which the last
#: request may take one of each of three members.
LIMIT = 45.0


class Slow(base.Unavailable):
    """etcd answers, and too late for all that was to be asked."""


class Patience:
    """A way to etcd that ends when a call of the driver has taken too long.

    A call makes as many requests as the host has volumes, and an etcd that
    answers each of them just in time would take the daemon for hung.

    :param wire: the way to etcd.
    :param clock: returns seconds.
    """

    def __init__(self, wire: store.Caller,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._wire = wire
        self._clock = clock
        self._began = clock()

    def begin(self) -> None:
        """A call of the driver begins now."""
        self._began = self._clock()

    def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Make a request; see ``wire.Wire.call``.

        :raises Slow: it is too late for another one.
        """
        if self._clock() - self._began > LIMIT:
            raise Slow(
                'etcd is slow: its answers took more than %g s in all; the '
                'next pass goes on' % LIMIT)
        return self._wire.call(path, body)
