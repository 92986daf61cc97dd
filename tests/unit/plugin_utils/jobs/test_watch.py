# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How machines are asked from the controller: once each, and only in ways that run nothing here."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.utils.display import Display
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.model import Declaration
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.templates import Templates
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.plan import Gate
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Environment
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.jobs import watch
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.jobs.watch import Answer, ask, chosen, look, places
from unit.fleets import PRODUCTION, STAGING, declarations, read, write


def gate(
    directory: Path,
    production: dict[str, Any],
    staging: dict[str, Any],
    everyone: dict[str, Any] | None = None,
    selected: frozenset[str] = frozenset(),
) -> Gate:
    """A gate of two environments, as far as it is asked here."""
    groups = {"production": {**PRODUCTION, **production}, "staging": {**STAGING, **staging}}
    inventory = read(write(directory, groups, everyone=everyone))
    found = [*declarations(inventory).values()]
    renderer = SimpleNamespace(inert=Templates(inventory.loader))
    running = [host for own in found if own.group in selected for host in own.hosts]
    asked = SimpleNamespace(
        declarations=found,
        renderer=renderer,
        selected=selected,
        render=lambda _declaration: None,
        task_vars={"ansible_play_hosts_all": running or ["localhost"]},
    )
    return cast(Gate, asked)


def reached(fleet: Gate, declared: list[Declaration] | None = None) -> list[dict[str, Any]]:
    found, lost = places(fleet, declared or fleet.declarations)
    assert not lost
    return [place.variables for place in found]


def test_a_machine_is_asked_once_for_all_its_environments(tmp_path: Path) -> None:
    fleet = gate(tmp_path, {}, {}, {"ansible_host": "app1", "ansible_become": True})
    (place,), lost = places(fleet, fleet.declarations)
    assert not lost
    assert [asked["prefix"] for asked in place.arguments["environments"]] == ["app_prod", "app_staging"]
    assert place.arguments["directories"] == ["/srv/prod/app", "/srv/staging/app"]
    assert place.variables["ansible_become"] is True
    request = place.asked[1]["request"]
    assert (request["host"], request["tls"], request["kind"]) == ("staging.example.com", True, "own")


def test_other_machines_engines_and_ways_are_asked_apart(tmp_path: Path) -> None:
    for number, more in enumerate(
        ({"ansible_host": "app2"}, {"bulkhead_docker_host": "unix:///run/other.sock"}, {"ansible_user": "ann"})
    ):
        fleet = gate(tmp_path / str(number), {}, more, {"ansible_host": "app1", "ansible_user": "root"})
        assert len(places(fleet, fleet.declarations)[0]) == 2, more


@pytest.mark.parametrize(
    "evil",
    [
        {"ansible_connection": "local"},
        {"ansible_ssh_common_args": "-o ProxyCommand=touch${IFS}/tmp/owned"},
        {"ansible_ssh_executable": "/tmp/ssh"},
        {"ansible_become": True, "ansible_become_method": "aiia.evil.method"},
        {"ansible_become": True, "ansible_become_exe": "/tmp/sudo"},
    ],
)
def test_one_environment_cannot_have_anything_run_on_the_controller(tmp_path: Path, evil: dict[str, Any]) -> None:
    """Control: a run that selects the environment uses what its own inventory says, as every other run does."""
    fleet = gate(tmp_path / "all", {}, evil, {"ansible_host": "app1"})
    theirs = reached(fleet, [own for own in fleet.declarations if own.group == "staging"])[0]
    assert not {name: value for name, value in evil.items() if name != "ansible_become" and theirs.get(name) == value}
    fleet = gate(tmp_path / "one", {}, evil, {"ansible_host": "app1"}, frozenset({"staging"}))
    theirs = reached(fleet, chosen(fleet, limited=True))[0]
    used = {name for name in evil if theirs.get(name) == evil[name]}
    assert used == set(evil)


def test_what_all_environments_agree_on_is_used(tmp_path: Path) -> None:
    fleet = gate(tmp_path, {}, {}, {"ansible_connection": "local", "ansible_ssh_private_key_file": "/home/a/key"})
    assert (
        reached(fleet)[0].items()
        >= {"ansible_connection": "local", "ansible_ssh_private_key_file": "/home/a/key"}.items()
    )


def test_only_what_is_selected_is_asked(tmp_path: Path) -> None:
    fleet = gate(tmp_path, {}, {}, selected=frozenset({"staging"}))
    assert [own.group for own in chosen(fleet, limited=True)] == ["staging"]
    assert [own.group for own in chosen(fleet, limited=False)] == ["production", "staging"]


