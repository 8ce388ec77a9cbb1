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
"""The pool as etcd has it: spares, and which volume has each namespace."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import random

from os_brick.agent import log_once
from os_brick.agent.vendors.fleet import fields
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store
from os_brick.agent.vendors.inventory import inventory_file
from os_brick.agent.vendors.inventory import pool

#: Keys that one transaction reads; etcd allows 128 (--max-txn-ops).
_AT_ONCE = 100
Best = Callable[[list[inventory_file.Spare], dict[str, schema.Use]],
                pool.Choice]


class Namespaces:
    """Which namespaces are free, and whose the others are.

    :param believed: raises where etcd, as it was read, is not.
    """

    def __init__(self, etcd: store.Store, keys: schema.Keys,
                 believed: Callable[[store.View], object]) -> None:
        self._store = etcd
        self._keys = keys
        self._believed = believed
        self._log_once = log_once.LogOnce()

    def listed(self, view: store.View) -> list[inventory_file.Spare]:
        """Return the spares, those that are equally good in no order.

        Many hosts choose at the same time, and each wants the first.
        """
        found = []
        for uuid, value in view.below(self._keys.spares).items():
            subject = 'etcd, spare %s' % uuid
            try:
                spare = schema.load_spare(value.text)
                if spare.backing.uuid != uuid:
                    raise fields.Nonsense('it is the document of %s'
                                          % spare.backing.uuid)
            except fields.Nonsense as error:
                self._log_once.trouble(subject, 'not used: %s' % error)
                continue
            self._log_once.fine(subject)
            found.append(spare)
        random.shuffle(found)
        return found

    def choose(self, spares: list[inventory_file.Spare], best: Best
               ) -> tuple[pool.Choice, dict[str, store.Value],
                          dict[str, schema.Use]]:
        """Choose a spare; ask who has it only of as many as it takes.

        One of which that was not asked yet counts as nobody's.  It was not
        worth the asking where a better one is free.

        :param best: chooses among spares, by who has them.
        :returns: the choice, what was read, and what of it can be.
        """
        used: dict[str, store.Value] = {}
        uses: dict[str, schema.Use] = {}
        while True:
            # of those that are equally good, first the ones that are known
            choice = best(sorted(
                (spare for spare in spares if spare.backing.uuid in uses
                 or not used.get(spare.backing.uuid, store.Value()).revision),
                key=lambda spare: spare.backing.uuid not in used), uses)
            if choice.spare is None or choice.spare.backing.uuid in used:
                return choice, used, uses
            unread = [spare.backing.uuid for spare in spares
                      if spare.backing.uuid not in used]
            unread.remove(choice.spare.backing.uuid)
            more = self.uses([choice.spare.backing.uuid,
                              *unread[:_AT_ONCE - 1]])
            used.update(more)
            uses.update(self.readable(more))

    def uses(self, uuids: Iterable[str]) -> dict[str, store.Value]:
        """Return what stands in etcd of who has each of these."""
        wanted = list(uuids)
        found = {}
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start:start + _AT_ONCE]
            view = self._store.read([self._keys.schema] + [
                self._keys.uses + uuid for uuid in some])
            self._believed(view)
            found.update({uuid: view.get(self._keys.uses + uuid)
                          for uuid in some})
        return found

    def readable(self, used: dict[str, store.Value]
                 ) -> dict[str, schema.Use]:
        """Return those that can be read; the others are nobody's to take."""
        found = {}
        for uuid, value in used.items():
            if not value.revision:
                continue
            subject = 'etcd, use of %s' % uuid
            try:
                found[uuid] = schema.load_use(value.text)
            except fields.Nonsense as error:
                self._log_once.trouble(subject, 'it is not taken: %s' % error)
            else:
                self._log_once.fine(subject)
        return found
