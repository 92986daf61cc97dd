# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The doctor: each of many broken machines is diagnosed with the right cause first."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live import doctor
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.doctor import (
    CHECKS,
    as_dict,
    as_text,
    diagnose,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.drift import deployed_containers
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.look import FAULT, HINT, UNKNOWN, Look
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import (
    Claim,
    ComposeProject,
    Environment,
    Where,
)
from unit.plugin_utils.isolation.live.observations import ONE_OFF, SERVICE, container, labels, observation

OURS = "aiia_staging"
NOW = 1768089600.0
TIME = "2026-01-11T00:00:00Z"
GIB = 1 << 30
NAMES = ("nginx", "django", "pgbouncer", "postgresql", "redis", "worker")


class Machine:
    """A machine on which all is well, for a test to break."""

    def __init__(self) -> None:
        self.variables: dict[str, Any] = {"bulkhead_backup_schedule": "daily", "bulkhead_disk_alarm": 10}
        self.containers = {name: self._container(name) for name in NAMES}
        keys = {f"{name}_staging": {"replicas": 1, "once": False} for name in NAMES}
        self.entry: dict[str, Any] = {
            "prefix": OURS, "directory": f"/srv/{OURS}", "deployed": "2026-01-10T00:00:00Z", "by": "ann@ci",
            "services": keys, "claims": [], "machine": "m1", "machine_id": "machine-1", "engine_id": "engine-1",
        }  # fmt: skip
        self.observed = observation(
            space={
                "/var/lib/docker": {"size": 100 * GIB, "free": 50 * GIB, "inodes": 1000, "free_inodes": 500, "disk": 1}
            },
            memory={"total": 16 * GIB, "swap": 0},
            limits={"connections": [10, 100]},
        )
        self.observed["engine"].update(time=TIME, swap_limit=True)
        self.watched: dict[str, Any] = {
            "backup": {"created": "2026-01-10T12:00:00Z"},
            "schedule": {"backup": {"succeeded": True, "began": "2026-01-10T12:00:00Z"}, "certificates": {}},
            "certificate": {},
            "unread": "",
        }
        self.own: dict[str, Any] = {"left": [], "restored": True, "answers": [answer()], "replies": [], "logs": {}}
        self.examined: dict[str, Any] = {
            "clock": NOW,
            "versions": "",
            "memory": {"total": 16 * GIB, "available": 8 * GIB, "swap": GIB, "swap_free": GIB},
            "failed": {},
            "environments": {OURS: self.own},
        }

    @staticmethod
    def _container(name: str) -> dict[str, Any]:
        marks = labels(OURS, **{SERVICE: f"{name}_staging"})
        return container(f"{OURS}_{name}", marks)

    def logs(self, name: str, /, **signs: int) -> None:
        self.own["logs"][f"{OURS}_{name}"] = {sign.replace("_", "-"): count for sign, count in signs.items()}

    def stop(self, name: str, condition: str = "exited (1)") -> None:
        self.containers[name].update(condition=condition, running=False)

    def reply(self, name: str, kind: str, *lines: str, code: int = 0) -> None:
        self.own["replies"].append(
            {"container": f"{OURS}_{name}", "kind": kind, "code": code, "lines": list(lines), "error": "no"}
        )

    def look(self) -> Look:
        services = {f"{name}_staging": {"container_name": f"{OURS}_{name}"} for name in NAMES}
        claims = (
            Claim("path", "m1", f"/b/{OURS}", OURS, Where("x", 1), False, {"kind": "backup"}),
            *(Claim("container", "m1", f"{OURS}_{name}", OURS, Where("x", 1)) for name in NAMES),
        )
        environment = Environment(
            prefix=OURS, machine="m1", directory=f"/srv/{OURS}", domains=("staging.example.com",), http_port=8080,
            https_port=8443, compose=(ComposeProject(OURS, OURS, services),), claims=claims, variables=self.variables,
        )  # fmt: skip
        before = {"containers": [self._container(name) for name in NAMES]}
        seen = copy.deepcopy(self.observed)
        seen["containers"] += [each for each in self.containers.values() if each]
        seen["registry"].setdefault(OURS, {**self.entry, "containers": deployed_containers(OURS, before)})
        return Look(environment, seen, self.watched, self.examined, NOW, (OURS,))


def answer(**more: Any) -> dict[str, Any]:
    """What the environment's own domain answers."""
    certificate = {
        "ends": "2026-03-01", "until": 1.0, "left": 60 * 86400, "life": 90 * 86400, "names": ["staging.example.com"],
        "self_signed": False,
    }  # fmt: skip
    return {
        "kind": "own", "tls": True, "host": "staging.example.com", "host_header": "staging.example.com:8443",
        "status": 200, "error": "", "headers": {}, "cookies": [], "optional": False, "address": "127.0.0.1",
        "path": "/", "certificate": certificate, **more,
    }  # fmt: skip


Break = Callable[[Machine], Any]


def certificate(**more: Any) -> dict[str, Any]:
    found = answer()
    found["certificate"].update(more)
    return found


def full(machine: Machine) -> None:
    machine.observed["space"]["/var/lib/docker"]["free"] = 10 << 20
    machine.stop("postgresql")
    machine.stop("django", "unhealthy")
    machine.own["answers"] = [answer(status=502)]
    machine.logs("postgresql", no_space=4)


def out_of_memory(machine: Machine) -> None:
    machine.containers["django"].update(killed=True, restarts=9)


def foreign(machine: Machine) -> None:
    theirs = container(f"{OURS}_nginx", {"com.docker.compose.project": "other", "com.docker.compose.service": "nginx"})
    machine.containers["nginx"] = {}
    machine.observed["containers"].append(theirs)


#: Each broken machine, the check that must come first, and words of what it saw.
BROKEN: dict[str, tuple[Break, str, str]] = {
    "its clock is an hour ahead": (lambda m: m.examined.update(clock=NOW + 3600), "clock", "60 min"),
    "its Compose is too old": (
        lambda m: m.examined.update(versions="Docker Compose 2.1 is too old"), "engine and Compose", "too old",
    ),
    "its disk is full, and the database died of it": (full, "disk", "needs"),
    "its inodes are used up": (
        lambda m: m.observed["space"]["/var/lib/docker"].update(free_inodes=2), "disk", "inodes",
    ),
    "its memory is used up": (
        lambda m: m.examined["memory"].update(available=GIB // 10), "memory and swap", "is available",
    ),
    "a kernel limit is reached": (lambda m: m.observed["limits"].update(connections=[99, 100]), "kernel limits", "99"),
    "another project has the container's name": (foreign, "container conflicts", f"{OURS}_nginx"),
    "a deployment was killed": (lambda m: m.own.update(left=["start", "stop"]), "leftovers", "start, stop"),
    "PostgreSQL is stopped": (lambda m: m.stop("postgresql"), "database connection", "hop postgresql"),
    "PostgreSQL does not answer": (
        lambda m: m.reply("postgresql", "database", code=2), "database connection", "does not answer a query",
    ),
    "pgbouncer is stopped": (lambda m: m.stop("pgbouncer"), "database connection", "hop pgbouncer"),
    "the database's name does not resolve": (lambda m: m.logs("django", name=12), "database connection", "hop name"),
    "the password is wrong": (lambda m: m.logs("pgbouncer", credentials=3), "database connection", "hop credentials"),
    "the database is not there": (lambda m: m.logs("django", no_database=3), "database connection", "hop database"),
    "the pool is full": (lambda m: m.logs("pgbouncer", pool_full=40), "database connection", "pgbouncer has no free"),
    "PostgreSQL has no slot": (lambda m: m.logs("django", slots_full=4), "database connection", "PostgreSQL has no"),
    "a migration is missing": (lambda m: m.logs("django", no_table=4), "database connection", "hop schema"),
    "Redis is stopped": (lambda m: m.stop("redis"), "Redis", f"{OURS}_redis is exited (1)"),
    "Redis is full": (lambda m: m.logs("django", redis_full=4), "Redis", "refused 4 writes"),
    "Redis cannot save": (lambda m: m.logs("django", redis_unsaved=4), "Redis", "cannot save"),
    "Redis drops keys": (
        lambda m: m.reply("redis", "memory", "evicted_keys:7", "maxmemory_policy:volatile-lru"),
        "Redis memory", "dropped 7 keys",
    ),
    "the kernel kills the application again and again": (out_of_memory, "out of memory", "killed a process"),
    "the worker is stopped": (lambda m: m.stop("worker"), "queue workers", f"{OURS}_worker is exited"),
    "the worker reaches no broker": (lambda m: m.logs("worker", refused=8), "queue workers", "refused a connection 8"),
    "nginx is stopped": (lambda m: m.stop("nginx"), "web server", f"{OURS}_nginx is exited"),
    "nginx may not read the static files": (lambda m: m.logs("nginx", permission=8), "web server", "may not read"),
    "the application ends again and again": (
        lambda m: m.containers["django"].update(restarts=20), "restarts", "restarted 20 times",
    ),
    "the application is unhealthy": (
        lambda m: m.containers["django"].update(condition="unhealthy"), "health", "is unhealthy",
    ),
    "a service was removed": (lambda m: m.containers.update(django={}), "health", "has no container"),
    "nothing answers the domain": (
        lambda m: m.own.update(answers=[answer(status=0, error="ConnectionRefusedError")]),
        "domain routing", "does not answer (ConnectionRefusedError)",
    ),
    "the backend of the domain is down": (
        lambda m: m.own.update(answers=[answer(status=502)]), "domain routing", "its backend is down",
    ),
    "another server answers the domain": (
        lambda m: (m.variables.update(bulkhead_environment_header="X-Env"),
                   m.own.update(answers=[answer(headers={"x-env": "aiia_prod"})])),
        "domain routing", "is answered by aiia_prod",
    ),
    "the certificate ended": (
        lambda m: m.own.update(answers=[certificate(left=-86400)]), "certificate", "ended on 2026-03-01",
    ),
    "the certificate is for another domain": (
        lambda m: (m.variables.update(bulkhead_acme=True),
                   m.watched["schedule"].update(certificates={"began": TIME, "succeeded": True}),
                   m.own.update(answers=[certificate(names=["other.example.com"])])),
        "certificate", "that is not for",
    ),
    "a static file is missing": (
        lambda m: m.own["answers"].append(answer(kind="asset", path="/static/app.css", status=404)),
        "static and media", "404",
    ),
    "there is no backup": (lambda m: m.watched.update(backup={}), "backups", "no complete backup"),
    "the backup is old": (
        lambda m: m.watched.update(backup={"created": "2026-01-01T00:00:00Z"}), "backups", "10 d old",
    ),
    "the scheduled backup fails": (
        lambda m: m.watched["schedule"].update(backup={"succeeded": False, "began": TIME}), "timers", "backup failed",
    ),
    "the timer of the certificate does not fire": (
        lambda m: (m.variables.update(bulkhead_acme=True),
                   m.watched["schedule"].update(certificates={"succeeded": True, "began": "2026-01-05T00:00:00Z"})),
        "timers", "timer of certificates did not fire for 6 d",
    ),
    "the timer does not fire": (
        lambda m: m.watched["schedule"].update(backup={"succeeded": True, "began": "2026-01-05T00:00:00Z"}),
        "timers", "did not fire for 6 d",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_machine_is_diagnosed_with_the_right_cause_first(name: str) -> None:
    broken, check, words = BROKEN[name]
    machine = Machine()
    broken(machine)
    first, *_more = diagnose(machine.look())
    assert (first.kind, first.check) == (FAULT, check), first
    assert words in first.saw and first.why and first.next
    text = as_text({OURS: [first]}, {})
    assert text.splitlines()[-1] == f"1 fault: begin with {check} of {OURS}."


HINTS: dict[str, tuple[Break, str]] = {
    "its clock is some seconds off": (lambda m: m.examined.update(clock=NOW - 20), "clock"),
    "it swaps": (lambda m: m.examined["memory"].update(swap_free=0), "memory and swap"),
    "its disk fills": (lambda m: m.observed["space"]["/var/lib/docker"].update(free=9 * GIB), "disk"),
    "no backup was ever restored": (lambda m: m.own.update(restored=False), "backups"),
    "a domain has no address": (lambda m: m.own.update(nameless=["staging.example.com"]), "DNS"),
    "a command's container is left": (
        lambda m: m.containers.update(run=container(f"{OURS}_run", {**labels(OURS), ONE_OFF: "True"})), "leftovers",
    ),
    "somebody changed a container": (lambda m: m.containers["redis"].update(image="sha256:2"), "drift"),
}  # fmt: skip

#: The programs that a result may name.
TYPED = re.compile(r"(?:ansible-playbook aiia\.bulkhead\.\w+ |docker \w+|df -|dig |ss -|sysctl |swapon |\w+ctl [\w-]+)")


@pytest.mark.parametrize("name", [*BROKEN, *HINTS])
def test_every_result_says_what_to_type(name: str) -> None:
    machine = Machine()
    (BROKEN.get(name) or HINTS[name])[0](machine)
    for each in diagnose(machine.look()):
        assert TYPED.match(each.next), each.next


def test_what_other_gates_found_says_what_to_type() -> None:
    """Beside the advice of a finding, which may name none. Those without a command here have it in their advice."""
    told = {rule: each.next("Mend it.") for rule, each in doctor._FINDINGS.items()}
    assert told["taken-port"] == "ss -ltnp; mend it"
    bare = {rule for rule, text in told.items() if not TYPED.match(text)}
    assert bare == {"absent-front-door", "in-maintenance", "setting-waits", "missing-age"}


def test_a_machine_on_which_all_is_well_has_no_result() -> None:
    """Control for all of the above."""
    found = diagnose(Machine().look())
    assert found == []
    assert as_text({OURS: found}, {}) == f"1 examined with {len(CHECKS)} checks: no fault was found."
    assert len(BROKEN) >= 30


@pytest.mark.parametrize("name", HINTS)
def test_a_hint_is_no_fault(name: str) -> None:
    broken, check = HINTS[name]
    machine = Machine()
    broken(machine)
    (found,) = diagnose(machine.look())
    assert (found.kind, found.check) == (HINT, check)
    assert "hints:" in as_text({OURS: [found]}, {}) and "no fault was found" in as_text({OURS: [found]}, {})


def test_a_deployment_at_work_leaves_nothing_behind() -> None:
    machine = Machine()
    machine.own.update(left=["start"])
    machine.observed["locks"][OURS] = {"owner": "ann@ci"}
    assert diagnose(machine.look()) == []


@pytest.mark.parametrize("name", [name for name, _check in CHECKS])
def test_a_check_that_crashes_is_its_own_result(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_look: Look) -> Any:
        raise KeyError("a secret")

    monkeypatch.setattr(doctor, "CHECKS", [(each, crash if each == name else check) for each, check in CHECKS])
    machine = Machine()
    machine.stop("redis")
    found = diagnose(machine.look())
    crashed = [each for each in found if each.kind == UNKNOWN]
    assert [(each.check, each.saw) for each in crashed] == [(name, "the check ended with KeyError")]
    assert name == "Redis" or found[0].check == "Redis"


def test_a_look_that_failed_and_an_answer_that_is_garbage() -> None:
    machine = Machine()
    machine.examined["failed"] = {"logs": "the engine said no to ann@example.com"}
    (found,) = diagnose(machine.look())
    assert (found.kind, found.check, found.saw) == (UNKNOWN, "logs", "the engine said no to <user>")
    machine = Machine()
    machine.own["answers"] = [{}]
    assert UNKNOWN in {each.kind for each in diagnose(machine.look())}


def test_what_it_says_can_be_pasted() -> None:
    """No domain, address or user of those who paste it."""
    machine = Machine()
    machine.own["answers"] = [answer(status=0, error="ConnectionRefusedError", host_header="staging.example.com")]
    machine.examined["versions"] = "asked by ann@laptop at 203.0.113.7 in /home/ann/app"
    text = as_text({OURS: diagnose(machine.look())}, {})
    for word in ("example.com", "ann", "203.0.113.7"):
        assert word not in text.replace("ansible", ""), word
    assert "<domain>" in text and "<user>" in text and "<address>" in text


def test_many_of_a_kind_are_counted_and_json_has_all() -> None:
    machine = Machine()
    for name in NAMES:
        machine.containers[name].update(restarts=9)
    found = {OURS: diagnose(machine.look())}
    text = as_text(found, {"aiia_qa": "no route"})
    assert "restarts: 3 more of the kind" in text and "aiia_qa: unreachable: no route" in text
    told = json.loads(json.dumps(as_dict(found, {"aiia_qa": "no route"})))
    assert len(told["results"]) == len(NAMES) and told["unreachable"] == {"aiia_qa": "no route"}
    assert told["summary"] == f"6 faults: begin with restarts of {OURS}. 1 could not be reached."
