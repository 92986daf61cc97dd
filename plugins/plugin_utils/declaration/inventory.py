# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet as the inventory declares it: every environment, whatever ``-l`` selects, without the others' secrets.

``hostvars`` cannot serve: a locked vault file makes all variables of its hosts unreadable, ``-e`` rewrites them, and
play variables are mixed in. So the same sources are read once more, with a loader that seals what is locked, and
without ``-e``: ``command_line.py`` says which of its variables count.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.inventory.group import Group
from ansible.inventory.manager import InventoryManager
from ansible.parsing.vault import AnsibleVaultError, AnsibleVaultFormatError, EncryptedString, VaultHelper
from ansible.plugins.loader import vars_loader
from ansible.vars.manager import VariableManager
from ansible.vars.plugins import _plugin_should_run, get_vars_from_inventory_sources, get_vars_from_path

from ..isolation.model import SEAL, Where
from .loading import LOCKED, UNREADABLE, OthersLoader, loader
from .templates import sealed

try:  # Private in ansible-core: only used to say where a variable was set.
    from ansible._internal._datatag._tags import Origin
except ImportError:  # pragma: no cover
    Origin = None


#: The variable in which Ansible has all groups with their hosts. Each host has it, so that a walk through the values
#: of every host would take quadratic time; whatever an inventory sets of that name is replaced.
GROUPS = "groups"


