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
"""What this host has seen of etcd, kept over restarts.

etcd that was restored from a backup looks sound and has forgotten what came
after it: a spare that somebody took is free again.  Three things tell: another
cluster, a revision that is older than one seen, a volume whose serial is lower
than one seen.  The first two make etcd as a whole unknown, the third this
volume, until an operator accepts the restored store.

The file is replaced as a whole: killed at any instant, the old one or the new
one is there.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import json
import os
from typing import Any

from os_brick.agent.vendors import base
from os_brick.agent.vendors.fleet import fields
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a host has seen of etcd.

    :ivar volumes: volume -> its record as it was seen last.
    :ivar host: the name under which it looked; '': an earlier release did.
    :ivar unlisted: volumes that etcd no longer listed, and whose arrays were
        here.
    """

    fleet: schema.Fleet | None = None
    point: store.Point = store.Point('', 0)
    volumes: Mapping[str, schema.Record] = dataclasses.field(
        default_factory=dict)
    host: str = ''
    unlisted: frozenset[str] = frozenset()


def judge(seen: Seen, fleet: schema.Fleet, point: store.Point) -> str:
    """Return why etcd is not believed, or ''; pure."""
    if seen.fleet is None:
        return ''
    if fleet.fleet != seen.fleet.fleet:
        return 'it holds another fleet (%s) than this host belongs to (%s)' % (
            fleet.fleet, seen.fleet.fleet)
    if fleet.generation > seen.fleet.generation:
        return ''
    if fleet.generation < seen.fleet.generation:
        return 'its generation %d is older than %d, which was seen' % (
            fleet.generation, seen.fleet.generation)
    if point.cluster != seen.point.cluster:
        return 'it is another cluster (%s) than before (%s)' % (
            point.cluster, seen.point.cluster)
    if point.revision < seen.point.revision:
        return 'its revision %d is older than %d, which was seen' % (
            point.revision, seen.point.revision)
    return ''


class Memory:
    """What this host has seen of etcd, in a file of its own.

    One that cannot be read is not written over, and nothing is believed
    without it: ``look`` says so until it is mended, or moved away.

    :param path: the file; made when missing, mode 0600.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._read = False
        self.seen = Seen()

    def look(self) -> None:
        """Read the file, once.

        :raises base.Unavailable: it cannot be read.
        """
        if self._read:
            return
        try:
            with open(self._path, encoding='utf-8') as stream:
                self.seen = _load(stream.read())
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError,
                fields.Nonsense) as error:
            raise base.Unavailable(
                'option state_dir: %s, in which this host remembers what it '
                'saw of etcd, cannot be read: %s' % (
                    self._path, error)) from error
        self._read = True

    def keep(self, seen: Seen) -> None:
        """Remember from now on.

        :raises base.Unavailable: it cannot be written.
        """
        if seen == self.seen and os.path.exists(self._path):
            return
        fresh = self._path + '.new'
        try:
            descriptor = os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY,
                                 0o600)
            with open(descriptor, 'w', encoding='utf-8') as stream:
                stream.write(_dump(seen))
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(fresh, self._path)
            directory = os.open(os.path.dirname(self._path), os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise base.Unavailable(
                'option state_dir: %s cannot be written: %s' % (
                    self._path, error.strerror)) from error
        self.seen = seen


def _dump(seen: Seen) -> str:
    return json.dumps({
        'version': schema.VERSION, 'host': seen.host,
        'fleet': seen.fleet and schema.dump_fleet(seen.fleet),
        'cluster': seen.point.cluster, 'revision': seen.point.revision,
        'unlisted': sorted(seen.unlisted),
        'volumes': {uuid: schema.dump_record(record)
                    for uuid, record in seen.volumes.items()}})


def _load(text: str) -> Seen:
    said: Any = json.loads(text)
    if said['version'] != schema.VERSION:
        raise ValueError('it is of version %r; this release knows %d' % (
            said['version'], schema.VERSION))
    return Seen(
        schema.load_fleet(said['fleet']) if said['fleet'] else None,
        store.Point(said['cluster'], int(said['revision'])),
        {uuid: schema.load_record(record)
         for uuid, record in said['volumes'].items()},
        str(said.get('host', '')), frozenset(said.get('unlisted', ())))
