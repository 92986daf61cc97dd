# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the action ``converge`` ships to the module of that name. Runs on the targets."""

from __future__ import annotations

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .service import Service

#: What may be missing: the release to return to has it, or it is not wanted.
_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(
        ("branch", "compose_file", "firewall_chain", "image_repository", "name", "project", "repository"), ""
    ),
    **dict.fromkeys(("adopted", "files", "firewall_ports", "networks", "ports", "restart", "services", "volumes"), []),
    **dict.fromkeys(("acme", "backup", "environment", "mend"), {}),
    **dict.fromkeys(("allow_downtime", "firewall"), False),
    **{
        "cpu_weight": 0,
        "drain_timeout": 10,
        "keep_releases": 5,
        "prepare_timeout": 600,
        "readiness_delay": 5,
        "wait_timeout": 300,
    },
}


def converge_arguments(module: AnsibleModule) -> dict[str, Any]:
    """The module's options, with what ``release`` holds in its place. Secret files are shown nowhere from here on."""
    given = json.loads(module.params["release"] or "{}")
    shipped = {name: value for name, value in given.items() if value is not None}
    params = {**module.params, **_DEFAULTS, **shipped}
    del params["release"]
    module.no_log_values.update(file["content"] for file in params["files"] if file["secret"] and file["content"])
    params["services"] = [Service.from_dict(service) for service in params["services"]]
    return params
