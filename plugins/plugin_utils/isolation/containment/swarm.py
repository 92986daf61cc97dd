# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a stack file of a swarm may say, where that differs from a Compose file.

``docker stack deploy`` refuses some of Compose's keys and ignores others, of which it names a few. So each of them is
refused here by name. What Bulkhead itself translates (``release/swarm.py``) is in no stack any more when it is judged.
A test compares the table with the grammar of the client.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import checks
from .classes import Class, Entry, bounded, ignored, inside_because, one_of, refused, rows
from .compose import COMPOSE, by_path

_LIMIT = ignored("Set deploy.resources.limits (cpus, memory, pids) instead")
_DEVICES = ignored("Swarm passes on no devices")
_NAMESPACE = ignored("Swarm shares no namespaces between tasks; put both processes into one service, or use a network")
_REST = ignored("Swarm has no such setting of a container. Remove it")
_ADDRESS = ignored("Swarm gives tasks their addresses; use the service's name")
_NODE = refused("a path of one node, and a task may run on any")
_WRITTEN = ignored("Let the service bring the file along (x-bulkhead.files): Bulkhead versions it")

_SERVICE: Mapping[str, Entry] = {
    **rows(_REST, "annotations.* attach blkio_config cgroup cgroup_parent develop dns_opt.[] domainname "
                  "group_add.[] label_file.[] links.[] models provider mac_address oom_kill_disable platform "
                  "privileged runtime storage_opt.* use_api_socket userns_mode pull_refresh_after oom_score_adj "
                  "isolation credential_spec.config credential_spec.file credential_spec.registry "
                  "external_links.[] volumes_from.[]"),
    **rows(_LIMIT, "cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset "
                   "mem_limit mem_reservation mem_swappiness memswap_limit pids_limit"),
    **rows(_DEVICES, "device_cgroup_rules.[] devices gpus"),
    **rows(_NAMESPACE, "ipc network_mode pid uts"),
    **rows(ignored("Swarm runs no hooks. Put the command into bulkhead_prepare or into the image's entrypoint"),
           "post_start pre_stop"),
    "build": ignored("A node runs an image of a registry. Let Bulkhead build it (bulkhead_source_repository)"),
    "container_name": ignored("A task's container has the task's id in its name. Others find the service by its key"),
    "deploy.endpoint_mode": bounded(one_of("vip", "dnsrr"), "vip, dnsrr"),
    "deploy.labels.*": COMPOSE["services.*.labels.*"],
    "deploy.mode": bounded(one_of("replicated", "global"), "replicated, global"),
    "deploy.placement.constraints.[]": inside_because("chooses nodes for the environment's own tasks"),
    "deploy.placement.max_replicas_per_node": inside_because("spreads the environment's own tasks"),
    "deploy.placement.preferences.[].spread": inside_because("spreads the environment's own tasks"),
    "depends_on": ignored("Swarm starts services in no order. Let the service wait, or fail and be started again"),
    "expose": ignored("On an overlay network every port is open to its members. Remove it"),
    "profiles.[]": ignored("Swarm has no profiles. Leave the service out with null"),
    "pull_policy": ignored("A node pulls the image that it lacks. Remove it"),
    "restart": ignored("Set deploy.restart_policy instead"),
    "scale": ignored("Set deploy.replicas instead"),
    "security_opt.[]": ignored("Set no-new-privileges and profiles in each node's daemon.json"),
    "shm_size": ignored("Mount a tmpfs of that size at /dev/shm"),
    "networks.*.driver_opts.*": _REST,
    "networks.*.gw_priority": _REST,
    "networks.*.interface_name": _REST,
    "networks.*.ipv4_address": _ADDRESS,
    "networks.*.ipv6_address": _ADDRESS,
    "networks.*.link_local_ips.[]": _ADDRESS,
    "networks.*.mac_address": _REST,
    "networks.*.priority": _REST,
    "ports.[].app_protocol": _REST,
    "ports.[].host_ip": ignored("A port of a swarm is taken on every address of its nodes"),
    "ports.[].mode": bounded(one_of("ingress", "host"), "ingress, host"),
    "ports.[].name": _REST,
    "ports.[].published": inside_because("a port is claimed: in mode ingress on every node of the swarm"),
    **rows(_NODE, "volumes.[].bind.create_host_path volumes.[].bind.propagation volumes.[].bind.recursive "
                  "volumes.[].bind.selinux"),
    "volumes.[].image.subpath": _REST,
    "volumes.[].source": inside_because("a volume of the same file"),
    "volumes.[].tmpfs.mode": _REST,
    "volumes.[].type": bounded(
        checks.stack_mount, "volume, tmpfs; a bind, which is a path of one node, only of the sockets for its front door"
    ),
    "volumes.[].volume.labels.*": _REST,
    "volumes.[].volume.subpath": _REST,
}  # fmt: skip

_NETWORK: Mapping[str, Entry] = {
    "attachable": bounded(one_of("False", "false"), "false: any container of any node could join"),
    "driver": bounded(one_of("overlay"), "overlay"),
    "driver_opts.*": bounded(checks.overlay_option, "of an overlay: encrypted, mtu"),
    "enable_ipv4": _REST,
    "enable_ipv6": _REST,
    "ipam.config.[].aux_addresses.*": _ADDRESS,
    "ipam.config.[].gateway": _ADDRESS,
    "ipam.config.[].ip_range": _ADDRESS,
}

_VOLUME: Mapping[str, Entry] = {"driver_opts": refused("it mounts what one node has, and a task may run on any")}

_FILE: Mapping[str, Entry] = {
    "content": _WRITTEN,
    "file": Entry(Class.PATH, checks.own_path),
    **rows(refused("another program would decide what it holds"), "driver driver_opts.* template_driver"),
}


def _table() -> dict[str, Entry]:
    changed = by_path(_SERVICE, _NETWORK, _VOLUME, _FILE)
    # An entry for a whole key takes the place of those for its parts.
    kept = {
        path: entry for path, entry in COMPOSE.items() if not any(path.startswith(f"{above}.") for above in changed)
    }
    return {**kept, **changed}


#: The whole table for stacks, by canonical path.
SWARM: Mapping[str, Entry] = _table()

#: The entries in which it differs from that of Compose.
DIFFERS: Mapping[str, Entry] = {path: entry for path, entry in SWARM.items() if COMPOSE.get(path) != entry}
