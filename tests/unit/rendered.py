# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Environments for tests of the rules, as they are read back from what Bulkhead rendered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Environment
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.assemble import assemble
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.rendered import RenderedArtefacts


def rendered_environment(
    name: str,
    services: Mapping[str, Any],
    variables: Mapping[str, Any],
    settings: Mapping[str, str] | None = None,
    nginx: str = "",
    **compose: Any,
) -> Environment:
    """The environment ``aiia_<name>`` with its own domain: its Compose services and more of its Compose file, its
    ``.env``, and the text of nginx's configuration."""
    return assemble(
        prefix=f"aiia_{name}",
        name=name,
        project="aiia",
        group=name,
        machine="app1",
        directory=f"/srv/{name}",
        domains=[f"{name}.aiia.example"],
        http_port=None,
        https_port=443 if nginx else None,
        protected=False,
        variables=variables,
        origins={},
        rendered=RenderedArtefacts(
            compose={"name": f"aiia_{name}", "services": services, **compose},
            compose_file=f"docker-compose.{name}.yml",
            settings=dict(settings or {}),
            secrets=[],
            sources={},
            nginx={f"docker/nginx/{name}.conf": nginx} if nginx else {},
            files={},
        ),
    )
