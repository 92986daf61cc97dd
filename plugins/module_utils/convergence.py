# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring one environment's release into force on its machine, or leave everything as it was. Runs on the targets."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from ansible_collections.aiia.bulkhead.plugins.module_utils.comparison import STATE, Comparison
from ansible_collections.aiia.bulkhead.plugins.module_utils.containers import (
    CONFIG_HASH,
    SERVICE,
    condition,
    is_well,
    labels_of,
    name_of,
)
from ansible_collections.aiia.bulkhead.plugins.module_utils.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.failure import Failure, last_lines
from ansible_collections.aiia.bulkhead.plugins.module_utils.refusals import refuse_foreign
from ansible_collections.aiia.bulkhead.plugins.module_utils.tree import Wanted, digest
from ansible_collections.aiia.bulkhead.plugins.module_utils.validation import validate

RELEASES = ".bulkhead/releases"


class Converger:
    """Makes a machine what a comparison says it shall be, and undoes what it did when that fails."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.engine = comparison.engine
        self.tree = comparison.tree
        self.checkout = comparison.checkout
        self.params = comparison.params
        self.firewall = comparison.firewall
        #: Services that took changed files, and would have to take the earlier ones again.
        self.brought: list[dict[str, Any]] = []

    def apply(self) -> str:
        """Bring the release into force. Raises EngineError after everything is as it was before."""
        self.engine.check_versions()
        refuse_foreign(self.comparison)
        release = self._stage()
        try:
            validate(self.comparison, self.tree.path(release))
            self._bring_into_force(release)
        except BaseException:
            self.tree.remove(release)
            raise
        self._prune_releases()
        return os.path.basename(release)

    def _bring_into_force(self, release: str) -> None:
        previous = bool(self.comparison.state) and os.path.isfile(self.tree.path(self.engine.compose_file))
        commit_before = self.checkout.head() if self.comparison.wants_code else ""
        try:
            self.tree.sweep(wanted.path for wanted in self.comparison.files)
            self.tree.install(self.comparison.changed_files, self.comparison.gone_files)
            if self.comparison.wants_code:
                self.checkout.move_to(self.params["commit"])
            self._guard_first()
            self._serve(self.comparison.services, self.comparison.stale)
            self._remove(self.comparison.orphans)
            if self.firewall:  # Compose may have replaced a network
                self.firewall.apply(self.firewall.ports)
            self._save_state(release)
        except Failure as error:
            self.tree.remove(release)  # a full disk needs the room to put files back
            if previous:
                self._undo(self._back_to_previous, error, commit_before)
            else:
                self._undo(self._back_to_nothing, error)
            raise

    def _guard_first(self) -> None:
        """Put the firewall's guard up before a container starts: networks are made without starting anything."""
        if not self.firewall:
            return
        if self.firewall.incomplete():
            code, output, errors = self.engine.compose("up", "--no-start", "--no-build", "--quiet-pull")
            self.comparison.refresh()
            if code != 0:
                raise EngineError("the containers could not be made", last_lines(errors or output))
        self.firewall.apply(self.firewall.ports)

    def _stage(self) -> str:
        everything = digest(
            json.dumps([(wanted.path, digest(wanted.content)) for wanted in self.comparison.files]).encode()
        )
        release = os.path.join(RELEASES, "%s-%s" % (time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), everything[:8]))
        try:
            for wanted in self.comparison.files:
                self.tree.write(wanted, release)
            for service in self.comparison.services:
                for mount in service["mounts"]:
                    self.tree.make_directory(os.path.join(release, mount.split(":")[0][2:]))
                    self.tree.make_directory(mount.split(":")[0][2:])
        except Exception:
            self.tree.remove(release)
            raise
        return release

    def _serve(self, services: list[dict[str, Any]], stale: list[dict[str, Any]]) -> None:
        """Start what is on disk, and let services whose files changed take them. Those that others wait for come
        first: an application that starts with a new password needs a database that knows it."""
        self._name_back(services)
        early = [each for each in stale if each["awaited"] and self.comparison.of_service(each)]
        if early:
            self._up(early, [each["key"] for each in early])
            self._bring_files(early)
        self._up(services)
        self._bring_files([each for each in stale if each not in early])
        self._wait(services)

    def _name_back(self, services: list[dict[str, Any]]) -> None:
        """Give containers that somebody renamed their names again: Compose knows them by labels and would not."""
        for service in services:
            found = self.comparison.of_service(service)
            if len(found) == 1 and name_of(found[0]) != service["container"]:
                self.engine.docker_ok("rename", found[0]["Id"], service["container"])

    def _up(self, services: list[dict[str, Any]], keys: Iterable[str] = ()) -> None:
        code, output, errors = self.engine.compose("up", "--detach", "--no-build", "--quiet-pull", *keys)
        self.comparison.refresh()
        if code != 0:
            self._fail_unhealthy(last_lines(errors or output, 6))
        self._wait(services)

    def _bring_files(self, services: list[dict[str, Any]]) -> None:
        """Let running containers take changed files: by their own command, else by being recreated."""
        for service in services:
            if not service["files"]:
                continue
            self.brought.append(service)
            fresh = not any(each["Id"] in self.comparison.before for each in self.comparison.of_service(service))
            if service["on_change"]:
                for each in self.comparison.of_service(service):
                    code, output, errors = self.engine.docker("exec", each["Id"], *service["on_change"])
                    if code != 0:
                        raise EngineError(
                            "service %s did not take its changed files (%s)"
                            % (service["name"], " ".join(service["on_change"][:3])),
                            last_lines(errors or output),
                        )
            elif not fresh:
                code, output, errors = self.engine.compose(
                    "up", "--detach", "--no-build", "--no-deps", "--force-recreate", service["key"]
                )
                if code != 0:
                    raise EngineError(
                        "service %s could not be recreated" % service["name"], last_lines(errors or output)
                    )
        self.comparison.refresh()
        self._wait(services)

    def _wait(self, services: list[dict[str, Any]]) -> None:
        deadline = time.monotonic() + self.params["wait_timeout"]
        while True:
            waiting: list[dict[str, Any]] = []
            failed: list[dict[str, Any]] = []
            for service in services:
                found = self.comparison.of_service(service)
                waiting += [] if found else [service]
                for each in found:
                    restarts = each.get("RestartCount", 0) - self.comparison.before.get(each["Id"], 0)
                    if is_well(each, service["one_shot"]) and (condition(each) != "running" or restarts < 3):
                        continue
                    hopeless = condition(each) == "unhealthy" or condition(each).startswith("exited") or restarts > 2
                    (failed if hopeless else waiting).append(each)
            if failed or waiting and time.monotonic() > deadline:
                self._fail_unhealthy("")
            if not waiting:
                return
            time.sleep(0.3)
            self.comparison.refresh()

    def _fail_unhealthy(self, said: str) -> NoReturn:
        """Raise EngineError with every container that is not as it should be, and its last lines."""
        lines = [said] if said else []
        bad = []
        for service in self.comparison.services:
            for each in self.comparison.of_service(service):
                if is_well(each, service["one_shot"]):
                    continue
                bad.append("%s is %s" % (name_of(each), condition(each)))
                if condition(each).startswith("created"):
                    continue
                probes = ((each["State"].get("Health") or {}).get("Log") or [])[-1:]
                lines += [
                    "health check of %s: %s" % (name_of(each), last_lines(probe.get("Output", ""), 3))
                    for probe in probes
                ]
                lines += ["log of %s:" % name_of(each), self.engine.logs(each["Id"])]
        raise EngineError(
            "the containers did not get healthy: %s" % ("; ".join(bad) or "Compose failed"), "\n".join(lines)
        )

    def _remove(self, containers: list[dict[str, Any]]) -> None:
        if containers:
            self.engine.docker_ok("rm", "--force", *[each["Id"] for each in containers])
            self.comparison.refresh()

    @staticmethod
    def _undo(back: Callable[..., str], error: Failure, *args: str) -> None:
        """Put back what was; the error says how that went."""
        try:
            error.message += ". %s" % back(*args)
        except Failure as second:
            error.message += ". And putting back what was failed: %s" % second.message
            error.detail += "\n" + second.detail

    def _back_to_previous(self, commit_before: str) -> str:
        """Files, checkout and containers of the previous release."""
        self.tree.restore()
        if commit_before:
            self.checkout.move_to(commit_before)
        self.comparison.refresh()
        kept = self._service_keys_in_force()
        self._remove([each for each in self._started() if labels_of(each).get(SERVICE) not in kept])
        # What runs now may have taken files of the failed release; what starts from here on has the earlier ones.
        self.comparison.before = {each["Id"]: each.get("RestartCount", 0) for each in self.comparison.containers}
        services = [service for service in self.comparison.services if service["key"] in kept]
        self._serve(services, [service for service in services if service in self.brought])
        if self.firewall:
            self.firewall.apply(self.comparison.state.get("firewall"))
        return "The previous release serves again"

    def _back_to_nothing(self) -> str:
        """There was no release: what this run started goes, volumes stay."""
        self.comparison.refresh()
        self._remove(self._started())
        if self.firewall:
            self.firewall.apply(None)
        if not self.comparison.containers:
            for network in self.params["networks"]:
                self.engine.docker("network", "rm", network)
        self.tree.restore()
        return "There was no release before: what this run had started was removed, volumes were kept"

    def _started(self) -> list[dict[str, Any]]:
        return [each for each in self.comparison.containers if each["Id"] not in self.comparison.before]

    def _service_keys_in_force(self) -> list[str]:
        code, output, _errors = self.engine.compose("config", "--services")
        return output.split() if code == 0 else []

    def _save_state(self, release: str) -> None:
        self.comparison.refresh()
        hashes = {}
        for service in self.comparison.services:
            for each in self.comparison.of_service(service):
                hashes[service["name"]] = labels_of(each).get(CONFIG_HASH)
        self.comparison.state = {
            "release": os.path.basename(release),
            "commit": self.params["commit"],
            "files": [wanted.path for wanted in self.comparison.files],
            "applied": self.comparison.digests,
            "hashes": hashes,
        }
        if self.firewall and self.firewall.ports is not None:
            self.comparison.state["firewall"] = self.firewall.ports
        self.tree.write(Wanted(STATE, json.dumps(self.comparison.state, indent=1).encode(), 0o600))

    def _prune_releases(self) -> None:
        folder = self.tree.path(RELEASES)
        for old in sorted(os.listdir(folder))[: -max(1, self.params["keep_releases"])]:
            self.tree.remove(os.path.join(RELEASES, old))
