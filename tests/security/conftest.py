# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Attacks on an environment by another one's values, commits, users and containers. Each must fail, beside a control
that shows that it would succeed without the guard. What is promised, and by which test, is in docs/security.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

E2E = Path(__file__).resolve().parent.parent / "e2e"
for folder in (E2E, E2E.parent / "images", E2E.parent / "app"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from fixtures import images, projects, site  # noqa: E402

__all__ = ("images", "projects", "site")
