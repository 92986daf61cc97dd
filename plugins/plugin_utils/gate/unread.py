# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of an environment was not read because it is sealed here, and what that means for the proof."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from ..declaration.inventory import Inventory
from ..declaration.model import Declaration
from ..declaration.resolve import NAMES
from ..isolation.model import Finding, Severity, Where
from ..isolation.wording import listing
from ..release.render import Release, shows_seal

#: Variables in which others could run into something, beside those that define services.
_SHARED_SPACE = """
    bulkhead_machine bulkhead_directory bulkhead_state_directory bulkhead_docker_host bulkhead_domains
    bulkhead_http_port bulkhead_https_port bulkhead_bind_address bulkhead_nginx_template bulkhead_source_branch
    bulkhead_database_name bulkhead_backup_directory bulkhead_firewall_allow
    bulkhead_metrics_directory
"""
_SERVICES = ("bulkhead_services", "bulkhead_compose")

#: Keys of a service below which nothing names what the machine has.
_INSIDE = frozenset(("environment", "command", "entrypoint", "healthcheck", "labels", "x-bulkhead"))


def is_unread(declaration: Declaration, release: Release | None) -> bool:
    """Whether an environment may use something of the machine that could not be read here."""
    return release is None or any(map(_is_shared_space, declaration.sealed))


def _is_shared_space(name: str) -> bool:
    root, *keys = name.split(".")
    if root in _SERVICES:
        return not _INSIDE & set(keys)
    return root in _SHARED_SPACE.split() or not root.startswith("bulkhead_")


def unreadable_names(declaration: Declaration) -> Iterator[Finding]:
    """Findings on the names of an environment that others cannot read: without them it is not known which it is.

    They name no environment, so that they stop every deployment.
    """
    unsound = {problem.resource: problem.message for problem in declaration.problems}
    for name in NAMES:
        if name in declaration.sealed or name in unsound:
            why = unsound.get(name) or f"{name} needs {declaration.sealed[name]}"
            yield Finding(
                "unreadable-name",
                Severity.HIGH,
                (),
                name,
                f"the environment of group {declaration.group} has no name that others can read: {why}. What belongs "
                "to it cannot be known",
                f"write {name} as plain text: other environments must be able to read it without your lookups and "
                "secrets",
                (declaration.origins[name],) if name in declaration.origins else (),
            )


def undeclared(inventory: Inventory) -> Iterator[Finding]:
    """Findings on groups that may declare an environment in a file that is not read. They stop every deployment."""
    for group, files in inventory.undeclared.items():
        for path, why in files:
            file = os.path.relpath(path)
            yield Finding(
                "unreadable-file",
                Severity.HIGH,
                (),
                file,
                f"{file} is not read here: {why}. Group {group} may be an environment, and its name is not known",
                f"correct the file, or set bulkhead_environment in another file of group_vars/{group}",
                (Where(file),),
            )


def shown_seals(declaration: Declaration, release: Release | None) -> Iterator[Finding]:
    """Findings on files and settings of an environment to deploy that show Bulkhead's word for a sealed value."""
    if release is None or declaration.lacking:
        return
    for name in shows_seal(release):
        yield Finding(
            "sealed-value",
            Severity.CRITICAL,
            (declaration.prefix,),
            name,
            f"{name} would be shipped with the word that stands for a value that was not read",
            "remove that word, or give this run the vault secret for the value",
        )


def still_needed(declarations: Iterable[Declaration], inventory: Inventory) -> list[str]:
    """What a deployment of each environment would be refused for, and that no password brings: one sentence for all
    environments that lack the same."""
    lacking: dict[str, list[str]] = {}
    for declaration in declarations:
        closed = inventory.environment(declaration.group).locked or any(
            name.partition(".")[0] == "bulkhead_secrets" for name in declaration.sealed
        )
        rules = ("missing-variable",) if closed else ("missing-variable", "missing-secret")
        names = [finding.resource for finding in declaration.lacking if finding.rule in rules]
        if names:
            lacking.setdefault(", ".join(names), []).append(declaration.prefix)
    return [f"{listing(prefixes)}: a deployment still needs {names}." for names, prefixes in lacking.items()]


def unread_values(declarations: Iterable[Declaration]) -> list[str]:
    """What was not read and why: one sentence for all environments with the same values."""
    having: dict[str, list[str]] = {}
    for declaration in declarations:
        # That secrets as a whole are closed is no news: the report says what could not be compared for it.
        named = [f"{name} (needs {why})" for name, why in declaration.sealed.items() if name != "bulkhead_secrets"]
        if named:
            having.setdefault(listing(named), []).append(declaration.prefix)
    return [
        f"{listing(prefixes)}: not read here: {named}. Only a deployment of its own environment evaluates that; until "
        "then what the machine has registered counts."
        for named, prefixes in having.items()
    ]
