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
# Everything that checks this project, on a fresh Debian machine.
#
#   tools/test.sh                all parts
#   tools/test.sh --no-lab       all but the virtual machine
#   tools/test.sh --only PART    one part; may be repeated
#
# Parts: lint, types, unit, docs, releasenotes, lab.  Each runs even if another
# failed, none longer than its time limit.  Where all are run, the others run
# beside the lab, which is told of last.  The last line sums the tests of unit
# and lab, and every other part as one: "N passed, N failed".
#
# TEST_VENV      the Python environment (<tree>/.venv), made where missing
# TEST_RESULTS   where the logs of the parts are kept (<tree>/.test-results)
# TEST_SEED      draws the examples and histories of the unit tests (a new one
#                each time, which is said)
# TEST_TIME      seconds for the whole (3540)

set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
tree=$(dirname "$here")
cd "$tree" || exit 1
venv=${TEST_VENV:-$tree/.venv}
results=${TEST_RESULTS:-$tree/.test-results}
# Programs out of Debian packages that are not installed.
unpacked=$results/tools
PATH=$PATH:$unpacked
deadline=$((SECONDS + ${TEST_TIME:-3540}))
export TEST_SEED=${TEST_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
all_parts=(lint types unit docs releasenotes lab)

say() { printf 'test: %s\n' "$*"; }

usage() { sed -n '/^#   tools/,/^# TEST_TIME/s/^# \{0,1\}//p' "$0"; }

parts=()
lab=yes
while [ $# -gt 0 ]; do
    case $1 in
        --no-lab) lab=no ;;
        --only)
            case " ${all_parts[*]} " in
                *" ${2:-none} "*) parts+=("$2") ;;
                *)
                    say "--only takes one of: ${all_parts[*]}" >&2
                    exit 2
                    ;;
            esac
            shift
            ;;
        -h | --help) usage; exit 0 ;;
        *) say "unknown option $1; see --help" >&2; exit 2 ;;
    esac
    shift
done
if [ ${#parts[@]} -eq 0 ]; then
    parts=("${all_parts[@]}")
    [ "$lab" = yes ] || parts=("${all_parts[@]:0:5}")
fi

# pbr asks git for the version, and git answers nothing about a clone that
# belongs to somebody else (root in CI, a mounted tree).
n=${GIT_CONFIG_COUNT:-0}
export "GIT_CONFIG_KEY_$n=safe.directory" "GIT_CONFIG_VALUE_$n=*"
export GIT_CONFIG_COUNT=$((n + 1))
export PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
export PIP_ROOT_USER_ACTION=ignore DEBIAN_FRONTEND=noninteractive
unset PYTHONPATH

mkdir -p "$results"
summary=()
passed=0
failed=0
unsteady=
named=
running=
beside=

# Stop at ^C or a CI's TERM, but say what is known so far.
interrupted=no
trap 'interrupted=yes; stop' INT TERM

stop() {
    local pid
    for pid in $running $beside; do kill -TERM "$pid" 2>/dev/null; done
}

# begin SECONDS NAME COMMAND...: run it with its output in a log; its process
# is $begun.  A process that it leaves behind holds no pipe of ours.
begin() {
    local limit=$1 log=$results/$2.log left
    shift 2
    left=$((deadline - SECONDS))
    [ "$limit" -le "$left" ] || limit=$left
    : >"$log"
    if [ "$limit" -gt 0 ]; then
        timeout --kill-after=20 "$limit" "$@" </dev/null >"$log" 2>&1 &
    else
        (echo 'no time left' && exit 124) >"$log" &
    fi
    begun=$!
}

# follow NAME PID: show the log until the process has ended, and return its
# status; 124 when it ran out of time.
follow() {
    local follower status
    tail -n +1 -f --pid="$2" "$results/$1.log" &
    follower=$!
    # A trapped signal ends wait early: wait on until the process is gone.
    while :; do
        wait "$2"
        status=$?
        { [ $status -gt 128 ] && kill -0 "$2" 2>/dev/null; } || break
    done
    wait "$follower"
    [ "$status" -ne 137 ] || status=124
    return "$status"
}

# limited SECONDS NAME COMMAND...: both.  Beside the lab it takes what the
# virtual machine leaves of the processors, and has more time for it.
limited() {
    local status limit=$1 name=$2
    shift 2
    if [ -n "$beside" ]; then
        begin $((limit * 3)) "$name" nice -n 19 "$@"
    else
        begin "$limit" "$name" "$@"
    fi
    running=$begun
    follow "$name" "$running"
    status=$?
    running=
    return "$status"
}

# note PART PASSED FAILED SKIPPED TEXT
note() {
    passed=$((passed + $2))
    failed=$((failed + $3))
    summary+=("$(printf '%-13s %7s %7s %8s   %s' "$1" "$2" "$3" "$4" "$5")")
}

words_of() {
    case $1 in
        0) echo ok ;;
        124) echo 'ran out of time' ;;
        *) echo "exit status $1" ;;
    esac
}

