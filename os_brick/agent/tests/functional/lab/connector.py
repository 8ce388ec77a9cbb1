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
"""Attach and detach volumes as nova does: os-brick's own connector.

Its privileged commands go through os-brick's privsep helper, which is
started once for a whole process, and its locks lie where the agent's do.
"""

from __future__ import annotations

import contextlib
import dataclasses
import grp
import logging
import os
import pathlib
import sys
from typing import Any, Iterator
import uuid as uuid_lib

from oslo_concurrency import lockutils
from oslo_config import cfg

from os_brick.agent.tests.functional.lab import targets as targets_lib

LOG = logging.getLogger(__name__)

LOCK_PATH = pathlib.Path('/run/nvme-agent-lab/lock')
USER = 'nvme-agent'


@dataclasses.dataclass
class Volume:
    """A replicated volume: one namespace on each of several targets.

    :ivar host_nqn: as which host it is attached; '': as this one.
    """

    alias: str
    replicas: list[tuple[targets_lib.Target, targets_lib.Namespace]]
    uuid: str = dataclasses.field(
        default_factory=lambda: str(uuid_lib.uuid4()))
    host_nqn: str = ''

    @classmethod
    def on(cls, alias: str, *replicas: targets_lib.Target,
           host_nqn: str = '') -> Volume:
        """Make a volume of the first namespace of each target."""
        return cls(alias, [(one, one.namespace) for one in replicas],
                   host_nqn=host_nqn)

    @property
    def path(self) -> str:
        """Where the array is found once it is attached."""
        return '/dev/md/' + self.alias

    @property
    def properties(self) -> dict[str, Any]:
        """The connection properties that Cinder gives nova."""
        return {
            'vol_uuid': self.uuid,
            'alias': self.alias,
            'replica_count': len(self.replicas),
            'volume_replicas': [
                {'vol_uuid': namespace.uuid, 'target_nqn': target.nqn,
                 'portals': target.portals,
                 **({'host_nqn': self.host_nqn} if self.host_nqn else {})}
                for target, namespace in self.replicas]}


def privsep_helper() -> str:
    """Return the path of the privsep-helper beside this interpreter."""
    return str(pathlib.Path(sys.executable).parent / 'privsep-helper')


def prepare_locks() -> None:
    """Make the lock directory that os-brick (root) and the agent share."""
    LOCK_PATH.mkdir(parents=True, exist_ok=True)
    os.chown(LOCK_PATH, 0, grp.getgrnam(USER).gr_gid)
    # New lock files belong to the directory's group.
    LOCK_PATH.chmod(0o2775)


@contextlib.contextmanager
def _group_may_write() -> Iterator[None]:
    # A lock file that root makes with the usual umask shuts the agent out.
    before = os.umask(0o002)
    try:
        yield
    finally:
        os.umask(before)


class Attacher:
    """Attaches and detaches volumes; remembers what is attached."""

    def __init__(self) -> None:
        prepare_locks()
        # Imported late: os-brick registers its options on import.
        import os_brick
        from os_brick.initiator.connectors import nvmeof
        cfg.CONF(args=[], project='nvme-agent-lab', default_config_files=[],
                 default_config_dirs=[])
        lockutils.set_defaults(str(LOCK_PATH))
        os_brick.setup(cfg.CONF)
        cfg.CONF.set_override('lock_path', str(LOCK_PATH), group='os_brick')
        cfg.CONF.set_override('helper_command', privsep_helper(),
                              group='privsep_osbrick')
        self._connector = nvmeof.NVMeOFConnector('sudo', use_multipath=True)
        self._attached: dict[str, tuple[Volume, dict[str, Any]]] = {}

    def attach(self, volume: Volume) -> str:
        """Connect all replicas and build or assemble the array.

        :returns: the path of the array, /dev/md/<alias>.
        """
        with _group_may_write():
            device = self._connector.connect_volume(volume.properties)
        self._attached[volume.uuid] = (volume, device)
        path: str = device['path']
        LOG.info('attached %s as %s', volume.alias, path)
        return path

    def extend(self, volume: Volume) -> None:
        """Make the array as large as its replicas are by now."""
        _volume, device = self._attached[volume.uuid]
        with _group_may_write():
            self._connector.extend_volume(
                dict(volume.properties, device_path=device['path']))
        LOG.info('extended %s', volume.alias)

    def detach(self, volume: Volume) -> None:
        """Stop the array and disconnect what nothing else uses."""
        _volume, device = self._attached.pop(volume.uuid)
        with _group_may_write():
            self._connector.disconnect_volume(
                dict(volume.properties, device_path=device['path']), device)
        LOG.info('detached %s', volume.alias)

    def forget(self) -> None:
        """Drop the record of what is attached, after a forced clean-up."""
        self._attached.clear()
