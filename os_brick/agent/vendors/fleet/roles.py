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
"""What a host's user of etcd is allowed; pure."""

from __future__ import annotations

from os_brick.agent.vendors.fleet import schema

ROLE = 'nvme-agent-%s'


def commands(prefix: str, host: str) -> list[str]:
    """Return the arguments of etcdctl that make the role of a host's user.

    It may write what is below the host's own key, the host's lease key,
    events and copies, and say which namespaces it has; of what is the
    fleet's it may read the schema, the spares, the cordons and all copies,
    and take its turn to begin one.
    """
    keys = schema.Keys(prefix)
    role = ROLE % schema.quote(host)
    grant = 'role grant-permission %s' % role
    return ['role add %s' % role] + [
        '%s --prefix=true readwrite %s' % (grant, key)
        for key in (keys.host(host), keys.events(host), keys.uses,
                    keys.resyncs_of(host))] + [
        '%s readwrite %s' % (grant, keys.alive(host)),
        '%s readwrite %s' % (grant, keys.turn),
        '%s read %s' % (grant, keys.schema)] + [
        '%s --prefix=true read %s' % (grant, key)
        for key in (keys.spares, keys.cordons, keys.resyncs)]
