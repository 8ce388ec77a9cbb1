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
# Which kernel a machine boots, and whether KVM works.  Sourced by lab.sh and
# host.sh, which set lab; sets kernel.

DEBIAN=http://deb.debian.org/debian
DEBIAN_KEYS=/usr/share/keyrings/debian-archive-keyring.gpg

# KVM may be there and hang on its first instruction: boot with it and look.
kvm_works() {
    local boot stamp
    case ${LAB_KVM:-} in 1) return 0 ;; 0) return 1 ;; esac
    [ -w /dev/kvm ] || return 1
    boot=$(cat /proc/sys/kernel/random/boot_id)
    stamp=$lab/kvm-$boot
    if [ ! -f "$stamp" ]; then
        say "trying KVM (at most 20 s)"
        if timeout -k 1 20 qemu-system-x86_64 -accel kvm -cpu host -m 256 \
            -display none -vga none -net none -no-reboot -serial stdio \
            -kernel "$kernel" -append 'console=ttyS0 panic=-1' \
            </dev/null 2>/dev/null | grep -q 'Linux version'; then
            echo works >"$stamp"
        else
            echo fails >"$stamp"
        fi
    fi
    [ "$(cat "$stamp")" = works ]
}

# apt with sources, lists and a cache of its own: what this machine is made of
# is not touched, and signatures are checked all the same.
apt_of_suite() {
    local suite=$1 place=$lab/kernels/apt-$1 tool=$2
    shift 2
    mkdir -p "$place"/{lists,cache}
    echo "deb [signed-by=$DEBIAN_KEYS] $DEBIAN $suite main" \
        >"$place/sources.list"
    "$tool" -q -o Dir::Etc::sourcelist="$place/sources.list" \
        -o Dir::Etc::sourceparts=- -o Dir::State::lists="$place/lists" \
        -o Dir::State::status=/dev/null -o Dir::Cache="$place/cache" \
        -o APT::Sandbox::User=root -o APT::Architecture=amd64 "$@"
}

depends_of() {
    apt_of_suite "$1" apt-cache depends "$2" |
        sed -n "s/.*Depends: \($3-[0-9].*\)/\1/p"
}

# unpack_kernel SUITE: its newest one, which need not be installed.  It stays
# until .lab/kernels is removed.
unpack_kernel() {
    local suite=$1 place=$lab/kernels/$1
    [ ! -d "$place" ] || return 0
    mkdir -p "$lab/kernels"
    (
        flock 8 # two runs at once fetch it once
        [ ! -d "$place" ] || exit 0
        say "fetching the kernel of Debian's $suite"
        rm -rf "$place.new"
        fetch_kernel "$suite" "$place.new" >"$lab/kernels/$suite.log" 2>&1 &&
            rm -rf "$place.new/packages" && mv "$place.new" "$place"
    ) 8>"$lab/kernels/$suite.lock" ||
        die "cannot get the kernel of $suite (see $lab/kernels/$suite.log)"
}

# fetch_kernel SUITE PLACE
fetch_kernel() {
    local suite=$1 place=$2 image version package
    mkdir -p "$place/packages" && cd "$place/packages" || return
    apt_of_suite "$suite" apt-get update || return
    image=$(depends_of "$suite" linux-image-amd64 linux-image)
    [ -n "$image" ] || return
    version=${image#linux-image-}
    # from Linux 7 on it is several packages with the same version
    for package in "$image" $(depends_of "$suite" "$image" 'linux-[a-z]*'); do
        [ "${package%-"$version"}" != "$package" ] || continue
        apt_of_suite "$suite" apt-get download "$package" || return
    done
    for package in *.deb; do
        dpkg-deb -x "$package" .. || return
    done
    # where older packages have them
    [ ! -d ../lib/modules ] || { mkdir -p ../usr && mv ../lib ../usr; } ||
        return
    PATH=$PATH:/usr/sbin:/sbin depmod -b ../usr "$version"
}

# A path, or the name of one of Debian's suites.
choose_kernel() {
    local found
    kernel=${LAB_KERNEL:-$(find /boot -name 'vmlinuz-*-amd64' 2>/dev/null |
        sort -V | tail -1)}
    case $kernel in
    '' | */*) ;;
    *)
        unpack_kernel "$kernel"
        found=$(compgen -G "$lab/kernels/$kernel/boot/vmlinuz-*" ||
            compgen -G "$lab/kernels/$kernel/usr/lib/modules/*/vmlinuz")
        kernel=${found%%$'\n'*}
        [ -r "$kernel" ] ||
            die "no kernel in $lab/kernels/$LAB_KERNEL; remove it, and try again"
        return
        ;;
    esac
    [ -r "$kernel" ] ||
        die "no readable kernel ${kernel:-in /boot (vmlinuz-*-amd64)}"
    [ -d "/lib/modules/${kernel##*/vmlinuz-}" ] ||
        die "no modules for $kernel in /lib/modules"
}
