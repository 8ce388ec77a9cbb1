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
"""What is said of a wrong start, and with which status it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sqlite3

from oslotest import base

from os_brick.agent.store import tables
from os_brick.agent.tests.unit.cmd import command_case
from os_brick.cmd import starting

UNIT = os.path.join(command_case.TREE, 'etc/systemd/nvme-agent.service')
GUIDE = os.path.join(command_case.TREE, 'doc/source/admin/troubleshooting.rst')
DRIVER = """
from os_brick.agent.vendors import base

class Driver(base.ProvisionerDriver):
    def __init__(self, conf):
        pass
    def set_up(self):
        raise %s
    def get_volumes(self, host, arrays, targets_for):
        return ()
    def report_replica_state(self, volume, replica, state):
        pass
    def request_replacement(self, volume, replica):
        pass
    def confirm_replica_removed(self, volume, replica):
        pass
"""


class TestCommand(command_case.CommandCase):

    def test_help(self):
        ended = self.run_agent('--help')
        self.assertEqual(0, ended.returncode, ended.stderr)
        for word in ('nvme-agent', '--config-file', '--version', 'heals',
                     '\n  status      show the volumes'):
            self.assertIn(word, ended.stdout)

    def test_version(self):
        ended = self.run_agent('--version')
        self.assertEqual(0, ended.returncode, ended.stderr)
        self.assertEqual(1, len((ended.stdout
                                 or ended.stderr).splitlines()))

    def test_no_configuration_at_all(self):
        if os.path.exists('/etc/nvme-agent/agent.conf'):
            self.skipTest('this host has a configuration')
        self.refused(starting.NO_FILE, [], '/etc/nvme-agent/agent.conf',
                     '--config-file')

    def test_a_configuration_file_that_is_not_there(self):
        self.refused(starting.NO_FILE,
                     ['--config-file', '/nowhere/agent.conf'],
                     '/nowhere/agent.conf')

    def test_an_unknown_driver(self):
        self.refused(starting.CONFIG, self.configured(
            provisioner_driver='acme'), 'provisioner_driver', 'acme', 'local')

    def test_a_wrong_value(self):
        self.refused(starting.CONFIG, self.configured(poll_interval='banana'),
                     'poll_interval', 'banana')

    def test_a_value_out_of_range(self):
        self.refused(starting.CONFIG, self.configured(io_fail_timeout='0'),
                     'io_fail_timeout')

    def test_no_lock_path(self):
        self.locks = ''
        self.refused(starting.CONFIG, self.configured(), 'lock_path')

    def test_a_directory_that_cannot_be_made(self):
        with open(os.path.join(self.folder, 'file'), 'w',
                  encoding='ascii'):
            pass
        self.refused(starting.NO_ROOM, self.configured(
            state_dir=os.path.join(self.folder, 'file/state')), 'state_dir',
            'file/state')

    def test_a_second_agent_names_the_first(self):
        os.mkdir(self.values['run_dir'])
        with open(os.path.join(self.values['run_dir'], 'agent.pid'), 'w',
                  encoding='ascii') as first:
            fcntl.flock(first, fcntl.LOCK_EX)
            first.write('4711\n')
            first.flush()
            self.refused(starting.SECOND, self.configured(),
                         'another agent', 'pid 4711')

    def test_a_helper_that_does_not_start(self):
        argv = self.configured()
        with open(argv[1], 'a', encoding='utf-8') as stream:
            stream.write('[privsep_nvme_agent]\n'
                         'helper_command = /bin/false\n')
        self.refused(starting.HELPER, argv, 'privileged helper',
                     'helper_command',
                     'privsep_nvme_agent')

    def test_a_helper_says_why_it_did_not_start(self):
        argv = self.configured()
        script = os.path.join(self.folder, 'helper')
        with open(script, 'w', encoding='utf-8') as stream:
            stream.write('#!/bin/sh\necho "sudo: a password is required" '
                         '>&2\nexit 1\n')
        os.chmod(script, 0o755)
        with open(argv[1], 'a', encoding='utf-8') as stream:
            stream.write('[privsep_nvme_agent]\nhelper_command = %s\n'
                         % script)
        said = self.refused(starting.HELPER, argv,
                            'sudo: a password is required')
        self.assertEqual(1, said.count('could not be started'))

    def test_there_is_no_sudo(self):
        self.refused(starting.HELPER, self.configured(),
                     'privileged helper could not be started', "'sudo'",
                     'helper_command')

    def test_a_directory_as_configuration_file(self):
        self.refused(starting.NO_FILE, ['--config-file', self.folder],
                     self.folder, 'directory')

    def test_a_fifo_as_configuration_file(self):
        path = os.path.join(self.folder, 'fifo')
        os.mkfifo(path)
        self.refused(starting.NO_FILE, ['--config-file', path], path,
                     'no regular file')

    def test_a_binary_file(self):
        path = os.path.join(self.folder, 'binary')
        with open(path, 'wb') as stream:
            stream.write(b'[DEFAULT]\n\xff\xfe\0')
        self.refused(starting.NO_TEXT, ['--config-file', path], path,
                     'byte 10')

    def test_a_directory_alone_is_enough(self):
        # lock_path, which is in the file, is not missed
        argv = self.configured(state_dir='state')
        self.refused(starting.CONFIG, ['--config-dir', self.folder],
                     'state_dir', '"state" is relative')
        os.unlink(argv[1])
        self.refused(starting.NO_FILE, ['--config-dir', self.folder],
                     self.folder, 'no *.conf')
        self.refused(starting.NO_FILE, ['--config-dir', '/nowhere'],
                     '/nowhere')

    def test_what_is_no_sub_command(self):
        self.refused(starting.USAGE, ['statsu'], 'no sub-command "statsu"',
                     'is status meant?')

    def test_a_sub_command_behind_options(self):
        self.refused(starting.USAGE, [*self.configured(), 'pause', '--all'],
                     'a sub-command comes first: nvme-agent pause')

    def test_what_no_agent_has_written(self):
        self.refused(1, ['history', *self.configured()],
                     self.values['state_dir'], 'has not run here')

    def test_an_unknown_option(self):
        self.refused(starting.USAGE, [*self.configured(), '--banana'],
                     '--banana', '--help')

    def test_a_log_that_cannot_be_written(self):
        self.refused(starting.NO_ROOM, self.configured(
            log_dir='/nowhere/log'), 'log_dir', '/nowhere/log')
        self.refused(starting.NO_ROOM, self.configured(
            log_file='/nowhere/agent.log'), 'log_file',
            '/nowhere/agent.log')

    def test_the_journal_without_its_library(self):
        with open(os.path.join(self.folder, 'systemd.py'), 'w',
                  encoding='ascii') as stream:
            stream.write('raise ImportError()\n')
        self.refused(starting.CONFIG, self.configured(use_journal='true'),
                     'use_journal', 'systemd')

    def test_a_fifo_as_inventory(self):
        path = os.path.join(self.folder, 'fifo')
        os.mkfifo(path)
        self.refused(starting.CONFIG, self.configured(
            local_inventory_file=path), 'local_inventory_file', path,
            'no regular file')

    def test_relative_paths(self):
        for name in ('state_dir', 'run_dir'):
            self.refused(starting.CONFIG, self.configured(
                **{name: 'here'}), name, '"here" is relative')
        self.locks = 'locks'
        self.refused(starting.CONFIG, self.configured(), 'lock_path',
                     '"locks" is relative')

    def test_the_same_state_with_another_run_directory(self):
        os.mkdir(self.values['state_dir'])
        with open(os.path.join(self.values['state_dir'], 'agent.pid'), 'w',
                  encoding='ascii') as first:
            fcntl.flock(first, fcntl.LOCK_EX)
            first.write('4711\n')
            first.flush()
            self.refused(
                starting.SECOND, self.configured(
                    run_dir=os.path.join(self.folder, 'elsewhere')),
                'another agent', 'pid 4711', 'state_dir')

    def test_a_state_of_a_later_release(self):
        os.mkdir(self.values['state_dir'])
        path = os.path.join(self.values['state_dir'], 'agent.sqlite')
        with contextlib.closing(sqlite3.connect(path)) as later:
            later.execute('PRAGMA user_version=99')
            later.execute('PRAGMA application_id=%d' % (
                tables.APPLICATION + 99))
        self.refused(starting.NO_TEXT, self.configured(), path,
                     'later release')

    def test_a_driver_that_raises(self):
        info = os.path.join(self.folder, 'acme-1.0.dist-info')
        os.mkdir(info)
        for name, text in (
                ('METADATA', 'Metadata-Version: 2.1\nName: acme\n'
                             'Version: 1.0\n'),
                ('entry_points.txt', '[os_brick.agent.provisioners]\n'
                                     'acme = acme:Driver\n')):
            with open(os.path.join(info, name), 'w',
                      encoding='ascii') as stream:
                stream.write(text)
        for error, status in (
                ('ZeroDivisionError("boom\\nboom")', starting.DEFECT),
                ('base.ConfigurationError("boom")', starting.CONFIG),
                ('base.Unavailable("boom")', starting.DRIVER)):
            with open(os.path.join(self.folder, 'acme.py'), 'w',
                      encoding='ascii') as stream:
                stream.write(DRIVER % error)
            self.refused(status, self.configured(provisioner_driver='acme'),
                         'driver "acme"', 'boom')


class TestStatuses(base.BaseTestCase):
    """Each status is documented, and the unit knows which ones last."""

    def test_the_unit_starts_no_lasting_error_again(self):
        with open(UNIT, encoding='utf-8') as stream:
            named = re.findall(r'^RestartPreventExitStatus=(.*)$',
                               stream.read(), re.M)
        self.assertEqual([sorted(starting.LASTING)],
                         [sorted(map(int, line.split())) for line in named])

    def test_the_guide_lists_each_of_them(self):
        with open(GUIDE, encoding='utf-8') as stream:
            guide = stream.read()
        for status in (starting.USAGE, starting.NO_TEXT, starting.NO_FILE,
                       starting.DRIVER, starting.DEFECT, starting.HELPER,
                       starting.NO_ROOM, starting.SECOND, starting.CONFIG):
            self.assertIn('\n   * - %d' % status, guide)
