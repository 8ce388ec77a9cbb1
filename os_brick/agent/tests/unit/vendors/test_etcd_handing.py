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
"""A volume is handed over: at no moment may two hosts be healing it."""

import collections
import dataclasses
import os
from unittest import mock

from os_brick.agent import model
from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.tests.unit.vendors import test_etcd_interleaved
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.fleet import admin
from os_brick.agent.vendors.fleet import documents as documents_room
from os_brick.agent.vendors.fleet import handing
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store
from oslotest import base

host = etcd_fleet.host
NAMES = ('one', 'two', 'three')


class HandOverTestCase(etcd_fleet.RealTestCase):

    def setUp(self):
        super().setUp()
        self.begin(spares=(3,))
        self.one, self.two = map(self.alive, NAMES[:2])

    def alive(self, name):
        driver = self.driver(name)
        driver.heartbeat(host(name), 30)
        self.volumes(driver, name)
        return driver

    def observes(self, driver, name):
        return self.volumes(driver, name)['v1'].observe

    def go_on(self, under_way):
        under_way.look()
        under_way.step()
        return under_way.waits_for

    def say(self, driver):
        """The agent goes on with its pass: it works with what it was told."""
        driver.delay_resyncs((), ())

    def test_the_next_one_begins_when_the_one_before_has_said_so(self):
        under_way = self.operator.hand_over('v1', 'two')
        self.assertEqual(('one',), under_way.waits_for)
        # it does not know yet, and goes on healing
        self.say(self.one)
        self.assertEqual(('one',), self.go_on(under_way))
        self.assertTrue(self.observes(self.two, 'two'))
        self.assertTrue(self.observes(self.one, 'one'))
        # it was told, which is not to say that it goes by that
        self.assertEqual(('one',), self.go_on(under_way))
        self.assertTrue(self.observes(self.two, 'two'))
        self.say(self.one)
        self.assertTrue(self.observes(self.two, 'two'))
        self.assertEqual((), self.go_on(under_way))
        self.assertEqual('', self.observes(self.two, 'two'))
        self.assertIn('two', self.observes(self.one, 'one'))
        self.two.request_replacement(self.volume(), self.replica(1))
        revision = self.store.read(['/x']).point.revision
        self.assertEqual((), self.go_on(under_way))
        self.say(self.one)
        self.assertEqual(revision, self.store.read(['/x']).point.revision)
        # who observes for long makes no request for that
        self.volumes(self.one)
        with mock.patch.object(self.one._share, '_look',
                               side_effect=AssertionError):
            self.say(self.one)

    def test_nobody_heals_in_between_and_it_is_said(self):
        self.operator.hand_over('v1', 'two')
        for driver, name in ((self.one, 'one'), (self.two, 'two')):
            self.volumes(driver, name)
            for call, more in (
                    (driver.request_replacement, ()),
                    (driver.retire_replica, ()),
                    (driver.confirm_replica_removed, ()),
                    (driver.report_replica_state, (
                        model.ReplicaState.MISSING,))):
                self.assertRaises(vendor.Rejected, call, self.volume(),
                                  self.replica(1), *more)

    def test_killed_after_it_was_told_it_says_nothing_before_it_knows(self):
        under_way = self.operator.hand_over('v1', 'two')
        self.volumes(self.one)
        again = self.driver('one')
        again._meet(host('one'))
        self.say(again)
        self.assertEqual(('one',), self.go_on(under_way))
        self.volumes(again)
        self.say(again)
        self.assertEqual((), self.go_on(under_way))

    def test_what_a_restart_would_not_remember_is_not_said(self):
        under_way = self.operator.hand_over('v1', 'two')
        path = os.path.join(self.directory, 'one', 'etcd.json.new')
        os.mkdir(path)
        self.volumes(self.one)
        self.say(self.one)
        self.assertEqual(('one',), self.go_on(under_way))
        os.rmdir(path)
        self.volumes(self.one)
        self.say(self.one)
        self.assertEqual((), self.go_on(under_way))

    def test_in_between_no_host_says_that_another_one_heals(self):
        under_way = self.operator.hand_over('v1', 'two')
        for _pass in range(2):
            for driver, name in ((self.one, 'one'), (self.two, 'two')):
                self.assertIn('its hand-over is not done',
                              self.observes(driver, name))
                self.say(driver)
        self.assertEqual((), self.go_on(under_way))
        self.assertEqual('the host two heals it',
                         self.observes(self.one, 'one'))
        self.assertEqual('', self.observes(self.two, 'two'))

    def test_while_md_copies_it_is_not_said(self):
        """The next host would put the same replica into its own array."""
        under_way = self.operator.hand_over('v1', 'two')
        volume = self.volumes(self.one)['v1']
        copying = model.Resync(volume, volume.replicas[1], False)
        with self.assertLogs('os_brick.agent.log_once', 'INFO') as logs:
            for _pass in range(2):
                self.one.delay_resyncs([copying], ())
                self.assertEqual(('one',), self.go_on(under_way))
        self.assertEqual(1, ''.join(logs.output).count('md here still copies '
                                                       'to replica'))
        # another volume's copy is in nobody's way
        self.one.delay_resyncs([model.Resync(
            self.volume(2), self.replica(9), False)], ())
        self.assertEqual((), self.go_on(under_way))

    def test_it_may_be_taken_back_before_it_is_done(self):
        self.operator.hand_over('v1', 'two')
        self.volumes(self.one)
        self.assertEqual((), self.operator.hand_over('v1', 'one').waits_for)
        self.assertEqual('', self.observes(self.one, 'one'))
        self.assertIn('one', self.observes(self.two, 'two'))
        self.one.request_replacement(self.volume(), self.replica(1))
        self.assertIn(3, self.states(self.one))

    def test_it_may_go_to_a_third_one_before_it_is_done(self):
        three = self.alive('three')
        first = self.operator.hand_over('v1', 'two')
        under_way = self.operator.hand_over('v1', 'three')
        error = self.assertRaises(vendor.Rejected, first.look)
        self.assertIn('three', str(error))
        self.volumes(self.one)
        self.say(self.one)
        self.assertEqual((), self.go_on(under_way))
        self.assertEqual('', self.observes(three, 'three'))
        self.assertIn('three', self.observes(self.two, 'two'))

    def test_one_that_is_silent_may_go_on_healing(self):
        self.wire.call('lease/revoke', {'ID': str(self.one._lease)})
        error = self.assertRaises(vendor.Rejected, self.operator.hand_over,
                                  'v1', 'two')
        self.assertIn('--source-stopped', str(error))
        self.assertEqual({self.volume().uuid: 'one'},
                         self.operator.everything().owners)
        self.assertEqual((), self.operator.hand_over(
            'v1', 'two', stopped=True).waits_for)
        self.assertEqual('', self.observes(self.two, 'two'))

    def test_it_is_not_detached_before_it_has_said_so(self):
        under_way = self.operator.hand_over('v1', 'two')
        error = self.assertRaises(vendor.Rejected, self.operator.detach, 'v1',
                                  'one')
        self.assertIn('has not said yet', str(error))
        self.volumes(self.one)
        self.say(self.one)
        # by its document the next one knows that it may begin
        error = self.assertRaises(vendor.Rejected, self.operator.detach, 'v1',
                                  'one')
        self.assertIn('is not done', str(error))
        self.go_on(under_way)
        self.operator.detach('v1', 'one')

    def test_nor_before_it_has_read_that_it_was_said_to_be_stopped(self):
        self.operator.hand_over('v1', 'two', stopped=True)
        for _again in range(2):
            error = self.assertRaises(vendor.Rejected, self.operator.detach,
                                      'v1', 'one')
            self.assertIn('the host one was said to be stopped', str(error))
            self.volumes(self.one)    # read, and not yet in force
        self.say(self.one)
        self.operator.detach('v1', 'one')

    def test_who_never_comes_back_is_detached(self):
        self.operator.hand_over('v1', 'two', stopped=True)
        self.operator.detach('v1', 'one', gone=True)
        self.assertEqual(['two'], [
            name for name, _uuid in self.operator.everything().records])

    def test_it_is_not_loaded_in_the_middle(self):
        under_way = self.operator.hand_over('v1', 'two')
        for name in ('two', ''):
            error = self.assertRaises(vendor.Rejected, self.load,
                                      {1: (1, 4)}, name=name)
            self.assertIn('does not heal it yet, and the host one may',
                          str(error))
        self.volumes(self.one)
        self.say(self.one)
        self.assertRaises(vendor.Rejected, self.load, {1: (1, 4)}, name='')
        self.go_on(under_way)
        self.load({1: (1, 4)}, name='')
        self.assertIn(4, self.states(self.two, 'two'))

    def test_a_document_that_cannot_be_read_may_be_that_of_a_healer(self):
        self.operator.hand_over('v1', 'two', stopped=True)
        key = self.keys.volume('one', self.volume().uuid)
        self.store.write(store.Write({key: '{'}))
        error = self.assertRaises(vendor.Rejected, self.operator.hand_over,
                                  'v1', 'one')
        self.assertIn('the host one cannot be read', str(error))

    def test_etcd_that_fails_costs_the_word_and_nothing_else(self):
        under_way = self.operator.hand_over('v1', 'two')
        self.volumes(self.one)
        sound = self.one._share._store.write

        def fail(write):
            raise vendor.Unavailable('no leader')

        self.one._share._store.write = fail
        with self.assertLogs(
                'os_brick.agent.log_once', 'WARNING') as logs:
            self.say(self.one)
        self.assertIn('no leader', ''.join(logs.output))
        self.assertEqual(('one',), self.go_on(under_way))
        self.one._share._store.write = sound
        self.say(self.one)
        self.assertEqual((), self.go_on(under_way))


