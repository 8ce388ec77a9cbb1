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
"""nvme-agent check, as an operator runs it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from typing import Any
from unittest import mock

import fixtures
from oslotest import base

from os_brick.agent.checks import configuration
from os_brick.agent.checks import findings
from os_brick.agent.checks import host
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.store import ledger
from os_brick.agent.tests.unit.cmd import command_case
from os_brick.agent.tests.unit import small_world
from os_brick.cmd import agent
from os_brick.cmd import check
from os_brick.cmd import checking
from os_brick.cmd import nova_file
from os_brick.cmd import starting
from os_brick.cmd import unit_file


#: Prints which modules are loaded once the start has been checked.
LOADED = """
import sys
from os_brick.cmd import agent
from os_brick.cmd import checking
list(checking.cheap(agent._configuration(sys.argv[1:])))
print(*sys.modules)
"""
UUID = '5d1e4f2c-0002-4000-8000-000000000002'


class CheckTest(command_case.CommandCase):

    def found(self, **values: str) -> tuple[int, dict[str, dict[str, str]]]:
        argv = self.configured(**values)
        os.chmod(argv[1], 0o644)
        ended = self.run_agent('check', '--json', *argv)
        self.assertEqual('', ended.stderr)
        found = json.loads(ended.stdout)
        self.assertEqual(max(
            ['success', 'warning', 'failure'].index(one['code'])
            for one in found), ended.returncode)
        return ended.returncode, {one['details']: one for one in found}

    def test_what_is_misspelt_and_what_cannot_be(self) -> None:
        status, found = self.found(poll_intervall='3', host_uuid='banana',
                                   io_fail_timeout='1.5')
        self.assertEqual(2, status)
        for words, code in (('is poll_interval meant?', 'warning'),
                            ('"banana" is no UUID', 'failure'),
                            ('1.5 becomes 2', 'warning'),
                            ('"local" can be loaded', 'success'),
                            ('privileged helper could not', 'failure'),
                            ('state_dir', 'failure')):
            one, = [one for details, one in found.items() if words in details]
            self.assertEqual(code, one['code'])

    def test_what_is_known_is_not_complained_of(self) -> None:
        for name in ('state', 'run'):
            os.mkdir(os.path.join(self.folder, name))
        _status, found = self.found(debug='true', log_file='/x',
                                    kioxia_provisioner_ip='192.0.2.1')
        # to whom it belongs who runs the tests is no matter
        wrong = [one for one in found.values()
                 if one['about'] == 'configuration'
                 and (os.geteuid() == 0 or 'belongs' not in one['details'])]
        self.assertEqual(['success'] if os.geteuid() == 0 else [],
                         [one['code'] for one in wrong], str(wrong))

    def test_as_text(self) -> None:
        ended = self.run_agent('check', *self.configured(
            provisioner_driver='acme'))
        self.assertEqual(2, ended.returncode)
        self.assertIn('Failure  driver: option provisioner_driver',
                      ended.stdout)
        self.assertIn('\n         -> ', ended.stdout)


class AskedTest(command_case.CommandCase):
    """Of the provisioner and the arrays, by a driver that is made up."""

    DRIVER = """
from os_brick.agent import model
from os_brick.agent.vendors import base

class Driver(base.ProvisionerDriver):
    def __init__(self, conf):
        self.asked = False
    def set_up(self):
        raise AssertionError('nobody may set it up')
    get_volumes = report_replica_state = request_replacement = None
    confirm_replica_removed = None
    def examine(self, host, arrays):
        self.asked = True
        %s
    def certificates(self):
        assert self.asked
        return [model.Certificate('of x', 1.0)]
    def close(self):
        assert self.asked
