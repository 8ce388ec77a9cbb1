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
# A series of faults in the lab, drawn from a seed: targets die by a reset or by
# silence, become slow, lose a namespace or a portal, all of them at once, the
# agent is killed; before the last one is healed, too.  Two volumes that share
# a target are written to all the while, one of them through ext4, and all that
# was acknowledged is read back in the end.
#
#   tools/chaos.sh [--seed N] [--faults N] [--kinds KIND[,KIND]...]
#                  [--set OPTION=VALUE]... [--iopolicy POLICY] [--list]
#
# Leaves chaos-SEED.jsonl and the agent's log in .lab/chaos, and what is known
# of a failure in .lab/chaos/evidence.  Exits 0 only if no write failed, no
# block is lost, the legs are equal and all volumes were healed.

set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
results=${LAB_RESULTS:-$(dirname "$here")/.lab/chaos}
case " $* " in
*' --list '* | *' --help '* | *' -h '*)
    exec python3 -B "$here/chaos/arguments.py" "$@"
    ;;
esac
limit=$(python3 -B "$here/chaos/arguments.py" "$@") || exit 2
mkdir -p "$results"
rm -f "$results/verdict"
echo "chaos: this needs no answer from you. It installs what the lab lacks,"
echo "chaos: boots the lab's virtual machine, and breaks targets in it."
LAB_ALSO_NEEDS='fio:fio mkfs.ext4:e2fsprogs' LAB_RESULTS=$results \
    LAB_TIMEOUT=${LAB_TIMEOUT:-$limit} "$here/lab.sh" exec \
    python "$here/chaos/run.py" --out "$results" "$@"
code=$?
if [ -f "$results/verdict" ]; then
    cat "$results/verdict"
else
    echo "chaos: FAILED: the machine did not live to tell ($*)"
    code=1
fi
exit $code
