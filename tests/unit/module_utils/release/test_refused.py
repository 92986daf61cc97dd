# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deployment refuses on its machine before anything is changed."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.preconditions import refuse_foreign
from unit.module_utils.deployments import WEB, Machine, files
from unit.module_utils.fake_engine import (
    COMPOSE_FILE,
    service,
    snapshot,
)


def refusal(machine: Machine, **changes: Any) -> str:
    """Why a deployment is refused; it must have changed nothing."""
    before = snapshot(machine.directory), machine.engine.ids()
    error = machine.fails(**changes)
    assert (snapshot(machine.directory), machine.engine.ids()) == before
    assert machine.releases() == []
    return error.message


def test_the_guides_trap(machine: Machine) -> None:
    """Another directory's containers run under our project's name, and Compose would replace them."""
    machine.engine._start("web", "other:1", False)
    machine.engine.container("web")["Config"]["Labels"]["com.docker.compose.project.working_dir"] = "/home/u/main/app"
    message = refusal(machine)
    for part in ("aiia_prod_web of the Compose project aiia_prod runs from /home/u/main/app", "stop that project"):
        assert part in message


@pytest.mark.parametrize(("project", "owner"), [("shop", "the Compose project shop"), ("", "no Compose project")])
def test_a_container_with_our_name(machine: Machine, project: str, owner: str) -> None:
    machine.engine.stranger("aiia_prod_db", project)
    assert f"a container called aiia_prod_db exists and belongs to {owner}: rename or remove it" in refusal(machine)


@pytest.mark.parametrize(("kind", "name"), [("network", "aiia_prod_network"), ("volume", "aiia_prod_pgdata_prod")])
def test_a_network_or_volume_with_our_name(machine: Machine, kind: str, name: str) -> None:
    label = "com.docker.compose.project"
    machine.engine.objects[kind] = [{"Name": name, "Labels": {label: "shop"}}]
    assert f"a {kind} called {name} exists and belongs to the Compose project shop" in refusal(machine)
    machine.engine.objects[kind] = [{"Name": name, "Labels": {label: "aiia_prod"}}]
    machine.deploy()


def test_a_port_of_another_container(machine: Machine) -> None:
    machine.engine.stranger("blog_nginx", "blog", {8443: "127.0.0.1", 81: ""})
    ports = [{"service": "web", "address": "", "port": 8443}, {"service": "web", "address": "10.0.0.1", "port": 81}]
    message = refusal(machine, ports=ports)
    owner = "container blog_nginx of the Compose project blog: stop what holds it, or choose another port"
    assert f"port 8443 of service web is taken by {owner}" in message
    assert f"port 81 on 10.0.0.1 of service web is taken by {owner}" in message


def test_a_port_of_another_process(machine: Machine) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        message = refusal(machine, ports=[{"service": "web", "address": "", "port": port}])
        assert f"port {port} of service web is taken by " in message
        assert f"(pid {os.getpid()})" in message
        # On another address of the machine it is free.
        machine.deploy(ports=[{"service": "web", "address": "127.0.0.2", "port": port}])


def test_our_own_port_is_free_for_us(deployed: Machine) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()  # the engine's proxy for our own container
        port = server.getsockname()[1]
        bindings = {"80/tcp": [{"HostPort": str(port), "HostIp": "127.0.0.1"}]}
        deployed.engine.container("web", HostConfig={"PortBindings": bindings})
        refuse_foreign(deployed.look(ports=[{"service": "web", "address": "127.0.0.1", "port": port}]))


def test_everything_in_the_way_is_told_at_once(machine: Machine) -> None:
    machine.engine.stranger("aiia_prod_db")
    machine.engine.objects["network"] = [{"Name": "aiia_prod_network", "Labels": None}]
    message = refusal(machine)
    assert "aiia_prod_db" in message
    assert "aiia_prod_network" in message
    assert message.endswith("Nothing was changed")


def test_what_compose_does_not_accept(deployed: Machine) -> None:
    before = snapshot(deployed.directory)
    deployed.engine.refuses = lambda call: call.startswith("config --quiet")
    error = deployed.fails(**files(web="web:2"))
    assert error.message == f"Compose does not accept {COMPOSE_FILE}. Nothing was changed"
    assert error.detail == "refused by the test"
    assert snapshot(deployed.directory) == before
    assert deployed.engine.images()["web"] == "web:1"
    assert len(deployed.releases()) == 1


def test_what_the_services_program_does_not_accept(deployed: Machine) -> None:
    before = snapshot(deployed.directory)
    services = [service("web", **WEB, image="web:1", validate=["web", "-t"]), service("db")]
    deployed.engine.refuses = lambda call: call.startswith("run ")
    error = deployed.fails(**files(conf="broken"), services=services)
    assert error.message == "web of service web does not accept its new configuration. Nothing was changed"
    (call,) = [call for call in deployed.engine.calls if call.startswith("run ")]
    assert "--network none" in call
    assert "--entrypoint web web:1 -t" in call
    assert "/deployed/aiia_prod/releases/" in call.split("--volume ")[1].split(":")[0]  # not what is in force
    assert snapshot(deployed.directory) == before


def test_a_program_that_serves_instead_of_judging_is_stopped(
    deployed: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = [service("web", **WEB, image="web:1", validate=["web"]), service("db")]
    docker = deployed.engine.docker

    def serve(*args: str, **options: Any) -> tuple[int, str, str]:
        if args[0] != "run":
            return docker(*args, **options)
        Path(args[args.index("--cidfile") + 1]).write_text("0123abcd", encoding="ascii")
        time.sleep(options["limit"])
        return 124, "", ""

    monkeypatch.setattr(deployed.engine, "docker", serve)
    error = deployed.fails(**files(conf="two"), services=services)
    assert error.message.startswith("web of service web did not end within 1 s (bulkhead_wait_timeout)")
    assert "rm --force 0123abcd" in deployed.engine.calls


def test_a_command_that_never_ends_fails_the_deployment(deployed: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = deployed.engine.docker

    def hang(*args: str, **options: Any) -> tuple[int, str, str]:
        if args[0] != "exec" or args[-1] != "reload":
            return docker(*args, **options)
        time.sleep(options["limit"])
        return 124, "", ""

    monkeypatch.setattr(deployed.engine, "docker", hang)
    services = [service("web", **WEB, on_change=["reload"]), service("db")]
    error = deployed.fails(**files(conf="two"), services=services)
    assert "service web did not take its changed files within 1 s (bulkhead_wait_timeout)" in error.message


def test_a_program_is_asked_only_about_changed_files(deployed: Machine) -> None:
    services = [service("web", **WEB, image="web:1", validate=["web", "-t"]), service("db")]
    deployed.deploy(**files(db="db:2"), services=services)
    assert not [call for call in deployed.engine.calls if call.startswith("run ")]
