# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a verification asks an environment's own servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from ..release.render import Release
from ..release.stack import StackService


def questions(
    release: Release | None,
    entry: Mapping[str, Any] | None = None,
    namespace: str = "container",
    called: Callable[[StackService], str] = attrgetter("container"),
) -> list[dict[str, Any]]:
    """The read-only commands that the services of a release define, and the question for what the application's
    containers wrote into themselves.

    ``entry`` is the registry entry of the release in force, which may be another one after a rollback or where the
    inventory is ahead. Services whose container it does not have are left out. It knows them under ``namespace``, by
    what they are ``called``.
    """
    claims = (entry or {}).get("claims") or ()
    there = {claim["key"] for claim in claims if claim["namespace"] == namespace}
    wanted = release.stack.services if release else ()
    # What is backed up is meant to stay: a container without that volume loses what it writes there.
    kept = sorted({part["path"] for service in wanted for part in service.backup if part.get("kind") == "files"})
    services = [service for service in wanted if called(service) in there or not claims]
    return [
        {"kind": service.question_kind, "container": called(service), "command": list(service.question)}
        for service in services
        if service.question
    ] + [
        {"kind": "layer", "container": called(service), "command": [], "kept": kept}
        for service in services
        if service.application and service.replicas == 1
    ]
