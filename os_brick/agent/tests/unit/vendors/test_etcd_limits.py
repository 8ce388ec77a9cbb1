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
"""Limits of a fleet on etcd: how much is copied at once, by all hosts."""

import random
import threading

from oslotest import base

from os_brick.agent import model
from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.tests.unit.vendors import test_etcd_interleaved
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.fleet import fields
from os_brick.agent.vendors.fleet import limits
from os_brick.agent.vendors.fleet import places
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store

Limits, Place = limits.Limits, limits.Place
host, ns = etcd_fleet.host, etcd_fleet.ns
VOLUME = etcd_fleet.volume_uuid(1)


class DelaysTestCase(base.BaseTestCase):

    def place(self, target='t1', domain='d1', planned=False):
        return Place(VOLUME, target, domain, planned)

    def test_each_limit_counts_for_itself(self):
        there = [self.place(), self.place('t2'), self.place('t3', 'd2')]
        for bounds, wanted, expected in (
                (Limits(), self.place(), ''),
                (Limits(target=1), self.place(), 'to target t1'),
                (Limits(target=2), self.place(), ''),
                (Limits(target=1), self.place('t4'), ''),
                (Limits(domain=2), self.place('t4'), 'to failure domain d1'),
                (Limits(domain=2), self.place('t4', 'd2'), ''),
                (Limits(domain=1), self.place('t4', ''), ''),
                (Limits(total=3), self.place('t4', 'd4'), 'in all'),
                (Limits(total=4), self.place('t4', 'd4'), ''),
                # of a replica that nobody knows only the total counts
                (Limits(1, 1), self.place('', ''), '')):
            why = limits.delays(bounds, wanted, there)
            self.assertEqual(bool(expected), bool(why), (bounds, wanted, why))
            self.assertIn(expected, why)
        # two without a failure domain are not in the same one
        self.assertEqual('', limits.delays(
            Limits(domain=1), self.place('t1', ''), [self.place('t2', '')]))

    def test_planned_exchanges_leave_half_of_the_places(self):
        planned = self.place(planned=True)
        for total, most in ((1, 1), (2, 1), (3, 1), (4, 2), (5, 2)):
            there = [planned] * (most - 1)
            self.assertEqual('', limits.delays(Limits(total=total), planned,
                                               there))
            self.assertIn('planned', limits.delays(
                Limits(total=total), planned, [*there, planned])
                if total > 1 else 'planned')
            if total > most:
                self.assertEqual('', limits.delays(
                    Limits(total=total), self.place(), [*there, planned]))

    def test_what_stands_in_etcd(self):
        place = Place(VOLUME, 't', 'd', True, 1.5, '77')
        self.assertEqual(place, limits.load_place(limits.dump_place(place)))
        for text in ('', '[]', '{"volume": 5}'):
            self.assertEqual(Place(''), limits.load_place(text))
        fleet = schema.Fleet('f', limits=Limits(1, 2, 3))
        self.assertEqual(fleet, schema.load_fleet(schema.dump_fleet(fleet)))
        # an earlier release has written none
        self.assertEqual(Limits(), schema.load_fleet(
            '{"version": 1, "fleet": "f", "generation": 1}').limits)
        for nonsense in ([], {'total': -1}, {'total': True}):
            self.assertRaises(fields.Nonsense, limits.load, nonsense)


