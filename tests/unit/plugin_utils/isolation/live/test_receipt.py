# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The comparison of two observations: what fails a run, what is only noted, and the receipt for a person."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import Step
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.receipts import outcome
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.receipt import (
    BystanderComparison,
    as_text,
    compare,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.naming import firewall_chain
from unit.plugin_utils.isolation.live.observations import (
    ONE_OFF,
    PREFIX,
    PROJECT,
    container,
    deployed,
    entry,
    labels,
    network,
    observation,
    volume,
)

OURS, THEIRS = "aiia_staging", "aiia_prod"


def machine() -> dict[str, Any]:
    """Two environments, theirs registered and with a published port."""
    return observation(
        containers=[
            deployed(OURS),
            deployed(THEIRS, ports=[{"port": 80, "address": ""}], mounts=[["/d", "volume", "v", True]]),
        ],
        networks=[network(f"{OURS}_network", labels(OURS)), network(f"{THEIRS}_network", labels(THEIRS))],
        volumes=[volume(f"{THEIRS}_data", labels(THEIRS), database="7401")],
        sockets=[{"address": "", "port": 80, "process": ""}, {"address": "", "port": 22, "process": "sshd"}],
        registry={OURS: entry(OURS), THEIRS: entry(THEIRS)},
        files={f"/srv/{OURS}": {".env": "1"}, f"/srv/{THEIRS}": {".env": "1", "docker-compose.prod.yml": "2"}},
    )


def after(**changes: Any) -> BystanderComparison:
    """The comparison after their container was changed, or another part of the machine."""
    seen = machine()
    for key, value in changes.items():
        if key in ("volumes", "files", "sockets", "key"):
            seen[key] = value
        else:
            seen["containers"][1][key] = value
    return compare(machine(), seen, OURS)


def test_nothing_changed() -> None:
    """Bystanders are counted, and there is nothing to tell."""
    assert compare(machine(), machine(), OURS) == BystanderComparison((THEIRS,), 1)


def test_our_own_changes_are_ours() -> None:
    """What the deployment was for is neither a change of a bystander nor a note."""
    seen = machine()
    seen["containers"][0] = deployed(OURS, id="other", image="sha256:2")
    seen["files"][f"/srv/{OURS}"] = {".env": "2"}
    seen["networks"][0]["id"] = "other"
    assert compare(machine(), seen, OURS) == BystanderComparison((THEIRS,), 1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"id": "another"}, ["container aiia_prod_web is gone", "container aiia_prod_web is new"]),
        ({"started": "2026-02"}, ["container aiia_prod_web was restarted"]),
        ({"running": False}, ["container aiia_prod_web stopped"]),
        ({"condition": "paused"}, ["container aiia_prod_web was paused"]),
        ({"image": "sha256:2"}, ["container aiia_prod_web changed its image"]),
        ({"mounts": []}, ["container aiia_prod_web changed its mounts"]),
        ({"ports": []}, ["container aiia_prod_web changed its ports"]),
        ({"networks": {}}, ["container aiia_prod_web changed its networks"]),
        ({"name": "x"}, ["container aiia_prod_web was renamed to x"]),
        ({"volumes": []}, ["volume aiia_prod_data is gone"]),
        ({"volumes": [volume("aiia_prod_data", labels(THEIRS), database="7401", created="2027")]},
         ["volume aiia_prod_data was recreated"]),
        ({"volumes": [volume("aiia_prod_data", labels(THEIRS), database="9")]},
         ["volume aiia_prod_data holds another database cluster"]),
        ({"files": {f"/srv/{THEIRS}": {".env": "9"}}},
         ["file /srv/aiia_prod/.env changed", "file /srv/aiia_prod/docker-compose.prod.yml is gone"]),
        ({"files": {f"/srv/{THEIRS}": {".env": "1", "docker-compose.prod.yml": "2", "docker/nginx/x.conf": "3"}}},
         ["file /srv/aiia_prod/docker/nginx/x.conf is new"]),
        ({"sockets": [{"address": "", "port": 22, "process": ""}]}, ["nothing listens on *:80 any more"]),
    ],
)  # fmt: skip
def test_what_fails_a_run(changes: dict[str, Any], says: list[str]) -> None:
    """Every difference of a bystander, by name."""
    assert list(after(**changes).changes) == says


