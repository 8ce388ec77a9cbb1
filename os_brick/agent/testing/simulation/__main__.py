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
"""Plays histories: ``tools/simulate.sh``."""

from __future__ import annotations

import argparse
import collections
from collections.abc import Iterator
from collections.abc import Sequence
import logging
import multiprocessing
import random
import sys
import time

from os_brick.agent.host import effects
from os_brick.agent.testing.simulation import agent as agents
from os_brick.agent.testing.simulation import history
from os_brick.agent.testing.simulation import kinds as kinds_lib

#: Seconds between two lines of progress.
PROGRESS = 10.0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns 0 where no law was broken."""
    parser = argparse.ArgumentParser(
        prog='tools/simulate.sh', description='Lets the real agent live '
        'through histories of faults in a simulated world.')
    parser.add_argument('--seed', type=int, help='of the first history; the '
                        'next ones have the next numbers (default: drawn, '
                        'of each kind of history in its turn)')
    parser.add_argument('--histories', type=int, default=100)
    parser.add_argument('--jobs', type=int, default=1,
                        help='how many processes play')
    parser.add_argument('--steps', type=int, default=history.STEPS,
                        help='how many faults a history has')
    parser.add_argument('--faults', default='', help='only these, with '
                        'commas between them: %s' % ', '.join(
                            kinds_lib.FAULTS))
    parser.add_argument('--first', action='store_true',
                        help='end after the first that is broken')
    parser.add_argument('--story', action='store_true',
                        help='tell the first history in which a law is '
                        'broken, shrunk to what it needs; without one, the '
                        'last')
    options = parser.parse_args(argv)
    kinds = tuple(filter(None, options.faults.split(',')))
    unknown = sorted(set(kinds) - kinds_lib.FAULTS.keys())
    if unknown:
        parser.error('there is no fault %s' % ', '.join(unknown))
    logging.disable(logging.CRITICAL)
    return _play(_seeds(options), options, kinds)


def _seeds(options: argparse.Namespace) -> Sequence[int]:
    if options.seed is None:
        print('histories of all kinds')
        return kinds_lib.of_all_kinds(options.histories, random.SystemRandom())
    print('histories from seed %d on' % options.seed)
    return range(options.seed, options.seed + options.histories)


def _play(seeds: Sequence[int], options: argparse.Namespace,
          kinds: Sequence[str]) -> int:
    began = said = time.monotonic()
    seen: collections.Counter[str] = collections.Counter()
    points: collections.Counter[str] = collections.Counter()
    told: collections.Counter[str] = collections.Counter()
    broken: list[history.Outcome] = []
    played, last = 0, None
    for outcome in _outcomes(seeds, options, kinds):
        played, last = played + 1, outcome
        seen.update(outcome.faults)
        points.update(outcome.points)
        told.update(outcome.seen)
        if outcome.broken:
            broken.append(outcome)
            print('BROKEN, seed %d: %s' % (outcome.seed, outcome.broken),
                  flush=True)
            if options.first:
                break
        if time.monotonic() - said > PROGRESS:
            said = time.monotonic()
            print('%d of %d histories, %.1f a second, %d faults, %d broken'
                  % (played, options.histories, played / (said - began),
                     sum(seen.values()), len(broken)), flush=True)
    seconds = time.monotonic() - began
    print('%d histories in %.0f s (%.1f a second), %d broken' % (
        played, seconds, played / max(seconds, 0.001), len(broken)))
    _table('faults', {**dict.fromkeys(kinds or kinds_lib.FAULTS, 0), **seen})
    _table('points', {**dict.fromkeys(_every_effect(), 0), **points})
    _table('events and refusals', {**dict.fromkeys(_EVERY, 0), **told})
    if options.story and last is not None:
        _tell(broken[0] if broken else last, options.steps, kinds)
    return 1 if broken else 0


def _every_effect() -> list[str]:
    return ['before ' + name for name in vars(effects.Effects)
            if not name.startswith(('_', 'no_way', 'probe', 'try_lock'))]


#: What has to be seen in a long run, or is a hole in the simulation.
_EVERY = ('S1 refuses FailLeg', 'S1 refuses Disconnect',
          'S2 refuses AddLeg', 'S3 refuses FailLeg',
          'S4 refuses SetFastIoFail', 'S9 refuses FailLeg',
          'S9 refuses SetFailfast', 'S9 refuses SetFastIoFail',
          'S10 refuses AddLeg', 'S11 refuses ReplaceLeg',
          'event COPIES_IN_DOUBT')


def _outcomes(seeds: Sequence[int], options: argparse.Namespace,
              kinds: Sequence[str]) -> Iterator[history.Outcome]:
    work = [(seed, options.steps, kinds) for seed in seeds]
    if options.jobs == 1:
        yield from map(_one, work)
        return
    with multiprocessing.Pool(options.jobs) as pool:
        yield from pool.imap_unordered(_one, work, chunksize=4)


_CONF = None


def _one(work: tuple[int, int, Sequence[str]]) -> history.Outcome:
    global _CONF
    if _CONF is None:
        logging.disable(logging.CRITICAL)
        _CONF = agents.configuration()
    seed, steps, kinds = work
    return history.play(seed, _CONF, steps, kinds=kinds)


def _table(title: str, counts: dict[str, int]) -> None:
    print('%s:' % title)
    for name, count in sorted(counts.items(), key=lambda pair: pair[1]):
        print('  %9d  %s%s' % (count, name,
                               '' if count else '   NEVER'))


def _tell(outcome: history.Outcome, steps: int,
          kinds: Sequence[str]) -> None:
    if outcome.broken:
        print('shrinking seed %d...' % outcome.seed, flush=True)
        outcome, without = history.shrink(outcome, steps, kinds)
        print('%d of %d faults are left' % (steps - len(without), steps))
    print('\n'.join(outcome.story))


if __name__ == '__main__':
    sys.exit(main())