class PlacesTestCase(etcd_fleet.RealTestCase):

    def setUp(self):
        super().setUp()
        self.begin({1: (1, 2), 2: (3, 4)})
        self.operator.limit({'total': 1})

    def agent(self, name):
        made = self.driver(name)
        self.met(made, name)
        return made

    def met(self, driver, name):
        driver.heartbeat(host(name), 1.0)
        driver.get_volumes(host(name), (), ())

    def resync(self, number, planned=False):
        return model.Resync(self.volume(), self.replica(number), planned)

    def ask(self, driver, under_way=(), wanted=()):
        """Return which of the wanted wait, by number."""
        said = driver.delay_resyncs([self.resync(one) for one in under_way],
                                    [self.resync(one) for one in wanted])
        return None if said is None else {int(one[:8]) for one in said}

    def there(self):
        return sorted((name, int(one[:8])) for name, one
                      in self.operator.everything().resyncs)

    def test_one_host_after_the_other(self):
        one, two = self.agent('one'), self.agent('two')
        self.assertEqual({2}, self.ask(one, wanted=(1, 2)))
        self.assertEqual({3}, self.ask(two, wanted=(3,)))
        # asked again, and begun
        self.assertEqual(set(), self.ask(one, wanted=(1,)))
        self.assertEqual(set(), self.ask(one, under_way=(1,)))
        self.assertEqual({3}, self.ask(two, wanted=(3,)))
        self.assertEqual([('one', 1)], self.there())
        self.assertEqual(set(), self.ask(one))
        self.assertEqual(set(), self.ask(two, wanted=(3,)))
        self.assertEqual([('two', 3)], self.there())

    def test_a_target_and_its_domain_are_known_from_etcd(self):
        self.operator.limit({'target': 1, 'total': 0})
        one = self.agent('one')
        self.ask(one, wanted=(1, 2))
        self.assertEqual(
            {('t1', ''), ('t2', '')},
            {(place.target.rpartition(':')[2], place.domain) for place
             in self.operator.everything().resyncs.values()})

    def test_what_md_copies_has_its_place_whatever_the_limit(self):
        one, two = self.agent('one'), self.agent('two')
        self.assertEqual(set(), self.ask(one, under_way=(1, 2)))
        self.assertEqual({3}, self.ask(two, wanted=(3,)))
        self.assertEqual({4}, self.ask(two, under_way=(3,), wanted=(4,)))
        self.assertEqual([('one', 1), ('one', 2), ('two', 3)], self.there())

    def test_the_end_of_a_lease_frees_its_places(self):
        one, two = self.agent('one'), self.agent('two')
        self.assertEqual(set(), self.ask(one, wanted=(1,)))
        self.assertEqual({3}, self.ask(two, wanted=(3,)))
        # the host is dead for longer than its lease
        self.wire.call('lease/revoke', {'ID': str(one._lease)})
        self.assertEqual([], self.there())
        self.assertEqual(set(), self.ask(two, wanted=(3,)))
        # it was only cut off, and its copy went on
        self.assertRaises(vendor.ProvisionerError, self.ask, one, (1,), (2,))
        self.met(one, 'one')
        self.assertEqual({2}, self.ask(one, under_way=(1,), wanted=(2,)))
        self.assertEqual([('one', 1), ('two', 3)], self.there())
        # cut off once more, with nothing else to ask for
        self.wire.call('lease/revoke', {'ID': str(one._lease)})
        self.met(one, 'one')
        self.ask(one, under_way=(1,))
        self.assertEqual([('one', 1), ('two', 3)], self.there())

    def test_a_place_does_not_outlive_the_lease_by_its_turn(self):
        one = self.agent('one')
        self.ask(one, wanted=(1,))
        self.wire.call('lease/revoke', {'ID': str(one._lease)})
        self.assertTrue(self.store.read([self.keys.turn]).get(
            self.keys.turn).revision)

    def test_after_a_restart(self):
        one, two = self.agent('one'), self.agent('two')
        self.ask(one, wanted=(1,))
        # the agent was killed; md copies on, under a lease of its own
        again = self.agent('one')
        self.assertEqual(set(), self.ask(again, under_way=(1,)))
        self.wire.call('lease/revoke', {'ID': str(one._lease)})
        self.assertEqual([('one', 1)], self.there())
        # killed before it began, and it is no longer wanted
        again = self.agent('one')
        self.ask(again)
        self.assertEqual([], self.there())
        self.assertEqual(set(), self.ask(two, wanted=(3,)))

    def test_hosts_that_ask_at_the_same_time(self):
        self.operator.limit({'total': 3})
        names = ['h%d' % number for number in range(10)]
        agents = [self.driver(name) for name in names]
        begin = threading.Barrier(len(names))
        begun, errors = [], []

        def ask(number):
            driver, name = agents[number], names[number]
            driver._store = store.Store(self.connect())
            driver._meet(host(name)).places._store = driver._store
            try:
                self.met(driver, name)
                begin.wait(etcd_fleet.LONG)
                if not self.ask(driver, wanted=(number + 1,)):
                    begun.append(name)
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=ask, args=(number,))
                   for number in range(len(names))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(etcd_fleet.LONG)
        self.assertEqual([], errors)
        self.assertLessEqual(len(begun), 3)
        self.assertGreaterEqual(len(begun), 1)
        self.assertEqual(sorted(begun), sorted(
            name for name, _one in self.there()))

    def test_limits_change_while_hosts_run(self):
        one, two = self.agent('one'), self.agent('two')
        self.ask(one, wanted=(1,))
        self.operator.limit({'target': 0, 'domain': 0, 'total': 0})
        self.met(one, 'one')
        self.assertIsNone(self.ask(one, under_way=(1,)))
        self.assertEqual([], self.there())
        self.operator.limit({'total': 2})
        for driver, name in ((one, 'one'), (two, 'two')):
            self.met(driver, name)
        self.assertEqual(set(), self.ask(one, under_way=(1,)))
        self.assertEqual({4}, self.ask(two, wanted=(3, 4)))
        self.operator.limit({'total': 1})
        self.assertEqual({4}, self.ask(two, under_way=(3,), wanted=(4,)))

    def test_an_etcd_that_is_behind_gives_no_place(self):
        one = self.agent('one')
        seen = one._memory.seen
        one._memory.keep(type(seen)(seen.fleet, store.Point(
            seen.point.cluster, seen.point.revision + 1000),
            seen.volumes, seen.host))
        self.assertRaises(vendor.BadAnswer, self.ask, one, (), (1,))

    def test_more_than_one_transaction_holds(self):
        one = self.agent('one')
        many = range(1, 251)
        self.assertEqual(set(), self.ask(one, under_way=many))
        self.assertEqual(250, len(self.there()))
        self.ask(one)
        self.assertEqual([], self.there())
        self.operator.limit({'total': 1000})
        waits = self.ask(one, wanted=many)
        self.assertEqual(150, len(waits))
        self.assertEqual(50, len(self.ask(one, wanted=many)))


