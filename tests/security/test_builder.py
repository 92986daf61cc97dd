# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A build of staging reaches nothing of production: no cache, layer, port or image, and no program of the machine."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import Engine, EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.image import builder as builders
from ansible_collections.aiia.bulkhead.plugins.module_utils.image import cgroup
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.build import build
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.builder import Builder, Settings
from observe import eventually
from support import IMAGE, docker, free_port

MIB = 1 << 20
TOOLS = "/bin/bash /bin/cat /bin/sleep /usr/bin/fallocate"
SHELL = 'SHELL ["/bin/bash", "-c"]\n'

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a build engine needs root")


class Commit:
    """A checkout of one commit: a folder with its files."""

    def __init__(self, folder: Path, dockerfile: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "Dockerfile").write_text(dockerfile)
        self.folder = folder

    @contextlib.contextmanager
    def exported(self, _commit: str) -> Iterator[str]:
        yield str(self.folder)

    def tree(self, _commit: str) -> str:
        return "0" * 40


class Machine:
    """A machine's state directory, and builds of its environments on the engine that is there."""

    def __init__(self, directory: Path, project: str) -> None:
        self.directory = directory
        self.project = project
        with patch_module_args({}):
            self.engine = Engine(AnsibleModule(argument_spec={}), "unix:///var/run/docker.sock")
        self.base = f"{project}:base"

    def prefix(self, name: str) -> str:
        return f"{self.project}_{name}"

    def image(self, name: str) -> str:
        return f"{self.prefix(name)}_web:test"

    def folder(self, name: str) -> Path:
        return self.directory / "commits" / name

    def build(self, name: str, recipe: str, **options: Any) -> str:
        """Build an environment's image with Bulkhead; returns why it was built in the shared engine."""
        commit: Any = Commit(self.folder(name), f"FROM {self.base}\n{SHELL}{recipe}")
        prefix = self.prefix(name)
        params = {
            **{"dockerfile": "Dockerfile", "context": ".", "target": "", "arguments": {}},
            **{"ca_bundle": "", "inputs": ""},
            **{"prefix": prefix, "state_directory": str(self.directory / "state"), "run_labels": {}},
            **{"labels": {"io.bulkhead.project": self.project, "io.bulkhead.prefix": prefix}},
            **{"engine": "own", "memory": 512 * MIB, "cpus": 0, "disk": 2 << 30, "timeout": 120, "egress": []},
            **options,
        }
        return build(self.engine, commit, params, "c" * 40, self.image(name))

    def plain(self, name: str, recipe: str, **arguments: str) -> str:
        """The control: the same with ``docker build``. Returns the image."""
        Commit(self.folder(name), f"FROM {self.base}\n{SHELL}{recipe}")
        given = [word for item in arguments.items() for word in ("--build-arg", "=".join(item))]
        image = f"{self.project}:plain-{name}"
        label = f"io.bulkhead.project={self.project}"
        docker("build", "--quiet", "--tag", image, "--label", label, *given, str(self.folder(name)))
        return image

    def builder(self, name: str) -> Builder:
        settings = Settings(memory=512 * MIB, disk=2 << 30)
        return Builder(self.engine, str(self.directory / "state"), self.prefix(name), settings)


def said(image: str, path: str = "/said") -> str:
    """What a step of the build wrote into the image."""
    return docker("run", "--rm", "--network", "none", image, "/bin/cat", path).strip()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Iterator[Machine]:
    """A machine with a base image of a shell and four tools; loading it takes no time."""
    made = Machine(tmp_path_factory.mktemp("builder"), projects())
    libraries = f"$(ldd {TOOLS} | grep -o '/[^ ]*[0-9]' | sort -u)"
    archive = made.directory / "base.tar"
    with archive.open("wb") as target:
        command = f"tar -chf - {TOOLS} {libraries}"
        subprocess.run(["docker", "run", "--rm", IMAGE, "bash", "-c", command], stdout=target, check=True)
    docker("import", "--change", f"LABEL io.bulkhead.project={made.project}", str(archive), made.base)
    yield made
    for name in (made.directory / "state" / "builders").glob("*"):
        Builder(made.engine, str(made.directory / "state"), name.name, Settings()).remove()
    assert not list(Path("/run/bulkhead-build").glob(f"*{made.builder('prod').run[-10:]}*"))


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
    finally:
        docker("rm", "--force", server)


