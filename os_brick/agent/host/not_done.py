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
"""Why an action was not done."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib

from os_brick.agent.host import commands


class NotDone(Exception):
    """An action was refused or failed; the text says why."""


class Refused(NotDone):
    """A safety rule forbade it, or the world has moved on."""


class Ended(Refused):
    """What was to be ended has ended already: things are as they should be."""


class Divergent(Refused):
    """The copy may hold acknowledged writes that the array lacks (S10).

    :ivar replica: whose copy it is.
    """

    def __init__(self, why: str, replica: str) -> None:
        super().__init__(why)
        self.replica = replica


class HostUnfit(NotDone):
    """This host cannot do it, whatever the replica: no program, say."""


class Offline(HostUnfit):
    """This host has no way to that target; others may be reached."""


class LockHeld(NotDone):
    """os-brick is attaching or detaching; no action can be done now."""


class PutOff(NotDone):
    """This is not the moment for it; it is decided anew."""


class UnderWay(NotDone):
    """It takes longer than it was waited for, and goes on by itself."""


class NoAnswer(NotDone):
    """No portal of the target has answered; for a while it is not asked."""


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Say in these terms why the helper, or one of its commands, failed.

    :raises HostUnfit: it cannot run here at all.
    :raises Refused: a name was given to another device meanwhile.
    :raises NotDone: it failed.
    """
    try:
        yield
    except commands.CannotRun as error:
        raise HostUnfit(str(error)) from error
    except commands.NotMeant as error:
        raise Refused(str(error)) from error
    except (commands.CommandFailed, commands.BadArgument) as error:
        raise NotDone(str(error)) from error