class Counting:
    def __init__(self, caller):
        self.caller = caller
        self.calls = 0
        self.before = lambda: None
        self.away = self.losing = False

    def call(self, path, body):
        self.calls += 1
        if self.away:
            raise vendor.Unavailable('nobody answers')
        if body.get('compare'):
            self.before()
        answer = self.caller.call(path, body)
        if self.losing and body.get('compare'):
            raise vendor.Unavailable('the answer was lost')
        return answer


class RequestsTestCase(etcd_fleet.FleetTestCase):
    """What is asked, and what may happen between two requests."""

    def setUp(self):
        super().setUp()
        self.begin()
        self.operator.limit({'total': 1})
        self.counting = Counting(self.wire)
        self.made = self.driver('one')
        self.made._store = store.Store(self.counting)
        self.made._share = None
        self.look()

    resync = PlacesTestCase.resync
    ask = PlacesTestCase.ask

    def look(self):
        self.made.heartbeat(host('one'), 1.0)
        self.made.get_volumes(host('one'), (), ())

    def cost(self, under_way=(), wanted=()):
        self.counting.calls = 0
        self.ask(self.made, under_way, wanted)
        return self.counting.calls

    def test_nothing_is_asked_in_peace_and_while_a_copy_goes_on(self):
        self.assertEqual(1, self.cost())      # what is left of a past life?
        self.assertEqual(0, self.cost())
        self.assertEqual(2, self.cost(wanted=(1,)))
        self.assertEqual(1, self.cost(wanted=(1,)))
        self.assertEqual(0, self.cost(under_way=(1,)))
        self.assertEqual(2, self.cost())      # it has ended
        self.assertEqual(0, self.cost())

    def test_nothing_is_asked_without_limits(self):
        self.operator.limit({'target': 0, 'domain': 0, 'total': 0})
        self.look()
        self.assertEqual(0, self.cost(under_way=(1,), wanted=(2,)))
        self.counting.away = True
        self.assertIsNone(self.ask(self.made, wanted=(1,)))

    def test_an_etcd_that_cannot_be_reached_lifts_no_limit(self):
        self.counting.away = True
        self.assertRaises(vendor.Unavailable, self.ask, self.made, (), (1,))
        # also after a restart
        again = self.driver('one')
        again._store = self.made._store
        again._share = None
        again._meet(host('one'))
        self.assertRaises(vendor.Unavailable, self.ask, again, (), (1,))

    def test_an_answer_that_was_lost_leaves_no_place_behind(self):
        self.operator.limit({'total': 2})
        self.ask(self.made, under_way=(1,))
        self.counting.losing = True
        self.assertRaises(vendor.Unavailable, self.ask, self.made, (1,), (2,))
        self.counting.losing = False
        self.assertEqual(2, len(self.operator.everything().resyncs))
        self.ask(self.made, under_way=(1,))
        self.assertEqual(1, len(self.operator.everything().resyncs))

    def test_who_never_read_etcd_does_not_know(self):
        fresh = self.driver('new')
        self.assertRaises(vendor.Unavailable, self.ask, fresh, (), (1,))

    def test_another_host_is_quicker(self):
        other = self.driver('two')
        other.heartbeat(host('two'), 1.0)
        other.get_volumes(host('two'), (), ())

        def quicker():
            self.counting.before = lambda: None
            self.assertEqual(set(), self.ask(other, wanted=(2,)))
        self.counting.before = quicker
        self.assertEqual({1}, self.ask(self.made, wanted=(1,)))

    def test_the_limit_is_lowered_between_the_look_and_the_write(self):
        self.operator.limit({'total': 2})
        other = self.driver('two')
        other.heartbeat(host('two'), 1.0)
        other.get_volumes(host('two'), (), ())
        self.ask(other, wanted=(2,))

        def lower():
            self.counting.before = lambda: None
            self.operator.limit({'total': 1})
        self.counting.before = lower
        self.assertEqual({1}, self.ask(self.made, wanted=(1,)))

    def test_others_are_always_quicker(self):
        self.operator.limit({'total': 5})
        self.counting.before = lambda: self.store.write(store.Write(
            {self.keys.turn: str(random.random())}))
        self.assertEqual({1}, self.ask(self.made, wanted=(1,)))
        self.assertLess(self.counting.calls, 6 + 2 * places.TURNS)

    def test_one_that_makes_an_array_whole_goes_first(self):
        said = self.made.delay_resyncs([], [
            self.resync(1, planned=True), self.resync(2)])
        self.assertEqual({ns(1)}, set(said))


