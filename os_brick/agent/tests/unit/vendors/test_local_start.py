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
"""The local driver starts on what there is, and says what it cannot use."""

import contextlib
import logging
import os
import random
import sqlite3
import stat
import subprocess

import fixtures
from testtools import content

from os_brick.agent import model
from os_brick.agent.tests.unit.vendors import local_case
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.inventory import assignments
from os_brick.agent.vendors import local

State = model.ReplicaState
spare = local_case.spare
volume = local_case.volume


class StartTestCase(local_case.LocalTestCase):

    def refused(self, *words):
        error = self.assertRaises(vendor.ConfigurationError,
                                  self.driver.set_up)
        for word in words:
            self.assertIn(word, str(error))

    def test_options_have_the_vendors_prefix(self):
        for option in local.LocalDriver.options():
            self.assertTrue(option.name.startswith('local_'))
            self.assertTrue(option.help)

    def test_no_file(self):
        self.refused('local_inventory_file', self.path, 'No such file')

    def test_broken_file(self):
        self.write(text='volumes:\n- 1\n')
        self.refused('local_inventory_file', self.path, 'line 2')

    def test_state_dir_cannot_be_made(self):
        self.write(volume('a'))
        open(self.state_dir, 'w').close()
        self.refused('state_dir', self.state_dir)

    def test_ledger_cannot_be_opened(self):
        self.write(volume('a'))
        os.makedirs(self.sqlite)
        self.refused('state_dir', self.sqlite, 'Is a directory')

    def test_ledger_is_no_database(self):
        """The agent starts, and guards what it knows."""
        self.write(volume('a'))
        os.makedirs(self.state_dir)
        with open(self.sqlite, 'wb') as stream:
            stream.write(b'no database ' * 1000)
        log = self.useFixture(fixtures.FakeLogger(level=logging.ERROR))
        self.driver.set_up()
        self.assertIn(self.sqlite + ' cannot be used: file is not a database',
                      log.output)
        for _again in range(2):
            error = self.assertRaises(vendor.Unavailable, self.volumes)
            self.assertIn('A damaged ledger', str(error))
        os.rename(self.sqlite, self.sqlite + '.away')
        self.assertEqual({'a'}, set(self.listed()))
        self.write(text='[')
        self.restart()
        self.assertEqual({'a'}, set(self.listed()))

    def test_any_damage_is_no_reason_not_to_start(self):
        seed = random.randrange(2 ** 32)
        self.addDetail('seed', content.text_content(str(seed)))
        chance = random.Random(seed)
        self.start(volume('a', 'b'), spares=[spare('c')])
        self.exchange('a')
        self.driver.close()
        with open(self.sqlite, 'rb') as stream:
            good = bytearray(stream.read())
        for _round in range(60):
            bad = bytearray(good)
            for _byte in range(chance.choice((1, 10, 1000))):
                bad[chance.randrange(len(bad))] = chance.randrange(256)
            if chance.random() < 0.3:
                del bad[chance.randrange(len(bad)):]
            with open(self.sqlite, 'wb') as stream:
                stream.write(bad)
            self.driver = local.LocalDriver(self.conf)
            self.driver.set_up()
            for call in (self.volumes, lambda: self.report(
                    'b', State.MISSING)):
                with contextlib.suppress(vendor.Unavailable, vendor.Rejected,
                                         KeyError):
                    call()
            self.driver.close()

    def test_what_cannot_be_written_is_read(self):
        self.start(volume('a', 'b'), spares=[spare('c')])
        self.request('a')
        self.driver.close()
        self.addCleanup(subprocess.run, ['umount', '-l', self.state_dir],
                        capture_output=True)
        for words in (['--bind', self.state_dir, self.state_dir],
                      ['-o', 'remount,bind,ro', self.state_dir]):
            done = subprocess.run(['mount', *words], capture_output=True,
                                  text=True)
            if done.returncode:
                self.skipTest('needs root: %s' % done.stderr.strip())
        self.restart()
        self.assertEqual({'a', 'b', 'c'}, set(self.listed()))
        error = self.assertRaises(vendor.Unavailable, self.retire, 'a')
        self.assertIn('readonly', str(error))
        subprocess.run(['umount', '-l', self.state_dir], check=True)
        self.retire('a')

    def test_ledger_of_a_later_release(self):
        self.start(volume('a'))
        self.driver.close()
        with sqlite3.connect(self.sqlite) as database:
            for name, number in (('user_version', 0), (
                    'application_id', assignments.APPLICATION)):
                database.execute('PRAGMA %s=%d' % (
                    name, number + assignments.VERSION + 1))
        database.close()
        self.refused('state_dir', self.sqlite, 'later release')

    def test_files_are_the_agents_alone(self):
        self.start(volume('a'))
        self.assertEqual(0o600, stat.S_IMODE(os.stat(self.sqlite).st_mode))
        self.assertEqual(0o700, stat.S_IMODE(
            os.stat(self.state_dir).st_mode))

    def test_operators_file_is_never_written_to(self):
        self.start(volume('a', 'b'), spares=[spare('c')])
        os.chmod(self.path, 0o400)
        before = os.stat(self.path)
        self.exchange('a')
        after = os.stat(self.path)
        self.assertEqual((before.st_mtime_ns, before.st_ino),
                         (after.st_mtime_ns, after.st_ino))
