# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one environment's machine looks like beside what is wanted. Looks only; runs on the targets."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible_collections.aiia.bulkhead.plugins.module_utils.containers import (
    CONFIG_HASH,
    ONE_OFF,
    SERVICE,
    is_well,
    labels_of,
    name_of,
)
from ansible_collections.aiia.bulkhead.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.firewall import Firewall
from ansible_collections.aiia.bulkhead.plugins.module_utils.git import Checkout
from ansible_collections.aiia.bulkhead.plugins.module_utils.tree import Tree, Wanted, digest, read

#: What the last successful deployment left, below the environment's directory.
STATE = ".bulkhead/state.json"


class Comparison:
    """One environment as it is and as it shall be.

    ``stale`` are services whose files changed since they last took them, ``broken`` those that do not run as recorded,
    ``orphans`` containers of services that are gone.
    """

    def __init__(self, engine: Engine, tree: Tree, checkout: Checkout | None, params: dict[str, Any]) -> None:
        self.engine = engine
        self.tree = tree
        self.checkout = checkout
        self.params = params
        self.services: list[dict[str, Any]] = params["services"]
        self.state = self._load_state()
        self.files = self._wanted_files()
        self.refresh()
        self.before = {each["Id"]: each.get("RestartCount", 0) for each in self.containers}
        self.changed_files = [wanted for wanted in self.files if tree.differs(wanted)]
        kept = {wanted.path for wanted in self.files}
        # The owner can write the state, and this may run as root: nothing outside the directory is ever removed.
        gone = [path for path in self.state.get("files", ()) if path not in kept and tree.holds(path)]
        self.gone_files = [path for path in gone if read(tree.path(path)) is not None]
        self.digests = {service["name"]: self._files_digest(service) for service in self.services}
        applied = self.state.get("applied", {})
        self.stale = [each for each in self.services if applied.get(each["name"]) != self.digests[each["name"]]]
        self.images = engine.image_ids([service["image"] for service in self.services if service["image"]])
        self.broken = [each for each in self.services if not self._runs_as_recorded(each)]
        keys = {service["key"] for service in self.services}
        self.orphans = [
            each
            for each in self.containers
            if labels_of(each).get(ONE_OFF) != "True" and labels_of(each).get(SERVICE) not in keys
        ]
        self.wants_code = self._wants_code()
        self.firewall = self._firewall()

    def refresh(self) -> None:
        """Look at the project's containers again."""
        self.containers: list[dict[str, Any]] = self.engine.project_containers()

    def of_service(self, service: dict[str, Any]) -> list[dict[str, Any]]:
        """The containers of a service, without one-off ones."""
        return [
            each
            for each in self.containers
            if labels_of(each).get(SERVICE) == service["key"] and labels_of(each).get(ONE_OFF) != "True"
        ]

    def plan(self) -> list[str]:
        """What would be done, one line each; empty when everything is as it should be."""
        steps = ["write %s" % wanted.path for wanted in self.changed_files]
        steps += ["remove %s" % path for path in self.gone_files]
        if self.wants_code:
            steps.append("check out %s in code" % self.params["commit"][:12])
        steps += ["start %s" % service["container"] for service in self.broken]
        steps += [
            "bring changed files to %s" % service["container"] for service in self.stale if service not in self.broken
        ]
        steps += ["remove %s, whose service is gone" % name_of(each) for each in self.orphans]
        if self.firewall:
            steps += self.firewall.plan()
        return steps

    def _wanted_files(self) -> list[Wanted]:
        """The files as they shall be, those copied from the machine included."""
        found = []
        for each in self.params["files"] + self.params["secret_files"]:
            content = (each.get("content") or "").encode("utf-8", "surrogateescape")
            if each.get("source"):
                content = read(os.path.realpath(each["source"]))
                if content is None:
                    raise EngineError(
                        "%s does not exist on this machine (it is wanted as %s)" % (each["source"], each["path"])
                    )
            found.append(Wanted(each["path"], content, int(each["mode"], 8), each in self.params["secret_files"]))
        return found

    def _files_digest(self, service: dict[str, Any]) -> str:
        paths = set(service["files"])
        content = [(wanted.path, digest(wanted.content)) for wanted in self.files if wanted.path in paths]
        return digest(json.dumps(sorted(content)).encode())

    def _runs_as_recorded(self, service: dict[str, Any]) -> bool:
        recorded = self.state.get("hashes", {}).get(service["name"])
        found = self.of_service(service)
        return bool(found) and all(
            labels_of(each).get(CONFIG_HASH) == recorded
            and name_of(each) == service["container"]
            and each.get("Image") == self.images.get(service["image"], each.get("Image"))
            and is_well(each, service["one_shot"])
            for each in found
        )

    def _wants_code(self) -> bool:
        if not self.checkout or not self.params["commit"]:
            return False
        return self.checkout.head() != self.params["commit"] or self.checkout.current_branch() != self.checkout.branch

    def _firewall(self) -> Firewall | None:
        """The guard; None where none is wanted and none was put up, so that nobody else needs root or iptables."""
        wanted = self.params.get("firewall")
        if not wanted and self.state.get("firewall") is None:
            return None
        ports = self.params["firewall_ports"] if wanted else None
        chain, networks = self.params["firewall_chain"], self.params["networks"]
        return Firewall(self.engine, self.params["prefix"], chain, networks, ports)

    def _load_state(self) -> dict[str, Any]:
        content = read(self.tree.path(STATE))
        try:
            state = json.loads(content.decode()) if content else {}
        except ValueError:
            return {}
        return state if isinstance(state, dict) else {}
