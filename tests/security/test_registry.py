# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Root's registry believes what root wrote: an owner cannot make up an environment that blocks others."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.directory import Tree
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.json_with_digest import (
    decode_with_digest,
    encode_sealed,
    encode_with_digest,
)
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.locks import Locks
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.registry import Registry
from attackers import NOBODY, as_user, public_directory

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="acting as another user needs root")

STAGING, GHOST = "aiia_staging", "ghost"


class Machine:
    """A registry with staging in it, whose directory is another user's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.home = folder / "staging"
        Tree(str(self.home), "nobody").make_directory()
        self.registry = Registry(str(self.state))
        self.write()

    def write(self, domain: str = "staging.eduaiia.com") -> None:
        entry = {"prefix": STAGING, "directory": str(self.home), "domains": [domain], "claims": []}
        with Locks(str(self.state)).machine():
            self.registry.write(STAGING, entry, {"prefix": STAGING, "finished": "2026-01-01T00:00:00Z"}, "nobody")

    @property
    def copy(self) -> Path:
        return self.home / ".bulkhead/environment.json"

    def claim(self, **changes: Any) -> dict[str, Any]:
        """What the owner claims in an entry of his own making: production's domain."""
        known = {key: value for key, value in json.loads(self.copy.read_text()).items() if key != "seal"}
        return {**known, "prefix": GHOST, "domains": ["eduaiia.com"], **changes}

    def forge(self, content: bytes) -> None:
        assert as_user(lambda: self.copy.write_bytes(content))

    def lose(self, *prefixes: str) -> None:
        shutil.rmtree(self.state / "environments")
        for prefix in prefixes:
            (self.state / "environments" / prefix).mkdir(parents=True)

    def seen(self) -> dict[str, dict[str, Any]]:
        return self.registry.entries([str(self.home)], keep=True)


@pytest.fixture
def machine() -> Iterator[Machine]:
    with public_directory() as folder:
        yield Machine(folder)


def test_an_environment_that_somebody_made_up(machine: Machine) -> None:
    """Of an older version's form, whose digest everybody can compute."""
    forged = encode_with_digest(machine.claim())
    assert decode_with_digest(forged, GHOST)["domains"] == ["eduaiia.com"], "the control: a digest alone is believed"
    machine.forge(forged)
    assert set(machine.seen()) == {STAGING}
    assert [path.name for path in (machine.state / "environments").iterdir()] == [STAGING]


@pytest.mark.parametrize("how", ["another key", "the seal of another text", "no seal", "a seal that is no text"])
def test_a_seal_that_is_not_the_machines(machine: Machine, how: str) -> None:
    claim = machine.claim(prefix=STAGING)
    seal = json.loads(machine.copy.read_text())["seal"]
    forged = {
        "another key": encode_sealed(claim, b"x" * 32),
        "the seal of another text": json.dumps({**claim, "seal": seal}).encode(),
        "no seal": json.dumps(claim).encode(),
        "a seal that is no text": json.dumps({**claim, "seal": 1}).encode(),
    }[how]
    machine.forge(forged)
    machine.lose()
    assert machine.seen() == {}


def test_a_lost_registry_is_rebuilt_from_what_root_sealed(machine: Machine) -> None:
    """The control of the others: the same way, with an honest copy, leads into the registry."""
    machine.lose()
    assert machine.seen()[STAGING]["domains"] == ["staging.eduaiia.com"]


def test_a_copy_in_another_directory(machine: Machine) -> None:
    """A sealed copy speaks for its own directory and no other."""
    elsewhere = machine.folder / "elsewhere"
    shutil.copytree(machine.home, elsewhere)
    machine.lose()
    assert machine.registry.entries([str(elsewhere)]) == {}


def test_a_copy_of_an_environment_that_was_destroyed(machine: Machine) -> None:
    """Kept by the owner, and put back after another environment took its names."""
    content = machine.copy.read_bytes()
    machine.registry.remove(STAGING, {"prefix": STAGING, "finished": "2026-01-02T00:00:00Z"})
    machine.forge(content)
    assert machine.seen() == {}
    machine.write("new.eduaiia.com")
    machine.lose()
    assert machine.seen()[STAGING]["domains"] == ["new.eduaiia.com"]


def test_a_copy_that_is_a_link(machine: Machine) -> None:
    """Root reads no file that only root can read because the owner points at it."""
    machine.lose()
    secret = machine.folder / "secret"
    shutil.copy(machine.copy, secret)
    secret.chmod(0o600)
    assert as_user(lambda: os.unlink(machine.copy), lambda: os.symlink(secret, machine.copy))
    assert machine.seen() == {}
    assert machine.copy.lstat().st_uid == NOBODY.pw_uid