def seal(value: Any, opened: bool = True, name: str = "") -> Any:
    """Replace inline ``!vault`` values: by their texts where they are ``opened``, else by sealed values.

    A sealed value is a template that refuses to be evaluated; see :mod:`templates`. ``name`` is what it is called.
    """
    if isinstance(value, EncryptedString):
        damage = ""
        try:
            if opened:
                return str(value)
        except AnsibleVaultError:
            pass
        except AnsibleVaultFormatError:
            damage = "; it is damaged: cut short, or changed by hand"
        refusing = sealed(_encrypted(value, name, damage))
        origin = Origin.get_tag(value) if Origin is not None else None
        return origin.tag(refusing) if origin else refusing
    if isinstance(value, dict):
        if not _holds_encrypted(value):
            return value
        return {key: seal(item, opened, f"{name}.{key}" if name else str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return value if not _holds_encrypted(value) else [seal(item, opened, name) for item in value]
    return value


def seal_each(variables: Mapping[str, Any], opened: bool) -> dict[str, Any]:
    """The variables of a host, with their inline ``!vault`` values replaced."""
    return {name: value if name == GROUPS else seal(value, opened, name) for name, value in variables.items()}


def _encrypted(value: EncryptedString, name: str, damage: str = "") -> str:
    """An encrypted value in words: its name, where it was written, its vault id, and what is wrong with it."""
    header = VaultHelper.get_ciphertext(value, with_tags=False).partition("\n")[0].split(";")
    identity = header[3].strip() if len(header) > 3 else "default"
    where = place(value, "")
    written = f"{where.file}:{where.line}, " if where.file else ""
    return f"{name or 'an encrypted value'} ({written}vault id {identity}{damage})"


def _holds_encrypted(value: Any) -> bool:
    if isinstance(value, EncryptedString):
        return True
    if isinstance(value, dict):
        return any(_holds_encrypted(item) for item in value.values())
    return isinstance(value, list) and any(_holds_encrypted(item) for item in value)


def place(value: Any, name: str) -> Where:
    """Where a variable's value was written, if ansible-core still knows; else only its name."""
    origin = Origin.get_tag(value) if Origin is not None else None
    path = getattr(origin, "path", None)
    if not path:
        return Where(item=name)
    here = os.getcwd()  # noqa: PTH109 - a Path would take as long as what is saved
    return Where(_below(path, here), getattr(origin, "line_num", 0) or 0, name)


@lru_cache(maxsize=256)
def _below(path: str, directory: str) -> str:
    """A path as it is written in a directory: each file sets many variables."""
    return os.path.relpath(path, directory)


def spot(value: Any) -> tuple[str, int, int]:
    """The file, line and column, from 1, at which a value was written; empty and 0 if ansible-core does not know."""
    origin = Origin.get_tag(value) if Origin is not None else None
    found = (getattr(origin, name, None) for name in ("path", "line_num", "col_num"))
    path, line, column = found
    return str(path or ""), line or 0, column or 0


@dataclass(frozen=True)
class InventoryEnvironment:
    """An environment as an inventory group declares it, before anything is templated.

    ``variables`` are those of its first host, ``own`` those that the group itself sets. ``locked`` are vault files that
    were not opened, ``unreadable`` files that were not read, each with the reason. ``opened`` says that the run's vault
    secrets were used to read it. ``extra`` are the variables of ``-e``, which are in none of the others. ``others`` are
    the variables of its further hosts, by their names.
    """

    group: str
    hosts: tuple[str, ...]
    own: Mapping[str, Any]
    variables: Mapping[str, Any]
    locked: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    opened: bool = False
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Inventory:
    """The running inventory, read once more from its sources.

    The run's vault secrets open its hosts and groups, as for Ansible itself, and the variables of the environments
    that are ``opened`` by :meth:`environment`. All others are read without any secret.
    """

    def __init__(
        self, sources: Sequence[str], vault_secrets: Sequence[Any] | None, basedir: str, directories: Sequence[str] = ()
    ) -> None:
        self.loader = loader(basedir, vault_secrets)
        self._closed_loader = loader(basedir, None, OthersLoader)
        self.manager = InventoryManager(loader=self.loader, sources=list(sources))
        self.variables = VariableManager(loader=self.loader, inventory=self.manager)
        #: The variables that ``-e`` sets. No variable of a host has them.
        self.extra_variables: Mapping[str, Any] = dict(self.variables.extra_vars)
        self.variables._extra_vars = {}
        # Where Ansible reads variables with the hosts (ANSIBLE_RUN_VARS_PLUGINS=start), it does so with all secrets.
        self._closed_manager = (
            InventoryManager(loader=self._closed_loader, sources=list(sources)) if _reads_at_start() else self.manager
        )
        self._closed = VariableManager(loader=self._closed_loader, inventory=self._closed_manager)
        self._closed._extra_vars = {}
        self._directories = tuple(dict.fromkeys([basedir, *directories]))
        self._of_hosts: dict[tuple[str, bool], Mapping[str, Any]] = {}

    def group_variables(self, group: Group) -> dict[str, Any]:
        """The variables that a group itself sets: in the inventory, beside it, and beside the playbook."""
        loader = self._closed_loader
        found = dict(_same(self._closed_manager.groups, group.name).get_vars())
        found.update(get_vars_from_inventory_sources(loader, self.manager._sources, [group], "task"))
        for directory in self._directories:
            found.update(get_vars_from_path(loader, directory, [group], "task"))
        return found

    def know(self, files: Mapping[str, Any]) -> None:
        """Take what :class:`FilesOfGroups` has read, perhaps in another process."""
        self._closed_loader._FILE_CACHE.update(files)

    @cached_property
    def environment_groups(self) -> dict[str, dict[str, Any]]:
        """The groups that declare an environment at group level, with their own variables."""
        found: dict[str, dict[str, Any]] = {}
        for name, group in self.manager.groups.items():
            variables = self.group_variables(group)
            if variables.get("bulkhead_environment") is not None:
                found[name] = variables
        return found

    @cached_property
    def undeclared(self) -> dict[str, list[tuple[str, str]]]:
        """Groups of which is not known whether they declare an environment, with the files that were not read."""
        unread = {
            name: list(_unreadable(self.group_variables(group)))
            for name, group in self.manager.groups.items()
            if name != "all" and name not in self.environment_groups
        }
        return {name: files for name, files in unread.items() if files}

    def environments(self) -> Iterator[InventoryEnvironment]:
        """Every declared environment that has a host, in the inventory's order, read without secrets."""
        return (self.environment(name) for name in self.environment_groups if self.hosts_of(name))

    def environment(self, group: str, opened: bool = False) -> InventoryEnvironment:
        """The environment of a group that has a host; ``opened`` with the run's vault secrets."""
        own, hosts = self.environment_groups[group], self.hosts_of(group)
        variables = self.host_variables(hosts[0], opened)
        if variables.get("bulkhead_environment") != own["bulkhead_environment"]:
            # The host belongs to another environment as well; the group itself says which one this is.
            variables = {**variables, **own}
        locked = tuple(str(value) for key, value in variables.items() if str(key).startswith(LOCKED))
        unreadable = tuple(_unreadable(variables))
        others = {host: self.host_variables(host, opened) for host in hosts[1:]}
        return InventoryEnvironment(
            group, hosts, own, variables, locked, unreadable, self.extra_variables, opened, others
        )

    def hosts_of(self, group: str) -> tuple[str, ...]:
        """The hosts of a group and of the groups below it."""
        return tuple(host.name for host in self.manager.groups[group].get_hosts())

    def ancestors_of(self, group: str) -> set[str]:
        """The groups above a group."""
        return {ancestor.name for ancestor in self.manager.groups[group].get_ancestors()}

    def host_variables(self, host: str, opened: bool = False) -> Mapping[str, Any]:
        """All inventory variables of a host, before anything is templated; ``opened`` with the run's vault secrets."""
        if (host, opened) not in self._of_hosts:
            reader, manager = (self.variables, self.manager) if opened else (self._closed, self._closed_manager)
            found = reader.get_vars(host=_same(manager.hosts, host), include_hostvars=False)
            self._of_hosts[host, opened] = found
        return self._of_hosts[host, opened]

    def declared_on_host(self, host: str) -> Any:
        """The environment that a host's variables name, wherever it was set."""
        return self.host_variables(host).get("bulkhead_environment")


class FilesOfGroups:
    """Reads the files of groups as an inventory will, which may be a while before it needs them."""

    def __init__(self, sources: Sequence[str], basedir: str) -> None:
        self._loader = loader(basedir, None, OthersLoader)
        beside = [str(path if path.is_dir() else path.parent) for path in map(Path, sources) if path.exists()]
        self._directories = tuple(dict.fromkeys([*beside, basedir]))

    def __call__(self, groups: Iterable[str]) -> dict[str, Any]:
        """What the files of these groups hold, by path, as far as they were not read before."""
        known = set(self._loader._FILE_CACHE)
        with suppress(AnsibleError):  # the inventory will say it
            for directory in self._directories:
                vars_loader.get("host_group_vars").get_vars(self._loader, directory, list(map(Group, groups)))
        return {path: found for path, found in self._loader._FILE_CACHE.items() if path not in known}


def _reads_at_start() -> bool:
    """Whether a plugin reads variables of groups and hosts together with the hosts."""
    return any(_plugin_should_run(plugin, "inventory") for plugin in vars_loader.all())


def _same(known: Mapping[str, Any], name: str) -> Any:
    """A group or host of this name. Raises AnsibleError where it cannot be read without secrets."""
    if name in known:
        return known[name]
    raise AnsibleError(
        f"{name} is in a file of hosts that is encrypted, and variables are read together with the hosts "
        "(ANSIBLE_RUN_VARS_PLUGINS=start, or the stage of a vars plugin), so other environments cannot be read without "
        "secrets: leave that setting at 'demand', or do not encrypt hosts"
    )


def _unreadable(variables: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The files that were not read, and why."""
    return (value for key, value in variables.items() if str(key).startswith(UNREADABLE))


def holds_seal(value: Any) -> bool:
    """Whether a resolved value is sealed or contains something that is."""
    if isinstance(value, str):
        return SEAL in value
    if value is None or isinstance(value, (int, float)):
        return False
    # A dict is a Mapping too, but that takes ten times as long to find out.
    if isinstance(value, (dict, Mapping)):
        return any(map(holds_seal, value.values()))
    return isinstance(value, (list, tuple)) and any(map(holds_seal, value))
