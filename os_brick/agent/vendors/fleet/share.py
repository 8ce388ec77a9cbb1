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
"""One host's part of the fleet: what it reads of etcd, and how it changes it.

What is read is held against what was seen before (``reading``), and what is
written rests on it.  A call that changes something reads, decides by
``changes`` and writes on the condition that nothing has changed meanwhile;
where it has, it begins anew.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import functools
import logging
import time
import uuid as uuid_lib

from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.vendors import base
from os_brick.agent.vendors.fleet import changes
from os_brick.agent.vendors.fleet import memory
from os_brick.agent.vendors.fleet import namespaces
from os_brick.agent.vendors.fleet import patience
from os_brick.agent.vendors.fleet import places
from os_brick.agent.vendors.fleet import reading
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store
from os_brick.agent.vendors.inventory import inventory_file
from os_brick.agent.vendors.inventory import pool

LOG = logging.getLogger(__name__)
#: Turns that a change may take while others change the same.
TURNS = 8


class Share:
    """What one host has of the fleet.

    :param host: its name, as keys have it.
    :ivar places: where it may copy.
    """

    def __init__(self, etcd: store.Store, keys: schema.Keys,
                 kept: memory.Memory, host: str) -> None:
        self._store = etcd
        self._keys = keys
        self._memory = kept
        self._host = host
        self._log_once = log_once.LogOnce()
        self._reader = reading.Reader(etcd, keys, kept, host)
        self._namespaces = namespaces.Namespaces(etcd, keys,
                                                 self._reader.believed)
        self.places = places.Places(etcd, keys, self._reader.believed, host)

    def volumes(self, arrays: Collection[model.Array]
                ) -> tuple[model.Volume, ...]:
        """Return this host's volumes; see ``reading``.

        :raises base.ProvisionerError: nothing can be said.
        """
        return self._reader.volumes(arrays)

    def change(self, uuid: str,
               decide: Callable[[schema.Record], schema.Record | None]
               ) -> None:
        """Change a volume's document alone.

        :raises base.Rejected: by ``decide``, or it is not ours to heal.
        """
        for _turn in range(TURNS):
            view = self._look(uuid)
            record = self._ours(uuid, view)
            changed = decide(record)
            if changed is None or self._write(view, changed):
                return
        raise self._restless(uuid)

    def yield_all(self, copying: Mapping[str, str]) -> None:
        """Say in etcd what this host heals no longer: another one may begin.

        To be called when what ``volumes`` returned is in force here, over a
        restart too.  What cannot be said now is said in the next pass.

        :param copying: volume -> a replica that the kernel here copies to.
            That is healing, too: the next host would put the same replica
            into its own array, and two kernels would write to it.
        """
        for uuid in sorted(self._reader.let_go):
            subject = 'etcd, hand-over of volume %s' % uuid
            if uuid in copying:
                self._log_once.trouble(
                    subject, 'it is not said yet that this host no longer '
                    'heals it: md here still copies to replica %s. That '
                    'ends when the volume is detached here'
                    % copying[uuid], logging.INFO)
                continue
            try:
                self._yield(uuid)
            except patience.Slow as error:
                self._log_once.trouble('etcd, hand-overs', str(error))
                return
            except base.ProvisionerError as error:
                self._log_once.trouble(
                    subject, 'it cannot be said that this host no longer '
                    'heals it, and the next one waits for that: %s' % error)
                continue
            self._log_once.fine(subject)
            self._reader.let_go.discard(uuid)
        self._log_once.fine('etcd, hand-overs')

    def _yield(self, uuid: str) -> None:
        if self._reader.unkept:
            # a restart would find that this host heals it
            raise base.Unavailable(self._reader.unkept)
        for _turn in range(TURNS):
            view = self._look(uuid)
            value = view.get(self._keys.volume(self._host, uuid))
            if not value.revision:
                return
            record = self._reader.record(uuid, value)
            if record.healer == self._host or not (
                    record.yielding or record.unheard):
                return
            if self._write(view, dataclasses.replace(
                    record, serial=record.serial + 1, yielding=False,
                    unheard=False)):
                LOG.info('volume %s: this host heals it no longer, and has '
                         'said so: the host %s %s', record.listing.alias,
                         record.healer, 'may begin' if record.yielding
                         else 'heals it')
                return
        raise self._restless(uuid)

    def take_spare(self, uuid: str, replica: str, host: model.Host
                   ) -> tuple[inventory_file.Backing, bool]:
        """Give a replica its successor, once.

        :returns: the spare, and whether it was taken by this call.
        :raises base.Rejected: none will do, or it is not ours to heal.
        """
        keys = self._keys
        for _turn in range(TURNS):
            intent = self._intend()
            view = self._look(uuid, [keys.spares, keys.cordons])
            record = self._ours(uuid, view)
            if changes.has_successor(record, replica):
                entry = record.entry(replica)
                assert entry is not None and entry.successor is not None
                other = record.entry(entry.successor)
                return (other or entry).backing, False
            fleet = store.fleet(view, keys)
            if fleet.hold:
                raise base.Rejected('no spare is taken: the fleet is on '
                                    'hold: %s' % fleet.hold)
            cordoned = {schema.unquote(name)
                        for name in view.below(keys.cordons)}
            choice, used, uses = self._namespaces.choose(
                self._namespaces.listed(view), functools.partial(
                    _best, record, replica, cordoned, host))
            if choice.spare is None:
                raise base.Rejected(
                    'no spare in etcd can take the place of replica %s of '
                    'volume %s: %s' % (
                        replica, record.listing.alias, '; '.join(
                            '%s: %s' % pair
                            for pair in choice.why_not.items())
                        or 'it lists none'))
            spare = choice.spare.backing
            before = uses.get(spare.uuid)
            use = schema.Use(uuid, before.times if before else 0, spare)
            key = keys.spares + spare.uuid
            if self._write(
                    view, changes.replace(record, replica, spare,
                                          time.time()),
                    {spare.uuid: use}, {
                        keys.uses + spare.uuid: used[spare.uuid],
                        key: view.get(key), keys.cordon(spare.target.nqn):
                        store.Value()}, intent):
                return spare, True
        raise self._restless(uuid)

    def let_go(self, uuid: str, replica: str) -> int | None:
        """Take a replica out of its volume.

        :returns: how many times it was let go now; None: it was before.
        :raises base.Rejected: it is not to be let go.
        """
        for _turn in range(TURNS):
            intent = self._intend()
            view = self._look(uuid)
            record = self._ours(uuid, view)
            changed = changes.confirm(record, replica)
            if changed is None:
                return None
            entry = record.entry(replica)
            assert entry is not None
            used = self._namespaces.uses([replica])
            use = self._namespaces.readable(used).get(replica)
            if use is None and used[replica].revision:
                raise base.BadAnswer('who has replica %s of volume %s cannot '
                                     'be read' % (replica, uuid))
            use = use or schema.Use(uuid, 0, entry.backing)
            if use.volume not in (None, uuid):
                raise base.BadAnswer('replica %s of volume %s is in use by '
                                     'volume %s' % (replica, uuid,
                                                    use.volume))
            gone = changes.let_go(dataclasses.replace(
                use, backing=entry.backing))
            if self._write(view, changed, {replica: gone}, {
                    self._keys.uses + replica: used[replica]}, intent):
                return gone.times
        raise self._restless(uuid)

    def _restless(self, uuid: str) -> base.Unavailable:
        return base.Unavailable('etcd: volume %s, or the spares, changed in '
                                'each of %d turns' % (uuid, TURNS))

    def _look(self, uuid: str, prefixes: Iterable[str] = ()) -> store.View:
        keys = self._keys
        view = self._store.read(
            [keys.schema, keys.fenced(self._host),
             keys.volume(self._host, uuid)], prefixes)
        self._reader.believed(view)
        return view

    def _ours(self, uuid: str, view: store.View) -> schema.Record:
        """Return the volume's record, where this host may change it.

        :raises base.Rejected: it may not.
        """
        fenced = view.get(self._keys.fenced(self._host)).text
        if fenced:
            raise base.Rejected('this host is fenced: %s' % fenced)
        value = view.get(self._keys.volume(self._host, uuid))
        if not value.revision:
            raise base.Rejected('etcd lists no volume %s for the host %s' % (
                uuid, self._host))
        record = self._reader.record(uuid, value)
        if record.healer != self._host:
            raise base.Rejected('the host %s heals volume %s' % (
                record.healer, record.listing.alias))
        return record

    def _intend(self) -> str:
        """Say in etcd that a namespace is about to change hands.

        A store that is restored between this and the change does not know
        the word, and the change does not come to pass.

        :raises base.ProvisionerError: it must not be begun.
        """
        if self._reader.unkept:
            raise base.Unavailable(self._reader.unkept)
        intent = str(uuid_lib.uuid4())
        self._store.write(store.Write(
            {self._keys.intent(self._host): intent}))
        return intent

    def _write(self, view: store.View, record: schema.Record,
               uses: dict[str, schema.Use] | None = None,
               unchanged: dict[str, store.Value] | None = None,
               intent: str = '') -> bool:
        keys = self._keys
        base_keys = (keys.schema, keys.fenced(self._host),
                     keys.volume(self._host, record.uuid))
        puts: dict[str, str | None] = {
            base_keys[2]: schema.dump_record(record)}
        puts.update({keys.uses + uuid: schema.dump_use(use)
                     for uuid, use in (uses or {}).items()})
        point = self._store.write(store.Write(
            puts, {**{key: view.get(key) for key in base_keys},
                   **(unchanged or {})},
            {keys.intent(self._host): intent} if intent else {}))
        if point is None:
            return False
        seen = self._memory.seen
        self._reader.keep(dataclasses.replace(
            seen, fleet=seen.fleet or store.fleet(view, keys), point=point,
            volumes={**seen.volumes, record.uuid: record}))
        return True


def _best(record: schema.Record, replica: str, cordoned: Collection[str],
          host: model.Host, spares: list[inventory_file.Spare],
          uses: dict[str, schema.Use]) -> pool.Choice:
    return changes.choose(record, replica, spares, uses, cordoned, host)
