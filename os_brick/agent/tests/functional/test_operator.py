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
"""One fault, from first to last, as whoever is on call sees it."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

from os_brick.agent.tests.functional.lab import agent as agent_lib
from os_brick.agent.tests.functional.lab import waiting
from os_brick.agent.tests.functional import story

LOG = logging.getLogger(__name__)
#: What mdadm's alert program would get, one line for each event.
ALERT = '#!/bin/sh\necho "$@" >>%s\n'


class OperatorTest(story.StoryTestCase):
    """status, health, history, plan, pause, metrics and an alert."""

    agent: agent_lib.Agent

    def asked(self, *words: str, execute: bool = False) -> tuple[int, str]:
        """Run a sub-command; return its exit status and what it prints."""
        done = self.agent.ask(*words, execute=execute)
        LOG.info('%s: %d\n%s%s', ' '.join(words), done.returncode,
                 done.stdout, done.stderr)
        return done.returncode, done.stdout

    def until(self, what: str, *words: str, status: int) -> str:
        """Ask until that is seen, with that exit status."""
        def seen() -> str | None:
            found, text = self.asked(*words)
            return text if found == status and re.search(what, text) else None
        found: str = waiting.wait_until(
            seen, '%s shows %r' % (' '.join(words), what), story.LONG)
        return found

    def codes(self) -> set[str]:
        _status, text = self.asked('health', '--json')
        found: list[dict[str, Any]] = json.loads(text)
        return {one['code'] for one in found}

    def prepared(self, volume: Any) -> None:
        self.agent = self.watched(volume, grace=2, start=False)
        self.metrics = self.agent.state_dir / 'nvme_agent.prom'
        self.alerts = self.agent.state_dir / 'alerts'
        program = self.agent.directory / 'alert'
        program.write_text(ALERT % self.alerts)
        program.chmod(0o755)
        self.agent.options['DEFAULT'].update(
            metrics_textfile=self.metrics, event_exec=program,
            event_sinks='log,exec')
        self.agent.start()

    def alerted(self) -> list[str]:
        return (self.alerts.read_text().splitlines()
                if self.alerts.exists() else [])

    def test_a_fault_from_first_to_last(self) -> None:
        volume = self.session.attach('vol-seen')
        lost, stays = [target for target, _ns in volume.replicas]
        self.prepared(volume)
        self.until('2 of 2 copies good', 'status', status=0)
        # an operator is about to take the target down
        self.assertEqual(0, self.asked('pause', 'vol-seen', '--for', '2h',
                                       '--reason', 'drill', execute=True)[0])
        writer = self.session.write(volume)
        lost.kill()
        shown = self.until('1 of 2 copies good', 'status', status=1)
        self.assertIn(self.uuid(lost), shown)
        self.assertIn('drill', shown)
        self.assertLessEqual({'ARRAY_DEGRADED', 'AGENT_PAUSED'}, self.codes())
        waiting.wait_until(lambda: any(
            line.startswith('ARRAY_DEGRADED /dev/md')
            for line in self.alerted()), 'the alert program is run',
            story.LONG)
        self.assertRegex(self.metrics.read_text(),
                         r'nvme_agent_health\{.*ARRAY_DEGRADED')
        # the grace period is over, and still nobody is asked
        planned = self.until('replace', 'plan', 'vol-seen', status=0)
        self.assertIn('drill', planned)
        self.assertNotIn('asking the provisioner', self.agent.log())
        self.assertEqual(0, self.asked('resume', 'vol-seen')[0])
        self.agent.wait_for_log(story.REPLACE % self.uuid(lost), story.LONG)
        self.wait_whole(volume, stays, self.spares[0])
        self.until('2 of 2 copies good', 'status', status=0)
        self.assertNotIn('ARRAY_DEGRADED', self.codes())
        _status, told = self.asked('history', 'vol-seen')
        places = [told.find(words) for words in (
            'paused by the operator', 'was lost', 'is degraded',
            'no longer paused',
            'asking the provisioner to replace', 'is healthy')]
        self.assertEqual(sorted(places), places, told)
        self.assertGreaterEqual(min(places), 0, told)
        self.assert_nothing_lost(writer, volume)
