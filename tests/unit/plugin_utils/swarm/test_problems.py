# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Three machines that are judged: each bad input gives one sentence, and its near miss none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.swarm.model import MachineLook, Node, SwarmSettings, Wanted
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.swarm.plan import plan
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.swarm.problems import (
    Unreached,
    problems,
    refusal,
    warnings,
)

HOSTS = ("one", "two", "three")
IDS = {host: f"{host:x<25}" for host in HOSTS}
Fleet = tuple[dict[str, Wanted], dict[str, MachineLook]]


def fleet(managers: int = 1) -> Fleet:
    """Three machines in no swarm."""
    wanted = {host: Wanted(host, "manager" if at < managers else "worker") for at, host in enumerate(HOSTS)}
    looks = {
        host: MachineLook(
            host, engine="26.1.5+dfsg1", engine_id=f"id-{host}", addresses=(f"10.0.0.{at}",), clock=at / 10
        )
        for at, host in enumerate(HOSTS, 1)
    }
    return wanted, looks


def formed(managers: int = 1) -> Fleet:
    """The same in one swarm."""
    wanted, looks = fleet(managers)
    nodes = tuple(
        Node(
            IDS[host], host, look.addresses[0], wanted[host].role, "active", {}, "ready",
            *((True, f"{look.addresses[0]}:2377") if wanted[host].role == "manager" else ()),
        )
        for host, look in looks.items()
    )  # fmt: skip
    for host, look in looks.items():
        more: dict[str, Any] = {"state": "active", "node": IDS[host], "node_address": look.addresses[0]}
        if wanted[host].role == "manager":
            more |= {"control": True, "cluster": "c1", "nodes": nodes}
        looks[host] = replace(look, managers=("10.0.0.1:2377",), **more)
    return wanted, looks


def changed(found: Fleet, host: str, **more: Any) -> Fleet:
    found[1][host] = replace(found[1][host], **more)
    return found


def as_seen(found: Fleet, host: str, **more: Any) -> Fleet:
    """The managers see another node than there was."""
    for name, look in found[1].items():
        nodes = tuple(replace(node, **more) if node.id == IDS[host] else node for node in look.nodes)
        found[1][name] = replace(look, nodes=nodes)
    return found


def judged(found: Fleet, **settings: Any) -> list[str]:
    return problems(*found, SwarmSettings(**settings))


@pytest.mark.parametrize("managers", [1, 3])
def test_good_machines_are_left_alone(managers: int) -> None:
    assert judged(fleet(managers)) == []
    assert judged(formed(managers)) == []


