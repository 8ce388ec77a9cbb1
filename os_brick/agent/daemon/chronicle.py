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
"""Keeping what the agent says, so that an operator may ask for it later.

All that happens is said in the log at level INFO, or above: what was seen,
reported, requested, done and refused, and how long I/O stood still.  Here it
is caught, in whichever thread it is said, and written down by the passes:
the guard waits for no disk.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping
import logging
import os
import re

from oslo_config import cfg

from os_brick.agent import clock as clocks
from os_brick.agent import log_once
from os_brick.agent.reporting import document
from os_brick.agent.store import history

#: How many sentences wait for a pass at most; the oldest are dropped.
MOST = 5000
_WORD = re.compile(r'[\w.:+-]*\w')


class Chronicle(logging.Handler):
    """Catches the sentences, and writes them down when it is told to."""

    def __init__(self, conf: cfg.ConfigOpts,
                 clock: clocks.Clock = clocks.HOST) -> None:
        super().__init__(logging.INFO)
        self._conf = conf
        self._clock = clock
        self._log_once = log_once.LogOnce()
        self._waiting: collections.deque[
            tuple[float, str, str, Mapping[str, object]]] = (
                collections.deque(maxlen=MOST))
        self._names: dict[str, set[str]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._waiting.append((self._clock.wall(), record.levelname,
                                  record.getMessage(),
                                  getattr(record, 'extra', {})))
        except Exception:
            self.handleError(record)

    def write(self, shown: document.Document) -> None:
        """Write down what was said; a failure costs the history alone.

        :param shown: whose each array, replica and connection is.
        """
        # what has just gone is still spoken of
        before, self._names = self._names, _names(shown)
        happened = []
        while self._waiting:
            wall, level, sentence, fields = self._waiting.popleft()
            words = {*_WORD.findall(sentence)}
            happened.append(history.Happened(wall, level, tuple(sorted(
                {volume for names in (before, self._names)
                 for word in words & names.keys()
                 for volume in names[word]})), sentence, fields))
        if not happened:
            return
        try:
            history.History(os.path.join(
                self._conf.state_dir, history.FILE)).add(happened)
        except history.HistoryError as error:
            self._log_once.trouble('history', '%s: what is said is in the log '
                                   'only' % error)
        else:
            self._log_once.fine('history')


def _names(shown: document.Document) -> dict[str, set[str]]:
    """Return a name in a sentence -> the volumes that it stands for."""
    found: dict[str, set[str]] = {}
    for volume in shown['volumes']:
        names = {volume['alias'], volume['uuid']}
        if volume['array']:
            names.add(volume['array']['name'])
        for replica in volume['replicas']:
            names.add(replica['uuid'])
            names |= {path['controller'] for path
                      in replica.get('paths', ())}
        for name in names:
            found.setdefault(name, set()).add(volume['alias'])
    return found
