# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must differ between a new environment and the one that it is made like."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .renamed import word

#: Ports of an environment, and where the search for free ones begins if those of the model are the web's own.
PORTS = {"bulkhead_http_port": 8080, "bulkhead_https_port": 8443}

#: A group, an environment and a branch of the new one have this name.
NAME = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*\Z")


def words(name: str, group: str, model: Mapping[str, Any]) -> dict[str, str]:
    """The words of a model's variables that name it, with the new environment's.

    ``name`` is the new environment, ``group`` the model's group, ``model`` its resolved variables.
    """
    found = {group: name, str(model["bulkhead_environment"]): name}
    for domain in model["bulkhead_domains"]:
        found.setdefault(str(domain), _domain(str(domain), name, found))
    directory = str(model["bulkhead_directory"])
    found[directory] = _directory(directory, name, found)
    return found


def values(name: str, model: Mapping[str, Any], taken: Iterable[int]) -> dict[str, Any]:
    """The variables of a new environment that have values of their own, whatever its model's are.

    ``taken`` are the ports that environments of the same machine publish.
    """
    found: dict[str, Any] = {"bulkhead_environment": name, "bulkhead_source_branch": name, "bulkhead_protected": False}
    found.update(ports(model, taken))
    return {variable: value for variable, value in found.items() if model[variable] not in (None, "", value)}


def ports(model: Mapping[str, Any], taken: Iterable[int]) -> dict[str, int]:
    """Free ports on the machine, near the model's; none behind the front door, whose ports all environments have.
    Raises ValueError where none is left."""
    used = set(taken)
    found: dict[str, int] = {}
    for variable, first in PORTS.items() if model.get("bulkhead_edge") is not True else ():
        port = model[variable]
        if not port:
            continue
        start = port + 1 if port >= 1024 else first
        free = (candidate for candidate in (*range(start, 32768), *range(1024, start)) if candidate not in used)
        chosen = next(free, None)
        if chosen is None:
            raise ValueError(f"every port from 1024 to 32767 of the machine is taken, so {variable} cannot be chosen")
        found[variable] = chosen
        used.add(chosen)
    return found


def still_shared(name: str, model: Mapping[str, Any], new: Mapping[str, Any], taken: Iterable[int]) -> dict[str, Any]:
    """Variables of which the new environment has its model's value, because its own files do not set them.

    ``new`` are the new environment's resolved variables. Each has the value that it needs instead.
    """
    replaced = words(name, name, model)
    wanted = {
        **values(name, model, taken),
        "bulkhead_directory": replaced[str(model["bulkhead_directory"])],
        "bulkhead_domains": [replaced[str(domain)] for domain in model["bulkhead_domains"]],
    }
    del wanted["bulkhead_environment"]
    return {
        variable: value
        for variable, value in wanted.items()
        if model[variable] not in (None, "", [], False) and new[variable] == model[variable]
    }


def _domain(domain: str, name: str, known: Mapping[str, str]) -> str:
    """``staging.example.com`` becomes ``qa.example.com``, ``example.com`` ``qa.example.com``."""
    changed = word(domain, known)
    if changed != domain:
        return changed
    # www.example.com beside example.com: www.qa.example.com
    for old, new in known.items():
        if "." in old and domain.endswith(f".{old}"):
            return f"{domain.removesuffix(old)}{new}"
    return f"{name}.{domain}"


def _directory(directory: str, name: str, known: Mapping[str, str]) -> str:
    """``/home/ubuntu/staging/app`` becomes ``/home/ubuntu/qa/app``, and so does ``/home/ubuntu/main/app``."""
    changed = word(directory, {old: new for old, new in known.items() if "." not in old})
    if changed != directory:
        return changed
    parent, base = posixpath.split(directory.rstrip("/"))
    above = posixpath.dirname(parent)
    return posixpath.join(above, name, base) if above not in ("", "/") else f"{parent.rstrip('/')}/{base}-{name}"


def sentences(new: Mapping[str, Any], left_out: Sequence[str]) -> list[str]:
    """What was chosen, in lines for the screen."""
    urls = " and ".join(str(new[port]) for port in PORTS if new[port])
    shown = {
        "directory": new["bulkhead_directory"],
        "domains": ", ".join(map(str, new["bulkhead_domains"])),
        "ports": f"{urls} of the machine's front door" if urls and new.get("bulkhead_edge") is True else urls,
        "branch": new["bulkhead_source_branch"],
    }
    lines = [f"{what}: {value}" for what, value in shown.items() if value]
    if left_out:
        lines.append(f"secrets, not copied: {', '.join(left_out)}")
    return lines
