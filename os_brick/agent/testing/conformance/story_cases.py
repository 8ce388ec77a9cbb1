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
"""Whole stories, not one promise at a time; needs hypothesis."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib

from os_brick.agent.testing.conformance import bench


class StoryCases(bench.Bench):
    """A driver lives through faults that hypothesis draws.

    :cvar story_examples: how many stories.
    :cvar story_steps: how many things happen in one at most.
    :cvar story_shortened: whether the shortest is looked for that goes wrong,
        which takes a minute or two.
    :cvar history_examples: how many stories with the whole agent, which takes
        more of the driver's calls.
    :cvar history_steps: how many things happen in one of these at most.
    """

    story_examples = 20
    story_steps = 25
    story_shortened = True
    history_examples = 5
    history_steps = 12

    @bench.needs('stories', 'changes', 'replacement')
    def test_stories_of_faults_end_well(self):
        """Targets come and go, the provisioner is away, the agent is killed,
        in any order: no copy in sync is given up, nothing is placed that was
        not asked for, and in the end every volume is whole.
        """
        try:
            from os_brick.agent.testing.conformance import story
        except ImportError as error:
            self.skipTest('missing, stories: %s' % error)
        story.play(self._another, self.story_examples, self.story_steps,
                   self.story_shortened)

    @bench.needs('stories', 'changes', 'replacement')
    def test_stories_with_the_whole_agent_end_well(self):
        """With the shipped agent on a simulated host, stories of faults end
        well: it breaks none of its laws, and every volume is whole there and
        on the back end.
        """
        try:
            from os_brick.agent.testing.conformance import history
        except ImportError as error:
            self.skipTest('missing, stories: %s' % error)
        history.play(self._another, self.history_examples,
                     self.history_steps, self.story_shortened)

    @contextlib.contextmanager
    def _another(self) -> Iterator[bench.Bench]:
        """Give the same class with a back end of its own."""
        other = type(self)(self._testMethodName)
        other.setUp()
        try:
            yield other
        finally:
            other.tearDown()
            other.doCleanups()
