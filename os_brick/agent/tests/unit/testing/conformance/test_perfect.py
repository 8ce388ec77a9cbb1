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
"""A driver that does everything right passes every case."""

import os
import tempfile
from unittest import mock

from oslotest import base

from os_brick.agent.tests.unit.testing.conformance import shelf


class TestPerfect(shelf.ShelfConformance):
    """Nothing is to be added."""


class TestSettings(base.BaseTestCase):

    def test_those_of_an_agent_of_this_machine_are_not_read(self):
        home = tempfile.TemporaryDirectory()
        self.addCleanup(home.cleanup)
        folder = os.path.join(home.name, '.nvme-agent/nvme-agent.conf.d')
        os.makedirs(folder)
        with open(os.path.join(folder, 'own.conf'), 'w') as stream:
            stream.write('[DEFAULT]\nshelf_timeout = 9\n')
        case = shelf.ShelfConformance('test_answer_is_a_sequence_of_volumes')
        self.addCleanup(case.doCleanups)
        with mock.patch.dict(os.environ, HOME=home.name):
            conf = case.configure(shelf.PerfectDriver, shelf_url='shelf:1')
        self.assertEqual((1.0, 'shelf:1'),
                         (conf.shelf_timeout, conf.shelf_url))
