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
"""A host that goes down waits for no lost target of these volumes."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
from unittest import mock

from os_brick.agent.host import commands as host_commands
from os_brick.agent.host import sysfs
from os_brick.agent.tests.unit import small_world
from os_brick.cmd import commands
from os_brick.cmd import going_down


class GoingDownTest(small_world.WorldCase):

    def setUp(self) -> None:
        super().setUp()
        self.conf.set_override('state_dir', self.path.rpartition('/')[0])
        self.turn()
        self.snapshot = self.host.scan()
        scanner = mock.patch.object(sysfs, 'Scanner').start()
        scanner.return_value.scan = lambda: self.snapshot
        self.write = mock.patch.object(host_commands, 'write').start()
        self.addCleanup(mock.patch.stopall)

    def go(self) -> str:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            going_down.run(argparse.Namespace(seconds=15), lambda: self.conf)
        return out.getvalue()

    def written(self) -> list[str]:
        return sorted(call.args[2] for call in self.write.mock_calls)

    def test_each_connection_of_the_volumes_is_bounded(self) -> None:
        said = self.go()
        paths = sorted(path.name for path in self.snapshot.controllers)
        self.assertGreater(len(paths), 1)
        self.assertEqual(paths, self.written())
        for call in self.write.mock_calls:
            self.assertEqual(('15', 'ctrl_loss_tmo'),
                             (call.args[0], call.args[-1]))
        self.assertIn('is given up once it was lost for 15 s', said)

    def test_what_another_one_uses_is_left_alone(self) -> None:
        """S4: the machine's own root may be behind such a connection."""
        other = self.snapshot.controllers[0].name
        self.snapshot = dataclasses.replace(self.snapshot, namespaces=tuple(
            dataclasses.replace(one, in_use='mounted on /')
            if one in self.snapshot.through(other) else one
            for one in self.snapshot.namespaces))
        self.go()
        self.assertNotIn(other, self.written())
        self.assertTrue(self.written())

    def test_a_loss_is_bounded(self) -> None:
        self.assertEqual(600, going_down.seconds('600'))
        for text in ('0', '-1', '601', '1.5', 'banana', '', '²'):
            error = self.assertRaises(argparse.ArgumentTypeError,
                                      going_down.seconds, text)
            self.assertIn('"%s"' % text, str(error))

    def test_what_fails_does_not_keep_the_others(self) -> None:
        self.write.side_effect = host_commands.CommandFailed('no such file')
        error = self.assertRaises(commands.CommandError, self.go)
        self.assertEqual(len(self.snapshot.controllers),
                         len(self.written()))
        self.assertIn('no such file', str(error))
