# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a step asks of the nodes of a stack, which are dictionaries here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.aiia.bulkhead.plugins.action import restore
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.jobs import stack_data, stack_images, stack_module
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.jobs.swarm_engine import SwarmEngine
from unit.stacks import seen_node, seen_swarm

SECRET = "only-in-a-test"
DIGEST = "sha256:" + "5" * 64
LABEL = "io.bulkhead.data.app_prod"
VALUES = {
    "bulkhead_prefix": "app_prod",
    "bulkhead_project": "app",
    "bulkhead_environment": "prod",
    "bulkhead_docker_host": "unix:///var/run/docker.sock",
    "bulkhead_image": "registry.example.com/shop/app:live",
    "bulkhead_image_user": "",
    "bulkhead_secrets": {},
    "bulkhead_wait_timeout": 60,
    "bulkhead_prepare_timeout": 60,
    "bulkhead_keep_releases": 3,
    "bulkhead_restore_from": "",
    "bulkhead_restore": "latest",
    "bulkhead_restore_files": "leave",
    "bulkhead_backup_before_restore": False,
    "bulkhead_protected": False,
    "bulkhead_engine": "swarm",
    "bulkhead_registry": "registry.example.com/shop",
    "bulkhead_app_service": "app",
    "bulkhead_follow": 0,
    "bulkhead_lines": 100,
    "bulkhead_since": "",
    "bulkhead_edge_nodes": [],
}


def release(**services: dict[str, Any]) -> Any:
    """A release whose one secret is known."""
    compose = {"name": "app_prod", "services": services}
    return SimpleNamespace(stack=SimpleNamespace(compose=compose, services=()), brought=(), settings=())


