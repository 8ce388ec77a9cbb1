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
"""The agent's own parts, as a history needs them: watched, interruptible."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
from typing import Any

from os_brick.agent.host import batch
from os_brick.agent.host import execute
from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.safety import laws
from os_brick.agent.store import ledger
from os_brick.agent.testing.simulation import disk


class Wall:
    """Lets every call of an object be a point at which others may come."""

    def __init__(self, behind: object, point: Callable[[str], None]) -> None:
        self._behind = behind
        self._point = point

    def __getattr__(self, name: str) -> Any:
        call, point = getattr(self._behind, name), self._point
        if not callable(call):
            return call

        before, after = 'before ' + name, 'after ' + name

        def pointed(*words: object, **more: object) -> object:
            point(before)
            found = call(*words, **more)
            point(after)
            return found

        # found again without a detour
        self.__dict__[name] = pointed
        return pointed


Owed = dict[str, list[tuple[str, model.ReplicaState]]]


class SimLedger(ledger.Ledger):
    """The ledger, and what it was told: reports in the order they came.

    :ivar owed: volume -> its reports that are still to be delivered.
    :ivar saved: told of which replicas there is a new record; ``reported``: of
        each report that is to be delivered, ``struck``: that is taken for it.
    """

    DATABASE = disk.Disk
    owed: Owed
    saved: Callable[[Collection[str]], None]
    reported: Callable[[str, model.ReplicaState], None]
    struck: Callable[[ledger.Pending], None]

    def save(self, volume: str, records: Any, reports: Any = (),
             durable: bool = False) -> None:
        super().save(volume, records, reports, durable)
        self.saved(records)
        for report in reports:
            self.reported(report.replica_uuid, report.state)
        self.owed.setdefault(volume, []).extend(
            (report.replica_uuid, report.state) for report in reports)

    def drop_reports(self, volume: str) -> int:
        self.owed.pop(volume, None)
        return super().drop_reports(volume)

    def delivered(self, report: ledger.Pending) -> None:
        self.struck(report)
        self.owed[report.volume].remove((report.replica, report.state))
        super().delivered(report)


class SimExecutor(execute.Executor):
    """The executor; counts what its last look refuses, by the law.

    :ivar refused: told of each; ``done``: of each action that was carried
        out.
    """

    refused: Callable[[str], None]
    done: Callable[[act.Action], None]

    def execute(self, action: act.Action, *words: Any) -> None:
        super().execute(action, *words)
        self.done(action)

    def execute_all(self, steps: Sequence[batch.Step], *words: Any,
                    **more: Any) -> list[batch.Outcome]:
        outcomes = super().execute_all(steps, *words, **more)
        for step, outcome in zip(steps, outcomes):
            if outcome is None:
                self.done(step.action)
        return outcomes

    def _last_look(self, action: Any, *words: Any, **more: Any) -> Any:
        try:
            return super()._last_look(action, *words, **more)
        except execute.NotDone as error:
            law = str(error).partition(':')[0]
            if law in laws.Law.__members__:
                self.refused('%s refuses %s' % (law, type(action).__name__))
            raise
