# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Sphinx builds the site."""

from __future__ import annotations

project = "Bulkhead"
copyright = "the Bulkhead authors"
extensions = ["myst_parser", "sphinx_antsibull_ext"]
html_theme = "furo"
html_title = "Bulkhead"
html_show_sphinx = False
#: Links to headings of other pages are checked down to this level.
myst_heading_anchors = 4
#: Blocks in dialects that the highlighter does not know are shown as they are. The generated reference names labels of
#: Ansible's own documentation, which is not asked here. Links in our pages are checked: they are ``myst.xref_missing``.
suppress_warnings = ["misc.highlighting_failure", "ref.ref", "ref.envvar"]
