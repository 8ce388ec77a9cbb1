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
"""Sending events to the sinks that the operator has chosen.

Each sink has a thread and a queue.  A slow or dead one loses its own events,
which is counted and shown, and costs nobody else anything.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
from collections.abc import Sequence
from importlib import metadata
import logging
import threading
from typing import Any

from oslo_config import cfg

from os_brick.agent import clock as clocks
from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.sinks import base

LOG = logging.getLogger(__name__)
#: Events that wait for a sink at most.
MOST = 1000
#: Seconds that what is left is waited for at the end.
FAREWELL = 2.0
#: What the passes do themselves.
LOGGED, TOLD = 'log', 'provisioner'
EMBEDDED = {'exec': 'os_brick.agent.sinks.program:ProgramSink',
            'oslo_messaging': 'os_brick.agent.sinks.messaging:MessagingSink'}


def load(name: str) -> type[base.EventSink]:
    """Return the class of a sink.

    :raises base.ConfigurationError: there is none, or it cannot be loaded.
    """
    entries = list(metadata.entry_points(group=base.NAMESPACE))
    found = [one for one in entries if one.name == name] or [
        metadata.EntryPoint(name, EMBEDDED[name], base.NAMESPACE)
        for name in {name} & EMBEDDED.keys()]
    if len(found) != 1:
        raise base.ConfigurationError(
            'option event_sinks: %s "%s"; there are: %s' % (
                'there is no' if not found else 'there is more than one',
                name, ', '.join(sorted({LOGGED, TOLD, *EMBEDDED, *(
                    one.name for one in entries)}))))
    try:
        sink = found[0].load()
    except Exception as error:
        raise base.ConfigurationError(
            'option event_sinks: "%s" cannot be loaded: %s: %s' % (
                name, type(error).__name__, error)) from None
    if not (isinstance(sink, type) and issubclass(sink, base.EventSink)):
        raise base.ConfigurationError(
            'option event_sinks: "%s" is no EventSink' % name)
    return sink


def embedded() -> list[type[base.EventSink]]:
    """Return the agent's own, whatever else is installed."""
    return [load(name) for name in EMBEDDED]


def make(conf: cfg.ConfigOpts, clock: clocks.Clock = clocks.HOST) -> Outlets:
    """Return those that the configuration names; nothing is begun.

    :raises base.ConfigurationError: one of them can never work.
    :raises cfg.Error: an option of one has a wrong value.
    """
    made, every = [], []
    for name in dict.fromkeys(conf.event_sinks):
        if name in (LOGGED, TOLD):
            continue
        kind = load(name)
        options = list(kind.options())
        conf.register_opts(options)
        every += options
        for option in options:
            conf[option.dest]
        try:
            made.append(Outlet(name, kind(conf)))
        except base.ConfigurationError:
            raise
        except Exception as error:
            raise base.ConfigurationError(
                'option event_sinks: "%s" is broken: %s: %s' % (
                    name, type(error).__name__, error)) from None
    return Outlets(made, clock, every)


class Outlet:
    """One sink, its queue and its thread.

    :ivar lost: events that were not sent, since the start.
    :ivar trouble: why the last one was not sent, '' if it was.
    """

    def __init__(self, name: str, sink: base.EventSink) -> None:
        self.name = name
        self._sink = sink
        self._log_once = log_once.LogOnce()
        self._queue: collections.deque[base.Notice] = collections.deque()
        self._changed = threading.Condition()
        self._ending = False
        self._thread: threading.Thread | None = None
        self.lost = 0
        self.trouble = ''

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def put(self, notice: base.Notice) -> None:
        """Have it sent; it is not waited for."""
        with self._changed:
            if self._ending:
                return
            self._queue.append(notice)
            if len(self._queue) > MOST:
                self._queue.popleft()
                self._lose('it is slower than the events come: %d wait, and '
                           'the oldest are lost' % MOST)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name='event sink %s' % self.name,
                    daemon=True)
                try:
                    self._thread.start()
                except RuntimeError as error:    # the host has no more
                    self._thread = None
                    self._queue.clear()
                    self._lose(str(error))
            self._changed.notify()

    def end(self) -> None:
        """Send what is left, and let go; ``wait`` waits for it."""
        with self._changed:
            self._ending = True
            self._changed.notify()

    def wait(self, seconds: float) -> None:
        if self._thread is None:
            return
        self._thread.join(max(0.0, seconds))
        if self._thread.is_alive():
            LOG.warning('event sink %s: %d events are not sent: the agent '
                        'stops, and does not wait for it', self.name,
                        len(self._queue) + 1)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._ending:
                    self._changed.wait()
                if not self._queue:
                    break
                notice = self._queue.popleft()
            self._send(notice)
        try:
            self._sink.close()
        except Exception as error:
            LOG.warning('event sink %s could not be closed: %s: %s',
                        self.name, type(error).__name__, error)

    def _send(self, notice: base.Notice) -> None:
        try:
            self._sink.send(notice)
        except base.SinkError as error:
            why = str(error)
        except BaseException as error:
            LOG.debug('event sink %s', self.name, exc_info=True)
            why = 'defect: %s: %s' % (type(error).__name__, error)
        else:
            with self._changed:
                if len(self._queue) < MOST // 2:
                    self.trouble = ''
                    self._log_once.fine('event sink %s' % self.name)
            return
        with self._changed:
            self._lose(why)

    def _lose(self, why: str) -> None:
        """Count it; to be called with the lock."""
        self.lost += 1
        self.trouble = why
        self._log_once.trouble('event sink %s' % self.name, '%s; events are '
                               'lost' % why)


class Outlets:
    """All sinks of the agent.

    :ivar options: those of the sinks.
    """

    def __init__(self, outlets: Iterable[Outlet] = (),
                 clock: clocks.Clock = clocks.HOST,
                 options: Sequence[cfg.Opt] = ()) -> None:
        self._outlets = tuple(outlets)
        self.options = options
        self._clock = clock

    def put(self, host: model.Host, event: model.Event) -> None:
        """Send an event everywhere; it fails never and waits for nothing."""
        notice = base.Notice(host, event, self._clock.wall())
        for one in self._outlets:
            one.put(notice)

    def state(self) -> list[dict[str, Any]]:
        """Return how each is, for the state document."""
        return [{'name': one.name, 'waiting': one.waiting, 'lost': one.lost,
                 'trouble': one.trouble} for one in self._outlets]

    def close(self) -> None:
        """Send what is left, for a moment."""
        until = self._clock.monotonic() + FAREWELL
        for one in self._outlets:
            one.end()
        for one in self._outlets:
            one.wait(until - self._clock.monotonic())
