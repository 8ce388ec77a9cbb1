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
"""Looking at this host, and saying what has changed since the last look."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import logging

from os_brick.agent import log_fields
from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.model import events
from os_brick.agent.model import snapshots

#: Events that are kept until there is time to tell them.
MOST_KEPT = 1000
LOG = logging.getLogger(__name__)
_LEVELS = {events.INFO: logging.INFO, events.WARN: logging.WARNING,
           events.FATAL: logging.CRITICAL}


class Observer:
    """Logs each change once, and keeps it for whoever is to be told.

    :param scan: looks at all of this host.
    :param send: sends an event elsewhere, and neither fails nor waits.
    :param logged: events are to be in the log.
    :param lost: returns which connections were lost since it was called
        last: the guard looks more often, and may have let go of what this
        would have seen lost.
    """

    def __init__(self, scan: Callable[[], snapshots.HostSnapshot],
                 send: Callable[[model.Event], None] = lambda event: None,
                 logged: bool = True,
                 lost: Callable[[], snapshots.Lost] = dict) -> None:
        self._scan = scan
        self._send = send
        self._logged = logged
        self._lost = lost
        self._untold: dict[tuple[str, int], str] = {}
        self._last = snapshots.HostSnapshot()
        self._events: list[model.Event] = []

    def look(self) -> snapshots.HostSnapshot:
        # what is lost from here on, the scan sees or the next look tells
        self._untold.update(self._lost())
        between = snapshots.with_lost(self._last, self._untold)
        snapshot = snapshots.carry_over(self._last, self._scan())
        # a scan that raises leaves them to the next look
        self._untold.clear()
        for problem in set(snapshot.problems) - set(self._last.problems):
            LOG.warning('this host: %s', problem)
        found = (events.diff(self._last, between)
                 + events.diff(between, snapshot))
        log_once.say_together([log_once.Line(
            event.kind, _LEVELS[event.level] if self._logged
            else logging.DEBUG, event.message,
            log_fields.of(event.kind, event.names)) for event in found])
        for event in found:
            self.add(event)
        self._last = snapshot
        return snapshot

    def add(self, event: model.Event) -> None:
        """Keep what was found out otherwise, too."""
        self._events.append(event)
        self._send(event)

    def take(self) -> list[model.Event]:
        """Return what was seen since the last call."""
        seen, self._events = self._events, []
        return seen

    def put_back(self, events: Iterable[model.Event]) -> None:
        """Keep what could not be told in time; of many the newest."""
        kept = [*events, *self._events]
        if len(kept) > MOST_KEPT:
            LOG.warning('%d events are not told to the provisioner, which is '
                        'slower than they come', len(kept) - MOST_KEPT)
        self._events = kept[-MOST_KEPT:]
