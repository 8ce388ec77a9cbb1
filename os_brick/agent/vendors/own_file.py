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
"""Where a driver keeps what has to outlive a restart."""

from __future__ import annotations

import os

from os_brick.agent.vendors import base


def path(state_dir: str, name: str) -> str:
    """Return the path of a file in the state directory, which is made.

    :param state_dir: the option of that name.
    :raises base.ConfigurationError: it cannot be made.
    """
    try:
        os.makedirs(state_dir, mode=0o700, exist_ok=True)
    except OSError as error:
        raise base.ConfigurationError(
            'option state_dir: %s cannot be made: %s' % (
                state_dir, error.strerror)) from error
    return os.path.join(state_dir, name)
