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
"""What a check finds, in the form of OpenStack's upgrade checks."""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import enum


class Code(enum.IntEnum):
    """The worst of all is the exit status."""

    SUCCESS = 0
    WARNING = 1
    FAILURE = 2


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one check found.

    :ivar about: what was looked at, in a few words.
    :ivar details: what is so, in a sentence; it names file, option or value.
    :ivar remedy: what to do, '' where all is well.
    """

    about: str
    code: Code
    details: str
    remedy: str = ''


def fine(about: str, details: str) -> Finding:
    return Finding(about, Code.SUCCESS, details)


def warning(about: str, details: str, remedy: str) -> Finding:
    return Finding(about, Code.WARNING, details, remedy)


def failure(about: str, details: str, remedy: str) -> Finding:
    return Finding(about, Code.FAILURE, details, remedy)


def worst(found: Iterable[Finding]) -> Code:
    return max((one.code for one in found), default=Code.SUCCESS)
