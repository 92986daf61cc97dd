# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which environment a run means: exactly one, all of it, and named on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.selection import membership, selection
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Finding, Severity
from unit.fleets import PRODUCTION, STAGING, encrypted, environment, only
from unit.runs import fleet, gate_alone, play, refused

GROUPS = {"production": ["p"], "staging": ["s1", "s2"]}


def why(hosts: list[str], limit: str | None, allow_many: bool = False) -> Finding:
    """The one reason why a selection is refused."""
    finding: Finding = only(selection(hosts, limit, GROUPS, allow_many)[1])
    assert finding.severity is Severity.CRITICAL
    return finding


@pytest.mark.parametrize(
    ("hosts", "limit", "meant"),
    [
        (["p"], "production", ["production"]),
        (["p"], "p", ["production"]),
        (["s1", "s2"], "staging", ["staging"]),
        (["s2", "s1"], "s1,s2", ["staging"]),
        (["s1", "s2"], "all:!production", ["staging"]),
    ],
)
def test_one_whole_environment_however_written(hosts: list[str], limit: str, meant: list[str]) -> None:
    assert selection(hosts, limit, GROUPS, False) == (meant, [])


@pytest.mark.parametrize(("limit", "said"), [(None, "there is no -l"), ("", "-l is empty"), ("  ", "-l is empty")])
def test_nothing_named(limit: str | None, said: str) -> None:
    found = why(["p", "s1", "s2"], limit)
    assert (found.rule, found.hazards) == ("no-limit", ("AN-03", "AN-04"))
    assert found.message == f"{said}, so this run would mean every environment of the inventory"
    assert found.fix == "name one environment: -l production (the inventory declares: production, staging)"


def test_an_empty_inventory_has_nothing_to_name() -> None:
    _meant, (found,) = selection([], None, {}, False)
    assert "-l <environment> (the inventory declares: none)" in found.fix


def test_a_protected_environment_is_not_what_a_hint_names() -> None:
    def hint(limit: str | None, protected: list[str]) -> str:
        finding: Finding = only(selection(["p", "s1", "s2"], limit, GROUPS, False, protected)[1])
        return finding.fix

    assert hint(None, ["production"]).startswith("name one environment: -l staging (")
    assert hint("all", ["production"]).startswith("name one at a time: -l staging (")
    assert "-l production (" in hint(None, ["production", "staging"])


def test_two_named() -> None:
    found = why(["p", "s1", "s2"], "all")
    assert found.rule == "several-environments"
    assert found.message == "-l all spans 2 environments: production, staging"
    assert "bulkhead_allow_many: true" in found.fix
    assert selection(["p", "s1", "s2"], "all", GROUPS, True) == (["production", "staging"], [])


def test_half_an_environment() -> None:
    found = why(["s1"], "s1")
    assert found.rule == "partial-environment"
    assert found.message == "-l s1 selects only a part of staging, without s2; an environment is deployed as a whole"
    assert found.fix == "limit the run to the whole environment: -l staging"


def test_half_an_environment_is_refused_even_among_many() -> None:
    assert why(["p", "s1"], "p,s1", allow_many=True).rule == "partial-environment"


def test_a_host_of_no_environment() -> None:
    found = why(["p", "monitor"], "p,monitor")
    assert (found.rule, found.resource) == ("not-an-environment", "monitor")
    assert "belongs to no environment" in found.message


def test_a_host_in_two_environments() -> None:
    found = only(membership({"production": ["one"], "staging": ["one"]}, {"production": ["all"], "staging": ["all"]}))
    assert (found.rule, found.environments) == ("host-in-two-environments", ("production", "staging"))
    assert "it keeps the variables of only one of them, whatever -l says" in found.message
    assert "one-production and one-staging with the same ansible_host" in found.fix


def test_an_environment_inside_another() -> None:
    above = {"production": ["all"], "canary": ["production", "all"]}
    found = only(membership({"production": ["one", "two"], "canary": ["two"]}, above))
    assert (found.rule, found.environments) == ("nested-environment", ("canary", "production"))
    assert "-l production would deploy canary too" in found.message
    assert "siblings" in found.fix


def test_groups_that_share_no_host_are_fine() -> None:
    above = {"production": ["servers", "all"], "staging": ["servers", "all"]}
    assert membership({"production": ["one"], "staging": ["two"]}, above) == []


