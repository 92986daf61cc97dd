# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guide as it was written: its directories, service names, container names and commands, without ``name:``.

It promises that "deploying to one environment will NEVER affect the other", and its two directories have one name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Finding, Fleet, Severity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.assemble import assemble
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.text import arrange
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import judge
from hazards.cases import arguments, reader

COMPOSE = """\
services:
  django_{env}:
    build: ./code
    container_name: aiia_{env}_django
    command: gunicorn config.wsgi --bind 0.0.0.0:{port}
    env_file: .env
    volumes: [storage_{env}:/app/storage]
    networks: [aiia_{env}_network]
  pgbouncer:
    image: bitnami/pgbouncer:1.24.1
    container_name: aiia_{env}_pgbouncer
    environment: {{POSTGRESQL_HOST: postgresql, PGBOUNCER_DATABASE: aiia_{env}}}
    networks: [aiia_{env}_network]
  postgresql:
    image: postgres:17.5
    container_name: aiia_{env}_postgresql
    environment: {{POSTGRES_DB: aiia_{env}, POSTGRES_USER: aiia, POSTGRES_PASSWORD_FILE: /run/secrets/db}}
    volumes: [pgdata_{env}:/var/lib/postgresql/data]
    networks: [aiia_{env}_network]
  redis:
    image: redis:8.0
    container_name: aiia_{env}_redis
    volumes: [redis_data_{env}:/data]
    networks: [aiia_{env}_network]
  nginx:
    image: nginx:1.28
    container_name: aiia_{env}_nginx
    ports: ["{http}:80", "{https}:443"]
    volumes: ["./docker/nginx/{env}.conf:/etc/nginx/conf.d/default.conf:ro"]
    networks: [aiia_{env}_network]
networks:
  aiia_{env}_network:
    name: aiia_{env}_network
volumes:
  storage_{env}: {{name: storage_{env}}}
  pgdata_{env}: {{name: pgdata_{env}}}
  redis_data_{env}: {{name: redis_data_{env}}}
"""

NGINX = """\
server {{
    listen 80;
    server_name {names};
    location / {{
        proxy_pass http://aiia_{env}_django:{port};
        proxy_set_header Host $host;
    }}
}}
"""

DOT_ENV = """\
{extra}DB_NAME=aiia_{env}
DB_HOST=pgbouncer
SECRET_KEY=only-{env}-knows-this-key-of-fifty-characters-or-more
ALLOWED_HOSTS={hosts}
"""

DEPLOY = """\
name: Deploy {env}
on: {{push: {{branches: [{branch}]}}}}
jobs:
  deploy:
    runs-on: [self-hosted, {env}]
    environment: {env}
    steps:
      - run: |
          cd {directory}
          git checkout origin/{branch}
          docker-compose -f docker-compose.{env}.yml build django_{env}
          docker-compose -f docker-compose.{env}.yml up -d
"""

PROD = {
    "env": "prod",
    "branch": "main",
    "directory": "/home/ubuntu/main/ai-ia-backend",
    "port": 8000,
    "http": 80,
    "https": 443,
    "names": "eduaiia.com www.eduaiia.com",
    "hosts": "eduaiia.com,www.eduaiia.com",
}
STAGING = {
    "env": "staging",
    "branch": "staging",
    "directory": "/home/ubuntu/staging/ai-ia-backend",
    "port": 8001,
    "http": 8080,
    "https": 8443,
    "names": "staging.eduaiia.com",
    "hosts": "staging.eduaiia.com",
}


def environment(values: Mapping[str, Any], *, name: str = "") -> dict[str, Any]:
    """One environment of the guide, as isolation_check would have it; with ``name``, the project that it names."""
    env = values["env"]
    head = f"name: {name}\n" if name else ""
    extra = f"COMPOSE_PROJECT_NAME={name}\n" if name else ""
    return {
        "prefix": f"aiia_{env}",
        "directory": values["directory"],
        "files": {
            f"docker-compose.{env}.yml": head + COMPOSE.format(**values),
            ".env": DOT_ENV.format(**values, extra=extra),
            f"docker/nginx/{env}.conf": NGINX.format(**values),
            f".github/workflows/deploy-{env}.yml": DEPLOY.format(**values),
        },
    }


def findings(*environments: Mapping[str, Any]) -> list[Finding]:
    """What the rules say, in the order of the report."""
    fleet = Fleet(tuple(assemble(**arguments(item, reader(item, environments))) for item in environments))
    assert all(not item.problems for item in fleet.environments), [item.problems for item in fleet.environments]
    return arrange(judge(fleet))


def test_the_guide_as_written_is_refused_for_its_shared_project() -> None:
    """The first finding of the report is the project that both environments are."""
    first = findings(environment(PROD), environment(STAGING))[0]
    assert first.rule == "shared-project"
    assert first.severity is Severity.CRITICAL
    assert first.environments == ("aiia_prod", "aiia_staging")
    assert first.resource == "project ai-ia-backend"
    assert "CP-01" in first.hazards
    assert "their directories are both called ai-ia-backend" in first.message
    assert "nginx" in first.message and "postgresql" in first.message
    assert "name: aiia_staging" in first.fix
    assert {str(place).partition(":")[0] for place in first.where} <= {
        "docker-compose.prod.yml (name)",
        "docker-compose.staging.yml (name)",
    }


def test_two_lines_mend_what_the_guide_does_to_docker() -> None:
    """With a name in each project nothing is left between their projects, names, networks, paths and ports. What is
    left is that nginx answers hosts it was not asked to, and is said."""
    found = findings(environment(PROD, name="aiia_prod"), environment(STAGING, name="aiia_staging"))
    left = {hazard for finding in found if finding.severity >= Severity.MEDIUM for hazard in finding.hazards}
    assert not {hazard for hazard in left if hazard[:2] in ("CP", "NM", "NW", "VP", "PT")}
    assert left


def test_one_environment_of_the_guide_alone_has_no_shared_project() -> None:
    """It takes two."""
    assert "shared-project" not in {finding.rule for finding in findings(environment(PROD))}
