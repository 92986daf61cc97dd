# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is judged on a machine: an observation beside what the fleet says. Pure, like the rest of the heart.

An observation is the mapping that the module ``machine_info`` returns.
"""
