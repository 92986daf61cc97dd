# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment that changes nothing: with Bulkhead, with a playbook written by hand, and with Compose alone.

All three look after the full stack of the guide. Both playbooks read an inventory of the same shape with the same vault
file, check the same commit out, find the same image built and leave the same files on disk.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from measure import Line, ratio, side_by_side
from programs import BIN, ROOT, SCRATCH, Failed, must_not_change, playbook, remove_guards, run, work_of

HAND = Path(__file__).resolve().parent / "handwritten"
HERE = SCRATCH / "no-change"
OURS, BY_HAND = "benchours_staging", "benchhand_staging"
PORT_OFFSET = 19000
PORT = 27180
#: Where nginx reads which container a request goes to: the playbook by hand replaces its application with a gap.
TRAFFIC = "/etc/nginx/traffic"
#: What a tag says beside the commit; the playbook by hand leaves that out.
INPUTS = re.compile(r"-[0-9a-f]{12}\Z")
#: Files of ours by what they are called by hand; empty where there is none. Ours hold several passwords, so that they
#: can be replaced without a failed request.
BY_HAND_NAMES = {
    "private/postgresql/init/10-bulkhead.sh": "private/postgresql/init/10-database.sh",
    "private/postgresql/secrets/logins": "private/postgresql/secrets/app_password",
    "private/redis/passwords": "",
}
SERVICES = ("django", "nginx", "pgbouncer", "postgresql", "redis")
VARIABLES = {
    "BULKHEAD_DEMO_ROOT": str(HERE / "ours"),
    "BULKHEAD_DEMO_PORT_OFFSET": str(PORT_OFFSET),
    "BULKHEAD_DEMO_INVENTORY": str(HERE / "inventory"),
    "BULKHEAD_DEMO_SECRETS": str(HERE / "passwords"),
    "BULKHEAD_DEMO_EDGE": "false",  # each publishes its ports, as the one by hand does
    "BENCH_ROOT": str(HERE),
    "BENCH_PORT": str(PORT),
}
VAULT = ("--vault-id", f"staging@{HERE}/passwords/staging.vault-password")


def prepare() -> None:
    """Two inventories, their secrets, and the application's repository."""
    shutil.copytree(
        ROOT / "inventories" / "demo",
        HERE / "inventory",
        ignore=shutil.ignore_patterns("vault.yml", "fingerprints.yml", "own.yml"),
    )
    everyone = HERE / "inventory/group_vars/all/main.yml"
    text = everyone.read_text(encoding="utf-8")
    # Registry, locks and receipts of its own, too: a measurement leaves nothing on the machine.
    own = f"bulkhead_state_directory: {HERE}/state"
    text = text.replace('bulkhead_state_directory: "{{ demo_root }}/machine-state"', own)
    everyone.write_text(text.replace("bulkhead_project: aiia", "bulkhead_project: benchours"), encoding="utf-8")
    shutil.copytree(HAND / "inventory", HERE / "inventory-by-hand")
    run([str(BIN / "python"), "tests/images/build.py"])
    run([str(BIN / "python"), "tests/app/make_repository.py", str(HERE / "ours/origin.git")])
    (HERE / "origin.git").symlink_to(HERE / "ours/origin.git")
    run([str(BIN / "python"), "tests/setup/demo_secrets.py"], VARIABLES)
    shutil.copy(
        HERE / "inventory/group_vars/staging/vault.yml", HERE / "inventory-by-hand/group_vars/staging/vault.yml"
    )


def ours(*options: str) -> str:
    """Deploy with Bulkhead."""
    return playbook("deploy.yml", HERE / "inventory", "-l", "staging", *VAULT, *options, variables=VARIABLES)


def by_hand(*options: str) -> str:
    """Deploy with the playbook written by hand."""
    return playbook(HAND / "deploy.yml", HERE / "inventory-by-hand", *VAULT, *options, variables=VARIABLES)


def empty() -> str:
    """Run a playbook that does nothing."""
    return playbook(HAND / "empty.yml", HERE / "inventory-by-hand", *VAULT, variables=VARIABLES)


def compose(directory: Path, project: str, *arguments: str) -> str:
    """Compose alone, on the files that a deployment left."""
    file = directory / "docker-compose.staging.yml"
    return run(["docker", "compose", "-p", project, "--project-directory", str(directory), "-f", str(file), *arguments])


def directories() -> dict[str, Path]:
    """Where each of the two environments lives."""
    return {OURS: HERE / "ours/staging/ai-ia-backend", BY_HAND: HERE / "hand/staging/ai-ia-backend"}


def shape(project: str, directory: Path) -> str:
    """What a deployment leaves, without the names that must differ: files, services, images and mounts."""
    names = [path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()]
    kept = (
        name.removeprefix(".bulkhead/")
        for name in names
        if not name.startswith(("code/", ".bulkhead/releases/"))
        and name not in (".bulkhead/state.json", ".bulkhead/environment.json")
    )
    files = sorted(filter(None, (BY_HAND_NAMES.get(name, name) for name in kept)))
    model = yaml.safe_load(compose(directory, project, "config"))
    mounts = {
        name: sorted({mount["target"] for mount in service["volumes"]} - {TRAFFIC})
        for name, service in model["services"].items()
    }
    services = {
        name: (INPUTS.sub("", service["image"]), service["container_name"], mounts[name])
        for name, service in model["services"].items()
    }
    return repr((files, sorted(services.items()))).replace(project, "PREFIX")


def check_same() -> None:
    """Raise Failed where the two do not leave the same: then they cannot be compared."""
    one, other = (shape(project, directory) for project, directory in directories().items())
    if one != other:
        raise Failed(f"the two deployments differ:\n  {one}\n  {other}")


def remove() -> None:
    """Everything of both environments, by the exact label of their projects: also what a killed bench left, whose
    volumes would know other passwords."""
    for project in (OURS, BY_HAND):
        label = ("--quiet", "--filter", f"label=com.docker.compose.project={project}")
        for listing, removal in (
            (("ps", "--all"), ("rm", "--force", "--volumes")),
            (("network", "ls"), ("network", "rm")),
            (("volume", "ls"), ("volume", "rm")),
        ):
            found = run(["docker", *listing, *label]).split()
            if found:
                run(["docker", *removal, *found])
        tags = run(["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"{project}_django"]).split()
        if tags:
            run(["docker", "image", "rm", *tags])
        remove_guards(project.partition("_")[0])
    shutil.rmtree(HERE, ignore_errors=True)


@contextmanager
def deployed() -> Iterator[None]:
    """Both environments up, and gone afterwards with all that was theirs."""
    remove()
    prepare()
    try:
        ours()
        by_hand()
        check_same()
        yield
    finally:
        remove()


def lines(rounds: int) -> Iterator[Line | str]:
    """The ratios, and what both playbooks consist of."""
    with deployed():
        directory = directories()[OURS]
        medians = side_by_side(
            {
                "Bulkhead": lambda: must_not_change(ours()),
                "by hand": lambda: must_not_change(by_hand()),
                "Compose": lambda: compose(directory, OURS, "up", "-d"),
            },
            rounds,
        )
        yield ratio("a deploy that changes nothing / a playbook written by hand", medians, "Bulkhead", "by hand", 0.35)
        yield ratio("a deploy that changes nothing / a bare docker compose up -d", medians, "Bulkhead", "Compose", 3)
        for name, run_it in (("Bulkhead", ours), ("by hand", by_hand)):
            work = work_of(run_it("-vvv"))
            yield f"      {name}: {work.tasks} tasks, {work.module_calls} module calls on the host"
