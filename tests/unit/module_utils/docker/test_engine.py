# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls of Docker and Compose: hermetic, and with errors that the user understands."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.meanwhile import telling
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.process import home_directory
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import (
    Engine,
    EngineError,
    inspect_objects,
    last_lines,
    parse_version,
)

TELLS = """#!/usr/bin/python3
import json, os, sys
json.dump({"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(), "stdin": sys.stdin.read()}, sys.stdout)
"""


def with_docker(module: AnsibleModule, directory: Path, script: str) -> Engine:
    """An engine whose docker command is this script."""
    docker = directory / "docker"
    docker.write_text(script)
    docker.chmod(0o755)
    engine = Engine(module, "unix:///run/ours.sock", "aiia_prod", str(directory), "docker-compose.prod.yml")
    engine._docker = str(docker)
    return engine


def told(answer: tuple[int, str, str]) -> Any:
    code, output, errors = answer
    assert code == 0, errors
    return json.loads(output)


def test_nothing_of_the_callers_environment_reaches_docker(
    module: AnsibleModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "COMPOSE_PROJECT_NAME",
        "COMPOSE_FILE",
        "DOCKER_HOST",
        "DOCKER_CONTEXT",
        "DB_NAME",
        "HOME",
        "PYTHONHOME",
    ):
        monkeypatch.setenv(name, "production")
    call = told(with_docker(module, tmp_path, TELLS).docker("ps"))
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    expected = {"PATH": path, "HOME": home_directory(), "LANG": "C.UTF-8", "DOCKER_HOST": "unix:///run/ours.sock"}
    expected["BUILDX_BAKE_ENTITLEMENTS_FS"] = "0"
    assert call["env"] == expected


def test_compose_is_told_project_directory_and_files(module: AnsibleModule, tmp_path: Path) -> None:
    call = told(with_docker(module, tmp_path, TELLS).compose("up", "--detach"))
    assert call["argv"] == [
        *("compose", "--ansi", "never", "--progress", "plain"),
        *("-p", "aiia_prod", "--project-directory", str(tmp_path), "--env-file", f"{tmp_path}/.env"),
        *("-f", f"{tmp_path}/docker-compose.prod.yml", "up", "--detach"),
    ]
    assert call["cwd"] == str(tmp_path)


def test_compose_about_a_release_that_is_not_in_force(module: AnsibleModule, tmp_path: Path) -> None:
    release = tmp_path / "release"
    release.mkdir()
    call = told(with_docker(module, tmp_path, TELLS).compose("config", directory=str(release)))
    assert str(release) in call["argv"]
    assert f"{release}/.env" in call["argv"]
    assert f"{release}/docker-compose.prod.yml" in call["argv"]
    assert str(tmp_path) not in call["argv"]


def test_values_travel_on_standard_input(module: AnsibleModule, tmp_path: Path) -> None:
    call = told(with_docker(module, tmp_path, TELLS).docker("build", data="in"))
    assert call["argv"] == ["build"]
    assert call["stdin"] == "in\n"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("26.1.5+dfsg1", (26, 1)),
        ("v2.26.1", (2, 26)),
        ("2.26.1-4\n", (2, 26)),
        ("28.0.0-rc.1", (28, 0)),
        ("20.10.24~ce", (20, 10)),
        ("2", (0, 0)),
        ("", (0, 0)),
        ("dev", (0, 0)),
        ("x.y", (0, 0)),
    ],
)
def test_versions(text: str, version: tuple[int, int]) -> None:
    assert parse_version(text) == version


VERSIONS = """#!/bin/sh
case "$1" in
version) echo {engine} ;;
compose) {compose} ;;
esac
"""


@pytest.mark.parametrize(
    ("engine", "compose", "message"),
    [
        ("24.0.9", "echo 2.26.1", r"Docker Engine 24\.0\.9 is too old: 25\.0 or later is needed"),
        ("26.1.5", "echo 2.23.3", r"Docker Compose 2\.23\.3 is too old: 2\.24 or later is needed"),
        ("26.1.5", "echo 1.29.2", r"Docker Compose 1\.29\.2 is too old"),
        ("26.1.5", "exit 1", "Docker Compose v2 is not installed on this machine.*aiia.bulkhead.provision"),
    ],
)
def test_too_old(module: AnsibleModule, tmp_path: Path, engine: str, compose: str, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        with_docker(module, tmp_path, VERSIONS.format(engine=engine, compose=compose)).check_versions()


def test_new_enough(module: AnsibleModule, tmp_path: Path) -> None:
    script = VERSIONS.format(engine="25.0.0", compose="echo v2.24.0")
    assert with_docker(module, tmp_path, script).check_versions() == ("25.0.0", "v2.24.0")


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("Cannot connect to the Docker daemon at unix:///run/ours.sock. Is the docker daemon running?", "start it"),
        ("permission denied while trying to connect to the Docker daemon socket", "add it to the group docker"),
        ("error during connect: dial tcp: lookup nowhere: no such host", "set bulkhead_docker_host"),
        ("failed to connect to the docker API at unix:///run/ours.sock", "start it"),
    ],
)
def test_an_engine_out_of_reach(module: AnsibleModule, tmp_path: Path, said: str, advice: str) -> None:
    # The client then prints an empty list for inspect, as for names that do not exist.
    engine = with_docker(module, tmp_path, f'#!/bin/sh\necho "[]"\necho "{said}" >&2\nexit 1\n')
    for call in (
        engine.project_containers,
        engine.check_versions,
        lambda: engine.docker_ok("rm", "x"),
        lambda: engine.inspect(["c"]),
        lambda: engine.image_ids(["web:1"]),
        lambda: inspect_objects(engine, "volume", ["data"]),
    ):
        with pytest.raises(EngineError, match=advice) as caught:
            call()
        assert "unix:///run/ours.sock cannot be reached" in caught.value.message
        assert said in caught.value.detail


