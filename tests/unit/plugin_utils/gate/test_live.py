# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live gate: which modules it calls, in which order, and what is left behind however a job ends."""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible import constants as C
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.permit import READ_ONLY, permit
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate import kept, notify
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.approval import Approval
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.environments import build_environment
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.live import LiveGate
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.machine_calls import call_module, in_words
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.proof import Proof
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.session import Session, begun
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.registered import entry_of
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Fleet
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Renderer
from unit.fleets import PRODUCTION, STAGING, declarations, read, write
from unit.plugin_utils.isolation.live.observations import deployed, observation

OURS, THEIRS = "app_staging", "app_prod"

TASK_VARS = {"inventory_hostname": "staging-host", "hostvars": {"staging-host": {}}}

#: A step that a module did.
STARTED = {"verb": "start", "target": "app_staging_web"}


def seen(**more: Any) -> dict[str, Any]:
    """What a look at the machine gives: production runs there."""
    return observation(
        engine={
            "id": "engine-1",
            "version": "28.2.2",
            "root": "/d",
            "live_restore": True,
            "time": "2026-01-01T00:00:00Z",
        },
        **{"containers": [deployed(THEIRS)], **more},
    )


#: Production's container is gone.
CHANGED = seen(containers=[])

Answer = Mapping[str, Any] | Exception


