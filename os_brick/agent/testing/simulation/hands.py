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
"""The agent's way out of its process, into the simulated kernel."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import TypeVar

from os_brick.agent.host import commands
from os_brick.agent.host import effects
from os_brick.agent.host import helper
from os_brick.agent import model
from os_brick.agent.testing.simulation import baton as batons
from os_brick.agent.testing.simulation import judge as judges
from os_brick.agent.testing.simulation import kernel as kernels
from os_brick.agent.testing.simulation import md

T = TypeVar('T')
#: What may become of a call when the helper is killed.
DONE, UNTOLD, LOST = 'done', 'done, and not told', 'lost'


class Hands(effects.Effects):
    """Each call is a point before and after it, and is judged between.

    :ivar brick: os-brick, or another process, holds its lock.
    :ivar failing: what runs as root is killed again and again: decides of
        each call whether it comes to its end, and whether that is told.
    """

    def __init__(self, kernel: kernels.Kernel, baton: batons.Baton,
                 judge: judges.Judge, tell: Callable[[str], None]) -> None:
        self._kernel = kernel
        self._baton = baton
        self._judge = judge
        self._tell = tell
        self.brick = False
        self.failing: Callable[[], str] | None = None
        self._held = False

    def _do(self, what: str, body: Callable[[], object]) -> None:
        """:raises commands.CommandFailed: as the tool would."""
        self._baton.point('before ' + what.split()[0], still=True)
        self._tell('the agent: ' + what)
        fate = self.failing() if self.failing is not None else DONE
        if fate == LOST:
            self._tell('  which the helper, killed, does not do')
            raise helper.HelperLost('the helper has ended')
        try:
            body()
        except (KeyError, kernels.KernelError) as error:
            self._tell('  which fails: %s' % error)
            raise commands.CommandFailed('%s failed: %s' % (
                what, error)) from None
        except commands.NotMeant as error:
            self._tell('  which is refused: %s' % error)
            raise
        self._kernel.touched()
        self._judge.after()
        self._baton.point('after ' + what.split()[0])
        if fate == UNTOLD:
            self._tell('  after which the helper is killed')
            raise helper.HelperLost('the helper has ended')

    def _md(self, array: str, what: str,
            judging: Callable[[md.Raid], object],
            body: Callable[[md.Raid], object],
            limit: float = commands.COMMAND_TIMEOUT) -> None:
        """Change an array: under md's lock, and not before every leg does.

        :param judging: looks at it when mdadm is started.
        :param limit: seconds after which it is given up.
        :raises commands.CommandFailed: as mdadm would.
        """
        def change() -> None:
            raid = self._kernel.raids[array]
            self._judge.array(raid)
            judging(raid)
            self._wait(lambda: raid.busy, limit, what)
            raid.busy = True
            try:
                self._wait(raid.hangs, limit, what)
                body(raid)
            finally:
                raid.busy = False
        self._do(what, change)

    def _wait(self, hangs: Callable[[], bool], limit: float,
              what: str) -> None:
        end = self._baton.now + limit
        while hangs():
            if self._baton.now >= end:
                raise kernels.KernelError('%s did not end within %g s' % (
                    what.split()[0], limit))
            self._baton.wait(0.25)

    def connect(self, nqn: str, address: str, port: int, transport: str,
                host_nqn: str) -> None:
        def body() -> None:
            self._judge.connect(nqn)
            self._kernel.connect(nqn, model.Portal(address, port, transport))
        self._do('connect %s at %s' % (nqn, address), body)

    def disconnect(self, controller: str) -> None:
        def body() -> None:
            path = self._kernel.paths[controller]
            self._judge.give_up(path)
            self._wait(lambda: path.lost_at is not None
                       and path.state == 'live', commands.COMMAND_TIMEOUT,
                       'disconnect')
            self._kernel.paths.pop(controller, None)
        self._do('disconnect %s' % controller, body)

    def disconnect_all(self, controllers: Sequence[str],
                       milliseconds: int) -> list[str]:
        def one(controller: str) -> None:
            path = self._kernel.paths[controller]
            self._judge.give_up(path)
            if path.lost_at is not None and path.state == 'live':
                raise kernels.KernelError('it has not ended yet')
            del self._kernel.paths[controller]
        return self._all('disconnect_all', list(controllers), one)

    def fail_all(self, legs: Sequence[Sequence[str]],
                 milliseconds: int) -> list[str]:
        def one(leg: Sequence[str]) -> None:
            raid = self._kernel.raids[leg[0]]
            member = raid.member(leg[1])
            self._judge.fail(raid, member)
            if raid.busy:
                raid.queued.add(leg[1])
                raise kernels.KernelError('it has not ended yet')
            raid.fail(member)
        return self._all('fail_all', list(legs), one)

    def _all(self, what: str, wanted: list[T],
             body: Callable[[T], None]) -> list[str]:
        """Do each; return what went wrong with it, '' where nothing did."""
        errors = ['' for _one in wanted]

        def each() -> None:
            for number, one in enumerate(wanted):
                try:
                    body(one)
                except (KeyError, kernels.KernelError) as error:
                    errors[number] = str(error) or what
                self._kernel.touched()
        self._do('%s %s' % (what, wanted), each)
        return errors

    def set_keep_alive(self, controller: str, seconds: int) -> None:
        def body() -> None:
            path = self._kernel.paths[controller]
            self._judge.setting(path)
            path.keep_alive = float(seconds)
        self._do('set_keep_alive %s to %d' % (controller, seconds), body)

    def set_reconnect_delay(self, controller: str, seconds: int) -> None:
        def body() -> None:
            path = self._kernel.paths[controller]
            self._judge.setting(path)
            path.reconnect_delay = float(seconds)
        self._do('set_reconnect_delay %s to %d' % (controller, seconds),
                 body)

    def set_iopolicy(self, subsystem: str, nqn: str, policy: str) -> None:
        raise NotImplementedError('no subsystem is shown to the guard')

    def set_fast_io_fail(self, controller: str, seconds: int) -> None:
        def body() -> None:
            path = self._kernel.paths[controller]
            self._judge.fast_io_fail(path, seconds)
            path.tmo = None if seconds < 0 else float(seconds)
        self._do('set_fast_io_fail %s to %d' % (controller, seconds), body)

    def set_failfast(self, array: str, device: str, on: bool) -> None:
        def body(raid: md.Raid) -> None:
            flags = raid.member(device).flags
            (flags.add if on else flags.discard)('failfast')
        self._md(array, 'set_failfast %s %s' % (device, on),
                 lambda raid: self._judge.failfast(
                     raid, raid.member(device), on), body,
                 commands.WRITE_TIMEOUT)

    def set_sync_speed_max(self, array: str, kib_per_s: int) -> None:
        def body() -> None:
            raid = self._kernel.raids[array]
            self._judge.speed(raid)
            raid.sync_speed_max, raid.by_hand = kib_per_s, None
        # md takes no lock for it
        self._do('set_sync_speed_max of %s to %d' % (array, kib_per_s), body)

    def set_bitmap_delay(self, array: str, seconds: int) -> None:
        def body() -> None:
            raid = self._kernel.raids[array]
            self._judge.array(raid)
            raid.bitmap_delay = float(seconds)
            raid.delayed_at = self._kernel.now
        # md takes no lock for it
        self._do('set_bitmap_delay of %s to %d' % (array, seconds), body)

    def close_connections(self, address: str, port: int) -> int:
        paths = [path for path in self._kernel.paths.values()
                 if (path.portal.address, path.portal.port)
                 == (address, port) and path.state == 'live']

        def body() -> None:
            for path in paths:
                self._reset(path)
        self._do('close_connections to %s' % address, body)
        return len(paths)

    def send_keep_alive(self, controller: str, milliseconds: int) -> None:
        def body() -> None:
            self._baton.wait(milliseconds / 1000)
            path = self._kernel.paths[controller]
            if path.lost_at is not None and path.state == 'live':
                self._reset(path)
        self._do('send_keep_alive to %s' % controller, body)

    def _reset(self, path: kernels.Path) -> None:
        self._judge.give_up(path)
        if path.lost_at is None:
            path.lost_at = path.gone_at = self._kernel.now
            path.silent = False
        self._kernel.give_up(path)

    def answering(self, devices: Sequence[str],
                  milliseconds: int) -> list[str]:
        self._baton.point('before answering')
        found = [device for device in devices
                 if self._kernel.answer(device) == 'ok']
        if len(found) < len(devices):
            self._baton.wait(milliseconds / 1000)
        self._baton.point('after answering')
        return found

    def superblocks(self, devices: Sequence[str],
                    milliseconds: int) -> dict[str, list[bytes] | str]:
        self._baton.point('before superblocks')
        found: dict[str, list[bytes] | str] = {}
        for device in devices:
            uuid = self._kernel.uuid_behind(device)
            if uuid is not None and self._kernel.answer(device) == 'ok':
                medium = self._kernel.media[uuid]
                found[device] = [] if medium.written is None else [
                    md.block_of(medium.written) + md.log_of(
                        medium, self._kernel.raids.values())]
        if len(found) < len(devices):
            self._baton.wait(milliseconds / 1000)
        return found

    def fail(self, array: str, device: str) -> None:
        def body() -> None:
            raid = self._kernel.raids[array]
            member = raid.member(device)
            self._judge.fail(raid, member)
            if raid.busy:
                raid.queued.add(device)
                self._wait(lambda: device in raid.queued,
                           commands.WRITE_TIMEOUT, 'fail')
            else:
                raid.fail(member)
        self._do('fail %s of %s' % (device, array), body)

    def keep_marked(self, array: str, device: str,
                    milliseconds: int) -> int:
        kept: list[int] = []
        self._md(array, 'keep_marked of %s from %s' % (array, device),
                 lambda raid: self._judge.keep(raid, raid.member(device)),
                 lambda raid: kept.append(raid.keep_marked(
                     raid.member(device))), milliseconds / 1000)
        return kept[0]

    def remove(self, array: str, device: str) -> None:
        def member(raid: md.Raid) -> md.Member:
            return next((member for member in raid.members
                         if member.device == device and member.faulty),
                        None) or raid.member(device)
        self._md(array, 'remove %s of %s' % (device, array),
                 lambda raid: self._judge.remove(raid, member(raid)),
                 lambda raid: raid.remove(member(raid)))

    def add(self, array: str, device: str, uuid: str) -> None:
        self._md(array, 'add %s to %s' % (device, array),
                 lambda raid: self._judge.add(raid, self._meant(device,
                                                                uuid)),
                 lambda raid: self._join(raid, device, False))

    def re_add(self, array: str, device: str, uuid: str) -> None:
        self._md(array, 're_add %s to %s' % (device, array),
                 lambda raid: self._judge.add(raid, self._meant(device,
                                                                uuid)),
                 lambda raid: self._join(raid, device, True))

    def _meant(self, device: str, uuid: str) -> md.Medium:
        """Look as the helper does when it is about to start mdadm."""
        found = self._kernel.uuid_behind(device)
        if found is None:
            raise commands.NotMeant('%s is gone' % device)
        if found != uuid:
            raise commands.NotMeant('%s is %s, not %s' % (device, found,
                                                          uuid))
        return self._kernel.media[uuid]

    def _medium(self, device: str) -> md.Medium:
        uuid = self._kernel.uuid_behind(device)
        if uuid is None:
            raise kernels.KernelError('%s is gone' % device)
        return self._kernel.media[uuid]

    def _join(self, raid: md.Raid, device: str, returning: bool) -> None:
        medium = self._medium(device)
        if self._kernel.holder(device):
            raise kernels.KernelError('%s is busy' % device)
        if self._kernel.answer(device) != 'ok':
            raise kernels.KernelError('%s cannot be read' % device)
        for member in raid.members:
            # privileged.add: md is not to choose whose place it takes
            member.flags.discard('want_replacement')
        raid.join(device, medium, returning)

    def erase_superblock(self, device: str, uuid: str) -> None:
        def body() -> None:
            medium = self._meant(device, uuid)
            self._judge.erase(medium)
            if medium.read_only:
                raise kernels.KernelError('%s cannot be written' % device)
            for block in medium.bad:
                # nobody can tell any more whether that is what it should be
                medium.blocks[block] = 0
            medium.written, medium.bad = None, frozenset()
        self._do('erase_superblock of %s' % device, body)

    def replace(self, array: str, device: str, spare: str,
                uuid: str) -> None:
        def judging(raid: md.Raid) -> None:
            self._meant(spare, uuid)
            self._judge.replace(raid, raid.member(device))
        self._md(array, 'replace %s of %s by %s' % (device, array, spare),
                 judging,
                 lambda raid: raid.replace(raid.member(device),
                                           raid.member(spare)))

    def resize(self, array: str, raid_disks: int) -> None:
        self._md(array, 'resize %s to %d' % (array, raid_disks),
                 lambda raid: self._judge.resize(raid, raid_disks),
                 lambda raid: raid.resize(raid_disks))

    def probe_all(self, portals: Sequence[model.Portal],
                  seconds: float = effects.PROBE_TIMEOUT
                  ) -> dict[model.Portal, OSError]:
        errors = {}
        for portal in portals:
            try:
                self.probe(portal, seconds)
            except OSError as error:
                errors[portal] = error
        return errors

    def no_way(self, portal: model.Portal) -> str:
        """This host's own interfaces never fail in this world."""
        return ''

    def probe(self, portal: model.Portal,
              seconds: float = effects.PROBE_TIMEOUT) -> None:
        self._baton.point('probe')
        target = next((target for target in self._kernel.targets.values()
                       if portal in target.portals), None)
        if (target is None or not target.listens(portal)
                or not self._kernel.network):
            raise ConnectionRefusedError('nobody listens')

    def try_lock(self, folder: str) -> Callable[[], object] | None:
        self._baton.point('try_lock')
        if self.brick or self._held:
            return None
        self._held = True
        return self._let_go

    def _let_go(self) -> None:
        self._held = False
