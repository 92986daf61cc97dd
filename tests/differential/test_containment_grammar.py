# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of what a stack may say covers Compose's whole grammar, as the installed Compose has it embedded."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.compose import COMPOSE

_MARK = b'compose_spec.json"'
#: Short forms, which the canonical form does not have, and keys that are read before it is made.
_NOT_CANONICAL = (
    "version",
    "include",
    "services.*.extends",
    "services.*.depends_on.[]",
    "services.*.networks.[]",
    "services.*.extra_hosts.*",
    "*.labels.[]",
    "*.environment.[]",
    "services.*.annotations.[]",
    "services.*.sysctls.[]",
)


def binary() -> Path | None:
    """The Compose plugin of the installed Docker."""
    if not shutil.which("docker"):
        return None
    command = ["docker", "info", "--format", "{{range .ClientInfo.Plugins}}{{.Name}} {{.Path}}\n{{end}}"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split("\n")
    return next((Path(line.split(" ", 1)[1]) for line in found if line.startswith("compose ")), None)


@cache
def schema() -> dict[str, Any]:
    """The JSON schema inside of the plugin."""
    path = binary()
    if path is None:
        pytest.skip("no Compose plugin is installed")
    data = path.read_bytes()
    start = data.rfind(b"{", 0, data.index(_MARK))
    found: dict[str, Any] = json.JSONDecoder().raw_decode(data[start : start + 400_000].decode("utf-8", "ignore"))[0]
    return found


def paths(node: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the path of every leaf of the grammar."""
    if "$ref" in node:
        yield from paths(schema()["definitions"][node["$ref"].rpartition("/")[2]], path)
        return
    choices = node.get("oneOf") or node.get("anyOf")
    if choices:
        for choice in choices:
            yield from paths(choice, path)
        return
    kinds = node.get("type")
    if kinds == "array":
        yield from paths(node.get("items", {}), (*path, "[]"))
        return
    named: dict[str, Any] = node.get("properties", {})
    free = [below for pattern, below in node.get("patternProperties", {}).items() if pattern != "^x-"]
    if isinstance(node.get("additionalProperties"), dict):
        free.append(node["additionalProperties"])
    if not named and not free:
        yield ".".join((*path, "*") if kinds == "object" else path)
    for key, below in named.items():
        yield from paths(below, (*path, key))
    for below in free:
        yield from paths(below, (*path, "*"))


def covered(path: str) -> bool:
    """Whether an entry stands at the path, or above or below it."""
    parts = path.split(".")
    above = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return bool(above & COMPOSE.keys()) or any(entry.startswith(f"{path}.") for entry in COMPOSE)


def canonical(path: str) -> bool:
    """Whether the canonical form can hold the path."""
    return not any(
        path == form or path.startswith(f"{form}.") or (form.startswith("*.") and path.endswith(form[1:]))
        for form in _NOT_CANONICAL
    )


def test_no_key_is_forgotten() -> None:
    """Every leaf of the grammar has a class."""
    found = sorted(set(paths(schema())))
    assert len(found) > 300
    assert [path for path in found if canonical(path) and not covered(path)] == []


def test_what_is_new_would_be_seen() -> None:
    """The control: a key that the table lacks is one that is not covered."""
    assert not covered("services.*.teleport")
    assert not covered("networks.*.teleport.to")
    assert covered("services.*.build.context")
