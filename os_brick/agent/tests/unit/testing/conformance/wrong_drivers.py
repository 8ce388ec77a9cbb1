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
"""Drivers that are wrong on purpose, each in one way that a case names.

``WRONG`` is a table: case -> the methods of the perfect driver, or of the
shelf behind it, that are replaced.
"""

import logging
import os
import threading
import time

from oslo_config import cfg

from os_brick.agent import model
from os_brick.agent.model import events
from os_brick.agent.tests.unit.testing.conformance import shelf
from os_brick.agent.vendors import base

LOG = logging.getLogger(__name__)
State = model.ReplicaState
Right = shelf.PerfectDriver
WRONG: dict[str, type[base.ProvisionerDriver]] = {}
HELD: list[int] = []


def wrong(case):
    """Enter a driver for the case ``test_<case>``."""
    def enter(driver):
        WRONG['test_' + case] = driver
        return driver
    return enter


def answer(case):
    """Enter a driver whose whole answer is passed through a function."""
    def enter(spoil):
        class Wrong(Right):
            def get_volumes(self, host, arrays, targets_for):
                return spoil(self, super().get_volumes(
                    host, arrays, targets_for), host, arrays, targets_for)
        wrong(case)(Wrong)
        return spoil
    return enter


def force(noun, **fields):
    """Set fields of a frozen value past its checks."""
    for name, value in fields.items():
        object.__setattr__(noun, name, value)
    return noun


# options and set_up

@wrong('options_begin_with_the_vendors_name')
class Unprefixed(Right):
    @classmethod
    def options(cls):
        return [*super().options(), cfg.StrOpt('retries', help='How many.')]


@wrong('options_are_the_same_when_asked_again')
class Fickle(Right):
    count = 0

    @classmethod
    def options(cls):
        Fickle.count += 1
        return [*super().options(), cfg.IntOpt(
            'shelf_count', default=Fickle.count % 7, help='How many.')]


@wrong('options_say_what_they_are_for')
class Helpless(Right):
    @classmethod
    def options(cls):
        return [*super().options(), cfg.StrOpt('shelf_more')]


@wrong('options_that_hold_a_secret_are_declared_so')
class Open(Right):
    @classmethod
    def options(cls):
        return [option if option.name != 'shelf_token'
                else cfg.StrOpt('shelf_token', help='A secret.')
                for option in super().options()]


@wrong('constructor_does_no_io')
class Hasty(Right):
    def __init__(self, conf):
        super().__init__(conf)
        with open('/etc/passwd', encoding='utf-8'):
            pass


@wrong('what_can_never_work_is_refused_by_name')
class Nameless(Right):
    def set_up(self):
        if not self.conf.shelf_url.startswith('shelf:'):
            raise base.ConfigurationError('the configuration is wrong')
        super().set_up()


@wrong('set_up_needs_no_provisioner')
class Needy(Right):
    def set_up(self):
        super().set_up()
        if self.shelf.mood == 'outage':
            raise base.ConfigurationError('option shelf_url: not reachable')


@wrong('mutable_option_is_in_force_at_once')
class Stubborn(Right):
    def __init__(self, conf):
        super().__init__(conf)
        self.kept_timeout = conf.shelf_timeout

    def timeout(self):
        return self.kept_timeout


@wrong('reading_the_file_again_disturbs_nothing')
class Jumpy(Right):
    jumped = False

    def __init__(self, conf):
        super().__init__(conf)
        conf.register_mutate_hook(self.jump)

    def jump(self, conf, fresh):
        self.jumped = not fresh

    def reach(self):
        if self.jumped:
            raise base.Unavailable('starting anew')
        super().reach()


# the answer

@answer('answer_is_a_sequence_of_volumes')
def as_generator(self, found, *_):
    return (volume for volume in found)


@answer('every_field_has_its_type')
def size_as_text(self, found, *_):
    force(found[-1], size='1073741824')
    return found


@answer('state_since_is_a_moment_gone_by')
def since_in_milliseconds(self, found, *_):
    force(found[-1].replicas[0], state_since=1000 * time.time())
    return found


@answer('in_peace_two_answers_agree')
def growing(self, found, *_):
    self.asked = getattr(self, 'asked', 0) + 1
    force(found[-1], max_replica_down_time=float(self.asked))
    return found


