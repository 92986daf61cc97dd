# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bad input on a small environment that serves: one clear error each, and everything as it was before."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import sentences
from observe import moment, running, say
from sabotage import idle
from support import IMAGE, SERVER, Run, Site, docker, free_port, health_check, only, remove_project, web

#: Files that the service reads when it starts: a bad one stops it.
PICKY = "import sys; sys.exit(open('/etc/picky/word').read().strip() == 'bad' and 'the word is bad')"


class Small:
    """An environment that serves, with another one beside it that nobody may touch."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.place = site.small("small", "test", services=only(web=web()))
        self.beside = site.small("beside", "other", env={"SAY": "beside"})
        self.place.deploy().succeeded()
        self.beside.deploy().succeeded()

    def fails(self, *words: str, same: bool = True, **variables: Any) -> Run:
        """A deployment with these variables fails with one error that has these words. Afterwards both environments
        are as they were; with ``same=False`` the containers may be others, made of the same files, and serve."""
        kept = dict(self.place.variables)
        before, beside = moment(self.place), moment(self.beside)
        self.place.variables |= {f"bulkhead_{key}": value for key, value in variables.items()}
        self.place.variables = {key: value for key, value in self.place.variables.items() if value is not REMOVED}
        try:
            run = self.place.deploy()
        finally:
            self.place.variables = kept
        said = f"{run.error}\n{run.output}"
        for word in words:
            assert word in said, said
        after = moment(self.place)
        assert after.files == before.files
        assert sorted(after.containers) == sorted(before.containers)
        assert (after.containers == before.containers) is same
        assert moment(self.beside) == beside
        assert say(self.place.prefix) == "hello"
        return run


REMOVED = object()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Iterator[Small]:
    """The environments that the tests of this file share."""
    site = Site(tmp_path_factory.mktemp("small"), projects())
    yield Small(site)
    remove_project(site.project)


INVENTORY: dict[str, tuple[dict[str, Any], list[str]]] = {
    "mistyped": ({"domain": ["x.example"]}, ["Bulkhead has no variable bulkhead_domain", "bulkhead_domains?"]),
    "missing": ({"directory": REMOVED}, ["bulkhead_directory is not set", "group_vars/small"]),
    "type": ({"wait_timeout": "soon"}, ["bulkhead_wait_timeout must be a whole number, but is text"]),
    "shape": ({"services": ["web"]}, ["bulkhead_services must be a mapping, but is a list"]),
    "service": ({"services": only(web="nginx")}, ["bulkhead_services.web is text"]),
    "list": ({"env": {"SAY": ["a"]}}, ["bulkhead_env.SAY is a list, but a setting is one string"]),
    "nul": ({"env": {"SAY": "a\0b"}}, ["SAY cannot be set", "NUL"]),
    "long": ({"env": {"SAY": "x" * 128 * 1024}}, ["SAY cannot be set", "128 KiB"]),
    "compose": ({"env": {"COMPOSE_FILE": "x"}}, ["COMPOSE_FILE cannot be set", "reserved"]),
    "docker": ({"env": {"DOCKER_HOST": "x"}}, ["DOCKER_HOST cannot be set", "reserved"]),
    "name": ({"env": {"SAY-IT": "x"}}, ["SAY-IT cannot be set", "not a valid environment variable name"]),
    "branch": ({"source_repository": "/srv/x.git"}, ["bulkhead_source_branch is not set"]),
    "port": ({"http_port": 70000}, ["bulkhead_http_port is 70000", "1 to 65535"]),
    "domain": ({"domains": ["a.example; include /etc/passwd"]}, ["bulkhead_domains has a.example; include"]),
    "dollar": ({"services": only(web=web(command=["5$each-day"]))}, ["contains $each", "rite '$$' for a dollar"]),
    "directory": ({"directory": "relative"}, ["bulkhead_directory is relative", "absolute path"]),
}


@pytest.mark.parametrize("name", INVENTORY)
def test_the_inventory(small: Small, name: str) -> None:
    """What the inventory alone shows to be wrong is refused on paper."""
    variables, words = INVENTORY[name]
    run = small.fails(*words, **variables)
    assert run.ran == ["plan"]
    assert "refused before any host was contacted" in run.error


def test_all_mistakes_at_once(small: Small) -> None:
    """Three mistakes are one report."""
    small.fails(
        "no variable bulkhead_domain",
        "bulkhead_wait_timeout must be a whole number",
        "bulkhead_http_port is 70000",
        domain="x",
        wait_timeout="soon",
        http_port=70000,
    )


def test_an_expression_that_cannot_be_resolved(small: Small) -> None:
    """The variable is named."""
    path = small.site.inventory / "group_vars/small/main.yml"
    small.site.write()
    path.write_text(path.read_text() + '"bulkhead_nginx_timeout": "{{ not_there }}"\n')
    before = moment(small.place)
    run = small.site.play("-l", "small", write=False)
    assert "bulkhead_nginx_timeout cannot be resolved" in run.output and run.error
    assert moment(small.place) == before


def test_the_engine_cannot_be_reached(small: Small) -> None:
    """Said at once, with the address."""
    run = small.fails(
        "the Docker engine at unix:///nonexistent/docker.sock cannot be reached", "bulkhead_docker_host",
        docker_host="unix:///nonexistent/docker.sock", env={"SAY": "changed"},
    )  # fmt: skip
    assert len(run.failures) == 1


OLD_COMPOSE = """#!/bin/sh
case "$*" in
  docker-cli-plugin-metadata) echo '{"SchemaVersion":"0.1.0","Vendor":"Docker Inc.","Version":"v2.20.2"}' ;;
  *version*) echo 2.20.2 ;;
  *) echo 'the old one was used' >&2; exit 1 ;;
