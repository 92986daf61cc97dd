# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose things are these: each finding with what is refused, and with what only looks like it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.declared import claims_declared
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.ownership import ownership
from unit.plugin_utils.isolation.live.observations import (
    DIRECTORY,
    ONE_OFF,
    PREFIX,
    PROJECT,
    SERVICE,
    container,
    deployed,
    environment,
    labels,
    network,
    observation,
    volume,
)

OURS = "aiia_staging"
THEIRS = "aiia_prod"
NET = {"id": "n", "address": "172.18.0.9", "aliases": []}


def port(number: int, address: str = "127.0.0.1") -> list[dict[str, Any]]:
    return [{"port": number, "address": address}]


def listens(number: int, address: str = "127.0.0.1") -> list[dict[str, Any]]:
    return [{"address": address, "port": number, "process": "sshd (pid 7)"}]


BAD: dict[str, tuple[str, dict[str, Any]]] = {
    "a container of nobody with our name": ("foreign-name", {"containers": [container(f"{OURS}_web")]}),
    "a container of another project with our name": (
        "foreign-name",
        {"containers": [container(f"{OURS}_web", {PROJECT: "shop"})]},
    ),
    "a network of another project": ("foreign-name", {"networks": [network(f"{OURS}_network", {PROJECT: "shop"})]}),
    "a volume of another project": ("foreign-name", {"volumes": [volume(f"{OURS}_data", {PROJECT: "shop"})]}),
    "our project from another directory": (
        "foreign-project",
        {"containers": [container("x", labels(OURS, **{DIRECTORY: "/srv/elsewhere"}))]},
    ),
    "our project from an unknown directory": ("foreign-project", {"containers": [container("x", {PROJECT: OURS})]}),
    "another project in our directory": (
        "zombie-project",
        {"containers": [container("x", {PROJECT: "shop", DIRECTORY: f"/srv/{OURS}"})]},
    ),
    "another project in our directory, by another name": (
        "zombie-project",
        {
            "containers": [container("x", {PROJECT: "shop", DIRECTORY: "/link"})],
            "places": {"/link": f"/srv/{OURS}"},
        },
    ),
    "a service that nobody declared": (
        "unknown-service",
        {"containers": [container("x", {PROJECT: OURS, DIRECTORY: f"/srv/{OURS}", SERVICE: "cron"})]},
    ),
    "a stranger on our network": (
        "stranger-on-network",
        {"containers": [container("x", networks={f"{OURS}_network": NET})]},
    ),
    "our container on their network": (
        "away-on-network",
        {
            "containers": [deployed(OURS, networks={f"{THEIRS}_network": NET})],
            "networks": [network(f"{THEIRS}_network", labels(THEIRS))],
        },
    ),
    "a stranger writes to our volume": (
        "foreign-mount",
        {"containers": [container("x", mounts=[["/d", "volume", f"{OURS}_data", True]])]},
    ),
    "a stranger writes below our directory": (
        "foreign-mount",
        {"containers": [container("x", mounts=[["/d", "bind", f"/srv/{OURS}/uploads", True]])]},
    ),
    "a container holds our port": ("taken-port", {"containers": [container("x", ports=port(8080))]}),
    "a container holds our port on every address": (
        "taken-port",
        {"containers": [container("x", ports=port(8080, "0.0.0.0"))]},
    ),
    "a process holds our port": ("taken-port", {"sockets": listens(8080)}),
    "a process holds our port on every address": ("taken-port", {"sockets": listens(8080, "")}),
}


@pytest.mark.parametrize("case", BAD)
def test_refused(case: str) -> None:
    """With the rule that is meant and no other, at a severity that stops, and a way to mend it."""
    rule, seen = BAD[case]
    findings = ownership(environment(), observation(**seen))
    assert [finding.rule for finding in findings] == [rule]
    assert findings[0].severity >= 3 and findings[0].fix and findings[0].environments == (OURS,)


