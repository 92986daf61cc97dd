# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The jobs of module ``stack``, by their names."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ..core.directory import DesiredFile
from ..core.errors import Failure
from ..core.steps import Step, as_dicts
from ..docker.engine import Engine, EngineError
from ..docker.labels import STACK, swarm_service
from ..release.copied import read_source
from ..state.deployed import PREPARE_AGAIN
from ..state.home import Home
from ..swarm.api import SwarmApi
from . import doors
from .converge import StackConverger, settings_file
from .images import StackImages, remove_unneeded_images
from .kept import KeptReleases
from .look import look_or_fail, own
from .plan import stack_services
from .rollout import StackError, StackRollout
from .versions import version_of


def _login(given: Mapping[str, Any]) -> tuple[str, str, str]:
    login = given.get("login") or {}
    return (str(login.get("registry") or ""), str(login.get("user") or ""), str(login.get("password") or ""))


def _check(engine: Engine) -> bool:
    return bool(engine.module.check_mode)


def images(engine: Engine, params: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Send what was built here, and pin every image; say the version of each file that only this machine has."""
    known, check = StackImages(engine, *_login(given)), _check(engine)
    pinned: dict[str, str] = {}
    steps: list[Step] = []
    for reference in given["send"]:
        pinned[reference], sent = known.send(reference, check)
        steps += sent
    pinned.update(known.resolve(given["resolve"], given["before"]))
    versions = {}
    for file in given["sources"]:
        content = _source(file, params)
        versions[file["path"]] = version_of(params["prefix"], file["path"], content, bool(file["secret"]))
    return {"changed": bool(steps), "steps": as_dicts(steps), "pinned": pinned, "versions": versions}


def fetch(engine: Engine, params: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Have this node fetch the images that a task on it may need."""
    if _check(engine):
        return {"changed": False, "steps": []}
    steps = StackImages(engine, *_login(given)).fetch(given["pinned"])
    return {"changed": bool(steps), "steps": as_dicts(steps)}


def forget_images(engine: Engine, params: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Have this node remove the images that no kept release runs; ``notes`` say what it could not remove."""
    wanted = (params["prefix"], str(given["repository"]), given["kept_images"], float(given["limit"]))
    notes = [] if _check(engine) else remove_unneeded_images(engine, *wanted)
    return {"changed": False, "steps": [], "notes": notes}


def foresee(engine: Engine, params: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What bringing a rendered release into force would do."""
    return _converged(engine, given, [], check=True)


def apply(engine: Engine, params: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Bring a rendered release into force."""
    files = [_desired(file, params) for file in given["files"]]
    return _converged(engine, given, files, _check(engine))


def rollback(engine: Engine, params: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Bring a kept release into force again."""
    kept = KeptReleases(SwarmApi(engine.docker_host), str(given["prefix"]))
    name = kept.resolve(str(given["release"]))
    wanted = {**kept.manifest(name), **given, "jobs": [], "foundation": [], "foundation_text": ""}
    return _converged(engine, wanted, settings_file(wanted), _check(engine), name)


def _converged(
    engine: Engine, wanted: Mapping[str, Any], files: list[DesiredFile], check: bool, returning: str = ""
) -> dict[str, Any]:
    converger = StackConverger(engine, SwarmApi(engine.docker_host), wanted, _login(wanted))
    steps = list(converger.plan.steps)
    result: dict[str, Any] = {"changed": bool(steps), "steps": as_dicts(steps), "commit": wanted["commit"]}
    result["release"] = converger.releases.current
    result["prepares"] = bool(converger.plan.prepare)
    result["has_served"] = converger.has_served
    if steps and not returning:
        converger.require_room()
    if steps and not check:
        result["release"] = converger.apply(files, returning)
        if converger.forgets_images:
            result["kept_images"] = sorted(converger.releases.images())
    return result


def restart(engine: Engine, params: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Have the engine replace the tasks of services, one service after the other."""
    api = SwarmApi(engine.docker_host)
    rollout = StackRollout(engine, api, str(given["project"]))
    steps = [Step("restart", key, "service") for key in given["services"]]
    if not _check(engine):
        for key in given["services"]:
            _restart(rollout, key, float(given["wait_timeout"]))
        kept = KeptReleases(api, params["prefix"])
        if kept.current:
            prepared = kept.manifest(kept.current)["prepared"]
            kept.bring(kept.current, {key: one["spec"] for key, one in rollout.services().items()}, prepared)
    return {"changed": bool(steps), "steps": as_dicts(steps)}


def _restart(rollout: StackRollout, key: str, limit: float) -> None:
    name = swarm_service(rollout.project, key)
    found = next((one for one in rollout.api.services() if one["Spec"].get("Name") == name), None)
    if found is None:
        raise StackError("there is no service %s in the swarm. Deploy first" % name)
    before = rollout.seen()
    spec = found["Spec"]
    spec["TaskTemplate"]["ForceUpdate"] = int(spec["TaskTemplate"].get("ForceUpdate") or 0) + 1
    rollout.api.update_service(found["ID"], int(found["Version"]["Index"]), spec)
    rollout.wait(before, [key], limit)


def forget(engine: Engine, params: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Have the next deployment prepare all services again: their data was restored. Returns what to say of it."""
    kept = KeptReleases(SwarmApi(engine.docker_host), params["prefix"])
    manifest = kept.manifest(kept.current)
    forgotten = sorted(manifest.get("prepared") or ())
    if forgotten and not _check(engine):
        kept.bring(kept.current, manifest["specs"], {})
    notes = [PREPARE_AGAIN % " and ".join(forgotten)] if forgotten else []
    return {"changed": False, "steps": [], "notes": notes}


def destroy(engine: Engine, params: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Remove exactly what carries the environment's own label, each by its id; in check mode only list it."""
    api, prefix, project = SwarmApi(engine.docker_host), params["prefix"], str(given["project"])
    seen = look_or_fail(api)
    services = [one for one in own(seen["services"], prefix) if one["labels"].get(STACK) == project]
    goes: list[tuple[str, dict[str, Any]]] = [("service", one) for one in services]
    goes += [("network", one) for one in own(seen["networks"], prefix)]
    goes += [(kind, one) for kind in ("config", "secret") for one in own(seen["%ss" % kind], prefix)]
    steps = [Step("remove", one["name"], kind) for kind, one in goes]
    left = [key for key, one in stack_services(project, seen).items() if one not in services]
    if not (_check(engine) or given.get("list")):
        for kind, one in goes:
            _remove(api, kind, one, float(given["wait_timeout"]))
    return {"changed": bool(steps), "steps": as_dicts(steps), "left": left}


def _remove(api: SwarmApi, kind: str, one: Mapping[str, Any], limit: float) -> None:
    """Remove something, once the tasks that had it have ended."""
    deadline = time.monotonic() + limit
    while True:
        try:
            api.remove_object(kind, one["id"])
            return
        except Failure as error:
            if time.monotonic() >= deadline or not ("in use" in error.message or "active endpoints" in error.message):
                raise EngineError("%s %s cannot be removed: %s" % (kind, one["name"], error.message)) from error
            time.sleep(1.0)


def _source(file: Mapping[str, Any], params: Mapping[str, Any]) -> bytes:
    """A file of this machine. Raises EngineError where there is none."""
    content = read_source(str(file["source"]), Home.of(dict(params)))
    if content is None:
        raise EngineError("this machine has no file %s, of which %s is a copy" % (file["source"], file["path"]))
    return content


def _desired(file: Mapping[str, Any], params: Mapping[str, Any]) -> DesiredFile:
    source = str(file["source"] or "")
    content = _source(file, params) if source and not file["content"] else str(file["content"]).encode()
    return DesiredFile(str(file["path"]), content, 0o600, bool(file["secret"]), source)


def renew(engine: Engine, params: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing more: whatever the job, the module renews the lease of its run before it begins."""
    return {"changed": False, "steps": []}


def _at_the_door(
    job: Callable[[Engine, Mapping[str, Any], Mapping[str, Any]], list[Step]],
) -> Callable[[Engine, Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]:
    """A job whose whole answer are its steps."""

    def run(engine: Engine, params: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        steps = job(engine, params, given)
        return {"changed": bool(steps), "steps": as_dicts(steps)}

    return run


JOBS: dict[str, Callable[[Engine, Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]] = {
    "images": images,
    "fetch": fetch,
    "forget_images": forget_images,
    "foresee": foresee,
    "apply": apply,
    "rollback": rollback,
    "restart": restart,
    "forget": forget,
    "destroy": destroy,
    "renew": renew,
    "label": _at_the_door(doors.label),
    "ready": _at_the_door(doors.ready),
    "lead": _at_the_door(doors.lead),
    "leave": _at_the_door(doors.leave),
}
