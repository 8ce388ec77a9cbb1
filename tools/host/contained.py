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
"""The story of the container: the page's own command, run by podman."""

from __future__ import annotations

import re
import shlex
import time

import installing
import node as node_lib
import page

IMAGE = 'localhost/nvme-agent'
NAME = 'nvme_agent'
#: The volume of nova's container, which is on the host here.
NOVA = 'nova_compute'
RUN_DIR = '/run/nvme-agent'
TMPFILES = '/etc/tmpfiles.d/nvme-agent.conf'
#: Of --stop-timeout; what podman itself takes comes on top.
STOP = 90.0
AGENT = '/opt/nvme-agent/bin/nvme-agent'
PATH = '/opt/nvme-agent/bin:/usr/sbin:/usr/bin:/sbin:/bin'


def contained(node: node_lib.Node) -> None:
    """A target dies; the agent heals from a container, and is replaced."""
    text = (page.PAGES / 'containers.rst').read_text()
    node.volume(node_lib.SOON)
    node.say([_engine(node)])
    node.run('systemctl disable --quiet --now %s' % node_lib.UNIT)
    box = Box(node, text)
    try:
        box.prepare()
        box.start()
        box.kept_in_memory()
        _heals(node, box)
        _outlives(node, box)
    finally:
        box.away()
        node.run('systemctl enable --quiet %s' % node_lib.UNIT)
        node.start()
    node.wait_whole(*node.legs)


def _engine(node: node_lib.Node) -> str:
    """Install the engine from its packages; return what it says it is."""
    node.run('dpkg -i /mnt/container/debs/*.deb && '
             'systemctl start dbus.socket')
    return node.run('podman --version; crun --version | head -1'
                    ).strip().replace('\n', ', ')


class Box:
    """The container, and what it needs on the host.

    :ivar user: the number of its user, and of its group.
    """

    def __init__(self, node: node_lib.Node, text: str) -> None:
        self._node = node
        self._text = text
        self._command = page.engine(text).text.replace('IMAGE', IMAGE)
        self.user = self.group = ''

    def prepare(self) -> None:
        """Make image and volumes, and let its user in, by its number."""
        run = self._node.run
        self._make_image()
        self.user, self.group = run(
            'podman run --rm --network host %s bash -c "id -u; id -g"'
            % IMAGE).split()
        run('set -e\n' + page.ledger(self._text).text.replace('IMAGE', IMAGE))
        line = page.made_at_boot(self._text).replace(
            'nvme-agent nvme-agent', '%s %s' % (self.user, self.group))
        run('echo %s >%s && systemd-tmpfiles --create %s' % (
            shlex.quote(line), TMPFILES, TMPFILES))
        for block in self._lock_blocks():
            run(block)

    def _make_image(self) -> None:
        """Import it; its user is in the group of this host's nova.

        The volume of nova's container has been used by that: podman would give
        it to the user of the first one else.
        """
        self._node.run('''set -e
            podman import --quiet --change "ENV PATH=%s" \\
                /mnt/container/root.tar %s:base
            podman volume create --opt type=none --opt o=bind \\
                --opt device=/var/lib/nova %s
            podman run --name draft --network host \\
                --volume %s:/var/lib/nova %s:base bash -c \\
                "groupadd --gid $(id -g nova) nova &&
                 usermod --append --groups nova nvme-agent"
            chown nova:nova /var/lib/nova
            chmod 0750 /var/lib/nova
            podman commit --quiet --change "USER nvme-agent" draft %s
            podman rm draft''' % (PATH, IMAGE, NOVA, NOVA, IMAGE, IMAGE))

    def _lock_blocks(self) -> list[str]:
        return [block.text.replace('g:nvme-agent', 'g:' + self.group)
                for block in page.blocks(page.PAGE.read_text())
                if block.section.startswith('3')]

    def _ledger(self) -> str:
        return '$(podman volume inspect --format "{{.Mountpoint}}" %s)' % NAME

    def start(self) -> None:
        """Run the page's command; wait until it serves."""
        self._node.run(self._command)
        self.wait_for('starts on host')

    def kept_in_memory(self) -> None:
        cgroup = self._node.run('podman inspect --format '
                                '"{{.State.CgroupPath}}" %s' % NAME).strip()
        installing.kept_in_memory(self._node, self.user, cgroup)

    def said(self) -> str:
        return self._node.run('podman logs %s 2>&1' % NAME)

    def wait_for(self, pattern: str, since: int = 0) -> float:
        return self._node.machine.wait_until(
            lambda: re.search(pattern, self.said()[since:]),
            'the container says %r' % pattern)

    def stop(self) -> float:
        """Let it end in order; return the seconds that it took."""
        began = time.monotonic()
        self._node.run('podman stop %s' % NAME)
        seconds = time.monotonic() - began
        status = self._node.run('podman inspect --format '
                                '"{{.State.ExitCode}}" %s' % NAME).strip()
        self._node.expect(status == '0', 'it ended with %s' % status)
        self._node.expect(seconds < STOP, 'stopped after %.0f s' % seconds)
        return seconds

    def away(self) -> None:
        """Leave the host as it was, with what the agent knows by now."""
        self._node.machine.status(
            'podman rm --force --time 90 %s; '
            'cp -a "%s"/. /var/lib/nvme-agent/; '
            'chown -R nvme-agent:nvme-agent /var/lib/nvme-agent; '
            'podman volume rm %s %s; podman rmi --all --force; rm -f %s; '
            'rm -rf %s; setfacl -R -x g:%s,d:g:%s /var/lib/nova/tmp' % (
                NAME, self._ledger(), NAME, NOVA, TMPFILES, RUN_DIR,
                self.group, self.group))


