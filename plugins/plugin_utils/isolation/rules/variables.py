# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventory variables that no artefact shows: the repository, what is built, which certificate is used."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from ..declared import declared_shares
from ..facts.names_in_text import TokenIndex
from ..model import Environment, Fleet, Severity
from ..readers.ansible.inventory import leaves
from ..wording import listing
from . import Hit, Judgement, rule

#: Variables that are not searched here: what is deployed is judged as it is deployed, identity and domains have rules
#: of their own, and some name another environment on purpose.
ELSEWHERE = frozenset(
    """bulkhead_adopted_volumes
    bulkhead_backup_copy_command bulkhead_backup_directory bulkhead_command bulkhead_compose bulkhead_confirm
    bulkhead_database_admin bulkhead_database_login bulkhead_database_name bulkhead_database_user
    bulkhead_directory bulkhead_domains
    bulkhead_env bulkhead_env_shared bulkhead_environment bulkhead_firewall_allow bulkhead_machine bulkhead_manage
    bulkhead_metrics_directory
    bulkhead_prefix bulkhead_prepare bulkhead_project bulkhead_promotion_from bulkhead_receipt bulkhead_report
    bulkhead_restore bulkhead_restore_from bulkhead_restore_readers bulkhead_secrets bulkhead_services
    bulkhead_shared bulkhead_source_branch bulkhead_state_directory bulkhead_tls_certificate bulkhead_tls_key
    bulkhead_waivers""".split()  # noqa: SIM905 - as a list it would be 30 lines
)


@rule("foreign-variable", "AN-07", severity=Severity.CRITICAL)
def foreign_variable(fleet: Fleet) -> Judgement:
    """A variable of an environment names what is another's, its own value or one from group_vars/all."""
    index = fleet.derived(TokenIndex)
    for environment in fleet.environments:
        found = [*_texts(environment)]
        # Most environments name no other one, so check all texts at once first.
        if index.are_free([text for _name, text in found], environment.prefix):
            continue
        for name, text in found:
            tokens = index.owners_in(text, environment.prefix)
            for owner in dict.fromkeys(token[0] for token in tokens):
                if all(
                    ("path", text) in set(declared_shares(fleet.by_prefix[party]))
                    for party in (environment.prefix, owner)
                ):
                    continue  # such as a wildcard certificate that is called like the one's domain
                word = next((token[1] for token in tokens if token[0] == owner), "")
                yield Hit(
                    (environment.prefix, owner),
                    name,
                    f"{name} of {environment.prefix} names {word if word == owner else f'{word} of {owner}'}: "
                    f"{environment.prefix} is built from it or serves with it, and changes when {owner} does.",
                    f"Set {name} in group_vars of {environment.prefix} to a value of its own.",
                    (environment.origin(name.partition(".")[0]),),
                    environment.machine,
                )


def _texts(environment: Environment) -> Iterator[tuple[str, str]]:
    yield from _commands(environment)
    for name, value in environment.variables.items():
        if name not in ELSEWHERE:
            for text in leaves(value):
                yield name, text
                if ".." in text:
                    # A path in the source tree is relative to its place on the machine.
                    yield name, posixpath.normpath(posixpath.join(environment.directory, "code", text))


def _commands(environment: Environment) -> Iterator[tuple[str, str]]:
    """The texts under ``x-bulkhead``, which no Compose file shows. What is written to files is judged there."""
    services = environment.variables.get("bulkhead_services")
    for service, definition in services.items() if isinstance(services, Mapping) else ():
        own = definition.get("x-bulkhead") if isinstance(definition, Mapping) else None
        for key, value in own.items() if isinstance(own, Mapping) else ():
            if key != "files":
                yield f"bulkhead_services.{service}.x-bulkhead.{key}", " ".join(leaves(value))


@rule("shared-branch", "AN-07", severity=Severity.HIGH)
def shared_branch(fleet: Fleet) -> Judgement:
    """Two environments are deployed from one branch, and none of them says that this is meant."""
    branches: dict[tuple[str, str], list[Environment]] = {}
    for environment in fleet.environments:
        values = environment.variables
        repository, branch = (values.get(f"bulkhead_source_{part}") for part in ("repository", "branch"))
        shared = values.get("bulkhead_source_shared") is True
        if isinstance(repository, str) and isinstance(branch, str) and repository and branch and not shared:
            branches.setdefault((repository.removesuffix("/").removesuffix(".git"), branch), []).append(environment)
    for (repository, branch), environments in branches.items():
        prefixes = tuple(dict.fromkeys(environment.prefix for environment in environments))
        if len(prefixes) > 1:
            yield Hit(
                prefixes,
                f"branch {branch} of {repository}",
                f"{listing(prefixes)} are all deployed from the branch {branch}: what was pushed to try it in one "
                "reaches the others with their next run.",
                "Give each environment its own branch, or set bulkhead_source_shared for those that are meant to "
                "follow one.",
                tuple(environment.origin("bulkhead_source_branch") for environment in environments),
            )
