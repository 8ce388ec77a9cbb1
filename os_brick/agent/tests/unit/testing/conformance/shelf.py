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
"""A driver that does everything right, over a back end in memory."""

import contextlib
import dataclasses
import threading
import time
import unittest

from oslo_config import cfg

from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.testing.conformance import bench
from os_brick.agent.testing.conformance import hooks
from os_brick.agent.testing.conformance import suite
from os_brick.agent.vendors import base

State = model.ReplicaState
SECRET = 'sesame-4711'


def uuid(number):
    return '00000000-0000-4000-8000-%012d' % number


@dataclasses.dataclass
class Kept:
    state: State
    number: int
    since: float
    successor: str = ''


class Shelf:
    """:ivar mood: what is wrong with it: outage, silence, refusing..."""

    def __init__(self):
        self.mood = ''
        self.released = threading.Event()
        self.the_end = threading.Event()
        self.leaving = []
        self.spares = 50
        self.limit = 0
        self.places = set()
        self.next = 100
        self.events = []
        self.volumes = {}
        for number in (1, 2):
            self.volumes[uuid(number)] = {
                uuid(10 * number + slot): Kept(
                    State.AVAILABLE, 10 * number + slot, time.time())
                for slot in range(2)}

    def describe(self, volume):
        number = list(self.volumes).index(volume) + 1
        return {'uuid': volume, 'alias': 'vol-%d' % number,
                'size': -1 if self.mood == 'broken' and number == 2
                else 2 ** 30,
                'replicas': {name: dataclasses.replace(kept) for name, kept
                             in self.volumes[volume].items()}}

    def place(self, volume, old):
        if not self.spares:
            raise base.Rejected('the shelf has no spare left')
        self.spares -= 1
        self.next += 1
        self.volumes[volume][uuid(self.next)] = Kept(
            State.UNKNOWN, self.next, time.time())
        if old is not None:
            old.successor = uuid(self.next)


SHELVES: dict[str, Shelf] = {}


class PerfectDriver(base.ProvisionerDriver):

    @classmethod
    def options(cls):
        return [cfg.StrOpt('shelf_url', default='', help='Which shelf.'),
                cfg.StrOpt('shelf_token', secret=True, help='A secret.'),
                cfg.FloatOpt('shelf_timeout', default=1.0, mutable=True,
                             help='Seconds.')]

    def __init__(self, conf):
        self.conf = conf
        self.log = log_once.LogOnce()

    def set_up(self):
        self.find()

    def find(self):
        if not self.conf.shelf_url.startswith('shelf:'):
            raise base.ConfigurationError('option shelf_url must begin with '
                                          'shelf:')
        self.shelf = SHELVES[self.conf.shelf_url]

    def close(self):
        pass

    def timeout(self):
        return self.conf.shelf_timeout

    def reach(self):
        """Every call goes through here."""
        mood = self.shelf.mood
        if mood == 'outage':
            raise base.Unavailable('the shelf is away')
        if mood == 'silence':
            raise base.Unavailable('the shelf is silent')
        if mood == 'refusing':
            raise base.Unauthorized('refused; see option shelf_token')
        if mood == 'nonsense':
            raise base.BadAnswer('the shelf talks nonsense')

    def examine(self, host, arrays):
        self.find()
        self.reach()
        found, left_out = self.listed()
        return model.Examination(self.conf.shelf_url, '1', found,
                                 tuple(left_out.values()), True)

    def certificates(self):
        return [model.Certificate('of the shelf', 2e9)] if (
            not self.shelf.mood) else []

    def heartbeat(self, host, interval):
        self.reach()

    def report_event(self, event):
        self.reach()
        self.shelf.events.append(event)

    def get_volumes(self, host, arrays, targets_for):
        self.reach()
        found, left_out = self.listed()
        for volume in found:
            self.log.fine(volume.alias)
        for alias, why in left_out.items():
            self.log.trouble(alias, why)
        return found

    def listed(self):
        found, left_out = [], {}
        for volume in self.shelf.volumes:
            described = self.shelf.describe(volume)
            try:
                found.append(self.volume(described))
            except ValueError as error:
                left_out[described['alias']] = str(error)
        return found, left_out

    def volume(self, described):
        return model.Volume(
            described['uuid'], described['alias'], described['size'],
            tuple(self.replica(name, kept) for name, kept
                  in described['replicas'].items()), 2)

    def replica(self, name, kept):
        return model.Replica(name, kept.state, kept.since, model.Target(
            'nqn.2014-08.org.example:%d' % kept.number,
            (model.Portal('192.0.2.1', 4420),)))

    def kept(self, volume, replica):
        self.reach()
        return self.shelf.volumes[volume.uuid].get(replica.uuid)

    def delay_resyncs(self, under_way, wanted):
        self.reach()
        if not self.shelf.limit:
            return None
        self.shelf.places = self.kept_places(under_way, wanted)
        return self.place_more(wanted)

    def kept_places(self, under_way, wanted):
        asked = {one.replica.uuid for one in wanted}
        return self.shelf.places & asked | {
            one.replica.uuid for one in under_way}

    def place_more(self, wanted):
        waits = {}
        for one in wanted:
            if one.replica.uuid in self.shelf.places:
                continue
            if len(self.shelf.places) >= self.shelf.limit:
                waits[one.replica.uuid] = 'the shelf is busy'
            else:
                self.shelf.places.add(one.replica.uuid)
        return waits

    def report_replica_state(self, volume, replica, state):
        kept = self.kept(volume, replica)
        if kept is None or kept.state is State.TERMINATING:
            raise base.Rejected('%s is gone' % replica.uuid)
        kept.state = state

    def request_replacement(self, volume, replica):
        kept = self.kept(volume, replica)
        if kept is None:
            raise base.Rejected('%s is gone' % replica.uuid)
        if not kept.successor:
            self.shelf.place(volume.uuid, kept)
            self.answer()

    def answer(self):
        if self.shelf.mood == 'losing':
            raise base.Unavailable('the answer was lost')

    def retire_replica(self, volume, replica):
        kept = self.kept(volume, replica)
        if kept is None:
            return
        if not any(other.state is State.AVAILABLE and other is not kept
                   for other in self.shelf.volumes[volume.uuid].values()):
            raise base.Rejected('%s is the last one' % replica.uuid)
        kept.state = State.TERMINATING

    def confirm_replica_removed(self, volume, replica):
        kept = self.kept(volume, replica)
        if kept is None:
            return
        if kept.state is not State.TERMINATING:
            raise base.Rejected('%s is to stay' % replica.uuid)
        del self.shelf.volumes[volume.uuid][replica.uuid]


