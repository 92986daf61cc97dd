# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of Compose's keys: complete, and each value that reaches outside refused beside one that does not."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.boundary import Boundary
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.compose import COMPOSE
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.walk import outside as found_outside
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.compose.project import canonical_mapping
from unit.plugin_utils.isolation.containment.containment_page import PAGE, with_table

HOME = "/srv/aiia_staging"
OWN = Boundary(
    "aiia_staging",
    HOME,
    ("staging.example.com",),
    {"network": frozenset({"monitoring"}), "path": frozenset({"/srv/shared"}), "volume": frozenset({"fonts"})},
    frozenset({"web", "db"}),
)


def outside(model: dict[str, Any]) -> list[str]:
    """The keys of a model that are not contained."""
    project = canonical_mapping({"name": "aiia_staging", **model}, directory=HOME, file="stack.yml", env_files={})
    return [leaf.key for leaf in found_outside(project, OWN)]


def service(**keys: Any) -> dict[str, Any]:
    """A model of two services, of which one has these keys."""
    base = {"image": "app:1", "container_name": "aiia_staging_web"}
    networks = {"default": {"name": "aiia_staging_network"}}
    return {"services": {"web": {**base, **keys}, "db": {"image": "db:1"}}, "networks": networks}


# Of each key a value that reaches outside, and one that does not.
SERVICES: list[tuple[str, Any, Any]] = [
    ("annotations", {"run.oci.hooks": "x"}, None),
    ("blkio_config", {"weight": 1000}, {"weight": 300}),
    ("build", {"context": "."}, None),
    ("cap_add", ["SYS_ADMIN"], ["CHOWN"]),
    ("cap_add", ["MKNOD"], ["CAP_KILL"]),
    ("cap_add", ["NET_RAW"], ["NET_BIND_SERVICE"]),
    ("cgroup", "host", "private"),
    ("cgroup_parent", "aiia_prod", "aiia_staging"),
    ("cgroup_parent", "aiia_stagingx", "aiia_staging-batch"),
    ("container_name", "redis", "aiia_staging_redis"),
    ("container_name", "aiia_production_redis", "aiia_staging"),
    ("cpu_shares", 4096, 512),
    ("cpu_rt_runtime", 1000, None),
    ("deploy", {"resources": {"reservations": {"devices": [{"capabilities": ["gpu"]}]}}}, {"replicas": 2}),
    ("deploy", {"resources": {"limits": {"memory": "100T"}}}, {"resources": {"limits": {"memory": "1G"}}}),
    ("deploy", {"resources": {"limits": {"pids": -1}}}, {"resources": {"limits": {"pids": 100}}}),
    ("develop", {"watch": [{"path": "/srv/aiia_prod", "action": "sync", "target": "/x"}]}, None),
    ("device_cgroup_rules", ["b *:* rmw"], None),
    ("devices", ["/dev/sda"], None),
    ("dns", ["192.168.1.1"], ["9.9.9.9"]),
    ("dns", ["169.254.169.254"], None),
    ("dns_search", ["example.com"], ["staging.example.com"]),
    ("domainname", "example.com", "staging.example.com"),
    ("env_file", ["/srv/aiia_prod/.env"], None),
    ("external_links", ["aiia_prod_redis"], None),
    ("extra_hosts", ["example.com=10.1.2.3"], ["api.stripe.com=8.8.8.8"]),
    ("extra_hosts", ["up=host-gateway"], None),
    ("gpus", "all", None),
    ("hostname", "www.example.com", "rabbit"),
    ("ipc", "host", "private"),
    ("ipc", "container:aiia_prod_db", "service:db"),
    ("isolation", "process", None),
    ("label_file", ["labels"], None),
    ("links", ["elsewhere"], ["db"]),
    ("logging", {"driver": "syslog"}, {"driver": "local", "options": {"max-size": "1m"}}),
    ("logging", {"driver": "json-file", "options": {"tag": "aiia_prod"}}, {"driver": "none"}),
    ("mem_limit", -1, "1g"),
    ("memswap_limit", -1, "1g"),
    ("network_mode", "host", "none"),
    ("network_mode", "aiia_prod_network", "service:db"),
    ("network_mode", "container:aiia_prod_web", None),
    ("networks", {"default": {"link_local_ips": ["169.254.8.8"]}}, {"default": {"aliases": ["web"]}}),
    ("networks", {"default": {"driver_opts": {"com.docker.network.endpoint.sysctls": "x"}}}, None),
    ("oom_kill_disable", True, None),
    ("oom_score_adj", -900, 300),
    ("pid", "host", "service:db"),
    ("pids_limit", -1, 200),
    ("post_start", [{"command": "x", "privileged": True}], [{"command": "x", "user": "root"}]),
    ("pre_stop", [{"command": "x", "privileged": True}], [{"command": "x"}]),
    ("privileged", True, None),
    ("provider", {"type": "x"}, None),
    ("runtime", "sysbox-runc", "runc"),
    ("security_opt", ["seccomp=/tmp/profile.json"], ["no-new-privileges=true"]),
    ("security_opt", ["apparmor:unconfined"], ["no-new-privileges"]),
    ("storage_opt", {"overlay2.override": "x"}, {"size": "1G"}),
    ("sysctls", {"kernel.panic": "1"}, {"net.core.somaxconn": "1024"}),
    ("sysctls", {"vm.overcommit_memory": "1"}, {"kernel.shmmax": "1"}),
    ("ulimits", {"rtprio": 99}, {"nofile": {"soft": 1000, "hard": 2000}}),
    ("use_api_socket", True, None),
    ("userns_mode", "host", None),
    ("uts", "host", None),
    ("volumes", ["/etc/letsencrypt:/tls:ro"], ["/etc/letsencrypt/live/staging.example.com:/tls:ro"]),
    ("volumes", ["/etc/letsencrypt/live/example.com:/tls:ro"], ["/srv/shared:/shared"]),
    ("volumes", ["/tmp:/tmp"], ["./data:/data"]),
    ("volumes", ["/proc/self/root/srv/aiia_prod:/x"], ["/etc/localtime:/etc/localtime:ro"]),
    ("volumes", ["../aiia_prod/data:/x"], ["data:/data"]),
    ("volumes", ["/etc/localtime:/etc/localtime"], None),
    ("volumes", ["/srv/aiia_staging2:/x"], ["/srv/aiia_staging/x:/x"]),
    ("volumes", [{"type": "npipe", "source": "x", "target": "/x"}], [{"type": "tmpfs", "target": "/x"}]),
    (
        "volumes",
        [{"type": "bind", "source": "./a", "target": "/a", "bind": {"propagation": "rshared"}}],
        [{"type": "bind", "source": "./a", "target": "/a", "bind": {"propagation": "rprivate"}}],
    ),
    ("volumes_from", ["container:aiia_prod_web"], ["db:ro"]),
]


