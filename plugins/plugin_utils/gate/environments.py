# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a declaration and its release to the environment that the rules judge."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ...module_utils.core.masking import texts_to_hide
from ..declaration.inventory import holds_seal
from ..declaration.model import Declaration
from ..declaration.settings import MAX_SETTING, texts
from ..declaration.swarm import is_swarm
from ..declaration.variables import SETTINGS
from ..isolation.declared import STATE
from ..isolation.hosts import canonical_host
from ..isolation.model import SEAL, SEALED, WORLD, Claim, Environment, Sealed, Where
from ..isolation.readers.assemble import assemble
from ..isolation.readers.documents import kind_of
from ..isolation.readers.rendered import RenderedArtefacts
from ..release.render import Release

#: An engine that is reached over the network, and its host.
_REMOTE_ENGINE = re.compile(r"(?:tcp|ssh)://(?:[^@/]*@)?(\[[^\]]*\]|[^:/]*)(?::\d+)?/?")
#: Kinds of files that configure a server; each setting in them is judged.
_CONFIGURATIONS = frozenset(("pgbouncer", "postgresql", "redis"))


def build_environment(declaration: Declaration, release: Release | None) -> Environment:
    """Build the environment as the rules see it: what would be shipped, and the variables behind it."""
    values = declaration.values
    sealed = f"the machine of {declaration.prefix}, which is sealed here"
    swarm = str(values["bulkhead_swarm"]) if is_swarm(declaration) else ""
    if is_swarm(declaration) and (not swarm or holds_seal(swarm)):
        swarm = f"of {declaration.prefix}, whose name is not known here"
    environment = assemble(
        prefix=declaration.prefix,
        name=str(values["bulkhead_environment"] or ""),
        project=str(values["bulkhead_project"] or ""),
        group=declaration.group,
        machine=sealed if holds_seal(values["bulkhead_machine"]) else str(values["bulkhead_machine"] or "localhost"),
        directory="" if holds_seal(values["bulkhead_directory"]) else str(values["bulkhead_directory"] or ""),
        domains=[domain for domain in values["bulkhead_domains"] if not holds_seal(domain)],
        http_port=values["bulkhead_http_port"],
        https_port=values["bulkhead_https_port"],
        protected=values["bulkhead_protected"],
        variables={
            name: SEALED if name in declaration.sealed else mark_sealed(value, name in SETTINGS)
            for name, value in values.items()
        },
        origins=declaration.origins,
        rendered=_artefacts(declaration, release) if release else None,
        swarm=swarm,
        nodes=[node.machine for node in declaration.nodes.values() if node.machine],
    )
    claims = (
        *environment.claims,
        *_backups(declaration, environment, release),
        *_metrics(declaration, environment),
        *_address(declaration),
    )
    if not declaration.sealed:
        return replace(environment, claims=claims)
    return replace(
        environment,
        claims=tuple(claim for claim in claims if SEAL not in claim.key),
        problems=tuple(problem for problem in environment.problems if SEAL not in problem.resource + problem.message),
    )


def _backups(declaration: Declaration, environment: Environment, release: Release | None) -> Iterator[Claim]:
    """The claim on the directory of the environment's backups, if it makes any."""
    values, variable = declaration.values, "bulkhead_backup_directory"
    if release is None or not any(service.backup for service in release.stack.services):
        return
    state = values["bulkhead_state_directory"] or STATE
    path = posixpath.normpath(values[variable] or f"{state}/backups/{declaration.prefix}")
    where = declaration.origins.get(variable) or Where(item=variable)
    yield Claim("path", environment.machine, path, environment.prefix, where, False, {"kind": "backup"})


def _metrics(declaration: Declaration, environment: Environment) -> Iterator[Claim]:
    """The claim on the file that root writes for node_exporter, if there is one."""
    variable = "bulkhead_metrics_directory"
    directory = declaration.values[variable]
    if directory and not holds_seal(directory):
        where = declaration.origins.get(variable) or Where(item=variable)
        path = posixpath.join(posixpath.normpath(directory), f"bulkhead_{declaration.prefix}.prom")
        yield Claim("path", environment.machine, path, environment.prefix, where, False, {"kind": "metrics"})