def with_redis(run: str, **more: Any) -> dict[str, Any]:
    """Both environments, their container being a Redis of this run."""
    seen = machine()
    seen["containers"][1] |= {"run": run, **more}
    return seen


def test_a_redis_that_was_restarted_inside_its_container() -> None:
    """The same container since the same second, and another run of the server in it."""
    assert compare(with_redis("1"), with_redis("1"), OURS).changes == ()
    (change,) = compare(with_redis("1"), with_redis("2"), OURS).changes
    assert change == "Redis in container aiia_prod_web was restarted inside, by hand or by a crash"


def test_a_redis_that_cannot_be_compared() -> None:
    """Near misses: one that says nothing any more is noted, one that never did is nothing, a restart is told once."""
    (note,) = notes(with_redis("1"), with_redis(""))
    assert "could not be compared" in note
    assert compare(with_redis(""), with_redis("2"), OURS) == BystanderComparison((THEIRS,), 1)
    assert compare(with_redis("1"), with_redis("2", started="2026-02"), OURS).changes == (
        "container aiia_prod_web was restarted",
    )


def test_a_network_made_anew() -> None:
    """Another id under the same name."""
    seen = machine()
    seen["networks"][1]["id"] = "other"
    assert compare(machine(), seen, OURS).changes == ("network aiia_prod_network was recreated",)


def notes(before: dict[str, Any], seen: dict[str, Any]) -> tuple[str, ...]:
    found = compare(before, seen, OURS)
    assert found.changes == ()
    return found.notes


def test_a_restart_by_policy_is_noted() -> None:
    """The engine counts its own restarts; the container has another address then."""
    moved = {f"{THEIRS}_network": {"id": f"net-{THEIRS}", "address": "172.18.0.77", "aliases": ["web"]}}
    found = after(started="2026-02", restarts=1, networks=moved)
    assert found.changes == () and found.notes == (
        "container aiia_prod_web was restarted (by the engine's own policy)",
    )


def test_a_restart_by_hand_resets_the_count() -> None:
    """Near miss: fewer restarts than before is somebody's hand."""
    before = machine()
    before["containers"][1]["restarts"] = 3
    assert compare(before, machine() | {"containers": [deployed(THEIRS, started="2026-02")]}, OURS).changes


@pytest.mark.parametrize(("policy", "fails"), [("unless-stopped", False), ("no", True)])
def test_a_restart_of_the_engine(policy: str, fails: bool) -> None:
    """What comes up again with the engine is noted; what stays down or was started by somebody is not."""
    before = machine()
    before["containers"][1]["policy"] = policy
    seen = deepcopy(before)
    seen["generation"] = "boot-2"
    seen["containers"][1]["started"] = "2026-02"
    found = compare(before, seen, OURS)
    assert bool(found.changes) is fails
    assert found.notes[0] == "the machine or its engine restarted during this run"


def test_one_off_containers_are_noted() -> None:
    """They come and go."""
    once = container("once", labels(THEIRS, **{ONE_OFF: "True"}))
    seen = machine()
    seen["containers"].append(once)
    assert notes(machine(), seen) == ("container once is new (a one-off container)",)
    assert notes(seen, machine()) == ("container once is gone (a one-off container)",)


def test_strangers_are_noted() -> None:
    """Containers, networks and volumes of nobody who is registered here."""
    seen = machine()
    seen["containers"] += [container("x"), container("y", labels("elsewhere_prod"))]
    seen["networks"].append(network("n", {PROJECT: "shop"}))
    assert [note.split(" (")[0] for note in notes(machine(), seen)] == [
        "container x is new", "container y is new", "network n is new",
    ]  # fmt: skip