# --- setting up ------------------------------------------------------------

have_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

install_debian() {
    say "installing Debian packages: $*"
    # No -q: what apt says is the only hint when it fails.
    { apt-get install -y --no-install-recommends "$@" ||
        { apt-get update && apt-get install -y --no-install-recommends "$@"
        }; } </dev/null >"$results/apt.log" 2>&1 ||
        { say "apt-get failed: see $results/apt.log"; return 1; }
}

# unpack PACKAGE PATH: have a part of a Debian package in "$unpacked".  The
# package itself would start a server.
unpack() {
    local place
    say "getting /$2 out of the Debian package $1"
    place=$(mktemp -d) || return 1
    (
        cd "$place" || exit 1
        # apt leaves root for it, and may not write here
        chmod 777 .
        { apt-get download "$1" ||
            { apt-get update && apt-get download "$1"; }; } &&
            dpkg-deb -x "$1"_*.deb unpacked && mkdir -p "$unpacked" &&
            rm -rf "${unpacked:?}/${2##*/}" && cp -R "unpacked/$2" "$unpacked"
    ) </dev/null >"$results/apt.log" 2>&1 ||
        { say "apt-get failed: see $results/apt.log"; return 1; }
    rm -rf "$place"
}

# What RabbitMQ is run by.
erlang=(erlang-base erlang-crypto erlang-eldap erlang-inets erlang-mnesia
    erlang-os-mon erlang-parsetools erlang-public-key erlang-runtime-tools
    erlang-ssl erlang-syntax-tools erlang-tools erlang-xmerl)

have_rabbitmq() {
    [ -d /usr/lib/rabbitmq ] || [ -d "$unpacked/rabbitmq" ] ||
        { have_apt && unpack rabbitmq-server usr/lib/rabbitmq; } || return 1
    command -v erl >/dev/null ||
        { have_apt && install_debian "${erlang[@]}"; }
}

