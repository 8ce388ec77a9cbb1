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
"""A fleet in the lab: a real etcd, and hosts that are one machine.

A host is an identity: a name, an NQN and a UUID, which an agent is told by its
options and os-brick by the connection's properties.  The kernel keeps the NQN
of each connection, and so whose it is.
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import json
import pathlib
import shutil
from typing import Any
import uuid as uuid_lib

from os_brick.agent import model
from os_brick.agent.testing.etcd import members
from os_brick.agent.testing.fleet import audit
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import inventory
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.vendors import base
from os_brick.agent.vendors.fleet import admin
from os_brick.agent.vendors.fleet import everything
from os_brick.agent.vendors.fleet import loading
from os_brick.agent.vendors.fleet import report
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store
from os_brick.agent.vendors.fleet import wire
from os_brick.agent.vendors.inventory import inventory_file

DIRECTORY = pathlib.Path('/run/nvme-agent-lab/etcd')
PREFIX = '/nvme-agent'
KEYS = schema.Keys(PREFIX)
#: Seconds; each request of this machine's etcd may be that slow.
PATIENCE = 30


@dataclasses.dataclass(frozen=True)
class Host:
    """Who an agent is."""

    name: str
    uuid: str = dataclasses.field(
        default_factory=lambda: str(uuid_lib.uuid4()))

    @property
    def nqn(self) -> str:
        """Its NQN, made of its UUID as nvme-cli makes one."""
        return 'nqn.2014-08.org.nvmexpress:uuid:' + self.uuid

    @property
    def options(self) -> dict[str, Any]:
        """The options that say so."""
        return {'host_name': self.name, 'host_nqn': self.nqn,
                'host_uuid': self.uuid}


class Fleet:
    """One member of etcd, and what nvme-agent-fleet does there."""

    def __init__(self) -> None:
        """Start it; ``begin`` waits until it serves."""
        shutil.rmtree(DIRECTORY, ignore_errors=True)
        DIRECTORY.mkdir(parents=True)
        self._member = members.Member(str(DIRECTORY))
        self._member.start()
        self._wire = wire.Wire(wire.Settings((self._member.url,), PATIENCE))
        self._store = store.Store(self._wire)
        self._operator = admin.Operator(self._store, KEYS)

    @property
    def options(self) -> dict[str, Any]:
        """What an agent has to know of it."""
        return {'provisioner_driver': 'etcd',
                'etcd_endpoints': self._member.url, 'etcd_prefix': PREFIX,
                'etcd_timeout': PATIENCE}

    def begin(self) -> None:
        """Do what ``init`` does."""
        def begun() -> bool:
            try:
                return bool(self._operator.begin())
            except base.ProvisionerError:
                return False
        waiting.wait_until(begun, 'etcd serves')

    def wait_for(self, *hosts: Host) -> None:
        """Wait until the agents of these hosts, and no other, show up."""
        names = {host.name for host in hosts}
        waiting.wait_until(lambda: {*self.read().alive} == names,
                           'the hosts %s are alive' % ', '.join(names))

    def load(self, host: Host | None, volumes: Iterable[connector.Volume],
             spares: Iterable[targets.Target] = ()) -> None:
        """Do what ``load`` does, for a host that was heard of.

        :param spares: for whoever needs one.
        :raises base.Rejected: an agent never showed itself as that host.
        """
        listed = inventory_file.parse('the file', inventory.text(
            volumes, spares, own_spares=False).encode())
        name = host.name if host else ''
        every = self.read()
        strangers = loading.strangers(self._store, KEYS, every, listed, name)
        if strangers:
            raise base.Rejected('nobody knows %s' % strangers)
        loading.load_into(self._store, KEYS, every, listed, name, False)

    def read(self) -> everything.Everything:
        """Return all that stands in etcd."""
        return self._operator.everything()

    def replicas(self, host: Host, volume: connector.Volume
                 ) -> dict[str, model.ReplicaState | None]:
        """Return the volume's replicas as that host has them."""
        record = self.read().records[host.name, volume.uuid]
        return {entry.uuid: entry.state for entry in record.entries
                if entry.live}

    def holder(self, spare: targets.Target) -> str | None:
        """Return the UUID of the volume that has a spare."""
        use = self.read().uses.get(spare.namespace.uuid)
        return use.volume if use else None

    def audit(self) -> audit.Audit:
        """Return what every revision says that etcd has kept."""
        made = audit.Audit(KEYS)
        made.replay(audit.history(self._member.url, PREFIX + '/',
                                  audit.revision(self._store, KEYS)))
        return made

    def describe(self) -> str:
        """Return what ``status`` and ``spares`` say, for a failed test."""
        try:
            every = self.read()
        except base.ProvisionerError as error:
            return str(error)
        return json.dumps([report.status(every), report.spares(every)],
                          indent=1)

    def close(self) -> None:
        """End it; nothing of it is kept."""
        self._wire.close()
        self._member.stop()
        shutil.rmtree(DIRECTORY, ignore_errors=True)
