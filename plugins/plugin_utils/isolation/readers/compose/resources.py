# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Networks, volumes, secrets and configs as Compose prints them, with their real names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .short_forms import compose_text
from .values import as_labels, as_texts, as_truth, is_empty
from .yaml_text import Map


def finish_resources(model: Mapping[str, Any], project: str) -> dict[str, Map]:
    """Networks, volumes, secrets and configs with their real names, and the default network if a service uses it."""
    made: dict[str, Map] = {section: Map(at=getattr(model.get(section), "at", None)) for section in _RESOURCES}
    for section, finish in _RESOURCES.items():
        for key, entry in (model.get(section) or {}).items():
            given = entry or {}
            external = as_truth(given.get("external", False))
            body = {name: value for name, value in given.items() if not name.startswith("x-")}
            body["name"] = compose_text(given.get("name")) or (key if external else f"{project}_{key}")
            body["external"] = external
            finished = Map(finish(body), at=getattr(entry, "at", None))
            for name in [name for name, value in finished.items() if is_empty(value) and name != "ipam"]:
                del finished[name]
            made[section][key] = finished
    used = any("default" in (service.get("networks") or ()) for service in (model.get("services") or {}).values())
    if used and "default" not in made["networks"]:
        made["networks"]["default"] = Map({"name": f"{project}_default", "ipam": {}})
    return made


def _network(body: dict[str, Any]) -> dict[str, Any]:
    ipam = dict(body.get("ipam") or {})
    pools = ipam.get("config")
    if isinstance(pools, list):
        ipam["config"] = [_pool(pool) for pool in pools if isinstance(pool, dict)]
    body["ipam"] = {key: value for key, value in ipam.items() if not is_empty(value) and key in ("driver", "config")}
    _texts_of(body, "driver_opts")
    if "labels" in body:
        body["labels"] = as_labels(body["labels"])
    for key in ("internal", "attachable"):
        if key in body:
            body[key] = as_truth(body[key])
    return body


def _pool(pool: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {key: compose_text(pool[key]) for key in ("subnet", "gateway", "ip_range") if pool.get(key)}
    if pool.get("aux_addresses"):
        made["aux_addresses"] = as_texts(pool["aux_addresses"])
    return made


def _volume(body: dict[str, Any]) -> dict[str, Any]:
    _texts_of(body, "driver_opts")
    if "labels" in body:
        body["labels"] = as_labels(body["labels"])
    return body


def _config(body: dict[str, Any]) -> dict[str, Any]:
    if body.get("environment"):
        body.pop("content", None)
    return _volume(body)


_RESOURCES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "networks": _network,
    "volumes": _volume,
    "secrets": _config,
    "configs": _config,
}


def _texts_of(body: dict[str, Any], key: str) -> None:
    if key in body:
        body[key] = as_texts(body[key])