@answer('replica_is_listed_once')
def also_elsewhere(self, found, *_):
    if len(found) > 1:
        force(found[1], replicas=found[1].replicas + found[0].replicas[:1])
    return found


@answer('wanted_target_is_given')
def without_old_targets(self, found, host, arrays, targets_for):
    for replica in found[0].replicas:
        if replica.state is State.AVAILABLE:
            force(replica, target=None)
    return found


@answer('unknown_replica_in_targets_for_is_no_error')
def looked_up(self, found, host, arrays, targets_for):
    known = {replica.uuid for volume in found for replica in volume.replicas}
    for replica in targets_for:
        if replica not in known:
            raise KeyError(replica)
    return found


@answer('foreign_array_changes_nothing')
def every_array(self, found, host, arrays, targets_for):
    if len(arrays) != 2:
        raise base.BadAnswer('an array has no volume')
    return found


@answer('host_without_a_uuid_is_answered')
def host_uuid(self, found, host, *_):
    return found if host.uuid.lower() else None


@answer('looks_at_no_device_and_starts_no_program')
def looking(self, found, *_):
    os.path.exists('/sys/block') and os.listdir('/sys/block')
    return found


@answer('attached_volumes_are_listed')
def without_replicas(self, found, *_):
    if len(found) > 1:
        force(found[1], replicas=())
    return found


# telling

@wrong('heartbeat_may_come_at_any_time')
class Whole(Right):
    def heartbeat(self, host, interval):
        super().heartbeat(host, interval)
        1 // int(interval)


@wrong('listing_needs_no_heartbeat')
class Formal(Right):
    greeted = False

    def heartbeat(self, host, interval):
        self.greeted = True
        super().heartbeat(host, interval)

    def get_volumes(self, host, arrays, targets_for):
        if not self.greeted:
            raise base.Rejected('who are you?')
        return super().get_volumes(host, arrays, targets_for)


@wrong('event_of_any_kind_is_taken')
class Choosy(Right):
    def report_event(self, event):
        super().report_event(event)
        if event.level != events.WARN:
            {'WARN': 1}[event.level]


@wrong('reported_state_is_listed')
class Vague(Right):
    """What is being copied is listed as UNKNOWN."""

    def replica(self, name, kept):
        replica = super().replica(name, kept)
        if kept.state is State.SYNCHRONIZING:
            force(replica, state=State.UNKNOWN)
        return replica


@wrong('report_may_come_twice')
class Strict(Right):
    def report_replica_state(self, volume, replica, state):
        kept = self.kept(volume, replica)
        if kept is not None and kept.state is state is State.MISSING:
            raise base.BadAnswer('it is so already')
        super().report_replica_state(volume, replica, state)


@wrong('report_changes_no_other_replica')
class Sweeping(Right):
    def report_replica_state(self, volume, replica, state):
        super().report_replica_state(volume, replica, state)
        others = self.shelf.volumes[volume.uuid]
        if state is State.MISSING and len(others) == 2:
            for name, kept in others.items():
                if name != replica.uuid:
                    kept.state = State.UNKNOWN

    def request_replacement(self, volume, replica):
        super().request_replacement(volume, replica)
        for kept in self.shelf.volumes[volume.uuid].values():
            if kept.state is State.UNKNOWN and kept.number < 100:
                kept.state = State.AVAILABLE


@wrong('report_may_be_the_first_call')
class Ordered(Right):
    greeted = False

    def heartbeat(self, host, interval):
        self.greeted = True
        super().heartbeat(host, interval)

    def report_replica_state(self, volume, replica, state):
        if not self.greeted:
            raise base.Rejected('who are you?')
        super().report_replica_state(volume, replica, state)


@wrong('report_of_a_replica_that_is_gone_is_declined')
class Agreeable(Right):
    def report_replica_state(self, volume, replica, state):
        if self.kept(volume, replica) is not None:
            super().report_replica_state(volume, replica, state)


@wrong('report_does_not_bring_a_replica_back')
class Reviving(Right):
    def report_replica_state(self, volume, replica, state):
        kept = self.kept(volume, replica)
        if kept is not None and kept.state is State.TERMINATING:
            kept.state = state
            return
        super().report_replica_state(volume, replica, state)


# exchanging

@wrong('replacement_is_listed')
class Hollow(Right):
    def request_replacement(self, volume, replica):
        self.kept(volume, replica)
        if not self.shelf.spares:
            raise base.Rejected('the shelf has no spare left')


