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
"""A look at a host's part of the fleet, by one who only asks."""

from __future__ import annotations

from os_brick.agent import model
from os_brick.agent.vendors.fleet import changes
from os_brick.agent.vendors.fleet import fields
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store


def look(etcd: store.Store, keys: schema.Keys, host: str
         ) -> tuple[tuple[model.Volume, ...], tuple[str, ...]]:
    """Return a host's volumes, and what is wrong with those left out.

    Nothing is held against what was seen before, and nothing is kept.

    :raises base.ProvisionerError: nothing can be said.
    """
    view = etcd.read([keys.schema], [keys.host(host)])
    store.fleet(view, keys)
    fenced = view.get(keys.fenced(host)).text
    found, left_out = [], []
    for uuid, value in view.below(keys.volumes(host)).items():
        try:
            volume = changes.describe(schema.load_record(value.text), host,
                                      fenced)
        except (fields.Nonsense, ValueError, TypeError) as error:
            left_out.append('etcd, volume %s: left out: %s' % (uuid, error))
            continue
        if volume is not None:
            found.append(volume)
    return tuple(found), tuple(left_out)
