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
"""nvme-agent-conformance: what it prints, writes and refuses."""

import contextlib
import io
import json
import os
import pathlib
from unittest import mock

import fixtures
from oslotest import base
import yaml

from os_brick.agent.testing import conformance
from os_brick.agent.testing.conformance import command
from os_brick.agent.testing.conformance import suite
from os_brick.agent.tests.unit.testing.conformance import shelf
from os_brick.agent.tests.unit.testing.conformance import wrong_drivers
from os_brick.agent.tests.unit.vendors import test_local_conformance as inv

SHELF = '%s:ShelfConformance' % shelf.__name__


class Brief(shelf.ShelfConformance):
    """One driver that is wrong, whose story is not told."""

    driver = wrong_drivers.WRONG['test_confirming_twice_is_like_once']
    missing = {'stories': 'not here <tonight>'}


def load_tests(loader, tests, pattern):
    """Leave out what is no test by itself."""
    return loader.loadTestsFromTestCase(TestCommand)


class TestCommand(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        self.place = self.useFixture(fixtures.TempDir()).path
        self.report = os.path.join(self.place, 'out')

    def run_it(self, *arguments):
        """Return exit status, standard output and standard error."""
        out, err = io.StringIO(), io.StringIO()
        with mock.patch('sys.argv', ['it', '--report', self.report,
                                     *arguments]):
            with contextlib.redirect_stdout(out), \
                    contextlib.redirect_stderr(err):
                status = command.main()
        return status, out.getvalue(), err.getvalue()

    def read(self):
        path = pathlib.Path(self.report)
        return (json.loads(path.with_suffix('.json').read_text()),
                path.with_suffix('.html').read_text())

    def test_a_vendors_class_that_is_right_in_all(self):
        with mock.patch.object(shelf.ShelfConformance, 'story_examples', 2):
            status, out, _ = self.run_it('--suite', SHELF)
        self.assertEqual(0, status)
        said = suite.cases()
        for sentence in said.values():
            self.assertIn('passed  ' + sentence, out)
        self.assertIn('%d passed, 0 failed, 0 skipped (interface 1.2)'
                      % len(said), out)
        made, page = self.read()
        self.assertEqual(conformance.KIT_VERSION, made['kit'])
        self.assertEqual('1.2', made['interface'])
        self.assertTrue(made['conforms'])
        self.assertEqual(said, {case['case']: case['sentence']
                                for case in made['cases']})
        self.assertIn('interface 1.2', page)

    def test_one_that_fails_says_where_and_why(self):
        status, out, _ = self.run_it('--suite', '%s:Brief' % __name__)
        self.assertEqual(1, status)
        self.assertIn('failed  A removal that was confirmed may be confirmed '
                      'again.', out)
        self.assertIn('it is gone', out)
        made, page = self.read()
        self.assertFalse(made['conforms'])
        failed, = [case for case in made['cases']
                   if case['result'] == 'failed']
        self.assertEqual('test_confirming_twice_is_like_once',
                         failed['case'])
        self.assertIn('not here &lt;tonight&gt;', page)
        self.assertNotIn('<tonight>', page)

    def inventory(self, spares):
        path = os.path.join(self.place, 'volumes.yaml')
        with open(path, 'w', encoding='utf-8') as stream:
            yaml.safe_dump({
                'host': 'compute-1',
                'volumes': [{'uuid': inv.uuid(1), 'alias': 'vol-1',
                             'size': inv.GIB, 'replicas': [
                                 inv.namespace(10), inv.namespace(11)]}],
                'spares': list(map(inv.namespace, spares))}, stream)
        os.utime(path, (1e9, 1e9))
        config = os.path.join(self.place, 'agent.conf')
        with open(config, 'w', encoding='utf-8') as stream:
            stream.write('[DEFAULT]\nlocal_inventory_file = %s\n'
                         'state_dir = %s/state\nhost_name = compute-1\n'
                         'host_nqn = nqn.2014-08.org.example:host\n'
                         % (path, self.place))
        return ('--driver', 'local', '--config-file', config)

    def states(self):
        return {case['case']: case['result'] for case in self.read()[0][
            'cases']}

    def test_without_a_line_of_code_nothing_is_changed(self):
        status, out, _ = self.run_it(*self.inventory(range(20, 25)),
                                     '--volume', 'vol-1')
        self.assertEqual(0, status, out)
        found = self.states()
        self.assertEqual('passed', found['test_attached_volumes_are_listed'])
        self.assertEqual('skipped', found['test_replacement_is_listed'])
        self.assertEqual('skipped', found['test_reported_state_is_listed'])

    def test_without_a_line_of_code_a_named_volume_is_played_with(self):
        arguments = self.inventory(range(20, 60))
        for _ in range(2):      # it leaves the volume as good as it was
            status, out, _ = self.run_it(*arguments, '--volume', 'vol-1',
                                         '--may-change')
            self.assertEqual(0, status, out)
            found = self.states()
            for case in ('reported_state_is_listed', 'replacement_is_listed',
                         'exchange_survives_a_crash_between_any_two_steps'):
                self.assertEqual('passed', found['test_' + case], out)

    def test_spares_that_run_out_are_no_fault_of_the_driver(self):
        status, out, _ = self.run_it(*self.inventory([20]), '--volume',
                                     'vol-1', '--may-change')
        self.assertEqual(0, status, out)
        self.assertIn('no replacement was to be had: no spare in', out)

    def test_a_volume_that_is_not_there_fails(self):
        status, out, _ = self.run_it(*self.inventory([]), '--volume',
                                     'vol-7')
        self.assertEqual(1, status)
        self.assertIn('volume vol-7, which this host has attached, is not '
                      'listed; there are: vol-1', out)

    def test_what_cannot_be_run_is_said_in_a_line(self):
        for arguments, words in (
                (('--driver', 'local'), '--driver needs --config-file'),
                (('--driver', 'zeta', '--config-file', '/dev/null'),
                 'there is no driver "zeta"'),
                (('--driver', 'local', '--config-file', '/dev/null',
                  '--may-change'), '--may-change needs --volume'),
                (('--suite', 'no.such:Thing'), 'No module named'),
                (('--suite', 'os:path'), 'derives from')):
            status, _, err = self.run_it(*arguments)
            self.assertEqual(2, status)
            said, = [line for line in err.splitlines()
                     if line.startswith('nvme-agent-conformance: ')]
            self.assertIn(words, said)
