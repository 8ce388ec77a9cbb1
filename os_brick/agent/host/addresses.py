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
"""What sysfs says of where a controller of the kernel is connected to."""

from __future__ import annotations

import os

from os_brick.agent.host import attributes
from os_brick.agent import model


def portal(address: str, transport: str) -> model.Portal | None:
    """Parse ``traddr=192.0.2.1,trsvcid=4420[,src_addr=...]``."""
    fields = dict(part.split('=', 1) for part in address.split(',')
                  if '=' in part)
    if transport not in ('tcp', 'rdma') or 'traddr' not in fields:
        return None
    return model.Portal(fields['traddr'], int(fields.get('trsvcid', 4420)),
                        transport)


def queues(wanted: model.Portal, controllers: str) -> int:
    """Return how many queues the kernel's live controllers have to a portal.

    Each is a connection of its own (drivers/nvme/host/tcp.c).  Of a controller
    that is not live the kernel has let the connections go, or may have: what
    there is to the portal may be a program's (S4).

    :param controllers: the directory with one for each controller.
    """
    return sum(
        _number(path) for name in os.listdir(controllers)
        if name.startswith('nvme')
        and _connected_to(path := os.path.join(controllers, name)) == wanted
        and _text(path, 'state') == 'live')


def _connected_to(path: str) -> model.Portal | None:
    try:
        return portal(_text(path, 'address'), _text(path, 'transport'))
    except ValueError:
        return None


def _number(path: str) -> int:
    count = _text(path, 'queue_count')
    return int(count) if count.isdigit() else 0


def _text(path: str, name: str) -> str:
    return attributes.text(attributes.read(os.path.join(path, name)))
