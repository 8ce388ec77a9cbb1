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
"""What an agent of the lab waits for less long than one of an operator.

These times are constants of the program: what bounds them are other hosts and
targets that the lab does not have.  A test that is not about one of them pays
for it with seconds in which nothing happens, so a forked agent gets a shorter
one.  An agent that is executed has its own: those of the tests with
``base.by_console_script``, and all of them where LAB_FORK is 0.  A test of a
time itself takes its name out of ``Agent.shortened``.
"""

from __future__ import annotations

from collections.abc import Mapping

#: What a target may still execute that it was sent (S13): here it has done so
#: when its connection ends.
HOLD = 'os_brick.agent.safety.late_writes.HOLD'
#: For how long a new replica may take to arrive.
ARRIVAL = 'os_brick.agent.healing.volume_view.ARRIVAL'
#: After how long a request that was not granted is made once more.
AGAIN = 'os_brick.agent.healing.replica_record.AGAIN'

#: Name of the constant -> seconds.
TIMES: Mapping[str, float] = {HOLD: 2.0, AGAIN: 6.0}