good_python() {
    "$1" -c 'import ensurepip, sys, venv
sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

find_python() {
    local candidate
    # Debian's own first: it is built with what makes it twice as fast to
    # start as one that was compiled without.
    for candidate in /usr/bin/python3 python3 python3.13 python3.12 \
        python3.11 python3.10; do
        if good_python "$candidate"; then
            python=$(command -v "$candidate")
            return 0
        fi
    done
    return 1
}

set_up() {
    local wanted tool
    for tool in git openssl; do
        command -v "$tool" >/dev/null && continue
        if ! { have_apt && install_debian "$tool"; }; then
            say "missing: $tool. Get it with: apt-get install $tool"
            return 1
        fi
    done
    # What follows is missed by single tests, which say so themselves.
    { command -v etcd && command -v etcdctl; } >/dev/null || ! have_apt ||
        install_debian etcd-server etcd-client || install_debian etcd ||
        say 'no etcd: its tests will be skipped'
    command -v zsh >/dev/null || ! have_apt || install_debian zsh ||
        say 'no zsh: the tests of its completion will be skipped'
    command -v promtool >/dev/null ||
        { have_apt && unpack prometheus usr/bin/promtool; } ||
        say 'no promtool: the tests of the alerts will be skipped'
    have_rabbitmq ||
        say 'no RabbitMQ: the tests of notifications over it will be skipped'
    wanted=$(cat requirements.txt test-requirements.txt \
        doc/requirements.txt tools/test.sh | sha256sum)
    if [ -f "$venv/.test-sh" ] && [ "$(cat "$venv/.test-sh")" = "$wanted" ] &&
        "$venv/bin/python" -c '' 2>/dev/null; then
        say "using the Python environment $venv"
        return 0
    fi
    good_python /usr/bin/python3 || ! have_apt ||
        install_debian python3 python3-venv ||
        say 'no python3-venv: trying another Python'
    if ! find_python; then
        if ! { have_apt && install_debian python3 python3-venv &&
            find_python; }; then
            say 'missing: Python 3.10 or later with venv. Get it with:' \
                'apt-get install python3 python3-venv'
            return 1
        fi
    fi
    say "making the Python environment $venv with $python"
    "$python" -m venv "$venv" || return 1
    say 'installing the requirements from PyPI'
    "$venv/bin/python" -m pip install --quiet --prefer-binary \
        -r requirements.txt -r test-requirements.txt \
        -r doc/requirements.txt \
        'hacking>=6.0.1,<9.0.0' 'import-linter>=2.0' 'mypy>=1.8.0' \
        types-PyYAML types-requests ||
        return 1
    echo "$wanted" >"$venv/.test-sh"
}

# --- the parts -------------------------------------------------------------

# check PART LIMIT COMMAND...: a part that passes or fails as one.
check() {
    local part=$1 status
    limited "$2" "$part" "${@:3}"
    status=$?
    if [ $status -eq 0 ]; then
        note "$part" 1 0 - ok
    else
        note "$part" 0 1 - "$(words_of $status)"
    fi
}

style_and_imports() {
    local status=0
    "$venv/bin/python" -m flake8 || status=1
    "$venv/bin/lint-imports" --no-logo --no-cache || status=1
    return $status
}

# sphinx PART SOURCE BUILDER...
sphinx() {
    local status=0 builder
    rm -rf "${results:?}/$1"
    for builder in "${@:3}"; do
        "$venv/bin/python" -m sphinx -W --keep-going -q -b "$builder" \
            -d "$results/$1/doctrees" "$2" "$results/$1/$builder" || status=1
    done
    return $status
}

# reno reads the notes from the history, which a shallow clone cuts off: there
# it gets a clone of one commit.
release_notes() {
    local place status
    if [ "$(git rev-parse --is-shallow-repository)" != true ]; then
        "$venv/bin/reno" lint && sphinx releasenotes releasenotes/source html
        return
    fi
    echo 'shallow clone: the release notes are read as one commit'
    place=$(mktemp -d) || return 1
    git archive HEAD releasenotes | tar -x -C "$place" &&
        git -C "$place" init --quiet &&
        git -C "$place" add --all &&
        git -C "$place" -c user.name=Test -c user.email=test@example.com \
            commit --quiet --message='The notes' &&
        cd "$place" && "$venv/bin/reno" lint &&
        sphinx releasenotes releasenotes/source html
    status=$?
    rm -rf "$place"
    return $status
}

# The count after a word in stestr's totals.
total() {
    local count
    count=$(sed -n "s/^ - $1: \([0-9]*\)\$/\1/p" "$results/unit.log" |
        tail -1)
    echo "${count:-0}"
}

# What tests leave in files for a moment need not get to a disk: etcd and sqlite
# wait for theirs, and the lab, too.  Where the memory's file system is small,
# or runs no programs, it is the disk all the same.
in_memory() {
    local place=/dev/shm free
    free=$(df --output=avail -k "$place" 2>/dev/null | tail -1)
    [ "${free:-0}" -gt $((2 * 1024 * 1024)) ] || return 1
    # short, for sockets are made below it
    place=$(mktemp -d "$place/na-XXXXXX") || return 1
    if cp /bin/true "$place" && "$place/true" 2>/dev/null; then
        chmod 1777 "$place"
        echo "$place"
    else
        rm -rf "$place"
        return 1
    fi
}

unit() {
    local status good bad skipped text place
    say "examples and histories are drawn with TEST_SEED=$TEST_SEED"
    place=$(in_memory)
    limited 900 unit env TMPDIR="${place:-${TMPDIR:-/tmp}}" \
        "$venv/bin/python" -m stestr run
    status=$?
    [ -z "$place" ] || rm -rf "$place"
    good=$(total Passed)
    skipped=$(total Skipped)
    bad=$(($(total Failed) + $(total 'Unexpected Success')))
    text=$(words_of $status)
    if [ "$good" -eq 0 ] && [ "$status" -eq 0 ]; then
        status=1
        text='no test was run'
    fi
    # A runner that broke off counts as one more failure.
    if [ $status -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    # The reader of a log that was cut sees its end.
    [ "$bad" -eq 0 ] || named+=$(
        "$venv/bin/python" -m stestr failing --list 2>/dev/null |
            sed 's/^/test: FAILED /' | head -20
        say "it was TEST_SEED=$TEST_SEED")
    note unit "$good" "$bad" "$skipped" "$text"
}

# The lab stops its machine itself, and in time to say what it found.
begin_lab() {
    local limit
    limit=$((deadline - SECONDS))
    begin $limit lab env LAB_TIMEOUT="${LAB_TIMEOUT:-$((limit - 60))}" \
        tools/lab.sh run
    beside=$begun
}

lab() {
    local status line good=0 bad=0 skipped=0 text
    if [ ! -x tools/lab.sh ]; then
        note lab 0 1 - 'tools/lab.sh is missing'
        return
    fi
    [ -n "$beside" ] || begin_lab
    follow lab "$beside"
    status=$?
    beside=
    text=$(words_of $status)
    line=$(grep -aE '^lab: [0-9]+ passed, [0-9]+ failed' \
        "$results/lab.log" | tail -1)
    if [[ $line =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ s)? ]]
    then
        good=${BASH_REMATCH[1]}
        bad=${BASH_REMATCH[2]}
        skipped=${BASH_REMATCH[4]:-0}
    fi
    if [ "$good" -eq 0 ] && [ "$status" -eq 0 ]; then
        status=1
        text='no test was run'
    fi
    if [ $status -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    note lab "$good" "$bad" "$skipped" "$text"
    unsteady=$(grep -a '^lab: unsteady' "$results/lab.log")
}

# timeout(1) runs programs, not functions: it calls this script again.
case ${TEST_STEP:-} in
    set-up) set_up; exit ;;
    lint) style_and_imports; exit ;;
    docs) sphinx docs doc/source html man; exit ;;
    releasenotes) release_notes; exit ;;
