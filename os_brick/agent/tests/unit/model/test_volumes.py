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
"""The nouns refuse what cannot be, and spell addresses in one way."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies
from oslotest import base

from os_brick.agent import model

UUID = '5d1e4f2c-0001-4000-8000-00000000000a'
OTHER = '5d1e4f2c-0001-4000-8000-00000000000b'
PORTAL = model.Portal('192.0.2.1', 4420)


class TestFields(base.BaseTestCase):
    """A value of a wrong type or range is refused where it is made."""

    def refused(self, kind, field, value, **others):
        error = self.assertRaises((TypeError, ValueError), kind,
                                  **{**others, field: value})
        self.assertIn(field, str(error))
        return str(error)

    def test_a_volume(self):
        for field, values in {
                'uuid': (None, 5, '', 'x', [UUID]),
                'alias': (None, '', 5, 'a/b', 'a\nb', '.', '..', 'x' * 256),
                'size': ('big', -1, 0, True, 1.5, float('nan')),
                'replicas': (None, 'ab', 5, ['x'], {}),
                'replica_count': ('2', -1, 0, True, 2.0),
                'max_replica_down_time': (
                    '1', -1, True, float('nan'), float('inf'),
                    10 ** 400)}.items():
            for value in values:
                self.refused(model.Volume, field, value,
                             **{'uuid': UUID, 'alias': 'vol', field: value})

    def test_a_replica(self):
        for field, values in {
                'uuid': (None, 'x'),
                'state': ('TERMINATING', None, 1, True),
                'state_since': ('1', True, float('nan')),
                'target': ('nqn.x', PORTAL)}.items():
            for value in values:
                self.refused(model.Replica, field, value,
                             **{'uuid': UUID, field: value})

    def test_a_target_and_a_portal(self):
        self.refused(model.Target, 'nqn', '', portals=())
        self.refused(model.Target, 'portals', 'x', nqn='nqn.x')
        self.refused(model.Target, 'portals', ['x'], nqn='nqn.x')
        for value in ('4420', None, True, 0, 65536, 1.5):
            self.refused(model.Portal, 'port', value, address='192.0.2.1')
        for value in ('', None, 5, 'a b', '--evil', '::g', 'fe80::1%a/b'):
            self.refused(model.Portal, 'address', value, port=1)
        self.refused(model.Portal, 'transport', 'fc', address='::1', port=1)

    def test_a_list_is_as_good_as_a_tuple(self):
        target = model.Target('nqn.x', [PORTAL])
        self.assertEqual((PORTAL,), target.portals)
        volume = model.Volume(UUID, 'vol', replicas=[model.Replica(OTHER)])
        self.assertEqual((model.Replica(OTHER),), volume.replicas)
        hash(volume)

    def test_the_value_is_named_and_a_structure_is_not_spilt(self):
        self.assertIn("'big'", self.refused(
            model.Volume, 'size', 'big', uuid=UUID, alias='vol'))
        self.assertNotIn('secret', self.refused(
            model.Volume, 'alias', {'token': 'secret'}, uuid=UUID))

    def test_a_replica_that_is_listed_twice(self):
        self.assertRaises(ValueError, model.Volume, UUID, 'vol', None,
                          (model.Replica(OTHER), model.Replica(OTHER)))


class TestAddresses(base.BaseTestCase):

    def same(self, one, other):
        self.assertEqual(model.Portal(one, 4420), model.Portal(other, 4420))

    def test_one_spelling(self):
        self.same('FD00:0:0:0::1', 'fd00::1')
        self.same('::ffff:192.0.2.1', '192.0.2.1')
        self.same('FE80::0:1%eth0', 'fe80::1%eth0')
        # the kernel looks at the zone of a link-local address only
        self.same('fd00::1%eth0', 'fd00::1')

    def test_the_zone_of_a_link_local_address_tells_two_apart(self):
        self.assertNotEqual(model.Portal('fe80::1%eth0', 1),
                            model.Portal('fe80::1%eth1', 1))

    def test_a_host_name_is_left_as_it_is(self):
        self.assertEqual('Target-1.example.org', model.Portal(
            'Target-1.example.org', 1).address)

    @given(strategies.ip_addresses(v=6))
    def test_every_spelling_of_ipv6(self, address):
        found = {model.Portal(text, 1).address for text in (
            str(address), address.exploded, address.exploded.upper())}
        (text,) = found
        self.assertEqual(text, model.normalise_address(text))
        self.assertEqual(address.ipv4_mapped or address,
                         ipaddress.ip_address(text))