def test_another_failure_shows_its_last_lines(module: AnsibleModule, tmp_path: Path) -> None:
    engine = with_docker(module, tmp_path, "#!/bin/sh\nseq 40 >&2\nexit 3\n")
    with pytest.raises(EngineError, match=r"docker network rm failed \(exit code 3\)") as caught:
        engine.docker_ok("network", "rm", "a")
    assert caught.value.detail == "\n".join(str(number) for number in range(26, 41))


def test_no_docker_command(module: AnsibleModule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "get_bin_path", lambda *_args, **_options: None)
    with pytest.raises(EngineError, match=r"no docker command on this machine.*aiia.bulkhead.provision"):
        Engine(module, "unix:///run/docker.sock").docker("ps")


def test_containers_that_vanish_are_left_out(module: AnsibleModule, tmp_path: Path) -> None:
    script = """#!/bin/sh
    case "$1" in
    ps) echo one; echo two ;;
    *) echo '[{"Id": "one"}]'; echo 'No such container: two' >&2; exit 1 ;;
    esac
    """
    assert with_docker(module, tmp_path, script).project_containers() == [{"Id": "one"}]


def test_what_is_not_there_is_left_out(module: AnsibleModule, tmp_path: Path) -> None:
    engine = with_docker(module, tmp_path, "#!/bin/sh\necho '[]'\necho 'Error: No such object: x' >&2\nexit 1\n")
    assert (engine.inspect(["x"]), engine.image_ids(["x"]), inspect_objects(engine, "volume", ["x"])) == ([], {}, [])


DIGEST = "sha256:" + "d" * 64


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("web", True),
        ("web:latest", True),
        ("docker.io/library/web", True),
        ("docker.io/library/web:latest", True),
        (f"web@{DIGEST}", True),
        (f"web:1.2@{DIGEST}", True),
        ("sha256:one", True),
        ("web:1.2", False),
        ("registry.example:5000/web", False),
    ],
)
def test_an_image_however_it_is_named(module: AnsibleModule, tmp_path: Path, name: str, found: bool) -> None:
    """The engine finds an image by each of these names, and lists it by one."""
    image = {"Id": "sha256:one", "RepoTags": ["web:latest"], "RepoDigests": [f"web@{DIGEST}"]}
    engine = with_docker(module, tmp_path, f"#!/bin/sh\necho '{json.dumps([image])}'\n")
    assert engine.image_ids([name]) == ({name: "sha256:one"} if found else {})


def test_an_image_of_a_registry_with_a_port(module: AnsibleModule, tmp_path: Path) -> None:
    image = {"Id": "sha256:two", "RepoTags": ["registry.example:5000/web:latest"], "RepoDigests": []}
    engine = with_docker(module, tmp_path, f"#!/bin/sh\necho '{json.dumps([image])}'\n")
    assert engine.image_ids(["registry.example:5000/web"]) == {"registry.example:5000/web": "sha256:two"}


def test_nobody_is_asked_about_nothing(module: AnsibleModule, tmp_path: Path) -> None:
    engine = with_docker(module, tmp_path, "#!/bin/sh\nexit 1\n")
    assert (engine.inspect([]), engine.image_ids([]), inspect_objects(engine, "volume", [])) == ([], {}, [])


@pytest.mark.parametrize(
    "call",
    [lambda engine: engine.docker("ps"), lambda engine: engine.tool("iptables-save"), Engine.project_containers],
    ids=["docker", "tool", "containers"],
)
def test_a_machine_that_runs_no_further_program_is_a_failure_that_can_be_undone(
    module: AnsibleModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[[Engine], object]
) -> None:
    """AnsibleModule would end the module at once, without a chance to undo anything."""

    def fork(*_args: object, **_options: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr("subprocess.Popen", fork)
    with pytest.raises(EngineError, match=r"(docker|iptables-save) cannot be run on this machine: Cannot allocate"):
        call(with_docker(module, tmp_path, TELLS))


def test_containers_are_asked_for_by_exact_label(module: AnsibleModule, tmp_path: Path) -> None:
    script = f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\n'
    assert with_docker(module, tmp_path, script).project_containers() == []
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == ["ps --all --quiet --no-trunc --filter label=com.docker.compose.project=aiia_prod"]


def test_last_lines() -> None:
    assert last_lines("\n a \n b  \n\n", 1) == " b"
    assert last_lines("") == ""


@pytest.mark.parametrize("watched", [False, True])
def test_who_watches_changes_nothing(module: AnsibleModule, tmp_path: Path, watched: bool) -> None:
    """Exit code, output and errors are the same, whether what docker says is told meanwhile or not."""
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\ncat\necho said >&2\necho more >&2\nexit 3\n")
    client.chmod(0o755)
    engine = Engine(module, "unix:///nowhere.sock")
    engine._docker = str(client)
    with telling(str(tmp_path), "aiia_prod", "token" if watched else ""):
        assert engine.docker("buildx", data="given", telling="building") == (3, "given\n", "said\nmore\n")
