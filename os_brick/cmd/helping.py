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
"""Starting what runs as root."""

from __future__ import annotations

import logging
import os
import signal

from os_brick.agent.host import privileged
from os_brick.agent import opts
from os_brick.cmd import starting


def start() -> None:
    """Start the helper now: in the middle of a fault it is too late.

    :raises starting.CannotStart: naming what to look at.
    """
    words = starting.HelperWords()
    logging.getLogger('oslo.privsep.daemon').addFilter(words)
    os.environ.setdefault('PYTHONWARNINGS', 'ignore:::oslo_privsep.daemon')
    # it inherits that: a ^C in a terminal is for the agent alone
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        privileged.ready()
    except (Exception, SystemExit) as error:
        raise starting.CannotStart(
            '%s; see sudoers, and the option helper_command of [%s]' % (
                words.words(error), opts.PRIVSEP_GROUP),
            starting.HELPER) from None
    finally:
        words.starting = False
        # one that came meanwhile ends the agent now
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
