# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every screen in README and docs is what the code says: made here by the code that shows it, or by the test that is
named here, in which it is looked up."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible.parsing.vault import VaultSecret
from ansible_collections.aiia.bulkhead.plugins.action.destroy import listed as listed_destruction
from ansible_collections.aiia.bulkhead.plugins.action.releases import shown as shown_release
from ansible_collections.aiia.bulkhead.plugins.action.secrets import ActionModule as SecretsAction
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.directory import DesiredFile
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import sentence
from ansible_collections.aiia.bulkhead.plugins.module_utils.release import data
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.service import Service
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.jobs.backup import made
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.jobs.stack_remains import left_on_unreached
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets import jobs
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.swarm.model import MachineLook, SwarmSettings, Wanted
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.swarm.plan import plan
from checkout import ROOT
from unit.docs_commands import PROMPTED, TYPED, Fence, fences
from unit.stacks import seen_node, seen_swarm

#: Fences without a prompt that show no screen, by how they begin.
NO_SCREEN = (" inventory ──►", "inventories/mine/group_vars", "deploy/inventory/")

#: Screens of other programs.
THEIRS = ("Public key: age1…",)

#: Screens that another test makes and compares, or asks for: by how they begin, the file and what stands in it.
ELSEWHERE: Mapping[str, tuple[str, str]] = {
    "Deploy one environment\n▸ Prove on paper that no environment touches another\nhigh": (
        "tests/unit/callback/test_story.py", "def test_the_screen_of_the_docs"),
    "Deploy one environment\n▸ Prove on paper that no environment touches another\nproved": (
        "tests/e2e/test_readme.py", "reader.as_in_the_docs(again.stdout) == reader.as_in_the_docs(screen)"),
    "⠹ Converge to the release": ("tests/unit/plugin_utils/story/test_screen.py", "def test_the_line_of_the_docs"),
    "how it stands (python3 manage.py": (
        "tests/unit/module_utils/release/test_stand_in.py", ", beyond what the version that serves knows:"),
}  # fmt: skip


def screens() -> list[tuple[Fence, str]]:
    """What the pages say that a terminal shows: of a fence with commands, the lines below each of them."""
    found = []
    for fence in fences():
        if fence.language in TYPED or fence.language not in (*PROMPTED, "text", ""):
            continue
        blocks: list[list[str]] = [[]]
        goes_on = False
        for line in fence.lines:
            typed = fence.language in PROMPTED and (line.startswith("$ ") or goes_on)
            goes_on = typed and line.endswith("\\")
            if typed:
                blocks.append([])
            else:
                blocks[-1].append(line)
        found += [(fence, text) for block in blocks if (text := "\n".join(block).strip("\n"))]
    return [(fence, text) for fence, text in found if not text.startswith(NO_SCREEN)]


def listed() -> str:
    """Two releases, of which the first is in force."""
    about = [("Search by title", "Ann Example", "ann@laptop"), ("Notes have a size", "Bob Example", "ci@runner-3")]
    names = ["20261123T113239Z-bbdb6d3d", "20261123T113114Z-749e121a"]
    commits = [f"{commit:0<40}" for commit in ("50e36a83870d", "c5b7312ae473")]
    releases = [
        {
            "release": name, "commit": commit, "images": [f"aiia_staging_django:{commit}-7f3c2a9be014", "redis:8"],
            "about": dict(zip(("subject", "author", "by"), known, strict=True)),
        }
        for name, commit, known in zip(names, commits, about, strict=True)
    ]  # fmt: skip
    return "\n".join(shown_release(release, "aiia_staging", names[0]) for release in releases)


def upgraded() -> str:
    """Data of another major version of PostgreSQL."""
    name, image = "aiia_staging_pgdata_staging", "postgres:18.1-bookworm"
    versions = {"sha256:17": "PG_MAJOR=17", "sha256:18": "PG_MAJOR=18"}
    container = {"Image": "sha256:17", "Mounts": [{"Type": "volume", "Name": name}]}
    comparison = SimpleNamespace(
        engine=None,
        services=[Service("postgresql_staging", "postgresql", "aiia_staging_postgresql", image=image)],
        containers=SimpleNamespace(of_service=lambda _service: [container]),
        files=[DesiredFile("docker-compose.staging.yml", f"volumes: {{data: {{name: {name}}}}}\n".encode())],
        params={"compose_file": "docker-compose.staging.yml"},
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            data, "inspect_objects", lambda _engine, _kind, names: [{"Config": {"Env": [versions[names[0]]]}}]
        )
        with pytest.raises(data.DataError) as error:
            data.refuse_other_data(cast(Any, comparison), {image: "sha256:18"}, "")
    return error.value.message


