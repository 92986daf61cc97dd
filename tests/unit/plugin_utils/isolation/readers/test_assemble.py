# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From texts to environments: what is claimed, what is wrong, and where it stands."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation import naming
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import (
    SEALED,
    Claim,
    Environment,
    Fleet,
    Severity,
    Where,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.assemble import assemble
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.rendered import RenderedArtefacts
from hypothesis import given
from hypothesis import strategies as st

DIRECTORY = "/home/ubuntu/main/ai-ia-backend"

COMPOSE = """\
services:
  django_prod:
    build: ./code
    container_name: aiia_prod_django
    env_file: .env
    environment:
      DEBUG: "0"
    volumes:
      - storage:/app/storage
      - ./media:/app/media
      - /etc/localtime:/etc/localtime:ro
    hostname: app
  nginx:
    image: nginx:1.27
    ports:
      - 80:80
      - "127.0.0.1:9000-9001:9000-9001/udp"
    labels: {traefik.http.routers.web.rule: x, traefik.http.routers.web.tls: "true"}
    external_links: [legacy]
  worker:
    image: redis
    network_mode: container:foreign
    deploy: {replicas: 2}
networks:
  default:
    name: aiia_prod_network
    driver_opts: {com.docker.network.bridge.name: br-prod}
    ipam: {config: [{subnet: 172.30.0.0/24}]}
  shared: {external: true, name: edge}
volumes:
  storage: {name: storage_prod}
  disk: {driver: local, driver_opts: {type: none, o: bind, device: /srv/disk}}
  theirs: {external: true}
secrets:
  key: {file: ./key.pem}
"""


def environment(texts: Mapping[str, str], **given_: Any) -> Environment:
    """An environment from files in memory."""
    values: dict[str, Any] = {"prefix": "aiia_prod", "directory": DIRECTORY, "read": texts.get}
    values["compose_files"] = [path for path in texts if path.endswith(".yml")][:1]
    return assemble(**{**values, **given_})


def keys(found: Environment, namespace: str) -> list[str]:
    """What an environment claims in a namespace."""
    return [claim.key for claim in found.claims if claim.namespace == namespace]


def targets(found: Environment, kind: str) -> list[str]:
    """What an environment points at."""
    return [reference.target for reference in found.references if reference.kind == kind]


def test_claims_of_a_project() -> None:
    """Every namespace of the machine, with the name that Docker will know it by."""
    found = environment({"main/docker-compose.prod.yml": COMPOSE, "main/.env": "DB_NAME=aiia_prod\n"})
    assert not found.problems
    assert keys(found, "project") == keys(found, "bare-project") == ["ai-ia-backend"]
    assert keys(found, "container") == [
        "aiia_prod_django",
        "ai-ia-backend-nginx-1",
        "ai-ia-backend-worker-1",
        "ai-ia-backend-worker-2",
    ]
    assert keys(found, "hostname") == ["app"]
    assert keys(found, "network") == ["aiia_prod_network"]
    assert (keys(found, "subnet"), keys(found, "bridge")) == (["172.30.0.0/24"], ["br-prod"])
    assert keys(found, "volume") == ["storage_prod", "ai-ia-backend_disk"]
    assert keys(found, "host-port") == ["80/tcp", "9000/udp", "9001/udp"]
    assert keys(found, "image") == ["docker.io/library/ai-ia-backend-django_prod:latest"]
    assert keys(found, "label") == ["traefik.http.routers.web"]
    paths = {claim.key: claim for claim in found.claims if claim.namespace == "path"}
    assert {path: claim.attributes["kind"] for path, claim in paths.items()} == {
        DIRECTORY: "directory",
        "/srv/disk": "device",
        f"{DIRECTORY}/key.pem": "config",
        f"{DIRECTORY}/media": "bind",
        "/etc/localtime": "bind",
        f"{DIRECTORY}/.env": "env_file",
        f"{DIRECTORY}/code": "context",
    }
    assert [path for path, claim in paths.items() if claim.shareable] == ["/etc/localtime"]


def test_references_of_a_project() -> None:
    """What is pointed at and is not the environment's own."""
    found = environment({"docker-compose.prod.yml": COMPOSE, ".env": ""})
    assert targets(found, "external-network") == ["edge"]
    assert targets(found, "external-volume") == ["theirs"]
    assert targets(found, "image-use") == ["docker.io/library/nginx:1.27", "docker.io/library/redis:latest"]
    assert targets(found, "container") == ["legacy", "foreign"]
    assert targets(found, "bind") == [f"{DIRECTORY}/media", "/etc/localtime"]


def test_places_are_the_users_own() -> None:
    """A claim stands in the file that the user gave, at the line where it was written."""
    found = environment({"main/docker-compose.prod.yml": COMPOSE, "main/.env": "A=1\nB=2\n"})
    places = {(claim.namespace, claim.key): claim.where for claim in found.claims}
    file = "main/docker-compose.prod.yml"
    assert places["container", "aiia_prod_django"] == Where(file, 4, "services.django_prod.container_name")
    assert (places["host-port", "9001/udp"].file, places["host-port", "9001/udp"].line) == (file, 17)
    assert places["path", f"{DIRECTORY}/media"].line == 10
    assert places["volume", "storage_prod"].line == 31
    assert {setting.key: (setting.service, str(setting.where)) for setting in found.settings} == {
        "A": ("", "main/.env:1 (A)"),
        "B": ("", "main/.env:2 (B)"),
        "DEBUG": ("django_prod", f"{file}:7 (DEBUG)"),
    }


def test_the_environment_file_names_the_project() -> None:
    """``COMPOSE_PROJECT_NAME`` wins over ``name:``, and the claim says so."""
    files = {"docker-compose.yml": "name: aiia_staging\nservices: {web: {image: x}}\n"}
    files[".env"] = "COMPOSE_PROJECT_NAME=aiia_prod\n"
    project = environment(files).compose[0]
    assert (project.name, project.name_source, project.declared_name) == (
        "aiia_prod",
        "COMPOSE_PROJECT_NAME",
        "aiia_staging",
    )


def test_an_environment_file_with_another_name_is_used_where_there_is_no_dotenv() -> None:
    """What is listed and named by no service is what ``--env-file`` is given."""
    files = {"docker-compose.yml": "services: {web: {image: 'x:${TAG}', env_file: app.env}}\n"}
    files |= {"prod.env": "TAG=1\n", "app.env": "TAG=2\n"}
    found = environment(files, env_files=["prod.env", "app.env"])
    assert found.compose[0].services["web"]["image"] == "x:1"
    assert found.compose[0].services["web"]["environment"] == {"TAG": "2"}


def test_compose_file_of_the_environment_file() -> None:
    """Without a list of files Compose asks ``COMPOSE_FILE``."""
    files = {
        ".env": "COMPOSE_FILE=a.yml:b.yml\n",
        "a.yml": "services: {web: {image: a}}\n",
        "b.yml": "services: {web: {container_name: b}}\n",
    }
    found = environment(files, compose_files=[], env_files=[".env"])
    assert {key: found.compose[0].services["web"][key] for key in ("image", "container_name")} == {
        "image": "a",
        "container_name": "b",
    }


def test_domains_and_ports_are_found() -> None:
    """Where nobody declares them they follow from nginx and from what is published."""
    nginx = "events {}\nhttp { server { listen 80; server_name Eduaiia.com *.eduaiia.com; } }\n"
    text = "services: {nginx: {image: nginx, ports: ['8080:80', '8443:443']}}\n"
    found = environment({"docker-compose.yml": text, "prod.conf": nginx}, nginx_files=["prod.conf"])
    assert (found.domains, found.http_port, found.https_port) == (("eduaiia.com",), 8080, 8443)
    declared = environment({"docker-compose.yml": text}, domains=["A.example"], http_port=1)
    assert (declared.domains, declared.http_port) == (("a.example",), 1)


def test_links_to_other_files_stand_even_when_they_cannot_be_read() -> None:
    """That a file of another environment is extended matters most when it is not there to be read."""
    text = "services:\n  web:\n    extends: {file: ../../prod/app/base.yml, service: web}\n    image: x\n"
    found = environment({"docker-compose.yml": text}, directory="/srv/staging/app")
    links = [reference for reference in found.references if reference.kind == "extends"]
    assert [(link.target, link.where.line) for link in links] == [("/srv/prod/app/base.yml", 3)]
    assert [problem.rule for problem in found.problems] == ["unreadable-file"]
    assert found.compose[0].services["web"]["image"] == "x"


BOMB = "x0: &x0 [a, a, a, a, a, a, a, a]\n" + "".join(
    f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 8)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("files", "rule", "severity", "says"),
    [
        ({"docker-compose.yml": "services: [\n"}, "not-yaml", Severity.HIGH, "not YAML"),
        ({"docker-compose.yml": "\0\0"}, "not-yaml", Severity.HIGH, "binary"),
        ({"docker-compose.yml": "- hosts: all\n"}, "not-compose", Severity.MEDIUM, "must be a mapping"),
        ({"docker-compose.yml": "kind: Pod\n"}, "not-compose", Severity.MEDIUM, "kind: Compose does not know"),
        ({"docker-compose.yml": ""}, "not-compose", Severity.MEDIUM, "empty"),
        ({"docker-compose.yml": "services: {a: {image: x, ports: ['x']}}"}, "not-compose", Severity.MEDIUM, "port"),
        ({"docker-compose.yml": "services: {a: {image: '${T:?}'}}"}, "unset-variable", Severity.LOW, "T"),
        (
            {"docker-compose.yml": "services: {a: {image: '${T:?}${U:?}'}}", ".env": "A=1"},
            "unset-variable",
            Severity.MEDIUM,
            "T and U",
        ),
        (
            {"docker-compose.yml": "services: {a: {image: x, extends: b}, b: {extends: a}}"},
            "cycle",
            Severity.HIGH,
            "cycle",
        ),
        ({"docker-compose.yml": "include: [docker-compose.yml]\nservices: {}"}, "cycle", Severity.HIGH, "in a cycle"),
        ({"docker-compose.yml": BOMB}, "too-large", Severity.HIGH, "expands"),
        ({"docker-compose.yml": "#" * 50_000_000}, "too-large", Severity.HIGH, "characters"),
        ({"docker-compose.yml": "services: {a: {image: x}}", ".env": "A B=1"}, "not-dotenv", Severity.MEDIUM, "space"),
        (
            {"docker-compose.yml": "services: {a: {image: x, env_file: e}}"},
            "unreadable-file",
            Severity.LOW,
            "does not start",
        ),
        ({}, "unreadable-file", Severity.HIGH, "cannot be read"),
    ],
)
def test_bad_input_becomes_one_finding(files: dict[str, str], rule: str, severity: Severity, says: str) -> None:
    """A finding with a rule, a place and a mend; no exception, no long wait."""
    started = time.process_time()
    found = environment(files, compose_files=["docker-compose.yml"])
    assert time.process_time() - started < 5
    assert [(problem.rule, problem.severity) for problem in found.problems] == [(rule, severity)]
    (problem,) = found.problems
    assert says in problem.message and problem.fix and problem.environments == ("aiia_prod",)


