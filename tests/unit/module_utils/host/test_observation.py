# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The observation of a machine: without secrets, and with as many engine calls for few containers as for many."""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.host import facts
from ansible_collections.aiia.bulkhead.plugins.module_utils.host import observation as observing

SECRET = "correct-horse-battery"


class Docker:
    """An engine with so many containers, networks and volumes, which counts its calls."""

    docker_host = "unix:///nonexistent.sock"

    def __init__(self, count: int, directory: Path) -> None:
        self.count = count
        self.directory = directory
        self.calls: list[str] = []

    def _container(self, number: int) -> dict[str, Any]:
        labels = {
            "io.bulkhead.prefix": f"aiia_{number}",
            "com.docker.compose.project.working_dir": str(self.directory),
            "traefik.http.middlewares.auth.basicauth.users": SECRET,
        }
        return {
            "Id": f"id{number}",
            "Name": f"/aiia_{number}_web",
            "Image": "sha256:1",
            "RestartCount": 2,
            "State": {"Running": True, "StartedAt": "2026", "Pid": 7, "Health": {"Status": "healthy"}},
            "Config": {
                "Labels": labels, "Env": [f"DB_PASSWORD={SECRET}"], "Cmd": ["server", "--token", SECRET],
                "ExposedPorts": {"8000/tcp": {}, "53/udp": {}},
            },
            "HostConfig": {
                "NetworkMode": "net", "RestartPolicy": {"Name": "unless-stopped"},
                "PortBindings": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8000"}]},
            },
            "NetworkSettings": {"Networks": {"net": {"NetworkID": "n", "IPAddress": "172.18.0.2", "Aliases": ["web"]}}},
            "Mounts": [{"Type": "volume", "Name": "v", "Source": "/x", "Destination": "/data", "RW": True}],
        }  # fmt: skip

    def docker_ok(self, *args: str) -> str:
        self.calls.append(" ".join(args[:2]))
        if args[0] == "info":
            return json.dumps({"ID": "engine", "ServerVersion": "28.2.2", "DockerRootDir": "/", "HttpProxy": SECRET})
        return "\n".join(f"id{number}" for number in range(self.count))

    def inspect(self, ids: list[str]) -> list[dict[str, Any]]:
        self.calls.append("container inspect")
        return [self._container(number) for number in range(len(ids))]

    def docker(self, kind: str, verb: str, *names: str, **_options: Any) -> tuple[int, str, str]:
        self.calls.append(f"{kind} {verb}")
        if kind == "system":
            return 0, "{}", ""
        found = []
        for name in names:
            options = {"device": "//nas/share", "o": f"username=u,password={SECRET}"}
            found.append({"Id": name * 8, "Name": name, "Labels": None, "Options": options, "IPAM": {"Config": None}})
        return 0, json.dumps(found), ""

    def find(self, _name: str) -> None:
        """The machine has no programs."""

    def check_reachable(self, _errors: str) -> None:
        raise AssertionError("not expected")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An environment's directory with a secret in it."""
    path = tmp_path / "home"
    (path / ".bulkhead/private/postgresql").mkdir(parents=True)
    (path / ".env").write_text(f"DB_PASSWORD={SECRET}\n")
    (path / ".bulkhead/private/postgresql/password").write_text(SECRET)
    (path / "docker-compose.prod.yml").write_text("services: {}\n")
    (path / "notes.txt").write_text("not ours")
    return path


