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
"""How the kernel spreads I/O over the paths to NVMe-oF targets.

Kernel source: drivers/nvme/host/core.c (nvme-subsystem), multipath.c
(iopolicy).
"""

from __future__ import annotations

import os

from os_brick.agent.host import attributes
from os_brick.agent import model

FABRICS = frozenset(('tcp', 'rdma'))


def policies(root: str = '/') -> dict[str, model.Subsystem]:
    """Return target (NQN) -> how the kernel spreads its I/O.

    A target whose policy cannot be read is left out.
    """
    found: dict[str, model.Subsystem] = {}
    folder = os.path.join(root, 'sys/class/nvme-subsystem')
    for name in _names(folder):
        nqn = _text(folder, name, 'subsysnqn')
        policy = _text(folder, name, 'iopolicy')
        paths = sum(_text(folder, name, path, 'transport') in FABRICS
                    for path in _names(os.path.join(folder, name)))
        if nqn and policy and paths:
            found[nqn] = model.Subsystem(name, policy, paths)
    return found


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        attributes.absent(error)
        return []


def _text(*path: str) -> str:
    return attributes.text(attributes.read(os.path.join(*path)))
