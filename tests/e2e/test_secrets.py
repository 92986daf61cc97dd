# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No secret is seen where it does not belong: on the screen, in process arguments, in files and in other containers."""

from __future__ import annotations

import http.server
import json
import secrets
import subprocess
import sys
import threading

import pytest
import yaml
from canaries import forms, holds
from guide_stack import Guide
from observe import ProcessArguments, containers, eventually
from support import Place, Site, docker, only, web


def texts(place: Place) -> list[str]:
    """Every secret of an environment, long ones by their lines, too."""
    key = place.secrets["bulkhead_tls_key"].splitlines()[1]
    return [*place.secrets["bulkhead_secrets"].values(), key]


def test_staging_without_productions_password(guide: Guide) -> None:
    """Production's vault is locked here: staging deploys all the same, and production cannot be deployed."""
    vault = guide.site.inventory / "group_vars/production/vault.yml"
    assert vault.read_text().startswith("$ANSIBLE_VAULT")
    run = guide.staging.deploy("--check", passwords=["staging"]).succeeded()
    assert f"this run is for {guide.staging.prefix}" in run.output
    refused = guide.production.deploy("--check", passwords=["staging"])
    assert refused.code != 0
    # Ansible itself says so, before any task of the play.
    assert "no vault secrets were found that could decrypt" in refused.output


def test_the_whole_way(guide: Guide) -> None:
    """A deployment that changes everything, as loud as it gets: not on the screen, not in process arguments."""
    place = guide.staging
    hidden = [*texts(guide.production), *texts(place)]
    words = place.secrets["bulkhead_secrets"]
    words["SECRET_KEY"] = f"key {secrets.token_hex(16)}"
    words["DB_PASSWORD"] = f"database {secrets.token_hex(16)}"
    hidden += [words["SECRET_KEY"], words["DB_PASSWORD"]]
    with ProcessArguments(hidden) as arguments:
        run = place.deploy("-vvv", "--diff", passwords=["staging"]).succeeded()
    assert run.changed and "docker-compose.staging.yml" in run.output
    assert [text for text in hidden if text in run.output] == []
    assert [text for text in hidden if json.dumps(text)[1:-1] in run.output] == []
    recorded = (guide.site.directory / "record.jsonl").read_text()
    assert [text for text in hidden if text in recorded or json.dumps(text)[1:-1] in recorded] == []
    assert arguments.rounds > 20 and arguments.seen == set()


def test_the_sampler_sees_arguments() -> None:
    """The control: a process with a secret in its arguments is noticed."""
    canary = secrets.token_hex(16)
    command = [sys.executable, "-c", "import time; time.sleep(90)", canary]
    with ProcessArguments([canary]) as arguments, subprocess.Popen(command) as process:
        eventually(lambda: arguments.seen)
        process.kill()
    assert any(canary.encode() in line for line in arguments.seen)


def test_files_on_the_machine(guide: Guide) -> None:
    """Secrets are in the files that are meant for them, which others cannot reach, and in no other."""
    meant = {".env", "key.pem", "userlist.txt", "admin_password", "logins", "password", "passwords", "redis.conf"}
    for place in guide.both:
        hidden = [text.encode() for text in texts(place)]
        foreign = [text.encode() for text in texts(guide.other(place))]
        holding = 0
        kept = place.site.directory / "machine-state/deployed" / place.prefix
        for path in (*place.directory.rglob("*"), *kept.rglob("*")):
            if not path.is_file() or ".git" in path.parts:
                continue
            content = path.read_bytes()
            assert not [text for text in foreign if text in content], f"{path} has a secret of the other environment"
            if any(text in content for text in hidden):
                holding += 1
                assert path.name in meant, path
                closed = (path, kept if path.is_relative_to(kept) else place.directory / ".bulkhead")
                assert any(there.stat().st_mode & 0o077 == 0 for there in closed), path
        assert holding >= len(meant)


