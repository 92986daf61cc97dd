# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What isolation_check is asked: every fault at once, each with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Severity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation_check.request import RequestError, parse

PROD = {"prefix": "aiia_prod", "compose_files": ["main/docker-compose.prod.yml"]}


def errors(given: dict[str, Any], base: Path = Path("/nowhere")) -> tuple[str, ...]:
    """What is said about a request that cannot be."""
    with pytest.raises(RequestError) as caught:
        parse(given, base)
    return caught.value.errors


def test_least() -> None:
    """A prefix and a file are enough."""
    request = parse({"environments": [PROD]}, Path("/work"))
    (declared,) = request.environments
    assert (declared.name, declared.machine, declared.directory) == ("aiia_prod", "the machine", "")
    assert (request.fail_on, request.report_format, request.compose_cli) == (Severity.MEDIUM, "json", "auto")
    assert request.base == Path("/work")


def test_file(tmp_path: Path) -> None:
    """Files are beside the configuration; lines are known; an argument of the task is nearer than the file."""
    folder = tmp_path / "ci"
    folder.mkdir()
    (folder / "check.yml").write_text(
        "fail_on: high\nreport: out.json\nenvironments:\n"
        "  - prefix: aiia_prod\n    compose_files: [a.yml]\n"
        "  - prefix: aiia_staging\n    compose_files: [b.yml]\n"
    )
    request = parse({"config": "ci/check.yml", "fail_on": "never"}, tmp_path)
    assert request.base == folder
    assert request.fail_on is None
    assert request.report == "out.json"
    assert [str(environment.where) for environment in request.environments] == [
        "ci/check.yml:4 (environments[0])",
        "ci/check.yml:6 (environments[1])",
    ]
    assert parse({"config": "ci/check.yml", "report": "r.json"}, tmp_path).report == str(tmp_path / "r.json")


def test_all_faults_at_once() -> None:
    """Nobody mends one to be told of the next."""
    said = errors(
        {
            "enviroments": [],
            "fail_on": "bad",
            "report_format": "xml",
            "environments": [
                {"prefix": "", "compose_files": "main.yml"},
                {"prefix": "aiia_staging", "direcory": "/srv", "directory": "srv", "files": [7, ""]},
                "aiia_dev",
                {"prefix": "aiia_x"},
            ],
        }
    )
    assert said == (
        "unknown key enviroments; did you mean environments?",
        "fail_on must be one of critical, high, medium, low, never, not 'bad'",
        "report_format must be one of json, sarif, junit, markdown, not 'xml'",
        "environments[0]: prefix is missing: the start of every name of the environment, such as aiia_prod",
        "environments[0]: compose_files must be a list of paths, not 'main.yml'",
        "environments[1]: unknown key direcory; did you mean directory?",
        "environments[1]: directory must be an absolute path on the machine, not 'srv'",
        "environments[1]: files contains 7, which is not a path",
        "environments[1]: files contains '', which is not a path",
        "environments[2] must be a mapping with prefix and compose_files, not 'aiia_dev'",
        "environments[3]: there is no file to check: set at least one of compose_files, env_files, nginx_files, files",
    )


@pytest.mark.parametrize("given", [{}, {"environments": []}, {"environments": None}])
def test_empty_fleet(given: dict[str, Any]) -> None:
    """Nothing to check is an error, not a success."""
    assert errors(given) == ("environments is empty: there is nothing to check",)


def test_both_ways_at_once() -> None:
    """Which of the two would be meant?"""
    assert errors({"config": "check.yml", "environments": [PROD]}) == ("set either config or environments, not both",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "check.yml: cannot be read: No such file or directory"),
        (b"\xff\xfe\x00binary", "check.yml: is not valid UTF-8"),
        (b"environments: [", "check.yml:2: the file is not YAML"),
        (b"- a\n- b\n", "check.yml: must be a mapping with the key environments"),
        (b"", "check.yml: must be a mapping with the key environments"),
        (
            b"environments:\n  - {prefix: a, files: [x], colour: red}\n",
            "check.yml: environments[0]: unknown key colour",
        ),
    ],
)
def test_bad_file(tmp_path: Path, content: bytes | None, said: str) -> None:
    """The file's name is in front of what is wrong with it."""
    if content is not None:
        (tmp_path / "check.yml").write_bytes(content)
    assert errors({"config": "check.yml"}, tmp_path)[0].startswith(said)


STACK = {"prefix": "shop", "compose_files": ["stack.yml"], "swarm": "main", "nodes": ["n1"], "compose_project": "shop"}


def test_a_stack() -> None:
    """Its machines are the nodes of its swarm."""
    (declared,) = parse({"environments": [STACK]}, Path("/work")).environments
    assert (declared.swarm, declared.nodes, declared.compose_project) == ("main", ("n1",), "shop")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nodes": None}, "nodes is missing"),
        ({"nodes": "n1"}, "nodes must be a list of machines, not 'n1'"),
        ({"nodes": [""]}, "nodes contains '', which is not a machine"),
        ({"compose_project": None}, "compose_project is missing"),
        ({"machine": "n1"}, "machine and swarm are both set"),
        ({"swarm": None}, "nodes has no meaning without swarm"),
    ],
)
def test_what_a_stack_lacks(change: dict[str, Any], said: str) -> None:
    assert errors({"environments": [{**STACK, **change}]})[0].startswith(f"environments[0]: {said}")
