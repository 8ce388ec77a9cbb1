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
"""A real driver in the place of the simulated provisioner."""

from unittest import mock

from oslotest import base

from os_brick.agent import model
from os_brick.agent.testing.simulation import kernel as kernels
from os_brick.agent.testing.simulation import md
from os_brick.agent.testing.simulation import told

A = kernels.uuid_of(1)


class ToldTest(base.BaseTestCase):

    def test_what_was_let_go_may_be_given_again(self) -> None:
        """A pool has few namespaces, and a driver gives them anew."""
        kernel = kernels.Kernel()
        target = kernel.target(1)
        shown: list[str] = []

        def show(replica: model.Replica) -> None:
            shown.append(replica.uuid)
            kernel.export(target, md.Medium(replica.uuid))

        replica = model.Replica(A, target=model.Target(
            target.nqn, target.portals))
        volume = model.Volume(kernels.uuid_of(9), 'v', replicas=(replica,))
        driver = mock.Mock(get_volumes=lambda *words: [volume])
        found = told.Told(driver, kernel, mock.Mock(), show)
        host = model.Host('nqn', None, 'host')
        for expected in ([A], [A]):
            found.get_volumes(host, (), ())
            self.assertEqual(expected, shown)
        found.confirm_replica_removed(volume, replica)
        self.assertNotIn(A, target.media)
        found.get_volumes(host, (), ())
        self.assertEqual([A, A], shown)
        self.assertIn(A, target.media)
