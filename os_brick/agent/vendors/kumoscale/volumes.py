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
"""Which of KumoScale's volumes are on this host, and are they believed?

Up to ``_SINGLY`` arrays, each one's volume is asked for by its UUID or its
alias; beyond, all volumes of the tenant are listed with one request.  What
is silent, empty or nonsensical about one volume leaves that one out, logged
once; it is then unknown, never gone.
"""

from __future__ import annotations

from collections.abc import Collection
import logging
import time
import urllib.parse

from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.vendors import base
from os_brick.agent.vendors.kumoscale import answers
from os_brick.agent.vendors.kumoscale import rest_client
from os_brick.agent.vendors.kumoscale import wire

LOG = logging.getLogger(__name__)
_SINGLY = 8


class Volumes:
    """Finds the volumes of arrays, and remembers whose array is whose.

    :ivar found: name of an array that is here -> the volume that it was found
        to belong to last.
    """

    def __init__(self, rest: rest_client.Rest, prefix: str,
                 log: log_once.LogOnce) -> None:
        self._rest = rest
        self._prefix = prefix
        self._log_once = log
        self._owners: dict[str, str] = {}
        self.found: dict[str, str] = {}
        self._too_many = False

    def of(self, arrays: Collection[model.Array]) -> list[answers.Parsed]:
        """Return the volumes that these arrays belong to.

        :raises ProvisionerError: nothing can be said of any of them.
        """
        here = {array.name for array in arrays}
        self._owners, self.found = (
            {name: uuid for name, uuid in known.items() if name in here}
            for known in (self._owners, self.found))
        if len(arrays) > _SINGLY and not self._too_many:
            try:
                return self._chosen(self._listed(arrays))
            except base.Rejected as refused:
                raise base.BadAnswer(str(refused)) from None
            except wire.TooLarge as error:
                self._too_many = True
                LOG.warning('%s; volumes are asked for one by one from now '
                            'on', error)
        return self._chosen(self._single(arrays))

    def now(self, uuid: str) -> answers.Parsed | None:
        """Return what one volume is like now, None where it is not known.

        :raises ProvisionerError: the provisioner does not say.
        """
        for entry in self._rest.get('%svolumes/%s' % (self._prefix, uuid)):
            try:
                parsed = answers.parse_volume(entry, time.time())
            except ValueError as error:
                raise base.BadAnswer(str(error)) from None
            if parsed.volume.uuid == uuid:
                return parsed
        return None

    def _listed(self, arrays: Collection[model.Array]
                ) -> dict[model.Array, list[answers.Json]]:
        by_claim: dict[str, list[answers.Json]] = {}
        for entry in self._rest.get(self._prefix + 'volumes'):
            for claim in set(answers.claims(entry)):
                by_claim.setdefault(claim, []).append(entry)
        found = {}
        for array in arrays:
            claims = [array.alias, self._owners.get(array.name)]
            claims += [leg.replica_uuid for leg in array.legs]
            found[array] = [entry for claim in dict.fromkeys(claims) if claim
                            for entry in by_claim.get(claim, [])]
        return found

    def _single(self, arrays: Collection[model.Array]
                ) -> dict[model.Array, list[answers.Json]]:
        found: dict[model.Array, list[answers.Json]] = {}
        error: base.ProvisionerError | None = None
        for array in sorted(arrays, key=lambda array: array.name):
            subject = 'array %s, its volume' % array.name
            try:
                found[array] = self._ask(array)
            except (base.Unauthorized, rest_client.Unreachable):
                raise   # it would be no different for the others
            except base.ProvisionerError as problem:
                self._log_once.trouble(subject, str(problem))
                error = problem
            else:
                self._log_once.fine(subject)
        if error is not None and not found:
            if isinstance(error, base.Rejected):
                raise base.BadAnswer(str(error))
            raise error
        return found

    def _ask(self, array: model.Array) -> list[answers.Json]:
        owner = self._owners.get(array.name)
        paths = ['volumes/' + owner] if owner else []
        if array.alias:
            paths.append('volumes_by_alias/' + urllib.parse.quote(
                array.alias, safe=''))
        if array.uuid and not owner:
            try:
                # newer clients give the array the UUID of its volume
                paths.append('volumes/' + model.normalise_uuid(
                    array.uuid.replace(':', '')))
            except ValueError:
                LOG.debug('array %s has no UUID to ask for', array.name)
        for path in paths:
            entries = self._rest.get(self._prefix + path)
            if entries:
                return entries
        return []

    def _chosen(self, found: dict[model.Array, list[answers.Json]]
                ) -> list[answers.Parsed]:
        chosen: dict[str, answers.Parsed] = {}
        for array, entries in found.items():
            parsed = self._choose(array, entries)
            if parsed is not None:
                self._owners[array.name] = parsed.volume.uuid
                self.found[array.name] = parsed.volume.uuid
                chosen[parsed.volume.uuid] = parsed
        return list(chosen.values())

    def _choose(self, array: model.Array,
                entries: list[answers.Json]) -> answers.Parsed | None:
        """Return the one volume that this array belongs to."""
        subject = 'array %s (%s), its volume' % (array.alias, array.name)
        candidates: dict[str, answers.Parsed] = {}
        troubles = []
        for entry in entries:
            try:
                parsed = answers.parse_volume(entry, time.time())
            except ValueError as error:
                troubles.append(str(error))
                continue
            if model.belongs(array, parsed.volume):
                candidates[parsed.volume.uuid] = parsed
            else:
                troubles.append(
                    'volume %s (%s) has the name but not the replicas of '
                    'this array' % (parsed.volume.alias, parsed.volume.uuid))
        best = list(candidates.values())
        if len(best) == 1:
            self._log_once.fine(subject)
            return best[0]
        if best:
            troubles = ['volumes %s all claim the array' % ', '.join(
                sorted(parsed.volume.uuid for parsed in best))]
        elif not entries and array.name in self._owners:
            troubles = ['the provisioner does not list it any more']
        if entries:
            self._owners.pop(array.name, None)   # ask by the alias again
        if troubles:
            self._log_once.trouble(subject, 'not believed: %s' % (
                '; '.join(dict.fromkeys(troubles))))
        return None
