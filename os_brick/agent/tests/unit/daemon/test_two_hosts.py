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
"""A volume on two hosts, and one that was taken from this host."""

from __future__ import annotations

import dataclasses
from unittest import mock

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.tests.unit.daemon import healing_loop_case
from os_brick.agent.tests.unit import small_world
from os_brick.agent.tests.unit import superblocks

State = model.ReplicaState


class UnheardTest(healing_loop_case.CycleCase):
    """It was on another host, for all that is known, and is here again."""

    def setUp(self) -> None:
        super().setUp()
        self.host.instance = 'boot/1'
        self.turn(2)
        kept = self.host.legs.pop(1)
        self.turn(2)
        self.refuse('heartbeat', 'volumes', 'report', 'event')
        self.host.instance = 'boot/2'
        self.host.legs[1] = kept
        self.lose()
        self.host.legs[1]['B'] = (None, {'faulty'})

    def test_it_is_observed_until_the_provisioner_speaks_of_it(self):
        self.turn(8)
        self.restart()
        self.turn(8)
        self.assertEqual([], self.host.did)
        self.assertTrue(self.lines('this host only observes it: it was '
                                   'attached anew'))
        self.mend()
        self.turn(2)
        self.assertEqual(act.RemoveLeg, type(self.host.did[0]))

    def test_an_answer_that_does_not_list_it_says_nothing(self):
        self.mend()
        volumes = self.driver.volumes
        self.driver.answer = lambda volumes: []
        self.turn(4)
        self.assertEqual([], self.host.did)
        self.driver.answer = lambda _volumes: list(volumes.values())
        self.turn(2)
        self.assertEqual(act.RemoveLeg, type(self.host.did[0]))

    def test_the_same_instance_is_healed_with_nobody_to_ask(self):
        self.host.instance = 'boot/1'
        self.turn(2)
        self.assertEqual(act.RemoveLeg, type(self.host.did[0]))


class ReturnTest(healing_loop_case.CycleCase):
    """B is out, and comes back; what the other host did nobody says."""

    def setUp(self) -> None:
        super().setUp()
        self.host.instance = 'boot/1'
        self.turn(2)
        self.lose()
        del self.host.legs[1]['B']
        self.turn(2)

    def returned(self) -> act.AddLeg:
        self.host.live[self.host.name(1, 'B')] = True
        self.turn(8)
        return next(action for action in self.host.did
                    if isinstance(action, act.AddLeg))

    def test_here_all_the_while_it_comes_back_by_the_bitmap(self):
        self.restart()
        self.assertTrue(self.returned().returning)

    def test_put_together_anew_it_is_copied_whole_and_that_is_said(self):
        self.host.instance = 'boot/2'
        self.turn(2)
        self.assertFalse(self.returned().returning)
        self.assertTrue(self.lines('copied whole: it was not seen in sync '
                                   'since this host began to write'))

    def test_so_it_is_where_it_was_no_longer_listed_meanwhile(self):
        """os-brick could not stop the array, which lives on."""
        volumes = self.driver.volumes
        self.driver.answer = lambda volumes: []
        self.turn(2)
        self.driver.answer = lambda _volumes: list(volumes.values())
        self.assertFalse(self.returned().returning)

    def test_a_provisioner_that_is_silent_says_nothing(self):
        self.refuse('heartbeat', 'volumes', 'report', 'event')
        self.turn(2)
        self.mend()
        self.assertTrue(self.returned().returning)

    def test_before_the_first_write_nobody_knows_who_writes(self):
        self.host.used, self.host.instance = False, 'boot/2'
        self.host.legs[1]['B'] = (1, {'in_sync'})
        self.host.live[self.host.name(1, 'B')] = True
        self.turn(2)
        self.lose()
        del self.host.legs[1]['B']
        self.turn(2)
        self.host.used = True
        self.assertFalse(self.returned().returning)


class LiveMigrationTest(healing_loop_case.CycleCase):
    """The volume is on the source, which heals it, and here, too."""

    def setUp(self) -> None:
        super().setUp()
        self.observe('the source heals it')

    def observe(self, why: str) -> None:
        self.driver.answer = lambda volumes: [
            dataclasses.replace(volume, observe=why) for volume in volumes]

    def untouched(self) -> None:
        self.assertEqual([], self.host.did)
        for name in ('report', 'replace', 'retire', 'confirm'):
            self.assertEqual([], self.said(name))

    def test_this_host_changes_and_tells_nothing(self):
        self.turn(2)
        self.lose()
        self.turn(3)
        del self.host.legs[1]['B']
        self.turn(30)
        self.host.live[self.host.name(1, 'B')] = True
        self.turn(5)
        self.untouched()
        self.assertEqual(1, len(self.lines(
            'volume volume1, its healing: this host only observes it: the '
            'source heals it')))
        # it lives, and says what it sees
        self.assertIn(('', 'CONNECTION_LOST'), self.said('event'))

    def test_it_heals_when_it_is_handed_over(self):
        """Neither is anything held against a replica from before."""
        self.turn()
        self.lose()
        self.turn(50)
        self.observe('')
        self.turn(4)
        self.assertEqual([], self.said('replace'))
        self.assertEqual([('volume1', 'b', 'MISSING')], self.said('report'))
        self.turn(2)
        self.assertEqual(1, len(self.said('replace')))

    def test_S13_what_the_other_one_did_is_not_known(self):
        self.turn()
        del self.host.legs[1]['B']
        self.turn(50)
        self.observe('')
        self.turn(1, 6.0)
        self.assertEqual({'A'}, self.legs())
        self.turn(2)
        self.assertEqual({'A', 'B'}, self.legs())

    def test_a_restart_does_not_make_it_heal(self):
        self.turn()
        self.refuse('volumes')
        self.lose()
        self.restart()
        self.turn(30)
        self.untouched()

    def test_a_reason_that_is_no_text_is_refused(self):
        self.assertRaises(TypeError, model.Volume, small_world.uuid(1, 'f'),
                          'v', observe=True)