def test_an_environment_that_is_locked_here_is_a_line(tmp_path: Path) -> None:
    fleet = gate(tmp_path, {}, {})
    production = fleet.declarations[0]
    production.seal("bulkhead_directory", "vault_directory")
    found, lost = places(fleet, fleet.declarations)
    assert [asked["prefix"] for place in found for asked in place.asked] == ["app_staging"]
    assert "bulkhead_directory is locked here" in lost["app_prod"]


def test_a_machine_without_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = gate(tmp_path, {}, {}, {"ansible_host": "app1"})
    (place,), _lost = places(fleet, fleet.declarations)

    def refuse(*_arguments: Any) -> dict[str, Any]:
        raise AnsibleConnectionFailure("no route to host")

    monkeypatch.setattr(watch, "module_elsewhere", refuse)
    assert ask(None, place, "status") == {"failed": True, "msg": "no route to host"}
    monkeypatch.setattr(watch, "module_elsewhere", lambda *_arguments: {"failed": True, "msg": "no docker\nat all"})
    assert ask(None, place, "status") == {"failed": True, "msg": "no docker"}
    monkeypatch.setattr(watch, "module_elsewhere", lambda *_arguments: {"rc": 1})
    assert ask(None, place, "status")["failed"]
    monkeypatch.setattr(watch, "module_elsewhere", lambda *_arguments: {"observation": {}, "watched": {}})
    assert "failed" not in ask(None, place, "status")


def test_two_of_one_name_are_asked_for_neither(tmp_path: Path) -> None:
    """What is seen of one would be said of the other, and written to its file for node_exporter."""
    fleet = gate(tmp_path, {}, {"bulkhead_prefix": "app_prod"})
    found, lost = places(fleet, fleet.declarations)
    assert found == [] and lost == {"app_prod": "two environments of the inventory have this prefix"}


def test_all_are_asked_and_one_that_is_away_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers come in the order of the environments, whichever machine is faster."""
    fleet = gate(tmp_path, {"ansible_host": "app1"}, {"ansible_host": "app2"})
    away = {"app1"}

    def answer(_action: Any, variables: Any, _left: Any, name: str, arguments: Any) -> dict[str, Any]:
        if variables["ansible_host"] in away:
            raise AnsibleConnectionFailure("no route to host")
        assert (name, arguments["history"], arguments["examine"]) == ("status", True, False)
        prefix = arguments["environments"][0]["prefix"]
        return {"observation": {}, "watched": {}, "history": {prefix: {"of": prefix}}}

    monkeypatch.setattr(watch, "module_elsewhere", answer)
    monkeypatch.setattr(watch, "build_environment", lambda own, _release: Environment(own.prefix))
    answers, lost = look(None, fleet, fleet.declarations, history=True)
    assert [each.prefix for each in answers] == ["app_staging"] and lost == {"app_prod": "no route to host"}
    assert answers[0].history == {"of": "app_staging"} and 0 < answers[0].began <= answers[0].ended
    away.clear()
    answers, lost = look(None, fleet, fleet.declarations, history=True)
    assert [each.prefix for each in answers] == ["app_prod", "app_staging"] and lost == {}


def test_a_machine_that_is_silent_is_waited_for_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = gate(tmp_path, {}, {}, {"ansible_host": "app1"})
    monkeypatch.setattr(watch, "_PATIENCE", 0.5)
    monkeypatch.setattr(watch, "module_elsewhere", lambda *_arguments: time.sleep(60))
    _answers, lost = look(None, fleet, fleet.declarations)
    assert set(lost) == {"app_prod", "app_staging"} and "no answer within 0.5 s" in lost["app_prod"]


def test_metrics_that_were_not_written_are_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: one that was written says nothing."""
    fleet = gate(tmp_path, {}, {}, {"ansible_host": "app1"})
    (place,), _lost = places(fleet, fleet.declarations)
    warned: list[str] = []
    monkeypatch.setattr(Display, "warning", lambda _self, text, **_options: warned.append(text))
    said = {"app_prod": {"told": ""}, "app_staging": {"failed": True, "msg": "the disk is full"}}
    monkeypatch.setattr(watch, "module_elsewhere", lambda *arguments: said[arguments[-1]["prefix"]])
    watch.refresh(None, [(Answer(place, Environment(prefix), {}, 0, 0), {}) for prefix in said])
    assert warned == ["app_staging: its metrics were not written: the disk is full"]


@pytest.mark.parametrize(("said", "wanted"), [(None, False), (True, True), ("true", True), ("no", False)])
def test_whether_the_report_asks_the_machines(said: object, wanted: bool) -> None:
    extra = {} if said is None else {"bulkhead_report_live": said}
    asked = cast(Gate, SimpleNamespace(inventory=SimpleNamespace(extra_variables=extra)))
    assert watch.live_report(asked) is wanted
    extra["bulkhead_report_live"] = "perhaps"
    with pytest.raises(AnsibleActionFail, match="bulkhead_report_live is 'perhaps': use true or false"):
        watch.live_report(asked)
