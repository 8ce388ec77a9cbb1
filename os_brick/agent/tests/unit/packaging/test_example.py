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
"""The example of a vendor's package: installed beside the agent, and tested.

Its own tests run there, the conformance kit among them.
"""

import json
import pathlib
import re
import shutil
import sys
import tempfile

from importlib import metadata

from oslotest import base

from os_brick.agent.provisioner import drivers
from os_brick.agent.tests.unit.packaging import wheelhouse

_LOAD = '''
from os_brick.agent.provisioner import drivers
try:
    print(drivers.load_class(%r))
except Exception as error:
    print(type(error).__name__, error)
'''


class TestExample(base.BaseTestCase):
    """One environment: os-brick, the agent's wheel, the example's."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        tree = wheelhouse.source_tree()
        cls.source = tree and tree / 'examples' / 'acme'
        if not cls.source:
            return
        place = tempfile.mkdtemp(prefix='example')
        cls.addClassCleanup(shutil.rmtree, place)
        cls.place = pathlib.Path(place)
        agent = wheelhouse.wheel_of(tree)
        # a build leaves files in its directory
        cls.example = cls.place / 'acme'
        shutil.copytree(cls.source, cls.example, ignore=shutil.ignore_patterns(
            'build', '*.egg-info', '__pycache__', '.hypothesis'))
        cls.python = cls.environment(cls.place / 'env')
        cls.site = pathlib.Path(wheelhouse.run(
            cls.python, '-c', 'import sysconfig; '
            'print(sysconfig.get_path("purelib"))').strip())
        cls.lay_libraries()
        wheelhouse.run(sys.executable, '-m', 'pip', '--python', cls.python,
                       'install', '--no-deps', '--no-index', '--no-compile',
                       '--quiet', agent)
        wheelhouse.run(sys.executable, '-m', 'pip', 'wheel', '--quiet',
                       '--no-deps', '--no-index', '--no-build-isolation',
                       '--wheel-dir', cls.place / 'wheels', cls.example)
        wheel, = (cls.place / 'wheels').glob('acme_agent-*.whl')
        wheelhouse.run(sys.executable, '-m', 'pip', '--python', cls.python,
                       'install', '--no-deps', '--no-index', '--no-compile',
                       '--quiet', wheel)
        # what is tested is what was installed
        shutil.rmtree(cls.example / 'acme_agent')

    @staticmethod
    def environment(place):
        wheelhouse.run(sys.executable, '-m', 'venv', '--without-pip', place)
        return place / 'bin' / 'python'

    @classmethod
    def lay_libraries(cls):
        """os-brick is copied; all else is found behind it."""
        brick = metadata.distribution('os-brick')
        for name in brick.files:
            if '__pycache__' not in name.parts and '..' not in name.parts:
                (cls.site / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(brick.locate_file(name), cls.site / name)
        (cls.site / 'libraries.pth').write_text(
            '%s\n' % brick.locate_file(''))

    def setUp(self):
        super().setUp()
        if not self.source:
            self.skipTest('not run from a source tree')

    def load(self, name):
        return wheelhouse.run(self.python, '-I', '-B', '-c',
                              _LOAD % name).splitlines()[-1]

    def test_agent_finds_it_by_its_name(self):
        self.assertEqual("<class 'acme_agent.driver.AcmeDriver'>",
                         self.load('acme'))
        self.assertIn('installed are: %s' % ', '.join(
            sorted(['acme', *drivers.EMBEDDED])), self.load('zeta'))

    def test_under_the_name_of_a_built_in_one_it_is_refused(self):
        path = self.site / 'acme_agent-1.0.dist-info' / 'entry_points.txt'
        before = path.read_text()
        self.addCleanup(path.write_text, before)
        path.write_text(before.replace('acme = ', 'local = '))
        said = self.load('local')
        self.assertIn('ConfigurationError', said)
        self.assertIn('AcmeDriver by acme-agent 1.0', said)
        self.assertRegex(said, 'LocalDriver by os-brick-nvme-agent ')

    def test_its_sample_is_what_the_generator_makes(self):
        made = self.place / 'acme.conf'
        wheelhouse.run(
            self.python, '-c', 'import sys\n'
            'from oslo_config import generator\n'
            'generator.main(sys.argv[1:])', '--namespace', 'acme_agent',
            '--output-file', made)
        self.assertEqual(
            (self.source / 'etc' / 'acme.conf.sample').read_text(),
            made.read_text())

    def test_it_conforms_and_a_report_says_so(self):
        path = self.place / 'report'
        said = wheelhouse.run(
            self.python.parent / 'nvme-agent-conformance', '--suite',
            'tests.test_conformance:TestAcmeConformance', '--report', path,
            cwd=self.example)
        self.assertRegex(said, r'driver acme: \d+ passed, 0 failed, '
                         r'9 skipped \(interface [0-9.]+\)')
        report = json.loads(path.with_suffix('.json').read_text())
        self.assertTrue(report['conforms'])
        self.assertTrue(path.with_suffix('.html').exists())

    def test_its_other_tests_pass(self):
        said = wheelhouse.run(self.python, '-m', 'unittest', 'tests.'
                              'test_driver', cwd=self.example)
        self.assertTrue(re.search(r'Ran [1-9]\d* tests?', said), said)
        self.assertTrue(said.rstrip().endswith('OK'), said)
