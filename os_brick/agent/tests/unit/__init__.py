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

Machines are slow and shared: how long an example takes says nothing.  In CI
the examples are always the same ones, so that a change is judged and not the
draw; everywhere else they are new in every run.
"""

import os

import hypothesis

hypothesis.settings.register_profile(
    'nvme-agent', deadline=None, derandomize=bool(os.environ.get('CI')),
    suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile('nvme-agent')
