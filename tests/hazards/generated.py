# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mutants that nobody wrote down: for each key that Compose knows, values that point at another environment, at the
machine, or at a name that anybody may have, and a harmless twin. Each changes staging's stack as it was rendered."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.environments import build_environment
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.classes import Class, Entry
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.compose import COMPOSE
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Environment, Finding, Fleet, Severity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import judge
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules.variables import ELSEWHERE
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.stack import Stack
from hazards.mutants import BOTH, NOBODY, STAGING, Mutant, gate, write

MAIN = "/home/ubuntu/main/ai-ia-backend"
OWN = "/home/ubuntu/staging/ai-ia-backend"
SERVICE = "django_staging"

#: What a name, a path, a text or an image may wrongly be, and whom a finding has to name then; and its twin.
_BY_CLASS: dict[Class, tuple[list[tuple[Any, frozenset[str]]], Any]] = {
    Class.NAME: (
        [("aiia_prod_x", BOTH), ("AIIA-Production", BOTH), ("redis", STAGING), ("aiia_staging/../x", STAGING)],
        "aiia_staging_x",
    ),
    Class.PATH: (
        [(f"{MAIN}/data", BOTH), ("/etc/shadow", STAGING), ("/proc/self/root/srv", STAGING), ("/srv/shared", STAGING)],
        f"{OWN}/data",
    ),
    Class.TEXT: ([("aiia_prod_x", BOTH), (f"{MAIN}/.env", BOTH), ("x aiia-production", BOTH)], "aiia_staging_x"),
    Class.IMAGE: ([("aiia_prod_django:1", BOTH), ("r.example.com/aiia-prod/x:1", BOTH)], "r.example.com/x:1"),
    Class.INSIDE: ([("aiia_prod_x", BOTH), (f"{MAIN}/x", BOTH)], None),
}

_DOMAIN: tuple[list[Any], Any] = (["eduaiia.com", "www.eduaiia.com"], "x.staging.eduaiia.com")
_DEVICE: tuple[list[Any], Any] = ([[{"capabilities": ["gpu"], "count": 1}]], None)
_SIZE: tuple[list[Any], Any] = (["-1", "100T"], "64m")
_FALSE: tuple[list[Any], Any] = ([True], False)
_DATA = "com.docker.network"

