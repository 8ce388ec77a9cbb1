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
# Slow but living targets in the lab: is ever one of them taken for dead?
# Now and then the whole virtual machine is paused for some seconds.
#
#   tools/soak-slow-targets.sh [SECONDS] [--seed N]
#
# SECONDS: 3600.  Ends with 0 and a line "SOAKED ..." only if nothing was cut
# off and no write failed.

set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
seconds=3600
case ${1:-} in [0-9]*) seconds=${1%%.*} ;; esac
export LAB_TIMEOUT=${LAB_TIMEOUT:-$((seconds + 900))}
export LAB_RESULTS=${LAB_RESULTS:-$(dirname "$here")/.lab/soak}

# Shorter than the keep-alive time-out of 5 s: the machine's clock goes on, and
# the kernel itself would give the connections up.
pause_now_and_then() {
    local pid
    while sleep $((40 + RANDOM % 40)); do
        for pid in $(pgrep -f "qemu-system.*$LAB_RESULTS"); do
            kill -STOP "$pid" && sleep 3
            kill -CONT "$pid" && echo 'soak: the machine was paused for 3 s'
        done
    done
}

pause_now_and_then &
pauses=$!
trap 'kill $pauses' EXIT
"$here/lab.sh" exec python "$here/lab/soak_slow_targets.py" "$@"
