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
"""The picture of a fleet's load is the one of the figures beside it."""

from __future__ import annotations

import importlib.util
import re
import sys
from types import ModuleType
from unittest import mock

from os_brick.agent.tests.unit.packaging import wheelhouse


class FleetPlotTest(wheelhouse.TreeTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.tools = self.tree / 'tools' / 'bench'
        self.plot = self.module('fleet_plot')

    def module(self, name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(
            name, self.tools / (name + '.py'))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # dataclasses look for the module that they are in
        with mock.patch.dict(sys.modules, {name: module}):
            spec.loader.exec_module(module)
        return module

    def test_the_picture_in_the_documentation(self) -> None:
        rows = self.plot.read(self.plot.FIGURES)
        self.assertEqual(
            self.plot.PICTURE.read_text(encoding='utf-8'),
            self.plot.plot(rows), 'tools/bench/fleet_plot.py makes it anew')
        self.assertEqual(self.module('fleet_load').COLUMNS, tuple(rows[0]))

    def test_a_higher_figure_is_a_higher_bar(self) -> None:
        row = dict.fromkeys(self.module('fleet_load').COLUMNS, '')
        row.update({'agents': '5', 'phase': 'peace', 'req/s': '20',
                    'most': '40'})
        heights = [[float(one) for one in re.findall(
            r'width="22" height="([\d.]+)"', self.plot.plot(
                [{**row, 'req/s': rate}]))] for rate in ('20', '200')]
        # no latency was measured: there is no bar of it
        self.assertEqual([1, 1], list(map(len, heights)))
        self.assertLess(heights[0], heights[1])