@pytest.mark.parametrize(("key", "bad", "good"), SERVICES, ids=lambda value: str(value)[:40])
def test_service(key: str, bad: Any, good: Any) -> None:
    """What reaches outside is refused under its own key, and what is like it but stays inside is not."""
    volumes = {"volumes": {"data": {"name": "aiia_staging_data"}}}
    assert [found.partition(".")[0] for found in outside({**service(**{key: bad}), **volumes})] == [key]
    if good is not None:
        assert outside({**service(**{key: good}), **volumes}) == []


RESOURCES: list[tuple[str, Any, Any]] = [
    ("networks", {"name": "shared"}, {"name": "aiia_staging_data"}),
    ("networks", {"name": "traefik", "external": True}, {"name": "monitoring", "external": True}),
    ("networks", {"driver": "macvlan"}, {"driver": "bridge"}),
    ("networks", {"driver_opts": {"parent": "eth0"}}, {"driver_opts": {"com.docker.network.driver.mtu": "1400"}}),
    ("networks", {"driver_opts": {"com.docker.network.bridge.name": "br-prod"}}, None),
    ("networks", {"driver_opts": {"com.docker.network.bridge.gateway_mode_ipv4": "routed"}}, None),
    ("networks", {"ipam": {"config": [{"subnet": "8.8.8.0/24"}]}}, {"ipam": {"config": [{"subnet": "10.5.0.0/24"}]}}),
    ("networks", {"ipam": {"config": [{"subnet": "172.17.0.0/16"}]}}, None),
    ("networks", {"ipam": {"config": [{"subnet": "0.0.0.0/0"}]}}, {"ipam": {"config": [{"subnet": "fd12::/64"}]}}),
    ("networks", {"ipam": {"config": [{"subnet": "169.254.169.0/24"}]}}, None),
    ("networks", {"attachable": True}, {"internal": True}),
    ("volumes", {"name": "pgdata"}, {"name": "aiia_staging_x"}),
    ("volumes", {"name": "other", "external": True}, {"name": "fonts", "external": True}),
    ("volumes", {"driver": "rclone"}, {"driver": "local"}),
    (
        "volumes",
        {"driver_opts": {"type": "none", "o": "rbind", "device": "/srv/aiia_prod"}},
        {"driver_opts": {"type": "none", "o": "bind", "device": f"{HOME}/data"}},
    ),
    ("volumes", {"driver_opts": {"o": "bind,ro", "device": "/etc"}}, {"driver_opts": {"type": "tmpfs"}}),
    ("volumes", {"driver_opts": {"type": "nfs", "o": "addr=10.0.0.1", "device": ":/x"}}, None),
    ("volumes", {"driver_opts": {"type": "overlay", "o": "lowerdir=/srv/aiia_prod", "device": "overlay"}}, None),
    ("volumes", {"driver_opts": {"type": "ext4", "device": "/dev/sda1"}}, None),
    ("secrets", {"file": "/srv/aiia_prod/key"}, {"file": "./key"}),
    ("secrets", {"environment": "HOME"}, {"file": f"{HOME}/key"}),
    ("secrets", {"file": "./key", "name": "key"}, None),
    ("configs", {"file": "/etc/shadow"}, {"content": "x"}),
]


@pytest.mark.parametrize(("section", "bad", "good"), RESOURCES, ids=lambda value: str(value)[:60])
def test_resource(section: str, bad: Any, good: Any) -> None:
    """The same for networks, volumes, secrets and configs."""
    named = {"name": f"aiia_staging_{section}"}
    assert len(outside({**service(), section: {"one": {**named, **bad}}})) == 1
    if good is not None:
        assert outside({**service(), section: {"one": {**named, **good}}}) == []


def test_every_class_is_explained() -> None:
    """What is bounded or refused says up to what, or why."""
    assert [
        path for path, entry in COMPOSE.items() if entry.kind.name in ("BOUNDED", "REFUSED") and not entry.note
    ] == []


def test_the_page_is_not_stale() -> None:
    """`.venv/bin/python tests/unit/plugin_utils/isolation/containment/containment_page.py` writes its table anew."""
    text = PAGE.read_text(encoding="utf-8")
    assert text == with_table(text)
