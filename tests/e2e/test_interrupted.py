# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill -9 in the midst of each step of a release that is replaced without a gap: somebody serves throughout, and the
next run finishes. The unit tests do the same at every single call; here it is real processes and real containers."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from guide_stack import IMAGES, self_signed
from observe import ask, containers, eventually
from sabotage import descendants, is_held, let_time_pass, notes, started
from support import IMAGE, SERVER, Place, Site, docker, free_port, health_check, only

#: What shows that a run is in the midst of a step, in the order in which they come.
STEPS = ("staged", "preparing", "judged", "steered", "replaced", "settled")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Place:
    """nginx, and an application of one process behind it."""
    django = {
        "image": IMAGE,
        "command": ["python3", "-u", "-c", SERVER],
        "env_file": [".env"],
        "depends_on": None,
        "volumes": None,
        "init": True,
        "stop_grace_period": "0s",
        # It takes a moment to get healthy, so that each step can be seen.
        "healthcheck": {**health_check(), "start_interval": "1500ms"},
        "x-bulkhead": {"prepare": [["sleep", "1.5"]], "prepare_status": [], "secrets": [], "backup": None},
    }
    certificate, key = self_signed(["interrupted.example"])
    secrets = {"bulkhead_tls_certificate": certificate, "bulkhead_tls_key": key}
    site = Site(tmp_path_factory.mktemp("interrupted"), projects())
    made = site.small(
        services=only(nginx=IMAGES["nginx"], django=django),
        env={"SAY": "0"},
        domains=["interrupted.example"],
        http_port=free_port(),
        https_port=free_port(),
        bind_address="127.0.0.1",
        drain_timeout=1,
        wait_timeout=60,
    )
    made.secrets.update(secrets)
    made.deploy().succeeded()
    return made


def moments(place: Place) -> dict[str, Callable[[], object]]:
    """What shows each step."""
    name = f"{place.prefix}_django"
    aside, flag = place.directory / ".bulkhead/releases", place.directory / ".bulkhead/traffic/django.next"
    before, serving = set(aside.iterdir()), identity(name)

    def there(suffix: str) -> bool:
        return bool(identity(f"{name}{suffix}"))

    def is_new() -> bool:
        return identity(name) not in ("", serving)

    return {
        "staged": lambda: set(aside.iterdir()) - before,
        "preparing": lambda: there("_prepare"),
        "judged": lambda: there("_next"),
        "steered": flag.exists,
        "replaced": lambda: flag.exists() and is_new(),
        "settled": lambda: is_new() and not flag.exists(),
    }


def identity(container: str) -> str:
    """The id of a container; empty where there is none."""
    return docker("container", "inspect", "--format", "{{.Id}}", container, check=False).strip()


class Visitor:
    """Asks the environment's nginx again and again, and keeps whatever was no valid answer."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.answers: list[str] = []
        self.failed: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._visit)

    def _visit(self) -> None:
        while not self._over.wait(0.1):
            try:
                answer = ask(self.place, "/")
                self.answers.append(answer.body.decode().strip())
                if answer.status != 200:
                    self.failed.append(f"{answer.status} after {len(self.answers)}")
            except OSError as error:
                self.failed.append(f"{error!r} after {len(self.answers)}")

    def __enter__(self) -> Visitor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@contextmanager
def interrupted(place: Place, say: str, step: str) -> Iterator[int]:
    """A deployment that has reached a step; it is killed when the block ends. Gives its process."""
    place.variables["bulkhead_env"] = {"SAY": say}
    # Each release has an image of its own in real life; here a command that differs makes it prepare.
    place.variables["bulkhead_services"]["django"]["x-bulkhead"]["prepare"] = [["sleep", f"1.{say}"]]
    reached = moments(place)[step]
    with started(place.site, "-l", "small") as process:
        eventually(lambda: reached() or process.poll() is not None, 120)
        assert process.poll() is None, (place.site.directory / "killed.log").read_text()
        yield process.pid


def assert_whole(place: Place, say: str) -> None:
    """The new version alone serves, under its own name, and nothing is left over."""
    assert ask(place, "/").body.decode().strip() == say
    assert sorted(containers(place.prefix)) == [f"{place.prefix}_django", f"{place.prefix}_nginx"]
    assert not list((place.directory / ".bulkhead/traffic").iterdir())
    assert not list(place.directory.rglob(".*.bulkhead-*"))
    assert not is_held(place)


def test_kill_9_in_each_step(place: Place) -> None:
    """One run after the other is killed, each a step further; each has to cope with what the one before left."""
    with Visitor(place) as visitor:
        for number, step in enumerate(STEPS, 1):
            with interrupted(place, str(number), step):
                pass
            assert is_held(place), step
            let_time_pass(place)
        place.variables["bulkhead_env"] = {"SAY": "last"}
        run = place.deploy().succeeded()
    assert any("had ended by itself" in each for each in notes(run)), notes(run)
    assert visitor.failed == []
    assert len(visitor.answers) > 50
    assert_whole(place, "last")
    assert place.deploy().succeeded().changed == 0


@pytest.mark.full
def test_kill_9_of_the_module_alone(place: Place) -> None:
    """The run itself lives on: it fails, gives the lock back, and says so."""
    with Visitor(place) as visitor:
        with interrupted(place, "7", "steered") as pid:
            (module,) = [each for each in descendants(pid) if is_module(each)]
            os.kill(module, signal.SIGKILL)
            eventually(lambda: not is_held(place), 60)
        run = place.deploy().succeeded()
    assert visitor.failed == []
    assert_whole(place, "7")
    assert run.changed


def is_module(pid: int) -> bool:
    """Whether a process is the module on the host: Python, reading its program from the runner."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"python" in command[0] and b"ansible-playbook" not in b"".join(command)
