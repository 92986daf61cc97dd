# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a killed run left on a machine and the next release does not know. Looks only.

A killed run's release may have files, and services with stand-ins, that the next release lacks: nothing else would
ever remove them, and a stand-in that still gets requests would keep serving old code.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..docker.containers import PREPARING, STAND_IN, labels_of, name_of
from ..docker.labels import ONE_OFF, PREFIX
from ..state.home import Home
from ..state.journal import Journal
from .service import Service
from .store import Releases


def unknown_containers(
    containers: Iterable[dict[str, Any]], prefix: str, services: Iterable[Service]
) -> list[dict[str, Any]]:
    """Stand-ins and preparing containers of services that this release does not have."""
    known = {name for service in services for name in (service.stand_in, service.preparing)}
    return [
        container
        for container in containers
        if labels_of(container).get(ONE_OFF) == "True"
        and labels_of(container).get(PREFIX) == prefix
        and name_of(container).endswith((STAND_IN, PREPARING))
        and name_of(container) not in known
    ]


def unfinished_releases(home: Home) -> list[str]:
    """The releases that never came into force; none where one did before. A first one that was killed while it was
    written down is one of them."""
    releases, last = Releases(home), Journal(home.kept).release()
    return releases.names() if set(releases.kept()) <= {last} else []


def unfinished_files(home: Home) -> list[str]:
    """The files that a release which never came into force as a whole brought, and that are as it brought them."""
    releases, found = Releases(home), set()
    for name in releases.names():
        if releases.manifest(name):
            continue
        for relative, brought in releases.staged(name):
            # The file may be the user's own if the run was killed before it wrote any.
            if home.holds(relative) and home.read(relative) == brought:
                found.add(relative)
    return sorted(found)
