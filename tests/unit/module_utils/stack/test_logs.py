# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The logs of a stack's services, as Docker's client writes them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.stack.logs import service_logs


def read(output: str, errors: str = "", code: int = 0, lines: int = 100) -> list[dict[str, Any]]:
    asked: list[tuple[str, ...]] = []

    def docker(*args: str, limit: float) -> tuple[int, str, str]:
        asked.append(args)
        return code, output, errors

    engine: Any = SimpleNamespace(docker=docker, check_reachable=lambda _errors: None)
    found = service_logs(engine, "app_prod_web", lines, "10m")
    assert asked[0][-3:] == ("--since", "10m", "app_prod_web")
    return found


def test_tasks_are_kept_apart() -> None:
    """Each in the order of its own clock, with what it wrote to both streams."""
    output = (
        "2026-11-30T10:00:03Z app_prod_web.1@n1    | three\n2026-11-30T09:00:00Z app_prod_web.2@n2    | early | x\n"
    )
    errors = "2026-11-30T10:00:01Z app_prod_web.1@n1    |   one\n"
    assert read(output, errors) == [
        {
            "container": "app_prod_web.1@n1",
            "lines": ["2026-11-30T10:00:01Z   one", "2026-11-30T10:00:03Z three"],
            "missing": "",
        },
        {"container": "app_prod_web.2@n2", "lines": ["2026-11-30T09:00:00Z early | x"], "missing": ""},
    ]
    assert read(output, errors, lines=1)[0]["lines"] == ["2026-11-30T10:00:03Z three"]


def test_a_service_on_every_node() -> None:
    """Docker gives its tasks the id of their node or 0, by its version."""
    for number in ("q" * 25, "0"):
        (log,) = read(f"2026-11-30T10:00:03Z app_prod_nginx.{number}@n1    | ready\n")
        assert log["container"] == "app_prod_nginx@n1"


def test_a_node_that_is_down_hides_no_other() -> None:
    said = "error from daemon in stream: some logs could not be retrieved: node n2 is not available"
    (log,) = read("2026-11-30T10:00:03Z app_prod_web.1@n1    | here\n", said, 1)
    assert log["lines"] == ["2026-11-30T10:00:03Z here"] and "node n2 is not available" in log["missing"]
    with pytest.raises(EngineError, match="the log of service app_prod_web cannot be read"):
        read("", "no such service", 1)


def test_nothing_was_written() -> None:
    assert read("") == [{"container": "app_prod_web", "lines": [], "missing": ""}]
