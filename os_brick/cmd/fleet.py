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
"""nvme-agent-fleet: what an operator does to a fleet whose state is in etcd.

It reads the same options ``etcd_…`` as the agent, from a file that names a
user who may write all below the prefix.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import json
import os
import sys
from typing import Any
import warnings

from oslo_config import cfg

from os_brick.agent import model
from os_brick.agent.vendors import base
from os_brick.agent.vendors import etcd
from os_brick.agent.vendors.fleet import admin
from os_brick.agent.vendors.fleet import limits
from os_brick.agent.vendors.fleet import loading
from os_brick.agent.vendors.fleet import report
from os_brick.agent.vendors.fleet import roles
from os_brick.agent.vendors.fleet import schema
from os_brick.agent.vendors.fleet import store
from os_brick.agent.vendors.inventory import inventory_file
from os_brick.cmd import fleet_drain
from os_brick.cmd import fleet_hand_over

DEFAULT_CONFIG = '/etc/nvme-agent/fleet.conf'


class Fleet:
    """What a sub-command works with."""

    def __init__(self, caller: store.Caller, prefix: str) -> None:
        self.keys = schema.Keys(prefix)
        self.store = store.Store(caller)
        self.operator = admin.Operator(self.store, self.keys)


_Answer = tuple[object, Sequence[str]]
_Run = Callable[[Fleet, argparse.Namespace], _Answer]


def _init(fleet: Fleet, said: argparse.Namespace) -> _Answer:
    made = fleet.operator.begin()
    return {'fleet': made.fleet}, ['the fleet is %s, below %s' % (
        made.fleet, fleet.keys.prefix)]


def _load(fleet: Fleet, said: argparse.Namespace) -> _Answer:
    try:
        with open(said.file, 'rb') as stream:
            content = stream.read(inventory_file.MAX_BYTES + 1)
    except OSError as error:
        raise base.Rejected('%s: %s' % (said.file,
                                        error.strerror)) from None
    try:
        inventory = inventory_file.parse(said.file, content)
    except inventory_file.InventoryError as error:
        raise base.Rejected(str(error)) from None
    every = fleet.operator.everything()
    strangers = loading.strangers(fleet.store, fleet.keys, every, inventory,
                                  said.host)
    if strangers and not said.force:
        raise base.Rejected(
            'no agent has ever shown itself as the host %s; "status" shows '
            'the names of those that did. Start the agent of a new host first '
            '(its first log line has the name), or say --force; nothing was '
            'loaded' % ', '.join('"%s"' % name for name in strangers))
    lines = loading.load_into(
        fleet.store, fleet.keys, every, inventory, said.host, said.dry_run,
        loading.past(said.ledger) if said.ledger else loading.Past())
    return {'changes': lines, 'dry_run': said.dry_run}, lines or [
        'nothing differs']


def _status(fleet: Fleet, said: argparse.Namespace) -> _Answer:
    found = report.status(fleet.operator.everything())
    return found, report.status_lines(found)


def _spares(fleet: Fleet, said: argparse.Namespace) -> _Answer:
    found = report.spares(fleet.operator.everything())
    return found, report.spares_lines(found)


def _drain(fleet: Fleet, said: argparse.Namespace) -> _Answer:
    found = fleet_drain.run(fleet.operator, said.target, said.at_once,
                            said.wait)
    if found['not_begun'] or found['stalled'] or found['trouble']:
        said.status = 1
    return found, fleet_drain.lines(found)


def _limits(fleet: Fleet, said: argparse.Namespace) -> _Answer:
    given = {name: value for name, value in (
        ('target', said.target), ('domain', said.domain),
        ('total', said.all)) if value is not None}
    made = fleet.operator.limit(given)
    return limits.dump(made), [report.limits_line(limits.dump(made))]


def _move(fleet: Fleet, said: argparse.Namespace) -> _Answer:
    spare = fleet.operator.move(said.replica)
    return {'spare': spare}, ['%s takes the place of %s' % (spare,
                                                            said.replica)]


def _give_back(fleet: Fleet, said: argparse.Namespace) -> _Answer:
    fleet.operator.give_back(said.namespace)
    return {'done': '%s is in the pool again' % said.namespace,
            'erase': said.namespace}, [
        '%s is in the pool again' % said.namespace,
        'If it was not erased yet, erase it now: while it carries the '
        'superblock of the array that it was in, every host refuses it for '
        'another volume, and four such in a row end the replacements of that '
        'volume. "mdadm --zero-superblock DEVICE" on a machine that has '
        'it connected and on which nothing uses it; or make a new namespace, '
        'and load that.']


def _accept(fleet: Fleet, said: argparse.Namespace) -> _Answer:
    made = fleet.operator.accept()
    return {'generation': made.generation, 'hold': made.hold}, [
        'what was restored is generation %d; no spare is taken until '
        '"nvme-agent-fleet resume": run it when "status" shows this '
        'generation for every host' % made.generation]


def _resume(fleet: Fleet, said: argparse.Namespace) -> _Answer:
    added = fleet.operator.resume(said.force)
    return {'done': 'spares are taken', 'added': added}, [
        *added, 'spares are taken']


def _hand_over(fleet: Fleet, said: argparse.Namespace) -> _Answer:
    found = fleet_hand_over.run(
        fleet.operator, said.volume, said.host, said.force,
        said.source_stopped, said.timeout)
    said.status = 1 if found['waits_for'] else 0
    return found, fleet_hand_over.lines(found)


def _export(fleet: Fleet, said: argparse.Namespace) -> _Answer:
    text = loading.export(fleet.operator.everything(), said.host)
    return {'inventory': text}, text.splitlines()


def _roles(fleet: Fleet, said: argparse.Namespace) -> _Answer:
    lines = ['etcdctl ' + line for line in roles.commands(
        fleet.keys.prefix, said.host)]
    return {'commands': lines}, lines


def _simple(call: Callable[[admin.Operator, argparse.Namespace], object],
            words: str) -> _Run:
    def run(fleet: Fleet, said: argparse.Namespace) -> _Answer:
        call(fleet.operator, said)
        text = words % vars(said)
        return {'done': text}, [text]
    return run


def _uuid(text: str) -> str:
    try:
        return model.normalise_uuid(text)
    except (TypeError, ValueError):
        raise argparse.ArgumentTypeError('%s is no UUID' % text) from None


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError('%s is no count' % text)
    return int(text)


def _some(text: str) -> int:
    count = _count(text)
    if not count:
        raise argparse.ArgumentTypeError('0 would never come to an end')
    return count


_UUID = 'UUID of the namespace'
#: name, help, arguments, what it does
_COMMANDS: tuple[tuple[str, str, tuple[tuple[str, dict[str, Any]], ...],
                       _Run], ...] = (
    ('init', 'make the fleet', (), _init),
    ('load', 'bring etcd in line with a file of the local driver', (
        ('file', {}),
        ('--host', {'default': '', 'help': 'the host that heals the volumes '
                    'for which the file names none'}),
        ('--ledger', {'default': '', 'metavar': 'LOCAL.SQLITE',
                      'help': 'the ledger of the local driver that has '
                      'worked with this file'}),
        ('--dry-run', {'action': 'store_true',
                       'help': 'only say what differs'}),
        ('--force', {'action': 'store_true', 'help': 'also for a host that '
                     'no agent has ever shown itself as'})), _load),
    ('export', 'print a file for the local driver of a host', (
        ('host', {}),), _export),
    ('status', 'show hosts, volumes and replicas', (), _status),
    ('spares', 'show the pool', (), _spares),
    ('give-back', 'return a namespace to the pool that was let go, and '
     'erased since', (('namespace', {'type': _uuid, 'help': _UUID}),),
     _give_back),
    ('cordon', 'take no spare of a target', (('target', {}),),
     _simple(lambda to, said: to.cordon(said.target, True),
             'no spare of %(target)s is taken')),
    ('uncordon', 'take spares of a target again', (('target', {}),),
     _simple(lambda to, said: to.cordon(said.target, False),
             'spares of %(target)s are taken again')),
    ('move', 'exchange a replica for a spare', (
        ('replica', {'type': _uuid, 'help': _UUID}),), _move),
    ('drain', 'cordon a target and exchange all replicas on it', (
        ('target', {}),
        ('--at-once', {'type': _some, 'default': 4, 'help': 'replicas of the '
                       'whole fleet on the move at once (%(default)s)'}),
        ('--wait', {'action': 'store_true',
                    'help': 'until none is left there'})), _drain),
    ('limits', 'show or set how many copies may be under way at once', (
        ('--target', {'type': _count, 'metavar': 'N',
                      'help': 'to one target; 0: any number'}),
        ('--domain', {'type': _count, 'metavar': 'N',
                      'help': 'to one failure domain; 0: any number'}),
        ('--all', {'type': _count, 'metavar': 'N',
                   'help': 'in the fleet; 0: any number'})), _limits),
    ('hand-over', 'let another host heal a volume', (
        ('volume', {}), ('host', {}),
        ('--force', {'action': 'store_true', 'help': 'also to a host that '
                     'is fenced, or whose agent does not show itself'}),
        ('--source-stopped', {'action': 'store_true', 'help': 'the host '
                              'before does not use the volume any more: do '
                              'not wait for its agent'}),
        ('--timeout', {'type': _count, 'default': 150, 'metavar': 'SECONDS',
                       'help': 'wait that long for the agent of the host '
                       'before (%(default)s)'})), _hand_over),
    ('detach', 'take a volume off a host that does not heal it', (
        ('volume', {}), ('host', {}),
        ('--gone', {'action': 'store_true', 'help': 'the host that was said '
                    'to be stopped will not come back, or was installed '
                    'anew'})),
     _simple(lambda to, said: to.detach(said.volume, said.host, said.gone),
             '%(volume)s is off the host %(host)s')),
    ('remove', 'forget a volume that no host has attached', (
        ('volume', {}),),
     _simple(lambda to, said: to.remove(said.volume),
             '%(volume)s is forgotten; its namespaces wait for give-back')),
    ('fence', 'let a host only observe', (
        ('host', {}), ('why', {})),
     _simple(lambda to, said: to.fence(said.host, said.why),
             'the host %(host)s observes')),
    ('unfence', 'let a host heal again', (('host', {}),),
     _simple(lambda to, said: to.unfence(said.host),
             'the host %(host)s heals again')),
    ('hold', 'let no spare be taken in the whole fleet', (('why', {}),),
     _simple(lambda to, said: to.hold(said.why), 'on hold: %(why)s')),
    ('resume', 'let spares be taken again', (
        ('--force', {'action': 'store_true', 'help': 'though a host that is '
                     'alive has not shown the generation of now'}),),
     _resume),
    ('accept', 'say that a restored backup is the fleet', (), _accept),
    ('roles', 'print how the role of a host is made in etcd', (
        ('host', {}),), _roles),
)


def _parser() -> argparse.ArgumentParser:
    first, common = (argparse.ArgumentParser(add_help=False)
                     for _ in range(2))
    # before the command or after it; what is not said after it must not
    # undo what was said before
    for place, files, as_json in ((first, None, False), (
            common, argparse.SUPPRESS, argparse.SUPPRESS)):
        place.add_argument('--config-file', action='append', default=files,
                           help='file with the options etcd_… (%s)'
                           % DEFAULT_CONFIG)
        place.add_argument('--json', action='store_true', default=as_json,
                           help='print JSON')
    parser = argparse.ArgumentParser(
        'nvme-agent-fleet', parents=[first],
        description='Volumes and spares of a fleet, in etcd.')
    subs = parser.add_subparsers(metavar='COMMAND', required=True)
    for name, words, arguments, run in _COMMANDS:
        sub = subs.add_parser(name, help=words, description=words,
                              parents=[common])
        for argument, more in arguments:
            sub.add_argument(argument, **more)
        sub.set_defaults(run=run, status=0)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script; returns the exit status."""
    warnings.filterwarnings('ignore', message='(?s).*[Ee]ventlet')
    said = _parser().parse_args(argv)
    try:
        conf = _read(said.config_file)
        wire = etcd.connect(conf)
        try:
            value, lines = said.run(Fleet(wire, conf.etcd_prefix), said)
        finally:
            wire.close()
    except (base.ProvisionerError, cfg.Error, ValueError) as error:
        print('nvme-agent-fleet: %s' % error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if said.json:
        lines = [json.dumps(value, indent=2, sort_keys=True)]
    print('\n'.join(lines))
    return int(said.status)


def _read(files: Sequence[str] | None) -> cfg.ConfigOpts:
    if not files:
        if not os.path.exists(DEFAULT_CONFIG):
            raise base.ConfigurationError(
                'there is no %s, and no --config-file was given'
                % DEFAULT_CONFIG)
        files = [DEFAULT_CONFIG]
    conf = cfg.ConfigOpts()
    conf.register_opts(etcd.OPTS)
    conf([], project='nvme-agent', default_config_files=list(files))
    return conf
