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
"""The times of connections: what is set, what is left alone, what put back."""

from __future__ import annotations

import dataclasses

from oslotest import base

from os_brick.agent.guard import tuning
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership
from os_brick.agent.testing.simulation import targets

TIMES = tuning.Times(2.0, 3.0)
OWNED = ownership.Owned(frozenset(['md1']))


def host(*controllers: model.Controller) -> snapshots.HostSnapshot:
    """One array over all of them, and on nvme9 a namespace of nobody."""
    namespaces = [model.Namespace(
        one.name + 'n1', targets.uuid_of(number), 1, (one.name,),
        () if one.name == 'nvme9' else ('md1',))
        for number, one in enumerate(controllers)]
    array = model.Array('md1', None, None, 1, 0, 'active', 'idle', 1, ())
    return snapshots.HostSnapshot(controllers, tuple(namespaces), (array,))


def path(name: str, keep_alive: float | None = 5.0,
         reconnect_delay: float | None = 10.0,
         state: str = 'live') -> model.Controller:
    return model.Controller(name, 'nqn.' + name, None, None, state,
                            keep_alive=keep_alive,
                            reconnect_delay=reconnect_delay)


def said(actions: list[tuple[str, act.Action]]
         ) -> set[tuple[str, str, float]]:
    return {(type(action).__name__, getattr(action, 'controller'),
             getattr(action, 'seconds')) for _array, action in actions}


class TuningTest(base.BaseTestCase):

    def test_what_is_longer_is_set(self) -> None:
        found = tuning.decide(host(path('nvme1')), OWNED,
                              tuning.TuningMemory(), TIMES)
        self.assertEqual({('SetKeepAlive', 'nvme1', 2.0),
                          ('SetReconnectDelay', 'nvme1', 3.0)}, said(found))

    def test_what_is_left_alone(self) -> None:
        """Shorter, not known, lost, somebody else's, and not wanted."""
        for one in (path('nvme1', 1.0, 2.0), path('nvme1', None, None),
                    path('nvme1', state='connecting'), path('nvme9')):
            self.assertEqual([], tuning.decide(
                host(one), OWNED, tuning.TuningMemory(), TIMES))
        self.assertEqual([], tuning.decide(
            host(path('nvme1')), OWNED, tuning.TuningMemory(),
            tuning.Times()))
        self.assertEqual([], tuning.decide(
            host(path('nvme1')), ownership.Owned(frozenset()),
            tuning.TuningMemory(), TIMES))

    def test_what_is_off_is_set(self) -> None:
        found = tuning.decide(host(path('nvme1', 0.0)), OWNED,
                              tuning.TuningMemory(), TIMES)
        self.assertIn(('SetKeepAlive', 'nvme1', 2.0), said(found))

    def test_what_is_refused_is_not_asked_for_again(self) -> None:
        snapshot = host(path('nvme1'), path('nvme2'))
        memory = tuning.TuningMemory()
        for _look in range(2):
            actions = tuning.decide(snapshot, OWNED, memory, TIMES)
            memory = tuning.after(snapshot, memory, [
                action for _array, action in actions
                if getattr(action, 'controller') == 'nvme1'])
        self.assertEqual({'nvme2'}, {name for _kind, name, _seconds
                                     in said(actions)})
        # another wish of the operator is another matter
        self.assertIn(('SetKeepAlive', 'nvme1', 1.0), said(tuning.decide(
            snapshot, OWNED, memory, tuning.Times(1.0))))
        # and so is another connection of that name
        self.assertIn('nvme1', {name for _kind, name, _seconds in said(
            tuning.decide(snapshot, OWNED, memory.without({'nvme1'}),
                          TIMES))})

    def test_what_was_found_is_put_back(self) -> None:
        before = host(path('nvme1', 4.0, 20.0), path('nvme2', 0.0))
        memory = tuning.after(before, tuning.TuningMemory(), [
            action for _array, action in tuning.decide(
                before, OWNED, tuning.TuningMemory(), TIMES)])
        now = dataclasses.replace(before, controllers=tuple(
            dataclasses.replace(one, keep_alive=2.0, reconnect_delay=3.0)
            for one in before.controllers))
        self.assertEqual({('SetKeepAlive', 'nvme1', 4.0),
                          ('SetReconnectDelay', 'nvme1', 20.0),
                          ('SetKeepAlive', 'nvme2', 5.0),
                          ('SetReconnectDelay', 'nvme2', 10.0)},
                         said(tuning.restore(now, OWNED, memory, TIMES)))

    def test_s7_after_a_kill_the_kernels_own_are_put_back(self) -> None:
        """And what was never the agent's is not touched."""
        now = host(path('nvme1', 2.0, 3.0), path('nvme2', 7.0, 1.0))
        self.assertEqual({('SetKeepAlive', 'nvme1', 5.0),
                          ('SetReconnectDelay', 'nvme1', 10.0)},
                         said(tuning.restore(
                             now, OWNED, tuning.TuningMemory(), TIMES)))
