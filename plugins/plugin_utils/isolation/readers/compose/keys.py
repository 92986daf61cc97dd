# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keys of a Compose file and the shapes of their values, including those of newer versions."""

from __future__ import annotations

from .shape import Either, Keys, ListOf, MapOf

#: Keys of a service by the shape of their values, which also determines their printed form (:mod:`.printed`).
TEXTS = (
    "cgroup",
    "cgroup_parent",
    "container_name",
    "cpuset",
    "domainname",
    "hostname",
    "image",
    "ipc",
    "isolation",
    "mac_address",
    "network_mode",
    "platform",
    "pull_policy",
    "pull_refresh_after",
    "restart",
    "runtime",
    "stop_grace_period",
    "stop_signal",
    "user",
    "userns_mode",
    "uts",
    "working_dir",
)
NUMBERS = (
    "cpu_count",
    "cpu_percent",
    "cpu_period",
    "cpu_quota",
    "cpu_rt_period",
    "cpu_rt_runtime",
    "cpu_shares",
    "cpus",
    "oom_score_adj",
    "pids_limit",
    "scale",
)
SIZES = ("mem_limit", "mem_reservation", "mem_swappiness", "memswap_limit", "shm_size")
#: Lists of strings; lists that may be a single string (WORDS); lists that may contain numbers (SCALARS).
LISTS = (
    "cap_add",
    "cap_drop",
    "device_cgroup_rules",
    "dns_opt",
    "external_links",
    "links",
    "profiles",
    "security_opt",
    "volumes_from",
)
WORDS = ("dns", "dns_search", "label_file", "tmpfs")
SCALARS = ("expose", "group_add")

