# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A diff names the settings that changed, and no value of any."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.env_file import escape
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import Step
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.diff import changed_names, difference
from unit.module_utils.deployments import WEB, Machine
from unit.module_utils.fake_engine import file, service

HIDDEN = "(its content is secret and not shown)\n"
OTHER = " (another value, which is not shown)\n"


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ('A="1"\nB="2"\n', 'A="1"\nB="3"\n', ("B\n", "B" + OTHER)),
        ('A="1"\n', 'A="1"\nB="2"\n', ("", "B\n")),
        ('A="1"\nB="2"\n', 'A="1"\n', ("B\n", "")),
        ("", '# by hand: no\nA="1"\n', ("", "A\n")),
        ('A="1"\n', '# new\nA="1"\n', ("", "(other comments or another order)\n")),
        # Lines of a value that somebody wrote over several lines would look like names.
        ('A="1\nSECRET="\n', 'A="1"\n', ("", HIDDEN)),
        ("A=secret\n", 'A="1"\n', ("", HIDDEN)),
        ('A="1"\n', "secret", ("", HIDDEN)),
    ],
)
def test_names_of_settings(before: str, after: str, shown: tuple[str, str]) -> None:
    assert changed_names(before, after) == shown


@pytest.mark.parametrize("env_files", [[".env"], []], ids=["settings", "another secret file"])
def test_a_changed_secret_file(machine: Machine, env_files: list[str]) -> None:
    services = [service("web", **WEB, env_files=env_files), service("db")]
    machine.deploy(secret_files=[file(".env", 'KEY="secret-one"\n', "0600")], services=services)
    looked = machine.look(secret_files=[file(".env", 'KEY="secret-two"\n', "0600")], services=services)
    (shown,) = [change for change in difference(looked, []) if change["after_header"].endswith("/.env")]
    assert (shown["before"], shown["after"]) == (("KEY\n", "KEY" + OTHER) if env_files else ("", HIDDEN))


def test_another_mode_of_a_secret_file(deployed: Machine) -> None:
    (deployed.directory / ".env").chmod(0o644)
    (shown,) = difference(deployed.look(), [Step("write", ".env", "file")])
    assert shown["after"] == HIDDEN + "(mode 0600)\n"


@pytest.mark.parametrize("names", [None, ["KEY"]])
def test_the_secret_in_force_is_not_shown_after_a_rotation(machine: Machine, names: list[str] | None) -> None:
    """It stands in a file that is not secret. What is no secret is shown."""

    def files(secret: str, port: str) -> dict[str, Any]:
        settings = f'KEY="{escape(secret)}"\nSAME="the-same"\nPORT="{port}"\n'
        shown = file("web.conf", f"key {secret}; listen {port}; escaped {json.dumps(secret)}; the-same\n")
        compose = machine.params()["files"][0]
        return {
            "files": [compose, shown],
            "secret_files": [file(".env", settings, "0600")],
            "secret_names": names and [*names, "SAME"],
        }

    services = [service("web", **WEB, env_files=[".env"]), service("db")]
    machine.deploy(**files('old-"secret"', "8000"), services=services)
    looked = machine.look(**files("new-secret", "8001"), services=services)
    (shown,) = [change for change in difference(looked, []) if change["after_header"].endswith("/web.conf")]
    assert "old-" not in shown["before"] and "key ******** (before);" in shown["before"]
    assert shown["before"].endswith("; ********\n") and shown["after"].endswith("; ********\n")
    assert ("listen 8000" in shown["before"]) == (names is not None)


def test_a_secret_of_another_file_of_settings(machine: Machine) -> None:
    """The names of secrets are those of .env: in a file that a service brings along, each value may be one."""

    def files(secret: str) -> dict[str, Any]:
        brought = file("own/app.env", f'TOKEN="{secret}"\n', "0600")
        return {
            "files": [machine.params()["files"][0], file("web.conf", f"key {secret}\n")],
            "secret_files": [file(".env", 'KEY="another-one"\n', "0600"), brought],
            "secret_names": ["KEY"],
        }

    services = [service("web", **WEB, env_files=[".env", "own/app.env"]), service("db")]
    machine.deploy(**files("old-secret"), services=services)
    looked = machine.look(**files("new-secret"), services=services)
    (shown,) = [change for change in difference(looked, []) if change["after_header"].endswith("/web.conf")]
    assert shown["before"] == "key ******** (before)\n"
