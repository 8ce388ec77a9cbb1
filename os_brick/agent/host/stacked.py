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
"""What this host has stacked on the arrays of volumes."""

from __future__ import annotations

import os

from os_brick.agent.host import attributes
from os_brick.agent.host import device_mapper
from os_brick.agent.host import subsystems


def lvm(root: str = '/') -> dict[str, str]:
    """Return array -> the logical volume that LVM has activated on it.

    Of arrays on NVMe-oF namespaces, also on some that have gone: os-brick ends
    the connections where it could not stop the array.  What lies on local ones
    is the host's.
    """
    remote = {one.name for one in subsystems.policies(root).values()}
    blocks = os.path.join(root, 'sys/class/block')
    found = {}
    for array in attributes.names(blocks):
        if not array.startswith('md') or not any(
                _remote(os.path.join(blocks, member[len('dev-'):]), remote)
                for member in attributes.names(os.path.join(
                    blocks, array, 'md')) if member.startswith('dev-nvme')):
            continue
        for holder in attributes.names(os.path.join(blocks, array,
                                                    'holders')):
            name, user = device_mapper.named(os.path.join(blocks, holder))
            if user == 'LVM':
                found[array] = name
    return found


def _remote(leg: str, subsystem: set[str]) -> bool:
    place = attributes.without_links(leg)
    return not os.path.exists(place) or not subsystem.isdisjoint(
        place.split('/'))
