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
"""In an environment that has been made: does this package work there?

  checks.py nova   nova's modules that rest on the same libraries
  checks.py agent  this package

Prints nothing and exits with 0, or says in its last line what is wrong.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import importlib.metadata
import pathlib
import subprocess
import sys

OURS = 'os-brick-nvme-agent'
#: What of nova uses os-brick, oslo.service, oslo.config and oslo.privsep.
NOVA = ('nova.cmd.compute', 'nova.compute.manager', 'nova.service',
        'nova.virt.libvirt.volume.nvme')
#: An entry point of an extra is there without it; it says what is missing.
EXTRAS = ('oslo_messaging', 'etcd3gw')


def main() -> None:
    if sys.argv[1] == 'nova':
        # as nova-compute begins: eventlet has patched the standard library
        importlib.import_module('nova.cmd.compute')
        for name in NOVA:
            importlib.import_module(name)
        answers('nova-compute')
    else:
        hook()
        entry_points()
        untouched('os-brick')
        answers('nvme-agent')


def hook() -> None:
    """os-brick's connector finds the module that wakes the agent up."""
    nvmeof = importlib.import_module('os_brick.initiator.connectors.nvmeof')
    found = nvmeof.nvmeof_agent
    if not found or not hasattr(found.NVMeOFAgent, 'ensure_running'):
        sys.exit('os-brick does not find the module nvmeof_agent')


def entry_points() -> None:
    found = importlib.metadata.distribution(OURS).entry_points
    if len(found) < 5:
        sys.exit('%d entry points' % len(found))
    for point in found:
        try:
            point.load()
        except ModuleNotFoundError as error:
            if (error.name or '').partition('.')[0] not in EXTRAS:
                sys.exit('%s cannot be loaded: %s' % (point.name, error))
        except Exception as error:
            sys.exit('%s cannot be loaded: %s: %s' % (
                point.name, type(error).__name__, error))


def untouched(name: str) -> None:
    """Its files are those that its wheel brought."""
    seen = 0
    for file in importlib.metadata.distribution(name).files or ():
        if file.hash is None or not str(file).endswith('.py'):
            continue
        content = pathlib.Path(str(file.locate())).read_bytes()
        digest = hashlib.new(file.hash.mode, content).digest()
        if base64.urlsafe_b64encode(digest).rstrip(
                b'=').decode() != file.hash.value:
            sys.exit('%s of %s is not what was installed' % (file, name))
        seen += 1
    if not seen:
        sys.exit('%s has no files' % name)


def answers(program: str) -> None:
    done = subprocess.run(
        [pathlib.Path(sys.executable).with_name(program), '--help'],
        capture_output=True, text=True, check=False, timeout=600)
    if done.returncode or 'usage' not in done.stdout:
        sys.exit('%s --help ends with %d: %s' % (
            program, done.returncode,
            (done.stderr.strip().splitlines() or [''])[-1]))


if __name__ == '__main__':
    main()
