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
"""What device mapper calls its devices, and for whom it made them.

Kernel source: drivers/md/dm-sysfs.c (name, uuid).
"""

from __future__ import annotations

from os_brick.agent.host import attributes


def named(place: str) -> tuple[str, str]:
    """Return a device's name, and its user's; '' where it is not known.

    LVM, multipath, cryptsetup put their own name in front of the identifiers
    that they give: LVM, mpath, CRYPT.

    :param place: its directory in sysfs.
    """
    name, identifier = (
        attributes.text(attributes.read('%s/dm/%s' % (place, attribute)))
        for attribute in ('name', 'uuid'))
    user, dash, _rest = identifier.partition('-')
    return name, user if dash else ''
