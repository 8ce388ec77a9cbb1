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
"""nvme-agent check: what is wrong, before the first start finds it out.

It asks the provisioner, reads this host, and changes nothing.  Run it as the
agent's user: what root may do says nothing of what the agent may.  The exit
status is 0 (all is well), 1 (a warning) or 2 (a failure).
"""

from __future__ import annotations

import argparse
from collections.abc import Generator
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import json
import time

from oslo_config import cfg

from os_brick.agent.checks import findings
from os_brick.agent.checks import host
from os_brick.agent.checks import provisioner
from os_brick.agent.host import identity
from os_brick.agent.host import sysfs
from os_brick.agent import model
from os_brick.agent.model import snapshots
from os_brick.agent.provisioner import drivers
from os_brick.agent.safety import ownership
from os_brick.agent.store import ledger
from os_brick.agent.vendors import base
from os_brick.cmd import checking
from os_brick.cmd import commands
from os_brick.cmd import helping
from os_brick.cmd import plan
from os_brick.cmd import starting

SUMMARY = 'find out what is wrong with configuration, host and provisioner'
_REMEDIES = {
    base.Unavailable: 'see that it runs, and can be reached from this host',
    base.Unauthorized: 'correct what the agent identifies itself by',
    base.ConfigurationError: 'correct the option'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--json', action='store_true', help='for programs')


def run(given: argparse.Namespace, read: commands.Read) -> int:
    """Print what was found; the worst of it is the exit status."""
    conf = read()
    found = [*checking.cheap(conf, checking.of_extras(conf)),
             *host.helper(_helper()), *asked(conf)]
    if given.json:
        print(json.dumps([{
            'about': one.about, 'code': one.code.name.lower(),
            'details': one.details, 'remedy': one.remedy}
            for one in found], indent=2))
    else:
        for one in found:
            print('%-8s %s: %s' % (one.code.name.capitalize(), one.about,
                                   _one_line(one.details)))
            if one.remedy:
                print('         -> %s' % one.remedy)
    return int(findings.worst(found))


def _helper() -> str:
    """Start the helper, as the agent does; return why it does not start."""
    try:
        helping.start()
    except starting.CannotStart as error:
        return str(error)
    return ''


def _one_line(words: str) -> str:
    """What comes from elsewhere steers no terminal."""
    return ''.join(char if char.isprintable() else '?'
                   for char in ' '.join(words.split()))


def asked(conf: cfg.ConfigOpts) -> Iterator[findings.Finding]:
    """Ask this host who it is, and the provisioner what it knows."""
    named = None
    try:
        named = identity.identify(conf.host_nqn, conf.host_uuid,
                                  conf.host_name)
    except identity.IdentityError as error:
        yield findings.failure(host.ABOUT, str(error), 'nvme gen-hostnqn')
    else:
        yield findings.fine(host.ABOUT, 'host %s, NQN %s, UUID %s' % (
            named.name, named.nqn, named.uuid or 'not known'))
    try:
        driver = drivers.load(conf)
    except (base.ProvisionerError, cfg.Error) as error:
        yield findings.failure('driver', str(error), 'see the '
                               'troubleshooting page')
        return
    yield findings.fine('driver', '"%s" can be loaded'
                        % conf.provisioner_driver)
    snapshot = sysfs.Scanner().scan()
    listed = None
    if named is not None:
        try:
            listed = yield from _of_provisioner(driver, named, snapshot)
        finally:
            driver.close()
    yield from _of_arrays(conf, snapshot, listed)


def _of_provisioner(driver: base.ProvisionerDriver, named: model.Host,
                    snapshot: snapshots.HostSnapshot
                    ) -> Generator[findings.Finding, None,
                                   Sequence[model.Volume] | None]:
    """Return the volumes of this host, None where they are not known."""
    try:
        examined = driver.examine(named, snapshot.arrays)
        if examined is None:
            yield findings.fine(provisioner.ABOUT, 'it was not asked: the '
                                'driver has no way to do so')
            return None
        yield from provisioner.answered(examined)
        yield from provisioner.certificates(driver.certificates(),
                                            time.time())
    except base.ProvisionerError as error:
        yield findings.failure(
            provisioner.ABOUT, str(error), _REMEDIES.get(
                type(error), 'see the troubleshooting page'))
        return None
    except Exception as error:
        yield findings.failure(
            'driver', 'it is broken: %s: %s' % (type(error).__name__, error),
            'report it to whoever has written the driver')
        return None
    return examined.volumes


def _of_arrays(conf: cfg.ConfigOpts, snapshot: snapshots.HostSnapshot,
               listed: Iterable[model.Volume] | None
               ) -> Iterator[findings.Finding]:
    """Say which arrays would be served.

    :param listed: the provisioner's volumes; None: it was not asked.
    """
    volumes: dict[str, model.Volume] = {}
    legs: Mapping[str, frozenset[str]] = {}
    with contextlib.suppress(commands.CommandError, ledger.LedgerError):
        # an agent that has run here has the provisioner's last word
        with plan.copied(conf) as store:
            volumes, legs = store.volumes(), store.legs()
    volumes.update((volume.uuid, volume) for volume in listed or ())
    if not volumes and listed is None:
        yield findings.fine(
            provisioner.ARRAY, 'which of the %d of this host would be served '
            'is not known: the provisioner was not asked, and no agent has '
            'run here' % len(snapshot.arrays))
        return
    matched = ownership.KnownVolumes(volumes, legs).match(snapshot, {})
    yield from provisioner.arrays(
        snapshot.arrays, {name: volumes[uuid] for name, uuid
                          in matched.arrays.items()}, matched.doubts)
