# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible variables: an environment's values come from its own group, not defaults, lookups or another host."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..facts.playbooks import IDENTITY, Code, each_code, texts, value_text
from ..model import Severity, Where
from ..readers.ansible.tasks import is_true
from ..wording import listing
from . import Hit, rule

_DEFAULT = re.compile(r"\bdefault\(\s*(['\"])(.+?)\1")
_LOOKUP = re.compile(
    r"\b(?:lookup|query|q)\(\s*(['\"])(?:ansible\.builtin\.)?(password|env)\1\s*,\s*(['\"])(.+?)\3([^)]*)"
)
_SECRET = re.compile(r"pass|secret|token|key|dsn|credential|private", re.IGNORECASE)
_FIRST_OF_ALL = re.compile(r"groups(?:\.|\[\s*['\"])(\w+)(?:['\"]\s*\])?\s*(?:\[\s*0\s*\]|\|\s*first)")
_HOST_OF = re.compile(r"hostvars\[\s*(['\"])([^'\"]+)\1\s*\]")


@rule("environment-value-as-default", "AN-07", severity=Severity.HIGH)
@each_code
def environment_value_as_default(code: Code) -> Iterator[Hit]:
    """A value of one environment is what all others get when they set none."""
    for where, key, value in _defaults(code):
        for owner, word in code.owners_in(value).items():
            yield Hit(
                code.concerned(owner),
                key,
                f"{key} defaults to {word} of {owner}: any of {listing(code.concerned(owner))} that does not set it "
                f"uses {owner}'s.",
                "Give no default to what differs between environments: the run then fails instead.",
                (where,),
            )


def _defaults(code: Code) -> Iterator[tuple[Where, str, str]]:
    """The values that every environment falls back to."""
    for file in code.variables:
        if file.scope == "default" or (file.scope == "group" and file.of == "all"):
            yield from ((where, key, value_text(value)) for key, (value, where) in file.values.items())
    for name in ("all", "ungrouped"):
        if name in code.groups:
            values = code.groups[name].variables
            yield from ((where, key, value_text(value)) for key, (value, where) in values.items())
    for where, text in texts(code):
        for _quote, value in _DEFAULT.findall(text):
            yield where, where.item, value


@rule("identity-in-role-vars", "AN-12", severity=Severity.HIGH)
@each_code
def identity_in_role_vars(code: Code) -> Iterator[Hit]:
    """A role's vars carry an environment's values, which beat those of every group."""
    for file in code.variables:
        if file.scope != "role":
            continue
        for key, (value, where) in file.values.items():
            owners = code.owners_in(value_text(value))
            literal = IDENTITY.search(key) and not isinstance(value, Mapping) and "{{" not in value_text(value)
            if owners or literal:
                yield Hit(
                    code.concerned(*owners),
                    f"{file.of}.{key}",
                    f"The role {file.of} sets {key} in its vars, which beat group_vars and reach the roles before it "
                    f"in the play: each of {listing(code.concerned(*owners))} is deployed with this value.",
                    f"Move {key} to group_vars of the environment, or to the role's defaults without a value.",
                    (where,),
                )


@rule("shared-password-lookup", "AN-22", severity=Severity.HIGH)
@each_code
def shared_password_lookup(code: Code) -> Iterator[Hit]:
    """A generated password is kept in one file for all environments."""
    for where, _plugin, path, rest in _lookups(code, "password"):
        joined = "~" in rest or "+" in rest
        if not path.startswith("/dev/null") and not code.scoped(path) and not joined:
            yield Hit(
                code.concerned(),
                path,
                f"The password in {path.partition(' ')[0]} is generated once: {listing(code.concerned())} get the "
                "same secret, so each can log in as the other.",
                "Put the environment into the path, or keep the secret in the environment's own vault file.",
                (where,),
            )


