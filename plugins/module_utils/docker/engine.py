# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hermetic calls of Docker, Compose and git on a machine.

Compose lets the caller's environment win over files (``COMPOSE_PROJECT_NAME``, ``DOCKER_HOST``, any ``${NAME}``), so a
call is safe only where the environment is empty and everything that decides which project is meant is on the command
line. Runs on the targets: Python 3.8, standard library only.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..core.errors import Failure, last_lines
from ..core.process import home_directory, run_command, stream
from .labels import PROJECT

if TYPE_CHECKING:  # a scheduled backup runs this without Ansible
    from ansible.module_utils.basic import AnsibleModule

#: What engine and Compose must at least be: start intervals of health checks need engine 25.
MINIMUM_ENGINE = (25, 0)
MINIMUM_COMPOSE = (2, 24)

#: What a call with a limit exits with when its time is over.
TIMED_OUT = (124, 137)

#: Seconds in which an engine that was killed or upgraded is back, if something starts it again.
_AWAY = 30

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class EngineError(Failure):
    """Docker or Compose did not do what was asked."""


def parse_version(text: str) -> tuple[int, int]:
    """Read ``26.1.5+dfsg1`` or ``v2.26.1`` as a tuple of two numbers; ``(0, 0)`` if there is no version in it."""
    numbers: list[int] = []
    for part in text.strip().lstrip("v").split(".")[:2]:
        digits = ""
        for character in part:
            if not character.isdigit():
                break
            digits += character
        if not digits:
            return (0, 0)
        numbers.append(int(digits))
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (0, 0)


