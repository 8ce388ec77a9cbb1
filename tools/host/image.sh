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
# The disks of the machine with systemd: a Debian like this one, made from
# packages, with a nova that is a user, a lock directory and os-brick in an
# environment of its own.  Sourced by host.sh, which sets tree, lab, here,
# kernel and cache; each function makes what is missing.

# kmod and the like come with a kernel, which is not in the image; the role of
# contrib/ansible is applied from within.  debootstrap does not see what a
# virtual package stands for.
BASE=systemd,systemd-sysv,iproute2,procps,kmod,ansible-core,python3-cffi-backend
# What the machine loads to find its disk, and what it may load later.
BOOT_MODULES='virtio_pci virtio_blk crc32c_generic ext4'
MODULES='arch block crypto fs lib mm net virt drivers/block drivers/char drivers/dax
drivers/md drivers/net drivers/nvme drivers/virtio'
# Units that would only cost an emulated machine time.
MASKED='getty@tty1.service serial-getty@ttyS0.service apt-daily.timer
apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer
e2scrub_reap.service fstrim.timer'

# An older release, with version 2 of the ledger's tables.
OLD=${HOST_OLD:-f1654e9}

hash_of() { cat "$@" | sha256sum | cut -c1-16; }

# Nothing of a half-made thing is taken for the whole.
make_once() {
    local what=$1 path=$2
    shift 2
    [ -e "$path" ] && return
    say "making $what (log: $cache/log)"
    rm -rf "$path.new"
    "$@" "$path.new" >>"$cache/log" 2>&1 </dev/null || {
        tail -n 20 "$cache/log"
        die "cannot make $what"
    }
    mv "$path.new" "$path"
}

make_pip() {
    /usr/bin/python3 -m venv "$1" && "$1/bin/pip" -q --version
}

make_wheels() {
    "$cache/pip/bin/python" -m pip --disable-pip-version-check -q wheel \
        --prefer-binary -w "$1" -r "$tree/requirements.txt" 'pbr>=6.1.1' \
        'setuptools>=64' wheel
}

mirror() {
    grep -rhoE 'https?://[^ ]*/debian/? ?' /etc/apt/sources.list \
        /etc/apt/sources.list.d 2>/dev/null | grep -v snapshot | tr -d ' ' |
        head -1
}

copy_modules() {
    local release=${kernel##*/vmlinuz-} part
    local from=/lib/modules/$release to=$1/usr/lib/modules/$release
    mkdir -p "$to/kernel/drivers"
    cp "$from"/modules.{order,builtin,builtin.modinfo} "$to/" || return
    for part in $MODULES; do
        cp -r "$from/kernel/$part" "$to/kernel/$part" || return
    done
    depmod -b "$1/usr" "$release" 2>/dev/null || depmod -b "$1" "$release"
}

# The node as nova's packages leave it, and what runs the stories in it.
furnish() {
    local root=$1 unit
    echo '/dev/vda / ext4 defaults 0 1' >"$root/etc/fstab"
    echo compute-1 >"$root/etc/hostname"
    echo '127.0.0.1 localhost compute-1' >"$root/etc/hosts"
    : >"$root/etc/machine-id"
    mkdir -p "$root/var/log/journal" "$root/mnt"
    for unit in $MASKED; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done
    chroot "$root" useradd --system --home-dir /var/lib/nova \
        --shell /usr/sbin/nologin nova &&
        install -d -m 0750 "$root/var/lib/nova" "$root/var/lib/nova/tmp" &&
        chroot "$root" chown -R nova:nova /var/lib/nova || return
    echo 'nova ALL = (root) NOPASSWD: /opt/nova/bin/privsep-helper *' \
        >"$root/etc/sudoers.d/nova"
    chmod 0440 "$root/etc/sudoers.d/nova"
    # The disks that play those of other machines are nothing of this host's.
    echo 'SUBSYSTEM=="block", KERNEL=="vd[c-z]", ENV{ANACONDA}="storage"' \
        >"$root/etc/udev/rules.d/60-storage.rules"
    cat >"$root/etc/systemd/system/nova-compute.service" <<'EOF'
[Unit]
Description=What stands where nova-compute does
After=network-online.target

[Service]
ExecStart=/bin/sleep infinity
User=nova

[Install]
WantedBy=multi-user.target
EOF
    cp -r "$cache/wheels-$wheels" "$root/tmp/wheels" &&
        chroot "$root" python3 -m venv /opt/nova &&
        chroot "$root" /opt/nova/bin/pip -q install --no-index \
            --find-links /tmp/wheels os-brick || return
    rm -rf "$root/tmp/wheels"
    install -D "$here/host/guest.py" "$root/opt/stories/guest.py"
    cat >"$root/etc/systemd/system/stories.service" <<'EOF'
[Unit]
Description=Runs what the stories ask for, until the machine is down
DefaultDependencies=no
After=systemd-remount-fs.service systemd-tmpfiles-setup.service

[Service]
ExecStart=/usr/bin/python3 /opt/stories/guest.py /dev/ttyS1
KillMode=process
EOF
    mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
    for unit in stories nova-compute; do
        ln -s "../$unit.service" \
            "$root/etc/systemd/system/multi-user.target.wants/$unit.service"
    done
}

page_packages() {
    /usr/bin/python3 "$here/host/page.py" "$tree/doc/source/install/index.rst"
}

make_root() {
    local work=$cache/root packages suite
    packages=$BASE,$(page_packages)
    # shellcheck source=/dev/null
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    rm -rf "$work"
    mkdir -p "$cache/debs"
    debootstrap --variant=minbase --include="$packages" \
        --cache-dir="$cache/debs" "$suite" "$work" "$(mirror)" &&
        copy_modules "$work" && furnish "$work" &&
        rm -rf "$work"/var/cache/apt/archives/*.deb \
            "$work"/var/lib/apt/lists/* &&
        truncate -s 4G "$1" && mkfs.ext4 -q -d "$work" "$1" &&
        rm -rf "$work"
}

make_initrd() {
    local work=$cache/initrd module path release=${kernel##*/vmlinuz-}
    rm -rf "$work"
    mkdir -p "$work"/{bin,dev,proc,sys,root}
    cp "$(static_busybox)" "$work/bin/busybox"
    {
        echo '#!/bin/busybox sh'
        echo '/bin/busybox mount -t devtmpfs none /dev'
        for module in $BOOT_MODULES; do
            modprobe -S "$release" --show-depends "$module"
        done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
            while read -r path; do
                cp "$path" "$work/"
                echo "/bin/busybox insmod /${path##*/}"
            done
        echo 'until [ -b /dev/vda ]; do /bin/busybox sleep 0.1; done'
        echo '/bin/busybox mount -t ext4 /dev/vda /root'
        echo '/bin/busybox mount --move /dev /root/dev'
        echo 'exec /bin/busybox switch_root /root /sbin/init'
    } >"$work/init"
    chmod +x "$work/init"
    (cd "$work" && find . | cpio -o -H newc --quiet | gzip -1) >"$1"
}

