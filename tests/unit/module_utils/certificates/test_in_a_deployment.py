# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A renewal that fails, as a step of a deployment and by itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates.pem import CertificateError
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import Step
from ansible_collections.aiia.bulkhead.plugins.modules import certificates as module

SETTINGS = {"prefix": "p", "project": "p", "directory": "/srv/p", "state_directory": "/srv/s", "owner": ""}


class Fake:
    """Certificates of which the next one cannot be had, and a schedule that is in place."""

    serving = True

    def __init__(self, *_given: Any) -> None:
        """Whatever is given."""

    def bring(self, *_given: Any, **_how: Any) -> list[Step]:
        raise CertificateError("the authority is away")

    def plan(self) -> list[Step]:
        return [Step("obtain", "a.example.com", "certificate", "it has none yet")]

    def serves(self) -> bool:
        return self.serving

    def state(self) -> str:
        return "its certificate is valid"


class FakeSchedule:
    """A schedule that notes whether it may change something."""

    def __init__(self, *_given: Any) -> None:
        """Whatever is given."""

    def bring(self, wanted: dict[str, Any], change: bool = True) -> list[Step]:
        return [Step("write", "timer" if change else "foreseen", "file")] if wanted else []


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(module, "Certificates", Fake)
    monkeypatch.setattr(module, "Schedule", FakeSchedule)

    def call(lenient: bool, check_mode: bool = False) -> dict[str, Any]:
        given = {
            "certificates": SETTINGS,
            "schedule": {},
            "lenient": lenient,
            "notify": {},
            "docker_host": "",
            "directory": "/srv/p",
        }
        params = {**given, "prefix": "p", "state_directory": "/srv/s"}
        return module.run(SimpleNamespace(params=params, check_mode=check_mode))

    return call


def test_a_valid_one_serves_on(run: Any) -> None:
    answer = run(lenient=True)
    assert answer["told"].endswith("and the one before serves on: the authority is away")
    assert [step["target"] for step in answer["steps"]] == ["timer"], "the machine tries again"


def test_nothing_valid_serves(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fake, "serving", False)
    """The verification, which sees that, ends the deployment with a receipt and an entry of the registry."""
    assert run(lenient=True)["told"] == "its certificate could not be had: the authority is away"


def test_it_was_asked_for(run: Any) -> None:
    with pytest.raises(CertificateError):
        run(lenient=False)


def test_check_mode_asks_nobody(run: Any) -> None:
    answer = run(lenient=True, check_mode=True)
    assert [(step["verb"], step["target"]) for step in answer["steps"]] == [
        ("obtain", "a.example.com"),
        ("write", "foreseen"),
    ]