class AgentModel(test_etcd_interleaved.Agent):
    """An agent, and by what it goes: a restart does not undo that."""

    healing = False

    def restart(self):
        super().restart()
        self._answer = None
        self._taken = False

    def pull(self):
        found = []
        self.do(lambda driver: found.append(self.volumes()))
        self._answer = found[0] if found else None
        self._taken = False

    def take(self):
        if self._answer is not None:
            self.healing = bool(self._answer)
            self._taken = True

    def whole(self):
        self.pull()
        self.take()
        self.go_on()

    def go_on(self):
        if self._taken:
            self.do(lambda driver: driver.delay_resyncs((), ()))


class PlayedTestCase(test_etcd_interleaved.SeededTestCase):
    """The drivers themselves, killed and interrupted at any call."""

    PLAYS = 4
    STEPS = 120

    def test_never_two_heal(self):
        self.handed = 0
        self.scratch = self.directory
        for _play in range(self.PLAYS):
            self.prefix = '/play-%d' % next(self.numbers)
            self.directory = os.path.join(self.scratch, self.prefix[1:])
            for name in NAMES:
                os.makedirs(os.path.join(self.directory, name))
            self.keys = schema.Keys(self.prefix)
            self.operator = admin.Operator(self.store, self.keys)
            self.play_anew()
        self.assertTrue(self.handed)    # else nothing was shown

    def play(self, chance):
        self.begin()
        wires = [test_etcd_interleaved.Deadly(
            self.wire, 0.02, chance.random(), lambda: None)
            for _ in range(4)]
        agents = {name: AgentModel(self, name, wire)
                  for name, wire in zip(NAMES, wires)}
        operator = admin.Operator(store.Store(wires[3]), self.keys)
        last = None
        for _step in range(self.STEPS):
            if chance.random() < 0.3:
                self.operate(operator, chance)
            elif chance.random() < 0.05:
                chance.choice(list(agents.values())).restart()
            else:
                agent = chance.choice(list(agents.values()))
                chance.choice((agent.pull, agent.take, agent.go_on,
                               agent.whole, agent.whole, agent.whole))()
            healing = [name for name, agent in agents.items()
                       if agent.healing]
            self.assertLessEqual(len(healing), 1, healing)
            if healing and healing != [last]:
                self.handed += last is not None
                last = healing[0]
        for name in NAMES:
            wires[NAMES.index(name)].chance = 0.0
        wires[3].chance = 0.0
        self.settle(operator, agents)

    def settle(self, operator, agents):
        """Left alone, and with the command run again, one of them heals."""
        for _pass in range(2):
            owner, = self.operator.everything().owners.values()
            operator.hand_over('v1', owner, force=True)
            for agent in agents.values():
                agent.pull()
                agent.take()
                agent.go_on()
        operator.hand_over('v1', owner, force=True)
        agents[owner].pull()
        agents[owner].take()
        self.assertEqual([owner], [name for name, agent in agents.items()
                                   if agent.healing])

    def operate(self, operator, chance):
        name = chance.choice(NAMES)
        try:
            if chance.random() < 0.2:
                operator.detach('v1', name)
            else:
                # nobody has a lease here
                documents = self.documents(operator)
                if chance.random() < 0.8:
                    name = documents.owner
                under_way = handing.HandOver(
                    operator._store, self.keys, documents, name, False)
                under_way.step()
        except (etcd_fleet.Killed, vendor.ProvisionerError):
            pass

    def documents(self, operator):
        return documents_room.of(self.keys, operator.everything(),
                                 self.volume().uuid)


