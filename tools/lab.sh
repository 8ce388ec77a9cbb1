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
# The lab: one virtual machine with a stock Debian kernel, in which real
# NVMe/TCP targets, mdadm, nvme-cli and os-brick meet the agent.
#
#   tools/lab.sh run [PATTERN]   the functional tests, or those that match
#   tools/lab.sh exec CMD...     one command in the machine
#   tools/lab.sh shell           a shell in the machine
#
# LAB_TIMEOUT  seconds until the machine is stopped (2400)
# LAB_VENV     the Python environment (<tree>/.lab/venv)
# LAB_RESULTS  where results are kept (<tree>/.lab/results/<time>)
# LAB_KVM      1 or 0: take or leave KVM without trying it first
# LAB_CPUS, LAB_MEMORY, LAB_KERNEL   the machine's (2, 2G, the newest in /boot)

set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
tree=$(dirname "$here")
lab=$tree/.lab
# shellcheck source=tools/lab/environment.sh
. "$here/lab/environment.sh"

usage() { sed -n '/^#   tools/,/^# LAB_CPUS/s/^# \{0,1\}//p' "$0"; }

say() { printf 'lab: %s\n' "$*"; }

die() { printf 'lab: %s\n' "$*" >&2; exit 1; }

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

# boot COMMAND...: run it in the machine and return vng's exit status.
boot() {
    local options=(-r "$kernel" --cpus "${LAB_CPUS:-2}"
        -m "${LAB_MEMORY:-2G}" --user root --cwd /
        --rwdir="$results" --rodir="/run/nvme-agent-lab-host=/"
        -a mitigations=off -a nokaslr -a audit=0 -a nowatchdog)
    if kvm_works; then
        say "booting $kernel with KVM"
    else
        options+=(--disable-kvm)
        say "booting $kernel, emulated (KVM does not work here)"
    fi
    # vng looks for its parts on PATH.
    PATH=$venv/bin:$PATH vng "${options[@]}" "$@"
}

guest_command() {
    printf '%q ' bash "$here/lab/guest.sh" "$venv" "$results" "$@"
}

# The machine's word counts only if it could still say it.
finish() {
    local status=$1 limit=$2 code
    if [ -f "$results/exit-code" ]; then
        code=$(cat "$results/exit-code")
        say "results are in $results"
        return "$code"
    fi
    say "results are in $results"
    if [ "$status" = 124 ] || [ "$status" = 137 ]; then
        say "FAILED: stopped after $limit s (LAB_TIMEOUT)"
    else
        say "FAILED: the machine died (vng: $status); kernel's last words:"
        tail -n 20 "$results/kernel.log" 2>/dev/null
    fi
    return 1
}

# Export to the environment of a bounded machine: a hang ends it.
bounded() {
    local limit=${LAB_TIMEOUT:-2400}
    export -f boot kvm_works say guest_command
    export kernel venv results here lab
    timeout -k 20 "$limit" bash -c 'boot -- "$(guest_command "$@")"' \
        lab "$@" </dev/null 2> >(tee -a "$results/console.log" >&2) |
        tee -a "$results/console.log"
    finish "${PIPESTATUS[0]}" "$limit"
}

# A test that fails is run once more, alone, in a fresh machine.  One that
# passes then counts, and is named: its cause is to be looked for.  More than
# two that fail are no accident, and a machine that died proves nothing.
run_tests() {
    local code first=$results left names
    bounded run "${1:-}"
    code=$?
    # Counts what the stream holds even if the machine died on the way.
    "$venv/bin/python" "$here/lab/results.py" "$first" || code=1
    names=$first/failed
    if [ -f "$first/exit-code" ] && [ -s "$names" ] &&
        [ "$(wc -l <"$names")" -le 2 ]; then
        left=$((${LAB_TIMEOUT:-2400} - SECONDS))
        results=$first/again
        mkdir -p "$results"
        say "once more, alone, in a fresh machine: $(paste -sd' ' "$names")"
        LAB_TIMEOUT=$((left > 300 ? left : 300)) bounded run \
            "^($(sed 's/[.]/\\./g' "$names" | paste -sd'|'))\$"
        code=$?
        "$venv/bin/python" "$here/lab/results.py" "$first" "$results" ||
            code=1
    fi
    exit "$code"
}

main() {
    local verb=${1:-}
    [ $# -gt 0 ] && shift
    case $verb in
    run | exec | shell) ;;
    *) usage; exit 2 ;;
    esac
    mkdir -p "$lab"
    need_packages
    choose_kernel
    prepare_venv
    results=${LAB_RESULTS:-$lab/results/$(date +%Y%m%d-%H%M%S)-$$}
    mkdir -p "$results"
    results=$(cd "$results" && pwd -P)
    rm -f "$results"/{exit-code,subunit,kernel.log,console.log}
    case $verb in
    run)
        run_tests "${1:-}"
        ;;
    exec)
        [ $# -gt 0 ] || die "exec wants a command"
        bounded exec "$@"
        ;;
    shell)
        printf '%s\n' "$venv" "$results" >"$lab/shell"
        boot --shell "$here/lab/shell.sh"
        ;;
    esac
}

main "$@"