"""

    def found(self, body: str) -> dict[str, str]:
        with open(os.path.join(self.folder, 'acme.py'), 'w',
                  encoding='ascii') as module:
            module.write(self.DRIVER % body)
        info = os.path.join(self.folder, 'acme-1.dist-info')
        os.makedirs(info, exist_ok=True)
        for name, text in (('METADATA', 'Metadata-Version: 2.1\nName: acme\n'
                            'Version: 1\n'),
                           ('entry_points.txt',
                            '[os_brick.agent.provisioners]\n'
                            'acme = acme:Driver\n')):
            with open(os.path.join(info, name), 'w',
                      encoding='ascii') as stream:
                stream.write(text)
        ended = self.run_agent('check', '--json', *self.configured(
            provisioner_driver='acme'))
        self.assertEqual('', ended.stderr)
        return {one['details']: one['code']
                for one in json.loads(ended.stdout)
                if one['about'] not in ('host', 'configuration')}

    def test_it_answers(self) -> None:
        found = self.found("return model.Examination('https://acme')")
        self.assertEqual('success', found['https://acme answers'])
        self.assertEqual('failure', found[
            'the one of x has ended, 1970-01-01 00:00 UTC'])

    def test_what_goes_wrong(self) -> None:
        for body, words, code in (
                ("return None", 'it was not asked', 'success'),
                ("raise base.Unavailable('acme is away')", 'acme is away',
                 'failure'),
                ("raise base.Unauthorized('wrong token')", 'wrong token',
                 'failure'),
                ("raise OSError('x')", 'it is broken: OSError: x',
                 'failure')):
            found = self.found(body)
            one, = [details for details in found if words in details]
            self.assertEqual(code, found[one])
            self.assertTrue(any('is not known: the provisioner was not asked'
                                in details for details in found), found)


class ArraysTest(base.BaseTestCase):
    """Which arrays would be served: by the answer, and by what was kept."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.conf = small_world.configuration(state_dir=folder.name)
        self.array = model.Array(
            'md1', 'vol1', None, 1, 0, 'clean', 'idle', 1, (model.Leg(
                'nvme1n1', 0, frozenset({'in_sync'}), UUID),))
        self.volume = model.Volume(
            '5d1e4f2c-0001-4000-8000-000000000001', 'vol1', 1 << 30,
            (model.Replica(UUID),))

    def said(self, listed: list[model.Volume] | None) -> str:
        one, = check._of_arrays(self.conf, snapshots.HostSnapshot(
            arrays=(self.array,)), listed)
        return one.details

    def test_by_the_answer(self) -> None:
        self.assertIn('and is served', self.said([self.volume]))
        self.assertIn('no volume that is listed', self.said([]))
        self.assertIn('is not known', self.said(None))

    def test_by_what_was_kept(self) -> None:
        store = ledger.Ledger(os.path.join(self.conf.state_dir, ledger.FILE))
        store.keep_volumes([self.volume])
        store.close()
        self.assertIn('and is served', self.said([]))
        self.assertIn('and is served', self.said(None))


class StartTest(command_case.CommandCase):

    def said(self, **patched: object) -> str:
        log = self.useFixture(fixtures.FakeLogger())
        self.useFixture(fixtures.MockPatchObject(checking, 'cheap',
                                                 **patched))
        agent._check()
        return log.output

    def test_what_is_found_is_said(self) -> None:
        said = self.said(return_value=[
            findings.fine('host', 'good'),
            findings.warning('host', 'bad', 'mend it'),
            findings.failure('host', 'worse', 'mend it now')])
        self.assertEqual(['check, host: bad; remedy: mend it',
                          'check, host: worse; remedy: mend it now'],
                         said.splitlines())

    def test_it_loads_no_driver_that_is_not_used(self) -> None:
        """But for one of which something is written."""
        for values, loaded in (({}, False),
                               ({'kioxia_token': 'x'}, True)):
            ended = subprocess.run(
                [sys.executable, '-W', 'ignore', '-c', LOADED,
                 *self.configured(**values)], cwd=command_case.TREE,
                text=True, capture_output=True,
                timeout=command_case.PATIENCE)
            self.assertEqual('', ended.stderr)
            self.assertEqual(loaded, 'os_brick.agent.vendors.kioxia'
                             in ended.stdout.split())
            self.assertEqual(loaded, 'requests' in ended.stdout.split())

    def test_a_defect_stops_nothing(self) -> None:
        self.assertIn('starts all the same', self.said(
            side_effect=ValueError('x')))


