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
"""nvme-agent: parse, log, load the driver, run the service."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import fcntl
from importlib import metadata
import logging as std_logging
import os
import sys
import threading
from typing import TextIO

# Three of the libraries import eventlet where it is installed: a third of all
# modules, and a deprecation warning, for something that is never used here.
# They take it as absent.
sys.modules.setdefault('eventlet', None)  # type: ignore[arg-type]

from oslo_service import backend  # noqa: E402

backend.init_backend(backend.BackendType.THREADING)

from oslo_config import cfg  # noqa: E402
from oslo_log import log as logging  # noqa: E402

from os_brick.agent.daemon import chronicle  # noqa: E402
from os_brick.agent.daemon import guard_loop  # noqa: E402
from os_brick.agent.daemon import healing_loop  # noqa: E402
from os_brick.agent.daemon import service  # noqa: E402
from os_brick.agent.daemon import showing  # noqa: E402
from os_brick.agent.host import activity  # noqa: E402
from os_brick.agent.host import execute  # noqa: E402
from os_brick.agent.host import identity  # noqa: E402
from os_brick.agent.host import memory  # noqa: E402
from os_brick.agent.host import privileged  # noqa: E402
from os_brick.agent.host import silence  # noqa: E402
from os_brick.agent.host import sysfs  # noqa: E402
from os_brick.agent.host import udev_rule  # noqa: E402
from os_brick.agent import opts  # noqa: E402
from os_brick.agent.provisioner import drivers  # noqa: E402
from os_brick.agent.store import ledger  # noqa: E402
from os_brick.agent.vendors import base  # noqa: E402
from os_brick.cmd import commands  # noqa: E402
from os_brick import opts as brick_opts  # type: ignore[attr-defined]  # noqa

LOG = logging.getLogger(__name__)
CONF = cfg.CONF
DEFAULT_CONFIG = '/etc/nvme-agent/agent.conf'


class CannotStart(Exception):
    """Why the agent does not start, for the operator."""


def main() -> int:
    """Entry point of the console script; returns the exit status."""
    try:
        if commands.named(sys.argv[1:]):
            return commands.run(sys.argv[1:], _configuration)
        return _main(sys.argv[1:])
    except (CannotStart, commands.CommandError,
            base.ProvisionerError, identity.IdentityError,
            ledger.LedgerError, cfg.Error, ValueError) as error:
        print('nvme-agent: %s' % error, file=sys.stderr)
        return 1


def _configuration(argv: list[str]) -> cfg.ConfigOpts:
    _read(CONF, argv)
    return CONF


def _read(conf: cfg.ConfigOpts, argv: list[str],
          more: Sequence[cfg.Opt] = ()) -> None:
    """Register the options and read command line and files.

    :param more: the driver's options, once it is known.
    :raises CannotStart, cfg.Error: what is missing, or which option is wrong.
    """
    logging.register_options(conf)
    opts.register(conf)
    conf.register_opts(more)
    has_default = os.path.exists(DEFAULT_CONFIG)
    conf(argv, project='nvme-agent', prog='nvme-agent', version=version(),
         description='Watches and heals replicated NVMe-oF volumes.',
         epilog=commands.overview() if {'-h', '--help'} & {*argv} else None,
         default_config_files=[DEFAULT_CONFIG] if has_default else [])
    if not conf.config_file:
        raise CannotStart('there is no %s, and no --config-file was given; '
                          'see agent.conf.sample' % DEFAULT_CONFIG)
    opts.check(conf, more)


def _main(argv: list[str]) -> int:
    _read(CONF, argv)
    logging.setup(CONF, 'nvme-agent', version())
    std_logging.captureWarnings(True)
    brick_opts.set_defaults(CONF)
    if not CONF.os_brick.lock_path:
        raise CannotStart(
            'option lock_path of [oslo_concurrency] (or of [os_brick]) is '
            'not set; it must be the one that nova-compute uses')
    driver = drivers.load(CONF)
    more = list(type(driver).options())
    host = dataclasses.replace(
        identity.identify(CONF.host_nqn, CONF.host_uuid, CONF.host_name),
        version=version())
    for option in ('state_dir', 'run_dir'):
        try:
            os.makedirs(CONF[option], mode=0o755, exist_ok=True)
        except OSError as error:
            raise CannotStart('option %s: %s' % (option, error)) from error
    with _only_one(os.path.join(CONF.run_dir, 'agent.pid')):
        driver.set_up()
        _start_helper()
        LOG.info('nvme-agent %s serves host %s (NQN %s, UUID %s) with the '
                 'driver %s', version(), host.name, host.nqn, host.uuid,
                 CONF.provisioner_driver)
        if CONF.lock_memory:
            _lock_memory()
        trouble = udev_rule.trouble()
        if trouble:
            LOG.warning('udev may put legs back, or start arrays, without a '
                        'look at what is on them: %s; see the installation '
                        'guide', trouble)
        stopping = threading.Event()
        scanner = sysfs.Scanner()
        story = chronicle.Chronicle(CONF)
        std_logging.getLogger('os_brick.agent').addHandler(story)
        store = ledger.Ledger(os.path.join(CONF.state_dir, 'agent.sqlite'))
        executor = execute.Executor(CONF, scanner, host, stopping.is_set)
        guard = guard_loop.GuardLoop(CONF, scanner.scan, executor,
                                     activity.ActivityReader(),
                                     silence.unanswered)
        loop = healing_loop.HealingLoop(CONF, driver, host, scanner.scan,
                                        executor, store, stopping.is_set,
                                        guard.publish, show=showing.Showing(
                                            CONF, host, lambda: guard.anchors,
                                            service.notify, story=story))
        try:
            service.run(
                service.AgentService(CONF, loop.run, guard, stopping),
                CONF, lambda: _read(cfg.ConfigOpts(), argv, more))
        finally:
            try:
                driver.close()
            except Exception:
                LOG.exception('the driver could not be closed')
            store.close()
    LOG.info('nvme-agent has stopped')
    return 0


def _start_helper() -> None:
    """Start what runs as root now: in the middle of a fault it is too late.

    :raises CannotStart: naming what to look at.
    """
    std_logging.getLogger('oslo.privsep.daemon').addFilter(_no_eventlet)
    os.environ.setdefault('PYTHONWARNINGS', 'ignore:::oslo_privsep.daemon')
    try:
        privileged.ready()
    except Exception as error:
        raise CannotStart(
            'the privileged helper could not be started: %s; see sudoers, '
            'and the option helper_command of [%s]' % (
                error, opts.PRIVSEP_GROUP)) from error


def _lock_memory() -> None:
    """Keep the agent and its helper in memory, or say why not."""
    for who, lock in (('agent', memory.lock),
                      ('privileged helper', privileged.lock_memory)):
        why = lock()
        if why:
            LOG.warning('the %s is not kept in memory, and may stand still '
                        'together with the disk that it is read from: %s',
                        who, why)


def _no_eventlet(record: std_logging.LogRecord) -> bool:
    """Drop the helper's print-out about a library that is not used here."""
    text = record.getMessage()
    return not (text.startswith('privsep log:') and (
        text.rstrip() == 'privsep log:' or any(
            words in text for words in (
                'ventlet', 'maintained in bugfix mode',
                'against using it for new projects',
                'framework.  For more detail'))))


def version() -> str:
    try:
        return metadata.version('os-brick-nvme-agent')
    except metadata.PackageNotFoundError:
        return 'unknown'


def _only_one(path: str) -> TextIO:
    """Hold the pid file's lock; it is released when the process ends."""
    try:
        pid_file = open(path, 'a+', encoding='ascii')
    except OSError as error:
        raise CannotStart('option run_dir: %s' % error) from error
    try:
        fcntl.flock(pid_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid_file.seek(0)
        raise CannotStart(
            'another agent runs on this host already, with pid %s' %
            (pid_file.read().strip() or 'unknown')) from None
    pid_file.truncate(0)
    pid_file.write('%d\n' % os.getpid())
    pid_file.flush()
    return pid_file


if __name__ == '__main__':
    sys.exit(main())
