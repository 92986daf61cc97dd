# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""People who approve plans, each with an ssh key that ssh-keygen made."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path


class Person:
    """Somebody with a key."""

    def __init__(self, directory: Path, name: str) -> None:
        self.name, self.path = name, directory / name
        self.run("-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self.path))

    @staticmethod
    def run(*arguments: str) -> None:
        subprocess.run(["ssh-keygen", *arguments], check=True, capture_output=True, stdin=subprocess.DEVNULL)

    def signer(self, days: int = 1) -> dict[str, str]:
        """Their entry in bulkhead_plan_signers; it counts until some days from now."""
        until = datetime.now(UTC).date() + timedelta(days=days)
        key = self.path.with_suffix(".pub").read_text().strip()
        return {"principal": f"{self.name}@example.com", "key": key, "until": until.isoformat()}

    def signs(self, path: Path, namespace: str = "bulkhead-plan") -> None:
        path.with_name(f"{path.name}.sig").unlink(missing_ok=True)
        self.run("-Y", "sign", "-n", namespace, "-f", str(self.path), str(path))
