# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a declaration to the files that would be shipped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.service import Service
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.inventory import Inventory
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.model import Declaration
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.settings import setting_text
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.variables import ROLE
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.derived import inputs_of
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import (
    Release,
    Renderer,
    secret_values,
    with_commit,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.services import services
from checkout import ROOT
from unit.fleets import PRODUCTION, declarations, declared, only, problems, read, write

PRIVATE = ".bulkhead/private"
COMMIT = "4f2a91c0" * 5


def render(declaration: Declaration, tmp_path: Path, templates: Path | None = None) -> Release:
    """The release of a declaration that can be rendered."""
    loader = read(write(tmp_path / "any", {})).loader
    release = Renderer(loader, [templates] if templates else []).render(declaration)
    assert release is not None, declaration.problems
    return release


def rendered(tmp_path: Path, **variables: Any) -> Release:
    """One environment with these variables over the usual ones; it must have no problems."""
    declaration = declared(tmp_path, **variables)
    release = render(declaration, tmp_path)
    assert declaration.problems == []
    return release


def settings(release: Release) -> dict[str, str]:
    return {setting.key: setting.value for setting in release.settings}


def service(release: Release, key: str) -> Any:
    return release.stack.compose["services"][key]


def on_the_machine(release: Release) -> dict[str, Service]:
    """The services as the machine gets them, by their names."""
    return {service.name: Service.from_dict(json.loads(json.dumps(service.as_dict()))) for service in services(release)}


def texts(release: Release) -> dict[str, str]:
    return {file.path: file.content for file in release.files}


# ---- the guide ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guide() -> dict[str, tuple[Declaration, Release]]:
    """The environments of the guide, from the inventory that users copy, without any secrets."""
    inventory = Inventory([str(ROOT / "inventories/eduaiia")], [], str(ROOT))
    renderer = Renderer(inventory.loader, [])
    found = {}
    for declaration in declarations(inventory).values():
        release = renderer.render(declaration)
        assert release is not None, declaration.problems
        found[declaration.prefix] = (declaration, release)
    return found


def test_the_guide_has_no_problems(guide: dict[str, tuple[Declaration, Release]]) -> None:
    assert list(guide) == ["aiia_prod", "aiia_staging"]
    for declaration, _release in guide.values():
        assert declaration.problems == []
        assert {problem.rule for problem in declaration.lacking} == {"missing-secret"}
        names = {problem.resource.partition(".")[2] for problem in declaration.lacking}
        assert names == {"SECRET_KEY", "DB_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD"}


def test_a_secret_that_is_there_and_empty_is_called_so(tmp_path: Path) -> None:
    secrets = {"SECRET_KEY": "x" * 50, "DB_PASSWORD": "", "POSTGRES_PASSWORD": "postgres-password"}
    declaration = declared(tmp_path, bulkhead_secrets=secrets)
    render(declaration, tmp_path)
    found = {problem.resource.partition(".")[2]: problem for problem in declaration.lacking}
    assert found["DB_PASSWORD"].message.startswith("bulkhead_secrets.DB_PASSWORD is empty, and the service ")
    assert found["DB_PASSWORD"].fix.startswith("give DB_PASSWORD a value in bulkhead_secrets")
    assert found["REDIS_PASSWORD"].message.startswith("bulkhead_secrets has no REDIS_PASSWORD, and the service redis")
    for name in ("DB_PASSWORD", "REDIS_PASSWORD"):
        place = found[name].where[0]
        assert (place.file.endswith("group_vars/production/main.yml"), place.line > 0) == (True, True)
        assert place.item == f"bulkhead_secrets.{name}"


@pytest.mark.parametrize(("name", "ports", "app_port"), [("prod", (80, 443), 8000), ("staging", (8080, 8443), 8001)])
def test_the_guides_names(
    guide: dict[str, tuple[Declaration, Release]], name: str, ports: tuple[int, int], app_port: int
) -> None:
    prefix = f"aiia_{name}"
    _declaration, release = guide[prefix]
    compose = release.stack.compose
    assert release.compose_file == f"docker-compose.{name}.yml"
    assert compose["name"] == prefix
    assert {service["container_name"] for service in compose["services"].values()} == {
        f"{prefix}_{service}" for service in ("django", "postgresql", "pgbouncer", "redis", "nginx")
    }
    assert f"django_{name}" in compose["services"]
    assert compose["networks"]["default"]["name"] == f"{prefix}_network"
    assert {volume["name"] for volume in compose["volumes"].values()} == {
        f"{prefix}_{volume}_{name}" for volume in ("storage", "pgdata", "redis_data")
    }
    assert release.ports == (("nginx", "", ports[0]), ("nginx", "", ports[1]))
    found = settings(release)
    assert (found["DB_NAME"], found["DB_HOST"], found["PORT"]) == (prefix, "pgbouncer", str(app_port))
    assert found["COMPOSE_PROJECT_NAME"] == prefix
    assert service(release, "postgresql")["environment"]["POSTGRES_USER"] == "aiia"
    nginx = texts(release)[f"docker/nginx/{name}.conf"]
    assert f"set $bulkhead_application {prefix}_django;" in nginx
    assert f"set $bulkhead_application {prefix}_django_next;" in nginx
    assert f"proxy_pass http://$bulkhead_application:{app_port};" in nginx
    assert not any("build" in service for service in compose["services"].values())


def test_nothing_of_one_environment_is_in_the_other(guide: dict[str, tuple[Declaration, Release]]) -> None:
    for prefix, other in (("aiia_prod", "aiia_staging"), ("aiia_staging", "aiia_prod")):
        assert other not in "".join(texts(guide[prefix][1]).values())


def test_containers_have_no_more_rights_than_they_need(guide: dict[str, tuple[Declaration, Release]]) -> None:
    _declaration, release = guide["aiia_prod"]
    for service in release.stack.compose["services"].values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["restart"] == "unless-stopped"
        assert service["logging"]["options"]["max-size"] == "10m"
        assert {"cpus", "memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()
        assert service["healthcheck"]["test"]


# ---- secrets -----------------------------------------------------------------------------------------------------


def test_whatever_holds_a_secret_is_marked(tmp_path: Path) -> None:
    """The Compose file, the nginx configuration and all that a diff may show hold none."""
    release = rendered(tmp_path, bulkhead_tls_certificate="CERTIFICATE", bulkhead_tls_key="PRIVATE KEY")
    secrets = [*PRODUCTION["bulkhead_secrets"].values(), "PRIVATE KEY"]
    holding = {file.path for file in release.files if any(secret in file.content for secret in secrets)}
    assert holding == {file.path for file in release.files if file.secret}
    assert release.file(".env").mode == 0o600
    outside = {path for path in holding if not path.startswith(PRIVATE)}
    assert outside == {".env"}


def test_every_secret_is_hidden_in_what_comes_back(tmp_path: Path) -> None:
    release = rendered(tmp_path, bulkhead_tls_key="PRIVATE KEY", bulkhead_tls_certificate="C")
    hidden = secret_values(release)
    assert {*PRODUCTION["bulkhead_secrets"].values(), "PRIVATE KEY"} <= set(hidden)
    assert settings(release)["REDIS_URL"] in hidden
    assert hidden == sorted(hidden, key=len, reverse=True)
    assert "app_prod" not in hidden


def test_a_secret_that_is_a_word_of_every_text_hides_nothing(tmp_path: Path) -> None:
    secrets = {**PRODUCTION["bulkhead_secrets"], "ANSWER": "42", "BLANK": "      "}
    hidden = secret_values(rendered(tmp_path, bulkhead_secrets=secrets))
    assert "42" not in hidden
    assert "      " not in hidden


def test_the_administrators_password_stays_out_of_env(tmp_path: Path) -> None:
    release = rendered(tmp_path)
    assert "POSTGRES_PASSWORD" not in settings(release)
    assert release.file(f"{PRIVATE}/postgresql/secrets/admin_password").content == "administrator-password-of-prod"


def test_what_is_for_bulkhead_itself_stays_out_of_the_application(tmp_path: Path) -> None:
    keys = {"BULKHEAD_DEPLOY_KEY": "the private key", "BULKHEAD_DEPLOY_KEY_PUBLIC": "the public key"}
    keys["BULKHEAD_BACKUP_IDENTITY"] = "the private key of backups"
    release = rendered(tmp_path, bulkhead_secrets={**PRODUCTION["bulkhead_secrets"], **keys})
    assert not set(keys) & set(settings(release)) and "SECRET_KEY" in settings(release)
    assert not [file.path for file in release.files if "the private key" in file.content]


def wrong(tmp_path: Path, **variables: Any) -> list[tuple[str, str]]:
    """Rule and resource of what is wrong with an environment, declaration and release."""
    declaration = declared(tmp_path, **variables)
    Renderer(read(tmp_path / "inventory").loader).render(declaration)
    return problems(declaration)


@pytest.mark.parametrize("name", ["DB_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD"])
@pytest.mark.parametrize("value", ["canary-one\n", "\ncanary-one", "canary-one\ncanary two", "canary\r", "\n"])
def test_a_password_of_several_lines_would_be_several_passwords(tmp_path: Path, name: str, value: str) -> None:
    """In Redis each line opens the server, an empty one too; in PostgreSQL each is a login."""
    words = {**PRODUCTION["bulkhead_secrets"], name: value}
    assert wrong(tmp_path, bulkhead_secrets=words) == [("invalid-setting", f"bulkhead_secrets.{name}")]


def test_a_secret_of_several_lines_that_no_file_of_lines_has(tmp_path: Path) -> None:
    more = {"SECRET_KEY": "one\ntwo", "JWT_PRIVATE_KEY": "-----BEGIN\nkey\n", "NOTHING": "\n"}
    assert wrong(tmp_path, bulkhead_secrets={**PRODUCTION["bulkhead_secrets"], **more}) == []


@pytest.mark.parametrize(
    ("secret", "setting"),
    [
        ("PORT", {"bulkhead_env": {"PORT": "8000"}}),
        ("PORT", {"bulkhead_env_shared": {"PORT": "8000"}}),
        ("PORT", {}),
        ("DB_USER", {}),
        ("REDIS_URL", {}),
        ("DB_PASSWORD", {"bulkhead_env": {"DB_PASSWORD": "in plain text"}}),
        ("POSTGRES_PASSWORD", {"bulkhead_env": {"POSTGRES_PASSWORD": "in plain text"}}),
        ("BULKHEAD_DEPLOY_KEY", {"bulkhead_env": {"BULKHEAD_DEPLOY_KEY": "in plain text"}}),
    ],
)
def test_a_secret_with_the_name_of_a_setting(tmp_path: Path, secret: str, setting: dict[str, Any]) -> None:
    """The user's own, one that a service of the stack gives, and one of a secret that no application gets."""
    words = {secret: "canary-of-the-secret", **PRODUCTION["bulkhead_secrets"]}
    assert wrong(tmp_path, bulkhead_secrets=words, **setting) == [("setting-twice", secret)]


def test_a_setting_with_a_name_of_its_own(tmp_path: Path) -> None:
    words = {**PRODUCTION["bulkhead_secrets"], "STRIPE_KEY": "canary-of-the-secret"}
    assert wrong(tmp_path, bulkhead_secrets=words, bulkhead_env={"STRIPE_URL": "https://example.com"}) == []


def test_an_ill_tempered_password_reaches_every_file(tmp_path: Path) -> None:
    nasty = "p\"a\\s$s'w@o/r:d#%ä {{ x }}"
    secrets = {**PRODUCTION["bulkhead_secrets"], "DB_PASSWORD": "db-1", "REDIS_PASSWORD": "!unsafe " + nasty}
    text = yaml.safe_dump({**PRODUCTION, "bulkhead_secrets": {**secrets, "REDIS_PASSWORD": "REPLACED"}})
    text = text.replace("REPLACED", "!unsafe " + yaml.safe_dump(nasty, width=999).strip())
    declaration = declarations(read(write(tmp_path / "inventory", {"production": text})))["production"]
    release = render(declaration, tmp_path)
    assert release.file(f"{PRIVATE}/redis/password").content == nasty
    assert settings(release)["REDIS_PASSWORD"] == nasty
    assert (
        settings(release)["REDIS_URL"]
        == "redis://:p%22a%5Cs%24s%27w%40o%2Fr%3Ad%23%25%C3%A4%20%7B%7B%20x%20%7D%7D@redis:6379/0"
    )
    (line,) = [line for line in texts(release)[f"{PRIVATE}/redis/redis.conf"].splitlines() if "requirepass" in line]
    assert line == 'requirepass "p\\"a\\\\s$s\'w@o/r:d#%ä {{ x }}"'


def test_a_service_that_is_left_out_needs_no_secret(tmp_path: Path) -> None:
    secrets = {key: value for key, value in PRODUCTION["bulkhead_secrets"].items() if key != "REDIS_PASSWORD"}
    declaration = declared(tmp_path, bulkhead_services={"redis": None}, bulkhead_secrets=secrets)
    release = render(declaration, tmp_path)
    assert declaration.lacking == []
    assert not [path for path in texts(release) if "redis" in path]
    assert "REDIS_URL" not in settings(release)
    assert list(service(release, "django_prod")["depends_on"]) == ["pgbouncer"]


def test_missing_tls(tmp_path: Path) -> None:
    declaration = declared(tmp_path, bulkhead_tls_key_path=None)
    render(declaration, tmp_path)
    found = only(declaration.lacking)
    assert found.resource == "bulkhead_tls_key"
    assert "bulkhead_tls_key_path (a file on the machine)" in found.fix


def test_a_certificate_as_text_goes_before_one_on_the_machine(tmp_path: Path) -> None:
    file = rendered(tmp_path, bulkhead_tls_certificate="PEM").file(f"{PRIVATE}/nginx/certificate.pem")
    assert (file.content, file.source) == ("PEM", "")
    file = rendered(tmp_path / "b").file(f"{PRIVATE}/nginx/certificate.pem")
    assert (file.content, file.source) == ("", "/etc/tls/prod.pem")


# ---- settings ----------------------------------------------------------------------------------------------------


def test_a_setting_changes_env_and_nothing_else(tmp_path: Path) -> None:
    """Only the application has it as its env_file: nothing else is recreated."""
    before, after = texts(rendered(tmp_path / "a")), texts(rendered(tmp_path / "b", bulkhead_env={"FLAG": "on"}))
    assert {path for path in after if after[path] != before[path]} == {".env"}
    compose = rendered(tmp_path / "c").stack.compose
    assert [key for key, item in compose["services"].items() if "env_file" in item] == ["django_prod"]


def test_the_environments_own_setting_counts(tmp_path: Path) -> None:
    release = rendered(tmp_path, bulkhead_env_shared={"A": "all", "B": "all"}, bulkhead_env={"B": "own", "PORT": "9"})
    found = settings(release)
    assert (found["A"], found["B"], found["PORT"]) == ("all", "own", "9")


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (None, ""), (3, "3"), (0.5, "0.5"), ("yes", "yes")]
)
def test_values_as_the_process_sees_them(value: Any, text: str) -> None:
    assert setting_text(value) == text


