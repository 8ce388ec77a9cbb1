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
"""What an operator sees while two targets of a volume die, one after another.

Each screen is what the program writes to a terminal, in a file of its own; the
agent's metrics are taken once a second all the while.  ``tools/screens.sh``
runs it in the lab's machine and makes the pictures of the documentation.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import json
import os
import pathlib
import pty
import re
import shutil
import sys
import threading
import time

from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import forked
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import inventory
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import session as session_lib
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting

ALIAS = 'volume1'
HOST = 'compute1'
LIMIT = 900.0
#: Seconds: the first target is back before they are over.
GRACE = 90.0
#: Bytes of a replica: more than the 64 MiB that a bit of md's bitmap is for.
SIZE = 256 << 20
#: MiB a second that md copies at most, so that there is a copy to be seen.
SPEED = 4
#: Sub-commands that show the state file.
STATE = ('status', 'health')
_SEEN = re.compile(r'\033\[[0-9;]*m')


class Terminal:
    """Runs sub-commands on a terminal, and keeps what is shown there."""

    def __init__(self, agent: agent_lib.Agent, folder: pathlib.Path) -> None:
        self._agent = agent
        self._folder = folder

    def ask(self, *words: str) -> str:
        """Return what a sub-command shows.

        What shows the state file is given one that stays as it is.
        """
        where = ['--config-file', str(self._agent.config_path)]
        if words[0] in STATE:
            where = ['--run-dir', str(self._still())]
        shown, terminal = pty.openpty()
        child = forked.start([agent_lib.script(), *words, *where],
                             connector.USER, environment(), terminal)
        os.close(terminal)
        found = b''
        while True:
            try:
                part = os.read(shown, 65536)
            except OSError:     # nobody has the terminal any more
                break
            if not part:
                break
            found += part
        os.close(shown)
        waiting.wait_until(lambda: child.poll() is not None,
                           '%s ends' % ' '.join(words), LIMIT)
        return found.decode().replace('\r\n', '\n')

    def _still(self) -> pathlib.Path:
        still = self._agent.directory / 'still'
        still.mkdir(exist_ok=True)
        state = self._agent.run_dir / 'state.json'
        waiting.wait_until(state.exists, 'the first pass has ended', LIMIT)
        shutil.copy(state, still)
        return still

    def keep(self, name: str, *words: str,
             until: str = '', within: float = LIMIT) -> str:
        """Keep that screen, as soon as it shows what it is kept for."""
        last = ''

        def seen() -> str | None:
            nonlocal last
            last = self.ask(*words)
            return last if re.search(until, _SEEN.sub('', last)) else None
        try:
            text: str = waiting.wait_until(
                seen, '%s shows %r' % (' '.join(words), until), within)
        except waiting.TimedOut:
            say('%s shows: %s' % (' '.join(words), last))
            raise
        (self._folder / (name + '.ansi')).write_text(text)
        if words[0] in STATE:
            shutil.copy(self._agent.directory / 'still/state.json',
                        self._folder / (name + '.json'))
        say('%s: nvme-agent %s' % (name, ' '.join(words)))
        return text


class Metrics(threading.Thread):
    """Takes the metrics of the textfile once a second, as a scrape would."""

    def __init__(self, textfile: pathlib.Path, kept: pathlib.Path) -> None:
        super().__init__(daemon=True)
        self._textfile = textfile
        self._kept = kept
        self.done = threading.Event()

    def run(self) -> None:
        with self._kept.open('w') as kept:
            while not self.done.wait(1.0):
                if self._textfile.exists():
                    kept.write('@ %.3f\n%s' % (time.time(),
                                               self._textfile.read_text()))
                    kept.flush()


def environment() -> dict[str, str]:
    return {'PATH': os.environ['PATH'], 'LC_ALL': 'C.UTF-8', 'TZ': 'UTC',
            'TMPDIR': os.environ.get('TMPDIR', '/tmp')}


def say(text: str) -> None:
    print('screens: ' + text, flush=True)


def tell(session: session_lib.Session, folder: pathlib.Path) -> None:
    """Tell the story.

    :raises waiting.TimedOut: it went another way.
    """
    volume = session.attach(ALIAS, size=SIZE)
    first, second = [target for target, _ns in volume.replicas]
    spare = session.rack.add(size=SIZE)
    agent = session.agent(
        {'DEFAULT': {'replacement_grace_period': GRACE, 'debug': False,
                     'host_name': HOST, 'resync_speed_max': SPEED}},
        _named(inventory.text([volume], [spare])), start=False)
    textfile = agent.state_dir / 'nvme-agent.prom'
    agent.options['DEFAULT']['metrics_textfile'] = textfile
    terminal = Terminal(agent, folder)
    # it waits as long as a real one does
    agent.shortened.clear()
    waiting.wait_until(forked.SOCKET.exists, 'the programs are imported',
                       LIMIT)
    agent.start(wait=False)
    agent.wait_for_log(agent_lib.STARTED, LIMIT)
    metrics = Metrics(textfile, folder / 'metrics.txt')
    metrics.start()
    terminal.keep('healthy', 'status', until='2 of 2 copies good')
    writer = session.write(volume)
    writer.wait_for_writes(300, LIMIT)
    _returns(terminal, second, volume)
    writer.wait_for_writes(300, LIMIT)
    _is_replaced(terminal, first, spare, volume)
    writer.wait_for_writes(100, LIMIT)
    terminal.keep('history', 'history', ALIAS,
                  until=r'is healthy(.|\n)*is healthy')
    time.sleep(10)
    metrics.done.set()
    metrics.join()
    status = writer.stop()
    result = writer.verify(alias=ALIAS)
    if status.errors or not result.ok:
        raise RuntimeError('%d errors; %s' % (status.errors, result))
    say('every acknowledged write was read back from each leg')


def _named(text: str) -> str:
    """Give an inventory to the host that the agent is told it is."""
    return json.dumps({**json.loads(text), 'host': HOST})


def _returns(terminal: Terminal, target: targets.Target,
             volume: connector.Volume) -> None:
    """A target is away for less than the grace period."""
    say('target %s is killed' % target.name)
    target.kill()
    terminal.keep('degraded', 'status', until='1 of 2 copies good(.|\n)*'
                  'MISSING(.|\n)*grace period')
    terminal.keep('health', 'health', until='ARRAY_DEGRADED')
    say('target %s is back' % target.name)
    target.revive()
    _whole(volume, lambda array: array.leg(target.namespace.uuid) is not None)
    terminal.keep('returned', 'history', ALIAS, until='is healthy')


def _is_replaced(terminal: Terminal, target: targets.Target,
                 spare: targets.Target, volume: connector.Volume) -> None:
    """A target is away for good; the operator holds the agent back."""
    say('target %s is killed' % target.name)
    target.kill()
    terminal.keep('pause', 'pause', ALIAS, '--for', '2h', '--reason',
                  'new switch in rack 7')
    terminal.keep('paused', 'status',
                  until='1 of 2 copies good(.|\n)*paused by the operator')
    terminal.keep('plan', 'plan', ALIAS, until='replace')
    terminal.keep('resume', 'resume', ALIAS)
    terminal.keep('resync', 'status', until=r'recover \[#(.|\n)*'
                  'SYNCHRONIZING')
    _whole(volume, lambda array: array.leg(spare.namespace.uuid) is not None)
    terminal.keep('replaced', 'status', until='2 of 2 copies good')


def _whole(volume: connector.Volume,
           of_it: Callable[[host.Array], bool]) -> None:
    def whole() -> bool:
        array = host.array(volume.alias)
        return array is not None and array.whole and of_it(array)
    waiting.wait_until(whole, 'array %s is whole' % volume.alias, LIMIT)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=pathlib.Path)
    folder: pathlib.Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    session = session_lib.Session(fork=True)
    try:
        tell(session, folder)
    except Exception as error:
        say('failed: %s' % error)
        return 1
    finally:
        for log in session.logs():
            if log.suffix == '.log' and log.exists():
                (folder / log.name).write_text(log.read_text())
        process.attempt(session.close)
    return 0


if __name__ == '__main__':
    sys.exit(main())