@rule("controller-environment", "AN-23", severity=Severity.HIGH)
@each_code
def controller_environment(code: Code) -> Iterator[Hit]:
    """A secret or identity comes from the shell of whoever deploys, for every environment alike."""
    for where, _plugin, name, _rest in _lookups(code, "env"):
        if (_SECRET.search(name) or IDENTITY.search(name.lower())) and not code.scoped(name) and not _own(code, where):
            yield Hit(
                code.concerned(),
                name,
                f"{where.item or 'A value'} comes from ${name} of the shell that deploys: what was exported for one "
                f"of {listing(code.concerned())} reaches the others too.",
                "Take it from the environment's own vault file, or from a variable with the environment in its name.",
                (where,),
            )


def _lookups(code: Code, plugin: str) -> Iterator[tuple[Where, str, str, str]]:
    for where, text in texts(code):
        if plugin in text:
            for _quote, found, _other, argument, rest in _LOOKUP.findall(text):
                if found == plugin:
                    yield where, found, argument, rest


def _own(code: Code, where: Where) -> bool:
    """Whether a place is in a variable file of an environment's group."""
    return any(file.path == where.file and file.scope == "group" and file.of in code.environments
               for file in code.variables)  # fmt: skip


@rule("value-of-first-host", "AN-24", severity=Severity.HIGH)
@each_code
def value_of_first_host(code: Code) -> Iterator[Hit]:
    """A value is taken from the first host of several environments, or from a host of another one."""
    homes = {host: name for name in code.environments for host in code.members(code.groups, name)}
    for where, text in dict.fromkeys(texts(code)):
        for group in _FIRST_OF_ALL.findall(text):
            if (
                group == "all"
                or len({name for name in code.environments if name == group or name in code.below(group)}) > 1
            ):
                yield _foreign_value(
                    code, where, f"groups[{group!r}][0]", "the first host, whichever environment it belongs to"
                )
        for _quote, host in _HOST_OF.findall(text):
            if host in homes and not _in_group(code, where, homes[host]):
                yield _foreign_value(code, where, f"hostvars[{host!r}]", f"a host of {code.environments[homes[host]]}")


def _in_group(code: Code, where: Where, group: str) -> bool:
    return any(file.path == where.file and file.of == group for file in code.variables)


def _foreign_value(code: Code, where: Where, what: str, whose: str) -> Hit:
    return Hit(
        code.concerned(),
        what,
        f"{what} is {whose}: a deployment of one of {listing(code.concerned())} uses the value of another.",
        "Use hostvars[inventory_hostname], or the variable itself.",
        (where,),
    )


@rule("kept-facts", "AN-14", severity=Severity.HIGH)
@each_code
def kept_facts(code: Code) -> Iterator[Hit]:
    """Facts are kept between runs under the host's name alone."""
    setting = code.settings.get(("defaults", "fact_caching"))
    if setting is None or setting[0] in ("", "memory") or code.scoped(_prefix(code)):
        return
    hosts: dict[str, set[str]] = {}
    for inventory in code.inventories:
        for group in inventory.groups.values():
            for host in group.hosts:
                hosts.setdefault(host, set()).add(inventory.path)
    twice = sorted(host for host, paths in hosts.items() if len(paths) > 1)
    cached = [task for task in code.tasks if is_true(task.arguments.get("cacheable"))]
    if twice or cached:
        why = f"several inventories name {listing(twice)}" if twice else "facts are set with cacheable"
        yield Hit(
            code.concerned(),
            "fact_caching",
            f"Facts are cached in {setting[0]} under the host's name alone, and {why}: a run for one of "
            f"{listing(code.concerned())} reads what a run for another left, passwords included.",
            "Set fact_caching = memory, or a fact_caching_prefix for each environment, and do not cache secrets.",
            (setting[1], *(task.where for task in cached)),
        )


def _prefix(code: Code) -> str:
    return str(code.settings.get(("defaults", "fact_caching_prefix"), ("", None))[0])
