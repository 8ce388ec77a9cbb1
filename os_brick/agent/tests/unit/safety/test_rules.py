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
"""Each safety rule, by name: what is refused, and what just passes."""

from __future__ import annotations

import dataclasses

from oslotest import base

from os_brick.agent import model
from os_brick.agent.model import actions as act
from os_brick.agent.model import snapshots
from os_brick.agent.model import superblock
from os_brick.agent.safety import ownership
from os_brick.agent.safety import rules
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import targets
from os_brick.agent.tests.unit import superblocks

State = model.ReplicaState
MIB = md.MIB
A, B, C, X = (targets.uuid_of(number) for number in range(4))
IN_SYNC, FAULTY, SPARE = (frozenset([word]) for word in (
    'in_sync', 'faulty', 'spare'))


def leg(number: int, flags: frozenset[str] = IN_SYNC,
        slot: int | None = -1) -> model.Leg:
    return model.Leg('nvme%dn1' % number, number if slot == -1 else slot,
                     flags, targets.uuid_of(number))


def namespace(number: int, holder: str = 'md1',
              size: int = 64 * MIB) -> model.Namespace:
    return model.Namespace(
        'nvme%dn1' % number, targets.uuid_of(number), size,
        ('nvme%d' % number,), (holder,) if holder else ())


def controller(number: int, state: str = 'live',
               tmo: float | None = None) -> model.Controller:
    return model.Controller('nvme%d' % number, 'nqn.t%d' % number, None,
                            None, state, tmo)


class RulesCase(base.BaseTestCase):
    """Legs A and B of md1 on nvme0 and nvme1; C is a replica, X is not."""

    def setUp(self) -> None:
        super().setUp()
        self.volume = model.Volume(targets.uuid_of(99), 'v', None, tuple(
            model.Replica(uuid, State.AVAILABLE) for uuid in (A, B, C)))
        self.legs = [leg(0), leg(1)]
        self.namespaces = [namespace(0), namespace(1), namespace(2, '')]
        self.controllers = [controller(number) for number in range(4)]
        self.raid_disks = 2
        self.array_state = 'active'
        self.written = True
        self.speed: int | None = 0
        self.contents: dict[str, superblock.Content] = {}
        self.known = frozenset[str]()
        self.silent = frozenset[str]()
        self.instance = ''

    def snapshot(self) -> snapshots.HostSnapshot:
        array = model.Array(
            'md1', 'v', None, self.raid_disks, 0, self.array_state, 'idle',
            32 * MIB, tuple(self.legs), data_offset=MIB,
            written=self.written, sync_speed_max=self.speed,
            instance=self.instance)
        return snapshots.HostSnapshot(
            tuple(self.controllers), tuple(self.namespaces), (array,))

    def refusal(self, action: act.Action,
                ours: tuple[str, ...] = ('md1',)) -> str | None:
        snapshot = self.snapshot()
        array = snapshot.arrays[0]
        contents = {**superblocks.contents(snapshot, array), **self.contents}
        return rules.refusal(action, self.volume, snapshot,
                             ownership.Owned(frozenset(ours), self.known),
                             contents, {one.device for one
                                        in self.namespaces} - self.silent)

    def mark(self, uuid: str, state: State) -> None:
        self.volume = dataclasses.replace(self.volume, replicas=tuple(
            dataclasses.replace(replica, state=state)
            if replica.uuid == uuid else replica
            for replica in self.volume.replicas))

    def forget(self, uuid: str) -> None:
        self.volume = dataclasses.replace(self.volume, replicas=tuple(
            replica for replica in self.volume.replicas
            if replica.uuid != uuid))

    def assert_refused(self, rule: str, action: act.Action,
                       **kwargs: tuple[str, ...]) -> None:
        why = self.refusal(action, **kwargs)
        self.assertIsNotNone(why, 'allowed: %s' % action)
        assert why is not None
        self.assertTrue(why.startswith(rule), why)

    def assert_allowed(self, action: act.Action) -> None:
        self.assertIsNone(self.refusal(action))

    drop = act.FailLeg('', 'md1', 'nvme0n1')
    add = act.AddLeg('', 'md1', 'nvme2n1', C, False)


