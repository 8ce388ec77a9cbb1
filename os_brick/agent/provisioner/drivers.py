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
"""Finding the provisioner's driver by its entry point."""

from __future__ import annotations

from oslo_config import cfg
import stevedore
from stevedore import exception as stevedore_exception

from os_brick.agent.vendors import base

EMBEDDED = ('local', 'kioxia')


def installed() -> list[str]:
    """Return the names of all drivers that are installed."""
    manager: stevedore.ExtensionManager[object] = (
        stevedore.ExtensionManager(base.NAMESPACE))
    return sorted({*EMBEDDED, *(entry.name for entry
                                in manager.list_entry_points())})


def load_class(name: str) -> type[base.ProvisionerDriver]:
    """Return the driver class of that name.

    :raises base.ConfigurationError: there is none, or it cannot be loaded.
    """
    if name == 'local':
        from os_brick.agent.vendors import local
        return local.LocalDriver
    if name == 'kioxia':
        from os_brick.agent.vendors import kioxia
        return kioxia.KioxiaDriver
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
            'option provisioner_driver: "%s" is installed more than once: %s'
            % (name, error)) from None
    found: object = manager.driver
    if not (isinstance(found, type)
            and issubclass(found, base.ProvisionerDriver)):
        raise base.ConfigurationError(
            'option provisioner_driver: "%s" is no ProvisionerDriver' % name)
    return found


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
