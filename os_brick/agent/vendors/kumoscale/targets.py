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
"""Where a replica of a KumoScale volume is reached: its target and portals.

Two layouts are understood.  Older provisioners have one target for each
replica's backend, each with its own NQN; newer ones have one target for the
whole volume, whose NQN the portals of all backends share.  Looked up only for
replicas that have to be connected, and kept for some passes: a replica that
stays away must not cost its requests in every pass.

A publication also gives back what Cinder has withdrawn, from a host that was
declared dead, say, whose volume another host writes to by now.  Therefore
(S12) it is asked for only while the volume's array has a leg that is in sync
and not itself looked for, and while the provisioner still lists a target of
the volume for this host.
"""

from __future__ import annotations

from collections.abc import Collection
import dataclasses
import urllib.parse

from os_brick.agent import log_once
from os_brick.agent import model
from os_brick.agent.vendors import base
from os_brick.agent.vendors.kumoscale import answers
from os_brick.agent.vendors.kumoscale import rest_client

# Passes for which an answer is used before it is asked for again.
_KEEP = 10
_PUBLISHED = ('AlreadyPublished',)


def publish(rest: rest_client.Rest, prefix: str, host: model.Host,
            volume: str) -> None:
    """Give the volume, with all its replicas, to this host; idempotent.

    :raises ProvisionerError: it was not done.
    """
    body = {'volId': volume}
    if host.uuid:
        body['hostId'] = host.uuid
    try:
        rest.call('POST', prefix + 'publish', body)
    except rest_client.Refused as refused:
        if refused.word not in _PUBLISHED:
            raise


@dataclasses.dataclass
class _Kept:
    """What was found out of a replica's target, for some passes.

    :ivar left: passes for which it is still good.
    """

    backend: str
    target: model.Target
    left: int = _KEEP


