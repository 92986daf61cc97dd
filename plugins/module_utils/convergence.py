# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring one environment's release into force on its machine, or leave everything as it was. Runs on the targets."""

from __future__ import annotations

import json
import os
import time

from ansible_collections.aiia.bulkhead.plugins.module_utils import sockets
from ansible_collections.aiia.bulkhead.plugins.module_utils.engine import EngineError, last_lines
from ansible_collections.aiia.bulkhead.plugins.module_utils.tree import Wanted, digest, read

_PROJECT = "com.docker.compose.project"
_SERVICE = "com.docker.compose.service"
_WORKING_DIRECTORY = "com.docker.compose.project.working_dir"
_ONE_OFF = "com.docker.compose.oneoff"
_CONFIG_HASH = "com.docker.compose.config-hash"

STATE = ".bulkhead/state.json"
RELEASES = ".bulkhead/releases"


def labels_of(container):
    """The labels of an inspected container."""
    return (container.get("Config") or {}).get("Labels") or {}


def name_of(container):
    """The name of an inspected container."""
    return container.get("Name", "").lstrip("/")


def condition(container):
    """How a container is: ``healthy``, ``starting``, ``unhealthy``, ``running``, ``restarting``, ``exited (1)`` …"""
    state = container.get("State") or {}
    health = (state.get("Health") or {}).get("Status")
    if state.get("Restarting"):
        return "restarting"
    if state.get("Running"):
        return health if health and health != "none" else "running"
    return "%s (%s)" % (state.get("Status", "gone"), state.get("ExitCode", "?"))


