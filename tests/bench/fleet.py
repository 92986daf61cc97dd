# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan gate over a thousand environments, beside Ansible's own reading of the same inventory: processor time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from fleets import write_inventory
from measure import Line, processor_time, ratio, side_by_side
from programs import BIN, SCRATCH, Failed, playbook, run

COUNT = 1000


def lines(rounds: int) -> Iterator[Line | str]:
    """One ratio."""
    folder = SCRATCH / "fleet"
    shutil.rmtree(folder, ignore_errors=True)
    inventory = write_inventory(folder, COUNT)

    def plan() -> None:
        output = playbook("playbooks/plan.yml", inventory)
        if f"proved on paper: {COUNT} environments" not in " ".join(output.split()):
            raise Failed("the generated fleet was not proved:\n  " + "\n  ".join(output.splitlines()[:25]))

    def listing() -> None:
        run([str(BIN / "ansible-inventory"), "-i", str(inventory), "--list"])

    try:
        medians = side_by_side({"plan.yml": plan, "ansible-inventory --list": listing}, rounds, processor_time)
        yield ratio(
            f"the plan gate for {COUNT} environments of 8 services / ansible-inventory --list",
            medians, "plan.yml", "ansible-inventory --list", 4,
        )  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)
