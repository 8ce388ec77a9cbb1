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
"""Knowing when a certificate ends, before it has."""

from __future__ import annotations

from os_brick.agent import clock as clocks
from os_brick.agent import model
from os_brick.agent.provisioner import outbox
from os_brick.agent.vendors import base

#: Seconds from one look to the next.
INTERVAL = 3600.0


class Expiry:
    """Asks the driver now and then; what was found last stays.

    :param way: where the driver's errors are said.
    """

    def __init__(self, driver: base.ProvisionerDriver, way: outbox.Outbox,
                 clock: clocks.Clock = clocks.HOST) -> None:
        self._driver = driver
        self._outbox = way
        self._clock = clock
        self._asked: float | None = None
        self._found: dict[str, model.Certificate] = {}

    @property
    def certificates(self) -> tuple[model.Certificate, ...]:
        return tuple(self._found.values())

    def look(self) -> None:
        """Ask, once an hour; not while the provisioner does not answer."""
        now = self._clock.boottime()
        if self._outbox.unavailable or (
                self._asked is not None and now - self._asked < INTERVAL):
            return
        self._asked = now
        self._outbox.ask('certificates', self._take)

    def _take(self) -> None:
        found = {}
        for one in self._driver.certificates():
            if not isinstance(one, model.Certificate):
                raise base.BadAnswer('the driver lists what is no certificate')
            found[one.whose] = one
        # that of an address which is silent now has not become a better one
        self._found.update(found)
