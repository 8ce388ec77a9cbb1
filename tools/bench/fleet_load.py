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
"""What thousands of agents are for etcd; see tools/bench-fleet.sh.

For each number of agents a fresh etcd of three members, and processes with
threads that play the agents: the real driver, with its own connection, lease
and file for each.  In peace; when a shelf with many legs dies; and when etcd
comes back after it was away.
"""

from __future__ import annotations

import argparse
import collections
from concurrent import futures
import contextlib
import csv
import dataclasses
import json
import multiprocessing
from multiprocessing import connection
import os
import shutil
import signal
import sys
import time
from typing import Any

import yaml

from os_brick.agent.testing.etcd import members as etcd_members
from os_brick.agent.testing.fleet import callers
from os_brick.agent.testing.fleet import shelves
from os_brick.agent.vendors.fleet import admin
from os_brick.agent.vendors.fleet import loading
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store
from os_brick.agent.vendors.inventory import inventory_file

KEYS = schema.Keys('/nvme-agent')
EXTRA, MIB = 4, 2 ** 20
#: Volumes and spares that are loaded in one go.
AT_ONCE = 250
COLUMNS = ('agents', 'phase', 'seconds', 'req/s', 'most', 'p50', 'p95', 'p99',
           'max', 'failed', 'late', 'etcd', 'agents_cpu', 'db')
HEAD = ('agents  phase      seconds   req/s   most  p50 ms  p95 ms  p99 ms  '
        'max ms  failed  late s  etcd CPU  agents CPU  db MiB (used)')


def _work(line: connection.Connection, numbers: range, plan: shelves.Plan,
          times: callers.Times, endpoints: list[str], folder: str,
          threads: int) -> None:
    """One process that plays agents, until it is told to stop."""
    crowd = callers.Crowd(threads)
    for number in numbers:
        caller = callers.Caller(number, plan, times, endpoints, folder,
                                crowd.note)
        caller.set_up()
        crowd.callers.append(caller)
    line.send('ready')
    while True:
        word, given = line.recv()
        if word == 'start':
            crowd.start()
        elif word == 'lose':
            crowd.lose(given)
        elif word == 'busy':
            line.send(crowd.busy)
        elif word == 'stop':
            crowd.stop()
            line.send((crowd.samples, crowd.lags))
            return


@dataclasses.dataclass(frozen=True)
class Mark:
    """A phase, when it began, and what stood on the meters then."""

    name: str
    at: float
    etcd_cpu: float
    agents_cpu: float
    size: int
    used: int


