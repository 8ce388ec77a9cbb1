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
# The story of a fleet without a storage provisioner: a real etcd of three
# members on this machine, twenty agents on simulated hosts, a shelf that dies
# while a member of etcd is killed, and one that is drained.
#
#   tools/demo-fleet.sh [--hosts N]
#
# Ends with 0 and a line "FLEET ..." only if what stands in etcd, in every
# revision of it, and on the simulated media is as the story has it.  It takes
# some two minutes, needs no root where etcd and the Python environment are
# there, and leaves nothing behind.
#
# TEST_VENV  the Python environment (<tree>/.venv, made where missing)

set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tools/fleet/environment.sh
. "$here/fleet/environment.sh"
exec "$python" -W ignore "$here/fleet/play.py" "$@"