class Machine:
    """Answers the calls of modules, and keeps them. It is the action as well, as far as the gate needs one."""

    def __init__(self, step: str, check_mode: bool = False) -> None:
        self._task = SimpleNamespace(action=f"aiia.bulkhead.{step}", check_mode=check_mode)
        self._connection = SimpleNamespace(has_option=lambda _name: False)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, list[Answer]] = {
            "preflight": [{"observation": seen(), "note": ""}],
            "machine_info": [{"observation": seen()}],
            "record": [{"path": "/var/lib/bulkhead/receipts/1.json"}],
            "verify": [{"observation": seen(), "inside": {}, "answers": [], "replies": []}],
        }

    def _execute_module(self, name: str, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        short = name.removeprefix("aiia.bulkhead.")
        assert name != short and task_vars == TASK_VARS
        if short not in READ_ONLY:
            assert arguments.pop("permit") == permit(short, arguments["prefix"], arguments["token"])
        self.calls.append((short, arguments))
        answers = self.answers[short]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return copy.deepcopy(dict(answer))

    @property
    def names(self) -> list[str]:
        """The modules in the order of their calls; giving the lock back is one of its own."""
        return ["give up" if arguments.get("release") else name for name, arguments in self.calls]


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Machine, LiveGate]]:
    """A live gate of staging, whose neighbour is production."""
    monkeypatch.setattr(C, "DEFAULT_LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(kept, "_GENERATIONS", kept.Generations())

    def build(step: str = "converge", check_mode: bool = False, **values: Any) -> tuple[Machine, LiveGate]:
        here = {"bulkhead_machine": "app1", "bulkhead_state_directory": "/state"}
        groups = {"production": {**PRODUCTION, **here}, "staging": {**STAGING, **here, **values}}
        inventory = read(write(tmp_path / f"inventory-{len(list(tmp_path.iterdir()))}", groups))
        renderer = Renderer(inventory.loader)
        known = declarations(inventory)
        fleet = Fleet(
            tuple(build_environment(declaration, renderer.render(declaration)) for declaration in known.values())
        )
        gate: Any = SimpleNamespace(fleet=fleet, unread=(), render=renderer.render)
        machine = Machine(step, check_mode)
        return machine, LiveGate(machine, TASK_VARS, gate, known["staging"])

    return build


Build = Callable[..., tuple[Machine, LiveGate]]

LOOK = {"docker_host": "unix:///var/run/docker.sock", "state_directory": "/state",
        "directories": ["/srv/staging/app", "/srv/prod/app"]}  # fmt: skip


# ---- beginning -------------------------------------------------------------------------------------------------------


def test_the_first_step_locks_and_looks_and_the_next_ones_go_on(live: Build) -> None:
    machine, gate = live()
    session = gate.ensure()
    assert gate.ensure() == begun(OURS) == session
    ((name, arguments),) = machine.calls
    assert name == "preflight"
    assert arguments.pop("holder")
    assert arguments == {
        **LOOK,
        "prefix": OURS,
        "token": session.token,
        "wait": 10,
        "takeover": False,
    }
    assert session.observation == seen() and not session.over
    assert [note.rule for note in session.notes] == ["unregistered-environment"], "production has no entry"


def test_waiting_for_a_lock_is_seen(live: Build, capsys: pytest.CaptureFixture[str]) -> None:
    machine, gate = live(bulkhead_lock_wait=25)
    busy = {"failed": True, "busy": True, "msg": "app_staging is locked by ann"}
    machine.answers["preflight"] = [busy, busy, {"observation": seen(), "note": "the lock was taken over"}]
    session = gate.ensure()
    assert [arguments["wait"] for _name, arguments in machine.calls] == [10, 10, 5]
    assert "waiting (15 s left): app_staging is locked by ann" in capsys.readouterr().out
    assert str(session.notes[0]) == "the lock was taken over"


def test_a_lock_that_stays_taken_refuses(live: Build) -> None:
    machine, gate = live(bulkhead_lock_wait=15)
    machine.answers["preflight"] = [{"failed": True, "busy": True, "msg": "it is locked", "detail": "since 10:00"}]
    with pytest.raises(AnsibleActionFail, match=r"^it is locked \(waited 15 s\)$") as error:
        gate.ensure()
    assert error.value.result["detail"] == "since 10:00"
    assert machine.names == ["preflight", "preflight"] and begun(OURS) is None


def test_check_mode_tells_who_has_the_lock(live: Build) -> None:
    machine, gate = live(check_mode=True)
    machine.answers["preflight"] = [{"observation": seen(locks={OURS: {"owner": "ann@laptop"}}), "note": ""}]
    assert str(gate.ensure().notes[0]) == "app_staging is locked by ann@laptop at this moment"


def test_what_the_machine_says_against_it_refuses_and_gives_the_lock_back(live: Build) -> None:
    machine, gate = live()
    taken = [deployed(OURS, labels={"com.docker.compose.project": "other"}, name="app_staging_django")]
    machine.answers["preflight"] = [{"observation": seen(containers=taken), "note": ""}]
    with pytest.raises(AnsibleActionFail, match="refused on the machine, and nothing was changed\n"):
        gate.ensure()
    assert machine.names == ["preflight", "give up"] and begun(OURS) is None


def test_where_it_is_not_judged_the_same_stops_nothing(live: Build) -> None:
    machine, gate = live()
    taken = [deployed(OURS, labels={"com.docker.compose.project": "other"}, name="app_staging_django")]
    machine.answers["preflight"] = [{"observation": seen(containers=taken), "note": ""}]
    gate.ensure(judge=False)
    assert machine.names == ["preflight"]


def test_a_plan_that_is_older_than_what_was_deployed_since(live: Build) -> None:
    """A signed plan is no way back to the version that it was made for; to deploy the same one again is no way back."""
    made, after = "2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z"
    approval = Approval("f" * 64, made, "alice@example.com")
    for entry, applied in (
        ({}, True),
        ({"deployed": "2026-01-01T09:00:00Z"}, True),
        ({"deployed": after, "plan": "f" * 64}, True),
        ({"deployed": after}, False),
        ({"deployed": after, "plan": "e" * 64}, False),
    ):
        machine, gate = live()
        kept.keep("proof", Proof(approved={"staging": approval}))
        known = {OURS: {**entry_of(gate.environment), **entry}} if entry else {}
        machine.answers["preflight"] = [{"observation": seen(registry=known), "note": ""}]
        if applied:
            session = gate.ensure()
            assert session.plan == "f" * 64
            assert f"as planned at {made} (sha256 {'f' * 16}, signed by alice@example.com)" in map(str, session.notes)
            session.end()
        else:
            with pytest.raises(AnsibleActionFail, match=rf"made at {made}, and another deployment .* ended at {after}"):
                gate.ensure()
            assert machine.names == ["preflight", "give up"] and begun(OURS) is None


def test_a_module_that_broke_says_so(live: Build) -> None:
    machine, gate = live()
    broken = {"exception": SimpleNamespace(event=SimpleNamespace(msg="it broke"))}
    for said, words in (({}, "the module ended without an answer"), (broken, "it broke")):
        machine.answers["preflight"] = [{"failed": True, **said}]
        with pytest.raises(AnsibleActionFail, match=rf"^{words}$"):
            gate.ensure()


# ---- a step that fails -----------------------------------------------------------------------------------------------


def ready(machine: Machine, gate: LiveGate) -> Session:
    """A session that has begun, with the calls for that forgotten."""
    session = gate.ensure()
    session.steps.append("converge")
    machine.calls.clear()
    return session


def test_a_step_that_raises_leaves_a_receipt(live: Build) -> None:
    machine, gate = live()
    session = ready(machine, gate)
    with pytest.raises(AnsibleActionFail, match=r"^it went wrong$") as error, gate.during(session):
        raise AnsibleActionFail("it went wrong", result={"detail": "more"})
    assert machine.names == ["machine_info", "record"]
    written = machine.calls[1][1]
    receipt = written.pop("receipt")
    owner = gate.values["bulkhead_owner"]
    assert written == {
        "prefix": OURS, "token": session.token, "state_directory": "/state", "owner": owner, "entry": {}, "gone": False,
        "metrics": {},
    }  # fmt: skip
    said = {key: receipt[key] for key in ("outcome", "step", "error", "tried", "put_back", "changed", "bystanders")}
    assert said == {
        "outcome": "failed", "step": "converge", "error": "it went wrong", "tried": [], "put_back": "", "changed": [],
        "bystanders": [THEIRS],
    }  # fmt: skip
    assert error.value.result["detail"] == "more"
    assert "FAILED in converge" in error.value.result["receipt"]
    assert error.value.result["bystander_changes"] == []
    assert begun(OURS) is None and session.over


def test_a_module_that_failed_leaves_a_receipt_that_has_its_steps(live: Build) -> None:
    machine, gate = live()
    machine.answers["machine_info"] = [{"observation": CHANGED}]
    session = ready(machine, gate)
    session.changed = [STARTED]
    result: dict[str, Any] = {"failed": True, "msg": "no", "steps": [STARTED], "put_back": "the image", "more": 1}
    with gate.during(session, result):
        pass
    assert machine.names == ["machine_info", "record"]
    receipt = machine.calls[1][1]["receipt"]
    assert receipt["tried"] == [STARTED] and receipt["put_back"] == "the image" and receipt["changed"] == [STARTED]
    assert receipt["bystander_changes"] == ["container app_prod_web is gone"]
    words = "Other environments changed while this run held the lock: container app_prod_web is gone"
    assert result["msg"] == f"no. {words}"
    assert result["bystander_changes"] == ["container app_prod_web is gone"]
    assert set(result) == {"failed", "msg", "more", "bystander_changes", "receipt"}


def test_a_module_that_was_killed_leaves_a_receipt_that_says_so(live: Build) -> None:
    """What it had begun is on the machine; what it left is seen."""
    machine, gate = live()
    fresh = {**deployed(OURS), "id": "new"}
    machine.answers["machine_info"] = [{"observation": seen(containers=[deployed(THEIRS), fresh])}]
    machine.answers["record"] = [{"path": "/state/1.json", "tried": [STARTED]}]
    machine.answers["converge"] = [
        {
            "failed": True,
            "module_stdout": "",
            "module_stderr": "",
            "rc": 137,
            "msg": "Module result deserialization failed",
        }
    ]
    session = ready(machine, gate)
    result = call_module(machine, TASK_VARS, "converge", {"prefix": OURS, "token": session.token})
    with gate.during(session, result):
        pass
    receipt = machine.calls[-1][1]["receipt"]
    assert receipt["tried"] is None
    left = f"{fresh['name']} ({fresh['condition']})"
    assert receipt["put_back"] == f"nothing: the run was killed; it left {left}. The next deployment goes on from there"
    assert "step converge ended on the machine without an answer: it was killed" in result["msg"]
    assert "deserialization" not in str(result)
    assert "tried     start app_staging_web" in result["receipt"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"rc": 1, "module_stderr": "Traceback …\nMemoryError: no room"}, ["exit code 1", "MemoryError: no room"]),
        ({"rc": 137, "module_stdout": "Killed"}, ["it was killed"]),
        ({"rc": 0}, ["it was killed"]),
    ],
)
def test_a_module_without_an_answer_is_described(answer: dict[str, Any], words: list[str]) -> None:
    given = {
        "failed": True,
        "msg": "Module result deserialization failed",
        "module_stdout": "",
        "exception": "…",
        **answer,
    }
    said = in_words("verify", given)
    assert all(word in f"{said['msg']} {said['detail']}" for word in words)
    assert "deserialization" not in str(said) and "module_stdout" not in said


