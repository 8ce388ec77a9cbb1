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
"""The interface a storage vendor implements, its errors and its contract.

A driver is a class that derives from :class:`ProvisionerDriver` and is an
entry point in the namespace ``os_brick.agent.provisioners``.  The agent makes
one instance and calls it from one thread at a time.  A driver may block for
as long as its own time-outs allow, but every call must end: a call without a
time-out would stop the healing of every volume.  It never looks at this
host's devices, and it holds no lock of os-brick's.
"""

from __future__ import annotations

import abc
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence

from oslo_config import cfg

from os_brick.agent import model

NAMESPACE = 'os_brick.agent.provisioners'
#: (major, minor) of this interface; see "The interface's version" in the
#: guide for drivers.  Within a major number a driver goes on working as it
#: is: methods are added with a default, fields at the end, never taken away.
INTERFACE_VERSION = (1, 2)


class ProvisionerError(Exception):
    """What went wrong with a provisioner, in words for an operator.

    The text must name the end point or file and must hold no secret.
    """


class Unavailable(ProvisionerError):
    """It could not be reached or did not answer; worth trying again."""


class Unauthorized(ProvisionerError):
    """It refused the credentials; the text names the option to look at."""


class Rejected(ProvisionerError):
    """It understood and declined; the text carries its own words."""


class BadAnswer(ProvisionerError):
    """Its answer makes no sense and is not believed."""


class ConfigurationError(ProvisionerError):
    """The driver cannot start; the text names the option or the file."""


class ProvisionerDriver(abc.ABC):
    """What the agent asks of a storage provisioner.

    Every method may raise a :class:`ProvisionerError`; anything else that
    escapes is a defect of the driver, which the agent logs and survives.
    """

    @classmethod
    def options(cls) -> Sequence[cfg.Opt]:
        """The driver's options, registered in [DEFAULT] before set_up.

        Their names begin with the vendor's name and an underscore.
        """
        return ()

    @abc.abstractmethod
    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Keep ``conf``; do no I/O."""

    def set_up(self) -> None:
        """Check the configuration and get ready; called once, at start.

        A provisioner that is down is no error here, a configuration that
        can never work is: raise :class:`ConfigurationError`.
        """

    def close(self) -> None:
        """Let go of connections and files; called once, at the end."""

    def examine(self, host: model.Host, arrays: Collection[model.Array]
                ) -> model.Examination | None:
        """Ask the provisioner, and change nothing, neither there nor here.

        For ``nvme-agent check``, which calls it on an instance that was not
        set up, and calls :meth:`close` afterwards.  It has to find out
        whether the provisioner can be reached and takes the credentials; it
        opens no file to write.

        :param arrays: as for :meth:`get_volumes`.
        :returns: None where the driver has no way to do so.
        :raises ProvisionerError: why it is not as it should be.
        """
        return None

    def certificates(self) -> Sequence[model.Certificate]:
        """Return the certificates in use that can be read now.

        The provisioner's, one for each address, and this host's.  Called
        once an hour, and by ``nvme-agent check`` after :meth:`examine`; an
        address that does not answer is left out.
        """
        return ()

    def heartbeat(self, host: model.Host, interval: float) -> None:
        """Tell the provisioner that this host's agent lives.

        :param interval: seconds until the next heartbeat is due.
        """

    @abc.abstractmethod
    def get_volumes(self, host: model.Host, arrays: Collection[model.Array],
                    targets_for: Collection[str]) -> Sequence[model.Volume]:
        """Return the volumes that this host has attached.

        :param arrays: the arrays on this host; a volume belongs to the one
            whose legs are its replicas, or whose alias is its alias.
        :param targets_for: UUIDs of replicas whose ``target`` is wanted;
            for the others it may be None, so that it need not be looked up.
            They are lost, or none is and they lack a path.
            Looking up must not give this host access that was withdrawn
            from it, as another host may have the volume by now: such a
            replica is lost, and access is asked for anew only for a volume
            whose array has a leg in sync that is not among these.
        :raises Unavailable, Unauthorized, BadAnswer: when nothing can be
            said.  A volume whose description cannot be believed is left out
            and logged once by the driver; the others are returned.  A volume
            left out is unknown to the agent, never gone.  So is a replica
            that two volumes list, for both of them.

        Where a volume is attached to several hosts at once (live migration,
        multi-attach), one of them is to heal it: a driver that knows which
        one sets ``observe`` of the volume on the others, in words for an
        operator.  These guard I/O and change, report and ask nothing (S12).
        """

    def delay_resyncs(self, under_way: Collection[model.Resync],
                      wanted: Collection[model.Resync]
                      ) -> Mapping[str, str] | None:
        """Say which copies are not to begin yet, for the sake of the fleet.

        For a provisioner that limits how much is copied at once, to a target
        say.  Called once in each pass, after :meth:`get_volumes`, whose
        answer is in force by then, and is kept over a restart: in a
        pass in which it could not be kept there is no call.  What is
        wanted may begin in the pass that follows, and not before.  What is
        neither under way nor wanted in a later call has ended, or never
        began: it frees its place.  So does a host that calls no more, within
        a bound of the driver's own.

        :param under_way: the copies that the kernel makes now, whether they
            were asked for or not: each has a place, whatever the limit is.
        :param wanted: those that the agent would begin.  One that may begin
            has its place from then on, and may still begin when it is asked
            for again.
        :returns: UUID of each wanted replica that has to wait -> why, in
            words for an operator that stay the same while it waits.  None:
            nothing is limited, and nothing needs to be asked for.
        :raises ProvisionerError: it cannot be said.  A copy that makes an
            array whole waits for ``resync_permit_timeout`` seconds then, a
            planned one until there is an answer.  Where the answer before
            was None, none waits.
        """
        return None

    @abc.abstractmethod
    def report_replica_state(self, volume: model.Volume,
                             replica: model.Replica,
                             state: model.ReplicaState) -> None:
        """Tell the state of a replica as seen from this host.

        ``state`` is MISSING, SYNCHRONIZING or AVAILABLE; of these only the
        last one is a complete copy.  Idempotent: after an outage or a restart
        the same state may be reported again.

        :raises Rejected: the provisioner will not have this report, now or
            ever (the replica is gone, or terminating); it is not repeated.
        """

    def report_event(self, event: model.Event) -> None:
        """Hand over an event for the provisioner's log; best effort."""

    @abc.abstractmethod
    def request_replacement(self, volume: model.Volume,
                            replica: model.Replica) -> None:
        """Ask for another replica in the place of ``replica``.

        Returns once the request is accepted; the new replica appears in a
        later answer of :meth:`get_volumes`.  Must be idempotent as far as
        the provisioner allows: the agent asks once per fault, but asks
        again where it cannot know whether the first request arrived (a
        time-out, a crash) and no new replica has appeared for a while.

        :raises Rejected: not possible now (no spare); asked again later.
        """

    def retire_replica(self, volume: model.Volume,
                       replica: model.Replica) -> None:
        """Say that a replica has been replaced and may be marked for removal.

        Called when its successor is in sync and has been reported so.
        Idempotent: called again every ``report_repeat_interval`` seconds
        until the provisioner lists the replica as TERMINATING, or no longer.
        """

    @abc.abstractmethod
    def confirm_replica_removed(self, volume: model.Volume,
                                replica: model.Replica) -> None:
        """Say that this host has let go of a TERMINATING replica.

        Called after the leg has left the array.  Idempotent: confirming a
        replica that the provisioner no longer knows is success.  Called again
        every ``report_repeat_interval`` seconds while it is listed.
        """