@pytest.fixture(autouse=True, params=["roomy", "short"])
def free(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Disks with and without room: what a test sees may not depend on the machine that it runs on."""
    free = 50 if request.param == "roomy" else 5
    disk = {"size": 100, "free": free, "inodes": 0, "free_inodes": 0, "disk": 1}
    monkeypatch.setattr(observing, "space", lambda paths: dict.fromkeys(paths, disk))


def look(count: int, home: Path, tmp_path: Path, keep: bool = True) -> tuple[dict[str, Any], Docker]:
    engine = Docker(count, home)
    return observing.observe(engine, str(tmp_path / "state"), [str(home)], keep), engine


def test_engine_calls_do_not_grow_with_containers(home: Path, tmp_path: Path) -> None:
    """One list and one inspection of each kind, for one container as for five hundred."""
    one, many = look(1, home, tmp_path)[1].calls, look(500, home, tmp_path)[1].calls
    assert one == many
    assert len(one) <= 10, one  # the last one counts, where a disk is short


def test_an_observation_holds_no_secret(home: Path, tmp_path: Path) -> None:
    """No settings, commands, foreign labels or mount options, and no digest against which a guess could be checked."""
    observation, _engine = look(3, home, tmp_path)
    text = json.dumps(observation)
    assert SECRET not in text
    for plain in (SECRET, f"DB_PASSWORD={SECRET}\n"):
        found = subprocess.run(["sha256sum"], input=plain, capture_output=True, text=True, check=True).stdout[:32]
        assert found not in text
    assert (tmp_path / "state" / "key").read_bytes().hex() not in text
    assert observation["containers"][0]["other_labels"] == ["traefik.http.middlewares.auth.basicauth.users"]


def test_a_container_is_told_in_full(home: Path, tmp_path: Path) -> None:
    """The properties that rules and receipts need."""
    container = look(1, home, tmp_path)[0]["containers"][0]
    assert container["name"] == "aiia_0_web" and container["condition"] == "healthy"
    assert container["restarts"] == 2 and container["policy"] == "unless-stopped"
    assert container["ports"] == [{"port": 8000, "address": "127.0.0.1"}] and container["exposed"] == [8000]
    assert container["networks"] == {
        "net": {"id": "n", "address": "172.18.0.2", "address6": "", "gateways": [], "aliases": ["web"]}
    }
    assert container["mounts"] == [["/data", "volume", "v", True]]


def test_only_files_in_force_are_looked_at(home: Path, tmp_path: Path) -> None:
    """A changed value gets a new digest, and an unchanged one keeps it."""
    before = look(0, home, tmp_path)[0]["files"][str(home)]
    assert sorted(before) == [".bulkhead/private/postgresql/password", ".env", "docker-compose.prod.yml"]
    (home / ".env").write_text("SAY=hacked\n")
    after = look(0, home, tmp_path)[0]["files"][str(home)]
    assert [path for path in before if before[path] != after[path]] == [".env"]


def test_looking_without_keeping_leaves_nothing(home: Path, tmp_path: Path) -> None:
    """Check mode and verification write nothing on the machine."""
    look(1, home, tmp_path, keep=False)
    assert not (tmp_path / "state").exists()


def test_links_are_followed_to_the_real_place(home: Path, tmp_path: Path) -> None:
    """Two names of one directory are one place."""
    link = tmp_path / "link"
    link.symlink_to(home)
    engine = Docker(1, link)
    observation = observing.observe(engine, str(tmp_path / "state"), [str(home)])
    assert observation["places"][str(link)] == observation["places"][str(home)] == str(home.resolve())


def test_lines_of_schedules_lose_their_secrets() -> None:
    """Only that."""
    line = "0 3 * * * root PGPASSWORD=hunter2 docker exec db pg_dump | curl https://me:hunter2@host/ --password hunter2"
    assert "hunter2" not in facts.masked(line) and "docker exec db pg_dump" in facts.masked(line)
    assert "hunter2" not in facts.masked("docker login -u me -p hunter2 registry")
    harmless = "0 4 * * * root docker compose -p aiia_prod exec web clearsessions"
    assert facts.masked(harmless) == harmless


def test_a_checkout_is_read_from_its_files(tmp_path: Path) -> None:
    """Branch and commit, loose or packed, also of a worktree."""
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    main, tree = tmp_path / "main", tmp_path / "tree"
    subprocess.run([*git, "init", "--quiet", "--initial-branch", "main", str(main)], check=True)
    subprocess.run([*git, "-C", str(main), "commit", "--quiet", "--allow-empty", "-m", "one"], check=True)
    commit = subprocess.run(["git", "-C", str(main), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    expected = {"branch": "main", "commit": commit.stdout.strip(), "place": str(main), "repository": f"{main}/.git"}
    assert facts.checkout(str(main)) == expected
    subprocess.run([*git, "-C", str(main), "pack-refs", "--all"], check=True)
    assert facts.checkout(str(main)) == expected
    subprocess.run([*git, "-C", str(main), "worktree", "add", "--quiet", "-b", "side", str(tree)], check=True)
    found = facts.checkout(str(tree))
    assert (found["repository"], found["branch"], found["place"]) == (f"{main}/.git", "side", str(tree))
    assert facts.checkout(str(tmp_path / "nothing")) == {}


def test_the_cluster_of_a_volume_is_read_from_its_file(tmp_path: Path) -> None:
    """Read without asking the server; empty for a volume without a cluster."""
    assert facts.database_identity(str(tmp_path)) == ""
    (tmp_path / "global").mkdir()
    (tmp_path / "global" / "pg_control").write_bytes(struct.pack("<Q", 7401234567890123456) + b"rest")
    assert facts.database_identity(str(tmp_path)) == "7401234567890123456"


def test_compose_files_above(tmp_path: Path) -> None:
    """In parents only, by the names that Compose looks for."""
    home = tmp_path / "a" / "home"
    home.mkdir(parents=True)
    for name in ("compose.yaml", "docker-compose.yml", "docker-compose.prod.yml", "my-compose.yml"):
        (tmp_path / name).write_text("x")
    (home / "docker-compose.yml").write_text("own")
    found = [path for path in facts.compose_files_above([str(home)]) if path.startswith(str(tmp_path))]
    assert found == [str(tmp_path / "compose.yaml"), str(tmp_path / "docker-compose.yml")]
