# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make demo` does: images, source and secrets where they are missing, then each environment."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import demo_ports
from belongings import demo_directories, demo_root
from demo_secrets import PLAYBOOK, front_door, password_file
from steps import REPOSITORY, StepFailed, Steps

VENV = REPOSITORY / ".venv/bin"
PYTHON = str(VENV / "python")


def deploy_command(group: str, playbook: str = "deploy.yml") -> list[str]:
    """Each environment is deployed with its own vault password, and with no other."""
    return [PLAYBOOK, playbook, "-l", group, "--vault-id", f"{group}@{password_file(group)}"]


def main() -> int:
    began = time.monotonic()
    groups = list(demo_directories())
    steps = Steps(4 + front_door() + len(groups))
    try:
        demo_ports.choose()
        steps.run("Images of the stack, from Debian packages", [PYTHON, "tests/images/build.py"])
        repository = str(demo_root() / "origin.git")
        steps.run("The application's repository", [PYTHON, "tests/app/make_repository.py", repository])
        steps.run("Secrets of the demo", [PYTHON, "tests/setup/demo_secrets.py"])
        if front_door():
            steps.run("The front door of both", deploy_command(groups[0], "playbooks/edge.yml"))
        for group in groups:
            steps.run(f"Deploy {group}", deploy_command(group))
        steps.run("What runs where", [PYTHON, "tests/setup/demo_summary.py"])
    except StepFailed as failure:
        print(f"\nerror: {failure}", file=sys.stderr)
        return 1
    print(f"\nThe demo is up after {time.monotonic() - began:.0f} s. Deploy one environment again with")
    for group in groups:
        command = deploy_command(group)
        print("  " + " ".join([str(Path(command[0]).relative_to(REPOSITORY)), *command[1:]]))
    print("`make clean` removes it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
