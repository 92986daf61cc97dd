# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manual and scripted operations: pruning, copying, removing environments, and checking the wrong one."""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from ..facts.code_lines import code_lines
from ..facts.domains import domains, neighbours, owner_of_port, safe_expression
from ..facts.service_kinds import command_text
from ..facts.workflows import environment_commands, home_of, named
from ..model import Environment, Fleet, Severity, Where
from ..readers.documents import machine_commands
from ..readers.shell.docker_call import DOCKER, DockerCall, docker_call
from ..readers.shell.scripts import Command, pipelines
from ..wording import listing
from . import Hit, Judgement, rule

_OWN_LABEL = re.compile(r"label=(?:com\.docker\.compose\.project|io\.bulkhead\.(?:prefix|project|environment))=\S+")


@rule("prune", "OP-01", severity=Severity.HIGH)
def prune(fleet: Fleet) -> Judgement:
    """A script prunes the engine, and with it whatever of other environments is stopped just then."""
    for environment in fleet.environments:
        others = neighbours(fleet, environment)
        for _document, command in environment_commands(environment, *DOCKER) if others else ():
            call = docker_call(command.argv)
            severity = _prunes(call) if call else None
            if call and severity:
                lost = "containers, networks and volumes" if _takes_volumes(call) else "containers"
                yield Hit(
                    (environment.prefix, *others),
                    command.text,
                    f"'{command.text}' of {environment.prefix} acts on the whole engine: it deletes {lost} of "
                    f"{listing(others)} that are stopped or being redeployed at that moment"
                    + (", data included." if _takes_volumes(call) else "."),
                    "Remove things by exact name, or add '--filter label=com.docker.compose.project=<own project>'. "
                    "For the build cache use 'docker builder prune --filter until=240h'.",
                    (command.where,),
                    environment.machine,
                    severity=severity,
                )


def _prunes(call: DockerCall) -> Severity | None:
    """How bad a prune is, or ``None`` if it affects only its own. Images and networks have their own rules."""
    if call.compose or len(call.verb) < 2 or call.verb[1] != "prune":
        return None
    if any(map(_OWN_LABEL.fullmatch, call.filters)):
        return None
    if _takes_volumes(call):
        return Severity.CRITICAL
    return Severity.HIGH if call.verb[0] in ("system", "container") else None


def _takes_volumes(call: DockerCall) -> bool:
    told = call.values.get("--volumes", ())
    return call.verb[0] == "volume" or (call.verb[0] == "system" and call.has("--volumes") and "false" not in told)


_URL = re.compile(r"https?://([A-Za-z0-9.-]+)(:\d+)?(?=[/\s\"'?#)]|$)")


@rule("url-without-port", "OP-12", severity=Severity.MEDIUM)
def url_without_port(fleet: Fleet) -> Judgement:
    """A check asks the environment's own host name on the port that is another environment's."""
    known = domains(fleet)
    for environment in fleet.environments:
        own = known.of[environment.prefix]
        for text, where in _checks(environment):
            for match in _URL.finditer(text):
                scheme = match[0].partition(":")[0]
                usual = 443 if scheme == "https" else 80
                published = environment.https_port if scheme == "https" else environment.http_port
                if match[1].lower() not in own or match[2] or published in (None, usual):
                    continue
                holder = owner_of_port(fleet, environment, usual)
                if holder and holder != environment.prefix:
                    yield Hit(
                        (environment.prefix, holder),
                        match[0],
                        f"{match[0]} means port {usual}, where {holder} answers; {environment.prefix} is on "
                        f"{published}. The check sees {holder} and reports {environment.prefix} as healthy.",
                        f"Check {scheme}://{match[1]}:{published}, and compare the header that names the environment "
                        "or the commit.",
                        (where,),
                        environment.machine,
                    )
                    break


def _checks(environment: Environment) -> Iterator[tuple[str, Where]]:
    """Yield texts that check an environment: documents, and health checks of services."""
    for document in environment.documents:
        for where, line in code_lines(document, "://"):
            yield line, where
    for project, name, service in environment.services():
        text = command_text(service)
        if "://" in text:
            yield text, project.where("services", name, "healthcheck")


_SUBSTITUTION = re.compile(r"s([/|#,])((?:(?!\1).)+)\1((?:(?!\1).)*)\1")


