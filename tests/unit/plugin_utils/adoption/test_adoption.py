# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of servers that were set up by hand: the guide's, and all kinds of others."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.adoption import moving
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.adoption.whole import (
    Adoption,
    adoption,
    clean,
    refusal,
)
from unit.plugin_utils.adoption.adopting_page import PAGE, with_example
from unit.plugin_utils.adoption.servers import SECRET, bind, container, file, guide, port, seen, volume

PG = "/var/lib/postgresql/data"


class _Loader(yaml.SafeLoader):
    """Reads what Ansible takes literally as plain text."""


_Loader.add_constructor("!unsafe", lambda _loader, node: str(node.value))


def adopted(observation: dict[str, Any]) -> Adoption:
    return adoption(observation, "app1", "inventory")


def variables(found: Adoption, group: str) -> dict[str, Any]:
    """The variables of a group, as Ansible reads them."""
    text = found.files({})[f"group_vars/{group}/main.yml"]
    read: dict[str, Any] = yaml.load(text, Loader=_Loader)
    return read


def said(found: Adoption) -> str:
    return "\n".join(found.lines)


def postgresql(name: str, project: str = "shop", **more: Any) -> dict[str, Any]:
    given = {"mounts": [volume("shop_pg", PG)], **more}
    given["settings"] = {"POSTGRES_USER": "shop", "POSTGRES_PASSWORD": SECRET}
    return container(name, "postgres:17.5", project, "db", **given)


def web(**more: Any) -> dict[str, Any]:
    return container("shop-web-1", "shop-web", "shop", "web", **more)


def test_the_guide() -> None:
    """Both environments keep their names, domains, ports, volumes and keys."""
    found = adopted(guide())
    assert [plan.own.prefix for plan in found.planned] == ["aiia_prod", "aiia_staging"]
    production, staging = variables(found, "production"), variables(found, "staging")
    assert production["bulkhead_domains"] == ["eduaiia.com", "www.eduaiia.com"]
    assert (staging["bulkhead_http_port"], staging["bulkhead_https_port"]) == (8080, 8443)
    assert production["bulkhead_tls_key_path"] == "/etc/letsencrypt/live/eduaiia.com/privkey.pem"
    assert staging["bulkhead_source_repository"] == "git@github.com:eduaiia/ai-ia-backend.git"
    assert staging["bulkhead_source_branch"] == "staging"
    assert production["bulkhead_adopted_volumes"] == {
        "pgdata": "pgdata_prod", "redis_data": "redis_data_prod", "storage": "storage_prod",
    }  # fmt: skip
    assert production["bulkhead_services"]["django"]["volumes"] == ["storage:/app/storage"]
    assert production["bulkhead_database_admin"] == "aiia" and production["bulkhead_database_name"] == "aiia_prod"
    assert "bulkhead_database_user" not in production
    assert yaml.safe_load(found.files({})["group_vars/all/main.yml"]) == {"bulkhead_project": "aiia"}
    assert "shared-project" in [finding.rule for finding in found.findings]
    assert "run as one Compose project, ai-ia-backend" in said(found)
    assert "/etc/cron.d/backup runs Docker on a schedule" in said(found)


def test_secrets_go_into_the_vault_and_nowhere_else() -> None:
    found = adopted(guide())
    shown = "\n".join([said(found), found.guide("proved"), *found.files({}).values()])
    assert SECRET not in shown
    plain, prints = found.secrets()["production"]
    secrets = yaml.safe_load(plain)["bulkhead_secrets"]
    assert secrets["SECRET_KEY"] == f"only-prod-{SECRET}" and secrets["EMAIL_HOST_PASSWORD"] == f"mail-prod-{SECRET}"
    assert secrets["POSTGRES_PASSWORD"] == f"prod-{SECRET}"
    # Administrator and application had one password; Redis had none.
    assert secrets["DB_PASSWORD"] != secrets["POSTGRES_PASSWORD"] and len(secrets["REDIS_PASSWORD"]) > 30
    assert found.planned[0].settings.made == ["DB_PASSWORD", "REDIS_PASSWORD"]
    salts = {yaml.safe_load(text)["bulkhead_fingerprints"]["salt"] for _plain, text in found.secrets().values()}
    assert len(salts) == 1 and "SECRET_KEY" in prints and SECRET not in prints


def test_what_a_server_says_is_never_evaluated() -> None:
    """A template in a setting stays text, and a dollar in a command is no variable of Compose."""
    text = adopted(guide()).files({})["group_vars/production/main.yml"]
    assert re.search(r"GREETING: !unsafe \"costs \$5 \{\{ lookup", text)
    found = adopted(seen(web(command=["sh", "-c", "echo $HOME {{ x }}"], settings={"X": "{% y %}"})))
    written = found.files({})["group_vars/production/main.yml"]
    assert '!unsafe "echo $$HOME {{ x }}"' in written and 'X: !unsafe "{% y %}"' in written


def test_names_that_manipulate_a_terminal() -> None:
    found = adopted(seen(web(directory="/srv/\x1b]0;x\x07shop", mounts=[bind("/da\rta", "/data")])))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", said(found) + found.guide(""))
    assert clean("a\nb") == "a\nb"


