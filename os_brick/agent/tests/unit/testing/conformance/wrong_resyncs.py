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
"""Drivers that are wrong about the copies that wait."""

from os_brick.agent.tests.unit.testing.conformance import entering
from os_brick.agent.tests.unit.testing.conformance import shelf

Right = shelf.PerfectDriver
wrong = entering.wrong


@wrong('resyncs_that_wait_are_named')
class Listing(Right):
    def delay_resyncs(self, under_way, wanted):
        if not self.shelf.limit:
            return [one.replica.uuid for one in wanted]
        return super().delay_resyncs(under_way, wanted)


@wrong('one_resync_waits_for_another')
class Generous(Right):
    def place_more(self, wanted):
        if len(wanted) > 1:
            return {}
        return super().place_more(wanted)


@wrong('resync_that_may_begin_still_may_later')
class CountsItself(Right):
    def place_more(self, wanted):
        if len(wanted) == 1 and wanted[0].replica.uuid in self.shelf.places:
            return {wanted[0].replica.uuid: 'the shelf is busy'}
        return super().place_more(wanted)


@wrong('resync_that_goes_on_keeps_its_place')
class Forgetful(Right):
    times = 0

    def kept_places(self, under_way, wanted):
        if under_way and wanted:
            self.times += 1
        kept = super().kept_places(under_way, wanted)
        return set() if self.times == 4 else kept


@wrong('resync_that_ended_frees_its_place')
class Clinging(Right):
    seen: frozenset[str] = frozenset()

    def kept_places(self, under_way, wanted):
        self.seen |= {one.replica.uuid for one in under_way}
        return super().kept_places(under_way, wanted) | self.seen


@wrong('resync_counts_without_having_been_asked_for')
class CountsItsOwn(Right):
    given: frozenset[str] = frozenset()

    def kept_places(self, under_way, wanted):
        return super().kept_places(under_way, wanted) & self.given

    def place_more(self, wanted):
        waits = super().place_more(wanted)
        self.given |= self.shelf.places
        return waits


@wrong('reason_of_a_wait_stays_the_same')
class Counting(Right):
    times = 0

    def place_more(self, wanted):
        self.times += 1
        return {replica: '%s (%d)' % (why, self.times)
                for replica, why in super().place_more(wanted).items()}


@wrong('restart_frees_what_it_has_forgotten')
class Trusting(Right):
    """It frees only what it has given itself, in this life."""

    mine: frozenset[str] = frozenset()

    def kept_places(self, under_way, wanted):
        return super().kept_places(under_way, wanted) | (
            self.shelf.places - self.mine)

    def place_more(self, wanted):
        before = set(self.shelf.places)
        waits = super().place_more(wanted)
        self.mine |= self.shelf.places - before
        return waits


@wrong('outage_lifts_no_limit')
class Lenient(Right):
    def delay_resyncs(self, under_way, wanted):
        if self.shelf.mood == 'outage':
            return {}
        return super().delay_resyncs(under_way, wanted)


@wrong('delaying_ends_in_silence')
class Patient(Right):
    def delay_resyncs(self, under_way, wanted):
        if self.shelf.mood == 'silence':
            self.shelf.released.wait()
        return super().delay_resyncs(under_way, wanted)