class RulesTest(RulesCase):

    def test_S10_the_bitmap_of_an_array_is_none_of_the_next_one(
            self) -> None:
        """It was stopped, and put together anew, while this waited."""
        back = dataclasses.replace(self.add, returning=True)
        self.assert_allowed(back)
        back = dataclasses.replace(back, instance='boot/1/array')
        self.assert_refused('S10: md1 was put together anew', back)
        self.assert_allowed(dataclasses.replace(back, returning=False))

    def test_S1_last_good_leg_is_not_failed(self) -> None:
        self.mark(A, State.TERMINATING)
        self.forget(C)
        self.assert_allowed(self.drop)
        for spoil in (FAULTY, SPARE):
            self.legs[1] = leg(1, spoil)
            self.assert_refused('S1', self.drop)

    def test_S1_the_other_leg_must_answer(self) -> None:
        self.mark(A, State.TERMINATING)
        self.controllers[1] = controller(1, 'connecting')
        self.assert_refused('S1', self.drop)
        self.controllers[1] = controller(1, 'resetting')
        self.assert_refused('S1', self.drop)

    def test_S4_how_the_io_of_a_target_is_spread(self) -> None:
        nqn = self.controllers[0].nqn
        spread = act.SetIoPolicy('', 'nvme-subsys0', nqn, 'round-robin')
        self.assert_allowed(spread)
        # the other path of the target carries somebody else's
        self.controllers[3] = dataclasses.replace(self.controllers[3],
                                                  nqn=nqn)
        self.assert_refused('S4', spread)
        self.assert_refused('S4', dataclasses.replace(
            spread, nqn=self.controllers[1].nqn), ours=('md7',))
        self.assert_refused('the controller is gone', dataclasses.replace(
            spread, nqn='nqn.nobody'))

    def test_an_unknown_state_is_lost_and_not_cut(self) -> None:
        """The kernel may hold I/O on purpose until it is safe to fail it."""
        self.controllers[0] = controller(0, 'fencing')
        for action in (act.Disconnect('', 'nvme0'),
                       act.ResetConnection('', 'nvme0', None)):
            self.assert_refused("nvme0 is in the state 'fencing'", action)
        self.controllers[0] = controller(0, 'connecting')
        self.assert_allowed(act.Disconnect('', 'nvme0'))
        self.controllers[1] = controller(1, 'fenced')
        self.assert_refused('S1', self.drop)

    def test_S1_a_vanished_leg_is_no_other_leg(self) -> None:
        """Its name was given to another namespace since."""
        self.mark(A, State.TERMINATING)
        self.legs[1] = dataclasses.replace(self.legs[1], replica_uuid=None)
        self.assert_refused('S1', self.drop)

    def test_S1_last_good_leg_is_not_replaced(self) -> None:
        self.legs.append(leg(2, SPARE, None))
        replace = act.ReplaceLeg('', 'md1', 'nvme0n1', 'nvme2n1')
        self.assert_allowed(replace)
        self.legs[1] = leg(1, FAULTY, None)
        self.assert_refused('S1', replace)

    def test_S1_last_good_leg_is_not_disconnected(self) -> None:
        disconnect = act.Disconnect('', 'nvme0')
        self.controllers[0] = controller(0, 'connecting')
        self.assert_allowed(disconnect)
        self.controllers[1] = controller(1, 'connecting')
        self.assert_refused('S1', disconnect)

    def test_S1_both_legs_behind_one_controller(self) -> None:
        self.namespaces[1] = dataclasses.replace(
            self.namespaces[1], controllers=('nvme0',))
        self.controllers[0] = controller(0, 'connecting')
        self.assert_refused('S1', act.Disconnect('', 'nvme0'))

    def test_S1_array_does_not_shrink_below_its_legs(self) -> None:
        self.raid_disks = 3
        self.assert_allowed(act.Resize('', 'md1', 2))
        self.assert_refused('S3', act.Resize('', 'md1', 1))
        self.legs[1] = leg(1, FAULTY, None)
        self.assert_refused('S1', act.Resize('', 'md1', 2))
        self.assert_refused('S3', act.Resize('', 'md1', 0))
        self.assert_allowed(act.Resize('', 'md1', 4))

    def test_S2_a_free_replica_is_added(self) -> None:
        self.assert_allowed(self.add)

    def test_nothing_is_added_to_what_is_read_only(self) -> None:
        """That would be blamed on the replica, and use up the spares."""
        self.array_state = 'readonly'
        self.assertEqual('the array is read-only', self.refusal(self.add))

    def test_S15_nothing_is_put_in_before_the_first_write(self) -> None:
        """By whatever way; what leaves need not wait for it."""
        returning = dataclasses.replace(self.add, returning=True)
        erased = dataclasses.replace(self.add, erase=True)
        exchange = act.ReplaceLeg('', 'md1', 'nvme0n1', 'nvme2n1')
        shrink = act.Resize('', 'md1', 2)
        for self.written in (False, True):
            self.legs = [leg(0), leg(1)]
            self.namespaces[2] = namespace(2, '')
            puts_in = self.assert_allowed if self.written else (
                lambda action: self.assert_refused('S15: nobody on this host '
                                                   'has written', action))
            puts_in(self.add)
            puts_in(returning)
            puts_in(erased)
            puts_in(act.Resize('', 'md1', 3))
            self.raid_disks = 3
            self.assert_allowed(shrink)
            self.raid_disks = 2
            self.legs.append(leg(2, SPARE, None))
            self.namespaces[2] = namespace(2)
            puts_in(exchange)
            self.legs[2] = leg(2, FAULTY, None)
            self.assert_allowed(act.RemoveLeg('', 'md1', 'nvme2n1'))
            self.controllers[0] = controller(0, 'connecting')
            self.assert_allowed(self.drop)
            self.controllers[0] = controller(0)

    def test_S2_stranger_is_not_added(self) -> None:
        self.namespaces.append(namespace(3, ''))
        self.assert_refused('S2', act.AddLeg('', 'md1', 'nvme3n1', X, False))
        self.assert_refused('S2', act.AddLeg('', 'md1', 'nvme3n1', C, False))

    def test_S2_held_namespace_is_not_added(self) -> None:
        for holder in ('md1', 'md7', 'dm-0'):
            self.namespaces[2] = namespace(2, holder)
            self.assert_refused('S2', self.add)

    def test_S2_mounted_or_partitioned_namespace_is_not_added(self) -> None:
        self.namespaces[2] = dataclasses.replace(
            self.namespaces[2], in_use='it is mounted on /srv')
        self.assert_refused('S2', self.add)

    def test_S2_namespace_must_be_large_enough(self) -> None:
        self.namespaces[2] = namespace(2, '', 33 * MIB)
        self.assert_allowed(self.add)
        self.namespaces[2] = namespace(2, '', 33 * MIB - 1)
        self.assert_refused('S2', self.add)

    def test_S2_only_a_replica_takes_the_place_of_another(self) -> None:
        self.legs.append(leg(3, SPARE, None))
        self.assert_refused('S2', act.ReplaceLeg('', 'md1', 'nvme0n1',
                                                 'nvme3n1'))

    def test_nothing_is_added_without_a_copy_to_read(self) -> None:
        self.controllers[:2] = [controller(0, 'connecting'),
                                controller(1, 'connecting')]
        self.assertIsNotNone(self.refusal(self.add))

    def test_S3_working_leg_is_not_failed(self) -> None:
        self.assert_refused('S3', self.drop)
        self.mark(A, State.MISSING)
        self.assert_refused('S3', self.drop)
        self.mark(A, State.TERMINATING)
        self.forget(C)
        self.assert_allowed(self.drop)

    def test_S3_lost_leg_is_failed(self) -> None:
        self.controllers[0] = controller(0, 'connecting')
        self.assert_allowed(self.drop)

    def test_S3_leg_in_use_is_not_removed(self) -> None:
        remove = act.RemoveLeg('', 'md1', 'nvme0n1')
        self.assert_refused('S3', remove)
        self.legs[0] = leg(0, SPARE, 0)
        self.assert_refused('S3', remove)
        for idle in (leg(0, FAULTY, None), leg(0, SPARE, None)):
            self.legs[0] = idle
            self.assert_allowed(remove)

    def test_S3_controller_of_a_working_leg_stays(self) -> None:
        self.assert_refused('S3', act.Disconnect('', 'nvme0'))
        self.legs[0] = leg(0, FAULTY, None)
        self.assert_allowed(act.Disconnect('', 'nvme0'))

    def test_S3_second_path_of_a_working_leg_may_go(self) -> None:
        self.namespaces[0] = dataclasses.replace(
            self.namespaces[0], controllers=('nvme0', 'nvme3'))
        self.assert_allowed(act.Disconnect('', 'nvme3'))
        self.controllers[0] = controller(0, 'connecting')
        self.assert_refused('S3', act.Disconnect('', 'nvme3'))

    def test_S4_other_arrays_are_not_touched(self) -> None:
        for action in (self.drop, self.add, act.Resize('', 'md1', 3),
                       act.RemoveLeg('', 'md1', 'nvme0n1'),
                       act.ReplaceLeg('', 'md1', 'nvme0n1', 'nvme1n1')):
            self.assert_refused('S4', action, ours=())
        self.volume = model.Volume(
            self.volume.uuid, 'w', None,
            (model.Replica(X, State.TERMINATING),))
        self.assert_refused('S4', self.drop)

    def test_S4_stranger_is_not_connected(self) -> None:
        target = model.Target('nqn.t3', ())
        self.assert_refused('S4', act.Connect('', X, target, ()))
        self.assert_allowed(act.Connect('', C, target, ()))

    def test_S4_controllers_that_others_use_stay(self) -> None:
        self.legs[0] = leg(0, FAULTY, None)
        for action in (act.Disconnect('', 'nvme0'),
                       act.SetFastIoFail('', 'nvme0', 1.0),
                       act.SetFastIoFail('', 'nvme0', None)):
            self.namespaces[2:] = []
            self.assert_allowed(action)
            for other in (namespace(3, 'md7'), namespace(3, 'dm-0'),
                          namespace(3, ''),
                          dataclasses.replace(namespace(2, ''),
                                              in_use='mounted')):
                self.namespaces[2:] = [dataclasses.replace(
                    other, controllers=('nvme0',))]
                self.assert_refused('S4', action)

    def test_S4_unused_replica_of_another_volume_may_share(self) -> None:
        self.legs[0] = leg(0, FAULTY, None)
        self.namespaces.append(dataclasses.replace(
            namespace(3, ''), controllers=('nvme0',)))
        self.known = frozenset([X])
        self.assert_allowed(act.Disconnect('', 'nvme0'))

    def test_S4_idle_connection_of_another_product_stays(self) -> None:
        self.assert_refused('S4', act.Disconnect('', 'nvme3'))
        self.assert_refused('S4', act.SetFastIoFail('', 'nvme3', 1.0))

    def test_S9_one_good_leg_waits(self) -> None:
        fast = act.SetFastIoFail('', 'nvme0', 1.0)
        self.assert_allowed(fast)
        self.controllers[1] = controller(1, tmo=1.0)
        self.assert_refused('S9', fast)
        self.controllers[1] = controller(1, 'connecting')
        self.assert_refused('S9', fast)
        self.assert_allowed(act.SetFastIoFail('', 'nvme1', None))

    def test_S9_one_path_that_waits_is_enough(self) -> None:
        self.controllers[1] = controller(1, tmo=1.0)
        self.namespaces[0] = dataclasses.replace(
            self.namespaces[0], controllers=('nvme0', 'nvme3'))
        self.assert_allowed(act.SetFastIoFail('', 'nvme3', 1.0))
        self.controllers[3] = controller(3, tmo=1.0)
        self.assert_refused('S9', act.SetFastIoFail('', 'nvme0', 1.0))

    def test_S9_the_last_leg_that_waits_is_not_failed(self) -> None:
        """Also a lost one: the others would end I/O with an error."""
        self.controllers[0] = controller(0, 'connecting')
        self.controllers[1] = controller(1, tmo=1.0)
        self.assert_refused('S9', self.drop)
        self.controllers[1] = controller(1)
        self.assert_allowed(self.drop)
        # one that was to fail fast itself may go
        self.controllers[0] = controller(0, 'connecting', 1.0)
        self.controllers[1] = controller(1, tmo=1.0)
        self.assert_allowed(self.drop)

    def test_S9_one_good_leg_is_without_failfast(self) -> None:
        """md's own flag, which os-brick sets on every leg."""
        flag = act.SetFailfast('', 'md1', 'nvme0n1', True)
        self.assert_allowed(flag)
        self.legs[1] = leg(1, IN_SYNC | {'failfast'})
        self.assert_refused('S9', flag)
        self.assert_allowed(act.SetFailfast('', 'md1', 'nvme1n1', False))
        self.legs[1] = leg(1, FAULTY)
        self.assert_refused('S9', flag)
        self.assert_refused('S4', flag, ours=())

    def test_a_limit_of_somebody_else_is_not_replaced(self) -> None:
        limit = act.SetSyncSpeedMax('', 'md1', 51201)
        self.assert_allowed(limit)
        self.assert_refused('S4', limit, ours=())
        self.speed = 900
        self.assert_refused('its limit has been changed', limit)
        self.assert_allowed(act.SetSyncSpeedMax('', 'md1', 0, 900))
        self.speed = None
        self.assert_refused('its limit has been changed', limit)
        # nothing waits in md for it, and no leg is touched
        self.speed = 0
        self.controllers[1] = controller(1, 'connecting')
        self.assert_allowed(limit)

    def test_how_long_md_marks_is_no_matter_of_its_legs(self) -> None:
        delay = act.SetBitmapDelay('', 'md1', 25.0)
        self.controllers[1] = controller(1, 'connecting')
        self.assert_allowed(delay)
        self.assert_refused('S4', delay, ours=())

    def test_S9_the_last_path_that_waits_is_not_disconnected(self) -> None:
        """It leads to a lost leg, and is a good one's patient path too."""
        self.legs.append(leg(2))
        self.namespaces[1] = dataclasses.replace(
            self.namespaces[1], controllers=('nvme0', 'nvme1'))
        self.namespaces[2] = namespace(2)
        self.controllers[0] = controller(0, 'connecting')
        self.controllers[1] = controller(1, tmo=1.0)
        self.controllers[2] = controller(2, tmo=1.0)
        self.assert_refused('S9', act.Disconnect('', 'nvme0'))
        self.controllers[2] = controller(2)
        self.assert_allowed(act.Disconnect('', 'nvme0'))

    def test_S1_a_silent_connection_needs_another_leg(self) -> None:
        """It is live for the kernel; a working leg may be given up."""
        reset = act.ResetConnection('', 'nvme0', None)
        self.assert_allowed(reset)
        self.controllers[1] = controller(1, 'connecting')
        self.assert_refused('S9', reset)
        self.controllers[0] = controller(0, tmo=1.0)
        self.assert_refused('S1', reset)
        self.controllers[1] = controller(1)
        self.assert_refused('S4', reset, ours=())

    def test_S1_S4_a_portals_connections_are_given_up_together(self) -> None:
        """Whoever else is connected to it loses that, too."""
        portal = model.Portal('192.0.2.1', 4420)
        reset = act.ResetConnection('', 'nvme0', portal)
        self.controllers[0] = dataclasses.replace(controller(0),
                                                  portal=portal)
        self.assert_allowed(reset)
        # the other leg is behind the same portal
        self.controllers[1] = dataclasses.replace(controller(1),
                                                  portal=portal)
        self.legs.append(leg(2))
        self.namespaces[2] = namespace(2)
        self.assert_allowed(reset)
        self.legs[2] = leg(2, FAULTY)
        self.assert_refused('S9', reset)
        self.controllers[0] = dataclasses.replace(self.controllers[0],
                                                  fast_io_fail_tmo=1.0)
        self.controllers[1] = dataclasses.replace(self.controllers[1],
                                                  fast_io_fail_tmo=1.0)
        self.assert_refused('S1', reset)
        # somebody else is
        self.controllers[1] = controller(1)
        self.controllers[3] = dataclasses.replace(controller(3),
                                                  portal=portal)
        self.assert_refused('S4', reset)
        self.assert_allowed(dataclasses.replace(reset, portal=None))

    def test_nothing_is_changed_while_md_would_wait(self) -> None:
        """A lost leg's superblock is written, under the array's lock."""
        self.legs.append(leg(2, SPARE, None))
        self.namespaces[2] = namespace(2)
        self.namespaces.append(dataclasses.replace(
            namespace(3, ''), uuid=C))
        self.mark(A, State.TERMINATING)
        changes = (act.SetFailfast('', 'md1', 'nvme0n1', False),
                   act.ReplaceLeg('', 'md1', 'nvme0n1', 'nvme2n1'),
                   act.Resize('', 'md1', 3),
                   act.AddLeg('', 'md1', 'nvme3n1', C, False))
        for change in changes:
            self.assert_allowed(change)
        self.controllers[1] = controller(1, 'connecting')
        # failed, and a write to it still under way
        for flags in (IN_SYNC, FAULTY | {'blocked'}):
            self.legs[1] = leg(1, flags)
            for change in changes:
                self.assert_refused('md would wait for nvme1n1', change)
        self.legs[1] = leg(1, FAULTY)
        self.assert_allowed(changes[0])

    def test_what_is_marked_is_kept_of_a_good_leg(self) -> None:
        keep = act.KeepMarked('', 'md1', 'nvme0n1')
        self.legs[1] = leg(1, FAULTY)
        self.assert_allowed(keep)
        self.assert_refused('S4', keep, ours=())
        self.assert_refused('the leg is not in sync',
                            act.KeepMarked('', 'md1', 'nvme1n1'))
        self.assert_refused('the leg is gone',
                            act.KeepMarked('', 'md1', 'nvme2n1'))
        for self.array_state, why in (('readonly', 'it is set read-only'),
                                      ('broken', 'a write to its last leg')):
            self.assert_refused(why, keep)
        self.array_state = 'active'
        # a write to it is still under way
        self.legs[1] = leg(1, FAULTY | {'blocked'})
        self.controllers[1] = controller(1, 'connecting')
        self.assert_refused('md would wait for nvme1n1', keep)
        self.legs[1] = leg(1, FAULTY)
        self.controllers[0] = controller(0, 'connecting')
        self.assert_refused('', keep)

    def test_another_hosts_marks_are_not_kept(self) -> None:
        keep = act.KeepMarked('', 'md1', 'nvme0n1')
        self.written = False
        self.assert_refused('S15', keep)
        self.written = True
        self.volume = dataclasses.replace(self.volume, observe='not here')
        self.assert_refused('another host heals it', keep)

    def test_an_action_without_a_rule_is_refused(self) -> None:
        @dataclasses.dataclass(frozen=True)
        class Wipe(act.Action):
            array: str
            device: str

        self.assert_refused('no rule', Wipe('', 'md1', 'nvme2n1'))

    def test_what_is_gone_is_said(self) -> None:
        for action in (act.Disconnect('', 'nvme9'),
                       act.FailLeg('', 'md8', 'nvme0n1'),
                       act.FailLeg('', 'md1', 'nvme9n1'),
                       act.AddLeg('', 'md1', 'nvme9n1', C, False)):
            self.assertIn('gone', self.refusal(action) or '')