AWAY = {"away": "ssh: no route"}
BAD: dict[str, tuple[Fleet, str]] = {
    "an old engine": (changed(fleet(), "two", engine="24.0.9"), "two runs Docker Engine 24.0.9, and 25.0"),
    "no version": (changed(fleet(), "two", engine=""), "two runs Docker Engine of an unknown version"),
    "nftables": (changed(fleet(), "two", firewall="nftables+firewalld"), "two: its engine uses the firewall backend"),
    "live-restore": (changed(fleet(), "two", live_restore=True), "two: its engine has live-restore"),
    "no engine": (changed(fleet(), "two", problem="the engine gives no answer"), "two: the engine gives no answer"),
    "two addresses": (changed(fleet(), "two", addresses=("10.0.0.2", "192.0.2.7")), "two has 10.0.0.2, 192.0.2.7: set"),
    "no address": (changed(fleet(), "two", addresses=()), "two has no address that others could reach"),
    "a taken port": (changed(fleet(), "two", taken={"7946": "x (pid 1)"}), "two: port 7946 is taken by x (pid 1)"),
    "a clock": (changed(fleet(), "two", clock=700), "the clock of two is 700 s ahead of that of three"),
    "a late clock": (changed(fleet(), "two", clock=-700), "the clock of two is 700 s behind that of one"),
    "one machine twice": (
        changed(fleet(), "two", engine_id="id-one", addresses=("10.0.0.1",)),
        "one and two are the same machine",
    ),
    "away before the first": (changed(fleet(), "two", **AWAY), "no machine that answers is in a swarm, and two cannot"),
    "another swarm": (
        changed(changed(formed(2), "two", cluster="c2"), "two", nodes=()),
        "two is in another swarm than one (c2 and c1)",
    ),
    "a worker of another swarm": (
        changed(formed(), "three", node="y" * 25, managers=("192.0.2.1:2377",)),
        "three is in a swarm, whose managers are at 192.0.2.1:2377, but not in that of one",
    ),
    "a worker whose manager is nobody's": (
        changed(fleet(), "three", state="active", node="y" * 25, managers=("192.0.2.1:2377",)),
        "three is in a swarm, and no machine that answers manages it. Its managers are at 192.0.2.1:2377",
    ),
    "no quorum": (
        changed(changed(changed(formed(3), "two", **AWAY), "three", **AWAY), "one", refused="no leader", nodes=()),
        "the swarm has no quorum: one would decide, but too few of its managers answer each other (no answer from "
        "three, two)",
    ),
    "locked": (changed(formed(3), "two", state="locked", control=False), "two was restarted and waits for the key"),
    "still joining": (changed(formed(), "two", state="pending"), "two is in a swarm, but its state there is pending"),
    "an error": (changed(formed(), "two", state="error", error="x509"), "its state there is error: x509"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_each_bad_input_gives_one_sentence(case: str) -> None:
    found, words = BAD[case]
    (reason,) = judged(found)
    assert words in reason
    assert refusal([reason]).endswith(". Nothing was changed")


GOOD = {
    "the oldest engine": changed(fleet(), "two", engine="25.0.0"),
    "iptables": changed(fleet(), "two", firewall="iptables"),
    "clocks nearly apart": changed(fleet(), "two", clock=50),
    "clocks not known exactly": changed(fleet(), "two", clock=61, clock_within=5),
    "copies of one disk": changed(fleet(), "two", engine_id="id-one"),
    "a worker away": changed(formed(), "two", **AWAY),
    "one of three managers away": as_seen(changed(formed(3), "one", **AWAY), "one", reachable=False, state="down"),
    "locked, and its key is kept": changed(formed(3), "two", state="locked", control=False),
}


@pytest.mark.parametrize("case", GOOD)
def test_near_misses(case: str) -> None:
    assert judged(GOOD[case], has_key=True) == []


def test_an_address_must_be_the_machines_own() -> None:
    for is_own, expected in ((True, 0), (False, 1)):
        wanted, looks = changed(fleet(), "two", addresses=("10.0.0.2", "192.0.2.7"), is_own=is_own)
        wanted["two"] = replace(wanted["two"], address="192.0.2.7")
        found = problems(wanted, looks, SwarmSettings())
        assert len(found) == expected
    assert "which is no address of that machine. It has 10.0.0.2, 192.0.2.7" in found[0]


def test_a_node_keeps_its_address() -> None:
    for address, expected in (("10.0.0.2", 0), ("10.0.0.9", 1)):
        wanted, looks = formed()
        wanted["two"] = replace(wanted["two"], address=address)
        assert len(problems(wanted, looks, SwarmSettings())) == expected


def test_no_manager_is_declared() -> None:
    (reason,) = judged(fleet(0))
    assert "no machine is declared as a manager" in reason


def test_locking_needs_a_place_for_the_key() -> None:
    assert judged(fleet(), autolock=True, key_problem="no place") == ["no place"]
    assert judged(fleet(), autolock=False, key_problem="no place") == []
    assert judged(fleet(), key_problem="no place") == []
    assert judged(changed(formed(), "one", locked=True), key_problem="no password") == ["no password"]


def test_all_managers_are_locked() -> None:
    """In check mode nothing unlocks them: no second swarm is planned."""
    found = changed(formed(), "one", state="locked", control=False, nodes=())
    (reason,) = judged(found, has_key=True)
    assert "one is locked, and without it nothing is known of its swarm" in reason
    (reason,) = judged(found)
    assert "one was restarted and waits for the key" in reason


BLOCKED = Unreached("one", "three", "10.0.0.3", "udp", 4789, "no answer within 3 s")


def test_a_blocked_port_stops_who_would_join_and_warns_the_others() -> None:
    (reason,) = problems(*fleet(), SwarmSettings(), [BLOCKED, replace(BLOCKED, source="two")])
    assert reason.startswith(
        "port 4789/udp of three (10.0.0.3) cannot be reached from one, two (no answer within 3 s): the containers' own"
    )
    assert problems(*formed(), SwarmSettings(), [BLOCKED]) == []
    (warning,) = warnings(formed()[1], [BLOCKED])
    assert warning.startswith("port 4789/udp of three")
    assert warnings(fleet()[1], [BLOCKED]) == []


def test_all_reasons_at_once() -> None:
    text = refusal(judged(changed(fleet(), "two", engine="20.10.5", live_restore=True, taken={"2377": "x"})))
    assert text.startswith("the swarm cannot be made as declared, for 3 reasons. Nothing was changed:\n  - two: port")


def test_only_a_node_that_is_down_and_nobodys_is_removed() -> None:
    lost = (IDS["three"],)
    assert "is up: only a node that is down" in judged(formed(), lost=lost)[0]
    down = as_seen(formed(), "three", state="down")
    assert "is in this group" in judged(down, lost=lost)[0]
    replaced = changed(down, "three", state="inactive", node="", node_address="")
    assert judged(replaced, lost=lost) == []
    assert judged(formed(), lost=("z" * 25,)) == []  # removed before


def test_roles_that_would_leave_too_few_managers() -> None:
    wanted, looks = as_seen(changed(formed(3), "one", **AWAY), "one", reachable=False, state="down")
    wanted["two"] = replace(wanted["two"], role="worker")
    (reason,) = problems(wanted, looks, SwarmSettings())
    assert "2 managers, of which 1 can be reached" in reason
    wanted, looks = formed(3)
    wanted["two"] = replace(wanted["two"], role="worker")
    assert problems(wanted, looks, SwarmSettings()) == []


# The plan


def verbs(found: Fleet, **settings: Any) -> list[str]:
    return [f"{step.verb} {step.target}" for step in plan(*found, SwarmSettings(**settings)).steps]


def test_forming() -> None:
    found = plan(*fleet(2), SwarmSettings())
    assert (found.form, found.asked, found.joining) == ("one", "one", ["two", "three"])
    assert found.managers == ["10.0.0.1:2377"]
    assert verbs(fleet(2)) == ["begin the swarm on one", "join two", "join three"]
    assert verbs(formed(2)) == []


def test_another_manager_is_asked() -> None:
    found = plan(*as_seen(changed(formed(3), "one", **AWAY), "one", reachable=False, state="down"), SwarmSettings())
    assert (found.asked, found.form, found.steps) == ("three", "", [])
    assert found.managers == ["10.0.0.2:2377", "10.0.0.3:2377"]


def test_a_machine_that_is_added_and_one_that_is_replaced() -> None:
    out = {"state": "inactive", "node": "", "node_address": ""}
    found = changed(as_seen(formed(), "three", state="down"), "three", **out)
    assert verbs(found) == ["join three"]
    (note,) = plan(*found, SwarmSettings()).notes
    assert note.startswith(f"the node {IDS['three']} (three, 10.0.0.3) is down, and was left in the swarm")
    assert verbs(found, lost=(IDS["three"],)) == ["join three", "remove three"]
    assert plan(*found, SwarmSettings(lost=(IDS["three"],))).notes == []


def test_settings_of_nodes() -> None:
    wanted, looks = formed(2)
    wanted["two"] = replace(wanted["two"], role="worker", availability="drain", labels={"disk": "ssd"})
    (step,) = plan(wanted, looks, SwarmSettings()).steps
    assert (step.verb, step.target, step.detail) == ("set up", "two", "label disk=ssd, role worker, availability drain")


def test_a_node_that_nobody_declared() -> None:
    wanted, looks = formed()
    del wanted["three"], looks["three"]
    (note,) = plan(wanted, looks, SwarmSettings()).notes
    assert "is in the swarm and not in the inventory" in note


def test_locking() -> None:
    assert "lock the managers of the swarm" in verbs(formed(), autolock=True)
    assert verbs(changed(formed(), "one", locked=True), autolock=True) == []
    assert verbs(changed(formed(), "one", locked=True)) == []
    assert verbs(fleet(), autolock=True)[0] == "begin the swarm on one"
