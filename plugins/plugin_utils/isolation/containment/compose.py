# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a stack may say: the class of every key of Compose, in the form that `docker compose config` prints.

``*`` stands for any name, ``[]`` for the entries of a list. Of a mapping with free keys, such as ``sysctls``, the
check gets ``key=value``. A key that is not here is refused. A test compares the table with Compose's own grammar.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import checks, labels
from .classes import INSIDE, TEXT, Class, Entry, at_most, bounded, inside_because, one_of, refused

_MEMORY = bounded(checks.size, "1 byte to 1 TiB")
_REPLICAS = bounded(at_most(100), "at most 100: each of them takes memory and processes of the machine")
_REALTIME = refused("real-time scheduling takes the processor from every other container")
_DEVICES = refused("a device belongs to the machine, and to whoever uses it besides")
_WINDOWS = refused("only engines on Windows know it")
_LABELS = Entry(
    Class.TEXT,
    labels.label,
    "Traefik's names begin with the prefix, its and Caddy's hosts are own domains, and no job runs on the machine",
)
_SWARM = inside_because("a single engine ignores it")
_MODELS = refused("a model runs outside of the environment's containers")
_HOOK = {
    "command": TEXT,
    "user": INSIDE,
    "privileged": bounded(one_of("False", "false"), "false"),
    "working_dir": INSIDE,
    "environment.*": TEXT,
}


def _own(kind: str) -> Entry:
    return Entry(Class.NAME, checks.own_name(kind), "begins with the prefix")


_NOT_BUILT = refused(
    "a deployment builds no service: it runs the image that was built from the source, or one that is named"
)

