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
"""The metrics by HTTP, for Prometheus; as of the last pass.

What a pass has found is made ready by the pass, and handed over as one value:
whoever asks waits for no pass, and no pass waits for whoever asks.  Few may
ask at once, and each for a few seconds: a client that hangs costs other
clients their turn, and the agent nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
import errno
import logging
import os
import socket
import socketserver
import threading
from typing import Any
from wsgiref import simple_server

from oslo_config import cfg

from os_brick.agent import log_once
from os_brick.agent.model import tallies
from os_brick.agent.reporting import document
from os_brick.agent.reporting import metrics

LOG = logging.getLogger(__name__)
#: Clients at once; one more is sent away.
MOST = 8
#: Seconds that a client may say nothing.
PATIENCE = 5.0
#: Seconds of rest where a client cannot be taken.
PAUSE = 0.2


class Missing(Exception):
    """The library is not installed."""


def look(conf: cfg.ConfigOpts) -> None:
    """:raises Missing: the endpoint is wanted, and its library missing."""
    if not conf.metrics_port:
        return
    try:
        import prometheus_client  # noqa: F401
    except ImportError as error:
        raise Missing(
            'option metrics_port: the Python package prometheus-client '
            'cannot be loaded (%s); install os-brick-nvme-agent[prometheus]'
            % error) from None


class Collector:
    """What prometheus_client asks for the metrics."""

    def __init__(self) -> None:
        self.families: Iterable[metrics.Family] = ()

    def collect(self) -> Iterable[Any]:
        from prometheus_client import core
        for family in self.families:
            names = list(family.samples[0][0])
            made: Any = {
                'gauge': core.GaugeMetricFamily,
                'counter': core.CounterMetricFamily,
                'histogram': core.HistogramMetricFamily}[family.kind](
                    family.name, family.help, labels=names)
            for labels, value in family.samples:
                own = [str(labels[name]) for name in names]
                if isinstance(value, tallies.Pauses):
                    made.add_metric(own, metrics.buckets(value), value.total)
                else:
                    made.add_metric(own, float(value))
            yield made


class Endpoint:
    """Serves the metrics, once it is shown some."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._log_once = log_once.LogOnce()
        self._collector = Collector()
        self._server: _Server | None = None

    @property
    def port(self) -> int:
        """The port that is open, 0 where none is."""
        return self._server.server_port if self._server else 0

    def show(self, shown: document.Document) -> None:
        """Take a pass's document, and open the port where it is not open."""
        if not self._conf.metrics_port:
            return
        self._collector.families = metrics.families(shown)
        if self._server is None:
            self._open()

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _open(self) -> None:
        from prometheus_client import exposition
        from prometheus_client import registry
        mine = registry.CollectorRegistry(auto_describe=False)
        mine.register(self._collector)
        address, port = self._conf.metrics_address, self._conf.metrics_port
        where = '%s port %d (options metrics_address, metrics_port)' % (
            address, port)
        try:
            server = _Server((address, port), _Handler)
        except OSError as error:
            # os.strerror: the error's own text may have the address again
            self._log_once.trouble('metrics', '%s cannot be opened: %s; it '
                                   'is tried again with each pass' % (
                                       where, os.strerror(
                                           error.errno or errno.EIO)))
            return
        server.set_app(exposition.make_wsgi_app(mine))
        self._log_once.forget('metrics')
        LOG.info('metrics are served at %s', where)
        threading.Thread(target=server.serve_forever, name='metrics',
                         daemon=True).start()
        self._server = server


class _Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    """Answers several scrapes at once, none of them for ever."""

    daemon_threads = True
    # those that hang must not be waited for at the end
    block_on_close = False
    request_queue_size = MOST

    def __init__(self, address: tuple[str, int], handler: type) -> None:
        if ':' in address[0]:
            self.address_family = socket.AF_INET6
        self._free = threading.BoundedSemaphore(MOST)
        self._rest = threading.Event()
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind, and ask no name server for this host's name."""
        socketserver.TCPServer.server_bind(self)
        address, self.server_port = self.server_address[:2]
        self.server_name = str(address)
        self.setup_environ()

    def get_request(self) -> Any:
        try:
            return super().get_request()
        except OSError:
            # no descriptor is left, for one: whoever waits is found again at
            # once, and the guard needs the time more
            self._rest.wait(PAUSE)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:    # no thread could be started
            self._free.release()
            raise

    def process_request_thread(self, request: Any,
                               client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        LOG.debug('metrics: a client has gone', exc_info=True)


class _Handler(simple_server.WSGIRequestHandler):
    """Answers one scrape, and logs it at DEBUG only."""

    timeout = PATIENCE

    def log_message(self, format: str, *args: Any) -> None:
        LOG.debug('metrics: ' + format, *args)
