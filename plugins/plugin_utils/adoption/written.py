# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory that reproduces what a person set up: hosts, and of each environment its variables and its vault."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from ...module_utils.source.values import repository_problem, split_credentials
from ..secrets.editing import SecretsText
from .model import FoundStack, Handmade, is_below
from .settings import AppSettings
from .web import Web

#: What makes Ansible evaluate a text. What a server says is never evaluated.
_MARKS = ("{{", "{%", "{#")


@dataclass(frozen=True)
class Planned:
    """An environment as it is going to be."""

    own: Handmade
    web: Web
    stack: FoundStack
    settings: AppSettings
    django: bool
    source: Mapping[str, Any] = field(default_factory=dict)

    @property
    def certificate(self) -> tuple[str, str]:
        """The files of its certificate and key under Bulkhead; empty where they are not on the machine."""
        copied = self.stack.copied
        both = [copied.get(path, path) for path in (self.web.certificate, self.web.key)]
        return (both[0], both[1]) if all(both) else ("", "")


class _LiteralDumper(yaml.SafeDumper):
    """Writes texts that look like templates with the tag that keeps Ansible from taking them for some."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if any(mark in text for mark in _MARKS):
        return dumper.represent_scalar("!unsafe", text, style='"')
    return dumper.represent_scalar("tag:yaml.org,2002:str", text)


_LiteralDumper.add_representer(str, _text)


def dumped(values: Mapping[str, Any]) -> str:
    """Variables as YAML that Ansible takes literally."""
    text: str = yaml.dump(dict(values), Dumper=_LiteralDumper, sort_keys=False, width=1000, allow_unicode=True)
    return text


def source_of(
    own: Handmade, checkouts: Mapping[str, Mapping[str, str]], builds: Mapping[str, Any], image: Mapping[str, Any]
) -> dict[str, Any]:
    """Where the application's image comes from: the checkout beside the Compose file, or a registry.

    ``builds`` is the application's ``build`` in the Compose file, ``image`` the image that runs.
    """
    context = posixpath.normpath(posixpath.join(own.directory or "/", str(builds.get("context") or ".")))
    near = {path: known for path, known in checkouts.items() if own.directory and is_below(path, own.directory)}
    inside = {path: known for path, known in checkouts.items() if is_below(context, path)}
    path, known = max((inside if builds else near).items(), key=lambda item: len(item[0]), default=("", {}))
    repository, credentials = split_credentials(known.get("origin", ""))
    if repository and not repository_problem(repository):
        if credentials:
            own.say(
                f"The checkout {path} has a password in its repository's address. It was left out. If the repository "
                "is private, put the address with a new token into the vault, as bulkhead_source_repository "
                "(docs/source.md), and withdraw the one that lies on the server."
            )
        if not known["branch"]:
            own.say(f"The checkout {path} is at no branch, so bulkhead_source_branch is a guess: {own.environment}.")
        found = {
            "bulkhead_source_repository": repository,
            "bulkhead_source_branch": known["branch"] or own.environment,
        }
        below = posixpath.relpath(context, path) if builds else "."
        if below != ".":
            found["bulkhead_build_context"] = below
        if builds.get("dockerfile"):
            found["bulkhead_build_dockerfile"] = posixpath.normpath(posixpath.join(below, str(builds["dockerfile"])))
        if builds.get("target"):
            found["bulkhead_build_target"] = str(builds["target"])
        return found
    digests = image.get("digests") or []
    if digests:
        return {"bulkhead_image": digests[0]}
    own.say(
        f"Where the source of {own.prefix} comes from is not known: there is no checkout with an origin beside "
        f"{own.directory or 'its containers'}, and its image is in no registry. Set bulkhead_source_repository and "
        "bulkhead_source_branch, or bulkhead_image."
    )
    return {"bulkhead_source_repository": "", "bulkhead_source_branch": own.environment}


def hosts(planned: Sequence[Planned], connection: Mapping[str, Any]) -> str:
    """The text of ``hosts.yml``: one group and one host for each environment, all of them this machine."""
    groups = {
        plan.own.group: {"hosts": {plan.own.prefix.replace("_", "-"): dict(connection) or None}} for plan in planned
    }
    # The connection is ours and the administrator's; nothing of it came from the server.
    text: str = yaml.safe_dump({"all": {"children": groups}}, sort_keys=False, width=1000).replace(" null", "")
    return f"# One server: each environment has its own group with its own host.\n---\n{text}"


def everyone(planned: Sequence[Planned]) -> str:
    """The text of ``group_vars/all/main.yml``."""
    projects = {plan.own.project for plan in planned}
    text = "# What all environments share. Nothing here may identify an environment.\n---\n"
    return text + dumped({"bulkhead_project": projects.pop()} if len(projects) == 1 else {})


def variables(plan: Planned, alone: bool) -> str:
    """The text of an environment's ``main.yml``. ``alone`` says that all environments are of one application."""
    own, web, stack, settings = plan.own, plan.web, plan.stack, plan.settings
    found: dict[str, Any] = {} if alone else {"bulkhead_project": own.project}
    found |= {
        "bulkhead_environment": own.environment,
        "bulkhead_protected": own.environment == "prod",
        "bulkhead_directory": own.home,
        **plan.source,
        "bulkhead_domains": web.domains,
    }
    if own.part("nginx"):
        found |= _ports(own)
        found["bulkhead_tls_certificate_path"], found["bulkhead_tls_key_path"] = plan.certificate
        if web.body_size:
            found["bulkhead_nginx_body_size"] = web.body_size
    found |= {"bulkhead_app_service": stack.app_service, "bulkhead_app_port": stack.app_port}
    if stack.health_path:
        found["bulkhead_health_path"] = stack.health_path
    if not plan.django:
        found |= {"bulkhead_prepare": [], "bulkhead_prepare_status": []}
    server = own.part("postgresql")
    if server:
        admin = server.seen["settings"].get("POSTGRES_USER") or "postgres"
        found["bulkhead_database_admin"] = admin
        found["bulkhead_database_name"] = database_name(plan)
        if settings.user and settings.user != admin:
            found["bulkhead_database_user"] = settings.user
    if stack.adopted:
        found["bulkhead_adopted_volumes"] = stack.adopted
    found["bulkhead_services"] = stack.services
    if settings.names:
        found["bulkhead_env_names"] = settings.names
    found["bulkhead_env"] = settings.plain
    return f"# {own.prefix}, as it ran in {own.directory or 'an unknown directory'} before.\n---\n{dumped(found)}"


