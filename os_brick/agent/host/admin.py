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
"""NVMe admin commands, sent by ioctl: no program is started for them.

linux/nvme_ioctl.h, struct nvme_admin_cmd; NVM Express Base Specification,
Set Features and Keep Alive Timer (Feature Identifier 0Fh).
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading

from os_brick.agent.host import commands

#: Seconds; what has no answer by then goes on by itself.
PATIENCE = 1.0
# _IOWR('N', 0x41, struct nvme_admin_cmd)
_ADMIN_COMMAND = 0xC0484E41
# opcode flags reserved nsid cdw2 cdw3 metadata addr metadata_len data_len
# cdw10-15 timeout_ms result
_COMMAND = struct.Struct('=BBHIIIQQII6III')
_SET_FEATURES, _KEEP_ALIVE_TIMER = 0x09, 0x0f


def set_keep_alive(path: str, milliseconds: int) -> None:
    """Change the keep-alive time-out of a connection.

    Linux follows a change that the target has taken (5.15 and later,
    drivers/nvme/host/core.c, nvme_passthru_end).  The command has the
    kernel's own time-out: a short one would have the connection given up.

    :param path: of the controller's device.
    :raises commands.CommandFailed: the target or the kernel refused it, or
        there is no answer yet.
    """
    errors: list[str] = []

    def body() -> None:
        try:
            status = _send(path, _SET_FEATURES, _KEEP_ALIVE_TIMER,
                           milliseconds)
            if status:
                errors.append('the target refuses it (status %#x)' % status)
        except OSError as error:
            errors.append(error.strerror or str(error))

    thread = threading.Thread(target=body, name='keep-alive ' + path,
                              daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if thread.is_alive():
        errors.append(commands.HANGS)
    if errors:
        raise commands.CommandFailed(
            'setting the keep-alive time-out of %s to %d ms failed: %s' % (
                path, milliseconds, errors[0]))


def _send(path: str, opcode: int, cdw10: int, cdw11: int) -> int:
    """Return the command's status; 0: it succeeded.

    :raises OSError: it could not be sent.
    """
    command = bytearray(_COMMAND.pack(
        opcode, 0, 0, 0, 0, 0, 0, 0, 0, 0, cdw10, cdw11, 0, 0, 0, 0, 0, 0))
    device = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(fcntl.ioctl(device, _ADMIN_COMMAND, command))
    finally:
        os.close(device)
