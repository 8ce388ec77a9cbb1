#!/usr/bin/env python3
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
"""Which releases of OpenStack this package goes together with, by trying it.

  tools/versions.py --requirements DIR [--only 2024.1 ...] [--output FILE]

DIR is a clone of https://opendev.org/openstack/requirements: what a release
is made of is its upper-constraints.txt.  For each release two environments
are made below a temporary directory, and removed again:

  nova's     nova and what it needs, all of it by the release's constraints;
             then this package, installed without being held back
  its own    this package with the os-brick of that release

In each: pip check, every entry point, os-brick's hook, and that os-brick's
files are still those that were installed.  What was found is written as a
table to FILE (doc/source/install/versions.csv).  It exits with 1 where this
package does not even work in an environment of its own.  A release takes one
to two minutes.  What installs and checks is uv (pip install uv), for pip takes
many times as long to find the same: neither lifts what it need not.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TREE = pathlib.Path(__file__).resolve().parents[1]
TABLE = TREE / 'doc/source/install/versions.csv'
CHECKS = TREE / 'tools/versions/checks.py'
#: Release, nova, and where its constraints are, newest last.  An old branch
#: is a tag of its end.
RELEASES = (('2023.1', '27', '2023.1-eom'),
            ('2023.2', '28', '2023.2-eol'),
            ('2024.1', '29', '2024.1-eom'),
            ('2024.2', '30', '2024.2-eol'),
            ('2025.1', '31', 'origin/stable/2025.1'),
            ('2025.2', '32', 'origin/stable/2025.2'),
            ('2026.1', '33', 'origin/stable/2026.1'),
            ('2026.2', '34', 'origin/master'))
HEAD = ('OpenStack', 'nova', 'os-brick', 'oslo.service',
        'in nova\'s environment', 'what pip changes there',
        'in an environment of its own')
LIMIT = 3600


class Refused(Exception):
    """A command ended with an error; the text is what it said last."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--requirements', required=True, type=pathlib.Path)
    parser.add_argument('--only', nargs='+', default=[],
                        choices=[release for release, *_rest in RELEASES])
    parser.add_argument('--output', type=pathlib.Path)
    given = parser.parse_args()
    rows: list[tuple[str, ...]] = []
    said = sys.stdout if given.output is None else given.output.open(
        'w', newline='', buffering=1)
    table = csv.writer(said, lineterminator='\n')
    table.writerow(HEAD)
    with tempfile.TemporaryDirectory(prefix='versions-') as folder:
        place = pathlib.Path(folder)
        found = shutil.which('uv')
        if found is None:
            parser.error('there is no uv; pip install uv')
        filler = pathlib.Path(found)
        wheel = build(place, filler)
        for release, nova, reference in RELEASES:
            if given.only and release not in given.only:
                continue
            print('%s ...' % release, file=sys.stderr, flush=True)
            rows.append(Trial(place / release, wheel, filler,
                              given.requirements, reference).row(
                                  release, nova))
            table.writerow(rows[-1])
    said.flush()
    return int(not all(row[-1] == 'works' for row in rows))


def build(place: pathlib.Path, filler: pathlib.Path) -> pathlib.Path:
    """Return the wheel of this tree."""
    # of the last commit: what else lies in the tree is not looked through
    run('git', 'clone', '-q', '--depth', '1', TREE.as_uri(), place / 'tree')
    run(filler, 'build', '-q', '--wheel', '--out-dir', place / 'wheel',
        place / 'tree')
    wheel, = (place / 'wheel').glob('*.whl')
    return wheel


def run(*command: str | pathlib.Path) -> str:
    """Run a command; return what it printed.

    :raises Refused: it did not end with 0.
    """
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith('PYTHON')}
    environment.update(PIP_DISABLE_PIP_VERSION_CHECK='1',
                       PIP_ROOT_USER_ACTION='ignore')
    try:
        done = subprocess.run(
            command, cwd='/', env=environment, text=True, timeout=LIMIT,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False)
    except subprocess.TimeoutExpired:
        raise Refused('%s: not done after %d s' % (command[0], LIMIT)
                      ) from None
    if done.returncode:
        raise Refused('%s:\n%s' % (' '.join(map(str, command)), done.stdout))
    return done.stdout


