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
"""The Grafana dashboard's panels, drawn with what the lab's agent has told.

Grafana itself is not asked: each panel's own queries are evaluated by a
Prometheus, and the answers drawn here, with the panel's title, place, unit,
legend and thresholds.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import sys
import tempfile
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import metrics  # noqa: E402
import panels  # noqa: E402

TREE = pathlib.Path(__file__).parents[2]
DASHBOARD = TREE / 'etc/grafana/nvme-agent.json'
SHOWN = TREE / 'doc/source/admin/screens'
#: What is left when a copy is in its midst: the dashboard's "now".
COPYING = 'nvme_agent_volume_resync_remaining_bytes'
UNIT, GAP, TOP = (50, 34), 8, 34
Answers = dict[str, Any]


def ask(prometheus: metrics.Prometheus, board: dict[str, Any], begin: float,
        end: float) -> Answers:
    """Return the answers to the queries of all panels."""
    found = []
    for panel in board['panels']:
        answers = []
        for target in panel['targets']:
            query = re.sub(r'\$\w+', '.*', target['expr'])
            answers.append(
                prometheus.now(query, end) if target.get('instant')
                else _drawn(prometheus.range(query, begin, end), begin))
        found.append({'title': panel['title'], 'answers': answers,
                      'queries': queries(panel)})
    return {'begin': begin, 'end': end, 'panels': found}


def queries(panel: dict[str, Any]) -> list[str]:
    return [target['expr'] for target in panel['targets']]


def _drawn(series: list[dict[str, Any]], begin: float
           ) -> list[dict[str, Any]]:
    """Return their runs without a gap, and of equal points only the ends."""
    for one in series:
        runs: list[list[list[float]]] = []
        for moment, value in one.pop('values'):
            point = [round(moment - begin, 1), float(value)]
            if not runs or point[0] - runs[-1][-1][0] > 1.5:
                runs.append([])
            run = runs[-1]
            if len(run) > 1 and run[-2][1] == run[-1][1] == point[1]:
                run.pop()
            run.append(point)
        one['runs'] = runs
    return series


def plot(board: dict[str, Any], answers: Answers) -> str:
    """Return the SVG's text."""
    width = 24 * UNIT[0] + GAP
    height = TOP + GAP + UNIT[1] * max(
        panel['gridPos']['y'] + panel['gridPos']['h']
        for panel in board['panels'])
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
        'viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">' % (
            width, height, width, height),
        '<rect width="100%%" height="100%%" fill="%s"/>' % panels.PAGE,
        '<text x="%d" y="23" font-size="15" fill="%s">%s</text>' % (
            GAP, panels.TEXT, board['title'])]
    seconds = answers['end'] - answers['begin']
    for panel, found in zip(board['panels'], answers['panels']):
        place = panel['gridPos']
        box = panels.Box(place['x'] * UNIT[0] + GAP,
                         place['y'] * UNIT[1] + TOP,
                         place['w'] * UNIT[0] - GAP,
                         place['h'] * UNIT[1] - GAP)
        parts += panels.draw(panel, found['answers'], box, seconds)
    return '\n'.join([*parts, '</svg>']) + '\n'


def moments(prometheus: metrics.Prometheus, taken: pathlib.Path
            ) -> tuple[float, float]:
    """Return from when to when: to the midst of the story's last copy."""
    with taken.open() as lines:
        times = metrics.times(lines)
    copied = prometheus.range('max(%s)' % COPYING, times[0], times[-1])
    runs: list[list[float]] = [[]]
    for moment, _left in copied[0]['values']:
        if runs[-1] and moment - runs[-1][-1] > 5:
            runs.append([])
        runs[-1].append(moment)
    return times[0], runs[-1][2 * len(runs[-1]) // 3]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('taken', type=pathlib.Path, nargs='?',
                        help='metrics.txt of the story; without it what was '
                             'asked the last time is drawn anew')
    parser.add_argument('--programs', type=pathlib.Path,
                        help='where prometheus and promtool are')
    options = parser.parse_args()
    board = json.loads(DASHBOARD.read_text())
    kept = SHOWN / 'dashboard.json'
    if options.taken:
        with (tempfile.TemporaryDirectory() as folder,
              metrics.served(options.taken, pathlib.Path(folder),
                             options.programs) as prometheus):
            answers = ask(prometheus, board, *moments(prometheus,
                                                      options.taken))
        kept.write_text(json.dumps(answers, sort_keys=True) + '\n')
    (SHOWN / 'dashboard.svg').write_text(plot(
        board, json.loads(kept.read_text())))
    return 0


if __name__ == '__main__':
    sys.exit(main())
