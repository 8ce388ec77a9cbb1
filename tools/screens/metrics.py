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
"""The lab's metrics in a Prometheus, and its answers.

What the story has taken once a second becomes blocks of Prometheus' storage,
as if it had scraped them; a Prometheus on a port of the loopback answers over
them and ends with this program.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import json
import pathlib
import socket
import subprocess
import time
from typing import Any
import urllib.parse
import urllib.request

INSTANCE = 'compute1'
#: A series that was not in a scrape has ended; blocks cannot say it, so that
#: Prometheus is told to look back no further than this.
LOOK_BACK = '3s'
LIMIT = 60.0


def openmetrics(taken: Iterable[str]) -> Iterator[str]:
    """Yield the lines of an OpenMetrics file.

    :param taken: blocks of a line ``@ SECONDS`` and what was exposed then.
    """
    at = ''
    for line in taken:
        line = line.strip()
        if line.startswith('@ '):
            at = line[2:]
        elif line and not line.startswith('#'):
            name, value = line.rsplit(' ', 1)
            name, _brace, labels = name.partition('{')
            yield '%s{%s} %s %s\n' % (name, ','.join(filter(None, (
                'instance="%s"' % INSTANCE, 'job="nvme-agent"',
                labels.rstrip('}')))), value, at)
    yield '# EOF\n'


def times(taken: Iterable[str]) -> list[float]:
    """Return when they were taken, in seconds since the epoch."""
    return [float(line[2:]) for line in taken if line.startswith('@ ')]


class Prometheus:
    """Asks a Prometheus by its HTTP API."""

    def __init__(self, port: int) -> None:
        self._url = 'http://127.0.0.1:%d/' % port

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(self._url + '-/ready', timeout=5):
                return True
        except OSError:
            return False

    def now(self, query: str, at: float) -> list[dict[str, Any]]:
        """Return the series of an instant query: ``metric``, ``value``."""
        return self._ask('query', query=query, time=at)

    def range(self, query: str, begin: float, end: float
              ) -> list[dict[str, Any]]:
        """Return the series of a range query: ``metric``, ``values``."""
        return self._ask('query_range', query=query, start=begin, end=end,
                         step=1)

    def _ask(self, how: str, **asked: object) -> list[dict[str, Any]]:
        with urllib.request.urlopen('%sapi/v1/%s?%s' % (
                self._url, how, urllib.parse.urlencode(asked)),
                timeout=LIMIT) as answer:
            found: list[dict[str, Any]] = json.load(answer)['data']['result']
        return found


@contextlib.contextmanager
def served(taken: pathlib.Path, folder: pathlib.Path,
           programs: pathlib.Path) -> Iterator[Prometheus]:
    """Serve what was taken, for as long as it is asked for.

    :param folder: an empty one.
    :param programs: where prometheus and promtool are.
    """
    exposed, storage = folder / 'metrics.om', folder / 'storage'
    with taken.open() as lines, exposed.open('w') as written:
        written.writelines(openmetrics(lines))
    subprocess.run(
        [str(programs / 'promtool'), 'tsdb', 'create-blocks-from',
         'openmetrics', str(exposed), str(storage)], check=True,
        stdout=subprocess.DEVNULL)
    (folder / 'prometheus.yml').write_text('{}\n')
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    with (folder / 'prometheus.log').open('w') as log:
        child = subprocess.Popen(
            [str(programs / 'prometheus'), '--config.file',
             str(folder / 'prometheus.yml'), '--storage.tsdb.path',
             str(storage), '--storage.tsdb.retention.time', '100y',
             '--web.listen-address', '127.0.0.1:%d' % port,
             '--query.lookback-delta', LOOK_BACK], stdout=log, stderr=log)
    try:
        prometheus, end = Prometheus(port), time.monotonic() + LIMIT
        while not prometheus.ready():
            if child.poll() is not None or time.monotonic() > end:
                raise RuntimeError('prometheus does not serve: %s' % (
                    folder / 'prometheus.log').read_text()[-2000:])
            time.sleep(0.2)
        yield prometheus
    finally:
        child.terminate()
        child.wait()
