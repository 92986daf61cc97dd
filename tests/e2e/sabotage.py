# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of sabotage share: two small environments, things made by hand, and runs that are killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from observe import eventually
from support import IMAGE, ROOT, Place, Run, Site, docker, health_check, only, web

PROJECT = "com.docker.compose.project"
DIRECTORY = "com.docker.compose.project.working_dir"
SERVICE = "com.docker.compose.service"
ONE_OFF = "com.docker.compose.oneoff"
REDIS = "bulkhead-demo/redis:8"


def idle(**more: Any) -> dict[str, Any]:
    """A service that does nothing, at once."""
    return {"image": IMAGE, "command": ["sleep", "infinity"], "stop_grace_period": "0s", "init": True, **more}


#: Where a deployment leaves a Redis its password.
KEPT = "./.bulkhead/private/keeper"


def keeper() -> dict[str, Any]:
    """A Redis that a shell starts again and again, so that it may end without its container."""
    serve = "while :; do redis-server --save '' --requirepass \"$$(cat /usr/local/etc/redis/password)\"; done"
    return {
        "image": REDIS,
        "command": ["sh", "-c", serve],
        "volumes": [f"{KEPT}:/usr/local/etc/redis:ro"],
        "stop_grace_period": "0s",
        "init": True,
        "x-bulkhead": {"files": [{"path": f"{KEPT[2:]}/password", "content": "keep it", "secret": True}]},
    }


def redis(container: str, *words: str) -> str:
    """What the Redis of a container says."""
    program = 'REDISCLI_AUTH="$(cat /usr/local/etc/redis/password)" redis-cli "$@"'
    return docker("exec", container, "sh", "-c", program, "sh", *words, check=False)


#: A container is told with this file to go on.
GATE = "/tmp/ready"
_HEALTHY_WITH_GATE = {**health_check(), "test": ["CMD", "test", "-e", GATE]}


def slow(seconds: float, **more: Any) -> dict[str, Any]:
    """A service that gets healthy only after some seconds: for runs that nobody waits for."""
    command = ["sh", "-c", f"sleep {seconds}; touch {GATE}; exec sleep infinity"]
    return idle(**{"command": command, "healthcheck": _HEALTHY_WITH_GATE, **more})


def gated(ends_with: int | None = None, **more: Any) -> dict[str, Any]:
    """A service that gets healthy, or ends with a code, only when the test says so: however slow the machine is,
    something happens meanwhile."""
    end, healthcheck = "sleep infinity", _HEALTHY_WITH_GATE
    if ends_with is not None:
        # Never healthy: a probe between the gate and the end would see the gate open.
        end, healthcheck = f"exit {ends_with}", {**health_check(), "test": ["CMD", "false"]}
    command = ["sh", "-c", f"until [ -e {GATE} ]; do sleep 0.2; done; {end}"]
    return idle(**{"command": command, "healthcheck": healthcheck, **more})


def not_ready(container: str) -> bool:
    """Whether a container is being started."""
    asked = docker("container", "inspect", "--format", "{{.State.Health.Status}}", container, check=False)
    return asked == "starting\n"


def open_gate(container: str) -> None:
    """Let a gated container go on, once it is there."""
    eventually(lambda: not_ready(container), 120)
    docker("exec", container, "touch", GATE)


def state(site: Site) -> Path:
    """Where the machine keeps its registry, for the environments of a site."""
    return Path(site.everyone.get("bulkhead_state_directory", site.directory / "machine-state"))


def entry(place: Place) -> Path:
    """The registry entry of an environment."""
    return state(place.site) / "environments" / place.prefix / "environment.json"


def lease_path(place: Place) -> Path:
    """Where the lock of an environment is; before its first deployment, where the version before had it."""
    path = state(place.site) / "locks" / f"{place.prefix}.json"
    return path / "lease.json" if path.is_dir() else path


def lease(place: Place) -> dict[str, Any]:
    """The lock of an environment as it stands on the machine; empty where there never was one."""
    try:
        found: dict[str, Any] = json.loads(lease_path(place).read_text())
    except (OSError, ValueError):
        return {}
    return found


def is_held(place: Place) -> bool:
    """Whether somebody holds the lock of an environment now."""
    return bool(lease(place).get("expires", 0) > time.time())


def let_time_pass(place: Place) -> None:
    """As if the lock had not been renewed for longer than it holds."""
    lease_path(place).write_text(json.dumps({**lease(place), "expires": time.time() - 1}))


