# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From definitions of services to one Compose project."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.labels import INPUT, RELEASE
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.facts.service_kinds import (
    restart_policy,
    runs_once,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.definitions import definitions_of, merge
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.stack import (
    Stack,
    StackService,
    build_stack,
    labels,
    mounted_directories,
    published_ports,
)
from hypothesis import given
from hypothesis import strategies as st

DEFAULT: dict[str, Any] = {
    "common": {
        "restart": "unless-stopped",
        "cap_drop": ["ALL"],
        "deploy": {"resources": {"limits": {"memory": "512M"}}},
    },
    "application": {"image": "built:1", "env_file": [".env"]},
    "services": {
        "web": {
            "service_name": "web_prod",
            "depends_on": {"db": {"condition": "service_healthy"}, "cache": {"condition": "service_healthy"}},
            "volumes": ["storage:/srv", "./conf:/etc/web:ro"],
        },
        "db": {"image": "db:1", "volumes": ["data:/data"], "x-bulkhead": {"env": {"DB_HOST": "db", "PORT": 5432}}},
        "cache": {"image": "cache:1"},
    },
}


def build(services: dict[str, Any] | None = None, prefix: str = "app_prod", environment: str = "prod") -> Stack:
    definitions = definitions_of(DEFAULT, services or {})
    return build_stack(
        definitions, DEFAULT.get("networks") or {}, prefix=prefix, project="app", environment=environment
    )


def definition(stack: Stack, key: str) -> Any:
    return stack.compose["services"][key]


def described(stack: Stack, name: str) -> StackService:
    return next(service for service in stack.services if service.name == name)


# ---- merging -----------------------------------------------------------------------------------------------------

values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(st.sampled_from("abc"), values, max_size=3)


@pytest.mark.parametrize(
    ("base", "over", "expected"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}, {"a": {"b": 1, "c": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": {"b": 1}}, {"a": "text"}, {"a": "text"}),
        ({"a": "text"}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({}, {"a": None}, {}),
    ],
)
def test_merge(base: Any, over: Any, expected: Any) -> None:
    assert merge(base, over) == expected


@given(mappings)
def test_merging_nothing_changes_nothing(base: dict[str, Any]) -> None:
    assert merge(base, {}) == base


@given(mappings, mappings)
def test_what_is_merged_over_counts_and_the_rest_stays(base: dict[str, Any], over: dict[str, Any]) -> None:
    merged = merge(base, over)
    for key in {*base, *over}:
        if key not in over:
            assert merged[key] == base[key]
        elif over[key] is None:
            assert key not in merged
        elif not isinstance(over[key], dict):
            assert merged[key] == over[key]


@given(mappings, mappings)
def test_merging_never_changes_what_it_is_given(base: dict[str, Any], over: dict[str, Any]) -> None:
    before = repr((base, over))
    merge(base, over)
    assert repr((base, over)) == before


# ---- services ----------------------------------------------------------------------------------------------------


def test_names_begin_with_the_prefix() -> None:
    stack = build()
    assert stack.compose["name"] == "app_prod"
    assert list(stack.compose["services"]) == ["web_prod", "db", "cache"]
    assert [service.container for service in stack.services] == ["app_prod_web", "app_prod_db", "app_prod_cache"]
    assert stack.compose["networks"]["default"]["name"] == "app_prod_network"
    assert {key: item["name"] for key, item in stack.compose["volumes"].items()} == {
        "storage": "app_prod_storage_prod",
        "data": "app_prod_data_prod",
    }


def test_everything_is_labelled() -> None:
    compose = build().compose
    expected = labels("app", "prod", "app_prod")
    assert expected["io.bulkhead.prefix"] == "app_prod"
    for kind in ("services", "networks", "volumes"):
        for item in compose[kind].values():
            assert expected.items() <= item["labels"].items()
            assert set(item["labels"]) - set(expected) <= {INPUT, RELEASE}


@pytest.mark.parametrize("given_labels", [{"team": "a=b"}, ["team=a=b"]])
def test_labels_of_the_user_stay(given_labels: Any) -> None:
    found = definition(build({"web": {"labels": given_labels}}), "web_prod")["labels"]
    assert {"team": "a=b", **labels("app", "prod", "app_prod")}.items() <= found.items()


def test_labels_of_ours_cannot_be_forged() -> None:
    found = definition(build({"web": {"labels": {"io.bulkhead.prefix": "app_staging"}}}), "web_prod")["labels"]
    assert found["io.bulkhead.prefix"] == "app_prod"


def test_the_input_label_follows_the_definition() -> None:
    """By it a container that does not run what is declared is known, without asking Compose."""
    one, same, other = (build({"db": {"user": user}}) for user in ("1", "1", "2"))
    found = [definition(made, "db")["labels"][INPUT] for made in (one, same, other)]
    assert found[0] == found[1] != found[2]
    assert definition(one, "cache")["labels"][INPUT] == definition(other, "cache")["labels"][INPUT]


def test_a_service_without_an_image_is_the_application() -> None:
    stack = build({"worker": {"command": ["work"]}})
    assert definition(stack, "worker")["image"] == "built:1"
    assert definition(stack, "worker")["env_file"] == [".env"]
    assert definition(stack, "worker")["cap_drop"] == ["ALL"]
    assert "env_file" not in definition(stack, "db")
    assert {service.name for service in stack.services if service.application} == {"web", "worker"}
    assert stack.uses_application_image


def test_a_stack_without_the_application() -> None:
    assert not build({"web": None}).uses_application_image
    assert not build({"web": {"image": "upstream:1"}}).uses_application_image


def test_null_leaves_a_service_out_and_nobody_waits_for_it() -> None:
    stack = build({"cache": None})
    assert list(stack.compose["services"]) == ["web_prod", "db"]
    assert definition(stack, "web_prod")["depends_on"] == {"db": {"condition": "service_healthy"}}
    alone = build({"cache": None, "db": None})
    assert "depends_on" not in definition(alone, "web_prod")
    assert list(alone.compose["volumes"]) == ["storage"]


def test_null_takes_a_key_away() -> None:
    """Wherever it comes from: the service's own default, or what every service gets."""
    assert "volumes" not in definition(build({"db": {"volumes": None}}), "db")
    assert "cap_drop" not in definition(build({"db": {"cap_drop": None}}), "db")
    assert "env_file" not in definition(build({"worker": {"env_file": None}}), "worker")
    limits = {"deploy": {"resources": {"limits": {"memory": None, "cpus": "2"}}}}
    assert definition(build({"db": limits}), "db")["deploy"] == {"resources": {"limits": {"cpus": "2"}}}


def test_null_keeps_what_compose_means_by_it() -> None:
    extra = {
        "environment": {"FROM_ENV_FILE": None, "A": "1"},
        "networks": {"default": None, "data": None},
    }
    made = definition(build({"db": extra}), "db")
    assert made["environment"] == {"FROM_ENV_FILE": None, "A": "1"}
    assert made["networks"] == {"default": None, "data": None}
    with_aliases = {"networks": {"default": {"aliases": ["a"]}}}
    assert merge(with_aliases, {"networks": {"default": None}}, ("", "services", "web")) == with_aliases
    assert merge({}, {"volumes": {"cache": None}}, ("",)) == {"volumes": {"cache": None}}


def test_null_is_no_value_of_a_service_called_like_a_section() -> None:
    stack = build({"networks": {"image": "x", "cap_drop": None}, "environment": {"image": "x", "restart": None}})
    assert "cap_drop" not in definition(stack, "networks") and "restart" not in definition(stack, "environment")


def test_dependencies_speak_of_compose_keys() -> None:
    """Whoever writes an inventory knows `web`; Compose knows `web_prod`."""
    stack = build(
        {
            "proxy": {"image": "p", "depends_on": ["web", "nobody"]},
            "tail": {"image": "t", "network_mode": "service:web"},
        }
    )
    assert definition(stack, "proxy")["depends_on"] == {"web_prod": {"condition": "service_started"}}
    assert definition(stack, "tail")["network_mode"] == "service:web_prod"
    assert definition(build({"tail": {"image": "t", "pid": "host"}}), "tail")["pid"] == "host"


def test_what_is_ours_is_not_composes() -> None:
    stack = build()
    assert "service_name" not in definition(stack, "web_prod")
    assert "x-bulkhead" not in definition(stack, "db")
    found = {service.name: service.settings for service in definitions_of(DEFAULT, {})}
    assert found == {"web": {}, "db": {"DB_HOST": "db", "PORT": "5432"}, "cache": {}}


def test_a_container_name_of_the_users_own() -> None:
    stack = build({"web": {"container_name": "app_prod_frontend"}})
    assert described(stack, "web").container == "app_prod_frontend"


def test_two_services_with_one_key() -> None:
    with pytest.raises(ValueError, match="two services of bulkhead_services have the service_name 'db'"):
        build({"web": {"service_name": "db"}})


@pytest.mark.parametrize("definition_", ["redis:8", ["a"], 3])
def test_a_service_that_is_no_mapping(definition_: Any) -> None:
    with pytest.raises(ValueError, match=r"bulkhead_services\.extra is .*must be a mapping .* or null"):
        build({"extra": definition_})


def test_building_changes_nothing_of_the_default() -> None:
    before = repr(DEFAULT)
    build({"web": {"volumes": ["x:/x"]}, "db": {"labels": ["a=b"]}})
    assert repr(DEFAULT) == before


@pytest.mark.parametrize(
    ("mount", "names"),
    [
        ("data:/data", ["data"]),
        ("data:/data:ro", ["data"]),
        ("./here:/data", []),
        ("../there:/data", []),
        ("/etc:/data", []),
        ("~/x:/data", []),
        ("/data", []),
        ({"type": "volume", "source": "data", "target": "/data"}, ["data"]),
        ({"type": "volume", "target": "/data"}, []),
        ({"type": "bind", "source": "data", "target": "/data"}, []),
        ({"type": "tmpfs", "target": "/data"}, []),
    ],
)
def test_named_volumes(mount: Any, names: list[str]) -> None:
    only = {"common": {}, "application": {}, "services": {"a": {"image": "a", "volumes": [mount]}}}
    stack = build_stack(definitions_of(only, {}), {}, prefix="app_prod", project="app", environment="prod")
    assert list(stack.compose.get("volumes", {})) == names


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        (["8080:80"], [("", 8080)]),
        (["127.0.0.1:8080:80/udp"], [("127.0.0.1", 8080)]),
        (["[::1]:8080:80"], [("::1", 8080)]),
        (["8000-8002:80-82"], [("", 8000), ("", 8001), ("", 8002)]),
        (["80"], []),
        ([80], []),
        ([{"target": 80, "published": "8080", "host_ip": "10.0.0.1"}], [("10.0.0.1", 8080)]),
        ([{"target": 80, "published": 8080}], [("", 8080)]),
        ([{"target": 80}], []),
        (None, []),
    ],
)
def test_published_ports(ports: Any, expected: list[tuple[str, int]]) -> None:
    assert published_ports({"services": {"web": {"ports": ports}}}) == [("web", *port) for port in expected]


def test_mounted_directories() -> None:
    volumes = ["./conf/:/etc/web:ro", "data:/data", "/etc:/x", {"type": "bind", "source": "./more", "target": "/more"}]
    volumes += [{"type": "volume", "source": "./named", "target": "/named"}, {"type": "tmpfs", "target": "/tmp"}]
    assert mounted_directories({"volumes": volumes}) == [("conf", "/etc/web"), ("more", "/more")]


def test_what_publishes_a_port_cannot_be_stood_in_for() -> None:
    """Old and new cannot both have one port of the machine."""
    ours = {"x-bulkhead": {"rolling": True, "prepare": [["migrate"]]}}
    for ports, rolling in (([], True), (["8080:80"], False)):
        found = described(build({"job": {**ours, "image": "i", "ports": ports}}), "job")
        assert (found.rolling, found.prepare) == (rolling, (("migrate",),))


def test_several_of_a_service_have_composes_own_names() -> None:
    stack = build({"job": {"image": "i", "deploy": {"replicas": 3}}})
    found = described(stack, "job")
    assert (found.replicas, found.container) == (3, f"{stack.compose['name']}-job")
    assert "container_name" not in definition(stack, "job")


def test_what_nginx_asks_for_is_one_name_however_many_there_are() -> None:
    """So that another number of replicas changes neither nginx nor the name of the stand-in."""
    ours = {"image": "i", "x-bulkhead": {"rolling": True}}
    given = {"default": {"aliases": ["jobs"], "priority": 1}, "data": None}
    for count, networks, expected in (
        (3, {}, {"default": {"aliases": ["app_prod_job"]}}),
        (3, {"networks": ["data", "default"]}, {"data": None, "default": {"aliases": ["app_prod_job"]}}),
        (3, {"networks": given}, {**given, "default": {"aliases": ["jobs", "app_prod_job"], "priority": 1}}),
        (3, {"networks": ["data"]}, ["data"]),
        (3, {"network_mode": "none"}, None),
        (1, {}, None),
    ):
        stack = build({"job": {**ours, **networks, "deploy": {"replicas": count}}})
        assert described(stack, "job").host == "app_prod_job"
        assert definition(stack, "job").get("networks") == expected
    assert "networks" not in definition(build({"job": {"image": "i", "scale": 2}}), "job"), "nginx does not ask for it"
    assert described(build({"job": {**ours, "container_name": "own"}}), "job").host == "own"


@pytest.mark.parametrize(
    "backup",
    [
        "postgresql",
        {"kind": "mysql"},
        {"kind": "files", "path": "media"},
        {"kind": "postgresql", "also": 1},
        {"kind": "postgresql", "also": ["reports"]},
        {"kind": "postgresql", "also": [{"database": "reports"}]},
        {"kind": "postgresql", "also": [{"name": "../reports", "database": "reports"}]},
        {"kind": "postgresql", "database": "own", "also": [{"name": "reports"}]},
        {"kind": "postgresql", "also": [{"name": "reports", "database": "reports"}]},
        {"kind": "files", "path": "/m", "also": [{"kind": "postgresql", "name": "reports"}]},
    ],
)
def test_what_cannot_be_backed_up(backup: Any) -> None:
    with pytest.raises(ValueError, match=r"bulkhead_services\.job: x-bulkhead\.backup is {kind: postgresql} or"):
        build({"job": {"image": "i", "x-bulkhead": {"backup": backup}}})


def test_each_part_of_a_backup_has_a_name_of_its_own() -> None:
    more = {"kind": "postgresql", "database": "one", "also": [{"name": "web", "database": "more"}]}
    job = {"image": "i", "x-bulkhead": {"backup": more}}
    found = described(build({"job": job, "web": {"x-bulkhead": {"backup": {"kind": "files", "path": "/m"}}}}), "job")
    assert [part["name"] for part in found.backup] == ["job", "web"], "a database and files may share a name"
    with pytest.raises(ValueError, match=r"two parts of kind postgresql in .* are called 'web'"):
        build({"job": job, "web": {"x-bulkhead": {"backup": {"kind": "postgresql"}}}})


def test_no_database_is_backed_up_twice() -> None:
    """Of two parts that are one database each would be restored over the other."""
    for first, second in (("own", "other"), ("other", "own"), ("other", "other")):
        also = [{"name": "archive", "database": second}, {"name": "again", "database": "own"}]
        backup = {"kind": "postgresql", "database": first, "also": also}
        with pytest.raises(ValueError, match=r"bulkhead_services\.job: .* and .* are both the database (own|other)"):
            build({"job": {"image": "i", "x-bulkhead": {"backup": backup}}})


def test_databases_of_one_server_share_what_they_do_not_say() -> None:
    also = [{"name": "archive", "database": "archive"}, {"name": "other", "database": "other", "user": "somebody"}]
    backup = {"kind": "postgresql", "database": "reports", "user": "reports", "admin": "root", "also": also}
    found = described(build({"job": {"image": "i", "x-bulkhead": {"backup": backup}}}), "job").backup
    assert [rule["user"] for rule in found] == ["reports", "reports", "somebody"]
    assert [rule["admin"] for rule in found] == ["root"] * 3


# ---- what runs, and for how long ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("definition", "what"),
    [
        ({"profiles": ["debug"]}, "profiles"),
        ({"scale": 0}, "scale: 0"),
        ({"scale": "0"}, "scale: 0"),
        ({"deploy": {"replicas": 0}}, "deploy.replicas: 0"),
    ],
)
def test_a_service_that_compose_would_not_start_is_refused(definition: dict[str, Any], what: str) -> None:
    """A deployment would wait for its container until the time is over, and go back."""
    with pytest.raises(ValueError, match=f"bulkhead_services.db has {what}: ") as caught:
        build({"db": definition})
    assert "bulkhead_services: {db: null}" in str(caught.value)


