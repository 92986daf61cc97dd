# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which images are accepted: the evidence on the other environment's machine, and the judgement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.timestamps import seconds, text
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.evidence import collect
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.promotion import Image, Promotion, by_digest, problem
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.record import ImageRecord, claimed_labels
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.registry import Registry

DIRECTORY = "/srv/staging"
NOW = "2026-01-01T11:30:00Z"
DIGEST = f"registry.example/app@sha256:{'d' * 64}"
OTHER_DIGEST = f"registry.example/app@sha256:{'e' * 64}"


# ---- moments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "same"),
    [
        ("2026-01-01T10:00:00Z", 0),
        ("2026-01-01T10:00:00.123456789Z", 0.123456789),
        ("2026-01-01T12:00:00.5+02:00", 0.5),
        ("2026-01-01T04:30:00-05:30", 0),
        ("2026-01-01T10:00:00", 0),
    ],
)
def test_moments_as_the_engine_writes_them(moment: str, same: float) -> None:
    """Times of health checks are in the machine's zone, all others in UTC."""
    assert seconds(moment) == pytest.approx(1767261600 + same)
    assert text(seconds(moment)) == "2026-01-01T10:00:00Z"


def test_a_container_that_was_never_started() -> None:
    assert seconds("0001-01-01T00:00:00Z") < 0


@pytest.mark.parametrize("moment", ["", "yesterday", "2026-01-01", "2026-01-01T10:00:00Z and more"])
def test_what_is_no_moment(moment: str) -> None:
    with pytest.raises(ValueError, match="not a timestamp"):
        seconds(moment)


# ---- what is read ----------------------------------------------------------------------------------------------------


def container(name: str, **more: Any) -> dict[str, Any]:
    """A healthy container of aiia_staging, as the engine inspects it."""
    labels = {
        "com.docker.compose.project": "aiia_staging",
        "com.docker.compose.project.working_dir": DIRECTORY,
        "com.docker.compose.oneoff": "False",
        "io.bulkhead.prefix": "aiia_staging",
        **more.pop("labels", {}),
    }
    health = {"Status": "healthy", "FailingStreak": 0, "Log": [{"End": "2026-01-01T11:29:00Z", "ExitCode": 0}]}
    state = {"Running": True, "Health": health, "StartedAt": "2026-01-01T10:00:00.5Z", **more.pop("state", {})}
    return {
        "Name": f"/aiia_staging_{name}",
        "Image": "sha256:one",
        "Config": {"Image": f"{name}:1", "Labels": labels},
        "State": state,
        **more,
    }


class FakeEngine:
    """An engine with containers, images and a clock in memory."""

    def __init__(self, *containers: dict[str, Any], images: dict[str, Any] | None = None, now: str = NOW) -> None:
        self.found = list(containers)
        self.images = images or {}
        self.now = now
        self.broken = ""
        self.calls: list[tuple[str, ...]] = []

    def containers(self, *_filters: str) -> list[dict[str, Any]]:
        return self.found

    def docker(self, *args: str, **_options: Any) -> tuple[int, str, str]:
        self.calls.append(args)
        if args[0] == "info":
            return 0, f"{self.now}\n", ""
        if self.broken:
            return 1, "", self.broken
        if args[:2] != ("image", "inspect"):
            return 0, "", ""
        template = args[3] if args[2] == "--format" else ""
        names = args[4:] if template else args[2:]
        found = [self.images[name] for name in names if name in self.images]
        if template == "{{json .Config.Labels}}":
            shown = json.dumps(found[0]["Config"]["Labels"]) if found else ""
        else:
            shown = (json.dumps(found[0]) if found else "") if template else json.dumps(found)
        return (0 if len(found) == len(names) else 1), shown, "Error: No such image: x"

    def docker_ok(self, *args: str) -> str:
        return self.docker(*args)[1]

    def image_ids(self, names: list[str]) -> dict[str, str]:
        return {name: self.images[name]["Id"] for name in names if name in self.images}

    def check_reachable(self, _errors: str) -> None:
        pass


