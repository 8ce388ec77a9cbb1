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
"""What a case stands on: a driver, the side behind it, and a plain host.

A vendor's class gives ``make_driver`` and those hooks that it can; what it
cannot do is named in ``missing``, and the cases that need it are skipped and
say so.  A capability that is neither there nor named fails its cases: what
nobody looked at must not look like success.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
import contextlib
import functools
import logging
import os
import shutil
import tempfile
import typing
import unittest

from oslo_config import cfg

from os_brick.agent import model
from os_brick.agent import opts
from os_brick.agent.testing.conformance import plain_host
from os_brick.agent.vendors import base

if typing.TYPE_CHECKING:
    _Case = unittest.TestCase
else:
    _Case = object

State = model.ReplicaState
Context = contextlib.AbstractContextManager

#: Capability -> what it takes; each but the first three is a hook.
CAPABILITIES = {
    'changes': 'the volume may be changed: reported, replaced, let go',
    'replacement': 'the back end can place another replica',
    'stories': 'hypothesis is installed, and setUp makes a fresh back end',
    'secrets': 'returns the texts that must appear nowhere',
    'outage': 'the back end cannot be reached',
    'silence': 'the back end takes requests and does not answer',
    'refused_credentials': 'the back end refuses the credentials',
    'hostile_answers': 'gives pairs of a name and a context in which every '
                       'answer is nonsense',
    'broken_volume': 'the description of one of several volumes is nonsense; '
                     'yields its alias',
    'without_spares': 'no replacement can be placed',
    'lost_answer': 'the next request is carried out, its answer is lost',
    'impossible_settings': 'gives pairs of an option and a driver whose '
                           'setting of it can never work',
    'live_changes': 'gives a LiveChange for each mutable option',
}
NOBODY = '00000000-0000-4000-8000-0000000000ff'
_TURNS = 20


class LiveChange(typing.NamedTuple):
    """:ivar in_force: fails where the driver works with the old value."""

    option: str
    value: object
    in_force: Callable[[base.ProvisionerDriver], object]


def needs(*capabilities: str) -> Callable[..., typing.Any]:
    """Mark a case that cannot be held without them."""
    def mark(case):
        @functools.wraps(case)
        def run(self):
            for name in capabilities:
                self.need(name)
            return case(self)
        run.capabilities = capabilities
        return run
    return mark


class Bench(_Case):
    """The hooks of a vendor's class, and what the cases share.

    :cvar vendor: the entry point's name; options begin with it.
    :cvar missing: capabilities that there are not; a mapping may say why.
    :cvar aliases: md names of volumes that this host has attached.  The
        first one is played with and has two replicas or more, all in sync.
    :cvar host: who this host is.
    :cvar lasting: the back end is the same in all cases: before a case the
        volume is brought in order, and spares may run out.
    :cvar call_limit: seconds after which a call is taken for one that never
        ends; well beyond the driver's own time-outs.
    :cvar patience: seconds for what a driver may leave to end by itself.
    :ivar conf: what ``configure`` made.
    """

    vendor = ''
    missing: Collection[str] = ()
    aliases: Collection[str] = ('vol-1',)
    host = model.Host(
        'nqn.2014-08.org.nvmexpress:uuid:5d1e4f2c-0001-4000-8000-000000000001',
        '5d1e4f2c-0001-4000-8000-000000000001', 'host-1', '1.0')
    lasting = False
    call_limit = 60.0
    patience = 10.0
    conf: cfg.ConfigOpts | None = None
    _path = ''

    # the hooks

    def make_driver(self) -> base.ProvisionerDriver:
        """Return a new instance, not set up, for the same back end."""
        raise NotImplementedError('make_driver')

    def settle(self) -> None:
        """Let the back end go on, while the kit waits for a new replica."""

    def secrets(self) -> Collection[str]:
        raise NotImplementedError('secrets')

    def outage(self) -> Context[object]:
        raise NotImplementedError('outage')

    def silence(self) -> Context[object]:
        raise NotImplementedError('silence')

    def refused_credentials(self) -> Context[object]:
        raise NotImplementedError('refused_credentials')

    def hostile_answers(self) -> Iterable[tuple[str, Context[object]]]:
        raise NotImplementedError('hostile_answers')

    def broken_volume(self) -> Context[str]:
        raise NotImplementedError('broken_volume')

    def without_spares(self) -> Context[object]:
        raise NotImplementedError('without_spares')

    def lost_answer(self) -> Context[object]:
        raise NotImplementedError('lost_answer')

    def impossible_settings(self) -> Iterable[
            tuple[str, base.ProvisionerDriver]]:
        raise NotImplementedError('impossible_settings')

    def live_changes(self) -> Iterable[LiveChange]:
        raise NotImplementedError('live_changes')

    # for make_driver

    def configure(self, driver: type[base.ProvisionerDriver],
                  **settings: object) -> cfg.ConfigOpts:
        """Return the configuration of an agent with this driver.

        It is read from a file of its own, so that it can be changed and
        read again as an operator does.

        :param settings: of its options; None: it is not set.
        """
        if not self._path:
            folder = tempfile.mkdtemp(prefix='conformance-')
            self.addCleanup(shutil.rmtree, folder)
            self._path = os.path.join(folder, 'agent.conf')
        self._write(settings)
        conf = cfg.ConfigOpts()
        opts.register(conf)
        conf.register_opts(list(driver.options()))
        conf(['--config-file', self._path], project='nvme-agent')
        self.conf = conf
        return conf

    def _write(self, settings: dict[str, object]) -> None:
        self._settings = settings
        with open(self._path, 'w', encoding='utf-8') as stream:
            stream.write('[DEFAULT]\n')
            for name, value in settings.items():
                if isinstance(value, (list, tuple)):
                    value = ','.join(map(str, value))
                if value is None:
                    continue
                stream.write('%s = %s\n' % (name, value))
        os.chmod(self._path, 0o600)

    # for the cases

    def need(self, name: str) -> None:
        """Skip the case where the capability is missing by name."""
        if name in self.missing:
            why = self.missing
            self.skipTest('missing, %s: %s' % (name, why[name] if isinstance(
                why, dict) else CAPABILITIES[name]))

    def configured(self) -> cfg.ConfigOpts:
        """Return the configuration of the last driver that was made."""
        if self.conf is None:
            self.make_driver()
        if self.conf is None:
            self.fail('make_driver has to take its configuration from '
                      'self.configure(), or to set self.conf')
        return self.conf

    def change(self, **settings: object) -> None:
        """Edit the configuration file and let it be read again."""
        if self._path:
            self._write({**self._settings, **settings})
        self.configured().mutate_config_files()

    def started(self, greet: bool = True) -> base.ProvisionerDriver:
        """Return a driver that is set up; it is closed after the case.

        :param greet: send a heartbeat, as every pass begins with one; how it
            goes is the matter of other cases.
        """
        driver = self.make_driver()
        driver.set_up()
        self._open.append(driver)
        if greet:
            self.error_of(lambda: driver.heartbeat(self.host, 30.0))
        if self.lasting and len(self._open) == 1 and (
                'changes' not in self.missing):
            self._bring_in_order(driver)
        return driver

    def _bring_in_order(self, driver: base.ProvisionerDriver) -> None:
        """End what another case began."""
        for _ in range(_TURNS):
            volume = self.volume(driver)
            meant = volume.replica_count or len(volume.replicas)
            good = [replica for replica in volume.replicas
                    if replica.state is State.AVAILABLE]
            if len(good) == len(volume.replicas) <= meant:
                break
            for replica in volume.replicas:
                if replica.state is State.TERMINATING:
                    driver.confirm_replica_removed(volume, replica)
                elif replica.state is not State.AVAILABLE:
                    driver.report_replica_state(volume, replica,
                                                State.AVAILABLE)
            if len(good) == len(volume.replicas):
                for replica in good:
                    if self.error_of(lambda: driver.retire_replica(
                            volume, replica)) is None:
                        break
        self.__dict__.pop('arrays')     # filled with what is AVAILABLE now

    @functools.cached_property
    def _open(self) -> list[base.ProvisionerDriver]:
        drivers: list[base.ProvisionerDriver] = []

        def close_all() -> None:
            while drivers:
                drivers.pop().close()
        self.addCleanup(close_all)
        return drivers

    def request(self, driver: base.ProvisionerDriver, volume: model.Volume,
                bad: model.Replica) -> None:
        """Ask for a replacement; skip where a lasting back end has none."""
        try:
            driver.request_replacement(volume, bad)
        except base.Rejected as error:
            if not self.lasting:
                raise
            self.skipTest('no replacement was to be had: %s' % error)

    def stop(self, driver: base.ProvisionerDriver) -> None:
        self._open.remove(driver)
        driver.close()

    def killed(self, driver: base.ProvisionerDriver
               ) -> base.ProvisionerDriver:
        """Return the driver of an agent whose last one was not closed."""
        return self.started()

    @functools.cached_property
    def arrays(self) -> dict[str, plain_host.PlainArray]:
        return {alias: plain_host.PlainArray('md%d' % (127 - number), alias)
                for number, alias in enumerate(self.aliases)}

    def ask(self, driver: base.ProvisionerDriver,
            targets_for: Collection[str] = (),
            host: model.Host | None = None) -> list[model.Volume]:
        """Ask as a pass does."""
        listed = list(driver.get_volumes(
            host or self.host, tuple(array.seen() for array in
                                     self.arrays.values()),
            frozenset(targets_for)))
        for volume in listed:
            if isinstance(volume, model.Volume) and (
                    volume.alias in self.arrays):
                self.arrays[volume.alias].fill(volume)
        return listed

    def volume(self, driver: base.ProvisionerDriver,
               targets_for: Collection[str] = ()) -> model.Volume:
        """Return the volume that is played with, as it is listed now."""
        listed = self.ask(driver, targets_for)
        for alias in self.aliases:
            for volume in listed:
                if volume.alias == alias:
                    return volume
            self.fail('volume %s, which this host has attached, is not '
                      'listed; there are: %s' % (alias, ', '.join(
                          volume.alias for volume in listed) or 'none'))
        self.skipTest('no volume is named')

    def victim(self, volume: model.Volume) -> model.Replica:
        """Return the replica that a case plays with."""
        good = [replica for replica in volume.replicas
                if replica.state is State.AVAILABLE]
        if len(good) < 2:
            self.fail('volume %s has %d replicas that are AVAILABLE; two are '
                      'needed' % (volume.alias, len(good)))
        return good[-1]

    def see(self, volume: model.Volume, replica: str,
            state: State | None) -> None:
        """Let this host see a leg in that state, None: no more."""
        legs = self.arrays[volume.alias].legs
        assert legs is not None
        if state is None:
            legs.pop(replica, None)
        else:
            legs[replica] = state

    def new_replicas(self, before: model.Volume, driver:
                     base.ProvisionerDriver) -> tuple[
                         model.Volume, list[model.Replica]]:
        """Wait for replicas that were not listed before.

        Without one a case cannot go on; one of them holds the driver to it.
        """
        known = {replica.uuid for replica in before.replicas}
        for _ in range(_TURNS):
            now = self.volume(driver)
            found = [replica for replica in now.replicas
                     if replica.uuid not in known]
            if found:
                return now, found
            self.settle()
        self.stuck(
            'test_replacement_is_listed', 'no new replica of volume %s was '
            'listed in %d answers after the request was accepted' % (
                before.alias, _TURNS))

    def stuck(self, case: str, why: str) -> typing.NoReturn:
        """End a case that rests on what another one is about."""
        if self._testMethodName == case:
            self.fail(why)
        self.skipTest('depends on %s: %s' % (case, why))

    def lost(self, driver: base.ProvisionerDriver
             ) -> tuple[model.Volume, model.Replica]:
        """A replica is lost and reported; return volume and replica."""
        volume = self.volume(driver)
        bad = self.victim(volume)
        self.see(volume, bad.uuid, State.MISSING)
        driver.report_replica_state(volume, bad, State.MISSING)
        volume = self.volume(driver)
        return volume, volume.replica(bad.uuid) or bad

    def replaced(self, driver: base.ProvisionerDriver
                 ) -> tuple[model.Volume, model.Replica, model.Replica]:
        """It is replaced, the new one in sync; volume, old one, new one."""
        volume, bad = self.lost(driver)
        self.request(driver, volume, bad)
        volume, found = self.new_replicas(volume, driver)
        new = found[0]
        for state in (State.SYNCHRONIZING, State.AVAILABLE):
            self.see(volume, new.uuid, state)
            driver.report_replica_state(volume, new, state)
        self.see(volume, bad.uuid, None)
        volume = self.volume(driver)
        return (volume, volume.replica(bad.uuid) or bad,
                volume.replica(new.uuid) or new)

    def retired(self, driver: base.ProvisionerDriver
                ) -> tuple[model.Volume, model.Replica]:
        """The old one is retired; return volume and the old replica."""
        volume, old, _ = self.replaced(driver)
        driver.retire_replica(volume, old)
        volume = self.volume(driver)
        listed = volume.replica(old.uuid) or old
        if listed is not old and listed.state is not State.TERMINATING:
            self.stuck('test_retired_replica_is_on_its_way_out',
                       'replica %s was retired and is %s' % (
                           old.uuid, listed.state.value))
        return volume, listed

    @staticmethod
    def error_of(call: Callable[[], object]) -> BaseException | None:
        """Return what a call raised, None where it came back."""
        try:
            call()
        except Exception as error:
            return error
        return None

    def refuses(self, what: str, call: Callable[[], object],
                *kinds: type[base.ProvisionerError]) -> BaseException:
        """Return the error of one of these kinds that a call raises."""
        error = self.error_of(call)
        names = ' or '.join(kind.__name__ for kind in kinds)
        if error is None:
            self.fail('%s came back as if it had succeeded, where %s is to '
                      'be raised' % (what, names))
        if not isinstance(error, kinds):
            self.fail('%s raised %s, where %s is to be raised: %s' % (
                what, type(error).__name__, names, error))
        return error

    @contextlib.contextmanager
    def logged(self) -> typing.Iterator[list[logging.LogRecord]]:
        """Collect all that is logged, debugging too."""
        records: list[logging.LogRecord] = []

        class Keep(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                records.append(record)

        root, handler = logging.getLogger(), Keep(logging.DEBUG)
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            yield records
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
