# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deployments that are interrupted in the midst of each of their steps, while somebody visits what serves."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from guide_stack import IMAGES, self_signed
from observe import ask, containers, eventually
from sabotage import is_held, started
from support import IMAGE, SERVER, Place, Site, docker, free_port, health_check, only

#: What shows that a run is in the midst of a step, in the order in which they come.
STEPS = ("staged", "preparing", "judged", "steered", "replaced", "settled")


def rolling_place(site: Site, **variables: Any) -> Place:
    """nginx, and an application of one process behind it that is replaced without a gap."""
    django = {
        "image": IMAGE,
        "command": ["python3", "-u", "-c", SERVER],
        "env_file": [".env"],
        "depends_on": None,
        "volumes": None,
        "init": True,
        "stop_grace_period": "0s",
        # It takes a moment to get healthy, so that each step can be seen.
        "healthcheck": {**health_check(interval=1), "start_interval": "1500ms"},
        "x-bulkhead": {"prepare": [["sleep", "1.5"]], "prepare_status": [], "secrets": [], "backup": None},
    }
    certificate, key = self_signed(["interrupted.example"])
    made = site.small(
        services=only(nginx={**IMAGES["nginx"], "healthcheck": {"interval": "1s"}}, django=django),
        env={"SAY": "0"},
        domains=["interrupted.example"],
        http_port=free_port(),
        https_port=free_port(),
        drain_timeout=30,  # ends with the last request; a slow machine takes its time for one
        wait_timeout=60,
        **{"bind_address": "127.0.0.1", **variables},
    )
    made.secrets.update({"bulkhead_tls_certificate": certificate, "bulkhead_tls_key": key})
    return made


def moments(place: Place) -> dict[str, Callable[[], object]]:
    """What shows each step."""
    name = f"{place.prefix}_django"
    aside = place.site.directory / "machine-state/deployed" / place.prefix / "releases"
    flag = place.directory / ".bulkhead/traffic/django.next"
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


#: Longer than nginx itself waits for an application that is not there.
PATIENCE = 90


class Visitor:
    """Asks the environment's nginx again and again, and keeps whatever was no valid answer.

    ``enter`` takes its thread to where the environment can be reached.
    """

    def __init__(self, place: Place, enter: Callable[[], None] = lambda: None) -> None:
        self.place = place
        self._enter = enter
        self.answers: list[str] = []
        self.failed: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._visit)

    def _visit(self) -> None:
        self._enter()
        while not self._over.wait(0.1):
            try:
                answer = ask(self.place, "/", timeout=PATIENCE)
                self.answers.append(answer.body.decode().strip())
                if answer.status != 200:
                    self.failed.append(f"{answer.status} after {len(self.answers)}")
            except Exception as error:  # whatever it is, the thread goes on
                self.failed.append(f"{error!r} after {len(self.answers)}")

    def was_served(self, versions: Iterable[object]) -> None:
        """Every request was answered, by one of these versions."""
        assert self.failed == [], self.failed
        assert self.answers and set(self.answers) <= set(map(str, versions)), set(self.answers)

    def __enter__(self) -> Visitor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@contextmanager
def interrupted(place: Place, say: str, step: str, before: Sequence[str] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """A deployment that has reached a step; it is killed when the block ends. ``before`` is what runs it."""
    place.variables["bulkhead_env"] = {"SAY": say}
    # Each release has an image of its own in real life; here a command that differs makes it prepare.
    place.variables["bulkhead_services"]["django"]["x-bulkhead"]["prepare"] = [["sleep", f"1.{say}"]]
    reached = moments(place)[step]
    with started(place.site, "-l", place.group, before=before) as process:
        eventually(lambda: reached() or process.poll() is not None, 120, pause=0.03)  # some steps are short
        assert process.poll() is None, (place.site.directory / "killed.log").read_text()
        yield process


def assert_whole(place: Place, say: str) -> None:
    """The new version alone serves, under its own name, and nothing is left over."""
    assert ask(place, "/").body.decode().strip() == say
    assert sorted(containers(place.prefix)) == [f"{place.prefix}_django", f"{place.prefix}_nginx"]
    assert not list((place.directory / ".bulkhead/traffic").iterdir())
    assert not list(place.directory.rglob(".*.bulkhead-*"))
    assert not is_held(place)
