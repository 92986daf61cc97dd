# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Agents that watch a whole machine by labels: routers of the same name, updaters and healers without a scope."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..containment.boundary import boundary_of
from ..containment.labels import host_pattern
from ..facts.domains import neighbours
from ..facts.service_kinds import command_text, words_of
from ..model import Fleet, Setting, Severity
from ..readers.frameworks import items
from ..wording import listing
from . import Hit, Judgement, owners, places, rule


@rule("shared-agent-label", "NM-06", severity=Severity.HIGH)
def shared_agent_label(fleet: Fleet) -> Judgement:
    """Two environments give an agent of the machine one name for two things."""
    for machine, key, claims in fleet.collisions("label"):
        prefixes = owners(claims)
        yield Hit(
            prefixes,
            key,
            f"{listing(prefixes)} declare the same {key} on {machine}. The agent that reads it does not know "
            "projects: it drops both, or sends one's requests to the other.",
            "Put the environment into the name, for example "
            f"{prefixes[-1].replace('_', '-')}-{re.split('[.=]', key)[-1]}.",
            places(claims),
            machine,
        )


#: What a container tells nginx-proxy and its companion for certificates, which serve the whole machine.
_ANNOUNCED = frozenset({"VIRTUAL_HOST", "LETSENCRYPT_HOST", "ACME_HOST", "SELF_SIGNED_HOST"})


@rule("announced-host", "NM-06", severity=Severity.HIGH)
def announced_host(fleet: Fleet) -> Judgement:
    """A container has the machine's proxy send it requests for hosts that are not its environment's."""
    for environment in fleet.environments:
        boundary = environment.derived(boundary_of)
        told: set[tuple[str, str]] = set()
        for setting in environment.settings if environment.variables else ():
            for host in _announced(setting):
                problem = host_pattern(host, boundary)
                if problem and (setting.key, host) not in told:
                    told.add((setting.key, host))
                    yield Hit(
                        (environment.prefix,),
                        f"{setting.key} {host}",
                        f"{setting.key} of {environment.prefix} announces {host} to the proxy of "
                        f"{environment.machine}: {problem}. It sends those requests to {environment.prefix}, "
                        "whoever they were for.",
                        "Announce the environment's own domains: "
                        f"{', '.join(environment.domains) or 'bulkhead_domains'}.",
                        (setting.where,),
                        environment.machine,
                    )


def _announced(setting: Setting) -> list[str]:
    """The hosts that a setting announces: a list, or the first keys of a mapping."""
    if setting.key == "VIRTUAL_HOST_MULTIPORTS":
        return re.findall(r"^[\"']?([^\s\"':{}]+)[\"']?\s*:", setting.text, re.MULTILINE)
    return items(setting.text) if setting.key in _ANNOUNCED else []


@rule("machine-wide-agent", "NM-06", severity=Severity.HIGH, of_machine=True)
def machine_wide_agent(fleet: Fleet) -> Judgement:
    """An environment runs an agent that acts on the containers of all environments of the machine."""
    for environment in fleet.environments:
        others = neighbours(fleet, environment)
        for project, name, service in environment.services():
            does = unscoped(name, service)
            if does:
                yield Hit(
                    (environment.prefix, *others),
                    f"service {name}",
                    f"{name} of {environment.prefix} {does[0]} every container on the machine"
                    + (f", those of {listing(others)} included." if others else "."),
                    does[1],
                    (project.where("services", name),),
                    environment.machine,
                )


def unscoped(name: str, service: Mapping[str, Any]) -> tuple[str, str] | None:
    """What an agent does to all containers, and how to limit it to its own; ``None`` for other services."""
    words, settings = words_of(name, service), service.get("environment") or {}
    scoped = settings.get("WATCHTOWER_SCOPE")
    if "watchtower" in words and not scoped and "--scope" not in command_text(service):
        return "updates and restarts", "Set WATCHTOWER_SCOPE to the prefix, and label the services with it."
    if "autoheal" in words and str(settings.get("AUTOHEAL_CONTAINER_LABEL") or "autoheal") in ("all", "autoheal"):
        return "restarts", "Set AUTOHEAL_CONTAINER_LABEL to a label that only this environment's containers have."
    if "ouroboros" in words:
        return (
            "updates and restarts",
            "Deploy by commit instead, or run it from a project that belongs to no environment.",
        )
    return None