def _address(declaration: Declaration) -> Iterator[Claim]:
    """The claim on the address of the machine, or of each node of a swarm, as far as it can be read here."""
    where = declaration.origins.get("bulkhead_machine") or Where(item="ansible_host")
    if not declaration.nodes and declaration.address:
        yield Claim("address", WORLD, declaration.address, declaration.prefix, where, True)
    remote = _REMOTE_ENGINE.fullmatch(str(declaration.values["bulkhead_docker_host"] or ""))
    engine = canonical_host(remote[1]) if remote else ""
    if engine and engine != "localhost" and not engine.startswith("127.") and not holds_seal(engine):
        # Whose machine that is may be said by another environment.
        where = declaration.origins.get("bulkhead_docker_host") or Where(item="bulkhead_docker_host")
        yield Claim("address", WORLD, f"ssh {engine}:22", declaration.prefix, where, True)
    for node in declaration.nodes.values():
        if node.address and node.machine:
            attributes = {"machine": node.machine}
            yield Claim("address", WORLD, node.address, declaration.prefix, where, True, attributes)


def _artefacts(declaration: Declaration, release: Release) -> RenderedArtefacts:
    texts = {file.path: file.content for file in release.brought if not file.secret and not file.source}
    nginx = {
        path: text
        for path, text in texts.items()
        if path.startswith("docker/nginx/") and path.endswith(".conf") and text != SEAL
    }
    configurations = dict(_secret_configurations(declaration, release))
    texts.update(_commands(declaration, release))
    return RenderedArtefacts(
        compose=release.stack.compose,
        compose_file=release.compose_file,
        settings={setting.key: _setting(setting.value) for setting in release.settings},
        secrets=[setting.key for setting in release.settings if setting.secret],
        sources={setting.key: _source(declaration, setting.variable, setting.key) for setting in release.settings},
        nginx=nginx,
        files={
            **{path: text for path, text in texts.items() if path not in nginx and not holds_seal(text)},
            **configurations,
        },
    )


def _secret_configurations(declaration: Declaration, release: Release) -> Iterator[tuple[str, str]]:
    """The configurations of servers that hold a secret, with a seal in place of each."""
    secrets = texts(declaration.values["bulkhead_secrets"]).values()
    hidden = texts_to_hide(secret for secret in secrets if secret and SEAL not in secret)
    for file in release.brought:
        if not file.secret or file.source or file.content == SEAL:
            continue
        if kind_of(file.path, file.content) in _CONFIGURATIONS:
            text = file.content
            for secret in hidden:
                text = text.replace(secret, SEAL)
            yield file.path, text


def _commands(declaration: Declaration, release: Release) -> Iterator[tuple[str, str]]:
    """The commands that a job runs for the environment, as scripts, by the variable that sets them."""
    copy = str(declaration.values["bulkhead_backup_copy_command"] or "")
    prepare = [shlex.join(command) for service in release.stack.services for command in service.prepare]
    for variable, lines in (("bulkhead_backup_copy_command", [copy] if copy else []), ("bulkhead_prepare", prepare)):
        if lines:
            yield variable, "\n".join(["#!/bin/sh", *lines, ""])


def _setting(value: str) -> str | Sealed:
    """The text of a setting. A URL with a sealed password stays readable: it names the server."""
    return SEALED if (SEAL in value and "://" not in value) or len(value) >= MAX_SETTING else value


def _source(declaration: Declaration, variable: str, key: str) -> Where:
    """Where a setting was written: its variable's file, and the variable with the setting's name."""
    origin = declaration.origins.get(variable) or Where()
    return Where(origin.file, origin.line, f"{variable}.{key}" if variable in declaration.values else key)


def mark_sealed(value: Any, settings: bool = False) -> Any | Sealed:
    """Return a value with :data:`SEALED` in place of everything that is locked here.

    Of ``settings`` also in place of those that no process can have: they are refused already, and reading a text of
    any length would take any time.
    """
    if isinstance(value, str):
        return SEALED if SEAL in value or (settings and len(value) >= MAX_SETTING) else value
    if isinstance(value, (int, float)) or not value:
        return value
    if isinstance(value, Mapping):
        return {key: mark_sealed(item, settings) for key, item in value.items()}
    if isinstance(value, list):
        return [mark_sealed(item, settings) for item in value]
    return value