_SERVICE: Mapping[str, Entry] = {
    "annotations.*": refused("annotations speak to the container runtime, which runs hooks as root"),
    "attach": INSIDE,
    "blkio_config.weight": bounded(at_most(500, 10), "at most 500, the engine's default"),
    **{
        f"blkio_config.{limit}.[].{key}": inside_because("a limit of its own")
        for limit in ("device_read_bps", "device_read_iops", "device_write_bps", "device_write_iops")
        for key in ("path", "rate")
    },
    "blkio_config.weight_device.[].path": INSIDE,
    "blkio_config.weight_device.[].weight": bounded(at_most(500, 10), "at most 500"),
    "build": _NOT_BUILT,
    "cap_add.[]": bounded(checks.capability, ", ".join(sorted(checks.CAPABILITIES))),
    "cap_drop.[]": INSIDE,
    "cgroup": bounded(one_of("private"), "private"),
    "cgroup_parent": _own("cgroup"),
    "command.[]": TEXT,
    "configs.[].gid": INSIDE,
    "configs.[].mode": INSIDE,
    "configs.[].source": inside_because("a config of the same file"),
    "configs.[].target": INSIDE,
    "configs.[].uid": INSIDE,
    "container_name": _own("container"),
    "cpu_count": _WINDOWS,
    "cpu_percent": _WINDOWS,
    "cpu_period": INSIDE,
    "cpu_quota": bounded(at_most(10**9, 1000), "more than 0"),
    "cpu_rt_period": _REALTIME,
    "cpu_rt_runtime": _REALTIME,
    "cpu_shares": bounded(at_most(1024, 2), "at most 1024, the engine's default"),
    "cpus": bounded(at_most(4096, 0.001), "more than 0"),
    "cpuset": INSIDE,
    "credential_spec.config": _WINDOWS,
    "credential_spec.file": _WINDOWS,
    "credential_spec.registry": _WINDOWS,
    "depends_on.*.condition": INSIDE,
    "depends_on.*.required": INSIDE,
    "depends_on.*.restart": INSIDE,
    "deploy.endpoint_mode": _SWARM,
    "deploy.labels.*": _LABELS,
    "deploy.mode": _SWARM,
    "deploy.placement.constraints.[]": _SWARM,
    "deploy.placement.max_replicas_per_node": _SWARM,
    "deploy.placement.preferences.[].spread": _SWARM,
    "deploy.replicas": _REPLICAS,
    "deploy.resources.limits.cpus": bounded(at_most(4096, 0.001), "more than 0"),
    "deploy.resources.limits.memory": _MEMORY,
    "deploy.resources.limits.pids": bounded(at_most(65536, 1), "1 to 65536"),
    "deploy.resources.reservations.cpus": INSIDE,
    "deploy.resources.reservations.devices": _DEVICES,
    "deploy.resources.reservations.generic_resources": _DEVICES,
    "deploy.resources.reservations.memory": _MEMORY,
    **{
        f"deploy.{config}.{key}": _SWARM
        for config in ("rollback_config", "update_config")
        for key in ("delay", "failure_action", "max_failure_ratio", "monitor", "order", "parallelism")
    },
    **{f"deploy.restart_policy.{key}": INSIDE for key in ("condition", "delay", "max_attempts", "window")},
    "develop": refused("it is for development: it copies files of the machine into the container while it runs"),
    "device_cgroup_rules.[]": _DEVICES,
    "devices": _DEVICES,
    "dns.[]": Entry(Class.ADDRESS, checks.resolver, "a public address"),
    "dns_opt.[]": INSIDE,
    "dns_search.[]": Entry(Class.NAME, checks.own_domain, "one of the environment's domains"),
    "domainname": Entry(Class.NAME, checks.own_domain, "one of the environment's domains"),
    "entrypoint.[]": TEXT,
    "env_file.[]": Entry(Class.PATH, checks.own_path),
    "environment.*": TEXT,
    "expose.[]": INSIDE,
    "external_links.[]": refused("it links to a container outside of the file"),
    "extra_hosts.[]": Entry(Class.ADDRESS, checks.extra_host, "a public address"),
    "gpus": _DEVICES,
    "group_add.[]": INSIDE,
    "healthcheck.disable": INSIDE,
    "healthcheck.interval": INSIDE,
    "healthcheck.retries": INSIDE,
    "healthcheck.start_interval": INSIDE,
    "healthcheck.start_period": INSIDE,
    "healthcheck.test.[]": TEXT,
    "healthcheck.timeout": INSIDE,
    "hostname": Entry(Class.NAME, checks.own_domain, "one label, or one of the environment's domains"),
    "image": Entry(Class.IMAGE, checks.image, "the name of an image, not the id of one that happens to be there"),
    "init": INSIDE,
    "ipc": bounded(checks.namespace("none", "private", "shareable"), "none, private, shareable, service:NAME"),
    "isolation": _WINDOWS,
    "label_file.[]": refused("labels from a file are not proved: write them under labels"),
    "labels.*": _LABELS,
    "links.[]": bounded(checks.own_service, "services of the same file"),
    "logging.driver": bounded(checks.logging_driver, "json-file, local, journald, none"),
    "logging.options.*": bounded(
        checks.logging_option, "sizes, numbers, which labels and settings are logged, and an own tag"
    ),
    "mac_address": INSIDE,
    "mem_limit": _MEMORY,
    "mem_reservation": _MEMORY,
    "mem_swappiness": INSIDE,
    "memswap_limit": _MEMORY,
    "models": _MODELS,
    "network_mode": bounded(checks.namespace("none"), "none, service:NAME"),
    "networks.*.aliases.[]": inside_because("a name on the environment's own network"),
    "networks.*.driver_opts.*": refused("options of the connection act on the machine's side of it"),
    "networks.*.gw_priority": INSIDE,
    "networks.*.interface_name": INSIDE,
    "networks.*.ipv4_address": inside_because("an address of the environment's own network"),
    "networks.*.ipv6_address": inside_because("an address of the environment's own network"),
    "networks.*.link_local_ips.[]": refused("link-local addresses are those of the cloud's metadata"),
    "networks.*.mac_address": INSIDE,
    "networks.*.priority": INSIDE,
    "oom_kill_disable": bounded(one_of("False", "false"), "false"),
    "oom_score_adj": bounded(at_most(1000, 0), "0 to 1000: below, others die first"),
    "pid": bounded(checks.namespace(), "service:NAME"),
    "pids_limit": bounded(at_most(65536, 1), "1 to 65536"),
    "platform": INSIDE,
    "ports.[].app_protocol": INSIDE,
    "ports.[].host_ip": inside_because("the port is claimed, whatever its address"),
    "ports.[].mode": INSIDE,
    "ports.[].name": INSIDE,
    "ports.[].protocol": INSIDE,
    "ports.[].published": inside_because("a port is claimed: no two environments have one"),
    "ports.[].target": INSIDE,
    **{f"{hook}.[].{key}": entry for hook in ("post_start", "pre_stop") for key, entry in _HOOK.items()},
    "privileged": bounded(one_of("False", "false"), "false"),
    "profiles.[]": INSIDE,
    "provider": refused("a provider is a program that runs on the machine, as root"),
    "pull_policy": INSIDE,
    "pull_refresh_after": INSIDE,
    "read_only": INSIDE,
    "restart": INSIDE,
    "runtime": bounded(one_of("runc", "io.containerd.runc.v2"), "runc"),
    "scale": _REPLICAS,
    "secrets.[].gid": INSIDE,
    "secrets.[].mode": INSIDE,
    "secrets.[].source": inside_because("a secret of the same file"),
    "secrets.[].target": INSIDE,
    "secrets.[].uid": INSIDE,
    "security_opt.[]": bounded(checks.security_option, "no-new-privileges, label:type:…"),
    "shm_size": _MEMORY,
    "stdin_open": INSIDE,
    "stop_grace_period": INSIDE,
    "stop_signal": INSIDE,
    "storage_opt.*": bounded(checks.storage_option, "size"),
    "sysctls.*": bounded(checks.sysctl, "net.*, kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.*"),
    "tmpfs.[]": INSIDE,
    "tty": INSIDE,
    "ulimits.*": bounded(checks.ulimit, "all but rtprio, rttime, nice, sigpending, msgqueue"),
    "use_api_socket": bounded(one_of("False", "false"), "false"),
    "user": INSIDE,
    "userns_mode": bounded(one_of(""), "the engine's own"),
    "uts": bounded(one_of(""), "the container's own"),
    "volumes.[].bind.create_host_path": INSIDE,
    "volumes.[].bind.propagation": bounded(one_of("private", "rprivate"), "private, rprivate"),
    "volumes.[].bind.recursive": INSIDE,
    "volumes.[].bind.selinux": inside_because("relabels a path of the environment's own"),
    "volumes.[].consistency": INSIDE,
    "volumes.[].image.subpath": INSIDE,
    "volumes.[].read_only": INSIDE,
    "volumes.[].source": Entry(Class.PATH, checks.mount_source, "of a bind; else a volume of the file, or an image"),
    "volumes.[].target": INSIDE,
    "volumes.[].tmpfs.mode": INSIDE,
    "volumes.[].tmpfs.size": INSIDE,
    "volumes.[].type": bounded(one_of("bind", "volume", "tmpfs", "image"), "bind, volume, tmpfs, image"),
    "volumes.[].volume.labels.*": TEXT,
    "volumes.[].volume.nocopy": INSIDE,
    "volumes.[].volume.subpath": INSIDE,
    "volumes_from.[]": bounded(checks.own_service, "services of the same file"),
    "working_dir": INSIDE,
}

