# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sabotage on a real engine: what stands in the way, what was changed by hand, what happens to others meanwhile.

Many sabotages are done at once and asked about one by one: that all of them are told in one run is part of what is
tested, and a deployment is made once instead of ten times.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import sentences
from observe import containers, eventually, moment, running, say
from sabotage import (
    DIRECTORY,
    GATE,
    ONE_OFF,
    PROJECT,
    SERVICE,
    Meanwhile,
    Pair,
    by_hand,
    declared,
    entry,
    exists,
    gated,
    idle,
    is_held,
    notes,
    receipt,
    redis,
    state,
    told,
    words,
)
from support import Place, Run, Site, docker, free_port, only, remove_project, web


@dataclass
class Refused:
    """A deployment onto a machine full of traps, and what it was before and after."""

    site: Site
    place: Place
    run: Run
    ports: dict[str, int]
    untouched: bool

    @property
    def said(self) -> str:
        return words(self.run.error)


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Iterator[Refused]:
    """A first deployment where twelve things of others stand in the way; then once more without them."""
    site = Site(tmp_path_factory.mktemp("refused"), projects())
    ports = {"container": free_port(), "process": free_port()}
    services = {
        "web": web(ports=[f"127.0.0.1:{ports['container']}:8000"]),
        "second": idle(ports=[f"127.0.0.1:{ports['process']}:8000"], volumes=["data:/data", "logs:/logs"]),
    }
    place = site.small(services=only(**services))
    prefix, here, stray = place.prefix, str(place.directory), f"{site.project}-stray"
    made: list[str] = []
    try:
        with socket.create_server(("127.0.0.1", ports["process"])):
            docker("volume", "create", "--label", f"{PROJECT}=nextdoor", f"{prefix}_data_test")
            docker("volume", "create", f"{prefix}_logs_test")
            docker("network", "create", "--label", f"{PROJECT}=nextdoor", f"{prefix}_network")
            made += [
                by_hand(f"{prefix}_web", labels={PROJECT: "nextdoor", DIRECTORY: "/srv/nextdoor"}),
                by_hand(f"{stray}-port", "--publish", f"127.0.0.1:{ports['container']}:1", run=True),
                by_hand(f"{stray}-zombie", labels={PROJECT: "formerly", DIRECTORY: here}),
                by_hand(f"{stray}-elsewhere", labels={PROJECT: prefix, DIRECTORY: "/srv/elsewhere", SERVICE: "web"}),
                by_hand(f"{stray}-service", labels={PROJECT: prefix, DIRECTORY: here, SERVICE: "forgotten"}),
                by_hand(f"{stray}-mount", "--volume", f"{here}/uploads:/uploads"),
                by_hand(f"{stray}-volume", "--volume", f"{prefix}_data_test:/data"),
                by_hand(f"{stray}-network", "--network", f"{prefix}_network"),
            ]
            before = {
                name: docker("container", "inspect", "--format", "{{.Id}} {{.State.Status}}", name) for name in made
            }
            run = place.deploy()
            after = {
                name: docker("container", "inspect", "--format", "{{.Id}} {{.State.Status}}", name) for name in made
            }
        yield Refused(site, place, run, ports, before == after and not (place.directory / ".env").exists())
    finally:
        for name in made:
            docker("rm", "--force", name, check=False)
        for kind, name in (("volume", "data_test"), ("volume", "logs_test"), ("network", "network")):
            docker(kind, "rm", f"{prefix}_{name}", check=False)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (
            "foreign-name",
            "The machine has a container called {prefix}_web, which belongs to the Compose project nextdoor",
        ),
        (
            "foreign-name",
            "The machine has a volume called {prefix}_data_test, which belongs to the Compose project nextdoor",
        ),
        (
            "foreign-name",
            "The machine has a volume called {prefix}_logs_test, which belongs to no Compose project",
        ),
        (
            "foreign-name",
            "The machine has a network called {prefix}_network, which belongs to the Compose project nextdoor",
        ),
        ("taken-port", "Port {container} on 127.0.0.1 of service web is taken by container {project}-stray-port"),
        ("taken-port", "Port {process} on 127.0.0.1 of service second is taken by {python}"),
        ("zombie-project", "Container {project}-stray-zombie was started from {here} as the Compose project formerly"),
        (
            "foreign-project",
            "Container {project}-stray-elsewhere runs in the Compose project {prefix} from /srv/elsewhere",
        ),
        ("unknown-service", "Container {project}-stray-service is in the Compose project {prefix} and was not made by"),
        ("foreign-mount", "Container {project}-stray-mount of no Compose project has {here}/uploads"),
        ("foreign-mount", "Container {project}-stray-volume of no Compose project has the volume"),
        ("stranger-on-network", "Container {project}-stray-network of no Compose project is on the"),
    ],
)
def test_what_stands_in_the_way(refused: Refused, rule: str, says: str) -> None:
    """Each is told with its owner, all at once, in one run."""
    known = {
        "prefix": refused.place.prefix,
        "project": refused.site.project,
        "here": refused.place.directory,
        "python": Path(sys.executable).resolve().name[:6],
        **refused.ports,
    }
    assert rule in refused.said
    assert says.format(**known) in refused.said


