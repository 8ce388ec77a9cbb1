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
"""A server that forks this project's programs instead of executing them.

What a native machine imports in half a second takes an emulated one ten.
This process imports it once, and does nothing else with it: it has one thread,
has read no configuration and writes no log.  What it forks becomes the program
that was asked for as if it had been executed: its own session, descriptors,
user, environment, command line; but for constants that the request names, see
``shortened``.  Descriptors above 2 are closed through the
objects that own them, and none may be left: an object that was forgotten would
close the number once more when it is collected, which is another file by then.

One connection is one process.  The request is one message (``marshal``: what
sends it may have to start fast) with descriptors 0 to 2 beside it; the answers
are the pid and, when it has ended, its exit status as subprocess has it.  The
server ends when its standard input does.
"""

from __future__ import annotations

from collections.abc import Callable
import ctypes
import gc
import importlib
import marshal
import os
import pwd
import selectors
import socket
import sys
from typing import Any

#: What the programs need, and what they would import as they start.
MODULES = ('os_brick.cmd.agent', 'os_brick.agent.vendors.local',
           'os_brick.agent.vendors.kioxia', 'os_brick.agent.vendors.etcd',
           'etcd3gw', 'oslo_privsep.daemon',
           'oslo_service.backend._threading')
#: Console script -> the module and function that it calls.
PROGRAMS = {'nvme-agent': ('os_brick.cmd.agent', 'main'),
            'privsep-helper': ('oslo_privsep.daemon', 'helper_main')}
#: Bytes of a request.
LENGTH = 65536
#: Bytes that ``ps`` has room for; the server is started with as many.
TITLE = 2048
_PR_SET_DUMPABLE = 4


class NotClean(Exception):
    """What this process is, and each fork of it would be, too."""


def look_at_self(descriptors: int) -> None:
    """Find out that nothing but modules is handed on.

    :param descriptors: how many may be open, counted from 0.
    :raises NotClean: naming what else there is.
    """
    import logging
    import tempfile
    threads = os.listdir('/proc/self/task')
    if len(threads) != 1:
        raise NotClean('it has %d threads' % len(threads))
    if logging.getLogger().handlers:
        raise NotClean('a log is set up: %s' % logging.getLogger().handlers)
    if tempfile.tempdir is not None:
        raise NotClean('the directory for temporary files is chosen')
    left = {name: path for name, path in _descriptors().items()
            if name >= descriptors}
    if left:
        raise NotClean('open descriptors: %s' % left)


def _descriptors() -> dict[int, str]:
    found = {}
    for name in os.listdir('/proc/self/fd'):
        try:
            found[int(name)] = os.readlink('/proc/self/fd/' + name)
        except FileNotFoundError:
            pass  # that of the listing
    return found


class Server:
    """Forks on request, and tells what became of each fork."""

    def __init__(self, path: str) -> None:
        """Listen at a path, which must not exist."""
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listening.bind(path + '.new')
        self._listening.listen(16)
        os.rename(path + '.new', path)   # whoever sees it may connect
        self._selector = selectors.DefaultSelector()
        self._selector.register(0, selectors.EVENT_READ)
        self._selector.register(self._listening, selectors.EVENT_READ)
        #: descriptor of the process -> itself, and who waits for it
        self._running: dict[int, tuple[int, socket.socket]] = {}

    def serve(self) -> Callable[[], object]:
        """Return what to call: in a child only."""
        while True:
            for key, _events in self._selector.select():
                if key.fileobj == 0:
                    if not os.read(0, 1):
                        sys.exit(0)
                elif key.fileobj is self._listening:
                    program = self._accept()
                    if program is not None:
                        return program
                else:
                    self._ended(key.fd)

    def _accept(self) -> Callable[[], object] | None:
        connection, _address = self._listening.accept()
        connection.settimeout(30)
        try:
            message, descriptors, _flags, _from = socket.recv_fds(
                connection, LENGTH, 3)
        except OSError as error:
            print('no request came: %s' % error, file=sys.stderr, flush=True)
            message = b''
        if not message:
            connection.close()
            return None
        pid = os.fork()
        if not pid:
            self._close()
            connection.close()
            return _become(marshal.loads(message), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        process = os.pidfd_open(pid)
        self._running[process] = (pid, connection)
        self._selector.register(process, selectors.EVENT_READ)
        _tell(connection, pid)
        return None

    def _ended(self, process: int) -> None:
        pid, connection = self._running.pop(process)
        self._selector.unregister(process)
        os.close(process)
        _pid, status = os.waitpid(pid, 0)
        _tell(connection, os.waitstatus_to_exitcode(status))
        connection.close()

    def _close(self) -> None:
        self._selector.close()
        self._listening.close()
        for process, (_pid, connection) in self._running.items():
            os.close(process)
            connection.close()


def _tell(connection: socket.socket, number: int) -> None:
    try:
        connection.sendall(b'%d' % number)
    except OSError:
        pass  # nobody waits for it any more


def _become(request: dict[str, object],
            descriptors: list[int]) -> Callable[[], object]:
    argv, environment = request['argv'], request['environment']
    user, umask = request['user'], request['umask']
    shortened = request.get('shortened', {})
    assert isinstance(argv, list) and isinstance(environment, dict)
    assert isinstance(umask, int) and isinstance(shortened, dict)
    os.setsid()
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    if os.isatty(1):
        # the server's own stream is that of a file, and would seek in it
        sys.stdout = open(1, 'w', closefd=False)
    os.chdir('/')
    os.umask(umask)
    os.environ.clear()
    os.environ.update(environment)
    _show(argv)
    if isinstance(user, str):
        entry = pwd.getpwnam(user)
        os.initgroups(user, entry.pw_gid)
        os.setresgid(*[entry.pw_gid] * 3)
        os.setresuid(*[entry.pw_uid] * 3)
        # execve would do it: its files in /proc belong to it
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    sys.argv = argv
    for name, seconds in shortened.items():
        shorten(name, seconds)
    look_at_self(descriptors=3)
    module, function = PROGRAMS[os.path.basename(argv[0])]
    program: Callable[[], object] = getattr(sys.modules[module], function)
    return program


def shorten(name: str, seconds: float) -> None:
    """Give a constant of the program another value.

    :raises AttributeError: the program has none of that name.
    """
    where, _dot, constant = name.rpartition('.')
    module = importlib.import_module(where)
    if not isinstance(getattr(module, constant), float):
        raise TypeError('%s is no number of seconds' % name)
    setattr(module, constant, seconds)


def _show(argv: list[str]) -> None:
    """Let ps, and who looks for it, see what this process is now."""
    with open('/proc/self/stat', encoding='ascii') as stat:
        begin, end = map(int, stat.read().rpartition(')')[2].split()[45:47])
    words = b'\0'.join(os.fsencode(word) for word in argv) + b'\0'
    with open('/proc/self/mem', 'r+b', buffering=0) as memory:
        memory.seek(begin)
        memory.write(words[:end - begin].ljust(end - begin, b'\0'))
    with open('/proc/self/comm', 'w', encoding='ascii') as name:
        name.write(os.path.basename(argv[0]))


def main(path: str) -> Any:
    """Serve at a path; what is returned is the exit status of a child."""
    for name in MODULES:
        importlib.import_module(name)
    look_at_self(descriptors=3)
    gc.collect()
    # what is there now is not touched, and so not copied, by collections
    gc.freeze()
    return Server(path).serve()()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
