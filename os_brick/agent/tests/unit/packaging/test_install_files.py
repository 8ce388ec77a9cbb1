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
"""What the operator installs: sample configuration, unit, sudoers file."""

import configparser
import fnmatch
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import warnings

from os_brick.agent.tests.unit.packaging import wheelhouse

# systemd.exec(5): for a unit with User= each of these sets the no-new-
# privileges flag, with which sudo cannot become root.
_IMPLY_NO_NEW_PRIVILEGES = {
    'DynamicUser', 'LockPersonality', 'MemoryDenyWriteExecute',
    'PrivateDevices', 'ProtectClock', 'ProtectHostname',
    'ProtectKernelLogs', 'ProtectKernelModules', 'ProtectKernelTunables',
    'RestrictAddressFamilies', 'RestrictNamespaces', 'RestrictRealtime',
    'RestrictSUIDSGID', 'SystemCallArchitectures', 'SystemCallFilter',
    'SystemCallLog'}


class TreeTestCase(wheelhouse.TreeTestCase):

    def _directory(self):
        place = tempfile.mkdtemp(prefix='files')
        self.addCleanup(shutil.rmtree, place)
        return pathlib.Path(place)

    def _tool(self, name):
        found = shutil.which(name, path=os.defpath + ':/usr/sbin:/sbin')
        if found is None:
            self.skipTest('%s is not installed' % name)
        return found


def _blocks(sample):
    """Split a sample file: (section, namespace) -> its lines."""
    found = {}
    section = namespace = ''
    for line in sample.splitlines():
        if line.startswith('['):
            section, namespace = line, ''
        elif line.startswith('# From '):
            namespace = line.removeprefix('# From ')
        found.setdefault((section, namespace), []).append(line)
    return found


class SampleTestCase(TreeTestCase):

    def test_is_up_to_date(self):
        """Compare it with what the generator says now.

        Other libraries' options are left out: their words change with the
        library's release and not with this tree.
        """
        place = self._directory()
        # The generator finds options by entry point: give it the tree's.
        setup = configparser.ConfigParser()
        setup.read(self.tree / 'setup.cfg')
        dist_info = place / 'os_brick_nvme_agent-0.dist-info'
        dist_info.mkdir()
        (dist_info / 'METADATA').write_text(
            'Metadata-Version: 2.1\nName: os-brick-nvme-agent\nVersion: 0\n')
        (dist_info / 'entry_points.txt').write_text(''.join(
            '[%s]\n%s\n' % (name, value)
            for name, value in setup['entry_points'].items()))
        generated = place / 'sample'
        wheelhouse.run(
            sys.executable, '-m', 'oslo_config.generator', '--config-file',
            'etc/oslo-config-generator/nvme-agent.conf', '--output-file',
            generated, cwd=self.tree, XDG_CACHE_HOME=str(place / 'cache'),
            PYTHONPATH='%s:%s' % (place, self.tree))
        now = _blocks(generated.read_text())
        kept = _blocks(
            (self.tree / 'etc/nvme-agent/agent.conf.sample').read_text())
        self.assertIn(('[DEFAULT]', 'os_brick.agent'), now)
        self.assertIn(('[privsep_nvme_agent]', 'os_brick.agent'), now)
        self.assertIn(('[DEFAULT]', 'oslo.log'), now)
        self.assertIn(('[oslo_concurrency]', 'oslo.concurrency'), now)
        message = ('etc/nvme-agent/agent.conf.sample is out of date: run '
                   '"tox -e genconfig" and commit it')
        self.assertEqual(sorted(now), sorted(kept), message)
        for block, lines in now.items():
            if block[1] == 'os_brick.agent':
                self.assertEqual(lines, kept[block], message)


class SudoersTestCase(TreeTestCase):

    def setUp(self):
        super().setUp()
        self.path = self.tree / 'etc/sudoers.d/nvme-agent'
        text = self.path.read_text().replace('\\\n', ' ')
        line, = [line for line in text.splitlines()
                 if line.startswith('Cmnd_Alias')]
        self.commands = [command.strip().replace('\\=', '=') for command
                         in line.partition('=')[2].split(', ')]

    def _allowed(self, command):
        return [allowed for allowed in self.commands
                if fnmatch.fnmatchcase(command, allowed)]

    def _privsep_command(self, socket_path):
        """What privsep runs, without its leading 'sudo'."""
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            from oslo_config import cfg

            from os_brick.agent.host import privileged
        conf = cfg.CONF
        conf([], default_config_files=[], default_config_dirs=[])
        self.addCleanup(conf.reset)
        command = privileged.default.helper_command(socket_path)
        self.assertEqual(['sudo', 'privsep-helper'], command[:2])
        return ' '.join(['/usr/bin/privsep-helper', '--config-file',
                         '/etc/nvme-agent/agent.conf', *command[2:]])

    def test_allows_what_privsep_runs(self):
        with tempfile.TemporaryDirectory(dir='/tmp') as directory:
            command = self._privsep_command(directory + '/privsep.sock')
            self.assertEqual(1, len(self._allowed(command)), command)

    def test_the_helper_opens_no_log_file_as_root(self):
        """The agent's user may write its directory, and link it anywhere."""
        folder = self._directory()
        (folder / 'agent.conf').write_text(
            '[DEFAULT]\nlog_file = agent.log\nlog_dir = %s\n' % folder)
        command = self._privsep_command(str(folder / 'no.sock')).split()
        command[0] = os.path.join(os.path.dirname(sys.executable),
                                  'privsep-helper')
        command[2] = str(folder / 'agent.conf')
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60,
            env={**os.environ, 'PYTHONPATH': str(self.tree)})
        # nobody listens there: that far it has come
        self.assertIn('FileNotFoundError', done.stdout)
        self.assertEqual(['agent.conf'], os.listdir(folder))

    def test_allows_nothing_else(self):
        command = self._privsep_command('/tmp/tmpabcd_123/privsep.sock')
        self.assertEqual(1, len(self._allowed(command)))
        for part, other in (
                ('/tmp/tmpabcd_123/', '/tmp/tmp/../../etc/'),
                ('/tmp/tmpabcd_123/', '/tmp/tmpa --x=y12/'),
                ('/tmp/tmpabcd_123/', '/tmp/tmpabcd_123/more/'),
                ('privsep.sock', 'privsep.sock --config-dir /tmp'),
                ('agent.conf', 'agent.conf --config-file /tmp/own.conf'),
                ('--log-file=', '--log-file=/etc/cron.d/own'),
                ('os_brick.agent.host.privileged.default',
                 'os_brick.privileged.default'),
                ('/usr/bin/', '/tmp/')):
            changed = command.replace(part, other)
            self.assertNotEqual(command, changed)
            self.assertEqual([], self._allowed(changed), changed)

    def test_has_no_wildcard_that_matches_anything(self):
        for command in self.commands:
            self.assertNotIn('*', command)
            self.assertNotIn('?', command)

    def test_sudo_can_read_it(self):
        wheelhouse.run(self._tool('visudo'), '-c', '-f', self.path)


