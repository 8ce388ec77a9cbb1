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
"""The sentences of level WARNING and above that the sources can log.

What is put into one is shown as ``…``.  A sentence that is all put in has been
worded elsewhere: it is '…'.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
import os
import re

_LEVELS = {'warning': 'WARNING', 'error': 'ERROR', 'critical': 'CRITICAL',
           'exception': 'ERROR'}
_FIELD = re.compile(r'%(?:\(\w+\))?[-#0 +]*[0-9.]*[a-zA-Z]')


def in_tree(top: str) -> Iterator[tuple[str, str]]:
    """Find (sentence, where) in all sources that run on a host."""
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders
                      if name not in ('tests', 'testing', '__pycache__')]
        for name in names:
            if name.endswith('.py'):
                path = os.path.join(folder, name)
                with open(path, encoding='utf-8') as stream:
                    for sentence, line in in_source(stream.read()):
                        yield sentence, '%s:%d' % (
                            os.path.relpath(path, top), line)


def in_source(text: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func,
                                                     ast.Attribute):
            sentence = _of(node.func, node)
            if sentence is not None:
                yield re.sub('…+', '…', sentence), node.lineno


def _of(called: ast.Attribute, call: ast.Call) -> str | None:
    """Return the sentence of a call that logs one."""
    name, owner = called.attr, ast.unparse(called.value)
    if owner == 'LOG' and name in _LEVELS:
        return _words(call.args[0])
    if owner == 'LOG' and name == 'log':
        return None if _low(call.args[0]) else _words(call.args[1])
    if name == 'trouble' and owner.endswith('log_once'):
        if len(call.args) > 2 and _low(call.args[2]):
            return None
        return '%s: %s' % (_words(call.args[0]), _words(call.args[1]))
    if name in ('defect', 'sheltered') and owner.endswith('log_once'):
        return '%s: defect: …' % _words(call.args[0])
    return None


def _low(level: ast.expr) -> bool:
    """The level is certainly below WARNING."""
    return {word for word in re.findall(r'logging\.(\w+)',
                                        ast.unparse(level))} in (
        {'INFO'}, {'DEBUG'}, {'INFO', 'DEBUG'})


def _words(node: ast.expr) -> str:
    """Return a text as far as it is known before it is run."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return _words(node.left)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _words(node.left) + _words(node.right)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _FIELD.sub('…', node.value.replace('%%', '%'))
    return '…'
