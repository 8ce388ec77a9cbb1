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
"""Whether the rule is found that keeps udev away from the arrays."""

from __future__ import annotations

import os
import pathlib
import tempfile

from oslotest import base

from os_brick.agent.host import udev_rule
from os_brick.agent.tests.unit.packaging import wheelhouse


class UdevRuleTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.places = [pathlib.Path(folder.name, name)
                       for name in ('etc', 'lib')]
        for place in self.places:
            place.mkdir()

    def trouble(self) -> str:
        return udev_rule.trouble(map(str, self.places))

    def shipped(self) -> str:
        tree = wheelhouse.source_tree()
        if tree is None:
            self.skipTest('not run from a source tree')
        return (tree / 'etc/udev/rules.d' / udev_rule.NAME).read_text()

    def test_it_is_missing(self) -> None:
        self.assertIn('there is no 63-nvme-agent.rules in', self.trouble())
        for place in self.places:
            self.assertIn(str(place), self.trouble())

    def test_it_is_there(self) -> None:
        for place in reversed(self.places):
            (place / udev_rule.NAME).write_text(self.shipped())
            self.assertEqual('', self.trouble())

    def test_it_is_hidden_by_another_one(self) -> None:
        (self.places[1] / udev_rule.NAME).write_text(self.shipped())
        (self.places[0] / udev_rule.NAME).symlink_to(os.devnull)
        self.assertIn('%s/63-nvme-agent.rules does not' % self.places[0],
                      self.trouble())

    def test_it_is_of_an_earlier_release(self) -> None:
        (self.places[0] / udev_rule.NAME).write_text(
            self.shipped().replace('mdadm -If', 'mdadm'))
        self.assertIn('%s/63-nvme-agent.rules is of an earlier release: '
                      'install it again' % self.places[0], self.trouble())

    def test_it_cannot_be_read(self) -> None:
        (self.places[0] / udev_rule.NAME).mkdir()
        self.assertIn('cannot be read', self.trouble())
