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
"""How long writers stand still when a target of many volumes dies.

All volumes have one leg on each of two targets, and a writer each. One of the
targets dies: by a reset or by silence, as the anchor of all volumes or as the
other leg, with os-brick's lock free or held by somebody else throughout.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import contextlib
import dataclasses
import fcntl
import json
import pathlib
import re
import shutil
import sys
import threading
import time

from oslo_config import cfg

from os_brick.agent import opts
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import inventory
from os_brick.agent.tests.functional.lab import session as session_lib
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional.lab import writer as writer_lib

LIMIT = 300.0
#: Bytes of a namespace, and of it those that are written.
SIZE, SPAN = 16 << 20, 1 << 20
#: Seconds between two writes of one writer.
PAUSE = 0.05
LOCK = connector.LOCK_PATH / 'os-brick-connect_volume'
COLUMNS = ('fault', 'of', 'lock', 'longest pause', 'median', 'errors',
           'degraded', 'reported', 'warnings')
#: What is tried: for each fault of what, and with os-brick's lock how.
CASES = {
    'reset': [('anchor', 'free'), ('anchor', 'held'), ('other', 'free'),
              ('other', 'held')],
    'silence': [('anchor', 'free'), ('anchor', 'held'), ('other', 'free'),
                ('other', 'held')],
    'outage': [('together', 'free'), ('staggered', 'free')],
    'outage-silent': [('together', 'free'), ('staggered', 'free')],
    'agent-dead': [('anchor', 'free'), ('other', 'free')],
}
#: Seconds that an outage lasts, that one target is back after the other, and
#: that systemd waits before it starts the agent again.
OUTAGE, LATER, RESTART = 8.0, 3.0, 1.0


@dataclasses.dataclass
class Result:
    """Of one fault; seconds since it.

    :ivar pauses: the longest write of each writer.
    :ivar degraded: how many arrays were, at some time.
    :ivar reported: when the last volume was; None: not within the limit.
    :ivar warnings: lines of the agent's log that are worse than INFO.
    """

    fault: str
    role: str
    lock: str
    pauses: list[float]
    errors: int
    degraded: int
    reported: float | None
    warnings: int

    def row(self) -> tuple[str, ...]:
        return (self.fault, self.role, self.lock,
                '%.2f s' % max(self.pauses),
                '%.2f s' % sorted(self.pauses)[len(self.pauses) // 2],
                str(self.errors), str(self.degraded),
                '' if self.reported is None else '%.1f s' % self.reported,
                str(self.warnings))


def table(results: list[Result]) -> str:
    rows = [COLUMNS] + [result.row() for result in results]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return '\n'.join('  '.join(
        cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        for row in rows)


class Degraded:
    """Watches which arrays were degraded at some time."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Degraded:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            self.seen.update(
                name for name, health in re.findall(
                    r'^(md\S*) :.*\n.*\[([U_]+)\]',
                    pathlib.Path('/proc/mdstat').read_text(), re.MULTILINE)
                if '_' in health)


