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
"""Nothing is put into an array before its first write here (S15); pure.

While a volume is on two hosts, of a live migration say, one of them writes:
the one that has the virtual machine.  A leg that the other one put in would
get what was there when it was copied; what is written later md there neither
copies to it nor marks, and calls it in sync all the same.  When the virtual
machine has moved there, what it wrote is lost.

Who writes is read off the array itself: the kernel counts for each disk what
its users have written (``stat``).  md's own superblocks, bitmaps and copies go
past that count, and so do reads; a file system that is made or mounted, and a
database that is started, do not.  It begins anew when the array is put
together: after an attach, and after a boot.

It is evidence of who has the volume, not proof: a host that has written is
believed until its array is stopped, also when the virtual machine has left.
That somebody has it open would tell less: the destination of a migration opens
it before anything has moved.
"""

from __future__ import annotations

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.safety import laws


def waits(action: act.Action, array: model.Array) -> str | None:
    """Return why an action waits for the first write, None where it may go.

    What is dropped, removed or shrunk need not wait.  What another host has
    marked on the legs is not this one's to keep.
    """
    puts_in = isinstance(action, act.AddLeg | act.ReplaceLeg
                         | act.KeepMarked) or (
        isinstance(action, act.Resize)
        and action.raid_disks > array.raid_disks)
    if puts_in and array.unwritten:
        return laws.Law.S15.refuses('%s', array.unwritten)
    return None