@dataclasses.dataclass(frozen=True)
class Environment:
    """A virtual environment.

    :ivar filler: uv, which installs into it.
    """

    place: pathlib.Path
    filler: pathlib.Path

    def make(self) -> None:
        run(self.filler, 'venv', '-q', '--python', sys.executable, self.place)

    def install(self, *words: str | pathlib.Path) -> None:
        run(self.filler, 'pip', 'install', '-q', '--python',
            self.place / 'bin/python', *words)

    def versions(self) -> dict[str, str]:
        listed = run(self.filler, 'pip', 'list', '--python',
                     self.place / 'bin/python', '--format=freeze')
        return dict(re.findall(r'^(\S+?)==(\S+)$', listed, re.MULTILINE))

    def check(self, *words: str) -> str:
        """Return 'works', or what does not."""
        python = self.place / 'bin/python'
        for what, command in (
                ('pip check', (self.filler, 'pip', 'check', '--python',
                               python)),
                *((word + ' does not work', (python, CHECKS, word))
                  for word in words)):
            try:
                run(*command)
            except Refused as error:
                print(error, file=sys.stderr)
                return last(what, error)
        return 'works'


@dataclasses.dataclass(frozen=True)
class Trial:
    """One release, in two environments."""

    place: pathlib.Path
    wheel: pathlib.Path
    filler: pathlib.Path
    requirements: pathlib.Path
    reference: str

    def row(self, release: str, nova: str) -> tuple[str, ...]:
        self.place.mkdir()
        constraints = self.place / 'constraints.txt'
        constraints.write_text(run(
            'git', '-C', self.requirements, 'show',
            self.reference + ':upper-constraints.txt'))
        found = dict(re.findall(r'^(os-brick|oslo\.service)===([^\s;]+)',
                                constraints.read_text(), re.MULTILINE))
        beside, changed, version = self.beside(nova, constraints)
        return (release, version or nova, found['os-brick'],
                found['oslo.service'], beside, changed,
                self.alone(found['os-brick']))

    def beside(self, nova: str, constraints: pathlib.Path
               ) -> tuple[str, str, str]:
        """Return what is to be said of nova's environment, and which nova."""
        environment = Environment(self.place / 'nova', self.filler)
        try:
            environment.make()
            # the last setuptools with pkg_resources, which older ones import
            environment.install('-c', constraints, 'setuptools<81',
                                'nova==%s.*' % nova)
        except Refused as error:
            print(error, file=sys.stderr)
            return last('nova cannot be installed', error), '', ''
        alone = environment.check('nova')
        if alone != 'works':
            return ('nova does not work with Python %d.%d: ' % (
                sys.version_info[:2]) + alone, '', '')
        before = environment.versions()
        try:
            environment.install('--dry-run', '-c', constraints, self.wheel)
            held = 'within the constraints'
        except Refused:
            held = 'not within the constraints'
        try:
            environment.install(self.wheel)
        except Refused as error:
            print(error, file=sys.stderr)
            return last('', error), '', before['nova']
        after = environment.versions()
        changed = ', '.join(
            '%s %s to %s' % (name, before[name], version)
            for name, version in sorted(after.items())
            if name in before and before[name] != version)
        said = environment.check('nova', 'agent')
        return '%s, %s' % (held, said), changed or 'nothing', before['nova']

    def alone(self, brick: str) -> str:
        environment = Environment(self.place / 'own', self.filler)
        try:
            environment.make()
            environment.install(self.wheel, 'os-brick==%s' % brick)
        except Refused as error:
            print(error, file=sys.stderr)
            return last('', error)
        return environment.check('agent')


def last(what: str, error: Refused) -> str:
    """Return what it was, and the last line that was said of it."""
    line = [line for line in str(error).splitlines() if line.strip()][-1]
    return ': '.join(filter(None, (what, line.strip())))


if __name__ == '__main__':
    sys.exit(main())
