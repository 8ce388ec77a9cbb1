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
"""What md's bitmap marks is kept when a leg was dropped."""

from __future__ import annotations

import dataclasses

from os_brick.agent.guard import keeping
from os_brick.agent.host import execute
from os_brick.agent.host import not_done
from os_brick.agent.model import actions as act
from os_brick.agent.safety import ownership
from os_brick.agent.tests.unit.daemon import guard_loop_case


class TestKeeping(guard_loop_case.GuardianCase):

    def keeps(self) -> int:
        return len(self.did(act.KeepMarked))

    def test_what_is_marked_is_kept_once(self) -> None:
        self.looks(1.0)
        self.host.legs[1]['A'] = (None, {'faulty'})
        self.guardian.wake()
        self.looks(60.0)
        action, = self.did(act.KeepMarked)
        self.assertEqual('nvme11n1', getattr(action, 'device'))

    def failing(self, error: Exception) -> list[float]:
        """Return when it is tried, where it fails each time."""
        tried: list[float] = []

        def fail(action: act.Action) -> None:
            if isinstance(action, act.KeepMarked):
                tried.append(self.time)
                raise error

        self.looks(1.0)
        self.host.broken = fail
        self.host.legs[1]['A'] = (None, {'faulty'})
        self.guardian.wake()
        self.looks(60.0)
        return tried

    def test_what_cannot_be_kept_is_said_once_and_left(self) -> None:
        tried = self.failing(execute.NotDone('no write-intent bitmap'))
        self.assertLessEqual(10, len(tried))
        self.assertLessEqual(tried[-1] - tried[0], keeping.LIFE)
        self.assertEqual(1, self.log.output.count('no write-intent bitmap'))

    def test_what_was_put_off_is_not_late(self) -> None:
        tried = self.failing(not_done.PutOff('what is urgent comes first'))
        self.assertLess(tried[1] - tried[0], 0.3)

    def test_another_host_keeps_it(self) -> None:
        self.guardian.publish(ownership.KnownVolumes({
            volume.uuid: dataclasses.replace(volume, observe='not here')
            for volume in self.driver.volumes.values()}))
        self.looks(1.0)
        self.host.legs[1]['A'] = (None, {'faulty'})
        self.guardian.wake()
        self.looks(60.0)
        self.assertEqual(0, self.keeps())
