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
"""Tell the stories, one line for each; in the end who passed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import pathlib
import shutil
import subprocess
import sys
import time

import contained
import installing
import machine as machine_lib
import node as node_lib
import playing
import rebooting
import running
import upgrading

#: In this order: each leaves the node as it found it, but for the legs.
STORIES: dict[str, Callable[[node_lib.Node], None]] = {
    'install': installing.install_by_the_page,
    'ready': installing.ready_only_when_ready,
    'heal': running.heals_a_volume,
    'restart': running.killed_and_hung,
    'configuration': running.reload_and_wrong_configuration,
    'stop': running.stopped_in_an_exchange,
    'upgrade': upgrading.upgrades,
    'container': contained.contained,
    'reboot': rebooting.reboots,
    'remove': installing.remove_by_the_page,
    'ansible': playing.applied_twice}


def parts(words: argparse.Namespace, root: pathlib.Path
          ) -> machine_lib.Parts:
    """Lay out the disks: a copy of the root's, and empty ones for targets."""
    disk = words.cache / 'disk.img'
    _copy(root, disk)
    storage = {}
    for target in node_lib.TARGETS:
        storage[target] = words.cache / (target + '.img')
        storage[target].unlink(missing_ok=True)
        with storage[target].open('wb') as blocks:
            blocks.truncate(node_lib.SIZE)
    return machine_lib.Parts(words.accel, words.kernel, words.initrd, disk,
                             words.tools, storage, words.results)


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
    subprocess.run(['cp', '--sparse=always', source, target], check=True)


def tell(name: str, node: node_lib.Node, results: pathlib.Path) -> bool:
    story = STORIES[name]
    title = (story.__doc__ or '').strip()
    print('---- %s: %s' % (name, title), flush=True)
    began = time.monotonic()
    try:
        story(node)
    except Exception as error:
        print('FAILED %s (%.0f s): %s' % (name, time.monotonic() - began,
                                          error), flush=True)
        _keep(node, results / ('failed-' + name))
        return False
    print('ok   %s (%.0f s)' % (name, time.monotonic() - began), flush=True)
    return True


def _keep(node: node_lib.Node, path: pathlib.Path) -> None:
    """Keep what the machine can say of a failure; start over with another."""
    try:
        path.write_text(node.machine.status(
            'systemctl --no-pager status nvme-agent; cat /proc/mdstat; '
            'nvme list-subsys; podman logs nvme_agent; '
            'journalctl -b --no-pager -n 2000')[1])
        print('     evidence: %s' % path, flush=True)
    except Exception as error:
        print('     no evidence: %s' % error, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('stories', nargs='*', default=[])
    for name in ('accel', 'kernel', 'initrd'):
        parser.add_argument('--' + name, required=True)
    for name in ('root', 'tools', 'cache', 'results'):
        parser.add_argument('--' + name, required=True, type=pathlib.Path)
    words = parser.parse_args()
    chosen = [name for name in STORIES if not words.stories or any(
        name.startswith(begin) for begin in words.stories)]
    installed = words.cache / 'installed.img'
    fresh = 'install' in chosen
    if not chosen or not (fresh or installed.exists()):
        print('no such story, or nothing installed yet: %s'
              % ', '.join(STORIES))
        return 2
    shutil.rmtree(words.results, ignore_errors=True)
    words.results.mkdir(parents=True)
    machine = machine_lib.Machine(
        parts(words, words.root if fresh else installed))
    node = node_lib.Node(machine)
    passed = failed = 0
    try:
        for name in chosen:
            if tell(name, node, words.results):
                passed += 1
            else:
                failed += 1
            if name == 'install' and not failed:
                seconds = node.down('poweroff')
                print('     powered off after %s s' % (
                    seconds and round(seconds)), flush=True)
                _copy(words.cache / 'disk.img', installed)
            if name == 'install' and failed:
                break
    finally:
        machine.kill()
    print('%d passed, %d failed' % (passed, failed))
    return int(failed > 0 or not passed)


if __name__ == '__main__':
    sys.exit(main())
