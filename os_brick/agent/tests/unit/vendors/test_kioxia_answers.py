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
"""What the KumoScale driver believes of an answer; pure."""

import copy
import json

import hypothesis
from hypothesis import strategies
from oslotest import base

from os_brick.agent import model
from os_brick.agent.vendors.kumoscale import answers

NOW = 1.8e9
VOLUME = {
    'uuid': '11111111-0000-4000-8000-000000000001', 'alias': 'vol-1',
    'numReplicas': 2, 'maxReplicaDownTime': 10, 'location': [
        {'uuid': '22222222-0000-4000-8000-00000000000%d' % number,
         'backend': {'persistentID': 'backend-%d' % number},
         'replicaState': 'Available', 'currentStateTime': 5000}
        for number in (1, 2)]}
JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers()
    | strategies.floats() | strategies.text(),
    lambda inner: strategies.lists(inner) | strategies.dictionaries(
        strategies.sampled_from(sorted(VOLUME) + [
            'backend', 'replicaState', 'currentStateTime', 'persistentID',
            'portals', 'ip', 'port', 'transport', 'name', 'targetName']),
        inner), max_leaves=12)


class VolumeTestCase(base.BaseTestCase):

    def refused(self, *words, **fields):
        error = self.assertRaises(ValueError, answers.parse_volume,
                                  dict(VOLUME, **fields), NOW)
        for word in words:
            self.assertIn(word, str(error))

    def refused_replica(self, *words, **fields):
        location = copy.deepcopy(VOLUME['location'])
        location[1].update(fields)
        self.refused(*words, location=location)

    def test_volume(self):
        parsed = answers.parse_volume(VOLUME, NOW)
        self.assertEqual(model.Volume(
            VOLUME['uuid'], 'vol-1', None, tuple(
                model.Replica(replica['uuid'], model.ReplicaState.AVAILABLE,
                              NOW - 5.0)
                for replica in VOLUME['location']), 2, 600.0),
            parsed.volume)

    def test_upper_case_uuids(self):
        text = json.dumps(VOLUME)
        self.assertEqual(
            answers.parse_volume(json.loads(text), NOW),
            answers.parse_volume(dict(VOLUME, uuid=VOLUME['uuid'].upper()),
                                 NOW))

    def test_what_is_refused(self):
        self.refused('vol-1', '"uuid"', 'None', uuid=None)
        self.refused('"uuid"', "'seven'", uuid='seven')
        self.refused('"alias"', alias=7)
        self.refused('"alias"', alias='')
        self.refused('"numReplicas"', "'2'", numReplicas='2')
        self.refused('"numReplicas"', numReplicas=True)
        self.refused('"numReplicas"', numReplicas=0)
        self.refused('"maxReplicaDownTime"', maxReplicaDownTime=-1)
        self.refused('"maxReplicaDownTime"', maxReplicaDownTime=1e300)
        self.refused('"location"', location=None)
        self.refused('a replica', location=['text'])
        self.refused_replica('"uuid"', uuid='')
        self.refused_replica('twice', uuid=VOLUME['location'][0]['uuid'])
        self.refused_replica('twice', backend={'persistentID': ''},
                             uuid=VOLUME['location'][0]['uuid'])
        self.refused_replica("'Sparkling'", replicaState='Sparkling')
        self.refused_replica('"replicaState"', replicaState=None)
        self.refused_replica('"backend"', backend=None)
        self.refused_replica('"persistentID"', backend={'persistentID': 3})
        self.refused_replica('"currentStateTime"', currentStateTime='1 h')

    def test_each_state(self):
        for word in ('Available', 'Synchronizing', 'Missing', 'Terminating',
                     'Unknown'):
            volume = copy.deepcopy(VOLUME)
            volume['location'][0]['replicaState'] = word
            self.assertEqual(
                word.upper(), answers.parse_volume(
                    volume, NOW).volume.replicas[0].state.value)

    def test_replica_without_a_backend_is_skipped(self):
        for persistent_id in ('', None):
            volume = copy.deepcopy(VOLUME)
            volume['location'][0]['backend']['persistentID'] = persistent_id
            parsed = answers.parse_volume(volume, NOW)
            self.assertEqual(
                [VOLUME['location'][1]['uuid']],
                [replica.uuid for replica in parsed.volume.replicas])

    def test_what_need_not_be_said(self):
        volume = dict(VOLUME, numReplicas=None, maxReplicaDownTime=None)
        volume['location'] = [dict(VOLUME['location'][0],
                                   currentStateTime=None)]
        found = answers.parse_volume(volume, NOW).volume
        self.assertEqual((None, None, None), (
            found.replica_count, found.max_replica_down_time,
            found.replicas[0].state_since))

    def test_time_in_state(self):
        for said, since in ((0, NOW), (90 * 60 * 1000, NOW - 5400),
                            (10 * 86400 * 1000, NOW - 864000), (-1, None),
                            (1.7e12, 1.7e9), (1.9e12, NOW)):
            volume = copy.deepcopy(VOLUME)
            volume['location'][0]['currentStateTime'] = said
            self.assertEqual(since, answers.parse_volume(
                volume, NOW).volume.replicas[0].state_since)

    def test_errors_are_short_and_on_one_line(self):
        error = self.assertRaises(
            ValueError, answers.parse_volume, dict(
                VOLUME, alias='x' * 10000, location='\x1b[2J\n' * 1000), NOW)
        self.assertLess(len(str(error)), 400)
        self.assertTrue(str(error).isprintable())

    @hypothesis.settings(deadline=None)
    @hypothesis.given(strategies.sampled_from(sorted(VOLUME)), JSON)
    def test_any_field_may_be_anything(self, key, value):
        for entry in (value, dict(VOLUME, **{key: value})):
            list(answers.claims(entry))
            try:
                answers.parse_volume(entry, NOW)
            except ValueError as error:
                self.assertLess(len(str(error)), 600)

    @hypothesis.settings(deadline=None)
    @hypothesis.given(strategies.lists(JSON, max_size=3))
    def test_any_target_and_backend(self, entries):
        for parse in (answers.parse_targets,
                      lambda found: answers.parse_portals(found, 'b')):
            try:
                parse(entries)
            except ValueError:
                continue   # what is not believed

    @hypothesis.given(strategies.binary(max_size=50))
    def test_any_body(self, body):
        try:
            answers.decode(body)
        except ValueError:
            return   # what is no JSON

    def test_lenient_json(self):
        for body in (b'[NaN]', b'[Infinity]', b'[' * 100000, b'\xff\xfe'):
            self.assertRaises(ValueError, answers.decode, body)


