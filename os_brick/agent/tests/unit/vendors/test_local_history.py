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
"""The local driver through random edits, faults, restarts, and SIGKILL."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from hypothesis import settings
from hypothesis import stateful
from hypothesis import strategies as st
from oslo_config import cfg
import yaml

from os_brick.agent import model
from os_brick.agent.tests.unit.vendors import local_case
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors import local

State = model.ReplicaState
LETTERS = 'abcdef'
_SILENT = logging.NullHandler()
VOLUMES = (local_case.VOLUME, local_case.OTHER)


class History(stateful.RuleBasedStateMachine):
    """An operator edits, the agent asks; what must hold always does."""

    def __init__(self):
        super().__init__()
        # in memory: thousands of synced transactions need no real disk
        self.directory = tempfile.mkdtemp(
            dir='/dev/shm' if os.path.isdir('/dev/shm') else None)
        logging.getLogger('os_brick.agent.vendors').addHandler(_SILENT)
        self.path = os.path.join(self.directory, 'volumes.yaml')
        self.wanted = {VOLUMES[0]: ['a', 'b'], VOLUMES[1]: ['c']}
        self.spares = {'d': 0, 'e': 0}
        self.driver = None
        self.before = {}
        self.confirmed = set()
        self.save()
        self.restart()

    def teardown(self):
        if self.driver is not None:
            self.driver.close()
        shutil.rmtree(self.directory)
        logging.getLogger('os_brick.agent.vendors').removeHandler(_SILENT)

    @stateful.rule()
    def restart(self):
        if self.driver is not None:
            self.driver.close()
        conf = cfg.ConfigOpts()
        conf.register_opts([cfg.StrOpt('state_dir', default=self.directory)])
        conf.register_opts(list(local.LocalDriver.options()))
        conf([], default_config_files=[])
        conf.set_override('local_inventory_file', self.path)
        self.driver = local.LocalDriver(conf)
        self.driver.set_up()

    def save(self):
        with open(self.path + '.new', 'w') as stream:
            yaml.safe_dump({
                'volumes': [
                    local_case.volume(*letters, uuid=uuid,
                                      alias='v' + uuid[-1])
                    for uuid, letters in self.wanted.items()],
                'spares': [local_case.spare(letter, returned=count)
                           for letter, count in self.spares.items()]}, stream)
        os.utime(self.path + '.new', (1e9, 1e9))
        os.rename(self.path + '.new', self.path)

    @stateful.rule(letter=st.sampled_from(LETTERS),
                   where=st.sampled_from(VOLUMES + ('spares', 'nowhere')),
                   count=st.integers(0, 3))
    def edit(self, letter, where, count):
        """Move a namespace to one place of the file."""
        wanted = {uuid: [one for one in letters if one != letter]
                  for uuid, letters in self.wanted.items()}
        spares = {one: times for one, times in self.spares.items()
                  if one != letter}
        if where == 'spares':
            spares[letter] = count
        elif where in wanted:
            wanted[where].append(letter)
        if all(wanted.values()):
            self.wanted, self.spares = wanted, spares
            self.save()

    @stateful.rule(uuid=st.sampled_from(VOLUMES))
    def remove_volume(self, uuid):
        if len(self.wanted) > 1:
            self.wanted.pop(uuid, None)
            self.save()

    @stateful.rule(uuid=st.sampled_from(VOLUMES))
    def restore_volume(self, uuid):
        taken = {one for letters in self.wanted.values() for one in letters}
        free = [one for one in LETTERS
                if one not in taken and one not in self.spares]
        if uuid not in self.wanted and free:
            self.wanted[uuid] = free[:2]
            self.save()

    @stateful.rule()
    def break_the_file(self):
        with open(self.path, 'w') as stream:
            stream.write('volumes: [')
        os.utime(self.path, (1e9, 1e9))

    def volumes(self):
        return {one.uuid: one for one in self.driver.get_volumes(
            local_case.HOST, (), ())}

    def pick(self, number):
        pairs = [(one, replica) for one in self.volumes().values()
                 for replica in one.replicas]
        return pairs[number % len(pairs)] if pairs else None

    @stateful.rule(number=st.integers(0, 11), twice=st.booleans())
    def request(self, number, twice):
        pair = self.pick(number)
        if pair is None:
            return
        try:
            self.driver.request_replacement(*pair)
        except vendor.Rejected:
            return
        listed = set(self.uuids(self.volumes()[pair[0].uuid]))
        if twice:
            self.driver.request_replacement(*pair)
        assert listed == set(self.uuids(self.volumes()[pair[0].uuid]))

    @stateful.rule(number=st.integers(0, 11))
    def retire(self, number):
        pair = self.pick(number)
        if pair is not None:
            try:
                self.driver.retire_replica(*pair)
            except vendor.Rejected:
                pass

    @stateful.rule(number=st.integers(0, 11))
    def confirm(self, number):
        pair = self.pick(number)
        if pair is None:
            return
        terminating = pair[1].state is State.TERMINATING
        try:
            self.driver.confirm_replica_removed(*pair)
        except vendor.Rejected:
            assert not terminating
        else:
            assert terminating
            self.confirmed.add((pair[0].uuid, pair[1].uuid))

    @stateful.rule(number=st.integers(0, 11), state=st.sampled_from(
        [State.MISSING, State.SYNCHRONIZING, State.AVAILABLE]))
    def report(self, number, state):
        pair = self.pick(number)
        if pair is None:
            return
        try:
            self.driver.report_replica_state(pair[0], pair[1], state)
        except vendor.Rejected:
            assert pair[1].state is State.TERMINATING
        else:
            assert state is self.volumes()[pair[0].uuid].replica(
                pair[1].uuid).state

    @staticmethod
    def uuids(one):
        return [replica.uuid for replica in one.replicas]

    @stateful.invariant()
    def laws_hold(self):
        now = self.volumes()
        everywhere = [uuid for one in now.values() for uuid in
                      self.uuids(one)]
        assert len(everywhere) == len(set(everywhere)), 'given to two'
        for uuid, one in now.items():
            staying = [replica for replica in one.replicas
                       if replica.state is not State.TERMINATING]
            assert 0 < one.replica_count <= len(staying)
            assert all(replica.target for replica in one.replicas)
            last = self.before.get(uuid)
            if last is None:
                continue
            gone = set(self.uuids(last)) - set(self.uuids(one))
            assert all((uuid, replica) in self.confirmed
                       for replica in gone), 'gone unconfirmed'
        assert now == self.volumes(), 'asking changes nothing'
        inventory = self.driver._source.inventory
        for listing in inventory.volumes:
            one = now.get(listing.uuid)
            # a volume all of whose replicas were moved away is left out,
            # but holds on to them
            held = {entry.uuid for entry in self.driver._ledger.entries()
                    if entry.live and entry.volume != listing.uuid}
            free = {replica.uuid for replica in listing.replicas} - held
            if free:
                # spares may be listed beside the one that they stand for
                stands = {entry.uuid: entry.stands_for for entry
                          in self.driver._ledger.entries()
                          if entry.volume == listing.uuid}
                places = {stands.get(uuid) or uuid for uuid in free}
                assert one is not None
                assert one.replica_count >= len(places)
        # a volume that was not listed has been anybody's in the meantime
        self.before = {uuid: one for uuid, one in now.items()}
        self.confirmed = set()


History.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None)
HistoryTestCase = History.TestCase

DOOMED = """\
import os, signal, sys
from oslo_config import cfg
from os_brick.agent import model
from os_brick.agent.vendors import local
from os_brick.agent.vendors.inventory import assignments

