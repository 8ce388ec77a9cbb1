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
"""The compute node of the stories: targets, a volume, a guest, the agent."""

from __future__ import annotations

from collections.abc import Iterable
import json
import re
import shlex

import machine as machine_lib

ALIAS = 'vol-host'
VOLUME = '6b1f3b5e-64c2-4b2f-9c55-0d3a5f6b7a10'
PREFIX = 'nqn.2024-01.org.example.lab:'
SIZE = 64 * 1024 * 1024
TARGETS = tuple('target-' + letter for letter in 'abcdef')
#: Of every run of a tool in the machine.
TOOLS = '/mnt/checkout/tools/host'
UNIT = 'nvme-agent'
#: Where the guest keeps what it was told: there after a reboot, too.
GUEST = '/var/lib/guest-io'
#: Seconds a replica may be bad: to be replaced soon, or never in a story.
SOON, NEVER = 3, 3600
REPLACE = 'asking the provisioner to replace replica'


def uuid(target: str) -> str:
    """The NVMe UUID of a target's namespace."""
    return '00000000-0000-4000-8000-%012x' % ord(target[-1])


def number(target: str) -> int:
    return TARGETS.index(target) + 1


class Node:
    """Steps and statements in the words of the stories.

    :ivar legs: the targets that hold the volume.
    """

    def __init__(self, machine: machine_lib.Machine) -> None:
        self.machine = machine
        self.run = machine.run
        self.up = False
        self.legs: list[str] = list(TARGETS[:2])
        self.attached = False

    # the machine

    def boot(self) -> float:
        """Boot, and wait until systemd has started what it starts."""
        seconds = self.machine.boot()
        self.up, self.attached = True, False
        self.run('mountpoint -q /mnt || mount -o ro /dev/vdb /mnt; '
                 'ip link set lo up; systemctl is-system-running --wait '
                 '|| systemctl --failed --no-legend')
        return seconds

    def down(self, verb: str, limit: float = 240) -> float | None:
        self.up = self.attached = False
        return self.machine.down(verb, limit)

    # targets and the volume

    def storage(self, verb: str, target: str) -> None:
        more = '%d %s' % (number(target), uuid(target))
        self.run('python3 %s/storage.py %s %s %s' % (
            TOOLS, verb, target, more if verb == 'serve' else ''))

    def attach(self) -> None:
        """Let all targets serve, and os-brick attach the volume for nova."""
        for target in TARGETS:
            self.storage('serve', target)
        properties = {
            'vol_uuid': VOLUME, 'alias': ALIAS,
            'replica_count': len(self.legs), 'volume_replicas': [
                {'vol_uuid': uuid(target), 'target_nqn': PREFIX + target,
                 'portals': [self._portal(target)]} for target in self.legs]}
        self.run('cd / && runuser -u nova -- /opt/nova/bin/python '
                 '%s/nova.py %s' % (TOOLS, shlex.quote(
                     json.dumps(properties))))
        # as a guest that starts: before its first write nothing is put in
        self.run('dd if=%s of=%s bs=4096 count=1 iflag=direct '
                 'oflag=direct,dsync conv=notrunc status=none'
                 % (('/dev/md/' + ALIAS,) * 2))
        self.attached = True

    def _portal(self, target: str) -> tuple[str, int, str]:
        return '127.0.0.%d' % (10 + number(target)), 4420, 'tcp'

    def inventory(self, grace: float, name: str = 'volumes.yaml') -> None:
        """Write the local driver's file: two replicas, and spares."""
        def backing(target: str) -> dict[str, object]:
            address, port, transport = self._portal(target)
            return {'uuid': uuid(target), 'nqn': PREFIX + target,
                    'failure_domain': target, 'size': str(SIZE),
                    'portals': [{'address': address, 'port': port,
                                 'transport': transport}]}
        text = json.dumps({
            'host': 'compute-1', 'volumes': [{
                'uuid': VOLUME, 'alias': ALIAS,
                'max_replica_down_time': grace,
                'replicas': [backing(one) for one in TARGETS[:2]]}],
            'spares': [backing(one) for one in TARGETS[2:]]})
        self.run('cd /etc/nvme-agent && printf %%s %s >volumes.new && '
                 'mv volumes.new %s' % (shlex.quote(text), name))

    def in_sync(self) -> set[str]:
        """Return the UUIDs of the legs in sync, of an array that rests."""
        output = self.run(
            'cd /sys/class/block/$(basename $(readlink -f /dev/md/%s))/md || '
            'exit 0; [ "$(cat sync_action)" = idle ] || exit 0; '
            'for leg in dev-*; do grep -q in_sync $leg/state && '
            'cat /sys/class/block/${leg#dev-}/uuid; done; true' % ALIAS)
        return set(output.split())

    def wait_whole(self, *legs: str, limit: float = 1200) -> float:
        wanted = {uuid(leg) for leg in legs}
        seconds = self.machine.wait_until(
            lambda: self.in_sync() == wanted, 'the array is whole over %s'
            % ', '.join(legs), limit)
        self.legs = list(legs)
        return seconds

    def volume(self, grace: float) -> None:
        """See to a machine that is up with its volume attached and whole."""
        if not self.up:
            self.boot()
        self.inventory(grace)
        if not self.attached:
            self.attach()
        self.wait_whole(*self.legs)

    def unused(self) -> str:
        """Return a target that has not been a leg yet."""
        used = max(TARGETS.index(leg) for leg in self.legs)
        self.expect(used + 1 < len(TARGETS), 'no target is left: begin with '
                    'an earlier story on the installed disk')
        return TARGETS[used + 1]

    def copy_slowly(self, kib: int) -> None:
        """Let md copy no more than that in a second."""
        self.run('echo %d >/proc/sys/dev/raid/speed_limit_max; '
                 'echo 100 >/proc/sys/dev/raid/speed_limit_min' % kib)

    def wait_for_copy(self) -> None:
        self.machine.wait_until(lambda: 'recovery' in self.run(
            'cat /proc/mdstat'), 'the spare is copied to')

    def finish_exchange(self, dead: str, survivor: str, spare: str,
                        since: int) -> None:
        """Copy as fast as md can; one replacement was asked for, in all.

        :param since: a ``mark`` from before.
        """
        self.run('echo 200000 >/proc/sys/dev/raid/speed_limit_max')
        self.wait_whole(survivor, spare)
        self.wait_for('asking the provisioner to confirm replica %s'
                      % uuid(dead), since)
        asked = self.journal()[since:].count(REPLACE)
        self.expect(asked == 1, 'a replacement was requested %d times'
                    % asked)

    # the guest

    def start_guest(self) -> None:
        """Let something write to the volume, as a service of its own."""
        self.run('systemctl stop guest-io 2>/dev/null; rm -rf %s; '
                 'systemd-run --quiet --collect --unit=guest-io '
                 '-E GUEST_IO=%s -p After=nova-compute.service '
                 'python3 %s/guest_io.py run /dev/md/%s' % (
                     GUEST, GUEST, TOOLS, ALIAS))
        self.machine.wait_until(lambda: self.writes() > 20, 'a guest writes')

    def guest(self) -> tuple[int, int, float, float]:
        """Writes finished, errors, longest pause, seconds under way."""
        status, output = self.machine.status(
            'python3 %s/guest_io.py status' % TOOLS, GUEST_IO=GUEST)
        if status:
            return 0, 0, 0.0, 0.0
        words = output.split()
        return int(words[0]), int(words[1]), float(words[2]), float(words[3])

    def writes(self) -> int:
        return self.guest()[0]

    def wait_for_writes(self, count: int = 20) -> float:
        goal = self.writes() + count
        return self.machine.wait_until(lambda: self.writes() >= goal,
                                       'the guest goes on writing')

    def stop_guest(self) -> str:
        """Stop it and read back what it wrote."""
        self.run('systemctl stop guest-io')
        return self.read_back()

    def read_back(self, errors: bool = False) -> str:
        """Read what the last guest wrote, which may have been of another boot.

        :param errors: it was to see some; what was acknowledged is there.
        """
        return self.run('python3 %s/guest_io.py verify %s %s' % (
            TOOLS, ALIAS, 'errors' if errors else ''),
            GUEST_IO=GUEST).strip()

    # the agent

    def start(self, verb: str = 'start') -> None:
        """Start it; systemd tries again where a slow machine was too slow.

        A machine that gets a fifth of a processor never starts it: the unit
        gives it two minutes.
        """
        self.machine.status('systemctl %s %s' % (verb, UNIT))
        self.machine.wait_until(lambda: self.show('ActiveState') == 'active',
                                'it is active')

    def show(self, name: str) -> str:
        """Return a property of the agent's unit."""
        return self.run('systemctl show --value -p %s %s' % (
            name, UNIT)).strip()

    def journal(self) -> str:
        """Return what the agent and systemd said of the unit, this boot."""
        return self.run('journalctl -b --no-pager -o cat -u %s' % UNIT)

    def mark(self) -> int:
        """Return where the journal ends now."""
        return len(self.journal())

    def wait_for(self, pattern: str, since: int = 0,
                 limit: float = machine_lib.LIMIT) -> float:
        return self.machine.wait_until(
            lambda: re.search(pattern, self.journal()[since:]),
            'the journal says %r' % pattern, limit)

    def expect(self, condition: object, text: str) -> None:
        if not condition:
            raise machine_lib.Failed(text)

    def say(self, words: Iterable[str]) -> None:
        print('     ' + '; '.join(words), flush=True)