esac
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="hides a program in a mount namespace of its own, as root")
def test_compose_is_too_old(small: Small, tmp_path: Path) -> None:
    """The version is named, and the least that will do."""
    path = '{{range .ClientInfo.Plugins}}{{if eq .Name "compose"}}{{.Path}}{{end}}{{end}}'
    where = docker("info", "--format", path)
    old = tmp_path / "docker-compose"
    old.write_text(OLD_COMPOSE)
    old.chmod(0o755)
    before = moment(small.place)
    script = 'mount --bind "$0" "$1" && shift && exec "$@"'
    namespace = ["unshare", "--mount", "sh", "-c", script, str(old), where.strip()]
    small.place.variables["bulkhead_env"] = {"SAY": "changed"}
    try:
        run = small.place.deploy(before=namespace)
    finally:
        small.place.variables["bulkhead_env"] = {"SAY": "hello"}
    assert "Docker Compose 2.20.2 is too old: 2.24 or later is needed" in run.error
    assert moment(small.place) == before


def test_a_port_taken_by_somebody_elses_container(small: Small) -> None:
    """The container is named."""
    port, name = free_port(), f"{small.site.project}-stranger"
    docker("run", "--detach", "--name", name, "--publish", f"127.0.0.1:{port}:80", IMAGE, "sleep", "600")
    try:
        small.fails(
            f"port {port}", name,
            services=only(web=web(ports=[f"127.0.0.1:{port}:8000"])),
        )  # fmt: skip
    finally:
        docker("rm", "--force", name)


def test_a_port_taken_by_a_process(small: Small) -> None:
    """The process is named with its id."""
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        port = listener.getsockname()[1]
        services = only(web=web(ports=[f"127.0.0.1:{port}:8000"]))
        small.fails(f"port {port}", f"pid {os.getpid()}", services=services)


