# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the terminal shows of a run: clean text, sentences, annotations for GitHub, and the next command.

All of it is pure but :mod:`screen`, which writes. The plugin that Ansible calls is ``plugins/callback/story.py``.
"""
