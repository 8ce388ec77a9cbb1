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
"""How Sphinx builds the documentation."""

import pathlib
import sys

# autodoc reads the docstrings of this tree
sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'ext'))

project = 'os-brick-nvme-agent'
author = 'OpenStack Foundation'
copyright = '2026, OpenStack Foundation'  # noqa: A001

extensions = ['openstackdocstheme', 'sphinx.ext.autodoc', 'command_line']
autodoc_typehints = 'description'
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_use_storyboard = False
html_theme = 'openstackdocs'
root_doc = 'index'
pygments_style = 'native'
# a figure or a log is no Python; what is code says its language
highlight_language = 'none'
exclude_patterns = []
# (page, name, description, authors, section)
man_pages = [('admin/cli', 'nvme-agent', 'watch and heal replicated NVMe-oF '
              'volumes', ['OpenStack'], 8)]
