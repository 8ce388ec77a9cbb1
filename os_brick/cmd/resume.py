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
"""nvme-agent resume VOLUME: the work on an array has come to its end."""

from __future__ import annotations

import argparse

from os_brick.agent.model import pauses
from os_brick.cmd import commands
from os_brick.cmd import operator_word
from os_brick.cmd import pause

SUMMARY = 'end a pause before its time'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pause.which(parser)


def run(given: argparse.Namespace, read: commands.Read) -> int:
    """Take the operator's word back.

    :raises commands.CommandError: there is no such pause, or another one goes
        on.
    """
    conf = read()
    store = operator_word.open_ledger(conf)
    try:
        uuid, name = pause.named(store.volumes().values(), given)
        ended, left = store.resume(uuid), store.pauses() or {}
    finally:
        store.close()
    if uuid != pauses.ALL and pauses.ALL in left:
        raise commands.CommandError('%s: all volumes are paused; only '
                                    '"resume --all" ends that' % name)
    if not ended:
        raise commands.CommandError('%s: there is no such pause%s' % (
            name, '; single volumes are paused' if left else ''))
    print('%s: no longer paused; %s' % (name, pause.when(conf)))
    return 0
