# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a build is described, what it starts from, and what a build engine is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.build import (
    check_arguments,
    definition,
    refuse_in_shared_engine,
)
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.builder import disk_size
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.cgroup import Cgroup
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.dockerfile import (
    foreign_frontend,
    frontend,
    images_of,
    unclear,
)
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.uplink import (
    filter_rules,
    free_pair,
    parse_egress,
    parse_nameservers,
    removal,
)

GIB = 1 << 30
PARAMS = {
    **{
        "context": "/export",
        "dockerfile": "/export/Dockerfile",
        "target": "",
        "ca_bundle": "",
        "prefix": "aiia_staging",
    },
    **{"arguments": {"A": "${B} %{C} $D"}},
}


def described(shared: bool, **options: Any) -> dict[str, Any]:
    whole = json.loads(definition({**PARAMS, **options}, "aiia_staging_web:1", {"label": "x"}, shared))
    found: dict[str, Any] = whole["target"]["image"]
    return found


def test_a_description_is_literal() -> None:
    """bake evaluates templates in every value; none of a user's is one."""
    target = described(False, target="special", ca_bundle="/ca.pem")
    assert target["args"] == {"A": "$${B} %%{C} $D"}
    assert (target["context"], target["dockerfile"]) == ("/export", "/export/Dockerfile")
    assert (target["target"], target["secret"]) == ("special", ["id=ca-bundle,src=/ca.pem"])
    assert "no-cache" not in target


def test_a_shared_engine_separates_caches() -> None:
    target = described(True, arguments={"BUILDKIT_CACHE_MOUNT_NS": "aiia_prod"})
    assert target["args"] == {"BUILDKIT_CACHE_MOUNT_NS": "aiia_staging"}
    assert target["no-cache"] is True


@pytest.mark.parametrize("name", ["", "A B", "1A", "a.b", "A=B", "A\n"])
def test_names_of_arguments(name: str) -> None:
    check_arguments({"_A1": "x"})
    with pytest.raises(EngineError, match="bulkhead_build_arguments"):
        check_arguments({name: "x"})


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("FROM python:3.13\nRUN x\nFROM scratch\nCOPY --from=0 /a /b\n", ["python:3.13"]),
        ("from --platform=$BUILDPLATFORM node:22 as web\nFROM web\nCOPY --from=web /a /b", ["node:22"]),
        ("ARG BASE=debian\nARG TAG=13\nFROM ${BASE}:${TAG}-slim", ["given:13-slim"]),
        ("FROM ${NONE:-debian:13}\nFROM a${NONE:+x}", ["debian:13", "a"]),
        ("FROM a \\\n  AS b\nCOPY --chown=1:1 --from=c:1 / /", ["a", "c:1"]),
        (
            "FROM a\nRUN --mount=type=bind,from=c:2,target=/t x\nRUN --mount=from=b,target=/t x",
            ["a", "c:2", "b"],
        ),
        ("FROM a\nARG BASE=late\nFROM $BASE", ["a", ""]),
    ],
)
def test_images_of_a_dockerfile(text: str, images: list[str]) -> None:
    assert images_of(text, {"BASE": "given"}) == [image for image in images if image]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# syntax=docker/dockerfile:1\nFROM a", "# syntax=docker/dockerfile:1"),
        ("\ufeff#!/usr/bin/x\n#Syntax = x\n", "#Syntax = x"),
        ("// syntax=x\n", "// syntax=x"),
        ('{"syntax": "x"}', '{"syntax": "x"}'),
        ('{"a": 1,\n"syntax": "x"}', '{"a": 1,'),
        ('{"synta\\u0078": "x"}', '{"synta\\u0078": "x"}'),
        ("#syntax\f=x\nFROM a", "#syntax\f=x"),
        ("# escape=`\nFROM a\nRUN echo syntax=1\n", ""),
    ],
)
def test_frontends(text: str, line: str) -> None:
    assert frontend(text) == line
    assert foreign_frontend(text) == ("" if "docker/dockerfile" in line else line)


def test_dockers_own_frontend_alone() -> None:
    for own in ("docker/dockerfile:1.7", "docker.io/docker/dockerfile", f"docker/dockerfile@sha256:{'a' * 64}"):
        assert foreign_frontend(f"# syntax={own}\nFROM a") == ""
    for other in (
        "docker/dockerfile2",
        "evil/docker/dockerfile:1",
        "docker/dockerfile:1 x",
        "docker/dockerfile-upstream",
    ):
        assert foreign_frontend(f"# syntax={other}\nFROM a")


#: Ways to name an image that a reader of the plain form does not see.
HIDDEN = [
    *("FROM\fproduction:1", "FROM\vproduction:1", "\ufeffFROM production:1"),
    *('FROM "production":1', "FROM produc\\tion:1"),
    *("FROM production-${TARGETOS:+app}:1", "FROM ${A#x}", "FROM ${A:-${B:-c}}", "FROM $UNKNOWN"),
    *('FROM a\nRUN --mount=type=bind,"from=pro""d:1" x', 'FROM a\nCOPY --from="prod:1" / /'),
    "FROM a\nARG I=prod\nRUN --mount=from=$I,target=/t x",
    "FROM a\nRUN <<E\nFROM scratch AS prod\nE\nFROM prod",
    *("FROM a\nADD http://127.0.0.1:2375/ /x", "FROM a\nADD git@host:x.git /x", "# escape=`\nFROM a", '{"FROM": "a"}'),
    "FROM a\nONBUILD COPY --from='b' / /",
]


@pytest.mark.parametrize("text", HIDDEN)
def test_what_is_not_plain(text: str) -> None:
    """Refused in an engine that environments share."""
    assert unclear(text, {})
    with pytest.raises(EngineError, match=r"(Write it plainly|runs another program).*which other environments share"):
        refuse_in_shared_engine({}, text, "no loop devices")


