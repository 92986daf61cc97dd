# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""isolation_check over real files: what is found, what is not, and any input whatever."""

from __future__ import annotations

import json
import os
import time
import tracemalloc
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.answer import Report
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation_check.check import check
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation_check.request import parse

TODAY = date(2026, 6, 15)
COMPOSE = """\
name: aiia_{name}
services:
  django:
    image: aiia_{name}_django:4f2a91c
    container_name: aiia_{name}_django
    env_file: .env
    mem_limit: 512m
    cpus: 1
    pids_limit: 200
    logging: {{driver: local}}
    networks: [network]
networks:
  network: {{name: aiia_{name}_network}}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two environments that do not touch each other."""
    for name in ("prod", "staging"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "docker-compose.yml").write_text(COMPOSE.format(name=name))
        (folder / ".env").write_text(f"COMPOSE_PROJECT_NAME=aiia_{name}\nGREETING=hello\n")
    return tmp_path


def fleet(*names: str, **more: Any) -> list[dict[str, Any]]:
    """The environments of a request."""
    return [
        {
            "prefix": f"aiia_{name}",
            "directory": f"/srv/{name}/app",
            "compose_files": [f"{name}/docker-compose.yml"],
            **more,
        }
        for name in names or ("prod", "staging")
    ]


def run(site: Path, environments: list[dict[str, Any]] | None = None, **given: Any) -> Report:
    """Check these environments of a site. Compose itself is asked only where a test is about that."""
    request = {"environments": environments or fleet(), "compose_cli": "never", **given}
    return check(parse(request, site), TODAY)


def rules_of(answer: Report) -> set[str]:
    """The rules that found something."""
    return {finding.rule for finding in answer.findings}


def test_clean(site: Path) -> None:
    """Nothing stops."""
    answer = run(site)
    assert answer.environments == ("aiia_prod", "aiia_staging")
    assert answer.stopping == ()


def test_guide(site: Path) -> None:
    """The guide as written: two directories of one name are one project, and that comes first."""
    for name in ("prod", "staging"):
        (site / name / ".env").write_text("GREETING=hello\n")
        text = COMPOSE.format(name=name).replace(f"name: aiia_{name}\n", "", 1)
        (site / name / "docker-compose.yml").write_text(text)
    environments = fleet()
    environments[0]["directory"] = "/home/ubuntu/main/ai-ia-backend"
    environments[1]["directory"] = "/home/ubuntu/staging/ai-ia-backend"
    answer = run(site, environments)
    assert answer.findings[0].rule == "shared-project"
    assert answer.findings[0] in answer.stopping
    assert set(answer.findings[0].environments) == {"aiia_prod", "aiia_staging"}


def test_without_a_directory_each_lives_where_its_files_are(site: Path) -> None:
    """The files' own directories tell two environments apart."""
    environments = fleet()
    for environment in environments:
        del environment["directory"]
    assert run(site, environments).stopping == ()


def test_machines(site: Path) -> None:
    """On two machines one port is no collision."""
    for name in ("prod", "staging"):
        with (site / name / "docker-compose.yml").open("a") as stream:
            stream.write("  other: {}\n")
        text = (
            (site / name / "docker-compose.yml")
            .read_text()
            .replace("    cpus: 1\n", '    cpus: 1\n    ports: ["80:80"]\n')
        )
        (site / name / "docker-compose.yml").write_text(text)
    assert "shared-port" in rules_of(run(site))
    apart = [{**declared, "machine": f"app{number}"} for number, declared in enumerate(fleet())]
    assert "shared-port" not in rules_of(run(site, apart))


def test_another_environments_files_by_their_path_on_the_machine(site: Path) -> None:
    """What a file names by its absolute path on the machine is read from where it is here."""
    (site / "staging" / "docker-compose.yml").write_text(
        "name: aiia_staging\nservices:\n  django:\n"
        "    extends: {file: /srv/prod/app/docker-compose.yml, service: django}\n"
    )
    answer = run(site)
    assert "unreadable-file" not in rules_of(answer)
    assert any({"aiia_prod", "aiia_staging"} == set(finding.environments) for finding in answer.stopping)


