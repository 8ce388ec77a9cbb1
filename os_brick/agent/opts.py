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
"""All options of the agent, once; and the list for the sample generator."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import copy
import itertools
import math

from oslo_config import cfg
from oslo_privsep import priv_context

PRIVSEP_GROUP = 'privsep_nvme_agent'

OPTS: list[cfg.Opt] = [
    cfg.StrOpt('provisioner_driver', default='local',
               help='Name of the driver that speaks to the storage '
                    'provisioner: an entry point in the namespace '
                    'os_brick.agent.provisioners. "local" needs no '
                    'provisioner and takes spares from an inventory file.'),
    cfg.FloatOpt('poll_interval', default=30.0, min=1.0, max=3600.0,
                 mutable=True,
                 help='Seconds from the start of one pass to the start of '
                      'the next. A change that the kernel announces starts '
                      'a pass at once.'),
    cfg.FloatOpt('poll_jitter', default=3.0, min=0.0, max=600.0,
                 mutable=True,
                 help='Upper bound, in seconds, of the random time added '
                      'before the first heartbeat and to every interval, '
                      'so that many hosts do not call the provisioner in '
                      'the same second.'),
    cfg.FloatOpt('replacement_grace_period', default=600.0, min=0.0,
                 mutable=True,
                 help='Seconds a replica may stay bad before a replacement '
                      'is requested, for volumes of which the provisioner '
                      'does not say it. 0: at once.'),
    cfg.StrOpt('returning_copies', default='bitmap',
               choices=[
                   ('bitmap', 'what md has marked in its write-intent bitmap '
                              'since it was dropped'),
                   ('whole', 'all of it, as to a new one')], mutable=True,
               help='What is copied to a replica that comes back. Set whole '
                    'where a target may lose what it has acknowledged: where '
                    'its disks, or its software, have a volatile write cache '
                    'and may lose power.'),
    cfg.FloatOpt('report_repeat_interval', default=600.0, min=10.0,
                 mutable=True,
                 help='Seconds after which a replica state is reported again '
                      'while the provisioner lists a different one, or told '
                      'again that the replica was let go while it is '
                      'listed.'),
    cfg.StrOpt('io_guard', default='on',
               choices=[
                   ('on', 'cuts lost targets off while another leg is in sync '
                          'and answers'),
                   ('observe', 'logs what it would do'),
                   ('off', 'leaves a writer waiting until the target '
                           'returns')],
               mutable=True,
               help='Whether the agent keeps I/O moving while a replica is '
                    'lost.'),
    cfg.StrOpt('legs_fail_fast', default='none',
               choices=[
                   ('none', 'all wait, and the agent cuts what is lost; an '
                            'outage of all targets costs no copy that is '
                            'back within four seconds of the first one, and '
                            'while the agent is dead every lost target stops '
                            'a writer'),
                   ('but-one', 'all but the anchor; an outage of all targets '
                               'then costs a copy of each array that is '
                               'written to, which is put back, and a dead '
                               'agent lets only the loss of an anchor stop a '
                               'writer')],
               mutable=True,
               help='Which legs of an array fail I/O fast while their target '
                    'is lost.'),
    cfg.FloatOpt('io_fail_timeout', default=1.0, min=1.0, max=600.0,
                 mutable=True,
                 help='Whole seconds after which I/O to a lost leg fails, '
                      'for all legs of an array but one. Only with '
                      'legs_fail_fast=but-one.'),
    cfg.FloatOpt('io_stall_timeout', default=1.0, min=0.5, max=600.0,
                 mutable=True,
                 help='Seconds after which a target is given up that has '
                      'fallen silent: it has acknowledged nothing of what '
                      'was sent to it for so long, no I/O of an array on it '
                      'ends, and another leg of the array answers a read. '
                      'It must be longer than any round trip of the '
                      'network.'),
    cfg.FloatOpt('connection_check_interval', default=0.5, min=0.05,
                 max=60.0, mutable=True,
                 help='Seconds between two looks at the state of the NVMe-oF '
                      'connections and at the I/O of the arrays. The kernel '
                      'announces no loss.'),
    cfg.BoolOpt('dry_run', default=False,
                help='Do nothing to this host and request nothing of the '
                     'provisioner; log, once, what would be done. The '
                     'heartbeat and the replica states are told as ever. '
                     'io_guard=on counts as observe.'),
    cfg.IntOpt('max_resyncs', default=0, min=0, mutable=True,
               help='How many arrays of this host may be copied to at the '
                    'same time before the copy to another replica waits. A '
                    'replica that returns is never made to wait: only what '
                    'it missed is copied. 0: no limit.'),
    cfg.IntOpt('resync_speed_max', default=0, min=0, max=100000,
               mutable=True,
               help='MiB a second that md copies at most within each array '
                    'that the agent serves: md/sync_speed_max of the array, '
                    'which counts instead of dev.raid.speed_limit_max of '
                    'this host. A lower one leaves more for the writers, and '
                    'a volume for longer without its redundancy: at 10, 1 '
                    'TiB takes 29 hours. A limit that somebody else has set '
                    'for an array stays. It is put back when the option '
                    'becomes 0, and when the agent stops. 0: left as it '
                    'is.'),
    cfg.FloatOpt('resync_permit_timeout', default=300.0, min=0.0,
                 mutable=True,
                 help='Seconds that a copy which makes an array whole waits '
                      'at most for a provisioner that limits the copies in '
                      'its fleet and cannot be asked. Then it begins '
                      'without. Copies that wait for the same reason begin '
                      'at different times in the second half of it. A '
                      'planned exchange waits for as long as it takes. A '
                      'provisioner that answers may delay either for '
                      'longer.'),
    cfg.StrOpt('exchange_hours', default='',
               regex=r'^$|^([01]?[0-9]|2[0-3])-([01]?[0-9]|2[0-4])$',
               mutable=True,
               help='Hours of the day, by the local time of this host, in '
                    'which a planned exchange may begin: the copy of a '
                    'replica in sync that the provisioner wants to have '
                    'back. For example 22-06: from 22:00 until 05:59. '
                    'A lost replica is replaced at any hour. Empty: always.'),
    cfg.IntOpt('keep_alive_timeout', default=0, min=0, max=5, mutable=True,
               help='Seconds without an answer after which the kernel gives '
                    'a connection up, and the target a host; os-brick '
                    'connects with 5. It is changed on live connections, and '
                    'put back when the agent stops. A shorter one ends a '
                    'silence sooner, with the agent dead or alive, and '
                    'costs more keep-alive commands; a target that stalls '
                    'for as long, or a network with such round trips, loses '
                    'its connections, for good where 1 is set. 0: left as '
                    'it is.'),
    cfg.IntOpt('reconnect_delay', default=2, min=0, max=60, mutable=True,
               help='Seconds that the kernel waits between two attempts to '
                    'reconnect; os-brick connects with 10. It is changed on '
                    'live connections, and put back when the agent stops. A '
                    'shorter one ends an outage sooner; a target that '
                    'returns sees that many more attempts of all hosts. 0: '
                    'left as it is.'),
    cfg.StrOpt('iopolicy', default='round-robin', mutable=True,
               choices=[
                   ('', 'as it is found'),
                   ('round-robin', 'each path in turn'),
                   ('queue-depth', 'the path on which the least is waited '
                                   'for; Linux 6.11 and newer')],
               help='Over which of its paths the kernel sends the I/O to a '
                    'target with several portals, where it does what it does '
                    'by itself (numa): one path carries all I/O then, and '
                    'when the target falls silent writers may wait for a '
                    'keep-alive command on an idle one, five seconds longer. '
                    'It is changed while all is calm, and put back when the '
                    'agent stops. Paths that the storage calls non-optimized '
                    'carry no I/O with any of them. Any other policy than '
                    'numa is left alone.'),
    cfg.IntOpt('bitmap_delay', default=25, min=0, max=3600, mutable=True,
               help='Seconds after which md looks what its write-intent '
                    'bitmap need mark no longer (md/bitmap/time_base); md\'s '
                    'own are 5. A write stays marked for at least 1.8 times '
                    'as long, and what is marked when a leg leaves is copied '
                    'to it when it returns: a target may have acknowledged '
                    'that and have lost it with its power. A longer time '
                    'covers older writes, and costs that much more copying '
                    'at each return, and after a crash of this host. It is '
                    'made longer while all is calm, never shorter, and stays '
                    'when the agent stops. 0: left as it is.'),
    cfg.BoolOpt('lock_memory', default=True,
                help='Whether the agent and its privileged helper are kept '
                     'in memory (mlockall), so that they can act while the '
                     'disk stands still from which they would be read. It '
                     'costs about 10 MB for each of them, and needs '
                     'LimitMEMLOCK=infinity in the unit.'),
    cfg.FloatOpt('lock_timeout', default=30.0, min=1.0, mutable=True,
                 help='Seconds to wait for os-brick to finish attaching or '
                      'detaching a volume before an action is put off to '
                      'the next pass.'),
    cfg.StrOpt('state_dir', default='/var/lib/nvme-agent',
               help='Directory of what must outlive a restart. Writable by '
                    'the agent alone.'),
    cfg.StrOpt('metrics_textfile', default='',
               help='Path of a file to which each pass writes the agent\'s '
                    'metrics, for the textfile collector of node_exporter; '
                    'its name has to end in .prom. Empty: none is written.'),
    cfg.PortOpt('metrics_port', default=0,
                help='TCP port at which Prometheus may fetch the same '
                     'metrics by HTTP (/metrics), as of the last pass. Needs '
                     'the Python package prometheus-client. 0: none is '
                     'opened.'),
    cfg.IPOpt('metrics_address', default='127.0.0.1',
              help='Address of this host at which metrics_port is opened. '
                   'Whoever reaches it may read the metrics, without a '
                   'password: names of volumes, targets and addresses.'),
    cfg.StrOpt('run_dir', default='/run/nvme-agent',
               help='Directory of the lock file and of the socket by which '
                    'os-brick announces an attachment.'),
    cfg.StrOpt('nudge_group', default='',
               help='Group whose members may announce an attachment on that '
                    'socket: the one that nova-compute runs in. The agent '
                    'must be a member of it (SupplementaryGroups of the '
                    'unit). Empty: only root and the own group of the agent; '
                    'a new array is then noticed by the kernel events '
                    'alone.'),
    cfg.ListOpt('event_sinks', default=['log', 'provisioner'],
                help='Where events go: what changes on this host, and health '
                     'codes that come and go. log: the log, and with it '
                     'nvme-agent history. provisioner: the driver. exec: a '
                     'program, see event_exec. oslo_messaging: versioned '
                     'notifications, see [oslo_messaging_notifications]. '
                     'Others by the entry point os_brick.agent.event_sinks.'),
    cfg.StrOpt('host_nqn', default='',
               help='NVMe qualified name of this host; empty: read from '
                    '/etc/nvme/hostnqn, as os-brick does.'),
    cfg.StrOpt('host_uuid', default='',
               help='UUID of this host; empty: that of the root file '
                    'system, as os-brick has it.'),
    cfg.StrOpt('host_name', default='',
               help='Name of this host as nova gives it to Cinder; empty: '
                    'the host name.'),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the agent's own options."""
    conf.register_opts(OPTS)


