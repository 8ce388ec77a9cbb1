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
"""What an operator's inventory file says, or on which line it is wrong.

The file is YAML; ``etc/nvme-agent/volumes.yaml.sample`` shows every field.
It is read as a tree of nodes, not as values, so that each complaint names
its line, a field given twice is seen, and text such as ``yes`` or ``1e5``
stays what the operator typed.
"""

from __future__ import annotations

from collections.abc import Collection
import dataclasses
import ipaddress
import re
import typing

import yaml

from os_brick.agent import model

MAX_BYTES = 4 * 1024 * 1024
DEFAULT_PORT = '4420'
_UNITS = {'': 1, 'KiB': 2 ** 10, 'MiB': 2 ** 20, 'GiB': 2 ** 30,
          'TiB': 2 ** 40}
_SIZE = re.compile(r'([0-9]{1,20}) ?(KiB|MiB|GiB|TiB)?')
_SECONDS = re.compile(r'[0-9]{1,12}(\.[0-9]{1,6})?')
# NVMe base specification, "NVMe Qualified Names": at most 223 bytes.
_NQN = re.compile(r'nqn\.[0-9]{4}-[0-9]{2}\.[!-~]{1,211}')
_REPLICA = ('uuid', 'nqn', 'portals', 'failure_domain', 'size')
_SPARE = _REPLICA + ('volumes', 'tags', 'returned', 'host')
_DOWN_TIME = 'max_replica_down_time'
_VOLUME = ('uuid', 'alias', 'replicas', 'size', 'tags', _DOWN_TIME, 'host')


class InventoryError(Exception):
    """The file cannot be used; the text names file, line and reason."""


@dataclasses.dataclass(frozen=True)
class Backing:
    """A namespace that is, or may become, a replica.

    :ivar failure_domain: what it fails together with; None where not said.
    :ivar size: bytes; None where not said, never None for a spare.
    """

    uuid: str
    target: model.Target
    failure_domain: str | None = None
    size: int | None = None


@dataclasses.dataclass(frozen=True)
class Spare:
    """A namespace of the pool.

    :ivar volumes: uuids and aliases of the volumes it may serve.
    :ivar tags: it may serve volumes with one of these; with neither
        ``volumes`` nor ``tags`` it may serve any.
    :ivar returned: how many times the operator gave it back after use.
    :ivar host: name or NQN of the only host that may take it; '': the file
        does not say, and none may.
    """

    backing: Backing
    volumes: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    returned: int = 0
    host: str = ''


@dataclasses.dataclass(frozen=True)
class Listing:
    """A volume as the operator describes it; sizes bytes, times seconds.

    :ivar host: name or NQN of the host that heals it; '': whoever has it.
    """

    uuid: str
    alias: str
    replicas: tuple[Backing, ...]
    size: int | None = None
    tags: frozenset[str] = frozenset()
    max_replica_down_time: float | None = None
    host: str = ''


@dataclasses.dataclass(frozen=True)
class Inventory:
    """What a file said that could be used.

    :ivar nobodys: a clause that names the spares of no host, or ''.
    """

    volumes: tuple[Listing, ...]
    spares: tuple[Spare, ...]
    nobodys: str = dataclasses.field(default='', compare=False)

    def volume(self, uuid: str) -> Listing | None:
        for volume in self.volumes:
            if volume.uuid == uuid:
                return volume
        return None