class HostTest(command_case.CommandCase):

    def test_modules(self) -> None:
        loaded, installed = (os.path.join(self.folder, name)
                             for name in ('module', 'modules'))
        os.makedirs(os.path.join(loaded, 'raid1'))
        self.assertEqual(({'raid1'}, False),
                         checking._modules('6.1', loaded, installed))
        os.makedirs(os.path.join(installed, '6.1'))
        for name, text in (
                ('modules.builtin', 'kernel/drivers/nvme/host/nvme-tcp.ko\n'),
                ('modules.dep', 'kernel/x/nvme-rdma-old.ko: kernel/y.ko\n')):
            with open(os.path.join(installed, '6.1', name), 'w',
                      encoding='ascii') as stream:
                stream.write(text)
        self.assertEqual(({'raid1', 'nvme_tcp'}, True),
                         checking._modules('6.1', loaded, installed))

    def test_files_of_mdadm(self) -> None:
        folder = os.path.join(self.folder, 'mdadm.conf.d')
        os.mkdir(folder)
        for name in ('b.conf', 'c.old'):
            with open(os.path.join(folder, name), 'w',
                      encoding='ascii') as stream:
                stream.write('x')
        self.assertEqual({os.path.join(folder, 'b.conf'): 'x'},
                         checking._mdadm(['/nowhere', folder]))

    def test_the_watchdog(self) -> None:
        etc, lib = (os.path.join(self.folder, name) for name in ('etc', 'lib'))
        for path, text, expected in (
                (None, '', 0.0),
                ((lib, unit_file.UNIT), '[Service]\nWatchdogSec=300\n', 300.0),
                ((etc, unit_file.UNIT), ' WatchdogSec = 5min 30s\n', 330.0),
                ((lib, unit_file.UNIT + '.d', 'b.conf'),
                 'WatchdogSec=60\n', 60.0),
                ((etc, unit_file.UNIT + '.d', 'a.conf'),
                 'WatchdogSec=20\n', 60.0),
                ((etc, unit_file.UNIT + '.d', 'b.conf'),
                 'WatchdogSec=40\n', 40.0),
                ((etc, unit_file.UNIT + '.d', 'c.conf'),
                 '#WatchdogSec=10\nWatchdogSec=infinity\n', 0.0)):
            if path:
                name = os.path.join(*path)
                os.makedirs(os.path.dirname(name), exist_ok=True)
                with open(name, 'w', encoding='ascii') as stream:
                    stream.write(text)
            self.assertEqual(expected, unit_file.watchdog([etc, lib]),
                             str(path))

    def test_the_directories_that_systemd_makes(self) -> None:
        """Before its first start, and while it is stopped, none is there."""
        etc, lib = (os.path.join(self.folder, name) for name in ('etc', 'lib'))
        self.assertEqual(set(), unit_file.made([etc, lib]))
        for path, text, expected in (
                ((lib, unit_file.UNIT), '[Service]\nRuntimeDirectory=a b:c\n'
                 'RuntimeDirectoryMode=0755\nStateDirectory=a\n',
                 {'/run/a', '/run/b', '/var/lib/a'}),
                ((etc, unit_file.UNIT + '.d', 'a.conf'), 'StateDirectory=d\n',
                 {'/run/a', '/run/b', '/var/lib/a', '/var/lib/d'}),
                ((etc, unit_file.UNIT + '.d', 'b.conf'),
                 'RuntimeDirectory=\nRuntimeDirectory=e\n',
                 {'/run/e', '/var/lib/a', '/var/lib/d'})):
            name = os.path.join(*path)
            os.makedirs(os.path.dirname(name), exist_ok=True)
            with open(name, 'w', encoding='ascii') as stream:
                stream.write(text)
            self.assertEqual(expected, unit_file.made([etc, lib]))

    def test_a_directory_that_the_unit_will_make(self) -> None:
        away = os.path.join(self.folder, 'away')
        conf = small_world.configuration(state_dir=away, run_dir=away)
        conf.set_override('lock_path', self.folder, 'os_brick')
        for made, expected in (({away}, []), (set(), [
                findings.Code.FAILURE] * 2)):
            with mock.patch.object(unit_file, 'made', lambda: made):
                self.assertEqual(expected, [
                    one.code for one in checking.of_host(conf)
                    if away in one.details
                    and one.code is not findings.Code.SUCCESS])

    def test_spans(self) -> None:
        for span, seconds in (('', 0), ('0', 0), ('300', 300), ('2m', 120),
                              ('1h 2min 3s', 3723), ('500ms', 0.5),
                              ('1.5s', 1.5), ('soon', 0), ('3 banana', 0)):
            self.assertEqual(seconds, unit_file.seconds(span), span)