@pytest.mark.parametrize(
    "files",
    [
        {"docker-compose.yml": "services: {a: {image: x, environment: {PASSWORD: 'hunter2${'}}}"},
        {"docker-compose.yml": "services: {a: {image: x, environment: [{PASSWORD: hunter2}]}}"},
        {"docker-compose.yml": 'services: {a: {image: x, command: "run --password \'hunter2"}}'},
        {"docker-compose.yml": "services: {a: {image: x, environment: {PASSWORD: [hunter2]}}}"},
        {"docker-compose.yml": "services: {a: {image: x}}", ".env": "PASSWORD=hunter2${\n"},
        {"docker-compose.yml": "services: {a: {image: x}}", ".env": "KEY='x'\nhunter2 hunter2=\n"},
        {"docker-compose.yml": "services: {a: {image: x}}", ".env": "KEY='hunter2\n"},
    ],
)
def test_no_finding_shows_a_value(files: dict[str, str]) -> None:
    """What is broken may be a secret: the place is named, the value is not."""
    found = environment(files)
    assert found.problems
    assert "hunter2" not in "".join(str(problem) for problem in found.problems)


def test_includes_that_fan_out_are_bounded() -> None:
    """Twelve files that each include the next one twice would be read four thousand times."""
    files = {
        f"f{n}.yml": f"include: [f{n + 1}.yml, ./f{n + 1}.yml]\nservices: {{s{n}: {{image: x}}}}" for n in range(12)
    }
    files["f12.yml"] = "services: {end: {image: x}}"
    found = environment(files, compose_files=["f0.yml"])
    assert [problem.rule for problem in found.problems] == ["too-large"]


