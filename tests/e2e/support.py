# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventories made for one test, ``ansible-playbook`` as a program, and the removal of what it made."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from checkout import PLAIN_DISPLAY
from guards import remove_guards

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
IMAGE = "bulkhead-demo/python:3.13"
ACTION = "aiia.bulkhead."

#: What a server of one line says; the tests' smallest application. Tests give `say` and see it answered.
SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ.get("SAY", "").encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
print("serving", flush=True)
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
""".strip()

#: Without a Python for each look: a dozen containers are looked at all the while.
_HEALTH = "exec 3<>/dev/tcp/127.0.0.1/8000 && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q ' 200 ' <&3"


def docker(*arguments: str, check: bool = True) -> str:
    """Run docker and return what it says."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def health_check(seconds: int = 60, interval: int = 5) -> dict[str, Any]:
    """A health check that notices a served page at once, and gives up after some seconds."""
    return {
        "test": ["CMD", "bash", "-c", _HEALTH],
        "interval": f"{interval}s",
        "timeout": "10s",
        "retries": 2,
        "start_period": f"{seconds}s",
        "start_interval": "500ms",
    }


def web(**more: Any) -> dict[str, Any]:
    """The definition of a service of one process that answers with the setting SAY."""
    return {
        "image": IMAGE,
        "command": ["python3", "-u", "-c", SERVER],
        "env_file": [".env"],
        "stop_grace_period": "0s",
        "healthcheck": health_check(),
        **more,
    }


def only(**services: Any) -> dict[str, Any]:
    """A stack of these services, without one of the default stack's."""
    return {**dict.fromkeys(("nginx", "django", "pgbouncer", "postgresql", "redis")), **services}


def ports() -> range:
    """Ports below the ephemeral ones; each worker of pytest-xdist has some of its own, so that no two draw the same."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return range(20000 + worker, 30000, workers)


#: Nobody may listen on one of these either: its container is being replaced, or not there yet.
_given: set[int] = set()


def free_port() -> int:
    """A port of this worker that nobody listens on, and that was not given before."""
    while True:
        port = random.choice(ports())
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
        _given.add(port)
        return port


@dataclass(frozen=True)
class Task:
    """What a task of ours said."""

    action: str
    status: str
    result: dict[str, Any]


@dataclass
class Run:
    """One run of ``ansible-playbook``."""

    code: int
    output: str
    tasks: list[Task]
    seconds: float

    def result(self, action: str) -> dict[str, Any]:
        """The result of the last task of one of our actions; empty where it did not run."""
        found = [task.result for task in self.tasks if task.action == ACTION + action]
        return found[-1] if found else {}

    @property
    def ran(self) -> list[str]:
        """Our actions that ran, in order."""
        return [task.action.removeprefix(ACTION) for task in self.tasks]

    @property
    def changed(self) -> int:
        """How many tasks changed something."""
        return sum(bool(task.result.get("changed")) for task in self.tasks)

    @property
    def failures(self) -> list[Task]:
        """The tasks that failed."""
        return [task for task in self.tasks if task.status != "ok"]

    @property
    def error(self) -> str:
        """The one error of the run with its details; what the plan gate found is on the screen above it."""
        assert self.code != 0, f"this run was expected to fail:\n{self.output}"
        assert len(self.failures) == 1, f"one clear error was expected:\n{self.output}"
        result = self.failures[0].result
        assert "Traceback" not in self.output, self.output
        return "\n".join(filter(None, [result["msg"], result.get("detail", "")]))

    def succeeded(self) -> Run:
        """This run, which must have succeeded."""
        assert self.code == 0, self.output
        return self


def without_terminal(
    command: Sequence[str], directory: Path, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a program that nobody can answer, with both its outputs in one, for five minutes at the most."""
    return subprocess.run(
        command,
        cwd=directory,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )


class _Dumper(yaml.SafeDumper):
    """Writes texts that look like templates with the tag that keeps Ansible from taking them for some."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    template = any(mark in text for mark in ("{{", "{%", "{#"))
    return dumper.represent_scalar("!unsafe" if template else "tag:yaml.org,2002:str", text, style='"')


_Dumper.add_representer(str, _text)


@dataclass
class Place:
    """One environment of a generated inventory. ``variables`` and ``secrets`` are changed by tests as they like."""

    site: Site
    group: str
    name: str
    variables: dict[str, Any]
    secrets: dict[str, Any] = field(default_factory=dict)
    password: str = ""

    @property
    def prefix(self) -> str:
        """The environment's prefix."""
        return str(self.variables.get("bulkhead_prefix") or f"{self.site.project}_{self.name}")

    @property
    def directory(self) -> Path:
        """The environment's directory."""
        return Path(self.variables["bulkhead_directory"])

    def deploy(self, *arguments: str, **options: Any) -> Run:
        """Write the inventory and deploy this environment."""
        return self.site.play("-l", self.group, *arguments, **options)