@wrong('replacement_asked_twice_is_one')
class Generous(Right):
    """It forgets within one life what it asked for."""

    asked = False

    def request_replacement(self, volume, replica):
        self.kept(volume, replica)
        if self.asked:
            self.shelf.place(volume.uuid, None)
        super().request_replacement(volume, replica)
        self.asked = True


@wrong('replacement_asked_again_after_a_crash_is_one')
class Forgetful(Right):
    """A request of another life than the one that reported it."""

    def set_up(self):
        super().set_up()
        self.here = set()

    def report_replica_state(self, volume, replica, state):
        super().report_replica_state(volume, replica, state)
        self.here.add(replica.uuid)

    def request_replacement(self, volume, replica):
        kept = self.kept(volume, replica)
        if kept is not None and kept.successor and (
                replica.uuid not in self.here):
            self.shelf.place(volume.uuid, None)
            return
        super().request_replacement(volume, replica)


@wrong('replacement_whose_answer_was_lost_is_one')
class Careless(Right):
    def request_replacement(self, volume, replica):
        if self.shelf.mood == 'losing':
            self.shelf.place(volume.uuid, None)
            self.answer()
        super().request_replacement(volume, replica)


@wrong('fresh_copy_is_not_available')
class Optimistic(Right):
    def request_replacement(self, volume, replica):
        super().request_replacement(volume, replica)
        name = list(self.shelf.volumes[volume.uuid])[-1]
        if self.shelf.volumes[volume.uuid][name].state is State.UNKNOWN:
            self.shelf.volumes[volume.uuid][name].state = State.AVAILABLE


@wrong('replacement_has_a_target')
class Untargeted(Right):
    def replica(self, name, kept):
        replica = super().replica(name, kept)
        if kept.number > 100:
            force(replica, target=None)
        return replica


@wrong('replacement_leaves_the_number_of_replicas')
class Counting(Right):
    def volume(self, described):
        volume = super().volume(described)
        return force(volume, replica_count=len(volume.replicas))


@wrong('exchange_leaves_the_others_alone')
class Rough(Right):
    def retire_replica(self, volume, replica):
        super().retire_replica(volume, replica)
        if replica.uuid == shelf.uuid(11):
            self.shelf.volumes[volume.uuid][
                shelf.uuid(10)].state = State.MISSING


@wrong('replacement_that_is_not_possible_is_declined')
class Silent(Right):
    def request_replacement(self, volume, replica):
        if self.shelf.spares or self.shelf.mood:
            super().request_replacement(volume, replica)


@wrong('retired_replica_is_on_its_way_out')
class Reluctant(Right):
    def retire_replica(self, volume, replica):
        self.kept(volume, replica)


@wrong('retiring_twice_is_like_once')
class Once(Right):
    def retire_replica(self, volume, replica):
        kept = self.kept(volume, replica)
        if kept is not None and kept.state is State.TERMINATING:
            raise base.Rejected('it is TERMINATING already')
        super().retire_replica(volume, replica)


@wrong('retiring_what_is_gone_is_success')
class Pedantic(Right):
    def retire_replica(self, volume, replica):
        if self.kept(volume, replica) is None:
            raise base.Rejected('no such replica')
        super().retire_replica(volume, replica)


@wrong('confirmed_replica_is_gone')
class Hoarding(Right):
    """A removal is carried out with the next start only."""

    def confirm_replica_removed(self, volume, replica):
        kept = self.kept(volume, replica)
        if kept is not None and kept.state is State.TERMINATING:
            self.shelf.leaving.append((volume, replica))
            return
        super().confirm_replica_removed(volume, replica)

    def set_up(self):
        super().set_up()
        for volume, replica in self.shelf.leaving:
            super().confirm_replica_removed(volume, replica)
        self.shelf.leaving.clear()


@wrong('confirming_twice_is_like_once')
class Surprised(Right):
    def confirm_replica_removed(self, volume, replica):
        kept = self.kept(volume, replica)
        if kept is None and replica.state is State.TERMINATING:
            raise base.Rejected('it is gone')
        super().confirm_replica_removed(volume, replica)


