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
"""The sink ``exec``: a program of the operator's, as mdadm's --alert has one.

It is run as the agent's user, without a shell.  What it is given comes from
provisioner and kernel in part: it must not be evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
import re
import signal
import subprocess

from oslo_config import cfg

from os_brick.agent.model import events
from os_brick.agent.sinks import base

LEVELS = (events.INFO, events.WARN, events.FATAL)
_MEANINGS = ('every change', 'what needs attention',
             'I/O stands still, or data is in danger')
_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
_NO_NAME = re.compile('[^A-Z0-9_]')


class ProgramSink(base.EventSink):
    """Runs ``event_exec`` for each event of a level."""

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        return (
            cfg.StrOpt('event_exec', default='',
                       help='Program that the event sink exec runs for each '
                            'event, with its kind, the array or volume, and '
                            'the leg or connection as arguments, and all of '
                            'it in the environment (NVME_AGENT_...). A whole '
                            'path; no shell is used.'),
            cfg.StrOpt('event_exec_level', default=events.WARN,
                       choices=list(zip(LEVELS, _MEANINGS)),
                       help='Events of a lower level do not run event_exec.'),
            cfg.FloatOpt('event_exec_timeout', default=10.0, min=0.1,
                         max=600.0,
                         help='Seconds after which event_exec, and what it '
                              'has started, is killed.'))

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        path = conf.event_exec
        if not os.path.isabs(path):
            raise base.ConfigurationError(
                'option event_exec: "%s" is no whole path, and the event '
                'sink exec needs one' % path)
        if not (os.path.isfile(path) and os.access(path, os.X_OK)):
            raise base.ConfigurationError(
                'option event_exec: %s is no program that may be run' % path)
        self._path = path
        self._level = LEVELS.index(conf.event_exec_level)
        self._timeout = conf.event_exec_timeout

    def send(self, notice: base.Notice) -> None:
        event = notice.event
        if LEVELS.index(event.level) < self._level:
            return
        try:
            program = subprocess.Popen(
                [self._path, *arguments(notice)], env=environment(notice),
                cwd='/', stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, start_new_session=True)
        except (OSError, ValueError) as error:
            raise base.SinkError('%s cannot be run: %s' % (
                self._path, error)) from None
        try:
            status = program.wait(self._timeout)
        except subprocess.TimeoutExpired:
            raise base.SinkError('%s did not end within %g s, and was killed'
                                 % (self._path, self._timeout)) from None
        finally:
            if program.returncode is None:
                os.killpg(program.pid, signal.SIGKILL)
                program.wait()
        if status:
            raise base.SinkError('%s ended with %s' % (
                self._path, 'status %d' % status if status > 0
                else 'signal %d' % -status))


def arguments(notice: base.Notice) -> list[str]:
    """Return kind, array or volume, leg or connection, as mdadm gives them.

    What is not known is '' where something follows, and left out else.
    """
    names = dict(notice.event.names)
    array = names.get('array')
    what = '/dev/' + array if array else names.get('alias') or names.get(
        'volume') or ''
    which = names.get('leg') or names.get('namespace') or names.get(
        'controller') or names.get('replica') or ''
    given = [notice.event.kind, what, which]
    while not given[-1]:
        given.pop()
    return [_clean(one) for one in given]


def environment(notice: base.Notice) -> dict[str, str]:
    """Return all of the event; nothing of the agent's own environment."""
    event = notice.event
    given = {'PATH': _PATH, 'LANG': 'C.UTF-8',
             'NVME_AGENT_KIND': event.kind, 'NVME_AGENT_LEVEL': event.level,
             'NVME_AGENT_MESSAGE': event.message,
             'NVME_AGENT_HOST': notice.host.name,
             'NVME_AGENT_TIME': '%.3f' % notice.at}
    for noun, name in event.names:
        given.setdefault('NVME_AGENT_' + _NO_NAME.sub('_', noun.upper()),
                         name)
    return {name: _clean(value) for name, value in given.items()}


def _clean(text: str) -> str:
    """No program takes a NUL, and a lone surrogate is no text."""
    return text.replace('\0', '').encode('utf-8', 'replace').decode()
