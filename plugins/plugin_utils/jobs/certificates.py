# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the machine must know to have a certificate issued for an environment, and to renew it."""

from __future__ import annotations

from typing import Any

from ...module_utils.core.layout import ACME
from ..declaration.model import Declaration
from ..declaration.schedules import times
from ..isolation import naming
from ..release.render import Release
from ..release.services import services

#: How often the machine looks whether a renewal is due: a failed one is tried again long before it matters.
_LOOKS = "12h"

#: The volume from which nginx answers the authority, in the stack.
_VOLUME = "acme"


def certificate_settings(declaration: Declaration, release: Release) -> dict[str, Any]:
    """The settings of ``Certificates``; empty where no authority issues the environment's certificate."""
    values = declaration.values
    if not values["bulkhead_acme"]:
        return {}
    prefix = str(values["bulkhead_prefix"])
    servers = [service for service in services(release) if any(_is_served(mount) for mount in service.mounts)]
    return {
        "prefix": prefix,
        "project": naming.project_name(prefix),
        "directory": values["bulkhead_directory"],
        "owner": values["bulkhead_owner"],
        "state_directory": values["bulkhead_state_directory"],
        "domains": [str(domain) for domain in values["bulkhead_domains"]],
        "email": values["bulkhead_acme_email"],
        "authority": values["bulkhead_acme_directory"],
        "ca_bundle": values["bulkhead_acme_ca_bundle"],
        "image": values["bulkhead_acme_image"],
        "check": bool(values["bulkhead_acme_check"]),
        "network": naming.network_name(prefix),
        "volume": naming.volume_name(prefix, values["bulkhead_environment"], _VOLUME),
        "servers": [{"key": service.key, "on_change": list(service.on_change)} for service in servers],
        "address": str(values["bulkhead_bind_address"] or "127.0.0.1").strip("[]"),
        "port": values["bulkhead_https_port"],
    }


def renewal_times(declaration: Declaration) -> dict[str, Any]:
    """When the machine looks whether a renewal is due."""
    found = times(_LOOKS, str(declaration.values["bulkhead_prefix"]))
    return {"cron": found.cron, "calendar": found.calendar, "docker_host": declaration.values["bulkhead_docker_host"]}


def _is_served(mount: str) -> bool:
    return mount.split(":")[0] == f"./{ACME}"
