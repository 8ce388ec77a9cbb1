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
"""What is made of the metrics: table, dashboard and alerts name only those.

promtool (Debian: prometheus) tests the rules, and reads each query; without
it those tests are skipped, and say so.
"""

from __future__ import annotations

from collections.abc import Iterator
import json
import os
import re
import shutil
import subprocess
import tempfile
from typing import Any

from oslotest import base
import yaml

from os_brick.agent.daemon import outlets
from os_brick.agent import model
from os_brick.agent.reporting import health
from os_brick.agent.reporting import metrics
from os_brick.agent.tests.unit.cmd import command_case
from os_brick.agent.tests.unit.reporting import shown_case

LONG = 60
#: Prometheus' own.
EVERYWHERE = {'instance', 'job'}
_METRIC = re.compile(r'nvme_agent_\w+')
#: Page, and the section of an alert that is of no code.
_RUNBOOK = re.compile(
    r'https://docs\.openstack\.org/os-brick-nvme-agent/latest/([\w/]+)\.html#'
    r'{{ with \$labels\.code }}'
    r'{{ \. \| toLower \| reReplaceAll "_" "-" }}'
    r'{{ else }}([\w-]+){{ end }}')


def named(text: str) -> set[str]:
    """The metrics that are named in a text, a histogram's parts as one."""
    return {re.sub(r'(_io_pause_seconds)_(bucket|sum|count)$', r'\1', name)
            for name in _METRIC.findall(text)}


def path(*names: str) -> str:
    return os.path.join(command_case.TREE, *names)


def load(*names: str) -> str:
    with open(path(*names), encoding='utf-8') as stream:
        return stream.read()


def table() -> dict[str, set[str]]:
    """The documentation's: metric -> its labels."""
    return {name: {*re.findall(r'\w+', labels)} for name, labels
            in re.findall(r'^   \* - ``(nvme_agent_\w+)``\n     -(.*)$',
                          load('doc', 'source', 'admin', 'metrics.rst'),
                          re.M)}


class TreeCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        if not os.path.exists(path('etc', 'grafana')):
            self.skipTest('not run from a source tree')

    def promtool(self, *words: str, cwd: str) -> None:
        if shutil.which('promtool') is None:
            self.skipTest('there is no promtool; apt-get install prometheus')
        ended = subprocess.run(['promtool', *words], cwd=cwd, text=True,
                               stdin=subprocess.DEVNULL, timeout=LONG,
                               capture_output=True)
        self.assertEqual(0, ended.returncode, ended.stdout + ended.stderr)


class TableTest(shown_case.ShownCase):

    def test_the_labels_are_those_of_the_table(self) -> None:
        self.lose()
        self.cycle._show._sinks = outlets.Outlets(  # type: ignore
            [outlets.Outlet('acme', None)])  # type: ignore[arg-type]
        self.driver.certificates = lambda: [  # type: ignore[method-assign]
            model.Certificate('of a', 1.0)]
        self.turn(2)
        content = self.shown()
        content['volumes'][0]['array']['sync'] = {
            'action': 'resync', 'done': 1, 'total': 2}
        content['counts']['guard_actions'] = [
            {'volume': 'volume1', 'action': 'Disconnect', 'count': 1}]
        content['counts']['pauses'] = [
            {'volume': 'volume1', 'counts': [0] * 8, 'total': 0.0}]
        found = {one.name: {*one.samples[0][0]}
                 for one in metrics.families(content)}
        self.assertEqual(table(), found)
        self.assertEqual(len(metrics.METRICS), len(found))


