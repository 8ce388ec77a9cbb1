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
"""What a run is asked for.

As a program, on any Python: complain of what is wrong before a machine boots
for it, show the series (``--list``), or print for how many seconds it may run.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import pathlib
import sys

import series

#: Seconds until a run is given up: of its own, and for each fault.
OWN, EACH = 900, 90


def _pair(word: str) -> tuple[str, str]:
    name, equals, value = word.partition('=')
    if not (name and equals):
        raise argparse.ArgumentTypeError('%s is no OPTION=VALUE' % word)
    return name, value


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options, with the ``series`` that they draw."""
    parser = argparse.ArgumentParser(
        prog='chaos.sh', description='Try a series of faults in the lab, '
        'drawn from a seed, while two volumes are written to.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='kinds:\n' + '\n'.join('  %-12s%s' % one
                                      for one in series.KINDS.items()))
    parser.add_argument('--seed', type=int, default=1, help='1')
    parser.add_argument('--faults', type=int, default=100,
                        help='how many; 100')
    parser.add_argument('--kinds', default=','.join(series.KINDS),
                        metavar='KIND[,KIND]...', help='all')
    parser.add_argument('--set', action='append', default=[], type=_pair,
                        metavar='OPTION=VALUE', help='of the agent')
    parser.add_argument('--iopolicy', default='numa',
                        choices=('numa', 'round-robin'),
                        help='what the kernel does with several paths until '
                        'the agent has set its own (option iopolicy); numa')
    parser.add_argument('--list', action='store_true',
                        help='show the series, and try nothing')
    parser.add_argument('--out', type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.faults < 1:
        parser.error('--faults is a number above 0')
    try:
        options.series = series.draw(options.seed, options.faults,
                                     options.kinds.split(','))
    except ValueError as error:
        parser.error(str(error))
    return options


def main() -> int:
    options = parse()
    if options.list:
        for fault in options.series:
            print('%3d  %s, %.1f s after %s' % (
                fault.number, fault, fault.after, 'all are whole'
                if fault.settled else 'the last one'))
    else:
        print(OWN + EACH * options.faults)
    return 0


if __name__ == '__main__':
    sys.exit(main())
