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
# What watching costs while nothing happens: CPU, wake-ups, forks and memory,
# against letting mdadm and nvme look every 30 s.
#
#   tools/bench-watch-cost.sh [OPTION...]   on a generated host; see --help
#   tools/bench-watch-cost.sh --lab         the real daemon and one real
#                                           array, in the virtual machine
#
# TEST_VENV  the Python environment (<tree>/.venv, made by tools/test.sh)

set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
tree=$(dirname "$here")

if [ "${1:-}" = --lab ]; then
    shift
    exec "$here/lab.sh" exec python "$here/bench/watch_cost_lab.py" "$@"
fi
python=${TEST_VENV:-$tree/.venv}/bin/python
if ! [ -x "$python" ]; then
    echo "no $python: run tools/test.sh --only lint once, or set TEST_VENV" >&2
    exit 1
fi
# The tree's agent beside the environment's os-brick.
export PYTHONPATH=$tree PYTHONDONTWRITEBYTECODE=1
exec "$python" -W ignore "$here/bench/watch_cost.py" "$@"