class HostNameTestCase(base.BaseTestCase):

    def test_rule(self):
        self.assertEqual('a-b-c', answers.host_name('A.b.C'))
        self.assertEqual('x' * 32, answers.host_name('x' * 32))
        # md5sum says so too
        self.assertEqual('b7b82191a246d3563ed060e298add91d',
                         answers.host_name('X' * 33))


class PortalTestCase(base.BaseTestCase):

    def portals(self, *portals):
        return answers.parse_portals(
            [{'persistentID': 'a'}, {'persistentID': 'b',
                                     'portals': list(portals)}], 'b')

    def test_other_backends_do_not_matter(self):
        portal = {'ip': '10.0.0.1', 'port': 4420, 'transport': 'tcp'}
        self.assertEqual((model.Portal('10.0.0.1', 4420),),
                         self.portals(portal, portal))
        self.assertEqual((), answers.parse_portals([], 'b'))

    def test_what_is_refused(self):
        good = {'ip': '10.0.0.1', 'port': 4420, 'transport': 'tcp'}
        for fields in ({'ip': ''}, {'ip': '10.0.0.1 -x'}, {'ip': None},
                       {'port': 0}, {'port': 65536}, {'port': True},
                       {'port': '4420x'}, {'port': 44.2}):
            self.assertRaises(ValueError, self.portals,
                              dict(good, **fields))
