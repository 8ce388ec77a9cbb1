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
"""Snapshots of a small host, and the events between two of them."""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses

from oslotest import base

from os_brick.agent import model
from os_brick.agent.model import events
from os_brick.agent.model import snapshots

A = 'aaaaaaaa-0000-4000-8000-000000000001'
B = 'bbbbbbbb-0000-4000-8000-000000000002'
C = 'cccccccc-0000-4000-8000-000000000003'
PORTAL = model.Portal('192.0.2.1', 4420)
OK = frozenset({'in_sync', 'failfast'})
FAULTY = frozenset({'faulty', 'failfast'})
SPARE = frozenset({'spare'})
EMPTY = snapshots.HostSnapshot()


def controller(name: str = 'nvme1', state: str = 'live',
               nqn: str = 'nqn.2024-01.test:a') -> model.Controller:
    return model.Controller(name, nqn, PORTAL, None, state)


def namespace(*controllers: str, device: str = 'nvme1n1',
              uuid: str | None = A) -> model.Namespace:
    return model.Namespace(device, uuid, 1 << 20, controllers)


def leg(device: str, flags: frozenset[str] = OK,
        replica_uuid: str | None = None,
        slot: int | None = None) -> model.Leg:
    number = int(device[4])
    return model.Leg(device, number - 1 if slot is None else slot, flags,
                     replica_uuid or (None, A, B, C)[number])


WHOLE = model.Array('md127', 'volume', None, 2, 0, 'clean', 'idle', 1 << 20,
                    (leg('nvme1n1'), leg('nvme2n1')))


def array(*legs: model.Leg, **changes: object) -> snapshots.HostSnapshot:
    """A snapshot with one array; without legs, a whole one."""
    base_array = dataclasses.replace(WHOLE, legs=legs or WHOLE.legs)
    return snapshots.HostSnapshot(arrays=(
        dataclasses.replace(base_array, **changes),))  # type: ignore


def hosts(*controllers: model.Controller,
          namespaces: Iterable[model.Namespace] = ()
          ) -> snapshots.HostSnapshot:
    return snapshots.HostSnapshot(controllers, tuple(namespaces))


class EventCase(base.BaseTestCase):

    def expect(self, old: snapshots.HostSnapshot, new: snapshots.HostSnapshot,
               *kinds: str) -> tuple[model.Event, ...]:
        found = events.diff(old, new)
        self.assertEqual(list(kinds), [event.kind for event in found])
        self.assertEqual((), events.diff(new, new))
        return found
