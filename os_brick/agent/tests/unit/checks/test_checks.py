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
"""What a check says, and what it lets pass."""

from __future__ import annotations

import re

from oslotest import base

from os_brick.agent.checks import configuration
from os_brick.agent.checks import findings
from os_brick.agent.checks import host
from os_brick.agent import model

KNOWN = {'DEFAULT': {'poll_interval', 'state_dir'},
         'oslo_concurrency': {'lock_path'}}


class ConfigurationTest(base.BaseTestCase):

    def said(self, written: dict[str, set[str]]) -> list[str]:
        return [one.details for one in configuration.names(
            'a.conf', written, KNOWN)]

    def test_names(self) -> None:
        for section, name, words in (
                ('DEFAULT', 'poll_intervall', 'is poll_interval meant?'),
                ('DEFAULT', 'banana', 'option banana of [DEFAULT]'),
                ('DEFAULT', 'lock_path', 'name in [oslo_concurrency]'),
                ('oslo_concurency', 'lock_path',
                 'is oslo_concurrency meant?')):
            found, = self.said({section: {name}})
            self.assertIn(words, found)
            self.assertIn('a.conf', found)
        self.assertEqual([], self.said({'DEFAULT': {'poll-interval'}}))

    def test_modes(self) -> None:
        for mode, secrets, count in ((0o100644, (), 0), (0o100664, (), 1),
                                     (0o100646, ('token',), 2),
                                     (0o100640, ('token',), 0),
                                     (0o100644, ('token',), 1)):
            found = list(configuration.mode('a.conf', mode, 0, secrets))
            self.assertEqual(count, len(found), oct(mode))
            for one in found:
                self.assertIs(findings.Code.FAILURE, one.code)
                self.assertIn('chmod', one.remedy)

    def test_where_metrics_are_written(self) -> None:
        for path in ('foo', 'foo.prom', '/var/lib/foo'):
            found, = configuration.textfile(path)
            self.assertIs(findings.Code.WARNING, found.code)
            self.assertIn('metrics_textfile: %s:' % path, found.details)
        for path in ('', '/var/lib/foo.prom'):
            self.assertEqual([], list(configuration.textfile(path)))

    def test_owners(self) -> None:
        """Whoever owns it may write it, whatever its mode is."""
        for found in (configuration.mode('/e/a.conf', 0o100640, 998, ()),
                      configuration.directory('/e', 0o40755, 998, False)):
            one, = found
            self.assertIs(findings.Code.WARNING, one.code)
            self.assertIn('belongs to user 998', one.details)
            self.assertIn('chown root', one.remedy)

    def test_directories(self) -> None:
        for mode, adding, count in (
                (0o40755, True, 0), (0o40775, False, 1), (0o40757, False, 1),
                (0o41777, False, 0), (0o41777, True, 1)):
            found = list(configuration.directory('/e', mode, 0, adding))
            self.assertEqual(count, len(found), oct(mode))
            for one in found:
                self.assertIs(findings.Code.FAILURE, one.code)
                self.assertIn('chmod go-w /e', one.remedy)

    def test_values(self) -> None:
        for values, words in (
                (('banana', 1.0, 30.0, 300.0), 'banana'),
                (('', 1.5, 30.0, 300.0), '1.5 becomes 2'),
                (('', 1.0, 200.0, 300.0), 'poll_interval')):
            found, = configuration.values(*values)
            self.assertIn(words, found.details)
        for host_uuid in ('', '4c4c4544-0031-3510-8052-b8c04f4e3232'):
            self.assertEqual([], list(configuration.values(
                host_uuid, 2.0, 150.0, 300.0)))
        self.assertEqual([], list(configuration.values('', 2.0, 999.0, 0)))


def spread(policy: str, paths: int) -> model.Subsystem:
    return model.Subsystem('nvme-subsys0', policy, paths)