@pytest.mark.parametrize(
    "text",
    [
        '# a comment \\\nARG BASE=python:3.13\nFROM --platform=linux/amd64 ${BASE} AS web\nRUN "$A" && \\\n  x << y\n',
        "FROM a\nCOPY --from=b:1 --chown=1:1 / /\nADD local.tar /\nRUN --mount=type=cache,target=/c pip x",
        "FROM a\n\nRUN echo 'from=$X' \\\n# inside\n  && echo\nCMD [\"x\"]",
        "from a as b\nonbuild run x\n",
    ],
)
def test_what_is_plain(text: str) -> None:
    assert unclear(text, {"BASE": "python:3.14"}) == ""


def test_comments_end_no_image() -> None:
    assert images_of("# hello \\\nFROM production:1", {}) == ["production:1"]
    assert images_of("FROM produc\\\ntion:1", {}) == ["production:1"]
    assert images_of("FROM \\\n# c\nproduction:1", {}) == ["production:1"]


def test_rules_refuse_what_is_near_before_they_allow_the_rest() -> None:
    rules = filter_rules("bhb0", "eth0", ["169.254.169.253"], [("192.0.2.2", 3128)])
    targets = [rule.partition(" -j ")[0] for rule in rules]
    assert rules[-2:] == ["-o eth0 -j ACCEPT", "-j REJECT --reject-with icmp-port-unreachable"]
    refused = [targets.index(match) for match in ("-d 169.254.0.0/16", "-m addrtype --dst-type LOCAL")]
    asked = "-m conntrack --ctorigdst 169.254.169.253 --ctorigdstport 53"
    allowed = [targets.index(f"-p udp {asked}"), targets.index(f"-p tcp {asked}")]
    allowed.append(targets.index("-p tcp -m conntrack --ctorigdst 192.0.2.2 --ctorigdstport 3128"))
    names, exception = max(allowed[:2]), allowed[2]
    assert names < refused[0] < exception < refused[1] < targets.index("-o eth0")
    assert "ACCEPT" not in "".join(filter_rules("bhb0", "", [], [])[1:]), "no default route, no way out"


def test_only_the_own_chain_is_removed() -> None:
    saved = "*filter\n:INPUT ACCEPT [0:0]\n:B-1 - [0:0]\n:B-12 - [0:0]\n-A INPUT -i x -j B-1\n-A INPUT -i y -j B-12\n"
    assert removal(saved, "B-1") == ["-D INPUT -i x -j B-1", "-F B-1", "-X B-1"]
    assert removal(saved, "B-3") == []


def test_egress() -> None:
    assert parse_egress(["proxy.example.com:3128", "192.0.2.1:80"]) == [("proxy.example.com", 3128), ("192.0.2.1", 80)]
    for wrong in ("192.0.2.1", "[::1]:80", "a:0", "a:70000", "a:80 -j ACCEPT", "a:80\n"):
        with pytest.raises(EngineError, match="bulkhead_build_egress"):
            parse_egress([wrong])


def test_name_servers() -> None:
    text = "search a\nnameserver 127.0.0.53\nnameserver 169.254.169.253\nnameserver fd00::1\nnameserver\n"
    assert parse_nameservers(text) == ["169.254.169.253"]


def test_pairs_of_addresses_are_free() -> None:
    assert free_pair([], 0) == ("198.18.0.1", "198.18.0.2")
    assert free_pair(["198.18.0.1", "198.18.0.5"], 0) == ("198.18.0.9", "198.18.0.10")
    assert free_pair(["198.18.255.253"], 16383) == ("198.18.0.1", "198.18.0.2")


def test_the_machine_can_hold_every_byte_of_a_build_disk() -> None:
    assert disk_size(20 * GIB, 0, 100 * GIB, 200 * GIB) == 20 * GIB
    assert disk_size(20 * GIB, 0, 25 * GIB, 100 * GIB) == 15 * GIB
    assert disk_size(20 * GIB, 10 * GIB, 15 * GIB, 100 * GIB) == 15 * GIB
    with pytest.raises(EngineError, match="too full to build"):
        disk_size(20 * GIB, 0, 10 * GIB, 100 * GIB)


@pytest.mark.parametrize("unified", [True, False])
def test_limits_of_a_control_group(tmp_path: Path, unified: bool) -> None:
    if unified:
        (tmp_path / "cgroup.controllers").touch()
    for controller in ("memory", "pids", "cpu"):
        (tmp_path / controller).mkdir()
    group = Cgroup("ab", str(tmp_path))
    group.create(GIB, 1.5, 2 * GIB)
    written = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    own = "bulkhead-build/ab"
    if unified:
        limits = {"memory.max": str(GIB), "steps/pids.max": "4096", "cpu.max": "150000 100000", "cpu.weight": "50"}
        expected = {f"{own}/{name}": value for name, value in limits.items()}
        expected["bulkhead-build/memory.max"] = str(2 * GIB)
        above = ("", "bulkhead-build/", f"{own}/")
        expected |= {f"{folder}cgroup.subtree_control": "+memory +pids +cpu" for folder in above}
    else:
        expected = {f"memory/{own}/memory.limit_in_bytes": str(GIB), f"pids/{own}/steps/pids.max": "4096"}
        expected[f"cpu/{own}/cpu.cfs_quota_us"] = "150000"
        expected["memory/bulkhead-build/memory.limit_in_bytes"] = str(2 * GIB)
    assert expected.items() <= written.items()
    assert group.steps == f"/{own}/steps"
    assert all(Path(path).parent.is_dir() for path in group.members)
