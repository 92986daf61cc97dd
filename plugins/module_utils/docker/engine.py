# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hermetic calls of Docker, Compose and other programs on a machine.

With Compose, the caller's environment overrides files (``COMPOSE_PROJECT_NAME``, ``DOCKER_HOST``, any ``${NAME}``). So
every call gets an environment of its own, and the command line names the project. Runs on the targets: Python 3.8,
standard library only.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..core.errors import Failure, last_lines
from ..core.meanwhile import hearing
from ..core.process import home_directory, run_command, stream
from . import direct
from .compose_plugin import CLIENT, find_compose
from .labels import PROJECT

if TYPE_CHECKING:  # a scheduled backup runs this without Ansible
    from ansible.module_utils.basic import AnsibleModule

#: The oldest supported versions: start intervals of health checks need engine 25.
MINIMUM_ENGINE = (25, 0)
MINIMUM_COMPOSE = (2, 24)

#: Exit codes of a call that exceeded its limit.
TIMED_OUT = (124, 137)

#: Seconds to wait for an engine that was killed or upgraded to be restarted.
_RESTART_WAIT = 30

#: Where programs of the machine are looked for.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: How many lines of a log are searched for what says why a container failed.
_LOG_LINES = 200


class EngineError(Failure):
    """Docker or Compose did not do what was asked."""