@pytest.mark.parametrize(
    ("variable", "value", "resource", "words"),
    [
        ("bulkhead_env", {"A": [1, 2]}, "bulkhead_env.A", "is a list, but a setting is one string"),
        ("bulkhead_env_shared", {"A": {}}, "bulkhead_env_shared.A", "is a mapping, but a setting is one string"),
        ("bulkhead_env", {"COMPOSE_FILE": "x"}, "bulkhead_env.COMPOSE_FILE", "are reserved"),
        ("bulkhead_env", {"DOCKER_HOST": "x"}, "bulkhead_env.DOCKER_HOST", "are reserved"),
        ("bulkhead_env", {"MY-NAME": "x"}, "bulkhead_env.MY-NAME", "letters, digits and _ only"),
        ("bulkhead_env", {"BIG": "x" * 131072}, "bulkhead_env.BIG", "128 KiB or longer"),
        ("bulkhead_env", {True: "x"}, "bulkhead_env.True", "YAML read an unquoted word"),
        ("bulkhead_env", {"SECRET_KEY": "x"}, "SECRET_KEY", "which one counts is a guess"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, variable: str, value: Any, resource: str, words: str) -> None:
    declaration = declared(tmp_path, **{variable: value})
    if declaration.usable:
        render(declaration, tmp_path)
    found = only(declaration.problems)
    assert found.resource == resource
    assert words in found.message


def test_a_bad_secret_is_named_and_not_shown(tmp_path: Path) -> None:
    secrets = {**PRODUCTION["bulkhead_secrets"], "KEY": "hunter2" * 20000}
    declaration = declared(tmp_path, bulkhead_secrets=secrets)
    assert problems(declaration) == [("invalid-setting", "bulkhead_secrets.KEY")]
    assert "hunter2" not in str(declaration.problems)


# ---- other applications ------------------------------------------------------------------------------------------


def test_celery_by_inventory_alone(tmp_path: Path) -> None:
    celery = {
        "worker": {"command": ["celery", "worker"], "depends_on": ["redis", "django"]},
        "beat": {"command": ["celery", "beat"]},
    }
    release = rendered(tmp_path, bulkhead_services=celery)
    worker = service(release, "worker")
    assert worker["image"] == service(release, "django_prod")["image"]
    assert worker["env_file"] == [".env"]
    assert worker["container_name"] == "app_prod_worker"
    assert list(worker["depends_on"]) == ["redis", "django_prod"]


def test_an_application_that_is_not_django(tmp_path: Path) -> None:
    """One service, no database, no secrets, no source."""
    nothing = dict.fromkeys(("nginx", "django", "pgbouncer", "postgresql", "redis"))
    declaration = declared(
        tmp_path,
        bulkhead_services={**nothing, "web": {"image": "web:1", "ports": ["127.0.0.1:9000:80"]}},
        bulkhead_secrets=None,
        bulkhead_domains=None,
        bulkhead_source_repository=None,
        bulkhead_tls_key_path=None,
    )
    release = render(declaration, tmp_path)
    assert (declaration.problems, declaration.lacking) == ([], [])
    assert list(texts(release)) == ["docker-compose.prod.yml", ".env"]
    assert release.ports == (("web", "127.0.0.1", 9000),)
    assert settings(release) == {"COMPOSE_PROJECT_NAME": "app_prod"}
    assert not release.stack.uses_application_image


def test_the_image_is_named_by_what_it_is_built_from(tmp_path: Path) -> None:
    """The commit and the other inputs; who may read the repository is none of them."""
    images = []
    given: tuple[dict[str, Any], ...] = (
        {"bulkhead_source_repository": "https://git.example/app.git"},
        {"bulkhead_source_repository": "https://somebody:token@git.example/app.git"},
        {"bulkhead_source_repository": "https://git.example/app.git", "bulkhead_build_target": "special"},
    )
    for number, variables in enumerate(given):
        declaration = declared(tmp_path / str(number), **variables)
        proved = Renderer(read(write(tmp_path / f"any{number}", {})).loader).render(declaration)
        assert proved is not None
        release = with_commit(proved, declaration, COMMIT)
        images.append(service(release, "django_prod")["image"])
        assert images[-1] == f"app_prod_django:{COMMIT}-{inputs_of(declaration.values)}"
    assert images[0] == images[1] != images[2]


# ---- nginx and templates -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "there", "absent"),
    [
        ({}, ["301 https://$host$request_uri", "Strict-Transport-Security", "X-Environment app_prod"], ["acme"]),
        ({"bulkhead_https_port": 8443}, ["301 https://$host:8443$request_uri"], ["Strict-Transport-Security"]),
        ({"bulkhead_environment_header": ""}, ["return 444"], ["X-Environment"]),
        ({"bulkhead_acme_webroot": "/srv/acme"}, ["location /.well-known/acme-challenge/", "root /srv/acme"], []),
        (
            {"bulkhead_nginx_body_size": "1g", "bulkhead_nginx_timeout": "5m"},
            ["client_max_body_size 1g", "read_timeout    5m"],
            [],
        ),
    ],
)
def test_nginx(tmp_path: Path, variables: dict[str, Any], there: list[str], absent: list[str]) -> None:
    text = texts(rendered(tmp_path, **variables))["docker/nginx/prod.conf"]
    assert [part for part in there if part not in text] == []
    assert [part for part in absent if part in text] == []


@pytest.mark.parametrize(("address", "port"), [("", "80:80"), ("127.0.0.1", "127.0.0.1:80:80"), ("::1", "[::1]:80:80")])
def test_the_address_to_publish_on(tmp_path: Path, address: str, port: str) -> None:
    release = rendered(tmp_path, bulkhead_bind_address=address)
    assert service(release, "nginx")["ports"][0] == port
    assert release.ports[0] == ("nginx", address, 80)


def test_a_template_of_the_users_goes_before_the_roles(tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "nginx.conf.j2").write_text("# mine, for {{ bulkhead_prefix }} and {{ inventory_hostname }}\n")
    release = render(declared(tmp_path), tmp_path, templates)
    assert texts(release)["docker/nginx/prod.conf"] == "# mine, for app_prod and production-host\n"
    assert "requirepass" in texts(release)[f"{PRIVATE}/redis/redis.conf"]


def test_a_template_of_another_name(tmp_path: Path) -> None:
    declaration = declared(tmp_path, bulkhead_nginx_template="none.j2")
    loader = read(write(tmp_path / "any", {})).loader
    assert Renderer(loader, [tmp_path]).render(declaration) is None
    found = only(declaration.problems)
    assert found.rule == "template-error"
    assert f"template none.j2 was not found in {tmp_path}, {ROLE}" in found.message


@pytest.mark.parametrize("name", ["../vault.yml", "{path}/vault.yml", "link.j2"])
def test_a_template_outside_of_the_directories(tmp_path: Path, name: str) -> None:
    """An inventory must not read other files of the controller, which the loader would even decrypt."""
    templates = tmp_path / "templates"
    templates.mkdir()
    (tmp_path / "vault.yml").write_text("bulkhead_secrets: of production\n")
    (templates / "link.j2").symlink_to(tmp_path / "vault.yml")
    name = name.format(path=tmp_path)
    assert (templates / name).read_text()  # the control: it is there for whoever just opens it
    declaration = declared(tmp_path, bulkhead_nginx_template=name)
    loader = read(write(tmp_path / "any", {})).loader
    assert Renderer(loader, [templates]).render(declaration) is None
    assert f"template {name} was not found in {templates}" in declaration.problems[-1].message
    # A name that leads outside is refused before that; of a link only the renderer knows.
    assert declaration.usable is False and (problems(declaration)[0][0] == "template-error") is (name == "link.j2")


def test_a_template_that_fails(tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "nginx.conf.j2").write_text("{{ no_such_variable }}")
    declaration = declared(tmp_path)
    loader = read(write(tmp_path / "any", {})).loader
    assert Renderer(loader, [templates]).render(declaration) is None
    assert "no_such_variable" in only(declaration.problems).message


def test_compose_keys_of_the_users(tmp_path: Path) -> None:
    more = {"networks": {"default": {"driver_opts": {"a": "b"}}}}
    compose = rendered(tmp_path, bulkhead_compose=more).stack.compose
    assert compose["networks"]["default"]["driver_opts"] == {"a": "b"}
    assert compose["networks"]["default"]["name"] == "app_prod_network"
    assert compose["name"] == "app_prod"


# ---- what the host is told ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mount", "mounts", "steady"),
    [
        ("./conf:/conf:ro", ["./conf:/conf"], False),
        ({"type": "bind", "source": "./conf", "target": "/conf", "read_only": True}, ["./conf:/conf"], False),
        ("data:/data", [], True),
        ({"type": "volume", "source": "data", "target": "/data"}, [], True),
        ({"type": "tmpfs", "target": "/scratch"}, [], False),
    ],
)
def test_both_ways_to_write_a_mount(tmp_path: Path, mount: Any, mounts: list[str], steady: bool) -> None:
    services = {"tool": {"image": "tool:1", "volumes": [mount]}}
    found = on_the_machine(rendered(tmp_path, bulkhead_services=services))
    assert list(found["tool"].mounts) == mounts
    assert found["tool"].steady is steady


