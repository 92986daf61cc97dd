# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From variables to a checked declaration: what is wrong is said in words, all of it at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.checks import check_promotion
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.inventory import holds_seal
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.variables import of_machines, specification
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import SEAL
from unit.fleets import declarations, declared, environment, only, problems, read, write


def test_a_complete_environment_has_no_problems(tmp_path: Path) -> None:
    declaration = declared(tmp_path)
    assert declaration.problems == []
    assert declaration.prefix == "app_prod"
    assert declaration.usable


def test_defaults_are_resolved(tmp_path: Path) -> None:
    values = declared(tmp_path).values
    assert set(values) == set(specification())
    expected = {
        "bulkhead_prefix": "app_prod",
        "bulkhead_machine": "production-host",
        "bulkhead_database_name": "app_prod",
        "bulkhead_database_user": "app_prod",
        "bulkhead_database_admin": "app",
        "bulkhead_docker_host": "unix:///var/run/docker.sock",
        "bulkhead_protected": False,
        "bulkhead_services": {},
        "bulkhead_app_port": 8000,
        "bulkhead_hsts_max_age": 31536000,
        "bulkhead_fail_on": "medium",
    }
    assert {name: values[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("variables", "machine"),
    [
        ({"ansible_host": "server.example.com"}, "server.example.com"),
        ({"ansible_connection": "local", "ansible_host": "x"}, "localhost"),
        ({"ansible_connection": "ansible.builtin.local"}, "localhost"),
        ({"bulkhead_machine": "app1", "ansible_host": "x"}, "app1"),
    ],
)
def test_the_machine(tmp_path: Path, variables: dict[str, Any], machine: str) -> None:
    assert declared(tmp_path, **variables).values["bulkhead_machine"] == machine


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "ssh production-host:22"),
        ({"ansible_host": "Server.example.com", "ansible_connection": "paramiko"}, "ssh server.example.com:22"),
        ({"ansible_ssh_host": "{{ 'a' ~ 'b' }}", "ansible_ssh_port": 2222}, "ssh ab:2222"),
        ({"ansible_host": "127.0.0.1"}, "localhost"),
        ({"ansible_host": "127.0.0.1", "ansible_port": 2222}, "ssh 127.0.0.1:2222"),
        ({"ansible_connection": "ansible.builtin.local", "ansible_host": "x", "bulkhead_machine": "y"}, "localhost"),
        ({"ansible_connection": "community.docker.docker", "ansible_host": "c"}, "community.docker.docker c:22"),
        ({"ansible_host": "{{ nothing }}"}, ""),
    ],
)
def test_the_address(tmp_path: Path, variables: dict[str, Any], address: str) -> None:
    assert declared(tmp_path, **variables).address == address


@pytest.mark.parametrize(
    ("http", "https", "expected"), [(80, 443, 31536000), (8080, 8443, 0), (80, 8443, 0), ("80", "443", 31536000)]
)
def test_browsers_pin_names_only_on_standard_ports(tmp_path: Path, http: Any, https: Any, expected: int) -> None:
    declaration = declared(tmp_path, bulkhead_http_port=http, bulkhead_https_port=https)
    assert declaration.values["bulkhead_hsts_max_age"] == expected


def test_values_are_templates_over_all_of_the_hosts_variables(tmp_path: Path) -> None:
    declaration = declared(
        tmp_path,
        everyone={"root": "/srv"},
        bulkhead_directory="{{ root }}/{{ bulkhead_environment }}",
        bulkhead_http_port="{{ 8000 + 80 }}",
        bulkhead_env={"HOST": "{{ inventory_hostname }}", "NAME": "{{ bulkhead_database_name }}"},
    )
    assert declaration.values["bulkhead_directory"] == "/srv/prod"
    assert declaration.values["bulkhead_http_port"] == 8080
    assert declaration.values["bulkhead_env"] == {"HOST": "production-host", "NAME": "app_prod"}