def test_a_port_that_is_free(small: Small) -> None:
    """The near miss: the same port on another address is nobody's."""
    with socket.create_server(("127.0.0.2", free_port())) as listener:
        port = listener.getsockname()[1]
        small.place.variables["bulkhead_services"] = only(web=web(ports=[f"127.0.0.1:{port}:8000"]))
        small.place.deploy().succeeded()
        socket.create_connection(("127.0.0.1", port), 5).close()
    small.place.variables["bulkhead_services"] = only(web=web())
    small.place.deploy().succeeded()


def test_an_image_that_is_not_there(small: Small) -> None:
    """The image is named."""
    small.fails(
        "cannot fetch what this machine lacks: 127.0.0.1:9/nothing:1", "connection refused",
        services=only(web=web(image="127.0.0.1:9/nothing:1")),
    )  # fmt: skip


def test_a_definition_that_compose_refuses(small: Small) -> None:
    """Compose's own word decides before anything is in force."""
    small.fails("mem_limit", "invalid size 'plenty'", services=only(web=web(mem_limit="plenty")))


def test_a_container_that_ends(small: Small) -> None:
    """Its last lines are shown, and the earlier release serves again."""
    command = ["sh", "-c", "echo the last word; exit 7"]
    small.fails(
        f"{small.place.prefix}_web is", "the last word", "The previous release serves again",
        same=False, services=only(web=web(command=command)),
    )  # fmt: skip


def test_a_container_that_starts_and_dies(small: Small) -> None:
    """A worker without a health check has to run for a while before it is taken for deployed."""
    worker = idle(command=["sh", "-c", "sleep 1; echo no such module; exit 7"])
    run = small.fails(
        f"{small.place.prefix}_worker is",
        "no such module",
        "The previous release serves again",
        services=only(web=web(), worker=worker),
        readiness_delay=5,
    )
    # At the third time it is over; until somebody looks it may be one more.
    assert re.search(r"_worker is .*: it ended, and was restarted [3-9] times", run.error), run.error


def test_a_container_that_never_gets_healthy(small: Small) -> None:
    """Its health check's words and its log are shown, within the time that is given."""
    check = {**health_check(1, interval=1), "test": ["CMD-SHELL", "echo no pulse; exit 1"]}
    small.fails(
        f"{small.place.prefix}_web is unhealthy", "no pulse", "serving", "The previous release serves again",
        same=False, services=only(web=web(healthcheck=check)),
    )  # fmt: skip


def test_a_service_that_others_wait_for_and_that_never_ends(small: Small) -> None:
    """Compose would wait for it without a limit."""
    waiting = web(depends_on={"init": {"condition": "service_completed_successfully"}})
    small.fails(
        "did not get healthy within 15 s (bulkhead_wait_timeout)",
        f"{small.place.prefix}_init is running and did not end",
        f"{small.place.prefix}_web is created",
        "The previous release serves again",
        same=False,
        services=only(web=waiting, init=idle(restart="no")),
        wait_timeout=15,  # the way back has no more
    )


def test_an_image_without_a_shell(small: Small, shell_less: str) -> None:
    """A health check that wants one never succeeds, and the engine's own word says why; one that does not is served."""
    check = {**health_check(1, interval=1), "test": ["CMD-SHELL", "true"]}
    small.fails(
        f"{small.place.prefix}_web is unhealthy", "/bin/sh", "no such file", "The previous release serves again",
        same=False, services=only(web=web(image=shell_less, healthcheck=check)),
    )  # fmt: skip
    check["test"] = ["CMD", "python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 8000), 2)"]
    small.place.variables["bulkhead_services"] = only(web=web(image=shell_less, healthcheck=check))
    small.place.deploy().succeeded()
    assert say(small.place.prefix) == "hello"
    small.place.variables["bulkhead_services"] = only(web=web())
    small.place.deploy().succeeded()


