# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An engine for tests: it starts and replaces containers as Compose does, by the file that is on disk."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.service import Service

PROJECT = "aiia_prod"
NAMES = {"web": "aiia_prod_web", "db": "aiia_prod_db"}
COMPOSE_FILE = "docker-compose.prod.yml"


def compose_text(**services: str) -> str:
    """A Compose file of the fake: the image of each service, as JSON, which is YAML."""
    return json.dumps(services)


class FakeEngine:
    """What :class:`Engine` offers, over containers in memory. ``sick`` maps an image to the health it ends in."""

    compose_file = COMPOSE_FILE
    project = PROJECT

    def __init__(self, directory: Path) -> None:
        self.directory = str(directory)
        self.inputs = ""
        self.began = time.monotonic()
        self.lost = float("-inf")
        self.running: dict[str, dict[str, Any]] = {}
        self.strangers: list[dict[str, Any]] = []
        self.objects: dict[str, list[dict[str, Any]]] = {"network": [], "volume": [], "image": []}
        self.calls: list[str] = []
        self.sick: dict[str, str] = {}
        #: Images whose containers end only when they are killed.
        self.stubborn: set[str] = set()
        self.refuses: Callable[[str], bool] = lambda _call: False
        #: What happens before a call is answered: tests look at the machine, or let the run be killed.
        self.on_call: Callable[[str], None] = lambda _call: None
        #: What a dry run does, which should do nothing.
        self.on_dry_run: Callable[[], None] = lambda: None
        #: Whether nobody answers; containers live on, as they do with live-restore.
        self.away = False
        #: Whether it is back when somebody waited for it.
        self.returns = True
        self.images_there: list[str] = []
        #: Which image each name means, where a test cares; containers are made from it, and made anew where it moved.
        self.named: dict[str, str] = {}
        #: What commands answer in one-off containers, and after ``exec`` in running ones: (exit code, output, errors).
        self.commands: dict[str, tuple[int, str, str]] = {}
        self._number = 0

    def _hear(self, call: str) -> None:
        """A call reaches the engine. Raises EngineError where that is away, or goes away by it."""
        self.on_call(call)
        if self.away:
            raise EngineError("the Docker engine cannot be reached")

    # ---- what Engine offers --------------------------------------------------------------------------------------

    def check_versions(self) -> None:
        self.calls.append("versions")
        self._hear("versions")

    def check_reachable(self, errors: str) -> None:
        if "cannot be reached" in errors:
            raise EngineError(errors)

    def version(self) -> str:
        if self.away:
            raise EngineError("the Docker engine cannot be reached")
        return "26.1"

    def wait_for_return(self) -> None:
        self.away = self.away and not self.returns

    def await_change(self, _since: float, seconds: float) -> None:
        time.sleep(seconds)

    def project_containers(self) -> list[dict[str, Any]]:
        self._hear("look")
        return json.loads(json.dumps(list(self.running.values())))

    def inspect(self, wanted: list[str]) -> list[dict[str, Any]]:
        self._hear("inspect")
        known = [*self.running.values(), *self.strangers]
        return [item for item in known if item["Id"] in wanted or item["Name"].lstrip("/") in wanted]

    def image_ids(self, names: list[str]) -> dict[str, str]:
        return {name: self.named[name] for name in names if name in self.named}

    def logs(self, container_id: str) -> str:
        return f"last words of {container_id}"

    def docker(self, *args: str, **_options: Any) -> tuple[int, str, str]:
        call = " ".join(args)
        self.calls.append(call)
        try:
            self._hear(call)
        except EngineError as error:
            return 1, "", error.message
        if self.refuses(call):
            return 1, "", "refused by the test"
        if args[0] == "exec":
            return self.commands.get(" ".join(("exec", *args[2:])), (0, "", ""))
        if args[0] == "rm":
            gone = set(args[2:])
            self.running = {
                key: item for key, item in self.running.items() if not {item["Id"], item["Name"].lstrip("/")} & gone
            }
        if args[0] == "rename":
            for container in self.running.values():
                if container["Id"] == args[1]:
                    container["Name"] = f"/{args[2]}"
        if args[0] == "unpause":
            for container in self.running.values():
                if container["Id"] in args[1:]:
                    del container["State"]["Paused"]
        if args[0] == "stop":
            for container in self.running.values():
                if container["Id"] in args[1:]:
                    code = 137 if container["Config"]["Image"] in self.stubborn else 0
                    began = {"StartedAt": container["State"]["StartedAt"]} if "StartedAt" in container["State"] else {}
                    container["State"] = {"Running": False, "Status": "exited", "ExitCode": code, **began}
        if args[0] == "start":
            for container in self.running.values():
                if container["Id"] in args[1:]:
                    container["State"] = self._state(container["Config"]["Image"])
        if args[:2] == ("image", "ls"):
            return 0, "\n".join(self.images_there), ""
        if args[1:2] == ("inspect",):
            return 0, json.dumps([item for item in self.objects[args[0]] if item["Name"] in args[2:]]), ""
        known = [*self.running.values(), *self.strangers]
        label = "label=com.docker.compose.project="
        for project in (argument.removeprefix(label) for argument in args if argument.startswith(label)):
            known = [item for item in known if item["Config"]["Labels"].get(label[6:-1]) == project]
        return 0, "\n".join(map(self._row, known) if "--format" in args else [item["Id"] for item in known]), ""

    @staticmethod
    def _row(container: dict[str, Any]) -> str:
        """A container as `docker ps` lists it: id, name."""
        return "\t".join([container["Id"], container["Name"].lstrip("/")])

    def docker_ok(self, *args: str, **options: Any) -> str:
        code, output, errors = self.docker(*args, **options)
        if code:
            self.check_reachable(errors)
            raise EngineError("docker failed", errors)
        return output

    def compose(self, *args: str, directory: str = "", limit: int = 0, telling: str = "") -> tuple[int, str, str]:
        call = f"compose {' '.join(args)}"
        self.calls.append(call)
        try:
            self._hear(call)
            return self._compose(call.removeprefix("compose "), args, directory)
        except EngineError as error:
            return 1, "", error.message

    def _compose(self, call: str, args: tuple[str, ...], directory: str) -> tuple[int, str, str]:
        if self.refuses(call):
            return 1, "", "refused by the test"
        wanted = json.loads(Path(directory or self.inputs or self.directory, COMPOSE_FILE).read_text(encoding="utf-8"))
        if args[0] == "--dry-run":
            self.on_dry_run()
            return 0, self._foreseen(wanted), ""
        if args[0] == "run":
            return self._run(args, wanted)
        if args[0] == "up":
            if any(container["State"].get("Paused") for container in self.running.values()):
                return 1, "", "cannot start a paused container, try unpause instead"
            named = [argument for argument in args[1:] if argument in wanted]
            for key, image in wanted.items():
                if not named or key in named:
                    self._start(key, image, "--force-recreate" in args, "--no-start" in args)
        return 0, "\n".join(wanted), ""

    def _foreseen(self, wanted: dict[str, str]) -> str:
        """What a dry run says: without starting anything, of one that ended only that it is there."""
        outdated, lines = self._outdated(wanted), []
        for key in wanted:
            found = self.running.get(key)
            name = found["Name"].lstrip("/") if found else NAMES.get(key, key)
            how = "Running" if found and found["State"]["Running"] else "Created"
            lines.append(f" DRY-RUN MODE -  Container {name}  {'Recreate' if name in outdated else how}\n")
        return "".join(lines)

    def _outdated(self, wanted: dict[str, str]) -> list[str]:
        """The containers that Compose would replace by what is on disk."""
        return [
            item["Name"].lstrip("/")
            for key, item in self.running.items()
            if key in wanted and not self._is_made_of(item, wanted[key])
        ]

    def _is_made_of(self, container: dict[str, Any], image: str) -> bool:
        digest = hashlib.sha256(image.encode()).hexdigest()
        made_with = container["Config"]["Labels"]["com.docker.compose.config-hash"]
        return made_with == digest and container.get("Image") == self.named.get(image.split()[0])

    # ---- what tests use ------------------------------------------------------------------------------------------

    def _start(self, key: str, image: str, anew: bool, only_made: bool = False) -> None:
        found = self.running.get(key)
        if found and self._is_made_of(found, image) and not anew:
            if not found["State"]["Running"] and not only_made:
                found["State"] = self._state(image)
            return
        if found:
            del self.running[key]
            self._hear(f"between two containers of {key}")
        self._number += 1
        self.running[key] = self._made(f"{key}-{self._number}", NAMES.get(key, key), key, image)
        if only_made:
            never = "0001-01-01T00:00:00Z"
            self.running[key]["State"] = {"Running": False, "Status": "created", "ExitCode": 0, "StartedAt": never}

    def _made(self, identifier: str, name: str, key: str, image: str, one_off: bool = False) -> dict[str, Any]:
        return {
            "Id": identifier,
            "Name": f"/{name}",
            "RestartCount": 0,
            "Image": self.named.get(image.split()[0]),
            "Config": {
                "Image": image,
                "Labels": {
                    "com.docker.compose.project": PROJECT,
                    "com.docker.compose.service": key,
                    "com.docker.compose.oneoff": str(one_off),
                    "com.docker.compose.project.working_dir": self.directory,
                    "com.docker.compose.config-hash": hashlib.sha256(image.encode()).hexdigest(),
                    # A test may write labels behind the image.
                    **dict(part.split("=", 1) for part in image.split()[1:]),
                },
            },
            "State": self._state(image),
        }

    def _run(self, args: tuple[str, ...], wanted: dict[str, str]) -> tuple[int, str, str]:
        """A one-off container: one that stays, or one that runs a command and is gone."""
        name = args[args.index("--name") + 1]
        key = next(argument for argument in args if argument in wanted)
        if any(container["Name"] == f"/{name}" for container in self.running.values()):
            return 1, "", f"the name {name} is in use"
        if "--rm" in args:
            return self.commands.get(" ".join(args[args.index(key) + 1 :]), (0, "", ""))
        self._number += 1
        self.running[name] = self._made(f"{name}-{self._number}", name, key, wanted[key], one_off=True)
        return 0, "", ""

    def _state(self, image: str) -> dict[str, Any]:
        how = self.sick.get(image, "healthy")
        if how.startswith("exited"):
            return {"Running": False, "Status": "exited", "ExitCode": int(how.split()[1])}
        return {
            "Running": True,
            "Status": "running",
            "StartedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1)),
            "Health": {"Status": how, "Log": [{"Output": "probe: no answer"}]},
        }

    def container(self, key: str, **changes: Any) -> dict[str, Any]:
        """A running container, to be spoilt."""
        self.running[key].update(changes)
        return self.running[key]

    def stranger(self, name: str, project: str = "", ports: dict[int, str] | None = None) -> None:
        """A container of somebody else, with ports and the addresses that it publishes them on."""
        labels = {"com.docker.compose.project": project} if project else {}
        bindings = {f"{port}/tcp": [{"HostPort": str(port), "HostIp": ip}] for port, ip in (ports or {}).items()}
        self.strangers.append(
            {
                "Id": f"id-of-{name}",
                "Name": f"/{name}",
                "Config": {"Labels": labels},
                "HostConfig": {"PortBindings": bindings},
                "State": {"Running": True},
            }
        )

    def images(self) -> dict[str, str]:
        """The image of each service that runs."""
        return {key: item["Config"]["Image"] for key, item in self.running.items()}

    def ids(self) -> dict[str, str]:
        """The container of each service."""
        return {key: item["Id"] for key, item in self.running.items()}


def service(name: str, **other: Any) -> Service:
    """What a module call says of a service."""
    container = NAMES.get(name, name)
    usual = {
        "name": name,
        "key": name,
        "container": container,
        "release": f"<release of {name}>",
        "stand_in": f"{container}_next",
        "preparing": f"{container}_prepare",
    }
    return Service.from_dict({**usual, **other})


def file(path: str, content: str, mode: str = "0644") -> dict[str, Any]:
    """What a module call says of a file."""
    return {"path": path, "content": content, "source": "", "mode": int(mode, 8), "secret": False}


def snapshot(directory: Path) -> dict[str, bytes]:
    """Every file of an environment that is in force."""
    found = {}
    for folder, _folders, names in os.walk(directory):
        if "releases" not in Path(folder).parts:
            found.update(
                {str(Path(folder, name).relative_to(directory)): Path(folder, name).read_bytes() for name in names}
            )
    return found
