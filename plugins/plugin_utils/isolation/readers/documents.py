# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read other files that affect the machine: not Compose, nginx or environment files."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from ..model import Claim, Document, Reference, Where
from . import logrotate, pgbouncer, postgresql, redis, sql, workflow
from .ansible import plays
from .shell import schedules, scripts

_SHELL_NAMES = re.compile(r"\.(?:ba|da|k|z|a)?sh$|^(?:deploy|backup|restore|entrypoint)$")
_UNIT_NAMES = re.compile(r"\.(?:service|timer|socket|path|mount|target|slice)$")
_YAML_NAMES = re.compile(r"\.ya?ml$")
#: A list of mappings, whichever way YAML lets one write it: plays or tasks.
_LIST = re.compile(
    r"\ufeff?(?:[ \t]*(?:#.*)?\r?\n|---.*\n)*(?:---)?[ \t]*[-\[]\s*(?:&\w+\s*)?(?:\{\s*)?"
    r"(?:[\w.]+|'[\w.]+'|\"[\w.]+\")[ \t]*:(?:\s|\Z)"
)
_SHEBANG = re.compile(r"#!\s*\S*?(?:/env\s+(?:-\S+\s+)*)?(?:\S*/)?(?:ba|da|k|z|a)?sh\b")
_CRON_LINE = re.compile(
    r"^(?:[\d*][\d*/,-]*[ \t]+){3}(?:[\d*a-zA-Z][\w*/,-]*[ \t]+){2}\S|^(?:" + "|".join(schedules.CRON_WORDS) + r")[ \t]"
)


def kind_of(path: str, text: str) -> str:
    """The kind of a document, by its name or else by its content."""
    name = posixpath.basename(path).lower()
    folders = path.lower().split("/")[:-1]
    by_name = _kind_by_name(name, folders, text)
    if by_name:
        return by_name
    head = text[:4000]
    if _SHEBANG.match(head):
        return "shell"
    if re.search(r"^\[(?:databases|pgbouncer)\]", head, re.MULTILINE):
        return "pgbouncer"
    lines = [line for line in head.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if lines and all(_CRON_LINE.match(line) or re.match(r"^\w+\s*=", line) for line in lines[:5]):
        return "cron" if any(_CRON_LINE.match(line) for line in lines[:5]) else "text"
    return "text"


def _kind_by_name(name: str, folders: list[str], text: str) -> str:
    if name.endswith(".dockerignore"):
        return "dockerignore"
    if name.startswith(("dockerfile", "containerfile")) or name.endswith((".dockerfile", ".containerfile")):
        return "dockerfile"
    if _YAML_NAMES.search(name):
        return _kind_of_yaml(name, folders, text)
    if "cron.d" in folders or name.startswith("crontab") or name.endswith((".cron", ".crontab")):
        return "cron"
    if _UNIT_NAMES.search(name):
        return "systemd"
    if any(folder.startswith("logrotate") for folder in folders) or "logrotate" in name:
        return "logrotate"
    if name.endswith(".sql"):
        return "sql"
    if name.startswith("pgbouncer") and name.endswith(".ini"):
        return "pgbouncer"
    if name.endswith((".conf", ".acl")) and ("redis" in name or "redis" in folders):
        return "redis"
    if name.startswith("postgresql") and name.endswith(".conf"):
        return "postgresql"
    return "shell" if _SHELL_NAMES.search(name) or scripts.MAKEFILES.search(name) else ""


def _kind_of_yaml(name: str, folders: list[str], text: str) -> str:
    if "workflows" in folders or (
        re.search(r"^jobs\s*:", text, re.MULTILINE) and re.search(r"^['\"]?on\b", text, re.M)
    ):
        return "workflow"
    return "ansible" if _LIST.match(text) or re.search(r"^- +[\w.]+:", text, re.MULTILINE) else "text"


#: The reader of each kind. Documents of other kinds have no data.
_READERS: dict[str, Callable[[str, str], Any]] = {
    "workflow": workflow.read_workflow,
    "ansible": plays.read_playbook,
    "shell": scripts.read_script,
    "cron": schedules.read_crontab,
    "systemd": schedules.read_unit,
    "sql": sql.read_sql,
    "pgbouncer": pgbouncer.read_pgbouncer,
    "postgresql": postgresql.read_postgresql,
    "redis": redis.read_redis,
    "logrotate": logrotate.read_logrotate,
}


@lru_cache(maxsize=256)
def read_document(path: str, text: str) -> Document:
    """Read a document; in a fleet some are the same in each environment. Raises :class:`ReaderError`."""
    kind = kind_of(path, text)
    reader = _READERS.get(kind)
    return Document(path, kind, text, reader(text, path) if reader else None)


def commands(document: Document) -> tuple[scripts.Command, ...]:
    """The commands that a document of any kind runs."""
    data = document.data
    if isinstance(data, (workflow.Workflow, plays.Playbook)):
        return data.commands
    return data.commands if isinstance(data, scripts.Script) else ()


def machine_commands(document: Document) -> tuple[scripts.Command, ...]:
    """The commands that a document runs on a server, without those on a runner that its provider throws away."""
    return document.derived(_machine_commands)


def _machine_commands(document: Document) -> tuple[scripts.Command, ...]:
    found = commands(document)
    return tuple(command for command in found if not command.hosted) if any(c.hosted for c in found) else found


def claims_document(
    document: Document, *, owner: str, machine: str, directory: str = ""
) -> tuple[list[Claim], list[Reference]]:
    """The claims and references of a document."""
    claims = list(_claims(document, owner, machine))
    references = [
        Reference(
            "command",
            command.argv[0] if command.argv else "",
            owner,
            command.where,
            {"argv": command.argv, "directory": command.directory, "command": command, "kind": document.kind},
        )
        for command in commands(document)
    ]
    return claims, references


def _claims(document: Document, owner: str, machine: str) -> Iterator[Claim]:
    name = posixpath.basename(document.path)
    here = Where(document.path)
    if document.kind == "systemd":
        yield Claim("unit", machine, name, owner, here)
    elif document.kind == "cron" and "cron.d" in document.path.split("/"):
        yield Claim("cron", machine, f"/etc/cron.d/{name}", owner, here)
    elif document.kind == "workflow" and isinstance(document.data, workflow.Workflow):
        for group in document.data.groups():
            yield Claim(
                "concurrency",
                "",
                group.name.casefold(),
                owner,
                group.where,
                attributes={"cancel": group.cancel, "name": group.name},
            )
    elif document.kind == "pgbouncer":
        yield from pgbouncer.claims_pgbouncer(document.data, owner=owner, machine=machine)
    for command in machine_commands(document):
        for lock in scripts.locks(command):
            yield Claim("lock", machine, lock.path, owner, command.where, attributes={"bounded": lock.bounded})
