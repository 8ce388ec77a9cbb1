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
# How long writers stand still when one target that carries a leg of 16
# volumes dies: by a reset or by silence, as the anchor and not, with
# os-brick's lock free and held.  By name, too: outages of both targets that
# end together or one after the other, and a target that dies while the agent
# is dead.
#
#   tools/bench-wide-fault.sh [--volumes N] [--repeat N] [--set OPTION=VALUE]
#                             [--again OPTION=VALUE[,OPTION=VALUE]]... [--free]
#                             [reset] [silence] [outage] [outage-silent]
#                             [agent-dead]
#
# Prints a table; leaves wide-fault.jsonl and the agent's log in .lab/bench.
# Takes about a quarter of an hour where the machine is emulated.

set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
results=${LAB_RESULTS:-$(dirname "$here")/.lab/bench}
mkdir -p "$results"
echo "bench: this needs no answer from you. It installs what the lab lacks,"
echo "bench: boots the lab's virtual machine, and kills targets in it."
LAB_RESULTS=$results LAB_TIMEOUT=${LAB_TIMEOUT:-3600} "$here/lab.sh" exec \
    python "$here/lab/bench_wide_fault.py" \
    --out "$results/wide-fault.jsonl" "$@"
