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
"""Finding a driver: those installed, those broken, and those unknown."""

from __future__ import annotations

import configparser
import contextlib
import os
import pathlib
import sys
import tempfile
from unittest import mock

import fixtures

from oslo_config import cfg
from oslotest import base as test_base
import stevedore
from stevedore import _cache
from stevedore import exception as stevedore_exception

from os_brick.agent import opts
from os_brick.agent.provisioner import drivers
from os_brick.agent.tests.unit import small_world
from os_brick.agent.vendors import base
from os_brick.agent.vendors import kioxia
from os_brick.agent.vendors import local


class Acme(base.ProvisionerDriver):
    """The least that a driver is."""

    @classmethod
    def options(cls):
        return [cfg.IntOpt('acme_port', default=1, min=1, max=9)]

    def __init__(self, conf):
        self.conf = conf

    def get_volumes(self, host, arrays, targets_for):
        return []

    def report_replica_state(self, volume, replica, state):
        pass

    def request_replacement(self, volume, replica):
        pass

    def confirm_replica_removed(self, volume, replica):
        pass


class TestDrivers(test_base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.manager = self.put(stevedore, 'DriverManager')

    def put(self, where, name):
        patch = mock.patch.object(where, name)
        self.addCleanup(patch.stop)
        return patch.start()

    def load(self, found: object = Acme) -> base.ProvisionerDriver:
        self.manager.return_value.driver = found
        self.conf = small_world.configuration(provisioner_driver='acme')
        return drivers.load(self.conf)

    def refused(self, *words: str, found: object = Acme) -> None:
        error = self.assertRaises(base.ConfigurationError, self.load, found)
        for word in ('provisioner_driver',) + words:
            self.assertIn(word, str(error))

    def test_a_driver_gets_its_options(self):
        driver = self.load()
        self.assertIsInstance(driver, Acme)
        self.assertEqual(1, self.conf.acme_port)

    def test_one_that_stevedore_finds_twice(self):
        self.manager.side_effect = stevedore_exception.MultipleMatches(
            'one, two')
        self.refused('"acme"', 'more than once', 'one, two')

    def test_one_that_cannot_be_imported(self):
        def manager(*_words, on_load_failure_callback, **_options):
            on_load_failure_callback(None, 'acme = acme.agent:Acme',
                                     ImportError('No module named acme'))

        self.manager.side_effect = manager
        self.refused('acme.agent:Acme', 'No module named acme')

    def test_something_that_is_no_driver(self):
        for found in (object, print, 5):
            self.refused('"acme"', 'no ProvisionerDriver', found=found)

    def test_an_abstract_driver(self):
        class Half(Acme):
            confirm_replica_removed = (
                base.ProvisionerDriver.confirm_replica_removed)

        self.refused('"acme" is broken', 'confirm_replica_removed',
                     found=Half)

    def test_one_that_fails_at_once(self):
        class Failing(Acme):
            def __init__(self, conf):
                raise ZeroDivisionError('a defect')

        class Optionless(Acme):
            @classmethod
            def options(cls):
                raise ZeroDivisionError('a defect')

        for found in (Failing, Optionless):
            self.refused('"acme" is broken', 'ZeroDivisionError: a defect',
                         found=found)

    def test_its_own_words_are_kept(self):
        class Picky(Acme):
            def __init__(self, conf):
                raise base.ConfigurationError('option acme_port: taken')

        error = self.assertRaises(base.ConfigurationError, self.load, Picky)
        self.assertEqual('option acme_port: taken', str(error))

    def test_a_wrong_value_of_its_option_is_refused_at_start(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, 'agent.conf')
        with open(path, 'w', encoding='ascii') as stream:
            stream.write('[DEFAULT]\nprovisioner_driver = acme\n'
                         'acme_port = 10\n')
        self.manager.return_value.driver = Acme
        conf = small_world.configuration()
        conf(['--config-file', path])
        error = self.assertRaises(cfg.ConfigFileValueError, drivers.load,
                                  conf)
        self.assertIn('acme_port', str(error))


class TestInstalled(test_base.BaseTestCase):
    """Distributions as pip leaves them, and the agent's own among them."""

    def setUp(self) -> None:
        super().setUp()
        self.site = self.useFixture(fixtures.TempDir()).path
        opts.list_opts()    # whatever it imports, before sys.path is changed
        self.useFixture(fixtures.MonkeyPatch('sys.path', [self.site] + [
            path for path in sys.path if not any(pathlib.Path(path).glob(
                'os_brick_nvme_agent-*.dist-info'))]))
        # neither what stevedore has kept nor what it would keep of this
        cache = _cache.Cache(self.useFixture(fixtures.TempDir()).path)
        self.useFixture(fixtures.MonkeyPatch(
            'stevedore._cache.get_group_all', cache.get_group_all))
        self.useFixture(fixtures.MonkeyPatch(
            'stevedore.ExtensionManager.ENTRY_POINT_CACHE', {}))

    def install(self, name: str, version: str, **entries: str) -> None:
        folder = os.path.join(self.site, '%s-%s.dist-info' % (
            name.replace('-', '_'), version))
        os.mkdir(folder)
        with open(os.path.join(folder, 'METADATA'), 'w',
                  encoding='ascii') as stream:
            stream.write('Metadata-Version: 2.1\nName: %s\nVersion: %s\n'
                         % (name, version))
        with open(os.path.join(folder, 'entry_points.txt'), 'w',
                  encoding='ascii') as stream:
            if entries:
                stream.write('[%s]\n' % base.NAMESPACE)
            for entry in entries.items():
                stream.write('%s = %s\n' % entry)

    def refused(self, name: str) -> str:
        return str(self.assertRaises(base.ConfigurationError,
                                     drivers.load_class, name))

    def test_the_agents_own_come_by_its_entry_points(self):
        self.install('os-brick-nvme-agent', '1.0',
                     local='%s:Acme' % __name__)
        self.assertIs(Acme, drivers.load_class('local'))
        self.assertEqual(['local'], drivers.installed())
        self.assertIn('installed are: local', self.refused('kioxia'))

    def test_without_any_the_source_tree_has_its_own(self):
        for install in (contextlib.nullcontext, lambda: self.install(
                'os-brick-nvme-agent', '1.0')):
            install()
            self.assertIs(local.LocalDriver, drivers.load_class('local'))
            self.assertIs(kioxia.KioxiaDriver, drivers.load_class('kioxia'))
            self.assertEqual(['etcd', 'kioxia', 'local'], drivers.installed())

    def test_the_driver_of_another_distribution(self):
        self.install('acme-agent', '3', acme='%s:Acme' % __name__)
        self.assertIs(Acme, drivers.load_class('acme'))
        self.assertEqual(['acme', 'etcd', 'kioxia', 'local'],
                         drivers.installed())

    def test_an_unknown_one_is_answered_with_those_installed(self):
        self.install('acme-agent', '3', acme='%s:Acme' % __name__)
        self.assertIn('there is no driver "zeta"; installed are: acme, etcd, '
                      'kioxia, local', self.refused('zeta'))

    def test_a_name_that_two_provide_is_refused_by_both_names(self):
        self.install('acme-agent', '3', acme='%s:Acme' % __name__)
        # the same object, which stevedore would not call a conflict
        self.install('acme-fork', '3.1', acme='%s:Acme' % __name__)
        error = self.refused('acme')
        self.assertIn('"acme" is provided more than once', error)
        self.assertIn('acme-agent 3,', error)
        self.assertIn('acme-fork 3.1', error)

    def test_a_name_of_the_agents_own_is_no_exception(self):
        self.install('acme-agent', '3', local='%s:Acme' % __name__)
        error = self.refused('local')
        self.assertIn('acme-agent 3', error)
        self.assertIn('the source tree of os-brick-nvme-agent', error)
        self.install('os-brick-nvme-agent', '1.0', **drivers.EMBEDDED)
        error = self.refused('local')
        self.assertIn('acme-agent 3', error)
        self.assertIn('LocalDriver by os-brick-nvme-agent 1.0', error)
        self.assertIs(kioxia.KioxiaDriver, drivers.load_class('kioxia'))

    def test_the_sample_file_holds_the_agents_own_all_the_same(self):
        before = [(group, [option.name for option in options])
                  for group, options in opts.list_opts()]
        self.install('acme-agent', '3', local='%s:Acme' % __name__)
        self.assertEqual(before, [
            (group, [option.name for option in options])
            for group, options in opts.list_opts()])

    def test_the_table_is_what_setup_cfg_says(self):
        path = pathlib.Path(__file__).parents[5] / 'setup.cfg'
        if not path.exists():
            self.skipTest('not run from a source tree')
        parser = configparser.ConfigParser(delimiters=('=',))
        parser.read(path)
        lines = parser['entry_points'][base.NAMESPACE].strip().splitlines()
        self.assertEqual(drivers.EMBEDDED, dict(
            line.split(' = ') for line in lines))
