# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two profiles of docs/profiles.md, deployed as they stand there, with small applications of their kind."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import build
import pytest
import yaml
from guide_stack import IMAGES, self_signed
from make_repository import commit
from observe import ask, eventually, running
from profiles import profiles
from support import Place, Site, free_port, remove_project

APPLICATIONS = Path(__file__).parent / "profiled"


class Profiled:
    """Staging of an application that a profile describes."""

    def __init__(self, site: Site, name: str) -> None:
        self.site = site
        self.repository = site.directory / "shop.git"
        subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(self.repository)], check=True)
        folder = APPLICATIONS / name.lower()
        source = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
        commit(self.repository, "staging", source, "First")
        # What is this machine's: the project, where the source is, and where the stack's own images come from.
        variables: dict[str, Any] = yaml.safe_load(profiles()[name].text)
        variables |= {"bulkhead_project": site.project, "bulkhead_source_repository": str(self.repository)}
        for service in profiles()[name].services & IMAGES.keys():
            variables["bulkhead_services"].setdefault(service, {}).update(IMAGES[service])
        path = site.inventory / "group_vars/all/profile.yml"
        path.parent.mkdir(parents=True)
        path.write_text(yaml.safe_dump(variables))
        self.staging = self._staging()

    def _staging(self) -> Place:
        certificate, key = self_signed(["staging.shop.example.com"])
        words = {word: secrets.token_hex(24) for word in ("SECRET_KEY", "DB_PASSWORD", "POSTGRES_PASSWORD")}
        words |= {"REDIS_PASSWORD": secrets.token_hex(24)}
        return self.site.add(
            "staging",
            "staging",
            {"bulkhead_secrets": words, "bulkhead_tls_certificate": certificate, "bulkhead_tls_key": key},
            source_branch="staging",
            domains=["staging.shop.example.com"],
            bind_address="127.0.0.1",
            http_port=free_port(),
            https_port=free_port(),
            allow_downtime=False,
        )

    def releases(self, what: str) -> None:
        """A new commit, deployed."""
        commit(self.repository, "staging", {"release": f"{what}\n"}, what)
        self.staging.deploy().succeeded()

    def says(self, path: str) -> str:
        """The page of a path, which must be there."""
        answer = ask(self.staging, path)
        assert answer.status == 200, (path, answer)
        return answer.body.decode().strip()


@pytest.fixture
def profiled(tmp_path: Path, projects: Callable[[], str]) -> Iterator[Callable[[str], Profiled]]:
    site = Site(tmp_path, projects())

    def deployed(name: str) -> Profiled:
        build.ensure_images([name.lower()])
        made = Profiled(site, name)
        made.staging.deploy().succeeded()
        return made

    yield deployed
    remove_project(site.project)


def stays(profiled: Profiled, upload: str) -> None:
    """A second run changes nothing, a new release keeps what was uploaded, and verify has nothing to say."""
    first = running(profiled.staging.prefix)
    assert profiled.staging.deploy().succeeded().changed == 0
    assert running(profiled.staging.prefix) == first
    profiled.releases("two")
    assert profiled.says(upload) == "kept"
    assert profiled.says("/static/style.css") == "body {}"
    seen = profiled.site.play("-l", "staging", playbook="playbooks/verify.yml").succeeded()
    assert "static-missing" not in seen.output and "uploads-in-container" not in seen.output


def test_node(profiled: Callable[[str], Profiled]) -> None:
    """A worker takes a job, uploads are nginx's to serve, static files the application's; all under its own names."""
    shop = profiled("Node")
    port = shop.staging.variables["bulkhead_https_port"]
    expected = {
        "migrated": shop.staging.prefix,
        "user": 1000,
        "url": f"https://staging.shop.example.com:{port}",
        "secret": True,
    }
    assert ask(shop.staging, "/about").json == {"release": "one", **expected}
    assert shop.says("/upload") == "taken" and shop.says("/media/a.txt") == "kept"
    assert shop.says("/job") == ":1"
    eventually(lambda: shop.says("/done") == "yes")
    stays(shop, "/media/a.txt")
    assert ask(shop.staging, "/about").json == {"release": "two", **expected}


@pytest.mark.full  # two minutes, most of them to build an image with Apache and PHP
def test_php(profiled: Callable[[str], Profiled]) -> None:
    """Apache without a capability: a table that was migrated, uploads on the volume."""
    shop = profiled("PHP")
    expected = {"user": "www-data", "secret": True}
    assert ask(shop.staging, "/about.php").json == {"release": "one", "visits": 1, **expected}
    assert shop.says("/upload.php") == "" and shop.says("/uploads/a.txt") == "kept"
    stays(shop, "/uploads/a.txt")
    assert ask(shop.staging, "/about.php").json == {"release": "two", "visits": 2, **expected}
