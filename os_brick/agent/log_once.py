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
"""Log lines that repeat in every pass, said once until they change."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import logging

LOG = logging.getLogger(__name__)


#: So many lines of one kind are said as they are.
FEW = 3
#: Troubles that are remembered at most: some that nobody takes away, as the
#: last of a volume that a driver never hears of again.
MOST = 10000


def say_together(lines: Sequence[Line]) -> None:
    """Say lines of one moment; of many warnings of one kind one is a warning.

    It counts the others, which are said a level below.  What is worse than a
    warning is said as it is.
    """
    numbers = collections.Counter((line.kind, line.level) for line in lines)
    counted: set[str] = set()
    for line in lines:
        number = numbers[line.kind, line.level]
        if line.level != logging.WARNING or number <= FEW:
            LOG.log(line.level, '%s', line.text, extra=line.fields)
        elif line.kind in counted:
            LOG.info('%s', line.text, extra=line.fields)
        else:
            counted.add(line.kind)
            LOG.warning('%s; and %d more of the kind %s, each with a line of '
                        'level INFO', line.text, number - 1, line.kind,
                        extra=line.fields)


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of the log.

    :ivar kind: what is counted together.
    :ivar fields: see ``log_fields``.
    """

    kind: str
    level: int
    text: str
    fields: Mapping[str, object]


class LogOnce:
    """Says a trouble when it begins or changes, and when it is over."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}
        # what was said since ``begin``; None: nobody calls that
        self._texts: set[str] | None = None
        # the same, of every level that is worth an operator's look
        self._just: list[str] = []

    def begin(self) -> None:
        """Of what is said with the same words from now on, one is a warning.

        A target that dies is a trouble of each volume on it: the others are
        said a level below.
        """
        self._texts, self._just = set(), []

    def just_said(self, words: str) -> bool:
        """Whether these words were part of a trouble since ``begin``."""
        return any(words in text for text in self._just)

    def trouble(self, subject: str, text: str,
                level: int = logging.WARNING,
                fields: Mapping[str, object] | None = None) -> bool:
        """Say it; False when it was said before.

        :param fields: what it is about, see ``log_fields``.
        """
        if self._said.get(subject) == text:
            return False
        # what was said last is the last to be forgotten
        self._said.pop(subject, None)
        self._said[subject] = text
        if len(self._said) > MOST:
            del self._said[next(iter(self._said))]
        if self._texts is not None and level >= logging.WARNING:
            self._just.append(text)
            if level == logging.WARNING:
                if text in self._texts:
                    level = logging.INFO
                self._texts.add(text)
        LOG.log(level, '%s: %s', subject, text, extra=fields)
        return True

    def defect(self, subject: str, error: BaseException) -> None:
        """Say it with a traceback; to be called while it is handled."""
        if self.trouble(subject, 'defect: %s: %s' % (type(error).__name__,
                                                     error)):
            LOG.exception('%s', subject)

    @contextlib.contextmanager
    def sheltered(self, subject: str) -> Iterator[None]:
        """Let a defect here not cost others their turn."""
        try:
            yield
        except Exception as error:
            self.defect(subject, error)
        else:
            self.forget(subject)

    def standing(self) -> tuple[str, ...]:
        """Return what was said and is not over, a sentence each."""
        return tuple('%s: %s' % pair for pair in self._said.items())

    def troubled(self, subject: str) -> bool:
        return subject in self._said

    def fine(self, subject: str) -> None:
        if self._said.pop(subject, None) is not None:
            LOG.info('%s: works again', subject)

    def forget(self, subject: str) -> None:
        """The trouble went away together with its subject."""
        self._said.pop(subject, None)

    def forget_volume(self, alias: str) -> None:
        """A volume went away, and with it all that was the matter with it.

        Where it comes back, that is said anew.
        """
        begin, end = 'volume %s,' % alias, ' of volume %s' % alias
        for subject in [one for one in self._said
                        if one.startswith(begin) or one.endswith(end)]:
            del self._said[subject]
