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
"""tools/kumoscale-double.sh: all that it prints to be pasted does work."""

import json
import pathlib
import shutil
import signal
import subprocess

from os_brick.agent.tests.unit.packaging import wheelhouse

# Seconds; they bound a hang and are no expectation of speed.
_LIMIT = 120


class DoubleTestCase(wheelhouse.TreeTestCase):

    def setUp(self):
        super().setUp()
        for name in ('curl', 'openssl'):
            if shutil.which(name) is None:
                self.skipTest('%s is not installed' % name)
        self.script = str(self.tree / 'tools' / 'kumoscale-double.sh')

    def start(self, *arguments):
        """Start it; return the process and the lines that it printed."""
        double = subprocess.Popen(
            [self.script, *arguments], text=True, cwd='/',
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        self.addCleanup(double.communicate)
        self.addCleanup(double.kill)
        lines = []
        for line in double.stdout:
            lines.append(line.rstrip('\n'))
            if line.startswith('curl') and line.endswith("/requests'\n"):
                return double, lines
        self.fail('it ended: %s %s' % (lines, double.stderr.read()))

    def answer(self, command):
        done = subprocess.run(command, shell=True, text=True, timeout=_LIMIT,
                              capture_output=True, check=True)
        return json.loads(done.stdout)

    def test_each_command_works(self):
        double, lines = self.start('--port', '0')
        commands = [line for line in lines if line.startswith('curl')]
        self.assertGreater(len(commands), 10)
        answers = {}
        for command in commands:
            found = self.answer(command)
            if isinstance(found, dict) and 'status' in found:
                self.assertEqual('Success', found['status'], command)
            answers[command.split("'")[-2].split('/', 3)[3]] = found
        location = answers['volumes'][0]['location']
        self.assertEqual(['Available', 'Available'], [
            replica['replicaState'] for replica in location])
        self.assertEqual('vol-1', answers['volumes_by_alias/vol-1'][0][
            'alias'])
        self.assertIn('POST publish', answers['control/requests'])
        self.assertNotIn('GET control/faults', answers['control/requests'])
        self.ends(double, lines, signal.SIGINT)

    def test_ends_on_sigterm(self):
        double, lines = self.start('--port', '0')
        self.ends(double, lines, signal.SIGTERM)

    def ends(self, double, lines, number):
        """It ends in order, and takes its files away."""
        ca = next(pathlib.Path(line.split()[-1]) for line in lines
                  if line.startswith('CA file'))
        self.assertTrue(ca.exists())
        double.send_signal(number)
        self.assertEqual(0, double.wait(_LIMIT))
        self.assertEqual('stopped\n', double.stdout.read())
        self.assertFalse(ca.parent.exists())

    def test_a_token_is_not_seen_in_the_list_of_processes(self):
        """Only the one command that shows how it is done has it."""
        double, lines = self.start('--port', '0')
        token = next(line.split()[-1] for line in lines
                     if line.startswith('token'))
        self.assertEqual(1, sum(token in line for line in lines
                                if line.startswith('curl')))
        config = next(line.split()[2] for line in lines
                      if line.startswith('curl -K'))
        self.assertEqual(0o600, pathlib.Path(config).stat().st_mode & 0o777)

    def test_a_port_that_is_taken(self):
        double, lines = self.start('--port', '0')
        port = next(line for line in lines if line.startswith('address')
                    ).rpartition(':')[2]
        done = subprocess.run(
            [self.script, '--port', port], text=True, capture_output=True,
            stdin=subprocess.DEVNULL, timeout=_LIMIT, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn('cannot listen on 127.0.0.1, port %s' % port,
                      done.stderr)
