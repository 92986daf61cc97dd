# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a declaration to a stack file: what Swarm ignores is translated, noted, or left for the proof to refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.model import Declaration
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.environments import build_environment
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Fleet, Severity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import judge
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Release, Renderer, with_commit
from unit.fleets import declared, only, problems, read, write

SWARM = {"bulkhead_engine": "swarm", "bulkhead_swarm": "main", "bulkhead_registry": "registry.example.com/shop"}
COMMIT = "4f2a91c0" * 5
PIN = "node.labels.io.bulkhead.data.app_prod == true"


def attempted(tmp_path: Path, **variables: Any) -> tuple[Declaration, Release]:
    """A stack with these variables, and its declaration with the problems."""
    declaration = declared(tmp_path, **SWARM | variables)
    release = Renderer(read(write(tmp_path / "any", {})).loader, []).render(declaration)
    assert release is not None, declaration.problems
    return declaration, release


def rendered(tmp_path: Path, **variables: Any) -> Release:
    """A stack with these variables, which must have no problems."""
    declaration, release = attempted(tmp_path, **variables)
    assert declaration.problems == []
    return release


def service(release: Release, key: str = "web") -> Any:
    return release.stack.compose["services"][key]


def one(**keys: Any) -> dict[str, Any]:
    """Services of which only one is left, with these keys."""
    gone = dict.fromkeys(("nginx", "django", "pgbouncer", "postgresql", "redis"))
    return {"bulkhead_services": {**gone, "web": {"image": "web:1", **keys}}, "bulkhead_prepare": []}


def test_the_default_stack_is_contained(tmp_path: Path) -> None:
    """Nothing of what Swarm ignores is left in it, and no rule refuses it."""
    declaration, release = attempted(tmp_path)
    found = judge(Fleet((build_environment(declaration, release),)))
    assert [finding.message for finding in found if finding.severity >= Severity.MEDIUM] == []
    ignored = {"container_name", "depends_on", "expose", "pull_policy", "restart", "security_opt", "shm_size"}
    assert all(not ignored & set(definition) for definition in release.stack.compose["services"].values())


def test_the_files_that_are_shipped(tmp_path: Path) -> None:
    """A stack file has no name, and its settings stand as they are: the client knows no quotes."""
    release = rendered(tmp_path, bulkhead_env={"GREETING": 'a "b" $c'})
    assert release.compose_file == "docker-stack.prod.yml"
    shipped = yaml.safe_load(release.file("docker-stack.prod.yml").content)
    assert set(shipped) == {"services", "networks", "volumes", "configs", "secrets"}
    assert 'GREETING=a "b" $c' in release.file(".env").content.splitlines()


def test_a_password_is_in_no_name_and_in_no_stack_file(tmp_path: Path) -> None:
    """The stack file names versions; equal content has one name, other content another."""
    first, same = rendered(tmp_path / "a"), rendered(tmp_path / "b")
    secrets = {
        "SECRET_KEY": "k" * 40,
        "DB_PASSWORD": "d" * 40,
        "POSTGRES_PASSWORD": "p" * 40,
        "REDIS_PASSWORD": "r" * 40,
    }
    other = rendered(tmp_path / "c", bulkhead_secrets=secrets)
    names = [{entry["name"] for entry in release.stack.compose["secrets"].values()} for release in (first, same, other)]
    assert names[0] == names[1]
    changed = names[0] - names[2]
    assert any("redis_password" in name for name in changed) and all("key.pem" not in name for name in changed)
    text = other.file("docker-stack.prod.yml").content
    assert not any(value in text for value in secrets.values())
    assert all(len(name) <= 64 and name.startswith("app_prod_") for name in names[2])


def test_a_commit_is_an_image_of_the_registry(tmp_path: Path) -> None:
    """The nodes fetch what was built from a registry; what was built elsewhere from where it is."""
    declaration, release = attempted(tmp_path / "built")
    image = service(with_commit(release, declaration, COMMIT), "django_prod")["image"]
    assert image.startswith("registry.example.com/shop/app_prod_django:4f2a91c")
    given = "registry.example.com/x/app@sha256:" + "0" * 64
    pulled = rendered(tmp_path / "pulled", bulkhead_image=given, bulkhead_source_repository="", bulkhead_registry="")
    assert service(pulled, "django_prod")["image"] == given


