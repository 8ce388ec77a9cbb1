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
"""What a state document says of the agent that wrote it; pure.

A document outlives its agent: whoever reads it has to know whether it is
still true.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

from os_brick.agent.reporting import document
from os_brick.agent.reporting import health

#: Exit statuses, as monitoring plug-ins have them.
OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
#: Intervals after which an agent that wrote nothing is stuck, and the
#: seconds that it is given at least.
INTERVALS, SHORTEST = 3, 30.0
_STATUSES = {'': OK, health.INFO: OK, health.WARNING: WARNING,
             health.CRITICAL: CRITICAL}


@dataclasses.dataclass(frozen=True)
class Reader:
    """Who reads the document, and when.

    :ivar boot: and ``boottime``: see ``document.Moment``.
    :ivar running: the process that wrote it runs.
    """

    boot: str
    boottime: float
    running: bool


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What may be relied on.

    :ivar age: seconds since the document was written; None: before a reboot.
    :ivar findings: those of the document and of the agent itself.
    :ivar unreliable: why the rest may be old, '' where it is not.
    """

    age: float | None
    findings: tuple[health.Finding, ...]
    unreliable: str

    @property
    def status(self) -> int:
        """The exit status."""
        if self.unreliable:
            return UNKNOWN
        return _STATUSES[health.worst([*self.findings])]


class Foreign(Exception):
    """Why a document cannot be read by this program."""


def checked(content: object) -> document.Document:
    """Return a document that has what this program reads.

    :raises Foreign: it is of another release, or none.
    """
    if not isinstance(content, dict) or not isinstance(
            content.get('schema'), int):
        raise Foreign('it is no state document')
    if content['schema'] != document.SCHEMA:
        raise Foreign(
            'it has schema %d, written by %s agent; this program reads '
            'schema %d' % (content['schema'], 'a newer' if content['schema']
                           > document.SCHEMA else 'an older',
                           document.SCHEMA))
    missing = {'agent', 'host', 'time', 'provisioner', 'volumes',
               'findings', 'left_alone', 'problems'} - content.keys()
    if missing:
        raise Foreign('it lacks %s' % ', '.join(sorted(missing)))
    return content


def judge(content: Mapping[str, Any], reader: Reader) -> Verdict:
    """Say what of a document may be relied on."""
    findings = tuple(
        health.Finding(**{**one, 'details': tuple(one['details'])})
        for one in content['findings'])
    if content['time']['boot'] != reader.boot:
        return _unreliable(None, findings, 'AGENT_DOWN', 'the agent has not '
                           'run since this host was booted')
    age = max(0.0, reader.boottime - content['time']['boottime'])
    if not reader.running:
        return _unreliable(
            age, findings, 'AGENT_DOWN', 'the agent does not run: its '
            'process %d is gone' % content['agent']['pid'])
    limit = max(INTERVALS * content['agent']['interval'], SHORTEST)
    if age > limit:
        return _unreliable(age, findings, 'AGENT_STUCK', 'the agent runs, '
                           'but has ended no pass for %.0f s' % age)
    return Verdict(age, findings, '')


def _unreliable(age: float | None, findings: tuple[health.Finding, ...],
                code: str, why: str) -> Verdict:
    return Verdict(age, (health.found(code, why), *findings), why)
