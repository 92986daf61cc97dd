# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why Ansible cannot open the encrypted files of variables of a run's hosts.

Ansible reads them before any task, and ends the run in its own words, which name neither file nor environment. So these
are found beforehand. Nothing here has a value: what is decrypted is only read as YAML, as Ansible does next.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.playbook.role import Role

from ..declaration.bounds import has_conflict
from ..isolation.wording import listing
from . import vault
from .editing import SecretsProblem, variables_of

#: How tasks and roles of this collection are called.
_OURS = "aiia.bulkhead."

#: How many files of others a password is tried on, to say whose it is: 7 ms each.
_TRIED = 25


@dataclass(frozen=True, slots=True)
class Unopened:
    """An encrypted file of variables that this run cannot read: of which group or host, and why, with what to do."""

    file: str
    owner: str
    why: str


def of_play(play: Any, limited: bool) -> str:
    """Why a play with a task of ours cannot begin, all files at once; empty if it can, or has no task of ours.

    ``limited`` says that the run has a ``-l``.
    """
    if not _is_ours(play):
        return ""
    variables = play.get_variable_manager()
    manager = variables._inventory
    found = unopened(manager, variables._loader, manager.get_hosts(play.hosts))
    if not found:
        return ""
    lines = [f"{item.file} of {item.owner}: {item.why}." for item in found]
    if not limited:
        lines.append("There is no -l, so this run would mean every environment. Name one: -l <environment>.")
    one = len(found) == 1
    heading = f"refused before any host was contacted: {'a file' if one else 'files'} of secrets cannot be read"
    return "\n".join([heading, *lines])


def _is_ours(play: Any) -> bool:
    """Whether a play has a task or a role of this collection."""
    pending = [*play.pre_tasks, *play.tasks, *play.post_tasks, *play.roles]
    while pending:
        item = pending.pop()
        inner = [getattr(item, name, None) or () for name in ("block", "rescue", "always")]
        role = item.get_name() if isinstance(item, Role) else getattr(item, "_role_name", "")
        if any(str(name).startswith(_OURS) for name in (role, getattr(item, "action", ""))):
            return True
        pending += [task for tasks in inner for task in tasks]
    return False


def directories(sources: Iterable[str]) -> list[Path]:
    """The directories beside an inventory's sources, in which Ansible looks for variables."""
    paths = [Path(source) for source in sources]
    return list(dict.fromkeys(path if path.is_dir() else path.parent for path in paths if path.exists()))


def unopened(manager: Any, loader: Any, hosts: Sequence[Any]) -> list[Unopened]:
    """The files of variables of these hosts that Ansible is going to fail on.

    ``manager`` and ``loader`` are the run's inventory manager and its loader, which has the vault passwords.
    """
    passwords = [(str(identity), secret) for identity, secret in loader._vault.secrets or () if secret]
    bases = [*directories(manager._sources), Path(loader.get_basedir())]
    owners = {("host_vars", host.name): None for host in hosts}
    owners |= {("group_vars", group.name): None for host in hosts for group in host.get_groups()}
    found: dict[str, Unopened] = {}
    for kind, name in owners:
        for file, text in _files(loader, bases, kind, name):
            if file not in found:
                why = problem(text, passwords, name).replace("<file>", _shown(file))
                if why:
                    found[file] = Unopened(_shown(file), name, why)
    wrong = [item for item in found.values() if item.why == _LOCKED]
    if not wrong:
        return list(found.values())
    others = {
        _shown(file): text
        for name in manager.groups
        if ("group_vars", name) not in owners
        for file, text in _files(loader, bases, "group_vars", name)
        if text.startswith(vault.MARK)
    }
    return [_explained(item, passwords, others) if item in wrong else item for item in found.values()]


_LOCKED = "no password of this run opens it"


def problem(text: str, passwords: Sequence[tuple[str, Any]], group: str) -> str:
    """Why a file of variables cannot be read with these passwords, in words that follow its name; empty if it can, or
    is not encrypted."""
    if not text.startswith(vault.MARK):
        if vault.MARK in text and has_conflict(text):
            return _said(vault.whole, text)
        return ""
    damage = _said(vault.whole, text)
    if damage:
        return damage
    if not passwords:
        identity = vault.label_of(text) or group
        return f"it is encrypted, and this run has no vault password. Add --vault-id {identity}@prompt"
    secret = next((secret for _identity, secret in vault.openers(text, passwords)), None)
    if secret is None:
        return _LOCKED
    return _said(lambda encrypted: _variables(vault.decrypted(encrypted, secret)), text)


def _variables(plain: str) -> None:
    """Raise :class:`SecretsProblem` where a text holds no variables. Ansible takes JSON as well."""
    try:
        if isinstance(json.loads(plain), dict):
            return
    except ValueError:
        pass
    variables_of(plain)


def _said(check: Callable[[str], object], text: str) -> str:
    try:
        check(text)
    except SecretsProblem as found:
        return str(found)
    return ""


def _explained(item: Unopened, passwords: Sequence[tuple[str, Any]], others: Mapping[str, str]) -> Unopened:
    """A file that no password opens, with whose password was given instead."""
    theirs = list(_theirs(passwords, others))
    given = listing(dict.fromkeys(identity for identity, _secret in passwords))
    why = f"{_LOCKED} (vault ids given: {given})"
    if theirs:
        why += f". {'; '.join(theirs)}. Give {item.owner}'s own: --vault-id {item.owner}@prompt"
    else:
        why += (
            f". The password is mistyped or another one: --vault-id {item.owner}@prompt. If it is right, the file was "
            f"changed by hand: git log -p -- {item.file} shows earlier versions"
        )
    return Unopened(item.file, item.owner, why)


def _theirs(passwords: Sequence[tuple[str, Any]], others: Mapping[str, str]) -> Iterator[str]:
    """Which other file each password opens."""
    tried = list(others.items())[:_TRIED]
    for identity, secret in passwords:
        opened = next((file for file, text in tried if vault.opens(text, secret)), "")
        if opened:
            yield f"What was given as {identity} opens {opened}"


def _files(loader: Any, bases: Iterable[Path], kind: str, name: str) -> Iterator[tuple[str, str]]:
    """The files of variables of a group or host, with their texts. What cannot be read is Ansible's to say."""
    for base in dict.fromkeys(base.absolute() for base in bases):
        try:
            found = loader.find_vars_files(str(base / kind), name)
        except (AnsibleError, OSError, RecursionError):
            continue
        for file in found:
            path = os.fsdecode(file)
            try:
                yield path, Path(path).read_bytes().decode("utf-8", "replace")
            except OSError:
                continue


def _shown(file: str) -> str:
    shown = os.path.relpath(file)
    return file if shown.startswith("..") else shown
