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
"""In the machine: run what the stories ask for, over a serial line.

A request is a line of JSON: a number, a shell script and its time limit; the
answer is the number, the exit status and what was printed.  It serves until
the machine is down, so that a story sees all of a shutdown.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import tty
from typing import Any

KEPT = 200000
LATE = 124


def answer(request: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            ['bash', '-c', request['script']], stdin=subprocess.DEVNULL,
            stdout=output, stderr=output, start_new_session=True, cwd='/root',
            env={'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin',
                 'HOME': '/root', 'LC_ALL': 'C.UTF-8',
                 **request.get('environment', {})})
        try:
            status = child.wait(request['limit'])
        except subprocess.TimeoutExpired:
            # what hangs in the kernel is left where it is
            os.killpg(child.pid, signal.SIGKILL)
            status = LATE
        output.seek(0)
        text = output.read().decode(errors='replace')
    return {'number': request['number'], 'status': status,
            'output': text[-KEPT:]}


def main() -> None:
    line = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
    tty.setraw(line)
    with open(line, 'rb', closefd=False) as requests:
        os.write(line, b'{"number": 0, "status": 0, "output": "hello"}\n')
        for text in requests:
            try:
                request = json.loads(text)
            except ValueError:
                continue        # noise of a line that was just opened
            reply = json.dumps(answer(request)).encode() + b'\n'
            while reply:
                reply = reply[os.write(line, reply):]


if __name__ == '__main__':
    main()
