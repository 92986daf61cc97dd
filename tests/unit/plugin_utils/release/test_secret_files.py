# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets in files below /run/secrets, for the services that are named and no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.model import Declaration
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import SEAL
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Release, Renderer, secret_values
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.services import services
from unit.fleets import SECRETS, declarations, declared, problems, read, write

TOKEN = "sk_live_canary'\"\\ $HOME\nsecond line\n"
WORDS = {**{name: value.format("prod") for name, value in SECRETS.items()}, "TOKEN": TOKEN}
WORKER = {"command": ["work"], "environment": ["LEVEL=debug"]}


KNOWN = {section: {"known": {"file": "./known"}} for section in ("configs", "secrets")}


def rendered(directory: Path, files: dict[Any, Any], **more: Any) -> tuple[Declaration, Release]:
    given = {"bulkhead_secret_files": files, "bulkhead_secrets": WORDS, "bulkhead_services": {"worker": WORKER}, **more}
    declaration = declared(directory, **given)
    release = Renderer(read(directory / "inventory").loader).render(declaration)
    assert isinstance(release, Release), declaration.problems
    return declaration, release


def test_a_file_for_those_that_are_named(tmp_path: Path) -> None:
    declaration, release = rendered(tmp_path, {"TOKEN": ["django", "worker"], "SECRET_KEY": ["django"]})
    assert problems(declaration) == [] and declaration.lacking == []
    files = {file.path: file for file in release.files}
    for service, names in (("django", ("TOKEN", "SECRET_KEY")), ("worker", ("TOKEN",))):
        for name in names:
            file = files[f".bulkhead/private/{service}/run-secrets/{name}"]
            assert (file.content, file.secret) == (WORDS[name], True)
    assert ".bulkhead/private/worker/run-secrets/SECRET_KEY" not in files
    django, worker = (release.stack.compose["services"][key] for key in ("django_prod", "worker"))
    assert django["environment"] == {f"{name}_FILE": f"/run/secrets/{name}" for name in ("TOKEN", "SECRET_KEY")}
    assert worker["environment"] == ["LEVEL=debug", "TOKEN_FILE=/run/secrets/TOKEN"]
    for service, definition in (("django", django), ("worker", worker)):
        assert f"./.bulkhead/private/{service}/run-secrets:/run/secrets:ro" in definition["volumes"]
    assert "/run/secrets" not in str(release.stack.compose["services"]["nginx"])
    # Neither .env nor the Compose file holds them.
    assert {"TOKEN", "SECRET_KEY"}.isdisjoint(setting.key for setting in release.settings)
    shown = "".join(files[path].content for path in (".env", release.compose_file))
    assert "canary" not in shown and WORDS["SECRET_KEY"] not in shown and WORDS["DB_PASSWORD"] in shown


def test_each_line_is_hidden(tmp_path: Path) -> None:
    """Also where no setting holds it: what a container prints of its files is masked."""
    _declaration, release = rendered(tmp_path, {"TOKEN": ["worker"]})
    hidden = secret_values(release)
    assert {TOKEN, TOKEN.splitlines()[0], "second line", WORDS["POSTGRES_PASSWORD"]} <= set(hidden)


def test_it_is_read_at_the_start_only(tmp_path: Path) -> None:
    """nginx has a command for changed files, which would not make it read these."""
    _declaration, release = rendered(tmp_path, {"TOKEN": ["nginx"]})
    (nginx,) = (service for service in services(release) if service.name == "nginx")
    path = ".bulkhead/private/nginx/run-secrets/TOKEN"
    assert nginx.on_change and path in nginx.files and nginx.start_files == (path,)
    assert "./.bulkhead/private/nginx/run-secrets:/run/secrets" in nginx.mounts


def test_a_secret_that_is_missing_or_locked(tmp_path: Path) -> None:
    declaration, release = rendered(tmp_path, {"ABSENT": ["worker"]})
    assert [problem.resource for problem in declaration.lacking] == ["bulkhead_secrets.ABSENT"]
    assert release.file(".bulkhead/private/worker/run-secrets/ABSENT").content == SEAL
    other = {"bulkhead_environment": "prod", "bulkhead_secret_files": {"SECRET_KEY": ["django"]}}
    inventory = read(write(tmp_path / "locked", {"production": other}))
    (locked,) = declarations(inventory, opened=False).values()
    found = Renderer(inventory.loader).render(locked, inert=True)
    assert found is not None and found.file(".bulkhead/private/django/run-secrets/SECRET_KEY").content == SEAL


PLACE = {"worker": {**WORKER, "environment": {"TOKEN_FILE": "/elsewhere"}}}


@pytest.mark.parametrize(
    ("files", "more", "rule", "says"),
    [
        ({"TOKEN": ["workr"]}, {}, "invalid-variable", "names the service workr, and bulkhead_services has none"),
        ({"TOKEN": "worker"}, {}, "invalid-variable", "is text, not a list of services"),
        ({"TOKEN": []}, {}, "invalid-variable", "not a list of services"),
        ({"TOKEN": None}, {}, "invalid-variable", "not a list of services"),
        ({"TO-KEN": ["worker"]}, {}, "invalid-variable", "TO-KEN"),
        ({"../TOKEN": ["worker"]}, {}, "invalid-variable", "TOKEN"),
        ({"BULKHEAD_DEPLOY_KEY": ["worker"]}, {}, "invalid-variable", "is for Bulkhead itself"),
        ({"TOKEN": ["worker"]}, {"bulkhead_services": PLACE}, "setting-twice", "worker.environment sets TOKEN_FILE"),
        (
            {"TOKEN": ["worker"]},
            {"bulkhead_env": {"TOKEN_FILE": "/x"}},
            "setting-twice",
            "bulkhead_env sets TOKEN_FILE",
        ),
        ({"TOKEN": ["worker"]}, {"bulkhead_env": {"TOKEN": "x"}}, "setting-twice", "bulkhead_env sets TOKEN;"),
        (
            {"TOKEN": ["worker"]},
            {"bulkhead_secrets": {**WORDS, "TOKEN": TOKEN, "TOKEN_FILE": "/x"}},
            "setting-twice",
            "bulkhead_secrets sets TOKEN_FILE",
        ),
        *(
            (
                {"TOKEN": ["worker"]},
                {"bulkhead_services": {"worker": {**WORKER, **key}}, "bulkhead_compose": KNOWN},
                "invalid-variable",
                said,
            )
            for key, said in (
                ({"volumes": ["words:/run/secrets"]}, "volumes mounts something there"),
                ({"volumes": [{"type": "volume", "source": "a", "target": "/run/secrets/a"}]}, "volumes mounts"),
                ({"tmpfs": "/run/secrets:size=1m"}, "tmpfs mounts"),
                ({"secrets": ["known"]}, "secrets mounts"),
                ({"configs": [{"source": "known", "target": "/run/secrets/a"}]}, "configs mounts"),
            )
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, files: dict[Any, Any], more: dict[str, Any], rule: str, says: str) -> None:
    declaration, _release = rendered(tmp_path, files, **more)
    assert [(found.rule, says in found.message) for found in declaration.problems] == [(rule, True)], [
        found.message for found in declaration.problems
    ]
    assert all(found.fix and "canary" not in str(found) for found in declaration.problems)
