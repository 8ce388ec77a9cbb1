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
from importlib import metadata
import logging as std_logging
import os
import signal
import sys
import threading

# Three of the libraries import eventlet where it is installed: a third of all
# modules, and a deprecation warning, for something that is never used here.
# They take it as absent.
sys.modules.setdefault('eventlet', None)  # type: ignore[arg-type]

from oslo_service import backend  # noqa: E402

backend.init_backend(backend.BackendType.THREADING)

from oslo_config import cfg  # noqa: E402
from oslo_log import log as logging  # noqa: E402

from os_brick.agent.checks import findings  # noqa: E402
from os_brick.agent.daemon import chronicle  # noqa: E402
from os_brick.agent.daemon import endpoint  # noqa: E402
from os_brick.agent.daemon import guard_loop  # noqa: E402
from os_brick.agent.daemon import healing_loop  # noqa: E402
from os_brick.agent.daemon import liveness  # noqa: E402
from os_brick.agent.daemon import outlets  # noqa: E402
from os_brick.agent.daemon import service  # noqa: E402
from os_brick.agent.daemon import showing  # noqa: E402
from os_brick.agent.host import activity  # noqa: E402
from os_brick.agent.host import execute  # noqa: E402
from os_brick.agent.host import identity  # noqa: E402
from os_brick.agent.host import memory  # noqa: E402
from os_brick.agent.host import privileged  # noqa: E402
from os_brick.agent.host import silence  # noqa: E402
from os_brick.agent.host import subsystems  # noqa: E402
from os_brick.agent.host import sysfs  # noqa: E402
from os_brick.agent.host import written  # noqa: E402
from os_brick.agent import opts  # noqa: E402
from os_brick.agent.provisioner import drivers  # noqa: E402
from os_brick.agent.sinks import base as sink  # noqa: E402
from os_brick.agent.store import ledger  # noqa: E402
from os_brick.agent.vendors import base  # noqa: E402
from os_brick.cmd import checking  # noqa: E402
from os_brick.cmd import commands  # noqa: E402
from os_brick.cmd import helping  # noqa: E402
from os_brick.cmd import meditation  # noqa: E402
from os_brick.cmd import starting  # noqa: E402
from os_brick import opts as brick_opts  # type: ignore[attr-defined]  # noqa

LOG = logging.getLogger(__name__)
CONF = cfg.CONF
DEFAULT_CONFIG = '/etc/nvme-agent/agent.conf'


def main() -> int:
    """Entry point of the console script; returns the exit status."""
    try:
        if commands.named(sys.argv[1:]):
            return commands.run(sys.argv[1:], _configuration)
        commands.look(sys.argv[1:])
        return _main(sys.argv[1:])
    except starting.CannotStart as error:
        return commands.say(error, error.status)
    except ledger.LaterRelease as error:
        return commands.say(error, starting.NO_TEXT)
    except ledger.LedgerError as error:
        return commands.say(error, starting.NO_ROOM)
    except cfg.Error as error:
        return commands.say(starting.wrong_value(error), starting.CONFIG)
    except (identity.IdentityError, base.ConfigurationError) as error:
        return commands.say(error, starting.CONFIG)
    except commands.CommandError as error:
        return commands.say(error, 1)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:
        LOG.debug('where it was', exc_info=True)
        return commands.say('defect: %s: %s (--debug shows where)' % (
            type(error).__name__, error), starting.DEFECT)


def _configuration(argv: list[str]) -> cfg.ConfigOpts:
    """Return the configuration, for a sub-command.

    :raises starting.CannotStart, cfg.Error: what is wrong with it.
    """
    _read(CONF, argv)
    brick_opts.set_defaults(CONF)
    starting.look_at_values(CONF)
    return CONF


def _read(conf: cfg.ConfigOpts, argv: list[str],
          more: Sequence[cfg.Opt] = ()) -> None:
    """Register the options and read command line and files.

    :param more: the driver's options, once it is known.
    :raises starting.CannotStart, cfg.Error: what is missing, or which option
        is wrong.
    """
    if not {'-h', '--help', '--version'} & {*argv}:
        starting.look_at_files(argv, DEFAULT_CONFIG)
    logging.register_options(conf)
    opts.register(conf)
    conf.register_opts(more)
    has_default = os.path.exists(DEFAULT_CONFIG)
    try:
        with starting.one_line():
            conf(argv, project='nvme-agent', prog='nvme-agent',
                 version=version(),
                 description='Watches and heals replicated NVMe-oF volumes.',
                 default_config_files=[DEFAULT_CONFIG] if has_default else [])
    except SystemExit:
        # argparse would make one paragraph of it
        if {'-h', '--help'} & {*argv}:
            print('\n%s' % commands.overview())
        raise
    opts.check(conf, more)


def _read_again(argv: list[str], more: Sequence[cfg.Opt]) -> None:
    """:raises starting.CannotStart: the files hold what cannot be used."""
    try:
        _read(cfg.ConfigOpts(), argv, more)
    except cfg.Error as error:
        raise starting.CannotStart(starting.wrong_value(error)) from None


