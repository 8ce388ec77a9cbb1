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
"""One virtual machine: boot it, run scripts in it, take it down."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import json
import pathlib
import socket
import subprocess
import time
from typing import TypedDict

#: Seconds.  An emulated machine that shares its host may be very slow.
BOOT, LIMIT = 900.0, 900.0
#: Without these an emulated machine translates more code than it need.
EMULATED = ['-cpu', 'max,-avx,-avx2,-erms,-fsrm']
COMMAND_LINE = ('console=ttyS0 rw mitigations=off nokaslr nowatchdog no5lvl '
                'panic=-1 random.trust_cpu=on')
COMMAND_LINE_EMULATED = (' tsc=reliable norandmaps init_on_alloc=0 '
                         'modprobe.blacklist=kvm_amd,kvm_intel')


class Failed(Exception):
    """Something is not as the story says."""


class Reply(TypedDict):
    """What guest.py says of a script."""

    number: int
    status: int
    output: str


@dataclasses.dataclass
class Parts:
    """What the machine is made of; ``storage`` maps a serial to a disk."""

    accel: str
    kernel: str
    initrd: str
    root: pathlib.Path
    tools: pathlib.Path
    storage: dict[str, pathlib.Path]
    results: pathlib.Path


class Machine:
    """Runs, or does not."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._socket_path = parts.results / 'serial'
        self._boots = 0
        self._number = 0
        self._qemu: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._received = b''

    def boot(self) -> float:
        """Start it; return the seconds until it answers."""
        began = time.monotonic()
        self._boots += 1
        self._socket_path.unlink(missing_ok=True)
        with (self._parts.results / 'qemu.log').open('ab') as log:
            self._qemu = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log)
        self._line = None
        while self._line is None:
            line = socket.socket(socket.AF_UNIX)
            try:
                line.connect(str(self._socket_path))
                self._line = line
            except OSError:
                line.close()
                self._look(began, BOOT)
                time.sleep(0.1)
        self._received = b''
        self._answer(0, began + BOOT)
        return time.monotonic() - began

    def run(self, script: str, limit: float = LIMIT, **words: str) -> str:
        """Run a script of bash; return what it printed.

        :param words: its environment.
        :raises Failed: it did not end with 0.
        """
        status, output = self.status(script, limit, **words)
        if status:
            raise Failed('%s\nended with %d:\n%s' % (
                script.strip(), status, output.strip()[-3000:]))
        return output

    def status(self, script: str, limit: float = LIMIT,
               **words: str) -> tuple[int, str]:
        """Run a script; return its exit status, too (124: it took longer)."""
        self.send(script, limit, **words)
        reply = self._answer(self._number, time.monotonic() + limit + 60)
        return reply['status'], reply['output']

    def send(self, script: str, limit: float = LIMIT, **words: str) -> None:
        """Run a script whose answer nobody waits for."""
        assert self._line is not None
        self._number += 1
        self._line.sendall(json.dumps({
            'number': self._number, 'script': script, 'limit': limit,
            'environment': words}).encode() + b'\n')

    def wait_until(self, condition: Callable[[], object], what: str,
                   limit: float = LIMIT) -> float:
        """Return the seconds until that is true."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > limit:
                raise Failed('waited %d s in vain until %s' % (limit, what))
            time.sleep(0.3)
        return time.monotonic() - began

    def down(self, verb: str, limit: float) -> float | None:
        """Let it power off or reboot; return the seconds until it is down.

        None where it was still up at the limit: then its power is cut.
        """
        assert self._qemu is not None
        self.send('systemctl --no-block %s' % verb)
        began = time.monotonic()
        try:
            self._qemu.wait(limit)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
        return time.monotonic() - began

    def kill(self) -> None:
        """Cut its power."""
        if self._qemu is not None and self._qemu.poll() is None:
            self._qemu.kill()
            self._qemu.wait()

    def _look(self, began: float, limit: float) -> None:
        assert self._qemu is not None
        if self._qemu.poll() is not None:
            raise Failed('QEMU ended with %s; see qemu.log and console-%d'
                         % (self._qemu.returncode, self._boots))
        if time.monotonic() - began > limit:
            raise Failed('the machine is not up after %d s; see console-%d'
                         % (limit, self._boots))

    def _answer(self, number: int, end: float) -> Reply:
        assert self._line is not None and self._qemu is not None
        while True:
            text, newline, rest = self._received.partition(b'\n')
            if newline:
                self._received = rest
                try:
                    reply: Reply = json.loads(text)
                except ValueError:
                    continue    # noise of a line that was just opened
                if reply.get('number') == number:
                    return reply
                continue
            if time.monotonic() > end:
                raise Failed('the machine does not answer')
            if self._qemu.poll() is not None:
                raise Failed('the machine went down')
            self._line.settimeout(1.0)
            try:
                self._received += self._line.recv(65536)
            except TimeoutError:
                pass

    def _command(self) -> list[str]:
        parts = self._parts
        emulated = parts.accel != 'kvm'
        console = parts.results / ('console-%d' % self._boots)
        command = [
            'qemu-system-x86_64', '-accel', parts.accel, '-smp', '2',
            '-m', '2G', '-nodefaults', '-display', 'none', '-no-reboot',
            '-kernel', parts.kernel,
            '-initrd', parts.initrd, '-append',
            COMMAND_LINE + (COMMAND_LINE_EMULATED if emulated else ''),
            '-serial', 'file:%s' % console,
            '-chardev', 'socket,id=line,server=on,wait=off,path=%s'
            % self._socket_path, '-serial', 'chardev:line',
            *(EMULATED if emulated else ['-cpu', 'host'])]
        disks = [('root', parts.root, ''), ('tools', parts.tools,
                                            ',readonly=on')]
        disks += [(name, path, '') for name, path in parts.storage.items()]
        for name, path, more in disks:
            command += [
                '-drive', 'if=none,format=raw,cache=unsafe,id=%s,file=%s%s'
                % (name, path, more), '-device',
                'virtio-blk-pci,drive=%s,serial=%s' % (name, name)]
        return command
