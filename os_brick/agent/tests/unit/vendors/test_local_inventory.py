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
"""What the local driver reads from an inventory, and how it complains."""

import os
import pathlib
import tempfile

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from oslotest import base
import yaml

from os_brick.agent import model
from os_brick.agent.vendors import base as vendor
from os_brick.agent.vendors.inventory import inventory_file
from os_brick.agent.vendors.inventory import source

TOP = pathlib.Path(__file__).parents[5]
SAMPLE = TOP / 'etc' / 'nvme-agent' / 'volumes.yaml.sample'
VOLUME = '11111111-0000-4000-8000-000000000001'
LEG = 'aaaaaaaa-0000-4000-8000-00000000000%d'
NQN = 'nqn.2014-08.org.example:%s'
GOOD = """\
volumes:
  - uuid: %s
    alias: vol1
    replicas:
      - uuid: %s
        nqn: %s
        portals:
          - address: 192.0.2.1
spares:
  - uuid: %s
    nqn: %s
    size: 1GiB
    portals:
      - address: 192.0.2.2
""" % (VOLUME, LEG % 1, NQN % 'a', LEG % 2, NQN % 'b')


class ParseTestCase(base.BaseTestCase):

    def refused(self, content, *words):
        if isinstance(content, str):
            content = content.encode()
        error = self.assertRaises(inventory_file.InventoryError,
                                  inventory_file.parse, '/x/v.yaml', content)
        for word in ('/x/v.yaml',) + words:
            self.assertIn(word, str(error))

    def edited(self, old, new):
        self.assertIn(old, GOOD)
        return GOOD.replace(old, new, 1)

    def test_good(self):
        read = inventory_file.parse('/x', GOOD.encode())
        volume, = read.volumes
        self.assertEqual((VOLUME, 'vol1', None, None), (
            volume.uuid, volume.alias, volume.size,
            volume.max_replica_down_time))
        self.assertEqual(
            model.Target(NQN % 'a', (model.Portal('192.0.2.1', 4420),)),
            volume.replicas[0].target)
        spare, = read.spares
        self.assertEqual((2 ** 30, 0, frozenset()), (
            spare.backing.size, spare.returned, spare.volumes))
        self.assertEqual(volume, read.volume(VOLUME))
        self.assertIsNone(read.volume(LEG % 1))

    def test_sample_is_good(self):
        read = inventory_file.parse('s', SAMPLE.read_bytes())
        self.assertEqual([2], [len(one.replicas) for one in read.volumes])
        self.assertEqual([0, 1], [one.returned for one in read.spares])
        self.assertEqual(100 * 2 ** 30, read.volumes[0].size)
        self.assertEqual(600.0, read.volumes[0].max_replica_down_time)

    def test_sample_shows_every_field(self):
        text = SAMPLE.read_text()
        for field in (inventory_file._VOLUME + inventory_file._SPARE
                      + ('address', 'port', 'transport')):
            self.assertIn(field + ':', text)

    def test_text_is_kept_as_typed(self):
        read = inventory_file.parse('/x', self.edited(
            'alias: vol1', 'alias: yes').encode())
        self.assertEqual('yes', read.volumes[0].alias)

    def test_uuid_is_normalised(self):
        read = inventory_file.parse('/x', self.edited(
            LEG % 1, (LEG % 1).upper().replace('-', '')).encode())
        self.assertEqual(LEG % 1, read.volumes[0].replicas[0].uuid)

    def test_not_yaml(self):
        self.refused('volumes:\n  - [\n', 'line 3', 'not valid YAML')
        self.refused(b'volumes: []\n# \xff\n', 'line 2', 'UTF-8')
        self.refused(b'a\x00b', 'not valid YAML')
        self.refused('', 'line 1', 'empty')
        self.refused('# nothing\n', 'empty')
        self.refused(b'[' * 100000, 'recursion')
        self.refused(b'#' * (inventory_file.MAX_BYTES + 1), 'larger than')

    def test_shape(self):
        self.refused('- a\n', 'line 1', 'mapping')
        self.refused('{}\n', 'volumes')
        self.refused('volumes:\n', 'volumes must be a list')
        self.refused('volumes: &a [*a]\n', 'a volume must be a mapping')
        self.refused('volumes: []\nspare: []\n', 'line 2', '"spare"',
                     'spares')
        self.refused('volumes: []\nvolumes: []\n', 'line 2', 'twice')
        self.refused('volumes: [{uuid: a}]\n', 'lacks the field alias')

    def test_values(self):
        for old, new, line, word in (
                (VOLUME, 'twelve', 2, "'twelve' is no UUID"),
                ('alias: vol1', 'alias:', 3, 'alias must have a value'),
                ('alias: vol1', 'alias: a/b', 3, "'a/b'"),
                ('alias: vol1', 'alias: "a\\nb"', 3, 'md array'),
                ('alias: vol1', 'alias: [a]', 3, 'alias'),
                (LEG % 1, VOLUME[:-1], 5, 'no UUID'),
                (NQN % 'a', 'iqn.2014-08.a:b', 6, 'iqn.2014-08.a:b'),
                (NQN % 'a', NQN % ('a' * 220), 6, 'qualified name'),
                ('address: 192.0.2.1', 'address: host1', 8, "'host1'"),
                ('address: 192.0.2.1', 'address: 192.0.2.1\n'
                 '            port: 65536', 8, '65536'),
                ('address: 192.0.2.1', 'address: 192.0.2.1\n'
                 '            port: 0x10', 9, "'0x10'"),
                ('address: 192.0.2.1', 'address: 192.0.2.1\n'
                 '            transport: fc', 8, "'fc'"),
                ('- address: 192.0.2.1\n', '[]\n', 8, 'no portal'),
                ('size: 1GiB', 'size: 1.5GiB', 12, "'1.5GiB'"),
                ('size: 1GiB', 'size: 0', 12, "'0'"),
                ('size: 1GiB', 'tags: a\n    size: 1', 12, 'tags must be'),
                ('size: 1GiB', 'size: 1\n    returned: -1', 13, "'-1'"),
                ('size: 1GiB', 'size: 1\n    volumes: [vol2]', 13,
                 '"vol2", which is no volume'),
                ('size: 1GiB', 'failure_domain: x', 10, 'lacks the field '
                 'size'),
                ('alias: vol1', 'alias: vol1\n    max_replica_down_time: 1m',
                 4, "'1m'")):
            self.refused(self.edited(old, new), 'line %d:' % line, word)

    def test_listed_twice(self):
        self.refused(self.edited(LEG % 2, (LEG % 1).upper()), 'line 10:',
                     LEG % 1, 'already, on line 5')
        head, spares = GOOD.split('spares:')
        again = head.split('volumes:\n')[1]
        self.refused(head + again, 'line 9', 'volume ' + VOLUME, 'line 2')
        self.refused(head + again.replace(VOLUME, LEG % 9), 'alias vol1',
                     'line 3')

    def test_units(self):
        for text, size in (('7', 7), ('3 KiB', 3072), ('1MiB', 2 ** 20),
                           ('2TiB', 2 ** 41)):
            read = inventory_file.parse('/x', self.edited(
                '1GiB', text).encode())
            self.assertEqual(size, read.spares[0].backing.size)

    def test_returned(self):
        for text, count in (('true', 1), ('false', 0), ('3', 3)):
            read = inventory_file.parse('/x', self.edited(
                'size: 1GiB', 'size: 1\n    returned: ' + text).encode())
            self.assertEqual(count, read.spares[0].returned)

    @given(st.data())
    @settings(deadline=None)
    def test_any_damage_is_read_or_refused_with_a_line(self, data):
        """Nothing but InventoryError escapes, whatever was typed."""
        content = bytearray(GOOD.encode())
        for _ in range(data.draw(st.integers(1, 3))):
            start = data.draw(st.integers(0, len(content)))
            end = data.draw(st.integers(start, min(len(content), start + 40)))
            content[start:end] = data.draw(st.one_of(
                st.binary(max_size=6),
                st.sampled_from([b'\n', b': ', b'- ', b'&a ', b'*a', b'<<: ',
                                 b'{', b'[', b'"', b'|\n', b'!!x '])))
        try:
            read = inventory_file.parse('/x', bytes(content))
        except inventory_file.InventoryError as error:
            self.assertRegex(str(error), r'^/x, line \d+: .')
        else:
            self.assertTrue(all(one.replicas for one in read.volumes))

    @given(st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(inventory_file._VOLUME + ('volumes', 'spares',
                                                      'nqn', 'portals')),
            inner, max_size=4), max_leaves=12))
    @settings(deadline=None)
    def test_any_tree_is_read_or_refused(self, tree):
        try:
            inventory_file.parse('/x', yaml.safe_dump(tree).encode())
        except inventory_file.InventoryError as error:
            self.assertRegex(str(error), r'^/x, line \d+: .')


