# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is done to one machine's engine, or by a manager's engine to its swarm. Runs on the targets.

Each function looks first, does only what is missing, and says what it did as steps.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..core.steps import Step
from .amend import amendment
from .api import SwarmApi, SwarmError

#: Seconds until a node that joined must be ready, and a new manager reachable.
_READY = 60.0
#: How often a change is tried again that another one came before.
_TRIES = 5
#: What managers say that cannot decide, because too few of them answer each other.
_NO_QUORUM = ("lost leader", "have a leader", "lost quorum", "deadline exceeded")


@contextlib.contextmanager
def decided() -> Iterator[None]:
    """Say in words that managers lost their quorum while they were asked: raises SwarmError then, as for all else."""
    try:
        yield
    except SwarmError as error:
        if not any(words in error.message for words in _NO_QUORUM):
            raise
        raise SwarmError(
            "the swarm lost its quorum while it was changed: too few managers answer each other. What was done before "
            "stands, and containers go on. Start the missing managers, then run this again",
            error.message,
        ) from None


def form(api: SwarmApi, host: str, address: str, autolock: bool) -> list[Step]:
    """Make a swarm with this engine as its first manager."""
    try:
        api.form(address, autolock)
    except SwarmError as error:
        raise SwarmError("%s cannot begin the swarm: %s. Nothing was changed" % (host, error.message)) from None
    return [Step("begin the swarm on", host, "swarm", detail="at %s" % address)]


def join(api: SwarmApi, host: str, address: str, managers: list[str], token: str) -> tuple[str, list[Step]]:
    """Join the swarm of these managers. Returns the new node's id.

    An engine that did not get in within its time goes on trying in the background; it is told to leave that.
    """
    try:
        api.join(address, managers, token)
    except SwarmError as error:
        with contextlib.suppress(SwarmError):
            if (api.info().get("Swarm") or {}).get("LocalNodeState") not in ("inactive", ""):
                api.leave(force=True)
        raise SwarmError(
            "%s (%s) cannot join the swarm of %s, and is in none, as before. What the engine said: %s"
            % (host, address, ", ".join(managers), error.message.rstrip("."))
        ) from None
    identity = str((api.info().get("Swarm") or {}).get("NodeID") or "")
    return identity, [Step("join", host, "node", detail="at %s" % address)]


@decided()
def tokens(api: SwarmApi) -> dict[str, str]:
    """The tokens with which a node joins, by role."""
    found = api.swarm()["JoinTokens"]
    return {"manager": str(found["Manager"]), "worker": str(found["Worker"])}


@decided()
def lock(api: SwarmApi, wanted: bool | None, check: bool) -> tuple[str, list[Step]]:
    """Have managers ask for a key after a restart, or not; None leaves that as it is. Returns the key, if any."""
    steps = []
    swarm = api.swarm()
    spec = swarm["Spec"]
    is_locked = bool((spec.get("EncryptionConfig") or {}).get("AutoLockManagers"))
    if wanted is not None and wanted != is_locked:
        steps.append(Step("%s the managers of" % ("lock" if wanted else "unlock"), "the swarm", "swarm"))
        if not check:
            spec["EncryptionConfig"] = {"AutoLockManagers": wanted}
            api.update(swarm["Version"]["Index"], spec)
        is_locked = wanted
    return (api.unlock_key() if is_locked and not (steps and check) else ""), steps


def unlock(api: SwarmApi, host: str, key: str) -> list[Step]:
    """Give a manager that was restarted the key that it asks for."""
    try:
        api.unlock(key)
    except SwarmError as error:
        raise SwarmError(
            "%s is locked, and the key in bulkhead_swarm_unlock_key_file does not open it: %s" % (host, error.message)
        ) from None
    _wait_for(lambda: (api.info().get("Swarm") or {}).get("LocalNodeState") == "active")
    return [Step("unlock", host, "node")]


@decided()
def settle(api: SwarmApi, wanted: Iterable[Mapping[str, Any]]) -> list[Step]:
    """Give nodes the role, availability and labels that the inventory says; each is named by its whole id.

    New managers are made before earlier ones become workers, and the one that is asked becomes one last.
    """
    steps: list[Step] = []
    own = str((api.info().get("Swarm") or {}).get("NodeID") or "")
    for each in sorted(wanted, key=lambda one: (one["role"] != "manager", one["id"] == own, one["host"])):
        _wait(api, each, lambda node: (node.get("Status") or {}).get("State") == "ready", "is not ready", each["new"])
        steps += _changed(api, each)
        if each["role"] == "manager":
            _wait(api, each, _is_reachable, "cannot be reached by the other managers", True)
    return steps


@decided()
def remove(api: SwarmApi, nodes: Iterable[Mapping[str, str]]) -> list[Step]:
    """Remove nodes that are lost, by their whole ids. One that is up again is not removed: raises SwarmError."""
    return [_removed(api, each["id"], each["host"]) for each in nodes]


def _removed(api: SwarmApi, identity: str, host: str) -> Step:
    node = api.node(identity)
    if (node.get("Status") or {}).get("State") != "down":
        raise SwarmError("the node %s (%s) is up again: it was not removed" % (identity, host))
    if node["Spec"]["Role"] == "manager":
        _update(api, identity, lambda spec: dict(spec, Role="worker"))
        _wait_for(lambda: not api.node(identity).get("ManagerStatus"))
    api.remove_node(identity)
    return Step("remove", host, "node", reason="lost", detail=identity)


def _changed(api: SwarmApi, wanted: Mapping[str, Any]) -> list[Step]:
    done: list[str] = []

    def amended(spec: dict[str, Any]) -> dict[str, Any]:
        following, done[:] = amendment(spec, wanted)
        return following

    _update(api, wanted["id"], amended)
    return [Step("set up", wanted["host"], "node", detail=", ".join(done))] if done else []


def _update(api: SwarmApi, identity: str, amended: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change a node's settings unless they are as wanted. The swarm itself may change them in between."""
    for left in reversed(range(_TRIES)):
        node = api.node(identity)
        spec = amended(node["Spec"])
        if spec == node["Spec"]:
            return
        try:
            api.update_node(identity, node["Version"]["Index"], spec)
            return
        except SwarmError as error:
            if not left or "out of sequence" not in error.message:
                raise
            time.sleep(0.2)


def _is_reachable(node: Mapping[str, Any]) -> bool:
    return (node.get("ManagerStatus") or {}).get("Reachability") == "reachable"


def _wait(
    api: SwarmApi, each: Mapping[str, Any], until: Callable[[Mapping[str, Any]], bool], wrong: str, wanted: bool
) -> None:
    """Wait until a node is as it should be. Raises SwarmError where it does not become so."""
    if wanted and not _wait_for(lambda: until(api.node(each["id"]))):
        raise SwarmError(
            "%s joined, but %s after %d s. Read the log of its engine (journalctl -u docker), mend that, and run this "
            "again" % (each["host"], wrong, _READY)
        )


def _wait_for(ready: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _READY
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.3)
    return True