@wrong('confirming_what_is_gone_is_success')
class Unknowing(Right):
    def confirm_replica_removed(self, volume, replica):
        if self.kept(volume, replica) is None and (
                replica.state is State.UNKNOWN):
            raise base.Rejected('no such replica')
        super().confirm_replica_removed(volume, replica)


@wrong('confirming_removes_only_what_is_terminating')
class Trusting(Right):
    def confirm_replica_removed(self, volume, replica):
        self.kept(volume, replica)
        self.shelf.volumes[volume.uuid].pop(replica.uuid, None)


@wrong('exchange_survives_a_crash_between_any_two_steps')
class Mortal(Right):
    """What was retired in another life is not let go in this one."""

    def retire_replica(self, volume, replica):
        super().retire_replica(volume, replica)
        self.retired = replica.uuid

    def confirm_replica_removed(self, volume, replica):
        if self.kept(volume, replica) is not None and (
                replica.uuid != getattr(self, 'retired', None)
                and replica.state is State.TERMINATING):
            raise base.Rejected('who said so?')
        super().confirm_replica_removed(volume, replica)


# faults

@wrong('outage_is_no_empty_answer')
class Empty(Right):
    def get_volumes(self, host, arrays, targets_for):
        if self.shelf.mood == 'outage':
            return []
        return super().get_volumes(host, arrays, targets_for)


@wrong('outage_swallows_nothing')
class Swallowing(Right):
    def retire_replica(self, volume, replica):
        if self.shelf.mood != 'outage':
            super().retire_replica(volume, replica)


@wrong('outage_spoils_no_heartbeat_or_event')
class Raw(Right):
    def report_event(self, event):
        if self.shelf.mood == 'outage':
            raise ConnectionRefusedError('refused')
        super().report_event(event)


@wrong('outage_ends')
class Sulking(Right):
    failures = 0

    def reach(self):
        if self.shelf.mood == 'outage':
            self.failures += 1
        if self.failures > 5:
            raise base.Unavailable('it was away too often')
        super().reach()


@wrong('listing_ends_in_silence')
class Patient(Right):
    def get_volumes(self, host, arrays, targets_for):
        if self.shelf.mood == 'silence':
            self.shelf.released.wait()
        return super().get_volumes(host, arrays, targets_for)


@wrong('telling_ends_in_silence')
class Persistent(Right):
    def confirm_replica_removed(self, volume, replica):
        if self.shelf.mood == 'silence':
            self.shelf.released.wait()
        super().confirm_replica_removed(volume, replica)


@wrong('refused_credentials_name_the_option')
class Mute(Right):
    def get_volumes(self, host, arrays, targets_for):
        if self.shelf.mood == 'refusing':
            raise base.Unauthorized('401')
        return super().get_volumes(host, arrays, targets_for)


@wrong('nonsense_is_no_answer')
class Believing(Right):
    def get_volumes(self, host, arrays, targets_for):
        if self.shelf.mood == 'nonsense':
            return []
        return super().get_volumes(host, arrays, targets_for)


@wrong('nonsense_is_no_success')
class Sanguine(Right):
    def report_replica_state(self, volume, replica, state):
        if self.shelf.mood != 'nonsense':
            super().report_replica_state(volume, replica, state)


@wrong('one_broken_volume_costs_no_other')
class Dismayed(Right):
    """All are left out, and said to be."""

    def get_volumes(self, host, arrays, targets_for):
        found = super().get_volumes(host, arrays, targets_for)
        return [] if self.shelf.mood == 'broken' else found


@wrong('broken_volume_is_logged_once')
class Chatty(Right):
    def get_volumes(self, host, arrays, targets_for):
        found = super().get_volumes(host, arrays, targets_for)
        if len(found) < 2:
            LOG.warning('a volume is left out')
        return found


# what is left about

@wrong('no_secret_in_the_drivers_own_text')
class Shown(Right):
    def __repr__(self):
        return '<driver, token %s>' % self.conf.shelf_token


@wrong('no_secret_in_an_error')
class Telling(Right):
    def get_volumes(self, host, arrays, targets_for):
        if self.shelf.mood == 'refusing':
            raise base.Unauthorized('option shelf_token: %s is refused'
                                    % self.conf.shelf_token)
        return super().get_volumes(host, arrays, targets_for)


@wrong('no_secret_in_the_log')
class Logging(Right):
    def reach(self):
        LOG.debug('asking with %s', self.conf.shelf_token)
        super().reach()


