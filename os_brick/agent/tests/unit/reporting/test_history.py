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
"""What is kept of what has happened, and asked for later."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import sqlite3
from typing import Any

from os_brick.agent.daemon import chronicle
from os_brick.agent.store import history
from os_brick.agent.tests.unit.reporting import shown_case
from os_brick.cmd import commands
from os_brick.cmd import history as history_command

B = shown_case.B


class TestHistory(shown_case.ShownCase):

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