class FakeStep:
    """A step on three nodes. ``answer`` says what a module answers; all calls are listed."""

    def __init__(self, answer: Callable[[str, str, Mapping[str, Any]], dict[str, Any]], proved: Any = None) -> None:
        self.answer = answer
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.declaration = SimpleNamespace(prefix="app_prod", values=VALUES, permissions={})
        self.gate = SimpleNamespace(render=lambda _declaration: proved or release(), declarations=[])
        ids = {"h1": "n1", "h2": "n2", "h3": "n3"}
        nodes = {host: {"engine": {"node": node}} for host, node in ids.items() if host != "h1"}
        observation = {"host": "h1", "engine": {"node": "n1"}, "nodes": nodes, "stack": seen_swarm(nodes=self.swarm())}
        self.session: Any = SimpleNamespace(
            observation=observation, steps=[], notes=[], pins={}, versions={}, commit=""
        )
        self.nodes = SimpleNamespace(
            manager="h1",
            call=self.asked,
            look=lambda: seen_swarm(nodes=self.swarm()),
            host_of=lambda found: next(((host, node) for host, node in ids.items() if node in found), ("", "")),
        )
        self._task = SimpleNamespace(check_mode=False)
        self.live = SimpleNamespace(environment=SimpleNamespace(prefix="app_prod", claims=()))
        self.release: Any = lambda _commit="": self.gate.render(None)

    @property
    def all_nodes(self) -> Any:
        return self.nodes

    @staticmethod
    def swarm() -> list[dict[str, Any]]:
        """A node with the data, one of another sort, and a manager on which only some may run."""
        return [
            seen_node("n1", role="manager"),
            seen_node("n2", labels={"disk": "ssd"}),
            seen_node("n3", labels={LABEL: "true"}),
        ]

    def common(self) -> dict[str, Any]:
        return {}

    def asked(self, host: str, name: str, arguments: Mapping[str, Any], hide: Any = None) -> dict[str, Any]:
        given = json.loads(arguments.get("given") or "{}")
        job = str(arguments.get("job") or name)
        self.calls.append((host, job, {**arguments, **given}))
        return self.answer(host, job, given)

    def module(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return self.asked("h1", name, arguments)

    def call(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return self.asked("h1", name, arguments)


@pytest.fixture(autouse=True)
def _one_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (stack_module, restore):
        monkeypatch.setattr(module, "secret_values", lambda _release: [SECRET])


def failing(*_asked: Any) -> dict[str, Any]:
    return {"failed": True, "msg": f"the task said {SECRET}", "detail": f"its log: {SECRET}"}


def placed(image: str, *constraints: str) -> dict[str, Any]:
    """A service that runs only where its constraints let it."""
    return {"image": image, "deploy": {"placement": {"constraints": [*constraints]}}}


def test_a_failed_restart_shows_no_secrets() -> None:
    """The error has the last lines of a task."""
    found = SwarmEngine(cast(Any, FakeStep(failing))).restart(release(), [])
    assert found["failed"] and SECRET not in str(found) and "the task said" in found["msg"]


def test_a_failed_backup_shows_no_secrets() -> None:
    proved = release(db=placed("db", f"node.labels.{LABEL} == true"))
    step = FakeStep(failing, proved)
    found = stack_data.on_data_node(step, proved, "backup", {"job": "make"})
    assert step.calls[0][:2] == ("h3", "make") and SECRET not in str(found)


def test_digests_are_not_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that happens to be part of one would make it another."""
    monkeypatch.setattr(stack_module, "secret_values", lambda _release: ["5555"])
    step = FakeStep(lambda *_asked: {"pinned": {"web": f"web@{DIGEST}"}})
    assert stack_module.call_stack(step, "images", {})["pinned"] == {"web": f"web@{DIGEST}"}


def test_a_tag_of_the_application_that_moved_is_looked_up() -> None:
    """Other images keep the digest of the release before."""
    mine, other = VALUES["bulkhead_image"], "redis:7"
    old = {str(mine): f"{mine}@sha256:{'1' * 64}", other: f"{other}@sha256:{'2' * 64}"}
    new = {str(mine): f"{mine}@{DIGEST}", other: old[other]}

    def answer(_host: str, job: str, _given: Mapping[str, Any]) -> dict[str, Any]:
        if job == "stack_info":
            return {"releases": [{"release": "r1", "pinned": old}], "current": "r1"}
        return {"pinned": new, "versions": {}, "steps": []}

    step = FakeStep(answer, release(web=placed(str(mine)), redis=placed(other)))
    step._task.check_mode = True
    found = stack_images.pin_images(step, {"changed": False})
    images = next(given for _host, job, given in step.calls if job == "images")
    assert sorted(images["resolve"]) == [other, str(mine)]
    assert images["before"] == {other: old[other]}
    assert found["commit"] == DIGEST.partition(":")[2]


def test_a_node_fetches_what_may_run_there() -> None:
    """One on which nothing may run is not asked, and so cannot fail."""
    proved = release(
        db=placed("db", f"node.labels.{LABEL} == true"),
        web=placed("web", "node.role == worker"),
        fast=placed("fast", "node.labels.disk==ssd"),
    )
    step = FakeStep(lambda *_asked: {"steps": []}, proved)
    assert list(stack_images.fetch_images(step, proved)) == []
    assert [(host, given["pinned"]) for host, _job, given in step.calls] == [
        ("h2", ["fast", "web"]),
        ("h3", ["db", "web"]),
    ]


def test_nodes_forget_images() -> None:
    """Each is asked once. One that cannot leaves a note, and no image of a repository that others share is removed."""
    said: dict[str, dict[str, Any]] = {
        "h1": {"notes": []},
        "h2": {"notes": ["it is in use"]},
        "h3": {"failed": True, "msg": "no room"},
    }
    step = FakeStep(lambda host, _job, _given: dict(said[host]))
    stack_images.forget_images(cast(Any, step), ["web@1"])
    assert step.calls == [] and step.session.notes == []
    step.declaration.values = {**VALUES, "bulkhead_image": ""}
    stack_images.forget_images(cast(Any, step), ["web@1"])
    assert [(host, job) for host, job, _given in step.calls] == [(host, "forget_images") for host in said]
    assert step.calls[0][2]["repository"] == "registry.example.com/shop/app_prod_app" and step.calls[0][2]["limit"] == 0
    assert [note.text for note in step.session.notes] == [
        "h2 keeps an image that no release needs: it is in use",
        "h3 keeps an image that no release needs: no room",
    ]


def test_no_quorum_in_the_middle_of_a_run() -> None:
    """The manager's answer is an error with its reason, whatever was asked."""
    lost = {"failed": True, "msg": "app_prod: the swarm cannot be asked: the swarm does not have a leader"}
    with pytest.raises(AnsibleActionFail, match="does not have a leader"):
        stack_images._in_force(FakeStep(lambda *_asked: dict(lost)))
    assert SwarmEngine(cast(Any, FakeStep(lambda *_asked: dict(lost)))).logs(release(), [])["msg"] == lost["msg"]


class Restore(FakeStep, restore.ActionModule):
    """The action, on these nodes."""

    def __init__(self, answer: Callable[[str, str, Mapping[str, Any]], dict[str, Any]]) -> None:
        proved = release(db=placed("db", f"node.labels.{LABEL} == true"))
        FakeStep.__init__(self, answer, proved)
        self.typed = lambda _name: ""
        self._loader = SimpleNamespace(_vault=SimpleNamespace(secrets=()))
        self._place = lambda _origin: ""


MANIFEST = {
    "name": "b1", "prefix": "app_prod", "created": "2026", "path": "/backups/b1", "protected": False, "parts": [],
}  # fmt: skip


def restored(forgets: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> tuple[Restore, Callable[[], dict[str, Any]]]:
    """A restore that fails, and how to run it."""
    monkeypatch.setattr(restore.backup, "all_arguments", lambda *_given: {"parts": []})
    monkeypatch.setattr(restore, "backup_identity", lambda *_given: "")

    def answer(_host: str, job: str, _given: Mapping[str, Any]) -> dict[str, Any]:
        if job == "forget":
            return forgets
        looks = step.calls[-1][2]["look"]
        return {"manifest": MANIFEST, "seen": {}} if looks else {"failed": True, "msg": "the node was lost"}

    step = Restore(answer)
    return step, lambda: step.act({})


def test_a_restore_is_noted_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that ends halfway leaves data that the next deployment has to migrate."""
    step, act = restored({"notes": []}, monkeypatch)
    assert act()["msg"] == "the node was lost"
    assert [job for _host, job, _given in step.calls] == ["restore", "forget", "restore"]


def test_a_restore_that_cannot_be_noted_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    step, act = restored({"failed": True, "msg": "the swarm does not have a leader"}, monkeypatch)
    with pytest.raises(AnsibleActionFail, match=r"does not have a leader. Nothing was restored"):
        act()
    assert [job for _host, job, _given in step.calls] == ["restore", "forget"]