#: Of keys that take a value of their own kind: what reaches outside, and a twin. A value of a mapping has its key.
_BY_KEY: dict[str, tuple[list[Any], Any]] = {
    "include": (["more.yml"], None),
    "models": ([{"m": {"model": "x"}}], None),
    "name": (["aiia_prod", "backend"], "aiia_staging"),
    "services.*.annotations.*": ([{"run.oci.hooks": "x"}], None),
    "services.*.blkio_config.weight": ([1000], 100),
    "services.*.blkio_config.weight_device.[].weight": ([1000], 100),
    "services.*.build": ([{"context": "."}], None),
    "services.*.cap_add.[]": (["SYS_ADMIN", "ALL", "NET_RAW"], "CHOWN"),
    "services.*.cgroup": (["host"], "private"),
    "services.*.cpu_count": ([2], None),
    "services.*.cpu_percent": ([50], None),
    "services.*.cpu_quota": ([-1], 50000),
    "services.*.cpu_rt_period": ([1000], None),
    "services.*.cpu_rt_runtime": ([1000], None),
    "services.*.deploy.replicas": ([101], 3),
    "services.*.scale": ([101], 3),
    "services.*.cpu_shares": ([4096], 512),
    "services.*.cpus": ([-1], "0.5"),
    "services.*.deploy.resources.limits.cpus": (["0", "-1"], "0.5"),
    "services.*.deploy.resources.limits.memory": _SIZE,
    "services.*.deploy.resources.limits.pids": ([-1, 0], 100),
    "services.*.deploy.resources.reservations.devices": _DEVICE,
    "services.*.deploy.resources.reservations.generic_resources": (
        [[{"discrete_resource_spec": {"kind": "gpu", "value": 1}}]],
        None,
    ),
    "services.*.deploy.resources.reservations.memory": _SIZE,
    "services.*.develop": ([{"watch": [{"path": MAIN, "action": "sync", "target": "/x"}]}], None),
    "services.*.device_cgroup_rules.[]": (["b *:* rmw"], None),
    "services.*.devices": ([["/dev/sda"]], None),
    "services.*.dns.[]": (["192.168.1.1", "169.254.169.254"], "9.9.9.9"),
    "services.*.dns_search.[]": _DOMAIN,
    "services.*.domainname": _DOMAIN,
    "services.*.external_links.[]": (["aiia_prod_redis"], None),
    "services.*.extra_hosts.[]": (["x=10.0.0.1", "x=host-gateway", "eduaiia.com=8.8.8.8"], "x=8.8.8.8"),
    "services.*.gpus": ([[{"count": -1}]], None),
    "services.*.hostname": _DOMAIN,
    "services.*.ipc": (["host", "container:aiia_prod_db"], "private"),
    "services.*.isolation": (["process"], None),
    "services.*.label_file.[]": (["./labels"], None),
    "services.*.labels.*": (
        [
            {"traefik.http.routers.aiia_prod.rule": "Host(`x.staging.eduaiia.com`)"},
            {"traefik.http.routers.aiia_staging.rule": "Host(`eduaiia.com`)"},
            {"traefik.http.routers.web.rule": "Host(`staging.eduaiia.com`)"},
            {"traefik.http.routers.aiia_staging.rule": "Host(`staging.eduaiia.com`) || PathPrefix(`/api`)"},
            {"traefik.udp.routers.aiia_staging.entrypoints": "dns"},
            {"caddy": "shop.example.org"},
            {"ofelia.job-run.x.volume": "/:/host"},
            {"x": "aiia_prod"},
        ],
        {"traefik.http.routers.aiia_staging.rule": "Host(`staging.eduaiia.com`)"},
    ),
    "services.*.links.[]": (["elsewhere"], "redis"),
    "services.*.logging.driver": (["syslog", "gelf"], "local"),
    "services.*.logging.options.*": (
        [{"tag": "x"}, {"syslog-address": "udp://10.0.0.1"}],
        {"max-size": "1m", "mode": "non-blocking", "max-buffer-size": "4m", "tag": "{{.Name}}"},
    ),
    "services.*.mem_limit": _SIZE,
    "services.*.mem_reservation": _SIZE,
    "services.*.memswap_limit": _SIZE,
    "services.*.models": ([["m"]], None),
    "services.*.network_mode": (["host", "aiia_prod_network", "container:aiia_prod_db"], "none"),
    "services.*.networks.*.driver_opts.*": ([{"x": "y"}], None),
    "services.*.networks.*.link_local_ips.[]": (["169.254.8.8"], None),
    "services.*.oom_kill_disable": _FALSE,
    "services.*.oom_score_adj": ([-900, 1001], 300),
    "services.*.pid": (["host", "container:aiia_prod_db"], "service:redis"),
    "services.*.pids_limit": ([-1, 100000], 100),
    "services.*.post_start.[].privileged": _FALSE,
    "services.*.pre_stop.[].privileged": _FALSE,
    "services.*.privileged": _FALSE,
    "services.*.provider": ([{"type": "x"}], None),
    "services.*.runtime": (["sysbox-runc", "kata"], "runc"),
    "services.*.security_opt.[]": (["seccomp=x.json", "apparmor:unconfined"], "no-new-privileges:true"),
    "services.*.shm_size": _SIZE,
    "services.*.storage_opt.*": ([{"overlay2.override_kernel_check": "true"}], {"size": "1G"}),
    "services.*.sysctls.*": (
        [{"kernel.panic": "1"}, {"vm.swappiness": "1"}, {"net.netfilter.nf_conntrack_max": "1"}],
        {"net.core.somaxconn": "1024"},
    ),
    "services.*.ulimits.*": ([{"rtprio": 99}, {"nproc": -1}, {"nproc": {"soft": 100, "hard": -1}}], {"nofile": 1024}),
    "services.*.use_api_socket": _FALSE,
    "services.*.userns_mode": (["host"], ""),
    "services.*.uts": (["host"], ""),
    "services.*.volumes.[].bind.propagation": (["rshared", "shared"], "rprivate"),
    "services.*.volumes.[].type": (["npipe", "cluster"], "bind"),
    "services.*.volumes_from.[]": (["container:aiia_prod_db", "elsewhere"], "redis"),
    "networks.*.attachable": _FALSE,
    "networks.*.driver": (["macvlan", "ipvlan", "overlay", "host"], "bridge"),
    "networks.*.driver_opts.*": (
        [{"parent": "eth0"}, {f"{_DATA}.bridge.name": "br-app"}, {f"{_DATA}.bridge.name": "aiia_prod"}],
        {f"{_DATA}.driver.mtu": "1400"},
    ),
    "networks.*.ipam.config.[].subnet": (
        ["8.8.8.0/24", "172.17.0.0/16", "169.254.169.0/24", "10.0.0.0/8", "192.168.0.0/16", "fd00::/8"],
        "10.77.0.0/16",
    ),
    "networks.*.ipam.driver": (["dhcp"], "default"),
    "networks.*.ipam.options.*": ([{"x": "y"}], None),
    "volumes.*.driver": (["rclone", "vieux/sshfs"], "local"),
    "volumes.*.driver_opts": (
        [
            {"type": "none", "o": "rbind", "device": MAIN},
            {"type": "nfs", "o": "addr=10.0.0.1", "device": ":/x"},
            {"type": "ext4", "device": "/dev/sda1"},
            {"type": "tmpfs", "o": "bind", "device": MAIN},
            {"type": "none", "o": "bind,rshared", "device": f"{OWN}/data"},
            {"type": "overlay", "o": f"lowerdir={MAIN}", "device": "overlay"},
        ],
        {"type": "none", "o": "bind", "device": f"{OWN}/data"},
    ),
    **{
        f"{section}.*.{key}": (["x" if not key.endswith("*") else {"x": "y"}], None)
        for section in ("secrets", "configs")
        for key in ("driver", "driver_opts.*", "environment", "template_driver")
    },
    **{f"services.*.credential_spec.{key}": (["x"], None) for key in ("config", "file", "registry")},
}

