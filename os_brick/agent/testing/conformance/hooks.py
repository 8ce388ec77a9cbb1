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
"""What a vendor's class gives the conformance kit.

It gives ``make_driver`` and those hooks that it can; what it cannot do is
named in ``missing``, and the cases that need it are skipped and say so.  A
capability that is neither there nor named fails its cases: what nobody looked
at must not look like success.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
import contextlib
import functools
import os
import shutil
import tempfile
import typing
import unittest

from oslo_config import cfg

from os_brick.agent import model
from os_brick.agent import opts
from os_brick.agent.vendors import base

if typing.TYPE_CHECKING:
    _Case = unittest.TestCase
else:
    _Case = object

Context = contextlib.AbstractContextManager

#: Capability -> what it takes; each but the first three is a hook.
CAPABILITIES = {
    'changes': 'the volume may be changed: reported, replaced, let go',
    'replacement': 'the back end can place another replica',
    'stories': 'hypothesis is installed, and setUp makes a fresh back end',
    'secrets': 'returns the texts that must appear nowhere',
    'outage': 'the back end cannot be reached',
    'silence': 'the back end takes requests and does not answer',
    'refused_credentials': 'the back end refuses the credentials',
    'hostile_answers': 'gives pairs of a name and a context in which every '
                       'answer is nonsense',
    'broken_volume': 'the description of one of several volumes is nonsense; '
                     'yields its alias',
    'without_spares': 'no replacement can be placed',
    'lost_answer': 'the next request is carried out, its answer is lost',
    'impossible_settings': 'gives pairs of an option and a driver whose '
                           'setting of it can never work',
    'live_changes': 'gives a LiveChange for each mutable option',
    'resync_limit': 'one copy may be under way at once in the whole fleet; '
                    'asked for only of a driver with delay_resyncs',
}


class LiveChange(typing.NamedTuple):
    """An option that a driver takes in while it runs.

    :ivar in_force: fails where the driver works with the old value.
    """

    option: str
    value: object
    in_force: Callable[[base.ProvisionerDriver], object]


def needs(*capabilities: str) -> Callable[..., typing.Any]:
    """Mark a case that cannot be held without them."""
    def mark(case):
        @functools.wraps(case)
        def run(self):
            for name in capabilities:
                self.need(name)
            return case(self)
        run.capabilities = capabilities
        return run
    return mark


class Hooks(_Case):
    """What a vendor's class says, makes and can do to its back end.

    :cvar vendor: the entry point's name; options begin with it.
    :cvar missing: capabilities that there are not; a mapping may say why.
    :cvar aliases: md names of volumes that this host has attached.  The
        first one is played with and has two replicas or more, all in sync.
    :cvar host: who this host is.
    :cvar lasting: the back end is the same in all cases: before a case the
        volume is brought in order, and spares may run out.
    :cvar call_limit: seconds after which a call is taken for one that never
        ends; well beyond the driver's own time-outs.
    :cvar patience: seconds for what a driver may leave to end by itself.
    :ivar conf: what ``configure`` made.
    """

    vendor = ''
    missing: Collection[str] = ()
    aliases: Collection[str] = ('vol-1',)
    host = model.Host(
        'nqn.2014-08.org.nvmexpress:uuid:5d1e4f2c-0001-4000-8000-000000000001',
        '5d1e4f2c-0001-4000-8000-000000000001', 'host-1', '1.0')
    lasting = False
    call_limit = 60.0
    patience = 10.0
    conf: cfg.ConfigOpts | None = None
    _path = ''

    # the hooks

    def make_driver(self) -> base.ProvisionerDriver:
        """Return a new instance, not set up, for the same back end."""
        raise NotImplementedError('make_driver')

    def settle(self) -> None:
        """Let the back end go on, while the kit waits for a new replica."""

    def secrets(self) -> Collection[str]:
        raise NotImplementedError('secrets')

    def outage(self) -> Context[object]:
        raise NotImplementedError('outage')

    def silence(self) -> Context[object]:
        raise NotImplementedError('silence')

    def refused_credentials(self) -> Context[object]:
        raise NotImplementedError('refused_credentials')

    def hostile_answers(self) -> Iterable[tuple[str, Context[object]]]:
        raise NotImplementedError('hostile_answers')

    def broken_volume(self) -> Context[str]:
        raise NotImplementedError('broken_volume')

    def without_spares(self) -> Context[object]:
        raise NotImplementedError('without_spares')

    def lost_answer(self) -> Context[object]:
        raise NotImplementedError('lost_answer')

    def impossible_settings(self) -> Iterable[
            tuple[str, base.ProvisionerDriver]]:
        raise NotImplementedError('impossible_settings')

    def live_changes(self) -> Iterable[LiveChange]:
        raise NotImplementedError('live_changes')

    def resync_limit(self) -> Context[object]:
        raise NotImplementedError('resync_limit')

    # for make_driver

    def configure(self, driver: type[base.ProvisionerDriver],
                  **settings: object) -> cfg.ConfigOpts:
        """Return the configuration of an agent with this driver.

        It is read from a file of its own, so that it can be changed and
        read again as an operator does.

        :param settings: of its options; None: it is not set.
        """
        if not self._path:
            folder = tempfile.mkdtemp(prefix='conformance-')
            self.addCleanup(shutil.rmtree, folder)
            self._path = os.path.join(folder, 'agent.conf')
        self._write(settings)
        conf = cfg.ConfigOpts()
        opts.register(conf)
        conf.register_opts(list(driver.options()))
        # nor does it read what an agent of this machine has in /etc
        conf(['--config-file', self._path], project='nvme-agent',
             default_config_files=[], default_config_dirs=[])
        self.conf = conf
        return conf

    def _write(self, settings: dict[str, object]) -> None:
        self._settings = settings
        with open(self._path, 'w', encoding='utf-8') as stream:
            stream.write('[DEFAULT]\n')
            for name, value in settings.items():
                if isinstance(value, (list, tuple)):
                    value = ','.join(map(str, value))
                if value is None:
                    continue
                stream.write('%s = %s\n' % (name, value))
        os.chmod(self._path, 0o600)

    # for the cases, and for those who call make_driver

    def need(self, name: str) -> None:
        """Skip the case where the capability is missing by name.

        One that came with a method which the driver does not have is missing
        without being named.
        """
        if name == 'resync_limit' and (
                type(self.make_driver()).delay_resyncs
                is base.ProvisionerDriver.delay_resyncs):
            self.skipTest('the driver limits no copies')
        if name in self.missing:
            why = self.missing
            self.skipTest('missing, %s: %s' % (name, why[name] if isinstance(
                why, dict) else CAPABILITIES[name]))

    def configured(self) -> cfg.ConfigOpts:
        """Return the configuration of the last driver that was made."""
        if self.conf is None:
            self.make_driver()
        if self.conf is None:
            self.fail('make_driver has to take its configuration from '
                      'self.configure(), or to set self.conf')
        return self.conf

    def change(self, **settings: object) -> None:
        """Edit the configuration file and let it be read again."""
        if self._path:
            self._write({**self._settings, **settings})
        self.configured().mutate_config_files()
