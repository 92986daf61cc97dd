# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a new environment: its group's variables, its host, and where they go in an inventory directory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

#: The first word of a file that a vault password opens.
_VAULT = "$ANSIBLE_VAULT"
#: How Ansible spells a group's file of variables.
_ENDINGS = ("", ".yml", ".yaml", ".json")
#: A file of variables is small; this is more than any that a person reads.
_LARGEST = 1_000_000


class Unusable(Exception):
    """What was asked for cannot be written, with the reason and the mend as its message."""


def variable_files(inventory: Path, group: str) -> dict[str, str]:
    """The files of a group's variables that are not encrypted: paths below ``group_vars``, with their texts.

    Raises Unusable where one cannot be read.
    """
    found: dict[str, str] = {}
    for ending in _ENDINGS:
        path = inventory / "group_vars" / f"{group}{ending}"
        if path.is_file():
            found[f"main{ending or '.yml'}"] = _text(path)
        elif path.is_dir():
            for file in sorted(path.rglob("*")):
                if file.is_file() and not file.name.startswith("."):
                    found[str(file.relative_to(path))] = _text(file)
    return {
        name: text
        for name, text in found.items()
        if not text.startswith(_VAULT) and Path(name).name != "fingerprints.yml"
    }


def group_file(name: str, host: str, variables: Mapping[str, Any], parents: Iterable[str]) -> str:
    """An inventory file with one group, its host, and the groups above it."""
    group: dict[str, Any] = {"hosts": {host: dict(variables) or None}}
    children: dict[str, Any] = {name: group}
    for parent in parents:
        children[parent] = {"children": {name: None}}
    text: str = yaml.safe_dump({"all": {"children": children}}, sort_keys=False).replace(" null", "")
    return f"# The environment {name}.\n---\n{text}"


def write_all(directory: Path, files: Mapping[str, str]) -> list[Path]:
    """Write files that do not exist yet, all or none. Returns what was made, directories first.

    Raises Unusable where one exists or cannot be written; then none is left.
    """
    there = [name for name in files if os.path.lexists(directory / name)]
    if there:
        raise Unusable(f"{', '.join(str(directory / name) for name in there)} exists; nothing was written")
    made: list[Path] = []
    try:
        for name, text in files.items():
            path = directory / name
            missing = [parent for parent in (path.parent, *path.parent.parents) if not parent.exists()]
            for parent in reversed(missing):
                parent.mkdir()
                made.append(parent)
            with path.open("x", encoding="utf-8") as file:
                made.append(path)
                file.write(text)
    except OSError as error:
        remove(made)
        raise Unusable(f"{directory / name} cannot be written: {error.strerror}; nothing was written") from error
    return made


def remove(made: Iterable[Path]) -> None:
    """Remove exactly what :func:`write_all` made."""
    for path in sorted(made, reverse=True):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


def read_text(path: Path) -> str:
    """The text of a file; empty where there is none. Raises Unusable where it cannot be read."""
    return _text(path) if os.path.lexists(path) else ""


def replace_all(directory: Path, files: Mapping[str, str]) -> None:
    """Write files whether they exist or not, each as a whole. Raises Unusable where one cannot be written."""
    for name, text in files.items():
        path = directory / name
        temporary = path.with_name(f".{path.name}.new")
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise Unusable(f"{path} cannot be written: {error.strerror}") from error


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise Unusable(f"{path} is larger than {_LARGEST} bytes, which is no file of variables")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise Unusable(f"{path} cannot be read: {reason}") from error
