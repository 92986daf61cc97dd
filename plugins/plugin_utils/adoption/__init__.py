# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a machine that was set up by hand to an inventory: what runs, what it would be called, and how it moves.

Pure: an observation of ``module_utils/host/handmade.py`` in, texts and sentences out. What the machine says is
somebody's word: names are checked, and what is not understood is said instead of guessed.
"""
