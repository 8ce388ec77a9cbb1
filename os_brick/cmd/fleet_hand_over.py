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
"""nvme-agent-fleet hand-over: until the host before has let go of the volume.

Its agent says so in its next pass.  Until then nobody heals the volume, and
I/O is guarded on both hosts.
"""

from __future__ import annotations

from collections.abc import Mapping
import sys
import time
from typing import Any

from os_brick.agent.vendors import base
from os_brick.agent.vendors.fleet import admin

#: Seconds between two looks.
PAUSE = 1.0


def run(operator: admin.Operator, volume: str, host: str, force: bool,
        stopped: bool, timeout: float) -> dict[str, Any]:
    """Hand a volume over; wait for the host before, but not for ever.

    :raises base.ProvisionerError: nothing was changed, or, where that is
        said, it was handed to a third host meanwhile.
    """
    end = time.monotonic() + timeout
    under_way = operator.hand_over(volume, host, force, stopped)
    trouble = ''
    if under_way.waits_for:
        print('waiting until the agent of the host %s has said that it no '
              'longer heals %s' % (', '.join(under_way.waits_for), volume),
              file=sys.stderr, flush=True)
    while under_way.waits_for and time.monotonic() < end:
        time.sleep(PAUSE)
        try:
            under_way.look()
            under_way.step()
            trouble = ''
        except base.Unavailable as error:
            trouble = str(error)
    return {'volume': volume, 'host': host, 'trouble': trouble,
            'waits_for': list(under_way.waits_for),
            'silent': [one for one in under_way.waits_for
                       if one not in under_way.documents.alive]}


def lines(found: Mapping[str, Any]) -> list[str]:
    if not found['waits_for']:
        return ['the host %(host)s heals %(volume)s' % found]
    waits = ', '.join(found['waits_for'])
    return [
        'NOBODY heals %s: the agent of the host %s has not said yet that it '
        'no longer does%s' % (found['volume'], waits, (
            ': %s' % found['trouble'] if found['trouble'] else
            '; it does not show itself any more' if found['silent'] else '')),
        'Run this again to go on, or hand it over to %s to go back. An agent '
        'of a release without this never says it; when you know that %s does '
        'not use the volume any more, say --source-stopped.' % (waits, waits)]
