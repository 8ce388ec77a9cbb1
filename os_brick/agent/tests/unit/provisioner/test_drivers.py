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

import os
import tempfile
from unittest import mock

from oslo_config import cfg
from oslotest import base as test_base
import stevedore
from stevedore import exception as stevedore_exception

from os_brick.agent.provisioner import drivers
from os_brick.agent.tests.unit import small_world
from os_brick.agent.vendors import base
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
        entries = self.put(stevedore, 'ExtensionManager')
        entries.return_value.list_entry_points.return_value = [
            mock.Mock(), mock.Mock()]
        for entry, name in zip(
                entries.return_value.list_entry_points.return_value,
                ('zeta', 'acme')):
            entry.name = name

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

    def test_the_embedded_one_needs_no_entry_point(self):
        self.assertIs(local.LocalDriver, drivers.load_class('local'))
        self.manager.assert_not_called()

    def test_an_unknown_one_is_answered_with_those_installed(self):
        self.manager.side_effect = stevedore_exception.NoMatches('none')
        with mock.patch.object(drivers, 'EMBEDDED', ('local',)):
            self.refused('"acme"', 'acme, local, zeta')

    def test_one_installed_twice(self):
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
