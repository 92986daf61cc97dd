# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read of a machine that a person set up: bounded, without links of others, and without values unless asked."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.host import handmade

COMPOSE = "com.docker.compose."
SECRET = "s3cr3t-value-that-nobody-sees"


class HandmadeEngine:
    """An engine with these containers and volumes."""

    def __init__(self, containers: list[dict[str, Any]], volumes: list[dict[str, Any]]) -> None:
        self.objects = {"container": containers, "volume": volumes, "image": [], "network": []}
        self.calls: list[tuple[str, ...]] = []

    def docker_ok(self, *words: str) -> str:
        self.calls.append(words)
        if words[0] == "info":
            return json.dumps({"ServerVersion": "26.1", "SecurityOptions": ["name=rootless"]})
        kind = "container" if words[0] == "ps" else words[0]
        return "\n".join(str(item.get("Id") or item["Name"]) for item in self.objects[kind])

    def inspect(self, ids: list[str]) -> list[dict[str, Any]]:
        return [item for item in self.objects["container"] if item["Id"] in ids]

    def docker(self, kind: str, _inspect: str, *names: str, **_options: Any) -> tuple[int, str, str]:
        found = [item for item in self.objects[kind] if (item.get("Id") or item["Name"]) in names]
        return 0, json.dumps(found), ""


def container(name: str, home: Path, labels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    marks = {
        f"{COMPOSE}project": "shop",
        f"{COMPOSE}project.working_dir": str(home),
        f"{COMPOSE}project.config_files": f"{home}/docker-compose.yml",
        "maintainer": "somebody",
    }
    config = {"Env": [f"TOKEN={SECRET}", "A=1"], "Cmd": ["serve", SECRET], "Labels": marks | (labels or {}), **more}
    bindings = {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9001"}]}
    host = {"PortBindings": bindings, "Privileged": True, "NetworkMode": "host"}
    mounts = [{"Type": "bind", "Source": f"{home}/sites", "Destination": "/etc/nginx/conf.d", "RW": False}]
    return {"Id": name, "Name": f"/{name}", "Config": config, "HostConfig": host, "Mounts": mounts, "State": {}}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of a project; the machine itself is left out of the tests."""
    monkeypatch.setattr(handmade.facts, "schedules", lambda: [{"path": "/etc/cron.d/x", "lines": []}])
    monkeypatch.setattr(handmade.facts, "listening", list)
    monkeypatch.setattr(handmade, "_SITES", ())
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites/shop.conf").write_text("server {}")
    (tmp_path / "sites/key.pem").write_text(SECRET)
    (tmp_path / "docker-compose.yml").write_text("services: {}\n")
    return tmp_path


def files(seen: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {Path(item["path"]).name: item for item in seen["files"]}


def test_values_are_only_returned_if_asked_for(home: Path) -> None:
    (home / ".env").write_text(f"TOKEN={SECRET}\n")
    engine = HandmadeEngine([container("web", home)], [])
    without = handmade.look(engine)
    assert SECRET not in json.dumps(without) and without["containers"][0]["settings"] == {"TOKEN": "", "A": ""}
    seen = handmade.look(engine, values=True)
    assert seen["containers"][0]["settings"]["TOKEN"] == SECRET and SECRET in files(seen)[".env"]["text"]
    assert files(seen)["shop.conf"]["text"] == "server {}" and "key.pem" not in files(seen)
    assert "maintainer" not in seen["containers"][0]["labels"]
    assert seen["containers"][0]["reach"] == ["privileged: true", "network_mode: host"]
    assert seen["containers"][0]["ports"][0]["published"] == "9001"
    assert seen["engine"]["rootless"] is True and seen["schedules"] == []


def test_only_reading_commands_are_given(home: Path) -> None:
    engine = HandmadeEngine([container("web", home)], [])
    handmade.look(engine)
    assert {words[:2] for words in engine.calls} <= {
        ("ps", "--all"), ("info", "--format"), ("volume", "ls"), ("network", "ls"),
    }  # fmt: skip


def test_what_bulkhead_deployed_and_other_projects_are_not_read(home: Path) -> None:
    ours = container("ours", home, {"io.bulkhead.prefix": "aiia_prod"})
    theirs = container("theirs", home, {f"{COMPOSE}project": "other"})
    engine = HandmadeEngine([container("web", home), ours, theirs], [])
    seen = handmade.look(engine, True)
    assert [item["name"] for item in seen["containers"]] == ["web", "theirs"] and seen["managed"] == ["aiia_prod"]
    seen = handmade.look(engine, True, ["shop"])
    assert [item["name"] for item in seen["containers"]] == ["web"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\0\1", "it is not text"),
        (b"\xff\xfe", "it is not UTF-8"),
        (b"x" * (300 << 10), "more than 256 KiB"),
        (None, "no such file"),
        ("link", "a link that is not followed"),
        ("pipe", "no such file, or"),
        (b"services: {}\n", ""),
    ],
)
def test_files_that_are_no_texts(home: Path, content: bytes | str | None, problem: str) -> None:
    path = home / "docker-compose.yml"
    path.unlink()
    if content == "link":
        path.symlink_to("/etc/hostname")
    elif content == "pipe":
        os.mkfifo(path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    found = files(handmade.look(HandmadeEngine([container("web", home)], []), True))["docker-compose.yml"]
    assert problem in found["problem"] and bool(found["problem"]) is bool(problem)
    assert found["text"] == ("" if problem else "services: {}\n")


def test_what_volumes_hold(home: Path) -> None:
    for name, path in (("pg", "PG_VERSION"), ("below", "data/PG_VERSION"), ("rdb", "dump.rdb"), ("other", "x")):
        (home / name / path).parent.mkdir(parents=True, exist_ok=True)
        (home / name / path).write_text("17\n")
    (home / "aof/appendonlydir").mkdir(parents=True)
    volumes = [
        {"Name": name, "Mountpoint": str(home / name)} for name in ("pg", "below", "rdb", "aof", "other", "gone")
    ]
    seen = handmade.look(HandmadeEngine([], volumes))
    assert {volume["name"]: volume["holds"] for volume in seen["volumes"]} == {
        "pg": {"postgresql": "17", "below": ""},
        "below": {"postgresql": "17", "below": "data"},
        "rdb": {"redis": "rdb"},
        "aof": {"redis": "aof"},
        "other": {},
        "gone": {},
    }


def test_where_a_checkout_came_from(home: Path) -> None:
    git = home / "code/.git"
    git.mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "config").write_text('[core]\n\tbare = false\n[remote "origin"]\n\tfetch = x\n\turl = git@h:shop.git\n')
    seen = handmade.look(HandmadeEngine([container("web", home)], []))
    assert seen["checkouts"] == {f"{home}/code": {"branch": "main", "commit": "", "origin": "git@h:shop.git"}}