def image(identity: str, *digests: str, **labels: str) -> dict[str, Any]:
    """An image as the engine inspects it."""
    return {"Id": identity, "RepoDigests": list(digests), "Config": {"Labels": labels}}


def register(state: Path, prefix: str = "aiia_staging", **containers: dict[str, str]) -> None:
    """What a verified deployment leaves on a machine."""
    found = containers or {f"{prefix}_web": {"image": "sha256:one"}}
    Registry(str(state)).write(prefix, {"prefix": prefix, "containers": found}, {"finished": "2026-01-01T10:00:00Z"})


def recorded(state: Path, prefix: str, identity: str = "sha256:one", tree: str = "t", inputs: str = "i") -> None:
    """What a build leaves on a machine."""
    engine = FakeEngine(images={identity: image(identity)})
    ImageRecord(str(state), prefix).write(cast(Any, engine), identity, tree=tree, inputs=inputs)


def seen(state: Path, *containers: dict[str, Any], **engine: Any) -> dict[str, Any]:
    """The evidence of staging's machine."""
    given = (cast(Any, FakeEngine(*containers, **engine)), "aiia_staging", "aiia_staging", DIRECTORY, str(state))
    return collect(*given)


def test_what_is_read(tmp_path: Path) -> None:
    verified = {"image": "sha256:one", "verified": "2026-01-01T12:00:07+02:00"}
    register(tmp_path, aiia_staging_web=verified, aiia_staging_other={"image": "sha256:two"})
    recorded(tmp_path, "aiia_staging")
    images = {"sha256:one": image("sha256:one", DIGEST)}
    assert seen(tmp_path, container("web"), images=images) == {
        "prefix": "aiia_staging",
        "registered": True,
        "deployed": ["sha256:one", "sha256:two"],
        "now": seconds(NOW),
        "containers": [
            {
                "name": "aiia_staging_web",
                "image": "sha256:one",
                "digests": [DIGEST],
                "reference": "web:1",
                "recorded": True,
                "tree": "t",
                "inputs": "i",
                "condition": "healthy",
                "well": True,
                "failing": 0,
                "started": seconds("2026-01-01T10:00:00Z") + 0.5,
                "verified": seconds("2026-01-01T10:00:07Z"),
                "failed": 0.0,
            }
        ],
    }


@pytest.mark.parametrize(
    "labels",
    [
        {"io.bulkhead.prefix": "aiia_staging2"},
        {"com.docker.compose.oneoff": "True"},
        {"com.docker.compose.project.working_dir": "/srv/other"},
    ],
)
def test_containers_that_do_not_count(tmp_path: Path, labels: dict[str, str]) -> None:
    register(tmp_path)
    assert seen(tmp_path, container("web", labels=labels))["containers"] == []


def test_the_last_health_check_that_failed(tmp_path: Path) -> None:
    """The engine keeps five of them, with the machine's offset."""
    log = [
        {"End": "2026-01-01T10:30:00+01:00", "ExitCode": 1},
        {"End": "2026-01-01T12:00:00+01:00", "ExitCode": -1},
        {"End": "2026-01-01T12:10:00+01:00", "ExitCode": 0},
    ]
    health = {"Status": "healthy", "FailingStreak": 0, "Log": log}
    [found] = seen(tmp_path, container("web", state={"Health": health}))["containers"]
    assert text(found["failed"]) == "2026-01-01T11:00:00Z"


def test_a_registry_entry_that_was_edited_is_none(tmp_path: Path) -> None:
    register(tmp_path)
    place = tmp_path / "environments/aiia_staging/environment.json"
    place.write_text(place.read_text().replace("sha256:one", "sha256:two"))
    found = seen(tmp_path, container("web"))
    assert (found["registered"], found["deployed"]) == (False, [])


