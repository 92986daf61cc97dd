# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What on this machine belongs to the demo: found by exact label and exact directory, never by a pattern of names."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from steps import REPOSITORY

PROJECT_LABEL = "com.docker.compose.project"
DIRECTORY_LABEL = "com.docker.compose.project.working_dir"
PREFIX_LABEL = "io.bulkhead.prefix"
IMAGES_LABEL = "io.bulkhead.demo=images"
IMAGES_REPOSITORY = "bulkhead-demo/"
#: On the containers of a front door: its state directory.
DOOR_LABEL = "io.bulkhead.edge"


def demo_root() -> Path:
    return Path(os.environ.get("BULKHEAD_DEMO_ROOT") or REPOSITORY / ".demo").resolve()


def demo_directories() -> dict[str, Path]:
    """Group of the inventory → directory of its environment; both called alike, as in the guide."""
    return {
        "production": demo_root() / "main/ai-ia-backend",
        "staging": demo_root() / "staging/ai-ia-backend",
    }


def state() -> Path:
    """The demo's own registry, locks and front door."""
    return demo_root() / "machine-state"


def door() -> list[dict[str, Any]]:
    """The containers of the demo's front door."""
    return inspect(names("container", "ls", "--all", "--quiet", "--no-trunc", **{DOOR_LABEL: str(state())}))


def door_settings() -> dict[str, Any]:
    """The ports and addresses of the demo's front door; empty where it has none."""
    path = state() / "edge/settings.json"
    settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return settings


@dataclass
class Environment:
    """One environment of the demo, as it is on the machine."""

    group: str
    directory: Path
    project: str
    prefix: str
    containers: list[dict[str, Any]] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)


class NotOurs(Exception):
    """Something carries the names of the demo and was not made by it."""


def docker(*arguments: str) -> str:
    done = subprocess.run(
        ["docker", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        raise RuntimeError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def names(*listing: str, **labels: str) -> list[str]:
    """What a `docker … ls` prints for exactly these labels."""
    filters = [f"--filter=label={key}={value}" for key, value in labels.items()]
    return sorted(set(docker(*listing, *filters).split()))


def images(label: str) -> list[str]:
    """Images of exactly that label: every tag by its name, an untagged one by its id."""
    shown = '{{if eq .Tag "<none>"}}{{.ID}}{{else}}{{.Repository}}:{{.Tag}}{{end}}'
    return sorted(set(docker("image", "ls", f"--format={shown}", f"--filter=label={label}").split()))


def stack_images() -> list[str]:
    """The images of the stack. Whatever was built from one of them has inherited its label, and is somebody's."""
    return [image for image in images(IMAGES_LABEL) if image.startswith(IMAGES_REPOSITORY)]


def inspect(identifiers: list[str]) -> list[dict[str, Any]]:
    return json.loads(docker("container", "inspect", *identifiers)) if identifiers else []


def declared(directory: Path) -> tuple[str, str] | None:
    """Project and prefix that the compose file of a directory declares, where there is one."""
    for path in sorted(directory.glob("docker-compose.*.yml")):
        compose = yaml.safe_load(path.read_text(encoding="utf-8"))
        for service in compose["services"].values():
            prefix = (service.get("labels") or {}).get(PREFIX_LABEL)
            if prefix:
                return compose["name"], prefix
    return None


def running(directory: Path) -> tuple[str, str] | None:
    """The same from a container that was started from that directory: the directory itself may be gone."""
    found = inspect(names("container", "ls", "--all", "--quiet", **{DIRECTORY_LABEL: str(directory)}))
    labels = [container["Config"]["Labels"] for container in found]
    pairs = {(label[PROJECT_LABEL], label[PREFIX_LABEL]) for label in labels if PREFIX_LABEL in label}
    if len(pairs) > 1:
        raise NotOurs(f"{directory} is the directory of several projects: {sorted(pairs)}")
    return pairs.pop() if pairs else None


def find() -> list[Environment]:
    """The demo's environments on this machine, with all that they own."""
    found = []
    for group, directory in demo_directories().items():
        identity = declared(directory) or running(directory)
        if identity:
            found.append(belongings(Environment(group, directory, *identity)))
    return found


def belongings(environment: Environment) -> Environment:
    ours = {PROJECT_LABEL: environment.project, PREFIX_LABEL: environment.prefix}
    environment.containers = inspect(names("container", "ls", "--all", "--quiet", "--no-trunc", **ours))
    for container in environment.containers:
        directory = container["Config"]["Labels"].get(DIRECTORY_LABEL)
        if directory != str(environment.directory):
            raise NotOurs(
                f"container {container['Name'].lstrip('/')} of project {environment.project} was deployed from"
                f" {directory}, not by this demo. Nothing of that project is touched."
            )
    environment.networks = names("network", "ls", "--format={{.Name}}", **ours)
    environment.volumes = names("volume", "ls", "--format={{.Name}}", **ours)
    environment.images = images(f"{PREFIX_LABEL}={environment.prefix}")
    return environment