class SourceTestCase(base.BaseTestCase):

    def setUp(self):
        super().setUp()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, 'volumes.yaml')
        self.now = 1e9
        self.source = self.fresh()

    def fresh(self):
        return source.Source(self.path, 'local_inventory_file',
                             lambda: self.now)

    def write(self, text, age=10.0):
        with open(self.path, 'w') as stream:
            stream.write(text)
        os.utime(self.path, (self.now - age, self.now - age))

    def aliases(self, source=None):
        inventory = (source or self.source).inventory
        return [one.alias for one in inventory.volumes]

    def logged(self, call):
        with self.assertLogs(source.LOG, 'INFO') as logs:
            call()
        return logs.output

    def quiet(self, call):
        with self.assertNoLogs(source.LOG, 'INFO'):
            return call()

    def test_no_file(self):
        error = self.assertRaises(vendor.ConfigurationError,
                                  self.source.start, GOOD.encode())
        for word in ('local_inventory_file', self.path, 'No such file'):
            self.assertIn(word, str(error))

    def test_wrong_file_and_nothing_kept(self):
        self.write('volumes: [1]')
        error = self.assertRaises(vendor.ConfigurationError,
                                  self.source.start, None)
        for word in ('local_inventory_file', self.path, 'line 1'):
            self.assertIn(word, str(error))

    def test_wrong_file_and_a_wrong_one_kept(self):
        self.write('volumes: [1]')
        self.assertRaises(vendor.ConfigurationError, self.source.start,
                          b'volumes: [2]')

    def test_wrong_file_and_a_good_one_kept(self):
        self.write('volumes: [1]')
        output = self.logged(lambda: self.source.start(GOOD.encode()))
        self.assertIn('line 1', output[0])
        self.assertIn('ERROR', output[0])
        self.assertEqual(['vol1'], self.aliases())
        self.assertEqual(GOOD.encode(), self.source.content)
        self.assertFalse(self.quiet(self.source.refresh))

    def test_unchanged(self):
        self.write(GOOD)
        self.source.start(None)
        self.assertFalse(self.quiet(self.source.refresh))

    def test_edited(self):
        self.write(GOOD)
        self.source.start(None)
        self.write(GOOD.replace('vol1', 'vol2'))
        self.assertTrue(self.source.refresh())
        self.assertEqual(['vol2'], self.aliases())
        self.assertFalse(self.quiet(self.source.refresh))

    def test_edit_of_the_same_size_and_time(self):
        self.write(GOOD)
        self.source.start(None)
        fresh = self.path + '.new'
        with open(fresh, 'w') as stream:
            stream.write(GOOD.replace('vol1', 'vol2'))
        os.utime(fresh, (self.now - 10, self.now - 10))
        os.rename(fresh, self.path)
        self.assertTrue(self.source.refresh())
        self.assertEqual(['vol2'], self.aliases())

    def test_file_in_the_making_is_left_for_the_next_turn(self):
        self.write(GOOD)
        self.source.start(None)
        self.write('volumes: []\n', age=0.3)
        self.assertFalse(self.quiet(self.source.refresh))
        self.assertEqual(['vol1'], self.aliases())
        self.now += 1
        self.assertTrue(self.source.refresh())
        self.assertEqual([], self.aliases())

    def test_file_of_the_future_is_read(self):
        self.write(GOOD)
        self.source.start(None)
        self.write('volumes: []\n', age=-3600)
        self.assertTrue(self.source.refresh())

    def test_broken_edit_is_reported_once_and_the_last_good_stays(self):
        self.write(GOOD)
        self.source.start(None)
        self.write(GOOD.replace('192.0.2.1', 'nowhere'))
        output = self.logged(self.source.refresh)
        self.assertEqual(1, len(output))
        for word in ('ERROR', self.path, 'line 8', "'nowhere'"):
            self.assertIn(word, output[0])
        self.assertFalse(self.quiet(self.source.refresh))
        self.assertEqual(['vol1'], self.aliases())
        self.assertEqual(GOOD.encode(), self.source.content)

    def test_each_broken_edit_is_reported(self):
        self.write(GOOD)
        self.source.start(None)
        for comment in ('', '# again\n'):
            self.write('volumes: [1]\n' + comment)
            self.assertEqual(1, len(self.logged(self.source.refresh)))

    def test_mended(self):
        self.write(GOOD)
        self.source.start(None)
        self.write('volumes: [1]')
        self.source.refresh()
        self.write(GOOD)
        output = self.logged(self.source.refresh)
        self.assertIn('in force: 1 volumes, 1 spares', output[0])

    def test_vanished_is_reported_once_and_the_last_good_stays(self):
        self.write(GOOD)
        self.source.start(None)
        os.remove(self.path)
        output = self.logged(self.source.refresh)
        self.assertIn(self.path + ': No such file', output[0])
        self.assertFalse(self.quiet(self.source.refresh))
        self.assertEqual(['vol1'], self.aliases())
        self.write(GOOD.replace('vol1', 'vol2'))
        self.assertTrue(self.source.refresh())
