# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventories: each host belongs to one environment, whose variables come from its own files."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping

from ..facts.playbooks import IDENTITY, Code, each_code
from ..model import Severity, Where
from ..readers.ansible.inventory import InventoryGroup, Placed, Variables
from ..wording import listing, some
from . import Hit, rule


@rule("unreadable-ansible", severity=Severity.MEDIUM)
@each_code
def unreadable_ansible(code: Code) -> Iterator[Hit]:
    """A file of variables, plays or hosts cannot be read."""
    for path, error in code.unreadable:
        yield Hit(
            code.owners,
            path,
            f"{path} cannot be read as Ansible would: {error.message}. It was not checked for {listing(code.owners)}.",
            "Correct the file; 'ansible-playbook --syntax-check' and 'ansible-inventory --list' name the place too.",
            (Where(path, error.line),),
        )


@rule("host-in-two-environments", "AN-01", "AN-26", severity=Severity.CRITICAL)
@each_code
def host_in_two_environments(code: Code) -> Iterator[Hit]:
    """A host is a member of two environments' groups, so it gets the variables of one of them at random."""
    for groups in _merged(code):
        homes: dict[str, dict[str, Where]] = {}
        for name in code.environments:
            if not any(parent != name and name in code.below(parent) for parent in code.environments):
                for host, where in code.members(groups, name).items():
                    homes.setdefault(host, {})[name] = where
        for host, found in homes.items():
            if len(found) < 2:
                continue
            files = {where.file for where in found.values()}
            together = f" once {listing(sorted(files))} are one inventory" if len(files) > 1 else ""
            yield Hit(
                code.concerned(*(code.environments[name] for name in found)),
                host,
                f"The host {host} is in the groups {listing(found)}{together}. The variables of one group win, "
                f"whatever -l says: a run for {_environments(code, found)} deploys the values of the other.",
                "Give each environment its own inventory name for the machine, with the same ansible_host: "
                f"{host}_{next(iter(found), '')} and so on.",
                tuple(found.values()),
                host,
                hazards=("AN-26", "AN-01") if len(files) > 1 else ("AN-01",),
            )


def _merged(code: Code) -> Iterable[Mapping[str, InventoryGroup]]:
    """The groups of each directory's inventories. Ansible merges them when given the directory."""
    folders: dict[str, dict[str, InventoryGroup]] = {}
    for inventory in code.inventories:
        groups = folders.setdefault(posixpath.dirname(inventory.path), {})
        for name, group in inventory.groups.items():
            whole = groups.setdefault(name, InventoryGroup())
            for host, where in group.hosts.items():
                whole.hosts.setdefault(host, where)
            whole.children.update(group.children)
    return folders.values()


def _environments(code: Code, groups: Mapping[str, object]) -> str:
    """The environments behind some groups, for messages."""
    return some([code.environments[name] for name in groups], " or ")


@rule("nested-environments", "AN-25", severity=Severity.HIGH)
@each_code
def nested_environments(code: Code) -> Iterator[Hit]:
    """The group of an environment lies within another environment's."""
    for outer in code.environments:
        for inner in code.environments:
            if inner != outer and inner in code.below(outer):
                names = code.environments[outer], code.environments[inner]
                yield Hit(
                    code.concerned(*names),
                    f"{outer}/{inner}",
                    f"The group {inner} of {names[1]} is inside {outer} of {names[0]}: a run for {names[0]} also "
                    f"deploys {names[1]}, and variables of {names[0]} reach {names[1]}.",
                    "Make both groups children of a third group that is not an environment.",
                    (code.groups[outer].children.get(inner, Where(item=f"{outer}.children")),),
                )


@rule("group-priority", "AN-02", severity=Severity.HIGH)
@each_code
def group_priority(code: Code) -> Iterator[Hit]:
    """ansible_group_priority decides between environments, or stands where it does nothing."""
    for where, group, why in _priorities(code):
        yield Hit(
            code.concerned(code.environments.get(group, "")),
            f"ansible_group_priority of {group}",
            f"ansible_group_priority of {group} {why}. This affects {listing(code.concerned())}.",
            "Remove it, and give each environment its own inventory name for a machine that they share.",
            (where,),
        )


