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
"""Drivers that are wrong about their options and their start."""

from oslo_config import cfg

from os_brick.agent.tests.unit.testing.conformance import entering
from os_brick.agent.tests.unit.testing.conformance import shelf
from os_brick.agent.vendors import base

Right = shelf.PerfectDriver
wrong = entering.wrong


@wrong('options_begin_with_the_vendors_name')
class Unprefixed(Right):
    @classmethod
    def options(cls):
        return [*super().options(), cfg.StrOpt('retries', help='How many.')]


@wrong('options_are_the_same_when_asked_again')
class Fickle(Right):
    count = 0

    @classmethod
    def options(cls):
        Fickle.count += 1
        return [*super().options(), cfg.IntOpt(
            'shelf_count', default=Fickle.count % 7, help='How many.')]


@wrong('options_say_what_they_are_for')
class Helpless(Right):
    @classmethod
    def options(cls):
        return [*super().options(), cfg.StrOpt('shelf_more')]


@wrong('options_that_hold_a_secret_are_declared_so')
class Open(Right):
    @classmethod
    def options(cls):
        return [option if option.name != 'shelf_token'
                else cfg.StrOpt('shelf_token', help='A secret.')
                for option in super().options()]


@wrong('constructor_does_no_io')
class Hasty(Right):
    def __init__(self, conf):
        super().__init__(conf)
        with open('/etc/passwd', encoding='utf-8'):
            pass


@wrong('what_can_never_work_is_refused_by_name')
class Nameless(Right):
    def set_up(self):
        if not self.conf.shelf_url.startswith('shelf:'):
            raise base.ConfigurationError('the configuration is wrong')
        super().set_up()


@wrong('set_up_needs_no_provisioner')
class Needy(Right):
    def set_up(self):
        super().set_up()
        if self.shelf.mood == 'outage':
            raise base.ConfigurationError('option shelf_url: not reachable')


@wrong('mutable_option_is_in_force_at_once')
class Stubborn(Right):
    def __init__(self, conf):
        super().__init__(conf)
        self.kept_timeout = conf.shelf_timeout

    def timeout(self):
        return self.kept_timeout


@wrong('reading_the_file_again_disturbs_nothing')
class Jumpy(Right):
    jumped = False

    def __init__(self, conf):
        super().__init__(conf)
        conf.register_mutate_hook(self.jump)

    def jump(self, conf, fresh):
        self.jumped = not fresh

    def reach(self):
        if self.jumped:
            raise base.Unavailable('starting anew')
        super().reach()