def test_another_application_with_other_names() -> None:
    """No Django: its own names for settings, one port without nginx, and a database whose owner stays."""
    application = web(
        ports=[port(9001, 8080, "127.0.0.1")],
        settings={
            "POSTGRES_HOST": "db", "POSTGRES_DB": "orders", "POSTGRES_USER": "orders",
            "POSTGRES_PASSWORD": f"x-{SECRET}",
            "CACHE": f"redis://:{SECRET}@cache:6379/1", "API_TOKEN": SECRET, "LEVEL": "info",
        },
        health=["CMD-SHELL", "curl -f http://localhost:8080/up"],
    )  # fmt: skip
    cache = container("shop-cache-1", "redis:7", "shop", "cache", mounts=[volume("shop_redis", "/data")])
    found = adopted(seen(application, postgresql("shop-db-1"), cache))
    plan, values = found.planned[0], variables(found, "production")
    assert plan.own.prefix == "shop_prod" and values["bulkhead_app_service"] == "web"
    assert values["bulkhead_database_user"] == "orders" and values["bulkhead_database_name"] == "orders"
    assert values["bulkhead_env_names"] == {
        "DB_HOST": "POSTGRES_HOST", "DB_NAME": "POSTGRES_DB", "DB_USER": "POSTGRES_USER",
        "DB_PASSWORD": "POSTGRES_PASSWORD", "REDIS_URL": "CACHE",
    }  # fmt: skip
    assert values["bulkhead_env"] == {"LEVEL": "info"} and plan.settings.secret["API_TOKEN"] == SECRET
    services = values["bulkhead_services"]
    assert services["web"]["ports"] == ["127.0.0.1:9001:8080"] and services["nginx"] is None
    assert services["django"] is None and services["pgbouncer"] is None
    assert values["bulkhead_health_path"] == "/up" and values["bulkhead_prepare"] == []
    assert "bulkhead_tls_key_path" not in values
    assert "Where the source of shop_prod comes from is not known" in said(found)


def test_an_image_of_a_registry() -> None:
    observation = seen(web())
    observation["images"]["sha256:shop-web"]["digests"] = ["registry.example.com/shop@sha256:" + "a" * 64]
    assert variables(adopted(observation), "production")["bulkhead_image"].startswith("registry.example.com/shop@")


@pytest.mark.parametrize(
    ("mounts", "why"),
    [
        ([bind("/srv/old/pg", PG)], "keeps its data in the directory /srv/old/pg"),
        ([volume("shop_pg", "/var/lib/postgresql")], "keeps its data below /var/lib/postgresql, elsewhere than"),
        ([], f"keeps its data in no volume at {PG}"),
        ([volume("shop_pg", PG)], ""),
    ],
)
def test_a_database_whose_volume_does_not_fit_moves_as_a_checked_copy(mounts: list[dict[str, Any]], why: str) -> None:
    found = adopted(seen(web(), postgresql("shop-db-1", mounts=mounts)))
    plan, lines = found.planned[0], "\n".join(line for step in found.moves["shop_prod"] for line in step.lines)
    assert plan.stack.dumped.startswith(f"shop-db-1 {why}") if why else not plan.stack.dumped
    assert plan.stack.adopted["pgdata"] == ("shop_prod_pgdata_moved" if why else "shop_pg")
    for command in ("pg_dump", "sha256sum --check", "pg_restore", "--single-transaction"):
        assert (command in lines) is bool(why), command
    assert lines.count("format($$SELECT %L, count(*)") == (3 if why else 2)


def test_one_volume_of_two_environments_is_taken_over_by_none() -> None:
    other = container("x-db", "postgres:17.5", "other", "db", "/srv/other", mounts=[volume("shop_pg", PG)])
    found = adopted(seen(web(), postgresql("shop-db-1"), other))
    assert [plan.stack.kept for plan in found.planned] == [{}, {}]
    assert "which other_prod mounts as well" in found.planned[1].stack.dumped


def test_two_people_with_one_project_name() -> None:
    """Each gets its own prefix and group, and the steps name containers only, never the project."""
    ann = container("ann_app", "a", "app", "web", "/home/ann/app")
    bob = container("bob_app", "b", "app", "web", "/home/bob/app")
    found = adopted(seen(ann, bob))
    assert [plan.own.prefix for plan in found.planned] == ["app_prod", "app_prod2"]
    assert len({plan.own.group for plan in found.planned}) == 2
    assert "/home/ann/app and /home/bob/app" in said(found)
    stops = [line for step in found.moves["app_prod"] for line in step.lines if line.startswith("docker stop")]
    assert stops == ["docker stop ann_app"]


def test_files_that_are_gone_or_unreadable() -> None:
    """The containers say it then, and every file is named with its reason."""
    files = (file("compose", "/srv/old/docker-compose.yml", problem="there is no such file"),)
    found = adopted(seen(web(), files=files))
    assert "docker-compose.yml of shop_prod could not be read (there is no such file): everything" in said(found)
    assert "docker compose -p shop" in found.guide("")
    assert "is not YAML with services" in said(adopted(seen(web(), files=(file("compose", files[0]["path"], "- a"),))))
    bare = adopted(seen(web(file="")))
    assert "Compose file of shop_prod is not known, so there is no way back" in bare.guide("")


