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
"""Finding the provisioner's driver by its entry point.

Whoever provides a driver, stevedore loads it.  What stevedore keeps of an
entry point does not say whose it is, and so ``importlib.metadata`` is asked
who provides what.
"""

from __future__ import annotations

from importlib import metadata

from oslo_config import cfg
import stevedore
from stevedore import exception as stevedore_exception

from os_brick.agent.vendors import base

DISTRIBUTION = 'os-brick-nvme-agent'
#: The drivers of the agent itself, as they are among its entry points.
EMBEDDED = {
    'local': 'os_brick.agent.vendors.local:LocalDriver',
    'kioxia': 'os_brick.agent.vendors.kioxia:KioxiaDriver',
    'etcd': 'os_brick.agent.vendors.etcd:EtcdDriver',
}


def installed() -> list[str]:
    """Return the names of all drivers that are installed."""
    return sorted({entry.name for entry in _provided()})


def load_class(name: str) -> type[base.ProvisionerDriver]:
    """Return the driver class of that name.

    :raises base.ConfigurationError: there is none, or more than one, or it
        cannot be loaded.
    """
    entries = [entry for entry in _provided() if entry.name == name]
    if len(entries) > 1:
        raise base.ConfigurationError(
            'option provisioner_driver: "%s" is provided more than once: %s'
            % (name, ', '.join(sorted('%s by %s' % (entry.value, _whose(entry))
                                      for entry in entries))))
    found = _load(name, entries)
    if not (isinstance(found, type)
            and issubclass(found, base.ProvisionerDriver)):
        raise base.ConfigurationError(
            'option provisioner_driver: "%s" is no ProvisionerDriver' % name)
    return found


def embedded() -> list[type[base.ProvisionerDriver]]:
    """Return the agent's own drivers, whatever else is installed."""
    return [_entry(name).load() for name in EMBEDDED]


def _provided() -> list[metadata.EntryPoint]:
    """All drivers there are, those of the agent also in its source tree."""
    found = list(metadata.entry_points(group=base.NAMESPACE))
    if _in_source_tree():
        found += map(_entry, EMBEDDED)
    return found


def _in_source_tree() -> bool:
    """The agent is not installed, and has no entry points."""
    try:
        return not metadata.distribution(DISTRIBUTION).entry_points
    except metadata.PackageNotFoundError:
        return True


def _entry(name: str) -> metadata.EntryPoint:
    return metadata.EntryPoint(name, EMBEDDED[name], base.NAMESPACE)


def _whose(entry: metadata.EntryPoint) -> str:
    if entry.dist is None:
        return 'the source tree of %s' % DISTRIBUTION
    return '%s %s' % (entry.dist.name, entry.dist.version)


def _load(name: str, entries: list[metadata.EntryPoint]) -> object:
    if entries and entries[0].dist is None:
        return entries[0].load()    # stevedore finds what is installed only
    try:
        manager: stevedore.DriverManager[object] = stevedore.DriverManager(
            base.NAMESPACE, name, warn_on_missing_entrypoint=False,
            on_load_failure_callback=_fail)
    except stevedore_exception.NoMatches:
        raise base.ConfigurationError(
            'option provisioner_driver: there is no driver "%s"; installed '
            'are: %s' % (name, ', '.join(installed()))) from None
    except stevedore_exception.MultipleMatches as error:
        raise base.ConfigurationError(
            'option provisioner_driver: "%s" is provided more than once: %s'
            % (name, error)) from None
    return manager.driver


def _fail(manager: object, entry: object, error: BaseException) -> None:
    raise base.ConfigurationError(
        'option provisioner_driver: %s cannot be loaded: %s' % (
            entry, error)) from error


def load(conf: cfg.ConfigOpts) -> base.ProvisionerDriver:
    """Register the chosen driver's options and return an instance.

    :raises base.ConfigurationError: it cannot be used.
    :raises cfg.Error: one of its options has a wrong value.
    """
    driver = load_class(conf.provisioner_driver)
    try:
        options = list(driver.options())
        conf.register_opts(options)
    except Exception as error:
        raise _broken(conf, error) from error
    for option in options:
        conf[option.dest]
    try:
        return driver(conf)
    except base.ProvisionerError:
        raise
    except Exception as error:
        raise _broken(conf, error) from error


def _broken(conf: cfg.ConfigOpts,
            error: Exception) -> base.ConfigurationError:
    return base.ConfigurationError(
        'option provisioner_driver: the driver "%s" is broken: %s: %s' % (
            conf.provisioner_driver, type(error).__name__, error))
