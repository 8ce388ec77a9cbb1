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
# What the story of the container needs: podman's packages, and the root file
# system of an image.  Sourced by image.sh, after whose functions it is used.

# The engine, its runtime, what --init and systemd's cgroups want.
ENGINE='podman crun catatonit dbus'

# make_engine DIR: the packages that the machine lacks.
make_engine() {
    local status=$cache/dpkg-status
    mkdir -p "$1/partial"
    debugfs -R 'cat /var/lib/dpkg/status' "$root_image" >"$status" || return
    # shellcheck disable=SC2086
    apt-get -q -y --no-install-recommends --download-only \
        -o Dir::State::status="$status" -o Dir::Cache::archives="$1" \
        -o APT::Sandbox::User=root -o Debug::NoLocking=1 install $ENGINE &&
        rm -rf "$1/partial" "$1/lock"
}

# make_base DIR: a Debian with the packages of the page.
make_base() {
    local suite
    # shellcheck source=/dev/null
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mkdir -p "$cache/debs"
    debootstrap --variant=minbase --include="$(page_packages)" \
        --cache-dir="$cache/debs" "$suite" "$1" "$(mirror)" &&
        rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/* \
            "$1"/usr/share/{doc,man,locale}
}

# make_container_root TAR CHECKOUT WHEELS: with the agent, as the page has it.
make_container_root() {
    local work=$cache/container
    rm -rf "$work"
    cp -a "$container_base" "$work" &&
        cp -r "$2" "$work/checkout" && cp -r "$3" "$work/wheels" &&
        /usr/bin/python3 "$here/host/page.py" --image \
            "$tree/doc/source/install/index.rst" >"$work/image" &&
        chroot "$work" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
            PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels \
            PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
            bash -c 'set -e; cd /checkout; . /image' || return
    rm -rf "$work"/{checkout,wheels,image}
    tar -C "$work" --exclude=./dev/* -cf "$1" . && rm -rf "$work"
}
