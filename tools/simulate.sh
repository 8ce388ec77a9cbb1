#!/bin/bash
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
#
# Lets the real agent live through histories of faults; see --help.
#
#   tools/simulate.sh [--seed N] [--histories N] [--jobs N] [--story] ...
#   tools/simulate.sh --mutants [N]   breaks the agent on purpose, in N (200)
#                                     histories for each way
#
# TEST_VENV      the Python environment (<tree>/.venv)

set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
tree=$(dirname "$here")
python=${TEST_VENV:-$tree/.venv}/bin/python
export PYTHONPATH=$tree PYTHONHASHSEED=0
if [ "${1:-}" = --mutants ]; then
    shift
    exec "$python" -W ignore "$here/simulate/mutants.py" "$@"
fi
exec "$python" -W ignore -m os_brick.agent.testing.simulation "$@"
