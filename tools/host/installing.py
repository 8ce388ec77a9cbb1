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
"""The stories of an installation: by the page, and away again by the page."""

from __future__ import annotations

import json
import re
import time

import machine as machine_lib
import node as node_lib
import page

CHECKOUT = '/root/os-brick-nvme-agent'
#: What pip finds in the place of a package index, and no questions of apt's.
PIP = {'PIP_NO_INDEX': '1', 'PIP_FIND_LINKS': '/mnt/wheels',
       'PIP_DISABLE_PIP_VERSION_CHECK': '1', 'PIP_ROOT_USER_ACTION': 'ignore',
       'DEBIAN_FRONTEND': 'noninteractive'}
#: pip and the byte code of its packages take minutes where it is emulated.
BLOCK_LIMIT = 3000.0
STARTS = re.compile(r'nvme-agent \S+ starts on host compute-1 ')
PRIORITIES = {'CRITICAL': '2', 'ERROR': '3', 'WARNING': '4', 'INFO': '6',
              'DEBUG': '7'}


def follow(node: node_lib.Node, blocks: list[page.Block],
           checkout: str = CHECKOUT, **environment: str) -> None:
    """Run the blocks of the page one after the other, as root."""
    node.expect(blocks, 'the page has no such block')
    for block in blocks:
        began = time.monotonic()
        try:
            node.run('set -e\ncd %s\n%s\nsync' % (checkout, block.text),
                     BLOCK_LIMIT, **PIP, **environment)
        except machine_lib.Failed as error:
            raise machine_lib.Failed('the page, %s: %s' % (block, error)
                                     ) from None
        node.say(['%s: %.0f s' % (block, time.monotonic() - began)])


def install_by_the_page(node: node_lib.Node) -> None:
    """A bare machine becomes a node on which the agent serves."""
    node.say(['up after %.0f s' % node.boot()])
    node.run('cp -r /mnt/checkout %s; install -o nova -g nova -m 0644 '
             '/dev/null /var/lib/nova/tmp/os-brick-connect_volume' % CHECKOUT)
    *before, starting = page.installing(page.PAGE.read_text())
    follow(node, before)
    try:
        follow(node, [starting])
    except machine_lib.Failed:
        # a busy host may keep an emulated machine from starting the helper
        # in time; systemd tries again
        if node.show('ExecMainStatus') != '71':
            raise
        node.say(['the first start was too slow'])
        node.start()
    words = node.journal()
    node.expect(STARTS.search(words), 'it does not say whom it starts for:\n'
                + words)
    node.expect(words.index(' starts on host ') < words.index('Started '),
                'systemd was told READY before it had started:\n' + words)


def ready_only_when_ready(node: node_lib.Node) -> None:
    """Without its helper the start fails, and it was never active."""
    if not node.up:
        node.boot()
        # only the first start of a boot is before it
        before_nova(node)
    node.run('systemctl stop nvme-agent; mv /etc/sudoers.d/nvme-agent /root')
    mark = node.mark()
    try:
        # systemctl would wait: systemd tries this one again and again
        node.run('systemctl start --no-block nvme-agent')
        node.wait_for('status=71/OSERR', mark)
        node.expect('Started ' not in node.journal()[mark:],
                    'it was active without its helper')
    finally:
        node.run('mv /root/nvme-agent /etc/sudoers.d')
        node.start()
    node.expect('Started ' in node.journal()[mark:], 'it is not started')


def ensure_up(node: node_lib.Node) -> None:
    if not node.up:
        node.boot()


