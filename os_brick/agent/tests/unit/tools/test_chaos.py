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
"""The parts of tools/chaos.sh that need no machine.

A series that takes a volume's last copy would blame the agent for it, and a
verdict that is too kind would hide what it did.
"""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import sys
from types import ModuleType
from typing import Any
from unittest import mock

import fixtures

from os_brick.agent.store import history
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.unit.packaging import wheelhouse


class ChaosTestCase(wheelhouse.TreeTestCase):

    def module(self, name: str) -> ModuleType:
        places = [str(self.tree / 'tools/chaos'), *sys.path]
        with mock.patch.dict(sys.modules), mock.patch.object(
                sys, 'path', places):
            return importlib.import_module(name)


class SeriesTest(ChaosTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.series = self.module('series')

    def drawn(self, kinds=None):
        return [self.series.draw(seed, 60, kinds or tuple(
            self.series.KINDS)) for seed in range(40)]

    def test_a_seed_is_a_series(self) -> None:
        first, again = (self.series.draw(7, 30) for _ in range(2))
        self.assertEqual(first, again)
        self.assertNotEqual(first, self.series.draw(8, 30))

    def test_each_volume_keeps_a_target_but_in_an_outage(self) -> None:
        overlapping = set()
        for series in self.drawn():
            lost: set[str] = set()
            for fault in series:
                lost = set() if fault.settled else lost
                if not fault.settled and fault.loses & lost:
                    overlapping.add(fault.kind)
                if fault.kind == 'outage':
                    lost = set()   # then nobody's copy is needed
                    continue
                lost |= fault.loses
                for members in self.series.VOLUMES.values():
                    self.assertLess(len(lost & set(members)), len(members),
                                    str(fault))
        # or it would say nothing
        self.assertLessEqual({'reset', 'silence', 'namespace', 'disconnect',
                              'agent'}, overlapping)

    def test_after_an_outage_nothing_but_another_is_hurried(self) -> None:
        hurried = set()
        for series in self.drawn():
            for before, fault in zip(series, series[1:]):
                if before.kind == 'outage' and not fault.settled:
                    hurried.add(fault.kind)
                    self.assertTrue(fault.kind == 'outage'
                                    or not fault.loses, str(fault))
        self.assertIn('outage', hurried)

    def test_no_two_paths_of_one_target(self) -> None:
        again = 0
        for series in self.drawn():
            paths: dict[str, int] = {}
            for fault in series:
                paths = {} if fault.settled else paths
                if fault.kind == 'path':
                    again += fault.victim in paths
                    self.assertGreater(self.series.PORTALS[fault.victim], 1)
                    self.assertEqual(fault.portal, paths.setdefault(
                        fault.victim, fault.portal))
        self.assertGreater(again, 0)

    def test_the_kinds_that_are_asked_for(self) -> None:
        self.assertEqual({'silence', 'path'}, {
            fault.kind for series in self.drawn(('silence', 'path'))
            for fault in series})
        for kinds in ([], ['flood'], ['']):
            self.assertRaises(ValueError, self.series.draw, 1, 1, kinds)


class ReportTest(ChaosTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.report = self.module('report')

    def row(self, number: int, kind: str, pause: float, down: float = 0.0):
        return self.report.Row(number, kind, kind, 0.0, True, down,
                               {'raw': pause, 'file': 0.0})

    def test_a_pause_is_counted_from_the_fault(self) -> None:
        def pause(*writes):
            return self.report.pause(writes, 10.0, 20.0)
        self.assertEqual(3.0, pause((9.5, 13.0), (12.0, 14.0)))
        # late when the next one comes: until its end
        self.assertEqual(7.0, pause((19.0, 26.0)))
        self.assertEqual(16.0, pause((9.0, 26.0)))
        # just begun then: what follows is the next one's
        self.assertAlmostEqual(0.1, pause((19.9, 26.0)))
        self.assertEqual(0.0, pause((0.0, 9.0), (21.0, 40.0)))

    def test_an_outage_is_taken_out_of_its_pause(self) -> None:
        rows = [self.row(1, 'reset', 0.5), self.row(2, 'outage', 9.0, 7.5),
                self.row(3, 'reset', 3.0)]
        table = self.report.table(rows).splitlines()
        self.assertEqual(['outage', '1', '9.00', 's', '9.00', 's', '1.50',
                          's', 'no.', '2'], table[1].split())
        self.assertEqual(['reset', '2', '1.75', 's', '3.00', 's', '3.00',
                          's', 'no.', '3'], table[2].split())
        self.assertEqual(['all', '3', '3.00', 's', '9.00', 's', '3.00', 's',
                          'no.', '3'], table[3].split())
        bars = dict(line.rsplit(None, 2)[:2]
                    for line in self.report.histogram(rows).splitlines()
                    if line.endswith('#'))
        self.assertEqual({'up to  0.50 s': '1', 'up to  2.00 s': '1',
                          'up to  4.00 s': '1'},
                         {label.strip(): bar for label, bar in bars.items()})

    def test_nothing_but_all_good_is_good(self) -> None:
        outcome = self.report.Outcome
        self.assertEqual(
            'chaos: seed 3, 9 faults, 0 errors, 0 blocks lost, legs equal',
            self.report.verdict(3, 9, 9, outcome(0, 0, 0)))
        for done, bad in (
                (9, outcome(1, 0, 0)), (9, outcome(0, 2, 0)),
                (9, outcome(0, None, 0)), (9, outcome(0, 0, 128)),
                (9, outcome(0, 0, None)), (9, outcome(0, 0, 0, ('a leak',))),
                (8, outcome(0, 0, 0))):
            line = self.report.verdict(3, 9, done, bad)
            self.assertTrue(line.endswith(': FAILED'), line)


class PatientTest(ChaosTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.patient = self.module('patient')
        self.target = mock.create_autospec(targets.Target, instance=True)
        self.target.addresses = ['a', 'b']
        self.target.namespaces = [mock.Mock(nsid=1), mock.Mock(nsid=2)]
        self.one = self.patient.Patient(self.target)
        self.target.reset_mock()

    def test_one_call_for_all_portals(self) -> None:
        self.one.begin(1, self.patient.Trouble('silence', ('a', 'b')))
        self.assertEqual([mock.call.lose_power(['a', 'b'])],
                         self.target.method_calls)

    def test_what_ends_is_one_of_two_faults(self) -> None:
        trouble = self.patient.Trouble
        self.one.begin(1, trouble('silence', ('a', 'b')))
        self.assertTrue(self.one.cut_off)
        self.one.begin(2, trouble('silence', ('b',)))
        self.one.begin(3, trouble('reset', ('b',), namespaces=(2,)))
        self.target.reset_mock()
        self.one.end(1)
        self.assertEqual([mock.call.restore_power(['a'])],
                         self.target.method_calls)
        self.assertFalse(self.one.cut_off)
        self.one.end(2)
        self.target.restore_power.assert_called_with(['b'])
        self.target.revive.assert_not_called()
        self.target.namespaces[1].remove.assert_called_once_with()
        self.one.end(3)
        self.target.revive.assert_called_once_with(['b'])
        self.target.namespaces[1].restore.assert_called_once_with()
        self.target.namespaces[0].remove.assert_not_called()
        self.assertFalse(self.one.troubled)

    def test_access_is_withdrawn_and_given(self) -> None:
        self.one.begin(1, self.patient.Trouble('access', ('a', 'b')))
        self.assertEqual(
            [mock.call.give_access('inaccessible', ['a', 'b'])],
            self.target.method_calls)
        self.assertTrue(self.one.cut_off)
        self.target.reset_mock()
        self.one.end(1)
        self.assertEqual([mock.call.give_access('optimized', ['a', 'b'])],
                         self.target.method_calls)

    def test_slowness_does_not_end_a_silence(self) -> None:
        self.one.begin(1, self.patient.Trouble('silence', ('a',)))
        self.one.begin(2, self.patient.Trouble(round_trip=0.5))
        self.target.delay.assert_called_once_with(0.5, ['b'])
        self.one.end(1)
        self.target.delay.assert_called_with(0.5, ['a'])


class FootprintTest(ChaosTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.footprint = self.module('footprint')

    def taken(self, grows: str = '', each: float = 0.0, count: int = 40,
              pid: int = 1) -> list[Any]:
        """Return so many, in which something grows by so much each time."""
        usual = dict(memory=40000, helper_memory=20000, descriptors=30,
                     helper_descriptors=12, threads=5, helper_threads=9,
                     ledger=90000, history=4000, log=1000)
        return [self.footprint.Footprint(60.0 * number, pid, **{
            name: int(value + (each * number if name == grows else 0))
            for name, value in usual.items()}) for number in range(count)]

    def test_what_stays_is_no_leak(self) -> None:
        for name in ('log', 'history'):
            self.assertEqual([], self.footprint.leaks(self.taken(name, 9000)))
        self.assertEqual([], self.footprint.leaks([]))
        warming = [*self.taken('memory', 900, 10), *self.taken(count=30)]
        self.assertEqual([], self.footprint.leaks(warming))

    def test_what_grows_is_one(self) -> None:
        for name in self.footprint.SLACK:
            each = 0.5 if name.endswith(('ors', 'ads')) else 9000
            found = self.footprint.leaks(self.taken(name, each))
            self.assertEqual(1, len(found), name)
            self.assertIn(name.replace('_', ' '), found[0])

    def test_an_agent_that_was_killed_begins_anew(self) -> None:
        both = self.taken('threads', 1, 30) + self.taken(pid=2)
        self.assertEqual([], self.footprint.leaks(both))
        self.assertIn('40 times in 0.7 hours',
                      self.footprint.table(both))
        self.assertEqual('nothing was measured', self.footprint.table([]))

    def test_each_measure_is_kept(self) -> None:
        file = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'kept')
        taken = self.taken('memory', 10, 3)
        self.footprint.keep(taken, file)
        self.assertEqual([40000, 40010, 40020], [
            json.loads(line)['memory']
            for line in file.read_text().splitlines()])

    def test_a_process_is_measured(self) -> None:
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (folder / 'agent.sqlite').write_bytes(bytes(100))
        (folder / 'agent.sqlite-journal').write_bytes(bytes(20))
        self.assertEqual(history.FILE, self.footprint.HISTORY)
        for name, size in ((history.FILE, 30), (history.FILE + '-journal', 3)):
            (folder / name).write_bytes(bytes(size))
        log = folder.parent / (folder.name + '.log')
        log.write_bytes(bytes(7))
        self.addCleanup(log.unlink)
        pid = os.getpid()
        before = self.footprint.take(1.0, pid, pid, folder, log)
        self.assertEqual((120, 33, 7, before.threads), (
            before.ledger, before.history, before.log,
            before.helper_threads))
        held = bytearray(64 << 20)
        with open(log, 'rb'), open(log, 'rb'):
            after = self.footprint.take(2.0, pid, pid, folder, log)
        self.assertEqual(before.descriptors + 2, after.descriptors)
        self.assertGreaterEqual(after.memory, before.memory
                                + len(held) // 1024 // 2)
