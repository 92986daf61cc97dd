# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make clean` does: remove what the demo made, by exact label and exact path, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import belongings
import demo_secrets
from belongings import Environment, NotOurs
from steps import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tests"))

import checkout

checkout.install()

from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.scheduled_run import Runner  # noqa: E402
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import Engine  # noqa: E402
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.no_links import boot_files, is_mounted  # noqa: E402
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.places import sockets  # noqa: E402
from ansible_collections.aiia.bulkhead.plugins.module_utils.host.firewall import Firewall  # noqa: E402
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.naming import firewall_chain  # noqa: E402


def remove(kind: str, identifiers: list[str], *options: str) -> list[str]:
    """Remove engine objects one by one; returns the complaints about those that something else still uses."""
    complaints = []
    for identifier in identifiers:
        try:
            belongings.docker(kind, "rm", *options, identifier)
        except RuntimeError as exc:
            complaints.append(f"kept {kind} {identifier}: {exc}")
    print(f"  {kind:<10} {len(identifiers) - len(complaints)} removed", flush=True)
    return complaints


def remove_environment(environment: Environment) -> list[str]:
    print(f"{environment.prefix} ({environment.directory})", flush=True)
    return [
        *remove("container", [container["Id"] for container in environment.containers], "--force", "--volumes"),
        *remove("network", environment.networks),
        *remove("volume", environment.volumes),
        *remove("image", environment.images),
        *remove_guard(environment.prefix),
    ]


def remove_guard(prefix: str) -> list[str]:
    """Remove an environment's chain from the machine's firewall, and what puts it up when the machine starts. It comes
    after the networks, so that nothing runs without it."""
    chain = firewall_chain(prefix)
    engine = Engine(Runner(), "")
    guard = Firewall(engine, prefix, chain, [], None, str(belongings.state()), optional=True)
    there = bool(guard.plan())
    if there:
        guard.apply(None)
    complaints = [f"kept firewall chain {chain}: {guard.missing}"] if there and guard.missing else []
    print(f"  {'firewall':<10} {int(there) - len(complaints)} removed", flush=True)
    return complaints


def remove_door() -> list[str]:
    """Remove the demo's front door, what makes its sockets' directory when the machine starts, and the mount of it."""
    print("front door", flush=True)
    complaints = remove("container", [container["Id"] for container in belongings.door()], "--force")
    script, unit = map(Path, boot_files(str(belongings.state())))
    if unit.exists():
        subprocess.run(["systemctl", "disable", unit.name], check=False, capture_output=True)
    for path in (script, unit):
        path.unlink(missing_ok=True)
    if is_mounted(sockets(str(belongings.state()))):
        subprocess.run(["umount", sockets(str(belongings.state()))], check=True)
    return complaints


def demo_paths() -> list[Path]:
    """The directories and files that the demo made; secrets too, for the databases they opened are gone."""
    inventory = REPOSITORY / "inventories/demo/group_vars"
    return [
        *(directory.parent for directory in belongings.demo_directories().values()),
        belongings.demo_root() / "origin.git",
        belongings.state(),
        demo_secrets.secrets_directory(),
        demo_secrets.certificates(),
        *(
            inventory / group / name
            for group in belongings.demo_directories()
            for name in ("vault.yml", "fingerprints.yml")
        ),
        inventory / "all/own.yml",
    ]


def remove_paths(paths: list[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    root = belongings.demo_root()
    # A root of the user's own choice may hold more than the demo.
    if root.is_dir() and not any(root.iterdir()):
        root.rmdir()


def main() -> int:
    try:
        environments = belongings.find()
    except (NotOurs, RuntimeError, FileNotFoundError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    complaints = [line for environment in environments for line in remove_environment(environment)]
    complaints += remove_door()
    print("images of the stack", flush=True)
    complaints += remove("image", belongings.stack_images())
    remove_paths(demo_paths())
    for line in complaints:
        print(line, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