def test_an_environment_of_the_fleet_is_no_stranger() -> None:
    """Also where the registry was lost: it is known by the inventory."""
    before, seen = machine(), machine()
    del before["registry"][THEIRS], seen["registry"][THEIRS]
    seen["containers"].pop()
    assert compare(before, seen, OURS).changes == ()
    assert compare(before, seen, OURS, [OURS, THEIRS]).changes == ("container aiia_prod_web is gone",)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"locks": {THEIRS: {}}}, {}),
        ({}, {"locks": {THEIRS: {}}}),
        ({"deployments": {THEIRS: 1.0}}, {"deployments": {THEIRS: 2.0}}),
        ({}, {"deployments": {THEIRS: 2.0}}),
    ],
    ids=["from before", "still", "in between", "for the first time"],
)
def test_a_deployment_of_the_bystander_itself_is_noted(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Under its own lock, however the two overlap, and also where it failed."""
    seen = machine() | now
    seen["containers"] = [deployed(OURS), deployed(THEIRS, id="other")]
    found = notes(machine() | before, seen)
    assert any("aiia_prod_web is gone (aiia_prod is being deployed itself)" in note for note in found)


def test_somebody_elses_lock_excuses_nothing() -> None:
    """Near miss: a third environment's deployment does not explain what became of this one."""
    held = {"locks": {OURS: {}, "aiia_third": {}}, "deployments": {THEIRS: 1.0}}
    seen = machine() | held
    seen["containers"] = [deployed(OURS)]
    assert compare(machine() | held, seen, OURS).changes


def test_probes_of_others_are_not_told() -> None:
    """A verification that runs beside this one is nobody's business."""
    seen = machine()
    seen["containers"].append(container("p", {"io.bulkhead.probe": "true"}))
    assert compare(machine(), seen, OURS) == BystanderComparison((THEIRS,), 1)


def test_digests_under_two_keys_are_not_compared() -> None:
    """A key that was lost makes every file look changed."""
    assert after(key="key-2", files={f"/srv/{THEIRS}": {".env": "9"}}).changes == ()


def test_files_of_an_environment_that_only_its_containers_know() -> None:
    """Where the registry is silent, the label of the working directory says whose they are."""
    before, seen = machine(), machine()
    before["registry"], seen["registry"] = {}, {}
    seen["files"][f"/srv/{THEIRS}"] = {".env": "9", "docker-compose.prod.yml": "2"}
    assert compare(before, seen, OURS, [THEIRS]).changes == ("file /srv/aiia_prod/.env changed",)
    assert PREFIX in before["containers"][1]["labels"]


WRITTEN, STARTED = Step("write", ".env", "file").as_dict(), Step("start", "web", "container").as_dict()
RECEIPT: dict[str, Any] = {
    "prefix": OURS,
    "finished": "2026-01-01T00:00:00Z",
    "proved": {"environments": [OURS, THEIRS], "claims": 40},
    "commit": "abc",
    "release": "r1",
    "changed": [WRITTEN],
    "probed": {"containers": 5, "names": 10, "addresses": 6, "requests": 8},
    "bystanders": [THEIRS],
    "bystander_containers": 5,
    "bystander_changes": [],
    "notes": [],
    "path": "/var/lib/bulkhead/r.json",
}


def test_the_receipt_for_a_person() -> None:
    """What was proved, done and seen, in ten lines."""
    text = as_text(RECEIPT | {"notes": [f"note {number} " + "x" * 200 for number in range(50)]})
    assert len(text.splitlines()) <= 10
    for words in ("2 environments, 40 claims", "write .env", "from 5 containers", "unchanged aiia_prod (5", "46 more"):
        assert words in text


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"bystander_changes": ["container x is gone"]}, "BYSTANDERS CHANGED: container x is gone"),
        ({"bystanders": [], "bystander_containers": 0}, "no other environment is registered on this machine"),
        ({"changed": []}, "changed   nothing"),
    ],
)
def test_the_receipt_says_how_it_went(more: dict[str, Any], says: str) -> None:
    """Bad news stands where good news would."""
    text = as_text(RECEIPT | more)
    assert says in text and ("unchanged aiia_prod" in text) is ("changed" in more)


def test_the_receipt_of_a_job_says_which_it_was() -> None:
    """It deployed nothing, so it has no commit and no release, and it probed nothing."""
    text = as_text(
        {key: RECEIPT[key] for key in RECEIPT if key not in ("commit", "release", "probed")} | {"what": "restart"}
    )
    assert text.startswith(f"receipt of {RECEIPT['prefix']}, restart, ")
    assert not any(word in text for word in ("commit", "release", "probed"))


