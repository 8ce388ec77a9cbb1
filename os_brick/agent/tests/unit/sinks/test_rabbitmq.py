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
"""The sink oslo_messaging over a real RabbitMQ."""

from __future__ import annotations

import uuid

import fixtures

from os_brick.agent.sinks import base as sinks
from os_brick.agent.sinks import messaging
from os_brick.agent.tests.unit.sinks import broker
from os_brick.agent.tests.unit.sinks import test_messaging

import oslo_messaging  # noqa: E402

RABBIT = 'oslo_messaging_rabbit'


class RabbitTest(test_messaging.MessagingCase):

    running: broker.Broker

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if not broker.program():
            raise cls.skipException('there is no RabbitMQ; apt-get install '
                                    'rabbitmq-server')
        cls.running = broker.Broker()
        cls.addClassCleanup(cls.running.stop)

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.way = broker.Way(self.running.port)
        self.addCleanup(self.way.close)
        self.topic = 'test-%s' % uuid.uuid4()

    def url(self, way: int, password: str = 'secret') -> str:
        return 'rabbit://agent:%s@127.0.0.1:%d/' % (password, way)

    def sink(self, **values: object) -> messaging.MessagingSink:
        conf = self.conf(**{
            'transport_url': self.url(self.way.port),
            'driver': ['messagingv2'], 'topics': [self.topic], **values})
        # registers what is set below: how long it rests before it tries again
        oslo_messaging.get_notification_transport(conf).cleanup()
        conf.set_override('kombu_reconnect_delay', 0.1, RABBIT)
        conf.set_override('rabbit_retry_backoff', 0, RABBIT)
        sink = messaging.MessagingSink(conf)
        self.addCleanup(sink.close)
        return sink

    def listener(self) -> test_messaging.Listener:
        """Past the way that is cut."""
        return self.listening(self.conf(transport_url=self.url(
            self.running.port)), self.topic)

    def got(self, listener: test_messaging.Listener) -> tuple[str, str]:
        self.assertTrue(listener.more.acquire(timeout=broker.LONG),
                        self.running.said[-2000:])
        priority, _publisher, _kind, payload = listener.got.pop()
        return priority, payload['message']

    def test_each_level_arrives(self) -> None:
        listener, sink = self.listener(), self.sink()
        for level, priority in (('INFO', 'info'), ('WARN', 'warn'),
                                ('FATAL', 'critical')):
            sink.send(test_messaging.notice(level))
            self.assertEqual((priority, 'a leg has failed'),
                             self.got(listener))

    def test_a_broker_that_goes_and_comes_back(self) -> None:
        listener, sink = self.listener(), self.sink()
        sink.send(test_messaging.notice())
        self.got(listener)
        with self.way.cut():
            error = self.assertRaises(sinks.SinkError, sink.send,
                                      test_messaging.notice())
        self.assertIn('not sent: ', str(error))
        self.assertNotIn('secret', str(error))
        self.assertNotIn('Could not send', self.log.output)
        sink.send(test_messaging.notice('WARN'))
        self.assertEqual(('warn', 'a leg has failed'), self.got(listener))
        self.assertEqual([], listener.got)
        self.assertNotIn('secret', self.log.output)

    def test_a_password_that_is_wrong(self) -> None:
        sink = self.sink(transport_url=self.url(self.way.port, 'hunter2'))
        error = self.assertRaises(sinks.SinkError, sink.send,
                                  test_messaging.notice())
        self.assertNotIn('hunter2', str(error))
        self.assertNotIn('hunter2', self.log.output)