def test_compose_files_that_nobody_named_are_not_taken(site: Path) -> None:
    """Two workflows beside a Compose file are not two environments with that file."""
    (site / "docker-compose.yml").write_text("services: {web: {image: nginx, container_name: web}}\n")
    (site / "deploy.sh").write_text("#!/bin/sh\nset -eu\necho done\n")
    answer = run(site, [{"prefix": f"aiia_{name}", "files": ["deploy.sh"]} for name in ("prod", "staging")])
    assert not any("web" in finding.resource for finding in answer.findings)


def test_declared_twice(site: Path) -> None:
    """One prefix for two is a finding, with both places."""
    answer = run(site, fleet("prod", "prod"))
    (found,) = [finding for finding in answer.stopping if finding.rule == "environment-twice"]
    assert [str(place) for place in found.where] == ["environments[0]", "environments[1]"]
    assert answer.environments == ("aiia_prod",)


def test_waivers(site: Path) -> None:
    """From the request for all, from an environment for itself."""
    text = (site / "prod" / "docker-compose.yml").read_text()
    (site / "prod" / "docker-compose.yml").write_text(
        text.replace("    cpus: 1\n", "    cpus: 1\n    privileged: true\n")
    )
    (found,) = run(site).stopping
    waiver = {"rule": found.rule, "resource": found.resource, "reason": "moves in July", "until": "2026-07-31"}
    assert run(site, waivers=[waiver]).stopping == ()
    own = fleet()
    own[0]["waivers"] = [waiver]
    answer = run(site, own)
    assert answer.stopping == ()
    assert [finding.waived for finding in answer.findings if finding.rule == found.rule] == ["moves in July"]
    late = run(site, waivers=[{**waiver, "until": "2026-06-14"}])
    assert {finding.rule for finding in late.stopping} == {found.rule, "expired-waiver"}


def test_fail_on(site: Path) -> None:
    """The severity that stops is the user's."""
    (site / "staging" / "docker-compose.yml").write_text(COMPOSE.format(name="prod"))
    assert run(site).stopping
    assert run(site, fail_on="never").stopping == ()
    assert run(site, fail_on="never").findings


@pytest.mark.parametrize("report_format", ["json", "sarif", "junit"])
def test_reports(site: Path, report_format: str) -> None:
    """Every form is whole."""
    (site / "staging" / "docker-compose.yml").write_text(COMPOSE.format(name="prod"))
    answer = run(site)
    text = answer.rendered(report_format)
    if report_format == "junit":
        assert ElementTree.fromstring(text).get("failures") == str(len({finding.rule for finding in answer.stopping}))
    elif report_format == "sarif":
        assert len(json.loads(text)["runs"][0]["results"]) == len(answer.findings)
    else:
        assert json.loads(text) == answer.as_json()


