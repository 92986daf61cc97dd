# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which probes are made, and what their answers mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live import probes as subject
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.probes import (
    Probes,
    judge_probes,
    plan_probes,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.registered import entry_of, services_of
from unit.plugin_utils.isolation.live.observations import container, deployed, environment, labels, network, observation

OURS, THEIRS = "aiia_staging", "aiia_prod"


def ours(**more: Any) -> Any:
    variables = {"bulkhead_environment_header": "X-Environment", "bulkhead_database_user": OURS}
    return environment(domains=("staging.example.com",), https_port=8443, variables=variables, **more)


def theirs() -> Any:
    return environment(THEIRS, port=80, https_port=443, domains=("example.com", "www.example.com"))


def machine(**more: Any) -> dict[str, Any]:
    """Both deployed; their database publishes a port, and so does their web server."""
    ports = [{"port": 80, "address": ""}, {"port": 5433, "address": ""}]
    there = {f"{THEIRS}_network": {"id": "n", "address": "172.19.0.5", "aliases": ["web", "postgresql", "id-aiia_pr"]}}
    return observation(
        containers=[deployed(OURS), deployed(THEIRS, networks=there, ports=ports, exposed=[5432])],
        networks=[network(f"{OURS}_network", labels(OURS)), network(f"{THEIRS}_network", labels(THEIRS))],
        **more,
    )


def planned(**more: Any) -> Probes:
    return plan_probes(ours(), [theirs()], machine(**more))


def test_names_and_addresses_of_others_are_asked_for() -> None:
    """Not our own aliases, not ids, not what is public on purpose."""
    made = planned()
    assert made.resolve == ["aiia_prod_web", "postgresql"]
    assert made.connect == [{"address": "172.19.0.5", "port": 5432}, {"address": "machine", "port": 5433}]
    assert made.owners["postgresql"] == THEIRS
    assert made.owner("172.18.0.1", 5433) == THEIRS and made.owner("172.18.0.1", 80) == "another environment"
    assert not made.cut


def test_what_others_still_serve_the_public_at_is_no_target() -> None:
    """Their inventory has other ports already, or the front door's, and nobody has deployed that yet."""
    moved = replace(theirs(), http_port=8090, https_port=8493)
    connect = plan_probes(ours(), [moved], machine(registry={THEIRS: entry_of(theirs())})).connect
    assert {"address": "machine", "port": 80} not in connect and {"address": "machine", "port": 5433} in connect


def test_nobody_else_means_no_probes_inside() -> None:
    """Nor are strangers probed, who are no environment."""
    alone = observation(containers=[deployed(OURS), container("x")])
    made = plan_probes(ours(), [], alone)
    assert made.resolve == made.connect == []


def test_a_stopped_bystander_is_not_probed() -> None:
    """Its address may be somebody else's by now."""
    seen = machine()
    seen["containers"][1]["running"] = False
    assert plan_probes(ours(), [theirs()], seen).connect == []


def test_requests() -> None:
    """Own, foreign and unknown hosts, on both ports, with the port in the header where it is not the standard one."""
    made = planned().requests
    assert {(request["kind"], request["host_header"], request["tls"]) for request in made} == {
        ("own", "staging.example.com:8080", False),
        ("foreign", "example.com:8080", False),
        ("unknown", "unknown.invalid:8080", False),
        ("own", "staging.example.com:8443", True),
        ("asset", "staging.example.com:8443", True),
        ("foreign", "example.com:8443", True),
        ("unknown", "unknown.invalid:8443", True),
    }


def test_requests_over_ipv6() -> None:
    """What is published on every address is asked on both loopbacks; what is on one address, there alone."""
    asked = {(request["address"], request["optional"]) for request in planned().requests}
    assert asked == {("127.0.0.1", False), ("::1", True)}
    for bound, where in (("127.0.0.1", "127.0.0.1"), ("[::1]", "::1"), ("10.0.0.1", "10.0.0.1")):
        bind = {"bulkhead_bind_address": bound}
        made = plan_probes(environment(https_port=8443, variables=bind), [theirs()], machine())
        assert {(request["address"], request["optional"]) for request in made.requests} == {(where, False)}


def test_addresses_of_ipv6_are_asked_for() -> None:
    """Containers of networks with IPv6 have two addresses."""
    seen = machine()
    (there,) = seen["containers"][1]["networks"].values()
    there["address6"] = "fd00::5"
    made = plan_probes(ours(), [theirs()], seen)
    assert [(target["address"], target["port"]) for target in made.connect] == [
        ("172.19.0.5", 5432), ("fd00::5", 5432), ("machine", 5433),
    ]  # fmt: skip
    assert made.owner("fd00::5", 5432) == made.owner("fd00:1::1", 5433) == THEIRS


def test_bounds() -> None:
    """However many others there are, probes are bounded, and that is said."""
    there = {"n": {"id": "n", "address": "172.19.0.5", "aliases": [f"name{number}" for number in range(1000)]}}
    seen = machine()
    seen["containers"][1] = deployed(THEIRS, networks=there, exposed=list(range(1, 1000)))
    made = plan_probes(ours(), [theirs()], seen)
    assert (len(made.resolve), len(made.connect), made.cut) == (subject.MAX_NAMES, subject.MAX_TARGETS, True)


OWN = {
    "kind": "own", "tls": True, "host": "staging.example.com", "host_header": "staging.example.com:8443", "status": 200,
    "headers": {"x-environment": OURS}, "cookies": [], "error": "",
}  # fmt: skip
FOREIGN = {**OWN, "kind": "foreign", "host": "example.com", "host_header": "example.com:8443", "headers": {}}
INSIDE = {"container": "web", "resolved": [], "connected": [], "entered": [], "error": ""}
DATABASE = {"kind": "database", "container": "db", "code": 0, "lines": [], "error": ""}


ASSET = {**OWN, "kind": "asset", "path": "/static/a.css"}
LAYER = {**DATABASE, "kind": "layer", "container": "web", "lines": ["/app/media/a.png", "/app/media/b.png"]}
MEMORY = {**DATABASE, "kind": "memory", "container": "redis"}


def killed() -> dict[str, Any]:
    """The machine, where the kernel killed a process of the environment's container."""
    seen = machine()
    seen["containers"][0]["killed"] = True
    return seen


def judged(services: Any = None, **said: Any) -> list[tuple[str, int]]:
    """Rules and severities of what was answered."""
    result = {"inside": [], "answers": [], "replies": [], "observation": machine(), **said}
    findings = judge_probes(ours(), [theirs()], planned(), result, services or services_of(ours()))
    return [(finding.rule, int(finding.severity)) for finding in findings]


BAD: dict[str, tuple[str, int, dict[str, Any]]] = {
    "a foreign name resolves": ("foreign-name-resolves", 4, {"inside": [{**INSIDE, "resolved": ["postgresql"]}]}),
    "a foreign port connects": (
        "foreign-port-connects", 3, {"inside": [{**INSIDE, "connected": [["172.19.0.5", 5432]]}]},
    ),
    "a foreign server lets us in": (
        "foreign-server-lets-in", 4, {"inside": [{**INSIDE, "entered": [["172.19.0.5", 5432]]}]},
    ),
    "a probe that broke": ("probe-failed", 2, {"inside": [{**INSIDE, "error": "no python3"}]}),
    "a static file that is not there": ("static-missing", 1, {"answers": [{**ASSET, "status": 404}]}),
    "uploads in a container": ("uploads-in-container", 1, {"replies": [LAYER]}),
    "probes that took too long": ("probe-failed", 2, {"inside": [{**INSIDE, "late": True}]}),
    "a foreign host is served": ("answers-foreign-host", 3, {"answers": [{**FOREIGN, "status": 200}]}),
    "a foreign host is led elsewhere": ("answers-foreign-host", 3, {"answers": [{**FOREIGN, "status": 301}]}),
    "nobody answers our domain": ("own-domain-unanswered", 3, {"answers": [{**OWN, "status": 0, "error": "Timeout"}]}),
    "somebody else answers our domain": (
        "own-domain-elsewhere", 4, {"answers": [{**OWN, "headers": {"x-environment": THEIRS}}]},
    ),
    "somebody else answers our domain over IPv6": (
        "own-domain-elsewhere", 4,
        {"answers": [{**OWN, "address": "::1", "optional": True, "headers": {"x-environment": THEIRS}}]},
    ),
    "nobody knows who answers our domain": ("own-domain-elsewhere", 4, {"answers": [{**OWN, "headers": {}}]}),
    "a redirect to the standard port": (
        "redirect-leaves-ports", 3,
        {"answers": [{**OWN, "headers": {**OWN["headers"], "location": "https://staging.example.com/x"}}]},  # type: ignore[dict-item]
    ),
    "a cookie for the parent domain": (
        "cookie-reaches-others", 4, {"answers": [{**OWN, "cookies": ["session; Domain=.example.com; Secure"]}]},
    ),
    "their database on our server": (
        "foreign-database", 4, {"replies": [{**DATABASE, "lines": [f"database|{THEIRS}"]}]},
    ),
    "their role on our server": (
        "foreign-database", 4, {"replies": [{**DATABASE, "lines": [f"role|{THEIRS}_ro|false"]}]},
    ),
    "a superuser": ("application-superuser", 3, {"replies": [{**DATABASE, "lines": [f"role|{OURS}|true"]}]}),
    "a database that does not answer": ("probe-failed", 2, {"replies": [{**DATABASE, "code": 1, "error": "down"}]}),
    "a setting that waits": ("setting-waits", 1, {"replies": [{**DATABASE, "lines": ["pending|max_connections"]}]}),
    "another collation": ("collation-changed", 1, {"replies": [{**DATABASE, "lines": [f"collation|{OURS}"]}]}),
    "writes that were refused": ("memory-full", 1, {"replies": [{**MEMORY, "lines": ["errorstat_OOM:count=3"]}]}),
    "sessions that were dropped": (
        "memory-full", 1, {"replies": [{**MEMORY, "lines": ["evicted_keys:7", "maxmemory_policy:volatile-ttl"]}]},
    ),
    "data that is not saved": ("not-saved", 1, {"replies": [{**MEMORY, "lines": ["aof_last_write_status:err"]}]}),
    "a process that was killed": ("out-of-memory", 1, {"observation": killed()}),
    "a web server with nobody behind it": ("own-domain-unanswered", 3, {"answers": [{**OWN, "status": 502}]}),
    "a container that was removed": ("unhealthy", 3, {"observation": observation(containers=[deployed(THEIRS)])}),
    "a container that is not well": (
        "unhealthy", 3, {"observation": observation(containers=[deployed(OURS, condition="unhealthy")])},
    ),
    "a server that was told to stop": (
        "unhealthy", 3,
        {"observation": observation(containers=[deployed(OURS, condition="exited (0)", running=False)])},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_answers(case: str) -> None:
    """Each is found, by its rule alone."""
    rule, severity, said = BAD[case]
    assert judged(**said) == [(rule, severity)]


NEAR: dict[str, dict[str, Any]] = {
    "nothing is reached": {"inside": [INSIDE]},
    "a static file that is there": {"answers": [ASSET]},
    "a page that names no static file": {"answers": [{**ASSET, "path": "", "status": 0}]},
    "no uploads in a container": {"replies": [{**LAYER, "lines": []}]},
    "our domain is ours": {"answers": [OWN]},
    "nobody answers over IPv6": {"answers": [{**OWN, "address": "::1", "optional": True, "status": 0, "error": "x"}]},
    "our application is out of order": {"answers": [{**OWN, "status": 500}, {**OWN, "status": 503}]},
    "our domain needs a password": {"answers": [{**OWN, "status": 401}]},
    "a foreign host is refused by closing": {"answers": [{**FOREIGN, "status": 0, "error": "RemoteDisconnected"}]},
    "a foreign host is refused in words": {"answers": [{**FOREIGN, "status": 421}]},
    "a redirect to our own port": {
        "answers": [{**OWN, "headers": {"x-environment": OURS, "location": "https://staging.example.com:8443/x"}}],
    },
    "a redirect within the page": {"answers": [{**OWN, "headers": {"x-environment": OURS, "location": "/login"}}]},
    "a redirect to somebody who signs us in": {
        "answers": [{**OWN, "headers": {"x-environment": OURS, "location": "https://login.example.org/"}}],
    },
    "a cookie of our own": {"answers": [{**OWN, "cookies": ["session; Secure", "x; Domain=staging.example.com"]}]},
    "our databases and roles": {
        "replies": [
            {**DATABASE, "lines": ["database|postgres", f"database|{OURS}", f"role|{OURS}|false", "role|postgres|true"]}
        ],
    },
    "a name that only begins like theirs": {"replies": [{**DATABASE, "lines": ["database|aiia_production"]}]},
    "a container that still starts": {"observation": observation(containers=[deployed(OURS, condition="starting")])},
    "their container is not well": {
        "observation": observation(containers=[deployed(OURS), deployed(THEIRS, condition="unhealthy")]),
    },
    "a cache that drops what is old": {
        "replies": [{**MEMORY, "lines": ["evicted_keys:7", "maxmemory_policy:allkeys-lru", "errorstat_OOM:", "x"]}],
    },
    "data that is saved": {
        "replies": [{**MEMORY, "lines": ["aof_last_write_status:ok", "rdb_last_bgsave_status:ok", "evicted_keys:0"]}],
    },
    "a number that is none": {"replies": [{**MEMORY, "lines": ["evicted_keys:²"]}]},
    "a collation that nobody changed": {"replies": [{**DATABASE, "lines": ["collation|"]}]},
    "a question of a kind that nobody judges": {"replies": [{**DATABASE, "kind": "other", "code": 1}]},
}


@pytest.mark.parametrize("case", NEAR)
def test_good_answers(case: str) -> None:
    """What only looks bad."""
    assert judged(**NEAR[case]) == []


@pytest.mark.parametrize(
    ("variables", "static", "uploads"),
    [
        (
            {"bulkhead_static_root": "/app/s/static", "bulkhead_media_root": "/app/s/m", "bulkhead_services": {}},
            "static files in /app/s/static (bulkhead_prepare)",
            "uploads below /app/s/m, which is on",
        ),
        (
            {"bulkhead_static_root": "", "bulkhead_media_root": "", "bulkhead_storage_path": "/app/s"},
            "(bulkhead_static_root is empty)",
            "uploads below /app/s, which is on",
        ),
        (
            {"bulkhead_storage_path": "/app/s", "bulkhead_services": {"django": None, "web": {}}},
            "(bulkhead_static_root is empty)",
            "then mount a volume",
        ),
    ],
)
def test_the_mend_names_the_environment_s_own_directories(variables: Any, static: str, uploads: str) -> None:
    """Those that its variables say, and none where the application has no volume of the default stack."""
    own = replace(ours(), variables={**ours().variables, **variables})
    result = {"inside": [], "answers": [{**ASSET, "status": 404}], "replies": [LAYER], "observation": machine()}
    found = {finding.rule: finding.fix for finding in judge_probes(own, [], planned(), result, services_of(own))}
    assert static in found["static-missing"] and uploads in found["uploads-in-container"]