def test_what_the_host_must_know(tmp_path: Path) -> None:
    once = {"migrate": {"command": ["migrate"], "restart": "no"}}
    found = on_the_machine(rendered(tmp_path, bulkhead_services=once))
    assert found["django"].key == "django_prod"
    assert found["nginx"].mounts == (
        "./docker/nginx:/etc/nginx/conf.d",
        f"./{PRIVATE}/nginx:/etc/nginx/tls",
        "./.bulkhead/traffic:/etc/nginx/traffic",
    )
    assert {name for name, item in found.items() if item.steady} == {"nginx", "pgbouncer", "postgresql", "redis"}
    assert (found["django"].rolling, found["django"].expose) == (True, ("8000",))
    assert (found["django"].stand_in, found["django"].env_files) == ("app_prod_django_next", (".env",))
    several = rendered(tmp_path / "several", bulkhead_services={"django": {"deploy": {"replicas": 2}}})
    django = on_the_machine(several)["django"]
    assert django.container == "app_prod-django_prod"
    # nginx asks for this one, however many it stands in for.
    assert (django.stand_in, django.preparing) == ("app_prod_django_next", "app_prod_django_prepare")
    assert found["nginx"].validate == ("nginx", "-t", "-q")
    assert {name for name, item in found.items() if item.awaited} == {"pgbouncer", "postgresql", "redis"}
    assert {name for name, item in found.items() if item.one_shot} == {"migrate"}
    assert all(item.bare for item in found.values())