_STRINGS = ListOf("s")
_WORDS = Either("s", _STRINGS)
_PAIRS = Either(MapOf("snb0"), _STRINGS)
_SWITCH = "bs"
_NUMBER = "ns"
_COMMAND = Either("0s", _STRINGS)
_HOSTS = Either(MapOf(_WORDS), _STRINGS)
_ULIMITS = MapOf(Either("is", Keys({"hard!": "is", "soft!": "is"})))
_FILES = ListOf(Either("s", Keys({"source": "s", "target": "s", "uid": "s", "gid": "s", "mode": "ns"})))
_OPTIONS = MapOf("sn")
_HOOKS = ListOf(
    Keys({"command": _COMMAND, "user": "s", "privileged": _SWITCH, "working_dir": "s", "environment": _PAIRS})
)
_GPUS = ListOf(
    Keys({"capabilities": _STRINGS, "count": "si", "device_ids": _STRINGS, "driver": "s", "options": _PAIRS})
)
_UPDATE = Keys(
    {
        "parallelism": "is",
        "delay": "s",
        "failure_action": "s",
        "monitor": "s",
        "max_failure_ratio": "ns",
        "order": "s",
    }
)
_LIMITS = Keys(
    {
        "cpus": "ns",
        "memory": "s",
        "pids": "is",
        "devices": _GPUS,
        "generic_resources": ListOf(Keys({"discrete_resource_spec": Keys({"kind": "s", "value": "ns"})})),
    }
)
_DEPLOY = Either(
    "0",
    Keys(
        {
            "mode": "s",
            "endpoint_mode": "s",
            "replicas": "is",
            "labels": _PAIRS,
            "rollback_config": _UPDATE,
            "update_config": _UPDATE,
            "resources": Keys({"limits": _LIMITS, "reservations": _LIMITS}),
            "restart_policy": Keys({"condition": "s", "delay": "s", "max_attempts": "is", "window": "s"}),
            "placement": Keys(
                {
                    "constraints": _STRINGS,
                    "preferences": ListOf(Keys({"spread": "s"})),
                    "max_replicas_per_node": "is",
                }
            ),
        }
    ),
)
_BUILD = Either(
    "s",
    Keys(
        {
            "context": "s",
            "dockerfile": "s",
            "dockerfile_inline": "s",
            "entitlements": _STRINGS,
            "ssh": Either("b", _PAIRS),
            "args": _PAIRS,
            "labels": _PAIRS,
            "cache_from": _STRINGS,
            "cache_to": _STRINGS,
            "no_cache": _SWITCH,
            "no_cache_filter": _WORDS,
            "additional_contexts": _PAIRS,
            "network": "s",
            "provenance": "sb",
            "sbom": "sb",
            "pull": _SWITCH,
            "target": "s",
            "shm_size": "is",
            "extra_hosts": _HOSTS,
            "isolation": "s",
            "privileged": _SWITCH,
            "secrets": _FILES,
            "tags": _STRINGS,
            "ulimits": _ULIMITS,
            "platforms": _STRINGS,
        }
    ),
)
_HEALTH = Keys(
    {
        "disable": _SWITCH,
        "interval": "s",
        "retries": "ns",
        "test": _WORDS,
        "timeout": "s",
        "start_period": "s",
        "start_interval": "s",
    }
)
_MOUNT = Keys(
    {
        "type!": "s",
        "source": "s",
        "target": "s",
        "read_only": _SWITCH,
        "consistency": "s",
        "bind": Keys({"propagation": "s", "create_host_path": _SWITCH, "recursive": "s", "selinux": "s"}),
        "volume": Keys({"nocopy": _SWITCH, "subpath": "s", "labels": _PAIRS}),
        "tmpfs": Keys({"size": "is", "mode": "ns"}),
        "image": Keys({"subpath": "s"}),
    }
)
_PORT = Keys(
    {
        "name": "s",
        "mode": "s",
        "host_ip": "s",
        "target": "is",
        "published": "is",
        "protocol": "s",
        "app_protocol": "s",
    }
)
_SERVICE_NETWORK = Either(
    "0",
    Keys(
        {
            "aliases": _STRINGS,
            "interface_name": "s",
            "ipv4_address": "s",
            "ipv6_address": "s",
            "link_local_ips": _STRINGS,
            "mac_address": "s",
            "driver_opts": _OPTIONS,
            "priority": "n",
            "gw_priority": "n",
        }
    ),
)
SERVICE = Keys(
    {
        **dict.fromkeys(
            ("attach", "init", "oom_kill_disable", "privileged", "read_only", "stdin_open", "tty", "use_api_socket"),
            _SWITCH,
        ),
        **dict.fromkeys((*NUMBERS, *SIZES), _NUMBER),
        **dict.fromkeys(TEXTS, "s"),
        **dict.fromkeys(LISTS, _STRINGS),
        **dict.fromkeys(WORDS, _WORDS),
        **dict.fromkeys(SCALARS, ListOf("sn")),
        **dict.fromkeys(("annotations", "environment", "labels", "sysctls"), _PAIRS),
        **dict.fromkeys(("command", "entrypoint"), _COMMAND),
        **dict.fromkeys(("configs", "secrets"), _FILES),
        **dict.fromkeys(("blkio_config", "credential_spec", "provider"), MapOf("*")),
        "build": _BUILD,
        "depends_on": Either(_STRINGS, MapOf(Keys({"condition!": "s", "restart": _SWITCH, "required": "b"}))),
        "deploy": _DEPLOY,
        "develop": Either("0", MapOf("*")),
        "devices": ListOf(Either("s", Keys({"source!": "s", "target": "s", "permissions": "s"}))),
        "env_file": Either("s", ListOf(Either("s", Keys({"path!": "s", "format": "s", "required": _SWITCH})))),
        "extends": Either("s", Keys({"service!": "s", "file": "s"})),
        "extra_hosts": _HOSTS,
        "gpus": Either("s", _GPUS),
        "healthcheck": _HEALTH,
        "logging": Keys({"driver": "s", "options": MapOf("sn0")}),
        "models": Either(_STRINGS, MapOf("*")),
        "networks": Either(_STRINGS, MapOf(_SERVICE_NETWORK)),
        "pid": "s0",
        "ports": ListOf(Either("ns", _PORT)),
        "post_start": _HOOKS,
        "pre_stop": _HOOKS,
        "storage_opt": MapOf("*"),
        "ulimits": _ULIMITS,
        "volumes": ListOf(Either("s", _MOUNT)),
    }
)
_EXTERNAL = Either("bs", Keys({"name": "s"}))
_NETWORK = Either(
    "0",
    Keys(
        {
            "name": "s",
            "driver": "s",
            "driver_opts": _OPTIONS,
            "ipam": Keys(
                {
                    "driver": "s",
                    "config": ListOf(
                        Keys({"subnet": "s", "ip_range": "s", "gateway": "s", "aux_addresses": MapOf("s")})
                    ),
                    "options": MapOf("s"),
                }
            ),
            "external": _EXTERNAL,
            **dict.fromkeys(("internal", "enable_ipv4", "enable_ipv6", "attachable"), _SWITCH),
            "labels": _PAIRS,
        }
    ),
)
_VOLUME = Either(
    "0", Keys({"name": "s", "driver": "s", "driver_opts": _OPTIONS, "external": _EXTERNAL, "labels": _PAIRS})
)
_FILE = Keys(
    {
        **dict.fromkeys(("name", "content", "environment", "file", "driver", "template_driver"), "s"),
        "driver_opts": _OPTIONS,
        "external": _EXTERNAL,
        "labels": _PAIRS,
    }
)
MODEL = Keys(
    {
        "name": "s",
        "version": "s",
        "include": "*",
        "services": MapOf(SERVICE),
        "networks": MapOf(_NETWORK),
        "volumes": MapOf(_VOLUME),
        "secrets": MapOf(_FILE),
        "configs": MapOf(_FILE),
        "models": MapOf("*"),
    }
)
