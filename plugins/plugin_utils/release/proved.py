# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a stack must not bring in: whatever is decided after the proof, and what only Bulkhead may say.

A file of the checkout is decided by a commit, an image that Compose builds by whatever is there at that moment. A label
says what belongs to whom.
"""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...module_utils.docker.labels import COMPOSE, OURS
from ...module_utils.release.paths import SETTINGS, clashing, path_problem
from ..declaration.model import Declaration
from ..isolation.containment.x_bulkhead import X_BULKHEAD
from ..isolation.model import SEAL
from .stack import Stack

_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")

#: Keys by which Compose reads more than the file that was proved, each with what to do instead.
_READS_MORE = {
    "extends": "write the service out in bulkhead_services, with a YAML anchor for what several have in common",
    "include": "write the services out in bulkhead_services",
    "label_file": "write the labels under labels",
    "build": "let Bulkhead build the image from the repository (bulkhead_source_repository, bulkhead_build_*), or name "
    "an image of a registry",
}

#: Sections of a Compose file whose entries may carry labels or name files.
_SECTIONS = ("networks", "volumes", "secrets", "configs")

#: Variables whose files on the machine the default stack copies.
_COPIED = ("bulkhead_tls_certificate_path", "bulkhead_tls_key_path")


def check_services(declaration: Declaration, default: Mapping[str, Any], services: Mapping[str, Any]) -> None:
    """Note what the services of the default stack and of ``bulkhead_services`` must not have."""
    layers = [("stack.yml.j2: common", default["common"]), ("stack.yml.j2: application", default["application"])]
    layers += [(f"stack.yml.j2: {name}", definition) for name, definition in default["services"].items()]
    layers += [(f"bulkhead_services.{name}", definition) for name, definition in services.items()]
    for where, definition in layers:
        if not isinstance(definition, Mapping):
            continue
        for key in _READS_MORE:
            if definition.get(key) is not None:
                _note_reads_more(declaration, where, key)
        _check_own_keys(declaration, where, definition.get("x-bulkhead"))
        _check_labels(declaration, where, definition)
        for holder in (definition.get("deploy"), definition.get("build"), *_volume_options(definition)):
            _check_labels(declaration, where, holder)


def _check_own_keys(declaration: Declaration, where: str, own: Any) -> None:
    for key in own if isinstance(own, Mapping) else ():
        if key not in X_BULKHEAD:
            declaration.problem(
                "unclassified-key",
                _variable(where),
                f"{where} has x-bulkhead.{key}, which Bulkhead does not know, so it would be ignored",
                f"take it away, or write one of {', '.join(X_BULKHEAD)}",
                resource=f"{where}.x-bulkhead.{key}",
            )


def _volume_options(definition: Mapping[str, Any]) -> Iterator[Any]:
    mounts = definition.get("volumes")
    return (mount.get("volume") for mount in mounts or () if isinstance(mount, Mapping))


def check_project(declaration: Declaration, more: Mapping[str, Any]) -> None:
    """Note what ``bulkhead_compose`` must not have."""
    if "include" in more:
        _note_reads_more(declaration, "bulkhead_compose", "include")
    for section in _SECTIONS:
        entries = more.get(section)
        for name, entry in entries.items() if isinstance(entries, Mapping) else ():
            where = f"bulkhead_compose.{section}.{name}"
            _check_labels(declaration, where, entry)
            file = str(entry.get("file") or "") if isinstance(entry, Mapping) else ""
            if file and _in_checkout(declaration, file):
                _note_file(declaration, where, file, "a commit decides what it is, or makes it a link")


def check_adopted(declaration: Declaration, compose: Mapping[str, Any]) -> None:
    """Note volumes to take over that no service of the stack mounts: their data would be left behind silently."""
    known = sorted(compose.get("volumes") or {})
    for key, name in declaration.values["bulkhead_adopted_volumes"].items():
        if not isinstance(name, str) or not _VOLUME.match(name):
            declaration.problem(
                "invalid-variable",
                "bulkhead_adopted_volumes",
                f"bulkhead_adopted_volumes.{key} is {name!r}, which is not the name of a volume",
                "write the name that docker volume ls shows",
                resource=f"bulkhead_adopted_volumes.{key}",
            )
        if key not in known:
            close = difflib.get_close_matches(str(key), known, 1)
            declaration.problem(
                "unknown-volume",
                "bulkhead_adopted_volumes",
                f"bulkhead_adopted_volumes takes over a volume as {key}, and no service mounts one of that name: its "
                f"data would be left behind.{f' Did you mean {close[0]}?' if close else ''}",
                f"name a volume of the stack ({', '.join(known) or 'none'}), or mount {key} in bulkhead_services",
                resource=f"bulkhead_adopted_volumes.{key}",
            )


def check_files(declaration: Declaration, stack: Stack, compose_file: str) -> None:
    """Note files that services bring along to places, or from places, that are not theirs."""
    paths = [(service, file) for service in stack.services for file in service.brings]
    for service, file in paths:
        where = f"bulkhead_services.{service.name}"
        problem = path_problem(file.path, compose_file)
        if problem:
            _note_file(declaration, where, file.path, problem)
        if file.source and not _is_own_source(declaration, file.source):
            _note_file(
                declaration,
                where,
                file.source,
                f"only files below {declaration.values['bulkhead_directory']} are copied, and the certificate and key "
                "of bulkhead_tls_certificate_path and bulkhead_tls_key_path",
                "foreign-file",
            )
        if file.path.startswith("docker/nginx/") and (file.secret or (file.source and not file.content)):
            _note_file(declaration, where, file.path, "a configuration of nginx is proved, so its text must be known")
    for path in clashing(file.path for _service, file in paths):
        _note_file(declaration, "bulkhead_services", path, "two services bring a file of this path along")
    brought = {SETTINGS, *(file.path for _service, file in paths)}
    for service in stack.services:
        for env_file in _env_files(stack.compose["services"][service.key]):
            if env_file.removeprefix("./") not in brought:
                _note_file(
                    declaration,
                    f"bulkhead_services.{service.name}",
                    env_file,
                    "settings are read from .env and from files that a service brings along (x-bulkhead.files): what "
                    "another file holds is not proved",
                )


def _is_own_source(declaration: Declaration, path: str) -> bool:
    values = declaration.values
    if SEAL in path or path in {str(values[variable] or "") for variable in _COPIED}:
        return True
    own = posixpath.normpath(str(values["bulkhead_directory"] or "/"))
    return posixpath.normpath(path) == path and path.startswith(f"{own}/") and own != "/"


def _in_checkout(declaration: Declaration, path: str) -> bool:
    own = str(declaration.values["bulkhead_directory"] or "/")
    whole = posixpath.normpath(posixpath.join(own, path))
    return (whole + "/").startswith(posixpath.join(own, "code/"))


def _env_files(service: Mapping[str, Any]) -> Iterator[str]:
    given = service.get("env_file") or ()
    for file in [given] if isinstance(given, (str, Mapping)) else given:
        yield str(file.get("path") if isinstance(file, Mapping) else file)


def _check_labels(declaration: Declaration, where: str, holder: Any) -> None:
    labels = holder.get("labels") if isinstance(holder, Mapping) else None
    for name in _names(labels):
        # Compose replaces variables in a list's items, whose first half is the name.
        if name.startswith((OURS, COMPOSE)) or ("$" in name and isinstance(labels, list)):
            declaration.problem(
                "reserved-label",
                _variable(where),
                f"{where} sets the label {name}: labels that begin with {OURS} or {COMPOSE} say what belongs to whom, "
                "and only Bulkhead and Compose set them",
                "remove the label, or give it another name, without variables",
                resource=f"{where}.labels",
            )


def _names(labels: Any) -> Iterable[str]:
    if isinstance(labels, Mapping):
        return [str(name).strip() for name in labels]
    return [str(item).partition("=")[0].strip() for item in labels] if isinstance(labels, (list, tuple)) else []


def _note_reads_more(declaration: Declaration, where: str, key: str) -> None:
    declaration.problem(
        "unproved-file",
        _variable(where),
        f"{where} has {key}: what it brings in is not part of what is proved, and may change with each commit",
        _READS_MORE[key],
        resource=f"{where}.{key}",
    )


def _note_file(declaration: Declaration, where: str, path: str, why: str, rule: str = "unproved-file") -> None:
    declaration.problem(
        rule,
        _variable(where),
        f"{where} names the file {path}: {why}",
        "let the service bring the file along (x-bulkhead.files), with a path of its own such as "
        "docker/<service>/<file> or .bulkhead/private/<service>/<file>",
        resource=f"{where}: {path}",
    )


def _variable(where: str) -> str:
    """The variable that a place is part of."""
    variable = where.partition(".")[0]
    return variable if variable.startswith("bulkhead_") else "bulkhead_services"