class HostTest(base.BaseTestCase):

    def test_paths_that_share_the_io_are_no_finding(self) -> None:
        self.assertEqual([], list(host.iopolicy({
            'nqn.a': spread('numa', 1), 'nqn.b': spread('round-robin', 2),
            'nqn.c': spread('queue-depth', 2)}, False)))
        # the guard sees to it
        self.assertEqual([], list(host.iopolicy(
            {'nqn.a': spread('numa', 2)}, True)))

    def test_no_array_that_lvm_holds_is_no_finding(self) -> None:
        self.assertEqual([], list(host.lvm({})))

    def test_what_is_missing_is_named(self) -> None:
        for found, code, words in (
                (host.programs({'nvme': '/n', 'mdadm': None}), 2, 'mdadm'),
                (host.multipath(None), 1, 'nvme_core'),
                (host.multipath('N\n'), 1, 'off'),
                (host.multipath('Y\n'), 0, 'on'),
                (host.iopolicy({
                    'nqn.b': spread('numa', 2), 'nqn.a': spread('numa', 4),
                    'nqn.c': spread('round-robin', 2)}, False), 1,
                 'of the paths to nqn.a and 1 other targets one carries all'),
                (host.iopolicy({'nqn.b': spread('numa', 2)}, False), 1,
                 'of the paths to nqn.b one carries all'),
                (host.lvm({'md127': 'guest-data'}), 1,
                 'LVM of this host has activated guest-data, which a guest '
                 'has made on md127'),
                (host.modules({'raid1', 'nvme_tcp'}, True), 0,
                 'modules: raid1, nvme_tcp'),
                (host.modules({'raid1', 'nvme_rdma'}, False), 0,
                 'raid1, nvme_rdma'),
                (host.modules({'nvme_tcp'}, True), 2, 'no module raid1'),
                (host.modules({'raid1'}, True), 2, 'nvme_tcp nor nvme_rdma'),
                (host.modules({'raid1'}, False), 0, 'is not seen from here'),
                (host.kernel('5.4.0-150-generic'), 1, 'no fast_io_fail_tmo'),
                (host.kernel('5.14.0-427.el9'), 1, 'is not followed'),
                (host.kernel('6.1.0-31-amd64'), 0, '1b95e8179160'),
                (host.kernel('6.8.0-45-generic'), 0, 'ab99a87542f1'),
                (host.kernel('10.0'), 0, 'Linux 10.0'),
                (host.helper('sudo: no'), 2, 'sudo: no'),
                (host.helper(''), 0, 'helper starts'),
                (host.lock('/a', '', host.NovaLock('/b')), 2,
                 '/b in nova.conf'),
                (host.lock('/a', 'no', host.NovaLock()), 2, '/a: no'),
                (host.lock('/a', '', host.NovaLock('/a')), 0, 'is nova\'s'),
                (host.lock('/a', '', host.NovaLock()), 0, 'no nova.conf'),
                (host.lock('/a', '', host.NovaLock(unread='/n: no')), 1,
                 'is not known (/n: no)'),
                (host.lock('/a', '', host.NovaLock(unknown='/n sets none')),
                 1, 'is not known: /n sets none'),
                (host.udev('no rule'), 1, 'no rule'),
                (host.udev(''), 0, 'is there'),
                (host.directory('run_dir', '/r', 'no', False), 2,
                 'run_dir: /r'),
                (host.directory('run_dir', '/r', '', False), 0, '/r'),
                (host.directory('run_dir', '/r', 'no', True), 0,
                 'run_dir /r: the unit makes it')):
            worst = max(found, key=lambda one: one.code)
            self.assertEqual(code, worst.code, str(worst))
            self.assertIn(words, worst.details)
            self.assertEqual(bool(code), bool(worst.remedy))

    def test_defects_of_other_kernels_are_not_named(self) -> None:
        for release, named in (('6.1.0-31-amd64', ['1b95e8179160']),
                               ('6.8.0-45-generic', ['ab99a87542f1']),
                               ('6.11.0', []), ('6.4.0-1', [
                                   '1b95e8179160', 'ab99a87542f1'])):
            self.assertEqual(named, re.findall(
                'mended by ([0-9a-f]+)', str(list(host.kernel(release)))))

    def test_how_fast_md_copies(self) -> None:
        for wanted, least, most, words in (
                (1, '1024\n', '200000\n', 'copies with 1024 KiB/s at least'),
                (1, '50000', '200000', 'has no effect'),
                (196, '1000', '200000', 'faster than the 200000 KiB/s')):
            found, = host.copy_speed(wanted, least, most)
            self.assertIs(findings.Code.WARNING, found.code)
            self.assertIn(words, found.details)
        for fine in ((0, '50000', '1000'), (1, '1000', '200000'),
                     (195, '1000', '199680'), (50, None, None),
                     (50, '', 'x')):
            self.assertEqual([], list(host.copy_speed(*fine)))

    def test_what_mdadm_may_do(self) -> None:
        for content, found in (
                ('', 0), ('HOMEHOST <system>\nMAILADDR root\n', 0),
                ('POLICY domain=a action=re-add\n', 0),
                ('# POLICY action=spare\n', 0),
                ('POLICY action=force-spare\n', 1),
                ('policy domain=a\n  path=* action=spare\n', 1),
                ('POLICY action=spare-same-slot\nPOLICY action=spare\n', 2)):
            said = list(host.mdadm_policy({'/m.conf': content}))
            self.assertEqual(found, len(said), content)
            for one in said:
                self.assertIs(findings.Code.WARNING, one.code)
                self.assertIn('/m.conf: POLICY action=', one.details)
        self.assertIn('action=force-spare:', next(host.mdadm_policy(
            {'/m.conf': 'POLICY action=force-spare'})).details)

    def test_the_worst_decides(self) -> None:
        self.assertEqual(0, findings.worst([]))
        self.assertEqual(1, findings.worst([
            findings.fine('a', 'b'), findings.warning('a', 'b', 'c')]))
