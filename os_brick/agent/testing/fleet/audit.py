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
"""What has happened to a fleet, read off every revision that etcd keeps."""

from __future__ import annotations

import base64
import collections
from collections.abc import Iterable
import dataclasses
import http.client
import json
from typing import Any
import urllib.parse

from os_brick.agent import model
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store

State = model.ReplicaState


@dataclasses.dataclass(frozen=True)
class Change:
    """One change of one key.

    :ivar text: of the key from then on; None: it was deleted.
    """

    revision: int
    key: str
    text: str | None


def history(url: str, prefix: str, last: int) -> list[Change]:
    """Return all changes below a prefix up to a revision, in order.

    :param last: there has to be a change as late as this.
    :raises OSError: the member does not answer.
    """
    line = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc,
                                      timeout=60)
    try:
        line.request('POST', '/v3/watch', json.dumps({'create_request': {
            'key': _encode(prefix), 'range_end': _encode(
                prefix[:-1] + chr(ord(prefix[-1]) + 1)),
            'start_revision': '1'}}))
        answer = line.getresponse()
        found: list[Change] = []
        while not found or found[-1].revision < last:
            said = json.loads(answer.readline())['result']
            found += map(_change, said.get('events', ()))
        return found
    finally:
        line.close()


def _change(event: dict[str, Any]) -> Change:
    kv = event['kv']
    return Change(int(kv['mod_revision']), base64.b64decode(
        kv['key']).decode(), None if event.get('type') == 'DELETE'
        else base64.b64decode(kv.get('value', '')).decode())


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Audit:
    """Replays a history.

    :ivar taken: namespace -> how often a volume got it.
    :ivar wrongs: what must not have been, a sentence each.
    :ivar moving: the most replicas that were to leave at one time.
    """

    def __init__(self, keys: schema.Keys) -> None:
        self._keys = keys
        self._records: dict[str, schema.Record] = {}
        self._uses: dict[str, str | None] = {}
        self.taken: collections.Counter[str] = collections.Counter()
        self.wrongs: list[str] = []
        self.moving = 0

    def replay(self, changes: Iterable[Change]) -> None:
        """Take changes in; what belongs to one revision is one step."""
        revision = 0
        for change in changes:
            if change.revision != revision and revision:
                self._look(revision)
            revision = change.revision
            self._take(change)
        self._look(revision)

    def _take(self, change: Change) -> None:
        keys, text = self._keys, change.text
        if change.key.startswith(keys.uses):
            uuid = change.key[len(keys.uses):]
            volume = schema.load_use(text).volume if text else None
            if volume is not None and volume != self._uses.get(uuid):
                self.taken[uuid] += 1
            self._uses[uuid] = volume
        elif change.key.startswith(keys.hosts) and '/volumes/' in change.key:
            if text is None:
                self._records.pop(change.key, None)
            else:
                self._records[change.key] = schema.load_record(text)

    def _look(self, revision: int) -> None:
        holders: dict[str, str] = {}
        leaving = 0
        for record in self._records.values():
            for entry in record.entries:
                if not entry.live:
                    continue
                leaving += entry.state is State.TERMINATING
                other = holders.setdefault(entry.uuid, record.uuid)
                if other != record.uuid:
                    self.wrongs.append('revision %d: %s is in volumes %s and '
                                       '%s' % (revision, entry.uuid, other,
                                               record.uuid))
                if self._uses.get(entry.uuid) != record.uuid:
                    self.wrongs.append('revision %d: %s of volume %s is said '
                                       'to be in use by %s' % (
                                           revision, entry.uuid, record.uuid,
                                           self._uses.get(entry.uuid)))
        self.moving = max(self.moving, leaving)

    def replicas(self) -> dict[str, dict[str, State]]:
        """Return volume -> its replicas at last, with their states."""
        return {record.listing.alias: {
            entry.uuid: entry.state for entry in record.entries
            if entry.live and entry.state is not None}
            for record in self._records.values()}


def revision(etcd: store.Store, keys: schema.Keys) -> int:
    """Return that of the last change below the prefix."""
    view = etcd.read([], [keys.prefix + '/'])
    return max(value.revision for value in view.found.values())