def _main(argv: list[str]) -> int:
    try:
        _read(CONF, argv)
    except starting.CannotStart as error:
        if error.status != starting.USAGE:
            raise
        raise starting.CannotStart('%s%s' % (
            error, commands.misplaced(argv)), error.status) from None
    meditation.listen(version())
    brick_opts.set_defaults(CONF)
    starting.look_at_values(CONF)
    starting.start_log(CONF, version())
    std_logging.captureWarnings(True)
    _look_at_extras()
    driver = drivers.load(CONF)
    sinks = _sinks()
    more = [*type(driver).options(), *sinks.options]
    host = dataclasses.replace(
        identity.identify(CONF.host_nqn, CONF.host_uuid, CONF.host_name),
        version=version())
    starting.make_directories(CONF)
    with starting.only_one(CONF):
        store = ledger.Ledger(os.path.join(CONF.state_dir, ledger.FILE))
        _set_up(driver)
        helping.start()
        LOG.info('nvme-agent %s starts on host %s (NQN %s, UUID %s) with '
                 'the driver %s', version(), host.name, host.nqn,
                 host.uuid or 'not known', CONF.provisioner_driver)
        # a wrong start is one line: these come when it has started
        _check()
        if CONF.lock_memory:
            _lock_memory()
            privileged.default.renew = privileged.lock_memory
        stopping = threading.Event()
        scanner = sysfs.Scanner()
        story = chronicle.Chronicle(CONF)
        std_logging.getLogger('os_brick.agent').addHandler(story)
        port = endpoint.Endpoint(CONF)
        life = liveness.Liveness()
        executor = execute.Executor(CONF, scanner, host, stopping.is_set,
                                    set_back=store.set_back,
                                    progress=lambda: life.step(
                                        service.PASSES))
        guard = guard_loop.GuardLoop(
            CONF, scanner.scan, executor, activity.ActivityReader(),
            silence.unanswered, subsystems=subsystems.policies,
            well=lambda rest: life.well(service.GUARD, rest))
        life.expect(service.GUARD)
        loop = healing_loop.HealingLoop(CONF, driver, host, scanner.scan,
                                        executor, store, stopping.is_set,
                                        guard.publish,
                                        progress=lambda: life.step(
                                            service.PASSES),
                                        show=showing.Showing(
                                            CONF, host,
                                            lambda: guard.anchors,
                                            service.notify, story=story,
                                            port=port, sinks=sinks,
                                            counted=lambda: (
                                                guard.tally,
                                                guard.standing)),
                                        sinks=sinks, lost=guard.take_lost,
                                        count=written.Reader().read)
        try:
            service.run(
                service.AgentService(CONF, loop.run, guard, stopping,
                                     life=life, leave=loop.leave),
                CONF, lambda: _read_again(argv, more))
        finally:
            try:
                driver.close()
            except Exception:
                LOG.exception('the driver could not be closed')
            port.close()
            sinks.close()
            store.close()
    LOG.info('nvme-agent has stopped')
    return 0


def _look_at_extras() -> None:
    """:raises starting.CannotStart: what is asked for is not installed."""
    try:
        endpoint.look(CONF)
    except endpoint.Missing as error:
        raise starting.CannotStart(str(error)) from None


def _sinks() -> outlets.Outlets:
    """:raises starting.CannotStart: one of them can never work."""
    try:
        return outlets.make(CONF)
    except sink.ConfigurationError as error:
        raise starting.CannotStart(str(error)) from None


def _check() -> None:
    """Say what the cheap half of nvme-agent check finds; it stops nothing."""
    try:
        for one in checking.cheap(CONF):
            if one.code is not findings.Code.SUCCESS:
                LOG.log(std_logging.ERROR if one.code is findings.Code.FAILURE
                        else std_logging.WARNING, 'check, %s: %s; remedy: %s',
                        one.about, one.details, one.remedy)
    except Exception:
        LOG.exception('check: defect; the agent starts all the same')


def _set_up(driver: base.ProvisionerDriver) -> None:
    """:raises starting.CannotStart: the driver cannot work."""
    try:
        driver.set_up()
    except base.ProvisionerError as error:
        raise starting.CannotStart(
            'the driver "%s": %s' % (CONF.provisioner_driver, error),
            starting.CONFIG if isinstance(error, base.ConfigurationError)
            else starting.DRIVER) from error
    except Exception as error:
        LOG.debug('where it was', exc_info=True)
        raise starting.CannotStart(
            'the driver "%s" is broken: set_up: %s: %s' % (
                CONF.provisioner_driver, type(error).__name__, error),
            starting.DEFECT) from error


def _lock_memory() -> None:
    """Keep the agent and its helper in memory, or say why not."""
    for who, lock in (('agent', memory.lock),
                      ('privileged helper', privileged.lock_memory)):
        why = lock()
        if why:
            LOG.warning('the %s is not kept in memory, and may stand still '
                        'together with the disk that it is read from: %s',
                        who, why)


def version() -> str:
    try:
        return metadata.version('os-brick-nvme-agent')
    except metadata.PackageNotFoundError:
        return 'unknown'


if __name__ == '__main__':
    sys.exit(main())