def test_a_refusal_changes_nothing(refused: Refused) -> None:
    """Nothing of ours was made, nothing of others was touched, and the lock was given back."""
    assert "refused on the machine, and nothing was changed" in refused.said
    assert refused.run.ran == ["plan", "preflight"]
    assert refused.untouched
    assert not is_held(refused.place)
    assert not containers(refused.place.prefix)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Iterator[Pair]:
    """Two environments, deployed; each test leaves them as it found them."""
    made = Pair(Site(tmp_path_factory.mktemp("pair"), projects()), [f"127.0.0.1:{free_port()}:8000"], [])
    made.deploy()
    yield made
    remove_project(made.site.project)


@dataclass
class Drifted:
    """Ours, changed by hand in ten ways: what is said by a verification, in check mode, by the deployment that mends
    it, and by the one after that."""

    verified: Run
    checked: Run
    mended: Run
    again: Run
    networks: set[str]


@pytest.fixture(scope="module")
def drifted(pair: Pair) -> Drifted:
    """The work of somebody who knows Docker and not the inventory."""
    place, prefix = pair.ours, pair.ours.prefix
    stray = f"{pair.site.project}-stray"
    compose = place.directory / "docker-compose.staging.yml"
    compose.write_text(compose.read_text().replace("infinity", "1234"))
    (place.directory / ".env").write_text("SAY=hacked\n")
    docker("network", "create", stray)
    docker("rm", "--force", f"{prefix}_second")
    docker("stop", "--timeout", "0", f"{prefix}_third")
    docker("network", "disconnect", f"{prefix}_network", f"{prefix}_third")
    docker("network", "connect", stray, f"{prefix}_third")
    docker("rename", f"{prefix}_fourth", f"{prefix}_quatre")
    docker("pause", f"{prefix}_fifth")
    docker("update", "--restart", "no", "--memory", "300m", "--memory-swap", "300m", f"{prefix}_web")
    docker("stop", "--timeout", "0", f"{prefix}_web")
    try:
        verified = pair.site.play("-l", "staging", playbook="playbooks/verify.yml")
        checked = place.deploy("--check", "--diff")
        mended = place.deploy()
        found = docker("inspect", "--format", "{{range $k, $_ := .NetworkSettings.Networks}}{{$k}} {{end}}",
                       f"{prefix}_third")  # fmt: skip
    finally:
        docker("network", "disconnect", "--force", stray, f"{prefix}_third", check=False)
        docker("network", "rm", stray, check=False)
    return Drifted(verified, checked, mended, place.deploy(), set(found.split()))


@pytest.mark.parametrize(
    ("what", "how"),
    [
        ("docker-compose.staging.yml", "was changed by hand"),
        (".env", "was changed by hand"),
        ("container {prefix}_second", "was removed by hand"),
        ("container {prefix}_third", "was stopped"),
        ("container {prefix}_fourth", "was renamed to {prefix}_quatre by hand"),
        ("container {prefix}_fifth", "was paused by hand"),
        ("container {prefix}_web", "was stopped"),
        ("container {prefix}_web", "had its limits changed by hand"),
        ("container {prefix}_third", "had its networks changed by hand"),
    ],
)
def test_drift(drifted: Drifted, pair: Pair, what: str, how: str) -> None:
    """Found from what was recorded, by a verification as by a deployment."""
    verified, mended = drifted.verified, drifted.mended
    thing, says = what.format(prefix=pair.ours.prefix), how.format(prefix=pair.ours.prefix)
    # The report tells of several that drifted alike in one place.
    assert thing in told(verified).lower() and says in told(verified)
    assert any(f"{thing} {says}" in note.lower() for note in notes(mended)), notes(mended)


