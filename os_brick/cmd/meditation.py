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
"""What SIGUSR2 makes the daemon say: where it is, and how it is set.

Where each thread is comes from the interpreter itself, also while none of its
code runs.  The rest is OpenStack's Guru Meditation Report, where oslo.reports
is installed: imported when it is asked for, for nobody asks most days.
"""

from __future__ import annotations

import faulthandler
import functools
import signal
from types import FrameType


class _Version:
    """As oslo.reports asks for it."""

    def __init__(self, version: str) -> None:
        self._version = version

    def vendor_string(self) -> str:
        return 'OpenStack'

    def product_string(self) -> str:
        return 'nvme-agent'

    def version_string_with_package(self) -> str:
        return self._version


def listen(version: str) -> None:
    """Answer SIGUSR2 from now on, and go on; also say where a crash was."""
    signal.signal(signal.SIGUSR2, functools.partial(_report, version))
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR2, all_threads=True, chain=True)


def _report(version: str, signum: int, frame: FrameType | None) -> None:
    try:
        from oslo_reports import guru_meditation_report
    except ImportError:
        # not wanted here: where the threads are has been said
        return
    guru_meditation_report.TextGuruMeditation.handle_signal(
        _Version(version), 'nvme-agent', None, frame)
