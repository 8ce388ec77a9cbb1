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
"""The source tree that a test was found in, and its wheel."""

from __future__ import annotations

import atexit
import functools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from oslotest import base

import os_brick.agent

# What must not go along: history, environments, earlier builds.
_LEFT_BEHIND = ('.git', '.tox', '.lab', '.venv', '.stestr', '.mypy_cache',
                '.hypothesis', '.test-results', 'build', 'dist',
                '*.egg-info', '__pycache__')


class CommandFailed(Exception):
    """A command ended with an error; the text is its output."""


def source_tree() -> pathlib.Path | None:
    """Return the top of the source tree; None when run from a wheel."""
    top = pathlib.Path(os_brick.agent.__file__).parents[2]
    return top if (top / 'setup.cfg').exists() else None


class TreeTestCase(base.BaseTestCase):
    """What is not run from a wheel.

    :ivar tree: the top of the source tree.
    """

    def setUp(self) -> None:
        super().setUp()
        tree = source_tree()
        if tree is None:
            self.skipTest('not run from a source tree')
        self.tree = pathlib.Path(str(tree))


def run(*command: str | pathlib.Path, cwd: pathlib.Path | None = None,
        **variables: str) -> str:
    """Run a command and return what it printed.

    :raises CommandFailed: with the output, when it does not exit with 0.
    """
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(('PYTHON', 'PBR_'))}
    environment.update(PYTHONDONTWRITEBYTECODE='1',
                       PIP_DISABLE_PIP_VERSION_CHECK='1',
                       PIP_ROOT_USER_ACTION='ignore', **variables)
    done = subprocess.run(command, cwd=cwd, env=environment, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise CommandFailed('%s: exit %d\n%s' % (
            ' '.join(map(str, command)), done.returncode, done.stdout))
    return done.stdout


def copy_as_clone(tree: pathlib.Path, place: pathlib.Path) -> None:
    """Copy the tree as a git repository of one commit and without tags.

    pbr takes the version and the list of files from git, and the tests of
    the package are about the tree as it is, committed or not.
    """
    shutil.copytree(tree, place, symlinks=True,
                    ignore=shutil.ignore_patterns(*_LEFT_BEHIND))
    run('git', 'init', '--quiet', cwd=place)
    run('git', 'add', '--all', cwd=place)
    run('git', '-c', 'user.name=Test', '-c', 'user.email=test@example.com',
        '-c', 'commit.gpgSign=false', '-c', 'core.hooksPath=/dev/null',
        'commit', '--quiet', '--message=The tree', cwd=place)


@functools.lru_cache(maxsize=None)
def wheel_of(tree: pathlib.Path) -> pathlib.Path:
    """Return the tree's wheel, built once for this process.

    No package index is asked.
    """
    place = pathlib.Path(tempfile.mkdtemp(prefix='wheel'))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    clone = place / 'clone'
    copy_as_clone(tree, clone)
    run(sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps',
        '--no-index', '--no-build-isolation', '--wheel-dir', place, clone)
    wheels = list(place.glob('os_brick_nvme_agent-*.whl'))
    if len(wheels) != 1:
        raise CommandFailed('pip made %s, not one wheel' % wheels)
    return wheels[0]