# ---- limits ----------------------------------------------------------------------------------------------------------


def test_a_build_is_limited(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that takes the machine's processes, disk and memory is stopped, and the machine is not."""
    monkeypatch.setattr(cgroup, "_PIDS", 200)
    processes = "for number in {1..250}; do /bin/sleep 2 & done; wait; "
    disk = "fallocate -l 3G /big || true; "
    memory = "printf -v text '%*s' 1000000000 x; echo sur''vived"
    recipe = (
        f"RUN ({processes}) 2>&1 | while read -r line; do [[ $line != *fork* ]] || echo limited; done; {disk}{memory}"
    )
    with pytest.raises(EngineError) as stopped:
        machine.build("staging", recipe)
    said_last = stopped.value.detail
    assert "limited" in said_last
    assert "No space left on device" in said_last
    assert "exit code: 137" in said_last or "Killed" in said_last
    assert " survived" not in said_last


def test_a_build_ends_in_time(machine: Machine) -> None:
    """One that hangs is stopped, and leaves nothing that runs."""
    with pytest.raises(EngineError, match=r"could not be built within 3 s \(bulkhead_build_timeout\)"):
        machine.build("staging", "RUN sleep 60", timeout=3)
    assert not traces(machine.builder("staging"))


# ---- its life --------------------------------------------------------------------------------------------------------


def traces(builder: Builder) -> list[str]:
    """What there is of a build engine on the machine, but for its cache: firewall rules, interfaces, groups, files."""
    key = Path(builder.run).name
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    found = [line for line in rules.splitlines() if key in line]
    found += [str(path) for path in Path("/sys/class/net").glob(f"*{key}*")]
    return found + [path for path in (*builder.cgroup.members, builder.run) if Path(path).exists()]


def running(builder: Builder) -> list[int]:
    """The processes that hold the build engine's lock open: all of it."""
    lock = Path(builder.folder, "lock")
    found = []
    for path in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            if any(descriptor.readlink() == lock for descriptor in path.iterdir()):
                found.append(int(path.parent.name))
    return found


def test_a_killed_build_is_cleared_up(machine: Machine) -> None:
    """kill -9 of the module that builds ends all processes of the build; the next build removes the names. Another
    environment's build goes on meanwhile."""
    staging = machine.builder("staging")
    child = os.fork()
    if child == 0:  # pragma: no cover - it is killed
        with contextlib.suppress(BaseException):
            machine.build("staging", "RUN echo 1 && sleep 100")
        os._exit(1)
    try:
        eventually(lambda: any("sleep" in Path(f"/proc/{pid}/comm").read_text() for pid in steps(staging)), 60)
        with machine.builder("prod").started() as other:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            eventually(lambda: not running(staging), 30)
            assert any("bulkhead-build" in trace for trace in traces(staging))
            assert other.version() == machine.engine.version()
            machine.build("staging", "RUN echo built > /said")
            assert other.version() == machine.engine.version()
    finally:
        with contextlib.suppress(OSError):
            os.kill(child, signal.SIGKILL)
    assert said(machine.image("staging")) == "built"
    assert not traces(staging)
    assert not traces(machine.builder("prod"))


def steps(builder: Builder) -> list[int]:
    """The processes of a build's steps."""
    found: list[int] = []
    for members in builder.cgroup.members:
        for path in Path(members).parents[1].joinpath("steps").rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                found += map(int, path.read_text().split())
    return [pid for pid in found if Path(f"/proc/{pid}/comm").exists()]


def test_where_no_engine_of_its_own_can_be_had(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """``auto`` says why it builds in the machine's engine, ``own`` refuses; neither leaves anything."""
    monkeypatch.setattr(builders, "_OUTSIDE", "echo no permission >&2; exit 1")
    why = machine.build("staging", "RUN echo shared > /said", engine="auto")
    assert (said(machine.image("staging")), why) == ("shared", "it does not start: it did not begin")
    with pytest.raises(EngineError, match="no build engine of its own") as refused:
        machine.build("staging", "RUN echo", engine="own")
    assert "no permission" in refused.value.detail
    assert not traces(machine.builder("staging"))
