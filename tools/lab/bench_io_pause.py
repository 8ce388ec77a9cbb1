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
"""How long a writer stands still while a replica dies, with and without.

Each fault is tried twice in one boot: with what os-brick leaves behind, and
with the agent.  One direct 4 KiB write is under way at a time; each write's
latency is recorded.  A planned exchange without the agent is what an
operator would type: --fail, --remove, --add.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import shutil
import sys
import time

from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import inventory
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import session as session_lib
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional.lab import writer as writer_lib

LIMIT = 240.0
GRACE = 3.0
#: Seconds after which a writer that stands still is taken to do so for ever.
FOR_EVER = 45.0
OUTAGE = 10.0
BURST = 100
ALIAS = 'bench'
FAULTS = {
    'reset': 'a target dies with a reset',
    'reset-anchor': 'but-one: the anchor\'s target dies with a reset',
    'reset-between': 'a target dies between two writes',
    'power': 'a target loses power (packets dropped)',
    'power-anchor': 'but-one: the anchor\'s target loses power',
    'outage': 'the host\'s network is away for 10 s',
    'namespace': 'a namespace is removed',
    'planned': 'planned exchange',
}


@dataclasses.dataclass
class Result:
    """Seconds; None: it did not happen within the limit."""

    fault: str
    title: str
    agent: bool
    pause: float
    endless: bool
    errors: int
    reported: float | None
    whole: float | None
    checksum: bool
    writes: list[tuple[float, float]]


class Case:
    """One fault, tried once."""

    def __init__(self, fault: str, with_agent: bool,
                 folder: pathlib.Path) -> None:
        self.fault = fault
        self.folder = folder
        self.with_agent = with_agent
        self.session = session_lib.Session()

    def run(self) -> Result:
        try:
            return self._run()
        finally:
            for log in self.session.logs():
                if log.suffix == '.log':
                    shutil.copy(log, self.folder / (
                        'agent-%s.log' % self.fault))
            self.session.close()

    def _run(self) -> Result:
        volume = self.session.attach(ALIAS)
        self.spare = self.session.rack.add()
        agent = self._agent(volume) if self.with_agent else None
        first, second = [target for target, _ns in volume.replicas]
        anchor = first
        if agent is not None and self._one_waits:
            agent.wait_for_log('is the anchor')
            waiting.wait_until(lambda: self._anchor((first, second)),
                               'the roles are dealt')
            anchor = self._anchor((first, second)) or first
        elif agent is not None:
            agent.wait_for_log('no leg fails fast')
        other = second if anchor is first else first
        victim = anchor if self._one_waits else other
        survivor = other if victim is anchor else anchor
        for target in (first, second):
            # the first call for an address takes longer than a fault
            target.delay(0)
        writer = self._writer(volume)
        broken = time.monotonic()
        self._break(volume, victim, survivor, agent)
        members = ([victim, survivor] if self.fault == 'outage'
                   else [survivor, self.spare])
        endless = not self._goes_on(writer)
        reported = whole = None
        if not endless:
            whole = self._whole(members, broken)
            if agent is not None:
                reported = self._reported(agent, victim, broken)
            writer.wait_for_writes(100, LIMIT)
        else:
            # it goes on when the target returns, and only then
            self.session.rack.restore()
        status = writer.stop(LIMIT)
        result = writer.verify(alias=ALIAS)
        writes = [(write.start - broken, write.latency)
                  for write in writer.writes() if write.start > broken - 5]
        return Result(
            self.fault, FAULTS[self.fault], self.with_agent,
            status.longest_pause, endless, status.errors, reported, whole,
            result.ok, writes)

    def _writer(self, volume: connector.Volume) -> writer_lib.Writer:
        """At work; or in a pause, for a fault between two writes."""
        if self.fault != 'reset-between':
            writer = self.session.write(volume)
            writer.wait_for_writes(200, LIMIT)
            return writer
        writer = self.session.write(volume, burst=BURST, gap=2.0)
        writer.wait_for_gap(LIMIT)
        return writer

    @property
    def _one_waits(self) -> bool:
        return self.fault.endswith('-anchor')

    def _agent(self, volume: connector.Volume) -> agent_lib.Agent:
        return self.session.agent(
            {'DEFAULT': {'replacement_grace_period': GRACE, 'debug': False,
                         'poll_interval': 30, 'legs_fail_fast':
                         'but-one' if self._one_waits else 'none'}},
            inventory.text([volume], [self.spare]))

    @staticmethod
    def _anchor(members: tuple[targets.Target, targets.Target]
                ) -> targets.Target | None:
        """The target whose connection waits, once the other one does not."""
        waits = [target for target in members
                 for one in host.controllers(target.nqn)
                 if (host.CONTROLLERS / one.name / 'fast_io_fail_tmo'
                     ).read_text().strip() == 'off']
        return waits[0] if len(waits) == 1 else None

    def _break(self, volume: connector.Volume, victim: targets.Target,
               survivor: targets.Target,
               agent: agent_lib.Agent | None) -> None:
        if self.fault.startswith('reset'):
            victim.kill()
        elif self.fault.startswith('power'):
            victim.lose_power()
        elif self.fault == 'outage':
            victim.lose_power()
            survivor.lose_power()
            time.sleep(OUTAGE)
            victim.restore_power()
            survivor.restore_power()
        elif self.fault == 'namespace':
            victim.namespace.remove()
        elif agent is not None:
            moved = connector.Volume(ALIAS, [
                (survivor, survivor.namespace),
                (self.spare, self.spare.namespace)], volume.uuid)
            agent.write_inventory(inventory.text([moved]))
        else:
            self._by_hand(victim)

    def _by_hand(self, victim: targets.Target) -> None:
        array = host.array(ALIAS)
        leg = None if array is None else array.leg(victim.namespace.uuid)
        if array is None or leg is None:
            raise RuntimeError('the array has lost its leg')
        process.run('nvme', 'connect', '-t', 'tcp', '-a',
                    self.spare.addresses[0], '-s', '4420', '-n',
                    self.spare.nqn, '-l', '-1')

        def device() -> str | None:
            for path in host.BLOCK.glob('nvme*n*/uuid'):
                # not nvme1c1n1, a path of it
                if ('c' not in path.parent.name and path.read_text().strip()
                        == self.spare.namespace.uuid):
                    return path.parent.name
            return None
        new = waiting.wait_until(device, 'the spare is connected')
        for words in (('--fail', '/dev/' + leg.device),
                      ('--remove', '/dev/' + leg.device),
                      ('--add', '/dev/' + new)):
            process.run('mdadm', '/dev/' + array.name, *words)

    @staticmethod
    def _goes_on(writer: writer_lib.Writer) -> bool:
        """Wait until the fault's effect on the writer is over."""
        begun = writer.status().finished

        def settled() -> str | None:
            status = writer.status()
            if status.under_way > FOR_EVER:
                return 'stands still'
            return 'goes on' if status.finished > begun + 300 else None
        return waiting.wait_until(settled, 'the writer goes on or is seen '
                                  'to stand still', LIMIT) == 'goes on'

    def _whole(self, members: list[targets.Target],
               broken: float) -> float | None:
        """When the array is whole over these; without agent, it is not."""
        if not self.with_agent and self.fault not in ('planned', 'outage'):
            return None
        wanted = {target.namespace.uuid for target in members}

        def whole() -> bool:
            array = host.array(ALIAS)
            return (array is not None and array.whole
                    and {leg.uuid for leg in array.legs} == wanted)
        try:
            waiting.wait_until(whole, 'the array is whole', LIMIT
                               if self.with_agent else FOR_EVER)
        except waiting.TimedOut:
            if self.with_agent:
                raise
            return None
        return time.monotonic() - broken

    def _reported(self, agent: agent_lib.Agent, victim: targets.Target,
                  broken: float) -> float | None:
        """When the agent told the provisioner, by its log's own times."""
        uuid = victim.namespace.uuid
        for line in agent.log().splitlines():
            if 'replica %s is MISSING' % uuid in line:
                spoken = time.mktime(time.strptime(
                    line[:19], '%Y-%m-%d %H:%M:%S')) + float(line[19:23])
                return spoken - (time.time() - time.monotonic() + broken)
        return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', required=True, type=pathlib.Path)
    parser.add_argument('faults', nargs='*', metavar='FAULT',
                        help='of %s; default: all' % ', '.join(FAULTS))
    options = parser.parse_args()
    failed = 0
    with options.out.open('w') as out:
        for fault in options.faults or FAULTS:
            for with_agent in (False, True):
                print('bench: %s, %s' % (
                    FAULTS[fault], 'with the agent' if with_agent
                    else 'no agent'), flush=True)
                try:
                    result = Case(fault, with_agent,
                                  options.out.parent).run()
                except Exception as error:
                    failed += 1
                    print('bench: failed: %s' % error, flush=True)
                    continue
                out.write(json.dumps(dataclasses.asdict(result)) + '\n')
                out.flush()
                print('bench:   longest pause %s%.2f s, %d write errors, '
                      'checksum %s' % (
                          '> ' if result.endless else '', result.pause,
                          result.errors, 'ok' if result.checksum
                          else 'WRONG'), flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
