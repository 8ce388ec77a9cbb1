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
# What thousands of agents are for etcd: requests per second, latency, size of
# its database; in peace, when a shelf with 1,000 legs dies, and when etcd comes
# back after it was away.
#
#   tools/bench-fleet.sh [--agents N...] [--poll SECONDS] ...   see --help
#
# A real etcd of three members and the real driver, all on this machine, its
# data in memory.  It needs no root where etcd and the Python environment are
# there.  The exit status is 0 where in the end every volume is whole and no
# namespace has two.
#
# TEST_VENV  the Python environment (<tree>/.venv, made where missing)

set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tools/fleet/environment.sh
. "$here/fleet/environment.sh"
# a connection for each agent, and as many at etcd
ulimit -n "$(ulimit -Hn)"
exec "$python" -W ignore "$here/bench/fleet_load.py" "$@"