def _priorities(code: Code) -> Iterator[tuple[Where, str, str]]:
    key = "ansible_group_priority"
    for file in code.variables:
        if key in file.values:
            yield file.values[key][1], file.of, "is set in a file of variables, where Ansible ignores it"
    for name in code.environments:
        if key in code.groups[name].variables:
            yield (
                code.groups[name].variables[key][1],
                name,
                "makes the values of this group win on every host that it shares, whatever -l says",
            )


@rule("unused-group-vars", "AN-06", severity=Severity.HIGH)
@each_code
def unused_group_vars(code: Code) -> Iterator[Hit]:
    """A file in group_vars is named after no group, so nothing reads it."""
    if not code.inventories:
        return
    for file in code.variables:
        if file.scope != "group" or file.of in ("all", "ungrouped") or file.of in code.groups:
            continue
        prefix = code.words.get(file.of.lower(), "")
        meant = (prefix,) if prefix else code.concerned()
        yield Hit(
            meant,
            file.path,
            f"No group is called {file.of}, so Ansible never reads {file.path}: the values of {listing(meant)} come "
            "from group_vars/all and the roles' defaults.",
            f"Rename it after its group; the groups are {listing(sorted(code.groups))}.",
            (Where(file.path),),
        )


@rule("overridden-group-vars", "AN-08", severity=Severity.HIGH)
@each_code
def overridden_group_vars(code: Code) -> Iterator[Hit]:
    """A group has one variable in two places, and the one beside the playbook wins."""
    beside_inventory = {posixpath.dirname(inventory.path) for inventory in code.inventories}
    seen: dict[tuple[str, str], list[tuple[Variables, Placed]]] = {}
    for file in code.variables:
        if file.scope == "group":
            for key, placed in file.values.items():
                seen.setdefault((file.of, key), []).append((file, placed))
    for (group, key), found in seen.items():
        bases = {file.base for file, _placed in found}
        # A run uses one inventory, but always the playbook's own directory as well.
        if len(bases) < 2 or bases <= beside_inventory:
            continue
        files = [file.path for file, _placed in found]
        yield Hit(
            code.concerned(code.environments.get(group, "")),
            f"{group}.{key}",
            f"{key} of the group {group} is set in {' and in '.join(files)}. The file beside the playbook wins, so "
            f"{listing(code.concerned(code.environments.get(group, '')))} may get another's value without a word.",
            f"Keep {key} of {group} beside the inventory only.",
            tuple(placed[1] for _item, placed in found),
        )


@rule("identity-in-host-vars", "AN-09", severity=Severity.HIGH)
@each_code
def identity_in_host_vars(code: Code) -> Iterator[Hit]:
    """A host's own variable says which environment it is, and beats the group's."""
    for host, key, where in _of_hosts(code):
        homes = [name for name in code.environments if host in code.members(code.groups, name)]
        yield Hit(
            code.concerned(*(code.environments[name] for name in homes)),
            f"{host}.{key}",
            f"{key} is set for the host {host}, which beats the group's value in every environment of that host: the "
            f"groups no longer keep {listing(code.concerned())} apart.",
            f"Set {key} in group_vars of each environment's group.",
            (where,),
        )


def _of_hosts(code: Code) -> Iterator[tuple[str, str, Where]]:
    for file in code.variables:
        if file.scope == "host":
            yield from ((file.of, key, where) for key, (value, where) in file.values.items() if _identity(key, value))
    for inventory in code.inventories:
        for host, values in inventory.hosts.items():
            yield from ((host, key, where) for key, (value, where) in values.items() if _identity(key, value))


def _identity(key: str, value: object) -> bool:
    return bool(IDENTITY.search(key)) and not key.startswith("ansible_") and not isinstance(value, Mapping)


