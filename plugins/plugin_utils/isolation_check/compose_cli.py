# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare our reading of a project with that of ``docker compose config``.

Compose runs hermetically: empty environment, temporary home, every file named, no network. It needs no engine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..isolation.model import SEAL, ComposeProject

_SECONDS = 20

#: Keys that Compose rewrites or drops without changing the meaning.
_REWRITTEN = frozenset({"env_file", "profiles"})


@dataclass(frozen=True, slots=True)
class ComposeVerdict:
    """Compose's model of a project, or the error with which it refused."""

    model: Mapping[str, Any] | None
    error: str = ""


def find() -> str | None:
    """The docker client's path, or ``None`` if there is none with the plugin ``compose``."""
    client = shutil.which("docker")
    if client is None:
        return None
    with tempfile.TemporaryDirectory() as home:
        status, _output, _errors = _run([client, "compose", "version", "--short"], home)
    return client if status == 0 else None


def ask(
    client: str, files: Sequence[Path], env_files: Sequence[Path], *, project_directory: Path, name: str = ""
) -> ComposeVerdict:
    """Have Compose read these files. Pass ``name`` if the directory would determine the project name."""
    argv = [client, "compose", "--project-directory", str(project_directory), "--profile", "*"]
    argv += [part for path in files for part in ("--file", str(path))]
    # Without --env-file, Compose would look for .env itself.
    argv += [part for path in env_files or (Path(os.devnull),) for part in ("--env-file", str(path))]
    argv += ["--project-name", name] if name else []
    with tempfile.TemporaryDirectory() as home:
        status, output, errors = _run([*argv, "config", "--format", "json"], home)
    if status != 0:
        lines = [line for line in errors.splitlines() if line.strip() and "level=warning" not in line]
        return ComposeVerdict(None, lines[-1][:300] if lines else f"it exited with status {status}")
    try:
        model = json.loads(output)
    except ValueError:
        return ComposeVerdict(None, "its output is not JSON")
    return ComposeVerdict(model if isinstance(model, dict) else {})


def _run(argv: Sequence[str], home: str) -> tuple[int, str, str]:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": home,
        "DOCKER_CONFIG": home,
        "COMPOSE_EXPERIMENTAL_GIT_REMOTE": "false",
        "COMPOSE_EXPERIMENTAL_OCI_REMOTE": "false",
    }
    try:
        done = subprocess.run(
            argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return 1, "", f"it did not answer within {_SECONDS} s"
    except OSError as error:
        return 1, "", str(error)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def differences(ours: ComposeProject, theirs: Mapping[str, Any], *, controller: str, machine: str) -> list[str]:
    """Where two readings of a project differ, as dotted paths without values, which may be secret.

    ``controller`` is the directory in which Compose ran, ``machine`` the one in which the files will live.
    """
    moved = _moved(theirs, controller, machine)
    paths: list[str] = []
    if ours.name != moved.get("name"):
        paths.append("name")
    own_services, services = dict(ours.services), moved.get("services") or {}
    paths += _unequal("services", own_services.keys(), services.keys())
    for key in own_services.keys() & services.keys():
        paths += _differ(_plain(own_services[key]), _plain(services[key]), f"services.{key}")
    for kind in ("networks", "volumes"):
        for key, value in (moved.get(kind) or {}).items():
            # Compose drops networks and volumes that no service uses, so only those that it has are compared.
            own = getattr(ours, kind).get(key)
            paths += [f"{kind}.{key}"] if own is None else _differ(_plain(own), _plain(value), f"{kind}.{key}")
    return sorted(paths)


def _moved(value: Any, source: str, target: str) -> Any:
    """The model with paths below ``source`` replaced by paths below ``target``."""
    if isinstance(value, dict):
        return {key: _moved(item, source, target) for key, item in value.items()}
    if isinstance(value, list):
        return [_moved(item, source, target) for item in value]
    if isinstance(value, str) and (value == source or value.startswith(source + "/")):
        return target + value[len(source) :]
    return value


def _plain(value: Any) -> Any:
    """A definition in one form: without empty values, explicit defaults and :data:`_REWRITTEN` keys."""
    if isinstance(value, Mapping):
        items = {str(key): _plain(item) for key, item in value.items() if key not in _REWRITTEN}
        return {key: item for key, item in items.items() if item not in (None, {}, [], False, "")}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _differ(ours: Any, theirs: Any, path: str) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        yield from _unequal(path, ours.keys(), theirs.keys())
        for key in ours.keys() & theirs.keys():
            yield from _differ(ours[key], theirs[key], f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (own, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _differ(own, other, f"{path}.{number}")
    elif ours != theirs and SEAL not in str(ours):  # a placeholder for what is not known
        yield path


def _unequal(path: str, ours: Any, theirs: Any) -> list[str]:
    return [f"{path}.{key}" for key in sorted(set(ours) ^ set(theirs))]
