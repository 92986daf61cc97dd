# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The front door with a real HAProxy: who is answered by whom, and what survives what."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge import machine, no_links, places
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.admin import ask
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.routes import DoorError, DoorSettings
from door import Load, Stage, answer_of, contexts, free_ports

OTHER, LATER = "ba9876543210", "fedcba987654"
#: A machine in front of the door that sends the PROXY protocol.
BALANCER = "127.0.0.9"


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("door")
    http, https = free_ports(2)
    settings = DoorSettings(
        http, https, ("127.0.0.1", "::1"), (BALANCER,), connections=200, source_connections=120, hello_timeout=2
    )
    tested = Stage(folder / "state", settings, *contexts(folder))
    try:
        assert [step.verb for step in tested.machine().bring()] == ["start"]
        for prefix in ("production", "staging"):
            tested.stand(prefix)
            assert tested.door.publish(tested.route(prefix))
        yield tested
    finally:
        tested.end()


def ended(tested: Stage, name: str | None) -> bool:
    """Whether a connection ends without an answer."""
    try:
        return not tested.https(name)
    except OSError:
        return True


def test_each_name_is_answered_by_its_own_environment(tested: Stage) -> None:
    for name in ("production", "staging"):
        assert tested.https(f"{name}.test") == f"{name}/0123456789ab 127.0.0.1"
        assert tested.https(f"{name}.test".upper(), "::1") == f"{name}/0123456789ab ::1"
        request = (
            f"GET / HTTP/1.1\r\nHost: {name}.test:{tested.settings.http_port}\r\nConnection: close\r\n\r\n".encode()
        )
        assert tested.http(request) == f"{name}/0123456789ab 127.0.0.1"
    assert tested.door.present()
    assert tested.door.live() == tested.door.routes()


def test_what_has_no_name_of_ours_is_ended(tested: Stage) -> None:
    assert ended(tested, "unknown.test")
    assert ended(tested, "a.production.test")
    assert ended(tested, None)
    for request in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: production.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: unknown.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: production.test\r\nHost: staging.test\r\n\r\n",
        b"\0\1\2 nonsense\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ):
        assert tested.http(request) == "", request
    with socket.create_connection(("127.0.0.1", tested.settings.https_port), timeout=8) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: production.test\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert plain.recv(100) == b""


@pytest.mark.parametrize("greased", [False, True], ids=["long", "greased"])
def test_a_hello_may_come_in_segments_and_be_long(tested: Stage, greased: bool) -> None:
    # 16 KB of protocols: what a browser's key shares and padding come to in the worst case.
    hello = hello_for("staging.test", [f"{number:0>200}" for number in range(70)])
    if greased:
        hello = grease(hello)
    assert 14000 < len(hello) < 16384
    with socket.create_connection(("127.0.0.1", tested.settings.https_port), timeout=8) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(hello), 3000):
            plain.sendall(hello[start : start + 3000])
            time.sleep(0.02)
        assert plain.recv(1) == b"\x16"  # the environment's own hello
        plain.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while plain.recv(1 << 16):
                pass


def grease(hello: bytes) -> bytes:
    """A hello as browsers send it: before the name, extensions that nobody knows, and one that looks like a name that
    is encrypted (GREASE ECH)."""
    record, message = hello[:5], hello[5:]
    at = 4 + 2 + 32
    at += 1 + message[at]
    at += 2 + int.from_bytes(message[at : at + 2], "big")
    at += 1 + message[at]
    ech = b"\0\0\1\0\1\x2a\0\x20" + os.urandom(32) + b"\0\xd0" + os.urandom(208)
    added = b"\x0a\x0a\0\0" + b"\xfe\x0d" + len(ech).to_bytes(2, "big") + ech + b"\x1a\x1a\0\1\0"
    extensions = added + message[at + 2 :]
    body = message[4:at] + len(extensions).to_bytes(2, "big") + extensions
    message = message[:1] + len(body).to_bytes(3, "big") + body
    return record[:3] + len(message).to_bytes(2, "big") + message


def from_address(tested: Stage, source: str, before: bytes = b"") -> str:
    """What a client with an address is answered that says something before its request."""
    request = b"GET / HTTP/1.1\r\nHost: production.test\r\nConnection: close\r\n\r\n"
    there = ("127.0.0.1", tested.settings.http_port)
    with (
        contextlib.suppress(ConnectionResetError),
        socket.create_connection(there, timeout=8, source_address=(source, 0)) as connection,
    ):
        return answer_of(connection, before + request)
    return ""


