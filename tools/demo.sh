#!/bin/bash
#
#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
# #
#         http://www.apache.org/licenses/LICENSE-2.0
# #
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.
#
# Shows the main job: a volume that os-brick attached loses a target, and the
# agent heals it while a writer goes on.  Everything real, in a virtual
# machine that this script sets up and throws away.
#
#   tools/demo.sh
#
# Ends with 0 and a line "HEALED ..." only if the volume was healed and every
# acknowledged write was read back.

set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
colour=0
[ -t 1 ] && colour=1
echo "demo: this needs no answer from you. It installs the Debian packages and"
echo "demo: the Python environment it lacks (as root), boots a small virtual"
echo "demo: machine and shows how a replicated volume is healed there."
echo "demo: software emulation is slow: allow ten minutes the first time."
last=$(mktemp) || exit 1
trap 'rm -f "$last"' EXIT
LAB_TIMEOUT=${LAB_TIMEOUT:-1500} "$here/lab.sh" exec \
    python "$here/lab/demo.py" --colour "$colour" | tee "$last" |
    grep --line-buffered -v '^HEALED '
status=${PIPESTATUS[0]}
if [ "$status" = 0 ] && ! grep -q '^HEALED .*checksum=ok' "$last"; then
    status=1
fi
if [ "$status" = 0 ]; then
    # the last word, after the tidying up
    grep '^HEALED ' "$last"
else
    echo "demo: FAILED ($status)" >&2
fi
exit "$status"
