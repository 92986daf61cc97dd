# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a stack must not bring in: unproved files, labels that say what belongs to whom, and files of other places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.sources import check_files_read_as_root
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Renderer
from unit.fleets import declared, read, write


def only(**services: Any) -> dict[str, Any]:
    """These services, without one of the default stack's."""
    return {**dict.fromkeys(("nginx", "django", "pgbouncer", "postgresql", "redis")), **services}


def noted(tmp_path: Path, **variables: Any) -> list[str]:
    """The rules and messages of an environment's problems, declared and rendered."""
    declaration = declared(tmp_path, **variables)
    Renderer(read(write(tmp_path / "any", {})).loader, []).render(declaration)
    return [f"{problem.rule}: {problem.message}" for problem in declaration.problems]


def with_service(tmp_path: Path, **keys: Any) -> list[str]:
    return noted(tmp_path, bulkhead_services=only(web={"image": "web:1", **keys}))


FORGED = "io.bulkhead.tree"


@pytest.mark.parametrize(
    "keys",
    [
        {"labels": {FORGED: "x"}},
        {"labels": [f"{FORGED}=x"]},
        {"labels": {"io.bulkhead.prefix": "app_prod"}},
        {"labels": {"com.docker.compose.project": "app_prod"}},
        {"labels": ["${NAME}=x"]},
        {"deploy": {"labels": [f"{FORGED}=x"]}},
        {"deploy": {"labels": ["$NAME=x"]}},
        {"volumes": [{"type": "volume", "source": "a", "target": "/a", "volume": {"labels": {FORGED: "x"}}}]},
    ],
)
def test_labels_of_ours(tmp_path: Path, keys: dict[str, Any]) -> None:
    problems = [problem for problem in with_service(tmp_path, **keys) if not problem.startswith("compose-variable")]
    assert len(problems) == 1
    assert problems[0].startswith("reserved-label: bulkhead_services.web") and "sets the label" in problems[0]


@pytest.mark.parametrize("section", ["networks", "volumes", "secrets", "configs"])
def test_labels_of_ours_on_what_a_project_makes(tmp_path: Path, section: str) -> None:
    entry = {"name": "app_prod_more", "labels": {"io.bulkhead.prefix": "aiia_staging"}}
    problems = noted(tmp_path, bulkhead_compose={section: {"more": entry}})
    assert any(problem.startswith(f"reserved-label: bulkhead_compose.{section}.more sets") for problem in problems)


def test_other_labels(tmp_path: Path) -> None:
    labels = ["traefik.enable=true", "io.bulkheads=x", "org.example.note=$$x"]
    assert with_service(tmp_path, labels=labels) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("extends", {"file": "code/more.yml", "service": "web"}),
        ("label_file", "code/labels"),
        ("build", "./code"),
        ("build", {"context": "../../prod/app", "labels": {FORGED: "x"}}),
    ],
)
def test_keys_that_read_more(tmp_path: Path, key: str, value: Any) -> None:
    problems = with_service(tmp_path, **{key: value})
    assert problems[0].startswith(f"unproved-file: bulkhead_services.web has {key}"), problems


def test_include(tmp_path: Path) -> None:
    problems = noted(tmp_path, bulkhead_compose={"include": ["code/more.yml"]})
    assert problems[0].startswith("unproved-file: bulkhead_compose has include")


@pytest.mark.parametrize("section", ["secrets", "configs"])
def test_a_file_of_the_checkout(tmp_path: Path, section: str) -> None:
    problems = noted(tmp_path, bulkhead_compose={section: {"more": {"file": "./code/link"}}})
    assert any("names the file ./code/link: a commit decides" in problem for problem in problems)


@pytest.mark.parametrize("env_file", ["code/.env", "../prod/.env", {"path": "local.env"}, "/etc/environment"])
def test_settings_from_elsewhere(tmp_path: Path, env_file: Any) -> None:
    problems = with_service(tmp_path, env_file=[".env", env_file])
    assert any("settings are read from .env and from files that a service brings" in problem for problem in problems)


