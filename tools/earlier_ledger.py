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
"""Have an earlier agent write a ledger, in the middle of three stories.

  tools/earlier_ledger.py COMMIT >FOLDER/version-N.json

FOLDER is os_brick/agent/tests/unit/store/earlier.  The code of COMMIT, taken
from git, plays them in its own small world of tests:

  volume1    B was lost 20 s ago, half of the grace period
  volume2    B was lost, C was asked for and is being copied to
  volume3    its reports are not taken by the provisioner

What is printed is the file as statements of SQL, with both of its numbers, and
what the world looked like when the agent was killed.  test_upgrade.py lets
the agent of this tree go on from there.
"""

from __future__ import annotations

import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile

TREE = pathlib.Path(__file__).resolve().parents[1]


def main() -> None:
    if sys.argv[1] == '--play':
        play()
        return
    commit = subprocess.run(
        ['git', '-C', TREE, 'rev-parse', '--short=12',
         sys.argv[1] + '^{commit}'], check=True, capture_output=True,
        text=True).stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(['git', '-C', TREE, 'archive', commit,
                                  'os_brick'], check=True,
                                 capture_output=True).stdout
        subprocess.run(['tar', '-x', '-C', folder], input=archive, check=True)
        played = subprocess.run(
            [sys.executable, __file__, '--play'], check=True, cwd=folder,
            env={**os.environ, 'PYTHONPATH': folder}, capture_output=True,
            text=True).stdout
    print(text({'commit': commit, **json.loads(played)}))


def text(found: dict[str, object]) -> str:
    """Return it as JSON, with a line for each statement."""
    statements = found.pop('statements')
    lines = ['"statements": ' + json.dumps(statements, indent=0)]
    lines += ['%s: %s' % (json.dumps(name), json.dumps(content))
              for name, content in sorted(found.items())]
    return '{\n%s\n}' % ',\n'.join(lines)


def play() -> None:
    from os_brick.agent.tests.unit import small_world
    from os_brick.agent.vendors import base

    class Story(small_world.WorldCase):
        volumes = 3

        def runTest(self) -> None:
            """Not a test: the world is its own fixture."""

    def refuse(name: str, volume: str) -> None:
        if name == 'report' and volume == 'volume3':
            raise base.Unavailable('not today')

    story = Story('runTest')
    story.setUp()
    story.clock.boot_id = 'the boot of both'
    story.turn(3)
    story.driver.broken = refuse
    lose(story, 2)
    story.host.settle = lambda: None    # type: ignore[method-assign]
    for _pass in range(20):
        if 'C' in story.host.legs[2]:
            break
        story.turn()
    else:
        sys.exit('C is not copied to')
    lose(story, 1)
    lose(story, 3)
    story.turn(2)
    story.book.close()
    with sqlite3.connect(story.path) as file:
        numbers = [file.execute('PRAGMA ' + name).fetchone()[0]
                   for name in ('user_version', 'application_id')]
        statements = list(file.iterdump())
    print(json.dumps({
        'user_version': numbers[0], 'application_id': numbers[1],
        'statements': statements, 'live': story.host.live,
        'legs': {number: {letter: (slot, sorted(flags))
                          for letter, (slot, flags) in legs.items()}
                 for number, legs in story.host.legs.items()},
        'replicas': {number: [(replica.uuid[-1], replica.state.value)
                              for replica in volume.replicas]
                     for number, volume in story.driver.volumes.items()},
        'said': story.driver.said,
        'since_boot': story.clock.since_boot, 'time': story.clock.time}))
    story.doCleanups()


def lose(story: object, number: int) -> None:
    """Its target dies; md has dropped the leg."""
    host = story.host           # type: ignore[attr-defined]
    host.live[host.name(number, 'B')] = False
    host.legs[number]['B'] = (None, {'faulty'})


if __name__ == '__main__':
    main()
