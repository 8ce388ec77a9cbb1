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
"""The table of what came out on which kernel."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import pathlib
import sys
import tempfile
import types
from unittest import mock

from oslotest import base
import subunit

TOOLS = pathlib.Path(__file__).parents[5] / 'tools/lab'
FUNCTIONAL = pathlib.Path(__file__).parents[2] / 'functional'
#: Leaves what lab.sh leaves: a list, a release and a stream.
LAB = '''#!/bin/sh
echo "$LAB_KERNEL $LAB_BOOT_ARGUMENTS $2" >>%(log)s
[ "$LAB_KERNEL" = broken ] && exit 1
mkdir -p "$LAB_RESULTS/machine-1"
cp %(folder)s/tests "$LAB_RESULTS"
cp %(folder)s/subunit "$LAB_RESULTS/machine-1"
echo "7.3-${LAB_KERNEL:-here}" >"$LAB_RESULTS/machine-1/release"
'''


def load() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(
        'lab_matrix', TOOLS / 'matrix.py')
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with mock.patch.object(sys, 'path', [str(TOOLS), *sys.path]):
        spec.loader.exec_module(module)
    return module


class MatrixTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.matrix = load()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.leave(self.folder, one='success', two='fail', three='skip')
        (self.folder / 'machine-1/subunit').rename(self.folder / 'subunit')
        self.lab = self.folder / 'lab.sh'
        self.log = self.folder / 'log'
        self.lab.write_text(LAB % {'log': self.log, 'folder': self.folder})
        self.lab.chmod(0o755)

    def leave(self, folder: pathlib.Path, **tests: str) -> None:
        (folder / 'machine-1').mkdir(parents=True)
        (folder / 'tests').write_text(''.join(
            'a.b.T.%s\n' % test for test in tests))
        with (folder / 'machine-1/subunit').open('wb') as target:
            result = subunit.StreamResultToBytes(target)
            for test, status in tests.items():
                result.status(test_id='a.b.T.' + test, test_status=status)

    def run_all(self, kernels: str) -> tuple[int, list[str]]:
        """Return the exit code and what was printed."""
        out = io.StringIO()
        with mock.patch.dict(os.environ, {'LAB_KERNELS': kernels}), \
                contextlib.redirect_stdout(out):
            code = self.matrix.main(str(self.lab), str(self.folder), 'o')
        return code, out.getvalue().splitlines()

    def test_each_kernel_with_multipath_and_without(self) -> None:
        code, said = self.run_all('installed trixie')
        self.assertEqual(0, code)
        self.assertEqual('matrix: 4 passed, 4 failed, 4 skipped', said[-1])
        self.assertEqual(
            [' nvme_core.multipath=Y o', ' nvme_core.multipath=N o',
             'trixie nvme_core.multipath=Y o',
             'trixie nvme_core.multipath=N o'],
            [line.replace('  ', ' ')
             for line in self.log.read_text().splitlines()])
        self.assertEqual(
            ['Test,"7.3-here, multipath","7.3-here, no multipath",'
             '"7.3-trixie, multipath","7.3-trixie, no multipath"',
             'T.one,ok,ok,ok,ok', 'T.three,skipped,skipped,skipped,skipped',
             'T.two,FAILED,FAILED,FAILED,FAILED'],
            (self.folder / 'matrix.csv').read_text().splitlines())

    def test_a_kernel_that_does_not_boot(self) -> None:
        """And what an earlier run left of it does not count."""
        self.leave(self.folder / 'broken-Y', one='success')
        code, said = self.run_all('broken trixie')
        self.assertEqual(1, code)
        self.assertEqual(
            ['Test,"broken, multipath","broken, no multipath",'
             '"7.3-trixie, multipath","7.3-trixie, no multipath"',
             'T.one,FAILED,FAILED,ok,ok'],
            (self.folder / 'matrix.csv').read_text().splitlines()[:2])

    def test_passed_alone(self) -> None:
        self.leave(self.folder / 'k', one='success', two='fail')
        self.leave(self.folder / 'k/again', two='success')
        head, found = self.matrix.column(self.folder / 'k', 'k', 'Y')
        self.assertEqual({'a.b.T.one': 'ok', 'a.b.T.two': 'unsteady'}, found)
        self.assertEqual('k, multipath', head)

    def test_each_core_story_is_one(self) -> None:
        text = ''.join(path.read_text() for path in sorted(
            FUNCTIONAL.glob('test_*.py')))
        for name in self.matrix.CORE:
            self.assertEqual(1, text.count(name + '('), name)