@wrong('calls_may_come_from_any_thread')
class Threadbound(Right):
    thread = None

    def set_up(self):
        super().set_up()
        self.thread = threading.current_thread()

    def reach(self):
        if self.thread not in (None, threading.current_thread()):
            raise base.Unavailable('another thread than that of set_up')
        super().reach()


@wrong('close_may_come_at_once')
class Unready(Right):
    def reach(self):
        self.reached = True
        super().reach()

    def close(self):
        del self.reached


@wrong('no_thread_is_left_behind')
class Spinning(Right):
    def heartbeat(self, host, interval):
        super().heartbeat(host, interval)
        threading.Thread(target=self.shelf.the_end.wait, daemon=True).start()


@wrong('no_descriptor_is_left_behind')
class Leaking(Right):
    def heartbeat(self, host, interval):
        super().heartbeat(host, interval)
        HELD.append(os.open('/dev/null', os.O_RDONLY))


# one that only asks

def examination(case):
    """Enter a driver whose Examination is passed through a function."""
    def enter(spoil):
        class Wrong(Right):
            def examine(self, host, arrays):
                return spoil(self, super().examine(host, arrays))
        wrong(case)(Wrong)
        return spoil
    return enter


@wrong('examine_needs_no_set_up')
class Presuming(Right):
    def examine(self, host, arrays):
        self.shelf.describe
        return super().examine(host, arrays)


@examination('examine_lists_what_the_agent_is_told')
def first_of_all(self, found):
    return force(found, volumes=found.volumes[:1])


@examination('examine_changes_nothing')
def noting(self, found):
    with open('/dev/null', 'w', encoding='utf-8') as stream:
        stream.write(found.where)
    return found


@wrong('examine_finds_an_outage')
class Content(Right):
    def examine(self, host, arrays):
        self.find()
        if self.shelf.mood == 'outage':
            return model.Examination(self.conf.shelf_url)
        return super().examine(host, arrays)


@wrong('examine_ends_in_silence')
class Hopeful(Right):
    def examine(self, host, arrays):
        self.find()
        if self.shelf.mood == 'silence':
            self.shelf.released.wait()
        return super().examine(host, arrays)


@wrong('examine_names_the_option_of_refused_credentials')
class Curt(Right):
    def examine(self, host, arrays):
        self.find()
        if self.shelf.mood == 'refusing':
            raise base.Unauthorized('401')
        return super().examine(host, arrays)


@examination('examine_tells_of_a_broken_volume')
def discreet(self, found):
    return force(found, troubles=())


@examination('no_secret_in_an_examination')
def with_its_token(self, found):
    return force(found, where='%s?token=%s' % (found.where,
                                               self.conf.shelf_token))


@examination('nothing_is_left_behind_after_examine')
def holding(self, found):
    HELD.append(os.open('/dev/null', os.O_RDONLY))
    return found


@wrong('certificates_have_words_and_a_date')
class Milliseconds(Right):
    def certificates(self):
        return [model.Certificate(one.whose, 1000 * one.ends_at)
                for one in super().certificates()]


@wrong('certificates_of_what_does_not_answer_are_left_out')
class Insistent(Right):
    def certificates(self):
        if self.shelf.mood == 'outage':
            raise base.Unavailable('the shelf is away')
        return super().certificates()


@wrong('certificates_end_in_silence')
class Waiting(Right):
    def certificates(self):
        if self.shelf.mood == 'silence':
            self.shelf.released.wait()
        return super().certificates()


@wrong('stories_of_faults_end_well')
class Weary(Right):
    """Its session ends after some answers, and it begins no new one."""

    answers = 0

    def get_volumes(self, host, arrays, targets_for):
        self.answers += 1
        if self.answers > 15:
            raise base.Unauthorized('option shelf_token: it has expired')
        return super().get_volumes(host, arrays, targets_for)


@wrong('stories_with_the_whole_agent_end_well')
class Single(Right):
    """What it has begun for one volume keeps it from hearing of others."""

    busy = None

    def request_replacement(self, volume, replica):
        super().request_replacement(volume, replica)
        self.busy = volume.uuid

    def report_replica_state(self, volume, replica, state):
        if self.busy not in (None, volume.uuid):
            raise base.Rejected('volume %s comes first' % self.busy)
        super().report_replica_state(volume, replica, state)