def test_everything_that_is_left(guide: Guide) -> None:
    """After runs that succeeded and one that failed: no file that is not meant for it has a secret, no image's history
    or label, no log of a container."""
    place = guide.staging
    failed = place.deploy("-vvv", "-e", "bulkhead_source_commit=feedfacefeedfacefeedfacefeedfacefeedface")
    assert failed.code != 0
    canaries = [form for each in guide.both for text in texts(each) for form in forms(text)]
    assert [form for form in canaries if form in failed.output.encode()] == []
    meant = {".env", "key.pem", "userlist.txt", "admin_password", "logins", "password", "passwords", "redis.conf"}
    holding = [
        path
        for path in guide.site.directory.rglob("*")
        if path.is_file() and not path.is_symlink() and holds(path, canaries)
    ]
    assert {path.name for path in holding} == meant, [path for path in holding if path.name not in meant]
    for each in guide.both:
        images = docker("image", "ls", "--quiet", "--filter", f"reference={each.prefix}_*").split()
        assert images
        shown = [docker("image", "inspect", *images), *(docker("history", "--no-trunc", image) for image in images)]
        for name in containers(each.prefix):
            logs = subprocess.run(
                ["docker", "logs", name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
            )
            shown.append(logs.stdout.decode(errors="replace"))
        assert [form for form in canaries if form in "".join(shown).encode()] == []


def test_other_containers(guide: Guide) -> None:
    """Neither labels nor variables nor commands of a container that is not the application show a secret."""
    for place in guide.both:
        for name, item in containers(place.prefix).items():
            shown = json.dumps(item)
            hidden = texts(place) if not name.endswith("_django") else texts(guide.other(place))
            assert [text for text in hidden if json.dumps(text)[1:-1] in shown] == [], name


def test_the_administrators_password_is_not_the_applications(guide: Guide) -> None:
    """What only the stack needs stays out of the application's variables."""
    for place in guide.both:
        django = json.dumps(containers(place.prefix)[f"{place.prefix}_django"])
        admin = place.secrets["bulkhead_secrets"]["POSTGRES_PASSWORD"]
        assert json.dumps(admin)[1:-1] not in django and "POSTGRES_PASSWORD" not in django


@pytest.mark.parametrize("verbosity", ["-v", "-vvv"])
def test_a_container_that_tells_its_secrets(site: Site, verbosity: str) -> None:
    """The last words of a container that fails are shown without the secrets that it prints."""
    words = {
        "TOKEN": f"tok'en-{secrets.token_hex(8)}",
        "KEY": f"first {secrets.token_hex(8)}\nsecond {secrets.token_hex(8)}",
    }
    command = ["sh", "-c", 'echo i am $$TOKEN; echo "and $$KEY"; exit 1']
    place = site.small(secrets={"bulkhead_secrets": words}, services=only(web=web(command=command)))
    run = place.deploy(verbosity)
    assert "i am ********" in run.error
    for text in [words["TOKEN"], *words["KEY"].splitlines()]:
        assert text not in run.output, text


def test_credentials_of_the_repository(site: Site) -> None:
    """A token in the repository's address is not shown, however loud the run."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}/origin.git"
        place = site.small(
            source_repository=f"http://robot:t0ken-of-the-robot@{address}",
            source_branch="main",
            app_service="web",
            services=only(web={}),
        )
        run = place.deploy("-vvv")
        server.shutdown()
    assert f"http://{address} cannot be read" in run.error
    assert "t0ken-of-the-robot" not in run.output


def test_the_vault_is_what_is_locked(guide: Guide) -> None:
    """The control: the generated inventory has no secret in a file that anybody can read."""
    for group in ("all", "production", "staging"):
        text = (guide.site.inventory / f"group_vars/{group}/main.yml").read_text()
        assert "bulkhead_secrets" not in yaml.safe_load(text.replace("!unsafe", ""))