@pytest.mark.parametrize("run", ["verified", "checked"])
def test_drift_is_shown_as_a_diff(drifted: Drifted, pair: Pair, run: str) -> None:
    """What the deployment left, and what is there; no value of a setting."""
    shown = getattr(drifted, run).output.splitlines()
    prefix = pair.ours.prefix
    assert any(line.startswith(f"--- container {prefix}_web, deployed 20") for line in shown), shown
    for line in (
        f"+++ container {prefix}_web, as it is", "-limit restart: unless-stopped", "+limit restart: no",
        "-limit memory: 536870912", "+limit memory: 314572800", f"-network {prefix}_network, called third",
        f"+network {pair.site.project}-stray",
    ):  # fmt: skip
        assert line in shown, line
    assert not [line for line in shown if "SAY" in line and "hello" in line]


def test_drift_is_mended_by_a_deployment(drifted: Drifted, pair: Pair) -> None:
    """Everything is as declared again, and the next run has nothing to tell or to do."""
    verified, mended, again = drifted.verified, drifted.mended, drifted.again
    assert drifted.networks == {f"{pair.ours.prefix}_network"}
    for name, how in (("third", "exited ("), ("web", "exited ("), ("fifth", "paused")):
        assert f"Container {pair.ours.prefix}_{name} is {how}" in told(verified)
    assert "Service second has no container" in told(verified)
    assert verified.code != 0
    mended.succeeded()
    assert say(pair.ours.prefix) == "hello"
    names = [f"{pair.ours.prefix}_{service}" for service in ("fifth", "fourth", "second", "third", "web")]
    assert list(running(pair.ours.prefix)) == names
    assert "1234" not in (pair.ours.directory / "docker-compose.staging.yml").read_text()
    assert receipt(again)["changed"] == []
    assert not [note for note in notes(again) if note.startswith("drift")]
    assert "hacked" not in mended.output


@contextlib.contextmanager
def changing(pair: Pair, meanwhile: Callable[[], object], **service: Any) -> Iterator[None]:
    """Ours gets one more service for a while, which gets healthy (or ends) only when something has happened."""
    name = f"{pair.ours.prefix}_slow"
    before = dict(pair.ours.variables["bulkhead_services"])
    pair.ours.variables["bulkhead_services"] = {**before, "slow": gated(**service)}

    over = threading.Event()

    def let_it_happen() -> None:
        try:
            meanwhile()
        finally:
            # Going back to an earlier release may make it once more.
            while not over.wait(0.2):
                docker("exec", name, "touch", GATE, check=False)

    try:
        with Meanwhile(lambda: exists(name), let_it_happen):
            try:
                yield
            finally:
                over.set()
    finally:
        pair.ours.variables["bulkhead_services"] = before
        docker("rm", "--force", name, check=False)


@pytest.fixture(scope="module")
def meddled(pair: Pair, drifted: Drifted) -> tuple[Run, Run]:
    """A deployment of ours during which somebody meddles with theirs and others; and the next of theirs."""
    theirs, stray = pair.theirs.prefix, f"{pair.site.project}-passer-by"
    one_off = {PROJECT: theirs, ONE_OFF: "True", "io.bulkhead.prefix": theirs}

    def meddle() -> None:
        docker("restart", "--timeout", "0", f"{theirs}_web")
        docker("rm", "--force", f"{theirs}_second")
        docker("stop", "--timeout", "0", f"{theirs}_third")
        docker("rename", f"{theirs}_fourth", f"{theirs}_quatre")
        redis(f"{theirs}_keeper", "shutdown", "nosave")
        (pair.theirs.directory / ".env").write_text("SAY=hacked\n")
        (pair.theirs.directory / "docker-compose.prod.yml").unlink()
        docker("volume", "create", "--label", f"io.bulkhead.prefix={theirs}", f"{theirs}_more_prod")
        docker("network", "create", "--label", f"io.bulkhead.prefix={theirs}", f"{theirs}_more")
        by_hand(stray)
        by_hand(f"{theirs}_once", labels=one_off)

    try:
        with changing(pair, meddle):
            run = pair.ours.deploy()
    finally:
        docker("rm", "--force", stray, f"{theirs}_once", check=False)
        docker("volume", "rm", f"{theirs}_more_prod", check=False)
        docker("network", "rm", f"{theirs}_more", check=False)
    return run, pair.theirs.deploy()


