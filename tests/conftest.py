# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every test needs: the collection importable, and the helpers beside the tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

TESTS = str(Path(__file__).resolve().parent)
if TESTS not in sys.path:
    sys.path.insert(0, TESTS)

import checkout  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

checkout.install()
os.environ.update(checkout.PLAIN_DISPLAY)

# How fast a machine is, and what else it does, decides nothing; where time matters a test says so itself.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
