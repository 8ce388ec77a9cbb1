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

    def test_each_is_made_in_one_place(self) -> None:
        with mock.patch.object(sys, 'path', [str(TOOL.parent), *sys.path]):
            tool = runpy.run_path(str(TOOL))
        wrong = {}
        for name, (path, old, new) in tool['MUTANTS'].items():
            text = (tool['TREE'] / tool['AGENT'] / path).read_text()
            if text.count(old) != 1:
                wrong[name] = text.count(old)
            compile(text.replace(old, new), path, 'exec')
        self.assertEqual({}, wrong)