class UnitCase(TreeTestCase):

    NAME = ''

    def setUp(self):
        super().setUp()
        self.path = self.tree / 'etc/systemd' / self.NAME
        self.settings = {}
        for line in self.path.read_text().splitlines():
            if '=' in line and not line.startswith('#'):
                name, _, value = line.partition('=')
                self.settings.setdefault(name, []).append(value)

    def verify(self):
        # Under its own name, with a program that exists here.
        unit = self._directory() / self.path.name
        unit.write_text(self.path.read_text().replace(
            '/usr/bin/nvme-agent', '/bin/true'))
        printed = wheelhouse.run(self._tool('systemd-analyze'), 'verify',
                                 '--man=no', unit)
        self.assertNotIn(self.path.name, printed)


class UnitFileTestCase(UnitCase):

    NAME = 'nvme-agent.service'

    def test_sudo_still_works_in_it(self):
        self.assertEqual(['nvme-agent'], self.settings['User'])
        self.assertEqual(['no'], self.settings['NoNewPrivileges'])
        self.assertEqual(
            set(), _IMPLY_NO_NEW_PRIVILEGES & set(self.settings))

    def test_leaves_the_helper_the_capabilities_it_asks_for(self):
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            from oslo_privsep import capabilities

            from os_brick.agent.host import privileged
        bounding = set(' '.join(
            self.settings['CapabilityBoundingSet']).split())
        asked = {capabilities.CAPS_BYVALUE[int(value)]
                 for value in privileged.CAPABILITIES}
        self.assertTrue(asked)
        self.assertEqual(set(), asked - bounding)

    def test_S2_hides_nothing_that_may_be_mounted(self):
        """Below a closed path systemd takes away what is mounted there."""
        self.assertEqual(['read-only'], self.settings['ProtectHome'])
        self.assertNotIn('TemporaryFileSystem', self.settings)
        for path in ' '.join(self.settings['InaccessiblePaths']).split():
            self.assertRegex(path, '^-/(proc|dev|sys)/')

    def test_starts_before_nova_and_after_the_network(self):
        self.assertEqual(
            ['nova-compute.service openstack-nova-compute.service'],
            self.settings['Before'])
        self.assertIn('network-online.target', self.settings['After'])

    def test_never_kills_a_command_at_work_on_an_array(self):
        self.assertEqual(['process'], self.settings['KillMode'])

    def test_directories_are_the_defaults_of_the_options(self):
        from os_brick.agent import opts
        default = {opt.name: opt.default for opt in opts.OPTS}
        self.assertEqual(default['run_dir'],
                         '/run/' + self.settings['RuntimeDirectory'][0])
        self.assertEqual(default['state_dir'],
                         '/var/lib/' + self.settings['StateDirectory'][0])

    def test_systemd_can_read_it(self):
        self.verify()


class ShutdownUnitTestCase(UnitCase):

    NAME = 'nvme-agent-shutdown.service'

    def test_runs_a_sub_command_that_there_is(self):
        from os_brick.cmd import commands
        stop, = self.settings['ExecStop']
        program, word = stop.rstrip("'").split()[-2:]
        self.assertEqual('/usr/bin/nvme-agent', program)
        self.assertIn(word, commands.COMMANDS)

    def test_does_nothing_but_when_the_machine_goes_down(self):
        self.assertEqual(['/bin/true'], self.settings['ExecStart'])
        self.assertIn('test "$(systemctl is-system-running)" != stopping ||',
                      self.settings['ExecStop'][0])

    def test_is_stopped_before_the_agent_and_waits_for_no_guest(self):
        """Units are stopped in the reverse of the order of their start."""
        self.assertEqual(['nvme-agent.service'], self.settings['After'])
        self.assertNotIn('Before', self.settings)

    def test_systemd_can_read_it(self):
        self.verify()