class DashboardTest(TreeCase):

    def setUp(self) -> None:
        super().setUp()
        self.board = json.loads(load('etc', 'grafana', 'nvme-agent.json'))

    def queries(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        for panel in self.board['panels']:
            for target in panel['targets']:
                yield panel, target

    def test_it_names_only_what_exists(self) -> None:
        known = table()
        for panel, target in self.queries():
            query = target['expr']
            used = named(query)
            self.assertTrue(used, panel['title'])
            self.assertLessEqual(used, known.keys(), panel['title'])
            # labels in braces are those of the metric before them
            for name, inside in re.findall(r'(nvme_agent_\w+)\{([^}]*)\}',
                                           query):
                self.assertLessEqual(
                    {*re.findall(r'(\w+)\s*(?:=~|!=|=|!~)', inside)},
                    set.union(*(known[one] for one in named(name)))
                    | EVERYWHERE, query)
            labels = set.union(*(known[name] for name in used)) | EVERYWHERE
            for inside in re.findall(r'(?:by|on|without) \(([^)]*)\)', query):
                self.assertLessEqual({*re.findall(r'\w+', inside)}, labels,
                                     query)
            self.assertLessEqual({*re.findall(r'{{(\w+)}}',
                                              target['legendFormat'])},
                                 labels, query)

    def test_every_metric_is_in_it(self) -> None:
        used = {name for _panel, target in self.queries()
                for name in named(target['expr'])}
        self.assertEqual(table().keys(), used)

    def test_the_variables(self) -> None:
        known = table()
        names = set()
        for one in self.board['templating']['list']:
            names.add(one['name'])
            if one['type'] == 'query':
                name, label = re.findall(r'\((\w+), (\w+)\)',
                                         one['definition'])[0]
                self.assertIn(label, known[name] | EVERYWHERE)
        self.assertEqual(names, {*re.findall(
            r'\$\{?(datasource|\w+)', json.dumps(self.board))} - {'__all'})

    def test_panels_do_not_overlap(self) -> None:
        taken: set[tuple[int, int]] = set()
        ids = [panel['id'] for panel in self.board['panels']]
        self.assertEqual(len(ids), len(set(ids)))
        for panel in self.board['panels']:
            at = panel['gridPos']
            cells = {(x, y) for x in range(at['x'], at['x'] + at['w'])
                     for y in range(at['y'], at['y'] + at['h'])}
            self.assertLessEqual(max(x for x, _y in cells), 23)
            self.assertFalse(taken & cells, panel['title'])
            taken |= cells

    def test_prometheus_can_read_each_query(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, 'queries.yml'), 'w',
                      encoding='utf-8') as rules:
                yaml.safe_dump({'groups': [{'name': 'queries', 'rules': [
                    {'record': 'query_%d' % number, 'expr': target['expr']}
                    for number, (_panel, target) in enumerate(
                        self.queries())]}]}, rules)
            self.promtool('check', 'rules', 'queries.yml', cwd=folder)


class AlertsTest(TreeCase):

    def test_the_rules_do_what_they_say(self) -> None:
        self.promtool('test', 'rules', 'nvme-agent.rules.test.yml',
                      cwd=path('etc', 'prometheus'))

    def test_each_rule_is_tested(self) -> None:
        rules = {rule['alert'] for group in yaml.safe_load(load(
            'etc', 'prometheus', 'nvme-agent.rules.yml'))['groups']
            for rule in group['rules']}
        tested = {(one['alertname'], bool(one['exp_alerts']))
                  for test in yaml.safe_load(load(
                      'etc', 'prometheus', 'nvme-agent.rules.test.yml'))[
                          'tests'] for one in test['alert_rule_test']}
        # both that it fires and that it does not
        self.assertEqual({(name, fires) for name in rules
                          for fires in (True, False)}, tested)

    def test_each_leads_to_a_section_of_the_documentation(self) -> None:
        """Of every code that may fire, and of an alert without one."""
        rules = yaml.safe_load(load('etc', 'prometheus',
                                    'nvme-agent.rules.yml'))['groups'][0][
                                        'rules']
        url, = {rule['annotations']['runbook_url'] for rule in rules}
        found = _RUNBOOK.fullmatch(url)
        assert found is not None, url
        page, without_code = found.groups()
        # a section's anchor is made of its title
        anchors = {re.sub('[^a-z0-9]+', '-', title.lower())
                   for title in re.findall(r'^(.+)\n-+$', load(
                       'doc', 'source', page + '.rst'), re.M)}
        self.assertIn(without_code, anchors)
        self.assertEqual([], [
            code for code in health.CODES
            if code.lower().replace('_', '-') not in anchors])

    def test_labels_and_codes(self) -> None:
        known = table()
        for one in yaml.safe_load(load(
                'etc', 'prometheus', 'nvme-agent.rules.yml'))['groups'][0][
                    'rules']:
            name, = {*_METRIC.findall(one['expr'])} - {
                'nvme_agent_pass_interval_seconds'}
            words = ' '.join(text for key, text in one['annotations'].items()
                             if key != 'runbook_url')
            self.assertLessEqual(
                {*re.findall(r'\$labels\.(\w+)', words)},
                known[name] | EVERYWHERE)
            self.assertLessEqual({*re.findall(r'\b[A-Z]+_[A-Z_]+\b', words)},
                                 health.CODES.keys())