@pytest.mark.parametrize(
    "change",
    [
        "container {theirs}_web was restarted",
        "container {theirs}_second is gone",
        "container {theirs}_third stopped",
        "container {theirs}_fourth was renamed to {theirs}_quatre",
        "Redis in container {theirs}_keeper was restarted inside, by hand or by a crash",
        "/.env changed",
        "/docker-compose.prod.yml is gone",
        "volume {theirs}_more_prod is new",
        "network {theirs}_more is new",
    ],
)
def test_a_bystander_that_changes_meanwhile(meddled: tuple[Run, Run], pair: Pair, change: str) -> None:
    """The run fails, does not roll back, and names what changed."""
    run, _repaired = meddled
    found = json.loads(sorted(entry(pair.ours).parent.glob("receipts/*.json"))[-1].read_text())
    said = change.format(theirs=pair.theirs.prefix)
    assert run.code != 0 and "bystander-changed" in run.error
    assert any(change.endswith(said) for change in found["bystander_changes"]), found["bystander_changes"]
    assert "BYSTANDERS CHANGED" in run.output


def test_strangers_and_one_off_containers_are_noted(meddled: tuple[Run, Run], pair: Pair) -> None:
    """They are told, and are no failure by themselves."""
    found = json.loads(sorted(entry(pair.ours).parent.glob("receipts/*.json"))[-1].read_text())
    assert any("passer-by is new (no environment" in note for note in found["notes"]), found["notes"]
    assert any("_once is new (a one-off container)" in note for note in found["notes"]), found["notes"]
    assert not [change for change in found["bystander_changes"] if "passer-by" in change or "_once" in change]


def test_the_next_deployment_of_a_bystander_puts_it_right(meddled: tuple[Run, Run], pair: Pair) -> None:
    """Nothing was lost for good."""
    _run, repaired = meddled
    repaired.succeeded()
    assert say(pair.theirs.prefix) == "hello"
    assert list(running(pair.theirs.prefix)) == declared(pair.theirs)
    assert pair.ours.deploy().succeeded()


@pytest.mark.parametrize("fails", [False, True], ids=["succeeds", "fails"])
def test_compose_down_of_a_bystander_in_the_middle(pair: Pair, fails: bool) -> None:
    """Named in any case, also where the deployment fails by itself."""
    compose = ["compose", "-f", str(pair.theirs.directory / "docker-compose.prod.yml"), "down", "--timeout", "0"]
    broken: dict[str, Any] = {"ends_with": 3, "restart": "no"} if fails else {}
    with changing(pair, lambda: docker(*compose), **broken):
        run = pair.ours.deploy()
    assert run.code != 0
    # The screen shows the first ones; the receipt has them all.
    assert re.search(rf"container {pair.theirs.prefix}_\w+ is gone", words(run.output)), run.output
    assert ("The previous release serves again" in run.error) is fails
    kept = json.loads(sorted(entry(pair.ours).parent.glob("receipts/*.json"))[-1].read_text())
    assert (kept["outcome"], kept["step"]) == ("failed", "converge" if fails else "verify")
    assert bool(kept["changed"]) is not fails
    assert any(f"container {pair.theirs.prefix}_web is gone" in change for change in kept["bystander_changes"])
    if fails:
        assert f"start {pair.ours.prefix}_slow" in sentences(kept["tried"])
        assert kept["put_back"] == "The previous release serves again" and "slow is exited (3)" in kept["error"]
        last = words(run.output.partition("PLAY RECAP")[0][-1500:])
        assert "FAILED in converge" in last and f"kept in {entry(pair.ours).parent}" in last
    assert not is_held(pair.ours)
    assert list(running(pair.ours.prefix)) == declared(pair.ours)
    volumes = docker("volume", "ls", "--quiet", "--filter", f"label=io.bulkhead.prefix={pair.theirs.prefix}").split()
    assert volumes == [f"{pair.theirs.prefix}_data_prod"]
    pair.theirs.deploy().succeeded()
    assert say(pair.theirs.prefix) == "hello"


