# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""isolation_check of two Compose projects of a size that people have, beyond the start of Python: processor time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from measure import Line, processor_time, side_by_side
from programs import BIN, ROOT, SCRATCH, run

SERVICES = 20
PROGRAM = """
import json, sys
from datetime import date
from pathlib import Path
sys.path.insert(0, {tests!r})
import checkout
checkout.install()
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation_check.check import check
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation_check.request import parse
answer = check(parse({{"config": "check.yml"}}, Path({folder!r})), date(2026, 1, 1))
assert len(answer.environments) == 2
"""


def project(prefix: str, port: int) -> str:
    """A Compose file written by hand, of twenty services with all that such files have."""
    services = "".join(
        f"""
  service{number}:
    <<: *common
    image: registry.example.com/{prefix}/service{number}:${{TAG:-1.0}}
    container_name: {prefix}_service{number}
    ports: ["127.0.0.1:{port + number}:8000"]
    environment:
      - DATABASE_URL=postgres://{prefix}:${{DB_PASSWORD}}@db:5432/{prefix}
      - CACHE_URL=redis://cache:6379/{number % 4}
    volumes:
      - ./data/service{number}:/data
      - shared:/srv/shared
    depends_on: [db, cache]
    healthcheck: {{test: [CMD, curl, -f, "http://127.0.0.1:8000/health"], interval: 10s}}
"""
        for number in range(SERVICES - 2)
    )
    return f"""name: {prefix}
x-common: &common
  restart: unless-stopped
  env_file: [.env]
  logging: {{driver: json-file, options: {{max-size: 10m}}}}
services:
  db: {{<<: *common, image: "postgres:17.6", container_name: {prefix}_db, volumes: ["data:/var/lib/postgresql/data"]}}
  cache: {{<<: *common, image: "redis:7.4.5", container_name: {prefix}_cache}}
{services}
networks: {{default: {{name: {prefix}_network}}}}
volumes: {{data: {{name: {prefix}_data}}, shared: {{name: {prefix}_shared}}}}
"""


def lines(rounds: int) -> Iterator[Line | str]:
    """Seconds beyond the start of Python."""
    folder = SCRATCH / "check"
    shutil.rmtree(folder, ignore_errors=True)
    program = write_projects(folder)
    python = str(BIN / "python")
    try:
        medians = side_by_side(
            {"check": lambda: run([python, "-c", program]), "Python": lambda: run([python, "-c", "pass"])},
            rounds,
            processor_time,
        )
        beyond = medians["check"] - medians["Python"]
        detail = f"two projects of {SERVICES} services, {medians['check']:.2f} s in all"
        yield Line("isolation_check beyond the start of Python", beyond, 1.0, detail, "s")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_projects(folder: Path) -> str:
    """Write the two projects, and return the program that checks them."""
    environments = []
    for name, port in (("prod", 8000), ("staging", 8100)):
        (folder / name).mkdir(parents=True)
        (folder / name / "docker-compose.yml").write_text(project(f"app_{name}", port), encoding="utf-8")
        (folder / name / ".env").write_text(f"TAG=1.1\nDB_PASSWORD=password-of-{name}\n", encoding="utf-8")
        environments.append(
            {
                "name": name,
                "prefix": f"app_{name}",
                "directory": f"/srv/{name}",
                "compose_files": [f"{name}/docker-compose.yml"],
                "env_files": [f"{name}/.env"],
            }
        )
    (folder / "check.yml").write_text(json.dumps({"environments": environments}), encoding="utf-8")
    return PROGRAM.format(tests=str(ROOT / "tests"), folder=str(folder))
