# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be done for a release of a stack."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import sentence
from ansible_collections.aiia.bulkhead.plugins.module_utils.stack.plan import StackPlan, plan, prepared_key, unneeded
from unit.stacks import PREFIX, seen_node, seen_service, seen_swarm

LABEL = "io.bulkhead.data.app_prod"
JOB = {"service": "web", "key": "web-prepare-1", "command": ["migrate", "--now"], "text": ""}


def wanted(**more: Any) -> dict[str, Any]:
    """A release of two services."""
    return {
        "project": "app_prod",
        "digest": "two",
        "definitions": {"web": "w2", "db": "d1"},
        "foundation": ["db"],
        "jobs": [],
        "images": {"web": "web:2@sha256:2", "db": "db:1@sha256:1"},
        "networks": ["app_prod_network"],
        "configs": ["app_prod_nginx_2"],
        "secrets": [],
        "data_label": LABEL,
        **more,
    }


def in_force(**more: Any) -> dict[str, Any]:
    """The release before."""
    specs = {"web": "spec-1", "db": "spec-1"}
    return {"digest": "one", "definitions": {"web": "w1", "db": "d1"}, "specs": specs, **more}


def swarm(*keys: str, **more: Any) -> dict[str, Any]:
    network = {"id": "n", "name": "app_prod_network", "labels": {PREFIX: "app_prod"}, "attachable": False}
    return seen_swarm(services=[seen_service(key) for key in keys], networks=[network] if keys else [], **more)


def words(found: StackPlan) -> list[str]:
    return [sentence(step) for step in found.steps]


def test_the_first_release() -> None:
    assert words(plan(wanted(), swarm(), {})) == [
        "make the network app_prod_network", "make the config app_prod_nginx_2", "create web", "create db",
    ]  # fmt: skip


def test_the_data_is_meant_to_be_on_another_node() -> None:
    """The release is the same, and is noted once more with its node."""
    nodes = [seen_node("n1"), seen_node("n2", labels={LABEL: "true"})]
    moved = plan(wanted(digest="one"), swarm("web", "db", nodes=nodes), in_force(data_node="n1"))
    assert moved.steps
    assert plan(wanted(digest="one"), swarm("web", "db", nodes=nodes), in_force(data_node="n2")) == StackPlan()


def test_the_same_release_again() -> None:
    assert plan(wanted(digest="one"), swarm("web", "db"), in_force()) == StackPlan()


def test_only_what_differs_is_updated() -> None:
    assert words(plan(wanted(configs=[]), swarm("web", "db"), in_force())) == ["update web"]


def test_what_was_changed_by_hand_is_taken_back() -> None:
    seen = swarm("web")
    seen["services"].append(seen_service("db", spec="spec-2"))
    assert words(plan(wanted(digest="one", configs=[]), seen, in_force(definitions=wanted()["definitions"]))) == [
        "update db: it is not as the last deployment left it"
    ]


def test_services_that_are_gone_and_left_over() -> None:
    found = plan(wanted(digest="one", configs=[]), swarm("web", "web-prepare-1"), in_force(definitions={"web": "w2"}))
    assert words(found) == ["create db", "remove service web-prepare-1"]


def test_commands_run_once_for_each_image() -> None:
    seen = swarm("web", "db")
    given = wanted(jobs=[JOB], configs=[])
    found = plan(given, seen, in_force())
    assert words(found) == ["prepare web: migrate --now", "update web"] and not found.first
    done = {"web": prepared_key(given, "web", seen)}
    assert words(plan(given, seen, in_force(prepared=done))) == ["update web"]


def test_other_commands_run_for_the_release_in_force() -> None:
    given, seen = wanted(digest="one", jobs=[JOB], configs=[]), swarm("web", "db")
    done = {"web": prepared_key({**given, "jobs": [{**JOB, "command": ["old"]}]}, "web", seen)}
    assert plan(given, seen, in_force(definitions=given["definitions"], prepared=done)).prepare == (JOB,)


def test_commands_do_not_run_for_a_release_that_was_returned_to() -> None:
    """A later one prepared the data, and an earlier one has to be able to use that."""
    given, seen = wanted(digest="one", jobs=[JOB], configs=[]), swarm("web", "db")
    later = {**given, "images": {"web": "web:3@sha256:3"}}
    done = {"web": prepared_key(later, "web", seen)}
    assert plan(given, seen, in_force(definitions=given["definitions"], prepared=done)) == StackPlan()


def test_commands_run_again_where_the_data_is_elsewhere() -> None:
    """The label was given to another node, whose volumes are others."""
    given = wanted(jobs=[JOB])
    here = swarm("web", "db", nodes=[seen_node("n1", labels={LABEL: "true"}), seen_node("n2")])
    there = swarm("web", "db", nodes=[seen_node("n1"), seen_node("n2", labels={LABEL: "true"})])
    done = {"web": prepared_key(given, "web", here)}
    assert plan(given, here, in_force(prepared=done)).prepare == ()
    assert plan(given, there, in_force(prepared=done)).prepare == (JOB,)


def test_the_same_release_is_prepared_again_for_other_data() -> None:
    """A restore forgets what was prepared."""
    given, seen = wanted(digest="one", jobs=[JOB], configs=[]), swarm("web", "db")
    same = in_force(definitions=given["definitions"], prepared={"web": prepared_key(given, "web", seen)})
    assert plan(given, seen, same) == StackPlan()
    assert words(plan(given, seen, {**same, "prepared": {}})) == ["prepare web: migrate --now"]


def test_what_commands_need_comes_first() -> None:
    assert plan(wanted(jobs=[JOB]), swarm(), {}).first


def test_what_the_application_needs_comes_first_without_commands_too() -> None:
    assert plan(wanted(), swarm(), {}).first
    assert plan(wanted(), swarm("web"), in_force()).first and not plan(wanted(), swarm("db"), in_force()).first


def test_only_what_is_ours_and_needed_by_no_release_goes() -> None:
    def file(name: str, **labels: str) -> dict[str, Any]:
        return {"id": name, "name": name, "labels": {PREFIX: "app_prod", **labels}}

    seen = seen_swarm(
        configs=[file("old"), file("needed"), file("kept", **{"io.bulkhead.release": "r"})],
        secrets=[{"id": "s", "name": "old", "labels": {PREFIX: "app_prod_eu"}}],
    )
    assert [one["name"] for _kind, one in unneeded("app_prod", seen, ["needed"])] == ["old"]
