# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judge a machine: compare an observation of it with what the fleet declares. No I/O here.

An observation is the mapping that the module ``machine_info`` returns.
"""
