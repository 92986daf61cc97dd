# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No report shows a secret: neither the redaction of what rules quote, nor any rule with any secret."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Environment, Fleet
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.assemble import assemble
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.rendered import RenderedArtefacts
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.redaction import HIDDEN, redact
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import judge
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize(
    "text",
    [
        "celery -b redis://:hunter2@redis:6379/0 purge",
        "psql postgres://app:hunter2@db/app -c 'ALTER SYSTEM SET x = 1'",
        "docker exec -e DB_PASSWORD=hunter2 aiia_prod_web migrate",
        "docker exec -e DB_PASSWORD='hunter2' aiia_prod_web migrate",
        "curl --api-key x --token=hunter2 https://example.com",
        "ALTER ROLE app PASSWORD 'hunter2'",
        "STRIPE=sk_live_hunter2",
        "postgres://app:hunt@er2hunter2@db/app",
    ],
)
def test_redacted(text: str) -> None:
    """The secret is gone, and something says that it was there."""
    assert "hunter2" not in redact(text)
    assert HIDDEN in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "DB_HOST=aiia_prod_db",
        "https://eduaiia.com:8443/login",
        "aiia_prod and aiia_staging have the same SECRET_KEY.",
        "docker compose -p aiia_staging exec -T web python manage.py migrate",
    ],
)
def test_left_alone(text: str) -> None:
    """What is no secret stays readable."""
    assert redact(text) == text


def _environment(name: str, secret: str) -> Environment:
    rendered = RenderedArtefacts(
        compose={
            "name": f"aiia_{name}",
            "services": {"web": {"image": "web:1.0", "env_file": [".env"], "environment": {"API_TOKEN": secret}}},
        },
        settings={
            "SECRET_KEY": secret,
            "DB_HOST": "db.internal",
            "DB_NAME": "aiia",
            "DB_USER": "aiia",
            "DB_PASSWORD": secret,
            "EMAIL_HOST": "smtp.example.com",
            "EMAIL_HOST_USER": "mail",
            "EMAIL_HOST_PASSWORD": secret,
            "STRIPE_SECRET_KEY": f"sk_live_{secret}",
            "REDIS_URL": f"redis://:{secret}@redis.internal/0",
        },
        secrets=["SECRET_KEY", "DB_PASSWORD"],
        files={"deploy.sh": f"celery -b redis://:{secret}@redis.internal/0 purge -f\n"},
    )
    return assemble(prefix=f"aiia_{name}", name=name, directory=f"/srv/{name}", rendered=rendered)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet="abcdefghijkmnpqrstuvwxyzABCDEFGHJK23456789_-", min_size=12, max_size=40).map("Zx9".__add__))
def test_no_finding_shows_a_shared_secret(secret: str) -> None:
    """Everything is shared and everything is found, and the value is in none of it."""
    findings = judge(Fleet((_environment("prod", secret), _environment("staging", secret))))
    assert {"shared-signing-key", "shared-database", "shared-mail-account", "queue-purge"} <= {f.rule for f in findings}
    assert secret not in "".join(f"{finding}{finding.as_dict()}" for finding in findings)
