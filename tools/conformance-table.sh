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
# Runs the conformance kit against the project's own drivers and the example,
# and writes the table of doc/source/contributor/conformance.rst.
#
# TEST_VENV  the Python environment (<tree>/.venv, made where missing)

set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tools/fleet/environment.sh
. "$here/fleet/environment.sh"
reports=$(mktemp -d) || exit 1
trap 'rm -rf "$reports"' EXIT
tests=os_brick.agent.tests.unit.vendors
run() {
    "$python" -W ignore -m os_brick.agent.testing.conformance.command \
        --suite "$2" --report "$reports/$1" 2>/dev/null </dev/null | tail -1
}
cd "$tree/examples/acme" || exit 1
PYTHONPATH=$tree:. run acme tests.test_conformance:TestAcmeConformance
cd "$tree" || exit 1
run local $tests.test_local_conformance:TestLocalConformance
run kioxia $tests.test_kioxia_conformance:TestKioxiaConformance
run etcd $tests.test_etcd_conformance:TestEtcdConformance
exec "$python" - "$reports" doc/source/contributor/conformance.csv <<'END'
import csv
import json
import os
import sys

DRIVERS = ('local', 'kioxia', 'etcd', 'acme')
reports, table = sys.argv[1:]
cases = {}
for driver in DRIVERS:
    with open(os.path.join(reports, driver + '.json')) as stream:
        for case in json.load(stream)['cases']:
            cases.setdefault(case['sentence'], {})[driver] = case['result']
with open(table, 'w', newline='') as stream:
    rows = csv.writer(stream, lineterminator='\n')
    rows.writerows([sentence, *(results[driver] for driver in DRIVERS)]
                   for sentence, results in cases.items())
END
