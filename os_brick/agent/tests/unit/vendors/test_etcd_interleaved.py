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
"""Many hosts, one pool of spares, and agents that are killed at any call.

Seeds are new in each run and are printed with a failure.  The large runs are
on a double of etcd's transactions; that it behaves as the real one does is
shown first, by the same requests to both.
"""

import base64
import random

from os_brick.agent import model
from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors import etcd
from os_brick.agent.vendors.fleet import store

State = model.ReplicaState
HOSTS = ('h1', 'h2', 'h3')
VOLUMES = (1, 2, 3, 4)
SPARES = tuple(range(90, 96))


class Deadly:
    """A wire on which the agent dies, or loses the answer.

    :param meanwhile: what others may do between any two requests.
    """

    def __init__(self, wire, chance, seed, meanwhile):
        self._wire = wire
        self._random = random.Random(seed)
        self._meanwhile = meanwhile
        self.chance = chance

    def call(self, path, body):
        if self._random.random() < 3 * self.chance:
            self._meanwhile()
        fate = self._random.random()
        if fate < self.chance:
            raise etcd_fleet.Killed
        if fate < 2 * self.chance:
            raise vendor.Unavailable('the request was lost')
        answer = self._wire.call(path, body)
        if fate > 1 - self.chance:
            raise etcd_fleet.Killed
        if fate > 1 - 2 * self.chance:
            raise vendor.Unavailable('the answer was lost')
        return answer


class Agent:
    """A host's agent: the driver, and what the healing remembers of it."""

    def __init__(self, test, name, wire):
        self.name = name
        self._test = test
        self._wire = wire
        self.restart()

    def restart(self):
        self.driver = etcd.EtcdDriver(self._test.conf(self.name))
        self.driver.set_up()
        self.driver.close()
        self.driver._store = store.Store(self._wire)
        self.driver._meet(etcd_fleet.host(self.name))

    def do(self, call):
        try:
            call(self.driver)
        except etcd_fleet.Killed:
            self.restart()
        except (vendor.Unavailable, vendor.Rejected):
            pass

    def volumes(self):
        return [volume for volume in self.driver.get_volumes(
            etcd_fleet.host(self.name), (), ()) if not volume.observe]


class SeededTestCase(etcd_fleet.FleetTestCase):

    def play_anew(self):
        """Play with a new seed, and name it where that goes wrong."""
        seed = random.randrange(2 ** 32)
        try:
            self.play(random.Random(seed))
        except Exception as error:
            raise AssertionError('seed %d: %r' % (seed, error)) from error


class InterleavedTestCase(SeededTestCase):

    STEPS = 700
    CHANCE = 0.03

    def test_no_spare_twice_and_no_second_replacement(self):
        self.play_anew()

    def play(self, chance):
        self.begin({one: (10 * one, 10 * one + 1) for one in VOLUMES},
                   SPARES, 'h1')
        agents = {name: Agent(self, name, Deadly(
            self.wire, self.CHANCE, chance.random(),
            lambda: self.operate(chance))) for name in HOSTS}
        self.taken = set()
        for _step in range(self.STEPS):
            if chance.random() < 0.1:
                self.operate(chance)
            else:
                self.heal(chance, agents[chance.choice(HOSTS)])
            self.judge()
        self.assertTrue(self.taken)    # else nothing was shown

    def operate(self, chance):
        every = self.operator.everything()
        if chance.random() < 0.5:
            self.operator.hand_over('v%d' % chance.choice(VOLUMES),
                                    chance.choice(HOSTS), force=True,
                                    stopped=True)
            return
        free = [uuid for uuid, use in every.uses.items()
                if use.volume is None]
        if free:
            self.operator.give_back(chance.choice(free))

    def heal(self, chance, agent):
        found = []
        agent.do(lambda driver: found.extend(agent.volumes()))
        if not found:
            return
        volume = chance.choice(found)
        replica = chance.choice(volume.replicas)
        if replica.state is State.TERMINATING:
            agent.do(lambda driver: driver.confirm_replica_removed(
                volume, replica))
            return
        call = chance.choice((
            lambda driver: driver.report_replica_state(
                volume, replica, chance.choice((State.MISSING,
                                                State.AVAILABLE))),
            lambda driver: driver.request_replacement(volume, replica),
            lambda driver: driver.retire_replica(volume, replica)))
        agent.do(call)

    def judge_uses(self, every):
        """No namespace is used twice; return which volume has each."""
        self.assertEqual((), every.problems)
        holders = {}
        for _name, record in every.owned():
            # one for each place: no replica has a second replacement
            self.assertEqual(2, len({
                entry.stands_for or entry.uuid for entry in record.entries
                if entry.member}), record)
            for entry in record.entries:
                if entry.live:
                    self.assertNotIn(entry.uuid, holders)
                    holders[entry.uuid] = record.uuid
        self.assertEqual(len(VOLUMES), len(list(every.owned())))
        self.assertEqual(holders, {
            uuid: use.volume for uuid, use in every.uses.items()
            if use.volume is not None})
        return holders

    def judge(self):
        every = self.operator.everything()
        self.taken |= self.judge_uses(every).keys() & every.spares.keys()
        for name, record in every.owned():
            self.assertEqual(name, record.healer)
            self.assertEqual(2, sum(
                entry.member for entry in record.entries), record)
        for uuid, use in every.uses.items():
            # one that was let go is taken only if it was given back
            if use.volume is not None and uuid in every.spares:
                self.assertGreaterEqual(every.spares[uuid].returned,
                                        use.times)