class HelperTest(base.BaseTestCase):

    def test_what_it_says_late(self) -> None:
        words = starting.HelperWords()
        words.FIRST_WORD = 60.0
        late = threading.Timer(0.1, words.filter, [logging.LogRecord(
            '', logging.WARNING, '', 0, 'privsep log: sudo: no', (), None)])
        late.start()
        self.addCleanup(late.join)
        self.assertEqual(words.NOT_STARTED + 'sudo: no; it ended',
                         words.words(ValueError('it ended')))


class OwnerTest(command_case.CommandCase):

    def test_the_directories_of_files_and_of_links(self) -> None:
        for name in ('real', 'links', 'parts', 'unread'):
            os.mkdir(os.path.join(self.folder, name))
            os.chmod(os.path.join(self.folder, name), 0o1777)
        paths = [os.path.join(self.folder, name) for name in (
            'real/a.conf', 'links/a.conf', 'parts/b.conf')]
        for path in (paths[0], paths[2]):
            with open(path, 'w', encoding='ascii'):
                pass
        os.symlink(paths[0], paths[1])
        asked = []

        def note(path: str, _bits: int, owner: int, adding: bool
                 ) -> list[findings.Finding]:
            asked.append((os.path.basename(path), owner, adding))
            return []

        with mock.patch.object(
                configuration, 'directory', note):
            self.assertEqual([], list(checking._directories(
                paths[1:], [os.path.join(self.folder, 'parts')])))
        user = os.geteuid()
        self.assertEqual([('links', user, False), ('parts', user, True),
                          ('real', user, False)], asked)

    def test_what_belongs_to_another_is_found(self) -> None:
        true_stat = os.stat

        def stat(path: Any, *more: Any, **named: Any) -> os.stat_result:
            found = list(true_stat(path, *more, **named))
            if str(path).startswith(self.folder):
                found[4] = 998
            return os.stat_result(found)

        conf = agent._configuration(self.configured())
        with mock.patch.object(os, 'stat', stat):
            found = [one.details.split()[0] for one
                     in checking.of_configuration(conf, ())
                     if 'belongs to user 998' in one.details]
        self.assertEqual([os.path.join(self.folder, 'agent.conf'),
                          self.folder], found)


class LockPathTest(command_case.CommandCase):

    def test_one_directory_of_two_names(self) -> None:
        link = os.path.join(self.folder, 'link')
        os.symlink(self.folder, link)
        for nova, expected in ((link + '/', self.folder), ('/b', '/b')):
            self.assertEqual(host.NovaLock(expected), checking._same(
                self.folder, host.NovaLock(nova)))
        self.assertEqual(host.NovaLock(unread='x'), checking._same(
            self.folder, host.NovaLock(unread='x')))

    def test_what_is_not_known_is_a_warning(self) -> None:
        conf = small_world.configuration()
        conf.set_override('lock_path', self.folder, 'os_brick')
        for nova, code in ((host.NovaLock(unread='/n: no'), 1),
                           (host.NovaLock(), 0)):
            with mock.patch.object(nova_file, 'lock', return_value=nova):
                found = [one for one in checking.of_host(conf)
                         if 'nova' in one.details]
            self.assertEqual([code], [one.code for one in found], str(found))
