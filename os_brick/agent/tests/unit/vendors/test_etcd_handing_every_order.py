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
"""A volume is handed over, and all that can happen does in every order."""

import collections
import dataclasses

from os_brick.agent.tests.unit.vendors import etcd_fleet
from os_brick.agent.tests.unit.vendors import etcd_handing_agent
from os_brick.agent.vendors.fleet import documents as documents_room
from os_brick.agent.vendors.fleet import handing
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store
from oslotest import base

NAMES = etcd_handing_agent.NAMES


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
