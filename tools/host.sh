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
# A compute node with systemd as its first process and a disk that survives a
# reboot: the agent is installed in it by the commands of the installation
# page, and the stories of doc: contributor/lab are told there.
#
#   tools/host.sh run            all stories, from the bare machine on
#   tools/host.sh run STORY...   those whose name begins so, on the disk that
#                                the last installation left (begin with
#                                "install" to make a new one)
#
# HOST_OLD      the commit that "upgrade" begins with (f1654e9)
# HOST_RESULTS  where console and journal are kept (<tree>/.lab/host/results)
# LAB_KVM       as for lab.sh
# LAB_KERNEL    a path, with its modules in /lib/modules

set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
tree=$(dirname "$here")
lab=$tree/.lab
cache=$lab/host
# shellcheck source=tools/lab/environment.sh
. "$here/lab/environment.sh"
# shellcheck source=tools/lab/kernel.sh
. "$here/lab/kernel.sh"
# shellcheck source=tools/host/image.sh
. "$here/host/image.sh"
# shellcheck source=tools/host/container.sh
. "$here/host/container.sh"

LAB_NEEDS='qemu-system-x86_64:qemu-system-x86
debootstrap:debootstrap
mkfs.ext4:e2fsprogs
modprobe:kmod
cpio:cpio
git:git
static-busybox:busybox-static
/usr/bin/python3:python3
/usr/lib/python3*/ensurepip/__init__.py:python3-venv
/boot/vmlinuz-*-amd64:linux-image-amd64'

usage() { sed -n '/^#   tools/,/^# LAB_KVM/s/^# \{0,1\}//p' "$0"; }

say() { printf 'host: %s\n' "$*"; }

die() { printf 'host: %s\n' "$*" >&2; exit 1; }

main() {
    local accel=tcg results
    [ "${1:-}" = run ] || { usage; exit 2; }
    shift
    umask 022
    mkdir -p "$cache"
    need_packages
    case ${LAB_KERNEL:-/} in
    */*) ;;
    *) die "LAB_KERNEL=$LAB_KERNEL: this machine wants a path" ;;
    esac
    choose_kernel
    PATH=$PATH:/usr/sbin:/sbin
    export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory \
        GIT_CONFIG_VALUE_0='*' PIP_ROOT_USER_ACTION=ignore
    exec 9>"$cache/lock"
    flock -n 9 || die "another run has $cache"
    make_disks
    kvm_works && accel=kvm
    results=${HOST_RESULTS:-$cache/results}
    mkdir -p "$results"
    exec /usr/bin/python3 "$here/host/stories.py" --accel "$accel" \
        --kernel "$kernel" --initrd "$initrd" --root "$root_image" \
        --tools "$cache/tools.img" --cache "$cache" --results "$results" "$@"
}

main "$@"
