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
"""nvme-agent plan: what would be done now, and what holds it back.

It only reads: this host, and a copy of what the agent keeps.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import contextlib
import dataclasses
import json
import os
import sqlite3
import tempfile
import time

from oslo_config import cfg

from os_brick.agent.healing import blame
from os_brick.agent.healing import copy_speed
from os_brick.agent.healing import decision
from os_brick.agent.healing import foresight
from os_brick.agent.healing import holding
from os_brick.agent.host import routes
from os_brick.agent.host import sysfs
from os_brick.agent.model import snapshots
from os_brick.agent.safety import ownership
from os_brick.agent.store import ledger
from os_brick.agent.store import tables
from os_brick.cmd import commands
from os_brick.cmd import operator_word

SUMMARY = 'show what would be done now, and what holds it back'
SCHEMA = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('volume', nargs='?', metavar='VOLUME',
                        help='name of the array, or UUID of the volume; all '
                        'of them where none is given')
    parser.add_argument('--json', action='store_true',
                        help='for programs: schema %d' % SCHEMA)


@dataclasses.dataclass(frozen=True)
class Planned:
    """What is planned for a volume; ``array`` is '' where it has none."""

    volume: str
    uuid: str
    array: str
    found: foresight.Foreseen


def run(given: argparse.Namespace, read: commands.Read) -> int:
    """Print the plan.

    :raises commands.CommandError: the agent knows no such volume.
    """
    conf = read()
    snapshot = sysfs.Scanner().scan()
    with copied(conf) as store:
        planned, doubts = plan(conf, store, snapshot, time.time())
        if given.volume:
            uuid = operator_word.volume(list(store.volumes().values()),
                                        given.volume).uuid
            planned = [one for one in planned if one.uuid == uuid]
    print(as_json(planned, doubts) if given.json
          else as_text(planned, doubts))
    return 0


@contextlib.contextmanager
def copied(conf: cfg.ConfigOpts) -> Iterator[ledger.Ledger]:
    """Lend a copy of what the agent keeps: reading must not change it.

    :raises commands.CommandError: there is nothing, or it cannot be read.
    :raises ledger.LaterRelease: a later release has written it.
    """
    path = operator_word.kept(conf, ledger.FILE)
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, ledger.FILE)
        try:
            with contextlib.closing(
                    tables.open_to_read(path)) as kept, contextlib.closing(
                        sqlite3.connect(copy)) as target:
                kept.backup(target)
        except sqlite3.Error as error:
            raise commands.CommandError('%s (option state_dir): %s' % (
                path, error)) from None
        try:
            store = ledger.Ledger(copy)
        except ledger.LedgerError as error:
            # the copy is nobody's to move away
            raise type(error)(
                str(error).replace(copy, path)) from None
        try:
            yield store
        finally:
            store.close()


def plan(conf: cfg.ConfigOpts, store: ledger.Ledger,
         snapshot: snapshots.HostSnapshot, wall: float
         ) -> tuple[list[Planned], list[str]]:
    """Return what a pass would do, and which arrays are left alone, and why.

    The provisioner is not asked: its last word counts.

    :param store: is written to.
    """
    known = ownership.KnownVolumes(store.volumes(), store.legs())
    matched = known.match(snapshot, {})
    owned = known.owned(matched.arrays)
    bounds = holding.Limits(
        store.pauses() or {}, conf.dry_run, conf.max_resyncs, holding.within(
            conf.exchange_hours, time.localtime(wall).tm_hour))
    now, owing, choices = store.now(), store.owing(), store.choices()
    policy = decision.HealingPolicy(conf.replacement_grace_period,
                                    conf.report_repeat_interval)
    planned = []
    for name, uuid in sorted(matched.arrays.items()):
        volume, array = known.volumes[uuid], snapshot.array(name)
        if array is None:
            continue
        kept = store.records(uuid)
        records = decision.chosen(kept, choices[uuid]) if (
            uuid in choices) else kept
        faults = blame.NONE.along_with(routes.offline(
            blame.lost_portals(volume, snapshot)))
        decided = decision.decide(
            volume, array, snapshot, records, now, policy, known.staying,
            owned, False, uuid in owing, faults)
        speed = None if volume.observe else copy_speed.decide(
            array, conf.resync_speed_max)
        if speed is not None:
            decided = dataclasses.replace(
                decided, actions=(*decided.actions, speed))
        planned.append(Planned(volume.alias, uuid, name, foresight.foresee(
            volume, array, snapshot, decided, owned, bounds,
            matched.arrays, faults)))
    here = {*matched.arrays.values()}
    planned += [
        Planned(volume.alias, uuid, '', foresight.Foreseen(
            notes=('its array is not on this host',)))
        for uuid, volume in sorted(known.volumes.items()) if uuid not in here]
    doubts = ['%s: %s' % pair for pair in sorted(matched.doubts.items())]
    doubts += ['array %s (%s): left alone: no volume that is known claims it'
               % (array.alias, array.name) for array in snapshot.arrays
               if array.name not in matched.arrays
               and not any(array.name in doubt for doubt in doubts)]
    return planned, doubts + list(snapshot.problems)


def as_json(planned: list[Planned], doubts: list[str]) -> str:
    return json.dumps({
        'schema': SCHEMA, 'left_alone': doubts,
        'volumes': [{'volume': one.volume, 'uuid': one.uuid,
                     'array': one.array,
                     'steps': [*map(dataclasses.asdict, one.found.steps)],
                     'notes': list(one.found.notes)} for one in planned]},
        indent=2)


def as_text(planned: list[Planned], doubts: list[str]) -> str:
    lines = []
    for one in planned:
        lines.append('volume %s%s:' % (one.volume, one.array
                                       and ' (%s)' % one.array))
        for number, step in enumerate(one.found.steps, 1):
            lines.append('  %d. %s' % (number, step.what))
            lines += ['     held back: %s' % step.held_by] * bool(step.held_by)
            lines += ['     if: %s' % step.condition] * bool(
                step.condition and not step.held_by)
        lines += ['  - %s' % note for note in one.found.notes]
        if not (one.found.steps or one.found.notes):
            lines.append('  nothing is to be done')
    return '\n'.join(lines + doubts) or (
        'no volume is known here, and no array is')
