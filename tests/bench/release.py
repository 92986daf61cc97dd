# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release with a migration, and a changed setting: with Bulkhead, and with a shell script that does the same steps.

Each release is a commit of its own, with a migration of its own. Beside the whole run, it is measured when the new
version answers for the first time. What an own engine for the build costs is shown by releases that are built in the
machine's, as the script builds them. A release whose health check fails says how soon that is noticed.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import no_change
from measure import Line, ratio, seconds
from programs import ROOT, Failed, run

for folder in ("app", "e2e"):
    sys.path.insert(0, str(ROOT / "tests" / folder))

from load_guide import ADD_COLUMN, migration  # type: ignore[import-not-found]  # noqa: E402
from make_repository import Git, commit  # type: ignore[import-not-found]  # noqa: E402

BUDGET = 1.5
#: Seconds: four checks of the default stack, half a second apart, each with the start of a Python interpreter.
NOTICED = 5.0
BRANCH = "staging"
DOMAIN = "staging.eduaiia.com"
PORTS = {"Bulkhead": no_change.PORT_OFFSET + 8443, "by hand": no_change.PORT + 1}
REPOSITORY = no_change.HERE / "ours/origin.git"
STAND_IN = f"{no_change.OURS}_django_next"


@dataclass
class Watch:
    """Asks an environment while a block runs until its answer has changed. ``changed`` is after how many seconds."""

    name: str
    changed: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watch:
        self.before, self.began = self.answer(), time.perf_counter()
        if not self.before:
            raise Failed(f"{self.name} does not serve before the release")
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self.over.set()
        self.thread.join()

    def _watch(self) -> None:
        while not self.over.wait(0.2) and not self.changed:
            now = self.answer()
            if now and now != self.before:
                self.changed = time.perf_counter() - self.began

    def answer(self) -> str:
        """The commit and greeting of what answers; empty where nothing does."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        link = http.client.HTTPSConnection("127.0.0.1", PORTS[self.name], timeout=10, context=context)
        try:
            plain = socket.create_connection(("127.0.0.1", PORTS[self.name]), 10)
            link.sock = context.wrap_socket(plain, server_hostname=DOMAIN)
            link.request("GET", "/whoami/", headers={"Host": DOMAIN})
            answer = link.getresponse()
            found = json.loads(answer.read()) if answer.status == 200 else {}
        except (OSError, http.client.HTTPException, ValueError):
            return ""
        finally:
            link.close()
        return f"{found['commit']} {found.get('container')}" if "commit" in found else ""


class Releases:
    """Commits on the branch that both deploy, each with a migration after the one before."""

    def __init__(self) -> None:
        listed = Git(REPOSITORY)("ls-tree", "--name-only", BRANCH, "notes/migrations/")
        self.after = sorted(name.split("/")[-1][:-3] for name in listed.split() if name.split("/")[-1][:1] == "0")[-1]
        self.number = 0

    def next(self) -> None:
        """One more commit."""
        self.number += 1
        name = f"{int(self.after[:4]) + 1:04d}_bench"
        column = ADD_COLUMN.format(name=f"bench_{self.number}")
        commit(REPOSITORY, BRANCH, migration(name, self.after, column), f"Release {self.number} of the bench")
        self.after = name


def by_shell(script: str, *arguments: str) -> None:
    """One of the scripts beside the playbook by hand."""
    directory = no_change.directories()[no_change.BY_HAND]
    run([str(no_change.HAND / script), str(directory), no_change.BY_HAND, "staging", *arguments])


def measured(
    actions: dict[str, Callable[[int], object]], rounds: int, prepare: Callable[[], None]
) -> tuple[dict[str, float], dict[str, float]]:
    """The medians of the whole run, and of when the new version first answered. The first round does not count."""
    whole: dict[str, list[float]] = {name: [] for name in actions}
    first: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(rounds + 1):
        prepare()
        for name in [*actions] if turn % 2 else [*actions][::-1]:
            with Watch(name) as watch:
                taken = seconds(lambda name=name, turn=turn: actions[name](turn))  # type: ignore[misc]
            if not watch.changed:
                raise Failed(f"nobody saw the new version of {name}")
            if turn:
                whole[name].append(taken)
                first[name].append(watch.changed)
    return tuple({name: statistics.median(found) for name, found in times.items()} for times in (whole, first))  # type: ignore[return-value]


def lines(rounds: int) -> Iterator[Line | str]:
    """Four ratios, a release and a setting, until the new version serves and until the end; without a budget, a
    release that is built in the machine's engine, and what Ansible takes of a setting; and how soon a failed health
    check is noticed."""
    rounds = min(rounds, 3)
    with no_change.deployed():
        releases = Releases()
        actions: dict[str, Callable[[int], object]] = {
            "Bulkhead": lambda _turn: no_change.ours(),
            "by hand": lambda _turn: by_shell("release.sh", "benchhand"),
        }
        yield from _ratios("a release with a migration", *measured(actions, rounds, releases.next))
        variables = no_change.HERE / "inventory/group_vars/staging/bench.yml"
        variables.write_text("bulkhead_build_engine: shared\n", encoding="utf-8")
        yield from _ratios("a release built in the machine's engine", *measured(actions, rounds, releases.next), None)

        def set_ours(turn: int) -> None:
            variables.write_text(f'bulkhead_env: {{GREETING: "bench {turn}"}}\n', encoding="utf-8")
            no_change.ours()

        actions = {"Bulkhead": set_ours, "by hand": lambda turn: by_shell("setting.sh", "GREETING", f"bench {turn}")}
        whole, first = measured(actions, rounds, lambda: None)
        yield from _ratios("a changed setting", whole, first)
        yield _ansible_alone(first["by hand"], rounds)
        variables.write_text("bulkhead_health_path: /nothing-is-here/\n", encoding="utf-8")
        yield _noticed()


def _ansible_alone(script: float, rounds: int) -> Line:
    """What the script would take behind a run of Ansible that calls as many modules as a deployment before the new
    version serves, none of which does anything: no deployment of so many calls is faster."""
    empty = statistics.median(seconds(no_change.empty) for _round in range(rounds))
    said = f"three modules that do nothing {empty:.2f} s, the script {script:.2f} s"
    return Line(
        "a changed setting by Ansible and the script, until it serves / the script", 1 + empty / script, None, said
    )


def _noticed() -> Line:
    """How long a new container lives of which the health check fails: from its start until it is removed."""
    lives: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            if run(["docker", "ps", "--quiet", "--filter", f"name=^{STAND_IN}$"]):
                lives.append(time.perf_counter())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        no_change.ours()
    except Failed as error:
        if "did not get healthy" not in " ".join(str(error).split()):
            raise
    else:
        raise Failed("a release whose health check fails was deployed")
    finally:
        over.set()
        watcher.join()
    said = "four answers of 404, half a second apart"
    return Line("a failed health check is noticed within", lives[-1] - lives[0], NOTICED, said, "s")


def _ratios(
    what: str, whole: dict[str, float], first: dict[str, float], budget: float | None = BUDGET
) -> Iterator[Line]:
    yield ratio(f"{what}, until the new version serves / a shell script", first, "Bulkhead", "by hand", budget)
    yield ratio(f"{what}, until the end / a shell script", whole, "Bulkhead", "by hand", budget)