_TYPED = "a switch, which Compose refuses to be a text"
#: Keys without mutants, with the reason.
LEFT_OUT = {
    "version": "Compose ignores it",
    "networks.*.ipam.options.*": "Compose ignores it",
    "services.*.healthcheck.disable": _TYPED,
    "networks.*.internal": _TYPED,
    **{f"{section}.*.external": _TYPED for section in ("networks", "volumes", "secrets", "configs")},
}

#: What must stand beside a key, so that Compose takes it.
_BESIDE: dict[str, dict[str, Any]] = {
    "services.*.configs.[]": {"source": "own"},
    "services.*.secrets.[]": {"source": "own"},
    "services.*.ports.[]": {"target": 80, "published": "8999"},
    "services.*.volumes.[]": {"type": "bind", "source": f"{OWN}/data", "target": "/x"},
    "services.*.blkio_config.weight_device.[]": {"path": "/dev/x", "weight": 100},
    "services.*.post_start.[]": {"command": ["x"]},
    "services.*.pre_stop.[]": {"command": ["x"]},
    "secrets.*": {"name": "aiia_staging_x"},
    "configs.*": {"name": "aiia_staging_x"},
    "volumes.*": {"name": "aiia_staging_x"},
    "networks.*": {"name": "aiia_staging_x"},
}

#: Of a key whose value is also taken for another, the other.
_ALIASES = {"source": {"target"}}

#: What stands for a free name.
_FREE = {"services": SERVICE, "networks": "default", "depends_on": "redis"}


@dataclass(frozen=True)
class Generated:
    """A value of one key of staging's stack, and whom a finding has to name."""

    path: str
    value: Any
    refused: frozenset[str]

    def named_by(self, finding: Finding) -> bool:
        """Whether a finding names whom it has to name, and the key."""
        said = " ".join((finding.resource, finding.message, *map(str, finding.where)))
        names = [part for part in self.path.split(".") if part not in ("*", "[]")]
        # A setting of a wrong type is refused before anybody asks whose name it carries.
        needed = STAGING if finding.rule == "not-compose" else self.refused
        # What an entry of a list is called by stands for all of the entry, and Compose's own words for a part.
        known = {names[-1], names[1] if finding.rule == "not-compose" and len(names) > 1 else names[-1]}
        return needed <= set(finding.environments) and any(
            name in said for name in known | _ALIASES.get(names[-1], set())
        )

    @property
    def title(self) -> str:
        """A line for people."""
        return f"{self.path}: {self.value}"


def generated() -> Iterator[Generated]:
    """Every mutant and twin."""
    for path, entry in COMPOSE.items():
        if path in LEFT_OUT:
            continue
        bad, twin = _values(path, entry)
        for value, refused in bad:
            yield Generated(path, value, refused)
        if twin is not None:
            yield Generated(path, twin, NOBODY)


def _values(path: str, entry: Entry) -> tuple[list[tuple[Any, frozenset[str]]], Any]:
    if path in _BY_KEY:
        bad, twin = _BY_KEY[path]
        return [(value, BOTH if _names_production(value) else STAGING) for value in bad], twin
    if entry.kind in (Class.BOUNDED, Class.REFUSED, Class.ADDRESS):
        raise KeyError(f"{path} needs values here: what is refused, and what is not")
    bad, twin = _BY_CLASS[entry.kind]
    if path.endswith(".*"):
        return [({"x": value}, refused) for value, refused in bad], {"x": twin} if twin is not None else None
    if path == "services.*.env_file.[]":
        return bad, ".env"
    if path.endswith("healthcheck.test.[]"):
        return bad, "NONE"
    return bad, twin


