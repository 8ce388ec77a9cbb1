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
"""The story of a fleet on etcd; see tools/demo-fleet.sh."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import time

import yaml

from os_brick.agent.testing.etcd import members as etcd_members
from os_brick.agent.testing.fleet import audit
from os_brick.agent.testing.fleet import hosts
from os_brick.agent.testing.fleet import shelves
from os_brick.agent.vendors import etcd
from os_brick.agent.vendors.fleet import admin
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store

KEYS = schema.Keys('/nvme-agent')
DEAD, DRAINED, AT_ONCE, RESYNCS, HANDING = 1, 3, 4, 1, 0.1
#: Copies at once, to one shelf and in all.
TO_ONE, IN_ALL = 2, 5
#: Simulated seconds within which all has to be well again.
PATIENCE = 1800.0


class Failed(Exception):
    """The story did not come true; the text says where."""


class Story:
    """:ivar fleet: the hosts, once they are there."""

    def __init__(self, plan: shelves.Plan, folder: str,
                 stack: contextlib.ExitStack) -> None:
        self.plan = plan
        self.folder = folder
        self.began = time.monotonic()
        self.members, self.wire = etcd_members.cluster(folder,
                                                       stack.callback)
        self.store = store.Store(self.wire)
        self.operator = admin.Operator(self.store, KEYS)
        self.stack = stack
        self.killed = 0

    def tell(self, sentence: str) -> None:
        print('%6.1f s  %s' % (self.fleet.baton.now, sentence), flush=True)

    def command(self, *words: str, show: int = 4) -> list[str]:
        """Run nvme-agent-fleet; return its lines."""
        print('          $ nvme-agent-fleet %s' % ' '.join(words), flush=True)
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', 'import sys\n'
             'from os_brick.cmd import fleet\nsys.exit(fleet.main())',
             *words, '--config-file', os.path.join(self.folder,
                                                   'fleet.conf')],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False)
        if done.returncode:
            raise Failed('nvme-agent-fleet %s ended with %d: %s' % (
                ' '.join(words), done.returncode, done.stderr.strip()))
        lines = done.stdout.splitlines()
        for line in lines[:show]:
            print('            ' + line)
        if len(lines) > show:
            print('            ... and %d more lines' % (len(lines) - show))
        sys.stdout.flush()
        return lines

    def leader(self) -> etcd_members.Member:
        def look() -> etcd_members.Member | None:
            for one in self.members:
                wire = etcd_members.connected([one])
                try:
                    said = wire.call('maintenance/status', {})
                finally:
                    wire.close()
                if said.get('leader') == said['header']['member_id']:
                    return one
            return None
        found = etcd_members.wait_for(look)
        assert found is not None
        return found

    def begin(self) -> None:
        """Three members, an operator, and the hosts."""
        endpoints = [one.url for one in self.members]
        with open(os.path.join(self.folder, 'fleet.conf'), 'w',
                  encoding='utf-8') as stream:
            stream.write('[DEFAULT]\netcd_endpoints = %s\n'
                         % ','.join(endpoints))
        path = os.path.join(self.folder, 'volumes.yaml')
        with open(path, 'w', encoding='utf-8') as stream:
            yaml.safe_dump(self.plan.inventory(), stream)
        print('a real etcd of three members: %s' % ', '.join(endpoints))
        self.command('init')
        # a simulated second may take longer than one, and etcd's are real
        etcd.LEASE = 3600
        self.fleet = hosts.Fleet(self.plan, endpoints, self.folder,
                                 max_resyncs=RESYNCS)
        self.stack.callback(self.fleet.close)
        self.fleet.start()
        self.fleet.live(15.0)
        self._all_alive()
        self.command('load', path)
        self.command('limits', '--target', str(TO_ONE), '--all', str(IN_ALL))
        self.fleet.live(40.0)
        self.tell('%d agents live, with %d volumes on %d shelves and %d '
                  'spares' % (len(self.fleet.hosts), self._volumes(),
                              self.plan.shelves,
                              self.plan.shelves * self.plan.spares))
        self.command('status')

    def _volumes(self) -> int:
        return self.plan.hosts * self.plan.volumes

    def _all_alive(self) -> None:
        alive = self.operator.everything().alive
        if len(alive) != self.plan.hosts:
            raise Failed('%d of %d hosts are alive in etcd' % (
                len(alive), self.plan.hosts))

    def legs_on(self, shelf: int) -> int:
        """Return how many replicas etcd has on a shelf."""
        return sum(entry.live and entry.backing.target.nqn
                   == self.plan.nqn(shelf)
                   for _host, record in self.operator.everything().owned()
                   for entry in record.entries)

    def spares_taken(self) -> int:
        return sum(use.volume is not None and uuid[9:13] == '0002'
                   for uuid, use in self.operator.everything().uses.items())

    def a_shelf_dies(self) -> int:
        """It has legs of many volumes; a member of etcd dies meanwhile."""
        lost = self.legs_on(DEAD)
        # from now on the agents come between each other's requests
        self.fleet.baton.handing = HANDING
        self.fleet.lose(DEAD)
        self.tell('%s dies, with %d legs' % (self.plan.nqn(DEAD), lost))
        end = self.fleet.baton.now + PATIENCE
        victim = None
        while self.legs_on(DEAD):
            self.fleet.live(0.25 if victim is None else 2.0)
            taken = self.spares_taken()
            if victim is None and 0 < taken < lost:
                victim = self.leader()
                victim.stop()
                self.killed += 1
                self.tell('%d spares are taken; the leader of etcd, %s, is '
                          'killed' % (taken, victim.name))
            if self.fleet.baton.now > end:
                raise Failed('%d legs are still on %s' % (
                    self.legs_on(DEAD), self.plan.nqn(DEAD)))
        if victim is None:
            raise Failed('no member of etcd was killed in the middle')
        self.settle()
        self.fleet.baton.handing = 0.0
        self.tell('all volumes are whole without it; %s of etcd comes back'
                  % victim.name)
        victim.start(self.members)
        etcd_members.wait_for(lambda: etcd_members.connected([victim]))
        # nothing in etcd says that the spares there are gone, too
        self.command('cordon', self.plan.nqn(DEAD))
        self.command('spares', show=3)
        return lost

    def a_shelf_is_drained(self) -> int:
        """The operator wants to take another one out of service."""
        there = self.legs_on(DRAINED)
        for host in self.fleet.hosts:
            host.degraded = 0
        end = self.fleet.baton.now + PATIENCE
        while self.legs_on(DRAINED):
            self.command('drain', self.plan.nqn(DRAINED), '--at-once',
                         str(AT_ONCE), show=1)
            self.fleet.live(40.0)
            if self.fleet.baton.now > end:
                raise Failed('%d replicas are still on %s' % (
                    self.legs_on(DRAINED), self.plan.nqn(DRAINED)))
        self.settle()
        self.tell('%s is empty' % self.plan.nqn(DRAINED))
        return there

    def settle(self) -> None:
        """Wait until etcd has two good replicas of every volume."""
        end = self.fleet.baton.now + PATIENCE
        while self.fleet.baton.now < end:
            records = [record for _host, record
                       in self.operator.everything().owned()]
            if all(sorted(entry.state.value for entry in record.entries
                          if entry.live and entry.state is not None)
                   == ['AVAILABLE'] * 2 for record in records):
                return
            self.fleet.live(5.0)
        raise Failed('not every volume has two AVAILABLE replicas')


def checked(story: Story, drained_from: int) -> tuple[audit.Audit, int]:
    """Hold what was told against what stands in etcd, and on the media.

    :param drained_from: the revision after which the drain began.
    :returns: the audit, and the most that were on the move by the drain.
    """
    last = audit.revision(story.store, KEYS)
    changes = audit.history(story.members[0].url, KEYS.prefix + '/', last)
    seen = audit.Audit(KEYS)
    seen.replay(one for one in changes if one.revision <= drained_from)
    seen.moving = 0
    seen.replay(one for one in changes if one.revision > drained_from)
    wrongs = list(seen.wrongs)
    listed = seen.replicas()
    wrongs += ['namespace %s was taken %d times' % pair
               for pair in seen.taken.items() if pair[1] > 1]
    gone = {leg for shelf in (DEAD, DRAINED)
            for leg in story.plan.namespaces(shelf)}
    for host in story.fleet.hosts:
        for alias, legs in host.copies().items():
            if legs != set(listed[alias]):
                wrongs.append('%s: in sync are %s, listed %s' % (
                    alias, sorted(legs), sorted(listed[alias])))
            if legs & gone:
                wrongs.append('%s has a leg on a shelf that is out' % alias)
        if host.resyncs > RESYNCS:
            wrongs.append('%s: %d resyncs at once' % (host.name,
                                                      host.resyncs))
        if host.write_errors():
            wrongs.append('%s: %d write errors' % (host.name,
                                                   host.write_errors()))
        if host.degraded:
            wrongs.append('%s: an array was degraded by the drain'
                          % host.name)
    for what, most, limit in (
            ('to one shelf', story.fleet.to_one, TO_ONE),
            ('in all', story.fleet.resyncs, IN_ALL)):
        if most > limit:
            wrongs.append('%d copies at once %s, where %d may be' % (
                most, what, limit))
    if seen.moving > AT_ONCE:
        wrongs.append('%d replicas were on the move' % seen.moving)
    if wrongs:
        raise Failed('; '.join(wrongs[:5]))
    return seen, seen.moving


def play(plan: shelves.Plan, folder: str) -> str:
    """Play the story; return its line of figures."""
    with contextlib.ExitStack() as stack:
        story = Story(plan, folder, stack)
        story.begin()
        lost = story.a_shelf_dies()
        before = audit.revision(story.store, KEYS)
        drained = story.a_shelf_is_drained()
        story.command('status', show=8)
        story._all_alive()
        seen, moving = checked(story, before)
        spares = [uuid for uuid in seen.taken if uuid[9:13] == '0002']
        return (
            'FLEET hosts=%d volumes=%d legs_lost=%d legs_drained=%d '
            'spares_taken=%d taken_twice=0 members_killed=%d '
            'resyncs_at_once_per_host=%d resyncs_to_one_shelf=%d '
            'resyncs_at_once=%d moved_at_once=%d degraded_by_drain=0'
            ' write_errors=0 simulated_s=%.0f seconds=%.0f' % (
                plan.hosts, plan.hosts * plan.volumes, lost, drained,
                len(spares), story.killed,
                max(host.resyncs for host in story.fleet.hosts),
                story.fleet.to_one, story.fleet.resyncs, moving,
                story.fleet.baton.now, time.monotonic() - story.began))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog='tools/demo-fleet.sh', description='The story of a fleet that '
        'shares its volumes and spares in a real etcd.')
    parser.add_argument('--hosts', type=int, default=20)
    options = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    # what was started is to be ended
    signal.signal(signal.SIGTERM, lambda *_words: sys.exit(143))
    folder = etcd_members.scratch()
    try:
        line = play(shelves.Plan(options.hosts, 2, 5, max(
            8, options.hosts * 13 // 20)), folder)
    except (Failed, AssertionError) as error:
        print('demo-fleet: FAILED: %s' % error, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(line)
    return 0


if __name__ == '__main__':
    sys.exit(main())
