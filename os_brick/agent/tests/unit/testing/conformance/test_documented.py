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
"""The documented table of what the drivers pass is that of this kit."""

import csv
import pathlib

from oslotest import base

from os_brick.agent.testing.conformance import suite
from os_brick.agent.tests.unit.vendors import test_local_conformance as ours

TABLE = pathlib.Path(__file__).parents[6] / (
    'doc/source/contributor/conformance.csv')


def load_tests(loader, tests, pattern):
    """Leave out the driver's own cases."""
    return loader.loadTestsFromTestCase(TestDocumented)


class TestDocumented(base.BaseTestCase):

    def test_the_table_has_each_case(self):
        with open(TABLE, encoding='utf-8', newline='') as stream:
            rows = {row[0]: row[1:] for row in csv.reader(stream)}
        missing = ours.TestLocalConformance.missing
        expected = {}
        for name, sentence in suite.cases().items():
            needed = getattr(getattr(suite.DriverConformance, name),
                             'capabilities', ())
            limits = 'resync_limit' in needed
            others = 'skipped' if limits else 'passed'
            expected[sentence] = [
                'skipped' if limits or any(one in missing for one in needed)
                else 'passed', others, 'passed', others]
        self.assertEqual(expected, rows,
                         'tools/conformance-table.sh makes it anew')