def _names_production(value: Any) -> bool:
    text = str(value)
    return (
        "aiia_prod" in text
        or MAIN in text
        or "'eduaiia.com" in repr(value)
        or "`eduaiia.com" in text
        or (text.startswith(("eduaiia.com", "www.eduaiia.com")))
    )


class Harness:
    """The fleet of production and staging, of which staging is rebuilt with another stack."""

    def __init__(self, gate: Any) -> None:
        self._declaration = next(item for item in gate.declarations if item.prefix == "aiia_staging")
        self._release = gate.render(self._declaration)
        self.staging: Environment = next(item for item in gate.fleet.environments if item.prefix == "aiia_staging")
        self._production = next(item for item in gate.fleet.environments if item.prefix == "aiia_prod")

    @property
    def stack(self) -> Mapping[str, Any]:
        """Staging's stack, unchanged."""
        found: Mapping[str, Any] = self._release.stack.compose
        return found

    def judged(self, mutant: Generated) -> list[Finding]:
        """The findings of medium severity and above on the changed fleet."""
        compose = changed(self.stack, mutant.path, mutant.value)
        release = replace(self._release, stack=Stack(compose, self._release.stack.services))
        return self.findings(build_environment(self._declaration, release))

    def findings(self, staging: Environment) -> list[Finding]:
        """The findings of medium severity and above with another staging."""
        return [finding for finding in judge(Fleet((self._production, staging))) if finding.severity >= Severity.MEDIUM]


def harness_in(folder: Path) -> Harness:
    """The clean inventory's fleet, written to a folder."""
    found = gate(write(Mutant("clean", NOBODY), folder), folder)
    found.prove(deploying=False)
    return Harness(found)


def unexpected(harness: Harness, mutant: Generated) -> str:
    """What is wrong with the verdict on a mutant; empty if nothing is."""
    found = harness.judged(mutant)
    said = "; ".join(f"{finding.rule} {', '.join(finding.environments)}: {finding.message}" for finding in found)
    if mutant.refused and not any(mutant.named_by(finding) for finding in found):
        return f"{mutant.title}: nothing refuses it for {', '.join(sorted(mutant.refused))}; found: {said}"
    return f"{mutant.title}: refused, and it harms nobody: {said}" if found and not mutant.refused else ""


def in_variables(harness: Harness) -> Iterator[tuple[str, str, bool]]:
    """Yield, for each variable that is searched, texts that are production's, and whether they are refused for both;
    and a text that is staging's own, and whether it is not."""
    staging = harness.staging
    for name in sorted(staging.variables.keys() - ELSEWHERE):
        for value in ("aiia_prod_x", "aiia-production", f"{MAIN}/x", "https://eduaiia.com/x"):
            found = harness.findings(replace(staging, variables={**staging.variables, name: value}))
            hits = [item for item in found if item.rule == "foreign-variable" and item.resource == name]
            yield name, value, any(set(item.environments) >= BOTH for item in hits)
        own = harness.findings(replace(staging, variables={**staging.variables, name: "aiia_staging_x"}))
        yield name, "aiia_staging_x", not any(item.rule == "foreign-variable" for item in own)


def changed(stack: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of a stack with a value at a path of the table. A last ``*`` takes a mapping."""
    compose: dict[str, Any] = copy.deepcopy(dict(stack))
    for section in ("secrets", "configs"):
        compose.setdefault(section, {})["own"] = {"name": f"aiia_staging_{section}", "file": f"{OWN}/data"}
    parts = path.split(".")
    if parts[-1] == "*":
        parts.pop()
    node: Any = compose
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        known = ".".join(parts[: number + 1])
        below: Any = value if last else copy.deepcopy(_BESIDE.get(known, {}))
        if not last and parts[number + 1] == "[]":
            below = []
        if part == "[]":
            node.append(below)
            node = below
        elif last:
            node[name_for(part, parts[:number])] = below
        else:
            name = name_for(part, parts[:number])
            if part == "*" and parts[0] not in ("services", "networks") and number == 1:
                name = "own"
            if isinstance(below, list) or not isinstance(node.get(name), dict):
                node[name] = below
            node = node[name]
    if parts[2:3] == ["network_mode"]:
        compose["services"][SERVICE].pop("networks", None)
    return compose


def name_for(part: str, before: list[str]) -> str:
    """The name at a place where any may stand."""
    return _FREE.get(before[-1], "x") if part == "*" else part