# ---- as a user does it -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "there is no -l, so this run would mean every environment"),
        (("-l", ""), "-l is empty, so this run would mean every environment"),
        (("-l", "all"), "-l all spans 2 environments: production, staging"),
        (("-l", "production:staging"), "spans 2 environments"),
        (("-l", "production-host,staging-host"), "spans 2 environments"),
        (("-l", "tools"), "selects tools-host, which belongs to no environment"),
    ],
)
def test_refused(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    words = refused(fleet(tmp_path, {"production": PRODUCTION, "staging": STAGING, "tools": {}}), *options)
    assert said in words
    assert "refused before any host was contacted" in words


def test_a_protected_environment_is_not_proposed(tmp_path: Path) -> None:
    groups = {"production": {**PRODUCTION, "bulkhead_protected": True}, "staging": STAGING}
    assert "Name one environment: -l staging" in refused(fleet(tmp_path, groups))


def test_images_that_an_unknown_environment_vouches_for(tmp_path: Path) -> None:
    groups = {"production": {**PRODUCTION, "bulkhead_promotion_from": "stagin"}, "staging": STAGING}
    words = refused(fleet(tmp_path, groups), "-l", "production")
    assert "bulkhead_promotion_from is stagin, but the inventory has no other environment of that group" in words
    assert "Did you mean staging? The inventory has: staging" in words
    assert "group_vars/production/main.yml:" in words.replace(" ", "")  # a long path is broken at the screen's width


def test_a_group_that_does_not_exist(tmp_path: Path) -> None:
    assert "stagging" in refused(fleet(tmp_path), "-l", "stagging")


def test_a_host_in_two_environments_is_refused_whatever_is_named(tmp_path: Path) -> None:
    hosts = {"production": {"hosts": {"server": None}}, "staging": {"hosts": {"server": None}}}
    inventory = fleet(tmp_path, hosts=hosts)
    assert "Host server is in the groups production and staging" in refused(inventory, "-l", "staging")


def test_a_nested_environment_is_refused(tmp_path: Path) -> None:
    hosts = {"production": {"hosts": {"p": None}, "children": {"staging": {"hosts": {"s": None}}}}}
    assert "Group staging is inside group production" in refused(fleet(tmp_path, hosts=hosts), "-l", "staging")


@pytest.mark.parametrize(
    ("other", "accepted"), [("prod_eu", False), ("prod-eu", False), ("prod", False), ("prod2", True), ("pr", True)]
)
def test_prefixes_that_cannot_live_together(tmp_path: Path, other: str, accepted: bool) -> None:
    second = {**environment("other", 8080), "bulkhead_prefix": f"app_{other}"}
    inventory = fleet(tmp_path, {"production": PRODUCTION, "other": second})
    if accepted:
        run = play(inventory, "-l", "production", playbook=gate_alone(tmp_path / "book.yml"))
        assert (run.code, "this run is for app_prod" in run.words) == (0, True), run.output
    else:
        words = refused(inventory, "-l", "production")
        assert "app_prod" in words
        assert f"app_{other}" in words


def test_many_on_purpose(tmp_path: Path) -> None:
    options = ("-l", "production,staging", "-e", "bulkhead_allow_many=true")
    run = play(fleet(tmp_path), *options, playbook=gate_alone(tmp_path / "book.yml"))
    assert run.code == 0, run.output
    assert "this run is for app_prod, app_staging" in run.words


def test_staging_is_deployed_without_productions_password(tmp_path: Path) -> None:
    inventory = fleet(tmp_path)
    (inventory / "group_vars/production/vault.yml").write_text(encrypted("bulkhead_secrets: {}", "production's"))
    (inventory / "group_vars/staging/vault.yml").write_text(encrypted("other: 1", "staging's"))
    (tmp_path / "password").write_text("staging's")
    options = ("-l", "staging", "--vault-password-file", str(tmp_path / "password"))
    run = play(inventory, *options, playbook=gate_alone(tmp_path / "book.yml"))
    assert run.code == 0, run.output
    assert "2 environments" in run.words
    assert "this run is for app_staging" in run.words


def test_the_whole_fleet_is_proved_without_any_password(tmp_path: Path) -> None:
    inventory = fleet(tmp_path)
    (inventory / "group_vars/production/vault.yml").write_text(encrypted("other: 1", "production's"))
    run = play(inventory, playbook=Path("playbooks/plan.yml"))
    assert run.code == 0, run.output
    assert "proved on paper: 2 environments" in run.words