@pytest.mark.parametrize(
    "given",
    [
        {"configs": [{"source": "told", "target": "/etc/told"}]},
        {"secrets": ["told"]},
        {"post_start": [{"command": ["true"]}]},
    ],
)
def test_what_compose_does_as_a_container_starts(tmp_path: Path, given: dict[str, Any]) -> None:
    """The engine would start it without that."""
    tools = {"told": {"image": "tool:1", **given}, "silent": {"image": "tool:1", "configs": []}}
    kept = {kind: {"told": {"file": "./told"}} for kind in ("configs", "secrets")}
    found = on_the_machine(rendered(tmp_path, bulkhead_services=tools, bulkhead_compose=kept))
    assert [name for name, item in found.items() if not item.bare] == ["told"]


def test_equal_releases_have_equal_digests(tmp_path: Path) -> None:
    one, same = rendered(tmp_path / "a"), rendered(tmp_path / "b")
    other = rendered(tmp_path / "c", bulkhead_env={"A": "1"})
    assert one.digest == same.digest
    assert one.digest != other.digest


def test_the_network_without_a_way_out(tmp_path: Path) -> None:
    """The application is on both networks, what keeps data on the internal one, nginx on the guide's alone."""
    given = {"worker": {"command": ["work"]}, "flower": {"image": "flower:1"}}
    release = rendered(tmp_path, bulkhead_internal_network=True, bulkhead_services=given)
    compose = release.stack.compose
    assert {key: (item["name"], item.get("internal", False)) for key, item in compose["networks"].items()} == {
        "default": ("app_prod_network", False),
        "data": ("app_prod_data", True),
    }
    assert compose["networks"]["data"]["labels"] == compose["networks"]["default"]["labels"]
    assert {key: sorted(item.get("networks", ["default"])) for key, item in compose["services"].items()} == {
        "nginx": ["default"],
        "django_prod": ["data", "default"],
        "pgbouncer": ["data"],
        "postgresql": ["data"],
        "redis": ["data"],
        "worker": ["data", "default"],
        "flower": ["default"],
    }
    assert service(release, "django_prod")["networks"]["default"]["aliases"] == ["app_prod_django"]


