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
"""The sink oslo_messaging, over oslo.messaging's driver in memory."""

from __future__ import annotations

import json
import logging
import sys
import threading
from typing import Any
from unittest import mock
import uuid

import fixtures
from oslo_service import backend
from oslotest import base

from os_brick.agent import model
from os_brick.agent.sinks import base as sinks
from os_brick.agent.sinks import messaging
from os_brick.agent.tests.unit.cmd import command_case
from os_brick.agent.tests.unit import small_world

backend.init_backend(backend.BackendType.THREADING)

import oslo_messaging  # noqa: E402

HOST = model.Host('nqn.2014-08.org.example:host', None, 'compute', '1.0')
LONG = 60


def notice(level: str = 'FATAL') -> sinks.Notice:
    return sinks.Notice(HOST, model.Event(
        'LEG_FAULTY', level, 'a leg has failed', (('array', 'md1'),)), 0.5)


class Listener:
    """Whoever listens to notifications."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, str, Any]] = []
        self.more = threading.Semaphore(0)

    def take(self, priority: str) -> Any:
        def endpoint(context: Any, publisher: str, kind: str, payload: Any,
                     metadata: Any) -> None:
            self.got.append((priority, publisher, kind, payload))
            self.more.release()
        return endpoint

    def __getattr__(self, name: str) -> Any:
        if name in ('info', 'warn', 'critical'):
            return self.take(name)
        raise AttributeError(name)


class MessagingCase(base.BaseTestCase):

    def conf(self, **values: object) -> Any:
        conf = small_world.configuration()
        transport = oslo_messaging.get_notification_transport(
            conf, url='fake://')
        # registers what is set below
        oslo_messaging.Notifier(transport)
        for name, value in values.items():
            conf.set_override(name, value, messaging.GROUP)
        return conf

    def listening(self, conf: Any, topic: str) -> Listener:
        listener = Listener()
        server = oslo_messaging.get_notification_listener(
            oslo_messaging.get_notification_transport(conf),
            [oslo_messaging.Target(topic=topic)], [listener],
            executor='threading')
        server.start()
        self.addCleanup(server.wait)
        self.addCleanup(server.stop)
        return listener


class MessagingTest(MessagingCase):

    def test_each_level(self) -> None:
        topic = 'test-%s' % uuid.uuid4()
        conf = self.conf(transport_url='fake://', driver=['messagingv2'],
                         topics=[topic])
        listener = self.listening(conf, topic)
        sink = messaging.MessagingSink(conf)
        self.addCleanup(sink.close)
        for level, priority in (('INFO', 'info'), ('WARN', 'warn'),
                                ('FATAL', 'critical')):
            sink.send(notice(level))
            self.assertTrue(listener.more.acquire(timeout=LONG))
            found = listener.got.pop()
            self.assertEqual((priority, 'nvme-agent.compute',
                              'nvme_agent.leg_faulty'), found[:3])
            self.assertEqual({
                'version': '1.0', 'kind': 'LEG_FAULTY', 'level': level,
                'message': 'a leg has failed',
                'names': [{'noun': 'array', 'name': 'md1'}],
                'host': {'name': 'compute', 'nqn': HOST.nqn, 'uuid': None,
                         'agent_version': '1.0'},
                'at': '1970-01-01T00:00:00.500000+00:00'}, found[3])

    def test_the_payload_is_plain(self) -> None:
        self.assertEqual(messaging.payload(notice()), json.loads(json.dumps(
            messaging.payload(notice()))))

    def test_a_broker_that_fails(self) -> None:
        sink = messaging.MessagingSink(self.conf(
            transport_url='fake://', driver=['messagingv2']))
        self.addCleanup(sink.close)
        with fixtures.MockPatchObject(
                oslo_messaging.Notifier, '_notify',
                side_effect=OSError('rabbit://agent:secret@broker is away')):
            error = self.assertRaises(sinks.SinkError, sink.send, notice())
        self.assertIn('transport_url', str(error))
        self.assertNotIn('secret', str(error))
        self.assertIsNone(error.__cause__)

    def test_a_broker_that_is_away(self) -> None:
        """oslo.messaging itself only logs that."""
        log = self.useFixture(fixtures.FakeLogger())
        sink = messaging.MessagingSink(self.conf(
            transport_url='fake://', driver=['messagingv2']))
        self.addCleanup(sink.close)
        for _number in range(2):
            with fixtures.MockPatchObject(
                    sink._transport, '_send_notification',
                    side_effect=ConnectionError('agent:secret@broker')):
                error = self.assertRaises(sinks.SinkError, sink.send,
                                          notice())
            self.assertIn('not sent: ConnectionError', str(error))
            sink.send(notice())
        self.assertNotIn('secret', log.output)
        self.assertNotIn('Could not send', log.output)
        # what is not the sink's is logged as ever
        logging.getLogger('oslo_messaging.notify.messaging').error('banana')
        self.assertIn('banana', log.output)

    def test_what_can_never_work(self) -> None:
        for values, words in (
                ({}, 'option driver of [oslo_messaging_notifications]'),
                ({'driver': ['noop']}, 'option driver'),
                ({'driver': ['messagingv2'],
                  'transport_url': 'banana://agent:secret@broker'},
                 'see transport_url')):
            error = self.assertRaises(
                sinks.ConfigurationError, messaging.MessagingSink,
                self.conf(**{'transport_url': 'fake://', **values}))
            self.assertIn(words, str(error))
            self.assertNotIn('secret', str(error))

    def test_it_does_not_try_for_ever(self) -> None:
        sink = messaging.MessagingSink(self.conf(
            transport_url='fake://', driver=['messagingv2']))
        self.addCleanup(sink.close)
        self.assertEqual(messaging.RETRIES, sink._notifier.retry)

    def test_the_library_is_missing(self) -> None:
        with mock.patch.dict(sys.modules, {'oslo_messaging': None}):
            error = self.assertRaises(
                sinks.ConfigurationError, messaging.MessagingSink,
                small_world.configuration())
            self.assertEqual((), messaging.MessagingSink.sections())
        self.assertIn('os-brick-nvme-agent[oslo_messaging]', str(error))


class StartTest(command_case.CommandCase):
    """The command: wrong starts, and what check knows of."""

    def test_wrong_starts(self) -> None:
        for values, words in (
                ({'event_sinks': 'log,banana'}, 'there is no "banana"'),
                ({'event_sinks': 'exec'}, 'option event_exec'),
                ({'event_sinks': 'oslo_messaging'},
                 'option driver of [oslo_messaging_notifications]')):
            argv = self.configured(**values)
            self.refused(78, argv, words)
            self.assertIn('Failure  configuration: option', self.run_agent(
                'check', *argv).stdout)

    def test_check_knows_the_sections(self) -> None:
        argv = self.configured(event_sinks='oslo_messaging')
        with open(argv[1], 'a', encoding='ascii') as conf:
            conf.write('[oslo_messaging_notifications]\n'
                       'driver = messagingv2\n'
                       'transport_url = fake://\n'
                       'topix = x\n')
        said = self.run_agent('check', *argv).stdout
        self.assertNotIn('section [oslo', said)
        self.assertIn('nobody reads the option topix', said)
        self.assertNotIn('Failure  configuration: option', said)
