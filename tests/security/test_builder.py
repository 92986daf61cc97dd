# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A build of staging reaches nothing of production: no cache, layer, port or image, and no program of the machine."""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from build_machine import Machine, build_machine, said
from observe import eventually
from support import IMAGE, docker, free_port

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a build engine needs root")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Iterator[Machine]:
    """The machine that the tests of this file share."""
    with build_machine(tmp_path_factory.mktemp("builder"), projects()) as made:
        yield made


# ---- the cache -------------------------------------------------------------------------------------------------------


def test_a_cache_mount_is_not_shared(machine: Machine) -> None:
    """What staging's build leaves in a cache mount is not there when production's is built, in its own engine or, with
    the forced namespace, in the machine's. One environment's own builds keep it."""
    mount = f"RUN --mount=type=cache,target=/cache,id={machine.project} "
    write, read = f"{mount}echo poison > /cache/wheel", f'{mount}echo "[$(cat /cache/wheel)]" > /said'
    machine.plain("staging", write)
    assert said(machine.plain("prod", read)) == "[poison]", "the control: plain builds share it"

    machine.build("staging", write)
    assert machine.build("prod", read) == ""
    assert said(machine.image("prod")) == "[]"
    machine.build("staging", read)
    assert said(machine.image("staging")) == "[poison]", "an environment's cache lasts from build to build"

    machine.build("staging", write, engine="shared")
    why = machine.build("prod", f"{read} # again", engine="shared")
    assert (said(machine.image("prod")), why) == ("[]", "bulkhead_build_engine is shared")


def test_a_proxy_argument_poisons_no_layer(machine: Machine) -> None:
    """Proxies are no part of a cache's key: with one engine, production gets the layer that staging's proxy made."""
    recipe = f'RUN echo "{machine.project} [$http_proxy]" > /said'
    machine.plain("staging", recipe, http_proxy="http://evil.example:1")
    assert said(machine.plain("prod", recipe)).endswith("[http://evil.example:1]"), "the control"

    machine.build("staging", recipe, arguments={"http_proxy": "http://evil.example:1"})
    assert said(machine.image("staging")).endswith("[http://evil.example:1]")
    machine.build("prod", recipe)
    assert said(machine.image("prod")).endswith("[]")
    machine.build("prod", recipe, engine="shared")
    assert said(machine.image("prod")).endswith("[]"), "the machine's engine has the control's layer, unused"


@pytest.mark.parametrize(
    ("recipe", "arguments", "words"),
    [
        ("", {"http_proxy": "http://evil.example"}, "http_proxy is not allowed here"),
        ("", {"All_Proxy": "http://evil.example"}, "All_Proxy is not allowed here"),
        ("", {"BUILDKIT_SYNTAX": "evil.example/frontend"}, "BUILDKIT_SYNTAX is not allowed here"),
        ("", {"BUILDKIT_CACHE_MOUNT_NS": "aiia_prod"}, "BUILDKIT_CACHE_MOUNT_NS is not allowed here"),
        ("# syntax=evil.example/frontend\n", {}, "'# syntax=evil.example/frontend' is not allowed here"),
        ("//SYNTAX = evil.example/frontend\n", {}, "runs another program as the builder"),
    ],
)
def test_the_shared_engine_refuses(machine: Machine, recipe: str, arguments: dict[str, str], words: str) -> None:
    """What would reach other environments through the machine's engine."""
    with pytest.raises(EngineError, match=words) as refused:
        machine.build("staging", recipe, arguments=arguments, engine="shared")
    assert "which other environments share: bulkhead_build_engine is shared" in refused.value.message


def test_another_environments_image_is_no_base(machine: Machine) -> None:
    """Production's image, with its code and what was built into it, is not read by staging's Dockerfile."""
    machine.build("prod", "RUN echo private > /said", engine="shared")
    for recipe in (f"FROM {machine.image('prod')}", f"COPY --from={machine.image('prod')} /said /said"):
        assert said(machine.plain("staging", recipe)) == "private", "the control"
        with pytest.raises(EngineError, match=f"the image of environment {machine.prefix('prod')}"):
            machine.build("staging", recipe)


# ---- arguments -------------------------------------------------------------------------------------------------------


def test_arguments_reach_the_build_alone(machine: Machine) -> None:
    """Names that mean something to docker, to the dynamic linker or to a shell are arguments like any other. Their
    values are on no command line."""
    folder = machine.folder("staging")
    marker = machine.directory / "ran-as-root"
    plugin = folder / "dc" / "cli-plugins" / "docker-buildx"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(f'#!/bin/sh\ntouch {shlex.quote(str(marker))}\necho \'{{"SchemaVersion": "0.1.0"}}\'\n')
    plugin.chmod(0o755)
    arguments = {
        "DOCKER_CONFIG": str(folder / "dc"),
        "DOCKER_HOST": "tcp://evil.example:2375",
        "LD_PRELOAD": str(folder / "evil.so"),
        "PATH": str(folder),
        "HOME": str(folder),
        "TOKEN": f"{machine.project}-secret ${{PATH}} %{{if true}}\n",
    }
    seen: list[bytes] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    words = path.read_bytes()
                    if f"{machine.project}-secret".encode() in words:
                        seen.append(words)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        names = ("DOCKER_CONFIG", "DOCKER_HOST", "TOKEN")
        declared = "".join(f"ARG {name}\n" for name in names)
        shown = " ".join(f"[${name}]" for name in names)
        machine.build("staging", f'{declared}RUN echo "{shown}" > /said', arguments=arguments, engine="shared")
    finally:
        done.set()
        watcher.join()
    assert said(machine.image("staging")) == " ".join(f"[{arguments[name]}]" for name in names)
    assert seen == []
    assert not marker.exists()

    environment = {**os.environ, "DOCKER_CONFIG": arguments["DOCKER_CONFIG"]}
    command = ["docker", "buildx", "build", "--build-arg", "DOCKER_CONFIG", str(folder)]
    subprocess.run(command, env=environment, capture_output=True, check=False)
    assert marker.exists(), "the control: as the environment of docker, they run a program of the repository"


