# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of what a stack may say covers Compose's whole grammar: that of the installed Compose, which has it
embedded, and that of a newer one. What Compose accepts for each key is what our reader reads."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.compose import COMPOSE
from differential.test_compose import ask_compose, comparable, compose_command, read_ourselves, without_extensions
from stages.progress import REPORT

_MARK = b'compose_spec.json"'
#: Short forms, which the canonical form does not have, and keys that are read before it is made.
_NOT_CANONICAL = (
    "version",
    "include",
    "services.*.extends",
    "services.*.depends_on.[]",
    "services.*.networks.[]",
    "services.*.extra_hosts.*",
    "*.labels.[]",
    "*.environment.[]",
    "services.*.annotations.[]",
    "services.*.sysctls.[]",
)


def binary() -> Path | None:
    """The Compose plugin of the installed Docker."""
    if not shutil.which("docker"):
        return None
    command = ["docker", "info", "--format", "{{range .ClientInfo.Plugins}}{{.Name}} {{.Path}}\n{{end}}"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split("\n")
    return next((Path(line.split(" ", 1)[1]) for line in found if line.startswith("compose ")), None)


@cache
def schema() -> dict[str, Any]:
    """The JSON schema inside of the plugin."""
    path = binary()
    if path is None:
        pytest.skip("no Compose plugin is installed")
    data = path.read_bytes()
    start = data.rfind(b"{", 0, data.index(_MARK))
    found: dict[str, Any] = json.JSONDecoder().raw_decode(data[start : start + 400_000].decode("utf-8", "ignore"))[0]
    return found


def paths(node: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the path of every leaf of the grammar."""
    if "$ref" in node:
        yield from paths(schema()["definitions"][node["$ref"].rpartition("/")[2]], path)
        return
    choices = node.get("oneOf") or node.get("anyOf")
    if choices:
        for choice in choices:
            yield from paths(choice, path)
        return
    kinds = node.get("type")
    if kinds == "array":
        yield from paths(node.get("items", {}), (*path, "[]"))
        return
    named: dict[str, Any] = node.get("properties", {})
    free = [below for pattern, below in node.get("patternProperties", {}).items() if pattern != "^x-"]
    if isinstance(node.get("additionalProperties"), dict):
        free.append(node["additionalProperties"])
    if not named and not free:
        yield ".".join((*path, "*") if kinds == "object" else path)
    for key, below in named.items():
        yield from paths(below, (*path, key))
    for below in free:
        yield from paths(below, (*path, "*"))


def covered(path: str) -> bool:
    """Whether an entry stands at the path, or above or below it."""
    parts = path.split(".")
    above = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return bool(above & COMPOSE.keys()) or any(entry.startswith(f"{path}.") for entry in COMPOSE)


def canonical(path: str) -> bool:
    """Whether the canonical form can hold the path."""
    return not any(
        path == form or path.startswith(f"{form}.") or (form.startswith("*.") and path.endswith(form[1:]))
        for form in _NOT_CANONICAL
    )


def test_no_key_is_forgotten() -> None:
    """Every leaf of the grammar has a class."""
    found = sorted(set(paths(schema())))
    assert len(found) > 300
    assert [path for path in found if canonical(path) and not covered(path)] == []


#: What the Compose specification of June 2026 has, and Compose 2.26.1 has not.
NEWER = """
    models.*.context_size models.*.model models.*.name models.*.runtime_flags.[] services.*.build.provenance
    services.*.build.sbom services.*.develop.watch.[].ignore services.*.develop.watch.[].include
    services.*.develop.watch.[].include.[] services.*.develop.watch.[].initial_sync services.*.models.*.endpoint_var
    services.*.models.*.model_var services.*.models.[] services.*.networks.*.interface_name
    services.*.provider.options.* services.*.provider.options.*.[] services.*.provider.type
    services.*.pull_refresh_after services.*.use_api_socket services.*.volumes.[].image.subpath
    services.*.volumes.[].volume.labels.* services.*.volumes.[].volume.labels.[]
"""


def test_no_newer_key_is_forgotten() -> None:
    """Nor is one of a newer Compose."""
    assert [path for path in NEWER.split() if canonical(path) and not covered(path)] == []


#: A value for a text that Compose takes a number, an amount or a word of its own for.
VALUES = {
    "cgroup": "private", "condition": "service_started", "cpu_rt_period": 9500, "cpu_rt_runtime": 1000,
    "credential_spec": {"file": "x.json"}, "deploy.resources.limits.memory": "64m", "driver": "local",
    "deploy.resources.reservations.memory": "64m", "expose.[]": "80", "external_links.[]": "x:y",
    "extra_hosts.[]": "x=8.8.8.8", "extra_hosts.*": "8.8.8.8", "ipv4_address": "10.1.2.3", "ipv6_address": "fd00::2",
    "isolation": "default", "link_local_ips.[]": "169.254.8.8", "links.[]": "base", "mac_address": "02:42:ac:11:65:43",
    "mem_limit": "64m", "mem_reservation": "64m", "mem_swappiness": 10, "memswap_limit": "64m",
    "network_mode": "none", "pid": "host", "ports.[]": "8999:80", "pull_policy": "always", "rate": "1024",
    "selinux": "z", "shm_size": "64m", "size": "64m", "start_interval": "1s", "start_period": "1s",
    "stop_grace_period": "1s", "subnet": "10.1.0.0/24", "sysctls.[]": "net.core.somaxconn=1", "test": ["NONE"],
    "timeout": "1s", "interval": "1s", "delay": "1s", "monitor": "1s", "window": "1s", "published": "8999",
    "type": "volume", "ulimits.*": 1024, "volumes.[]": "/x", "tmpfs.[]": "/x", "tmpfs": "/x", "max_failure_ratio": 0.5,
    "gateway": "10.1.0.1", "ip_range": "10.1.0.0/25", "userns_mode": "host", "ipc": "private", "uts": "host",
    "annotations.[]": "x=y", "environment.[]": "X=y", "labels.[]": "x=y", "devices.[]": "/dev/null:/dev/null",
    "device_cgroup_rules.[]": "c 1:3 mr", "volumes_from.[]": "base", "depends_on.[]": "base", "test.[]": "NONE",
    "order": "stop-first", "recursive": "enabled", "platform": "linux/amd64", "restart": "always",
}  # fmt: skip
#: What stands beside a key, or in its place where it takes more than one.
BESIDE = {
    "blkio_config.device_read_bps": [{"path": "/dev/x", "rate": "1024"}],
    "blkio_config.device_read_iops": [{"path": "/dev/x", "rate": 1024}],
    "blkio_config.device_write_bps": [{"path": "/dev/x", "rate": "1024"}],
    "blkio_config.device_write_iops": [{"path": "/dev/x", "rate": 1024}],
    "blkio_config.weight_device": [{"path": "/dev/x", "weight": 100}],
    "depends_on.*": {"condition": "service_started"},
    "depends_on.*.restart": True,
    "devices.[]": {"source": "/dev/null", "target": "/dev/null", "permissions": "r"},
    "post_start.[]": {"command": "x y"},
    "pre_stop.[]": {"command": "x y"},
    "healthcheck": {"test": ["CMD", "x"]},
    "ports.[]": {"target": 80},
    "ulimits.*": {"soft": 10, "hard": 20},
    "volumes.[]": {"type": "volume", "target": "/x"},
    "logging": {"driver": "local"},
}
#: Keys that name what another part of the file has, or a file, and have projects of their own in ``projects``.
ELSEWHERE = re.compile(
    r"build|configs|secrets|develop|env_file|extends|label_file|credential_spec|networks|gpus|volumes\.\[\]\.(?:source|cluster)"
    r"|deploy\.resources\.reservations\.(?:devices|generic)|deploy\.placement\.max|deploy\.resources\.limits\.pids"
)


def one_by_one() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield, for each key of a service, a service that has only that one, in each of its forms."""
    for path in sorted(set(paths(schema()))):
        below = path.removeprefix("services.*.")
        if (
            below != path
            and below.partition(".")[0] not in ("image", "profiles", "scale")
            and not ELSEWHERE.match(below)
        ):
            yield path, with_value(below)


def with_value(below: str) -> dict[str, Any]:
    """A service with a value at a path."""
    service: dict[str, Any] = {"image": "x"}
    node: Any = service
    parts = below.split(".")
    for number, part in enumerate(parts):
        known = ".".join(parts[: number + 1])
        last = number == len(parts) - 1
        below_it: Any = (
            VALUES.get(known, VALUES.get(".".join(parts[-2:]), VALUES.get(part, kind(below)))) if last else {}
        )
        if known in BESIDE:
            below_it = copy.deepcopy(BESIDE[known])
        elif not last and parts[number + 1] == "[]":
            below_it = []
        if part == "[]":
            node.append(below_it)
        else:
            name = (
                ("base" if parts[0] == "depends_on" else "nofile" if parts[0] == "ulimits" else "x")
                if part == "*"
                else part
            )
            if last and isinstance(node.get(name), (str, int, float)):
                return service
            node[name] = below_it
        if last or (known in BESIDE and isinstance(below_it, list)):
            return service
        node = below_it
    return service


def kind(below: str) -> Any:
    """A value of the type that the grammar gives a key."""
    node: Any = schema()["definitions"]["service"]
    for part in below.split("."):
        node = step(node, part)
    kinds = node.get("type") or [choice.get("type") for choice in node.get("oneOf", ())]
    kinds = kinds if isinstance(kinds, list) else [kinds]
    given = {"boolean": True, "integer": 1, "number": 1, "string": "x", "array": ["x"]}
    return next((value for name, value in given.items() if name in kinds), "x")


def step(node: dict[str, Any], part: str) -> dict[str, Any]:
    """One step down in the grammar."""
    for choice in flat(node):
        if part == "[]" and "items" in choice:
            return resolved(choice["items"])
        if part in choice.get("properties", {}):
            return resolved(choice["properties"][part])
        free = [below for pattern, below in choice.get("patternProperties", {}).items() if pattern != "^x-"]
        if part == "*" and free:
            return resolved(free[0])
        if part == "*" and isinstance(choice.get("additionalProperties"), dict):
            return resolved(choice["additionalProperties"])
    return {}


def flat(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A node, and the forms that it may take."""
    node = resolved(node)
    yield node
    for choice in (*node.get("oneOf", ()), *node.get("anyOf", ())):
        yield from flat(choice)


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """What a reference stands for."""
    found: dict[str, Any] = schema()["definitions"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    return found


def spelled_as_written(services: dict[str, Any]) -> dict[str, Any]:
    """The limits of devices as a file spells them: Compose prints ``Path`` and ``Rate``, and each rate as a text."""
    for service in services.values():
        for key, limits in service.get("blkio_config", {}).items():
            if isinstance(limits, list):
                service["blkio_config"][key] = [
                    {name.lower(): str(value) for name, value in limit.items()} for limit in limits
                ]
    return services


def test_each_key_is_read_as_compose_does(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """One service for each key that Compose knows, in one file, read by Compose and by us."""
    if not compose_command():
        pytest.skip("no Docker Compose v2 on this machine: `docker compose version` does not answer")
    keys = {f"s{number}": key for number, key in enumerate(one_by_one())}
    file = tmp_path / "docker-compose.yml"
    services = {name: service for name, (_path, service) in keys.items()}
    file.write_text(json.dumps({"name": "grammar", "services": {**services, "base": {"image": "x"}}}), encoding="utf-8")
    asked = ask_compose([file], tmp_path, tmp_path)
    assert asked.returncode == 0, asked.stderr
    theirs = spelled_as_written(without_extensions(json.loads(asked.stdout))["services"])
    ours = spelled_as_written(comparable(read_ourselves([file], tmp_path, tmp_path), "")["services"])
    different = [
        (path, theirs[name], ours[name]) for name, (path, _service) in keys.items() if theirs[name] != ours[name]
    ]
    record_property(
        REPORT, f"keys of Compose: {len(keys) - len(different)} of {len(keys)} are read as Compose reads them"
    )
    assert different == []
    assert len(keys) > 130


def test_what_is_new_would_be_seen() -> None:
    """The control: a key that the table lacks is one that is not covered."""
    assert not covered("services.*.teleport")
    assert not covered("networks.*.teleport.to")
    assert covered("services.*.build.context")