@rule("cloned-environment", "OP-13", severity=Severity.HIGH)
def cloned_environment(fleet: Fleet) -> Judgement:
    """An environment is made by copying another and replacing its name."""
    for environment in fleet.environments:
        for _document, command in environment_commands(environment, "cp", "rsync", "sed", "perl"):
            pair = _copies(fleet, environment, command) or _renames(fleet, environment, command)
            if pair:
                source, target = pair
                yield Hit(
                    tuple(dict.fromkeys((environment.prefix, source, target))),
                    command.text,
                    f"'{command.text}' makes {target} a copy of {source}. The names, addresses and secrets of "
                    f"{source} stay in scripts, alert rules, comments and certificates, and {target} acts on "
                    f"{source} with them.",
                    f"Give {target} its own configuration and its own secrets, written for it and not copied.",
                    (command.where,),
                    environment.machine,
                )


def _copies(fleet: Fleet, environment: Environment, command: Command) -> tuple[str, str] | None:
    if command.program not in ("cp", "rsync"):
        return None
    paths = [word for word in command.argv[1:] if not word.startswith("-")]
    if len(paths) < 2:
        return None
    base = command.directory or environment.directory
    source, target = (home_of(fleet, environment.machine, posixpath.join(base, path)) for path in (paths[0], paths[-1]))
    return (source, target) if source and target and source != target else None


def _renames(fleet: Fleet, environment: Environment, command: Command) -> tuple[str, str] | None:
    if command.program not in ("sed", "perl"):
        return None
    for word in command.argv[1:]:
        for match in _SUBSTITUTION.finditer(word):
            source, target = named(fleet, environment, match[2]), named(fleet, environment, match[3])
            if source and target and source != target:
                return source, target
    return None


_LISTS = frozenset((("ps",), ("images",), ("volume", "ls"), ("network", "ls"), ("container", "ls"), ("image", "ls")))
_REMOVALS = re.compile(r"\bdocker\s+(?:(?:volume|network|container|image)\s+)?(?:rm|rmi|stop|kill)\b")


@rule("removal-by-pattern", "OP-14", "NM-01", severity=Severity.CRITICAL)
def removal_by_pattern(fleet: Fleet) -> Judgement:
    """A script removes every container, volume or image whose name fits a pattern."""
    for environment in fleet.environments:
        if len(fleet.machines[environment.machine]) < 2 or not environment_commands(environment, *DOCKER):
            continue
        for document in environment.documents:
            for pipeline in pipelines(machine_commands(document)):
                pattern = _removes_by_pattern(pipeline)
                others = [] if pattern is None else _fitting(fleet, environment, pattern)
                if others:
                    text = " | ".join(command.text for command in pipeline)
                    yield Hit(
                        (environment.prefix, *others),
                        text[:120],
                        f"{environment.prefix} removes everything that matches '{pattern or 'everything'}', and that "
                        f"includes what belongs to {listing(others)}.",
                        "List the exact names by the label of the environment's own project, and remove those: "
                        "'docker compose -p <project> down'.",
                        (pipeline[0].where,),
                        environment.machine,
                    )


def _removes_by_pattern(pipeline: Sequence[Command]) -> str | None:
    """The pattern of what a pipeline removes: empty for everything, ``None`` if it removes nothing."""
    call = docker_call(pipeline[0].argv)
    if call is None or call.verb not in _LISTS or call.filters:
        return None
    removes = any(command.program == "xargs" and _REMOVALS.search(command.text) for command in pipeline)
    if not removes and not (pipeline[0].substituted and call.has("-q", "--quiet", "--format")):
        return None
    for command in pipeline[1:]:
        words = [word for word in command.argv[1:] if not word.startswith("-")]
        if command.program in ("grep", "egrep") and words and "-v" not in command.argv:
            return words[0]
        if command.program == "awk" and words and "/" in words[0]:
            return words[0].split("/")[1]
    # A list in $(…) may only be displayed; if it is removed, no pattern means everything.
    return "" if removes else None


def _fitting(fleet: Fleet, environment: Environment, pattern: str) -> list[str]:
    """The environments on the same machine whose names match a pattern."""
    expression = safe_expression(pattern)
    if expression is None:
        return []
    stem = re.split(r"[^\w-]", pattern.lstrip("^"), maxsplit=1)[0]
    ordered = fleet.derived(_ordered_prefixes).get(environment.machine, [])
    start = bisect_left(ordered, stem)
    near = [*ordered[start : start + 64], *neighbours(fleet, environment)]
    found = [
        prefix
        for prefix in dict.fromkeys(near)
        if prefix != environment.prefix and expression.search(f"{prefix}_postgresql")
    ]
    return found[:8]


def _ordered_prefixes(fleet: Fleet) -> dict[str, list[str]]:
    return {machine: sorted(member.prefix for member in members) for machine, members in fleet.machines.items()}