def test_an_answer_stays_as_it_is() -> None:
    answer = {"failed": True, "msg": "no"}
    assert in_words("verify", answer) == {"failed": True, "msg": "no"}


def test_a_job_that_failed_was_tried_as_a_whole(live: Build) -> None:
    machine, gate = live("restore")
    session = ready(machine, gate)
    with pytest.raises(ValueError, match="broken"), gate.during(session):
        raise ValueError("broken")
    assert [step["verb"] for step in machine.calls[1][1]["receipt"]["tried"]] == ["restore"]


def test_where_nothing_was_begun_the_lock_is_just_given_back(live: Build) -> None:
    machine, gate = live("restore")
    session = ready(machine, gate)
    session.steps.clear()
    machine.answers["preflight"] = [{"observation": CHANGED, "note": ""}]
    with pytest.raises(AnsibleActionFail, match="app_prod_web is gone"), gate.during(session):
        raise AnsibleActionFail("refused")
    assert machine.names == ["give up"]
    name, arguments = machine.calls[0]
    assert arguments.pop("holder")
    assert (name, arguments) == ("preflight", {**LOOK, "prefix": OURS, "token": session.token, "release": True})


def test_check_mode_leaves_no_receipt(live: Build) -> None:
    machine, gate = live(check_mode=True)
    session = ready(machine, gate)
    with gate.during(session, result := {"failed": True, "msg": "no"}):
        pass
    assert machine.names == ["give up"] and result == {"failed": True, "msg": "no", "bystander_changes": []}


