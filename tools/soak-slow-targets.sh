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
#
#   tools/soak-slow-targets.sh [SECONDS] [--seed N]
#
# SECONDS: 3600.  Ends with 0 and a line "SOAKED ..." only if nothing was cut
# off and no write failed.

set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
seconds=3600
case ${1:-} in [0-9]*) seconds=${1%%.*} ;; esac
LAB_TIMEOUT=${LAB_TIMEOUT:-$((seconds + 900))} exec "$here/lab.sh" exec \
    python "$here/lab/soak_slow_targets.py" "$@"
