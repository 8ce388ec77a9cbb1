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
"""Keeping this process in memory, so that it can act while no disk answers.

The guard and its helper are needed most when the very disk stands still from
which a page of theirs would have to be read, be it the swap space or the file
of a library.  multipathd does the same for the same reason.
"""

from __future__ import annotations

import ctypes
import os
import resource

# bits/mman-linux.h
_CURRENT, _FUTURE, _ON_FAULT = 1, 2, 4
# linux/capability.h
_IPC_LOCK = 14


def lock() -> str:
    """Keep in memory what is there, and what is to come once it was used.

    What is mapped now is read in, libraries included.  What is mapped later
    is kept from its first use on: the stacks of threads, of which a small
    part is ever used, would otherwise fill the memory.  It is not inherited
    by programs that are started (mlockall(2)).

    :returns: why it could not be done, '' where it was.
    """
    if not _unlimited():
        # later allocations would fail at the limit
        return ('LimitMEMLOCK= of the unit is not infinity (now %d bytes)'
                % resource.getrlimit(resource.RLIMIT_MEMLOCK)[0])
    libc = ctypes.CDLL(None, use_errno=True)
    for flags in (_CURRENT, _CURRENT | _FUTURE | _ON_FAULT):
        if libc.mlockall(flags):
            why = os.strerror(ctypes.get_errno())
            libc.munlockall()
            return why
    return ''


def _unlimited() -> bool:
    """As much may be kept as there is."""
    hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    if hard == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
        return True
    return bool(_effective() >> _IPC_LOCK & 1)


def _effective() -> int:
    """The capabilities of this process, one bit each."""
    try:
        with open('/proc/self/status', encoding='ascii') as status:
            for line in status:
                if line.startswith('CapEff:'):
                    return int(line.split()[1], 16)
    except OSError:
        pass
    return 0