def test_a_session_that_is_over_ends_once(live: Build) -> None:
    machine, gate = live()
    session = ready(machine, gate)
    session.end()
    with pytest.raises(ValueError, match="late"), gate.during(session):
        raise ValueError("late")
    with gate.during(session, {"failed": True}):
        pass
    assert machine.calls == []


def test_a_machine_that_is_gone_keeps_the_first_error(live: Build, capsys: pytest.CaptureFixture[str]) -> None:
    machine, gate = live()
    session = ready(machine, gate)
    gone: list[Answer] = [AnsibleConnectionFailure("no route")]
    machine.answers.update(machine_info=gone, record=gone)
    with pytest.raises(AnsibleActionFail, match=r"^it went wrong$") as error, gate.during(session):
        raise AnsibleActionFail("it went wrong")
    assert machine.names == ["machine_info", "record"]
    assert "other environments could not be compared: no route" in " ".join(error.value.result["receipt"].split())
    assert "this run leaves no receipt: no route" in " ".join(capsys.readouterr().err.split())


# ---- a job's end -----------------------------------------------------------------------------------------------------


def test_a_job_ends_with_a_receipt(live: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "receipt.json"
    machine, gate = live("service", bulkhead_receipt=str(kept))
    session = ready(machine, gate)
    written = gate.ending.conclude(session, "restart", [STARTED])
    assert machine.names == ["machine_info", "record"]
    assert machine.calls[1][1]["entry"] == {} and machine.calls[1][1]["gone"] is False
    assert machine.calls[1][1]["receipt"] == {key: value for key, value in written.items() if key != "path"}
    assert (written["what"], written["changed"], written["outcome"]) == ("restart", [STARTED], "done")
    assert json.loads(kept.read_text()) == written
    assert written["proved"]["environments"] == [THEIRS, OURS]
    assert f"receipt of {OURS}, restart, " in capsys.readouterr().out
    assert begun(OURS) is None and session.over


def test_a_job_that_changed_nothing_leaves_none(live: Build, capsys: pytest.CaptureFixture[str]) -> None:
    machine, gate = live("service")
    assert gate.ending.conclude(ready(machine, gate), "restart", []) == {}
    assert machine.names == ["machine_info", "record"] and machine.calls[1][1]["receipt"] == {}
    assert "receipt of" not in capsys.readouterr().out


def test_what_is_destroyed_leaves_a_receipt_in_any_case(live: Build) -> None:
    machine, gate = live("destroy")
    assert gate.ending.conclude(ready(machine, gate), "destroy", [], gone=True)["what"] == "destroy"
    assert machine.calls[1][1]["gone"] is True


def test_a_bystander_that_changed_fails_the_job_after_its_receipt(live: Build) -> None:
    machine, gate = live("service")
    session = ready(machine, gate)
    machine.answers["machine_info"] = [{"observation": CHANGED}]
    with pytest.raises(AnsibleActionFail, match=r"^app_staging: restart is done\. Other environments changed") as error:
        gate.ending.conclude(session, "restart", [])
    assert machine.names == ["machine_info", "record"]
    assert machine.calls[1][1]["receipt"]["outcome"] == "failed"
    assert error.value.result["bystander_changes"] == ["container app_prod_web is gone"]


def test_a_job_in_check_mode_ends_without_a_call(live: Build) -> None:
    machine, gate = live("service", check_mode=True)
    session = ready(machine, gate)
    assert gate.ending.conclude(session, "restart", [STARTED]) == {}
    assert machine.calls == [] and session.over


def test_a_receipt_that_the_machine_does_not_take_fails_the_job(live: Build) -> None:
    machine, gate = live("service")
    session = ready(machine, gate)
    machine.answers["record"] = [{"failed": True, "msg": "the lock was lost"}]
    with pytest.raises(AnsibleActionFail, match=r"^the lock was lost$"):
        gate.ending.conclude(session, "restart", [STARTED])
    assert session.over


# ---- verification ----------------------------------------------------------------------------------------------------


def test_after_a_deployment_the_session_is_what_verification_starts_from(live: Build) -> None:
    machine, gate = live("verify")
    session = ready(machine, gate)
    answer, _findings = gate.verify()
    assert machine.names == ["verify"]
    arguments = machine.calls[0][1]
    assert {key: arguments[key] for key in LOOK} == LOOK
    assert (arguments["token"], arguments["project"], arguments["prefix"]) == (session.token, OURS, OURS)
    assert answer["drift"] == [] and answer["probed"]["requests"] == len(arguments["requests"])


def test_without_one_the_machine_is_looked_at_first(live: Build) -> None:
    machine, gate = live("verify")
    gate.verify()
    assert machine.names == ["machine_info", "verify"]
    assert machine.calls[1][1]["token"] == ""


def test_a_verification_that_fails_says_why(live: Build) -> None:
    machine, gate = live("verify")
    machine.answers["verify"] = [{"failed": True, "msg": "no engine"}]
    with pytest.raises(AnsibleActionFail, match=r"^no engine$"):
        gate.verify()


@pytest.mark.parametrize(("stopping", "outcome"), [((), "done"), (("foreign-mount",), "failed")])
def test_a_deployment_is_recorded(live: Build, stopping: tuple[str, ...], outcome: str) -> None:
    machine, gate = live("verify")
    session = ready(machine, gate)
    answer, findings = gate.verify()
    session.has_converged({"commit": "c1", "release": "r1", "more": 1})
    session.permissions = {"bulkhead_allow_downtime": True}
    written = gate.ending.record(session, gate.environment, answer, findings, stopping)
    assert machine.names == ["verify", "record"]
    entry = machine.calls[1][1]["entry"]
    assert {key: entry[key] for key in ("prefix", "commit", "release")} == {
        "prefix": OURS, "commit": "c1", "release": "r1",
    }  # fmt: skip
    assert entry["deployed"] == written["finished"]
    assert (written["outcome"], written["commit"], written["probed"]) == (outcome, "c1", answer["probed"])
    assert written["permissions"] == {"bulkhead_allow_downtime": True}
    assert written["findings"] == [finding.as_dict() for finding in findings]
    if stopping:
        assert written["error"] == "what was seen afterwards is not as proved: foreign-mount"
    assert written["path"] == "/var/lib/bulkhead/receipts/1.json" and session.over


# ---- who is told -----------------------------------------------------------------------------------------------------


@pytest.fixture
def told(tmp_path: Path) -> tuple[list[str], Callable[[int], list[dict[str, Any]]]]:
    """A command that keeps each event that it gets, and what it got once there are so many."""
    program = tmp_path / "keep.py"
    program.write_text(
        "import os, sys, time, uuid\n"
        f"part = os.path.join({str(tmp_path)!r}, uuid.uuid4().hex)\n"
        "open(part, 'w').write(sys.stdin.read())\n"
        "os.rename(part, f'{part}.event')\n"
    )

    def got(count: int) -> list[dict[str, Any]]:
        end = time.monotonic() + 20
        while len(list(tmp_path.glob("*.event"))) < count and time.monotonic() < end:
            time.sleep(0.02)
        events = [json.loads(path.read_text()) for path in tmp_path.glob("*.event")]
        return sorted(events, key=lambda event: event["event"], reverse=True)

    return [sys.executable, str(program)], got


Told = tuple[list[str], Callable[[int], list[dict[str, Any]]]]


def test_begin_and_end_of_a_deployment_are_told(live: Build, told: Told) -> None:
    command, got = told
    machine, gate = live("verify", bulkhead_notify=command)
    session = ready(machine, gate)
    for step in ("source", "converge", "certificates"):
        gate.notifications.started(session, step)
    answer, findings = gate.verify()
    session.has_converged({"commit": "c1", "release": "r1"})
    gate.ending.record(session, gate.environment, answer, findings)
    begin, end = got(2)
    assert (begin["event"], begin["action"], begin["environment"], begin["outcome"]) == (
        "started",
        "deploy",
        OURS,
        None,
    )
    assert (end["event"], end["action"], end["outcome"], end["commit"], end["release"]) == (
        "ended", "deploy", "done", "c1", "r1",
    )  # fmt: skip
    assert end["receipt"] == "/var/lib/bulkhead/receipts/1.json" and "@" in end["by"] and end["at"].endswith("Z")


@pytest.mark.parametrize(
    ("begun_by", "step", "action"),
    [("rollback", "rollback", "rollback"), ("", "backup", "backup"), ("", "certificates", "renewal")],
)
def test_a_failure_is_told_without_its_error(live: Build, told: Told, begun_by: str, step: str, action: str) -> None:
    """An error may quote what a program printed; the receipt on the machine has it."""
    command, got = told
    machine, gate = live(step, bulkhead_notify=command)
    session = ready(machine, gate)
    if begun_by:
        gate.notifications.started(session, begun_by)
    with pytest.raises(AnsibleActionFail, match="a secret"), gate.during(session):
        session.steps.append(step)
        raise AnsibleActionFail("it said: a secret")
    *_begin, end = got(1 + bool(begun_by))
    assert (end["action"], end["outcome"], end["step"]) == (action, "failed", step)
    assert "secret" not in json.dumps(end)


def test_check_mode_and_other_jobs_tell_nobody(live: Build, told: Told, tmp_path: Path) -> None:
    """Control: the same restart tells once a restore has begun."""
    command, got = told
    machine, gate = live("restore", check_mode=True, bulkhead_notify=command)
    gate.notifications.started(ready(machine, gate), "restore")
    machine, gate = live("service", bulkhead_notify=command)
    session = ready(machine, gate)
    gate.notifications.started(session, "service")
    gate.notifications.ended(session, "service", {"outcome": "failed"})
    assert not list(tmp_path.glob("notify-*"))
    gate.notifications.started(session, "restore")
    gate.notifications.ended(session, "service", {"outcome": "done"})
    assert [event["action"] for event in got(2)] == ["restore", "restore"]


@pytest.mark.parametrize(
    ("receiver", "words"),
    [
        (["/nonexistent/program"], "it cannot be run"),
        ([sys.executable, "-c", "import time; time.sleep(8)"], "there is no answer yet"),
        (["https://127.0.0.1:1/hook-of-ours"], "it cannot be reached"),
    ],
)
def test_a_receiver_that_is_dead_or_slow_delays_and_fails_nothing(
    live: Build, capsys: pytest.CaptureFixture[str], receiver: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "_LAST_WAIT", 5.0 if words != "there is no answer yet" else 0.2)
    machine, gate = live("restore", bulkhead_notify=receiver, bulkhead_notify_headers={"X-Token": "t0ken"})
    session = ready(machine, gate)
    began = time.monotonic()
    gate.notifications.started(session, "restore")
    assert time.monotonic() - began < 2
    gate.ending.conclude(session, "restore", [STARTED])
    assert time.monotonic() - began < 7
    shown = " ".join("".join(capsys.readouterr()).split())
    assert f"{OURS}: bulkhead_notify was not told: {words}" in shown
    assert "t0ken" not in shown and "hook-of-ours" not in shown


# ---- a release that was kept -----------------------------------------------------------------------------------------


def test_a_kept_release_counts_from_then_on(live: Build) -> None:
    machine, gate = live("rollback")
    session = ready(machine, gate)
    entry = {**entry_of(gate.environment), "claims": entry_of(gate.environment)["claims"][:1]}
    gate.judge_release(session, entry)
    assert machine.calls == []
    kept = begun(OURS)
    assert kept is not None and kept.released == entry
    assert len(gate.environment.claims) < len(gate.around.environment.claims)


def test_a_kept_release_that_would_touch_another_is_refused(live: Build) -> None:
    machine, gate = live("rollback")
    session = ready(machine, gate)
    entry = entry_of(gate.environment)
    theirs = entry_of(gate.around.neighbours[0])["claims"]
    taken = [claim for claim in theirs if claim["namespace"] == "host-port"]
    assert taken
    with pytest.raises(AnsibleActionFail, match="the release cannot return beside the environments of today"):
        gate.judge_release(session, {**entry, "claims": [*entry["claims"], *taken]})
    assert machine.calls == []
