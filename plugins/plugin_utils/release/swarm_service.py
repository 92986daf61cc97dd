# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One service of a Compose project as a service of a swarm."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from ...module_utils.docker.labels import DATA, DATA_NODE_ID, INPUT, RELEASE
from ..declaration.model import Declaration
from ..isolation.declared import sockets_directory
from ..isolation.facts.service_kinds import runs_once
from ..isolation.numbers import number_of
from ..isolation.readers.compose.short_forms import parse_ports, parse_size, parse_volume
from .stack import StackService
from .swarm_files import SwarmFiles

#: How long an updated task must stay healthy until the next one is replaced.
_MONITOR = "20s"

#: Where the default nginx looks for the flags by which one machine moves requests to another container. Swarm's own
#: updates take their place, and without the directory there is no flag.
_TRAFFIC = ".bulkhead/traffic"

#: The kind of a service's question (x-bulkhead) that says that it is a database, which keeps passwords in its data.
_DATABASE = "database"

#: In the container of a database, in memory even where its files cannot be written: it has taken its passwords.
_TAKEN = "/dev/shm/bulkhead-passwords-taken"

_NO_NEW_PRIVILEGES = ("no-new-privileges", "no-new-privileges:true")

#: The condition of Swarm for each restart policy of Compose; ``no`` has none, see :func:`runs_once`.
_CONDITIONS = {"always": "any", "unless-stopped": "any", "on-failure": "on-failure"}


def note_problem(declaration: Declaration, resource: str, message: str, fix: str) -> None:
    """Note what a declaration says that a swarm cannot do."""
    variable = resource.partition(".")[0]
    declaration.problem("not-on-swarm", variable, f"{resource}: {message}", fix, resource=resource)