def parse(path: str, content: bytes) -> Inventory:
    """Return what ``content`` says.

    :param path: the file it came from, for the words of an error.
    :raises InventoryError: it is no YAML, or says what cannot be.
    """
    line, reason = 1, 'the file is empty'
    if len(content) > MAX_BYTES:
        raise InventoryError('%s, line 1: the file is larger than %d MiB' % (
            path, MAX_BYTES // 2 ** 20))
    try:
        # not the C loader: deep nesting makes it crash, not raise
        root = yaml.compose(content.decode('utf-8'), Loader=yaml.SafeLoader)
        if root is not None:
            return _Parser(path).inventory(root)
    except UnicodeDecodeError as error:
        line = content[:error.start].count(b'\n') + 1
        reason = 'not UTF-8 text'
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        reason = 'not valid YAML: %s' % (error.problem or error.context)
    except (yaml.YAMLError, RecursionError) as error:
        reason = 'not valid YAML: %s' % ' '.join(str(error).split())
    raise InventoryError('%s, line %d: %s' % (path, line, reason))


class _Parser:
    """Turns nodes into values; every complaint names the node's line."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._host = ''
        self._lines: dict[tuple[str, str], int] = {}

    def inventory(self, root: yaml.Node) -> Inventory:
        fields = self._fields(root, 'the file', (
            'volumes', 'spares', 'host'), ('volumes',))
        if 'host' in fields:
            self._host = self._text(fields['host'], 'host')
        volumes = tuple(self._volume(node) for node in self._items(
            fields['volumes'], 'volumes'))
        known = {name for one in volumes for name in (one.uuid, one.alias)}
        spares = tuple(self._spare(node, known) for node in self._items(
            fields['spares'], 'spares')) if 'spares' in fields else ()
        lines = [self._lines['namespace', spare.backing.uuid]
                 for spare in spares if not spare.host]
        return Inventory(volumes, spares, '%s, line %s: no host is named '
                         'that may take the spare, so that none does: every '
                         'host with this file would take it (field host, of '
                         'the spare or of the file)' % (
                             self._path, ', '.join(map(str, lines)))
                         if lines else '')

    def _volume(self, node: yaml.Node) -> Listing:
        fields = self._fields(node, 'a volume', _VOLUME,
                              ('uuid', 'alias', 'replicas'))
        uuid = self._uuid(fields['uuid'])
        self._once('volume', uuid, fields['uuid'])
        alias = self._text(fields['alias'], 'alias')
        if '/' in alias or not alias.isprintable() or alias in ('.', '..'):
            self._fail(fields['alias'], 'alias %r cannot be the name of an '
                       'md array' % alias)
        self._once('alias', alias, fields['alias'])
        replicas = tuple(self._backing(self._fields(
            item, 'a replica', _REPLICA, ('uuid', 'nqn', 'portals')))
            for item in self._items(fields['replicas'], 'replicas'))
        if not replicas:
            self._fail(fields['replicas'], 'volume %s has no replica' % alias)
        return Listing(uuid, alias, replicas, self._size(fields),
                       self._words(fields, 'tags'),
                       self._seconds(fields.get(_DOWN_TIME)),
                       self._text(fields['host'], 'host')
                       if 'host' in fields else '')

    def _spare(self, node: yaml.Node, known: Collection[str]) -> Spare:
        fields = self._fields(node, 'a spare', _SPARE,
                              ('uuid', 'nqn', 'portals', 'size'))
        backing = self._backing(fields)
        for item in self._items(fields.get('volumes'), 'volumes'):
            if self._text(item, 'volumes') not in known:
                self._fail(item, 'spare %s may serve "%s", which is no '
                           'volume of this file' % (backing.uuid, item.value))
        return Spare(backing, self._words(fields, 'volumes'),
                     self._words(fields, 'tags'),
                     self._returned(fields.get('returned')),
                     self._text(fields['host'], 'host')
                     if 'host' in fields else self._host)

    def _backing(self, fields: dict[str, yaml.Node]) -> Backing:
        uuid = self._uuid(fields['uuid'])
        self._once('namespace', uuid, fields['uuid'])
        nqn = self._text(fields['nqn'], 'nqn')
        if not _NQN.fullmatch(nqn):
            self._fail(fields['nqn'], 'nqn %r is no NVMe qualified name '
                       '(nqn.YYYY-MM.domain:name)' % nqn)
        portals = tuple(self._portal(item) for item in self._items(
            fields['portals'], 'portals'))
        if not portals:
            self._fail(fields['portals'], 'namespace %s has no portal' % uuid)
        domain = fields.get('failure_domain')
        return Backing(uuid, model.Target(nqn, portals),
                       self._text(domain, 'failure_domain')
                       if domain is not None else None, self._size(fields))

    def _portal(self, node: yaml.Node) -> model.Portal:
        fields = self._fields(node, 'a portal',
                              ('address', 'port', 'transport'), ('address',))
        address = self._text(fields['address'], 'address')
        try:
            ipaddress.ip_address(address)
        except ValueError:
            self._fail(fields['address'], 'address %r is no IP address'
                       % address)
        port, transport = DEFAULT_PORT, 'tcp'
        if 'port' in fields:
            port = self._text(fields['port'], 'port')
            if not re.fullmatch('[0-9]{1,5}', port):
                self._fail(fields['port'], 'port %r is no number in 1-65535'
                           % port)
        if 'transport' in fields:
            transport = self._text(fields['transport'], 'transport')
        try:
            return model.Portal(address, int(port), transport)
        except ValueError as error:
            self._fail(node, str(error))

    # the pieces

    def _fail(self, node: yaml.Node, reason: str) -> typing.NoReturn:
        raise InventoryError('%s, line %d: %s' % (
            self._path, node.start_mark.line + 1, reason))

    def _once(self, kind: str, name: str, node: yaml.Node) -> None:
        if (kind, name) in self._lines:
            self._fail(node, '%s %s is listed already, on line %d' % (
                kind, name, self._lines[kind, name]))
        self._lines[kind, name] = node.start_mark.line + 1

    def _fields(self, node: yaml.Node, what: str, known: Collection[str],
                required: Collection[str]) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._fail(node, '%s must be a mapping of the fields %s' % (
                what, ', '.join(known)))
        fields: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value)
            if name not in known:
                self._fail(key, '%s has no field "%.40s"; its fields are %s'
                           % (what, name, ', '.join(known)))
            if name in fields:
                self._fail(key, '%s has the field %s twice' % (what, name))
            fields[name] = value
        for name in required:
            if name not in fields:
                self._fail(node, '%s lacks the field %s' % (what, name))
        return fields

    def _items(self, node: yaml.Node | None, name: str) -> list[yaml.Node]:
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self._fail(node, '%s must be a list' % name)
        return list(node.value)

    def _text(self, node: yaml.Node, name: str) -> str:
        if (not isinstance(node, yaml.ScalarNode) or not node.value.strip()
                or node.tag == 'tag:yaml.org,2002:null'):
            self._fail(node, '%s must have a value, a single one' % name)
        return str(node.value)

    def _words(self, fields: dict[str, yaml.Node],
               name: str) -> frozenset[str]:
        return frozenset(self._text(item, name) for item in self._items(
            fields.get(name), name))

    def _uuid(self, node: yaml.Node) -> str:
        text = self._text(node, 'uuid')
        try:
            return model.normalise_uuid(text)
        except ValueError:
            self._fail(node, '%r is no UUID' % text)

    def _size(self, fields: dict[str, yaml.Node]) -> int | None:
        node = fields.get('size')
        if node is None:
            return None
        text = self._text(node, 'size')
        match = _SIZE.fullmatch(text)
        if match is None or not int(match[1]):
            self._fail(node, 'size %r is no number of bytes, KiB, MiB, GiB '
                       'or TiB' % text)
        return int(match[1]) * _UNITS[match[2] or '']

    def _seconds(self, node: yaml.Node | None) -> float | None:
        if node is None:
            return None
        text = self._text(node, _DOWN_TIME)
        if not _SECONDS.fullmatch(text):
            self._fail(node, '%s %r is no number of seconds' % (
                _DOWN_TIME, text))
        return float(text)

    def _returned(self, node: yaml.Node | None) -> int:
        if node is None:
            return 0
        text = self._text(node, 'returned').lower()
        if text in ('true', 'false'):
            return int(text == 'true')
        if not re.fullmatch('[0-9]{1,9}', text):
            self._fail(node, 'returned %r is neither true nor a count' % text)
        return int(text)