def by_hand(name: str, *options: str, labels: Mapping[str, str] | None = None, run: bool = False) -> str:
    """A container that somebody made by hand; returns its name."""
    marks = [part for key, value in (labels or {}).items() for part in ("--label", f"{key}={value}")]
    how = ["run", "--detach"] if run else ["create"]
    docker(*how, "--name", name, "--init", *marks, *options, IMAGE, "sleep", "600")
    return name


def words(text: str) -> str:
    """A report without its line breaks."""
    return " ".join(text.split())


def told(run: Run) -> str:
    """Everything that a run said."""
    return words(run.output)


def notes(run: Run) -> list[str]:
    """What the gate before a deployment had to tell."""
    found: list[str] = run.result("preflight").get("notes", [])
    return found


def receipt(run: Run) -> dict[str, Any]:
    """The receipt of a run that succeeded."""
    found: dict[str, Any] = run.succeeded().result("verify")["receipt"]
    return found


class Meanwhile:
    """Does something while a block runs, once a condition holds; an error in it is the test's."""

    def __init__(self, when: Callable[[], Any], what: Callable[[], Any]) -> None:
        self._when, self._what = when, what
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            eventually(self._when, 120)
            self._what()
        except BaseException as error:
            self._error = error

    def __enter__(self) -> Meanwhile:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        if self._error:
            raise self._error


def exists(container: str) -> bool:
    """Whether a container is there, running or not."""
    return bool(docker("container", "inspect", container, check=False).strip("[]\n "))


@contextlib.contextmanager
def started(site: Site, *arguments: str, before: Sequence[str] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """A deployment that the test can kill. It is dead in any case when the block ends."""
    site.write()
    record = site.directory / "record.jsonl"
    record.unlink(missing_ok=True)
    command = [*before, str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(site.inventory)]
    for group in site.places:
        command += ["--vault-id", f"{group}@{site.directory / f'{group}.password'}"]
    with doomed(site, [*command, *arguments, "deploy.yml"], {"BULKHEAD_E2E_RECORD": str(record)}) as process:
        yield process


@contextlib.contextmanager
def doomed(site: Site, command: Sequence[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program of Ansible's that is killed when the block ends, with everything that it started."""
    with (site.directory / "killed.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=site.environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            kill(process.pid)
            process.wait()


def done(site: Site, action: str) -> bool:
    """Whether a step of the run that is going on has come to its end."""
    try:
        return f'"aiia.bulkhead.{action}"' in (site.directory / "record.jsonl").read_text()
    except OSError:
        return False


def kill(pid: int) -> None:
    """kill -9 a process and everything that it started, whatever session that is in."""
    for descendant in descendants(pid, halt=True):
        with contextlib.suppress(ProcessLookupError):
            os.kill(descendant, signal.SIGKILL)


def descendants(pid: int, halt: bool = False) -> list[int]:
    """A process and everything that it started, parents first. Each can be halted before its children are read: one
    that runs may start another that nobody has listed."""
    family = [pid]
    for process in family:
        if halt:
            _halt(process)
        family += _children(process)
    return family


def runs(pid: int) -> bool:
    """Whether a process has not ended; one that nobody has asked about yet has."""
    with contextlib.suppress(OSError):
        return _state(pid) not in "ZX"
    return False


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _halt(pid: int) -> None:
    """Stop a process, and wait until it stands still; one that has ended does."""
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGSTOP)
        while _state(pid) not in "TtZX":
            time.sleep(0.001)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for path in Path("/proc").glob(f"{pid}/task/*/children"):
        with contextlib.suppress(OSError):
            found += map(int, path.read_text().split())
    return found


class Pair:
    """Two environments of one machine: ``ours`` is deployed by the tests, ``theirs`` stands beside it."""

    def __init__(self, site: Site, ours_ports: list[str], theirs_ports: list[str]) -> None:
        self.site = site
        services = {"second": idle(), "third": idle(), "fourth": idle(volumes=["data:/data"]), "fifth": idle()}
        theirs = only(web=web(ports=theirs_ports), keeper=keeper(), **services)
        self.theirs = site.small("production", "prod", services=theirs, wait_timeout=120)
        ours = only(web=web(ports=ours_ports), **services)
        self.ours = site.small("staging", "staging", services=ours, wait_timeout=120)

    def deploy(self) -> None:
        """Both, one after the other."""
        self.theirs.deploy().succeeded()
        self.ours.deploy().succeeded()


def declared(place: Place) -> list[str]:
    """The containers that the inventory says an environment has."""
    services = place.variables["bulkhead_services"]
    return [f"{place.prefix}_{name}" for name in sorted(services) if services[name]]
