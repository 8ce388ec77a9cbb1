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
"""What md's bitmap marks is read from a leg, and md is told to keep it.

It forgets a write some seconds after that has ended on all legs.  What is
written to ``bitmap_set_bits`` it calls *needed*, and that stays until a leg
was brought up to date by it (Linux 6.1, drivers/md/md-bitmap.c,
md_bitmap_dirty_bits, md_bitmap_daemon_work and md_bitmap_start_sync).

md looks at no number that it is told: each is one of the bitmap itself, which
has to be the one that md has.
"""

from __future__ import annotations

import os
import time

from os_brick.agent.host import attributes
from os_brick.agent.host import blocks
from os_brick.agent.host import commands
from os_brick.agent.host import reads
from os_brick.agent.model import intent_bitmap
from os_brick.agent.model import superblock

_bitmaps = reads.Reads(reads.bitmaps, 0.0)


def keep(array: str, device: str, seconds: float) -> int:
    """Have md keep what the bitmap on a leg marks; return how many chunks.

    :param array: the array's folder in sysfs.
    :raises commands.CommandFailed: not all of it is kept, and why.
    """
    end = time.monotonic() + seconds
    folder = os.path.join(array, 'md')
    attribute = os.path.join(folder, 'bitmap_set_bits')
    if not os.path.exists(attribute):
        raise commands.CommandFailed('this kernel takes no such word '
                                     '(%s)' % attribute)
    if commands.hangs(attribute):
        raise commands.CommandFailed('writing to %s failed: %s' % (
            attribute, commands.HANGS))
    chunks = _marked(folder, device, seconds)
    for page in intent_bitmap.pages(chunks):
        commands.write(page, attribute,
                       limit=max(0.0, end - time.monotonic()))
    return intent_bitmap.count(chunks)


def _marked(folder: str, device: str, seconds: float
            ) -> intent_bitmap.Chunks:
    """Read the bitmap that md has by what it says of it in sysfs."""
    version = _text(folder, 'metadata_version')
    location = _text(folder, 'bitmap', 'location')
    if not version.startswith('1.') or location[:1] not in ('+', '-'):
        raise commands.CommandFailed(
            'no write-intent bitmap is on the legs (%s, metadata %s)' % (
                location or 'none', version or 'unknown'))
    if not _text(folder, 'dev-' + device, 'state'):
        raise commands.CommandFailed('%s is no leg of it' % device)
    found = _bitmaps.or_why_not([device], seconds).get(
        device, 'it did not answer in time')
    if isinstance(found, str):
        raise commands.CommandFailed('the bitmap on %s cannot be read: %s' % (
            device, found))
    known = blocks.uuid(_text(folder, 'uuid'))
    block, content = found.get(int(version[2:]), (b'', b''))
    try:
        uuid = superblock.parse(block).array_uuid
        header = intent_bitmap.header(content)
        if (header.array_uuid != uuid or known not in (None, uuid)
                or '%d' % header.chunk != _text(folder, 'bitmap',
                                                'chunksize')):
            raise intent_bitmap.NotUnderstood('it is not that of the array')
        return intent_bitmap.marked(content)
    except (superblock.NotUnderstood, intent_bitmap.NotUnderstood) as why:
        raise commands.CommandFailed('the bitmap on %s is not understood: %s'
                                     % (device, why)) from None


def _text(*parts: str) -> str:
    return attributes.text(attributes.read(os.path.join(*parts)))