def test_all_services_that_compose_would_not_start_are_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"db has profiles, .*cache has scale: 0: .*\{db: null, cache: null\}"):
        build({"db": {"profiles": ["a"]}, "cache": {"scale": 0}})


@pytest.mark.parametrize("given_keys", [{"profiles": []}, {"scale": 1}, {"deploy": {"replicas": 2}}, {"scale": None}])
def test_a_service_that_compose_starts_is_none_of_them(given_keys: dict[str, Any]) -> None:
    assert definition(build({"db": given_keys}), "db")["image"] == "db:1"


@pytest.mark.parametrize(
    ("definition", "policy"),
    [
        ({}, ""),
        ({"restart": "on-failure:3"}, "on-failure"),
        ({"restart": "always", "deploy": {"resources": {}}}, "always"),
        ({"restart": "always", "deploy": {"restart_policy": {"condition": "on-failure"}}}, "on-failure"),
        ({"restart": "always", "deploy": {"restart_policy": {"condition": "none"}}}, "no"),
        ({"restart": "always", "deploy": {"restart_policy": {}}}, ""),
        ({"restart": "no", "deploy": {"restart_policy": {"condition": "any"}}}, "always"),
    ],
)
def test_the_restart_policy_that_the_engine_gets(definition: dict[str, Any], policy: str) -> None:
    """Asked of Compose itself with each of these definitions."""
    assert restart_policy(definition) == policy


@pytest.mark.parametrize("policy", ["unless-stopped", "always"])
def test_a_server_does_not_run_once(policy: str) -> None:
    assert not runs_once({"restart": policy})


@pytest.mark.parametrize("definition", [{}, {"restart": "no"}, {"restart": "on-failure"}, {"restart": "on-failure:5"}])
def test_what_the_engine_does_not_start_again_after_it_ended_well_runs_once(definition: dict[str, Any]) -> None:
    assert runs_once(definition)


@pytest.mark.parametrize("server", [{"healthcheck": {"test": ["CMD", "x"]}}, {"ports": ["80:80"]}, {"expose": ["80"]}])
@pytest.mark.parametrize(("restart", "once"), [("no", True), ("on-failure", False), ("", False)])
def test_what_others_connect_to_runs_once_only_if_it_says_so(server: dict[str, Any], restart: str, once: bool) -> None:
    """A server that was told to stop ends well, too."""
    assert runs_once({"restart": restart, **server}) is once


def test_null_takes_the_policy_of_the_default_stack_away() -> None:
    assert not runs_once(definition(build(), "db"))
    assert runs_once(definition(build({"db": {"restart": None}}), "db"))