def database_name(plan: Planned) -> str:
    """The database that the application uses."""
    server = plan.own.part("postgresql")
    given = server.seen["settings"] if server else {}
    return str(plan.settings.database or given.get("POSTGRES_DB") or given.get("POSTGRES_USER") or "postgres")


def vault(settings: AppSettings) -> str:
    """The plain text of an environment's vault file. Raises SecretsProblem for a value that YAML cannot hold."""
    text = SecretsText()
    for name, value in sorted(settings.secret.items()):
        text = text.with_value(name, value)
    return text.text


def _ports(own: Handmade) -> dict[str, Any]:
    nginx = own.part("nginx")
    published = {port["target"]: port for port in (nginx.seen["ports"] if nginx else ()) if port["published"]}
    found: dict[str, Any] = {}
    others = sorted(number for number in published if number not in (80, 443))
    for variable, target, usual in (("http", 80, 8080), ("https", 443, 8443)):
        if target in published:
            found[f"bulkhead_{variable}_port"] = int(published[target]["published"])
        elif others:
            found[f"bulkhead_{variable}_port"] = int(published[others.pop(0)]["published"])
        else:
            found[f"bulkhead_{variable}_port"] = usual
            own.say(
                f"nginx of {own.prefix} publishes nothing for {variable}, which Bulkhead's does: port {usual} was "
                "chosen."
            )
    addresses = {port["address"] for port in published.values()}
    if len(addresses) == 1 and addresses != {""} and addresses != {"0.0.0.0"}:
        found["bulkhead_bind_address"] = addresses.pop()
    return found