@rule("parallel-aliases", "AN-20", severity=Severity.MEDIUM)
@each_code
def parallel_aliases(code: Code) -> Iterator[Hit]:
    """A play runs for two environments of one machine at the same time."""
    for play in code.plays:
        if not code.unguarded(play) or str(play.keywords.get("serial", "")) == "1" or "throttle" in play.keywords:
            continue
        for address, hosts in _by_address(code).items():
            homes = {name: host for host in hosts for name in code.covers(play.hosts)
                     if name in code.groups and host in code.members(code.groups, name)}  # fmt: skip
            if len(set(homes.values())) > 1:
                yield Hit(
                    code.concerned(*(code.environments[name] for name in homes)),
                    address,
                    f"{listing(homes.values())} are one machine ({address}), and the play for {play.hosts!r} runs on "
                    f"them at once: {_environments(code, homes).replace(' or ', ' and ')} change the same files and "
                    "images at the same time, and one loses.",
                    "Deploy one environment at a time (-l), or set serial: 1.",
                    (play.where,),
                    address,
                )


@rule("shared-control-socket", "AN-21", severity=Severity.MEDIUM)
@each_code
def shared_control_socket(code: Code) -> Iterator[Hit]:
    """Two environments log in as one user with different keys, over one kept connection."""
    for address, hosts in _by_address(code).items():
        users: dict[tuple[str, str], dict[str, tuple[str, Where]]] = {}
        for host in hosts:
            key, where = _connection(code, host, "ansible_ssh_private_key_file")
            paths = [_connection(code, host, name)[0] for name in ("ansible_control_path_dir", "ansible_control_path")]
            if key and not any(paths):
                login = _connection(code, host, "ansible_user")[0], _connection(code, host, "ansible_port")[0]
                users.setdefault(login, {})[host] = key, where
        for (user, _port), found in users.items():
            if len({key for key, _where in found.values()}) > 1:
                homes = [name for name in code.environments if set(found) & set(code.members(code.groups, name))]
                yield Hit(
                    code.concerned(*(code.environments[name] for name in homes)),
                    f"{user or 'user'}@{address}",
                    f"{listing(found)} log in as {user or 'the same user'} on {address} with different keys. SSH "
                    f"keeps one connection for them, so {_environments(code, dict.fromkeys(homes))} runs with the "
                    "key of whichever came first, and a wrong or revoked key goes unnoticed.",
                    "Set ansible_control_path_dir for each environment, or give each its own user.",
                    tuple(where for _key, where in found.values()),
                    address,
                )


def _by_address(code: Code) -> Mapping[str, list[str]]:
    """The hosts of environments by address, for addresses with more than one."""
    found: dict[str, list[str]] = {}
    for name in code.environments:
        for host in code.members(code.groups, name):
            address = _connection(code, host, "ansible_host")[0] or host
            if host not in found.setdefault(address, []):
                found[address].append(host)
    return {address: hosts for address, hosts in found.items() if len(hosts) > 1}


def _connection(code: Code, host: str, key: str) -> tuple[str, Where]:
    """A variable of a host, from its own entry or else its groups."""
    for inventory in code.inventories:
        if key in inventory.hosts.get(host, {}):
            value, where = inventory.hosts[host][key]
            return str(value), where
    for file in code.variables:
        mine = file.of == host if file.scope == "host" else host in code.members(code.groups, file.of)
        if file.scope in ("host", "group") and mine and key in file.values:
            return str(file.values[key][0]), file.values[key][1]
    for name, group in code.groups.items():
        if key in group.variables and (name == "all" or host in code.members(code.groups, name)):
            return str(group.variables[key][0]), group.variables[key][1]
    return "", Where()


@rule("group-named-as-host", "AN-30", severity=Severity.LOW)
@each_code
def group_named_as_host(code: Code) -> Iterator[Hit]:
    """A group and a host have one name, so -l means both."""
    hosts = {host: where for group in code.groups.values() for host, where in group.hosts.items()}
    for name in sorted(hosts.keys() & code.groups.keys()):
        yield Hit(
            code.concerned(code.environments.get(name, "")),
            name,
            f"A group and a host are both called {name}: -l {name} means both, and Ansible only warns. This affects "
            f"{listing(code.concerned(code.environments.get(name, '')))}.",
            f"Rename the host, for example to {name}01.",
            (hosts[name],),
        )
