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
# How long a writer stands still while a replica dies: in the lab, with no
# agent and with the agent, each fault in the same boot.
#
#   tools/bench-io-pause.sh [FAULT...]
#
# FAULT: reset reset-anchor reset-between power power-anchor outage namespace
# planned (all).  Prints a table; leaves io-pause.jsonl and io-pause.svg in
# .lab/bench.  Takes about half an hour where the machine is emulated.

set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
results=$(dirname "$here")/.lab/bench
mkdir -p "$results"
echo "bench: this needs no answer from you. It installs what the lab lacks,"
echo "bench: boots the lab's virtual machine, and breaks a volume on purpose"
echo "bench: twice for each kind of fault."
LAB_RESULTS=$results LAB_TIMEOUT=${LAB_TIMEOUT:-4800} "$here/lab.sh" exec \
    python "$here/lab/bench_io_pause.py" --out "$results/io-pause.jsonl" "$@"
status=$?
[ -s "$results/io-pause.jsonl" ] || { echo "bench: nothing was measured" >&2
    exit 1; }
python3 "$here/lab/plot_io_pause.py" "$results/io-pause.jsonl" \
    --svg "$results/io-pause.svg"
exit $status
