# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of pipelines: what their schemas, a scanner for workflows, and our own rules say of them."""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path

import pytest
import yaml
from stages.tools import REPOSITORY, run_tool

GITHUB = sorted((REPOSITORY / "examples/github").glob("*.yml"))


def tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def test_schemas() -> None:
    """GitHub and GitLab would take them."""
    names = [str(path) for path in GITHUB]
    run_tool("schema-github", [tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *names])
    gitlab = str(REPOSITORY / "examples/gitlab/.gitlab-ci.yml")
    run_tool("schema-gitlab", [tool("check-jsonschema"), "--builtin-schema", "vendor.gitlab-ci", gitlab])


def test_scanner(tmp_path: Path) -> None:
    """zizmor finds nothing in them; it does where a value of a pull request gets into a script."""
    command = [tool("zizmor"), "--offline", "--no-progress", "--persona", "regular"]
    assert "No findings" in run_tool("zizmor", [*command, *map(str, GITHUB)])
    bad = tmp_path / "bad.yml"
    bad.write_text(
        GITHUB[0].read_text(encoding="utf-8") + '      - run: echo "${{ github.event.pull_request.title }}"\n'
    )
    with pytest.raises(pytest.fail.Exception, match="template-injection"):
        run_tool("zizmor-control", [*command, str(bad)])


def test_our_own_rules(tmp_path: Path) -> None:
    """isolation_check has nothing to say of them, and speaks where both jobs wait in one queue."""
    deploy = (REPOSITORY / "examples/github/deploy.yml").read_text(encoding="utf-8")
    assert check(tmp_path / "good", deploy) == []
    together = deploy.replace("group: deploy-staging", "group: deploy").replace(
        "group: deploy-production", "group: deploy"
    )
    assert check(tmp_path / "bad", together) == ["shared-concurrency"]


def check(directory: Path, workflow: str) -> list[str]:
    """The rules that speak of two environments that this workflow deploys."""
    from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation_check.check import check as judged
    from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation_check.request import parse

    directory.mkdir()
    (directory / "deploy.yml").write_text(workflow, encoding="utf-8")
    environments = []
    for name in ("production", "staging"):
        (directory / f"{name}.yml").write_text(f"name: shop_{name}\nservices: {{web: {{image: 'nginx:1'}}}}\n")
        environments.append(
            {
                "name": name,
                "prefix": f"shop_{name}",
                "directory": f"/srv/shop/{name}",
                "compose_files": [f"{name}.yml"],
                "files": ["deploy.yml"],
            }
        )
    answer = judged(parse({"environments": environments, "compose_cli": "never"}, directory), date(2026, 1, 1))
    return [finding.rule for finding in answer.stopping]


@pytest.mark.parametrize("path", GITHUB, ids=lambda path: path.name)
def test_promises_of_the_workflows(path: Path) -> None:
    """Pinned actions, no permission by default, nothing by hand, no secret for pull requests."""
    text = path.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    events = workflow[True]  # YAML 1.1 reads the key "on" as a truth value
    assert workflow["permissions"] == {}
    assert not {"workflow_dispatch", "pull_request_target", "schedule"} & set(events)
    for used in re.findall(r"uses: (\S+)", text):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", used), used
    if "pull_request" in events:
        assert "secrets." not in text
        return
    groups = {name: job["concurrency"]["group"] for name, job in workflow["jobs"].items()}
    assert len(set(groups.values())) == len(groups)
    assert all(job["concurrency"]["cancel-in-progress"] is False for job in workflow["jobs"].values())
    assert {name: job["environment"] for name, job in workflow["jobs"].items()} == {name: name for name in groups}
