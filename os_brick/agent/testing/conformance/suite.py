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
"""All cases in one class, for a vendor's test to derive from.

::

    class TestAcme(suite.DriverConformance, unittest.TestCase):
        vendor = 'acme'
        missing = {'silence': 'the fake service always answers'}

        def make_driver(self):
            return driver.AcmeDriver(self.configure(
                driver.AcmeDriver, acme_url=..., acme_token=...))
"""

from __future__ import annotations

import inspect

from os_brick.agent.testing.conformance import examined_cases
from os_brick.agent.testing.conformance import exchange_cases
from os_brick.agent.testing.conformance import faults_cases
from os_brick.agent.testing.conformance import hygiene_cases
from os_brick.agent.testing.conformance import listing_cases
from os_brick.agent.testing.conformance import options_cases
from os_brick.agent.testing.conformance import resync_cases
from os_brick.agent.testing.conformance import story_cases
from os_brick.agent.testing.conformance import telling_cases


class DriverConformance(options_cases.OptionsCases,
                        listing_cases.ListingCases,
                        telling_cases.TellingCases,
                        exchange_cases.ExchangeCases,
                        faults_cases.FaultsCases,
                        hygiene_cases.HygieneCases,
                        examined_cases.ExaminedCases,
                        resync_cases.ResyncCases,
                        story_cases.StoryCases):
    """The whole contract."""


def cases() -> dict[str, str]:
    """Return the names of all cases, each with its sentence."""
    return {name: sentence(case) for name, case
            in inspect.getmembers(DriverConformance, inspect.isfunction)
            if name.startswith('test_')}


def sentence(case: object) -> str:
    """Return what a case holds a driver to, on one line."""
    return ' '.join((inspect.getdoc(case) or '').split())
