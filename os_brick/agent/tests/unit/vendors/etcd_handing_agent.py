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
"""Hosts to hand a volume over between, and an agent that may be killed."""

from os_brick.agent.tests.unit.vendors import test_etcd_interleaved

NAMES = ('one', 'two', 'three')


class AgentModel(test_etcd_interleaved.Agent):
    """An agent, and by what it goes: a restart does not undo that."""

    healing = False

    def restart(self):
        super().restart()
        self._answer = None
        self._taken = False

    def pull(self):
        found = []
        self.do(lambda driver: found.append(self.volumes()))
        self._answer = found[0] if found else None
        self._taken = False

    def take(self):
        if self._answer is not None:
            self.healing = bool(self._answer)
            self._taken = True

    def whole(self):
        self.pull()
        self.take()
        self.go_on()

    def go_on(self):
        if self._taken:
            self.do(lambda driver: driver.delay_resyncs((), ()))