class OnShelf(bench.Bench):
    """A bench of the kit whose drivers' back end is the shelf."""

    vendor = 'shelf'
    aliases = ('vol-1', 'vol-2')
    driver: type[base.ProvisionerDriver] = PerfectDriver

    def setUp(self):
        super().setUp()
        self.url = 'shelf:%x' % id(self)
        self.shelf = SHELVES[self.url] = Shelf()
        self.addCleanup(SHELVES.pop, self.url)

    def make_driver(self):
        return self.driver(self.configure(
            self.driver, shelf_url=self.url, shelf_token=SECRET))


class ShelfConformance(OnShelf, suite.DriverConformance, unittest.TestCase):
    """The kit over the shelf: nothing is missing."""

    story_examples = 30

    def secrets(self):
        return [SECRET]

    @contextlib.contextmanager
    def _in(self, mood):
        before, self.shelf.mood = self.shelf.mood, mood
        try:
            yield
        finally:
            self.shelf.mood = before
            self.shelf.released.set()

    def outage(self):
        return self._in('outage')

    def silence(self):
        return self._in('silence')

    def refused_credentials(self):
        return self._in('refusing')

    def hostile_answers(self):
        return [('nonsense', self._in('nonsense'))]

    @contextlib.contextmanager
    def broken_volume(self):
        with self._in('broken'):
            yield 'vol-2'

    def lost_answer(self):
        return self._in('losing')

    @contextlib.contextmanager
    def without_spares(self):
        before, self.shelf.spares = self.shelf.spares, 0
        yield
        self.shelf.spares = before

    def impossible_settings(self):
        yield 'shelf_url', self.driver(self.configure(
            self.driver, shelf_url='elsewhere', shelf_token=SECRET))

    @contextlib.contextmanager
    def resync_limit(self):
        self.shelf.limit = 1
        yield
        self.shelf.limit = 0

    def live_changes(self):
        return [hooks.LiveChange('shelf_timeout', 7.0, lambda driver:
                                 self.assertEqual(7.0, driver.timeout()))]