def hardened(node: node_lib.Node) -> None:
    """The unit's walls stand around daemon and helper."""
    pid = node.show('MainPID')
    text = node.run('cat /proc/%s/status' % pid)
    fields = dict(line.split(':', 1) for line in text.splitlines())
    node.expect(fields['Uid'].split()[0] != '0', 'the daemon is root')
    for name in ('CapEff', 'CapPrm', 'CapInh', 'CapAmb'):
        node.expect(int(fields[name], 16) == 0, 'the daemon has %s %s' % (
            name, fields[name].strip()))
    for path in ('/usr/bin', '/etc/nvme-agent', '/var/lib/nova', '/root'):
        status, output = node.machine.status(
            'nsenter -t %s -m -- touch %s/x' % (pid, path))
        node.expect(status and 'Read-only' in output,
                    '%s can be written to: %s' % (path, output))
    figure = node.run('systemd-analyze security --no-pager nvme-agent'
                      ).strip().splitlines()[-1]
    # Debian's kernel has AppArmor on, and nobody a profile for the agent
    enabled, label = (node.run('cat ' + path).strip() for path in (
        '/sys/module/apparmor/parameters/enabled',
        '/proc/%s/attr/current' % pid))
    node.expect((enabled, label) == ('Y', 'unconfined'),
                'AppArmor: %s, the daemon: %s' % (enabled, label))
    node.say([figure.lstrip('→ '), 'AppArmor is on'])


def kept_in_memory(node: node_lib.Node, user: str = '',
                   cgroup: str = '/system.slice/nvme-agent.service') -> None:
    """The limit of the unit reaches the helper, through sudo.

    :param user: the number of the agent's; '': as the host has it.
    :param cgroup: of all that runs.
    """
    user = user or node.run('id -u %s' % node_lib.UNIT).strip()
    limits = node.run(
        'for pid in $(find /sys/fs/cgroup%s -name cgroup.procs | xargs cat); '
        'do echo $(awk "/^Uid/ {print \\$3}" /proc/$pid/status) '
        '$(grep "Max locked memory" /proc/$pid/limits) '
        '$(grep VmLck /proc/$pid/status); done; true' % cgroup)
    found = re.findall(r'^(\S+) .* memory (\S+) \S+ bytes VmLck: (\d+)',
                       limits, re.MULTILINE)
    kept = {owner for owner, limit, locked in found
            if limit == 'unlimited' and int(locked)}
    node.expect({'0', user} <= kept, 'not both are:\n' + limits)
    node.say(['daemon and helper are kept in memory'])


def priorities(node: node_lib.Node) -> None:
    """Each line is in the journal with the priority that it has."""
    counted: dict[str, int] = {}
    for line in node.run('journalctl -b -o json --output-fields=PRIORITY,'
                         'MESSAGE,_COMM -u nvme-agent').splitlines():
        entry = json.loads(line)
        match = re.search(r' (CRITICAL|ERROR|WARNING|INFO|DEBUG) os_brick',
                          str(entry['MESSAGE']))
        if match:
            node.expect(entry['PRIORITY'] == PRIORITIES[match[1]],
                        'priority %s: %s' % (entry['PRIORITY'],
                                             entry['MESSAGE']))
            counted[match[1]] = counted.get(match[1], 0) + 1
    node.expect(counted.get('INFO') and counted.get('WARNING'),
                'lines seen: %s' % counted)
    node.say(['%d lines of level %s' % (count, level)
              for level, count in sorted(counted.items())])


def before_nova(node: node_lib.Node) -> None:
    """At boot it serves before nova-compute is started."""
    served = int(node.show('ActiveEnterTimestampMonotonic'))
    nova = int(node.run('systemctl show --value -p '
                        'ExecMainStartTimestampMonotonic nova-compute'))
    node.expect(0 < served <= nova, 'nova-compute began %.1f s before' % (
        (served - nova) / 1e6))
    node.say(['served %.1f s after the start of the kernel, nova-compute '
              'began %.1f s later' % (served / 1e6, (nova - served) / 1e6)])


def remove_by_the_page(node: node_lib.Node) -> None:
    """Nothing of it is left, and nova's os-brick is as it was."""
    ensure_up(node)
    follow(node, page.removing(page.PAGE.read_text()))
    left = node.run(
        'find / -xdev \\( -path /root -o -path /var/log -o -path /var/cache '
        '-o -path /tmp \\) -prune -o -name "*nvme-agent*" -print; '
        'getent passwd nvme-agent; pgrep -af nvme-agent | grep -v pgrep; '
        'getfacl -R /var/lib/nova/tmp 2>/dev/null | grep nvme-agent; true')
    node.expect(not left.strip(), 'left behind:\n' + left)
    node.run('/opt/nova/bin/python -c '
             '"from os_brick.initiator.connectors import nvmeof"')
