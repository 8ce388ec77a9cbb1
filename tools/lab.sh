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
# The lab: virtual machines with a stock Debian kernel, in which real NVMe/TCP
# targets, mdadm, nvme-cli and os-brick meet the agent.  They know nothing of
# each other but which test is taken.
#
#   tools/lab.sh run [PATTERN]   the functional tests, or those that match
#   tools/lab.sh matrix [PATTERN]   the core ones, or those that match, on
#                                several kernels, with and without native
#                                multipath; leaves .lab/matrix/matrix.csv
#   tools/lab.sh exec CMD...     one command in the machine
#   tools/lab.sh shell           a shell in the machine
#
# LAB_MACHINES how many run side by side and share the tests (1)
# LAB_FORK     0: each agent is executed, none is forked from one that has
#              imported what it needs (1)
# LAB_TIMEOUT  seconds until the machines are stopped (2400)
# LAB_BOOT     seconds until a boot is given up, and tried once more (300)
# LAB_VENV     the Python environment (<tree>/.lab/venv)
# LAB_RESULTS  where results are kept (<tree>/.lab/results/<time>)
# LAB_KVM      1 or 0: take or leave KVM without trying it first
# LAB_CPUS, LAB_MEMORY   the machine's (2, 2G)
# LAB_KERNEL   a path (the newest in /boot), or a suite of Debian, of which the
#              newest kernel is unpacked below .lab: trixie, trixie-backports
# LAB_KERNELS  of the matrix (installed trixie trixie-backports)
# LAB_BOOT_ARGUMENTS   for its command line, such as nvme_core.multipath=N

set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
tree=$(dirname "$here")
lab=$tree/.lab
# shellcheck source=tools/lab/environment.sh
. "$here/lab/environment.sh"
# shellcheck source=tools/lab/kernel.sh
. "$here/lab/kernel.sh"

# Modules of devices that no test uses; udev would load them at each boot, for
# a fourth of its time.
UNUSED=kvm_amd,kvm_intel,powernow_k8,acpi_cpufreq,pcspkr,psmouse,iTCO_wdt
UNUSED+=,i6300esb,lpc_ich,i2c_i801,ahci,sr_mod,aesni_intel
UNUSED+=,ghash_clmulni_intel,sha512_ssse3,crct10dif_pclmul

# What makes an emulated machine a third faster (doc: contributor/lab).  Its
# main loop polls a descriptor for each queue of each device that has them, and
# six consoles have 64 queues each; wide vectors are slow to emulate; code that
# is mapped elsewhere in each process is translated anew for each.
EMULATED='-global virtio-serial-pci.ioeventfd=off'
EMULATED+=' -global virtio-serial-pci.max_ports=2'
EMULATED+=' -global virtio-9p-pci.ioeventfd=off'
EMULATED+=' -cpu max,-avx,-avx2,-erms,-fsrm'

usage() { sed -n '/^#   tools/,/^# LAB_BOOT_ARG/s/^# \{0,1\}//p' "$0"; }

say() { printf 'lab: %s\n' "$*"; }

die() { printf 'lab: %s\n' "$*" >&2; exit 1; }

# boot COMMAND...: run it in the machine and return vng's exit status.
boot() {
    local argument options=(-r "$kernel" --cpus "${LAB_CPUS:-2}"
        -m "${LAB_MEMORY:-2G}" --user root --cwd /
        --rwdir="$shared" --rodir="/run/nvme-agent-lab-host=/"
        -a mitigations=off -a nokaslr -a audit=0 -a nowatchdog -a no5lvl
        -a modprobe.blacklist="$UNUSED")
    for argument in ${LAB_BOOT_ARGUMENTS:-}; do
        options+=(-a "$argument")
    done
    if kvm_works; then
        say "booting $kernel with KVM"
    else
        options+=(--disable-kvm --qemu-opts="$EMULATED" -a tsc=reliable
            -a norandmaps -a init_on_alloc=0)
        say "booting $kernel, emulated (KVM does not work here)"
    fi
    # vng looks for its parts on PATH.
    PATH=$venv/bin:$PATH vng "${options[@]}" "$@"
}

guest_command() {
    printf '%q ' env LAB_FORK="${LAB_FORK:-1}" bash "$here/lab/guest.sh" \
        "$venv" "$results" "$shared" "$@"
}

# The machine's word counts only if it could still say it.
finish() {
    local status=$1 limit=$2 code
    if [ -f "$results/exit-code" ]; then
        code=$(cat "$results/exit-code")
        return "$code"
    fi
    if [ -f "$results/hung" ]; then
        say "FAILED: the machine does not boot"
    elif [ "$status" = 124 ] || [ "$status" = 137 ]; then
        say "FAILED: stopped after $limit s (LAB_TIMEOUT)"
    else
        say "FAILED: the machine died (vng: $status); kernel's last words:"
        tail -n 20 "$results/kernel.log" 2>/dev/null
    fi
    return 1
}

