# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service on its way to the machine and back from a manifest, and what the module takes."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.arguments import converge_arguments
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.service import Service

WEB = Service("web", "web", "p_web", prepare=(("migrate",), ("collect", "--all")), rolling=True, expose=("8000",))


def test_a_service_comes_back_as_it_went() -> None:
    travelled = json.loads(json.dumps(WEB.as_dict()))
    assert Service.from_dict(travelled) == WEB
    assert travelled["prepare"] == [["migrate"], ["collect", "--all"]]
    assert list(travelled) == [field.name for field in fields(Service)]


def test_a_release_of_another_version() -> None:
    """What an older one did not keep has its default; what a newer one kept besides is passed over."""
    kept = {"name": "web", "key": "web", "container": "p_web", "prepare": [["migrate"]], "colour": "blue"}
    assert Service.from_dict(kept) == Service("web", "web", "p_web", prepare=(("migrate",),))


class Module:
    """The part of Ansible's module that reading its options needs."""

    def __init__(self, shipped: dict[str, Any] | None) -> None:
        self.no_log_values: set[str] = set()
        text = json.dumps(shipped) if shipped is not None else ""
        self.params = {"prefix": "p", "commit": "c1", "release": text}


def test_what_the_module_takes() -> None:
    """What is secret in it is known as such, and the whole of it is passed on no further."""
    files = [
        {"path": "a.conf", "content": "open", "mode": 0o644, "secret": False, "source": ""},
        {"path": ".env", "content": "KEY=\udc80hidden", "mode": 0o600, "secret": True, "source": ""},
        {"path": "key.pem", "content": "", "mode": 0o600, "secret": True, "source": "/etc/key.pem"},
    ]
    module = Module({"services": [WEB.as_dict()], "files": files, "wait_timeout": 7, "keep_releases": None})
    params = converge_arguments(module)
    assert module.no_log_values == {"KEY=\udc80hidden"} and "release" not in params
    assert params["services"] == [WEB] and params["files"] == files and params["commit"] == "c1"
    assert params["wait_timeout"] == 7, "what is said counts"
    assert params["keep_releases"] == 5, "an empty variable means the usual"


@pytest.mark.parametrize("shipped", [None, {}])
def test_without_a_release_nothing_is_wanted(shipped: dict[str, Any] | None) -> None:
    params = converge_arguments(Module(shipped))
    assert params["services"] == params["files"] == [] and params["name"] == ""
