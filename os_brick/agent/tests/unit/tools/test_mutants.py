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
"""The defects that the simulation is to find are still ones of the code."""

from __future__ import annotations

import pathlib
import runpy
import sys
from unittest import mock

from oslotest import base

TOOL = pathlib.Path(__file__).parents[5] / 'tools/simulate/mutants.py'


class MutantsTest(base.BaseTestCase):

    def test_each_is_made_of_texts_that_are_there_once(self) -> None:
        with mock.patch.object(sys, 'path', [str(TOOL.parent), *sys.path]):
            tool = runpy.run_path(str(TOOL))
        wrong = {}
        for name, texts in tool['MUTANTS'].items():
            try:
                for path, text in tool['broken'](
                        texts, tool['TREE'] / tool['AGENT']).items():
                    compile(text, str(path), 'exec')
            except (ValueError, SyntaxError) as error:
                wrong[name] = str(error)
        self.assertEqual({}, wrong)
