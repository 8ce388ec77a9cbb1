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
"""Drivers that are wrong on purpose, each in one way that a case names.

``WRONG`` is a table: case -> the methods of the perfect driver, or of the
shelf behind it, that are replaced.
"""

from os_brick.agent.tests.unit.testing.conformance import entering
from os_brick.agent.tests.unit.testing.conformance import wrong_examinations
from os_brick.agent.tests.unit.testing.conformance import wrong_exchanges
from os_brick.agent.tests.unit.testing.conformance import wrong_faults
from os_brick.agent.tests.unit.testing.conformance import wrong_hygiene
from os_brick.agent.tests.unit.testing.conformance import wrong_listings
from os_brick.agent.tests.unit.testing.conformance import wrong_options
from os_brick.agent.tests.unit.testing.conformance import wrong_resyncs
from os_brick.agent.tests.unit.testing.conformance import wrong_stories
from os_brick.agent.tests.unit.testing.conformance import wrong_tellings

# each has entered its drivers when it is imported
BY_SUBJECT = (wrong_examinations, wrong_exchanges, wrong_faults,
              wrong_hygiene, wrong_listings, wrong_options, wrong_resyncs,
              wrong_stories, wrong_tellings)
WRONG = entering.WRONG
