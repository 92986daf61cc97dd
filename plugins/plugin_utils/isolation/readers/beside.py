# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that belong to those of an environment without being listed."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from ..model import SEALED, ComposeProject, Document, Setting

#: The names that Compose looks for without -f, the first one counts; and those that it merges over that file.
DEFAULT_FILES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
DEFAULT_OVERRIDES = ("compose.override.yml", "compose.override.yaml", "docker-compose.override.yml",
                     "docker-compose.override.yaml")  # fmt: skip


#: What a deployment replaces by the value: __NAME__, {{ NAME }}, <NAME>, #{NAME}#, @NAME@, %NAME%.
_TEMPLATE = re.compile(r"__\w+__|\{\{.*\}\}|<[\w .-]+>|#\{.*\}#?|@[A-Z]\w+@|%[A-Z]\w+%|\[\[.*\]\]")


def known_or_sealed(setting: Setting) -> Setting:
    """A setting, sealed if its value is only a place for one, which two environments may well have in common."""
    return replace(setting, value=SEALED) if setting.text and _TEMPLATE.fullmatch(setting.text.strip()) else setting


def default_files(directory: str, exists: Callable[[str], bool]) -> list[str]:
    """The files that Compose uses without ``-f`` in a directory."""
    existing = []
    for names in (DEFAULT_FILES, DEFAULT_OVERRIDES):
        first = next(filter(exists, (posixpath.join(directory, name) for name in names)), None)
        if first is None:
            break
        existing.append(first)
    return existing


def nginx_mounts(projects: Iterable[ComposeProject]) -> Iterator[str]:
    """The machine's files that services mount as configurations of nginx."""
    for project in projects:
        for service in project.services.values():
            for mount in service.get("volumes") or ():
                source, target = str(mount.get("source") or ""), str(mount.get("target") or "")
                if mount.get("type") == "bind" and target.startswith("/etc/nginx/") and source.endswith(".conf"):
                    yield source


def ignore_files(
    documents: Iterable[Document], projects: Iterable[ComposeProject], show: Callable[[str], str]
) -> Iterator[str]:
    """The files that may keep something out of a build, as the user would write their paths."""
    for document in documents:
        if document.kind == "dockerfile":
            yield posixpath.join(posixpath.dirname(document.path), ".dockerignore")
            yield f"{document.path}.dockerignore"
    for project in projects:
        for service in project.services.values():
            context = str((service.get("build") or {}).get("context") or "")
            if context.startswith("/"):
                yield posixpath.normpath(posixpath.join(show(context), ".dockerignore"))
