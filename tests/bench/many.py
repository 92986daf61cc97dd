# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten small environments in one run beside one of them: deployments that change nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from measure import Line, ratio, side_by_side
from programs import BIN, ROOT, SCRATCH, must_not_change, playbook, remove_guards, run

COUNT = 10
HERE = SCRATCH / "many"
NAMES = [f"m{number}" for number in range(COUNT)]
IMAGE = "bulkhead-demo/redis:8"


def write_inventory() -> Path:
    """Environments of one service each, on this machine."""
    nothing = dict.fromkeys(("nginx", "django", "pgbouncer", "postgresql", "redis"))
    everyone = {
        "bulkhead_project": "benchmany",
        "bulkhead_services": {**nothing, "sleeper": {"image": IMAGE, "command": ["sleep", "infinity"], "init": True}},
        "bulkhead_state_directory": str(HERE / "state"),
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    children = {}
    folder = HERE / "inventory" / "group_vars"
    folder.mkdir(parents=True)
    (folder / "all.yml").write_text(json.dumps(everyone), encoding="utf-8")
    for name in NAMES:
        variables = {"bulkhead_environment": name, "bulkhead_directory": str(HERE / name / "app")}
        (folder / f"{name}.yml").write_text(json.dumps(variables), encoding="utf-8")
        children[name] = {"hosts": {f"{name}-host": None}}
    (HERE / "inventory/hosts.yml").write_text(json.dumps({"all": {"children": children}}), encoding="utf-8")
    return HERE / "inventory"


def remove() -> None:
    """Everything that the ten environments made, each by its own project."""
    for name in NAMES:
        file = HERE / name / "app" / f"docker-compose.{name}.yml"
        if file.is_file():
            run(
                ["docker", "compose", "-p", f"benchmany_{name}", "-f", str(file), "down", "--volumes", "--timeout", "1"]
            )
    remove_guards("benchmany")
    shutil.rmtree(HERE, ignore_errors=True)


def lines(rounds: int) -> Iterator[Line | str]:
    """One ratio."""
    remove()
    run([str(BIN / "python"), "tests/images/build.py"])
    inventory = write_inventory()

    def deploy(limit: str) -> str:
        options = ("-l", limit, "-e", "bulkhead_allow_many=true", "--forks", str(COUNT))
        return playbook(ROOT / "deploy.yml", inventory, *options)

    try:
        deploy("all")
        medians = side_by_side(
            {"ten": lambda: must_not_change(deploy("all")), "one": lambda: must_not_change(deploy("m0"))}, rounds
        )
        yield ratio("ten environments in one run / one environment, nothing to change", medians, "ten", "one", 4)
    finally:
        remove()
