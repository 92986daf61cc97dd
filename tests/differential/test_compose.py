# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our reading of Compose files against Compose's own, over a corpus of small projects.

Each project of ``projects/*.yml`` is written to a directory and read twice: by ``docker compose config``, with an empty
process environment, and by us. Where Compose refuses a project, we must have found a problem.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.errors import ReaderError
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Severity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.compose.dotenv import (
    evaluate,
    read_dotenv,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.compose.interpolation import lookup_in
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.compose.project import (
    ComposeReading,
    Problem,
    read_compose,
)

PROJECTS = [
    pytest.param(project, id=f"{path.stem}: {project['title']}")
    for path in sorted((Path(__file__).parent / "projects").glob("*.yml"))
    for project in yaml.safe_load(path.read_text(encoding="utf-8"))
]


@cache
def compose_command() -> tuple[str, ...]:
    """How Compose is called here; empty where there is none. ``BULKHEAD_COMPOSE`` names another binary."""
    candidates = [["docker", "compose"], ["docker-compose"]]
    if os.environ.get("BULKHEAD_COMPOSE"):
        candidates = [[os.environ["BULKHEAD_COMPOSE"]]]
    for command in candidates:
        path = shutil.which(command[0])
        if path is None:
            continue
        found = [path, *command[1:]]
        asked = subprocess.run([*found, "version", "--short"], capture_output=True, text=True, check=False, timeout=60)
        if asked.returncode == 0 and asked.stdout.strip().lstrip("v").startswith(("2.", "3.", "4.", "5.")):
            return tuple(found)
    return ()


def ask_compose(files: list[Path], directory: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """What Compose itself makes of the files."""
    named = [part for file in files for part in ("-f", str(file))]
    env = {"PATH": os.environ["PATH"], "HOME": str(home)}
    command = [*compose_command(), "--project-directory", str(directory), *named, "config", "--format", "json"]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=directory, timeout=60)


def read_ourselves(files: list[Path], directory: Path, home: Path) -> ComposeReading:
    """What we make of them."""

    def read(path: str) -> str | None:
        try:
            return Path(path).read_bytes().decode("utf-8", "surrogateescape")
        except OSError:
            return None

    text = read(str(directory / ".env"))
    try:
        env = evaluate(read_dotenv(text), ".env", lookup_in()) if text is not None else {}
    except ReaderError as error:
        return ComposeReading(problems=[Problem(error, Severity.MEDIUM)])
    return read_compose([str(file) for file in files], directory=str(directory), env=env, read=read, home=str(home))


def comparable(reading: ComposeReading, profiles: str) -> dict[str, Any]:
    """Our reading without what Compose leaves out on purpose: idle profiles, what nothing uses, ``env_file``, and our
    own mark of a path that was written with ``~``."""
    project = reading.project
    assert project is not None, [str(problem.error) for problem in reading.problems]
    active = {name.strip() for name in profiles.split(",")}
    services = {
        name: {key: value for key, value in service.items() if key != "env_file"}
        for name, service in project.services.items()
        if not service.get("profiles") or "*" in active or active & set(service["profiles"])
    }
    used: dict[str, set[str]] = {"networks": set(), "volumes": set(), "secrets": set(), "configs": set()}
    for service in services.values():
        used["networks"] |= set(service.get("networks") or ())
        used["volumes"] |= {
            mount.get("source", "") for mount in service.get("volumes", ()) if mount["type"] == "volume"
        }
        used["secrets"] |= {entry["source"] for entry in service.get("secrets", ())}
        used["secrets"] |= {entry["source"] for entry in service.get("build", {}).get("secrets", ())}
        used["configs"] |= {entry["source"] for entry in service.get("configs", ())}
    for service in services.values():
        for mount in service.get("volumes", ()):
            mount.pop("x-home", None)
    model: dict[str, Any] = {"name": project.name, "services": services}
    for section, names in used.items():
        kept = {key: value for key, value in getattr(project, section).items() if key in names}
        if kept:
            model[section] = kept
    return json.loads(json.dumps(model))


def undollared(value: Any) -> Any:
    """Compose prints ``$`` as ``$$``, so that its output can be read again. Our model holds the value itself."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, dict):
        return {key: undollared(item) for key, item in value.items()}
    return [undollared(item) for item in value] if isinstance(value, list) else value


def without_extensions(model: Mapping[str, Any]) -> dict[str, Any]:
    """Compose's own output without top-level ``x-`` keys, with single dollars."""
    return {key: undollared(value) for key, value in model.items() if not key.startswith("x-")}


@pytest.mark.parametrize("project", PROJECTS)
def test_reads_as_compose_does(project: dict[str, Any], tmp_path: Path) -> None:
    """One project of the corpus, read by Compose and by us."""
    if not compose_command():
        pytest.skip("no Docker Compose v2 on this machine: `docker compose version` does not answer")
    home = tmp_path / "home"
    directory = home / project.get("directory", "ai-ia-backend")
    directory.mkdir(parents=True)
    for name, text in project["files"].items():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text.replace("@HOME@", str(home)), encoding="utf-8")
    files = [directory / name for name in project.get("compose_files", ["docker-compose.yml"])]
    asked = ask_compose(files, directory, home)
    ours = read_ourselves(files, directory, home)
    if project.get("refused"):
        assert asked.returncode != 0, "Compose takes what the corpus says it refuses"
        assert ours.problems, f"Compose refuses it, we do not: {asked.stderr}"
        return
    assert asked.returncode == 0, asked.stderr
    env = project["files"].get(".env", "")
    profiles = next((line.partition("=")[2] for line in env.splitlines() if line.startswith("COMPOSE_PROFILES=")), "")
    assert comparable(ours, profiles) == without_extensions(json.loads(asked.stdout))
    assert not ours.problems, [str(problem.error) for problem in ours.problems]


def test_corpus_is_not_empty() -> None:
    """The corpus is there: a glob that finds nothing would let everything pass."""
    assert len(PROJECTS) >= 40
