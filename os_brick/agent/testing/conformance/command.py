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
"""nvme-agent-conformance: hold an installed driver to its contract.

Without a line of code: the driver is one that is installed, with the options
of an agent.conf.  What takes the back end apart (an outage, say) needs a
class of the vendor's, which ``--suite`` names.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
from importlib import metadata
import os
import sys
from typing import Any
import unittest

from oslo_config import cfg

from os_brick.agent.host import identity
from os_brick.agent import model
from os_brick.agent import opts
from os_brick.agent.provisioner import drivers
from os_brick.agent.testing.conformance import report
from os_brick.agent.testing.conformance import results
from os_brick.agent.testing.conformance import suite
from os_brick.agent.vendors import base

_HOOKS = ('secrets', 'outage', 'silence', 'refused_credentials',
          'hostile_answers', 'broken_volume', 'without_spares',
          'lost_answer', 'impossible_settings', 'live_changes', 'resync_limit')
_NEEDS_CODE = 'needs a class of the vendor\'s, see --suite'


class CannotRun(Exception):
    """Why no case was run, for whoever called the command."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='nvme-agent-conformance',
        description='Holds a driver of nvme-agent to its contract, prints '
                    'each case with its result, and writes a report.')
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--driver', help='name of an installed driver')
    what.add_argument('--suite', metavar='MODULE:CLASS',
                      help='a class that derives from DriverConformance')
    parser.add_argument('--config-file', help='agent.conf with the options '
                                              'of the driver')
    parser.add_argument('--volume', action='append', default=[],
                        metavar='ALIAS', help='md name of a volume that this '
                        'host has attached; may be repeated')
    parser.add_argument('--may-change', action='store_true',
                        help='the first --volume may be changed: replicas of '
                             'it are reported lost, replaced and let go. '
                             'Never a volume that holds data')
    parser.add_argument('--report', default='conformance', metavar='PATH',
                        help='writes PATH.json and PATH.html '
                             '(default: conformance)')
    return parser


def main() -> int:
    """Entry point of the console script; 0: it conforms, 1: it does not."""
    arguments = _parser().parse_args()
    try:
        return 0 if _run(arguments) else 1
    except (CannotRun, base.ProvisionerError, identity.IdentityError,
            cfg.Error, OSError) as error:
        print('nvme-agent-conformance: %s' % error, file=sys.stderr)
        return 2


def _run(arguments: argparse.Namespace) -> bool:
    vendors = (_from_suite(arguments.suite) if arguments.suite
               else _from_driver(arguments))

    def tell(outcome: results.Outcome) -> None:
        print('%-8s%s' % (outcome.result, outcome.sentence))
        if outcome.reason:
            print('        %s: %s' % (outcome.case, outcome.reason))
        sys.stdout.flush()

    made = report.Report(
        vendors.vendor, arguments.suite or _origin(arguments.driver),
        _version(), datetime.datetime.now(datetime.timezone.utc).strftime(
            '%Y-%m-%d %H:%M UTC'), tuple(results.run(vendors, tell)))
    for ending, text in (('json', made.as_json()), ('html', made.as_html())):
        path = '%s.%s' % (arguments.report, ending)
        with open(path, 'w', encoding='utf-8') as stream:
            stream.write(text)
        print('report: %s' % os.path.abspath(path))
    print('driver %s: %s (interface %s)' % (
        made.driver, made.summary, report.interface()))
    return made.conforms


def _from_suite(name: str) -> Any:
    module, _, attribute = name.partition(':')
    sys.path.insert(0, os.getcwd())     # as "python -m unittest" has it
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise CannotRun('--suite %s: %s' % (name, error)) from error
    if not (isinstance(found, type) and issubclass(found, unittest.TestCase)
            and issubclass(found, suite.DriverConformance)):
        raise CannotRun('--suite %s: it is no TestCase that derives from '
                        'DriverConformance' % name)
    return found


def _from_driver(arguments: argparse.Namespace) -> Any:
    """Return a class for a driver of which only its options are known."""
    if not arguments.config_file:
        raise CannotRun('--driver needs --config-file')
    if arguments.may_change and not arguments.volume:
        raise CannotRun('--may-change needs --volume: which one?')
    driver = drivers.load_class(arguments.driver)
    conf = _configuration(driver, arguments)
    missing = dict.fromkeys(_HOOKS, _NEEDS_CODE)
    missing['stories'] = 'needs a fresh back end for each story'
    if not arguments.may_change:
        missing['changes'] = ('the volume is not to be changed, see '
                              '--may-change')
    return type('Installed', (suite.DriverConformance, unittest.TestCase), {
        'vendor': arguments.driver, 'missing': missing, 'conf': conf,
        'lasting': True, 'aliases': tuple(arguments.volume),
        'host': _host(conf), 'make_driver': lambda self: driver(conf)})


def _configuration(driver: type[base.ProvisionerDriver],
                   arguments: argparse.Namespace) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    opts.register(conf)
    conf.register_opts(list(driver.options()))
    conf(['--config-file', arguments.config_file], project='nvme-agent')
    opts.check(conf, driver.options())
    return conf


def _host(conf: cfg.ConfigOpts) -> model.Host:
    return identity.identify(conf.host_nqn, conf.host_uuid, conf.host_name)


def _origin(name: str) -> str:
    for entry in metadata.entry_points(group=base.NAMESPACE, name=name):
        if entry.dist is not None:
            return '%s %s' % (entry.dist.name, entry.dist.version)
    return drivers.EMBEDDED.get(name, name)


def _version() -> str:
    try:
        return metadata.version(drivers.DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return 'from its source tree'


if __name__ == '__main__':
    sys.exit(main())