# The tree as it is, as a git checkout, and the wheels that pip may take.
make_tools() {
    local work=$cache/tools
    rm -rf "$work"
    mkdir -p "$work/checkout"
    (cd "$tree" && git ls-files -co --exclude-standard -z |
        xargs -0 sh -c 'for f; do [ -f "$f" ] && printf "%s\0" "$f"; done' - |
        tar -c --null -T - | tar -x -C "$work/checkout") || return
    git -C "$work/checkout" init --quiet &&
        git -C "$work/checkout" add --all &&
        git -C "$work/checkout" -c user.name=Lab -c core.hooksPath=/dev/null \
            -c user.email=lab@example.com -c commit.gpgSign=false \
            commit --quiet --message='The tree' || return
    make_old "$work/old" || return
    cp -r "$cache/wheels-$wheels" "$work/wheels" &&
        "$cache/pip/bin/python" -m pip --disable-pip-version-check -q wheel \
            --no-deps --no-index --find-links "$work/wheels" \
            -w "$work/wheels" "$work/checkout" || return
    mkdir "$work/container" && cp -r "$engine" "$work/container/debs" &&
        make_container_root "$work/container/root.tar" "$work/checkout" \
            "$work/wheels" || return
    truncate -s 1G "$1" && mkfs.ext4 -q -d "$work" "$1"
}

# The tree of an older release, where the history has it.
make_old() {
    mkdir -p "$1"
    git -C "$tree" rev-parse --quiet --verify "$OLD^{commit}" >/dev/null || {
        echo "there is no $OLD here: the story of the upgrade will fail"
        return 0
    }
    git -C "$tree" archive "$OLD" | tar -x -C "$1"
}

make_disks() {
    local key
    : >"$cache/log"
    make_once "an environment with pip" "$cache/pip" make_pip
    wheels=$(hash_of "$tree/requirements.txt")
    make_once "the wheels" "$cache/wheels-$wheels" make_wheels
    key=$(hash_of "$here/host/image.sh" "$here/host/guest.py" \
        "$tree/requirements.txt" <(echo "$kernel") \
        <(page_packages))
    root_image=$cache/root-$key.img
    make_once "a Debian from its packages" "$root_image" make_root
    initrd=$cache/initrd-$key.gz
    make_once "its initial ramdisk" "$initrd" make_initrd
    engine=$cache/engine-$key
    make_once "podman's packages" "$engine" make_engine
    container_base=$cache/container-$key
    make_once "a Debian for the image of a container" "$container_base" \
        make_base
    rm -f "$cache/tools.img"
    make_once "the disk with checkout and wheels" "$cache/tools.img" \
        make_tools
}