@pytest.mark.parametrize("kind", ["nginx_files", "files", "env_files"])
@pytest.mark.parametrize(
    ("text", "rule"), [(None, "unreadable-file"), ("x" * 3_000_000, "too-large"), ("a\0", "unreadable-file")]
)
def test_other_files_that_cannot_be_read(kind: str, text: str | None, rule: str) -> None:
    """The same for files of every kind."""
    files = {"docker-compose.yml": "services: {a: {image: x}}"} | ({} if text is None else {"f.env": text})
    found = environment(files, **{kind: ["f.env"]})
    assert [problem.rule for problem in found.problems] == [rule]


@given(
    st.dictionaries(
        st.sampled_from(["docker-compose.yml", ".env", "n.conf", "s.sh"]), st.text(max_size=120), min_size=1
    )
)
def test_any_files_are_read_or_found_bad(files: dict[str, str]) -> None:
    """Whatever is in the files, there is an environment at the end."""
    found = environment(files, compose_files=["docker-compose.yml"], nginx_files=["n.conf"], files=["s.sh"])
    assert all(problem.message and problem.fix for problem in found.problems)


KEYS = st.sampled_from(
    (
        *("services", "networks", "volumes", "name", "image", "ports", "environment", "env_file", "build", "extends"),
        *("include", "depends_on", "volumes_from", "labels", "command", "healthcheck", "deploy", "ulimits", "logging"),
        *("secrets", "configs", "context", "file", "service", "path", "web", "target", "type", "source"),
    )
)
TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 70000)
    | st.sampled_from(["web", "80:80", "a:/b", "./x", "${A:-b}", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["web", "db"]), st.dictionaries(KEYS, TREES, max_size=4), max_size=2), TREES)