def test_the_proxy_protocol_comes_from_the_balancer_alone(tested: Stage) -> None:
    header = b"PROXY TCP4 203.0.113.9 192.0.2.1 5000 80\r\n"
    long = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24" + bytes(15) + b"\1" + bytes(15) + b"\2" + b"\0\1\0\2"
    assert from_address(tested, BALANCER, header) == "production/0123456789ab 203.0.113.9"
    assert from_address(tested, BALANCER, long) == "production/0123456789ab ::1"
    assert from_address(tested, BALANCER) == ""
    assert from_address(tested, "127.0.0.1", header) == ""
    assert from_address(tested, "127.0.0.1", long) == ""
    assert from_address(tested, "127.0.0.1") == "production/0123456789ab 127.0.0.1"


def test_one_address_has_its_share(tested: Stage) -> None:
    most = tested.settings.source_connections
    with contextlib.ExitStack() as stack:
        there, source = ("127.0.0.1", tested.settings.https_port), ("127.0.0.7", 0)
        made = [
            stack.enter_context(socket.create_connection(there, timeout=8, source_address=source))
            for _round in range(most + 20)
        ]
        deadline = time.monotonic() + 1.5  # later, those that say nothing end as well
        while len(select.select(made, [], [], 0)[0]) < 20 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(select.select(made, [], [], 0)[0]) == 20
        assert tested.https("production.test").startswith("production")


def test_a_full_connection_table_keeps_clients_waiting_and_ends_nobody(tested: Stage) -> None:
    """Silent clients of two addresses hold every connection; the next client waits until the first of them is ended."""
    with contextlib.ExitStack() as stack:
        there = ("127.0.0.1", tested.settings.https_port)
        for source in ("127.0.0.5", "127.0.0.6"):
            for _round in range(110):
                stack.enter_context(socket.create_connection(there, timeout=8, source_address=(source, 0)))
        began = time.monotonic()
        assert tested.https("production.test").startswith("production")
        assert time.monotonic() - began > 0.5, "the table was not full"


def test_a_slow_client_is_ended_and_keeps_nobody_waiting(tested: Stage) -> None:
    with contextlib.ExitStack() as stack:
        port = tested.settings.https_port
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=8)) for _round in range(50)]
        for one in slow:
            one.sendall(b"\x16\x03\x01")
        assert tested.https("production.test").startswith("production")
        with contextlib.suppress(ConnectionResetError):
            assert slow[0].recv(1) == b""


def test_another_environments_socket_is_not_reached_by_a_link(tested: Stage) -> None:
    """Staging can write its directory: links there must lead nowhere, whatever they name."""
    base = Path(places.sockets(str(tested.state)))
    folder = base / "staging" / OTHER
    folder.mkdir(mode=0o711)
    outside = places.admin_seen_by_door(str(tested.state))
    for target in ("../../production/0123456789ab/https.sock", "/sockets/production/0123456789ab/https.sock", outside):
        with contextlib.suppress(FileNotFoundError):
            (folder / "https.sock").unlink()
        (folder / "https.sock").symlink_to(target)
        tested.door.publish(tested.route("staging", OTHER))
        assert ended(tested, "staging.test"), target
    shutil.rmtree(folder)
    folder.symlink_to("../production/0123456789ab")
    assert ended(tested, "staging.test")
    folder.unlink()
    tested.door.publish(tested.route("staging"))
    assert tested.https("staging.test").startswith("staging")


def test_a_domain_without_its_server_falls_to_nobody(tested: Stage) -> None:
    state = str(tested.state)
    for backend in ("http", "https"):
        ask(state, f"set server {backend}/staging.0123456789ab state maint")
        assert "deleted" in ask(state, f"del server {backend}/staging.0123456789ab")
    try:
        for _round in range(20):
            assert ended(tested, "staging.test")
        assert "production" not in tested.http(b"GET / HTTP/1.1\r\nHost: staging.test\r\nConnection: close\r\n\r\n")
        assert "staging" not in tested.door.live()
    finally:
        assert tested.door.publish(tested.route("staging"))
    assert tested.https("staging.test").startswith("staging")


def test_a_flooded_environment_leaves_the_other_its_share(tested: Stage) -> None:
    tested.door.publish(tested.route("staging", connections=5))
    with contextlib.ExitStack() as stack:
        port, hello = tested.settings.https_port, hello_for("staging.test")
        flood = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=8)) for _round in range(40)]
        for one in flood:
            one.sendall(hello)
        assert ended(tested, "staging.test")
        for _round in range(10):
            assert tested.https("production.test").startswith("production")
    tested.door.publish(tested.route("staging"))


