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
"""The few small reads between two scans."""

from __future__ import annotations

import os
import tempfile

from oslotest import base

from os_brick.agent.host import activity
from os_brick.agent.host import silence
from os_brick.agent import model

# two arrays of an emulated machine, one with a write under way
STAT = ('     120        0      960       41      306        0     2448'
        '     1220        1     1290     1261        0        0        0'
        '        0        3        0')
TCP = '''  sl  local_address rem_address   st tx_queue rx_queue tr tm->when \
retrnsmt   uid  timeout inode
   0: 0100007F:9C40 0B00007F:1144 01 00001048:00000000 01:0000003E 00000002 \
    0        0 0 3 0000000000000000 48 4 0 10 7
   4: 0100007F:9C48 0B00007F:1144 01 00001048:00000000 01:0000000A 00000001 \
    0        0 0 3 0000000000000000 40 4 0 10 7
   1: 0100007F:9C42 0C00007F:1144 01 00001048:00000000 01:00000014 00000000 \
    0        0 0 3 0000000000000000 20 4 0 10 7
   2: 0100007F:9C44 0D00007F:1144 02 00000001:00000000 01:00000014 00000003 \
    0        0 0 3 0000000000000000 20 4 0 10 7
   3: nonsense
'''
TCP6 = '''  sl  local_address remote_address st tx_queue rx_queue tr \
tm->when retrnsmt
   0: B80D0120000000000000000001000000:9C40 \
B80D0120000000000000000002000000:1144 01 00000001:00000000 01:00000001 \
00000001 0 0 0 3 0000000000000000 40 4 0 10 7
   1: 0000000000000000FFFF00000B00007F:9C41 \
0000000000000000FFFF00000E00007F:1144 01 00000001:00000000 01:00000001 \
00000001 0 0 0 3 0000000000000000 40 4 0 10 7
   2: B80D0120000000000000000001000000:9C40 \
B80D0120000000000000000003000000:1144 01 00000001:00000000 04:00000001 \
00000001 0 0 0 3 0000000000000000 40 4 0 10 7
'''


class TreeCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name

    def put(self, path: str, text: str) -> None:
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as attribute:
            attribute.write(text)


class PulseTest(TreeCase):

    def state(self, name: str, text: str) -> None:
        self.put('sys/class/nvme-fabrics/ctl/%s/state' % name, text)

    def test_a_host_without_anything(self) -> None:
        self.assertEqual(activity.Activity(),
                         activity.ActivityReader(self.root).read(['md127']))

    def test_states_and_flows(self) -> None:
        self.state('nvme0', 'live\n')
        self.state('nvme1', 'connecting\n')
        self.put('sys/class/block/md127/stat', STAT)
        self.put('sys/class/block/md126/stat', STAT)
        self.assertEqual(
            activity.Activity({'nvme0': 'live', 'nvme1': 'connecting'},
                              {'md127': model.IoCounters(429, 1, 120)},
                              {name: os.stat(os.path.join(
                                  self.root, 'sys/class/nvme-fabrics/ctl',
                                  name)).st_ino
                               for name in ('nvme0', 'nvme1')}),
            activity.ActivityReader(self.root).read(['md127', 'md5']))

    def test_reads_are_told_from_writes(self) -> None:
        self.put('sys/class/block/md127/stat', STAT)
        for inflight, under_way, reads in (
                ('       2        5\n', 7, 2), ('       0        0\n', 0, 0),
                ('nonsense\n', 1, 0), ('1\n', 1, 0)):
            self.put('sys/class/block/md127/inflight', inflight)
            io = activity.ActivityReader(self.root).read(
                ['md127']).counters['md127']
            self.assertEqual(
                {'read': (120, reads), 'write': (309, under_way - reads)},
                io.directions)

    def test_a_write_that_waits_for_the_superblock_is_under_way(self) -> None:
        idle = STAT.replace(' 1     1290', ' 0     1290')
        self.put('sys/class/block/md127/stat', idle)
        for state, under_way in (('clean\n', 0), ('write-pending\n', 1)):
            self.put('sys/class/block/md127/md/array_state', state)
            reader = activity.ActivityReader(self.root)
            self.assertEqual(under_way, reader.read(
                ['md127']).counters['md127'].under_way)

    def test_older_kernels_have_fewer_fields(self) -> None:
        self.put('sys/class/block/md127/stat', '1 0 8 0 2 0 16 0 0 0 0')
        reader = activity.ActivityReader(self.root)
        self.assertEqual({'md127': model.IoCounters(3, 0, 1)},
                         reader.read(['md127']).counters)

    def test_nonsense_spoils_one_object(self) -> None:
        self.put('sys/class/block/md127/stat', 'no numbers')
        self.put('sys/class/block/md126/stat', STAT)
        self.state('nvme0', '\ufffd\n')
        beat = activity.ActivityReader(self.root).read(['md127', 'md126'])
        self.assertEqual(['md126'], list(beat.counters))
        self.assertEqual(['nvme0'], list(beat.states))


class SilenceTest(TreeCase):

    def test_who_does_not_acknowledge(self) -> None:
        self.put('proc/net/tcp', TCP)
        self.put('proc/net/tcp6', TCP6)
        self.assertEqual(
            {model.Portal('127.0.0.11', 4420),
             model.Portal('2001:db8::2', 4420),
             model.Portal('127.0.0.14', 4420)},
            set(silence.unanswered(self.root)))

    def test_for_how_long(self) -> None:
        """The time-out has doubled each time; the longest silence counts."""
        self.put('proc/net/tcp', TCP)
        seconds = silence.unanswered(self.root)[
            model.Portal('127.0.0.11', 4420)]
        # of one connection: sent again after .2 s, and .1 s of .4 are left
        self.assertAlmostEqual(0.2 + 0.3, seconds)

    def test_what_a_kernel_showed(self) -> None:
        """Once a tenth of a second after a target's packets were dropped."""
        for elapsed, timer, again, timeout in (
                (0.42, 0x27, 1, 40), (0.84, 0x00, 1, 40), (0.95, 0x47, 2, 81),
                (1.26, 0x28, 2, 81), (1.57, 0x08, 2, 81),
                (1.68, 0xa3, 3, 163), (2.00, 0x82, 3, 163)):
            self.put('proc/net/tcp', 'head\n' + (
                '0: 0100007F:C566 0B00007F:1144 01 00001048:00000000 '
                '01:%08X %08X 0 0 0 3 0000000000000000 %d 4 1 1 7' % (
                    timer, again, timeout)))
            (seconds,) = silence.unanswered(self.root).values()
            self.assertLessEqual(seconds, elapsed)
            self.assertGreater(seconds, elapsed - 0.3)

    def test_no_table(self) -> None:
        self.assertEqual({}, silence.unanswered(self.root))

    def test_the_tables_of_this_machine_can_be_read(self) -> None:
        for portal in silence.unanswered():
            self.assertIsInstance(portal, model.Portal)
