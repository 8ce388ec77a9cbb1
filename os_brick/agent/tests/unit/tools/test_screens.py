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
"""What the lab has shown becomes texts, pictures and a dashboard."""

from __future__ import annotations

import importlib.util
import json
import sys
from types import ModuleType
from typing import Any
from unittest import mock

from os_brick.agent.reporting import screen
from os_brick.agent.tests.unit.packaging import wheelhouse

RED = '\033[31;1mCRITICAL\033[0m'
#: A panel of each kind, with a place of its own.
STAT = {'type': 'stat', 'title': 'Bad', 'fieldConfig': {'defaults': {
    'thresholds': {'steps': [{'color': 'green', 'value': None},
                             {'color': 'red', 'value': 1}]}}}}
LINES = {'type': 'timeseries', 'title': 'Left <to do>',
         'targets': [{'legendFormat': '{{instance}} {{volume}}'}],
         'fieldConfig': {'defaults': {'unit': 'bytes'}}}


class ToolCase(wheelhouse.TreeTestCase):

    def module(self, name: str) -> ModuleType:
        path = self.tree / 'tools' / 'screens' / (name + '.py')
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # it puts its own folder before all others, and names others there
        with mock.patch.dict(sys.modules, {name: module}), (
                mock.patch.object(sys, 'path', [*sys.path])):
            spec.loader.exec_module(module)
            for other in ('metrics', 'panels'):
                sys.modules.pop(other, None)
        return module


class TerminalTest(ToolCase):

    def setUp(self) -> None:
        super().setUp()
        self.terminal = self.module('terminal')

    def test_the_text(self) -> None:
        self.assertEqual('one CRITICAL\n  two\n', self.terminal.plain(
            'one %s\n  two  \n' % RED))

    def test_the_picture(self) -> None:
        picture = self.terminal.picture('a <b> %s\n' % RED, 'status')
        self.assertIn('>a &lt;b&gt;<', picture)
        self.assertIn('fill="%s" textLength="%.1f">CRITICAL<' % (
            self.terminal.COLOURS['31;1'], 8 * self.terminal.CHARACTER),
            picture)
        self.assertIn('$ nvme-agent status', picture)

    def test_a_long_line_is_broken(self) -> None:
        rows = list(self.terminal.rows('x' * 150))
        self.assertEqual([[(0, 100)], [(4, 50)]], [
            [(column, len(text)) for column, text, _colour in row]
            for row in rows])

    def test_it_knows_the_colours_of_the_program(self) -> None:
        self.assertLessEqual(set(screen._COLOURS.values()),
                             self.terminal.COLOURS.keys())
        self.assertRaises(KeyError, list, self.terminal.rows('\033[95mx'))


class MetricsTest(ToolCase):

    def test_what_was_taken_as_prometheus_imports_it(self) -> None:
        metrics = self.module('metrics')
        taken = ['@ 5.250\n', '# HELP a text\n', 'a 1\n', 'b{c="d e"} 2\n',
                 '@ 6.250\n', 'a 3\n']
        self.assertEqual(
            ['a{instance="compute1",job="nvme-agent"} 1 5.250\n',
             'b{instance="compute1",job="nvme-agent",c="d e"} 2 5.250\n',
             'a{instance="compute1",job="nvme-agent"} 3 6.250\n',
             '# EOF\n'], list(metrics.openmetrics(taken)))
        self.assertEqual([5.25, 6.25], metrics.times(taken))


class PanelsTest(ToolCase):

    def setUp(self) -> None:
        super().setUp()
        self.panels = self.module('panels')

    def drawn(self, panel: dict[str, Any], *answers: Any) -> str:
        return '\n'.join(self.panels.draw(
            panel, answers, self.panels.Box(0, 0, 400, 200), 60.0))

    def test_a_figure_has_the_colour_of_its_threshold(self) -> None:
        for value, colour in ('0', 'green'), ('1', 'red'), ('7', 'red'):
            drawn = self.drawn(STAT, [{'value': [0, value]}])
            self.assertIn(self.panels.NAMED[colour], drawn)
            self.assertIn('>%s<' % value, drawn)

    def test_a_line_for_each_run(self) -> None:
        drawn = self.drawn(LINES, [{
            'metric': {'instance': 'h', 'volume': 'v'},
            'runs': [[[0, 1 << 20], [10, 1 << 19]], [[40, 1 << 20]]]}])
        self.assertEqual(2, drawn.count('<polyline'))
        for words in '>h v<', '>1 MiB<', '>512 KiB<', 'Left &lt;to do&gt;':
            self.assertIn(words, drawn)

    def test_nothing_was_found(self) -> None:
        self.assertIn('No data', self.drawn(LINES, []))

    def test_units(self) -> None:
        for value, unit, words in (
                (0, 'bytes', '0 B'), (3 << 30, 'bytes', '3 GiB'),
                (90, 's', '1.5 min'), (2, 's', '2 s'), (7, 'short', '7')):
            self.assertEqual(words, self.panels.amount(value, unit))


class DashboardTest(ToolCase):

    def setUp(self) -> None:
        super().setUp()
        self.dashboard = self.module('dashboard')
        self.board = json.loads(self.dashboard.DASHBOARD.read_text())

    def test_gaps_stay_and_equal_points_go(self) -> None:
        drawn, = self.dashboard._drawn([{'metric': {}, 'values': [
            [10, '1'], [11, '1'], [12, '1'], [13, '2'], [20, '2']]}], 10.0)
        self.assertEqual([[[0, 1], [2, 1], [3, 2]], [[10, 2]]],
                         drawn['runs'])

    def test_each_query_of_the_dashboard_is_asked(self) -> None:
        prometheus = mock.Mock()
        prometheus.now.return_value = prometheus.range.return_value = []
        answers = self.dashboard.ask(prometheus, self.board, 0.0, 60.0)
        asked = [call.args[0] for call in [
            *prometheus.now.call_args_list,
            *prometheus.range.call_args_list]]
        self.assertEqual(sum(len(panel['targets']) for panel
                             in self.board['panels']), len(asked))
        self.assertEqual([], [query for query in asked if '$' in query])
        self.assertEqual(len(self.board['panels']), len(answers['panels']))

    def test_the_picture_in_the_documentation(self) -> None:
        again = 'tools/screens.sh makes it anew'
        answers = json.loads((self.dashboard.SHOWN / 'dashboard.json'
                              ).read_text())
        self.assertEqual(
            [(panel['title'], self.dashboard.queries(panel))
             for panel in self.board['panels']],
            [(panel['title'], panel['queries'])
             for panel in answers['panels']], again)
        self.assertEqual(
            (self.dashboard.SHOWN / 'dashboard.svg').read_text(),
            self.dashboard.plot(self.board, answers), again)
