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
"""A target loses what it has acknowledged lately: its cache was volatile."""

from __future__ import annotations

import random

from os_brick.agent.testing.simulation import faults
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import world as worlds

FAULTS: dict[str, faults.Fault] = {}
fault = faults.kept_in(FAULTS)
#: Seconds of writes that are lost at most.  The rest of those for which a
#: write is marked the guard has for what it does.
LOST = 8.0
#: Seconds after which a leg that nobody has dropped is no case of this.
DROPPED = 60.0
#: Seconds between two looks of md for which that is so.
DELAY = 25.0


@fault
def target_forgets(world: worlds.World, dice: random.Random) -> None:
    """It dies at the same moment, and is back when md has dropped the leg.

    What the guard cannot do is not asked of it: it runs, has nobody to wait
    for, and md has marked all that is lost for as long as it was told to.
    """
    raid = world.raid
    legs = [member for member in raid.members if member.in_sync]
    if (not raid.whole or raid.pending is not None or len(legs) < 2
            or raid.name not in world.kernel.raids or raid.busy
            or any(raid.io(member) != 'ok' for member in legs)
            or not world.judge.guarded or not world.judge.dealt
            or raid.bitmap_delay < DELAY
            or world.kernel.now - raid.delayed_at < LOST
            or world.hands.brick or world.hands.failing is not None):
        return
    leg = dice.choice(legs)
    seconds = dice.choice((0.5, 2.0, LOST))
    silent, writing = dice.random() < 0.4, dice.random() < 0.6
    held = leg.medium.forget(world.kernel.now - seconds)
    home = world.kernel.home(leg.medium.uuid)
    world.tell('target %s %s; it has lost what it took within %g s: blocks '
               '%s' % (home.nqn, 'falls silent' if silent else 'dies',
                       seconds, ', '.join(map(str, sorted(held)))
                       or 'none'))
    _forget_what_is_late(world, leg.medium)
    world.kernel.lose(home, silent)
    end = world.kernel.now + DROPPED
    while leg.in_sync and leg in raid.members and world.kernel.now < end:
        world.live(0.5, writing)
    if leg.medium.forgetful:
        world.tell('it had flushed all that')
        for block, version in held.items():
            leg.medium.blocks[block] = version
        leg.medium.forgetful = False
    # what is written anew is marked anew, and would be copied anyhow
    writing = dice.random() < 0.3
    world.live(dice.choice((2.0, 6.0, 25.0)), writing)
    world.tell('target %s returns' % home.nqn)
    world.kernel.restore(home)
    world.live(dice.choice((0.0, 12.0, 25.0)), writing)


def _forget_what_is_late(world: worlds.World, medium: md.Medium) -> None:
    """What it had received, and not executed."""
    world.kernel.late = [write for write in world.kernel.late
                         if write.medium is not medium]
