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
"""The report of a run: JSON for programs, HTML for people."""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import html
import json

from os_brick.agent.testing import conformance
from os_brick.agent.testing.conformance import results
from os_brick.agent.vendors import base

_PAGE = '''<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<title>Conformance of the driver {driver}</title>
<style>
body {{ font-family: sans-serif; margin: 2em auto; max-width: 60em; }}
table {{ border-collapse: collapse; width: 100%; }}
td, th {{ border-bottom: 1px solid #ccc; padding: .4em; text-align: left;
          vertical-align: top; }}
.passed {{ color: #1a7f37; }} .failed {{ color: #b42318; }}
.skipped {{ color: #6b6b6b; }}
small {{ display: block; color: #444; overflow-wrap: anywhere; }}
</style></head><body>
<h1>Conformance of the driver {driver}</h1>
<p>{summary}</p>
<p>Driver: {driver}, {origin}. Kit {kit}, interface {interface},
agent {agent}. {when}</p>
<table><tr><th>Result</th><th>What the driver is held to</th></tr>
{rows}
</table></body></html>
'''


@dataclasses.dataclass(frozen=True)
class Report:
    """One run.

    :ivar origin: the distribution or class that the driver came from.
    :ivar agent: the version of the agent that the kit is part of.
    :ivar when: date and time of the run.
    """

    driver: str
    origin: str
    agent: str
    when: str
    outcomes: tuple[results.Outcome, ...]

    def count(self, result: str) -> int:
        return sum(one.result == result for one in self.outcomes)

    @property
    def conforms(self) -> bool:
        """No case failed, and there was one."""
        return not self.count(results.FAILED) and bool(
            self.count(results.PASSED))

    @property
    def summary(self) -> str:
        return '%d passed, %d failed, %d skipped' % tuple(
            self.count(result) for result in (
                results.PASSED, results.FAILED, results.SKIPPED))

    def as_json(self) -> str:
        return json.dumps({
            'driver': self.driver, 'origin': self.origin,
            'agent': self.agent, 'when': self.when,
            'kit': conformance.KIT_VERSION, 'interface': interface(),
            'conforms': self.conforms, 'summary': self.summary,
            'cases': [dataclasses.asdict(one) for one in self.outcomes],
        }, indent=2) + '\n'

    def as_html(self) -> str:
        return _PAGE.format(
            rows='\n'.join(_rows(self.outcomes)),
            kit=conformance.KIT_VERSION, interface=interface(),
            **{name: html.escape(str(getattr(self, name))) for name in (
                'driver', 'origin', 'agent', 'when', 'summary')})


def _rows(outcomes: Iterable[results.Outcome]) -> Iterable[str]:
    for one in outcomes:
        yield ('<tr><td class="%s">%s</td><td>%s<small>%s</small>'
               '<small>%s</small></td></tr>' % (
                   one.result, one.result, html.escape(one.sentence),
                   html.escape(one.case), html.escape(one.reason)))


def interface() -> str:
    return '.'.join(map(str, base.INTERFACE_VERSION))
