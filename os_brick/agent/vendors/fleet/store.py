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
"""Reading from and writing to etcd, so that nothing is lost or done twice.

- What belongs together is written in one transaction, on the condition that
  what it rests on is as it was read.  The reads are linearizable.
- Every answer's cluster and revision are compared with what this host has
  seen before, since before a restart: a store that was restored from a backup
  has forgotten what came after it, and is believed only once an operator has
  accepted it (``generation`` of ``schema``).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any
from typing import Protocol

from os_brick.agent.vendors import base
from os_brick.agent.vendors.fleet import fields
from os_brick.agent.vendors.fleet import schema


#: Keys below a prefix in one answer to ``read_all``: some MiB of volumes.
PAGE = 2000


class Caller(Protocol):
    """What a store needs of the wire."""

    def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post to etcd's gateway; see ``wire.Wire.call``."""


@dataclasses.dataclass(frozen=True)
class Value:
    """A key's value, and since which revision it has it.

    :ivar revision: of its last change; 0: there is no such key.
    """

    text: str = ''
    revision: int = 0


@dataclasses.dataclass(frozen=True)
class Point:
    """Where a store's history is."""

    cluster: str
    revision: int


@dataclasses.dataclass(frozen=True)
class View:
    """What stood there at one moment.

    :ivar point: that moment.
    :ivar found: key -> value, of all that was asked for.
    """

    point: Point
    found: Mapping[str, Value]

    def get(self, key: str) -> Value:
        return self.found.get(key, Value())

    def below(self, prefix: str) -> dict[str, Value]:
        """Return what begins so, by the rest of the key."""
        return {key[len(prefix):]: value for key, value
                in self.found.items() if key.startswith(prefix)}


@dataclasses.dataclass(frozen=True)
class Write:
    """A transaction.

    :ivar puts: key -> text; None deletes the key.
    :ivar unchanged: keys that must be as they were read.
    :ivar holds: key -> the text that it must have.
    :ivar lease: for all that is put; 0: none.
    :ivar lasting: keys that are put without it.
    """

    puts: Mapping[str, str | None]
    unchanged: Mapping[str, Value] = dataclasses.field(default_factory=dict)
    holds: Mapping[str, str] = dataclasses.field(default_factory=dict)
    lease: int = 0
    lasting: frozenset[str] = frozenset()


