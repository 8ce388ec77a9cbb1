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
"""What a driver must not do in a story, in words; pure."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping

from os_brick.agent import model
from os_brick.agent.vendors import base

State = model.ReplicaState


def raised(what: str, error: Exception, reachable: bool) -> Iterator[str]:
    """What is wrong with an error.

    :param what: the method that raised it.
    :param reachable: whether the provisioner is, in this story.
    """
    if isinstance(error, base.Rejected):
        if what != 'request_replacement':
            yield '%s was declined: %s' % (what, error)
    elif isinstance(error, base.Unavailable):
        if reachable:
            yield '%s: %s' % (what, error)
    else:
        yield '%s raised %r' % (what, error)


def taken(good: Iterable[str], listed: Mapping[str, State]) -> Iterator[str]:
    """What is wrong where a good copy goes.

    :param good: replicas that are in sync and that nobody asked to be rid of.
    :param listed: replica -> its state in the driver's answer.
    """
    for uuid in good:
        state = listed.get(uuid)
        if state is None or state is State.TERMINATING:
            yield ('replica %s is in sync, nobody asked to be rid of it, and '
                   'it is %s' % (uuid, state.value if state else 'gone'))


def given(new: int, asked: int) -> Iterator[str]:
    """What is wrong where more replicas came than were asked for."""
    if new > asked:
        yield '%d new replicas where %d were asked for' % (new, asked)