def test_settings_that_a_service_brings_along(tmp_path: Path) -> None:
    files = {"files": [{"path": "web/more.env", "content": "A=1\n"}]}
    assert with_service(tmp_path, env_file=["./.env", "web/more.env"], **{"x-bulkhead": files}) == []


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ({"path": "../../prod/app/.env", "content": "x"}, "'..' would lead out"),
        ({"path": "/etc/shadow", "content": "x"}, "a path relative to the environment's directory"),
        ({"path": "./docker-compose.prod.yml", "content": "x"}, "write it as docker-compose.prod.yml"),
        ({"path": "docker-compose.prod.yml", "content": "x"}, "it would replace what Bulkhead renders"),
        ({"path": ".env", "content": "x"}, "it would replace what Bulkhead renders"),
        ({"path": ".bulkhead/state.json", "content": "x"}, "only .bulkhead/private/ may hold files of services"),
        ({"path": "a", "source": "/home/ubuntu/staging/ai-ia-backend/.env"}, "only files below"),
        ({"path": "a", "source": "/var/lib/bulkhead/key"}, "only files below"),
        ({"path": "a", "source": "/etc/shadow"}, "only files below"),
        ({"path": "docker/nginx/more.conf", "content": "x", "secret": True}, "its text must be known"),
    ],
)
def test_files_of_services(tmp_path: Path, file: dict[str, Any], words: str) -> None:
    problems = with_service(tmp_path, **{"x-bulkhead": {"files": [file]}})
    assert len(problems) == 1 and words in problems[0], problems


def test_two_files_of_one_path(tmp_path: Path) -> None:
    files = {"x-bulkhead": {"files": [{"path": "a/b", "content": "one"}]}, "image": "x"}
    problems = noted(tmp_path, bulkhead_services=only(web=files, other=files))
    assert [problem for problem in problems if "two services bring a file of this path along" in problem]


# ---- variables that name files -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("bulkhead_build_context", "../../prod/app"),
        ("bulkhead_build_context", "/srv"),
        ("bulkhead_build_context", "https://git.example/x.git"),
        ("bulkhead_build_dockerfile", "docker/../../x"),
        ("bulkhead_build_dockerfile", "-"),
        ("bulkhead_build_ca_bundle", "ca.pem"),
        ("bulkhead_tls_key_path", "/srv/own/../prod/key.pem"),
        ("bulkhead_source_repository", "--upload-pack=touch x"),
        ("bulkhead_source_repository", "ext::sh -c x"),
        ("bulkhead_source_branch", "-x"),
        ("bulkhead_source_commit", "--all"),
    ],
)
def test_values_that_are_refused(tmp_path: Path, variable: str, value: str) -> None:
    given: dict[str, Any] = {variable: value}
    problems = declared(tmp_path, **given).problems
    assert [problem.message for problem in problems if problem.message.startswith(f"{variable} is {value}")]


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("/srv/prod/app/ca.pem", "app_prod"),
        ("/var/lib/bulkhead/key", "Bulkhead on this machine"),
        ("/etc/letsencrypt/live/eduaiia.com/privkey.pem", "app_prod"),
        ("/etc/letsencrypt/archive/eduaiia.com-0001/privkey1.pem", "app_prod"),
        ("/etc/letsencrypt/live/staging.eduaiia.com/privkey.pem", ""),
        ("/srv/prod/application/ca.pem", ""),
        ("/root/tls/key.pem", "root"),
        ("/etc/ssh/ssh_host_rsa_key", "the machine itself"),
        ("/proc/1/environ", "the machine itself"),
        ("/home/mallory/key.pem", "the user mallory"),
        ("/home/deploy/key.pem", ""),
        ("/etc/sshd/key.pem", ""),
        ("/srv/staging/app/key.pem", ""),
        ("etc/ca.pem", ""),
        ("/etc/ssl/certs/ca-certificates.crt", ""),
    ],
)
def test_files_of_others(tmp_path: Path, path: str, owner: str) -> None:
    common: dict[str, Any] = {"bulkhead_machine": "app1", "bulkhead_environment": "prod"}
    production = declared(
        tmp_path / "prod", **common, bulkhead_directory="/srv/prod/app", bulkhead_domains=["eduaiia.com"]
    )
    staging = declared(
        tmp_path / "staging",
        **{**common, "bulkhead_environment": "staging"},
        bulkhead_directory="/srv/staging/app",
        bulkhead_owner="deploy",
        bulkhead_domains=["staging.eduaiia.com"],
        bulkhead_tls_key_path=path,
    )
    staging.problems.clear()
    production.problems.clear()
    check_files_read_as_root([production, staging])
    assert [problem.message for problem in production.problems] == []
    messages = [problem.message for problem in staging.problems]
    assert messages == (
        [f"bulkhead_tls_key_path is {path}, which belongs to {owner}: it would be copied to app_staging"]
        if owner
        else []
    )
