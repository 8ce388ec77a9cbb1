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
"""The fields of a document, each of the kind it has to be; pure."""

from __future__ import annotations

from collections.abc import Mapping
import json
import sys
import typing

from os_brick.agent import model
from os_brick.agent.vendors.inventory import inventory_file


class Nonsense(Exception):
    """A document cannot be believed; the text says why."""


class Fields:
    """The fields of a JSON object; each complaint names the field."""

    def __init__(self, source: str | Mapping[str, typing.Any]) -> None:
        if isinstance(source, str):
            try:
                source = json.loads(source)
            except (ValueError, RecursionError):
                raise Nonsense('it is not JSON') from None
        if not isinstance(source, dict):
            raise Nonsense('it is no JSON object')
        self._said = source

    def get(self, name: str) -> typing.Any:
        return self._said.get(name)

    def text(self, name: str, default: str | None = None) -> str:
        value = self._said.get(name, default)
        if not isinstance(value, str) or not (value or default is not None):
            raise Nonsense('its field %s is no text' % name)
        return value

    def number(self, name: str, default: int | None = None) -> int:
        value = self._said.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise Nonsense('its field %s is no count' % name)
        return value

    def flag(self, name: str) -> bool:
        value = self._said.get(name, False)
        if not isinstance(value, bool):
            raise Nonsense('its field %s is neither true nor false' % name)
        return value

    def seconds(self, name: str) -> float | None:
        value = self._said.get(name)
        if value is None:
            return None
        if (not isinstance(value, (int, float)) or isinstance(value, bool)
                or not 0 <= value <= sys.float_info.max):
            raise Nonsense('its field %s is no time' % name)
        return float(value)

    def size(self) -> int | None:
        value = self._said.get('size')
        if value is not None and self.number('size') == 0:
            raise Nonsense('its field size is 0')
        return typing.cast('int | None', value)

    def items(self, name: str) -> list[typing.Any]:
        value = self._said.get(name)
        if not isinstance(value, list):
            raise Nonsense('its field %s is no list' % name)
        return value

    def words(self, name: str) -> list[str]:
        found = self.items(name)
        if not all(isinstance(one, str) for one in found):
            raise Nonsense('its field %s is no list of words' % name)
        return found

    def uuid(self, name: str) -> str:
        try:
            return model.normalise_uuid(self._said.get(name, ''))
        except (TypeError, ValueError):
            raise Nonsense('its field %s is no UUID' % name) from None

    def uuid_or_none(self, name: str) -> str | None:
        return None if self._said.get(name) is None else self.uuid(name)

    def backing(self) -> inventory_file.Backing:
        try:
            target = model.Target(self.text('nqn'), tuple(
                model.Portal(*portal) for portal in self.items('portals')))
        except (TypeError, ValueError) as error:
            raise Nonsense('its target: %s' % error) from None
        domain = self.text('failure_domain', '') if self._said.get(
            'failure_domain') is not None else None
        return inventory_file.Backing(self.uuid('namespace'), target,
                                      domain, self.size())
