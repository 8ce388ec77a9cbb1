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
# What the lab needs on this machine: Debian packages and a Python environment
# that holds the project as an operator would have it, installed from a wheel.
# Sourced by lab.sh, which sets tree and lab; sets venv.  LAB_ALSO_NEEDS names
# what only one of its users needs, in the same way.

# Program or file, and the package that has it.  virtme-ng puts busybox into
# the machine alone, without the libraries that Debian's package busybox needs.
LAB_NEEDS='qemu-system-x86_64:qemu-system-x86
mdadm:mdadm
nvme:nvme-cli
modprobe:kmod
tc:iproute2
rdma:iproute2
dmsetup:dmsetup
losetup:mount
lsblk:util-linux
sudo:sudo
udevadm:udev
ps:procps
git:git
openssl:openssl
static-busybox:busybox-static
/usr/lib/systemd/systemd-udevd:udev
/usr/bin/python3:python3
/usr/lib/python3*/ensurepip/__init__.py:python3-venv
/boot/vmlinuz-*-amd64:linux-image-amd64'

static_busybox() {
    local path
    for path in $(PATH=$PATH:/usr/sbin:/sbin type -aP busybox-static \
        busybox.static busybox); do
        # ldd fails on what needs no library
        LC_ALL=C ldd "$path" >/dev/null 2>&1 || { echo "$path"; return 0; }
    done
    return 1
}

missing_packages() {
    local need thing package
    for need in $LAB_NEEDS ${LAB_ALSO_NEEDS:-}; do
        thing=${need%%:*} package=${need##*:}
        case $thing in
        /*) compgen -G "$thing" >/dev/null || echo "$package" ;;
        static-busybox) static_busybox >/dev/null || echo "$package" ;;
        *) PATH=$PATH:/usr/sbin:/sbin command -v "$thing" >/dev/null ||
            echo "$package" ;;
        esac
    done | sort -u
}

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
            >"$lab/apt.log" 2>&1 </dev/null || {
            tail -n 20 "$lab/apt.log"
            die "cannot install $missing (see $lab/apt.log)"
        }
        missing=$(missing_packages | tr '\n' ' ')
        [ -z "$missing" ] || die "still missing after installation: $missing"
    else
        die "missing; as root run: apt-get install $missing"
    fi
}

# The agent runs in the machine as an ordinary user, who must get to Python.
others_may_enter() {
    local path=$1
    while [ "$path" != / ]; do
        if [ -e "$path" ]; then
            [ $((0$(stat -c %a "$path") & 1)) = 1 ] || return 1
        fi
        path=$(dirname "$path")
    done
}

choose_venv() {
    venv=${LAB_VENV:-$lab/venv}
    if [ -z "${LAB_VENV:-}" ] && ! others_may_enter "$venv"; then
        venv=/opt/nvme-agent-lab/$(printf %s "$tree" | cksum |
            cut -d' ' -f1)/venv
        say "$lab is closed to ordinary users; the environment is in $venv"
    fi
    case $venv in
    /var/tmp/* | /dev/shm/* | /run/*)
        die "LAB_VENV=$venv cannot be seen inside the machine" ;;
    esac
}

# Files that make the wheel, committed or not.
tree_files() {
    git -C "$tree" ls-files -co --exclude-standard -z 2>/dev/null ||
        (cd "$tree" && find . -type f -not -path './.*' -print0)
}

tree_hash() {
    # A file deleted but still in the index is not there to be read.
    (cd "$tree" && tree_files | LC_ALL=C sort -z |
        xargs -0 sha256sum 2>/dev/null
    git -C "$tree" rev-parse HEAD 2>/dev/null) | sha256sum
}

pip_install() {
    "$venv/bin/python" -m pip --disable-pip-version-check -q install "$@" \
        >"$lab/pip.log" 2>&1 </dev/null || {
        tail -n 20 "$lab/pip.log"
        die "pip install $* failed (see $lab/pip.log)"
    }
}

build_wheel() {
    local copy=$lab/wheel/tree
    # From a copy: neither build/ nor egg-info of an older tree gets in, and
    # files that change meanwhile do no harm.
    rm -rf "$lab/wheel" && mkdir -p "$copy"
    (cd "$tree" && tree_files |
        xargs -0 sh -c 'for f; do [ -f "$f" ] && printf "%s\0" "$f"; done' - |
        tar -c --null -T - | tar -x -C "$copy") || die "cannot copy $tree"
    if [ -d "$tree/.git" ]; then
        cp -a "$tree/.git" "$copy/.git"
    else
        export PBR_VERSION=${PBR_VERSION:-0.0.1}
    fi
    "$venv/bin/python" -m pip --disable-pip-version-check -q wheel \
        --no-deps --no-build-isolation -w "$lab/wheel" "$copy" \
        >"$lab/wheel.log" 2>&1 </dev/null || {
        tail -n 30 "$lab/wheel.log"
        die "cannot build the wheel of $tree (see $lab/wheel.log)"
    }
}

prepare_venv() {
    local requirements=() now
    choose_venv
    mkdir -p "$(dirname "$venv")"
    # git refuses a tree of another owner, which a checkout often is for root.
    export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory \
        GIT_CONFIG_VALUE_0='*'
    exec 9>"$lab/lock"
    flock 9 # two runs at once share the environment
    if ! "$venv/bin/python" -c '' 2>/dev/null; then
        say "making a Python environment in $venv"
        rm -rf "$venv"
        (umask 022 && /usr/bin/python3 -m venv "$venv") ||
            die "cannot make a Python environment in $venv"
    fi
    umask 022
    for file in requirements.txt test-requirements.txt; do
        [ -f "$tree/$file" ] && requirements+=(-r "$tree/$file")
    done
    now=$(cat "$tree"/requirements.txt "$tree"/test-requirements.txt \
        "${BASH_SOURCE[0]}" 2>/dev/null | sha256sum)
    if [ "$now" != "$(cat "$venv/.requirements" 2>/dev/null)" ]; then
        say "installing requirements into $venv"
        pip_install setuptools wheel pbr virtme-ng os-brick stestr oslotest \
            testtools hypothesis python-subunit "${requirements[@]}"
        echo "$now" >"$venv/.requirements"
    fi
    now=$(tree_hash)
    if [ "$now" != "$(cat "$venv/.tree" 2>/dev/null)" ]; then
        say "installing the project's wheel"
        build_wheel
        rm -f "$venv/.tree"
        pip_install --no-deps --force-reinstall "$lab"/wheel/*.whl
        echo "$now" >"$venv/.tree"
    fi
    exec 9>&-
}