def test_a_first_deployment_that_fails(site: Site) -> None:
    """No container, network or artefact of it stays behind."""
    kept = site.directory / "receipt.json"
    place = site.small(services=only(web=web(command=["false"])), receipt=str(kept))
    error = place.deploy().error
    assert "There was no release before" in error
    (written,) = (site.directory / "machine-state/attempted" / place.prefix / "receipts").glob("*.json")
    said = json.loads(kept.read_text())
    assert said.pop("path") == str(written) and said == json.loads(written.read_text())
    assert said["outcome"] == "failed" and f"start {place.prefix}_web" in sentences(said["tried"])
    after = moment(place)
    assert after.containers == {} and after.networks == []
    assert not [path for path, (_mode, content) in after.files.items() if content and not path.startswith(".bulkhead/")]
    place.variables["bulkhead_services"] = only(web=web())
    place.deploy().succeeded()
    assert say(place.prefix) == "hello"


def picky(word: str) -> dict[str, Any]:
    """A service that reads a file of its own when it starts, and does not start with a bad one."""
    file = {"path": "picky/word", "content": word}
    command = ["sh", "-c", f'python3 -c "{PICKY}" && exec python3 -u -c "$$SERVER"']
    return web(
        command=command,
        environment={"SERVER": SERVER.replace("$", "$$")},
        volumes=["./picky:/etc/picky:ro"],
        **{"x-bulkhead": {"files": [file]}},
    )


def test_a_file_that_stops_its_service(site: Site) -> None:
    """A service that takes files by being recreated is recreated with the earlier file, too."""
    place = site.small(services=only(web=picky("good")))
    place.deploy().succeeded()
    before = moment(place)
    place.variables["bulkhead_services"] = only(web=picky("bad"))
    error = place.deploy().error
    assert "the word is bad" in error and "The previous release serves again" in error
    assert moment(place).files == before.files
    assert say(place.prefix) == "hello"
    assert "good" in docker("exec", f"{place.prefix}_web", "cat", "/etc/picky/word")
    place.variables["bulkhead_services"] = only(web=picky("good"))
    assert place.deploy().succeeded().changed == 0


@pytest.fixture
def little_room(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    if os.geteuid() != 0:
        pytest.skip("mounts a file system, as root")
    path = tmp_path / "machine"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)], check=True)
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.mark.parametrize(
    "room", [pytest.param(0, id="none"), pytest.param(50_000, id="for half of it", marks=pytest.mark.full)]
)
def test_a_full_disk(site: Site, little_room: Path, room: int) -> None:
    """Said in words; what serves goes on serving, and nothing half written is left."""
    place = site.small(directory=str(little_room / "test"))
    error = " ".join(place.deploy().error.split())
    assert "1 MiB and " in error and "needs 512 MiB" in error
    place.variables["bulkhead_fail_on"] = "critical"  # go on in spite of that
    place.deploy().succeeded()
    rest = shutil.disk_usage(little_room).free - room
    (little_room / "ballast").write_bytes(b"x" * rest)
    before = moment(place)
    place.variables["bulkhead_env"] = {"SAY": "x" * 100_000}
    assert "the disk is full" in place.deploy().error
    assert moment(place) == before
    assert say(place.prefix) == "hello"
    (little_room / "ballast").unlink()
    place.deploy().succeeded()
    assert len(say(place.prefix)) == 100_000


def test_two_deployments_at_once(small: Small) -> None:
    """One of them goes on, the other is told so or waits; the environment ends as one of them says."""
    runs: list[Run] = []
    small.place.variables["bulkhead_env"] = {"SAY": "twice"}
    small.site.write()
    other = Site(small.site.directory / "again", small.site.project, places=small.site.places)
    state = str(small.site.directory / "machine-state")
    other.everyone = {**small.site.everyone, "bulkhead_state_directory": state}
    threads = [
        threading.Thread(target=lambda site=site: runs.append(site.play("-l", "small"))) for site in (small.site, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    codes = sorted(run.code for run in runs)
    assert codes[0] == 0, runs[0].output
    assert say(small.place.prefix) == "twice"
    assert len(running(small.place.prefix)) == 1
    small.place.variables["bulkhead_env"] = {"SAY": "hello"}
    small.place.deploy().succeeded()