class Engine:
    """Docker and Compose for one environment, never influenced by the shell that called Ansible."""

    def __init__(
        self, module: AnsibleModule, docker_host: str, project: str = "", directory: str = "", compose_file: str = ""
    ) -> None:
        self.module = module
        self.docker_host = docker_host
        self.project = project
        self.directory = directory
        self.compose_file = compose_file
        self._docker: str | None = None

    def environment(self) -> dict[str, str]:
        """The whole environment of every call."""
        return {"PATH": _PATH, "HOME": home_directory(), "LANG": "C.UTF-8", "DOCKER_HOST": self.docker_host}

    def _argv(self, command: list[str], extra_environment: dict[str, str] | None = None) -> list[str]:
        variables = dict(self.environment(), **(extra_environment or {}))
        assignments = ["%s=%s" % (key, value) for key, value in sorted(variables.items())]
        return ["/usr/bin/env", "-i"] + assignments + command

    def docker_path(self) -> str:
        """The docker command. Raises EngineError where there is none."""
        if self._docker is None:
            self._docker = self.module.get_bin_path("docker", opt_dirs=_PATH.split(":"))
            if not self._docker:
                raise EngineError(
                    "there is no docker command on this machine. Install Docker Engine with Compose v2: "
                    "ansible-playbook aiia.bulkhead.provision -l <environment>"
                )
        return self._docker

    def docker(self, *args: str, **options: Any) -> tuple[int, str, str]:
        """Run docker. Returns (exit code, output, errors). ``data`` is standard input, ``cwd`` the directory.

        ``binary`` says that the data is bytes; ``limit`` is how many seconds it may take.
        """
        bounded = []
        if options.get("limit") and self.find("timeout"):
            bounded = ["timeout", "--kill-after=5", str(options["limit"])]
        command = self._argv(bounded + [self.docker_path()] + list(args), options.get("environment"))
        given = {"data": options.get("data"), "binary_data": bool(options.get("binary")), "cwd": options.get("cwd")}
        return run_command(self.module, "docker", command, EngineError, **given)

    def stream(self, what: str, *args: str, **streams: Any) -> Any:
        """Run docker with input or output that is too large to be held; see :func:`streams.stream`."""
        return stream(self._argv([self.docker_path(), *args]), what, **streams)

    def shell(self, what: str, command: str, variables: dict[str, str], limit: float = 0) -> None:
        """Run a command of the user's on the machine. Raises StreamError when it fails."""
        stream(self._argv(["/bin/sh", "-c", command], variables), what, limit=limit)

    def find(self, name: str) -> str | None:
        """Where a program of the machine is; None where it is not."""
        path: str | None = self.module.get_bin_path(name, opt_dirs=_PATH.split(":"))
        return path

    def tool(self, name: str, *args: str, data: str | None = None) -> tuple[int, str, str]:
        """Run a program of the machine as hermetically as docker. ``data`` is standard input."""
        return run_command(self.module, name, self._argv([self.find(name) or name, *args]), EngineError, data=data)

    def docker_ok(self, *args: str, **options: Any) -> str:
        """Run docker and return its output. Raises EngineError when it fails."""
        code, output, errors = self.docker(*args, **options)
        if code != 0:
            self.check_reachable(errors)
            raise EngineError(
                "docker %s failed (exit code %d)" % (" ".join(args[:2]), code), last_lines(errors or output)
            )
        return output

    def check_reachable(self, errors: str) -> None:
        """Turn the client's complaint about a missing engine into an error of ours."""
        signs = (
            "Cannot connect to the Docker daemon",
            "error during connect",
            "permission denied while trying to connect",
            "dial unix",
            "failed to connect to the docker API",
        )
        if any(sign in errors for sign in signs):
            why = (
                "the user who runs this may not use it: add it to the group docker, or set ansible_become"
                if "permission denied" in errors
                else "start it (systemctl start docker, or ansible-playbook aiia.bulkhead.provision), "
                "or set bulkhead_docker_host to where it listens"
            )
            raise EngineError(
                "the Docker engine at %s cannot be reached; %s" % (self.docker_host, why), last_lines(errors, 3)
            )

    def version(self) -> str:
        """The engine's version. Raises EngineError where it does not answer."""
        code, output, errors = self.docker("version", "--format", "{{.Server.Version}}")
        if code != 0:
            self.check_reachable(errors)
            raise EngineError("docker version failed", last_lines(errors))
        return output.strip()

    def wait_for_return(self) -> None:
        """Wait until the engine answers, if it is about to: whoever wants to undo something needs it."""
        deadline = time.monotonic() + _AWAY
        while time.monotonic() < deadline:
            try:
                self.version()
                return
            except EngineError:
                time.sleep(0.5)

    def compose(self, *args: str, **options: Any) -> tuple[int, str, str]:
        """Run Compose for this environment's project and file, and nothing else.

        ``directory`` replaces the project directory and ``compose_file`` the file, to ask about a release that is
        not in force.
        """
        directory = options.pop("directory", self.directory)
        compose_file = options.pop("compose_file", os.path.join(directory, self.compose_file))
        return self.docker(
            "compose",
            "--ansi",
            "never",
            "--progress",
            "plain",
            "-p",
            self.project,
            "--project-directory",
            directory,
            "--env-file",
            os.path.join(directory, ".env"),
            "-f",
            compose_file,
            *args,
            cwd=directory,
            **options,
        )

    def check_versions(self) -> tuple[str, str]:
        """Refuse an engine or a Compose that is too old. Returns both versions as text."""
        engine = self.version()
        code, output, errors = self.docker("compose", "version", "--short")
        if code != 0:
            raise EngineError(
                "Docker Compose v2 is not installed on this machine (docker compose version failed). Install it: "
                "ansible-playbook aiia.bulkhead.provision -l <environment>",
                last_lines(errors, 3),
            )
        compose = output.strip()
        for name, version, minimum in (
            ("Docker Engine", engine, MINIMUM_ENGINE),
            ("Docker Compose", compose, MINIMUM_COMPOSE),
        ):
            if parse_version(version) < minimum:
                raise EngineError(
                    "%s %s is too old: %d.%d or later is needed. Upgrade it, for example with role aiia.bulkhead.engine"
                    % (name, version, minimum[0], minimum[1])
                )
        return engine, compose

    def containers(self, *filters: str) -> list[dict[str, Any]]:
        """Containers, running or not, that match exact label filters, inspected in one call."""
        args = ["ps", "--all", "--quiet", "--no-trunc"]
        for each in filters:
            args += ["--filter", "label=%s" % each]
        ids = self.docker_ok(*args).split()
        return self.inspect(ids)

    def inspect(self, ids: list[str]) -> list[dict[str, Any]]:
        """Inspect containers; those that vanished in between are left out."""
        return described(self, "container", ids)

    def image_ids(self, names: list[str]) -> dict[str, str]:
        """The ids of the images that carry these names here; a name may have moved to another image since a container
        was made from it."""
        found: dict[str, str] = {}
        for image in described(self, "image", sorted(set(names))):
            for name in [image["Id"]] + (image.get("RepoTags") or []) + (image.get("RepoDigests") or []):
                found[name] = image["Id"]
        listed = {name: name if name in found else listed_name(name) for name in names}
        return {name: found[listed[name]] for name in names if listed[name] in found}

    def project_containers(self) -> list[dict[str, Any]]:
        """Every container of this environment's Compose project, one-off ones included."""
        return self.containers("%s=%s" % (PROJECT, self.project))

    def logs(self, container_id: str, lines: int = 15) -> str:
        """The last lines that a container wrote."""
        code, output, errors = self.docker("logs", "--tail", str(lines), container_id)
        return last_lines("%s\n%s" % (output, errors), lines)


def listed_name(name: str) -> str:
    """An image's name as the engine lists it: without the default registry, and with one of tag and digest."""
    name, at, digest = name.partition("@")
    for default in ("index.docker.io/", "docker.io/", "library/"):
        name = name[len(default) :] if name.startswith(default) else name
    untagged, colon, tag = name.rpartition(":")
    tagged = bool(colon) and "/" not in tag
    if at:
        return "%s@%s" % (untagged if tagged else name, digest)
    return name if tagged else "%s:latest" % name


def described(engine: Engine, kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """What the engine says of containers, images, networks or volumes, without those that are not there.

    Raises EngineError where it does not answer: the client prints an empty list then too, and exits as for a name that
    is not there.
    """
    if not names:
        return []
    code, output, errors = engine.docker(kind, "inspect", *names)
    if code != 0:
        engine.check_reachable(errors)
    found: list[dict[str, Any]] = json.loads(output or "[]")
    return found
