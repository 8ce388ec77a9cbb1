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
"""How a driver that is wrong on purpose is entered for the case it fails.

``WRONG`` is a table: case -> the driver; it is complete when
``wrong_drivers`` is imported.
"""

from os_brick.agent.tests.unit.testing.conformance import shelf
from os_brick.agent.vendors import base

Right = shelf.PerfectDriver
WRONG: dict[str, type[base.ProvisionerDriver]] = {}
HELD: list[int] = []


def wrong(case):
    """Enter a driver for the case ``test_<case>``."""
    def enter(driver):
        WRONG['test_' + case] = driver
        return driver
    return enter


def answer(case):
    """Enter a driver whose whole answer is passed through a function."""
    def enter(spoil):
        class Wrong(Right):
            def get_volumes(self, host, arrays, targets_for):
                return spoil(self, super().get_volumes(
                    host, arrays, targets_for), host, arrays, targets_for)
        wrong(case)(Wrong)
        return spoil
    return enter


def examination(case):
    """Enter a driver whose Examination is passed through a function."""
    def enter(spoil):
        class Wrong(Right):
            def examine(self, host, arrays):
                return spoil(self, super().examine(host, arrays))
        wrong(case)(Wrong)
        return spoil
    return enter


def force(noun, **fields):
    """Set fields of a frozen value past its checks."""
    for name, value in fields.items():
        object.__setattr__(noun, name, value)
    return noun
