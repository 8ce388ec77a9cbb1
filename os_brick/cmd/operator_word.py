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
"""Leaving the operator's word for the running agent."""

from __future__ import annotations

from collections.abc import Sequence
import os
import socket

from oslo_config import cfg

from os_brick.agent import model
from os_brick.agent.store import ledger
from os_brick.cmd import commands


def open_ledger(conf: cfg.ConfigOpts) -> ledger.Ledger:
    """Return the running agent's, which has to be there.

    :raises commands.CommandError: there is none.
    :raises ledger.LedgerError: it cannot be used.
    """
    return ledger.Ledger(kept(conf, ledger.FILE), visiting=True)


def kept(conf: cfg.ConfigOpts, name: str) -> str:
    """Return the path of a file of the agent's, which has to be there.

    :raises commands.CommandError: there is none.
    """
    path = os.path.join(conf.state_dir, name)
    if not os.path.exists(path):
        raise commands.CommandError(
            'there is no %s (option state_dir): the agent has not run here, '
            'or you may not look there' % path)
    return path


def volume(known: Sequence[model.Volume], name: str) -> model.Volume:
    """Return the one of that name, or of that UUID.

    :raises commands.CommandError: there is none, or more than one.
    """
    found = [one for one in known if name in (one.alias, one.uuid)]
    if len(found) != 1:
        raise commands.CommandError(
            'there %s volume "%s"; the agent knows: %s' % (
                'is no' if not found else 'is more than one', name,
                ', '.join(sorted(one.alias for one in known)) or 'none'))
    return found[0]


def nudge(conf: cfg.ConfigOpts) -> bool:
    """Start a pass of the running agent; False where none listens."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM
                           | socket.SOCK_NONBLOCK) as agent:
            agent.sendto(b'look', os.path.join(conf.run_dir, 'nudge.sock'))
    except OSError:
        return False
    return True
