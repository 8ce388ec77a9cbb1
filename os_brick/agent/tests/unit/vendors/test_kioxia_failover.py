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
"""The KumoScale driver goes to another address, repeats, and gives up."""

from os_brick.agent import model
from os_brick.agent.testing.kumoscale import fixture
from os_brick.agent.vendors import base

HOST = fixture.HOST


class FailOverTestCase(fixture.KioxiaTestCase):

    def servers(self):
        return [request.server for request in self.double.requests]

    def test_one_connection_is_kept(self):
        driver = self.driver()
        for _ in range(3):
            driver.heartbeat(HOST, 30.0)
        self.assertEqual(1, self.log.output.count('new HTTPS connection'))

    def test_keeps_to_the_address_that_answered(self):
        driver = self.driver()
        self.double.stop(0)
        driver.heartbeat(HOST, 30.0)
        self.double.start(0)
        driver.heartbeat(HOST, 30.0)
        self.assertEqual([1, 1], self.servers())
        self.double.stop(1)
        driver.heartbeat(HOST, 30.0)
        self.assertEqual([1, 1, 0], self.servers())

    def test_a_request_that_was_not_sent_goes_elsewhere(self):
        """Also one that must not be repeated."""
        volume = self.volume()
        driver = self.probed()
        found, = driver.get_volumes(HOST, [self.array(volume)], [])
        self.double.stop(0)
        driver.request_replacement(found, found.replicas[0])
        self.assertEqual(3, len(volume['_replicas']))

    def test_what_must_not_be_repeated_is_asked_of_one_address_once(self):
        """A gateway's HTTP 500 does not tell that nothing was done."""
        volume = self.volume()
        driver = self.probed()
        found, = driver.get_volumes(HOST, [self.array(volume)], [])
        self.spoil('error500', method='POST', path='replica/', count=None)
        self.assertRaises(base.Unavailable, driver.request_replacement,
                          found, found.replicas[0])
        self.assertEqual(1, sum('replica/' in call for call in self.calls()
                                if call.startswith('POST ')))
        self.assertEqual([], self.pauses)

    def test_failing_primary(self):
        driver = self.driver()
        for kind in ('drop', 'error500', 'short'):
            self.spoil(kind, server=0, count=None)
            driver.heartbeat(HOST, 30.0)
            self.assertEqual(1, self.servers()[-1], kind)
            driver._rest._current = 0
            self.double.faults.clear()
        self.assertEqual([], self.pauses)

    def test_repeated_with_back_off(self):
        driver = self.driver()
        self.spoil('drop', count=2)
        driver.heartbeat(HOST, 30.0)
        self.assertEqual([0.5], self.pauses)
        self.assertEqual(1, len(self.world.probes))

    def test_repeating_ends(self):
        driver = self.driver()
        for kind in ('drop', 'error500', 'short'):
            before = len(self.calls())
            self.spoil(kind, count=None)
            self.assertRaises(base.Unavailable, driver.heartbeat, HOST, 30.0)
            self.assertEqual(4, len(self.calls()) - before, kind)
            self.double.faults.clear()

    def test_an_event_is_sent_once(self):
        driver = self.driver()
        self.spoil('drop_after', count=None)
        self.assertRaises(base.Unavailable, driver.report_event,
                          model.Event('X', 'INFO', 'message'))
        self.assertEqual(1, len(self.world.logs))

    def test_an_outage_costs_one_attempt_for_each_heartbeat(self):
        volume = self.volume()
        driver = self.probed()
        found, = driver.get_volumes(HOST, [self.array(volume)], [])
        self.double.stop()
        error = self.assertRaises(base.Unavailable, driver.heartbeat, HOST,
                                  30.0)
        for address in self.double.addresses:
            self.assertIn('https://%s:%d' % (address, self.double.port),
                          str(error))
        self.double.start()
        before = len(self.calls())
        for call in (
                lambda: driver.get_volumes(HOST, [self.array(volume)], []),
                lambda: driver.report_replica_state(
                    found, found.replicas[0], model.ReplicaState.MISSING)):
            self.assertRaises(base.Unavailable, call)
        self.assertEqual(before, len(self.calls()))
        driver.heartbeat(HOST, 30.0)
        self.assertEqual(1, len(driver.get_volumes(
            HOST, [self.array(volume)], [])))

    def test_silence_ends_without_a_heartbeat(self):
        now = [0.0]
        driver = self.probed()
        driver._rest._clock = lambda: now[0]
        self.double.stop()
        event = model.Event('X', 'INFO', 'message')
        self.assertRaises(base.Unavailable, driver.report_event, event)
        self.double.start()
        self.assertRaises(base.Unavailable, driver.report_event, event)
        now[0] = 31.0
        driver.report_event(event)
        self.assertEqual(1, len(self.world.logs))

    def test_read_time_out(self):
        driver = self.driver(kioxia_read_timeout=0.2)
        self.spoil('delay', value='600', count=None)
        error = self.assertRaises(base.Unavailable, driver.heartbeat, HOST,
                                  30.0)
        self.assertIn('no answer within 0.2 s', str(error))

    def test_an_answer_that_does_not_end(self):
        driver = self.driver(kioxia_read_timeout=1.0)
        self.spoil('trickle', count=None)
        error = self.assertRaises(base.Unavailable, driver.heartbeat, HOST,
                                  30.0)
        self.assertIn('did not end within 1 s', str(error))