def test_a_bystander_that_is_deployed_meanwhile(pair: Pair) -> None:
    """Two environments at once: both succeed, and each notes the other."""
    pair.site.write()
    other = Site(pair.site.directory / "again", pair.site.project, dict(pair.site.everyone), pair.site.places)
    other.everyone["bulkhead_state_directory"] = str(state(pair.site))
    pair.theirs.variables["bulkhead_env"] = {"SAY": "changed"}
    runs: list[Run] = []
    with changing(pair, lambda: eventually(lambda: is_held(pair.theirs) or runs, 120)):
        thread = threading.Thread(target=lambda: runs.append(other.play("-l", "production")))
        thread.start()
        run = pair.ours.deploy()
        thread.join()
    assert runs[0].succeeded() and run.succeeded()
    assert say(pair.theirs.prefix) == "changed"
    seen = [*receipt(run)["notes"], *receipt(runs[0])["notes"]]
    assert any("is being deployed itself" in note for note in seen), seen
    pair.ours.deploy().succeeded()  # without the service of the meantime, which is gone by hand


@pytest.mark.parametrize(("ours", "rule"), [(True, "away-on-network"), (False, "stranger-on-network")])
def test_a_container_on_the_others_network(pair: Pair, ours: bool, rule: str) -> None:
    """Connected by hand: a verification fails, a deployment is refused; without it both succeed."""
    first, second = (pair.theirs, pair.ours) if ours else (pair.ours, pair.theirs)
    link = ["network", "connect", f"{first.prefix}_network", f"{second.prefix}_second"]
    docker(*link)
    try:
        verified = pair.site.play("-l", "staging", playbook="playbooks/verify.yml")
        deployed = pair.ours.deploy()
    finally:
        docker("network", "disconnect", f"{first.prefix}_network", f"{second.prefix}_second")
    assert verified.code != 0 and rule in verified.error
    assert deployed.code != 0 and rule in deployed.error
    assert f"docker network disconnect {first.prefix}_network {second.prefix}_second" in words(deployed.output)
    if ours:
        assert "foreign-name-resolves" in verified.error
    pair.site.play("-l", "staging", playbook="playbooks/verify.yml").succeeded()


def test_a_link_in_our_directory(pair: Pair, tmp_path: Path) -> None:
    """Nothing is written through a link that leaves the environment's directory."""
    file = {"path": "settings/word", "content": "ours"}
    (pair.ours.directory / "settings").symlink_to(tmp_path)
    before = dict(pair.ours.variables["bulkhead_services"])
    more = idle(volumes=["./settings:/settings:ro"], **{"x-bulkhead": {"files": [file]}})
    pair.ours.variables["bulkhead_services"] = {**before, "more": more}
    try:
        error = pair.ours.deploy().error
    finally:
        pair.ours.variables["bulkhead_services"] = before
        (pair.ours.directory / "settings").unlink()
    assert f"leads to {tmp_path}, outside the environment's own directory" in words(error)
    assert list(tmp_path.iterdir()) == []
    assert not is_held(pair.ours)


def test_a_damaged_state_file(pair: Pair) -> None:
    """Taken as none: everything is brought into force once more, and no data is lost."""
    docker("exec", f"{pair.ours.prefix}_fourth", "sh", "-c", "echo kept > /data/word")
    kept = pair.site.directory / "machine-state/deployed" / pair.ours.prefix
    (kept / "state.json").write_text("{ half of it")
    pair.ours.deploy().succeeded()
    assert docker("exec", f"{pair.ours.prefix}_fourth", "cat", "/data/word").strip() == "kept"
    assert receipt(pair.ours.deploy())["changed"] == []


def test_a_read_only_directory(site: Site) -> None:
    """Said in words, nothing is started, and the next run puts it right."""
    place = site.small()
    place.directory.mkdir(parents=True)
    mount = ["mount", "--bind", str(place.directory), str(place.directory)]
    subprocess.run(mount, check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(place.directory)], check=True)
        error = place.deploy().error
    finally:
        subprocess.run(["umount", "--lazy", str(place.directory)], check=True)
    assert "Read-only file system" in error
    assert moment(place).containers == {} and not is_held(place)
    place.deploy().succeeded()
