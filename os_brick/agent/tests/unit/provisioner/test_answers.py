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
"""What of a driver's answer is believed: what cannot be costs itself alone."""

from __future__ import annotations

import logging

import fixtures
from hypothesis import given
from hypothesis import strategies
from oslotest import base as test_base

from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.provisioner import answers
from os_brick.agent.tests.unit import small_world
from os_brick.agent.vendors import base

ONE, TWO = (small_world.uuid(number, 'f') for number in (1, 2))
A, B, C = (small_world.uuid(1, letter) for letter in 'abc')
STATES = strategies.sampled_from(list(model.ReplicaState))


def volume(uuid: str, *replicas: str, alias: str = '') -> model.Volume:
    return model.Volume(uuid, alias or 'v' + uuid[:8], replicas=tuple(
        model.Replica(replica) for replica in replicas))


GOOD = volume(ONE, A, B)


class TestJudge(test_base.BaseTestCase):

    def test_what_is_no_list(self):
        for answer in (None, 5, 'volumes', b'', {ONE: GOOD}, GOOD, object()):
            self.assertRaises(base.BadAnswer, answers.judge, answer)

    def test_nothing_but_nonsense(self):
        self.assertRaises(base.BadAnswer, answers.judge, [None, 'x'])

    def test_an_empty_list_says_nothing(self):
        self.assertEqual({}, answers.judge([]).volumes)

    def test_nonsense_costs_no_volume(self):
        for answer in ([None, GOOD], iter(['x', GOOD]), (GOOD, [GOOD])):
            found = answers.judge(answer)
            self.assertEqual({ONE: GOOD}, found.volumes)
            self.assertEqual(['an item'], list(found.problems))

    def test_a_generator_that_raises_half_way(self):
        def half(*before):
            yield from before
            raise base.Unavailable('gone')

        self.assertEqual({ONE: GOOD}, answers.judge(half(GOOD)).volumes)
        self.assertRaises(base.Unavailable, answers.judge, half())

    def test_one_without_an_end(self):
        def endless():
            while True:
                yield GOOD

        self.assertIn('its end', answers.judge(endless()).problems)

    def test_a_volume_that_is_listed_twice(self):
        other = volume(TWO, C)
        self.assertEqual({}, answers.judge([GOOD, GOOD]).problems)
        found = answers.judge([GOOD, other, volume(ONE, A)])
        self.assertEqual({TWO: other}, found.volumes)
        self.assertEqual(['volume ' + ONE], list(found.problems))


class TestAnswers(test_base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.answers = answers.Answers('acme', {}, log_once.LogOnce())

    def listed(self, uuid):
        return {one.uuid for one in self.answers.believed[uuid].replicas}

    def test_a_replica_of_two_volumes_is_unknown_for_both(self):
        for _ in range(3):
            self.answers.take([GOOD, volume(TWO, B, C)], [ONE, TWO])
        self.assertEqual({A}, self.listed(ONE))
        self.assertEqual({C}, self.listed(TWO))
        self.assertEqual(1, self.log.output.count('unknown for each'))
        self.assertIn('driver acme', self.log.output)
        # the claim stands until it is withdrawn, not while it is not heard
        self.answers.take([GOOD], [ONE, TWO])
        self.assertEqual({A}, self.listed(ONE))
        self.answers.take([GOOD, volume(TWO, C)], [ONE, TWO])
        self.assertEqual({A, B}, self.listed(ONE))

    def test_it_is_so_also_after_a_restart(self):
        self.answers.take([GOOD, volume(TWO, B, C)], [])
        again = answers.Answers('acme', self.answers.words,
                                log_once.LogOnce())
        self.assertEqual(self.answers.believed, again.believed)

    def test_what_is_not_said_stays_while_it_is_here(self):
        self.answers.take([GOOD, volume(TWO, C)], [])
        self.answers.take([volume(TWO, C)], [ONE])
        self.assertIn(ONE, self.answers.believed)
        self.answers.take([volume(TWO, C)], [])
        self.assertNotIn(ONE, self.answers.believed)

    def test_what_stays_the_same_is_the_same_value(self):
        for replicas in ((A, B), (A, B)):
            self.answers.take([volume(ONE, *replicas), volume(TWO, B)], [])
            now = self.answers.believed
        self.answers.take([volume(ONE, A, B), volume(TWO, B)], [])
        self.assertIs(now[ONE], self.answers.believed[ONE])

    @given(strategies.lists(strategies.sets(strategies.integers(0, 9)),
                            max_size=6))
    def test_no_replica_is_believed_of_two(self, owned):
        words = {one.uuid: one for one in (volume(
            small_world.uuid(number + 1, 'f'), *(
                small_world.uuid(20 + replica, 'a') for replica in replicas))
            for number, replicas in enumerate(owned))}
        believed = answers.without(words, answers.contested(words))
        self.assertEqual({}, answers.contested(believed))
        self.assertEqual(set(words), set(believed))