def test_a_clock_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="a time that cannot be read: noon"):
        seen(tmp_path, now="noon")


# ---- how it is judged ------------------------------------------------------------------------------------------------


def one(name: str = "web", **more: Any) -> dict[str, Any]:
    """A container in the evidence: healthy, and verified ten seconds after its start, ninety minutes ago."""
    return {
        "name": f"aiia_staging_{name}",
        "image": "sha256:one",
        "digests": [],
        "reference": "app:1",
        "recorded": True,
        "tree": "",
        "inputs": "",
        "condition": "healthy",
        "well": True,
        "failing": 0,
        "started": seconds("2026-01-01T09:59:50Z"),
        "verified": seconds("2026-01-01T10:00:00Z"),
        "failed": 0.0,
        **more,
    }


def evidence(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The evidence of staging."""
    return {
        "prefix": "aiia_staging",
        "registered": True,
        "deployed": ["sha256:one"],
        "now": seconds(NOW),
        "containers": list(containers),
        **more,
    }


HERE = Image("app:1", "sha256:one")


@pytest.mark.parametrize(
    ("found", "minutes", "asked"),
    [
        (evidence(one()), 60, HERE),
        (evidence(one()), 90, HERE),  # to the second
        (evidence(one(), one("worker", condition="running")), 60, HERE),
        (evidence(one(failed=seconds("2026-01-01T10:30:00Z"))), 60, HERE),  # before the time that is asked for
        (evidence(one(started=seconds(NOW), verified=seconds(NOW))), 0, HERE),
        (evidence(one(), one("db", image="sha256:db", well=False, condition="unhealthy")), 60, HERE),
        (evidence(one(digests=[OTHER_DIGEST, DIGEST])), 60, Image("app:1", "sha256:kept otherwise", (DIGEST,))),
        (evidence(one(digests=[DIGEST])), 60, Image(DIGEST, "", (DIGEST,))),
    ],
)
def test_healthy_for_long_enough(found: dict[str, Any], minutes: int, asked: Image) -> None:
    assert problem(found, minutes, asked) == ""


@pytest.mark.parametrize(
    ("found", "minutes", "asked", "words"),
    [
        (evidence(registered=False), 0, HERE, "aiia_staging is not registered on its machine"),
        (evidence(), 0, HERE, "app:1 (sha256:one) does not run in aiia_staging: deploy it there first"),
        (evidence(one()), 0, Image("b:1", ""), "b:1 is not on this machine, and it does not run in aiia_staging"),
        (evidence(one()), 0, Image("app:1", ""), "app:1 is not on this machine, so it cannot be compared with the one"),
        (
            evidence(one()),
            0,
            Image("app:1", "sha256:two"),
            "(sha256:two) is not the image that runs in aiia_staging",
        ),
        (evidence(one()), 0, Image("app:1", "sha256:two"), "(sha256:one): push it to a registry from there"),
        (evidence(one(digests=[DIGEST])), 0, Image("app:1", "sha256:two"), f"name it by its digest, {DIGEST}, or copy"),
        (evidence(one(digests=[OTHER_DIGEST])), 0, Image(DIGEST, "", (DIGEST,)), f"{DIGEST} does not run in"),
        (evidence(one(digests=[])), 0, Image("b:1", "sha256:two", ()), "b:1 (sha256:two) does not run in aiia_staging"),
        (evidence(one(), deployed=["sha256:two"]), 0, HERE, "no verified deployment of aiia_staging used app:1"),
        (evidence(one(), one("b", well=False, condition="unhealthy")), 0, HERE, "aiia_staging_b is unhealthy"),
        (evidence(one(), one("b", failing=1)), 0, HERE, "the last health check of aiia_staging_b failed"),
        (evidence(one(condition="running")), 0, HERE, "has no health check in aiia_staging"),
        (evidence(one()), 91, HERE, "when the deployment of aiia_staging_web was verified: wait 1 more minutes"),
        (evidence(one(), now=seconds(NOW) - 1), 90, HERE, "wait 1 more minutes"),  # short by a second
        (
            evidence(one(verified=0.0)),
            120,
            HERE,
            "09:59:50Z (90 minutes), when aiia_staging_web was started: wait 30",
        ),
        (
            evidence(one(), one("b", started=seconds("2026-01-01T11:29:00Z"))),
            60,
            HERE,
            "_b was started: wait 59 more",
        ),
        (
            evidence(one(failed=seconds("2026-01-01T10:30:01Z"))),
            60,
            HERE,
            "since 2026-01-01T10:30:01Z (59 minutes), when a health check of aiia_staging_web failed: wait 1 more",
        ),
        (evidence(one(verified=seconds("2026-01-01T11:00:00Z"))), 60, HERE, "was verified: wait 30 more minutes"),
    ],
)
def test_what_is_not_accepted(found: dict[str, Any], minutes: int, asked: Image, words: str) -> None:
    assert words in problem(found, minutes, asked)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (DIGEST, DIGEST),
        (f"registry.example:5000/a/app:1.2@sha256:{'d' * 64}", f"registry.example:5000/a/app@sha256:{'d' * 64}"),
        (f"docker.io/library/nginx:1@sha256:{'d' * 64}", f"nginx@sha256:{'d' * 64}"),
        (f"index.docker.io/me/app@sha256:{'d' * 64}", f"me/app@sha256:{'d' * 64}"),
        ("app:1", ""),
        ("registry.example:5000/app", ""),
        ("app@sha256:dd", ""),
    ],
)
def test_a_name_with_a_digest(name: str, kept: str) -> None:
    """As engines list it among an image's digests."""
    assert by_digest(name) == kept


# ---- the images of the machine that is deployed to -------------------------------------------------------------------


def promotion(state: Path, found: dict[str, Any], images: dict[str, Any] | None = None, minutes: int = 60) -> Promotion:
    """Production's machine with these images; what it has in force is in ``state``."""
    engine = FakeEngine(images=images)
    return Promotion(cast(Any, engine), "aiia_prod", str(state), {"evidence": found, "minutes": minutes})


def calls(asked: Promotion) -> list[tuple[str, ...]]:
    """The calls of the engine."""
    return cast(FakeEngine, asked.engine).calls


def test_what_vouches_is_told(tmp_path: Path) -> None:
    asked = promotion(tmp_path, evidence(one()), {"app:1": image("sha256:one")})
    assert asked.require(["app:1", "app:1"]) == [
        "app:1 (sha256:one) was healthy in aiia_staging since 2026-01-01T10:00:00Z (90 minutes)"
    ]


def test_a_digest_that_is_still_to_be_fetched(tmp_path: Path) -> None:
    name = DIGEST.replace("@", ":1@")
    asked = promotion(tmp_path, evidence(one(digests=[DIGEST])))
    assert asked.require([name]) == [f"{name} was healthy in aiia_staging since 2026-01-01T10:00:00Z (90 minutes)"]


def test_everything_that_speaks_against_it_is_told_at_once(tmp_path: Path) -> None:
    asked = promotion(tmp_path, evidence(one()), {"a": image("sha256:a"), "b": image("sha256:b")})
    with pytest.raises(EngineError) as error:
        asked.require(["b", "a", "c"])
    assert all(f"{name} " in error.value.message for name in "abc")
    assert "Nothing was changed" in error.value.message


def test_what_is_in_force_stays_accepted(tmp_path: Path) -> None:
    """Staging has moved on; production changes a setting."""
    register(tmp_path, "aiia_prod", web={"image": "sha256:old"})
    asked = promotion(tmp_path, evidence(registered=False), {"app:0": image("sha256:old")})
    assert asked.require(["app:0"]) == []


def test_an_engine_that_fails_is_no_missing_image(tmp_path: Path) -> None:
    asked = promotion(tmp_path, evidence(one()))
    cast(FakeEngine, asked.engine).broken = "timed out"
    with pytest.raises(EngineError, match="image app:1 cannot be inspected"):
        asked.require(["app:1"])


BUILT = {"tree": "t" * 40, "inputs": "i", "reference": "aiia_staging_web:c1"}


def test_the_image_of_the_same_files_gets_our_name(tmp_path: Path) -> None:
    asked = promotion(tmp_path, evidence(one(**BUILT)), {"sha256:one": image("sha256:one")})
    assert asked.promote("t" * 40, "i", "app:c2") == (
        "app:c2 is the image that was healthy in aiia_staging since 2026-01-01T10:00:00Z (90 minutes)"
    )
    assert calls(asked)[-1] == ("image", "tag", "sha256:one", "app:c2")


@pytest.mark.parametrize("in_force", ["", "sha256:one"])
def test_judging_gives_no_name(tmp_path: Path, in_force: str) -> None:
    """Check mode changes nothing and gives the same answer, for our own image and for the other environment's."""
    register(tmp_path, "aiia_prod", web={"image": in_force})
    if in_force:
        recorded(tmp_path, "aiia_prod", tree="t" * 40)
    asked = promotion(tmp_path, evidence(one(**BUILT)), {"sha256:one": image("sha256:one")})
    judged = asked.promote("t" * 40, "i", "app:c2", check=True)
    assert not any(call[:2] == ("image", "tag") for call in calls(asked))
    assert asked.promote("t" * 40, "i", "app:c2") == judged


def test_it_may_be_kept_under_another_id_here(tmp_path: Path) -> None:
    """Pulled by its digest into an engine with other image ids."""
    found = evidence(one(**BUILT, digests=[DIGEST]))
    asked = promotion(tmp_path, found, {DIGEST: image("sha256:two", DIGEST)})
    asked.promote("t" * 40, "i", "app:c2")
    assert calls(asked)[-1] == ("image", "tag", "sha256:two", "app:c2")


@pytest.mark.parametrize(
    ("tree", "inputs", "minutes", "images", "words"),
    [
        ("u" * 40, "i", 0, {}, ["runs no image built from these files (git tree uuuuuuuuuuuu)"]),
        ("t" * 40, "j", 0, {}, ["was built with other inputs"]),
        ("t" * 40, "i", 91, {"sha256:one": image("sha256:one")}, ["wait 1 more minutes"]),
        ("t" * 40, "i", 0, {}, ["aiia_staging_web:c1 (sha256:one)", "is not on this machine", "docker save aiia_st"]),
        # Built here from the same files: another image.
        ("t" * 40, "i", 0, {"app:c2": image("sha256:two")}, ["is not on this machine"]),
        ("t" * 40, "i", 91, {}, ["wait 1 more minutes", "is not on this machine"]),
    ],
)
def test_what_does_not_get_our_name(
    tmp_path: Path, tree: str, inputs: str, minutes: int, images: dict[str, Any], words: list[str]
) -> None:
    asked = promotion(tmp_path, evidence(one(**BUILT)), images, minutes)
    with pytest.raises(EngineError) as checked:
        asked.promote(tree, inputs, "app:c2", check=True)
    with pytest.raises(EngineError) as error:
        asked.promote(tree, inputs, "app:c2")
    assert error.value.message == checked.value.message
    assert all(word in error.value.message for word in words), error.value.message
    assert not any(call[:2] == ("image", "tag") for call in calls(asked))


def test_this_machines_own_record_counts_more_than_what_is_said_elsewhere(tmp_path: Path) -> None:
    """Another machine says that an image of this one, which was built for staging, is of production's files."""
    recorded(tmp_path, "aiia_staging", tree="e" * 40)
    images = {"sha256:one": image("sha256:one")}
    asked = promotion(tmp_path, evidence(one(**BUILT)), images, minutes=0)
    for check in (True, False):
        with pytest.raises(EngineError, match="this machine built that image itself, from others"):
            asked.promote("t" * 40, "i", "app:c2", check)
    assert not any(call[:2] == ("image", "tag") for call in calls(asked))
    # The controls: the record agrees, and there is none, as for an image that was copied here.
    recorded(tmp_path, "aiia_staging", tree="t" * 40)
    promotion(tmp_path, evidence(one(**BUILT)), images, minutes=0).promote("t" * 40, "i", "app:c2")
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    promotion(other, evidence(one(**BUILT)), images, minutes=0).promote("t" * 40, "i", "app:c2")


def test_the_same_files_again_under_another_commit(tmp_path: Path) -> None:
    """A reverted commit: the image of these files is in force here, whatever staging runs by now."""
    register(tmp_path, "aiia_prod", web={"image": "sha256:old"})
    recorded(tmp_path, "aiia_prod", "sha256:old")
    asked = promotion(tmp_path, evidence(), {"sha256:old": image("sha256:old")})
    assert "already in force here" in asked.promote("t", "i", "app:2")
    assert calls(asked)[-1] == ("image", "tag", "sha256:old", "app:2")
    with pytest.raises(EngineError, match="runs no image built from these files"):
        asked.promote("t", "j", "app:2")


# ---- what vouches: the record, and no label --------------------------------------------------------------------------

FORGED = {"io.bulkhead.tree": "t" * 40, "io.bulkhead.inputs": "i"}


def test_labels_vouch_for_nothing(tmp_path: Path) -> None:
    """A service of staging claims by its labels, and by those of its image, to be built from production's files."""
    register(tmp_path)
    forged = {"sha256:one": image("sha256:one", **FORGED)}
    found = seen(tmp_path, container("web", labels=FORGED), images=forged)
    asked = promotion(tmp_path, found, forged, minutes=0)
    with pytest.raises(EngineError, match="no record of what the images that run there were built from"):
        asked.promote("t" * 40, "i", "app:c2")
    recorded(tmp_path, "aiia_staging", tree="t" * 40)  # the control: the same, built by Bulkhead
    promotion(tmp_path, seen(tmp_path, container("web")), forged, minutes=0).promote("t" * 40, "i", "app:c2")


def test_labels_put_nothing_into_force(tmp_path: Path) -> None:
    """An image that production runs under another name is not its commit because it says so."""
    register(tmp_path, "aiia_prod", other={"image": "sha256:one"})
    asked = promotion(tmp_path, evidence(), {"sha256:one": image("sha256:one", **FORGED)})
    with pytest.raises(EngineError, match="runs no image built from these files"):
        asked.promote("t" * 40, "i", "app:c2")


def test_files_that_git_changed_cannot_be_compared(tmp_path: Path) -> None:
    asked = promotion(tmp_path, evidence(one(tree="")), {"sha256:one": image("sha256:one")})
    with pytest.raises(EngineError, match="git changes files at checkout"):
        asked.promote("t" * 40, "i", "app:c2")


def test_the_record_is_private_and_forgets_what_is_gone(tmp_path: Path) -> None:
    recorded(tmp_path, "aiia_prod", "sha256:one")
    recorded(tmp_path, "aiia_prod", "sha256:two")
    record = ImageRecord(str(tmp_path), "aiia_prod")
    assert record.all() == {"sha256:two": {"tree": "t", "inputs": "i"}}
    assert Path(record.path).stat().st_mode & 0o777 == 0o600
    assert ImageRecord(str(tmp_path), "aiia_staging").all() == {}
    Path(record.path).write_text("[")
    assert record.facts("sha256:two") == {}


def test_an_image_may_not_claim_labels_of_ours() -> None:
    built = image(
        "sha256:one", **{"io.bulkhead.probe": "true", "io.bulkhead.prefix": "aiia_staging", "io.bulkhead.demo": "x"}
    )
    assert claimed_labels(built, {"io.bulkhead.prefix": "aiia_staging"}) == ["io.bulkhead.probe"]
