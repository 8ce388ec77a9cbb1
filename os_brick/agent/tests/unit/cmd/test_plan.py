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
"""The plan says what the next pass does, and changes nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sqlite3
from unittest import mock

from os_brick.agent.healing import decision
from os_brick.agent.healing import foresight
from os_brick.agent.healing import holding
from os_brick.agent.host import routes
from os_brick.agent.model import actions as act
from os_brick.agent.model import pauses
from os_brick.agent.safety import ownership
from os_brick.agent.store import ledger
from os_brick.agent.store import tables
from os_brick.agent.tests.unit import small_world
from os_brick.cmd import commands
from os_brick.cmd import plan

B = small_world.uuid(1, 'b')


class PlanTest(small_world.WorldCase):

    def setUp(self) -> None:
        super().setUp()
        self.conf.set_override('state_dir', self.path.rpartition('/')[0])
        self.turn()

    def planned(self) -> tuple[list[plan.Planned], list[str]]:
        with plan.copied(self.conf) as store:
            store._clock = self.clock
            return plan.plan(self.conf, store, self.host.scan(), 0.0)

    def lose(self) -> None:
        self.host.live[self.host.name(1, 'B')] = False
        self.host.legs[1]['B'] = (None, {'faulty'})

    def test_nothing(self) -> None:
        (one,), doubts = self.planned()
        self.assertEqual(((), ()), (one.found.steps, one.found.notes))
        self.assertEqual([], doubts)
        self.assertIn('nothing is to be done', plan.as_text([one], []))

    def test_it_is_what_the_next_pass_does(self) -> None:
        self.lose()
        did = []
        for _turn in range(30):
            # the pass has the provisioner's word, the plan what was kept of it
            self.book.keep_volumes(self.driver.get_volumes(
                small_world.HOST, (), self.cycle._last.targets_wanted))
            (one,), _doubts = self.planned()
            before = len(self.host.did), len(self.driver.said)
            self.turn()
            done = [type(action).__name__
                    for action in self.host.did[before[0]:]]
            asked = [words[0] for words in self.driver.said[before[1]:]
                     if words[0] in ('replace', 'retire', 'confirm')]
            steps = [step.what.split()[0] if not step.what.startswith('ask')
                     else step.what.split()[4] for step in one.found.steps
                     if not step.held_by]
            self.assertEqual([*done, *asked], steps)
            did += done + asked
        self.assertIn('RemoveLeg', did)
        self.assertIn('AddLeg', did)
        self.assertIn('replace', did)

    def test_a_later_release_is_named_with_the_file_that_it_wrote(self):
        with contextlib.closing(sqlite3.connect(self.path)) as other:
            for name, number in (('user_version', 0), ('application_id',
                                                       tables.APPLICATION)):
                other.execute('PRAGMA %s=%d' % (
                    name, number + tables.VERSION + 1))
        error = self.assertRaises(ledger.LaterRelease, self.planned)
        self.assertIn(self.path + ' was written by a later release',
                      str(error))

    def test_nothing_is_changed(self) -> None:
        self.lose()
        with open(self.path, 'rb') as stream:
            before = stream.read()
        self.planned()
        with open(self.path, 'rb') as stream:
            self.assertEqual(before, stream.read())
        self.assertEqual([], self.host.did)

    def test_what_falls_due(self) -> None:
        self.host.legs[1]['B'] = (1, {'in_sync', 'faulty'})
        self.lose()
        (one,), _doubts = self.planned()
        text = plan.as_text([one], [])
        self.assertIn('1. RemoveLeg array=md1 device=nvme11n1', text)
        self.assertIn('falls due in', text)

    def test_a_host_that_is_to_blame(self) -> None:
        """As the passes do: another copy would fare no better."""
        self.lose()
        self.turn()
        self.clock.advance(3600.0)
        with mock.patch.object(routes, 'no_way', return_value='eth1 is down'):
            (one,), _doubts = self.planned()
        text = plan.as_text([one], [])
        self.assertIn('replica %s is not replaced meanwhile: eth1 is down' % B,
                      text)
        self.assertNotIn('ask the provisioner to replace', text)
        with mock.patch.object(routes, 'no_way', return_value=''):
            (one,), _doubts = self.planned()
        text = plan.as_text([one], [])
        self.assertNotIn('not replaced', text)
        self.assertIn('ask the provisioner to replace', text)

    def test_the_limit_of_copies(self) -> None:
        self.conf.set_override('resync_speed_max', 50)
        (one,), _doubts = self.planned()
        words = 'SetSyncSpeedMax array=md1 kib_per_s=51201 (option ' \
            'resync_speed_max: 50 MiB/s)'
        self.assertIn('1. %s\n' % words, plan.as_text([one], []) + '\n')
        self.book.pause(pauses.ALL, pauses.Pause(1e12, 'cable'))
        (one,), _doubts = self.planned()
        self.assertEqual([(words, 'paused by the operator (cable)')], [
            (step.what, step.held_by) for step in one.found.steps])
        # as the pass finds it
        self.book.resume(pauses.ALL)
        self.host.limits['md1'] = 900
        (one,), _doubts = self.planned()
        self.assertEqual((), one.found.steps)
        self.host.limits['md1'] = 0
        self.driver.volumes[1] = dataclasses.replace(
            self.driver.volumes[1], observe='another host heals it')
        self.turn()
        (one,), _doubts = self.planned()
        self.assertEqual((), one.found.steps)

    def test_a_law_holds_back(self) -> None:
        snapshot = self.host.scan()
        volume = self.driver.volumes[1]
        array = self.host.array(1)
        decided = decision.HealingDecision({}, actions=(
            act.RemoveLeg('why not', 'md1', 'nvme11n1'),
            act.RemoveLeg('why not', 'md2', 'nvme11n1')))
        found = foresight.foresee(
            volume, array, snapshot, decided, ownership.Owned(
                frozenset(['md1'])), holding.Limits(), ['md1'])
        self.assertIn('S3', found.steps[0].held_by)
        self.assertIn('gone', found.steps[1].held_by)

    def test_S15_the_first_write_is_waited_for(self) -> None:
        self.host.used = False
        self.host.legs[1].pop('B')
        self.turn(3)
        self.assertEqual([], self.host.did)
        (one,), _doubts = self.planned()
        step = next(step for step in one.found.steps
                    if step.what.startswith('AddLeg'))
        self.assertIn('S15: nobody on this host has written', step.held_by)
        text = plan.as_text([one], [])
        self.assertIn('nothing is put in before the first write', text)
        self.host.used = True
        (one,), _doubts = self.planned()
        self.assertNotIn('first write', plan.as_text([one], []))
        self.turn()
        self.assertEqual(['AddLeg'], [type(action).__name__
                                      for action in self.host.did])

    def test_a_pause_holds_back(self) -> None:
        self.lose()
        self.book.pause(pauses.ALL, pauses.Pause(1e12, 'cable'))
        (one,), _doubts = self.planned()
        self.assertTrue(one.found.steps)
        for step in one.found.steps:
            self.assertEqual('paused by the operator (cable)', step.held_by)
        self.assertIn('     held back: paused', plan.as_text([one], []))

    def test_arrays_that_are_not_ours(self) -> None:
        self.driver.volumes.clear()
        self.host.legs[7] = {'A': (0, {'in_sync'}), 'B': (1, {'in_sync'})}
        _planned, doubts = self.planned()
        self.assertEqual(['array volume7 (md7): left alone: no volume that '
                          'is known claims it'], doubts)

    def test_json(self) -> None:
        self.lose()
        found = json.loads(plan.as_json(*self.planned()))
        self.assertEqual(plan.SCHEMA, found['schema'])
        self.assertEqual('volume1', found['volumes'][0]['volume'])
        self.assertIn('RemoveLeg', found['volumes'][0]['steps'][0]['what'])

    def test_where_no_agent_has_run(self) -> None:
        self.conf.set_override('state_dir', '/nonexistent')
        error = self.assertRaises(commands.CommandError, self.planned)
        self.assertIn('/nonexistent/agent.sqlite', str(error))