def test_any_tree_is_read_or_found_bad(services: dict[str, Any], rest: Any) -> None:
    """Every shape that YAML can have, where Compose wants another."""
    import json

    for model in ({"services": services}, {"services": services, "networks": rest, "volumes": rest, "secrets": rest}):
        found = environment({"docker-compose.yml": json.dumps(model)})
        assert found.compose or found.problems
    merged = environment(
        {"docker-compose.yml": json.dumps({"services": services}), "b.yml": json.dumps({"services": {"web": rest}})},
        compose_files=["docker-compose.yml", "b.yml"],
    )
    assert merged.compose or merged.problems


def rendered(prefix: str, name: str, number: int) -> Environment:
    """An environment as we render it: every name from ``naming``."""
    services = {
        f"{service}_{name}": {
            "image": naming.image_name(prefix, service),
            "container_name": naming.container_name(prefix, service),
            "volumes": ["data:/data", "./conf:/conf:ro"],
        }
        for service in ("django", "postgresql")
    }
    services["nginx"] = {"build": ".", "ports": [f"{number}:80"]}
    compose = {
        "name": naming.project_name(prefix),
        "services": services,
        "networks": {"default": {"name": naming.network_name(prefix)}},
        "volumes": {"data": {"name": naming.volume_name(prefix, name, "data")}},
    }
    return assemble(prefix=prefix, name=name, directory=f"/srv/{number}", rendered=RenderedArtefacts(compose=compose))


