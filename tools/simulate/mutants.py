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
"""Breaks the agent on purpose, and counts histories until that is found.

Each mutant is a copy of the tree with one text replaced; see
``broken_laws.py`` and ``broken_steps.py``, and ``broken_twice.py`` for laws
that are held in several places.  A mutant that no history finds is a hole in
the simulation, or code that is not needed.

    tools/simulate.sh --mutants [HISTORIES [NAME...]]

The histories are new ones, of each kind in its turn.  One that breaks without
the mutant, too, is no find.  Each processor plays a mutant.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent import futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import broken_laws
import broken_steps
import broken_twice

TREE = pathlib.Path(__file__).resolve().parents[2]
AGENT = 'os_brick/agent/'
#: name -> texts that are replaced: file, text, what stands there instead.
MUTANTS: dict[str, tuple[tuple[str, str, str], ...]] = {
    **{name: (text,) for name, text in {
        **broken_laws.MUTANTS, **broken_steps.MUTANTS}.items()},
    **broken_twice.MUTANTS}


def main(words: list[str]) -> int:
    histories = int(words[0]) if words else 200
    wanted = words[1:]
    names = [name for name in MUTANTS
             if not wanted or any(word in name for word in wanted)]
    survived = []
    with futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for name, found in zip(names, pool.map(
                lambda name: _play(MUTANTS[name], histories), names)):
            print('%-52s %s' % (name, found), flush=True)
            if not found.startswith('found'):
                survived.append(name)
    print('%d survived%s' % (len(survived), ''.join(
        '\n  ' + name for name in survived)))
    return 1 if survived else 0


def broken(texts: Sequence[tuple[str, str, str]], agent: pathlib.Path
           ) -> dict[pathlib.Path, str]:
    """Return the files that a mutant changes, with what they say then.

    :raises ValueError: a text is not there, or several times.
    """
    found: dict[pathlib.Path, str] = {}
    for path, old, new in texts:
        file = agent / path
        text = found.get(file) or file.read_text(encoding='utf-8')
        if text.count(old) != 1:
            raise ValueError('its text is in %s %d times' % (
                path, text.count(old)))
        found[file] = text.replace(old, new)
    return found


def _play(texts: Sequence[tuple[str, str, str]], histories: int) -> str:
    """Return what became of the mutant."""
    with tempfile.TemporaryDirectory() as folder:
        copied = pathlib.Path(folder, 'os_brick')
        shutil.copytree(TREE / 'os_brick', copied,
                        ignore=shutil.ignore_patterns('tests', '*.pyc'))
        try:
            changed = broken(texts, pathlib.Path(folder, AGENT))
        except ValueError as error:
            return 'NOT MADE: %s' % error
        for file, text in changed.items():
            file.write_text(text, encoding='utf-8')
        played = 0
        while played < histories:
            output = _histories(folder, '--histories',
                                str(histories - played))
            found = re.search(r'BROKEN, seed (\d+): (.*)', output)
            count = re.search(r'(\d+) histories in', output)
            if count is None:
                return 'found at once: %s' % (
                    output.strip().split('\n')[-1] or 'it does not run')
            played += int(count[1])
            if found and 'BROKEN' not in _histories(
                    str(TREE), '--histories', '1', '--seed', found[1]):
                return 'found after %4d: %s' % (played, found[2][:90])
        return 'SURVIVED %d histories' % histories


def _histories(tree: str, *words: str) -> str:
    """Play them, or up to the first that is broken."""
    return subprocess.run(
        [sys.executable, '-W', 'ignore', '-m',
         'os_brick.agent.testing.simulation', '--first', *words],
        text=True, cwd=tree, env={**os.environ, 'PYTHONPATH': tree},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
