# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where nginx sends requests: to a service's stand-in as long as its sign, an empty file, is there."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ..core.directory import DesiredFile, Tree
from ..core.layout import TRAFFIC, sign_of
from .service import Service


def is_steered(tree: Tree, service: Service) -> bool:
    """Whether requests go to a service's stand-in."""
    return tree.status(sign_of(service.name)) is not None


def steer(tree: Tree, service: Service, to_stand_in: bool) -> None:
    """Send requests to a service's stand-in, or to its own containers."""
    if to_stand_in:
        tree.write(DesiredFile(sign_of(service.name), b"", 0o644))
    else:
        tree.unlink(sign_of(service.name))


def unknown_signs(tree: Tree, services: Iterable[Service]) -> list[str]:
    """The signs of services that this release does not have."""
    known = {sign_of(service.name) for service in services}
    found = [os.path.join(TRAFFIC, name) for name in tree.names(TRAFFIC) if name.endswith(".next")]
    return sorted(set(found) - known)
