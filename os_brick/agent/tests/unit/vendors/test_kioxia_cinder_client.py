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
"""The double is right by Cinder's own client, not by our reading alone."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

from os_brick.agent.testing.kumoscale import api
from os_brick.agent.testing.kumoscale import cinder_client
from os_brick.agent.testing.kumoscale import fixture

_RELEASE = 'cinder==22.1.0'


class CinderClientTestCase(fixture.KioxiaTestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        directory = tempfile.TemporaryDirectory(prefix='cinder-')
        cls.addClassCleanup(directory.cleanup)
        cls.site = directory.name
        installed = subprocess.run(
            [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps',
             '--disable-pip-version-check', '--target', cls.site,
             _RELEASE, 'urllib3'], capture_output=True, text=True,
            timeout=500)
        if installed.returncode:
            raise unittest.SkipTest('pip cannot install %s: %s' % (
                _RELEASE, installed.stderr[-500:]))

    def drive(self):
        environment = dict(os.environ, PYTHONPATH=self.site)
        done = subprocess.run(
            [sys.executable, cinder_client.__file__,
             ','.join(self.double.addresses), str(self.double.port),
             self.double.token, self.certificates.client],
            capture_output=True, text=True, timeout=300, env=environment,
            cwd=self.site)
        self.assertEqual('', done.stderr[-2000:])
        return json.loads(done.stdout)

    def test_the_client_understands_every_answer(self):
        api.add_task(self.world, cinder_client.HOST_ID, 'SetPollingRate', [
            {'name': 'rate', 'value': '30'}])
        self.world.add_tenant('acme')
        told = self.drive()
        status = {name: answer[0] for name, answer in told.items()}
        found = {name: answer[1] for name, answer in told.items()}
        refused = {
            'publish again': 'AlreadyPublished', 'too early': 'InvalidState',
            'unknown replica': 'NotExists', 'set terminating': 'InvalidState',
            'unpublish again': 'VolumeNotPublished',
            'bad token': 'Bad credentials'}
        self.assertEqual({name: refused.get(name, 'Success')
                          for name in told}, status)

        volume, = found['volume']
        self.assertEqual(
            ('alias-1', 2, 10), (volume['alias'], volume['numReplicas'],
                                 volume['maxReplicaDownTime']))
        self.assertEqual(['Available', 'Available'], [
            replica['replicaState'] for replica in volume['location']])
        self.assertEqual([], found['unknown volume'])
        self.assertEqual(volume['uuid'], found['alias'][0]['uuid'])
        self.assertEqual('compute-1', found['hosts'][0]['name'])
        self.assertEqual(
            [replica['backend']['persistentID']
             for replica in volume['location']],
            [target['backend']['persistentID']
             for target in found['targets']])
        self.assertEqual(
            [{'ip': '127.0.0.11', 'port': 4420, 'transport': 'tcp'}],
            found['backend'][0]['portals'])
        self.assertEqual(4, len(found['backends']))
        self.assertEqual((2, 3), (len(found['targets before']),
                                  len(found['targets after'])))
        self.assertEqual(
            ['Terminating', 'Available', 'Synchronizing'],
            [replica['replicaState'] for replica in
             found['terminating'][0]['location']])
        self.assertEqual(2, len(found['exchanged'][0]['location']))
        self.assertEqual(('IDLE', 'RUNNING', 50), (
            found['tasks'][0]['state'], found['running task'][0]['state'],
            found['running task'][0]['progress']))
        self.assertEqual([], found['no tasks'])
        self.assertEqual([], found['tenant volumes'])
        self.assertEqual(['message'], [
            log['message'] for log in self.world.logs])
        self.assertEqual({}, self.world.volumes)

    def test_the_client_fails_over_too(self):
        api.add_task(self.world, cinder_client.HOST_ID, 'SetPollingRate', [])
        self.world.add_tenant('acme')
        self.double.stop(0)
        self.assertEqual('Success', self.drive()['probe'][0])
