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
"""Whether this host has a way to an address at all; nothing is sent.

A socket for datagrams that is connected shows which address of this host the
kernel would send from, or that it knows no way (ip(7), udp(7)).  The address
shows the interface, and its ``operstate`` whether the cable or the driver is
up (Documentation/networking/operstates.rst).
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import errno
import os
import socket

import psutil

from os_brick.agent import model

#: What the kernel says where it knows no way to an address.
NO_NETWORK = (errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL)
#: Interfaces that say so are of no use; others do not say (``unknown``).
_DOWN = ('down', 'lowerlayerdown', 'notpresent')
_NET = '/sys/class/net'


def no_way(portal: model.Portal, net: str = _NET) -> str:
    """Return why this host cannot reach a portal, '' where it may."""
    try:
        source = _source(portal)
    except OSError as error:
        if error.errno in NO_NETWORK:
            return 'this host has no way to %s: %s' % (portal,
                                                       error.strerror)
        return ''
    interface = _interface(source)
    state = _operstate(interface, net) if interface else ''
    if state in _DOWN:
        return ('this host\'s interface %s, on the way to %s, is %s' % (
            interface, portal, state))
    return ''


def offline(wanted: Mapping[str, Collection[model.Portal]],
            asked: Callable[[model.Portal], str] | None = None
            ) -> dict[str, str]:
    """Return which replicas this host has no way to, and why.

    :param wanted: replica -> the portals of its target.
    :param asked: in the place of ``no_way``.
    """
    asked = asked or no_way
    found = {}
    for replica, portals in wanted.items():
        why = [asked(portal) for portal in sorted(portals, key=str)]
        if why and all(why):
            found[replica] = '; '.join(why)
    return found


def _source(portal: model.Portal) -> str:
    """Return the address that this host would send from.

    :raises OSError: it would not.
    """
    family, kind, protocol, _name, address = socket.getaddrinfo(
        portal.address, portal.port, type=socket.SOCK_DGRAM,
        flags=socket.AI_NUMERICHOST)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.connect(address)
        return str(probe.getsockname()[0]).partition('%')[0]


def _interface(address: str) -> str | None:
    """Return the interface that has an address of this host.

    What is stacked on another one, as a VLAN is, shows ``lowerlayerdown``.
    """
    for name, addresses in psutil.net_if_addrs().items():
        if any(one.address.partition('%')[0] == address
               for one in addresses):
            return str(name)
    return None


def _operstate(interface: str, net: str) -> str:
    try:
        with open(os.path.join(net, interface, 'operstate'),
                  encoding='ascii') as state:
            return state.read().strip()
    except (OSError, ValueError):
        # it went meanwhile: the next look tells
        return ''
