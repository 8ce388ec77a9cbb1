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
"""The interface of an event sink, and its contract.

A sink is a class that derives from :class:`EventSink` and is an entry point
in the namespace ``os_brick.agent.event_sinks``.  The agent makes one instance
and calls it from one thread, which nothing else waits for.  While a call
lasts, later events wait in a queue; when that is full the oldest are lost,
which is counted.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses

from oslo_config import cfg

from os_brick.agent import model

NAMESPACE = 'os_brick.agent.event_sinks'


class SinkError(Exception):
    """Why an event was not sent, for the operator; it holds no secret."""


class ConfigurationError(Exception):
    """The sink can never work; the text names the option."""


@dataclasses.dataclass(frozen=True)
class Notice:
    """An event on its way.

    :ivar host: the one that has seen it.
    :ivar at: when, in seconds since the epoch.
    """

    host: model.Host
    event: model.Event
    at: float


class EventSink(abc.ABC):
    """Sends events somewhere."""

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        """The sink's options, registered in [DEFAULT] before ``__init__``."""
        return ()

    @classmethod
    def sections(cls) -> Iterable[tuple[object, Sequence[cfg.Opt]]]:
        """Section -> the options that a library of the sink's reads there.

        For ``nvme-agent check``, which finds out what nobody reads.
        """
        return ()

    @abc.abstractmethod
    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Keep ``conf``; do no I/O.

        :raises ConfigurationError: it can never work.
        """

    @abc.abstractmethod
    def send(self, notice: Notice) -> None:
        """Send one event; it is not sent again, whatever becomes of it.

        :raises SinkError: it was not sent.
        """

    def close(self) -> None:
        """Let go of connections; called once, by the thread that sends."""
