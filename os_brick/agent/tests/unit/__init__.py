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
"""Unit tests; here are the terms on which hypothesis runs them.

Machines are slow and shared: how long an example takes says nothing.  The
examples are new ones in every run, and the run's seed alone decides them.
"""

import os
import random
import sys

import hypothesis
from hypothesis import core

if 'TEST_SEED' not in os.environ:
    os.environ['TEST_SEED'] = str(random.SystemRandom().randrange(2 ** 32))
    sys.stderr.write('TEST_SEED=%s draws the examples of this run\n'
                     % os.environ['TEST_SEED'])
#: What examples and histories are drawn with.
SEED = int(os.environ['TEST_SEED'])
# as the option of hypothesis's plug-in for pytest does it; the database of
# examples that once failed is not looked at then
core.global_force_seed = SEED    # type: ignore[assignment]
hypothesis.settings.register_profile(
    'nvme-agent', deadline=None, derandomize=False, database=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile('nvme-agent')