def test_data_is_pinned_and_replaced_after_it_has_ended(tmp_path: Path) -> None:
    release = rendered(tmp_path)
    deploy = service(release, "postgresql")["deploy"]
    assert deploy["placement"] == {"constraints": [PIN, "node.id == the-node-with-the-data"]}
    assert deploy["update_config"]["order"] == deploy["rollback_config"]["order"] == "stop-first"
    assert deploy["update_config"]["failure_action"] == "rollback"
    assert {"type": "tmpfs", "target": "/dev/shm", "tmpfs": {"size": 128 << 20}} in service(release, "postgresql")[
        "volumes"
    ]
    assert any("io.bulkhead.data.app_prod=true" in note for note in release.stack.notes)


def test_a_database_takes_its_passwords_before_it_is_healthy(tmp_path: Path) -> None:
    """Its data has those of earlier releases, and nobody runs a command in a task on another node."""
    services: dict[str, Any] = {"postgresql": {"x-bulkhead": {"retire": ["take", "$it now"]}}}
    services["postgresql"]["healthcheck"] = {"test": ["CMD", "ready", "for me"]}
    *shell, script = service(rendered(tmp_path / "a", bulkhead_services=services), "postgresql")["healthcheck"]["test"]
    assert shell == ["CMD", "sh", "-c"]
    taken = "/dev/shm/bulkhead-passwords-taken"
    learn = f"{{ [ -e {taken} ] || {{ take '$$it now' < /dev/null && : > {taken}; }}; }}"
    assert script == f"{{ ready 'for me'\n}} && {learn}"
    given: dict[str, Any] = {"text": "ready || exit 1", "list": ["CMD-SHELL", "ready || exit 1"]}
    for name, check in given.items():
        services["postgresql"]["healthcheck"] = {"test": check}
        release = rendered(tmp_path / name, bulkhead_services=services)
        assert service(release, "postgresql")["healthcheck"]["test"][-1] == f"{{ ready || exit 1\n}} && {learn}"
    services["postgresql"]["healthcheck"] = {"test": ["NONE"]}
    release = rendered(tmp_path / "none", bulkhead_services=services)
    assert service(release, "postgresql")["healthcheck"]["test"] == ["NONE"]
    assert "passwords-taken" not in str(service(release, "redis"))


def test_what_keeps_nothing_is_spread(tmp_path: Path) -> None:
    """Without volumes the application and nginx run anywhere, and a new task answers before an old one ends."""
    services: dict[str, Any] = {
        "nginx": {"volumes": ["./docker/nginx:/etc/nginx/conf.d:ro"]},
        "django": {"volumes": []},
    }
    services["django"]["deploy"] = {"replicas": 3}
    release = rendered(tmp_path, bulkhead_services=services, bulkhead_swarm_ports="ingress")
    for key in ("nginx", "django_prod"):
        deploy = service(release, key)["deploy"]
        assert "placement" not in deploy
        assert deploy["update_config"]["order"] == "start-first"
    assert service(release, "django_prod")["networks"]["default"]["aliases"] == ["app_prod_django"]


def test_a_port_of_the_node_is_taken_until_the_old_task_has_ended(tmp_path: Path) -> None:
    release = rendered(tmp_path, bulkhead_services={"nginx": {"volumes": ["./docker/nginx:/etc/nginx/conf.d:ro"]}})
    nginx = service(release, "nginx")
    assert nginx["ports"][1] == {"target": 443, "published": 443, "protocol": "tcp", "mode": "host"}
    assert nginx["deploy"]["update_config"]["order"] == "stop-first"
    # Visitors do not follow a task to another node.
    assert nginx["deploy"]["mode"] == "global"
    assert "placement" not in nginx["deploy"]


def test_a_port_of_some_nodes(tmp_path: Path) -> None:
    """A constraint names them; a number of tasks does not say where they are."""
    named = {"placement": {"constraints": ["node.labels.front == true"]}}
    release = rendered(tmp_path / "named", **one(restart="always", ports=["80:80"], deploy=named))
    assert service(release)["deploy"].items() >= {"mode": "global", **named}.items()
    counted, _release = attempted(
        tmp_path / "counted", **one(restart="always", ports=["80:80"], deploy={"replicas": 2})
    )
    assert "move from node to node" in only(counted.problems).message
    meshed = one(restart="always", ports=["80:80"], deploy={"replicas": 2}) | {"bulkhead_swarm_ports": "ingress"}
    assert service(rendered(tmp_path / "meshed", **meshed))["deploy"]["replicas"] == 2


def test_the_network_is_encrypted_and_nobody_joins_it(tmp_path: Path) -> None:
    network = rendered(tmp_path).stack.compose["networks"]["default"]
    without = {"bulkhead_compose": {"networks": {"default": {"driver_opts": {"encrypted": "false"}}}}}
    assert "driver_opts" not in rendered(tmp_path / "plain", **without).stack.compose["networks"]["default"]
    assert (network["driver"], network["attachable"], network["driver_opts"]) == (
        "overlay",
        False,
        {"encrypted": "true"},
    )