class EvacuationTest(healing_loop_case.CycleCase):
    """Nova took this host for dead; its volume runs elsewhere by now."""

    def test_nothing_is_asked_for_or_connected_again(self):
        self.turn()
        wanted = []
        get_volumes = self.driver.get_volumes

        def listen(host, arrays, targets_for):
            wanted.extend(targets_for)
            return get_volumes(host, arrays, targets_for)
        self.driver.get_volumes = listen
        for letter in 'AB':
            self.lose(letter)
        self.turn(30)
        self.assertEqual([], wanted)
        self.assertEqual([], [action for action in self.host.did
                              if not isinstance(action, act.FailLeg)])
        for name in ('replace', 'retire', 'confirm'):
            self.assertEqual([], self.said(name))


class ReplacedTest(healing_loop_case.CycleCase):
    """A was dropped, C copied from B; now A, or B, is here again."""

    INSTANCE = ''

    def setUp(self) -> None:
        super().setUp()
        self.host.instance = self.INSTANCE
        self.turn()
        self.volume = self.driver.volumes[1]
        self.host.legs[1].pop('A')
        self.host.live[self.host.name(1, 'A')] = False
        self.listed('abc', max_replica_down_time=0)

    def listed(self, letters: str, **words: object) -> None:
        self.driver.volumes[1] = dataclasses.replace(
            self.volume, replicas=tuple(
                model.Replica(small_world.uuid(1, letter),
                              State.AVAILABLE if letter in 'bc'
                              else State.UNKNOWN)
                for letter in letters), **words)    # type: ignore[arg-type]
        self.turn(6)

    def only_a_is_attached(self) -> None:
        self.host.legs[1] = {'A': (0, {'in_sync'})}
        for letter in 'ABC':
            self.host.live[self.host.name(1, letter)] = letter == 'A'

    def b_is_back(self) -> None:
        """It went on with C, whose number is 2."""
        self.host.written[self.host.name(1, 'B') + 'n1'] = (
            superblocks.content(superblocks.of(1, 9, (2,),
                                               array='md-uuid-1')))
        self.host.live[self.host.name(1, 'B')] = True
        self.host.did.clear()
        self.turn(10)

    def added(self) -> list[act.AddLeg]:
        return [action for action in self.host.did
                if isinstance(action, act.AddLeg)]

    def test_S10_it_came_up_on_the_old_one_between_two_looks(self) -> None:
        """Whether the kernel numbers its disks or not."""
        self.only_a_is_attached()
        self.host.instance = self.INSTANCE and 'boot/2'
        self.turn(4)
        self.b_is_back()
        self.assertEqual([], self.added())
        self.assertTrue(self.lines('its copies', 'No copy of it'))

    def test_S10_nor_where_the_first_look_failed(self) -> None:
        self.only_a_is_attached()
        self.host.instance = self.INSTANCE and 'boot/2'
        self.restart()
        with mock.patch.object(self.host, 'offline', side_effect=ValueError):
            self.turn()
        self.turn(4)
        self.b_is_back()
        self.assertEqual([], self.added())
        self.assertTrue(self.lines('its copies', 'No copy of it'))


class NotListedTest(ReplacedTest):
    """It was not listed for a while, and its array was not stopped.

    Another host may have had it.
    """

    INSTANCE = 'boot/1'

    def comes_back(self, letter: str, letters: str) -> act.AddLeg:
        self.listed('bc', replica_count=2)
        del self.driver.volumes[1]
        self.turn(6)
        self.host.legs[1].pop('C')
        self.host.live[self.host.name(1, 'C')] = letter == 'C'
        self.host.live[self.host.name(1, letter)] = True
        self.host.did.clear()
        self.listed(letters, replica_count=2)
        added, = self.added()
        self.assertEqual(small_world.uuid(1, letter.lower()),
                         added.replica_uuid)
        return added

    def test_S10_another_host_may_have_had_it_while_nothing_changed_here(
            self) -> None:
        added = self.comes_back('A', 'ba')
        self.assertFalse(added.returning)
        self.assertEqual('', added.left.instance)

    def test_S10_what_was_in_sync_meanwhile_is_not_marked_here_alone(
            self) -> None:
        added = self.comes_back('C', 'bc')
        self.assertFalse(added.returning)
        self.assertEqual('', added.left.instance)