class InterleavedRealTestCase(etcd_fleet.RealTestCase, InterleavedTestCase):

    STEPS = 120

    def connect(self):
        return etcd_fleet.connected([self.member])


class ConformanceTestCase(etcd_fleet.RealTestCase):

    def test_the_double_does_what_etcd_does(self):
        seed = random.randrange(2 ** 32)
        chance = random.Random(seed)
        real = self.wire
        double = etcd_fleet.Double()
        keys = [self.prefix + '/' + name for name in (
            'a', 'a/b', 'a/c', 'a0', 'b', 'ü')]
        offset = store.Store(real).read(['/x']).point.revision - 1
        for step in range(300):
            body = self.body(chance, keys)
            answers = []
            for caller, less in ((real, offset), (double, 0)):
                answers.append(self.plain(caller.call(
                    'kv/txn', self.moved(body, less)), less))
            self.assertEqual(answers[0], answers[1], 'seed %d, step %d: %s'
                             % (seed, step, body))

    def body(self, chance, keys):
        def encoded(text):
            return base64.b64encode(text.encode()).decode()
        compare = []
        for key in chance.sample(keys, chance.randrange(3)):
            if chance.random() < 0.5:
                compare.append({
                    'key': encoded(key), 'result': 'EQUAL', 'target': 'MOD',
                    'mod_revision': chance.choice([0, 0, *range(2, 12)])})
            else:
                compare.append({
                    'key': encoded(key), 'result': 'EQUAL',
                    'target': 'VALUE',
                    'value': encoded(chance.choice('xyz'))})
        done = []
        for key in chance.sample(keys, chance.randrange(4)):
            kind = chance.random()
            if kind < 0.4:
                done.append({'request_put': {
                    'key': encoded(key), 'value': encoded(
                        chance.choice('xyz'))}})
            elif kind < 0.6:
                done.append({'request_delete_range': {'key': encoded(key)}})
            elif kind < 0.8:
                done.append({'request_range': {'key': encoded(key)}})
            else:
                done.append({'request_range': {
                    'key': encoded(key), 'range_end': encoded(
                        store._end(key))}})
        return {'compare': compare, 'success': done}

    def moved(self, body, less):
        """Shift the revisions that are compared; 0 stays 0."""
        return {**body, 'compare': [
            {**one, 'mod_revision': str(
                one['mod_revision'] and one['mod_revision'] + less)}
            if 'mod_revision' in one else one for one in body['compare']]}

    def plain(self, answer, less):
        """Keep what the store reads."""
        found = [{
            (kv['key'], kv['value'], int(kv['mod_revision']) - less)
            for kv in one['response_range'].get('kvs', [])}
            for one in answer.get('responses', []) if 'response_range' in one]
        return (answer.get('succeeded', False), found,
                len(answer.get('responses', [])),
                int(answer['header']['revision']) - less)