class KilledTestCase(test_etcd_interleaved.SeededTestCase):
    """Hosts that die, and lose requests and answers, at any point.

    The double's leases do not end: what was begun is counted, always.
    """

    HOSTS = ('h1', 'h2', 'h3')
    LIMIT = 2

    def test_never_more_than_the_limit_and_all_are_done(self):
        self.play_anew()

    def play(self, chance):
        self.begin({1: (1, 2)}, (), 'h1')
        self.operator.limit({'total': self.LIMIT})
        deadly = [test_etcd_interleaved.Deadly(
            self.wire, 0.08, chance.random(), lambda: None)
            for _name in self.HOSTS]
        agents = [test_etcd_interleaved.Agent(self, name, wire)
                  for name, wire in zip(self.HOSTS, deadly)]
        todo = [set(range(10 * n, 10 * n + 6)) for n in range(3)]
        copying = [set() for _name in self.HOSTS]
        most = 0
        for step in range(900):
            if step == 500:
                for wire in deadly:
                    wire.chance = 0
            number = chance.randrange(3)
            mine, want = copying[number], todo[number]
            if mine and chance.random() < 0.3:
                mine.discard(chance.choice(sorted(mine)))
            wanted = sorted(want - mine)[:3]
            # what it wants may be another matter by the time it is told
            said = []
            agents[number].do(lambda driver: said.append(self.told(
                driver, self.HOSTS[number], mine, wanted)))
            for waits in said:
                for one in wanted:
                    # a copy that may begin does not always
                    if one not in waits and chance.random() < 0.8:
                        mine.add(one)
                        want.discard(one)
            most = max(most, sum(map(len, copying)))
            self.assertLessEqual(sum(map(len, copying)), self.LIMIT)
        self.assertEqual([set()] * 3, todo)
        self.assertEqual(self.LIMIT, most)

    def told(self, driver, name, under_way, wanted):
        driver.heartbeat(host(name), 1.0)
        driver.get_volumes(host(name), (), ())
        return PlacesTestCase.ask(self, driver, under_way, wanted)

    def resync(self, number):
        return model.Resync(self.volume(), self.replica(number))
