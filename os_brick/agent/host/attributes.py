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
"""Reading sysfs attributes often and cheaply, and what may be kept of them.

An attribute costs one open, one read and one close, and only the read where
it stays open (``descriptors``).  What cannot change during an object's life is
read once in it.

What tells an object from another that gets its name later is the inode
number which its directory's listing gives: sysfs counts these up and never
gives one out twice (fs/kernfs/dir.c, ``kernfs_new_node``: ``ino_idr`` is
cyclic, and its wrap-around is counted in the upper half of the number).
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Hashable
import errno
import os
from typing import Any
from typing import Generic
from typing import TypeVar

T = TypeVar('T')
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM))
# sysfs gives an attribute in one piece of at most a page (sysfs.rst)
PAGE = 4096
FLAGS = os.O_RDONLY | os.O_CLOEXEC


class Exhausted(Exception):
    """There was nothing left to look with, which says nothing of the host."""


def absent(error: OSError) -> None:
    """Take an error for "it is not there (any more)", if it may be.

    :raises Exhausted: it tells of us, and not of what was to be looked at.
    """
    if error.errno in _EXHAUSTED:
        raise Exhausted('this host cannot be looked at: %s'
                        % error.strerror) from error


def read(path: str, at: int | None = None) -> bytes | None:
    """Return an attribute, None where it is not there (any more).

    :param at: descriptor of the directory that ``path`` is relative to.
    :raises Exhausted: see ``absent``; so does all that looks.
    """
    try:
        descriptor = os.open(path, FLAGS, dir_fd=at)
    except OSError as error:
        absent(error)
        return None
    try:
        return os.read(descriptor, PAGE)
    except OSError as error:
        absent(error)
        return None
    finally:
        os.close(descriptor)


def text(raw: bytes | None) -> str:
    """Return what an attribute says; '' where it is not there."""
    return raw.decode('ascii', 'replace').strip() if raw else ''


def open_directory(path: str) -> int:
    """Return a descriptor for ``read``; the caller closes it.

    :raises FileNotFoundError: it is not there (any more).
    """
    try:
        return os.open(path, FLAGS | os.O_DIRECTORY)
    except OSError as error:
        absent(error)
        raise FileNotFoundError(path) from error


def without_links(path: str) -> str:
    """Return where a path leads; itself where it leads nowhere."""
    try:
        return os.path.realpath(path, strict=True)
    except OSError as error:
        # a link that went between two looks at it
        absent(error)
        return path


def link(path: str, at: int | None = None) -> str | None:
    """Return what a link says, None where it is not there (any more).

    :param at: descriptor of the directory that ``path`` is relative to.
    """
    try:
        return os.readlink(path, dir_fd=at)
    except OSError as error:
        absent(error)
        return None


def lines(path: str) -> list[str]:
    """Return the lines of a file of any length, none where it is not there."""
    try:
        with open(path, encoding='ascii', errors='replace') as stream:
            return stream.read().splitlines()
    except OSError as error:
        absent(error)
        return []


def names(path: str) -> list[str]:
    """Return the names in a directory, none where it has gone."""
    try:
        return sorted(os.listdir(path))
    except OSError as error:
        absent(error)
        return []


def identities(where: str | int, prefix: str = '') -> dict[str, int]:
    """Return name -> inode number for a directory, in no order.

    :param where: a path, or the descriptor of a directory.
    :param prefix: what the names begin with.
    """
    try:
        with os.scandir(where) as entries:
            if not prefix:
                return {entry.name: entry.inode() for entry in entries}
            return {entry.name: entry.inode() for entry in entries
                    if entry.name.startswith(prefix)}
    except OSError as error:
        absent(error)
        return {}


class Constants(Generic[T]):
    """What was read once of each object that is still there.

    :param settled: says of what was read whether it is whole; what is not
        yet is read again.
    """

    def __init__(self, settled: Callable[[T], bool] = lambda found: True
                 ) -> None:
        self._settled = settled
        self._kept: dict[tuple[str, int], T] = {}
        self._used: dict[tuple[str, int], T] = {}

    def get(self, name: str, identity: int,
            look: Callable[[str], T | None]) -> T | None:
        """Return what ``look`` finds for the object of that identity.

        The identity must have been listed before: what is looked up then is
        the object's, or that of one which has replaced it and has another
        identity.
        """
        key = (name, identity)
        found = self._kept.get(key)
        if found is None:
            found = look(name)
            if found is None or not self._settled(found):
                return found
        self._used[key] = found
        return found

    def forget_unused(self) -> None:
        """Drop what was not asked for since the last call."""
        self._kept, self._used = self._used, {}


class Latest:
    """The last value made, given again while it would equal; see Values."""

    def __init__(self) -> None:
        self._kept: tuple[object, Any] | None = None

    def get(self, make: Callable[..., T], *parts: object) -> T:
        """Return ``make(*parts)``, a frozen value of nothing but its parts.

        :raises ValueError: where ``make`` does.
        """
        if self._kept is None or self._kept[0] != parts:
            self._kept = parts, make(*parts)
        value: T = self._kept[1]
        return value


class Values:
    """The last value made under each key, given again while it would equal.

    No memory of the host: a value is made of parts that are read anew.  It
    saves making it, and comparing it, where nothing changed.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[object, Any]] = {}
        self._used: dict[Hashable, tuple[object, Any]] = {}

    def get(self, key: Hashable, make: Callable[..., T], *parts: object) -> T:
        """Return ``make(*parts)``, a frozen value of nothing but its parts.

        :raises ValueError: where ``make`` does.
        """
        kept = self._kept.get(key)
        if kept is None or kept[0] != parts:
            kept = (parts, make(*parts))
        self._used[key] = kept
        value: T = kept[1]
        return value

    def forget_unused(self) -> None:
        """Drop what was not asked for since the last call."""
        self._kept, self._used = self._used, {}
