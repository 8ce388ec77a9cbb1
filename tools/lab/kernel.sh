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

choose_kernel() {
    kernel=${LAB_KERNEL:-$(find /boot -name 'vmlinuz-*-amd64' 2>/dev/null |
        sort -V | tail -1)}
    [ -r "$kernel" ] ||
        die "no readable kernel ${kernel:-in /boot (vmlinuz-*-amd64)}"
    [ -d "/lib/modules/${kernel##*/vmlinuz-}" ] ||
        die "no modules for $kernel in /lib/modules"
}
