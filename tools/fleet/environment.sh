# shellcheck shell=bash
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
# What the tools of the fleet need: etcd, and a Python environment.  Sets
# "python"; ends the script that reads it where something cannot be had.

tree=$(dirname "$here")
venv=${TEST_VENV:-$tree/.venv}
python=$venv/bin/python

if ! { command -v etcd && command -v etcdctl; } >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo 'installing the Debian packages etcd-server and etcd-client' >&2
        { apt-get install -y --no-install-recommends etcd-server etcd-client ||
            { apt-get update && apt-get install -y --no-install-recommends \
                etcd-server etcd-client; }; } </dev/null >/dev/null 2>&1
        # the package starts a server of its own, which nobody needs here
        ! command -v systemctl >/dev/null || systemctl disable --now etcd \
            </dev/null >/dev/null 2>&1
    fi
    if ! { command -v etcd && command -v etcdctl; } >/dev/null; then
        echo 'missing: etcd. Get it with: apt-get install etcd-server' \
            'etcd-client' >&2
        exit 1
    fi
fi
if ! "$python" -c 'import etcd3gw, os_brick, greenlet' 2>/dev/null; then
    echo "making the Python environment $venv" >&2
    {
        /usr/bin/python3 -m venv "$venv" &&
            "$python" -m pip install --quiet --prefer-binary \
                -r "$tree/requirements.txt" -r "$tree/test-requirements.txt"
    } </dev/null >&2 || exit 1
fi
# The tree's agent beside the environment's os-brick.
export PYTHONPATH=$tree PYTHONDONTWRITEBYTECODE=1