# One that hangs before it is up is ended.
watch_boot() {
    local waited
    for waited in $(seq "${LAB_BOOT:-300}"); do
        [ ! -f "$results/kernel.log" ] || return
        sleep 1
    done
    : >"$results/hung"
    say "the machine is not up after $waited s"
    kill "$(cat "$results/pid")"
}

# Export to the environment of a bounded machine: a hang ends it, one in its
# boot has a second chance.
bounded() {
    local limit=${LAB_TIMEOUT:-2400} end status watcher
    end=$((SECONDS + limit))
    export -f boot kvm_works say guest_command
    export kernel venv results shared here lab UNUSED EMULATED
    for _ in 1 2; do
        rm -f "$results"/{hung,kernel.log}
        watch_boot &
        watcher=$!
        (
            echo "$BASHPID" >"$results/pid"
            exec timeout -k 20 $((end - SECONDS)) \
                bash -c 'boot -- "$(guest_command "$@")"' lab "$@" </dev/null
        ) 2> >(tee -a "$results/console.log" >&2) |
            tee -a "$results/console.log"
        status=${PIPESTATUS[0]}
        kill "$watcher" 2>/dev/null
        wait "$watcher" 2>/dev/null
        [ -f "$results/hung" ] || break
    done
    finish "$status" "$limit"
}

# machines COUNT: boot them, each with a folder of its own below the shared
# one, and let them run what is on the list there.
machines() {
    local number pids=() pid code=0
    for number in $(seq "$1"); do
        (
            results=$shared/machine-$number
            mkdir "$results" && bounded run
        ) &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || code=1
    done
    return $code
}

all_said_their_word() {
    local folder
    for folder in "$1"/machine-*; do
        [ -f "$folder/exit-code" ] || return 1
    done
}

count_results() { "$venv/bin/python" "$here/lab/results.py" "$@"; }

# A test that fails is run once more, alone, in a fresh machine.  One that
# passes then counts, and is named: its cause is to be looked for.  More than
# two that fail are no accident, and a machine that died proves nothing.
run_tests() {
    local code first=$results left names count most=${LAB_MACHINES:-1}
    shared=$first
    # what an earlier run left in a folder that is used again
    rm -f "$first"/{tests,failed}
    rm -rf "$first"/{machine-[0-9]*,again,taken,evidence}
    count=$("$venv/bin/python" "$here/lab/runner.py" list "$shared" "$1") ||
        die "cannot list the tests"
    [ "$count" -gt 0 ] || die "FAILED: no test matches $1"
    machines $((count < most ? count : most))
    code=$?
    say "results are in $first"
    # Counts what the streams hold even if a machine died on the way.
    count_results "$first" || code=1
    names=$first/failed
    if [ -s "$names" ] && [ "$(wc -l <"$names")" -le 2 ] &&
        all_said_their_word "$first"; then
        left=$((${LAB_TIMEOUT:-2400} - SECONDS))
        shared=$first/again
        mkdir "$shared"
        cp "$names" "$shared/tests"
        say "once more, alone, in a fresh machine: $(paste -sd' ' "$names")"
        LAB_TIMEOUT=$((left > 300 ? left : 300)) machines 1
        code=$?
        count_results "$first" "$shared" || code=1
    fi
    exit "$code"
}

main() {
    local verb=${1:-} code
    [ $# -gt 0 ] && shift
    case $verb in
    run | matrix | exec | shell) ;;
    *) usage; exit 2 ;;
    esac
    mkdir -p "$lab"
    need_packages
    choose_kernel
    prepare_venv
    if [ "$verb" = matrix ]; then
        results=${LAB_RESULTS:-$lab/matrix}
        mkdir -p "$results"
        exec "$venv/bin/python" "$here/lab/matrix.py" "$here/lab.sh" \
            "$results" "$@"
    fi
    results=${LAB_RESULTS:-$lab/results/$(date +%Y%m%d-%H%M%S)-$$}
    mkdir -p "$results"
    results=$(cd "$results" && pwd -P)
    shared=$results
    rm -f "$results"/{exit-code,kernel.log,console.log}
    case $verb in
    run)
        run_tests "${1:-}"
        ;;
    exec)
        [ $# -gt 0 ] || die "exec wants a command"
        bounded exec "$@"
        code=$?
        say "results are in $results"
        exit "$code"
        ;;
    shell)
        printf '%s\n' "$venv" "$results" >"$lab/shell"
        boot --shell "$here/lab/shell.sh"
        ;;
    esac
}

main "$@"
