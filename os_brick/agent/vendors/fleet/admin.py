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
"""What an operator does to the fleet, each step one transaction.

Every method may be called again after an error: what is done already is not
done twice.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import uuid as uuid_lib

from os_brick.agent.vendors import base
from os_brick.agent.vendors.fleet import changes
from os_brick.agent.vendors.fleet import completing
from os_brick.agent.vendors.fleet import documents as documents_room
from os_brick.agent.vendors.fleet import everything as everything_room
from os_brick.agent.vendors.fleet import fields
from os_brick.agent.vendors.fleet import handing
from os_brick.agent.vendors.fleet import limits as limits_room
from os_brick.agent.vendors.fleet import moving
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store
from os_brick.agent.vendors.inventory import inventory_file


class Operator:
    """The commands of ``nvme-agent-fleet``, on etcd.

    :param etcd: with a user that may write all below the prefix.
    """

    def __init__(self, etcd: store.Store, keys: schema.Keys) -> None:
        self._store = etcd
        self._keys = keys

    def begin(self) -> schema.Fleet:
        """Make the fleet where there is none."""
        fresh = schema.Fleet(str(uuid_lib.uuid4()))
        if self._store.write(store.Write(
                {self._keys.schema: schema.dump_fleet(fresh)},
                {self._keys.schema: store.Value()})):
            return fresh
        return store.fleet(self._store.read([self._keys.schema]), self._keys)

    def accept(self) -> schema.Fleet:
        """Say that what was restored from a backup is the fleet.

        No spare is taken until ``resume``: the hosts first write what they
        remember over what the backup had forgotten.
        """
        view, fleet = self._fleet()
        return self._set(view, dataclasses.replace(
            fleet, generation=fleet.generation + 1,
            hold=fleet.hold or 'a backup was restored'))

    def hold(self, why: str) -> schema.Fleet:
        """Let no spare be taken.

        :raises base.Rejected: no reason is given.
        """
        _reason(why)
        view, fleet = self._fleet()
        return self._set(view, dataclasses.replace(fleet, hold=why))

    def resume(self, force: bool = False) -> list[str]:
        """Let spares be taken again; what the store lacked is added before.

        :param force: though a host has not written what it remembers.
        :returns: what was added, in words.
        :raises base.Rejected: there is one that is alive, or that may heal a
            volume: a spare that it took since the backup would be free.  Or
            two have written what cannot both be.  What else is known to lack
            is added then, too: a host may wait for that.
        """
        every = self.everything()
        late = sorted(host for host in every.alive if every.late(host))
        lacks = completing.lacks(self._keys, every,
                                 None if force else late)
        for lack in lacks:
            if not lack.wrong:
                self._must(lack.write)
        if late and not force:
            raise base.Rejected(
                'these hosts have not shown generation %d yet, and a spare '
                'that they took may look free: %s; wait, look at their logs, '
                'or say --force' % (every.fleet.generation, ', '.join(late)))
        wrong = [lack.wrong for lack in lacks if lack.wrong]
        if wrong:
            raise base.Rejected('no spare is taken yet: %s' % '; '.join(wrong))
        self._set(every.view, dataclasses.replace(every.fleet, hold=''))
        return [line for lack in lacks for line in lack.lines]

    def limit(self, given: Mapping[str, int]) -> limits_room.Limits:
        """Set how much may be copied at once; what is not given stays."""
        view, fleet = self._fleet()
        limits = dataclasses.replace(fleet.limits, **given)
        if limits != fleet.limits:
            self._set(view, dataclasses.replace(fleet, limits=limits))
        return limits

    def _fleet(self) -> tuple[store.View, schema.Fleet]:
        view = self._store.read([self._keys.schema])
        return view, store.fleet(view, self._keys)

    def _set(self, view: store.View, fleet: schema.Fleet) -> schema.Fleet:
        self._must(store.Write(
            {self._keys.schema: schema.dump_fleet(fleet)},
            {self._keys.schema: view.get(self._keys.schema)}))
        return fleet

    def _must(self, write: store.Write) -> None:
        """:raises base.Unavailable: it was changed by others meanwhile."""
        if self._store.write(write) is None:
            raise base.Unavailable('etcd: %s changed meanwhile; try again' % (
                ', '.join(sorted(write.puts))))

    def everything(self) -> everything_room.Everything:
        return everything_room.read(self._store, self._keys)

    # volumes

    def hand_over(self, volume: str, host: str, force: bool = False,
                  stopped: bool = False) -> handing.HandOver:
        """Let another host heal a volume; the one before observes it.

        The first step is made.  The other host begins in the one that finds
        that the agent of the one before has said that it no longer heals.

        :param force: to a host that may not heal it, too.
        :param stopped: by the operator's word the host before does not use
            the volume any more; its agent is not waited for.
        :raises base.Rejected: nobody would heal it: no agent shows itself
            under that name, or the host is fenced.  Or that of the host
            before does not, so that its word would not come.
        """
        every = self.everything()
        owner, record = self._owned(every, volume)
        documents = documents_room.of(self._keys, every, record.uuid)
        if owner != host:
            _heals(every, volume, host, force)
            _hears(documents, volume, host, stopped)
        under_way = handing.HandOver(self._store, self._keys, documents, host,
                                     stopped)
        under_way.step()
        return under_way

    def detach(self, volume: str, host: str, gone: bool = False) -> None:
        """Take a volume off a host that does not heal it any more.

        :param gone: by the operator's word the host will not come back with
            what it remembers.
        :raises base.Rejected: it heals it, or may by what it remembers.
        """
        every = self.everything()
        uuid = self._owned(every, volume)[1].uuid
        if every.owners.get(uuid) == host:
            raise base.Rejected('the host %s heals volume %s; hand it over, '
                                'or remove it' % (host, volume))
        key = self._keys.volume(host, uuid)
        there = every.view.get(key)
        if not there.revision:
            raise base.Rejected('the host %s does not have volume %s; '
                                '"status --json" names its observers' % (
                                    host, volume))
        documents = documents_room.of(self._keys, every, uuid)
        record = documents.records.get(host)
        if record is not None and record.unheard and not gone:
            raise base.Rejected(
                'the host %s was said to be stopped when volume %s was handed '
                'over, and its agent has not said that it has read that (one '
                'of an earlier release never does): without its document it '
                'may heal by what it remembers. Let it come back first; where '
                'it never will, or was installed anew, say --gone' % (
                    host, volume))
        why = documents_room.keeps(documents, host)
        if why:
            raise base.Rejected(
                '%s: run "nvme-agent-fleet hand-over %s %s" until it is done'
                % (why, volume, every.owners.get(uuid)))
        self._must(store.Write({key: None}, {
            self._keys.volume(one, uuid): every.view.get(
                self._keys.volume(one, uuid))
            for one in {host, *documents.records}}))

    def remove(self, volume: str) -> None:
        """Forget a volume that was detached everywhere.

        Its namespaces were in use, and wait to be given back.
        """
        every = self.everything()
        keys = self._keys
        _owner, record = self._owned(every, volume)
        gone: dict[str, str | None] = {keys.owners + record.uuid: None}
        gone.update({keys.volume(host, uuid): None
                     for host, uuid in every.records
                     if uuid == record.uuid})
        gone.update({
            keys.uses + uuid: schema.dump_use(changes.let_go(use))
            for uuid, use in every.uses.items()
            if use.volume == record.uuid})
        self._must(store.Write(gone, {key: every.view.get(key)
                                      for key in gone}))

    def move(self, replica: str) -> str:
        """Exchange a replica for a spare; return the spare.

        The array is made whole with the spare before the replica leaves.
        """
        every = self.everything()
        for host, record in every.owned():
            entry = record.entry(replica)
            if entry is not None and entry.live:
                return moving.begin(self._store, self._keys, every, host,
                                    record, entry)
        raise base.Rejected('no volume has a replica %s' % replica)

    def _owned(self, every: everything_room.Everything,
               volume: str) -> tuple[str, schema.Record]:
        found = [(host, record) for host, record in every.owned()
                 if volume in (record.uuid, record.listing.alias)]
        if len(found) != 1:
            raise base.Rejected('there %s volume "%s" in etcd' % (
                'is no' if not found else 'is more than one', volume))
        return found[0]

    # spares, targets, hosts

    def give_back(self, uuid: str) -> None:
        """Return a namespace to the pool that was let go."""
        keys = self._keys
        view = self._store.read([keys.spares + uuid, keys.uses + uuid])
        spare, use = view.get(keys.spares + uuid), view.get(keys.uses + uuid)
        if not use.revision:
            raise base.Rejected('namespace %s was never in use' % uuid)
        try:
            used = schema.load_use(use.text)
            given = (schema.load_spare(spare.text) if spare.revision
                     else inventory_file.Spare(used.backing))
        except fields.Nonsense as error:
            raise base.BadAnswer('namespace %s: %s' % (uuid, error)) from None
        if used.volume is not None:
            raise base.Rejected('namespace %s is in use by volume %s' % (
                uuid, used.volume))
        if given.backing.size is None:
            raise base.Rejected('the size of namespace %s is not known: load '
                                'it as a spare, with its size and "returned: '
                                '%d"' % (uuid, used.times))
        self._must(store.Write(
            {keys.spares + uuid: schema.dump_spare(dataclasses.replace(
                given, returned=used.times))},
            {keys.spares + uuid: spare, keys.uses + uuid: use}))

    def cordon(self, target: str, on: bool) -> None:
        """Let no spare of a target be taken, or let it again.

        :raises base.Rejected: there is no such target.
        """
        _known(self.everything(), target)
        self._store.write(store.Write({self._keys.cordon(target):
                                       'cordoned' if on else None}))

    def fence(self, host: str, why: str) -> None:
        """Let a host only observe.

        :raises base.Rejected: there is no such host: a name that was mistyped
            must not look like a host that is fenced; or no reason is given.
        """
        _reason(why)
        self._fenced(host, why)

    def unfence(self, host: str) -> None:
        """Let a host heal again.

        :raises base.Rejected: there is no such host.
        """
        self._fenced(host, None)

    def _fenced(self, host: str, why: str | None) -> None:
        every = self.everything()
        if host not in {*every.alive, *every.fenced, *(
                one for one, _uuid in every.records)}:
            raise base.Rejected('there is no host "%s" in etcd; "status" '
                                'shows their names' % host)
        self._store.write(store.Write({self._keys.fenced(host): why}))

    def drain(self, target: str, at_once: int) -> moving.Step:
        """Cordon a target and move replicas off it, some at a time.

        :param at_once: replicas of the fleet that may be on the move.
        """
        self.cordon(target, True)
        return moving.off(self._store, self._keys, target, at_once)


def _heals(every: everything_room.Everything, volume: str, host: str,
           force: bool) -> None:
    """:raises base.Rejected: a host would not heal a volume."""
    if not host:
        raise base.Rejected('the name of the host is empty')
    if force:
        return
    if host in every.fenced:
        raise base.Rejected(
            'the host %s is fenced (%s): nobody would heal volume %s; lift '
            'the fence, or say --force' % (host, every.fenced[host], volume))
    if host not in every.alive:
        raise base.Rejected(
            'no agent shows itself as the host "%s": nobody would heal '
            'volume %s; "status" shows the names of the hosts that are '
            'alive, and --force hands it over all the same' % (host, volume))


def _hears(documents: documents_room.Documents, volume: str, host: str,
           stopped: bool) -> None:
    """:raises base.Rejected: whoever heals a volume would not hear of it."""
    silent = [one for one in documents.heal()
              if one != host and one not in documents.alive]
    if silent and not stopped:
        raise base.Rejected(
            'no agent shows itself as the host %s, which heals volume %s: it '
            'may be cut off from etcd, and go on healing; nothing was '
            'changed. Wait for it, or, when you know that it does not use the '
            'volume any more (it is off, or storage rejects it), say '
            '--source-stopped' % (', '.join(silent), volume))


def _reason(why: str) -> None:
    """:raises base.Rejected: it is empty, as a shell variable may be.

    In etcd no reason is no fence and no hold.
    """
    if not why.strip():
        raise base.Rejected('the reason is empty: say why, in words that tell '
                            'the next operator; nothing was changed')


def _known(every: everything_room.Everything, target: str) -> None:
    """:raises base.Rejected: nothing is on that target, nor was cordoned."""
    if target not in every.cordoned and target not in {
            one.target.nqn for one in (
                *(entry.backing for record in every.records.values()
                  for entry in record.entries),
                *(spare.backing for spare in every.spares.values()),
                *(use.backing for use in every.uses.values()))}:
        raise base.Rejected('nothing in etcd is on a target "%s"; "status" '
                            'and "spares" show their names' % target)