@dataclass
class Site:
    """An inventory with what belongs to it, in a directory of its own. Writes itself anew before each run."""

    directory: Path
    project: str
    everyone: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    host_variables: dict[str, Any] = field(
        default_factory=lambda: {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        }
    )

    def add(self, group: str, name: str, secrets: dict[str, Any] | None = None, **variables: Any) -> Place:
        """One more environment; variables are given without their bulkhead_."""
        own = {
            "bulkhead_environment": name,
            "bulkhead_directory": str(self.directory / "machine" / name),
            **{f"bulkhead_{key}": value for key, value in variables.items()},
        }
        place = Place(self, group, name, own, secrets or {}, password=f"{group}-{random.getrandbits(64):x}")
        self.places[group] = place
        return place

    def small(self, group: str = "small", name: str = "test", **variables: Any) -> Place:
        """One more environment, of a single service and nothing else."""
        given = {"services": only(web=web()), "env": {"SAY": "hello"}, "wait_timeout": 90, **variables}
        return self.add(group, name, **given)

    @cached_property
    def inventory(self) -> Path:
        """Where the inventory is."""
        return self.directory / "inventory"

    def write(self, locked: Sequence[str] = ()) -> None:
        """Write the inventory."""
        groups = {group: {"hosts": {f"{group}-host": None}} for group in self.places}
        self._write(self.inventory / "hosts.yml", yaml.safe_dump({"all": {"children": groups}}))
        state = str(self.directory / "machine-state")
        own = {
            "bulkhead_state_directory": state,
            # Small stacks publish their only service's port: each change of theirs is a gap.
            "bulkhead_allow_downtime": True,
            # Most of what they run has no health check, and does not die.
            "bulkhead_readiness_delay": 0,
        }
        everyone = {"bulkhead_project": self.project, **own, **self.everyone}
        text = yaml.safe_dump(self.host_variables) + yaml.dump(everyone, Dumper=_Dumper, allow_unicode=False)
        self._write(self.inventory / "group_vars/all/main.yml", text)
        for group, place in self.places.items():
            folder = self.inventory / "group_vars" / group
            self._write(folder / "main.yml", yaml.dump(place.variables, Dumper=_Dumper, width=10**6))
            self._write(self.directory / f"{group}.password", place.password)
            if place.secrets:
                vault = VaultLib([(group, VaultSecret(place.password.encode()))])
                text = yaml.dump(place.secrets, Dumper=_Dumper, width=10**6)
                self._write(folder / "vault.yml", vault.encrypt(text, vault_id=group).decode())

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """A clean environment for a run: nothing of the person's who runs the tests."""
        home = self.directory / "home"
        home.mkdir(parents=True, exist_ok=True)
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "record",
            "ANSIBLE_NOCOLOR": "1",
            **PLAIN_DISPLAY,
            **(more or {}),
        }

    def play(
        self,
        *arguments: str,
        playbook: str | Path = "deploy.yml",
        passwords: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
        write: bool = True,
    ) -> Run:
        """Run a playbook on this inventory. ``passwords`` are the groups whose vaults may be opened; default all."""
        if write:
            self.write()
        record = self.directory / "record.jsonl"
        record.unlink(missing_ok=True)
        command = [*before, str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(self.inventory)]
        for group in passwords if passwords is not None else self.places:
            command += ["--vault-id", f"{group}@{self.directory / f'{group}.password'}"]
        command += [*arguments, str(playbook)]
        began = time.monotonic()
        variables = self.environment({"BULKHEAD_E2E_RECORD": str(record), **(environment or {})})
        done = without_terminal(command, ROOT, variables)
        lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
        tasks = [Task(load["task"], load["status"], load["result"]) for load in map(json.loads, lines)]
        return Run(done.returncode, done.stdout, tasks, time.monotonic() - began)


def remove_project(project: str) -> None:
    """Remove everything that carries exactly this project's label."""
    label = f"label=io.bulkhead.project={project}"
    for kind, remove in (
        ("container", ["container", "rm", "--force", "--volumes"]),
        ("network", ["network", "rm"]),
        ("volume", ["volume", "rm"]),
        ("image", ["image", "rm", "--force"]),
    ):
        listing = ["ps", "--all"] if kind == "container" else [kind, "ls"]
        found = docker(*listing, "--quiet", "--filter", label, check=False).split()
        if found:
            docker(*remove, *dict.fromkeys(found), check=False)
    remove_guards(project)