class SwarmService:
    """Translates one service.

    After :meth:`translated`, ``waits_for`` are services that Compose would have started before, ``pinned`` says whether
    it runs on the node with the data only, ``relays`` that it has the sockets of its node's front door, and
    ``unguarded`` that it asked for no-new-privileges, which Swarm ignores.
    """

    def __init__(self, declaration: Declaration, described: StackService, files: SwarmFiles) -> None:
        self._declaration = declaration
        self._described = described
        self._files = files
        self.key = described.key
        self.waits_for: list[str] = []
        self.pinned = False
        self.unguarded = False
        self.relays = False
        self._writes = False
        values = declaration.values
        #: The only path of a node that a task may have: a deployment makes it on each node with a front door.
        self._sockets = (
            sockets_directory(declaration.prefix, values["bulkhead_state_directory"]) if values["bulkhead_edge"] else ""
        )

    def translated(self, definition: Mapping[str, Any], own: Mapping[str, str]) -> dict[str, Any]:
        """The service as a stack file has it. ``own`` are the environment's labels."""
        service = dict(definition)
        if runs_once(definition):
            self._problem(
                "restart", "it ends when its work is done, and Swarm would wait for a task that keeps running",
                "put its command into bulkhead_prepare, or give it a restart policy if it is a server",
            )  # fmt: skip
        self._named_as_before(service)
        self._mounts(service)
        self._learns(service)
        self._ports(service)
        self._settings(service)
        deploy = dict(service.get("deploy") or {})
        policy = self._restart(service)
        if policy:
            deploy.setdefault("restart_policy", policy)
        self._dependencies(service)
        self._security(service)
        deploy["labels"] = {**_as_mapping(deploy.get("labels")), **own}
        service["deploy"] = {**deploy, **self._updates(service, deploy), **self._placed(service, deploy)}
        service["labels"] = {key: value for key, value in service["labels"].items() if key not in (INPUT, RELEASE)}
        # With Compose, too, it opens nothing.
        service.pop("expose", None)
        if self._described.application and service.get("pull_policy") == "never":
            service.pop("pull_policy")
        return service

    def _problem(self, key: str, message: str, fix: str) -> None:
        note_problem(self._declaration, f"bulkhead_services.{self._described.name}.{key}", message, fix)

    def _named_as_before(self, service: dict[str, Any]) -> None:
        """Let the service be found under the name that its one container would have."""
        name = service.pop("container_name", "")
        if not name or service.get("network_mode"):
            return
        given = service.get("networks") or ["default"]
        networks = dict.fromkeys(given) if isinstance(given, list) else dict(given)
        for key, attachment in networks.items():
            aliases = [*((attachment or {}).get("aliases") or ()), name]
            networks[key] = {**(attachment or {}), "aliases": list(dict.fromkeys(aliases))}
        service["networks"] = networks

    def _mounts(self, service: dict[str, Any]) -> None:
        """Volumes stay; a bind of files that are brought along becomes configs and secrets."""
        kept: list[Any] = []
        for given in service.get("volumes") or ():
            mount = dict(given) if isinstance(given, Mapping) else parse_volume(str(given))
            kind, source = str(mount.get("type") or ""), str(mount.get("source") or "")
            if kind == "bind" and source == self._sockets:
                self.relays = True
                kept.append({"type": kind, "source": source, "target": mount.get("target")})
                continue
            if kind == "bind":
                self._bind(service, mount, source)
                continue
            if kind == "volume" and not source:
                self._problem(
                    "volumes", f"{mount.get('target')} is a volume without a name, empty wherever a task starts",
                    "give the volume a name, or use a tmpfs",
                )  # fmt: skip
            if kind == "volume" and source:
                self.pinned = True
                self._writes = self._writes or not mount.get("read_only")
            kept.append({key: value for key, value in mount.items() if value not in ({}, None)})
        memory = service.pop("shm_size", None)
        if memory is not None:
            kept.append({"type": "tmpfs", "target": "/dev/shm", "tmpfs": {"size": parse_size(memory)}})
        if kept:
            service["volumes"] = kept
        else:
            service.pop("volumes", None)

    def _learns(self, service: dict[str, Any]) -> None:
        """Have each new task of a database take the passwords of its files before it counts as healthy.

        Its data has those of earlier releases, and from a manager no command can be run in a task on another node. So
        the health check does it, once in each container.
        """
        command = self._described.retire or self._described.on_change
        check = dict(service.get("healthcheck") or {})
        how = check.get("test")
        if self._described.question_kind != _DATABASE or not (command and how) or how == ["NONE"] or not self._writes:
            return
        kind, *words = ["CMD-SHELL", how] if isinstance(how, str) else map(str, how)
        asked = words[0] if kind == "CMD-SHELL" else shlex.join(words)
        learn = shlex.join(command).replace("$", "$$")  # Compose's own dollar: in this command it means itself
        taken = f"{{ {learn} < /dev/null && : > {_TAKEN}; }}"
        check["test"] = ["CMD", "sh", "-c", f"{{ {asked}\n}} && {{ [ -e {_TAKEN} ] || {taken}; }}"]
        service["healthcheck"] = check

    def _bind(self, service: dict[str, Any], mount: Mapping[str, Any], source: str) -> None:
        path = posixpath.normpath(source)
        if path == _TRAFFIC:
            return
        if not source.startswith("./"):
            self._problem(
                "volumes", f"{source} is a path of one node, and a task may run on any",
                "put files into the image, or let the service bring them along (x-bulkhead.files)",
            )  # fmt: skip
            return
        found = self._files.mounted(path, str(mount.get("target") or ""))
        if not found:
            self._problem(
                "volumes", f"{source} is a directory of the environment, which the other nodes do not have, and no "
                "service brings a file there",
                "use a named volume, or let the service bring files along (x-bulkhead.files)",
            )  # fmt: skip
        elif not mount.get("read_only"):
            self._problem(
                "volumes", f"{source} becomes configs and secrets, which nobody can write to",
                f"mount it read-only ({source}:{mount.get('target')}:ro), or use a named volume",
            )  # fmt: skip
        for section, entry in found:
            service[section] = [*(service.get(section) or ()), entry]

    def _ports(self, service: dict[str, Any]) -> None:
        """Ports in their long form, each with the mode that the declaration chooses."""
        mode = self._declaration.values["bulkhead_swarm_ports"]
        found = []
        for given in service.get("ports") or ():
            for port in [dict(given)] if isinstance(given, Mapping) else parse_ports(str(given)):
                for key in ("target", "published"):
                    text = str(port.get(key) or "")
                    if text.isdecimal():
                        port[key] = number_of(text)
                    elif text:
                        self._problem(
                            "ports", f"{text} is a range", "write one entry for each port, which Swarm wants"
                        )  # fmt: skip
                own = port.get("mode") if isinstance(given, Mapping) else ""
                known = {key: value for key, value in port.items() if value not in ("", None)}
                found.append({**known, "mode": own or mode})
        if found:
            service["ports"] = found

    def _settings(self, service: dict[str, Any]) -> None:
        given = service.get("env_file") or ()
        listed = [given] if isinstance(given, (str, Mapping)) else list(given)
        paths = [str(entry.get("path") if isinstance(entry, Mapping) else entry) for entry in listed]
        for path in paths:
            if path.removeprefix("./") != ".env":
                self._problem(
                    "env_file", f"the client of a swarm reads {path} by other rules than Compose (quotes stay)",
                    "put the settings into bulkhead_env, or into environment of the service",
                )  # fmt: skip
        if paths:
            service["env_file"] = paths

    def _restart(self, service: dict[str, Any]) -> dict[str, Any]:
        name, _colon, attempts = str(service.pop("restart", "") or "").partition(":")
        condition = _CONDITIONS.get(name)
        if not condition:
            return {}
        return {"condition": condition, **({"max_attempts": number_of(attempts)} if attempts.isdecimal() else {})}

    def _dependencies(self, service: dict[str, Any]) -> None:
        given = service.pop("depends_on", None) or {}
        self.waits_for = [str(name) for name in given]
        for name in self.waits_for:
            how = given[name] if isinstance(given, Mapping) else {}
            if isinstance(how, Mapping) and how.get("condition") == "service_completed_successfully":
                self._problem(
                    "depends_on", f"it waits until {name} has ended, and Swarm starts services in no order",
                    f"put the command of {name} into bulkhead_prepare, which runs before the services",
                )  # fmt: skip

    def _security(self, service: dict[str, Any]) -> None:
        options = [str(option) for option in service.pop("security_opt", None) or ()]
        left = [option for option in options if option.replace("=", ":") not in _NO_NEW_PRIVILEGES]
        self.unguarded = len(left) < len(options)
        if left:
            service["security_opt"] = left

    def _updates(self, service: Mapping[str, Any], deploy: Mapping[str, Any]) -> dict[str, Any]:
        """Health-gated updates, one task after the other; what fails is rolled back by the engine."""
        ports = service.get("ports") or ()
        on_host = any(port.get("mode") == "host" for port in ports)
        alone = on_host or (self._writes and not self._described.rolling)
        order = "start-first" if not alone and (self._described.rolling or ports) else "stop-first"
        own = deploy.get("update_config") or {}
        for why in self._contradictions(own, on_host, alone):
            self._problem("deploy.update_config", *why)
        if alone and not on_host and self._described.replicas > 1:
            self._problem(
                "deploy.replicas", f"{self._described.replicas} tasks would write to one volume",
                "leave replicas out; what keeps data runs once",
            )  # fmt: skip
        update = {"parallelism": 1, "order": order, "monitor": _MONITOR, "failure_action": "rollback"}
        rollback = {"parallelism": 1, "order": order, "monitor": _MONITOR, "failure_action": "pause"}
        return {
            "update_config": {**update, **own},
            "rollback_config": {**rollback, **(deploy.get("rollback_config") or {})},
        }

    def _contradictions(self, own: Mapping[str, Any], on_host: bool, alone: bool) -> Iterator[tuple[str, str]]:
        """(message, fix) of each thing in a service's own ``update_config`` that would not work."""
        action = own.get("failure_action", "rollback")
        if action != "rollback":
            yield (
                f"failure_action {action} leaves a failed release running",
                "leave it out: the engine rolls back, and the deployment fails",
            )
        if own.get("order") == "start-first" and alone:
            why = "a port in mode host is taken until the earlier task has ended, so the update never ends"
            if not on_host:
                why = "two tasks would write to one volume"
            yield f"start-first cannot work: {why}", "leave order out"

    def _placed(self, service: Mapping[str, Any], deploy: Mapping[str, Any]) -> dict[str, Any]:
        """On which nodes the service runs: that of its data; on each where visitors come to it, through front doors or
        at a port of the node, as they do not follow a task that moves; else on any."""
        placement = dict(deploy.get("placement") or {})
        if self.pinned:
            pin = f"node.labels.{DATA}{self._declaration.prefix} == true"
            held = f"node.id == {DATA_NODE_ID}"
            placement["constraints"] = list(dict.fromkeys([*(placement.get("constraints") or ()), pin, held]))
            return {"placement": placement}
        if self._described.edge:
            # One on each node: a node that is drained or lost takes none away that others need.
            return {} if {"mode", "replicas"} & set(deploy) else {"mode": "global"}
        if not any(port.get("mode") == "host" for port in service.get("ports") or ()):
            return {}
        if deploy.get("mode", "global") != "global" or deploy.get("replicas") is not None:
            self._problem(
                "deploy", "its tasks would move from node to node, and with them the ports that visitors use",
                "leave mode and replicas out, for a task on each node; deploy.placement.constraints names some nodes, "
                "and with bulkhead_swarm_ports: ingress every node passes requests on",
            )  # fmt: skip
        return {"mode": "global"}


def _as_mapping(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {key: text for key, _unused, text in (str(item).partition("=") for item in value)}
    return dict(value or {})