class Bench:
    """Two targets, their volumes, a writer of each, and an agent."""

    def __init__(self, session: session_lib.Session, volumes: int,
                 options: dict[str, str]) -> None:
        self._session = session
        self.targets = [session.rack.add(namespaces=volumes, size=SIZE)
                        for _ in range(2)]
        self.volumes = [connector.Volume('wide%d' % number, [
            (target, target.namespaces[number]) for target in self.targets])
            for number in range(volumes)]
        for volume in self.volumes:
            session_lib.attacher().attach(volume)
        for target in self.targets:
            # the first call for an address takes longer than a fault
            target.delay(0)
        self.agent = session.agent(
            {'DEFAULT': dict({'replacement_grace_period': 3600,
                              'debug': False, 'poll_interval': 30},
                             **options)},
            inventory.text(self.volumes))
        self._before = dict(self.agent.options['DEFAULT'])
        self.writers = [
            session.write(volume, span=SPAN, pause=PAUSE)
            for volume in self.volumes]

    def run(self, fault: str, role: str, lock: str) -> Result:
        self._settle()
        victim = self._victim(role)
        mark = len(self.agent.log())
        errors = self._errors()
        begun = [writer.status().finished for writer in self.writers]
        reported = None
        with self._held() if lock == 'held' else contextlib.nullcontext(), \
                Degraded() as degraded:
            broken, wall = time.monotonic(), time.time()
            self._break(fault, role, victim)
            for writer, finished in zip(self.writers, begun):
                self._past(writer, finished)
            if fault in ('reset', 'silence'):
                reported = self._reported(victim, mark, wall)
        log = self.agent.log()[mark:]
        result = Result(
            fault, role, lock,
            [max((write.latency for write in writer.writes()
                  if write.start + write.latency > broken), default=0.0)
             for writer in self.writers],
            self._errors() - errors, len(degraded.seen), reported,
            len(re.findall(r' (?:WARNING|ERROR|CRITICAL) ', log)))
        self._session.rack.restore()
        return result

    def _break(self, fault: str, role: str, victim: targets.Target) -> None:
        if fault.startswith('outage'):
            for target in self.targets:
                target.kill() if fault == 'outage' else target.lose_power()
            time.sleep(OUTAGE)
            for target in self.targets:
                target.revive()
                target.restore_power()
                if role == 'staggered':
                    time.sleep(LATER)
        elif fault == 'agent-dead':
            self.agent.kill()
            victim.kill()
            time.sleep(RESTART)
            self.agent.start()
        elif fault == 'reset':
            victim.kill()
        else:
            victim.lose_power()

    def set(self, options: dict[str, str]) -> None:
        """Change options of the running agent; all others as at first.

        It is stopped for that, so that what it has set is put back.
        """
        self.agent.stop(LIMIT)
        self.agent.options['DEFAULT'] = {**self._before, **options}
        self.agent.start()

    def verify(self) -> int:
        """Return how many writers' blocks are wrong somewhere."""
        self._settle()
        for writer in self.writers:
            writer.stop(LIMIT)
        return sum(not writer.verify(alias=volume.alias).ok
                   for writer, volume in zip(self.writers, self.volumes))

    def _errors(self) -> int:
        return sum(writer.status().errors for writer in self.writers)

    @staticmethod
    def _past(writer: writer_lib.Writer, finished: int) -> None:
        """Wait until the fault must be behind it."""
        waiting.wait_until(
            lambda: writer.status().finished > finished + 100,
            'the writer on %s goes on' % writer.device, LIMIT)

    def _settle(self) -> None:
        """Wait until all are whole and the roles are dealt."""
        waiting.wait_until(
            lambda: all((array := host.array(volume.alias)) is not None
                        and array.whole for volume in self.volumes),
            'all arrays are whole', LIMIT)
        waiting.wait_until(self._dealt, 'the roles are dealt', LIMIT)
        for writer in self.writers:
            writer.wait_for_writes(20, LIMIT)

    def _dealt(self) -> bool:
        """As many targets, and legs of each array, wait as are to."""
        conf = cfg.ConfigOpts()
        opts.register(conf)
        fast = 0 if self.agent.options['DEFAULT'].get(
            'legs_fail_fast', conf.legs_fail_fast) == 'none' else 1
        return [self._waits(target) for target in self.targets].count(
            False) == fast and all(
                sum('failfast' in leg.states for leg in array.legs) == fast
                for volume in self.volumes
                if (array := host.array(volume.alias)) is not None)

    def _victim(self, role: str) -> targets.Target:
        """The target that waits, or the other one; where both do, either."""
        def waits() -> list[bool] | None:
            found = [self._waits(target) for target in self.targets]
            return found if any(found) else None
        found = waiting.wait_until(waits, 'somebody waits', LIMIT)
        return self.targets[found.index(True) if role != 'other'
                            or all(found) else found.index(False)]

    @staticmethod
    def _waits(target: targets.Target) -> bool:
        return all((host.CONTROLLERS / one.name / 'fast_io_fail_tmo'
                    ).read_text().strip() == 'off'
                   for one in host.controllers(target.nqn))

    @staticmethod
    @contextlib.contextmanager
    def _held() -> Iterator[None]:
        """Hold os-brick's lock as an attach that hangs does."""
        with LOCK.open('a') as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            yield

    def _reported(self, victim: targets.Target, mark: int,
                  wall: float) -> float | None:
        """When the last replica was told of, by the log's own times."""
        wanted = {namespace.uuid for namespace in victim.namespaces}

        def told() -> dict[str, float] | None:
            found: dict[str, float] = {}
            for line in self.agent.log()[mark:].splitlines():
                match = re.search(r'replica (\S+) is MISSING', line)
                if match and match.group(1) in wanted:
                    spoken = time.mktime(time.strptime(
                        line[:19], '%Y-%m-%d %H:%M:%S'))
                    found.setdefault(match.group(1),
                                     spoken + float(line[19:23]) - wall)
            return found if len(found) == len(wanted) else None
        try:
            return max(waiting.wait_until(told, 'all are reported',
                                          60.0).values())
        except waiting.TimedOut:
            return None


def _pairs(words: list[str]) -> dict[str, str]:
    return {name: value for name, value in (
        word.split('=', 1) for word in words)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', required=True, type=pathlib.Path)
    parser.add_argument('--volumes', type=int, default=16)
    parser.add_argument('--repeat', type=int, default=1,
                        help='how often each fault is tried')
    parser.add_argument('--set', action='append', default=[],
                        metavar='OPTION=VALUE', help='of the agent')
    parser.add_argument('--again', action='append', default=[],
                        metavar='OPTION=VALUE[,OPTION=VALUE]',
                        help='all but the lock held once more, with this '
                        'changed: marked *, the next one **')
    parser.add_argument('--free', action='store_true',
                        help='never with os-brick\'s lock held')
    parser.add_argument('faults', nargs='*', metavar='FAULT',
                        help='of %s; default: reset, silence' % ', '.join(
                            CASES))
    options = parser.parse_args()
    session = session_lib.Session()
    results: list[Result] = []
    try:
        bench = Bench(session, options.volumes, _pairs(options.set))
        with options.out.open('w') as out:
            for number, more in enumerate(['', *options.again]):
                label = ' ' * bool(number) + '*' * number
                if more:
                    print('bench: %s: %s' % (label.strip(), more), flush=True)
                    bench.set(_pairs(more.split(',')))
                for fault, (role, lock) in (
                        (fault, case) for _time in range(options.repeat)
                        for fault in options.faults or ('reset', 'silence')
                        for case in CASES[fault]
                        if case[1] == 'free' or not (
                            number or options.free)):
                    result = bench.run(fault, role, lock)
                    results.append(dataclasses.replace(
                        result, fault=fault + label))
                    out.write(json.dumps(dataclasses.asdict(
                        results[-1])) + '\n')
                    out.flush()
                    print('bench: %s' % '  '.join(results[-1].row()),
                          flush=True)
        wrong = bench.verify()
        print('bench: %d volumes, %d of them with blocks that are wrong' % (
            options.volumes, wrong), flush=True)
    finally:
        for log in session.logs():
            if log.suffix == '.log' and log.exists():
                shutil.copy(log, options.out.parent / 'agent-wide-fault.log')
        print(table(results), flush=True)
        session.close()
    return 1 if wrong or any(result.errors for result in results) else 0


if __name__ == '__main__':
    sys.exit(main())
