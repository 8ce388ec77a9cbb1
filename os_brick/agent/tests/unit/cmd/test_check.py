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
"""nvme-agent check, as an operator runs it."""

from __future__ import annotations

import json
import os

from os_brick.agent.tests.unit.cmd import command_case
from os_brick.cmd import check


class CheckTest(command_case.CommandCase):

    def found(self, **values: str) -> tuple[int, dict[str, dict[str, str]]]:
        argv = self.configured(**values)
        os.chmod(argv[1], 0o644)
        ended = self.run_agent('check', '--json', *argv)
        self.assertEqual('', ended.stderr)
        found = json.loads(ended.stdout)
        self.assertEqual(max(
            ['success', 'warning', 'failure'].index(one['code'])
            for one in found), ended.returncode)
        return ended.returncode, {one['details']: one for one in found}

    def test_what_is_misspelt_and_what_cannot_be(self) -> None:
        status, found = self.found(poll_intervall='3', host_uuid='banana',
                                   io_fail_timeout='1.5')
        self.assertEqual(2, status)
        for words, code in (('is poll_interval meant?', 'warning'),
                            ('"banana" is no UUID', 'failure'),
                            ('1.5 becomes 2', 'warning'),
                            ('"local" can be loaded', 'success'),
                            ('state_dir', 'failure')):
            one, = [one for details, one in found.items() if words in details]
            self.assertEqual(code, one['code'])

    def test_what_is_known_is_not_complained_of(self) -> None:
        for name in ('state', 'run'):
            os.mkdir(os.path.join(self.folder, name))
        _status, found = self.found(debug='true', log_file='/x',
                                    kioxia_provisioner_ip='192.0.2.1')
        wrong = [one for one in found.values()
                 if one['about'] == 'configuration']
        self.assertEqual(['success'], [one['code'] for one in wrong],
                         str(wrong))

    def test_as_text(self) -> None:
        ended = self.run_agent('check', *self.configured(
            provisioner_driver='acme'))
        self.assertEqual(2, ended.returncode)
        self.assertIn('Failure  driver: option provisioner_driver',
                      ended.stdout)
        self.assertIn('\n         -> ', ended.stdout)


class NovaTest(command_case.CommandCase):

    def test_the_lock_path(self) -> None:
        path = os.path.join(self.folder, 'nova.conf')
        for text, expected in (
                ('[oslo_concurrency]\nlock_path = /a\n', '/a'),
                ('[oslo_concurrency]\nlock_path = /a\n'
                 '[os_brick]\nlock_path = /b\n', '/b'),
                ('[oslo_concurrency]\nlock_path = $state_path/tmp\n', None),
                ('lock_path = /a\n', None)):
            with open(path, 'w', encoding='ascii') as stream:
                stream.write(text)
            self.assertEqual(expected, check._nova([path, '/nowhere']))
