# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The environments of the running play's inventory, each evaluated once: declared, rendered, and read back.

The environments to deploy are evaluated with everything that Ansible has, all others without effects and without
secrets. That makes the others what forks may evaluate, and most of a large fleet is others.
"""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.utils.vars import load_extra_vars

from ..declaration.checks import check_promotion
from ..declaration.inventory import FilesOfGroups, Inventory
from ..declaration.model import Declaration
from ..declaration.resolve import declare
from ..declaration.sources import check_files_read_as_root
from ..isolation.model import Environment
from ..release.render import Release, Renderer, with_commit
from .environments import build_environment
from .proof import read_proof
from .shared_work import in_parts, processes_for, share
from .unread import is_unread

#: How many environments, and of how many groups the files, are worth a process of their own.
_EACH, _EACH_FILES = 16, 100


@dataclass(frozen=True)
class ReadEnvironment:
    """An environment with what the rules judge, what its stack has to say to people, and whether something of it that
    others could run into was not read."""

    declaration: Declaration
    judged: Environment
    notes: tuple[str, ...] = ()
    unread: bool = False


def template_directories(playbook: str, inventories: Sequence[str]) -> list[Path]:
    """Where the user's templates are: beside the playbook on the command line, beside the one that it imports, beside
    the inventory, and in the current directory.

    Ansible knows only the second, which for ``import_playbook: aiia.bulkhead.deploy`` is ours. Whether the user types a
    playbook of their own or ``aiia.bulkhead.deploy`` itself, the same templates are found.
    """
    typed = [
        Path(argument).resolve().parent for argument in context.CLIARGS.get("args", ()) if Path(argument).is_file()
    ]
    sources = [Path(source).resolve() for source in inventories if Path(source).exists()]
    beside = [source if source.is_dir() else source.parent for source in sources]
    found = [*typed, Path(playbook), *beside, Path.cwd()]
    return list(dict.fromkeys(directory / "templates" for directory in found))


class _Asked(UserDict[str, Any]):
    """A mapping that is made when it is asked for anything; for another process, it is a plain one."""

    def __init__(self, make: Callable[[], Mapping[str, Any]]) -> None:
        self._make = make

    @cached_property
    def data(self) -> dict[str, Any]:  # type: ignore[override]
        """The mapping itself."""
        return dict(self._make())

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (self.data,)


class EvaluatedFleet:
    """The fleet of the running play: its declarations and its releases."""

    def __init__(self, action: Any, task_vars: Mapping[str, Any]) -> None:
        self.task_vars = task_vars
        self._action = action
        self._loader = action._loader
        self._playbook = str(task_vars.get("playbook_dir") or self._loader.get_basedir())
        self._proof = read_proof()
        self._declarations: dict[str, Declaration] = {}
        self._releases: dict[str, Release | None] = {}
        self._read: dict[str, ReadEnvironment] = {}

    @cached_property
    def extra_variables(self) -> Mapping[str, Any]:
        """The variables that ``-e`` sets, known without the inventory."""
        return dict(load_extra_vars(self._loader))

    @cached_property
    def inventory(self) -> Inventory:
        """The inventory, read anew. Steps that ship what was proved do not need it.

        While this process reads the hosts, others read the files of a large fleet's groups, as the run knows them.
        """
        sources, made = self.task_vars["ansible_inventory_sources"], []
        names = [name for name in self.task_vars.get("groups", ()) if name not in ("all", "ungrouped")]
        processes = processes_for(len(names), _EACH_FILES)
        parts = in_parts(names, processes) if processes > 1 else []

        def make() -> None:
            made.append(Inventory(sources, self._loader._vault.secrets, self._playbook))

        for files in share(FilesOfGroups(sources, self._playbook), parts, processes, first=make):
            made[0].know(files)
        return made[0]

    @cached_property
    def renderer(self) -> Renderer:
        """What renders the environments."""
        return Renderer(self._loader, template_directories(self._playbook, self.task_vars["ansible_inventory_sources"]))

    @cached_property
    def groups(self) -> dict[str, dict[str, Any]]:
        """The environment groups with the variables that each sets itself."""
        return self.inventory.environment_groups

    @cached_property
    def selected(self) -> frozenset[str]:
        """The groups of the environments that this run may deploy: one, or several that all allow it, by ``-l``."""
        running = set(self.task_vars.get("ansible_play_hosts_all") or ())
        if not str(context.CLIARGS.get("subset") or "").strip():
            return frozenset()
        found = [group for group in self.groups if running & set(self.inventory.hosts_of(group))]
        if len(found) > 1 and not all(self._declare(group, False).values["bulkhead_allow_many"] for group in found):
            return frozenset()
        return frozenset(found)

    @property
    def declarations(self) -> list[Declaration]:
        """Every environment of the inventory."""
        return [self._declaration(group) for group in self.groups if self.inventory.hosts_of(group)]

    def declaration_of(self, host: str) -> Declaration:
        """The declaration of a host's environment, as it was proved. Raises AnsibleActionFail where it has none."""
        proved = self._proof.of_host(host)
        if proved:
            group = proved.declaration.group
            self._declarations[group], self._releases[group] = proved.declaration, proved.release
            return proved.declaration
        for group in self.groups:
            if host in self.inventory.hosts_of(group):
                # The host is in the play: Ansible itself evaluates its variables.
                return self._declaration(group, True)
        raise AnsibleActionFail(
            f"host {host} belongs to no environment: set bulkhead_environment in the group_vars of one of its groups"
        )

    def render(self, declaration: Declaration, commit: str = "") -> Release | None:
        """The release of an environment; None where its declaration has problems that prevent it.

        Its templates are evaluated once; a commit decides nothing but the application's image.
        """
        group = declaration.group
        if group not in self._releases:
            inert = declaration.inert
            self._releases[group] = self.renderer.render(declaration, inert) if declaration.usable else None
        release = self._releases[group]
        return with_commit(release, declaration, commit) if release and commit else release

    def _declaration(self, group: str, live: bool = False) -> Declaration:
        """The declaration of an environment, evaluated once; with effects only where it is the one to deploy."""
        if group not in self._declarations:
            self._declarations[group] = self._declare(group, live or group in self.selected)
        return self._declarations[group]

    def _declare(self, group: str, live: bool) -> Declaration:
        templates = self.renderer.templates if live else self.renderer.inert
        return declare(self.inventory.environment(group, live), self.inventory.loader, templates)

    def read_others(self) -> None:
        """Read the environments that are not to be deployed, and of which nothing is known yet, on all processors."""
        groups = [group for group in self.groups if self.inventory.hosts_of(group)]
        unknown = [group for group in groups if group not in self._declarations and group not in self.selected]
        processes = processes_for(len(unknown), _EACH)
        parts = in_parts(unknown, processes)
        for found in share(self._read_part, parts, processes):
            for one in found:
                group = one.declaration.group
                one.declaration.available = _Asked(partial(self._available, group))
                self._declarations[group] = one.declaration
                self._read[group] = one

    def _available(self, group: str) -> Mapping[str, Any]:
        return self._declare(group, False).available

    def _read_part(self, groups: Sequence[str]) -> list[ReadEnvironment]:
        """Some environments, each step for all of them before the next: then the processor's caches hold its code.

        They have nothing of what their templates may use: that is most of them, and hardly ever asked for again.
        """
        for group in groups:
            self.inventory.host_variables(self.inventory.hosts_of(group)[0])
        declarations = [self._declaration(group) for group in groups]
        for declaration in declarations:
            self.render(declaration)
        found = [self.read(declaration) for declaration in declarations]
        for declaration in declarations:
            declaration.available = {}
        return found

    def check_together(self) -> None:
        """Note in the declarations what shows only where all are looked at together.

        What has such a problem is not rendered: where that was done already, the environment is evaluated anew.
        """
        known = {declaration.group: len(declaration.problems) for declaration in self.declarations}
        check_promotion(self.declarations)
        check_files_read_as_root(self.declarations)
        changed = [own.group for own in self.declarations if len(own.problems) > known[own.group]]
        again = [group for group in changed if group in self._read]
        for group in again:
            del self._read[group], self._declarations[group]
            self._releases.pop(group, None)
        if again:
            check_promotion(self.declarations)
            check_files_read_as_root(self.declarations)

    def read(self, declaration: Declaration) -> ReadEnvironment:
        """An environment as the rules judge it."""
        group = declaration.group
        if group not in self._read:
            release = self.render(declaration)
            judged = build_environment(declaration, release)
            notes = release.stack.notes if release else ()
            unread = declaration.inert and is_unread(declaration, release)
            self._read[group] = ReadEnvironment(declaration, judged, notes, unread)
        return self._read[group]