def test_what_compose_did_and_swarm_does_not_is_said(tmp_path: Path) -> None:
    said = "\n".join(rendered(tmp_path).stack.notes)
    assert "django_prod does not wait for pgbouncer and redis" in said
    assert "no-new-privileges" in said and "daemon.json" in said
    quiet = rendered(tmp_path / "quiet", **one(security_opt=[], restart="always")).stack.notes
    assert quiet == ()


@pytest.mark.parametrize(
    ("policy", "condition"),
    [("always", {"condition": "any"}), ("on-failure:3", {"condition": "on-failure", "max_attempts": 3})],
)
def test_restart_policies(tmp_path: Path, policy: str, condition: dict[str, Any]) -> None:
    release = rendered(tmp_path, **one(restart=policy, ports=["8080:80"]))
    assert service(release)["deploy"]["restart_policy"] == condition


# A service's key, a value that a swarm cannot do, one that it can, and a word of the message.
CASES: list[tuple[str, Any, Any, str]] = [
    ("restart", "no", "always", "when its work is done"),
    ("volumes", ["/data"], ["data:/data"], "without a name"),
    ("volumes", ["/etc/localtime:/etc/localtime:ro"], ["data:/data"], "a path of one node"),
    ("volumes", ["./uploads:/data"], ["data:/data"], "the other nodes do not have"),
    ("ports", ["8000-8001:80"], ["8000:8000"], "range"),
    ("env_file", ["other.env"], [".env"], "by other rules"),
    ("depends_on", {"job": {"condition": "service_completed_successfully"}}, {"job": {"condition": "service_healthy"}},
     "waits until job has ended"),
    ("deploy", {"update_config": {"failure_action": "continue"}}, {"update_config": {"delay": "5s"}}, "failed release"),
    ("deploy", {"placement": {}, "update_config": {"order": "start-first"}}, {"update_config": {"order": "stop-first"}},
     "never ends"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "bad", "good", "word"), CASES, ids=lambda value: str(value)[:30])
def test_what_a_swarm_cannot_do_is_named(tmp_path: Path, key: str, bad: Any, good: Any, word: str) -> None:
    """Beside a value that it can do, which has no problem."""
    rest = {"restart": "always", **({"ports": ["8080:80"]} if key == "deploy" else {})}
    more = {"job": {"image": "job:1", "restart": "always"}}

    def wanted(value: Any) -> dict[str, Any]:
        variables = one(**rest | {key: value})
        variables["bulkhead_services"] |= more
        brought = {"files": [{"path": "other.env", "content": "A=1"}]}
        variables["bulkhead_services"]["web"]["x-bulkhead"] = brought
        return variables

    declaration, _release = attempted(tmp_path / "bad", **wanted(bad))
    found = [problem for problem in declaration.problems if problem.rule == "not-on-swarm"]
    assert found and word in found[0].message and "bulkhead_services.web" in found[0].message
    assert problems(attempted(tmp_path / "good", **wanted(good))[0]) == []


def test_two_tasks_on_one_volume_are_refused(tmp_path: Path) -> None:
    declaration, _release = attempted(tmp_path, bulkhead_services={"postgresql": {"deploy": {"replicas": 2}}})
    assert "would write to one volume" in only(declaration.problems).message


def test_a_bind_that_can_be_written_is_refused(tmp_path: Path) -> None:
    """A config is read-only: who mounts one to write to it would fail later."""
    own = {"files": [{"path": "docker/web/a.conf", "content": "x"}]}
    for mode, refused in (("", True), (":ro", False)):
        variables = one(restart="always", volumes=[f"./docker/web:/etc/web{mode}"])
        variables["bulkhead_services"]["web"]["x-bulkhead"] = own
        declaration, release = attempted(tmp_path / f"m{mode[1:]}", **variables)
        assert bool(declaration.problems) is refused
        assert service(release)["configs"][0]["target"] == "/etc/web/a.conf"


def test_a_setting_of_several_lines_is_refused(tmp_path: Path) -> None:
    declaration, _release = attempted(tmp_path, bulkhead_env={"KEY": "a\nb"})
    assert "bulkhead_env.KEY" in only(declaration.problems).message


def test_a_config_without_a_version_is_refused(tmp_path: Path) -> None:
    """One that others made is not: its name is judged as any other."""
    for entry, expected in (({"file": "./x"}, 1), ({"external": True, "name": "app_prod_x"}, 0)):
        declaration, _release = attempted(tmp_path / str(expected), bulkhead_compose={"configs": {"x": entry}})
        assert len(declaration.problems) == expected
