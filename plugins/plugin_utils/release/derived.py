# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What follows from an environment's variables, and no user sets: its image, and what templates need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...module_utils.docker.labels import DOOR
from ...module_utils.docker.reference import PULLED
from ...module_utils.image.tag import build_inputs, image_tag
from ...module_utils.source.values import split_credentials
from ..declaration.settings import texts
from ..declaration.swarm import SWARM
from ..isolation import naming
from ..isolation.declared import sockets_directory
from .login import login_role

#: What stands for the commit as long as no machine has been asked for it.
UNKNOWN_COMMIT = "0" * 40


def image_of(values: Mapping[str, Any], commit: str) -> str:
    """The application's image for a commit."""
    swarm = values["bulkhead_engine"] == SWARM
    if swarm and values["bulkhead_image"]:
        return str(values["bulkhead_image"])  # each node fetches it where it is
    tag = commit if commit == UNKNOWN_COMMIT else image_tag(commit, inputs_of(values))
    return f"{image_repository(values)}:{tag}"


def image_repository(values: Mapping[str, Any]) -> str:
    """What the application's images are called, without a tag: of a stack, in the registry."""
    on_swarm = values["bulkhead_engine"] == SWARM and values["bulkhead_registry"]
    registry = f"{values['bulkhead_registry']}/" if on_swarm else ""
    return f"{registry}{naming.image_name(values['bulkhead_prefix'], values['bulkhead_app_service'])}"


def derived(values: Mapping[str, Any], image: str) -> dict[str, Any]:
    """What templates need and no user sets."""
    address = values["bulkhead_bind_address"]
    host = f"[{address}]:" if ":" in address else f"{address}:" if address else ""
    port = values["bulkhead_https_port"]
    published = ((values["bulkhead_http_port"], 80), (port, 443))
    return {
        "bulkhead_application_image": image,
        "bulkhead_login_role": login_of(values),
        "bulkhead_published_ports": [f"{host}{number}:{inside}" for number, inside in published if number is not None],
        "bulkhead_sockets": sockets_directory(values["bulkhead_prefix"], values["bulkhead_state_directory"]),
        "bulkhead_door_label": f"{DOOR}{values['bulkhead_prefix']}",
        "bulkhead_origins": [
            f"https://{domain}" + ("" if port == 443 else f":{port}") for domain in values["bulkhead_domains"]
        ],
        "bulkhead_served": {name: served(values, name) for name in ("static", "media")},
        "bulkhead_upstream": naming.container_name(values["bulkhead_prefix"], values["bulkhead_app_service"]),
    }


#: Where nginx of the default stack has the volume whose place in the application is ``bulkhead_storage_path``.
_SERVED_FROM = "/srv/storage"


def served(values: Mapping[str, Any], name: str) -> str:
    """The directory from which nginx serves the application's ``static`` or ``media`` root; empty if it does not."""
    root, storage = str(values[f"bulkhead_{name}_root"]), str(values["bulkhead_storage_path"])
    return f"{_SERVED_FROM}{root.removeprefix(storage)}" if root else ""


def login_of(values: Mapping[str, Any]) -> str:
    """The role by which the application logs in."""
    password = texts(values["bulkhead_secrets"]).get("DB_PASSWORD", "")
    return login_role(values["bulkhead_database_login"], values["bulkhead_database_user"], password)


def inputs_of(values: Mapping[str, Any]) -> str:
    """A digest of what, beside the commit, decides what the application's image contains; a word where it is pulled."""
    if values["bulkhead_image"]:
        return PULLED
    return build_inputs(
        split_credentials(values["bulkhead_source_repository"])[0],
        *(values[f"bulkhead_build_{what}"] for what in ("dockerfile", "context", "target", "arguments")),
    )
