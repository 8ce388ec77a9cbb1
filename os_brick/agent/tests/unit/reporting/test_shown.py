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
"""What the passes show: a small world, its state file, and the screens."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import logging
import os
import re
import sqlite3
from typing import Any
from unittest import mock

import fixtures
import yaml

from os_brick.agent.daemon import chronicle
from os_brick.agent.daemon import healing_loop
from os_brick.agent.daemon import showing
from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.model import amounts
from os_brick.agent.reporting import health
from os_brick.agent.reporting import metrics
from os_brick.agent.reporting import mutes
from os_brick.agent.reporting import screen
from os_brick.agent.reporting import verdict
from os_brick.agent.store import history
from os_brick.agent.store import ledger
from os_brick.agent.tests.unit import small_world
from os_brick.agent.tests.unit import superblocks
from os_brick.agent.vendors import base
from os_brick.cmd import commands
from os_brick.cmd import health as health_command
from os_brick.cmd import history as history_command
from os_brick.cmd import mute
from os_brick.cmd import status
from os_brick.cmd import unmute
from os_brick.cmd import viewing

A, B, C = (small_world.uuid(1, letter) for letter in 'abc')
DOCUMENTATION = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                             *['..'] * 5, 'doc', 'source', 'admin')
SCREENS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'screens')
HOST = model.Host('nqn.2014-08.org.nvmexpress:uuid:host', None, 'compute',
                  '1.0')


class ShownCase(small_world.WorldCase):

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.conf.set_override('io_guard', 'on')

    def restart(self) -> None:
        super().restart()
        self.folder = os.path.dirname(self.path)
        self.conf.set_override('run_dir', self.folder)
        self.conf.set_override('state_dir', self.folder)
        self.notified: list[str] = []
        self.anchors: dict[str, str] = {}
        self.story = chronicle.Chronicle(self.conf, self.clock)
        self.cycle = healing_loop.HealingLoop(
            self.conf, self.driver, HOST, self.host.scan,
            self.host,  # type: ignore[arg-type]
            self.book, lambda: self.stopping, self.claimed.append, self.clock,
            show=showing.Showing(self.conf, HOST, lambda: self.anchors,
                                 self.notified.append, self.clock,
                                 self.story))

    def catch(self) -> None:
        logger = logging.getLogger('os_brick.agent')
        logger.addHandler(self.story)
        self.addCleanup(logger.removeHandler, self.story)

    def shown(self) -> dict[str, Any]:
        return viewing.load(os.path.join(self.folder, showing.STATE_FILE))

    def codes(self) -> set[str]:
        return {one['code'] for one in self.shown()['findings']}

    def look(self, *words: str) -> tuple[int, str]:
        return status.look(os.path.join(self.folder, showing.STATE_FILE),
                           self.parsed(status, *words), self.clock)

    def parsed(self, module: Any, *words: str) -> argparse.Namespace:
        parser = argparse.ArgumentParser()
        module.add_arguments(parser)
        return parser.parse_args(words)

    def outage(self, *names: str) -> None:
        def broken(name: str, alias: str) -> None:
            if not names or name in names:
                raise base.Unavailable('192.0.2.99 does not answer')

        self.driver.broken = broken

    def lose(self, letter: str = 'B') -> None:
        self.host.live[self.host.name(1, letter)] = False
        self.host.legs[1][letter] = (None, {'faulty'})


class TestStateFile(ShownCase):

    def test_all_is_well(self) -> None:
        self.turn()
        shown = self.shown()
        self.assertEqual(1, shown['schema'])
        self.assertEqual([], shown['findings'])
        volume, = shown['volumes']
        self.assertEqual(('volume1', 2, 2), (
            volume['alias'], volume['good'], volume['wanted']))
        self.assertEqual(['AVAILABLE'] * 2, [
            replica['here'] for replica in volume['replicas']])
        self.assertEqual(shown['time']['wall'],
                         shown['provisioner']['answered_at'])
        self.assertEqual(['STATUS=1 volumes, 1 attached, 0 degraded; '
                          'provisioner answers'], self.notified)
        self.assertEqual(0o644, 0o777 & os.stat(os.path.join(
            self.folder, showing.STATE_FILE)).st_mode)
        self.assertEqual({'agent.sqlite', 'state.json'},
                         {name for name in os.listdir(self.folder)
                          if not name.endswith('-journal')})

    def test_the_anchor_and_those_that_do_not_wait(self) -> None:
        self.anchors['md1'] = 'nvme10n1'
        self.turn()
        self.assertEqual(['anchor', 'waits'], [
            replica['leg']['role']
            for replica in self.shown()['volumes'][0]['replicas']])

    def test_a_lost_replica_from_first_to_last(self) -> None:
        self.lose()
        self.turn()
        self.assertIn('ARRAY_DEGRADED', self.codes())
        replica = self.shown()['volumes'][0]['replicas'][1]
        self.assertEqual(('MISSING', 'its target does not answer'),
                         (replica['here'], replica['why']))
        self.turn()
        replica = self.shown()['volumes'][0]['replicas'][1]
        self.assertIn('grace period', replica['waits_for'])
        # 40 s, of which 10 s have gone
        self.assertAlmostEqual(
            30.0, replica['until_at'] - self.shown()['time']['wall'])
        self.assertTrue(replica['was_leg'])
        # nothing of it is left in md, and it is shown all the same
        self.assertIsNone(replica['leg'])
        self.turn(20)
        self.assertEqual(set(), self.codes())
        self.assertEqual({A, C}, {
            one['uuid'] for one in self.shown()['volumes'][0]['replicas']})
        self.assertIn('ARRAY_DEGRADED, volume volume1: over',
                      self.log.output)

    def test_S15_a_replica_that_waits_for_the_first_write(self) -> None:
        self.host.used = False
        self.host.legs[1].pop('B')
        self.turn(8)
        self.assertEqual({'ARRAY_DEGRADED'}, self.codes())
        replica = self.shown()['volumes'][0]['replicas'][1]
        self.assertEqual(('first write', None), (
            replica['waits_for'][4:15], replica['until_at']))
        words = 'nobody on this host has written to it'
        self.assertIn(words, replica['why'])
        self.assertIn('put off: S15: ' + words, self.look()[1])
        self.assertEqual(1, self.log.output.count('put off: S15: ' + words))
        self.assertEqual([], self.said('replace'))
        self.host.used = True
        self.turn(3)
        self.assertEqual(set(), self.codes())

    def test_each_finding_is_said_once(self) -> None:
        self.turn()
        self.lose()
        self.turn(3)
        # why was not said before
        self.assertEqual(1, self.log.output.count(
            'ARRAY_DEGRADED, volume volume1: 1 of 2 copies are good'))

    def test_the_log_does_not_say_why_twice(self) -> None:
        self.outage()
        self.turn(3)
        self.assertEqual(1, self.log.output.count(
            'PROVISIONER_UNREACHABLE: the provisioner does not answer, or not '
            'as it should'))
        self.assertNotIn('UNREACHABLE: 192.0.2.99', self.log.output)
        # who is shown it, or told as an event, has not read the log
        self.assertIn('PROVISIONER_UNREACHABLE: 192.0.2.99 does not answer',
                      self.look()[1])
        told = [one['text'] for one in self.shown()['findings']]
        self.assertEqual(['192.0.2.99 does not answer'], told)
        # in a later pass it was said long ago
        log = log_once.LogOnce()
        log.begin()
        log.trouble('x', 'it is so. Advice')
        self.assertTrue(log.just_said('it is so'))
        self.assertFalse(log.just_said('it is not'))
        log.begin()
        log.trouble('x', 'it is so. Advice')
        log.trouble('y', 'it is new', logging.INFO)
        self.assertFalse(log.just_said('it is so'))
        self.assertFalse(log.just_said('it is new'))

    def test_an_outage(self) -> None:
        self.turn()
        before = self.shown()['provisioner']['answered_at']
        self.outage()
        self.lose()
        self.turn(2)
        self.assertEqual(before,
                         self.shown()['provisioner']['answered_at'])
        self.assertLessEqual({'PROVISIONER_UNREACHABLE', 'REPORTS_WAITING',
                              'ARRAY_DEGRADED'}, self.codes())
        self.assertEqual(
            [1], [one['reports_waiting'] for one in self.shown()['volumes']])
        self.assertIn('provisioner does not answer; 1 reports wait',
                      self.notified[-1])

    def test_a_request_that_is_not_accepted(self) -> None:
        self.lose()
        self.outage('replace')
        self.turn(20)
        self.assertIn('NO_SPARE', self.codes())
        self.assertIn('was not accepted', self.look()[1].replace(
            '\n      ', ' '))

    def test_no_good_copy(self) -> None:
        self.host.live = dict.fromkeys(self.host.live, False)
        self.turn()
        self.assertIn('NO_GOOD_LEG', self.codes())
        self.assertEqual(verdict.CRITICAL, self.look()[0])

    def test_what_a_rule_keeps_back(self) -> None:
        """It is told of when it lasts, and not where it ends at once."""
        self.turn()
        device = self.host.name(1, 'B') + 'n1'
        self.host.written[device] = superblocks.content(
            superblocks.of(1, 9, (0,), updated=5000.0, array='md-uuid-1'))
        del self.host.legs[1]['B']
        self.turn(3, seconds=30.0)
        status, text = self.look('volume1')
        self.assertEqual(1, status)
        self.assertRegex(' '.join(text.split()),
                         r'kept back for .*: S10: .*later than any leg')
        self.assertNotIn('STEP_REFUSED', self.codes())
        self.turn(40, seconds=30.0)
        self.assertIn('STEP_REFUSED', self.codes())
        del self.host.written[device]
        self.turn(2, seconds=30.0)
        self.assertNotIn('STEP_REFUSED', self.codes())
        self.assertNotIn('kept back', self.look('volume1')[1])

    def test_how_bad_it_is(self) -> None:
        self.lose()
        self.turn()
        content = self.shown()
        for good, weight in ((1, 1), (2, 2)):
            content['volumes'][0].update(good=good, wanted=good + weight)
            found, = [one for one in health.findings(content)
                      if one.code == 'ARRAY_DEGRADED']
            self.assertEqual(weight, found.weight)

    def test_the_guard_is_off(self) -> None:
        self.conf.set_override('io_guard', 'observe')
        self.turn()
        self.assertEqual({'GUARD_OFF'}, self.codes())

    def test_a_pass_that_fails(self) -> None:
        self.turn()
        for error, code in ((OSError('x'), 'PASS_FAILED'),
                            (sqlite3.OperationalError('disk is full'),
                             'STATE_DIR')):
            with fixtures.MockPatchObject(self.book, 'owing',
                                          side_effect=error):
                self.assertRaises(type(error), self.turn)
            self.assertEqual({code}, self.codes())
            self.assertIn(str(error), self.shown()['failed'])
            self.assertEqual('volume1', self.shown()['volumes'][0]['alias'])
        self.turn()
        self.assertEqual(set(), self.codes())

    def test_a_ledger_that_is_in_memory_only(self) -> None:
        with fixtures.MockPatchObject(ledger.Ledger, 'trouble', True):
            self.turn()
        self.assertEqual({'STATE_DIR'}, self.codes())
        self.turn()
        self.assertEqual(set(), self.codes())

    def test_a_full_run_costs_one_line(self) -> None:
        self.turn()
        self.conf.set_override('run_dir', os.path.join(self.folder, 'none'))
        self.turn(3)
        self.assertEqual(1, self.log.output.count('(option run_dir)'))
        self.assertRegex(self.log.output,
                         r'state\.json cannot be written: [A-Z]')
        self.assertEqual(4, len(
            [words for words in self.driver.said if words[0] == 'volumes']))

    def test_the_first_line(self) -> None:
        self.outage('volumes')
        self.turn(2)
        self.assertNotIn('provisioner reached', self.log.output)
        self.driver.broken = lambda name, volume: None
        self.turn(3)
        self.assertEqual(1, self.log.output.count(
            'provisioner reached (driver local): 1 volumes listed, 1 arrays '
            'of this host matched, 0 left alone'))


class TestStatus(ShownCase):

    def test_all_is_well(self) -> None:
        self.turn()
        code, text = self.look()
        self.assertEqual(0, code)
        self.assertIn('Volume volume1  md1  2 of 2 copies good', text)
        self.assertNotIn('\033', text)

    def test_two_screens(self) -> None:
        self.anchors['md1'] = 'nvme10n1'
        self.turn()
        self.lose()
        self.turn(2)
        self.kept('degraded')
        while self.host.legs[1].get('C', (0, set()))[1] != {'spare'}:
            self.cycle.run()
            self.clock.advance(2.0)
        array = self.host.array
        self.put(self.host, 'array', lambda number: dataclasses.replace(
            array(number), sync_done=int(self.clock.time) % 20 << 20,
            sync_total=32 << 20))
        self.clock.time = 1.8e9
        for _number in range(2):
            self.clock.advance(5.0)
            self.cycle.run()
        self.kept('resync')

    def kept(self, name: str) -> None:
        """It is shown as it was."""
        path = os.path.join(SCREENS, name + '.txt')
        text = self.look()[1]
        if os.environ.get('WRITE_SCREENS'):
            with open(path, 'w', encoding='utf-8') as screen_file:
                screen_file.write(text)
        with open(path, encoding='utf-8') as screen_file:
            self.assertEqual(screen_file.read(), text,
                             'write it anew: WRITE_SCREENS=1')

    def test_no_volume(self) -> None:
        self.driver.answer = lambda volumes: []
        self.turn()
        code, text = self.look()
        self.assertEqual(0, code)
        self.assertIn('No volume of this host is listed', text)

    def test_it_fits_a_terminal(self) -> None:
        self.lose()
        self.outage()
        self.turn(4)
        for line in self.look()[1].splitlines():
            self.assertLessEqual(len(line), 80, line)

    def test_a_copy_fits_a_terminal(self) -> None:
        long = screen.progress({
            'action': 'recover', 'done': 999 << 30, 'total': 9999 << 30,
            'rate': float(999 << 20), 'left': 5 * 3600.0 + 59 * 60})
        with mock.patch.object(screen, 'progress', lambda sync: long):
            self.host.legs[1]['B'] = (None, {'spare'})
            self.turn()
            lines = self.look()[1].splitlines()
        self.assertIn('recover', ' '.join(lines))
        for line in lines:
            self.assertLessEqual(len(line), 80, line)

    def test_an_agent_of_before_a_reboot(self) -> None:
        self.turn()
        self.clock.boot_id = 'another'
        code, text = self.look()
        self.assertEqual(3, code)
        self.assertIn('has not run since this host was booted', text)

    def test_a_dead_agent(self) -> None:
        self.turn()
        path = os.path.join(self.folder, showing.STATE_FILE)
        content = self.shown()
        content['agent']['started'] += 1    # another process of that pid
        with open(path, 'w', encoding='ascii') as stream:
            json.dump(content, stream)
        code, text = self.look()
        self.assertEqual(3, code)
        self.assertIn('AGENT_DOWN', text)

    def test_a_stuck_agent(self) -> None:
        self.turn()
        self.clock.advance(79.0)    # and 10 s of the turn
        self.assertEqual(0, self.look()[0])
        self.clock.advance(2.0)
        code, text = self.look()
        self.assertEqual(3, code)
        self.assertIn('AGENT_STUCK', text)

    def test_another_schema(self) -> None:
        self.turn()
        path = os.path.join(self.folder, showing.STATE_FILE)
        for content, words in ((dict(self.shown(), schema=2), 'a newer'),
                               (dict(self.shown(), schema=0), 'an older'),
                               ([], 'no state document'),
                               ({'schema': 1}, 'it lacks')):
            with open(path, 'w', encoding='ascii') as stream:
                json.dump(content, stream)
            error = self.assertRaises(viewing.Unknown, self.look)
            self.assertIn(words, str(error))
            self.assertIn(path, str(error))

    def test_what_is_no_state_file(self) -> None:
        path = os.path.join(self.folder, showing.STATE_FILE)
        self.assertIn('has not run', str(self.assertRaises(
            viewing.Unknown, self.look)))
        for content in (b'{', b'\xff\xfe', b'[' * 100000):
            with open(path, 'wb') as stream:
                stream.write(content)
            self.assertRaises(viewing.Unknown, self.look)
        os.unlink(path)
        os.mkdir(path)
        self.assertRaises(viewing.Unknown, self.look)

    def test_one_volume(self) -> None:
        self.turn()
        self.assertIn('volume1', self.look('volume1')[1])
        self.assertIn('knows: volume1', str(self.assertRaises(
            viewing.Unknown, self.look, 'volume2')))
        self.assertEqual(1, len(json.loads(
            self.look('--json', 'volume1')[1])['volumes']))

    def test_what_comes_from_elsewhere_steers_no_terminal(self) -> None:
        self.turn()
        self.driver.broken = lambda name, volume: (_ for _ in ()).throw(
            base.Unavailable('\033[2Jgone\x07'))
        self.turn()
        text = self.look()[1]
        self.assertIn('gone', text)
        self.assertFalse({'\033', '\x07'} & {*text})


class TestMute(ShownCase):

    def mute(self, *words: str) -> None:
        arguments = self.parsed(mute, *words)
        now = self.clock.wall()
        how_bad = mute.weights(os.path.join(
            self.folder, showing.STATE_FILE), arguments.code)
        mute.change(self.folder, arguments.code, arguments.volume, now, (
            mutes.Mute(arguments.code, arguments.volume,
                       now + arguments.seconds, how_bad),))

    def test_it_ends_by_itself(self) -> None:
        self.conf.set_override('io_guard', 'off')
        self.turn()
        self.assertEqual(1, self.look()[0])
        self.mute('GUARD_OFF', '--for', '60s')
        self.turn()
        code, text = self.look()
        self.assertEqual(0, code)
        self.assertIn('(muted for ', text)
        self.turn(6)
        self.assertEqual(1, self.look()[0])

    def test_it_ends_when_it_gets_worse(self) -> None:
        found = health.found('ARRAY_DEGRADED', 'x', 'volume1', weight=1)
        one = mutes.Mute('ARRAY_DEGRADED', '', 10.0, {'volume1': 1})
        self.assertTrue(one.covers(found, 9.0))
        self.assertFalse(one.covers(found, 10.0))
        self.assertFalse(one.covers(health.found(
            'ARRAY_DEGRADED', 'x', 'volume1', weight=2), 9.0))
        self.assertFalse(one.covers(health.found(
            'NO_GOOD_LEG', 'x', 'volume1'), 9.0))

    def test_unmute(self) -> None:
        self.turn()
        self.mute('GUARD_OFF')
        arguments = self.parsed(unmute, 'GUARD_OFF')
        # by the host's own clock it would have ended long ago
        self.clock.time = 0.0
        self.assertTrue(mute.change(self.folder, arguments.code, '', 0.0))
        self.assertFalse(mute.change(self.folder, arguments.code, '', 0.0))

    def test_a_code_that_is_none(self) -> None:
        self.assertEqual('GUARD_OFF', mute.code('guard_off'))
        for text, words in (('DEGRADED', 'is ARRAY_DEGRADED meant?'),
                            ('BANANA', '"BANANA"; see nvme-agent health')):
            self.assertIn(words, str(self.assertRaises(
                argparse.ArgumentTypeError, mute.code, text)))

    def run_it(self, module: Any, *words: str) -> str:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            module.run(self.parsed(module, *words), lambda: self.conf)
        return out.getvalue()

    def test_a_volume_that_is_misspelt(self) -> None:
        self.turn()
        error = self.assertRaises(commands.CommandError, self.run_it, mute,
                                  'ARRAY_DEGRADED', 'volum1')
        self.assertEqual('there is no volume "volum1"; the agent knows: '
                         'volume1', str(error))
        # findings are of aliases
        for name in ('volume1', small_world.uuid(1, 'f')):
            self.assertIn('ARRAY_DEGRADED of volume1 is muted',
                          self.run_it(mute, 'ARRAY_DEGRADED', name))
        error = self.assertRaises(commands.CommandError, self.run_it, unmute,
                                  'ARRAY_DEGRADED')
        self.assertEqual('ARRAY_DEGRADED is not muted; muted are: '
                         'ARRAY_DEGRADED of volume1', str(error))
        os.unlink(os.path.join(self.folder, showing.STATE_FILE))
        self.assertIn('of volum1 is muted', self.run_it(
            mute, 'ARRAY_DEGRADED', 'volum1'))

    def test_where_no_agent_has_run(self) -> None:
        self.conf.set_override('state_dir', '/nonexistent')
        error = self.assertRaises(commands.CommandError, self.run_it, mute,
                                  'GUARD_OFF')
        self.assertIn('there is no directory /nonexistent (option state_dir)',
                      str(error))
        self.conf.set_override('state_dir', '/proc')
        error = self.assertRaises(commands.CommandError, self.run_it, mute,
                                  'GUARD_OFF')
        self.assertIn('/proc/mutes.json (option state_dir) cannot be written: '
                      'No such file', str(error))

    def test_a_file_that_makes_no_sense(self) -> None:
        path = os.path.join(self.folder, showing.MUTES_FILE)
        for content in ('{}', '[1]', '[{}]', '[{"code": "X", "volume": "",'
                        ' "until": "soon"}]', '['):
            with open(path, 'w', encoding='ascii') as stream:
                stream.write(content)
            self.turn()
            self.assertEqual(set(), self.codes())
        self.assertIn('mutes.json', self.log.output)

    def test_durations(self) -> None:
        self.assertEqual(14400.0, mute.duration('4h'))
        for text in ('', '4', '-1h', '0h', '31d', '1.5h', 'h', '4h '):
            self.assertRaises(argparse.ArgumentTypeError, mute.duration,
                              text)


class TestHistory(ShownCase):

    def told(self, **words: Any) -> list[str]:
        return [one.sentence for one in history.History(os.path.join(
            self.folder, history.FILE)).read(**words)]

    def test_a_lost_replica_from_first_to_last(self) -> None:
        self.catch()
        self.lose()
        self.turn(20)
        told = self.told(volume='volume1')
        place = -1
        for words in ('replica %s is MISSING' % B,
                      'asking the provisioner to replace replica %s' % B,
                      'done: AddLeg', 'is in sync', 'is healthy',
                      'asking the provisioner to confirm replica %s' % B):
            place = next(index for index, sentence in enumerate(told)
                         if index > place and words in sentence)
        self.assertEqual([], self.told(volume='volume'))
        self.assertEqual([], self.told(volume='volume_'))
        self.assertEqual([], self.told(volume='%'))
        # what is of no volume is in the whole history only
        self.assertEqual(['serves this host'], [
            sentence.partition(',')[0] for sentence in self.told()
            if sentence not in told])

    def test_since(self) -> None:
        self.catch()
        self.turn()
        now = self.clock.wall()
        self.lose()
        self.turn()
        late = self.told(since=now)
        self.assertTrue(late)
        self.assertLess(len(late), len(self.told()))
        self.assertEqual(self.clock.wall() - 1800.0, history_command.since(
            '30m', self.clock))
        self.assertEqual(60.0, history_command.since('2030-01-31 02:01')
                         - history_command.since('2030-01-31T02:00'))
        for text in ('', 'soon', '2030-02-31'):
            self.assertRaises(argparse.ArgumentTypeError,
                              history_command.since, text)

    def test_a_volume_that_nothing_names(self) -> None:
        """A misspelt name looks like a volume to which nothing happened."""
        self.conf.set_override('state_dir', self.folder)
        self.catch()
        self.turn()
        error = self.assertRaises(
            commands.CommandError, history_command.run,
            self.parsed(history_command, 'volum1'), lambda: self.conf)
        self.assertIn('names "volum1"; the names of volumes are in: '
                      'nvme-agent status', str(error))
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.assertEqual(0, history_command.run(
                self.parsed(history_command, 'volume1'), lambda: self.conf))
            # nothing at all has happened: that is no mistake
            self.assertEqual(0, history_command.run(
                self.parsed(history_command, '--since', '2099-01-01'),
                lambda: self.conf))
        self.assertIn('volume1', out.getvalue())

    def test_for_programs_each_sentence_has_its_fields(self) -> None:
        self.conf.set_override('state_dir', self.folder)
        self.catch()
        self.turn()
        self.lose()
        self.turn(20)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.assertEqual(0, history_command.run(self.parsed(
                history_command, 'volume1', '--json'), lambda: self.conf))
        lines = [json.loads(line) for line in out.getvalue().splitlines()]
        lost = next(line for line in lines if line['fields'].get('event')
                    == 'CONNECTION_LOST')
        self.assertIn('was lost', lost['sentence'])
        self.assertEqual('nvme11', lost['fields']['controller'])

    def test_a_file_of_an_earlier_release(self) -> None:
        path = os.path.join(self.folder, 'earlier')
        earlier = sqlite3.connect(path)
        with earlier:
            earlier.execute('CREATE TABLE history (seq INTEGER PRIMARY KEY '
                            'AUTOINCREMENT, wall REAL, level TEXT, volumes '
                            'TEXT, sentence TEXT)')
            earlier.execute('INSERT INTO history (wall, level, volumes, '
                            'sentence) VALUES (1, "INFO", "v", "then")')
        book = history.History(path)
        then = history.Happened(1.0, 'INFO', ('v',), 'then')
        self.assertEqual([then], book.read())
        now = history.Happened(2.0, 'INFO', ('v',), 'now', {'copied': 3})
        book.add([now])
        self.assertEqual([then, now], book.read())
        # and back
        with earlier:
            earlier.execute('INSERT INTO history (wall, level, volumes, '
                            'sentence) VALUES (3, "INFO", "", "back")')
        earlier.close()
        self.assertEqual('back', book.read()[-1].sentence)

    def test_it_is_bounded(self) -> None:
        book = history.History(os.path.join(self.folder, 'short'), 3)
        for number in range(5):
            book.add([history.Happened(float(number), 'INFO', (), 'x')])
        self.assertEqual([2.0, 3.0, 4.0],
                         [one.wall for one in book.read()])
        for _number in range(chronicle.MOST + 1):
            self.story.emit(logging.LogRecord('', 20, '', 0, 'y', (), None))
        self.turn()
        self.assertLessEqual(self.told().count('y'), chronicle.MOST)

    def test_what_cannot_be_written_costs_the_history_alone(self) -> None:
        self.catch()
        os.mkdir(os.path.join(self.folder, history.FILE))
        self.turn(3)
        self.assertEqual(1, self.log.output.count('history: '))
        self.assertEqual(3, len(
            [words for words in self.driver.said if words[0] == 'volumes']))
        os.rmdir(os.path.join(self.folder, history.FILE))
        self.lose()
        self.turn()
        self.assertIn('history: works again', self.log.output)

    def test_a_file_that_is_none(self) -> None:
        path = os.path.join(self.folder, history.FILE)
        for content in (None, b'x' * 4096):
            if content:
                with open(path, 'wb') as stream:
                    stream.write(content)
            error = self.assertRaises(history.HistoryError, self.told)
            self.assertIn(path, str(error))

    def test_a_line(self) -> None:
        self.assertRegex(history_command.line(history.Happened(
            1.7e9, 'WARNING', ('a',), 'x\033[2J')),
            r'^2023-11-1\d \d\d:\d\d:20 WARNING  x\?\[2J$')


class TestMetrics(ShownCase):

    def counted(self) -> str:
        with open(os.path.join(self.folder, 'x.prom'),
                  encoding='utf-8') as stream:
            return stream.read()

    def test_a_lost_replica(self) -> None:
        self.conf.set_override('metrics_textfile',
                               os.path.join(self.folder, 'x.prom'))
        self.lose()
        self.outage('report')
        self.turn()
        text = self.counted()
        for line in (
                'nvme_agent_volume_copies_good{volume="volume1",'
                'device="md1"} 1',
                'nvme_agent_volume_copies_wanted{volume="volume1",'
                'device="md1"} 2',
                'nvme_agent_replica_state{volume="volume1",replica="%s",'
                'state="MISSING"} 1' % B,
                'nvme_agent_replica_state{volume="volume1",replica="%s",'
                'state="MISSING"} 0' % A,
                'nvme_agent_path_live{volume="volume1",replica="%s",'
                'controller="nvme11",portal="tcp://192.0.2.11:4420"} 0' % B,
                'nvme_agent_health{code="ARRAY_DEGRADED",'
                'severity="warning",volume="volume1",muted="false"} 1',
                'nvme_agent_reports_waiting 1',
                'nvme_agent_provisioner_up 1',
                '# TYPE nvme_agent_replica_state gauge'):
            self.assertIn(line, text.splitlines())

    def test_every_metric_is_in_table_and_rules_name_only_those(
            self) -> None:
        names = {metrics.PREFIX + name for name in metrics.METRICS}
        with open(os.path.join(DOCUMENTATION, 'metrics.rst'),
                  encoding='utf-8') as page:
            self.assertEqual(names, {*re.findall(
                r'^   \* - ``(nvme_agent_\w+)``$', page.read(), re.M)})
        with open(os.path.join(DOCUMENTATION, *['..'] * 3, 'etc',
                               'prometheus', 'nvme-agent.rules.yml'),
                  encoding='utf-8') as rules:
            used = {name for group in yaml.safe_load(rules)['groups']
                    for rule in group['rules']
                    for name in re.findall(r'nvme_agent_\w+', rule['expr'])}
        self.assertTrue(used)
        self.assertLessEqual(used, names)

    def test_labels_are_escaped(self) -> None:
        self.turn()
        content = self.shown()
        content['agent']['version'] = 'a"b\\c\nd'
        self.assertIn('version="a\\"b\\\\c\\nd"', metrics.text(content))

    def test_a_file_that_cannot_be_written(self) -> None:
        self.conf.set_override('metrics_textfile',
                               os.path.join(self.folder, 'none', 'x.prom'))
        self.turn(3)
        self.assertEqual(1, self.log.output.count('metrics_textfile'))


class TestWords(ShownCase):

    def test_spans(self) -> None:
        for seconds, words in ((0.4, '0 s'), (200, '3 min 20 s'),
                               (3600, '1 h'), (90000, '1 d 1 h'),
                               (-5, '0 s'), (86460, '1 d')):
            self.assertEqual(words, amounts.span(seconds))

    def test_progress(self) -> None:
        line = screen.progress({
            'action': 'recover', 'done': 768 << 20, 'total': 1 << 30,
            'rate': float(64 << 20), 'left': 4.0})
        self.assertEqual('recover [###############.....] 75 %  768 MiB of '
                         '1 GiB  64 MiB/s  4 s left', line)

    def test_each_code_has_a_section(self) -> None:
        with open(os.path.join(DOCUMENTATION, 'health.rst'),
                  encoding='utf-8') as page:
            lines = page.read().splitlines()
        titles = {line for line, below in zip(lines, lines[1:])
                  if below and set(below) == {'-'}
                  and len(below) >= len(line)}
        self.assertEqual({*health.CODES}, titles)

    def test_each_section_says_what_to_do(self) -> None:
        with open(os.path.join(DOCUMENTATION, 'health.rst'),
                  encoding='utf-8') as page:
            text = page.read()
        sections = re.split(r'^([A-Z_]+)\n-+\n', text, flags=re.M)[1:]
        for code, section in zip(sections[::2], sections[1::2]):
            self.assertTrue(section.strip().startswith(
                '*%s' % health.CODES[code].severity.capitalize()), code)
            for part in ('Impact', 'Diagnosis', 'mitigation'):
                self.assertRegex(section, r'(?mi)^%s\b|^Diagnosis and %s$' % (
                    part, part), code)

    def test_the_list_of_codes(self) -> None:
        out = self.useFixture(fixtures.StringStream('stdout')).stream
        with fixtures.MonkeyPatch('sys.stdout', out):
            self.assertEqual(0, health_command.run(
                self.parsed(health_command, '--codes'),
                lambda: self.conf))
