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
"""The embedded default driver: an inventory file instead of a provisioner.

The operator lists volumes, replicas and spares in ``local_inventory_file``
(see ``etc/nvme-agent/volumes.yaml.sample``); the driver keeps what it decided
in ``local.sqlite`` in ``state_dir`` and never writes to the operator's file.

A namespace that was in use, whether a replica of the inventory or a spare,
is not handed out again by itself when it has been let go: its copy is old and
nobody knows why it failed.  The operator gives it back by listing it among
the spares with ``returned: N``, N being the number of times it was given back
so far, this time included (``returned: true`` is 1).  A count, not a flag,
because a flag left in the file would give it back again after its next
failure.

Several hosts may have a copy of the file, and each has a ledger of its own:
a spare is handed out only on the one host that the file names for it.

What the inventory gives is a volume's wish: it has as many replicas as are
listed, a replica that is taken out of the list is let go, and one that was
replaced may be taken out at leisure.  A volume that is taken out altogether
is left alone, not torn down.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import logging
import operator
import os
import time

from oslo_config import cfg

from os_brick.agent import model
from os_brick.agent.vendors import base
from os_brick.agent.vendors.inventory import assignments
from os_brick.agent.vendors.inventory import inventory_file
from os_brick.agent.vendors.inventory import pool
from os_brick.agent.vendors.inventory import source
from os_brick.agent.vendors import own_file

LOG = logging.getLogger(__name__)

OPTION = 'local_inventory_file'
State = model.ReplicaState
_REPORTS = (State.AVAILABLE, State.SYNCHRONIZING, State.MISSING)
_Basis = tuple[inventory_file.Inventory, tuple[assignments.Assignment, ...]]


class LocalDriver(base.ProvisionerDriver):
    """A provisioner that is a file and a ledger on this host."""

    _ledger: assignments.Assignments
    _source: source.Source

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        return (cfg.StrOpt(
            OPTION, default='/etc/nvme-agent/volumes.yaml',
            help='Inventory of the local driver: a YAML file that lists '
                 'volumes, their replicas, and the spares that may take the '
                 'place of a replica. It is read again when it changes; an '
                 'edit that cannot be used is reported with its line, and '
                 'the last good one stays in force.'),)

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._warned: dict[str, str] = {}
        self._host: model.Host | None = None
        self._nobodys = ''
        # the inventory in force would be found by a restart
        self._kept = False
        # what the last answer was made of, and the answer
        self._answer: tuple[_Basis, tuple[model.Volume, ...]] | None = None

    def set_up(self) -> None:
        path = os.path.abspath(self._conf.local_inventory_file)
        self._path = path
        self._source = source.Source(path, OPTION)
        self._ledger = assignments.Assignments(
            own_file.path(self._conf.state_dir, 'local.sqlite'))
        last_good = None
        with contextlib.suppress(base.Unavailable):
            # that was said when it was opened
            last_good = self._ledger.last_good(path)
        try:
            self._source.start(last_good)
        except base.ProvisionerError:
            self._ledger.close()
            raise
        self._kept = self._source.content == last_good

    def examine(self, host: model.Host, arrays: Collection[model.Array]
                ) -> model.Examination:
        """Read the inventory; what was assigned since is not looked at."""
        path = os.path.abspath(self._conf.local_inventory_file)
        listed = source.Source(path, OPTION)
        listed.start(None)
        inventory, now = listed.inventory, time.time()
        entries = [entry for listing in inventory.volumes for entry
                   in pool.reconcile(listing, (), {}, (), now).values()]
        return model.Examination(
            path, volumes=pool.describe_all(inventory, entries, host),
            troubles=tuple(filter(None, [inventory.nobodys])))

    def close(self) -> None:
        ledger: assignments.Assignments | None = getattr(self, '_ledger',
                                                         None)
        if ledger is not None:
            ledger.close()

    def heartbeat(self, host: model.Host, interval: float) -> None:
        self._host = host

    def get_volumes(self, host: model.Host, arrays: Collection[model.Array],
                    targets_for: Collection[str]) -> Sequence[model.Volume]:
        """Return every volume of the inventory, targets always given."""
        self._host = host
        self._kept &= not self._source.refresh()
        self._keep_good()
        inventory = self._source.inventory
        if inventory.nobodys and inventory.nobodys != self._nobodys:
            LOG.warning('%s', inventory.nobodys)
        self._nobodys = inventory.nobodys
        basis = (inventory, self._ledger.entries())
        if self._answer is None or not all(map(operator.is_,
                                               self._answer[0], basis)):
            entries = self._reconcile(inventory)
            try:
                described = pool.describe_all(inventory, entries, host)
            except ValueError as error:
                raise self._ledger.nonsense(error) from error
            self._answer = (inventory, entries), described
        return self._answer[1]

    def report_replica_state(self, volume: model.Volume,
                             replica: model.Replica,
                             state: model.ReplicaState) -> None:
        entry = self._entry(volume, replica)
        if entry is None or not entry.live:
            raise base.Rejected('%s lists no replica %s of volume %s' % (
                self._path, replica.uuid, volume.alias))
        if entry.state is State.TERMINATING or state not in _REPORTS:
            raise base.Rejected('replica %s of volume %s is %s and cannot '
                                'become %s' % (
                                    replica.uuid, volume.alias,
                                    entry.state and entry.state.value,
                                    state.value))
        if entry.state is not state:
            with self._ledger.transaction():
                self._ledger.put(dataclasses.replace(
                    entry, state=state, state_since=time.time()))

    def request_replacement(self, volume: model.Volume,
                            replica: model.Replica) -> None:
        inventory = self._source.inventory
        listing = inventory.volume(volume.uuid)
        entry = self._entry(volume, replica)
        if listing is None or entry is None or not entry.live:
            raise base.Rejected('%s lists no replica %s of volume %s' % (
                self._path, replica.uuid, volume.alias))
        if entry.successor is not None:
            return
        if entry.state is State.TERMINATING:
            raise base.Rejected(
                'replica %s of volume %s is no longer listed in %s and will '
                'not be replaced' % (replica.uuid, volume.alias, self._path))
        choice = pool.choose(inventory, listing,
                             self._ledger.entries(),
                             self._ledger.used(), replica.uuid, self._host)
        if choice.spare is None:
            raise base.Rejected(
                'no spare in %s can take the place of replica %s of volume '
                '%s: %s' % (self._path, replica.uuid, volume.alias, '; '.join(
                    '%s: %s' % pair for pair in choice.why_not.items())
                    or 'it lists none'))
        spare = choice.spare.backing
        with self._ledger.transaction():
            self._take(spare.uuid, volume.uuid)
            self._ledger.put(assignments.Assignment(
                volume.uuid, spare, State.UNKNOWN, time.time(),
                stands_for=entry.stands_for or replica.uuid))
            self._ledger.put(dataclasses.replace(entry,
                                                 successor=spare.uuid))
        LOG.info('volume %s: spare %s of %s is assigned in the place of '
                 'replica %s', volume.alias, spare.uuid, spare.target.nqn,
                 replica.uuid)

    def retire_replica(self, volume: model.Volume,
                       replica: model.Replica) -> None:
        entry = self._entry(volume, replica)
        if (entry is None or not entry.live
                or entry.state is State.TERMINATING):
            return
        if entry.successor is None:
            raise base.Rejected('replica %s of volume %s has no successor '
                                'and stays' % (replica.uuid, volume.alias))
        with self._ledger.transaction():
            self._ledger.put(dataclasses.replace(
                entry, state=State.TERMINATING, state_since=time.time()))

    def confirm_replica_removed(self, volume: model.Volume,
                                replica: model.Replica) -> None:
        entry = self._entry(volume, replica)
        if entry is None or not entry.live:
            return
        if entry.state is not State.TERMINATING:
            raise base.Rejected('replica %s of volume %s is not to be '
                                'removed' % (replica.uuid, volume.alias))
        with self._ledger.transaction():
            self._ledger.count_use(replica.uuid)
            if entry.successor is None:
                self._ledger.delete(entry)
            else:
                # the inventory may go on listing it: remember that it went
                self._ledger.put(dataclasses.replace(
                    entry, state=None, state_since=time.time()))
        LOG.info('volume %s: replica %s was let go; it returns to the pool '
                 'when it is listed with "returned: %d" among the spares of '
                 '%s', volume.alias, replica.uuid,
                 self._ledger.used()[replica.uuid], self._path)

    def _entry(self, volume: model.Volume,
               replica: model.Replica) -> assignments.Assignment | None:
        for entry in self._ledger.entries():
            if (entry.volume, entry.uuid) == (volume.uuid, replica.uuid):
                return entry
        return None

    def _keep_good(self) -> None:
        """For a start with a file that cannot be used; in time."""
        if self._kept:
            return
        try:
            with self._ledger.transaction():
                self._ledger.keep_good(self._path, self._source.content)
        except base.Unavailable as error:
            LOG.debug('the inventory in force is not kept: %s', error)
        else:
            self._kept = True

    def _reconcile(self, inventory: inventory_file.Inventory
                   ) -> tuple[assignments.Assignment, ...]:
        """Bring the ledger in line with the inventory; return its entries.

        Nothing is written where nothing differs.
        """
        before = self._ledger.entries()
        names = {listing.uuid: listing.alias
                 for listing in inventory.volumes}
        spares = {spare.backing.uuid: spare.backing
                  for spare in inventory.spares}
        holders = {entry.uuid: entry.volume for entry in before
                   if entry.live and entry.volume in names}
        now = time.time()
        after: dict[tuple[str, str], assignments.Assignment] = {}
        warnings: dict[str, str] = {}
        ours = pool.by_volume(before)
        for listing in inventory.volumes:
            claimed = {backing.uuid for backing in listing.replicas
                       if holders.get(backing.uuid, listing.uuid)
                       != listing.uuid}
            wanted = pool.reconcile(
                listing, ours.get(listing.uuid, ()), spares, claimed, now)
            after.update(((listing.uuid, uuid), entry)
                         for uuid, entry in wanted.items())
            for backing in listing.replicas:
                if backing.uuid not in wanted:
                    warnings[backing.uuid] = (
                        'volume %s: replica %s is left out: volume %s has '
                        'not let go of it' % (
                            listing.alias, backing.uuid,
                            names[holders[backing.uuid]]))
        changed = self._write(before, after, names)
        for uuid, words in warnings.items():
            if self._warned.get(uuid) != words:
                LOG.warning('%s', words)
        self._warned = warnings
        return self._ledger.entries() if changed else before

    def _write(self, before: Sequence[assignments.Assignment],
               after: dict[tuple[str, str], assignments.Assignment],
               names: Mapping[str, str]) -> bool:
        known = {(entry.volume, entry.uuid): entry for entry in before}
        changed = [(key, entry) for key, entry in after.items()
                   if known.get(key) != entry]
        gone = [entry for key, entry in known.items()
                if entry.volume in names and key not in after]
        if not changed and not gone:
            return False
        with self._ledger.transaction():
            for entry in gone:
                self._ledger.delete(entry)
            for (volume, uuid), entry in changed:
                if (volume, uuid) not in known:
                    self._take(uuid, volume)
                self._ledger.put(entry)
        for (volume, uuid), entry in changed:
            old = known.get((volume, uuid))
            if (entry.state is State.TERMINATING and old is not None
                    and old.state is not State.TERMINATING):
                LOG.info('volume %s: replica %s is no longer listed in %s '
                         'and will be let go', names[volume], uuid, self._path)
        return True

    def _take(self, uuid: str, volume: str) -> None:
        """Strike a namespace off all other volumes, which let go of it."""
        for entry in self._ledger.entries():
            if entry.uuid == uuid and entry.volume != volume:
                if entry.live:
                    self._ledger.count_use(uuid)
                self._ledger.delete(entry)
