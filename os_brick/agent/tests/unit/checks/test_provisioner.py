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
"""What a check says of a provisioner and of the arrays of a host."""

from __future__ import annotations

from oslotest import base

from os_brick.agent.checks import provisioner
from os_brick.agent import model

DAY = 86400.0
V1, V5 = ('00000000-0000-4000-8000-00000000000%d' % one for one in (1, 5))


def array(name: str, *legs: tuple[str, str | None]) -> model.Array:
    return model.Array(
        name, 'alias-' + name, None, len(legs), 0, 'clean', 'idle', 1,
        tuple(model.Leg(device, slot, frozenset({'in_sync'}), uuid)
              for slot, (device, uuid) in enumerate(legs)))


class ProvisionerTest(base.BaseTestCase):

    def test_what_it_answers(self) -> None:
        first, second = provisioner.answered(model.Examination(
            'https://192.0.2.1', '3.20', (), ('not verified',), True))
        self.assertEqual(
            'https://192.0.2.1 answers, and takes the credentials; version '
            '3.20; 0 volumes for this host', first.details)
        self.assertEqual((1, 'not verified'), (second.code, second.details))
        one, = provisioner.answered(model.Examination('/etc/x'))
        self.assertEqual('/etc/x answers', one.details)

    def test_certificates(self) -> None:
        for days, code, words in ((400, 0, 'ends in 400 days'),
                                  (30, 0, 'ends in 30 days'),
                                  (29.9, 1, 'ends in 29 days'),
                                  (7, 1, 'ends in 7 days'),
                                  (6.9, 2, 'ends in 6 days'),
                                  (-0.1, 2, 'has ended, 2001-09-0')):
            one, = provisioner.certificates(
                [model.Certificate('of x', 1e9 + days * DAY)], 1e9)
            self.assertEqual(code, one.code, str(one))
            self.assertIn('the one of x ' + words, one.details)
            self.assertEqual(bool(code), bool(one.remedy))

    def test_arrays(self) -> None:
        ours, disks = array('md1', ('nvme1n1', 'u1')), array(
            'md2', ('sda1', None), ('sdb1', None))
        others, doubted = array('md3', ('nvme3n1', 'u3')), array(
            'md4', ('nvme4n1', 'u4'))
        watched = array('md5', ('nvme5n1', 'u5'))
        found = {one.details: one for one in provisioner.arrays(
            [ours, disks, others, doubted, watched],
            {'md1': model.Volume(V1, 'vol1'),
             'md5': model.Volume(V5, 'vol5', observe='b heals it')},
            {'array alias-md4 (md4)': 'two volumes claim it'})}
        self.assertEqual(5, len(found))
        for words, code in (
                ('(md1) is that of volume %s, and is served' % V1, 0),
                ('(md2) is left alone: none of its legs (sda1, sdb1) is an '
                 'NVMe namespace', 0),
                ('(md3) is left alone: no volume that is listed has', 0),
                ('array alias-md4 (md4): two volumes claim it', 1),
                ('only observed: b heals it', 0)):
            one, = [one for details, one in found.items() if words in details]
            self.assertEqual(code, one.code)