def secrets_of(directory: Path, verb: str, **more: Any) -> str:
    """What a verb says of an environment that has no secret yet."""
    own = {"needed": ["SECRET_KEY", "DB_PASSWORD"], "passwords": [("staging", VaultSecret(b"password"))], **more}
    done = jobs.run(verb, jobs.SecretsJob(directory=directory / "staging", group="staging", **own))
    return "\n".join(f"aiia_staging: {step}" for step in done.steps)


def asked() -> str:
    """How a value is asked for."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("ansible.utils.display.Display.prompt_until", lambda _own, prompt, **_more: prompt.encode())
        values = {"bulkhead_secret_name": "STRIPE_KEY", "bulkhead_secret_file": ""}
        own = SimpleNamespace(declaration=SimpleNamespace(values=values, prefix="aiia_staging"))
        return SecretsAction._value(cast(Any, own))


def swarm() -> str:
    """A swarm of two machines that is formed."""
    wanted = {
        "node1": Wanted("node1", "manager", address="10.0.0.1"),
        "node2": Wanted("node2", "worker", address="10.0.0.2", labels={"disk": "ssd"}),
    }
    looks = {host: MachineLook(host, engine="26.1.5", engine_id=f"id-{host}") for host in wanted}
    return "\n".join(f"swarm: {sentence(step)}" for step in plan(wanted, looks, SwarmSettings()).steps)


def unreached() -> str:
    """What the destruction of a stack says of a node that gave no answer."""
    node = seen_node("n3", hostname="app3", address="10.0.0.13", labels={"io.bulkhead.door.shop_prod": "true"})
    away = {"app3-shop": "ssh: connect to host 10.0.0.13 port 22: No route to host"}
    seen = {"host": "app1-shop", "engine": {"node": "n1"}, "nodes": {}, "away": away, "stack": seen_swarm(nodes=[node])}
    found = {"goes": [], "stays": [], "left": [], "unreached": left_on_unreached("shop_prod", seen)}
    return listed_destruction("shop_prod", found, ()).partition("\n")[2]


BACKUP = {
    "path": "/var/lib/bulkhead/backups/aiia_staging/aiia_staging-20260725T031500Z", "bytes": 43_200_000, "removed": [],
    "recipients": 0, "notes": [], "seconds": 3.1,
}  # fmt: skip
KEY = {"needed": [], "name": "BULKHEAD_DEPLOY_KEY"}

#: Screens that are made here, by how they begin.
MADE: Mapping[str, Callable[[Path], str]] = {
    "aiia_staging: /var/lib/bulkhead/backups": lambda _tmp: made("aiia_staging", BACKUP),
    "* 20261123T113239Z": lambda _tmp: listed(),
    "aiia_staging_postgresql has its data": lambda _tmp: upgraded(),
    "aiia_staging: SECRET_KEY: made": lambda tmp: secrets_of(tmp, "init"),
    "aiia_staging: BULKHEAD_DEPLOY_KEY: made": lambda tmp: secrets_of(tmp, "init", **KEY),
    "Value of STRIPE_KEY": lambda _tmp: asked(),
    "swarm: begin the swarm": lambda _tmp: swarm(),
    "not reached, so this stays": lambda _tmp: unreached(),
}


def alike(text: str) -> str:
    """A screen without what differs from run to run: how long a step took. Where a line ends depends on its width."""
    return " ".join(re.sub(r"(?<=\s)\d+(?:\.\d)? s\b", "1.0 s", text).split())


@pytest.mark.parametrize("screen", screens(), ids=lambda screen: f"{screen[0].page}:{screen[0].line}")
def test_a_screen_is_what_the_code_says(screen: tuple[Fence, str], tmp_path: Path) -> None:
    """One that ends in … shows the beginning of a line, or of a screen."""
    _fence, shown = screen
    if shown in THEIRS:
        return
    for begins, (file, there) in ELSEWHERE.items():
        if shown.startswith(begins):
            assert there in (ROOT / file).read_text(encoding="utf-8"), f"{file} does not make it any more"
            return
    (make,) = [make for begins, make in MADE.items() if shown.startswith(begins)]
    said, wanted = alike(make(tmp_path)), alike(shown)
    assert said.startswith(wanted.removesuffix("…").rstrip()) if wanted.endswith("…") else said == wanted, said


def test_each_is_still_in_the_docs() -> None:
    texts = [text for _fence, text in screens()]
    for begins in (*ELSEWHERE, *MADE, *THEIRS):
        assert [text for text in texts if text.startswith(begins)], begins