def parse_version(text: str) -> tuple[int, int]:
    """Parse ``26.1.5+dfsg1`` or ``v2.26.1`` into major and minor; ``(0, 0)`` if it is not a version."""
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
    """Docker and Compose for one environment, independent of the caller's shell."""

    def __init__(
        self, module: AnsibleModule, docker_host: str, project: str = "", directory: str = "", compose_file: str = ""
    ) -> None:
        self.module = module
        self.docker_host = docker_host
        self.project = project
        self.directory = directory
        self.compose_file = compose_file
        #: Where Compose reads its files, where that is not the environment's directory.
        self.inputs = ""
        #: When this run began to work with it, and when it was last found not to answer, by the monotonic clock.
        self.began = time.monotonic()
        self.lost = float("-inf")
        self._docker: str | None = None
        self._compose: str | None = None

    def environment(self) -> dict[str, str]:
        """The whole environment of every call."""
        return {
            "PATH": PATH,
            "HOME": home_directory(),
            "LANG": "C.UTF-8",
            "DOCKER_HOST": self.docker_host,
            # Newer versions of buildx ask a person about each file outside of the current directory.
            "BUILDX_BAKE_ENTITLEMENTS_FS": "0",
        }

    def _argv(self, command: list[str], extra_environment: dict[str, str] | None = None) -> list[str]:
        variables = dict(self.environment(), **(extra_environment or {}))
        assignments = ["%s=%s" % (key, value) for key, value in sorted(variables.items())]
        return ["/usr/bin/env", "-i"] + assignments + command

    def docker_path(self) -> str:
        """The path of the docker command. Raises EngineError if it is not installed."""
        if self._docker is None:
            self._docker = self.module.get_bin_path("docker", opt_dirs=PATH.split(":"))
            if not self._docker:
                raise EngineError(
                    "there is no docker command on this machine. Install Docker Engine with Compose v2: "
                    "ansible-playbook aiia.bulkhead.provision -l <environment>"
                )
        return self._docker

    def _program(self, args: Sequence[str]) -> tuple[str, dict[str, str]]:
        """The program that runs a command of docker, and what it needs beyond :meth:`environment`."""
        client = self.docker_path()
        if args[0] != "compose":
            return client, {}
        if self._compose is None:
            self._compose = find_compose(client, home_directory())
        return (self._compose, {CLIENT: client}) if self._compose else (client, {})

    def docker(self, *args: str, **options: Any) -> tuple[int, str, str]:
        """Run docker. Returns (exit code, output, errors).

        Options: ``data`` for standard input, ``binary`` if that is bytes, ``cwd``, ``limit`` in seconds, and open
        files ``pass_fds``, and ``telling`` what it does, to those who watch the run.
        """
        program, variables = self._program(args)
        said = None if options else direct.read(self.docker_host, args)
        if said:
            return said
        bounded = []
        if options.get("limit") and self.find("timeout"):
            bounded = ["timeout", "--kill-after=5", str(options["limit"])]
        given = {"data": options.get("data"), "binary_data": bool(options.get("binary")), "cwd": options.get("cwd")}
        opened: tuple[int, ...] = tuple(options.get("pass_fds", ()))
        command = [*bounded, program, *args]
        if not options.get("telling"):
            command = self._argv(command, variables)
            return run_command(self.module, "docker", command, EngineError, pass_fds=opened, **given)
        with hearing(options["telling"]) as heard:
            command = self._argv([*(heard.prefix() if heard else ()), *command], variables)
            opened += heard.open_files if heard else ()
            code, output, errors = run_command(self.module, "docker", command, EngineError, pass_fds=opened, **given)
            return code, output, heard.text() if heard else errors

    def stream(self, what: str, *args: str, **streams: Any) -> Any:
        """Run docker with input or output that is too large for memory; see :func:`process.stream`."""
        return stream(self._argv([self.docker_path(), *args]), what, **streams)

    def find(self, name: str) -> str | None:
        """The path of a program on the machine; None if it is not installed."""
        path: str | None = self.module.get_bin_path(name, opt_dirs=PATH.split(":"))
        return path

    def tool(self, name: str, *args: str, data: str | None = None) -> tuple[int, str, str]:
        """Run a program of the machine as hermetically as docker. ``data`` is standard input."""
        return run_command(self.module, name, self._argv([self.find(name) or name, *args]), EngineError, data=data)

    def docker_ok(self, *args: str, **options: Any) -> str:
        """Run docker and return its output. Raises EngineError if it fails."""
        code, output, errors = self.docker(*args, **options)
        if code != 0:
            self.check_reachable(errors)
            raise EngineError(
                "docker %s failed (exit code %d)" % (" ".join(args[:2]), code), last_lines(errors or output)
            )
        return output

    def check_reachable(self, errors: str) -> None:
        """Raise EngineError if the client's errors say that it cannot reach the engine."""
        signs = (
            "Cannot connect to the Docker daemon",
            "error during connect",
            "permission denied while trying to connect",
            "dial unix",
            "failed to connect to the docker API",
        )
        if any(sign in errors for sign in signs):
            self.lost = time.monotonic()
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
        """The engine's version. Raises EngineError if it does not answer."""
        code, output, errors = self.docker("version", "--format", "{{.Server.Version}}")
        if code != 0:
            self.check_reachable(errors)
            raise EngineError("docker version failed", last_lines(errors))
        return output.strip()

    def wait_for_return(self) -> None:
        """Wait up to 30 seconds until the engine answers again, so that a rollback can use it."""
        deadline = time.monotonic() + _RESTART_WAIT
        while time.monotonic() < deadline:
            try:
                self.version()
                return
            except EngineError:
                time.sleep(0.5)

    def compose(self, *args: str, **options: Any) -> tuple[int, str, str]:
        """Run Compose for this environment's project and file only. Options as for :meth:`docker`.

        Pass ``directory`` to use the files of a release that is not in force.
        """
        directory = options.pop("directory", "")
        inputs = directory or self.inputs or self.directory
        return self.docker(
            "compose", "--ansi", "never", "--progress", "plain", "-p", self.project,
            "--project-directory", directory or self.directory, "--env-file", os.path.join(inputs, ".env"),
            "-f", os.path.join(inputs, self.compose_file), *args, cwd=inputs, **options,
        )  # fmt: skip

    def check_versions(self) -> tuple[str, str]:
        """The versions of engine and Compose as text. Raises EngineError if one is missing or too old."""
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
        """Inspect all containers, running or not, that match the label filters ``name=value``."""
        args = ["ps", "--all", "--quiet", "--no-trunc"]
        for label in filters:
            args += ["--filter", "label=%s" % label]
        ids = self.docker_ok(*args).split()
        return self.inspect(ids)

    def inspect(self, ids: list[str]) -> list[dict[str, Any]]:
        """Inspect containers; those that no longer exist are left out."""
        return inspect_objects(self, "container", ids)

    def image_ids(self, names: list[str]) -> dict[str, str]:
        """The ids of the images that have these names now; since a container was created, its image's name may have
        moved to another image. Unknown names are left out."""
        ids: dict[str, str] = {}
        for image in inspect_objects(self, "image", sorted(set(names))):
            for name in [image["Id"]] + (image.get("RepoTags") or []) + (image.get("RepoDigests") or []):
                ids[name] = image["Id"]
        listed = {name: name if name in ids else listed_name(name) for name in names}
        return {name: ids[listed[name]] for name in names if listed[name] in ids}

    def project_containers(self) -> list[dict[str, Any]]:
        """All containers of this environment's Compose project, including one-off ones."""
        return self.containers("%s=%s" % (PROJECT, self.project))

    def await_change(self, since: float, seconds: float) -> None:
        """Wait until one of the project's containers ends or its health changes; see :func:`direct.await_change`."""
        direct.await_change(self.docker_host, "%s=%s" % (PROJECT, self.project), since, seconds)

    def logs(self, container_id: str, lines: int = 15) -> str:
        """The last lines of a container's log, and those before them that say why it failed."""
        code, both, errors = self.log_lines(container_id, "--tail", str(_LOG_LINES))
        return last_lines("\n".join(line.partition(" ")[2] for line in both) if code == 0 else errors, lines)

    def log_lines(self, container_id: str, *options: str) -> tuple[int, list[str], str]:
        """A container's log with the engine's timestamps, both its outputs in the order of time.

        Returns (exit code, lines, the client's errors). Only the engine ends a line, and by a line feed alone. What
        else Python takes for an end (a progress bar's carriage return, a form feed) is the program's own.
        """
        code, output, errors = self.docker("logs", "--timestamps", *options, container_id)
        if code != 0:
            return code, [], errors
        both = [line.rstrip("\r") for line in (output + "\n" + errors).split("\n") if line]
        return code, sorted(both, key=lambda line: line.split(" ")[0]), ""


def listed_name(name: str) -> str:
    """An image's name as the engine lists it: without the default registry, with either a tag or a digest."""
    name, at, digest = name.partition("@")
    for default in ("index.docker.io/", "docker.io/", "library/"):
        name = name[len(default) :] if name.startswith(default) else name
    untagged, colon, tag = name.rpartition(":")
    tagged = bool(colon) and "/" not in tag
    if at:
        return "%s@%s" % (untagged if tagged else name, digest)
    return name if tagged else "%s:latest" % name


def engine_info(engine: Engine) -> dict[str, Any]:
    """What the engine says of itself (``docker info``). Raises EngineError if it does not answer."""
    said: dict[str, Any] = json.loads(engine.docker_ok("info", "--format", "{{json .}}"))
    return said


def inspect_objects(engine: Engine, kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Inspect containers, images, networks or volumes (``kind``); those that do not exist are left out.

    Raises EngineError if the engine cannot be reached: then the client prints an empty list and exits just as for a
    missing object.
    """
    if not names:
        return []
    code, output, errors = engine.docker(kind, "inspect", *names)
    if code != 0:
        engine.check_reachable(errors)
    objects: list[dict[str, Any]] = json.loads(output or "[]")
    return objects
