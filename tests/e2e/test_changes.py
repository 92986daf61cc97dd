# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a changed variable touches, on the guide's staging; production serves all the while and is never touched."""

from __future__ import annotations

import secrets
import stat
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import sentences
from guide_stack import IMAGES, SERVICES, Guide
from observe import ask, by_hand, containers, eventually, moment, running
from sabotage import receipt
from support import Place, Run, docker
from test_traffic import query, sign_in


@pytest.fixture(autouse=True)
def production_untouched(guide: Guide) -> Iterator[None]:
    """No test of this file touches production."""
    before = moment(guide.production, without=())
    yield
    assert moment(guide.production, without=()) == before


def deploy(guide: Guide, **variables: Any) -> tuple[Run, dict[str, Any], dict[str, Any]]:
    """Change variables of staging and deploy it; also its containers before and after."""
    place = guide.staging
    before = running(place.prefix)
    place.variables |= {f"bulkhead_{key}": value for key, value in variables.items()}
    run = place.deploy("--diff", passwords=["staging"]).succeeded()
    return run, before, running(place.prefix)


def touched(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """The services whose container is another one, or was restarted."""
    return {name.rsplit("_", 1)[1] for name in {*before, *after} if before.get(name) != after.get(name)}


def healthy(place: Place) -> bool:
    """Whether the application answers, with its database and its Redis."""
    return bool(ask(place, "/health/").json["healthy"])


def variables_of(place: Place, service: str = "django") -> dict[str, str]:
    """The variables of a container's process."""
    text = docker("exec", f"{place.prefix}_{service}", "cat", "/proc/1/environ")
    return dict(entry.split("=", 1) for entry in text.split("\0") if entry)


def test_a_setting_recreates_django_and_nothing_else(guide: Guide) -> None:
    """One changed value of bulkhead_env reaches the application; no other container notices."""
    word = secrets.token_hex(4)
    _run, before, after = deploy(guide, env={"GREETING": word})
    assert touched(before, after) == {"django"}
    assert variables_of(guide.staging)["GREETING"] == word
    assert healthy(guide.staging)


def test_nginx_and_pgbouncer_take_their_configuration_by_reloading(guide: Guide) -> None:
    """A changed body size, header and pool size are in force, and both are the same processes as before."""
    place = guide.staging
    assert ask(place, "/redis/size", "PUT", b"x" * 5000).status == 204
    _run, before, after = deploy(guide, nginx_body_size="4k", environment_header="", pgbouncer_pool_size=7)
    assert touched(before, after) == set()
    eventually(lambda: ask(place, "/redis/size", "PUT", b"x" * 5000).status == 413)
    eventually(lambda: ask(place, "/health/").headers["X-Environment"] is None)
    settings = docker("exec", f"{place.prefix}_pgbouncer", "cat", "/etc/pgbouncer/pgbouncer.ini")
    assert "default_pool_size = 7" in settings
    logged = f"docker logs {place.prefix}_pgbouncer 2>&1"
    eventually(lambda: "re-reading config" in by_hand(place.directory, logged).stdout)
    _run, before, after = deploy(guide, nginx_body_size="20m", environment_header="X-Environment")
    assert touched(before, after) == set()
    eventually(lambda: ask(place, "/redis/size", "PUT", b"x" * 5000).status == 204)
    eventually(lambda: ask(place, "/health/").headers["X-Environment"] == place.prefix)


def test_a_configuration_that_nginx_refuses(guide: Guide) -> None:
    """It never comes into force: nginx itself judged it before, and everything serves as it did."""
    place, before = guide.staging, moment(guide.staging)
    domains = place.variables["bulkhead_domains"]
    # Right on paper, and too long for a bucket of nginx's table of names.
    place.variables["bulkhead_domains"] = [*domains, f"{'a' * 60}.{'b' * 60}.{domains[0]}"]
    try:
        run = place.deploy(passwords=["staging"])
    finally:
        place.variables["bulkhead_domains"] = domains
    assert "nginx of service nginx does not accept its new configuration" in run.error
    assert "could not build server_names_hash" in run.error
    assert moment(place) == before and healthy(place)


def test_new_passwords(guide: Guide) -> None:
    """The servers learn them while they run, the application uses them, the old ones open nothing, and data stays."""
    place = guide.staging
    text = secrets.token_hex(8)
    ask(place, "/notes/", "POST", {"text": text})
    ask(place, "/redis/kept", "PUT", b"still here")
    words = place.secrets["bulkhead_secrets"]
    old = dict(words)
    words["DB_PASSWORD"] = f"new '\"\\$ {secrets.token_hex(8)}"
    words["REDIS_PASSWORD"] = f"new/@:%'{secrets.token_hex(8)}"
    run, before, after = deploy(guide)
    assert touched(before, after) == {"django"}
    assert healthy(place)
    ended = [step for step in sentences(receipt(run)["changed"]) if step.startswith("end the earlier passwords of ")]
    assert len(ended) == 3
    assert text in [note["text"] for note in ask(place, "/notes/").json["notes"]]
    assert ask(place, "/redis/kept").body == b"still here"
    for host, port in (("postgresql", 5432), ("pgbouncer", 6432)):
        assert sign_in(place, place.prefix, words["DB_PASSWORD"], host, port) == ""
        assert sign_in(place, place.prefix, old["DB_PASSWORD"], host, port) != ""
    program = (
        "import redis, sys\n"
        "try: print(redis.Redis('redis', password=sys.argv[1]).ping())\n"
        "except redis.RedisError: print('refused')"
    )
    answers = [
        docker("exec", f"{place.prefix}_django", "python3", "-c", program, password).strip()
        for password in (words["REDIS_PASSWORD"], old["REDIS_PASSWORD"])
    ]
    assert answers == ["True", "refused"]


def test_celery_through_the_inventory_alone(guide: Guide) -> None:
    """A worker and a beat join as services; a task is done; taken out again, exactly their containers go."""
    place = guide.staging
    workers = {
        "worker": {"command": ["worker"], "depends_on": ["pgbouncer", "redis"]},
        "beat": {"command": ["beat"], "depends_on": ["redis"]},
    }
    _run, before, after = deploy(guide, services={**IMAGES, **workers})
    assert touched(before, after) == {"worker", "beat"}
    text = secrets.token_hex(8)
    key = ask(place, "/tasks/", "POST", {"text": text}).json["key"]
    number = eventually(lambda: (found := ask(place, f"/redis/{key}")).status == 200 and found.body.decode())
    assert ask(place, f"/notes/{number}/").json["text"] == text
    assert variables_of(place, "worker")["DB_NAME"] == place.prefix

    run, before, after = deploy(guide, services=IMAGES)
    assert touched(before, after) == {"worker", "beat"}
    assert sorted(after) == [f"{place.prefix}_{service}" for service in SERVICES]
    steps = sentences(run.result("converge")["steps"])
    gone = {step for step in steps if step.startswith("remove ")}
    assert gone == {f"remove container {place.prefix}_{service}: its service is gone" for service in ("worker", "beat")}


def test_a_container_that_was_removed_comes_back(guide: Guide) -> None:
    """What does not run as recorded is put right, and no more than that."""
    place = guide.staging
    docker("rm", "--force", f"{place.prefix}_pgbouncer")
    _run, before, after = deploy(guide)
    assert touched(before, after) == {"pgbouncer"}
    eventually(lambda: healthy(place))


def test_a_file_that_was_changed_by_hand_is_put_right(guide: Guide) -> None:
    """Content and mode, both; containers keep running."""
    directory = guide.staging.directory
    wanted = (directory / "docker/nginx/staging.conf").read_bytes()
    (directory / "docker/nginx/staging.conf").write_text("# by hand\n")
    (directory / ".env").chmod(0o644)
    run, before, after = deploy(guide)
    assert touched(before, after) == set() and run.changed == 1
    assert (directory / "docker/nginx/staging.conf").read_bytes() == wanted
    assert stat.S_IMODE((directory / ".env").stat().st_mode) == 0o600


def test_containers_are_confined(guide: Guide) -> None:
    """No new privileges, capabilities dropped, limits and log limits, a restart policy and a health check: all."""
    for place in guide.both:
        for name, item in containers(place.prefix).items():
            host = item["HostConfig"]
            assert "no-new-privileges:true" in host["SecurityOpt"], name
            assert host["CapDrop"] == ["ALL"], name
            assert host["Memory"] > 0 and host["NanoCpus"] > 0 and host["PidsLimit"] > 0, name
            assert host["LogConfig"]["Config"]["max-size"] == "10m", name
            assert host["RestartPolicy"]["Name"] == "unless-stopped" and item["State"]["Health"], name
            if not name.endswith("_nginx"):
                assert docker("exec", name, "id", "-u").strip() != "0", name
                assert not host["CapAdd"], name
    assert query(guide.staging, "SHOW server_version_num") >= "170000"
