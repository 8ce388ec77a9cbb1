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
"""Whatever happens to a host, a scanner sees it as a new one would."""

from __future__ import annotations

import os
import tempfile

from hypothesis import settings
from hypothesis import stateful
from hypothesis import strategies
from oslotest import base

from os_brick.agent.host import sysfs
from os_brick.agent.tests.unit.host import fakesys
from os_brick.agent.tests.unit.host import sysfs_kept_case

A, B, C = sysfs_kept_case.A, sysfs_kept_case.B, sysfs_kept_case.C


class Host(stateful.RuleBasedStateMachine):
    """A host that changes at random, seen by a scanner that remembers."""

    controllers = strategies.sampled_from(['nvme1', 'nvme2', 'nvme3'])
    uuids = strategies.sampled_from([A, B, C, None])

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.host = fakesys.FakeHost(self.folder.name)
        self.host.array('md127', ())
        for number, uuid in enumerate((A, B, C)):
            name = 'nvme%d' % (number + 1)
            self.connect(name, 1, 'a')
            self.appear(name, uuid, 1, True)
            self.add_leg(name, number)
        self.scanner = sysfs.Scanner(self.host.root)

    def teardown(self) -> None:
        self.folder.cleanup()

    def here(self, *parts: str) -> bool:
        return os.path.lexists(self.host.path(*parts))

    @stateful.rule(name=controllers, address=strategies.integers(1, 9),
                   nqn=strategies.sampled_from('ab'))
    def connect(self, name: str, address: int, nqn: str) -> None:
        if not self.here('sys/class/nvme-fabrics/ctl', name):
            self.host.controller(name, 'nqn.2024-01.test:' + nqn,
                                 '192.0.2.%d' % address)

    @stateful.rule(name=controllers)
    def disconnect(self, name: str) -> None:
        self.lose(name)
        if self.here('sys/class/nvme-fabrics/ctl', name):
            self.host.remove('sys/class/nvme-fabrics/ctl/' + name)

    @stateful.rule(name=controllers, uuid=uuids, size=strategies.integers(
        1, 4), multipath=strategies.booleans())
    def appear(self, name: str, uuid: str | None, size: int,
               multipath: bool) -> None:
        if (self.here('sys/class/nvme-fabrics/ctl', name)
                and not self.here('sys/class/block', name + 'n1')):
            self.host.namespace(name + 'n1', uuid, (name,),
                                size * fakesys.MEBIBYTE, multipath)

    @stateful.rule(name=controllers)
    def lose(self, name: str) -> None:
        if self.here('sys/class/block', name + 'n1'):
            self.host.lose_namespace(name + 'n1')

    @stateful.rule(name=controllers, uuid=uuids)
    def replace(self, name: str, uuid: str | None) -> None:
        self.lose(name)
        self.appear(name, uuid, 1, True)

    @stateful.rule(name=controllers, address=strategies.integers(1, 9))
    def reconnect(self, name: str, address: int) -> None:
        self.disconnect(name)
        self.connect(name, address, 'a')

    @stateful.rule(name=controllers, size=strategies.integers(1, 4))
    def resize(self, name: str, size: int) -> None:
        if self.here('sys/class/block', name + 'n1'):
            self.host.attributes('sys/class/block/%sn1' % name, size=size)

    @stateful.rule(name=controllers, state=strategies.sampled_from(
        ['live', 'connecting']), tmo=strategies.sampled_from(['off', 2]))
    def change(self, name: str, state: str, tmo: object) -> None:
        if self.here('sys/class/nvme-fabrics/ctl', name):
            self.host.set_controller(name, state=state, fast_io_fail_tmo=tmo)

    @stateful.rule(name=controllers, slot=strategies.sampled_from(
        [None, 0, 1]))
    def add_leg(self, name: str, slot: int | None) -> None:
        device = name + 'n1'
        if (self.here('sys/class/block', device) and not self.here(
                'sys/class/block/md127/md/dev-' + device)):
            self.host.leg('md127', device, slot)

    @stateful.rule(name=controllers)
    def remove_leg(self, name: str) -> None:
        device = name + 'n1'
        if self.here('sys/class/block/md127/md/dev-' + device):
            self.host.remove('sys/class/block/md127/md/dev-' + device)
        if self.here('sys/class/block', device, 'holders/md127'):
            self.host.remove('sys/class/block/%s/holders/md127' % device)

    @stateful.rule(name=controllers, state=strategies.sampled_from(
        ['in_sync', 'faulty', 'spare']), slot=strategies.sampled_from(
            ['none', 0, 1]))
    def change_leg(self, name: str, state: str, slot: object) -> None:
        if self.here('sys/class/block/md127/md/dev-%sn1' % name):
            self.host.set_leg('md127', name + 'n1', state=state, slot=slot)

    @stateful.invariant()
    def seen_as_by_a_newcomer(self) -> None:
        assert self.scanner.scan() == sysfs.Scanner(self.host.root).scan()


class TestHistories(base.BaseTestCase):

    def test_any_history(self) -> None:
        stateful.run_state_machine_as_test(
            Host, settings=settings(max_examples=50, stateful_step_count=25,
                                    deadline=None))
