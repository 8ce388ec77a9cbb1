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
"""What a line of the log is about, for programs that read it.

oslo.log's JSON has them under ``extra``, its journal handler as fields of the
journal, each with ``NVME_AGENT_`` before it.  "For programs" in the page on
the log lists them.
"""

from __future__ import annotations

from collections.abc import Iterable
import contextvars

PREFIX = 'nvme_agent_'
#: Those that there are, besides ``event``.
NAMES = ('pass', 'volume', 'replica', 'array', 'device', 'controller',
         'portal', 'nqn', 'code', 'step', 'request', 'state', 'seconds',
         'copied', 'reason')
#: Those that are numbers, whatever they are given as.
_NUMBERS = ('seconds', 'copied')
#: Kinds of lines that tell of no event.
REPLICA_STATE, REQUEST = 'REPLICA_STATE', 'REQUEST'
IO_STOOD_STILL = 'IO_STOOD_STILL'
#: What events call by another name.
_CALLED = {'alias': 'volume', 'leg': 'device'}
_PASS: contextvars.ContextVar[int] = contextvars.ContextVar('pass', default=0)


def begin_pass(number: int) -> None:
    """Let lines of this thread be of that pass from now on."""
    _PASS.set(number)


def of(event: str, pairs: Iterable[tuple[str, object]] = (),
       **names: object) -> dict[str, object]:
    """Return the fields of a line, as ``extra`` of a call of ``logging``.

    :param event: which kind of line it is, such as STEP_DONE.
    :param pairs: more names; of several values of one name all are kept, and
        names that are none of ``NAMES`` are left out.
    """
    found: dict[str, object] = {'event': event}
    for name, value in (('pass', _PASS.get()), *pairs, *names.items()):
        name = _CALLED.get(name, name)
        if name not in NAMES or value is None or value in ('', 0):
            continue
        if not isinstance(value, (int, float)):
            value = int(str(value)) if name in _NUMBERS else str(value)
        found[name] = ('%s %s' % (found[name], value) if name in found
                       else value)
    return {**{PREFIX + name: value for name, value in found.items()},
            'extra': found}


def of_step(action: object, volume: str,
            failed: object = None) -> dict[str, object]:
    """Return the fields of a line about an action of ``model.actions``.

    :param failed: why it was not done; None: it was.
    """
    about = {'replica' if name == 'replica_uuid' else name: value
             for name, value in vars(action).items()
             if isinstance(value, str) and name != 'instance'}
    if failed is not None:
        about['reason'] = str(failed)
    return of('STEP_DONE' if failed is None else 'STEP_NOT_DONE',
              about.items(), volume=volume, step=type(action).__name__)
