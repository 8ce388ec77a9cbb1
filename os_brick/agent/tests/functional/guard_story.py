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
"""What the stories of the guard share: the roles of a volume's targets."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

from os_brick.agent import opts
from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import connector
from os_brick.agent.tests.functional.lab import host
from os_brick.agent.tests.functional.lab import targets
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional.lab import writer as writer_lib
from os_brick.agent.tests.functional import story

#: Writes that have to end before a writer counts as going on.
GOES_ON = 30
CUT = 'done: (FailLeg|Disconnect|ResetConnection)'


class GuardTestCase(story.StoryTestCase):
    """With a long grace period: what happens here is the guard's doing."""

    def guarded(self, alias: str, grace: float = 600, transport: str = 'tcp',
                iopolicy: str = 'round-robin', **target: Any
                ) -> tuple[connector.Volume, agent_lib.Agent,
                           targets.Target, targets.Target]:
        """A volume of which every leg waits, its agent, its two targets."""
        volume = self.session.attach(alias, transport=transport, **target)
        agent = self.watched(volume, grace=grace, transport=transport,
                             iopolicy=iopolicy)
        self.wait_dealt(agent, volume)
        one, other = (target for target, _ns in volume.replicas)
        return volume, agent, one, other

    def anchored(self, alias: str, **target: Any
                 ) -> tuple[connector.Volume, agent_lib.Agent,
                            targets.Target, targets.Target]:
        """A volume, its agent, the anchor's target and the other one."""
        volume = self.session.attach(alias, **target)
        agent = self.watched(volume, grace=600, legs_fail_fast='but-one')
        return (volume, agent, *self.roles(volume))

    def roles(self, volume: connector.Volume
              ) -> tuple[targets.Target, targets.Target]:
        """Wait until one target waits and the other one does not."""
        members = [target for target, _ns in volume.replicas]
        anchor = waiting.wait_until(lambda: self._waiting(volume, 1),
                                    'the roles are dealt')[0]
        return anchor, next(one for one in members if one is not anchor)

    def wait_dealt(self, agent: agent_lib.Agent,
                   *volumes: connector.Volume) -> None:
        """Wait until as many legs of each wait as the agent is told."""
        conf = cfg.ConfigOpts()
        opts.register(conf)
        all_wait = agent.options['DEFAULT'].get(
            'legs_fail_fast', conf.legs_fail_fast) == 'none'
        for volume in volumes:
            waiting.wait_until(lambda: self._waiting(
                volume, len(volume.replicas) if all_wait else 1),
                'the roles of %s are dealt' % volume.alias, story.LONG)

    def _waiting(self, volume: connector.Volume,
                 number: int) -> list[targets.Target]:
        """The targets that wait, where they are so many and no other does.

        :returns: none where the roles are not dealt.
        """
        fast = {target: namespace.uuid for target, namespace
                in volume.replicas if self.fast_io_fail(target) != {'off'}}
        # a leg with several paths may take another one instead
        dealt = len(volume.replicas) - len(fast) == number and (
            self.failfast(volume) == {
                uuid for target, uuid in fast.items()
                if len(target.portals) == 1})
        return [target for target, _ns in volume.replicas
                if target not in fast] if dealt else []

    def fast_io_fail(self, target: targets.Target) -> set[str]:
        return {(host.CONTROLLERS / one.name / 'fast_io_fail_tmo'
                 ).read_text().strip() for one
                in host.controllers(target.nqn)}

    def failfast(self, volume: connector.Volume) -> set[str | None]:
        """UUIDs of the legs with md's failfast flag."""
        array = host.array(volume.alias)
        return {leg.uuid for leg in array.legs if 'failfast' in leg.states
                } if array else set()

    def goes_on(self, writer: writer_lib.Writer) -> None:
        writer.wait_for_writes(GOES_ON, story.LONG)
