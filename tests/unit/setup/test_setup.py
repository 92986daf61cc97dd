# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make setup` takes for an engine, what it tells a user without rights, what `make check` runs, and what
`make clean` may touch."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SETUP = Path(__file__).resolve().parents[2] / "setup"
sys.path.insert(0, str(SETUP))

import belongings  # noqa: E402
import engine_state  # noqa: E402
import run_tests  # noqa: E402
import setup  # noqa: E402
import steps  # noqa: E402
from engine_state import EngineState  # noqa: E402

READY = EngineState(True, "26.1.5", "2.26.1-4", "github.com/docker/buildx 0.13.1", "")
NO_DAEMON = READY._replace(engine="", complaint="Cannot connect to the Docker daemon at unix:///var/run/docker.sock.")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("2.26.1-4", (2, 26, 1)), ("v2.20", (2, 20)), ("2.40.3+ds1-0ubuntu1", (2, 40, 3)), ("", ()), ("none", ())],
)
def test_version(text: str, numbers: tuple[int, ...]) -> None:
    assert engine_state.version(text) == numbers


def test_ready_needs_engine_compose_and_buildx() -> None:
    assert READY.ready
    assert READY._replace(compose="2.24.0").ready
    for state in (
        READY._replace(engine=""),
        READY._replace(compose=""),
        READY._replace(compose="1.29.2"),
        READY._replace(compose="2.23.3"),
        READY._replace(buildx=""),
    ):
        assert not state.ready, state


def test_another_checkouts_packages_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link to them, as a second work tree may have it: what makes them anew would empty what it leads to."""
    theirs, calls = tmp_path / "theirs", list[object]()
    theirs.mkdir()
    (theirs / ".requirements").write_text("kept")
    (tmp_path / ".venv").symlink_to(theirs)
    monkeypatch.setattr(setup, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(setup, "STAMP", tmp_path / ".venv/.requirements")
    monkeypatch.setattr(setup, "call_quietly", calls.append)
    with pytest.raises(steps.StepFailed, match=r"is a link to .*Remove the link"):
        setup.make_venv()
    assert calls == [] and (theirs / ".requirements").read_text() == "kept"
    (tmp_path / ".venv").unlink()
    (tmp_path / ".venv").mkdir()
    setup.make_venv()
    assert len(calls) == 2


def test_a_client_alone_is_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real client of this machine, pointed at a socket that nobody listens on."""
    if not shutil.which("docker"):
        pytest.skip("there is no docker command on this machine")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    state = engine_state.look()
    assert state.client
    assert state.engine == ""
    assert not state.ready


def test_no_docker_command_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    state = engine_state.look()
    assert state == EngineState(False, "", "", "", "there is no docker command")
    assert "sudo make engine" in engine_state.advice(state, is_root=False, environ={})


def test_root_without_an_engine_is_left_to_the_role() -> None:
    assert engine_state.advice(NO_DAEMON, is_root=True, environ={}) == ""


@pytest.mark.parametrize("is_root", [True, False])
def test_an_engine_elsewhere_that_does_not_answer_is_never_replaced_by_one_here(is_root: bool) -> None:
    told = engine_state.advice(NO_DAEMON, is_root=is_root, environ={"DOCKER_HOST": "ssh://app1"})
    assert "DOCKER_HOST is ssh://app1" in told
    assert "unset DOCKER_HOST" in told


def test_a_user_who_may_not_use_the_engine_is_told_how() -> None:
    told = engine_state.advice(
        NO_DAEMON._replace(complaint="permission denied while trying to connect"), is_root=False, environ={}
    )
    assert "usermod -aG docker" in told
    assert "sudo make engine" not in told


def test_advice_names_what_is_missing() -> None:
    told = engine_state.advice(READY._replace(compose="1.29.2", buildx=""), is_root=False, environ={})
    assert "Compose v2.24 or newer is missing, buildx is missing" in told
    assert "no Docker engine answers" not in told


def test_a_failing_step_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(steps.StepFailed, match="exit code 3"):
        steps.Steps(2).run("Something that fails", [sys.executable, "-c", "raise SystemExit(3)"])
    assert "==> 1/2 Something that fails" in capfd.readouterr().out


def test_setup_refuses_an_old_python(tmp_path: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(SETUP)!r}); sys.argv = ['setup'];"
        "import setup; setup.sys.version_info = (3, 10, 2); raise SystemExit(setup.main())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert "Python 3.11 or newer" in done.stderr
    assert "make PYTHON=" in done.stderr


def container(name: str, directory: str) -> dict[str, Any]:
    return {"Name": f"/{name}", "Config": {"Labels": {belongings.DIRECTORY_LABEL: directory}}}


def test_a_container_of_another_directory_stops_the_cleaning(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real production of the same name, deployed from elsewhere on the same machine."""
    monkeypatch.setattr(belongings, "names", lambda *_unused, **__: ["id"])
    found = [container("aiia_prod_django", "/home/ubuntu/main/ai-ia-backend")]
    monkeypatch.setattr(belongings, "inspect", lambda _unused: found)
    environment = belongings.Environment("production", Path("/demo/main/ai-ia-backend"), "aiia_prod", "aiia_prod")
    with pytest.raises(belongings.NotOurs, match="Nothing of that project is touched"):
        belongings.belongings(environment)


def test_identity_comes_from_the_file_that_was_deployed(tmp_path: Path) -> None:
    assert belongings.declared(tmp_path) is None
    (tmp_path / "docker-compose.prod.yml").write_text(
        "name: aiia_prod\nservices:\n  django_prod:\n    labels: {io.bulkhead.prefix: aiia_prod}\n", encoding="utf-8"
    )
    assert belongings.declared(tmp_path) == ("aiia_prod", "aiia_prod")


def test_check_is_a_part_of_test() -> None:
    """The cheapest groups, in the order of `make test`; without a choice it is everything."""
    quick, whole = run_tests.paths(run_tests.QUICK), run_tests.paths([])
    linters = ["tests/stages/test_lint.py", "tests/stages/test_examples.py"]
    assert quick == [*linters, "tests/unit", "tests/app", "tests/images", "tests/hazards"]
    assert [path for path in whole if path in quick] == quick
    assert set(whole) - set(quick) >= {"tests/e2e", "tests/stages/test_galaxy.py", "tests/stages/test_sanity.py"}
