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
"""What a person may ask of the double beyond the provisioner's own API.

    GET     control/faults      the kinds of faults, each with its meaning
    POST    control/faults      wait for a request and spoil it
    DELETE  control/faults      no faults any more
    GET     control/requests    the requests so far, as 'METHOD path'
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from os_brick.agent.testing.kumoscale import api
from os_brick.agent.testing.kumoscale import faults


def answer(waiting: faults.Faults, calls: Sequence[str], method: str,
           path: str, body: Any) -> Any:
    """Carry out one call; return the JSON of its answer."""
    call = (method, path.strip('/').removeprefix('control/'))
    if call == ('GET', 'requests'):
        return [one for one in calls if ' control/' not in one]
    if call == ('GET', 'faults'):
        return faults.KINDS
    if call == ('DELETE', 'faults'):
        waiting.clear()
        return api.SUCCESS
    if call == ('POST', 'faults'):
        try:
            waiting.add(faults.Fault(**body))
        except (TypeError, ValueError) as error:
            return api.refusal('ParametersError', str(error))
        return api.SUCCESS
    return api.refusal('NotFound', 'no such call: %s %s' % (method, path))
