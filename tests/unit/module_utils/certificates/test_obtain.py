# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When an authority is asked, what is put in force, and what serves while anything fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates import obtain, serving
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates.obtain import Certificates
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates.pem import CertificateError, first
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates.refusal import RateLimitError
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates.store import SERVED
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.home import Home
from unit.module_utils.certificates.issuer import DAY, NOW, Issuer
from unit.module_utils.fake_engine import FakeEngine

AUTHORITY = "https://ca.example.com/dir"
ISSUER = Issuer()
PLACEHOLDER = ISSUER.certificate


class Stage:
    """A machine with an environment's nginx, an authority that issues ``next``, and what port 443 shows."""

    def __init__(self, directory: Path) -> None:
        self.engine = FakeEngine(directory)
        labels = {"com.docker.compose.service": "nginx"}
        self.engine.running["nginx"] = {
            "Id": "n1", "Name": "/aiia_prod_nginx", "Config": {"Labels": labels}, "State": {"Running": True},
        }  # fmt: skip
        self.settings: dict[str, Any] = {
            "prefix": "aiia_prod",
            "project": "aiia_prod",
            "directory": str(directory / "prod"),
            "owner": "",
            "state_directory": str(directory / "state"),
            "domains": ["a.example.com"],
            "authority": AUTHORITY,
            "ca_bundle": "",
            "check": False,
            "volume": "aiia_prod_acme_prod",
            "servers": [{"key": "nginx", "on_change": ["reload"]}],
            "address": "127.0.0.1",
            "port": 443,
        }
        self.now = NOW
        self.home = Home.of(self.settings)
        self.wanted = Certificates(self.engine, self.settings, lambda: self.now)
        self.wanted.client = self
        self.next: bytes | CertificateError = b""
        self.shown: bytes | None = None
        self.asked = 0
        self.tried: list[tuple[str, int]] = []
        self.closed: Callable[[str], bool] = lambda _address: False

    def placeholder(self) -> bytes:
        return PLACEHOLDER

    def obtain(self, _bundle: str = "") -> bytes:
        self.asked += 1
        if isinstance(self.next, bytes):
            return self.next
        raise self.next  # pylint: disable=raising-bad-type

    def presented(self, address: str, port: int, _domain: str) -> bytes:
        """What nginx shows: what it read at its last reload."""
        self.tried.append((address, port))
        if self.closed(address):
            raise ConnectionRefusedError(111, "Connection refused")
        return first(self.shown if self.shown is not None else self.home.read(SERVED) or b"")

    def bring(self) -> list[str]:
        return [step.verb for step in self.wanted.bring(self.home)]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage(tmp_path)
    monkeypatch.setattr(serving, "certificate_of", made.presented)
    monkeypatch.setattr(serving, "_WAIT", 0.01)
    monkeypatch.setattr(obtain, "clock_of", lambda _authority: made.now + 3 * DAY)
    monkeypatch.setattr(obtain.os, "geteuid", lambda: 0)
    return made


@pytest.fixture
def served(stage: Stage) -> Stage:
    """The same, with a certificate in force."""
    stage.next = ISSUER.text("a.example.com")
    stage.bring()
    stage.engine.calls.clear()
    return stage


def test_the_first_one(stage: Stage) -> None:
    stage.next = ISSUER.text("a.example.com")
    assert [step.reason for step in stage.wanted.plan()] == ["it has none yet"] and stage.asked == 0
    assert stage.bring() == ["put back", "obtain"]
    assert stage.home.read(SERVED) == stage.next == stage.wanted.store.current()
    assert stage.wanted.serves() and stage.wanted.store.last()["succeeded"] is True
    assert [call for call in stage.engine.calls if call.startswith("exec")] == ["exec n1 reload"] * 2
    assert stage.bring() == [] and stage.asked == 1


def test_modes(served: Stage, tmp_path: Path) -> None:
    kept = tmp_path / "state/certificates/aiia_prod"
    assert {path.stat().st_mode & 0o777 for path in kept.rglob("*") if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (kept, kept / "live")} == {0o700}
    assert (tmp_path / "prod/.bulkhead").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"domains": ["a.example.com", "b.example.com"]}, "it is not for b.example.com"),
        ({"authority": "https://other.example.com/dir"}, "it is of another authority"),
    ],
)
def test_settings_that_it_does_not_fit(served: Stage, change: dict[str, Any], reason: str) -> None:
    served.settings.update(change)
    assert served.wanted.reason() == reason


def test_two_thirds_of_its_life(served: Stage) -> None:
    served.now = NOW + 58 * DAY
    assert served.wanted.reason() == ""
    served.now = NOW + 60 * DAY
    assert served.wanted.reason().startswith("two thirds of its life are over, and it ends on ")
    assert served.wanted.serves()
    served.now = NOW + 90 * DAY
    assert not served.wanted.serves()


