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
"""The local driver's inventory of what the lab has attached."""

from __future__ import annotations

from collections.abc import Iterable
import ipaddress
import json
import socket
from typing import Any

from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import targets


def text(volumes: Iterable[connector.Volume],
         spares: Iterable[targets.Target] = (),
         spare_size: int | None = None, own_spares: bool = True) -> str:
    """Return the file's text; JSON is YAML.

    :param spare_size: bytes to claim for every spare; its true size if None.
    :param own_spares: they are this host's; else every host may take them.
    """
    return json.dumps({
        **({'host': socket.gethostname()} if own_spares else {}),
        'volumes': [
            {'uuid': volume.uuid, 'alias': volume.alias,
             'replicas': [_backing(target, namespace)
                          for target, namespace in volume.replicas]}
            for volume in volumes],
        'spares': [
            dict(_backing(target, target.namespace),
                 size=str(spare_size or target.namespace.size))
            for target in spares]}, indent=1)


def _backing(target: targets.Target,
             namespace: targets.Namespace) -> dict[str, Any]:
    return {'uuid': namespace.uuid, 'nqn': target.nqn,
            'failure_domain': target.shelf,
            'portals': [{'address': _spelt_otherwise(address), 'port': port,
                         'transport': transport}
                        for address, port, transport in target.portals]}


def _spelt_otherwise(address: str) -> str:
    """Return IPv6 in another spelling than the kernel's."""
    return ipaddress.ip_address(address).exploded.upper()