def check(conf: cfg.ConfigOpts, more: Iterable[cfg.Opt] = ()) -> None:
    """Read every option once: what cannot be read must not wait for its use.

    :raises cfg.Error: naming the option and the file.
    """
    for opt in itertools.chain(OPTS, more):
        value = conf[opt.dest]
        # neither is out of a range: nothing is smaller than nan
        if isinstance(value, float) and not math.isfinite(value):
            raise cfg.ConfigFileValueError(
                'Value for option %s from %s is not valid: %g is no number '
                'of seconds' % (opt.name, conf.get_location(opt.dest),
                                value))


def own_opts() -> list[tuple[str, Sequence[cfg.Opt]]]:
    """Return section -> options, without those of drivers and sinks."""
    from os_brick.agent.host import privileged
    privsep = copy.deepcopy(priv_context.OPTS)
    for opt in privsep:
        if opt.name == 'capabilities':
            opt.default = list(privileged.CAPABILITIES)
            opt.sample_default = 'CAP_SYS_ADMIN, CAP_NET_ADMIN'
    return [('DEFAULT', OPTS), (PRIVSEP_GROUP, privsep)]


def list_opts() -> list[tuple[str, Sequence[cfg.Opt]]]:
    """Entry point oslo.config.opts: everything for the sample file.

    It loads all embedded drivers and sinks.
    """
    from os_brick.agent.daemon import outlets
    from os_brick.agent.provisioner import drivers
    vendors = itertools.chain.from_iterable(
        driver.options() for driver in drivers.embedded())
    sinks = itertools.chain.from_iterable(
        sink.options() for sink in outlets.embedded())
    (section, own), *others = own_opts()
    return [(section, [*own, *vendors, *sinks]), *others]
