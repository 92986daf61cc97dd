# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another major version of PostgreSQL: the path of docs/backups.md, with real servers of two versions."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from guide_stack import IMAGES
from observe import moment, say
from support import Site, docker, only, web

NEWER = IMAGES["postgresql"]["image"]
#: The demo's image with the version of the Debian before, as an older image of PostgreSQL's would be.
OLDER = f"""FROM {NEWER}
RUN echo 'deb http://deb.debian.org/debian bookworm main' > /etc/apt/sources.list.d/older.list \\
 && apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends postgresql-15 \\
 && rm -rf /var/lib/apt/lists/* /usr/lib/postgresql/15/lib/bitcode /usr/lib/postgresql/15/lib/llvmjit* \\
 && echo "listen_addresses = '*'" >> /usr/share/postgresql/15/postgresql.conf.sample \\
 && sed -i "s/ --set=listen_addresses='[*]'//" /usr/local/bin/docker-entrypoint.sh
ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PG_MAJOR=15
"""
PRIVATE = "./.bulkhead/private/postgresql"


@pytest.fixture
def older(projects: Callable[[], str]) -> Iterator[str]:
    """An image of an older major version."""
    name = f"{projects()}:15"
    subprocess.run(["docker", "build", "--quiet", "--tag", name, "-"], input=OLDER, text=True, check=True)
    yield name
    docker("image", "rm", "--force", name)


def test_another_major_version(site: Site, older: str) -> None:
    """Refused on the old volume before anything changes; on a new one the backup is restored, and the old one stays."""
    server: dict[str, Any] = {"image": older}
    words = {name: secrets.token_hex(16) for name in ("POSTGRES_PASSWORD", "DB_PASSWORD")}
    place = site.add("small", "test", secrets={"bulkhead_secrets": words}, services=only(web=web(), postgresql=server))
    place.variables |= {"bulkhead_env": {"SAY": "hello"}, "bulkhead_wait_timeout": 120}
    place.deploy().succeeded()
    ask = ("psql", "--username", site.project, "--dbname", place.prefix, "-qAt", "-c")

    def sql(statement: str) -> str:
        return docker("exec", f"{place.prefix}_postgresql", *ask, statement).strip()

    sql(f"CREATE TABLE note (text text); ALTER TABLE note OWNER TO {place.prefix}; INSERT INTO note VALUES ('kept')")
    assert sql("SHOW server_version").startswith("15.")

    server["image"] = NEWER
    before = moment(place)
    for arguments in (["--check"], ["-e", "bulkhead_allow_downtime=true"]):
        error = place.deploy(*arguments).error
        assert "its data of PostgreSQL 15 in the volume" in error and "docs/backups.md" in error
    assert moment(place) == before

    made = site.play("-l", "small", playbook="playbooks/backup.yml").succeeded().result("backup")["backup"]["name"]
    server["volumes"] = ["pgdata17:/var/lib/postgresql/data", f"{PRIVATE}/init:/docker-entrypoint-initdb.d:ro"]
    server["volumes"].append(f"{PRIVATE}/secrets:/run/bulkhead:ro")
    place.deploy("-e", "bulkhead_allow_downtime=true").succeeded()
    site.play("-l", "small", "-e", f"bulkhead_restore={made}", playbook="playbooks/restore.yml").succeeded()
    assert sql("SHOW server_version").startswith("17.")
    assert sql("SELECT text FROM note") == "kept" and say(place.prefix) == "hello"
    place.deploy().succeeded()
    assert place.deploy().succeeded().changed == 0
    kept = docker("volume", "ls", "--quiet", "--filter", f"name={place.prefix}_pgdata").split()
    assert len(kept) == 2

    before = moment(place)
    error = site.play("-l", "small", playbook="playbooks/rollback.yml").error
    assert "which that release does not know" in error
    assert moment(place) == before
