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
# The screens of the documentation, and the picture of the dashboard, as the
# program and its metrics are in the lab while two targets of a volume die.
#
#   tools/screens.sh           run the story, and make them
#   tools/screens.sh --again   make them from what the last story has left
#
# Writes doc/source/admin/screens.  What the story leaves is in .lab/screens.
# Prometheus is taken out of its Debian package where it is not installed.
# Takes about ten minutes where the machine is emulated.

set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
tree=$(dirname "$here")
results=$tree/.lab/screens
story=$results/story
programs=$tree/.lab/prometheus

say() { printf 'screens: %s\n' "$*"; }

# The package itself would start a server.
have_prometheus() {
    local place installed
    if installed=$(command -v prometheus) && command -v promtool >/dev/null
    then
        programs=$(dirname "$installed")
        return
    fi
    [ -x "$programs/prometheus" ] && return
    say "getting prometheus out of its Debian package"
    place=$(mktemp -d) || return 1
    (
        cd "$place" || exit 1
        # apt leaves root for it, and may not write here
        chmod 777 .
        { apt-get download prometheus ||
            { apt-get update && apt-get download prometheus; }; } &&
            dpkg-deb -x prometheus_*.deb unpacked && mkdir -p "$programs" &&
            cp unpacked/usr/bin/{prometheus,promtool} "$programs"
    ) </dev/null >"$tree/.lab/apt.log" 2>&1 || {
        say "no prometheus: see $tree/.lab/apt.log"
        return 1
    }
    rm -rf "$place"
}

case ${1:-} in
'')
    say "this needs no answer from you. It installs what the lab lacks, and"
    say "boots the lab's virtual machine."
    rm -rf "$results"
    mkdir -p "$results"
    LAB_RESULTS=$results LAB_TIMEOUT=${LAB_TIMEOUT:-2400} "$here/lab.sh" \
        exec python "$here/lab/screens.py" "$story" || exit 1
    ;;
--again) ;;
*) sed -n '/^#   tools/,/^# Takes/s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
have_prometheus || exit 1
python3 "$here/screens/terminal.py" "$story" \
    "$tree/doc/source/admin/screens" &&
    python3 "$here/screens/dashboard.py" "$story/metrics.txt" \
        --programs "$programs"