# ---- the network -----------------------------------------------------------------------------------------------------

_SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"secret")
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""


@pytest.fixture
def link_local(machine: Machine) -> Iterator[str]:
    """The address of a server like a cloud's metadata service: link-local, beyond an interface of the machine."""
    link, address = f"bht{os.getpid() % 10**6}", f"169.254.{os.getpid() % 200}"
    command = [
        "unshare",
        "--net",
        "sh",
        "-c",
        'read -r go && exec "$@"',
        "sh",
        "python3",
        "-c",
        _SERVER,
        "0.0.0.0",
        "80",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as server:
        try:
            assert server.stdin
            own = Path("/proc/self/ns/net").stat().st_ino
            eventually(lambda: Path(f"/proc/{server.pid}/ns/net").stat().st_ino != own, 20)
            peer = ["peer", "name", "eth0", "netns", str(server.pid)]
            added = ["ip", "link", "add", link, "type", "veth", *peer]
            if subprocess.run(added, capture_output=True, check=False).returncode != 0:
                pytest.skip("this machine makes no veth interfaces")
            subprocess.run(["ip", "addr", "add", f"{address}.1/30", "dev", link], check=True)
            subprocess.run(["ip", "link", "set", link, "up"], check=True)
            inside = ["nsenter", f"--net=/proc/{server.pid}/ns/net", "ip"]
            subprocess.run([*inside, "addr", "add", f"{address}.2/30", "dev", "eth0"], check=True)
            subprocess.run([*inside, "link", "set", "eth0", "up"], check=True)
            subprocess.run([*inside, "route", "add", "default", "via", f"{address}.1"], check=True)
            server.stdin.write(b"go\n")
            server.stdin.close()
            yield f"{address}.2"
        finally:
            server.kill()
            subprocess.run(["ip", "link", "delete", link], capture_output=True, check=False)


def answers(address: str) -> bool:
    """Whether a name server takes connections."""
    with contextlib.suppress(OSError), socket.create_connection((address, 53), 3):
        return True
    return False


def test_steps_reach_no_port_of_the_machine(machine: Machine, link_local: str) -> None:
    """Neither what production publishes, by any address of the machine, nor its containers, nor the metadata address.
    What bulkhead_build_egress lists is reached, and nothing beside it."""
    port, unlisted = free_port(), free_port()
    server = docker(
        *("run", "--detach", "--rm", "--label", f"io.bulkhead.project={machine.project}"),
        *("--publish", f"{port}:80", "--publish", f"{unlisted}:80", IMAGE, "python3", "-c", _SERVER, "", "80"),
    ).strip()
    of_prod = ("run", "--detach", "--rm", "--label", f"io.bulkhead.prefix={machine.prefix('prod')}")
    theirs = docker(*of_prod, "--publish", f"{free_port()}:80", IMAGE, "sleep", "600").strip()
    try:
        networks = "{{range .NetworkSettings.Networks}}{{.Gateway}} {{.IPAddress}}{{end}}"
        gateway, container = docker("container", "inspect", "--format", networks, server).split()
        route = subprocess.run(["ip", "route", "get", "1.1.1.1"], capture_output=True, text=True, check=True).stdout
        own = route.split("src")[1].split()[0]
        targets = [(gateway, port), (own, port), (own, unlisted), (container, 80), (link_local, 80)]
        ask = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3"
        look = "".join(
            f"RUN (exec 3<>/dev/tcp/{host}/{number} && {ask} > /answer{at}); "
            f"[[ $(cat /answer{at}) != *secret* ]] || echo {host}:{number} >> /said\n"
            for at, (host, number) in enumerate(targets)
        )
        recipe = f"RUN echo {machine.project} > /said\n{look}"
        everything = [f"{host}:{number}" for host, number in targets]
        # What lies beyond the default route is reached: the machine's name servers stand for it.
        answering = [address for address in machine.builder("staging").uplink.nameservers() if answers(address)]
        beyond = "".join(f"RUN exec 3<>/dev/tcp/{address}/53 && echo {address} >> /said\n" for address in answering)
        eventually(
            lambda: said(machine.plain("prod", f"RUN echo {time.monotonic()}\n{recipe}")).split()[1:] == everything, 60
        )

        machine.build("staging", f"{recipe}{beyond}")
        assert said(machine.image("staging")).split()[1:] == answering
        machine.build("staging", recipe.replace("RUN (", "RUN true; ("), egress=[f"{own}:{port}"])
        assert said(machine.image("staging")).split()[1:] == [f"{own}:{port}"]

        published = docker("port", theirs, "80").rpartition(":")[2].strip()
        for target, why in (
            (f"{own}:{published}", "of another environment publishes it"),
            (f"{container}:80", "it belongs to the network bridge"),
            ("169.254.169.254:80", "clouds give away the machine's credentials there"),
        ):
            with pytest.raises(EngineError, match=why):
                machine.build("staging", recipe, egress=[target])
    finally:
        docker("rm", "--force", server, theirs)
