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
"""Run the real nvme-agent as an operator would: an ordinary user, sudo.

It runs from the console script beside this interpreter or, which is the same
program sooner, as a fork of a process that has imported it (``forked``); with
a generated configuration file, and a log that a test can wait on.
"""

from __future__ import annotations

from collections.abc import Mapping
import functools
import logging
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import Any

from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import forked
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import shortened
from os_brick.agent.tests.functional.lab import waiting

LOG = logging.getLogger(__name__)

DIRECTORY = pathlib.Path('/run/nvme-agent-lab/agent')
CONTEXT = 'os_brick.agent.host.privileged.default'
SUDOERS = pathlib.Path('/etc/sudoers.d')
STARTED = r'starts on host'


def script(name: str = 'nvme-agent') -> str:
    """Return the path of a console script beside this interpreter."""
    return str(pathlib.Path(sys.executable).parent / name)


class Agent:
    """One agent with its own configuration, state and log.

    :ivar options: group to option to value; change it before ``start`` and
        what is given here wins over what the lab needs.
    :ivar shortened: constants of the program that a forked agent has
        otherwise; change it before ``start``.
    """

    def __init__(self, options: Mapping[str, Mapping[str, Any]] | None = None,
                 name: str = 'agent', inventory: str | None = None,
                 fork: bool = False) -> None:
        """Prepare its directories and its configuration.

        :param inventory: the text of the local driver's inventory file.
        :param fork: whether it and its helper are forked, not executed.
        """
        self._forked = fork
        self.shortened = dict(shortened.TIMES)
        self.directory = DIRECTORY / name
        shutil.rmtree(self.directory, ignore_errors=True)
        self.state_dir = self.directory / 'state'
        self.run_dir = self.directory / 'run'
        self.config_path = self.directory / 'agent.conf'
        self.log_path = self.directory / 'agent.log'
        self.inventory_path = self.directory / 'volumes.yaml'
        self._sudoers = SUDOERS / ('nvme-agent-lab-' + name)
        user = pwd.getpwnam(connector.USER)
        connector.prepare_locks()
        self.directory.mkdir(parents=True)
        for path in (self.state_dir, self.run_dir):
            path.mkdir()
            os.chown(path, user.pw_uid, user.pw_gid)
        self.options: dict[str, dict[str, Any]] = {
            'DEFAULT': {
                'debug': True, 'poll_interval': 2, 'poll_jitter': 0,
                'state_dir': self.state_dir, 'run_dir': self.run_dir},
            'oslo_concurrency': {'lock_path': connector.LOCK_PATH},
            'privsep_nvme_agent': {
                'helper_command': 'sudo -n %s --config-file %s' % (
                    self._helper(), self.config_path)}}
        if inventory is not None:
            self.write_inventory(inventory)
        for group, values in (options or {}).items():
            self.options.setdefault(group, {}).update(values)
        self._child: subprocess.Popen[bytes] | forked.Forked | None = None
        self._read_from = 0

    @property
    def pid(self) -> int:
        """The process of the daemon itself.

        :raises RuntimeError: when it was not started.
        """
        if self._child is None:
            raise RuntimeError('the agent was not started')
        return self._child.pid

    def helper_pid(self) -> int:
        """The process of its privileged helper."""
        return waiting.wait_until(
            lambda: max(helpers(self.config_path), default=0),
            'the helper runs')

    def write_inventory(self, text: str) -> None:
        """Replace the local driver's inventory, atomically as editors do."""
        fresh = self.inventory_path.with_suffix('.new')
        fresh.write_text(text)
        fresh.rename(self.inventory_path)
        self.options['DEFAULT']['local_inventory_file'] = self.inventory_path

    def start(self, wait: bool = True) -> None:
        """Start it; with ``wait``, until it says which host it serves."""
        self._write_config()
        self.allow_sudo()
        self._read_from = len(self.log())
        arguments = ['--config-file', str(self.config_path)]
        with self.log_path.open('ab') as log:
            if self._forked:
                self._child = forked.start(
                    [script(), *arguments], connector.USER, _environment(),
                    log.fileno(), shortened=self.shortened)
            else:
                self._child = subprocess.Popen(
                    self.command(*arguments), stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log, cwd='/', start_new_session=True)
        # os-brick's hook in this process tells the agent that runs here.
        os.environ['NVME_AGENT_RUN_DIR'] = str(self.run_dir)
        LOG.info('nvme-agent started with pid %d', self.pid)
        if wait:
            self.wait_for_log(STARTED)

    def command(self, *arguments: str) -> list[str]:
        """Return the command that runs nvme-agent as its ordinary user."""
        return [*_as_user(), script(), *arguments]

    def ask(self, *words: str, execute: bool = False
            ) -> subprocess.CompletedProcess[str]:
        """Run a sub-command with its configuration, to its end.

        :param execute: whether it is not to be forked.
        """
        words = (*words, '--config-file', str(self.config_path))
        if execute or not self._forked:
            return subprocess.run(
                self.command(*words), stdin=subprocess.DEVNULL,
                capture_output=True, text=True, timeout=waiting.LIMIT)
        with (tempfile.TemporaryFile('w+') as output,
              tempfile.TemporaryFile('w+') as errors):
            child = forked.start(
                [script(), *words], connector.USER, _environment(),
                output.fileno(), errors.fileno())
            waiting.wait_until(lambda: child.poll() is not None,
                               '%s ends' % ' '.join(words))
            assert child.returncode is not None
            for said in (output, errors):
                said.seek(0)
            return subprocess.CompletedProcess(
                words, child.returncode, output.read(), errors.read())

    def running(self) -> bool:
        """Whether the daemon lives."""
        return self._child is not None and self._child.poll() is None

    def stop(self, limit: float = 60.0) -> int:
        """Stop it with SIGTERM and return its exit status."""
        return self._signal(signal.SIGTERM, limit)

    def kill(self, limit: float = 60.0) -> None:
        """Kill it with SIGKILL, and wait until its helper is gone too."""
        self._signal(signal.SIGKILL, limit)
        waiting.wait_until(lambda: not helpers(self.config_path),
                           "the killed agent's privsep helper has ended",
                           limit)

    def reload(self) -> None:
        """Let it read its configuration, as changed in ``options``."""
        self._write_config()
        os.kill(self.pid, signal.SIGHUP)

    def log(self) -> str:
        """Return its whole log, of all starts."""
        try:
            return self.log_path.read_text(errors='replace')
        except FileNotFoundError:
            return ''

    def wait_for_log(self, pattern: str,
                     limit: float = waiting.LIMIT) -> re.Match[str]:
        """Wait until a line since the last start matches a pattern."""
        def found() -> re.Match[str] | None:
            text = self.log()[self._read_from:]
            match = re.search(pattern, text, re.MULTILINE)
            if match is None and not self.running():
                raise RuntimeError('nvme-agent ended with %s; its log:\n%s'
                                   % (self._child and self._child.poll(),
                                      text[-4000:]))
            return match
        return waiting.wait_until(
            found, 'the agent logs %r' % pattern, limit)

    def skip_log(self) -> None:
        """Let ``wait_for_log`` see only what is logged from now on."""
        self._read_from = len(self.log())

    def cleanup(self) -> None:
        """End it whatever it takes."""
        if self.running():
            if not process.attempt(self.stop, 20):
                process.attempt(self.kill, 20)
        # Nothing of it may hold a device when the arrays are stopped.
        for pid in helpers(self.config_path):
            process.attempt(os.kill, pid, signal.SIGKILL)
        self._sudoers.unlink(missing_ok=True)

    def _signal(self, number: signal.Signals, limit: float) -> int:
        if self._child is None:
            raise RuntimeError('the agent was not started')
        child = self._child
        if child.poll() is None:
            child.send_signal(number)
        waiting.wait_until(lambda: child.poll() is not None,
                           'nvme-agent ends on %s' % number.name, limit)
        status = child.returncode
        assert status is not None
        return status

    def _helper(self) -> str:
        return str(forked.privsep_helper() if self._forked
                   else connector.privsep_helper())

    def _write_config(self) -> None:
        lines = []
        for group, values in self.options.items():
            lines.append('[%s]' % group)
            lines += ['%s = %s' % pair for pair in values.items()]
        self.config_path.write_text('\n'.join(lines) + '\n')

    def allow_sudo(self) -> None:
        """Let its user start its privsep helper, and nothing else."""
        # The same one command that the project's own sudoers file allows;
        # the places differ.
        self._sudoers.write_text(
            '%s ALL = (root) NOPASSWD: %s --config-file %s --log-file\\= '
            '--log-dir\\= --privsep_context %s --privsep_sock_path '
            '%s/tmp????????/privsep.sock\n' % (
                connector.USER, self._helper(), self.config_path, CONTEXT,
                os.environ.get('TMPDIR', '/tmp')))
        self._sudoers.chmod(0o440)


def _as_user() -> list[str]:
    # env: what a service manager gives it, not what root has.
    return ['setpriv', '--reuid', connector.USER, '--regid', connector.USER,
            '--init-groups', '--inh-caps=-all', '--reset-env', 'env',
            'TMPDIR=' + os.environ.get('TMPDIR', '/tmp')]


@functools.lru_cache(maxsize=None)
def _environment() -> dict[str, str]:
    """What the agent finds in its environment when it is executed."""
    return dict(line.split('=', 1) for line
                in process.run(*_as_user(), 'env').splitlines())


def helpers(config_path: pathlib.Path) -> list[int]:
    """Return the pids of the privsep helpers of one configuration."""
    found = []
    for path in pathlib.Path('/proc').glob('[0-9]*/cmdline'):
        try:
            words = path.read_bytes().split(b'\0')
        except OSError:
            continue  # it has ended
        if CONTEXT.encode() in words and str(config_path).encode() in words:
            found.append(int(path.parent.name))
    return found