@pytest.mark.parametrize(
    ("issued", "why"),
    [
        (CertificateError("the authority is away"), "the authority is away"),
        (ISSUER.text("b.example.com"), "it is not for a.example.com"),
        (ISSUER.text("a.example.com", begins=NOW - 9 * DAY, ends=NOW - DAY), "3 days behind the authority's"),
        (ISSUER.issue("a.example.com")[0] + ISSUER.issue("a.example.com")[1], "its key belongs to another certificate"),
    ],
    ids=["away", "another name", "another clock", "another key"],
)
def test_what_is_not_taken(served: Stage, issued: Any, why: str) -> None:
    before = served.home.read(SERVED)
    served.now, served.next = NOW + 60 * DAY if isinstance(issued, CertificateError) else NOW, issued
    served.settings["authority"] = "https://other.example.com/dir"
    with pytest.raises(CertificateError, match=why):
        served.bring()
    assert served.home.read(SERVED) == before == served.wanted.store.current()
    last = served.wanted.store.last()
    assert last["succeeded"] is False and why in last["message"]
    assert not [call for call in served.engine.calls if call.startswith("exec")], "nginx was not touched"


def test_a_rate_limit(served: Stage) -> None:
    """Until it is over nobody asks, whatever runs; then it is asked, and at once for something else."""
    served.now = NOW + 60 * DAY
    served.next = RateLimitError("not before noon", served.now + DAY)
    for _run in range(3):
        with pytest.raises(CertificateError, match="not before noon"):
            served.bring()
    with pytest.raises(CertificateError, match="not before noon"):
        served.wanted.plan()
    assert served.asked == 2, "once for the first certificate, once since"
    assert served.wanted.store.last()["message"] == "not before noon"
    served.settings["domains"] = ["a.example.com", "b.example.com"]
    assert served.wanted.plan(), "another request has a limit of its own"
    served.settings["domains"] = ["a.example.com"]
    served.now -= 400 * DAY
    assert not served.wanted.store.held(served.wanted.request(), served.now), "a clock that was put right"
    served.now += 401 * DAY
    served.next = ISSUER.text("a.example.com", begins=served.now - DAY, ends=served.now + 89 * DAY)
    assert served.bring() == ["obtain"] and served.asked == 3
    served.now -= DAY
    assert not served.wanted.store.held(served.wanted.request(), served.now), "it has issued one since"


def test_nginx_does_not_take_it(served: Stage) -> None:
    before = served.home.read(SERVED)
    served.next, served.now = ISSUER.text("a.example.com"), NOW + 60 * DAY
    refused: list[str] = []

    def refuse(call: str) -> bool:
        """Once: the certificate before is taken again."""
        if call == "exec n1 reload" and not refused:
            refused.append(call)
            return True
        return False

    served.engine.refuses = refuse
    with pytest.raises(CertificateError, match="The certificate before serves on"):
        served.bring()
    assert served.home.read(SERVED) == before == served.wanted.store.current()
    assert served.engine.calls[-1] == "exec n1 reload", "it reads the one before again"


def test_a_reload_that_never_ends_holds_no_lock_for_ever(served: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = served.engine.docker
    limits: list[Any] = []

    def noted(*args: str, **options: Any) -> tuple[int, str, str]:
        limits.extend(options.get("limit") for word in args[:1] if word == "exec")
        return docker(*args, **options)

    monkeypatch.setattr(served.engine, "docker", noted)
    served.next, served.now = ISSUER.text("a.example.com"), NOW + 60 * DAY
    served.bring()
    assert limits == [60]


def test_it_is_not_what_nginx_shows(served: Stage) -> None:
    before = served.shown = served.home.read(SERVED)
    served.next, served.now = ISSUER.text("a.example.com"), NOW + 60 * DAY
    with pytest.raises(CertificateError, match="port 443 does not answer with the new certificate"):
        served.bring()
    assert served.home.read(SERVED) == before == served.wanted.store.current()


def test_something_else_is_in_front_of_nginx(served: Stage) -> None:
    """Its own address is asked, at the port of nginx and at that of what is in front."""
    served.engine.running["nginx"]["NetworkSettings"] = {"Networks": {"own": {"IPAddress": "172.30.0.2"}}}
    served.settings["port"], served.closed = 8443, lambda address: address == "127.0.0.1"
    served.next, served.now = ISSUER.text("a.example.com"), NOW + 60 * DAY
    served.tried.clear()
    assert served.bring() == ["obtain"] and served.tried == [("127.0.0.1", 8443), ("172.30.0.2", 443)]
    served.closed = lambda _address: True
    served.next, served.now = ISSUER.text("a.example.com", ends=NOW + 300 * DAY), NOW + 80 * DAY
    with pytest.raises(CertificateError, match=r"port 8443 does not answer with the new certificate: .*refused"):
        served.bring()
    assert ("172.30.0.2", 8443) in served.tried


def test_a_stopped_environment_takes_it_when_it_starts(served: Stage) -> None:
    served.engine.running.clear()
    served.next, served.now = ISSUER.text("a.example.com"), NOW + 60 * DAY
    assert served.bring() == ["obtain"] and served.home.read(SERVED) == served.next


def test_what_somebody_put_there_goes(served: Stage, tmp_path: Path) -> None:
    (tmp_path / "prod" / SERVED).write_bytes(ISSUER.text("a.example.com"))
    assert served.bring() == ["put back"] and served.asked == 1
    assert served.home.read(SERVED) == served.wanted.store.current()


def test_without_root(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(obtain.os, "geteuid", lambda: 1000)
    with pytest.raises(EngineError, match="bulkhead_acme needs root on the machine"):
        stage.bring()
    assert stage.asked == 0 and not stage.wanted.store.current()
