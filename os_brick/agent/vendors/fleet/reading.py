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
"""What a host believes of etcd: its volumes, held against what was seen.

A store may have been restored from a backup, and a document may be damaged:
what is older than what this host remembers (``memory``) is not believed.
"""

from __future__ import annotations

from collections.abc import Collection
import dataclasses

from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.vendors import base
from os_brick.agent.vendors.fleet import changes
from os_brick.agent.vendors.fleet import everything
from os_brick.agent.vendors.fleet import fields
from os_brick.agent.vendors.fleet import memory
from os_brick.agent.vendors.fleet import namespaces
from os_brick.agent.vendors.fleet import restored
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store


class Reader:
    """Reads what one host has of the fleet, and remembers it.

    :param host: its name, as keys have it.
    :ivar unkept: why what was read last could not be remembered, or ''.
    :ivar let_go: the volumes that were found to be handed over to another
        host, without a word of this one yet.
    """

    def __init__(self, etcd: store.Store, keys: schema.Keys,
                 kept: memory.Memory, host: str) -> None:
        self._store = etcd
        self._keys = keys
        self._memory = kept
        self._host = host
        self._log_once = log_once.LogOnce()
        self._namespaces = namespaces.Namespaces(etcd, keys, self.believed)
        self.unkept = ''
        self.let_go: set[str] = set()

    def volumes(self, arrays: Collection[model.Array]
                ) -> tuple[model.Volume, ...]:
        """Return this host's volumes.

        One that is no longer listed for this host, but whose array is here,
        was handed over or fenced: it is only observed.

        :raises base.ProvisionerError: nothing can be said.
        """
        self.let_go.clear()
        keys = self._keys
        view = self._store.read([keys.schema], [keys.host(self._host)])
        fleet = self.believed(view)
        seen = self._memory.seen
        if (fleet.generation > seen.fleet.generation if seen.fleet
                else everything.late(keys, view, fleet, self._host)):
            self._reassert(view, arrays)
            seen = self._memory.seen
            view = self._store.read([keys.schema], [keys.host(self._host)])
            fleet = self.believed(view)
        fenced = view.get(keys.fenced(self._host)).text
        records = {}
        found = []
        for uuid, value in view.below(keys.volumes(self._host)).items():
            subject = 'etcd, volume %s' % uuid
            try:
                record = self.record(uuid, value)
                volume = changes.describe(record, self._host, fenced)
            except (base.BadAnswer, ValueError, TypeError) as error:
                self._log_once.trouble(subject, 'left out: %s' % error)
                if uuid in seen.volumes:
                    records[uuid] = seen.volumes[uuid]
                continue
            self._log_once.fine(subject)
            records[uuid] = record
            if volume is not None:
                found.append(volume)
                if volume.observe and (record.yielding or record.unheard):
                    self.let_go.add(uuid)
        listed = set(view.below(keys.volumes(self._host)))
        unlisted = set()
        for uuid, record in seen.volumes.items():
            if uuid in listed:
                continue
            volume = changes.describe(
                record, self._host,
                fenced or 'etcd no longer lists the volume for it')
            if volume is not None and _here(volume, arrays):
                records[uuid] = record
                unlisted.add(uuid)
                found.append(volume)
        self.keep(memory.Seen(fleet, view.point, records, self._host,
                              frozenset(unlisted)))
        return tuple(found)

    def _reassert(self, view: store.View,
                  arrays: Collection[model.Array]) -> None:
        """Put etcd right; where that ends early, the next pass goes on."""
        seen = self._memory.seen
        records: dict[str, schema.Record] = {}
        try:
            seen = restored.reassert(
                self._store, self._keys, self._host, self._namespaces, seen,
                view, lambda record: _here(changes.describe(
                    record, self._host, ''), arrays), records)
        except base.ProvisionerError:
            if seen.fleet is not None and records:
                self._memory.keep(dataclasses.replace(seen, volumes=records))
            raise
        self._memory.keep(seen)

    def believed(self, view: store.View) -> schema.Fleet:
        """Return the fleet.

        :raises base.BadAnswer: etcd is older than what was seen of it.
        """
        fleet = store.fleet(view, self._keys)
        seen = self._memory.seen
        why = memory.judge(seen, fleet, view.point)
        if why:
            raise base.BadAnswer(
                'etcd seems to be restored from a backup: %s; it is not '
                'believed until "nvme-agent-fleet accept" says that it is '
                'the one' % why)
        return fleet

    def record(self, uuid: str, value: store.Value) -> schema.Record:
        """:raises base.BadAnswer: the document cannot be believed."""
        try:
            record = schema.load_record(value.text)
        except fields.Nonsense as error:
            raise base.BadAnswer(str(error)) from None
        if record.uuid != uuid:
            raise base.BadAnswer('it is the document of volume %s'
                                 % record.uuid)
        seen = self._memory.seen.volumes.get(uuid)
        if seen is not None and (
                record.serial < seen.serial
                or record.serial == seen.serial and (
                    _as_before(record) != _as_before(seen))):
            raise base.BadAnswer(
                'its serial %d is not beyond %d, which was seen: etcd seems '
                'to be restored from a backup; see "nvme-agent-fleet accept"'
                % (record.serial, seen.serial))
        return record

    def keep(self, seen: memory.Seen) -> None:
        """Remember; where that fails no namespace changes hands from now."""
        try:
            self._memory.keep(seen)
        except base.Unavailable as error:
            self.unkept = str(error)
            self._log_once.trouble('etcd', '%s; no spare is taken' % error)
            return
        self.unkept = ''
        self._log_once.fine('etcd')


def _as_before(record: schema.Record) -> schema.Record:
    """Return what an earlier release remembers of a document, too."""
    return dataclasses.replace(record, put_right=0, unheard=False)


def _here(volume: model.Volume | None,
          arrays: Collection[model.Array]) -> bool:
    """Whether a volume's array is on this host."""
    return volume is not None and any(model.belongs(array, volume)
                                      for array in arrays)
