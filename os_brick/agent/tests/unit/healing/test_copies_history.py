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
"""Copies that part and meet again: what is judged, held against the truth.

A small md writes superblocks as Linux 6.1 does; beside it is kept which
acknowledged writes each copy really holds.
"""

from __future__ import annotations

import dataclasses

import hypothesis
from hypothesis import strategies as st
from oslotest import base

from os_brick.agent.healing import custody
from os_brick.agent.healing import replica_record
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.safety import copies
from os_brick.agent.tests.unit.healing import test_custody
from os_brick.agent.tests.unit.safety import test_copies
from os_brick.agent.tests.unit import superblocks

NUMBERS = range(3)
SETTINGS = hypothesis.settings(
    max_examples=1500,
    suppress_health_check=list(hypothesis.HealthCheck))
LETTERS = 'ABC'
State = model.ReplicaState


@dataclasses.dataclass
class Copy:
    """:ivar writes: the acknowledged writes that it holds; the truth."""

    events: int = 10
    members: frozenset[int] = frozenset(NUMBERS)
    updated: float = 1000.0
    writes: frozenset[int] = frozenset()


class Md:
    """:ivar legs: the copies in charge.

    :ivar here: those that were since it was started; what the agent has seen.
    :ivar came: in which step each became a leg the last time, ``went``: left.
    :ivar before: those that were when it was stopped the last time.
    :ivar forked: it came up without a write that was acknowledged.
    :ivar parted: it came up without any that was in charge before.
    """

    def __init__(self) -> None:
        self.before = frozenset(NUMBERS)
        self.copies = {number: Copy() for number in NUMBERS}
        self.legs = frozenset(NUMBERS)
        self.time = 1000.0
        self.writes = self.steps = 0
        self.here = frozenset(NUMBERS)
        self.came = dict.fromkeys(NUMBERS, 0)
        self.went = dict.fromkeys(NUMBERS, 0)
        self.forked = self.parted = False

    def superblocks(self, step: int = 1) -> None:
        """Write them to all legs, as at each change."""
        self.time += 1.0
        events = max(self.copies[leg].events for leg in self.legs) + step
        for leg in self.legs:
            copy = self.copies[leg]
            copy.events, copy.members = events, self.legs
            copy.updated = self.time

    def write(self, times: int) -> None:
        """Acknowledged by all legs; md marks the array as active."""
        for _time in range(times):
            self.superblocks()
            self.writes += 1
            for leg in self.legs:
                self.copies[leg].writes |= {self.writes}

    def clean(self) -> None:
        """It may take the last count back (md.c, md_update_sb)."""
        if self.legs == frozenset(NUMBERS):
            self.superblocks(-1)

    def drop(self, leg: int) -> None:
        if leg in self.legs and len(self.legs) > 1:
            self.legs -= {leg}
            self.went[leg] = self.steps
            self.superblocks()

    def restart(self, here: frozenset[int]) -> None:
        """Of whichever are here, the newest; the others are left out."""
        self.superblocks()
        self.before = self.legs
        newest = max(here, key=lambda one: self.copies[one].events)
        self.legs = frozenset(
            one for one in here
            if one in self.copies[newest].members
            and newest in self.copies[one].members
            and self.copies[one].events == self.copies[newest].events)
        every = {write for copy in self.copies.values()
                 for write in copy.writes}
        self.forked |= not every <= self.copies[newest].writes
        self.parted |= self.legs.isdisjoint(self.before)
        self.here = self.legs
        self.superblocks()

    def judge(self, number: int) -> copies.Judgement:
        contents = {'nvme%dn1' % one: superblocks.content(superblocks.of(
            one, copy.events, copy.members - {one}, copy.updated))
            for one, copy in self.copies.items()}
        array = test_copies.array(*sorted(self.legs))
        array = dataclasses.replace(array, instance='boot/1', legs=tuple(
            dataclasses.replace(leg, replica_uuid=leg.device)
            for leg in array.legs))
        return copies.judge('nvme%dn1' % number, array, contents,
                            left=self.left(number))

    def left(self, number: int) -> act.Departure:
        """Return what the agent knows that looks in each step."""
        here = number in self.here
        return act.Departure(frozenset(
            'nvme%dn1' % one for one in NUMBERS
            if here and self.came[one] > self.went[number]),
            'boot/1' if here else '')

    def lacks(self, number: int) -> bool:
        """The array lacks an acknowledged write that the copy holds."""
        held = frozenset[int]().union(*(self.copies[leg].writes
                                        for leg in self.legs))
        return not self.copies[number].writes <= held

    def add(self, number: int) -> None:
        """Add it, and bring it up to date."""
        source = self.copies[min(self.legs)]
        self.copies[number] = dataclasses.replace(source)
        self.legs |= {number}
        self.here |= {number}
        self.came[number] = self.steps
        self.superblocks()


SOME = st.one_of(st.sampled_from([frozenset([one]) for one in NUMBERS]),
                 st.frozensets(st.sampled_from(NUMBERS), min_size=1))
STEPS = st.lists(st.one_of(
    st.tuples(st.just('clean')),
    st.tuples(st.just('write'), st.integers(1, 6)),
    st.tuples(st.just('drop'), st.sampled_from(NUMBERS)),
    st.tuples(st.just('add'), st.sampled_from(NUMBERS)),
    st.tuples(st.just('restart'), SOME)), min_size=4, max_size=30)


class JudgeTest(base.BaseTestCase):

    @SETTINGS
    @hypothesis.given(STEPS)
    def test_S10_no_acknowledged_write_is_copied_over(
            self, steps: list[tuple[object, ...]]) -> None:
        md = Md()
        for name, *words in steps:
            md.steps += 1
            if name != 'add':
                getattr(md, str(name))(*words)
            elif words[0] not in md.legs:
                number = int(str(words[0]))
                found = md.judge(number)
                if found.usable:
                    self.assertFalse(md.lacks(number), steps)
                    md.add(number)
                else:
                    # who was dropped by this array comes back into it
                    self.assertNotIn(number, md.here, str((found.why, steps)))
                    # who only left and comes back is kept out only where
                    # all that it knew have left, too: it looks the same
                    self.assertTrue(
                        md.parted or md.copies[number].members.isdisjoint(
                            md.legs), (found.why, steps))


class CustodyTest(base.BaseTestCase):

    @SETTINGS
    @hypothesis.given(STEPS)
    def test_S10_an_array_on_an_old_copy_is_seen_at_the_first_look(
            self, steps: list[tuple[object, ...]]) -> None:
        """The agent looks after each step, and tells all that it sees."""
        md = Md()
        records: replica_record.ReplicaRecords = test_custody.fresh()
        for name, *words in steps:
            if name == 'add':
                number = int(str(words[0]))
                if number not in md.legs:
                    md.add(number)
            else:
                getattr(md, str(name))(*words)
            attached = name == 'restart'
            legs = ''.join(LETTERS[leg] for leg in sorted(md.legs))
            listed = ''.join(letter + ('+' if records[
                test_custody.NAMES[letter]].current else '-')
                for letter in LETTERS) if attached else 'A+B+C+'
            view = test_custody.view(records, legs, listed)
            records = custody.follow(view, attached, False)
            alarm = custody.alarm(test_custody.view(records, legs, listed))
            self.assertTrue(alarm or not md.forked, steps)
            if alarm:
                # whether something was written meanwhile it cannot know
                self.assertTrue(md.legs.isdisjoint(md.before), (steps, alarm))
                return
