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
"""What watching costs while nothing happens, against asking the tools.

For each number of arrays a process of its own generates a host at rest and
lets the real pass and the real connection check look at it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import dataclasses
import gc
import json
import logging
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import typing
import warnings

import alternative

if typing.TYPE_CHECKING:
    import at_rest

WARM_UP = 3
#: Seconds between two rounds of the tools, as often as the agent's passes.
TOOLS_INTERVAL = 30.0
_FORKS = frozenset(('os.fork', 'os.forkpty', 'os.posix_spawn', 'os.exec',
                    'os.system', 'subprocess.Popen'))


@dataclasses.dataclass(frozen=True)
class Figures:
    """:ivar a_pass: CPU seconds; ``a_check`` too.

    :ivar forks: processes started in ten passes and ten checks.
    :ivar before: resident bytes before the passes, and ``after`` them.
    """

    arrays: int
    legs: int
    a_pass: float
    a_check: float
    forks: int
    passes: int
    before: int
    after: int
    pass_interval: float
    check_interval: float

    @property
    def wake_ups(self) -> float:
        """Per hour, of the two threads that wait for a time."""
        return 3600 / self.pass_interval + 3600 / self.check_interval

    @property
    def passes_hourly(self) -> float:
        """CPU seconds per hour for the passes."""
        return 3600 / self.pass_interval * self.a_pass

    @property
    def checks_hourly(self) -> float:
        """CPU seconds per hour for the checks."""
        return 3600 / self.check_interval * self.a_check


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    with open('/proc/self/statm', encoding='ascii') as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def measure(arrays: int, passes: int, checks: int) -> Figures:
    """Watch that many arrays."""
    warnings.simplefilter('ignore')
    logging.disable(logging.CRITICAL)
    import at_rest
    memory = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as tree, \
            tempfile.TemporaryDirectory() as state:
        world = at_rest.World(arrays, tree, state)
        for _ in range(WARM_UP):
            world.do_pass()
            world.do_check()
        gc.collect()
        before = resident()
        a_pass = mean(world.do_pass, passes)
        gc.collect()
        after = resident()
        a_check = mean(world.do_check, checks)
        forks = count_forks(world)
        world.close()
        return Figures(arrays, at_rest.LEGS, a_pass, a_check, forks, passes,
                       before, after, world.conf.poll_interval,
                       world.conf.connection_check_interval)


def mean(work: Callable[[], None], times: int) -> float:
    """Return the CPU seconds of doing it once."""
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) / times


def count_forks(world: at_rest.World) -> int:
    """Return how many processes are started; last, for it slows all down."""
    seen = []

    def hook(event: str, _arguments: object) -> None:
        if event in _FORKS:
            seen.append(event)

    sys.addaudithook(hook)
    for _ in range(10):
        world.do_pass()
        world.do_check()
    return len(seen)


def apart(arrays: int, passes: int, checks: int) -> Figures:
    """Measure in a process of its own, for the memory is the process's."""
    answer = subprocess.run(
        [sys.executable, os.path.abspath(__file__), '--measure', str(arrays),
         '--passes', str(passes), '--checks', str(checks)],
        check=True, stdout=subprocess.PIPE, text=True)
    return Figures(**json.loads(answer.stdout))


def table(found: list[Figures], tools: alternative.Tools) -> str:
    often = found[0].check_interval
    head = ('%6s %5s | %8s %8s %8s %8s %8s %6s %5s | %8s %7s | %8s %8s' % (
        'arrays', 'legs', 'pass', 'check', 'passes', 'checks', 'wake-ups',
        'forks', 'RSS', 'tools', 'forks', 'ratio', 'ratio at'))
    units = ('%6s %5s | %8s %8s %8s %8s %8s %6s %5s | %8s %7s | %8s %8s' % (
        '', '', 'ms CPU', 'ms CPU', 'CPU s/h', 'CPU s/h', '/h', '', 'MiB',
        'CPU s/h', '/h', '', '%g s' % often))
    lines = [head, units, '-' * len(head)]
    for one in found:
        other = tools.hourly(one.arrays, TOOLS_INTERVAL)
        ratio = other / (one.passes_hourly + one.checks_hourly)
        lines.append(
            '%6d %5d | %8.2f %8.3f %8.2f %8.2f %8.0f %6d %5.0f | '
            '%8.1f %7.0f | %7.1fx %7.0fx' % (
                one.arrays, one.arrays * one.legs, 1e3 * one.a_pass,
                1e3 * one.a_check, one.passes_hourly, one.checks_hourly,
                one.wake_ups, one.forks, one.after / 2 ** 20, other,
                3600 / TOOLS_INTERVAL * (one.arrays + 1), ratio,
                ratio * TOOLS_INTERVAL / often))
    return '\n'.join(lines)


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--arrays', default='1,16,64,256', metavar='N,N...',
                        help='how many arrays; default: %(default)s')
    parser.add_argument('--passes', type=int, default=100,
                        help='passes to measure for each; default: '
                             '%(default)s')
    parser.add_argument('--checks', type=int, default=600,
                        help='connection checks to measure for each; '
                             'default: %(default)s')
    parser.add_argument('--growth-passes', type=int, default=10000,
                        help='passes over which the growth of the memory is '
                             'measured, 0 for none; default: %(default)s')
    parser.add_argument('--growth-arrays', type=int, default=16,
                        help='arrays watched meanwhile; default: '
                             '%(default)s')
    parser.add_argument('--tool-runs', type=int, default=alternative.RUNS,
                        help='runs of each tool; default: %(default)s')
    parser.add_argument('--measure', type=int, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    options = parse(argv)
    if options.measure is not None:
        print(json.dumps(dataclasses.asdict(measure(
            options.measure, options.passes, options.checks))))
        return 0
    tools = alternative.Tools(runs=options.tool_runs)
    found = [apart(int(arrays), options.passes, options.checks)
             for arrays in options.arrays.split(',')]
    print('nvme-agent at rest, and asking the tools every %g s: "mdadm '
          '--detail" for each array\nand "nvme list" once. Linux %s, %d '
          'processors, Python %s.\nA pass every %g s, a connection check '
          'every %g s (the defaults).\n' % (
              TOOLS_INTERVAL, platform.release(), os.cpu_count() or 0,
              platform.python_version(), found[0].pass_interval,
              found[0].check_interval))
    print(table(found, tools))
    print('\nforks: of the agent in ten passes and ten checks. ratio: the '
          'tools\' CPU, every %g s, to the\nagent\'s; ratio at %g s: if '
          'they looked as often as the agent checks.' % (
              TOOLS_INTERVAL, found[0].check_interval))
    print('one "mdadm --detail": %.2f ms, one "nvme list": %.2f ms of CPU' %
          (1e3 * tools.detail, 1e3 * tools.listing))
    for note in tools.notes:
        print(note)
    if options.growth_passes:
        long = apart(options.growth_arrays, options.growth_passes, 1)
        print('memory with %d arrays over %d passes: %.2f MiB before, %.2f '
              'MiB after (%+.2f)' % (
                  long.arrays, long.passes, long.before / 2 ** 20,
                  long.after / 2 ** 20,
                  (long.after - long.before) / 2 ** 20))
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
