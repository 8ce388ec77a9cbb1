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
"""Lose or slow down the packets of single target addresses.

A `prio` queue on lo, or on another device, has one band per address, and a
`netem` queue in it.
netem's loss is what a target without power looks like: nothing comes back,
not even a reset.  The first band carries everything else untouched.
"""

from __future__ import annotations

import logging

from os_brick.agent.tests.functional.lab import process

LOG = logging.getLogger(__name__)

#: tc's limit of 16 bands, less the one for all that is left alone.
MAX_ADDRESSES = 15


def family(address: str) -> str:
    """Return ipv4 or ipv6."""
    return 'ipv6' if ':' in address else 'ipv4'


def loopback_address(of_family: str, number: int) -> str:
    """Return an address of this host that nothing else has.

    All of 127.0.0.0/8 is the host's; one of IPv6 has to be made so.
    """
    if of_family == 'ipv4':
        return '127.0.0.%d' % (10 + number)
    address = 'fd6e:766d:653a::%x' % (10 + number)
    process.run('ip', 'address', 'replace', address + '/128', 'dev', 'lo')
    return address


class Network:
    """The packets between this host and the addresses of its targets.

    :param devices: those that they leave by; loopback if none is named.
    """

    def __init__(self, *devices: str) -> None:
        self._devices = devices or ('lo',)
        self._bands: dict[str, int] = {}

    def lose(self, *addresses: str) -> None:
        """Drop every packet to and from these addresses, silently."""
        for address in addresses:
            LOG.info('dropping all packets of %s', address)
            self._netem(address, 'loss', '100%')

    def delay(self, address: str, seconds: float) -> None:
        """Let each round trip to an address take that much longer."""
        LOG.info('delaying %s by %s s', address, seconds)
        self._netem(address, 'delay', '%dus' % (seconds * 1e6 / 2),
                    'limit', '100000')

    def restore(self, *addresses: str) -> None:
        """Let packets of these addresses pass at once again."""
        for address in addresses:
            if address in self._bands:
                LOG.info('packets of %s pass again', address)
                self._netem(address, 'delay', '0us')

    def reset(self) -> None:
        """Forget every band; the devices are as they were."""
        self._bands.clear()
        for device in self._devices:
            if ' prio ' in process.run('tc', 'qdisc', 'show', 'dev', device):
                process.run('tc', 'qdisc', 'del', 'dev', device, 'root')

    def _netem(self, address: str, *rule: str) -> None:
        band = self._band(address)
        for device in self._devices:
            self._queue(device, band, *rule)

    def _queue(self, device: str, band: int, *rule: str) -> None:
        process.run('tc', 'qdisc', 'replace', 'dev', device,
                    'parent', '1:%x' % band, 'handle', '%x:' % (band + 256),
                    'netem', *rule)

    def _band(self, address: str) -> int:
        if address in self._bands:
            return self._bands[address]
        if len(self._bands) == MAX_ADDRESSES:
            raise ValueError('no more than %d addresses can be disturbed at '
                             'once' % MAX_ADDRESSES)
        first = not self._bands
        band = self._bands[address] = len(self._bands) + 2
        for device in self._devices:
            if first:
                process.run('tc', 'qdisc', 'replace', 'dev', device, 'root',
                            'handle', '1:', 'prio', 'bands', '16',
                            'priomap', *['0'] * 16)
            # The queue comes before the filter: a packet that is sent to a
            # band finds netem, never an empty class.
            self._queue(device, band, 'delay', '0us')
            packets, match, length = (
                ('ipv6', 'ip6', '/128') if family(address) == 'ipv6'
                else ('ip', 'ip', '/32'))
            for direction in ('src', 'dst'):
                process.run('tc', 'filter', 'add', 'dev', device, 'parent',
                            '1:', 'protocol', packets, 'u32', 'match', match,
                            direction, address + length, 'flowid',
                            '1:%x' % band)
        return band