@given(
    st.from_regex(r"[a-z][a-z0-9]{0,2}", fullmatch=True),
    st.lists(st.from_regex(r"[a-z0-9]{1,3}([_-][a-z0-9]{1,2})?", fullmatch=True), min_size=2, max_size=2),
    st.sampled_from("_-"),
)
def test_environments_of_our_own_share_no_claim(project: str, names: list[str], separator: str) -> None:
    """Either the prefixes conflict, or nothing on the machine is claimed by both."""
    prefixes = [f"{project}{separator}{name}" for name in names]
    fleet = Fleet(
        tuple(rendered(prefix, name, 8000 + n) for n, (prefix, name) in enumerate(zip(prefixes, names, strict=True)))
    )
    namespaces = {claim.namespace for environment in fleet.environments for claim in environment.claims}
    shared = [(space, key) for space in namespaces for _machine, key, _claims in fleet.collisions(space)]
    assert naming.prefixes_conflict(*prefixes) or not shared
    assert {"project", "container", "network", "volume", "image", "host-port", "path"} <= namespaces


def test_rendered_artefacts_read_as_their_text_would() -> None:
    """What is taken from memory and what is parsed from the same file are one model."""
    import yaml

    compose: dict[str, Any] = {
        "name": "aiia_prod",
        "services": {
            "web": {
                "image": "x",
                "command": "echo $$HOME",
                "env_file": [".env"],
                "environment": {"OWN": "a$$b"},
                "ports": ["80:80"],
                "volumes": ["data:/d", "~/x:/x"],
                "deploy": {"resources": {"limits": {"memory": "64m"}}},
            }
        },
        "volumes": {"data": {"name": "aiia_prod_data", "labels": {"a": 1}}},
    }
    memory = assemble(
        prefix="aiia_prod",
        directory=DIRECTORY,
        rendered=RenderedArtefacts(compose, "docker-compose.yml", {"COMPOSE_PROJECT_NAME": "aiia_prod", "A": "$$1"}),
    )
    text = yaml.safe_dump(compose)
    parsed = environment({"docker-compose.yml": text, ".env": "COMPOSE_PROJECT_NAME=aiia_prod\nA='$$1'\n"})
    assert not memory.problems and not parsed.problems
    for part in ("name", "bare_name", "services", "networks", "volumes"):
        assert getattr(memory.compose[0], part) == getattr(parsed.compose[0], part)

    def simple(claims: tuple[Claim, ...]) -> set[tuple[str, str]]:
        return {(claim.namespace, claim.key) for claim in claims}

    assert simple(memory.claims) == simple(parsed.claims)
    assert compose["services"]["web"]["command"] == "echo $$HOME"


def test_sealed_settings_stay_sealed() -> None:
    """A value that is locked here is a setting, and in no service's environment."""
    compose = {"name": "aiia_prod", "services": {"web": {"image": "x", "env_file": ".env"}}}
    artefacts = RenderedArtefacts(compose, settings={"SECRET_KEY": SEALED, "A": "1"}, secrets={"SECRET_KEY"})
    found = assemble(prefix="aiia_prod", directory=DIRECTORY, rendered=artefacts)
    assert found.compose[0].services["web"]["environment"] == {"A": "1"}
    assert [(setting.key, setting.secret, setting.text) for setting in found.settings] == [
        ("SECRET_KEY", True, ""),
        ("A", False, "1"),
    ]


def test_a_thousand_environments_take_seconds() -> None:
    """Linear and without parsing: a regression to parsing or to pairs would take minutes."""
    started = time.process_time()
    fleet = Fleet(tuple(rendered(f"aiia_e{n}", f"e{n}", n + 1) for n in range(1000)))
    assert len(fleet.claims("container")) == 3000
    assert time.process_time() - started < 20