def _heals(node: node_lib.Node, box: Box) -> None:
    node.start_guest()
    dead, survivor = node.legs
    spare = node.unused()
    mark = len(box.said())
    node.copy_slowly(300)
    node.storage('kill', dead)
    replace = '%s %s' % (node_lib.REPLACE, node_lib.uuid(dead))
    box.wait_for(replace, mark)
    node.wait_for_copy()
    seconds = box.stop()
    before = box.said()[mark:]
    node.wait_for_writes()
    node.run('podman rm %s' % NAME)
    box.start()
    node.run('echo 200000 >/proc/sys/dev/raid/speed_limit_max')
    whole = node.wait_whole(survivor, spare)
    box.wait_for('asking the provisioner to confirm replica %s'
                 % node_lib.uuid(dead))
    asked = (before + box.said()).count(node_lib.REPLACE)
    node.expect(asked == 1, 'a replacement was requested %d times' % asked)
    node.wait_for_writes()
    node.say(['stopped in the copy after %.1f s, and removed' % seconds,
              'another container went on: whole over %s after %.0f s'
              % (spare, whole), 'one replacement was requested',
              'longest pause of a write %.1f s' % node.guest()[2]])


def _outlives(node: node_lib.Node, box: Box) -> None:
    """It is stopped, started and asked; the volume stays attached."""
    seconds = box.stop()
    node.wait_for_writes()
    node.expect(node.in_sync(), 'the volume is not attached')
    mark = len(box.said())
    # as after a boot
    node.run('systemctl restart podman-restart')
    box.wait_for('starts on host', mark)
    mark = len(box.said())
    node.run('podman restart %s' % NAME)
    box.wait_for('starts on host', mark)
    for place in ('', 'podman exec %s ' % NAME):
        for verb in ('status', 'health'):
            agent = 'nvme-agent' if place else AGENT
            words = node.run('%s%s %s --config-file /etc/nvme-agent/'
                             'agent.conf' % (place, agent, verb))
            if verb == 'status':
                node.expect(node_lib.ALIAS in words, words)
    node.expect(node_lib.REPLACE not in box.said(),
                'a replacement was requested again')
    node.say(['stopped after %.1f s, started and restarted' % seconds,
              'status and health answer on the host and in the container',
              node.stop_guest()])
