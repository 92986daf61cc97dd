# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every module that could change something refuses to work without the gate."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.permit import OF_THE_MACHINE, READ_ONLY, permit
from ansible_collections.aiia.bulkhead.plugins.module_utils.run_module import answer
from checkout import ROOT

#: Options that a module demands before it begins.
REQUIRED: dict[str, dict[str, Any]] = {
    "edge": {"image": "x"},
    "image": {"reference": "shop/app:1", "image": "aiia_prod_web"},
    "preflight": {"holder": "me"},
    "service": {"job": "restart", "project": "p", "services": []},
    "source": {"repository": "/nowhere.git", "branch": "main"},
    "stack": {"job": "renew"},
    "swarm": {"job": "look"},
}


def modules() -> list[str]:
    """The modules that run on a machine; the others only document an action."""
    found = [
        path.stem for path in sorted((ROOT / "plugins/modules").glob("*.py")) if "answer(module" in path.read_text()
    ]
    assert found
    return found


def test_each_name_of_a_module_that_only_reads_is_one() -> None:
    assert set(modules()) > READ_ONLY
    assert set(modules()) > OF_THE_MACHINE


@pytest.mark.parametrize("name", sorted(OF_THE_MACHINE))
def test_a_module_of_the_machine_can_name_no_environment(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs no permit because there is none of whom it could change anything."""
    module = importlib.import_module(f"ansible_collections.aiia.bulkhead.plugins.modules.{name}")
    monkeypatch.setattr(module, "run", lambda _module: {"changed": True, "msg": "at work"})
    for option in ("prefix", "directory", "token", "owner", "permit"):
        options = {option: "aiia_staging", "_ansible_module_name": f"aiia.bulkhead.{name}"}
        with patch_module_args({**REQUIRED[name], **options}), pytest.raises(SystemExit):
            module.main()
        said = json.loads(capsys.readouterr().out)
        assert said["failed"] and "Unsupported parameters" in said["msg"], option


@pytest.mark.parametrize("name", sorted(set(modules()) - READ_ONLY - OF_THE_MACHINE))
@pytest.mark.parametrize("given", ["", "0" * 64, "another module's", "another environment's", "another run's"])
def test_a_module_without_its_permit(
    name: str, given: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: with the permit it gets to its work."""
    module = importlib.import_module(f"ansible_collections.aiia.bulkhead.plugins.modules.{name}")
    monkeypatch.setattr(module, "run", lambda _module: {"changed": True, "msg": "at work"})
    monkeypatch.setattr(module, "answer", lambda called, run, leased=True: answer(called, run, leased=False))
    forged = {
        "another module's": permit("other", "aiia_staging", "token"),
        "another environment's": permit(name, "aiia_prod", "token"),
        "another run's": permit(name, "aiia_staging", "other"),
    }.get(given, given)
    for text, words in ((forged, "was called directly"), (permit(name, "aiia_staging", "token"), "at work")):
        options = {"prefix": "aiia_staging", "token": "token", "permit": text, **REQUIRED.get(name, {})}
        named = {"_ansible_module_name": f"aiia.bulkhead.{name}"}
        with patch_module_args({**options, **named}), pytest.raises(SystemExit):
            module.main()
        said = json.loads(capsys.readouterr().out)
        assert words in said["msg"], said
        assert bool(said.get("failed")) == (text == forged)