state_dir, inventory, call, method, count = sys.argv[1:]
conf = cfg.ConfigOpts()
conf.register_opts([cfg.StrOpt('state_dir', default=state_dir)])
conf.register_opts(list(local.LocalDriver.options()))
conf([], default_config_files=[])
conf.set_override('local_inventory_file', inventory)
driver = local.LocalDriver(conf)
driver.set_up()
host = model.Host('nqn.2014-08.org.example:host', None, 'host')
volume, = driver.get_volumes(host, (), ())
calls = []
real = getattr(assignments.Assignments, method)


def deadly(self, *args):
    calls.append(args)
    if len(calls) == int(count):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, *args)


setattr(assignments.Assignments, method, deadly)
getattr(driver, call)(volume, volume.replicas[0])
"""


class KilledTestCase(local_case.LocalTestCase):
    """SIGKILL in the middle of a transaction leaves nothing of it."""

    def killed(self, call, method, count):
        self.driver.close()
        child = subprocess.run(
            [sys.executable, '-c', DOOMED, self.state_dir, self.path, call,
             method, str(count)], capture_output=True, timeout=60,
            env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)))
        self.assertEqual(-signal.SIGKILL, child.returncode, child.stderr)
        self.driver = local.LocalDriver(self.conf)
        self.driver.set_up()

    def test_request(self):
        self.start(local_case.volume('a', 'b'),
                   spares=[local_case.spare('c'), local_case.spare('d')])
        for count in (1, 2):
            self.killed('request_replacement', 'put', count)
            self.assertEqual({'a', 'b'}, set(self.listed()))
        self.request('a')
        self.assertEqual({'a', 'b', 'c'}, set(self.listed()))

    def test_confirm(self):
        self.start(local_case.volume('a', 'b'),
                   spares=[local_case.spare('c')])
        self.request('a')
        self.retire('a')
        for method in ('count_use', 'put'):
            self.killed('confirm_replica_removed', method, 1)
            self.assertEqual('TERMINATING', self.listed()['a'])
            self.assertEqual({}, self.driver._ledger.used())
        self.confirm('a')
        self.assertEqual({local_case.ns('a'): 1}, self.driver._ledger.used())
