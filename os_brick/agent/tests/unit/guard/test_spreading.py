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
"""Over which paths I/O goes: what is set, what left alone, what put back."""

from __future__ import annotations

import dataclasses

from oslotest import base

from os_brick.agent.guard import settings
from os_brick.agent.guard import spreading
from os_brick.agent.guard import tuning
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.tests.unit.guard import test_tuning

OWNED = test_tuning.OWNED
NUMA = model.Subsystem('nvme-subsys4', 'numa', 2)
SPREAD = dataclasses.replace(NUMA, policy='round-robin')
NOTHING = spreading.SpreadMemory()
WANTED = settings.Wanted(tuning.Times(2.0, 3.0), 'round-robin')


def host(*names: str) -> snapshots.HostSnapshot:
    """Return paths to the target nqn.t; nvme9 carries somebody else's, too."""
    found = test_tuning.host(*(
        dataclasses.replace(test_tuning.path(name), nqn='nqn.t', identity=1)
        for name in names))
    return dataclasses.replace(found, namespaces=(*(
        dataclasses.replace(one, controllers=names)
        for one in found.namespaces[:1]), *(
            one for one in found.namespaces if not one.holders)))


TWO = host('nvme1', 'nvme2')


def said(actions: list[tuple[str, act.Action]]
         ) -> list[tuple[str, str, str, str]]:
    return [(array, action.subsystem, action.nqn, action.policy)
            for array, action in actions
            if isinstance(action, act.SetIoPolicy)]


class SpreadingTest(base.BaseTestCase):

    def decide(self, snapshot: snapshots.HostSnapshot = TWO,
               found: model.Subsystem = NUMA,
               memory: spreading.SpreadMemory = NOTHING,
               policy: str = 'round-robin') -> list[tuple[str, ...]]:
        return list(said(spreading.decide(
            snapshot, OWNED, {'nqn.t': found}, memory, policy)))

    def test_what_the_kernel_does_by_itself_is_changed(self) -> None:
        self.assertEqual([('md1', 'nvme-subsys4', 'nqn.t', 'round-robin')],
                         self.decide())

    def test_what_is_left_alone(self) -> None:
        """One path, another's wish, and not wanted."""
        self.assertEqual([], self.decide(host('nvme1')))
        # without native multipath each path is a device of its own
        self.assertEqual([], self.decide(dataclasses.replace(
            TWO, namespaces=tuple(dataclasses.replace(
                one, controllers=('nvme1',)) for one in TWO.namespaces))))
        for found in (SPREAD, dataclasses.replace(NUMA,
                                                  policy='queue-depth')):
            self.assertEqual([], self.decide(found=found))
        self.assertEqual([], self.decide(policy=''))
        self.assertEqual([], self.decide(host()))

    def test_S4_a_target_that_somebody_else_uses(self) -> None:
        self.assertEqual([], self.decide(host('nvme1', 'nvme9')))
        self.assertEqual([], said(spreading.decide(
            TWO, dataclasses.replace(OWNED, arrays=frozenset()),
            {'nqn.t': NUMA}, NOTHING, 'round-robin')))

    def tried(self, policy: str) -> spreading.SpreadMemory:
        return spreading.after(TWO, NOTHING, [
            act.SetIoPolicy('', 'nvme-subsys4', 'nqn.t', policy)])

    def test_what_is_refused_is_not_asked_for_again(self) -> None:
        """But for other connections: of another subsystem, perhaps."""
        memory = self.tried('round-robin')
        self.assertEqual([], self.decide(memory=memory))
        for others in (host('nvme1', 'nvme3'), dataclasses.replace(
                TWO, controllers=tuple(dataclasses.replace(
                    one, identity=2) for one in TWO.controllers))):
            self.assertEqual(1, len(self.decide(others, memory=memory)))
        # another wish is another matter
        self.assertEqual('queue-depth', self.decide(
            memory=memory, policy='queue-depth')[0][-1])
        # what is gone is forgotten
        self.assertEqual(NOTHING, spreading.after(host(), memory, ()))

    def test_another_wish_after_a_reload(self) -> None:
        """What was set here is no wish of somebody else's."""
        memory = self.tried('round-robin')
        for policy, wanted in (('queue-depth', 'queue-depth'), ('', 'numa')):
            self.assertEqual(
                [('md1', 'nvme-subsys4', 'nqn.t', wanted)],
                self.decide(found=SPREAD, memory=memory, policy=policy))
            # be it that one path is left
            self.assertEqual(1, len(self.decide(
                host('nvme1'), SPREAD, memory, policy)))
        self.assertEqual([], self.decide(found=SPREAD, memory=memory))
        # put back, it is the kernel's own; and wanted again
        memory = self.tried('numa')
        self.assertEqual([], self.decide(memory=memory, policy=''))
        self.assertEqual('round-robin', self.decide(memory=memory)[0][-1])

    def test_what_was_changed_is_put_back(self) -> None:
        """And nothing else: not what was so before, or was changed since."""
        found = {'nqn.t': NUMA}
        memory = settings.after(TWO, settings.SettingsMemory(), [
            action for _array, action in settings.decide(
                TWO, OWNED, found, settings.SettingsMemory(), WANTED)])
        self.assertEqual([], settings.decide(TWO, OWNED, found, memory,
                                             WANTED))
        for now in (TWO, host('nvme1')):
            self.assertEqual(
                [('md1', 'nvme-subsys4', 'nqn.t', 'numa')],
                said(settings.restore(now, OWNED, {'nqn.t': SPREAD}, memory,
                                      settings.Wanted())))
        for kept, one in ((settings.SettingsMemory(), SPREAD),
                          (memory, NUMA),
                          (memory, dataclasses.replace(
                              NUMA, policy='queue-depth'))):
            self.assertEqual([], said(settings.restore(
                TWO, OWNED, {'nqn.t': one}, kept, WANTED)))
        # the times of a connection are forgotten with it, not the target's
        self.assertEqual(['SetKeepAlive', 'SetReconnectDelay'], [
            type(action).__name__ for _array, action in settings.decide(
                TWO, OWNED, found, memory.without({'nvme1'}), WANTED)])