@dataclasses.dataclass(frozen=True)
class Here:
    """What a host goes by.

    :ivar heals: over a restart, too.
    :ivar told: it was told, and may say so.
    """

    heals: bool = False
    told: bool = False


@dataclasses.dataclass(frozen=True)
class World:
    """:ivar records: host -> (who heals, whether it is yielding)."""

    owner: str
    records: tuple[tuple[str, tuple[str, bool]], ...]
    hosts: tuple[tuple[str, Here], ...]


class EveryOrderTestCase(base.BaseTestCase):
    """All that three hosts and an operator can do, in every order.

    What the operator's step writes is decided by the real thing; an agent
    pulls, says its word, and is killed at any time.
    """

    KEYS = schema.Keys('/x')
    UUID = etcd_fleet.volume_uuid(1)

    def setUp(self):
        super().setUp()
        listing = etcd_fleet.listing({1: (1, 2)}, ()).volumes[0]
        self.listing = dataclasses.replace(listing, replicas=())
        self.decided = {}

    def test_never_two_heal_and_one_always_can(self):
        first = World('one', (('one', ('one', False)),), (
            ('one', Here(heals=True)), ('two', Here()), ('three', Here())))
        before = {first: set()}
        todo = collections.deque([first])
        while todo:
            world = todo.popleft()
            self.assertLessEqual(sum(here.heals for _name, here
                                     in world.hosts), 1, world)
            for after in self.all_after(world):
                if after not in before:
                    before[after] = set()
                    todo.append(after)
                before[after].add(world)
        self.assertGreater(len(before), 80)
        # from wherever it is, it can come to the state in which one heals
        good = collections.deque(
            world for world in before
            if dict(world.hosts)[world.owner].heals)
        reach = set(good)
        while good:
            for world in before[good.popleft()] - reach:
                reach.add(world)
                good.append(world)
        self.assertEqual(set(), before.keys() - reach)

    def all_after(self, world):
        records, hosts = dict(world.records), dict(world.hosts)

        def made(name, here, **changed):
            return World(world.owner, tuple(sorted(
                {**records, **changed}.items())), tuple(sorted(
                    {**hosts, name: here}.items())))

        for name, here in hosts.items():
            healer, yielding = records.get(name, ('', False))
            heals = healer == name
            yield made(name, Here(heals, yielding and not heals))
            yield made(name, Here(here.heals, False))    # started anew
            if here.told and yielding and not heals:
                yield made(name, Here(here.heals, False),
                           **{name: (healer, False)})
            if name in records and name != world.owner and not (
                    documents_room.keeps(self.documents(world), name)):
                yield World(world.owner, tuple(
                    pair for pair in world.records if pair[0] != name),
                    world.hosts)
            yield self.handed(world, name)

    def documents(self, world):
        return documents_room.Documents(
            self.UUID, store.View(store.Point('', 0), {}), world.owner,
            {one: self.record(one, *said) for one, said in world.records},
            (), frozenset())

    def record(self, name, healer, yielding):
        return schema.Record(self.listing, (), healer, 1, yielding)

    def handed(self, world, name):
        known = self.decided.get((world.owner, world.records, name))
        if known is None:
            puts, _waits = handing.decide(
                self.KEYS, self.documents(world), name, False)
            known = puts.get(self.KEYS.owners + self.UUID, world.owner), {
                one: (record.healer, record.yielding) for one in NAMES
                if (text := puts.get(self.KEYS.volume(one, self.UUID)))
                and (record := schema.load_record(text))}
            self.decided[world.owner, world.records, name] = known
        owner, changed = known
        return World(owner, tuple(sorted(
            {**dict(world.records), **changed}.items())), world.hosts)
