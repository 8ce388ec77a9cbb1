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
"""The real daemon beside one real array at rest, in the lab's machine.

CPU time and context switches are the scheduler's (/proc/PID/task/*), of the
daemon and of its privileged helper; processes started are the machine's
(``processes`` in /proc/stat counts threads too).
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import platform
import sys
import time

import alternative

from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import inventory
from os_brick.agent.tests.functional.lab import session as session_lib

ALIAS = 'bench'
LEGS = 3
TOOLS_INTERVAL = 30.0


@dataclasses.dataclass(frozen=True)
class Usage:
    """:ivar cpu: seconds; ``switches`` are those it asked for itself.

    :ivar memory: resident bytes.
    """

    cpu: float
    switches: int
    memory: int

    def since(self, before: Usage) -> Usage:
        return Usage(self.cpu - before.cpu, self.switches - before.switches,
                     self.memory)


def usage(pid: int) -> Usage:
    """Return what a process has used so far."""
    cpu, switches, memory = 0.0, 0, 0
    for task in pathlib.Path('/proc/%d/task' % pid).iterdir():
        cpu += int((task / 'schedstat').read_text().split()[0]) / 1e9
        fields = dict(line.split(':', 1) for line in
                      (task / 'status').read_text().splitlines())
        switches += int(fields['voluntary_ctxt_switches'])
        memory = int(fields['VmRSS'].split()[0]) * 1024
    return Usage(cpu, switches, memory)


def started() -> int:
    """Return how many processes and threads were started since boot."""
    for line in pathlib.Path('/proc/stat').read_text().splitlines():
        if line.startswith('processes '):
            return int(line.split()[1])
    raise RuntimeError('/proc/stat does not count processes')


def per_hour(amount: float, seconds: float) -> float:
    return amount * 3600 / seconds


def watch(session: session_lib.Session, seconds: float,
          settle: float) -> None:
    volume = session.attach(ALIAS, replicas=LEGS)
    agent = session.agent(
        {'DEFAULT': {'debug': False, 'poll_interval': 30,
                     'poll_jitter': 3}}, inventory.text([volume]))
    agent.wait_for_log('no leg fails fast')
    (helper,) = agent_lib.helpers(agent.config_path)
    # the first passes deal roles, and load code
    time.sleep(settle)
    before = {pid: usage(pid) for pid in (agent.pid, helper)}
    forks, began, said = started(), time.monotonic(), len(agent.log())
    time.sleep(seconds)
    lasted = time.monotonic() - began
    forks = started() - forks
    after = {pid: usage(pid).since(before[pid]) for pid in before}
    quiet = len(agent.log()) == said
    array = host.array(ALIAS)
    print('one array of %d legs at rest for %.0f s; Linux %s, emulated or '
          'not as the lab says' % (LEGS, lasted, platform.release()))
    print('array [%s]; the agent logged %s' % (
        array.health if array else 'gone', 'nothing' if quiet else
        'something: it was not at rest, see below'))
    print('%-10s %12s %14s %9s' % ('', 'CPU s/h', 'wake-ups/h', 'RSS MiB'))
    for name, pid in (('daemon', agent.pid), ('helper', helper)):
        used = after[pid]
        print('%-10s %12.2f %14.0f %9.1f' % (
            name, per_hour(used.cpu, lasted),
            per_hour(used.switches, lasted), used.memory / 2 ** 20))
    print('processes and threads started on the machine meanwhile: %d'
          % forks)
    tools = alternative.Tools(volume.path)
    own = per_hour(after[agent.pid].cpu + after[helper].cpu, lasted)
    other = tools.hourly(1, TOOLS_INTERVAL)
    print('one "mdadm --detail": %.1f ms, one "nvme list": %.1f ms of CPU; '
          'both every %g s: %.1f CPU s/h, %.1f times the agent' % (
              1e3 * tools.detail, 1e3 * tools.listing, TOOLS_INTERVAL, other,
              other / own))
    if not quiet:
        print(agent.log()[said:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=float, default=120.0,
                        help='how long to watch; default: %(default)s')
    parser.add_argument('--settle', type=float, default=45.0,
                        help='how long to wait before; default: %(default)s')
    options = parser.parse_args()
    session = session_lib.Session()
    try:
        watch(session, options.seconds, options.settle)
    finally:
        session.close()
    return 0


if __name__ == '__main__':
    sys.exit(main())