def billion_laughs() -> str:
    """A few hundred bytes of YAML that mean gigabytes."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    return "\n".join([*lines, "services: {web: {image: nginx}}"])


BAD_COMPOSE = {
    "not YAML": (b"services: [unclosed", "not-yaml"),
    "a tab for a space": (b"services:\n\tweb: {}\n", "not-yaml"),
    "not Compose": (b"- just\n- a list\n", "not-compose"),
    "a word": (b"hello", "not-compose"),
    "services of a wrong kind": (b"services: [a, b]\n", "not-compose"),
    "a service of a wrong kind": (b"services: {web: 7}\n", "not-compose"),
    "binary": (bytes(range(256)) * 64, "not-yaml"),
    "not UTF-8": (b"services: {web: {image: '\xff\xfe'}}\nx: [", "not-yaml"),
    "a bomb": (billion_laughs().encode(), "too-large"),
    "an anchor in itself": (b"services: &a {web: *a}\n", "cycle"),
    "deep": (b"services: " + b"{a: " * 3000 + b"}" * 3000, "too-large"),
    "a cycle of extends": (
        b"services: {a: {extends: b, image: x}, b: {extends: a, image: x}}\n",
        "cycle",
    ),
    "includes itself": (b"include: [docker-compose.yml]\nservices: {web: {image: x}}\n", "cycle"),
    "includes what is not there": (b"include: [gone.yml]\nservices: {web: {image: x}}\n", "unreadable-file"),
    "needs a variable": (b"services: {web: {image: '${GONE:?}'}}\n", "unset-variable"),
}


@pytest.mark.parametrize("what", BAD_COMPOSE)
def test_bad_compose(site: Path, what: str) -> None:
    """A finding at the place, never a traceback, and the other environment is judged all the same."""
    content, rule = BAD_COMPOSE[what]
    (site / "staging" / "docker-compose.yml").write_bytes(content)
    start = time.process_time()
    answer = run(site)
    assert time.process_time() - start < 5
    found = [finding for finding in answer.stopping if finding.rule == rule]
    assert found, sorted(rules_of(answer))
    assert found[0].environments == ("aiia_staging",)
    assert "staging/" in str(found[0].where[0])


def test_empty_compose(site: Path) -> None:
    """An empty file is said to be one."""
    (site / "staging" / "docker-compose.yml").write_bytes(b"")
    assert any(finding.environments == ("aiia_staging",) for finding in run(site).stopping)


def test_nginx_syntax_error(site: Path) -> None:
    """With file and line."""
    (site / "bad.conf").write_text("server {\n  listen 80;\n  location / {\n    return 200 ok\n  }\n}\n")
    answer = run(site, fleet(nginx_files=["bad.conf"]))
    found = [finding for finding in answer.stopping if finding.rule == "nginx-syntax"]
    assert [finding.environments for finding in found] == [("aiia_prod", "aiia_staging")]
    assert found[0].message.endswith("aiia_staging uses the same file.")
    assert str(found[0].where[0]).startswith("bad.conf:")


@pytest.mark.parametrize("key", ["compose_files", "env_files", "nginx_files", "files"])
def test_huge_file(site: Path, key: str) -> None:
    """Fifty megabytes are not read: quickly, and without taking the memory for them."""
    huge = site / "huge.conf"
    with huge.open("wb") as stream:
        for _unused in range(50):
            stream.write(b"a: b # and so on, and so on, and so on\n" * 26_887)
    assert huge.stat().st_size > 50_000_000
    tracemalloc.start()
    start = time.process_time()
    answer = run(site, [*fleet("prod"), {"prefix": "aiia_staging", key: ["huge.conf"]}])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [finding.environments for finding in answer.stopping if finding.rule == "too-large"] == [("aiia_staging",)]
    assert peak < 64 << 20
    assert time.process_time() - start < 10


def test_unreadable(site: Path) -> None:
    """What is not there, is a directory, or would never end is a finding, for each file."""
    (site / "folder").mkdir()
    os.mkfifo(site / "pipe")
    paths = ["gone.sh", "folder", "pipe", "/dev/zero", "x" * 5000]
    answer = run(site, [*fleet("prod"), *fleet("staging", files=paths)])
    found = {finding.resource for finding in answer.stopping if finding.rule == "unreadable-file"}
    assert found == set(paths)


def test_ten_thousand_findings(site: Path) -> None:
    """One for each cause, with all places, in time."""
    services = "".join(
        f"  s{number}:\n    image: x\n    container_name: same_{number}\n    privileged: true\n"
        for number in range(3500)
    )
    for name in ("prod", "staging"):
        (site / name / "docker-compose.yml").write_text(f"name: aiia_{name}\nservices:\n{services}")
    start = time.process_time()
    answer = run(site)
    found = {finding.rule: finding for finding in answer.findings}
    assert len(answer.findings) == 6
    assert len(found["shared-container-name"].where) == 7000
    assert (
        "container same_1, container same_2, container same_3 and 3496 more" in found["shared-container-name"].message
    )
    assert len(answer.as_json()["findings"]) == len(answer.findings)
    assert time.process_time() - start < 60