class Run:
    """One number of agents on one etcd."""

    def __init__(self, agents: int, said: argparse.Namespace,
                 stack: contextlib.ExitStack) -> None:
        self.agents = agents
        self.said = said
        self.plan = shelves.Plan(agents, 1, max(2, 2 * agents // said.legs),
                                 said.legs * 12 // 10 // EXTRA + 1, EXTRA)
        self.folder = etcd_members.scratch()
        stack.callback(shutil.rmtree, self.folder, True)
        self.members, self.wire = etcd_members.cluster(self.folder,
                                                       stack.callback)
        self.store = store.Store(self.wire)
        self.operator = admin.Operator(self.store, KEYS)
        self.marks: list[Mark] = []
        self.lost_cpu = 0.0
        self.rows: list[tuple[object, ...]] = []
        self.workers: list[tuple[Any, Any]] = []

    def say(self, words: str) -> None:
        print('%6d  %s' % (self.agents, words), file=sys.stderr, flush=True)

    def load(self) -> None:
        """Load volumes and spares as nvme-agent-fleet does, in parts."""
        self.operator.begin()
        every = self.operator.everything()
        wanted = self.plan.inventory()

        def one(part: dict[str, Any]) -> None:
            with contextlib.closing(etcd_members.connected(
                    self.members)) as wire:
                loading.load_into(store.Store(wire), KEYS, every,
                                  inventory_file.parse('the plan', yaml.dump(
                                      part, Dumper=yaml.CSafeDumper
                                  ).encode()), '', False)

        with futures.ThreadPoolExecutor(self.said.threads) as pool:
            list(pool.map(one, (
                {'volumes': [], kind: wanted[kind][first:first + AT_ONCE]}
                for kind in wanted
                for first in range(0, len(wanted[kind]), AT_ONCE))))

    def start(self) -> None:
        said = self.said
        times = callers.Times(said.poll, said.poll / 10, 1.0, said.grace,
                              said.resync)
        context = multiprocessing.get_context('fork')
        for one in range(said.processes):
            ours, theirs = context.Pipe()
            worker = context.Process(target=_work, args=(
                theirs, range(one, self.agents, said.processes), self.plan,
                times, [member.url for member in self.members], self.folder,
                said.threads), daemon=True)
            worker.start()
            self.workers.append((worker, ours))
        for _worker, line in self.workers:
            line.recv()
        self.tell('start')

    def tell(self, word: str, given: Any = None) -> None:
        for _worker, line in self.workers:
            line.send((word, given))

    def mark(self, name: str) -> None:
        self.say(name)
        sizes = [0, 0]
        with contextlib.suppress(Exception):
            status = self.wire.call('maintenance/status', {})
            sizes = [int(status[one]) for one in ('dbSize', 'dbSizeInUse')]
        self.marks.append(Mark(
            name, time.monotonic(), self.lost_cpu + sum(
                _cpu(one.process.pid) for one in self.members
                if one.process), sum(_cpu(worker.pid) for worker, _line
                                     in self.workers), *sizes))

    def until_healed(self) -> float:
        """Wait until no host has anything under way; return for how long."""
        began = time.monotonic()
        while time.monotonic() - began < self.said.patience:
            time.sleep(1.0)
            self.tell('busy')
            if not sum(line.recv() for _worker, line in self.workers):
                break
        return time.monotonic() - began

    def outage(self) -> None:
        for one in self.members:
            self.lost_cpu += _cpu(one.process.pid) if one.process else 0.0
            one.stop()
        time.sleep(self.said.outage)
        for one in self.members:
            one.start(self.members)

    def wrongs(self) -> list[str]:
        """Return what is not as it should be in etcd."""
        every = self.operator.everything()
        found: list[str] = []
        holders: dict[str, str] = {}
        for _host, record in every.owned():
            states = [entry.state for entry in record.entries if entry.live]
            if [state and state.value for state in states] != [
                    'AVAILABLE'] * 2:
                found.append('volume %s has %s' % (record.listing.alias,
                                                   states))
            for entry in record.entries:
                if entry.live and holders.setdefault(
                        entry.uuid, record.uuid) != record.uuid:
                    found.append('%s has two volumes' % entry.uuid)
                if entry.live and every.uses[entry.uuid].volume != (
                        record.uuid):
                    found.append('%s is in use by another' % entry.uuid)
        return found

    def play(self) -> list[str]:
        """Play all phases; return a line for each."""
        said = self.said
        self.say('loading')
        self.load()
        self.start()
        self.mark('begin')
        time.sleep(said.poll * 1.2)
        self.mark('peace')
        time.sleep(said.peace)
        self.mark('shelf')
        lost = set(self.plan.namespaces(1))
        self.tell('lose', lost)
        healed = self.until_healed()
        self.say('%d legs: %s after %.0f s' % (
            len(lost), 'healed' if healed < said.patience
            else 'not all are replaced', healed))
        self.mark('after')
        time.sleep(min(5.0, said.poll))
        wrongs = self.wrongs()
        self.mark('outage')
        self.outage()
        self.mark('return')
        time.sleep(said.poll * 1.5)
        self.mark('end')
        self.tell('stop')
        samples, lags = [], []
        for worker, line in self.workers:
            more = line.recv()
            samples += more[0]
            lags += more[1]
            worker.join()
        for wrong in wrongs[:5]:
            self.say('WRONG: ' + wrong)
        lines = [self.line(first, second, samples, lags) for first, second
                 in zip(self.marks, self.marks[1:])
                 if first.name != 'after']
        self.failed = bool(wrongs)
        return lines

    def line(self, first: Mark, second: Mark, samples: list[Any],
             lags: list[Any]) -> str:
        within = [one for one in samples if first.at <= one[0] < second.at]
        seconds = second.at - first.at
        took = sorted(one[1] * 1000 for one in within if one[2]) or [0.0]
        late = sorted(lag for at, lag in lags
                      if first.at <= at < second.at) or [0.0]
        rates = collections.Counter(int(one[0] - first.at)
                                    for one in within)
        self.rows.append((
            self.agents, first.name, '%.0f' % seconds,
            '%.0f' % (len(within) / seconds), max(rates.values(), default=0),
            *('%.1f' % _part(took, part) if any(one[2] for one in within)
              else '' for part in (50, 95, 99, 100)),
            sum(not one[2] for one in within), '%.1f' % _part(late, 99),
            '%.0f' % (100 * (second.etcd_cpu - first.etcd_cpu) / seconds),
            '%.0f' % (100 * (second.agents_cpu - first.agents_cpu) / seconds),
            '%.1f' % (second.size / MIB) if second.size else ''))
        return ('%6d  %-9s  %7.0f  %6.0f %6d  %6.1f  %6.1f  %6.1f  %6.0f  '
                '%6d  %6.1f  %7.0f%%  %9.0f%%  %6.1f (%.1f)' % (
                    self.agents, first.name, seconds, len(within) / seconds,
                    max(rates.values(), default=0), _part(took, 50),
                    _part(took, 95), _part(took, 99), took[-1],
                    sum(not one[2] for one in within), _part(late, 99),
                    100 * (second.etcd_cpu - first.etcd_cpu) / seconds,
                    100 * (second.agents_cpu - first.agents_cpu) / seconds,
                    second.size / MIB, second.used / MIB))


def _part(ordered: list[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def _cpu(pid: int) -> float:
    """Return the CPU seconds of a process."""
    with open('/proc/%d/stat' % pid, encoding='ascii') as stream:
        fields = stream.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def main() -> int:
    parser = argparse.ArgumentParser(prog='tools/bench-fleet.sh')
    add = parser.add_argument
    add('--agents', type=int, nargs='+', default=[1000, 5000, 10000])
    add('--poll', type=float, default=30.0, help='seconds between two passes '
        'of an agent (%(default)s); longer, where a machine is too small')
    add('--legs', type=int, default=1000, help='of the shelf that dies')
    add('--grace', type=float, default=10.0)
    add('--resync', type=float, default=20.0)
    add('--peace', type=float, default=60.0)
    add('--outage', type=float, default=120.0)
    add('--patience', type=float, default=600.0, help='seconds for all legs '
        'to be replaced; the exit status is 1 where they are not')
    add('--csv', help='write the figures to this file too, for '
        'tools/bench/fleet_plot.py')
    add('--processes', type=int, default=2)
    add('--threads', type=int, default=8)
    said = parser.parse_args()
    failed = False
    lines: list[str] = []
    rows: list[tuple[object, ...]] = []
    # what was started is to be ended
    signal.signal(signal.SIGTERM, lambda *_words: sys.exit(143))
    for agents in said.agents:
        with contextlib.ExitStack() as stack:
            run = Run(agents, said, stack)
            lines += run.play()
            rows += run.rows
            failed |= run.failed
        print('load average: %.1f %.1f %.1f, %s' % (
            *os.getloadavg(), json.dumps(vars(said))), file=sys.stderr)
    if said.csv:
        with open(said.csv, 'w', encoding='utf-8', newline='') as stream:
            csv.writer(stream, lineterminator='\n').writerows(
                [COLUMNS, *rows])
    print(HEAD)
    print('\n'.join(lines))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
