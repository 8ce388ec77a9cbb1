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
# A KumoScale provisioner's double to play with: it prints its address, a
# token, its CA file, the agent's options and curl commands to paste.
# Ctrl-C ends it.
#
#   tools/kumoscale-double.sh [--port N] [--address IP]... [--backends N]

set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
tree=$(dirname "$here")

say() { printf 'kumoscale-double: %s\n' "$*" >&2; }

missing_packages() {
    good_python || echo python3
    command -v openssl >/dev/null || echo openssl
}

# The double needs no library, only a Python that is new enough.
good_python() {
    local candidate
    for candidate in python3 /usr/bin/python3 python3.13 python3.12 \
        python3.11 python3.10; do
        if "$candidate" -c 'import ssl, sys
sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            python=$candidate
            return 0
        fi
    done
    return 1
}

# As root on Debian what is missing is installed, otherwise it is named.
need_packages() {
    local missing
    missing=$(missing_packages | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing: $missing"
        # shellcheck disable=SC2086
        { apt-get -q update &&
            DEBIAN_FRONTEND=noninteractive apt-get -q -y \
                --no-install-recommends install $missing; } \
            >&2 </dev/null || say "apt-get failed"
        missing=$(missing_packages | tr '\n' ' ')
    fi
    if [ -n "$missing" ]; then
        say "missing: $missing; get it with: apt-get install $missing"
        exit 1
    fi
}

need_packages
good_python
command -v curl >/dev/null ||
    say 'curl is not installed; the commands that are printed need it'
export PYTHONPATH=$tree PYTHONDONTWRITEBYTECODE=1
exec "$python" -m os_brick.agent.testing.kumoscale "$@"
