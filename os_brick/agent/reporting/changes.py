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
"""A health code that comes or goes, as an event; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from os_brick.agent import model
from os_brick.agent.model import events
from os_brick.agent.reporting import health

CAME, WENT = 'HEALTH', 'HEALTH_OVER'
_LEVELS = {health.INFO: events.INFO, health.WARNING: events.WARN,
           health.CRITICAL: events.FATAL}


def came(finding: Mapping[str, Any]) -> model.Event:
    """Return the event of a finding, as the document has it."""
    code, volume = finding['code'], finding['volume']
    return model.Event(CAME, _LEVELS[finding['severity']], '%s%s: %s' % (
        code, volume and ', volume %s' % volume, finding['text']),
        _names(code, volume))


def went(code: str, volume: str) -> model.Event:
    return model.Event(WENT, events.INFO, '%s%s: over' % (
        code, volume and ', volume %s' % volume), _names(code, volume))


def _names(code: str, volume: str) -> tuple[tuple[str, str], ...]:
    return (('code', code), *((('alias', volume),) if volume else ()))
