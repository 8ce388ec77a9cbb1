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
"""Actors that take turns: one runs, and one seed says which.

What is a thread in earnest is a greenlet here.  It hands the baton back where
it waits, and perhaps at a point where it touches the world.  Time goes on
only while all of them wait.
"""

from __future__ import annotations

from collections.abc import Callable
import random

import greenlet

from os_brick.agent import clock as clocks

#: Seconds that may pass for a thread at a point where it is interrupted.
_PAUSES = (0.0, 0.0, 0.01, 0.05, 0.3)


class Killed(BaseException):
    """SIGKILL: nothing that comes after has an effect."""


class Actor:
    """What runs only while it holds the baton.

    :param body: what it does.
    :ivar wake_at: when it goes on by itself.
    :ivar waits_for: what makes it go on before that.
    :ivar doomed: it is to end at the next point.
    """

    def __init__(self, baton: Baton, name: str,
                 body: Callable[[], object]) -> None:
        self.name = name
        self.wake_at = baton.now
        self.waits_for: Event | None = None
        self.doomed = False
        self._baton = baton
        self._body = body
        self._greenlet = greenlet.greenlet(self._run)

    @property
    def ended(self) -> bool:
        return bool(self._greenlet.dead)

    @property
    def ready(self) -> bool:
        return self.wake_at <= self._baton.now or (
            self.waits_for is not None and self.waits_for.is_set())

    def resume(self) -> None:
        """Let it run until it waits or ends; for the scheduler.

        :raises Exception: what escaped from it.
        """
        self._greenlet.parent = greenlet.getcurrent()
        self._greenlet.switch()

    def pause(self, until: float, event: Event | None = None) -> None:
        """Wait for both; for the actor itself.

        :raises Killed: it is to end.
        """
        self.check()
        if self._baton.alone(self, until):
            return
        self.wake_at, self.waits_for = until, event
        self._greenlet.parent.switch()
        self.waits_for = None
        self.check()

    def check(self) -> None:
        """:raises Killed: it is to end."""
        if self.doomed:
            raise Killed()

    def _run(self) -> None:
        try:
            if not self.doomed:
                self._body()
        except Killed:
            pass


class Event:
    """As threading.Event, in simulated time."""

    def __init__(self, baton: Baton) -> None:
        self._baton = baton
        self._set = False

    def set(self) -> None:
        self._set = True

    def clear(self) -> None:
        self._set = False

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        if not self._set:
            self._baton.wait(1e9 if timeout is None else max(0.0, timeout),
                             self)
        return self._set


class Lock:
    """As threading.Lock, in simulated time."""

    def __init__(self, baton: Baton) -> None:
        self._baton = baton
        self._free = Event(baton)
        self._free.set()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        end = self._baton.now + (timeout if timeout >= 0 else 1e9)
        while not self._free.is_set():
            if not blocking or self._baton.now >= end:
                return False
            self._baton.wait(end - self._baton.now, self._free)
        self._free.clear()
        return True

    def release(self) -> None:
        self._free.set()


class Baton:
    """The scheduler.

    :param advance: lets the world's time go on by so many seconds.
    :ivar now: simulated seconds.
    :ivar handing: how likely a thread is interrupted at a point.
    :ivar surprise: what happens at the point that ``surprise_in`` counts
        down to; ``surprise_kills`` where that is the end of a thread.
    """

    def __init__(self, dice: random.Random,
                 advance: Callable[[float], None]) -> None:
        self.now = 0.0
        self.handing = 0.0
        self.surprise: Callable[[str], None] | None = None
        self.surprise_in = 0
        self.surprise_kills = False
        self.points: dict[str, int] = {}
        self._dice = dice
        self._advance = advance
        self._actors: list[Actor] = []
        self._running: Actor | None = None
        self._killing = False
        self._end = 0.0

    def start(self, name: str, body: Callable[[], object]) -> Actor:
        actor = Actor(self, name, body)
        self._actors.append(actor)
        return actor

    def kill(self, actors: list[Actor]) -> None:
        """End them, wherever they are."""
        self._killing = True
        for actor in actors:
            actor.doomed = True
        for actor in actors:
            while not actor.ended:
                self._running = actor
                actor.resume()
            self._running = None
            if actor in self._actors:
                self._actors.remove(actor)
        self._killing = False

    def wait(self, seconds: float, event: Event | None = None) -> None:
        """Wait; for whoever holds the baton."""
        if self._running is None:
            self.run(seconds)
        else:
            self._running.pause(self.now + seconds, event)

    def point(self, what: str, still: bool = False) -> None:
        """The world is about to be touched, or was: others may come first.

        :param still: nothing comes between this and what follows, but the
            end of whoever asks: no rule sees what happens there.
        :raises Killed: whoever asks is to end.
        """
        actor = self._running
        if actor is None:
            return
        actor.check()
        self.points[what] = self.points.get(what, 0) + 1
        if self.surprise is not None and (
                not still or self.surprise_kills):
            self.surprise_in -= 1
            if self.surprise_in <= 0:
                surprise, self.surprise = self.surprise, None
                surprise(what)
                actor.check()
        if self.handing and not still and self._dice.random() < self.handing:
            actor.pause(self.now + self._dice.choice(_PAUSES))

    def alone(self, actor: Actor, until: float) -> bool:
        """Let time pass for an actor that nobody can interrupt."""
        if until >= self._end or until <= self.now or self._killing:
            return False
        for other in self._actors:
            if other is not actor and (
                    other.wake_at <= until or other.waits_for is not None
                    and other.waits_for.is_set()):
                return False
        passed, self.now = until - self.now, until
        self._advance(passed)
        return True

    def run(self, seconds: float) -> None:
        """Let all of them live for so long; for the history.

        :raises Exception: what escaped from one of them.
        """
        end = self._end = self.now + seconds
        while True:
            ready = [actor for actor in self._actors if actor.ready]
            if ready:
                self._turn(ready[0] if len(ready) == 1
                           else self._dice.choice(ready))
                continue
            if self.now >= end:
                return
            following = min([end] + [
                actor.wake_at for actor in self._actors])
            passed, self.now = following - self.now, following
            self._advance(passed)

    def _turn(self, actor: Actor) -> None:
        self._running = actor
        try:
            actor.resume()
        finally:
            self._running = None
        if actor.ended and actor in self._actors:
            self._actors.remove(actor)


class Clock(clocks.Clock):
    """Simulated time.

    :ivar offset: what the operator has added to the wall clock.
    :ivar furthest: the most that it ever was.
    :ivar boots: how often the host has booted.
    """

    def __init__(self, baton: Baton) -> None:
        self._baton = baton
        self.offset = self.furthest = 1.7e9
        self.boots = 1
        self._booted_at = -1000.0

    def reboot(self) -> None:
        self.boots += 1
        self._booted_at = self._baton.now

    def monotonic(self) -> float:
        return self._baton.now - self._booted_at

    def boottime(self) -> float:
        return self._baton.now - self._booted_at

    def wall(self) -> float:
        self.furthest = max(self.furthest, self.offset)
        return self.offset + self._baton.now

    def boot(self) -> str:
        return 'simulated boot %d' % self.boots

    def sleep(self, seconds: float) -> None:
        self._baton.wait(seconds)

    def event(self) -> clocks.Event:
        return Event(self._baton)

    def lock(self) -> clocks.Lock:
        return Lock(self._baton)
