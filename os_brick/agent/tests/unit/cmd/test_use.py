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
"""The operator's word which copy is the one."""

from __future__ import annotations

from os_brick.agent.tests.unit import small_world
from os_brick.cmd import commands
from os_brick.cmd import use

A, B = (small_world.uuid(1, letter) for letter in 'ab')


class UseTest(small_world.WorldCase):

    def setUp(self) -> None:
        super().setUp()
        self.conf.set_override('state_dir', self.path.rpartition('/')[0])
        self.turn()

    def test_by_the_name_of_the_array(self) -> None:
        said = use.choose(self.conf, 'volume1', B.upper())
        self.assertIn('volume volume1: replica %s' % B, said)
        volume, = self.book.choices()
        self.assertEqual({volume: B}, self.book.choices())

    def test_what_is_not_known(self) -> None:
        for words, expected in (
                (('volume9', B), 'no volume "volume9"; the agent knows: '
                                 'volume1'),
                (('volume1', 'x'), '"x" is no UUID of a '
                 'replica; the volume has: %s, %s' % (A, B)),
                (('volume1', small_world.uuid(2, 'a')), 'it has: %s' % A)):
            error = self.assertRaises(commands.CommandError, use.choose,
                                      self.conf, *words)
            self.assertIn(expected, str(error))
        self.assertEqual({}, self.book.choices())

    def test_where_no_agent_has_run(self) -> None:
        self.conf.set_override('state_dir', '/nonexistent')
        error = self.assertRaises(commands.CommandError, use.choose, self.conf,
                                  'volume1', B)
        self.assertIn('/nonexistent/agent.sqlite', str(error))
