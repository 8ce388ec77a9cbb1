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
"""nvme-agent use VOLUME REPLICA: say which copy of a volume is the one.

The word is left in the agent's state directory; the daemon takes it in with
its next pass.  Nothing on this host is touched.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from oslo_config import cfg

from os_brick.agent import model
from os_brick.cmd import commands
from os_brick.cmd import operator_word

SUMMARY = 'say which copy of a volume is the one'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('volume', metavar='VOLUME', help='the name of the '
                        'array, or the UUID of the volume')
    parser.add_argument('replica', metavar='REPLICA',
                        help='the UUID of the copy that is to be used')


def run(arguments: argparse.Namespace, read: commands.Read) -> int:
    print(choose(read(), arguments.volume, arguments.replica))
    return 0


def choose(conf: cfg.ConfigOpts, name: str, replica: str) -> str:
    """Leave the operator's word for the daemon; return what was done.

    :param name: of the volume, or its UUID.
    :raises commands.CommandError: the agent knows no such volume or replica.
    :raises ledger.LedgerError: the state directory cannot be used.
    """
    store = operator_word.open_ledger(conf)
    try:
        volume = operator_word.volume(list(store.volumes().values()),
                                      name)
        known = store.records(volume.uuid)
        uuid = _uuid(replica, sorted(known))
        if uuid not in known:
            raise commands.CommandError(
                'volume %s has no replica %s here; it has: %s' % (
                    volume.alias, uuid, ', '.join(sorted(known)) or 'none'))
        store.choose(volume.uuid, uuid)
    finally:
        store.close()
    return ('volume %s: replica %s is taken for the one with the next pass; '
            'what the other copies hold beyond it may be overwritten'
            % (volume.alias, uuid))


def _uuid(text: str, known: Sequence[str]) -> str:
    try:
        return model.normalise_uuid(text)
    except ValueError:
        raise commands.CommandError(
            '"%s" is no UUID of a replica; the volume has: %s' % (
                text, ', '.join(known) or 'none')) from None
