# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A port that Docker chooses may be another environment's: refused in what Bulkhead deploys."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Fleet, Severity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.assemble import assemble
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules.ports import ephemeral_port


@pytest.mark.parametrize(
    ("port", "chosen"),
    [
        ("80", True),
        ("127.0.0.1::80", True),
        ("8080-8090:80", True),
        ("8080:80", False),
        ("127.0.0.1:8080:80", False),
        ("8080-8082:80-82", False),
    ],
)
@pytest.mark.parametrize("deployed", [True, False])
def test_ports_that_the_engine_chooses(port: str, chosen: bool, deployed: bool) -> None:
    """A range for one port of the container is a choice as well."""
    text = f"name: aiia_staging\nservices: {{web: {{image: 'web:1', ports: ['{port}']}}}}\n"
    files = {"docker-compose.yml": text}
    environment = assemble(
        prefix="aiia_staging",
        directory="/srv/staging",
        compose_files=list(files),
        read=files.get,
        variables={"bulkhead_environment": "staging"} if deployed else {},
    )
    found = list(ephemeral_port(Fleet((environment,))))
    assert len(found) == chosen
    if found:
        assert found[0].severity == (Severity.HIGH if deployed else None)
        assert ("open to everybody" in found[0].message) != port.startswith("127.")
