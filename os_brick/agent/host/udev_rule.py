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
"""Whether udev is kept away from the arrays of the volumes."""

from __future__ import annotations

from collections.abc import Iterable
import pathlib

NAME = '63-nvme-agent.rules'
#: A file of the same name in an earlier one hides that in a later one
#: (udev(7)).
DIRECTORIES = ('/etc/udev/rules.d', '/run/udev/rules.d',
               '/usr/local/lib/udev/rules.d', '/usr/lib/udev/rules.d',
               '/lib/udev/rules.d')


def trouble(directories: Iterable[str] = DIRECTORIES) -> str:
    """Return what is wrong with the rule's file, '' where nothing is."""
    directories = tuple(directories)
    for directory in directories:
        path = pathlib.Path(directory, NAME)
        try:
            content = path.read_text(encoding='utf-8', errors='replace')
        except FileNotFoundError:
            continue
        except OSError as error:
            return '%s cannot be read: %s' % (path, error.strerror)
        if 'ANACONDA' not in content:
            return '%s does not keep udev away from them' % path
        if 'mdadm -If' not in content:
            return ('%s is of an earlier release: install it again, or a leg '
                    'may be dropped that has the name of one before it' % path)
        return ''
    return 'there is no %s in %s' % (NAME, ', '.join(directories))
