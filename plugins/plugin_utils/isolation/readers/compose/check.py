# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Compose refuses in a complete model: undefined names, and options that exclude each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def inconsistencies(model: Mapping[str, Any], profiles: str) -> Iterator[str]:
    """Yield a message for each error. Like Compose, skip services whose profile is not active."""
    active = {name.strip() for name in profiles.split(",")}
    services: Mapping[str, Any] = model["services"]
    for name, service in services.items():
        wanted = service.get("profiles")
        if wanted and "*" not in active and not active & set(wanted):
            continue
        for message in _service(service, model):
            yield f"service {name!r} {message}"


def _service(service: Mapping[str, Any], model: Mapping[str, Any]) -> Iterator[str]:
    if "image" not in service and "build" not in service and "provider" not in service:
        yield "has neither an image nor a build context"
    build = service.get("build") or {}
    if "dockerfile" in build and "dockerfile_inline" in build:
        yield "has both dockerfile and dockerfile_inline"
    if service.get("network_mode") and service.get("networks"):
        yield "has both network_mode and networks"
    for network in service.get("networks") or ():
        if network not in model["networks"]:
            yield f"refers to undefined network {network}"
    test = (service.get("healthcheck") or {}).get("test")
    if test and test[0] not in ("CMD", "CMD-SHELL", "NONE"):
        yield "has a healthcheck test that does not start with CMD, CMD-SHELL or NONE"
    for other, how in (service.get("depends_on") or {}).items():
        if other not in model["services"] and how.get("required", True):
            yield f"depends on undefined service {other}"
    for mount in service.get("volumes") or ():
        source = mount.get("source")
        if mount.get("type") == "volume" and source and source not in model["volumes"]:
            yield f"refers to undefined volume {source}"
    for section in ("secrets", "configs"):
        for entry in service.get(section) or ():
            if entry.get("source") not in model[section]:
                yield f"refers to undefined {section[:-1]} {entry.get('source')}"
