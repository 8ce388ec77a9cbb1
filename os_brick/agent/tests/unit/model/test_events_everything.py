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
"""Whoever has read all events knows the host."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies

from os_brick.agent import model
from os_brick.agent.model import events
from os_brick.agent.tests.unit.model import events_case

OK, FAULTY, SPARE = events_case.OK, events_case.FAULTY, events_case.SPARE
EMPTY = events_case.EMPTY
controller = events_case.controller
leg = events_case.leg
array = events_case.array
hosts = events_case.hosts
DEVICES = ('nvme1n1', 'nvme2n1', 'nvme3n1')
_legs = strategies.fixed_dictionaries({}, optional={
    device: strategies.sampled_from((OK, FAULTY, SPARE))
    for device in DEVICES})
_states = strategies.fixed_dictionaries({}, optional={
    name: strategies.sampled_from(('live', 'connecting', 'deleting'))
    for name in ('nvme1', 'nvme2')})


def _word(flags: frozenset[str]) -> str:
    return {OK: 'LEG_IN_SYNC', FAULTY: 'LEG_FAULTY',
            SPARE: 'LEG_BACK'}[flags]


class TestEverything(events_case.EventCase):
    """Whoever has read all events knows the host."""

    @given(strategies.lists(_legs, min_size=2, max_size=6))
    def test_legs(self, history: list[dict[str, frozenset[str]]]) -> None:
        snapshots = [array(*(leg(device, flags) for device, flags
                             in sorted(legs.items()))) if legs else EMPTY
                     for legs in history]
        known = {device: _word(flags)
                 for device, flags in history[0].items()}
        for old, new, legs in zip(snapshots, snapshots[1:], history[1:],
                                  strict=False):
            told: set[model.Event] = set()
            for event in events.diff(old, new):
                self.assertNotIn(event, told)
                told.add(event)
                names = dict(event.names)
                if event.kind == 'ARRAY_STOPPED':
                    known = {}
                elif event.kind == 'ARRAY_NEW':
                    known = {device: _word(flags)
                             for device, flags in legs.items()}
                elif event.kind == 'LEG_ADDED':
                    self.assertNotIn(names['leg'], known)
                    known[names['leg']] = 'LEG_BACK'
                elif event.kind == 'LEG_REMOVED':
                    del known[names['leg']]
                elif event.kind.startswith('LEG_'):
                    self.assertNotEqual(known[names['leg']], event.kind)
                    known[names['leg']] = event.kind
            self.assertEqual(known, {device: _word(flags)
                                     for device, flags in legs.items()})

    @given(strategies.lists(_states, min_size=1, max_size=6))
    def test_connections(self, history: list[dict[str, str]]) -> None:
        alive: dict[str, bool] = {}
        before = EMPTY
        for states in history:
            now = hosts(*(controller(name, state)
                          for name, state in states.items()))
            for event in events.diff(before, now):
                name = dict(event.names)['controller']
                if event.kind == 'CONNECTION_NEW':
                    self.assertNotIn(name, alive)
                    alive[name] = event.message.endswith('new and live')
                elif event.kind == 'CONNECTION_GONE':
                    del alive[name]
                else:
                    restored = event.kind == 'CONNECTION_RESTORED'
                    self.assertIsNot(restored, alive[name])
                    alive[name] = restored
            self.assertEqual({name: state == 'live'
                              for name, state in states.items()}, alive)
            before = now
