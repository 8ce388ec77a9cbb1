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
"""Which NVMe-oF namespace has a device's name: kernel names are given anew.

It is asked as root, just before something is written to a device by its name
(``privileged``).
"""

from __future__ import annotations

import os

from os_brick.agent.host import attributes
from os_brick.agent.host import blocks
from os_brick.agent.host import commands
from os_brick.agent.host import paths


def require(device: str, uuid: str, root: str = '/') -> None:
    """Refuse a name that is not that of the namespace which is meant.

    The name may change hands once more before the program that is started
    next has opened the device: those few milliseconds are left.

    :param uuid: its NVMe UUID, as ``model.normalise_uuid`` spells it.
    :param root: the directory that holds sys; '/' in earnest.
    :raises commands.NotMeant: it is another one's, a local disk's, say, or
        nobody's.
    :raises commands.CannotRun: there is nothing left to look with.
    """
    try:
        why = _why_not(device, uuid, root)
    except attributes.Exhausted as error:
        raise commands.CannotRun(str(error)) from error
    if why:
        raise commands.NotMeant(why)


def _why_not(device: str, uuid: str, root: str) -> str:
    devices = blocks.Blocks(root, blocks.Kept())
    head = devices.device(device)
    if head is None:
        return '%s is gone' % device
    controllers = attributes.without_links(
        os.path.join(root, paths.CONTROLLERS))
    ways = paths.Paths().get(devices, controllers, frozenset(
        attributes.identities(controllers, 'nvme'))).get(device)
    if not ways:
        return '%s is no namespace of an NVMe-oF target' % device
    # last of all, so that the answer is as young as it can be
    found = devices.uuid(head, ways[0][1])
    if found is None:
        return '%s has no UUID, and is not known to be %s' % (device, uuid)
    return '' if found == uuid else '%s is %s, not %s' % (device, found, uuid)
