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
"""Tell the running agent that os-brick has just attached a volume.

os-brick's NVMe-oF connector imports this module where it is installed and
calls ``NVMeOFAgent.ensure_running`` at the end of every replicated attach,
inside nova-compute.  The call is therefore bound to do next to nothing: one
datagram, never waited for, never an exception.  A nudge that gets lost costs
at most one poll interval, because the agent looks again by itself.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading

LOG = logging.getLogger(__name__)

RUN_DIR_VARIABLE = 'NVME_AGENT_RUN_DIR'
DEFAULT_RUN_DIR = '/run/nvme-agent'
SOCKET_NAME = 'nudge.sock'

# What the datagram says.  The agent does not read it: that one came is all.
MESSAGE = b'attached\n'

# Full queue: the agent has nudges waiting, so it will look again anyway.
_ALREADY_NUDGED = (errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS)


def socket_path() -> str:
    """Return where the running agent listens for nudges."""
    run_dir = os.environ.get(RUN_DIR_VARIABLE) or DEFAULT_RUN_DIR
    return os.path.join(run_dir, SOCKET_NAME)


class NVMeOFAgent:
    """The name under which os-brick knows the agent."""

    _warn_lock = threading.Lock()
    _warned = False

    @classmethod
    def ensure_running(cls, connector: object) -> None:
        """Wake the agent up so that it looks at the new volume at once.

        os-brick's word for this call promises more than it does: systemd
        starts the agent, not nova.  Where no agent listens the process is
        told so once, in its log.  Never raises and never blocks.

        :param connector: os-brick's connector; not used.
        """
        path = socket_path()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto(MESSAGE, path)
        except OSError as exc:
            if exc.errno not in _ALREADY_NUDGED:
                cls._warn(path, exc.strerror or str(exc))
        except Exception as exc:  # an attach must not fail because of us
            cls._warn(path, str(exc))

    @classmethod
    def _warn(cls, path: str, reason: str) -> None:
        """Say once per process that the replicas are not watched."""
        with cls._warn_lock:
            if cls._warned:
                return
            cls._warned = True
        LOG.warning('nvme-agent could not be told of a new attachment: '
                    '%(path)s: %(reason)s. Replicated NVMe-oF volumes on '
                    'this host are not healed unless nvme-agent runs (unit '
                    'nvme-agent.service). This is said once.',
                    {'path': path, 'reason': reason})
