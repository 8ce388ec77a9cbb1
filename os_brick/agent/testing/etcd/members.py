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
"""Real members of etcd on this machine, each on a free port of 127.0.0.1."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from typing import Any
from typing import IO
from typing import TypeVar

from os_brick.agent.vendors.fleet import wire

#: Seconds to wait for what has to come; long, for a busy machine.
LONG = 60
T = TypeVar('T')
_ENVIRONMENT = {**os.environ, 'ETCDCTL_API': '3'}


def installed() -> bool:
    """Say whether this machine has the programs."""
    return all(map(shutil.which, ('etcd', 'etcdctl')))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return int(one.getsockname()[1])


def scratch() -> str:
    """Make a directory, not on a disk where there is another way."""
    return tempfile.mkdtemp(
        prefix='nvme-agent-etcd-',
        dir='/dev/shm' if os.access('/dev/shm', os.W_OK) else None)


class Member:
    """One process of etcd.

    :param directory: where its data and its log are.
    :param tls: the files of CA, certificate and key for its clients.
    :param arguments: more of them, for each start.
    :ivar process: None: it is not running.
    """

    def __init__(self, directory: str, name: str = 'm0',
                 tls: tuple[str, str, str] | None = None,
                 arguments: Iterable[str] = ()) -> None:
        self.directory = directory
        self.name = name
        self.tls = tls
        self.arguments = list(arguments)
        self.port, self.peer_port = free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._log: IO[str] | None = None

    @property
    def url(self) -> str:
        return '%s://127.0.0.1:%d' % ('https' if self.tls else 'http',
                                      self.port)

    @property
    def peer(self) -> str:
        return 'http://127.0.0.1:%d' % self.peer_port

    @property
    def data(self) -> str:
        return os.path.join(self.directory, self.name)

    def start(self, cluster: Sequence[Member] = (),
              arguments: Iterable[str] = ()) -> None:
        """:param cluster: all members; none: it is the only one."""
        tls = [] if not self.tls else [
            '--client-cert-auth', '--trusted-ca-file', self.tls[0],
            '--cert-file', self.tls[1], '--key-file', self.tls[2]]
        self._log = open(self.data + '.log', 'a')
        self.process = subprocess.Popen(
            ['etcd', '--name', self.name, '--data-dir', self.data,
             '--listen-client-urls', self.url,
             '--advertise-client-urls', self.url,
             '--listen-peer-urls', self.peer,
             '--initial-advertise-peer-urls', self.peer,
             '--initial-cluster', ','.join(
                 '%s=%s' % (one.name, one.peer)
                 for one in cluster or [self]),
             *tls, *self.arguments, *arguments],
            stdout=self._log, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, env=_ENVIRONMENT)

    def stop(self, how: int = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(how)
            self.process.wait()
            self.process = None
        if self._log is not None:
            self._log.close()

    def control(self, *arguments: str) -> str:
        """Run etcdctl; return what it printed."""
        return subprocess.run(
            ['etcdctl', '--endpoints', self.url, *arguments], check=True,
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            env=_ENVIRONMENT).stdout


def cluster(directory: str, at_end: Callable[[Callable[[], None]], object],
            number: int = 3) -> tuple[list[Member], wire.Wire]:
    """Start members of one etcd; return them, and a wire to them.

    :param at_end: takes what is to be called in the end.
    """
    members = [Member(directory, 'm%d' % one) for one in range(number)]
    for one in members:
        at_end(one.stop)
        one.start(members)
    made = connected(members)
    at_end(made.close)
    return members, made


def connected(members: Iterable[Member], **settings: Any) -> wire.Wire:
    """Return a wire to members, once one of them serves."""
    made = wire.Wire(wire.Settings(tuple(one.url for one in members),
                                   **{'timeout': 10.0, **settings}))
    wait_for(lambda: made.call('kv/txn', {'success': [
        {'request_range': {'key': 'Lw=='}}]}))
    return made


def wait_for(call: Callable[[], T], limit: float = LONG) -> T:
    """Return what a call returns, once it raises no error and is true."""
    until = time.monotonic() + limit
    while True:
        error = None
        try:
            result = call()
            if result:
                return result
        except Exception as caught:
            error = caught
        if time.monotonic() > until:
            raise AssertionError('not within %d s: %s' % (limit, error))
        time.sleep(0.05)