def test_clients_that_are_gone_are_not_counted_for_long(tested: Stage) -> None:
    """They end in the midst of the handshake with an environment that answers nobody. Some of them the door only sees
    end, not break off, and waits for the environment."""
    folder = Path(places.sockets(str(tested.state)), "mute", LATER)
    folder.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        for name in ("http", "https"):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            with contextlib.chdir(folder):
                listener.bind(f"{name}.sock")
            (folder / f"{name}.sock").chmod(0o666)
            listener.listen(100)
        for place in (folder, folder.parent):
            place.chmod(0o711)
        tested.door.publish(tested.route("mute", LATER))
        hello = hello_for("mute.test")
        for number in range(40):
            client = socket.create_connection(("127.0.0.1", tested.settings.https_port), timeout=8)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(hello)
            time.sleep(number % 8 / 2000)
            client.close()
        gone = time.monotonic()
        while f"srv=mute.{LATER}" in ask(str(tested.state), "show sess"):
            assert time.monotonic() < gone + 8, "they are still counted"
            time.sleep(0.1)
        tested.door.withdraw("mute")
    shutil.rmtree(folder.parent)


def hello_for(name: str, protocols: Sequence[str] = ()) -> bytes:
    outgoing, client = ssl.MemoryBIO(), ssl.create_default_context()
    if protocols:
        client.set_alpn_protocols(protocols)
    tls = client.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def test_a_route_changes_under_load_and_only_its_own(tested: Stage) -> None:
    before = tested.door.fingerprints()["production"]
    tested.stand("staging", OTHER)
    tested.stand("third")
    with Load(tested, "production.test").running() as production, Load(tested, "staging.test").running() as staging:
        for _round in range(5):
            for container in (OTHER, "0123456789ab"):
                assert tested.door.publish(tested.route("staging", container))
                assert tested.door.publish(tested.route("staging", container)) == []
            assert tested.door.publish(tested.route("third", domains=("third.test", "*.third.test")))
            assert tested.https("a.third.test").startswith("third")
            assert tested.door.withdraw("third")
            assert ended(tested, "third.test")
            assert tested.door.withdraw("third") == []
    assert (production.failed, staging.failed) == ([], [])
    assert production.served > 20
    assert staging.served > 20
    assert tested.door.fingerprints()["production"] == before
    with pytest.raises(DoorError, match=r"production\.test is production\.test of production"):
        tested.door.publish(tested.route("staging", domains=("production.test",)))


def test_the_door_is_updated_under_load(tested: Stage) -> None:
    """A new door takes the open ports over: nobody is refused."""
    earlier = tested.container()["Id"]
    with Load(tested, "production.test").running() as production, Load(tested, "staging.test").running() as staging:
        for seconds in (1800, 3600):
            assert [step.verb for step in tested.machine(idle_timeout=seconds).bring(check=True)] == ["start", "end"]
            assert [step.verb for step in tested.machine(idle_timeout=seconds).bring()] == ["start", "end"]
            assert tested.machine(idle_timeout=seconds).bring() == []
    assert (production.failed, staging.failed) == ([], [])
    assert production.served > 20
    assert tested.container()["Id"] != earlier
    assert tested.door.live() == tested.door.routes()