def test_one_network_unless_asked(tmp_path: Path) -> None:
    """The guide has one network for each environment, with all of its containers."""
    compose = rendered(tmp_path).stack.compose
    assert list(compose["networks"]) == ["default"]
    assert {key for key, item in compose["services"].items() if "networks" in item} == {"django_prod"}


def test_each_line_of_a_secret_is_hidden(tmp_path: Path) -> None:
    """Tools print line by line."""
    key = "-----BEGIN KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END KEY-----\n"
    release = rendered(
        tmp_path,
        bulkhead_secrets={**PRODUCTION["bulkhead_secrets"], "KEY": "first line\nsecond line"},
        bulkhead_tls_key=key,
    )
    hidden = secret_values(release)
    assert {"first line\nsecond line", "first line", "second line", key, "MIGHAgEAMBMGByqGSM49"} <= set(hidden)
    assert "appendonly yes" not in hidden, "lines of configuration are no secrets"
    assert hidden == sorted(hidden, key=len, reverse=True)


def test_what_waits_for_the_application_comes_after_it(tmp_path: Path) -> None:
    """Compose starts what somebody waits for along with them: the application before its schema is ready, in its old
    container's place."""
    services = {
        "worker": {"depends_on": ["django"]},
        "beat": {"depends_on": ["worker"], "image": "beat:1"},
        "front": {"depends_on": ["django"], "image": "front:1"},
        "edge": {"depends_on": ["front"], "image": "edge:1"},
        "more": {"depends_on": ["edge", "beat"], "image": "more:1"},
    }
    found = on_the_machine(rendered(tmp_path, bulkhead_services=services))
    assert {name for name, item in found.items() if item.awaited} == {"pgbouncer", "postgresql", "redis"}
    assert found["front"].steady and found["edge"].steady


def test_templates_without_effects_are_made_where_they_are_used(tmp_path: Path) -> None:
    """Making them takes 50 ms, and of a run's six steps only the plan reads other environments."""
    renderer = Renderer(Inventory([], [], str(tmp_path)).loader)
    assert "inert" not in vars(renderer)
    assert renderer.inert is renderer.inert and renderer.inert is not renderer.templates


def test_the_services_of_the_readme(tmp_path: Path) -> None:
    """Its worker is not asked for pages, whatever the application's image checks."""
    text = (ROOT / "README.md").read_text().partition("```yaml\nbulkhead_services:")[2].partition("```")[0]
    release = rendered(tmp_path, bulkhead_services=yaml.safe_load(text))
    assert service(release, "worker")["healthcheck"] == {"disable": True}
    assert "pgbouncer" not in release.stack.compose["services"]
