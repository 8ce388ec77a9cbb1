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
"""Drivers that are wrong when they only ask, or tell of certificates."""

import os

from os_brick.agent import model
from os_brick.agent.tests.unit.testing.conformance import entering
from os_brick.agent.tests.unit.testing.conformance import shelf
from os_brick.agent.vendors import base

Right = shelf.PerfectDriver
wrong = entering.wrong
examination = entering.examination
force = entering.force
HELD = entering.HELD


@wrong('examine_needs_no_set_up')
class Presuming(Right):
    def examine(self, host, arrays):
        self.shelf.describe
        return super().examine(host, arrays)


@examination('examine_lists_what_the_agent_is_told')
def first_of_all(self, found):
    return force(found, volumes=found.volumes[:1])


@examination('examine_changes_nothing')
def noting(self, found):
    with open('/dev/null', 'w', encoding='utf-8') as stream:
        stream.write(found.where)
    return found


@wrong('examine_finds_an_outage')
class Content(Right):
    def examine(self, host, arrays):
        self.find()
        if self.shelf.mood == 'outage':
            return model.Examination(self.conf.shelf_url)
        return super().examine(host, arrays)


@wrong('examine_ends_in_silence')
class Hopeful(Right):
    def examine(self, host, arrays):
        self.find()
        if self.shelf.mood == 'silence':
            self.shelf.released.wait()
        return super().examine(host, arrays)


@wrong('examine_names_the_option_of_refused_credentials')
class Curt(Right):
    def examine(self, host, arrays):
        self.find()
        if self.shelf.mood == 'refusing':
            raise base.Unauthorized('401')
        return super().examine(host, arrays)


@examination('examine_tells_of_a_broken_volume')
def discreet(self, found):
    return force(found, troubles=())


@examination('no_secret_in_an_examination')
def with_its_token(self, found):
    return force(found, where='%s?token=%s' % (found.where,
                                               self.conf.shelf_token))


@examination('nothing_is_left_behind_after_examine')
def holding(self, found):
    HELD.append(os.open('/dev/null', os.O_RDONLY))
    return found


@wrong('certificates_have_words_and_a_date')
class Milliseconds(Right):
    def certificates(self):
        return [model.Certificate(one.whose, 1000 * one.ends_at)
                for one in super().certificates()]


@wrong('certificates_of_what_does_not_answer_are_left_out')
class Insistent(Right):
    def certificates(self):
        if self.shelf.mood == 'outage':
            raise base.Unavailable('the shelf is away')
        return super().certificates()


@wrong('certificates_end_in_silence')
class Waiting(Right):
    def certificates(self):
        if self.shelf.mood == 'silence':
            self.shelf.released.wait()
        return super().certificates()
