# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine, the registry and drift: each finding with a bad observation and one that only looks bad."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live import preflight as subject
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.drift import (
    as_diff,
    deployed_containers,
    deployed_guard,
    differences,
    drift,
    to_mend,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.machine import machine
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.preflight import (
    accepted,
    preflight,
    standing,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.registered import (
    as_released,
    entry_of,
    environment_of,
    services_of,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live_rules import LIVE_RULES
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Claim, Where
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.naming import firewall_chain
from unit.plugin_utils.isolation.live.observations import (
    DIRECTORY,
    INPUT,
    PROJECT,
    container,
    deployed,
    entry,
    environment,
    labels,
    network,
    observation,
)

OURS, THEIRS = "aiia_staging", "aiia_prod"
HOME = f"/srv/{OURS}"
CODE = {"place": f"{HOME}/code", "repository": f"{HOME}/code/.git", "branch": "main", "commit": "b" * 40}

BAD: dict[str, tuple[str, int, dict[str, Any]]] = {
    "another machine": ("other-machine", 3, {"registry": {OURS: entry(OURS, machine_id="machine-2")}}),
    "another engine": ("other-machine", 3, {"registry": {OURS: entry(OURS, engine_id="engine-2")}}),
    "our prefix from another directory": (
        "other-directory", 4,
        {"registry": {OURS: entry(OURS, directory="/srv/elsewhere")}, "files": {"/srv/elsewhere": {".env": "1"}}},
    ),
    "our prefix from another state directory": (
        "other-directory", 4,
        {
            "elsewhere": {OURS: entry(OURS, directory="/srv/elsewhere")},
            "containers": [deployed(OURS), container("x", labels(OURS, **{DIRECTORY: "/srv/elsewhere"}))],
        },
    ),
    "our maintenance page": ("in-maintenance", 1, {"maintenance": [HOME]}),
    "an open engine": ("open-engine", 4, {"sockets": [{"address": "", "port": 2375, "process": ""}]}),
    "a Compose file above": ("compose-file-above", 1, {"parents": ["/srv/docker-compose.yml"]}),
    "a damaged entry": ("damaged-registry", 1, {"registry": {THEIRS: {"prefix": THEIRS, "damaged": "it is empty"}}}),
    "a rebuilt entry": ("rebuilt-registry", 1, {"registry": {THEIRS: entry(THEIRS, rebuilt="it was lost")}}),
    "an environment that nobody registered": ("unregistered-environment", 1, {"containers": [deployed(THEIRS)]}),
    "a checkout that was moved": (
        "moved-checkout", 1,
        {"registry": {THEIRS: entry(THEIRS, commit="a" * 40)}, "checkouts": {f"/srv/{THEIRS}": CODE}},
    ),
    "code that is a link": (
        "linked-checkout", 3, {"checkouts": {HOME: {**CODE, "place": "/srv/aiia_prod/code"}}},
    ),
    "two checkouts of one repository": (
        "shared-repository", 3,
        {"checkouts": {HOME: CODE, f"/srv/{THEIRS}": {**CODE, "place": f"/srv/{THEIRS}/code"}}},
    ),
    "a kernel table that is nearly full": ("kernel-limit", 2, {"limits": {"open files": [91, 100]}}),
    "a job that prunes": (
        "scheduled-prune", 1, {"schedules": [{"path": "/etc/cron.d/x", "lines": ["* docker system prune -af"]}]},
    ),
    "no live restore": (
        "no-live-restore", 1,
        {"engine": {"id": "engine-1", "version": "28.2.2", "root": "/", "live_restore": False}},
    ),
    "an engine that leaks loopback": (
        "reachable-loopback", 1,
        {"engine": {"id": "engine-1", "version": "26.1.5", "root": "/", "live_restore": True}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_with_a_machine(case: str) -> None:
    """With its rule, its severity, and what to do."""
    rule, severity, seen = BAD[case]
    findings = machine(environment(), observation(**seen))
    assert [(finding.rule, int(finding.severity)) for finding in findings] == [(rule, severity)]
    assert findings[0].fix and findings[0].message


NEAR: dict[str, dict[str, Any]] = {
    "nothing": {},
    "the same machine and engine": {
        "registry": {OURS: entry(OURS, machine_id="machine-1", engine_id="engine-1")},
    },
    "an entry that knows no machine": {"registry": {OURS: entry(OURS)}},
    "another environment was on another machine": {"registry": {THEIRS: entry(THEIRS, machine_id="machine-2")}},
    "our prefix from another directory of which nothing is left": {
        "registry": {OURS: entry(OURS, directory="/srv/elsewhere")},
    },
    "our prefix from another state directory, and all that runs is from here": {
        "elsewhere": {OURS: entry(OURS, directory="/srv/elsewhere")}, "containers": [deployed(OURS)],
    },
    "our directory by another name": {
        "registry": {OURS: entry(OURS, directory="/link")}, "files": {"/link": {".env": "1"}},
        "places": {"/link": "/data", HOME: "/data"},
    },
    "an engine on loopback": {"sockets": [{"address": "127.0.0.1", "port": 2375, "process": ""}]},
    "a port like the engine's": {"sockets": [{"address": "", "port": 23750, "process": ""}]},
    "a Compose file above somebody else": {"parents": ["/srv/aiia_staging2/docker-compose.yml"]},
    "an environment that is registered": {"containers": [deployed(THEIRS)], "registry": {THEIRS: entry(THEIRS)}},
    "a checkout where it was left": {
        "registry": {OURS: entry(OURS, commit="b" * 40)}, "checkouts": {HOME: CODE},
    },
    "a checkout that is being deployed": {
        "registry": {THEIRS: entry(THEIRS, commit="a" * 40)}, "checkouts": {f"/srv/{THEIRS}": CODE},
        "locks": {THEIRS: {"owner": "ann@laptop"}},
    },
    "code below a directory that is a link itself": {
        "checkouts": {HOME: {**CODE, "place": "/data/code", "repository": "/data/code/.git"}},
        "places": {HOME: "/data"},
    },
    "two checkouts of two repositories": {
        "checkouts": {HOME: CODE, f"/srv/{THEIRS}": {"place": "x", "repository": "y", "branch": "main", "commit": ""}},
    },
    "a kernel table with room": {"limits": {"open files": [90, 100], "nothing": [5, 0]}},
    "somebody else's maintenance page": {"maintenance": [f"/srv/{THEIRS}"]},
    "a job that does something else": {"schedules": [{"path": "/etc/cron.d/x", "lines": ["* docker compose ps"]}]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("programs", "recipients", "command", "found"),
    [
        ({"age": False}, ["age1q"], "rclone", ["missing-age"]),
        ({"age": True}, ["age1q"], "rclone", []),
        ({"age": False}, [], "rclone", []),
        ({"age": False}, ["age1q"], "", []),
        ({}, ["age1q"], "rclone", []),
    ],
)
def test_backups_that_cannot_be_encrypted(
    programs: dict[str, bool], recipients: list[str], command: str, found: list[str]
) -> None:
    """Before a deployment, and not in the first night; nothing where no backup is encrypted, or leaves the machine."""
    wanted = {"bulkhead_backup_recipients": recipients, "bulkhead_backup_copy_command": command}
    findings = machine(replace(environment(), variables=wanted), observation(programs=programs))
    assert [finding.rule for finding in findings] == found
    assert all("aiia.bulkhead.provision" in finding.fix and finding.severity == 3 for finding in findings)


@pytest.mark.parametrize(("users", "found"), [(["ubuntu"], ["privileged-owner"]), (["other"], []), ([], [])])
def test_an_owner_who_may_use_the_engine(users: list[str], found: list[str]) -> None:
    """He is root on the machine: nothing keeps him out of other environments."""
    owned = replace(environment(), variables={"bulkhead_owner": "ubuntu"})
    findings = machine(owned, observation(engine_users=users))
    assert [finding.rule for finding in findings] == found
    assert all("ubuntu is root" in finding.message and finding.severity == 1 for finding in findings)


@pytest.mark.parametrize("case", NEAR)
def test_what_is_right_with_a_machine(case: str) -> None:
    """What only looks wrong."""
    assert machine(environment(), observation(**NEAR[case])) == []


def test_only_published_loopback_ports_matter_to_an_old_engine() -> None:
    """Near miss: ports on every address are meant to be reached."""
    old = {"engine": {"id": "engine-1", "version": "26.1.5", "root": "/", "live_restore": True}}
    assert machine(environment(bind=""), observation(**old)) == []


def registered(**more: Any) -> dict[str, Any]:
    """A machine with another inventory's environment, which is stopped, with a file in force."""
    other = environment("shop_prod", **more)
    kept = json.loads(json.dumps(entry_of(other)))
    return observation(registry={"shop_prod": {**kept, "machine": "their-name-of-it", "by": "ann"}},
                       files={"/srv/shop_prod": {".env": "1"}})  # fmt: skip


def rules(findings: list[Any]) -> set[str]:
    return {finding.rule for finding in findings}


def test_an_inventory_that_is_not_ours_is_known_by_the_registry() -> None:
    """A port that a stopped environment of somebody else will want again."""
    seen = registered(port=8080)
    seen["registry"]["shop_prod"]["claims"] = [
        {**claim, "scope": "their-name-of-it"} for claim in seen["registry"]["shop_prod"]["claims"]
    ]
    (finding,) = standing(environment(), [OURS], seen)
    assert finding.environments == (OURS, "shop_prod") and "8080" in finding.resource
    assert any("registered on the machine by ann" in str(place) for place in finding.where)


def test_disjoint_environments_live_together() -> None:
    """Near miss."""
    assert standing(environment(), [OURS], registered(port=9090)) == []


def test_a_registered_environment_of_which_nothing_is_left_claims_nothing() -> None:
    """It was removed without being forgotten."""
    seen = registered(port=8080)
    seen["files"] = {}
    assert standing(environment(), [OURS], seen) == []


def test_a_neighbour_counts_as_it_was_deployed() -> None:
    """The inventory has given its port away already; on the machine it still has it."""
    neighbour = environment(THEIRS, port=8080)
    kept = json.loads(json.dumps(entry_of(neighbour)))
    seen = observation(registry={THEIRS: kept}, containers=[deployed(THEIRS)])
    assert [finding.environments for finding in standing(environment(), [OURS, THEIRS], seen)] == [(THEIRS, OURS)]


def test_a_stranger_in_our_directory_or_subnet() -> None:
    """Observed things become claims that the ordinary rules judge."""
    nested = container("x", {PROJECT: "shop", "com.docker.compose.project.working_dir": f"{HOME}/shop"})
    assert "nested-directories" in rules(standing(environment(), [OURS], observation(containers=[nested])))
    ours = environment()
    subnet = Claim("subnet", "m1", "10.9.0.0/16", OURS, Where(), False, {"network": "n"})
    with_subnet = type(ours)(**{**ours.__dict__, "claims": (*ours.claims, subnet)})
    theirs = observation(networks=[network("shop", {PROJECT: "shop"}, subnets=["10.9.1.0/24"])])
    beside = observation(networks=[network("shop", {PROJECT: "shop"}, subnets=["10.10.0.0/24"])])
    assert standing(with_subnet, [OURS], theirs) and not standing(with_subnet, [OURS], beside)


def test_an_entry_survives_the_registry() -> None:
    """Claims come back as they were, without fingerprints of secrets, and on the reader's name of the machine."""
    ours = environment()
    secret = Claim("secret", "world", "fingerprint", OURS, Where())
    kept = json.loads(json.dumps(entry_of(type(ours)(**{**ours.__dict__, "claims": (*ours.claims, secret)}))))
    assert "fingerprint" not in json.dumps(kept)
    back = environment_of(kept, "here")
    assert {(claim.namespace, claim.scope, claim.key) for claim in back.claims} == {
        (claim.namespace, "here", claim.key) for claim in ours.claims
    }


@pytest.mark.parametrize("kept", [{"seed": {"replicas": 1, "once": True}}, {}])
def test_a_release_that_came_back_has_its_own_services(kept: dict[str, Any]) -> None:
    """And is registered with them; one from before services were kept says nothing of any."""
    back = as_released(environment(), entry(OURS, services=kept) if kept else entry(OURS))
    assert services_of(environment()) == {"web": {"replicas": 1, "once": False}}
    assert services_of(back) == entry_of(back)["services"] == kept


def state(**more: Any) -> dict[str, Any]:
    """Ours, as the last deployment left it."""
    seen = observation(containers=[deployed(OURS)], files={HOME: {".env": "1"}})
    kept = entry(OURS, files={".env": "1"}, key="key-1", containers=deployed_containers(OURS, seen))
    return {**seen, "registry": {OURS: kept}, **more}


def test_nothing_drifted() -> None:
    """A deployment that nobody touched, also with one-off containers beside it."""
    once = container("x", labels(OURS, **{"com.docker.compose.oneoff": "True"}))
    assert drift(environment(), state()) == []
    assert drift(environment(), state(containers=[deployed(OURS), once])) == []


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"files": {HOME: {".env": "2"}}}, ".env was changed by hand"),
        ({"files": {HOME: {}}}, ".env was removed by hand"),
        ({"files": {}}, ".env was removed by hand"),
        ({"containers": []}, "Container aiia_staging_web was removed by hand"),
        (
            {"containers": [deployed(OURS, running=False, condition="exited (1)")]},
            "was stopped, or exited by itself (exited (1)),",
        ),
        (
            {"containers": [deployed(OURS, running=False, condition="exited (0)")]},
            "was stopped, or exited by itself (exited (0)),",
        ),
        ({"containers": [deployed(OURS, condition="paused")]}, "Container aiia_staging_web was paused by hand"),
        ({"containers": [deployed(OURS, name="x")]}, "Container aiia_staging_web was renamed to x by hand"),
        ({"containers": [deployed(OURS, image="sha256:2")]}, "had its image changed by hand"),
        ({"containers": [deployed(OURS, networks={})]}, "had its networks changed by hand"),
        ({"containers": [deployed(OURS, labels=labels(OURS, **{INPUT: "2"}))]}, "had its definition changed by hand"),
    ],
)
def test_what_drifted(more: dict[str, Any], says: str) -> None:
    """Told at the lowest severity: a deployment puts it right."""
    (finding,) = drift(environment(), state(**more))
    assert says in finding.message and finding.severity == 1 and "2026-01-01T00:00:00Z" in finding.message


@pytest.mark.parametrize(("once", "notes"), [(True, 0), (False, 1)])
def test_a_service_that_did_its_work_is_no_drift(once: bool, notes: int) -> None:
    seen = state(containers=[deployed(OURS, running=False, condition="exited (0)")])
    seen["registry"][OURS]["services"] = {"web": {"replicas": 1, "once": once}}
    assert len(drift(environment(), seen)) == notes


def test_a_lost_key_says_nothing_of_files() -> None:
    """Digests under another key would make every file look changed."""
    assert drift(environment(), state(key="key-2", files={HOME: {".env": "2"}})) == []


def test_drift_is_no_finding_after_a_deployment() -> None:
    """The registry still knows the deployment before."""
    seen = state(files={HOME: {".env": "2"}})
    assert "drift" in rules(preflight(environment(), [OURS], seen))
    assert "drift" not in rules(standing(environment(), [OURS], seen))


def test_our_checkout_was_moved_by_somebody_else_only_before_we_move_it() -> None:
    """The lock that is held then is our own."""
    registry = {OURS: entry(OURS, commit="a" * 40)}
    seen = observation(registry=registry, checkouts={HOME: CODE}, locks={OURS: {"owner": "me@here"}})
    assert rules(preflight(environment(), [OURS], seen)) == {"moved-checkout"}
    assert standing(environment(), [OURS], seen) == []


def test_a_waiver_accepts_a_finding_of_the_machine() -> None:
    """For the rule and resource that it names, and no other."""
    waiver = {"rule": "other-machine", "resource": "machine", "reason": "moved", "until": "2026-06-30"}
    ours = environment(variables={"bulkhead_waivers": [waiver]})
    known = entry(OURS, machine_id="machine-2", engine_id="engine-2")
    findings = machine(ours, observation(registry={OURS: known}))
    judged = accepted(ours, findings, date(2026, 6, 1))
    assert [(finding.resource, finding.waived) for finding in judged] == [("machine", "moved"), ("Docker engine", "")]
    assert [finding.waived for finding in accepted(ours, findings, date(2026, 7, 1))] == ["", ""]


def test_an_unused_waiver_of_the_machine_is_told_where_everything_was_seen() -> None:
    """Preflight has not probed yet; verification has. Waivers of what paper shows are the plan's to judge."""
    common = {"reason": "moved", "until": "2026-06-30"}
    waivers = [{"rule": "taken-port", "resource": "port 80"}, {"rule": "shared-port", "resource": "80/tcp"}]
    ours = environment(variables={"bulkhead_waivers": [waiver | common for waiver in waivers]})
    assert accepted(ours, [], date(2026, 6, 1)) == []
    (unused,) = accepted(ours, [], date(2026, 6, 1), complete=True)
    assert (unused.rule, unused.resource) == ("unused-waiver", "port 80")


def test_every_rule_of_the_machine_is_in_the_catalogue() -> None:
    """What the files of this package call a finding, and no rule more: waivers are judged by it."""
    found = set()
    for path in Path(subject.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if called in ("_finding", "Finding"):
                rule = node.args[1 if called == "_finding" else 0]  # type: ignore[attr-defined]
                found |= {rule.value} if isinstance(rule, ast.Constant) else set()
    assert found == set(LIVE_RULES) and all(LIVE_RULES.values())


def changed(**more: Any) -> dict[str, Any]:
    """Ours as it was left, and then its container with something else."""
    return {**state(), "containers": [deployed(OURS, **more)]}


def test_drift_as_a_diff() -> None:
    """Only what differs, in lines; of settings the name, and that there is another value."""
    assert differences(environment(), state()) == []
    seen = changed(settings={"SAY": "bbbb", "NEW": "cccc"}, ports=[{"port": 80, "address": ""}], networks={})
    before = state()["registry"]
    before[OURS]["containers"][f"{OURS}_web"]["settings"] = {"SAY": "aaaa", "OLD": "dddd"}
    head, now, *lines = as_diff(differences(environment(), {**seen, "registry": before})).splitlines()
    assert head == f"--- container {OURS}_web, deployed 2026-01-01T00:00:00Z"
    assert now == f"+++ container {OURS}_web, as it is"
    assert sorted(lines) == [
        "+port *:80",
        "+setting NEW",
        "+setting SAY (another value, which is not shown)",
        f"-network {OURS}_network, called web",
        "-setting OLD",
        "-setting SAY",
    ]


def test_a_container_that_is_gone_as_a_diff() -> None:
    """All of it was there, and nothing is."""
    (shown,) = differences(environment(), state(containers=[]))
    assert shown["before"] and not shown["after"]


def test_what_compose_would_not_put_back() -> None:
    """Limits and networks of the same definition; another definition is Compose's own business."""
    assert to_mend(environment(), state()) == {} == to_mend(environment(), state(containers=[]))
    other = {**deployed(OURS)["limits"], "memory": 1}
    assert to_mend(environment(), changed(limits=other)) == {f"{OURS}_web": {"limits": deployed(OURS)["limits"]}}
    stray = {"stray": {"id": "s", "address": "", "aliases": []}}
    assert to_mend(environment(), changed(networks=stray)) == {
        f"{OURS}_web": {"connect": {f"{OURS}_network": ["web"]}, "disconnect": ["stray"]}
    }
    assert to_mend(environment(), changed(limits=other, labels=labels(OURS, **{INPUT: "2"}))) == {}


def guarded(now: dict[str, Any] | None) -> dict[str, Any]:
    """Ours with a guard in the firewall, and what of it is seen now."""
    chain = firewall_chain(OURS)
    seen = {**state(), "guards": {chain: {"4": "a", "6": "b"}}}
    seen["registry"][OURS]["guard"] = deployed_guard(OURS, seen)
    return {**seen, "guards": now if now is None else {chain: now} if now else {}}


@pytest.mark.parametrize(
    ("now", "says"),
    [({}, "is gone"), ({"4": "a"}, "is gone"), ({"4": "a", "6": "x"}, "was changed")],
)
def test_a_guard_that_drifted(now: dict[str, Any], says: str) -> None:
    """By a hand or a reboot; a deployment puts it back."""
    (finding,) = drift(environment(), guarded(now))
    assert finding.rule == "drift" and says in finding.message and firewall_chain(OURS) in finding.resource


def test_a_guard_that_did_not_drift() -> None:
    """Near misses: the same one, one that this user cannot see, and none that was ever put up."""
    assert drift(environment(), guarded({"4": "a", "6": "b"})) == []
    assert drift(environment(), guarded(None)) == []
    assert drift(environment(), {**state(), "guards": {}}) == []


def stranger(project: str, directory: str) -> dict[str, Any]:
    """A container of a Compose project that Bulkhead did not deploy."""
    return container("x", {PROJECT: project, "com.docker.compose.project.working_dir": directory})


@pytest.mark.parametrize(
    ("variables", "project", "found"),
    [
        # The guide's repository, directories and so its project have one name; staging moves first.
        ({"bulkhead_source_repository": "git@github.com:eduaiia/ai-ia-backend.git"}, "ai-ia-backend", False),
        ({"bulkhead_adopted_volumes": {"pgdata": "ai-ia-backend_pgdata"}}, "ai-ia-backend", False),
        # A name that somebody chose, and a name that such a project makes.
        ({"bulkhead_source_repository": "git@github.com:eduaiia/other-shop.git"}, "other-shop", True),
        ({"bulkhead_build_target": "ai-ia-backend_web"}, "ai-ia-backend", True),
    ],
)
def test_a_project_that_is_called_like_its_directory(variables: dict[str, Any], project: str, found: bool) -> None:
    """Its bare name in a variable is a mere word."""
    seen = observation(containers=[stranger(project, "/home/ubuntu/main/ai-ia-backend")])
    rules = [finding.rule for finding in standing(environment(OURS, variables=variables), (), seen)]
    assert ("foreign-variable" in rules) is found
