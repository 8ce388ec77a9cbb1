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
"""The wheel beside os-brick: what it owns, and what it leaves behind."""

import configparser
import hashlib
from importlib import metadata
import pathlib
import shutil
import sys
import tempfile
import zipfile

from oslotest import base

from os_brick.agent.tests.unit.packaging import wheelhouse

# Imports os-brick's connector in a fresh environment; os-brick's own
# dependencies come from the environment of the test, behind everything else.
_LOOK = '''
import sys
sys.path.append(%r)
from os_brick.initiator.connectors import nvmeof
print(nvmeof.__file__)
hook = nvmeof.nvmeof_agent
print(hook and hook.NVMeOFAgent.ensure_running.__qualname__)
'''


def _modules(files):
    return {str(name) for name in files
            if not str(name).startswith('..')
            and '__pycache__' not in str(name)
            and '.dist-info/' not in str(name)}


class PackagingTestCase(base.BaseTestCase):
    """One wheel, built once for all of its tests."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tree = wheelhouse.source_tree()
        if cls.tree is not None:
            cls.wheel = wheelhouse.wheel_of(cls.tree)

    def setUp(self):
        super().setUp()
        if self.tree is None:
            self.skipTest('not run from a source tree')
        with zipfile.ZipFile(self.wheel) as wheel:
            self.names = [name for name in wheel.namelist()
                          if not name.endswith('/')]
            self.wheel_metadata = self._read(wheel, 'METADATA')
            self.entry_points = self._read(wheel, 'entry_points.txt')

    @staticmethod
    def _read(wheel, name):
        found, = [path for path in wheel.namelist()
                  if path.endswith('.dist-info/' + name)]
        return wheel.read(found).decode()

    def test_owns_no_file_of_os_brick(self):
        theirs = _modules(metadata.distribution('os-brick').files)
        self.assertIn('os_brick/__init__.py', theirs)
        ours = {name for name in self.names if '.dist-info/' not in name}
        self.assertEqual(set(), ours & theirs)

    def test_adds_only_where_the_agent_lives(self):
        allowed = ('os_brick/agent/', 'os_brick/cmd/',
                   'os_brick/initiator/connectors/nvmeof_agent.py')
        modules = [name for name in self.names
                   if name.startswith('os_brick/')]
        self.assertEqual(
            [], [name for name in modules if not name.startswith(allowed)])
        tops = {name.partition('/')[0].rpartition('.')[2]
                for name in self.names}
        self.assertEqual({'os_brick', 'dist-info', 'data'}, tops)

    def test_holds_every_module_of_the_tree(self):
        expected = {str(path.relative_to(self.tree))
                    for path in (self.tree / 'os_brick').rglob('*.py')}
        expected.discard('os_brick/__init__.py')
        self.assertIn('os_brick/initiator/connectors/nvmeof_agent.py',
                      expected)
        self.assertEqual(expected, {name for name in self.names
                                    if name.endswith('.py')})

    def test_holds_the_files_for_the_operator(self):
        found = {name.partition('.data/data/')[2] for name in self.names
                 if '.data/data/' in name}
        self.assertEqual({
            'etc/nvme-agent/agent.conf.sample',
            'etc/nvme-agent/volumes.yaml.sample',
            'share/os-brick-nvme-agent/systemd/nvme-agent.service',
            'share/os-brick-nvme-agent/systemd/nvme-agent-shutdown.service',
            'share/os-brick-nvme-agent/prometheus/nvme-agent.rules.yml',
            'share/os-brick-nvme-agent/prometheus/nvme-agent.rules.test.yml',
            'share/os-brick-nvme-agent/grafana/nvme-agent.json',
            'share/os-brick-nvme-agent/sudoers.d/nvme-agent',
            'share/os-brick-nvme-agent/udev/rules.d/63-nvme-agent.rules',
            'share/bash-completion/completions/nvme-agent',
            'share/zsh/site-functions/_nvme-agent'},
            found)

    def test_metadata(self):
        self.assertIn('Requires-Python: >=3.10', self.wheel_metadata)
        for line in (self.tree / 'requirements.txt').read_text().split('\n'):
            requirement = line.partition('#')[0].strip()
            name = requirement.partition('>=')[0].partition('[')[0]
            if name:
                self.assertIn('Requires-Dist: ' + name.lower(),
                              self.wheel_metadata.replace('_', '-').lower()
                              .replace('requires-dist', 'Requires-Dist'))

    def test_every_entry_point_is_in_the_wheel(self):
        parser = configparser.ConfigParser(delimiters=('=',))
        parser.optionxform = str
        parser.read_string(self.entry_points)
        self.assertEqual('os_brick.cmd.agent:main',
                         parser['console_scripts']['nvme-agent'])
        self.assertEqual('os_brick.agent.opts:list_opts',
                         parser['oslo.config.opts']['os_brick.agent'])
        self.assertIn('local', parser['os_brick.agent.provisioners'])
        missing = []
        for section in parser.sections():
            for name, value in parser.items(section):
                module = value.partition(':')[0].replace('.', '/') + '.py'
                if module not in self.names:
                    missing.append('%s of %s: %s' % (name, section, module))
        self.assertEqual([], missing)

    def _fresh_environment(self):
        """Make an environment that holds os-brick's files and no other."""
        place = pathlib.Path(self._directory())
        wheelhouse.run(sys.executable, '-m', 'venv', '--without-pip', place)
        python = place / 'bin' / 'python'
        site = pathlib.Path(wheelhouse.run(
            python, '-c', 'import sysconfig; '
            'print(sysconfig.get_path("purelib"))').strip())
        brick = metadata.distribution('os-brick')
        for name in brick.files:
            if '__pycache__' in name.parts or '..' in name.parts:
                continue
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(brick.locate_file(name), site / name)
        return python, site, str(brick.locate_file(''))

    def _directory(self):
        place = tempfile.mkdtemp(prefix='beside')
        self.addCleanup(shutil.rmtree, place)
        return place

    @staticmethod
    def _contents(site):
        return {str(path.relative_to(site)):
                hashlib.sha256(path.read_bytes()).hexdigest()
                if path.is_file() else 'directory'
                for path in site.rglob('*')}

    def test_comes_and_goes_and_leaves_os_brick_as_it_was(self):
        python, site, libraries = self._fresh_environment()
        pip = (sys.executable, '-m', 'pip', '--python', python)

        def look():
            # The last two lines; libraries may warn before them.
            return wheelhouse.run(python, '-I', '-B', '-c',
                                  _LOOK % libraries).splitlines()[-2:]

        connector = str(site / 'os_brick/initiator/connectors/nvmeof.py')
        before = self._contents(site)
        self.assertIn('os_brick/initiator/connectors/nvmeof.py', before)
        self.assertEqual([connector, 'None'], look())

        wheelhouse.run(*pip, 'install', '--no-deps', '--no-index',
                       '--no-compile', '--quiet', self.wheel)
        during = self._contents(site)
        self.assertEqual(before, {name: digest
                                  for name, digest in during.items()
                                  if name in before})
        self.assertEqual([connector, 'NVMeOFAgent.ensure_running'], look())

        wheelhouse.run(*pip, 'uninstall', '--yes', '--quiet',
                       'os-brick-nvme-agent')
        self.assertEqual(before, self._contents(site))
        self.assertEqual([connector, 'None'], look())
