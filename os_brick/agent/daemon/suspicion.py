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
"""What the guard suspects: arrays that stand still, and silent targets."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping

from oslo_config import cfg

from os_brick.agent.daemon import guard_kept
from os_brick.agent.guard import giving_up
from os_brick.agent.guard import roles
from os_brick.agent.guard import stall
from os_brick.agent import model

#: Seconds between two looks while something is wrong.
ALERT = 0.1


def suspect(kept: guard_kept.Kept, conf: cfg.ConfigOpts,
            unanswered: Callable[[], Mapping[model.Portal, float]],
            now: float) -> float:
    """Find out what stands still, and when to look again, in seconds.

    :param unanswered: says which portals acknowledge nothing, and for how
        many seconds.
    """
    timeout = conf.io_stall_timeout
    waiting = kept.io_history.waiting(now, {
        array.name for array in kept.snapshot.arrays
        if array.at_work and array.name in kept.guarded.arrays})
    if not (kept.io_history.standing or waiting):
        # no I/O is under way
        kept.symptoms = roles.Symptoms(answered=kept.answered(now))
        return float(conf.connection_check_interval)
    counted = kept.io_history.stalled(now, min(stall.MOMENT, timeout))
    standing = counted | waiting
    busy = frozenset(name for name, io in kept.activity.counters.items()
                     if io.under_way)
    quiet: Mapping[model.Portal, float] = {}
    if standing or giving_up.several_paths(kept.snapshot, busy):
        quiet = stall.with_zones(unanswered(), (
            one.portal for one in kept.snapshot.controllers
            if one.portal is not None))
    kept.symptoms = roles.Symptoms(
        busy, standing,
        kept.io_history.stalled(now, timeout),
        stall.silent(quiet, timeout / 2), stall.silent(quiet, timeout),
        kept.answered(now))
    if counted:
        return min(ALERT, stall.silent_in(quiet, timeout))
    pause = min(float(conf.connection_check_interval),
                stall.silent_in(quiet, timeout))
    # whether it has only begun, or stands still, the next look tells
    return min(pause, stall.MOMENT) if kept.symptoms.busy else pause


def clues(kept: guard_kept.Kept) -> tuple[frozenset[object], ...]:
    """What of the symptoms may change a decision."""
    symptoms = kept.symptoms
    return (symptoms.stalled, symptoms.doubted, symptoms.silent,
            symptoms.standing if kept.memory.lost else frozenset())