_SHARED = "its name counts: that of others is declared in bulkhead_shared by every environment that uses it"
_NETWORK: Mapping[str, Entry] = {
    "attachable": bounded(one_of("False", "false"), "false: others could join"),
    "driver": bounded(one_of("bridge"), "bridge: others put containers onto the machine's own network"),
    "driver_opts.*": bounded(checks.bridge_option, "of a bridge: mtu, enable_icc, enable_ip_masquerade, an own name"),
    "enable_ipv4": INSIDE,
    "enable_ipv6": INSIDE,
    "external": inside_because(_SHARED),
    "internal": INSIDE,
    "ipam.config.[].aux_addresses.*": inside_because("an address of the subnet"),
    "ipam.config.[].gateway": inside_because("an address of the subnet"),
    "ipam.config.[].ip_range": inside_because("a part of the subnet"),
    "ipam.config.[].subnet": Entry(
        Class.ADDRESS, checks.subnet, "private, not the engine's own, and at most a /16 (of IPv6 a /48)"
    ),
    "ipam.driver": bounded(one_of("default"), "default"),
    "ipam.options.*": refused("options of an address driver act on the machine"),
    "labels.*": TEXT,
    "name": _own("network"),
}
_VOLUME: Mapping[str, Entry] = {
    "driver": bounded(one_of("local"), "local: other drivers keep their data where others reach it"),
    "driver_opts": Entry(Class.PATH, checks.volume_options, "of the driver local: memory, or a bind of an own path"),
    "external": inside_because(_SHARED),
    "labels.*": TEXT,
    "name": _own("volume"),
}
_FILE: Mapping[str, Entry] = {
    "content": TEXT,
    "driver": refused("only a swarm knows it"),
    "driver_opts.*": refused("only a swarm knows it"),
    "environment": refused("its value comes from whoever runs Compose, and was not proved"),
    "external": inside_because(_SHARED),
    "file": Entry(Class.PATH, checks.own_path),
    "labels.*": TEXT,
    "name": _own("file"),
    "template_driver": refused("only a swarm knows it"),
}


def by_path(
    service: Mapping[str, Entry], network: Mapping[str, Entry], volume: Mapping[str, Entry], file: Mapping[str, Entry]
) -> dict[str, Entry]:
    """The keys of a service, a network, a volume, and a secret or config, by canonical path."""
    sections = {"services": service, "networks": network, "volumes": volume, "secrets": file, "configs": file}
    return {f"{section}.*.{key}": entry for section, table in sections.items() for key, entry in table.items()}


#: The whole table, by canonical path.
COMPOSE: Mapping[str, Entry] = {
    "include": refused("what another file holds is not proved: write the services themselves"),
    "models": _MODELS,
    "name": _own("project"),
    "version": inside_because("Compose ignores it"),
    **by_path(_SERVICE, _NETWORK, _VOLUME, _FILE),
}
