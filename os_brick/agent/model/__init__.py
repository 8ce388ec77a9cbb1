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
"""The nouns: volumes, devices, snapshots, actions and events.

All are frozen values: no I/O, no clock, no configuration.  This room imports
no other one.
"""

from os_brick.agent.model.devices import Array
from os_brick.agent.model.devices import belongs
from os_brick.agent.model.devices import Controller
from os_brick.agent.model.devices import held_by
from os_brick.agent.model.devices import IoCounters
from os_brick.agent.model.devices import Leg
from os_brick.agent.model.devices import Namespace
from os_brick.agent.model.devices import Subsystem
from os_brick.agent.model.events import Event
from os_brick.agent.model.examinations import Certificate
from os_brick.agent.model.examinations import Examination
from os_brick.agent.model.volumes import Host
from os_brick.agent.model.volumes import normalise_address
from os_brick.agent.model.volumes import normalise_uuid
from os_brick.agent.model.volumes import Portal
from os_brick.agent.model.volumes import Replica
from os_brick.agent.model.volumes import ReplicaState
from os_brick.agent.model.volumes import Resync
from os_brick.agent.model.volumes import Target
from os_brick.agent.model.volumes import Volume

__all__ = [
    'Array', 'belongs', 'Certificate', 'Controller', 'Event', 'Examination',
    'held_by', 'Host', 'IoCounters', 'Leg', 'Namespace', 'normalise_address',
    'normalise_uuid', 'Portal', 'Replica', 'ReplicaState', 'Resync',
    'Subsystem', 'Target', 'Volume',
]
