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
"""The metrics: their values, their text, and the table of them."""

from __future__ import annotations

import os
import re

import yaml

from os_brick.agent.reporting import metrics
from os_brick.agent.tests.unit.reporting import shown_case

A, B = shown_case.A, shown_case.B
DOCUMENTATION = shown_case.DOCUMENTATION


class TestMetrics(shown_case.ShownCase):

    def counted(self) -> str:
        with open(os.path.join(self.folder, 'x.prom'),
                  encoding='utf-8') as stream:
            return stream.read()

    def test_a_lost_replica(self) -> None:
        self.conf.set_override('metrics_textfile',
                               os.path.join(self.folder, 'x.prom'))
        self.lose()
        self.outage('report')
        self.turn()
        text = self.counted()
        for line in (
                'nvme_agent_volume_copies_good{volume="volume1",'
                'device="md1"} 1',
                'nvme_agent_volume_copies_wanted{volume="volume1",'
                'device="md1"} 2',
                'nvme_agent_replica_state{volume="volume1",replica="%s",'
                'state="MISSING"} 1' % B,
                'nvme_agent_replica_state{volume="volume1",replica="%s",'
                'state="MISSING"} 0' % A,
                'nvme_agent_path_live{volume="volume1",replica="%s",'
                'controller="nvme11",portal="tcp://192.0.2.11:4420"} 0' % B,
                'nvme_agent_health{code="ARRAY_DEGRADED",'
                'severity="warning",volume="volume1",muted="false"} 1',
                'nvme_agent_reports_waiting 1',
                'nvme_agent_provisioner_up 1',
                '# TYPE nvme_agent_replica_state gauge'):
            self.assertIn(line, text.splitlines())

    def test_every_metric_is_in_table_and_rules_name_only_those(
            self) -> None:
        names = {metrics.PREFIX + name for name in metrics.METRICS}
        with open(os.path.join(DOCUMENTATION, 'metrics.rst'),
                  encoding='utf-8') as page:
            self.assertEqual(names, {*re.findall(
                r'^   \* - ``(nvme_agent_\w+)``$', page.read(), re.M)})
        with open(os.path.join(DOCUMENTATION, *['..'] * 3, 'etc',
                               'prometheus', 'nvme-agent.rules.yml'),
                  encoding='utf-8') as rules:
            used = {name for group in yaml.safe_load(rules)['groups']
                    for rule in group['rules']
                    for name in re.findall(r'nvme_agent_\w+', rule['expr'])}
        self.assertTrue(used)
        self.assertLessEqual(used, names)

    def test_labels_are_escaped(self) -> None:
        self.turn()
        content = self.shown()
        content['agent']['version'] = 'a"b\\c\nd'
        self.assertIn('version="a\\"b\\\\c\\nd"', metrics.text(content))

    def test_a_file_that_cannot_be_written(self) -> None:
        self.conf.set_override('metrics_textfile',
                               os.path.join(self.folder, 'none', 'x.prom'))
        self.turn(3)
        self.assertEqual(1, self.log.output.count('metrics_textfile'))