def test_what_is_in_no_environment_is_said() -> None:
    loose = container("portainer", "portainer", "", "")
    lost = {"name": "old_pg", "driver": "local", "options": [], "labels": {"com.docker.compose.project": "shop"}}
    socket = bind("/var/run/docker.sock", "/var/run/docker.sock")
    observation = seen(web(reach=["privileged: true"], mounts=[socket]), loose)
    observation["volumes"].append({**lost, "holds": {"postgresql": "16", "below": ""}})
    text = said(adopted(observation | {"managed": ["aiia_prod"], "left_out": 3}))
    for part in (
        "The container portainer was started by hand",
        "has privileged: true. It was left out",
        "mounts /var/run/docker.sock of the machine",
        "The volume old_pg holds data of PostgreSQL and no container mounts it",
        "Bulkhead deploys aiia_prod on this machine already",
        "3 containers more",
    ):
        assert part in text


def test_directories_beside_the_compose_file_are_copied_in_the_gap() -> None:
    found = adopted(seen(web(mounts=[{**bind("/srv/old/media", "/app/media"), "writable": True}])))
    assert variables(found, "production")["bulkhead_services"]["web"]["volumes"] == ["./media:/app/media"]
    copies = [step for step in found.moves["shop_prod"] if any("cp -a" in line for line in step.lines)]
    assert copies[0].down and "cp -a /srv/old/media /srv/shop/prod/media" in copies[0].lines[0]


def test_the_gap_is_the_sum_of_its_parts() -> None:
    plans = {plan.own.prefix: plan for plan in adopted(guide()).planned}
    parts = moving.gap(plans["aiia_prod"])
    assert moving.seconds(plans["aiia_prod"]) == sum(seconds for _why, seconds in parts)
    assert {"rows are counted", "migrations run"} <= {why for why, _seconds in parts}
    small = adopted(seen(web(stop_seconds=33))).planned[0]
    assert dict(moving.gap(small))["the containers stop"] == 33 and "rows are counted" not in dict(moving.gap(small))


def test_a_network_that_others_use_is_left() -> None:
    mine = web(networks={"shop_default": [], "proxy": []})
    other = container("x", "x", "other", "x", "/srv/x", networks={"proxy": []})
    lines = [line for step in adopted(seen(mine, other)).moves["shop_prod"] for line in step.lines]
    assert "docker network rm shop_default" in lines


def test_the_example_of_the_page() -> None:
    """`.venv/bin/python tests/unit/plugin_utils/adoption/adopting_page.py` writes it anew."""
    text = PAGE.read_text(encoding="utf-8")
    assert with_example(text) == text


def test_passwords_in_commands_go_into_the_vault() -> None:
    """Compose fills them in from .env; a word that is none stays."""
    worker = container(
        "shop-worker-1", "other", "shop", "worker",
        command=["work", "--password", SECRET, f"--api-token={SECRET}2", "--level", "info", "-v", f"redis://:{SECRET}@x/"],
    )  # fmt: skip
    found = adopted(seen(web(ports=[port(80, 80)], settings={"KEYS_AT": "ghp_" + SECRET}), worker))
    words = variables(found, "production")["bulkhead_services"]["worker"]["command"]
    assert words == [
        "work", "--password", "${WORKER_PASSWORD}", "--api-token=${WORKER_API_TOKEN}", "--level", "info", "-v",
        "${WORKER_COMMAND}",
    ]  # fmt: skip
    assert SECRET not in "\n".join([said(found), found.guide(""), *found.files({}).values()])
    assert found.planned[0].settings.secret["WORKER_API_TOKEN"] == f"{SECRET}2"


def test_a_rootless_engine_is_refused() -> None:
    assert refusal(seen(), "unix:///x") == ""
    assert "unix:///x runs rootless" in refusal(seen(engine={"rootless": True}), "unix:///x")


def test_a_password_in_a_repository_address_is_left_out() -> None:
    origin = f"https://deploy:{SECRET}@git.example.com/shop.git"
    observation = seen(web(), checkouts={"/srv/old/code": {"branch": "main", "commit": "", "origin": origin}})
    found = adopted(observation)
    assert variables(found, "production")["bulkhead_source_repository"] == "https://git.example.com/shop.git"
    assert "has a password in its repository's address" in said(found)
    assert SECRET not in said(found) + found.guide("") + found.files({})["group_vars/production/main.yml"]


@pytest.mark.parametrize("origin", ["ext::sh -c id", "--upload-pack=id", ""])
def test_an_origin_that_git_would_run_is_none(origin: str) -> None:
    observation = seen(web(), checkouts={"/srv/old": {"branch": "main", "commit": "", "origin": origin}})
    assert variables(adopted(observation), "production")["bulkhead_source_repository"] == ""
