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
"""Run a series of faults in the lab's machine; see tools/chaos.sh."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import pathlib
import re
import shutil
import sys
import time
import traceback

import arguments
import footprint
import report
import rig as rig_lib
import series

from os_brick.agent.tests.functional.lab import evidence
from os_brick.agent.tests.functional.lab import process
from os_brick.agent.tests.functional.lab import session as session_lib
from os_brick.agent.tests.functional.lab import waiting

#: What the kernel says when data may be in danger.  Errors of a leg are not.
KERNEL = re.compile(
    r'.*(?:I/O error,? (?:on )?dev(?:ice)? md|EXT4-fs error|JBD2: .*error'
    r'|Remounting filesystem read-only|BUG:|Oops|blocked for more than).*')
#: That no copy can be reached is so in an outage of all, and is to be said.
AGENT = re.compile(r'^.* (?:CRITICAL (?!.* NO_GOOD_LEG, )|Traceback ).*$'
                   r'|^Traceback .*$', re.M)
#: What targets with several paths get, from the attach on.
IOPOLICY = pathlib.Path('/sys/module/nvme_core/parameters/iopolicy')
#: Lines of the agent's log that are shown when it went wrong.
TAIL = 60


def say(text: str) -> None:
    for line in text.splitlines():
        print('chaos: ' + line, flush=True)


class Run:
    """One series, from its first fault to what is read back in the end."""

    def __init__(self, rig: rig_lib.Rig, faults: tuple[series.Fault, ...],
                 out: pathlib.Path) -> None:
        self._rig = rig
        self._faults = faults
        self._out = out
        self._writes: dict[str, list[tuple[float, float]]] = {
            name: [] for name in rig.loads}
        self._begun: list[float] = []
        self._first = time.monotonic()
        self.rows: list[report.Row] = []
        self.footprints: list[footprint.Footprint] = []

    def strike(self) -> None:
        """Let one fault after the other begin.

        :raises rig_lib.WentWrong: what must not happen has.
        """
        for fault in self._faults:
            if fault.settled:
                self._rig.settle()
                self._measure()
                self._rig.timeline.sleep(fault.after)
            else:
                self._sleep_until(self._begun[-1] + fault.after)
            self._rig.prepare(fault)
            self.note()
            self._begun.append(self._rig.strike(fault))
            say('%d/%d begins after %.0f s: %s' % (
                fault.number, len(self._faults),
                self._begun[-1] - self._first, fault))
        self._rig.settle()

    def _measure(self) -> None:
        """Note what the agent takes up, if it lives just now."""
        agent = self._rig.agent
        if agent.running():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                self.footprints.append(footprint.take(
                    time.monotonic() - self._first, agent.pid,
                    agent.helper_pid(), agent.state_dir, agent.log_path))

    def note(self, final: bool = False) -> None:
        """Make the rows of all faults of which the last late write ended."""
        ends = [*self._begun[1:], time.monotonic()]
        with self._out.open('a', encoding='utf-8') as out:
            for number in range(len(self.rows), len(self._begun)):
                if not (final or self._over(ends[number])):
                    break
                row = self._row(number, ends[number])
                self.rows.append(row)
                out.write(json.dumps({**dataclasses.asdict(row),
                                      'pause': row.pause}) + '\n')
                say('%d/%d %s' % (row.number, len(self._faults), row))

    def _over(self, end: float) -> bool:
        """Whether no write is under way that was late by then."""
        return not any(
            (under_way := load.writer.status().under_way)
            and time.monotonic() - under_way < end - report.LATE
            for load in self._rig.loads.values())

    def _row(self, number: int, end: float) -> report.Row:
        fault, begin = self._faults[number], self._begun[number]
        down = [min(until, end) - max(since, begin)
                for since, until in self._rig.down
                if since < end and until > begin]
        pauses = {}
        for name, load in self._rig.loads.items():
            self._writes[name] += load.finished()
            # what ended before is no later fault's, either
            writes = self._writes[name] = [
                write for write in self._writes[name] if write[1] > begin]
            if under_way := load.writer.status().under_way:
                now = time.monotonic()
                writes = [*writes, (now - under_way, now)]
            pauses[name] = report.pause(writes, begin, end)
        return report.Row(fault.number, fault.kind, str(fault),
                          begin - self._first, fault.settled,
                          sum(down), pauses)

    def _sleep_until(self, when: float) -> None:
        self._rig.timeline.sleep(max(0.0, when - time.monotonic()))

    def outcome(self, problems: list[str]) -> report.Outcome:
        """End it, read back, compare."""
        errors, lost, differing = 0, None, None
        loads = self._rig.loads.values()
        try:
            self._rig.end()
            self._rig.settle()
        except rig_lib.WentWrong as problem:
            problems.append(str(problem))
        try:
            self.note(final=True)
            errors = sum(load.stop() for load in loads)
            differing = self._rig.compare()
            lost = sum(load.verify() for load in loads)
        except (rig_lib.WentWrong, waiting.TimedOut, RuntimeError,
                process.CommandFailed) as problem:
            problems.append(str(problem))
        for load in loads:
            problems += load.problems
        return report.Outcome(
            errors or sum(load.writer.status().errors for load in loads),
            lost, differing, tuple(dict.fromkeys(problems)))


def looked_at(agent_log: str, kernel_log: str) -> list[str]:
    """Return what the logs hold that no fault may cause."""
    found = ['kernel: ' + line.strip() for line in KERNEL.findall(kernel_log)]
    found += ['the agent: ' + line for line in AGENT.findall(agent_log)]
    return found[:20]


def main() -> int:
    options = arguments.parse()
    folder = options.out
    out = folder / ('chaos-%d.jsonl' % options.seed)
    out.write_text('')
    session = session_lib.Session(fork=True)
    name = 'chaos-%d' % options.seed
    evidence.mark('begin ' + name)
    rig, run, problems = None, None, []
    outcome = report.Outcome(0, None, None, ('it did not begin',))
    try:
        say('attaching volumes')
        IOPOLICY.write_text(options.iopolicy)
        rig = rig_lib.Rig(session, dict(options.set))
        say('they are guarded and written to; seed %d' % options.seed)
        run = Run(rig, options.series, out)
        try:
            run.strike()
        except (rig_lib.WentWrong, RuntimeError, waiting.TimedOut,
                process.CommandFailed) as problem:
            problems.append(str(problem))
            say('WRONG: %s' % problem)
            evidence.collect(name, session.logs())
        outcome = run.outcome(problems)
    except Exception:
        # whatever it is, it is told, with the seed
        outcome = report.Outcome(0, None, None,
                                 (*problems, traceback.format_exc()))
    finally:
        log = session.agents[0].log() if session.agents else ''
        found = looked_at(log, process.run('dmesg'))
        outcome = dataclasses.replace(
            outcome, problems=(*outcome.problems, *found))
        if not outcome.good and not problems:
            evidence.collect(name, session.logs())
        for path in session.logs():
            if path.name == 'agent.log' and path.exists():
                shutil.copy(path, folder / ('agent-%d.log' % options.seed))
        for load in rig.loads.values() if rig else ():
            load.abandon()
        try:
            session.close()
        except RuntimeError as problem:
            outcome = dataclasses.replace(
                outcome, problems=(*outcome.problems, str(problem)))
    footprints = run.footprints if run else []
    footprint.keep(footprints,
                   folder / ('footprint-%d.jsonl' % options.seed))
    outcome = dataclasses.replace(outcome, problems=(
        *outcome.problems, *footprint.leaks(footprints)))
    say('what the agent took up while all was whole, by the agent that lived '
        'longest:')
    say(footprint.table(footprints))
    return told(options, outcome, run.rows if run else [],
                rig.notes if rig else [], log)


def told(options: argparse.Namespace, outcome: report.Outcome,
         rows: list[report.Row], notes: list[str], log: str) -> int:
    """Print what it came to; return the exit code."""
    say(report.table(rows))
    say('pauses without what an outage lasted:')
    say(report.histogram(rows))
    for note in notes:
        say('note: ' + note)
    line = report.verdict(options.seed, options.faults, len(rows), outcome)
    good = not line.endswith('FAILED')
    if not good:
        say('the last lines of the agent\'s log:')
        print('\n'.join(log.splitlines()[-TAIL:]), flush=True)
        for problem in outcome.problems:
            say('WRONG: ' + problem)
    (options.out / 'verdict').write_text(line + '\n')
    print(line, flush=True)
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