def test_an_earlier_door_serves_the_connections_that_it_has(tested: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It outlasts its update, and what is published meanwhile is the new one's."""
    monkeypatch.setattr(machine, "_END", 0.2)
    plain = socket.create_connection(("127.0.0.1", tested.settings.https_port), timeout=8)
    with plain, tested.context.wrap_socket(plain, server_hostname="production.test") as connection:
        earlier = tested.container()["Id"]
        assert [step.verb for step in tested.machine(idle_timeout=900).bring()] == ["start", "end"]
        assert len(tested.door.doors()) == 1 and tested.container()["Id"] != earlier
        tested.stand("staging", LATER)
        tested.door.publish(tested.route("staging", LATER))
        for _round in range(10):
            assert tested.https("staging.test") == f"staging/{LATER} 127.0.0.1"
        assert tested.machine(idle_timeout=900).bring() == []
        assert answer_of(connection, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").startswith("production")
    deadline = time.monotonic() + 8
    while tested.engine.inspect([earlier])[0]["State"]["Running"]:
        assert time.monotonic() < deadline, "it does not end"
        time.sleep(0.05)
    tested.door.publish(tested.route("staging"))
    assert tested.machine().bring()
    assert not tested.engine.inspect([earlier])


def test_damaged_route_and_a_restart(tested: Stage) -> None:
    """A door that starts again has what it had, and the others' deployments go on."""
    path = Path(places.routes(str(tested.state)), "production.json")
    content = path.read_bytes()
    path.write_bytes(content[:20])
    tested.stand("fourth")
    tested.door.publish(tested.route("fourth"))
    os.kill(tested.container()["State"]["Pid"], signal.SIGKILL)
    tested.door.withdraw("fourth")  # waits until it is there again
    assert tested.https("production.test").startswith("production")
    path.write_bytes(content)
    assert tested.door.live() == tested.door.routes()


def test_a_door_that_does_not_start_leaves_the_earlier_one(tested: Stage) -> None:
    earlier = tested.container()["Id"]
    broken = tested.machine(idle_timeout=999)
    broken.image = "bulkhead-demo/redis:8"
    with pytest.raises(DoorError, match="goes on as it was") as caught:
        broken.bring()
    assert "haproxy" in caught.value.detail
    assert tested.container()["Id"] == earlier
    assert tested.machine().bring() == []
    assert tested.https("staging.test").startswith("staging")


def test_a_killed_door_serves_again_with_all_routes(tested: Stage) -> None:
    print(f"it served again after {tested.kill('staging.test'):.2f} s")
    assert tested.https("staging.test").startswith("staging")
    assert tested.door.live() == tested.door.routes()
    assert tested.machine().bring() == []


class Tools:
    """An engine that is asked for systemctl alone."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def tool(self, *command: str) -> tuple[int, str, str]:
        self.told.append(" ".join(command))
        return 0, "", ""


def test_a_machine_that_starts_again(tested: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/run is empty then, and mounts are gone. What systemd would run before the engine is run here, for real."""
    for name, place in (("SYSTEMD", tmp_path), ("UNITS", tmp_path / "units"), ("_SCRIPTS", tmp_path / "scripts")):
        monkeypatch.setattr(no_links, name, str(place))
    state, tools = str(tested.state), Tools()
    assert no_links.keep_over_a_boot(tools, state) and not no_links.keep_over_a_boot(tools, state)
    unit = f"bulkhead-{places.project(state).replace('_', '-')}.service"
    assert tools.told == ["systemctl daemon-reload", f"systemctl enable {unit}"]
    (script,) = (tmp_path / "scripts").iterdir()
    assert f'"{script}"' in (tmp_path / "units" / unit).read_text()

    container, base = tested.container()["Id"], Path(places.sockets(state))
    tested.engine.docker_ok("kill", container)  # as the engine does when the machine stops: it is not started again
    for standing in tested.standing:
        for listener in standing.sockets:
            listener.close()
    tested.standing.clear()
    subprocess.run(["umount", "--lazy", base], check=True)
    shutil.rmtree(base)
    assert tested.engine.docker("start", container)[0] != 0
    base.mkdir(mode=0o711)
    tested.engine.docker_ok("start", container)
    deadline = time.monotonic() + 10
    while not tested.engine.inspect([container])[0]["RestartCount"]:
        assert time.monotonic() < deadline, "it starts where links are followed"
        time.sleep(0.05)
    assert "links are followed" in tested.engine.logs(container)

    for _round in range(2):  # also where it has run already
        subprocess.run(["python3", script], check=True)
    assert no_links.is_mounted(str(base)) and Path("/proc/self/mountinfo").read_text().count(f" {base} ") == 1
    assert {path.name for path in base.iterdir()} == set(tested.door.routes())
    assert {path.stat().st_mode & 0o777 for path in (base, *base.iterdir())} == {0o711}
    for prefix in ("production", "staging"):
        tested.stand(prefix)
    while True:  # the first connection that is taken is answered
        assert time.monotonic() < deadline + 10, "it does not come back"
        with contextlib.suppress(ConnectionRefusedError):
            assert tested.https("staging.test").startswith("staging")
            break
        time.sleep(0.01)
    assert tested.https("production.test").startswith("production")
    assert tested.door.live() == tested.door.routes()
    assert tested.machine().bring() == []


def test_the_door_can_do_little(tested: Stage) -> None:
    pid = tested.container()["State"]["Pid"]
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert status["Uid"].split() == ["99"] * 4
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"].strip() == "1"
    folder = Path(places.run(str(tested.state)))
    assert (folder.stat().st_uid, folder.stat().st_mode & 0o077) == (0, 0)


def test_a_taken_port_is_said_before_anything_changes(tested: Stage) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(DoorError, match=rf"port {port} is taken by .*\(pid {os.getpid()}\)"):
            tested.machine(https_port=port).bring()
    assert tested.machine().bring() == []
