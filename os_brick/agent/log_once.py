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

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import logging

LOG = logging.getLogger(__name__)


class LogOnce:
    """Says a trouble when it begins or changes, and when it is over."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def trouble(self, subject: str, text: str,
                level: int = logging.WARNING,
                fields: Mapping[str, object] | None = None) -> bool:
        """Say it; False when it was said before.

        :param fields: what it is about, see ``log_fields``.
        """
        if self._said.get(subject) == text:
            return False
        self._said[subject] = text
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