@pytest.mark.parametrize(
    ("mistyped", "right"),
    [
        ("bulkhead_domain", "bulkhead_domains"),
        ("bulkhead_directry", "bulkhead_directory"),
        ("bulkhead_secerts", "bulkhead_secrets"),
        ("bulkhead_http_prot", "bulkhead_http_port"),
        ("bulkhead_enviroment", "bulkhead_environment"),
        ("bulkhead_swarm_rolle", "bulkhead_swarm_role"),
        ("bulkhead_edge_http_prot", "bulkhead_edge_http_port"),
    ],
)
def test_a_mistyped_variable_is_told_the_right_name(tmp_path: Path, mistyped: str, right: str) -> None:
    variables: dict[str, Any] = {mistyped: "x"}
    found = only(declared(tmp_path, **variables).problems)
    assert (found.rule, found.resource, found.fix) == ("unknown-variable", mistyped, f"did you mean {right}?")
    assert found.where[0].file.endswith("group_vars/production/main.yml")
    assert found.where[0].line > 0


def test_an_inventory_has_the_front_doors_variables_too(tmp_path: Path) -> None:
    mine: dict[str, Any] = {"bulkhead_edge_image": "haproxy:3.0", "bulkhead_edge_addresses": ["127.0.0.1"]}
    assert set(mine) <= set(of_machines()) and not set(of_machines()) & set(specification())
    assert declared(tmp_path / "right", **mine).problems == []
    found = only(declared(tmp_path / "wrong", bulkhead_edge_adresses=["127.0.0.1"]).problems)
    assert found.fix == "did you mean bulkhead_edge_addresses?"


def test_variables_of_the_roles_for_machines_are_none_of_an_environment(tmp_path: Path) -> None:
    """A machine's host may be an environment's too, and the front door's settings are in group_vars/all."""
    everyone = {"bulkhead_edge_http_port": 8880, "bulkhead_swarm_labels": {"disk": "ssd"}}
    assert declared(tmp_path, everyone=everyone, bulkhead_swarm_role="manager").problems == []


def test_two_names_are_not_alike_because_both_are_ours(tmp_path: Path) -> None:
    assert only(declared(tmp_path, bulkhead_bogus=1).problems).fix.startswith("remove it")


def test_a_setting_is_told_by_its_own_line(tmp_path: Path) -> None:
    found = only(declared(tmp_path, bulkhead_env={"GOOD": "x", "BAD NAME": "y"}).problems)
    place = found.where[0]
    lines = Path(place.file).read_text().splitlines()
    assert (found.resource, place.item) == ("bulkhead_env.BAD NAME", "bulkhead_env.BAD NAME")
    assert "BAD" in lines[place.line - 1]


def test_who_vouches_for_images_has_to_be_there(tmp_path: Path) -> None:
    groups = {
        name: environment(name, port, bulkhead_promotion_from=source)
        for name, port, source in (("prod", 80, "stagin"), ("staging", 8080, "prod"), ("dev", 9080, "dev"))
    }
    fleet = list(declarations(read(write(tmp_path, groups))).values())
    check_promotion(fleet)
    found = {declaration.group: declaration.problems for declaration in fleet}
    assert found["staging"] == []
    assert only(found["prod"]).fix == "did you mean staging? The inventory has: dev, staging"
    assert only(found["dev"]).message.startswith("bulkhead_promotion_from is dev, but the inventory has no other")


def test_a_name_that_is_like_no_other(tmp_path: Path) -> None:
    found = only(declared(tmp_path, bulkhead_zzzzzzzzzzzzzzzzzzzz=1).problems)
    assert found.fix == "remove it, or choose a name that does not begin with bulkhead_"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("bulkhead_domains", {"a": 1}, "must be a list, but is a mapping"),
        ("bulkhead_http_port", "eighty", "must be a whole number, but is text"),
        ("bulkhead_http_port", [80], "must be a whole number, but is a list"),
        ("bulkhead_http_port", True, "must be a whole number, but is true or false"),
        ("bulkhead_services", ["nginx"], "must be a mapping, but is a list"),
        ("bulkhead_services", "nginx=1", "must be a mapping, but is text"),
        ("bulkhead_secrets", 7, "must be a mapping, but is a number"),
        ("bulkhead_protected", "perhaps", "must be true or false, but is text"),
        ("bulkhead_directory", ["/srv"], "must be a path, which is text, but is a list"),
        ("bulkhead_source_branch", {"main": 1}, "must be text, but is a mapping"),
        ("bulkhead_source_branch", True, "must be text, but is true or false"),
        ("bulkhead_domains", ["a.example.com", None], "is a list of items that are each text, but item 2 is empty"),
    ],
)
def test_a_wrong_type(tmp_path: Path, name: str, value: Any, said: str) -> None:
    found = only(declared(tmp_path, **{name: value}).problems)
    assert (found.rule, found.resource) == ("invalid-variable", name)
    assert found.message == f"{name} {said}" and found.fix
    assert found.where[0].file.endswith("main.yml") and found.where[0].line > 0


