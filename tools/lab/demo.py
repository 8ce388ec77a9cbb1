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
"""The story of a volume that is healed, told while it happens."""

from __future__ import annotations

import argparse
import re
import sys
import threading
import time

from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import inventory
from os_brick.agent.tests.functional.lab import session as session_lib
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional.lab import writer as writer_lib

LIMIT = 300.0
GRACE = 5.0
ALIAS = 'demo'
BOLD, RED, GREEN, BLUE = '1', '1;31', '1;32', '36'
_LINE = re.compile(r'(INFO|WARNING|ERROR|CRITICAL) os_brick\.agent\S* '
                   r'(?:\[[^]]*\] )?(.*)')


class Teller:
    """Prints what the demo does, and what the agent and the writer say."""

    def __init__(self, colour: bool) -> None:
        self._colour = colour
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def say(self, who: str, text: str, colour: str = '') -> None:
        line = '%7.1f s  %-7s %s' % (time.monotonic() - self._began, who,
                                     text)
        if self._colour and colour:
            line = '\033[%sm%s\033[0m' % (colour, line)
        with self._lock:
            print(line, flush=True)


class Listener(threading.Thread):
    """Follows the agent's log and remembers when it said what."""

    def __init__(self, agent: agent_lib.Agent, teller: Teller) -> None:
        super().__init__(daemon=True)
        self._agent = agent
        self._teller = teller
        self.heard: list[tuple[float, str]] = []

    def run(self) -> None:
        told = 0
        while True:
            lines = self._agent.log().splitlines()
            for line in lines[told:]:
                match = _LINE.search(line)
                if match:
                    self.heard.append((time.monotonic(), match[2]))
                    self._teller.say('agent', match[2], RED if match[1]
                                     != 'INFO' else BLUE)
            told = len(lines)
            time.sleep(0.1)

    def when(self, pattern: str) -> float:
        """Wait for a line and return when it was heard."""
        def found() -> float | None:
            for moment, text in list(self.heard):
                if re.search(pattern, text):
                    return moment
            return None
        moment = waiting.wait_until(found, 'the agent says %r' % pattern,
                                    LIMIT)
        return float(moment)


class Rates(threading.Thread):
    """Tells every few seconds how the writer and the recovery fare."""

    def __init__(self, writer: writer_lib.Writer, teller: Teller) -> None:
        super().__init__(daemon=True)
        self._writer = writer
        self._teller = teller
        self.done = threading.Event()

    def run(self) -> None:
        last, moment = self._writer.status().finished, time.monotonic()
        while not self.done.wait(2.0):
            status = self._writer.status()
            now = time.monotonic()
            array = host.array(ALIAS)
            self._teller.say(
                'writer', '%4.0f writes/s, longest pause %.1f s, %d errors; '
                'array [%s] %s' % (
                    (status.finished - last) / (now - moment),
                    status.longest_pause, status.errors,
                    array.health if array else 'gone',
                    array.sync_action if array else ''))
            last, moment = status.finished, now


def tell(session: session_lib.Session, teller: Teller) -> bool:
    """Tell the story; True if it ended well."""
    teller.say('demo', 'two NVMe/TCP targets and a spare one are set up; '
               'os-brick attaches the volume', BOLD)
    volume = session.attach(ALIAS)
    dead, survivor = [target for target, _ns in volume.replicas]
    spare = session.rack.add()
    teller.say('demo', 'attached: %s over %s and %s' % (
        volume.path, dead.name, survivor.name), BOLD)
    agent = session.agent(
        {'DEFAULT': {'replacement_grace_period': GRACE, 'debug': False}},
        inventory.text([volume], [spare]), start=False)
    listener = Listener(agent, teller)
    listener.start()
    teller.say('demo', 'nvme-agent starts, as an ordinary user', BOLD)
    agent.start()
    listener.when('no leg fails fast')
    writer = session.write(volume)
    rates = Rates(writer, teller)
    rates.start()
    writer.wait_for_writes(300, LIMIT)
    teller.say('demo', 'target %s is killed' % dead.name, RED)
    killed = time.monotonic()
    dead.kill()
    uuid, new = dead.namespace.uuid, spare.namespace.uuid
    reported = listener.when('replica %s is MISSING' % uuid) - killed
    requested = listener.when('to replace replica %s' % uuid) - killed

    def whole() -> bool:
        array = host.array(ALIAS)
        return (array is not None and array.whole
                and array.leg(new) is not None)
    waiting.wait_until(whole, 'the array is whole over the spare', LIMIT)
    in_sync = time.monotonic() - killed
    listener.when('to confirm replica %s' % uuid)
    writer.wait_for_writes(50, LIMIT)
    rates.done.set()
    rates.join()
    status = writer.stop()
    teller.say('demo', 'every acknowledged write is read back from each leg',
               BOLD)
    result = writer.verify(alias=ALIAS)
    teller.say('demo', str(result), GREEN if result.ok else RED)
    if not result.ok or status.errors:
        return False
    print('HEALED volume=%s longest_write_pause_ms=%d write_errors=%d '
          'reported_s=%.1f requested_s=%.1f in_sync_s=%.1f checksum=ok' % (
              ALIAS, status.longest_pause * 1000, status.errors, reported,
              requested, in_sync), flush=True)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--colour', choices=['0', '1'], default='0')
    teller = Teller(parser.parse_args().colour == '1')
    session = session_lib.Session()
    try:
        return 0 if tell(session, teller) else 1
    except Exception as error:
        teller.say('demo', 'failed: %s' % error, RED)
        return 1
    finally:
        session.close()


if __name__ == '__main__':
    sys.exit(main())
