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
"""What two looks at the host have in common."""

from oslotest import base

from os_brick.agent.guard import sight
from os_brick.agent import model
from os_brick.agent.model import snapshots


def host(*identities: tuple[str, int]) -> snapshots.HostSnapshot:
    return snapshots.HostSnapshot(tuple(
        model.Controller(name, 'nqn', None, None, 'live', identity=identity)
        for name, identity in identities), (), ())


class EndedTest(base.BaseTestCase):

    def test_the_kernel_gives_names_again(self) -> None:
        before = host(('nvme1', 7), ('nvme2', 8), ('nvme3', 9))
        self.assertEqual({'nvme1', 'nvme3'}, snapshots.ended(
            before, host(('nvme1', 10), ('nvme2', 8), ('nvme4', 11))))

    def test_where_nothing_tells_them_apart_it_is_the_same(self) -> None:
        for one, other in ((0, 5), (5, 0), (0, 0)):
            self.assertEqual(frozenset(), snapshots.ended(
                host(('nvme1', one)), host(('nvme1', other))))

    def test_the_guard_forgets_what_was_of_it(self) -> None:
        """The next one may be given up, though the last one just was."""
        both = {'nvme1': 5.0, 'nvme2': 5.0}
        memory = sight.GuardMemory(resets=both, found=both, away=both)
        found = memory.without({'nvme1'})
        self.assertEqual([{'nvme2': 5.0}] * 3,
                         [found.resets, found.found, found.away])
        self.assertIs(memory, memory.without(frozenset()))
