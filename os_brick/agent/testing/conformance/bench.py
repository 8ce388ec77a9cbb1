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
"""What a case stands on: drivers in the making, and a plain host.

The steps that lead to where a case begins are here, each under the name of
what it has led to: ``lost``, ``replaced``, ``retired``.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
import contextlib
import functools
import logging
import os
import threading
import time
import typing

from os_brick.agent import model
from os_brick.agent.testing.conformance import hooks
from os_brick.agent.testing.conformance import plain_host
from os_brick.agent.vendors import base

State = model.ReplicaState
needs = hooks.needs
#: A replica that no provisioner knows.
NOBODY = '00000000-0000-4000-8000-0000000000ff'
_TURNS = 20
#: Seconds between two looks at what should end by itself.
_LOOK = 0.02
_AT_REST = 5
T = typing.TypeVar('T')


def _open_now() -> int:
    return len(os.listdir('/proc/self/fd'))


class Bench(hooks.Hooks):
    """Makes, asks and stops drivers; plays the host that they serve."""

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

    def within_limit(self, call: Callable[[], object]
                     ) -> list[BaseException | None]:
        """Return what a call raised, None: it came back; []: it goes on."""
        ended: list[BaseException | None] = []
        thread = threading.Thread(
            target=lambda: ended.append(self.error_of(call)), daemon=True,
            name='conformance')
        thread.start()
        thread.join(self.call_limit)
        return ended

    def until_none(self, look: Callable[[], T]) -> T:
        """Look until nothing is there or patience ends; return what is."""
        limit = time.monotonic() + self.patience
        found = look()
        while found and time.monotonic() < limit:
            time.sleep(_LOOK)
            found = look()
        return found

    def descriptors(self) -> int:
        """Return how many are open, once that number has come to rest.

        A back end of this process closes its ends a little later.
        """
        limit = time.monotonic() + self.patience
        number, looks = _open_now(), 0
        while looks < _AT_REST and time.monotonic() < limit:
            time.sleep(_LOOK)
            before, number = number, _open_now()
            looks = looks + 1 if number == before else 0
        return number

    def descriptors_left(self, before: int) -> int:
        """Return how many more there stay than before."""
        return self.until_none(lambda: max(0, _open_now() - before))

    @contextlib.contextmanager
    def logged(self) -> typing.Iterator[list[logging.LogRecord]]:
        """Collect all that is logged, debugging too."""
        records: list[logging.LogRecord] = []

        class Keep(logging.Handler):
            """Keeps what is logged, for a case to look at."""

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