class Store:
    """Keys below the prefix, read and changed by transaction.

    :param wire: how etcd is reached.
    """

    def __init__(self, wire: Caller) -> None:
        self._wire = wire

    def read(self, keys: Iterable[str] = (),
             prefixes: Iterable[str] = ()) -> View:
        """Read keys, and all below prefixes, at one moment.

        :raises base.ProvisionerError: nothing can be said.
        """
        ranges = [{'key': _encode(key)} for key in keys] + [
            {'key': _encode(prefix), 'range_end': _encode(_end(prefix))}
            for prefix in prefixes]
        point, responses = self._ranges(ranges)
        found: dict[str, Value] = {}
        for response in responses:
            found.update(_values(response))
        return View(point, found)

    def read_all(self, keys: Iterable[str], prefixes: Iterable[str]) -> View:
        """The same of a whole fleet: page by page, still at one moment.

        Each page is an answer of its own, with its limits of size and time.

        :raises base.ProvisionerError: nothing can be said; ``Unavailable``,
            too, where etcd has compacted that moment away meanwhile.
        """
        found: dict[str, Value] = {}
        ranges: list[dict[str, str]] = [{'key': _encode(key)} for key in keys]
        ranges += [{'key': _encode(prefix), 'limit': str(PAGE),
                    'range_end': _encode(_end(prefix))}
                   for prefix in prefixes]
        first = None
        while ranges:
            point, responses = self._ranges(ranges)
            first = first or point
            more = []
            for asked, response in zip(ranges, responses):
                values = _values(response)
                found.update(values)
                if response['response_range'].get('more') is True:
                    more.append({**asked, 'key': _after(asked, response),
                                 'revision': str(first.revision)})
            ranges = more
        assert first is not None
        return View(first, found)

    def _ranges(self, ranges: Sequence[Mapping[str, str]]
                ) -> tuple[Point, list[Any]]:
        answer = self._wire.call('kv/txn', {'success': [
            {'request_range': one} for one in ranges]})
        point = _point(answer)
        responses = answer.get('responses', [])
        if not isinstance(responses, list) or len(responses) != len(ranges):
            raise base.BadAnswer('etcd did not answer %d ranges: %.40r' % (
                len(ranges), responses))
        return point, responses

    def write(self, write: Write) -> Point | None:
        """Carry a transaction out; None: what it rests on has changed.

        :raises base.ProvisionerError: nobody knows whether it was.
        """
        compare: list[dict[str, Any]] = [
            {'key': _encode(key), 'result': 'EQUAL', 'target': 'MOD',
             'mod_revision': str(value.revision)}
            for key, value in write.unchanged.items()]
        compare += [{'key': _encode(key), 'result': 'EQUAL',
                     'target': 'VALUE', 'value': _encode(text)}
                    for key, text in write.holds.items()]
        done: list[dict[str, Any]] = []
        for key, text in write.puts.items():
            if text is None:
                done.append({'request_delete_range': {'key': _encode(key)}})
                continue
            put = {'key': _encode(key), 'value': _encode(text)}
            if write.lease and key not in write.lasting:
                put['lease'] = str(write.lease)
            done.append({'request_put': put})
        answer = self._wire.call('kv/txn', {'compare': compare,
                                            'success': done})
        point = _point(answer)
        return point if answer.get('succeeded') is True else None

    def grant(self, seconds: int) -> int:
        """Return a new lease.

        :raises base.ProvisionerError: there is none.
        """
        return _count(self._wire.call('lease/grant', {
            'TTL': str(seconds), 'ID': '0'}).get('ID'))

    def keep_alive(self, lease: int) -> bool:
        """Renew a lease; False: it has ended."""
        answer = self._wire.call('lease/keepalive', {'ID': str(lease)})
        result = answer.get('result')
        if not isinstance(result, dict):
            raise base.BadAnswer('etcd renewed a lease without a word')
        return _count(result.get('TTL', 0)) > 0


def fleet(view: View, keys: schema.Keys) -> schema.Fleet:
    """Return what the schema's key says.

    :raises base.BadAnswer: there is none, or one of a later release.
    """
    value = view.get(keys.schema)
    if not value.revision:
        raise base.BadAnswer('etcd has no fleet below %s (option '
                             'etcd_prefix); "nvme-agent-fleet init" makes '
                             'one' % keys.prefix)
    try:
        return schema.load_fleet(value.text)
    except fields.Nonsense as error:
        raise base.BadAnswer('etcd, key %s: %s' % (
            keys.schema, error)) from None


def _point(answer: Mapping[str, Any]) -> Point:
    header = answer.get('header')
    if not isinstance(header, dict):
        raise base.BadAnswer('etcd answered without a header')
    return Point(str(header.get('cluster_id')),
                 _count(header.get('revision')))


def _values(response: object) -> dict[str, Value]:
    try:
        assert isinstance(response, dict)
        kvs: Sequence[Any] = response['response_range'].get('kvs', [])
        return {_decode(kv['key']): Value(
            _decode(kv.get('value', '')), _count(kv.get('mod_revision')))
            for kv in kvs}
    except (AssertionError, KeyError, AttributeError, TypeError,
            ValueError):
        raise base.BadAnswer('etcd answered with a range that is none'
                             ) from None


def _after(asked: Mapping[str, str], response: Mapping[str, Any]) -> str:
    """Return the key at which the next page begins.

    :raises base.BadAnswer: it would be this page again.
    """
    last = base64.b64decode((response['response_range'].get('kvs') or [
        {'key': ''}])[-1]['key']) + b'\0'
    if last <= base64.b64decode(asked['key']):
        raise base.BadAnswer('etcd answered with a page that is none')
    return base64.b64encode(last).decode()


def _count(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise base.BadAnswer('etcd answered %.40r where a number belongs'
                             % (value,)) from None


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decode(text: str) -> str:
    return base64.b64decode(text, validate=True).decode('utf-8', 'replace')


def _end(prefix: str) -> str:
    """Return the first key that no longer begins so."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
