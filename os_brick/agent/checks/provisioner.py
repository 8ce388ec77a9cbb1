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
"""The provisioner, its certificates, and the arrays that are its own; pure."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import datetime

from os_brick.agent.checks import findings
from os_brick.agent import model
from os_brick.agent.model import examinations

ABOUT, CERTIFICATE, ARRAY = 'provisioner', 'certificate', 'array'


def answered(examined: model.Examination) -> Iterator[findings.Finding]:
    """:param examined: what the provisioner has said."""
    yield findings.fine(ABOUT, '%s answers%s%s%s' % (
        examined.where, ', and takes the credentials'
        if examined.credentials else '', '; version %s' % examined.version
        if examined.version else '', '' if examined.volumes is None
        else '; %d volumes for this host' % len(examined.volumes)))
    for trouble in examined.troubles:
        yield findings.warning(ABOUT, trouble, 'see the page of the driver')


def certificates(found: Iterable[model.Certificate], now: float
                 ) -> Iterator[findings.Finding]:
    """:param now: seconds since the epoch."""
    for one in found:
        left = one.days_left(now)
        when = datetime.datetime.fromtimestamp(
            one.ends_at, datetime.timezone.utc).strftime('%Y-%m-%d %H:%M UTC')
        if left < 0:
            words = 'the one %s has ended, %s' % (one.whose, when)
        else:
            words = 'the one %s ends in %d days, %s' % (one.whose, left, when)
        remedy = 'put another one in its place'
        if left < examinations.VERY_SOON:
            yield findings.failure(CERTIFICATE, words, remedy)
        elif left < examinations.SOON:
            yield findings.warning(CERTIFICATE, words, remedy)
        else:
            yield findings.fine(CERTIFICATE, words)


def arrays(found: Iterable[model.Array], owners: Mapping[str, model.Volume],
           doubts: Mapping[str, str]) -> Iterator[findings.Finding]:
    """Say which would be served, and why the others would not.

    :param owners: array -> its volume, where that is certain.
    :param doubts: what it is about -> why it is left alone.
    """
    doubted = ' '.join('%s %s' % pair for pair in doubts.items())
    for array in found:
        name = '%s (%s)' % (array.alias, array.name)
        volume = owners.get(array.name)
        if volume is not None:
            yield findings.fine(ARRAY, '%s is that of volume %s, and is %s'
                                % (name, volume.uuid, 'only observed: %s'
                                   % volume.observe if volume.observe
                                   else 'served'))
        elif array.name not in doubted:
            yield findings.fine(ARRAY, '%s is left alone: %s' % (
                name, _foreign(array)))
    for subject, why in sorted(doubts.items()):
        yield findings.warning(ARRAY, '%s: %s' % (subject, why), 'see '
                               'LEFT_ALONE among the health codes')


def _foreign(array: model.Array) -> str:
    legs = ', '.join(leg.device or 'none' for leg in array.legs)
    if not any(leg.replica_uuid for leg in array.legs):
        return 'none of its legs (%s) is an NVMe namespace with a UUID' % (
            legs or 'it has none')
    return 'no volume that is listed has a replica that is one of its ' \
        'legs (%s)' % legs
