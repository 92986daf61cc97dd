# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Remove what deployments of tests and benches left in the machine's firewall."""

from __future__ import annotations

import os
import shutil
import subprocess


def remove_guards(project: str) -> None:
    """Remove the chains of a project's environments, by the prefix in the comments of their rules."""
    if os.geteuid() != 0 or not shutil.which("iptables"):
        return
    for command in ("iptables", "ip6tables"):
        saved = subprocess.run([f"{command}-save", "-t", "filter"], capture_output=True, text=True, check=False).stdout
        rules = [line for line in saved.splitlines() if f'--comment "{project}_' in line and ": bulkhead" in line]
        chains = {line.split()[1] for line in rules if line.startswith("-A BULKHEAD-")}
        jumping = [line for line in saved.splitlines() if line.split()[-1:] and line.split()[-1] in chains]
        text = ["*filter", *(f"-D{line[2:]}" for line in jumping if line.startswith("-A"))]
        text += [f"-{verb} {chain}" for chain in sorted(chains) for verb in "FX"]
        if chains:
            given = "\n".join([*text, "COMMIT", ""])
            subprocess.run([f"{command}-restore", "-w", "30", "--noflush"], input=given, text=True, check=True)
