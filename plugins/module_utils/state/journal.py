# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the deployment that runs now has begun, for the case that it is killed. Runs on the targets."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ..core.directory import DesiredFile, Tree
from ..core.layout import TRIED
from ..core.steps import Step, as_dicts
from .deployed import read_json


class Journal:
    """The steps that were begun, below what root ``kept`` of an environment. One that ends by itself leaves none."""

    def __init__(self, kept: Tree) -> None:
        self._kept = kept

    def keep(self, release: str, tried: Iterable[Step]) -> None:
        """Note the steps that were begun so far, to bring a release into force."""
        content = json.dumps({"release": release, "steps": as_dicts(tried)}).encode()
        self._kept.write(DesiredFile(TRIED, content, 0o600))

    def read(self) -> list[dict[str, Any]]:
        """The steps that a killed deployment had begun, as :meth:`Step.as_dict` has them."""
        steps: list[dict[str, Any]] = read_json(self._kept, TRIED).get("steps") or []
        return steps

    def release(self) -> str:
        """The release that a killed deployment was about to bring into force; empty where there is none."""
        return str(read_json(self._kept, TRIED).get("release") or "")

    def clear(self) -> None:
        """The deployment has ended, one way or the other."""
        self._kept.unlink(TRIED)
