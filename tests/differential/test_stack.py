# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client of a swarm is the judge of our stack files: it accepts them whole, ignores nothing, and reads the settings
as they were meant. What its grammar does not have is refused by our table, and the table refuses what it ignores."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.classes import Class
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.swarm import SWARM
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Release, Renderer
from differential.test_containment_grammar import with_value
from unit.fleets import declared, read, write

_MARK = b'"id": "config_schema_v3.13.json"'

#: What the client says that it ignores, by ``docker stack deploy`` of its own list.
IGNORED = {
    "build": {"context": "."}, "cgroup_parent": "x", "container_name": "x", "devices": ["/dev/null:/dev/null"],
    "domainname": "x", "expose": ["80"], "external_links": ["x:y"], "ipc": "private", "links": ["base"],
    "mac_address": "02:42:ac:11:65:43", "network_mode": "none", "pid": "host", "privileged": True,
    "restart": "always", "security_opt": ["x"], "shm_size": "64m", "userns_mode": "host",
}  # fmt: skip


def client() -> str:
    """The docker client."""
    found = shutil.which("docker")
    if not found:
        pytest.skip("no docker client is installed")
    return found


def ask(folder: Path, file: str, *words: str) -> subprocess.CompletedProcess[str]:
    """What the client says of a stack file, without any engine."""
    command = [client(), "--host", "unix:///nowhere/docker.sock", "stack", *words[:1], "-c", file, *words[1:]]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "DOCKER_CONFIG": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def ignored(folder: Path, file: str) -> str:
    """What the client ignores of a stack file: it says so before it looks for an engine."""
    asked = ask(folder, file, "deploy", "x")
    assert "Cannot connect to the Docker daemon" in asked.stderr, asked.stderr
    return asked.stderr


def shipped(tmp_path: Path, **variables: Any) -> tuple[Release, Path]:
    """A stack as it would be shipped, below a directory."""
    swarm = {"bulkhead_engine": "swarm", "bulkhead_swarm": "main", "bulkhead_registry": "registry.example.com/shop"}
    declaration = declared(tmp_path, **swarm | variables)
    release = Renderer(read(write(tmp_path / "any", {})).loader, []).render(declaration)
    assert release is not None and declaration.problems == [], declaration.problems
    for file in release.files:
        path = tmp_path / "there" / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content, encoding="utf-8")
    return release, tmp_path / "there"


VARIANTS: list[dict[str, Any]] = [
    {},
    {"bulkhead_swarm_ports": "ingress", "bulkhead_internal_network": True},
    {"bulkhead_services": {"django": {"deploy": {"replicas": 3}, "volumes": []}, "worker": {"command": ["work"]}}},
    {"bulkhead_secret_files": {"SECRET_KEY": ["django"]}},
    {"bulkhead_edge": True, "bulkhead_internal_network": True},
]


@pytest.mark.parametrize("variables", VARIANTS, ids=lambda variables: next(iter(variables), "default"))
def test_the_client_takes_our_stacks_whole(tmp_path: Path, variables: dict[str, Any]) -> None:
    """It refuses nothing and ignores nothing; every value that it reads is the one that was rendered."""
    release, folder = shipped(tmp_path, **variables, bulkhead_env={"PLAIN": 'a "b" $c #d', "EMPTY": ""})
    said = ignored(folder, release.compose_file)
    assert "Ignoring" not in said and "ignoring" not in said
    asked = ask(folder, release.compose_file, "config")
    assert (asked.returncode, asked.stderr) == (0, "")
    theirs = yaml.safe_load(asked.stdout)
    settings = {setting.key: setting.value for setting in release.settings}
    assert theirs["services"]["django_prod"]["environment"].items() >= settings.items()
    ours = release.stack.compose
    assert {name: found["name"] for name, found in theirs["secrets"].items()} == {
        name: found["name"] for name, found in ours["secrets"].items()
    }
    for key, definition in ours["services"].items():
        told = theirs["services"][key]["deploy"]
        assert told["update_config"] == definition["deploy"]["update_config"]
        assert told.get("placement") == definition["deploy"].get("placement")
        mounted = {entry["target"] for entry in (*theirs["services"][key].get("configs", ()),)}
        assert mounted == {entry["target"] for entry in definition.get("configs", ())}


@cache
def grammar() -> dict[str, Any]:
    """The newest grammar inside of the client."""
    data = Path(client()).resolve().read_bytes()
    if _MARK not in data:
        pytest.skip("this client has no grammar of version 3.13 in plain text")
    start = data.rfind(b"{", 0, data.index(_MARK))
    found: dict[str, Any] = json.JSONDecoder().raw_decode(data[start : start + 400_000].decode("utf-8", "ignore"))[0]
    return found


@pytest.mark.parametrize(
    ("section", "part"),
    [
        ("services", "service"),
        ("networks", "network"),
        ("volumes", "volume"),
        ("secrets", "secret"),
        ("configs", "config"),
    ],
)
def test_what_the_client_does_not_know_is_refused(section: str, part: str) -> None:
    """A key that the grammar of a swarm lacks is allowed by no entry, and every key that it has is in the table."""
    known = set(grammar()["definitions"][part]["properties"])
    of_section = {path.split(".")[2]: entry for path, entry in SWARM.items() if path.startswith(f"{section}.*.")}
    refusing = {
        key
        for key in of_section
        if all(
            entry.kind in (Class.IGNORED, Class.REFUSED)
            for path, entry in SWARM.items()
            if path == f"{section}.*.{key}" or path.startswith(f"{section}.*.{key}.")
        )
    }
    assert sorted(set(of_section) - known - refusing) == []
    # cgroupns_mode and cluster volumes are in no table, so they are refused as well.
    assert known - set(of_section) <= {"cgroupns_mode", "x-cluster-spec"}


@pytest.mark.parametrize("key", sorted(IGNORED))
def test_what_the_client_ignores_is_refused(key: str, tmp_path: Path) -> None:
    """The client itself says that it ignores the key, and our table does not allow it."""
    service = {"image": "x", key: IGNORED[key]}
    (tmp_path / "stack.yml").write_text(
        json.dumps({"version": "3.13", "services": {"web": service, "base": {"image": "x"}}})
    )
    said = ignored(tmp_path, "stack.yml")
    assert "Ignoring" in said and key in said
    entries = [entry for path, entry in SWARM.items() if f"{path}.".startswith(f"services.*.{key}.")]
    assert entries and all(entry.kind is Class.IGNORED for entry in entries)


def test_the_control(tmp_path: Path) -> None:
    """A plain service is not said to be ignored, and a made-up key is refused by the client."""
    (tmp_path / "good.yml").write_text(
        json.dumps({"version": "3.13", "services": {"web": {"image": "x", "init": True}}})
    )
    assert "Ignoring" not in ignored(tmp_path, "good.yml")
    (tmp_path / "bad.yml").write_text(
        json.dumps({"version": "3.13", "services": {"web": with_value("read_only") | {"x": 1}}})
    )
    assert "not allowed" in ask(tmp_path, "bad.yml", "config").stderr