def test_a_value_of_a_wrong_type_is_not_shown(tmp_path: Path) -> None:
    assert "hunter2" not in str(declared(tmp_path, bulkhead_secrets="hunter2hunter2").problems)


@pytest.mark.parametrize(
    "name",
    ["bulkhead_directory", "bulkhead_http_port", "bulkhead_https_port", "bulkhead_domains", "bulkhead_source_branch"],
)
def test_a_missing_variable(tmp_path: Path, name: str) -> None:
    missing: dict[str, Any] = {name: None}
    found = only(declared(tmp_path, **missing).problems)
    assert (found.rule, found.resource, found.fix) == ("missing-variable", name, f"set {name} in group_vars/production")


def test_a_missing_project(tmp_path: Path) -> None:
    assert problems(declared(tmp_path, everyone={"bulkhead_project": ""}))[0] == (
        "missing-variable",
        "bulkhead_project",
    )


def test_without_nginx_nothing_of_it_is_needed(tmp_path: Path) -> None:
    missing: dict[str, Any] = dict.fromkeys(("bulkhead_http_port", "bulkhead_https_port", "bulkhead_domains"))
    assert declared(tmp_path, bulkhead_services={"nginx": None}, **missing).problems == []


def test_without_a_repository_no_branch_is_needed(tmp_path: Path) -> None:
    assert declared(tmp_path, bulkhead_source_repository=None, bulkhead_source_branch=None).problems == []


@pytest.mark.parametrize("prefix", ["Prod", "1prod", "app.prod", "app prod", "prod_", "a/b"])
def test_a_bad_prefix(tmp_path: Path, prefix: str) -> None:
    assert ("invalid-variable", "bulkhead_prefix") in problems(declared(tmp_path, bulkhead_prefix=prefix))


@pytest.mark.parametrize("directory", ["/", "/home", "/home/", "/etc/../etc", "relative/path", "~/app", "//"])
def test_a_directory_that_is_nobodys_own(tmp_path: Path, directory: str) -> None:
    found = only(declared(tmp_path, bulkhead_directory=directory).problems)
    assert (found.rule, found.resource) == ("invalid-variable", "bulkhead_directory")
    assert f"bulkhead_directory is {directory}" in found.message


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_out_of_range(tmp_path: Path, port: int) -> None:
    found = only(declared(tmp_path, bulkhead_http_port=port).problems)
    assert (found.resource, found.fix) == ("bulkhead_http_port", "use a port from 1 to 65535")


def test_a_closed_list_of_values(tmp_path: Path) -> None:
    found = only(declared(tmp_path, bulkhead_fail_on="mild").problems)
    assert (found.message, found.fix) == ("bulkhead_fail_on is 'mild'", "use one of critical, high, medium, low")


def test_an_expression_that_fails(tmp_path: Path) -> None:
    found = only(declared(tmp_path, bulkhead_app_port="{{ no_such_variable }}").problems)
    assert (found.rule, found.resource) == ("template-error", "bulkhead_app_port")
    assert "no_such_variable" in found.message


def test_more_than_one_host(tmp_path: Path) -> None:
    hosts = {"production": {"hosts": {"one": None, "two": None}}}
    inventory = read(write(tmp_path, {"production": environment("prod")}, hosts))
    found = only(declarations(inventory)["production"].problems)
    assert (found.rule, found.fix) == (
        "several-hosts",
        "keep one host in group production, declare a second environment, or set bulkhead_engine: swarm for one "
        "environment on several machines",
    )
    assert "has 2 hosts (one, two)" in found.message


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    declaration = declared(tmp_path, bulkhead_domain="x", bulkhead_http_port="x", bulkhead_directory="/")
    assert len(declaration.problems) == 3
    assert not declaration.usable


@pytest.mark.parametrize(
    ("value", "expected"),
    [(SEAL, True), (f"redis://:{SEAL}@x", True), ({"a": [1, {"b": SEAL}]}, True), ("open", False), ([1, None], False)],
)
def test_holds_seal(value: Any, expected: bool) -> None:
    assert holds_seal(value) is expected
