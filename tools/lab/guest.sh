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
# Inside the machine: make it a storage host, then run what was asked for.
# guest.sh VENV RESULTS SHARED run | exec CMD... | shell

set -u
venv=$1 results=$2 shared=$3 verb=$4
shift 4
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
state=/run/nvme-agent-lab
share=/run/nvme-agent-lab-host

say() { printf 'lab: %s\n' "$*"; }

# virtme-ng mounts the host without a cache, so that each import of Python
# asks the host for every file.  The host's files do not change while the
# machine runs: a cached view of the interpreter's and the environment's.
cache_files() {
    local tag modules
    modules=$(readlink -f "/lib/modules/$(uname -r)")
    tag=$(awk -v at="$share" '$2 == at { print $1 }' /proc/mounts)
    [ -n "$tag" ] || return 0
    umount "$share"
    mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose \
        "$tag" "$share" || { say "cannot mount $share with a cache"; return; }
    mount --bind "$share$venv" "$venv"
    mount --bind "$share/usr" /usr
    # of a kernel that is not installed
    [ -d "/lib/modules/$(uname -r)" ] || {
        mount -t tmpfs none /lib/modules
        ln -s "$share$modules" "/lib/modules/$(uname -r)"
    }
}

# What is behind the targets stands for the disks of other machines: udev here
# must not assemble an array of them when the real one has just been stopped.
hide_disks() {
    mkdir -p /run/udev/rules.d
    printf '%s, %s\n' 'SUBSYSTEM=="block", KERNEL=="dm-*|loop*"' \
        'ENV{ANACONDA}="lab"' >/run/udev/rules.d/62-lab.rules
    udevadm control --reload 2>/dev/null || :
}

make_user() {
    grep -q '^nvme-agent:' /etc/passwd && return
    echo 'nvme-agent:x:990:990::/nonexistent:/usr/sbin/nologin' >>/etc/passwd
    echo 'nvme-agent:x:990:' >>/etc/group
    echo 'nvme-agent:*:19000:0:99999:7:::' >>/etc/shadow
}

set_up() {
    cache_files
    mkdir -p "$state/tmp"
    chmod 1777 "$state/tmp"
    make_user
    hide_disks
    # virtme-ng's own sudoers may be in the way of the tests' narrow one.
    printf 'Defaults !requiretty\nroot ALL = (ALL) NOPASSWD: ALL\n%s\n' \
        '@includedir /etc/sudoers.d' >/etc/sudoers
    chmod 0440 /etc/sudoers
    modprobe -a loop nvmet nvmet-tcp nvme-tcp raid1 dm-delay sch_prio \
        sch_netem cls_u32 || say "cannot load all modules"
    mountpoint -q /sys/kernel/config ||
        mount -t configfs none /sys/kernel/config
    ip link set lo up
    mkdir -p /etc/nvme
    [ -s /etc/nvme/hostnqn ] || nvme gen-hostnqn >/etc/nvme/hostnqn
    [ -s /etc/nvme/hostid ] ||
        cat /proc/sys/kernel/random/uuid >/etc/nvme/hostid
    export PATH=$venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin
    export PATH=$PATH:/sbin:/bin
    export LAB=1 LAB_EVIDENCE=$shared/evidence TMPDIR=$state/tmp
    export PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore HOME=/run
    export LC_ALL=C.UTF-8
    unset PYTHONPATH
    cd / || exit 1
}

run_tests() {
    # A test that never ends must not take the others with it.
    export OS_TEST_TIMEOUT=${OS_TEST_TIMEOUT:-400}
    # Logs go to files; the terminal shows each test as it begins and ends.
    export OS_LOG_CAPTURE=1 OS_STDOUT_CAPTURE=1 OS_STDERR_CAPTURE=1
    # The stream is kept as it comes, whatever becomes of the machine.
    python "$here/runner.py" run "$shared" "$results/places.csv" |
        tee "$results/subunit" |
        python "$here/progress.py" "${results##*-}"
    return "${PIPESTATUS[0]}"
}

set_up
say "the machine is up after $(cut -d. -f1 /proc/uptime) s"
uname -r >"$results/release"
dmesg --follow >"$results/kernel.log" 2>/dev/null &
case $verb in
run) run_tests ;;
exec) "$@" ;;
shell) exec bash -i ;;
esac
code=$?
echo "$code" >"$results/exit-code.new"
mv "$results/exit-code.new" "$results/exit-code"
exit "$code"