def test_the_receipt_of_a_run_that_failed() -> None:
    """Where, why, what was tried and what became of it; the rest is as ever."""
    failed = {key: value for key, value in RECEIPT.items() if key not in ("probed", "commit", "release")} | {
        "outcome": "failed", "step": "converge", "error": "the containers did not get healthy:\n" + "x" * 500,
        "tried": [WRITTEN, STARTED], "put_back": "The previous release serves again", "notes": ["a note"],
    }  # fmt: skip
    text = as_text(failed)
    assert text.splitlines()[0] == "receipt of aiia_staging, FAILED in converge, 2026-01-01T00:00:00Z"
    for words in (
        "failed    the containers", "tried     start web; write .env", "put back  The previous release serves again",
        "unchanged aiia_prod", "kept in   /var",
    ):  # fmt: skip
        assert words in text
    assert len(text.splitlines()) <= 10 and max(map(len, text.splitlines())) < 200
    early = as_text(failed | {"tried": [], "put_back": ""})
    assert "tried     nothing on the machine" in early and "put back  nothing had to be" in early


def test_the_receipt_of_a_deployment_that_is_not_as_proved() -> None:
    """It failed as its run did, and what it brought into force is there."""
    ended = outcome("verify", "what was seen afterwards is not as proved: own-domain-unanswered", "")
    text = as_text(RECEIPT | ended | {"notes": ["a note"]})
    assert "FAILED in verify" in text and "failed    what was seen afterwards is not as proved: own-" in text
    assert "commit    abc" in text and "release   r1" in text and "changed   write .env" in text
    assert "tried" not in text and len(text.splitlines()) == 10
    assert outcome("verify", "", "") == {"outcome": "done"}


def test_a_later_step_that_fails_does_not_hide_what_was_changed() -> None:
    failed = {key: value for key, value in RECEIPT.items() if key not in ("probed", "commit", "release")}
    text = as_text(failed | outcome("verify", "no route") | {"tried": [], "put_back": "", "changed": [STARTED]})
    assert "changed   start web" in text and "tried     nothing on the machine" in text


def test_containers_and_data_come_before_files() -> None:
    files = [Step("write", f"file{number}", "file").as_dict() for number in range(9)]
    steps = [*files, Step("make", "b", "backup").as_dict(), STARTED]
    assert "changed   make the backup b; start web; write 9 files" in as_text(RECEIPT | {"changed": steps})
    assert "changed   start web; write .env" in as_text(RECEIPT | {"changed": [WRITTEN, STARTED]})


def test_a_receipt_of_an_older_version() -> None:
    """It has sentences where there are steps now."""
    older = {"changed": ["write .env", "start web"], "tried": ["start db"], "put_back": ""}
    text = as_text(RECEIPT | outcome("converge", "no route") | older)
    assert "changed   write .env; start web" in text and "tried     start db" in text


def test_the_guard_of_a_bystander() -> None:
    """It is theirs; where one of the two looks could not see the firewall, nothing is said."""
    chain = firewall_chain(THEIRS)
    before, gone = machine() | {"guards": {chain: {"4": "a"}}}, machine() | {"guards": {}}
    assert compare(before, gone, OURS).changes == ("the guard of aiia_prod in the firewall is gone",)
    assert compare(before, machine() | {"guards": {chain: {"4": "b"}}}, OURS).changes
    assert compare(before, machine() | {"guards": None}, OURS).changes == ()
    own = machine() | {"guards": {chain: {"4": "a"}, firewall_chain(OURS): {"4": "new"}}}
    assert compare(before, own, OURS).changes == ()


def test_routes_of_others_to_the_byte() -> None:
    """At the front door each route has a digest, on disk and in the running door; the target's own may change."""

    def seen(**routes: str) -> dict[str, Any]:
        return machine() | {"door": {"present": True, "routes": routes, "problem": ""}}

    before = seen(aiia_prod="a a", aiia_staging="b b")
    assert compare(before, seen(aiia_prod="a a", aiia_staging="c c"), OURS).changes == ()
    for now, what in (("a c", "changed"), ("c c", "changed"), ("a none", "changed")):
        changed = compare(before, seen(aiia_prod=now, aiia_staging="b b"), OURS).changes
        assert changed == (f"the route of aiia_prod at the front door {what}",)
    assert compare(before, seen(aiia_staging="b b"), OURS).changes == (
        "the route of aiia_prod at the front door is gone",
    )
    assert compare(seen(), seen(aiia_prod="a a"), OURS).changes == ("the route of aiia_prod at the front door is new",)
    unread = machine() | {"door": {"present": True, "routes": None, "problem": "no answer"}}
    assert compare(before, unread, OURS).changes == ()