esac


# The lab has an environment of its own.
ready=0
if [ "${parts[*]}" != lab ]; then
    say "setting up (log: $results/set-up.log)"
    limited 1200 set-up env TEST_STEP=set-up bash "$here/test.sh"
    ready=$?
    [ $ready -eq 0 ] || say "setting up failed: $(words_of $ready)"
fi
if ! git rev-parse --git-dir >/dev/null 2>&1; then
    say "$tree is no git clone: the version is taken to be 0.0.0"
    export PBR_VERSION=0.0.0
fi

# Half of what the lab does is waiting.
if [ "$lab" = yes ] && [ ${#parts[@]} -eq ${#all_parts[@]} ] &&
    [ $ready -eq 0 ] && [ $interrupted = no ] && [ -x tools/lab.sh ]; then
    say 'the lab begins; the other parts run beside it'
    begin_lab
fi

for part in "${parts[@]}"; do
    if [ $interrupted = yes ] &&
        ! { [ "$part" = lab ] && [ -n "$beside" ]; }; then
        note "$part" 0 1 - 'not run: interrupted'
        continue
    fi
    say "--- $part"
    if [ $ready -ne 0 ] && [ "$part" != lab ]; then
        note "$part" 0 1 - 'not run: setting up failed'
        continue
    fi
    case $part in
        lint)
            check lint 180 env TEST_STEP=lint bash "$here/test.sh"
            ;;
        types) check types 300 "$venv/bin/python" -m mypy \
            --cache-dir=/dev/null ;;
        unit) unit ;;
        docs) check docs 180 env TEST_STEP=docs bash "$here/test.sh" ;;
        releasenotes)
            check releasenotes 180 env TEST_STEP=releasenotes \
                bash "$here/test.sh"
            ;;
        lab) lab ;;
    esac
done

echo
say "logs: $results"
printf '%-13s %7s %7s %8s\n' part passed failed skipped
printf '%s\n' "${summary[@]}"
[ -z "$unsteady" ] || printf '%s\n' "$unsteady"
[ -z "$named" ] || printf '%s\n' "$named"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ] && [ $interrupted = no ]