class Targets:
    """Looks targets up, and remembers them while they are asked for."""

    def __init__(self, rest: rest_client.Rest, prefix: str,
                 log: log_once.LogOnce) -> None:
        self._rest = rest
        self._prefix = prefix
        self._log_once = log
        self._kept: dict[str, _Kept] = {}
        self._portals: dict[str, tuple[model.Portal, ...]] = {}

    def begin(self, wanted: Collection[str]) -> None:
        """Start a pass: what nobody asks for any more is forgotten."""
        self._portals = {}
        for replica in list(self._kept):
            kept = self._kept[replica]
            kept.left -= 1
            if replica not in wanted or kept.left < 0:
                del self._kept[replica]

    def resolve(self, host: model.Host, parsed: answers.Parsed,
                wanted: Collection[str], arrays: Collection[model.Array] = ()
                ) -> dict[str, model.Target]:
        """Return the targets of those replicas of a volume that have one.

        What cannot be found out is logged; the volume is served without.

        :param arrays: those of this host.
        """
        found: dict[str, model.Target] = {}
        missing: list[str] = []
        for replica in parsed.volume.replicas:
            if replica.uuid not in wanted:
                continue
            kept = self._kept.get(replica.uuid)
            if kept and kept.backend == parsed.backends[replica.uuid]:
                found[replica.uuid] = kept.target
            else:
                missing.append(replica.uuid)
        if missing:
            subject = 'volume %s, targets' % parsed.volume.alias
            try:
                nqns = self._nqns(host, parsed, missing, wanted,
                                  _in_sync(parsed, arrays))
            except (base.ProvisionerError, ValueError) as error:
                self._log_once.trouble(subject, str(error))
                return found
            self._log_once.fine(subject)
            for uuid in missing:
                self._keep(parsed, uuid, nqns.get(uuid), found)
        return found

    def _keep(self, parsed: answers.Parsed, uuid: str, nqn: str | None,
              found: dict[str, model.Target]) -> None:
        subject = 'volume %s, replica %s' % (parsed.volume.alias, uuid)
        backend = parsed.backends[uuid]
        if nqn is None:
            self._log_once.trouble(subject, 'the provisioner lists no target '
                                   'on its backend %s' % backend)
            return
        try:
            portals = self._backend(backend)
        except (base.ProvisionerError, ValueError) as error:
            self._log_once.trouble(subject, str(error))
            return
        if not portals:
            self._log_once.trouble(
                subject, 'its backend %s has no portals' % backend)
            return
        self._log_once.fine(subject)
        target = model.Target(nqn, portals)
        self._kept[uuid] = _Kept(backend, target)
        found[uuid] = target

    def _nqns(self, host: model.Host, parsed: answers.Parsed,
              missing: Collection[str], wanted: Collection[str],
              legs: frozenset[str]) -> dict[str, str]:
        """Replica -> NQN.

        Published first, where that may be: a new replica's target may be
        listed, or let this host in, only after that.  Where all legs are
        looked for, and nothing else is, they lack paths: they have access.

        :param legs: replicas that are in sync in the array.  md never drops
            the last one and goes on calling it in sync when its target is
            lost; but a replica that is looked for may not be connected.
        """
        refusal: base.Rejected | None = None
        held = legs.difference(wanted)
        if (held or not legs.issuperset(missing)) and self._may_publish(
                host, parsed, held):
            try:
                publish(self._rest, self._prefix, host, parsed.volume.uuid)
            except base.Rejected as refused:
                refusal = refused   # older replicas may be listed all the same
        listed = self._list(host, parsed.volume.uuid)
        nqns = _match(listed, parsed, missing)
        subject = 'volume %s, publication' % parsed.volume.alias
        if refusal is not None and len(nqns) < len(missing):
            self._log_once.trouble(subject, str(refusal))
            return nqns
        self._log_once.fine(subject)
        if len(listed) == 1 and len(nqns) < len(missing) and (
                len(parsed.volume.replicas) > 1):
            nqns = dict.fromkeys(missing, listed[0].nqn)
        return nqns

    def _may_publish(self, host: model.Host, parsed: answers.Parsed,
                     held: Collection[str]) -> bool:
        """This host has the volume: its array lives, and it is listed (S12).

        Without a UUID of this host the provisioner lists every host's
        targets, and the array alone tells.

        :param held: replicas by which the array lives.
        """
        subject = 'volume %s, access' % parsed.volume.alias
        if not held:
            self._log_once.trouble(
                subject, 'it is not published again: no leg of its array is '
                'in sync and connected, and what was withdrawn from this '
                'host is not asked for')
            return False
        if host.uuid and not self._list(host, parsed.volume.uuid):
            self._log_once.trouble(
                subject, 'it is not published again: the provisioner lists '
                'no target of it for this host any more, so that its access '
                'was withdrawn')
            return False
        self._log_once.fine(subject)
        return True

    def _list(self, host: model.Host, volume: str) -> list[answers.Subsystem]:
        query = {'volId': volume}
        if host.uuid:
            query['hostId'] = host.uuid
        return answers.parse_targets(self._rest.get('targets', query))

    def _backend(self, persistent_id: str) -> tuple[model.Portal, ...]:
        if persistent_id not in self._portals:
            self._portals[persistent_id] = answers.parse_portals(
                self._rest.get('backends/' + urllib.parse.quote(
                    persistent_id, safe='')), persistent_id)
        return self._portals[persistent_id]


def _in_sync(parsed: answers.Parsed,
             arrays: Collection[model.Array]) -> frozenset[str]:
    """Return the replicas that are in sync in the volume's array."""
    return frozenset(
        leg.replica_uuid for array in arrays
        if model.belongs(array, parsed.volume) for leg in array.in_sync
        if leg.replica_uuid in parsed.backends)


def _match(listed: list[answers.Subsystem], parsed: answers.Parsed,
           missing: Collection[str]) -> dict[str, str]:
    """Match targets to replicas by the backend.

    A single target that names no backend is the whole volume's.
    """
    if len(listed) == 1 and not listed[0].backend:
        return dict.fromkeys(missing, listed[0].nqn)
    by_backend = {target.backend: target.nqn for target in listed
                  if target.backend}
    return {uuid: by_backend[parsed.backends[uuid]] for uuid in missing
            if parsed.backends[uuid] in by_backend}