class Converger:
    """One environment on one machine. ``plan`` only looks; ``apply`` changes, and undoes what it did when it fails."""

    def __init__(self, module, engine, tree, checkout, params):
        self.module = module
        self.engine = engine
        self.tree = tree
        self.checkout = checkout
        self.params = params
        self.services = params["services"]
        self.by_key = {service["key"]: service for service in self.services}
        self.state = self._load_state()
        self.files = []
        self.containers = []
        self.before = {}
        self.digests = {}
        self.stale = []
        self.broken = []
        self.orphans = []
        self.wants_code = False
        self.changed_files = []
        self.gone_files = []

    # ---- looking -------------------------------------------------------------------------------------------------

    def wanted_files(self):
        """The files as they shall be, those copied from the machine included."""
        found = []
        for each in self.params["files"] + self.params["secret_files"]:
            content = (each.get("content") or "").encode("utf-8", "surrogateescape")
            if each.get("source"):
                content = read(os.path.realpath(each["source"]))
                if content is None:
                    raise EngineError("%s does not exist on this machine (it is wanted as %s)" % (each["source"], each["path"]))
            found.append(Wanted(each["path"], content, int(each["mode"], 8), each in self.params["secret_files"]))
        return found

    def look(self):
        """Observe the machine and compare. Raises EngineError where something that is not ours is in the way."""
        self.files = self.wanted_files()
        self.containers = self.engine.project_containers()
        self.before = {each["Id"]: each.get("RestartCount", 0) for each in self.containers}
        self._refuse_foreign_project()
        self._refuse_foreign_names()
        self.changed_files = [wanted for wanted in self.files if self.tree.differs(wanted)]
        kept = {wanted.path for wanted in self.files}
        self.gone_files = [path for path in self.state.get("files", ()) if path not in kept and read(self.tree.path(path)) is not None]
        self.digests = {service["name"]: self._files_digest(service) for service in self.services}
        applied = self.state.get("applied", {})
        self.stale = [service for service in self.services if applied.get(service["name"]) != self.digests[service["name"]]]
        self.broken = [service for service in self.services if not self._runs_as_recorded(service)]
        self.orphans = [each for each in self.containers if self._is_orphan(each)]
        self.wants_code = self._wants_code()

    def plan(self):
        """What would be done, one line each; empty when everything is as it should be."""
        steps = ["write %s" % wanted.path for wanted in self.changed_files]
        steps += ["remove %s" % path for path in self.gone_files]
        if self.wants_code:
            steps.append("check out %s in code" % self.params["commit"][:12])
        steps += ["start %s" % service["container"] for service in self.broken]
        steps += ["bring changed files to %s" % service["container"] for service in self.stale if service not in self.broken]
        steps += ["remove %s, whose service is gone" % name_of(each) for each in self.orphans]
        return steps

    def _refuse_foreign_project(self):
        for each in self.containers:
            where = labels_of(each).get(_WORKING_DIRECTORY, "")
            if os.path.realpath(where) != os.path.realpath(self.engine.directory):
                raise EngineError(
                    "container %s runs in the Compose project %s from %s, which is not this environment's directory %s. Compose would "
                    "take it for ours and replace it: stop that project, or give it another project name"
                    % (name_of(each), self.engine.project, where or "an unknown directory", self.engine.directory))

    def _refuse_foreign_names(self):
        ours = {name_of(each) for each in self.containers}
        missing = [service["container"] for service in self.services if service["container"] not in ours]
        for each in self.engine.inspect(missing):
            labels = labels_of(each)
            owner = "the Compose project %s (%s)" % (labels[_PROJECT], labels.get(_WORKING_DIRECTORY, "")) if labels.get(_PROJECT) else "nobody's Compose project"
            raise EngineError(
                "a container called %s exists and is not this environment's: it belongs to %s. Rename or remove it; nothing was changed"
                % (name_of(each), owner))

    def _files_digest(self, service):
        paths = set(service["files"])
        content = [(wanted.path, digest(wanted.content)) for wanted in self.files if wanted.path in paths]
        return digest(json.dumps(sorted(content)).encode())

    def _of_service(self, service):
        return [each for each in self.containers
                if labels_of(each).get(_SERVICE) == service["key"] and labels_of(each).get(_ONE_OFF) != "True"]

    def _runs_as_recorded(self, service):
        found = self._of_service(service)
        if not found:
            return False
        recorded = self.state.get("hashes", {}).get(service["name"])
        for each in found:
            if labels_of(each).get(_CONFIG_HASH) != recorded:
                return False
            if condition(each) not in ("running", "healthy") and not (service["one_shot"] and condition(each) == "exited (0)"):
                return False
        return True

    def _is_orphan(self, container):
        labels = labels_of(container)
        return labels.get(_ONE_OFF) != "True" and labels.get(_SERVICE) not in self.by_key

    def _wants_code(self):
        if not self.checkout or not self.params["commit"]:
            return False
        return self.checkout.head() != self.params["commit"] or self.checkout.current_branch() != self.checkout.branch

    def _load_state(self):
        content = read(self.tree.path(STATE))
        try:
            return json.loads(content.decode()) if content else {}
        except ValueError:
            return {}

    # ---- refusing before anything in force is changed ----------------------------------------------------------

    def refuse_taken_ports(self):
        """Raise EngineError when somebody else listens where we want to publish; says who."""
        ours = {name_of(each) for each in self.containers}
        published = self._published_by_others(ours)
        own = {(port, address) for each in self.containers for port, address in published_by(each)}
        listening = None
        problems = []
        for each in self.params["ports"]:
            port, address = each["port"], each["address"]
            taken = [who for other, other_address, who in published if other == port and sockets.overlap(address, other_address)]
            if not taken and not any(port == mine and sockets.overlap(address, where) for mine, where in own):
                listening = sockets.listening() if listening is None else listening
                taken = [sockets.process_of(inode) or "a process of another user" for found, number, inode in listening
                         if number == port and sockets.overlap(address, found)]
            if taken:
                problems.append("port %d%s of service %s is taken by %s" % (port, " on %s" % address if address else "", each["service"], taken[0]))
        if problems:
            raise EngineError("; ".join(problems) + ". Stop what holds it, or choose another port (bulkhead_http_port, bulkhead_https_port)")

    def _published_by_others(self, ours):
        ids = self.engine.docker_ok("ps", "--quiet", "--no-trunc").split()
        found = []
        for each in self.engine.inspect(ids):
            if name_of(each) not in ours:
                project = labels_of(each).get(_PROJECT)
                who = "container %s%s" % (name_of(each), " of the Compose project %s" % project if project else "")
                found += [(port, address, who) for port, address in published_by(each)]
        return found

    def validate(self, release):
        """Ask Compose and the services' own programs about a release that is written and not in force."""
        directory = self.tree.path(release)
        code, output, errors = self.engine.compose("config", "--quiet", directory=directory)
        if code != 0:
            raise EngineError("Compose does not accept %s" % self.engine.compose_file, last_lines(errors or output))
        changed = {wanted.path for wanted in self.changed_files}
        for service in self.services:
            if service["validate"] and changed & set(service["files"]):
                self._validate_service(service, directory)

    def _validate_service(self, service, directory):
        command = ["run", "--rm", "--network", "none", "--cap-drop", "ALL", "--cap-add", "SETUID", "--cap-add", "SETGID",
                   "--cap-add", "CHOWN", "--cap-add", "NET_BIND_SERVICE", "--security-opt", "no-new-privileges",
                   "--label", "io.bulkhead.prefix=%s" % self.params["prefix"], "--entrypoint", service["validate"][0]]
        for mount in service["mounts"]:
            source, target = mount.split(":")[:2]
            command += ["--volume", "%s:%s:ro" % (os.path.normpath(os.path.join(directory, source)), target)]
        code, output, errors = self.engine.docker(*(command + [service["image"]] + service["validate"][1:]))
        if code != 0:
            raise EngineError("%s of service %s does not accept its new configuration" % (service["validate"][0], service["name"]),
                              last_lines(errors or output))

    # ---- changing ---------------------------------------------------------------------------------------------------

    def apply(self):
        """Bring the release into force. Raises EngineError after everything is as it was before."""
        self.engine.check_versions()
        self.refuse_taken_ports()
        release = self._stage()
        previous = os.path.isfile(self.tree.path(self.engine.compose_file)) and bool(self.state)
        commit_before = self.checkout.head() if self.wants_code else ""
        try:
            self.validate(release)
            if self.wants_code:
                self.checkout.move_to(self.params["commit"])
            self.tree.install(self.changed_files, self.gone_files)
            self._up()
            self._bring_files()
            self._remove(self.orphans)
            self._save_state(release)
        except EngineError as error:
            self._undo(previous, commit_before, error)
            self.tree.remove(release)
            raise
        except BaseException:
            self.tree.remove(release)
            raise
        self._prune_releases()
        return os.path.basename(release)

    def _stage(self):
        everything = digest(json.dumps([(wanted.path, digest(wanted.content)) for wanted in self.files]).encode())
        release = os.path.join(RELEASES, "%s-%s" % (time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), everything[:8]))
        try:
            for wanted in self.files:
                self.tree.write(wanted, release)
            for service in self.services:
                for mount in service["mounts"]:
                    self.tree.make_directory(os.path.join(release, mount.split(":")[0][2:]))
                    self.tree.make_directory(mount.split(":")[0][2:])
        except Exception:
            self.tree.remove(release)
            raise
        return release

    def _up(self):
        code, output, errors = self.engine.compose("up", "--detach", "--no-build", "--quiet-pull")
        self._refresh()
        if code != 0:
            self._fail_unhealthy(last_lines(errors or output, 6))
        self._wait()

    def _bring_files(self):
        """Let running containers take changed files: by their own command, else by being recreated."""
        for service in self.services:
            if service not in self.stale or not service["files"]:
                continue
            fresh = not any(each["Id"] in self.before for each in self._of_service(service))
            if service["on_change"]:
                for each in self._of_service(service):
                    code, output, errors = self.engine.docker("exec", each["Id"], *service["on_change"])
                    if code != 0:
                        raise EngineError("service %s did not take its changed files (%s)" % (service["name"], " ".join(service["on_change"][:3])),
                                          last_lines(errors or output))
            elif not fresh:
                code, output, errors = self.engine.compose("up", "--detach", "--no-build", "--no-deps", "--force-recreate", service["key"])
                if code != 0:
                    raise EngineError("service %s could not be recreated" % service["name"], last_lines(errors or output))
        self._refresh()
        self._wait()

    def _wait(self):
        deadline = time.monotonic() + self.params["wait_timeout"]
        while True:
            waiting, failed = [], []
            for service in self.services:
                found = self._of_service(service)
                for each in found:
                    how = condition(each)
                    restarts = each.get("RestartCount", 0) - self.before.get(each["Id"], 0)
                    if how in ("running", "healthy") and not (how == "running" and restarts > 2):
                        continue
                    if service["one_shot"] and how == "exited (0)":
                        continue
                    (failed if how == "unhealthy" or how.startswith("exited") or restarts > 2 else waiting).append(each)
                if not found:
                    waiting.append({"Name": service["container"]})
            if failed or waiting and time.monotonic() > deadline:
                self._fail_unhealthy("")
            if not waiting:
                return
            time.sleep(0.3)
            self._refresh()

    def _fail_unhealthy(self, said):
        """Raise EngineError with every container that is not as it should be, and its last lines."""
        lines = [said] if said else []
        bad = []
        for service in self.services:
            for each in self._of_service(service):
                how = condition(each)
                if how in ("healthy", "running") or service["one_shot"] and how == "exited (0)":
                    continue
                bad.append("%s is %s" % (name_of(each), how))
                if how.startswith("created"):
                    continue
                probes = ((each["State"].get("Health") or {}).get("Log") or [])[-1:]
                lines += ["health check of %s: %s" % (name_of(each), last_lines(probe.get("Output", ""), 3)) for probe in probes]
                lines += ["log of %s:" % name_of(each), self.engine.logs(each["Id"])]
        raise EngineError("the containers did not get healthy: %s" % ("; ".join(bad) or "Compose failed"), "\n".join(lines))

    def _refresh(self):
        self.containers = self.engine.project_containers()

    def _remove(self, containers):
        if containers:
            self.engine.docker_ok("rm", "--force", *[each["Id"] for each in containers])
            self._refresh()

    def _undo(self, previous, commit_before, error):
        """Put files, checkout and containers back; what cannot be put back is added to the error."""
        try:
            if previous:
                self.tree.restore()
                if commit_before:
                    self.checkout.move_to(commit_before)
                self._refresh()
                names = {each for each in self._service_keys_in_force()}
                self._remove([each for each in self.containers
                              if each["Id"] not in self.before and labels_of(each).get(_SERVICE) not in names])
                code, output, errors = self.engine.compose("up", "--detach", "--no-build")
                if code != 0:
                    raise EngineError("the previous release did not start again", last_lines(errors or output, 5))
                for service in self.stale:
                    for each in self._of_service(service) if service["on_change"] else ():
                        self.engine.docker("exec", each["Id"], *service["on_change"])
                error.message += ". The previous release serves again"
            else:
                self._refresh()
                self._remove([each for each in self.containers if each["Id"] not in self.before])
                code, output, _errors = self.engine.docker("network", "inspect", "--format", '{{index .Labels "%s"}}' % _PROJECT,
                                                           self.params["network"])
                if code == 0 and output.strip() == self.engine.project and not self.before:
                    self.engine.docker("network", "rm", self.params["network"])
                self.tree.restore()
                error.message += ". There was no release before; what this run had started was removed, volumes were kept"
        except EngineError as second:
            error.message += ". And putting the previous release back failed: %s" % second.message
            error.detail += "\n" + second.detail

    def _service_keys_in_force(self):
        code, output, _errors = self.engine.compose("config", "--services")
        return output.split() if code == 0 else []

    def _save_state(self, release):
        self._refresh()
        hashes = {}
        for service in self.services:
            for each in self._of_service(service):
                hashes[service["name"]] = labels_of(each).get(_CONFIG_HASH)
        self.state = {
            "release": os.path.basename(release),
            "commit": self.params["commit"],
            "files": [wanted.path for wanted in self.files],
            "applied": self.digests,
            "hashes": hashes,
        }
        self.tree.write(Wanted(STATE, json.dumps(self.state, indent=1).encode(), 0o600))

    def _prune_releases(self):
        folder = self.tree.path(RELEASES)
        for old in sorted(os.listdir(folder))[:-max(1, self.params["keep_releases"])]:
            self.tree.remove(os.path.join(RELEASES, old))


def published_by(container):
    """The (port, address) pairs that a container publishes on the machine."""
    found = []
    for bindings in ((container.get("HostConfig") or {}).get("PortBindings") or {}).values():
        for each in bindings or ():
            if (each.get("HostPort") or "").isdigit():
                found.append((int(each["HostPort"]), each.get("HostIp") or ""))
    return found
