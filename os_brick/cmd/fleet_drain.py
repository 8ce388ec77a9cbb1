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
"""nvme-agent-fleet drain: step after step, until nothing more can be done.

A drain of a big target lasts for hours.  A member of etcd that fails, or a
volume without a fitting spare, does not end it, and what was begun is told as
it is begun: on standard error, where it is waited for.
"""

from __future__ import annotations

from collections.abc import Mapping
import sys
import time
from typing import Any

from os_brick.agent.vendors import base
from os_brick.agent.vendors.fleet import admin
from os_brick.agent.vendors.fleet import moving

#: Seconds between two steps.
PAUSE = 10.0
#: Steps in a row that etcd may fail, some five minutes.
PATIENCE = 30


class _Progress:
    """Each thing is told once."""

    def __init__(self, target: str, aloud: bool) -> None:
        self._target = target
        self._aloud = aloud
        self._last = ''
        self._told: set[str] = set()
        self.begun: dict[str, str] = {}
        self._most = 0

    def step(self, step: moving.Step) -> None:
        self.begun.update(step.begun)
        self._told -= step.begun.keys()
        self._most = max(self._most, step.left)
        for pair in step.begun.items():
            self._say('%s -> %s' % pair)
        for one in step.declined:
            # the words change as others take the spares
            self._once('not begun: %s of volume %s: %s' % (
                one.replica, one.volume, one.why), one.replica)
        for one in step.stalled:
            self._once('does not go on: %s of volume %s: %s' % (
                one.replica, one.volume, one.why), one.replica)
        line = '%d of %d replicas have left %s' % (
            self._most - step.left, self._most, self._target)
        if line != self._last:
            self._say(line)
        self._last = line
        self.trouble(step.trouble)

    def trouble(self, words: str) -> None:
        if words:
            self._once('%s; it is tried again' % words, words)

    def _once(self, line: str, about: str) -> None:
        if about not in self._told:
            self._told.add(about)
            self._say(line)

    def _say(self, line: str) -> None:
        if self._aloud:
            print(line, file=sys.stderr, flush=True)


def run(operator: admin.Operator, target: str, at_once: int,
        wait: bool) -> dict[str, Any]:
    """Make one step, or as many as it takes.

    :raises base.ProvisionerError: nothing was done.
    """
    progress = _Progress(target, wait)
    step = operator.drain(target, at_once)
    progress.step(step)
    failed = 0
    trouble = step.trouble
    while wait and step.left and not step.stuck and failed < PATIENCE:
        time.sleep(PAUSE)
        try:
            step = operator.drain(target, at_once)
        except base.ProvisionerError as error:
            trouble = str(error)
            progress.trouble(trouble)
            failed += 1
            continue
        progress.step(step)
        trouble = step.trouble
        failed = failed + 1 if trouble else 0
    return {
        'begun': ['%s -> %s' % pair for pair in progress.begun.items()],
        'not_begun': list(map(_shown, step.declined)),
        'stalled': list(map(_shown, step.stalled)),
        'left': step.left, 'target': target, 'trouble': trouble}


def _shown(one: moving.Declined) -> dict[str, str]:
    return {'volume': one.volume, 'replica': one.replica, 'host': one.host,
            'why': one.why}


def lines(found: Mapping[str, Any]) -> list[str]:
    said = list(found['begun'])
    said += ['not begun: %s of volume %s: %s' % (
        one['replica'], one['volume'], one['why'])
        for one in found['not_begun']]
    said += ['does not go on: %s of volume %s: %s' % (
        one['replica'], one['volume'], one['why'])
        for one in found['stalled']]
    said += ['ended early: %s' % found['trouble']] if found['trouble'] else []
    return said + ['%d replicas are still on %s%s' % (
        found['left'], found['target'], '' if not found['left'] else
        '; run this again, or with --wait')]