NEAR: dict[str, dict[str, Any]] = {
    "nothing": {},
    "everything of ours": {
        "containers": [deployed(OURS, ports=port(8080), mounts=[["/d", "volume", f"{OURS}_data", True]])],
        "networks": [network(f"{OURS}_network", labels(OURS))],
        "volumes": [volume(f"{OURS}_data", labels(OURS))],
        "sockets": listens(8080),
    },
    "everything of theirs": {
        "containers": [deployed(THEIRS, ports=port(80, ""))],
        "networks": [network(f"{THEIRS}_network", labels(THEIRS))],
        "volumes": [volume(f"{THEIRS}_data", labels(THEIRS))],
        "sockets": listens(80, ""),
    },
    "names that ours is only a part of": {
        "containers": [container(f"{OURS}_web2", {PROJECT: "shop"}), container(f"x{OURS}_web")],
        "volumes": [volume(f"{OURS}_data2"), volume("data")],
    },
    "our project by another name of the same directory": {
        "containers": [container(f"{OURS}_web", labels(OURS, **{DIRECTORY: "/link"}))],
        "places": {"/link": "/data/here", f"/srv/{OURS}": "/data/here"},
    },
    "a one-off container of ours": {
        "containers": [container("x", labels(OURS, **{ONE_OFF: "True", SERVICE: "cron", PREFIX: ""}))],
    },
    "a service of ours that is gone": {"containers": [container("x", labels(OURS, **{SERVICE: "cron"}))]},
    "a project in a directory beside ours": {
        "containers": [container("x", {PROJECT: "shop", DIRECTORY: f"/srv/{OURS}2"})],
    },
    "a mount beside our directory": {
        "containers": [container("x", mounts=[["/d", "bind", f"/srv/{OURS}2", True]])],
    },
    "a port on another address": {"containers": [container("x", ports=port(8080, "192.0.2.1"))]},
    "the same port of a container that is stopped": {
        "containers": [container("x", ports=port(8080), running=False)],
    },
    "a process on another port": {"sockets": listens(8081)},
    "our container on a network of nobody": {
        "containers": [deployed(OURS, networks={"monitoring": NET})],
        "networks": [network("monitoring")],
    },
}


@pytest.mark.parametrize("case", NEAR)
def test_not_refused(case: str) -> None:
    """What only looks like it."""
    assert ownership(environment(), observation(**NEAR[case])) == []


def test_a_reader_of_our_files_is_told() -> None:
    """A backup that reads is no interference; it is mentioned at the lowest severity."""
    seen = {"containers": [container("backup", mounts=[["/d", "volume", f"{OURS}_data", False]])]}
    (finding,) = ownership(environment(), observation(**seen))
    assert (finding.rule, finding.severity) == ("foreign-mount", 1)


def test_the_owner_is_named() -> None:
    """By its prefix, its project and directory, or as nobody's project."""
    for marks, says in (
        (labels(THEIRS), f"belongs to {THEIRS}:"),
        ({PROJECT: "shop", DIRECTORY: "/srv/shop"}, "the Compose project shop in /srv/shop"),
        ({}, "belongs to no Compose project"),
    ):
        findings = ownership(environment(), observation(volumes=[volume(f"{OURS}_data", marks)]))
        assert says in findings[0].message


def adopting(name: str) -> Any:
    """An environment that takes over a volume, with the claim that its declaration makes."""
    found = environment(OURS, variables={"bulkhead_adopted_volumes": {"pgdata": name}})
    return replace(found, claims=(*found.claims, *claims_declared(found)))


@pytest.mark.parametrize(
    ("name", "volumes", "containers", "rule"),
    [
        ("gone", [], [], "adopted-volume"),
        ("theirs", [volume("theirs", labels(THEIRS))], [], "adopted-volume"),
        ("old", [volume("old")], [container("x", mounts=[["/data", "volume", "old", True]])], "foreign-mount"),
        ("old", [volume("old", {PROJECT: "shop"})], [], ""),
        ("old", [volume("old"), volume("theirs", labels(THEIRS))], [], ""),
    ],
)
def test_a_volume_that_is_taken_over(
    name: str, volumes: list[dict[str, Any]], containers: list[dict[str, Any]], rule: str
) -> None:
    """It has to be there, be nobody else's, and be mounted by nobody else; whose project made it does not matter."""
    found = ownership(adopting(name), observation(volumes=volumes, containers=containers))
    assert [finding.rule for finding in found] == ([rule] if rule else [])
