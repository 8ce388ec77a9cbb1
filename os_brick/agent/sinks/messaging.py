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
"""The sink ``oslo_messaging``: notifications, as OpenStack's services send.

How they are sent is said in oslo.messaging's own options, in the section
[oslo_messaging_notifications].  The payload has a version of its own: within
a major number fields are only added.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import datetime
import logging
import threading
from typing import Any

from oslo_config import cfg

from os_brick.agent.model import events
from os_brick.agent.sinks import base

VERSION = '1.0'
GROUP = 'oslo_messaging_notifications'
#: Times that a message is sent again; oslo.messaging's own default is to try
#: for ever.
RETRIES = 2
_PRIORITIES = {events.INFO: 'info', events.WARN: 'warn',
               events.FATAL: 'critical'}


class MessagingSink(base.EventSink):
    """Sends each event as a notification ``nvme_agent.KIND``."""

    @classmethod
    def sections(cls) -> Iterable[tuple[object, Sequence[cfg.Opt]]]:
        try:
            from oslo_messaging import opts
        except ImportError:
            return ()
        found: Iterable[tuple[object, Sequence[cfg.Opt]]] = opts.list_opts()
        return found

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        try:
            import oslo_messaging
        except ImportError as error:
            raise base.ConfigurationError(
                'option event_sinks: the sink oslo_messaging needs the '
                'Python package oslo.messaging, which cannot be loaded (%s); '
                'install os-brick-nvme-agent[oslo_messaging]' % error
            ) from None
        self._conf = conf
        try:
            transport = oslo_messaging.get_notification_transport(conf)
            self._notifier = oslo_messaging.Notifier(transport,
                                                     retry=RETRIES)
        except Exception as error:
            # its text may quote the URL, and with it a password
            raise base.ConfigurationError(
                'option event_sinks: oslo.messaging cannot be set up: %s; '
                'see transport_url of [%s]' % (
                    type(error).__name__, GROUP)) from None
        if not set(conf[GROUP].driver) - {'', 'noop'}:
            raise base.ConfigurationError(
                'option driver of [%s] is not set: the event sink '
                'oslo_messaging would send nothing; messagingv2 is the usual '
                'one' % GROUP)
        self._transport = transport

    def send(self, notice: base.Notice) -> None:
        notifier = self._notifier.prepare(
            publisher_id='nvme-agent.%s' % notice.host.name)
        try:
            with _Swallowed() as swallowed:
                getattr(notifier, _PRIORITIES[notice.event.level])(
                    {}, 'nvme_agent.%s' % notice.event.kind.lower(),
                    payload(notice))
            why = swallowed.why
        except Exception as error:
            why = type(error).__name__
        if why:
            raise base.SinkError('not sent: %s (see transport_url of [%s])'
                                 % (why, GROUP))

    def close(self) -> None:
        self._transport.cleanup()


class _Swallowed(logging.Filter):
    """What oslo.messaging has only logged.

    Its driver catches what goes wrong with a notification and logs it with a
    traceback and the whole message, for each event anew.  The sentence is
    taken away here, and the event is counted as lost.

    :ivar why: the error's name, '' where there was none.
    """

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()
        self._log = logging.getLogger('oslo_messaging.notify.messaging')
        self.why = ''

    def __enter__(self) -> _Swallowed:
        self._log.addFilter(self)
        return self

    def __exit__(self, *error: object) -> None:
        self._log.removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread != self._thread or record.levelno < logging.ERROR:
            return True
        kind = record.exc_info[0] if record.exc_info else None
        self.why = kind.__name__ if kind else 'the reason was not said'
        return False


def payload(notice: base.Notice) -> dict[str, Any]:
    """Return what a notification carries: plain values."""
    event, host = notice.event, notice.host
    return {
        'version': VERSION, 'kind': event.kind, 'level': event.level,
        'message': event.message,
        'names': [{'noun': noun, 'name': name} for noun, name
                  in event.names],
        'host': {'name': host.name, 'nqn': host.nqn, 'uuid': host.uuid,
                 'agent_version': host.version},
        'at': datetime.datetime.fromtimestamp(
            notice.at, datetime.timezone.utc).isoformat()}
