# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deployments of a small environment to an engine in memory, shared by the tests of what a deployment does."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.errors import Failure
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.layout import RELEASES
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import Step, sentence
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.comparison import Comparison
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.converge import Converger
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.plan import plan
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.rollback import as_kept, check_images
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.store import Releases
from ansible_collections.aiia.bulkhead.plugins.module_utils.source.checkout import GitError
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.home import Home
from unit.module_utils.fake_engine import COMPOSE_FILE, FakeEngine, compose_text, file, service

WEB = {"files": ["web.conf"], "mounts": ["./conf:/etc/web:ro"]}


class FakeCheckout:
    """A checkout that is at a commit."""

    branch = "main"

    def __init__(self) -> None:
        self.commit = ""
        self.broken = False

    def head(self) -> str:
        return self.commit

    def current_branch(self) -> str:
        return self.branch if self.commit else ""

    def about(self, commit: str) -> dict[str, str]:
        return {"subject": f"subject of {commit}", "author": "Ann"}

    def move_to(self, commit: str) -> None:
        if self.broken:
            raise GitError("git checkout failed")
        self.commit = commit


class Machine:
    """One environment on a machine: the engine, the directory, and calls of the module's two halves."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state_directory = directory.parent / f"{directory.name}-state"
        self.engine = FakeEngine(directory)
        self.checkout = FakeCheckout()
        self.backups: list[str] = []
        #: What is put back before a release comes into force.
        self.mend: Callable[[], object] = lambda: None
        self.back_up: Callable[[str], Step | None] = self._make_backup
        self._tried: list[Step] = []

    def params(self, **changes: Any) -> dict[str, Any]:
        params = {
            "prefix": "aiia_prod",
            "state_directory": "",
            "commit": "c1",
            "networks": ["aiia_prod_network"],
            "volumes": ["aiia_prod_pgdata_prod"],
            "wait_timeout": 1,
            "readiness_delay": 0,
            "keep_releases": 2,
            "allow_downtime": False,
            "drain_timeout": 0,
            "prepare_timeout": 5,
            "image_repository": "",
            "compose_file": COMPOSE_FILE,
            "files": [file(COMPOSE_FILE, compose_text(web="web:1", db="db:1")), file("web.conf", "one")],
            "secret_files": [file(".env", "A=1\n", "0600")],
            "services": [service("web", **WEB), service("db")],
            "ports": [],
            **changes,
        }
        secret = [{**wanted, "secret": True} for wanted in params.pop("secret_files")]
        return {**params, "files": [*params["files"], *secret]}

    @property
    def tree(self) -> Home:
        return Home(str(self.directory), "aiia_prod", str(self.state_directory))

    @property
    def kept(self) -> Path:
        """What root keeps of the environment."""
        return Path(self.tree.kept.directory)

    def look(self, **changes: Any) -> Comparison:
        return Comparison.look(self.engine, self.tree, self.checkout, self.params(**changes))

    def plan(self, **changes: Any) -> list[str]:
        return list(map(sentence, plan(self.look(**changes))))

    @property
    def tried(self) -> list[str]:
        """What the last deployment began, for a person."""
        return list(map(sentence, self._tried))

    def deploy(self, **changes: Any) -> str:
        converger = Converger(self.look(**changes), Releases(self.tree), self.back_up)
        self._tried = converger.progress.tried
        return converger.apply(mend=self.mend)

    def _make_backup(self, reason: str) -> Step:
        self.backups.append(reason)
        return Step("make", f"backup-{len(self.backups)}", "backup")

    def fails(self, **changes: Any) -> Failure:
        """Deploy, and return the error that it ended with."""
        with pytest.raises(Failure) as caught:
            self.deploy(**changes)
        return caught.value

    def releases(self) -> list[str]:
        folder = self.kept / RELEASES
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def pem(word: str) -> str:
    """The text of a certificate, different for each word, as far as a reader of PEM can tell."""
    return f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(word.encode()).decode()}\n-----END CERTIFICATE-----\n"


def files(web: str = "web:1", db: str = "db:1", conf: str = "one") -> dict[str, Any]:
    return {"files": [file(COMPOSE_FILE, compose_text(web=web, db=db)), file("web.conf", conf)]}


class Hidden:
    """The part of Ansible's module that returning needs."""

    def __init__(self) -> None:
        self.no_log_values: set[str] = set()


def roll_back(machine: Machine, wanted: str = "previous", **changes: Any) -> Comparison:
    """Return to a kept release, as the module does. Returns what it saw before."""
    releases, hidden = Releases(machine.tree), Hidden()
    name, params = as_kept(
        hidden,
        releases,
        machine.params(**{"files": [], "secret_files": [], "services": [], "keep_releases": 3, **changes}, name=wanted),
    )
    comparison = Comparison.look(machine.engine, machine.tree, machine.checkout, params)
    check_images(comparison, releases, name)
    Converger(comparison, releases).apply(name)
    return comparison