class OwnersTest(base.BaseTestCase):
    """Whose array it is."""

    volume = model.Volume(targets.uuid_of(99), 'v', None, (
        model.Replica(A), model.Replica(B)))

    def array(self, alias: str | None, *uuids: str | None) -> model.Array:
        return model.Array('md1', alias, None, 2, 0, 'active', 'idle', 1,
                           tuple(model.Leg('nvme%dn1' % number, number,
                                           IN_SYNC, uuid)
                                 for number, uuid in enumerate(uuids)))

    def test_by_its_legs(self) -> None:
        for alias in ('v', 'v_0', None):
            self.assertTrue(model.belongs(self.array(alias, A, B),
                                          self.volume))
        self.assertTrue(model.belongs(self.array('v', A, C), self.volume))

    def test_by_its_name_only_without_a_leg(self) -> None:
        self.assertTrue(model.belongs(self.array('v', None), self.volume))
        self.assertFalse(model.belongs(self.array('w', None), self.volume))
        self.assertFalse(model.belongs(self.array('v', C, X), self.volume))

    def test_S4_an_assigned_replica_in_use_elsewhere(self) -> None:
        self.assertFalse(model.belongs(self.array('w', A, X), self.volume))

    def test_S8_truncated_list_abandons_no_array(self) -> None:
        volumes = {self.volume.uuid: dataclasses.replace(
            self.volume, replicas=(model.Replica(C),))}
        array = self.array('v', A, B)
        self.assertEqual([], ownership.owners(array, volumes, {}))
        self.assertEqual([self.volume.uuid], ownership.owners(
            array, volumes, {self.volume.uuid: [A, B]}))
        self.assertEqual([], ownership.owners(
            self.array('w', A, X), volumes, {self.volume.uuid: [A, B]}))
