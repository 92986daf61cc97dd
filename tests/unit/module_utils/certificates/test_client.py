# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the client is run, what of it is believed, and what is made of its words where it got no certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates import client
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates.client import Client
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates.pem import CertificateError, read
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates.store import Store
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from unit.module_utils.certificates.issuer import Issuer
from unit.module_utils.fake_engine import FakeEngine

SETTINGS = {
    "authority": "https://ca.example.com/dir",
    "email": "ops@example.com",
    "state_directory": "/srv/state",
    "prefix": "aiia_prod",
}
ISSUER = Issuer()


class Machine(FakeEngine):
    """An engine on which the client does ``work`` in its directory, and ends with ``code``."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.store = Store("aiia_prod", str(directory / "state"))
        self.code, self.output, self.errors = 0, "", ""
        self.runs: list[list[str]] = []
        more = {"project": "aiia_prod", "directory": "/srv/prod", "domains": ["a.example.com", "b.example.com"]}
        more.update(image="certbot:1", network="aiia_prod_network", volume="aiia_prod_acme_prod")
        settings = {**SETTINGS, **more, "state_directory": str(directory / "state")}
        self.client = Client(self, settings, self.store)
        self.archive = directory / "state/certificates/aiia_prod/client/config/archive" / self.client.name

    def docker(self, *args: str, **options: Any) -> tuple[int, str, str]:
        if args[0] != "run":
            return super().docker(*args, **options)
        self.runs.append(list(args))
        return self.code, self.output, self.errors

    def leave(self, number: int, key: bytes, chain: bytes) -> None:
        """What the client leaves in its archive."""
        self.archive.mkdir(parents=True, exist_ok=True)
        (self.archive / f"privkey{number}.pem").write_bytes(key)
        (self.archive / f"fullchain{number}.pem").write_bytes(chain)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.store.tree.make_directory("client")
    return made


def options(command: list[str], name: str) -> list[str]:
    """The values of an option of a command."""
    return [command[at + 1] for at, word in enumerate(command) if word == name]


def test_what_the_client_may(machine: Machine) -> None:
    machine.leave(9, *ISSUER.issue("old.example.com"))
    machine.leave(10, *ISSUER.issue("a.example.com"))
    assert read(machine.client.obtain("AUTHORITIES")).names == ("a.example.com",), "the newest, by its number"
    (command,) = machine.runs
    own = command[: command.index("certbot:1")]
    assert options(own, "--network") == ["aiia_prod_network"] and options(own, "--cap-drop") == ["ALL"]
    assert options(own, "--security-opt") == ["no-new-privileges"] and {"--read-only", "--rm"} <= {*own}
    assert not {"--publish", "-p", "--privileged", "--cap-add", "--device"} & {*own}
    folder = machine.store.tree.path("client")
    assert options(own, "--volume") == [f"{folder}:/state", "aiia_prod_acme_prod:/webroot"]
    assert "io.bulkhead.prefix=aiia_prod" in options(own, "--label")
    assert all(options(own, limit) for limit in ("--memory", "--memory-swap", "--cpus", "--pids-limit"))
    assert options(own, "--env") == ["REQUESTS_CA_BUNDLE=/state/authorities.pem"]
    assert options(command, "--domain") == ["a.example.com", "b.example.com"]
    assert options(command, "--server") == ["https://ca.example.com/dir"]


def test_another_authority_has_another_name(machine: Machine, tmp_path: Path) -> None:
    """certbot refuses to put the one's certificate in the place of the other's."""
    other = Client(machine, {**machine.client.settings, "authority": "https://other.example.com/"}, machine.store)
    assert other.name != machine.client.name


def test_a_link_that_the_client_left_is_not_followed(machine: Machine, tmp_path: Path) -> None:
    key, chain = ISSUER.issue("a.example.com")
    (tmp_path / "key").write_bytes(key)
    machine.leave(1, b"", chain)
    (machine.archive / "privkey1.pem").unlink()
    (machine.archive / "privkey1.pem").symlink_to(tmp_path / "key")
    with pytest.raises(CertificateError, match="left no certificate with its key"):
        machine.client.obtain()


def test_what_a_killed_run_left_goes(machine: Machine) -> None:
    labels = {"io.bulkhead.prefix": "aiia_prod", "com.docker.compose.service": "certificates"}
    left = {"Id": "c1", "Name": "/aiia_prod_certificates", "Config": {"Labels": labels}, "State": {}}
    machine.running["certificates"] = left
    machine.leave(1, *ISSUER.issue("a.example.com"))
    machine.client.obtain()
    assert "rm --force c1" in machine.calls
    machine.running["certificates"] = {**left, "Config": {"Labels": {"io.bulkhead.prefix": "aiia_prod_eu"}}}
    with pytest.raises(EngineError, match="a container called aiia_prod_certificates exists and belongs to"):
        machine.client.obtain()


def test_an_image_that_is_not_there(machine: Machine) -> None:
    machine.code, machine.errors = 125, "Unable to find image 'certbot:1' locally\npull access denied"
    with pytest.raises(EngineError, match="cannot be started from certbot:1") as caught:
        machine.client.obtain()
    assert "pull access denied" in caught.value.detail


def test_a_key_is_never_shown(machine: Machine) -> None:
    key, _chain = ISSUER.issue("a.example.com")
    machine.code, machine.output, machine.errors = 1, key.decode(), "ModuleNotFoundError: cryptography"
    with pytest.raises(EngineError, match="must be certbot's, with its Python") as caught:
        machine.client.placeholder()
    assert "PRIVATE KEY" not in f"{caught.value.message}{caught.value.detail}"
    assert options(machine.runs[0], "--network") == ["none"] and not options(machine.runs[0], "--volume")


def test_why_there_is_none(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.code, machine.errors = 1, "SSLError(certificate verify failed: certificate has expired)"
    monkeypatch.setattr(client, "clock_of", lambda _authority: machine.client.now() - 5 * 86400)
    with pytest.raises(CertificateError, match="5 days ahead of the authority's: set the clock") as caught:
        machine.client.obtain()
    assert caught.value.detail == machine.errors


def test_the_log_of_the_attempt_before_says_nothing(machine: Machine) -> None:
    logs = machine.archive.parents[2] / "logs"
    logs.mkdir(parents=True)
    (logs / "letsencrypt.log").write_text("Received response:\nHTTP 429\nRetry-After: 60\n\n")
    machine.code, machine.errors = 1, "PermissionError"
    with pytest.raises(CertificateError, match="the client got no certificate from"):
        machine.client.obtain()
