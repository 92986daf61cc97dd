# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checks of values: each says why a value is not contained, or nothing."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ..errors import ReaderError
from ..hosts import canonical_host, is_disguised
from ..readers.compose.short_forms import parse_size
from .boundary import Boundary, outside_subnet
from .classes import Check

#: What Docker grants by default (but NET_RAW and MKNOD), and IPC_LOCK, which the memory limit bounds.
CAPABILITIES = frozenset(
    (
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "IPC_LOCK",
        "KILL",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    )
)
#: What names an image of the machine by its content, so that it may be anybody's.
IMAGE_ID = re.compile(r"(?:sha256:)?[0-9a-f]{12,64}")
_LARGEST = 1 << 40
#: Of ``net.``, older kernels have one table of connections for everybody.
_SYSCTLS = re.compile(
    r"net\.(?!(?:netfilter\.)?nf_conntrack_(?:max|buckets|expect_max)\b)|kernel\.(?:shm|msg|sem)|fs\.mqueue\."
)
_LOGGING = {
    "json-file": re.compile(r"max-size|max-file|compress|labels|labels-regex|env|env-regex"),
    "local": re.compile(r"max-size|max-file|compress"),
    "journald": re.compile(r"labels|labels-regex|env|env-regex"),
    "none": re.compile(r"(?!)"),
}
#: How each driver takes the lines from the container, before it writes them anywhere.
_LOGGING_ANY = re.compile(r"mode|max-buffer-size")
#: A log's tag that says whose it is: the container's name, which begins with the prefix.
_OWN_TAG = re.compile(r"\{\{\s*\.Name\s*\}\}")
#: Options of a mount that let others' mounts through, or change one that is there.
_SPREADING = frozenset({"shared", "rshared", "slave", "rslave", "remount", "move"})
_BRIDGE_OPTIONS = frozenset(
    f"com.docker.network.{option}"
    for option in ("driver.mtu", "bridge.enable_icc", "bridge.enable_ip_masquerade", "container_iface_prefix")
)


def own_name(kind: str) -> Check:
    """Allow names that begin with the prefix, and those of this kind that are shared or taken over on purpose."""

    def check(value: Any, boundary: Boundary, _around: Mapping[str, Any]) -> str:
        name = str(value)
        if boundary.shares(kind, name) or boundary.takes_over(kind, name):
            return ""
        if not boundary.owns_name(name):
            return f"{name} does not begin with {boundary.prefix}"
        return f"{name} leads out of what begins with {boundary.prefix}" if ".." in name.split("/") else ""

    return check


def mount_source(value: Any, boundary: Boundary, around: Mapping[str, Any]) -> str:
    """Allow binds of own paths; of other mounts the source is a volume of the same file, or the name of an image."""
    if around.get("type") == "image":
        return image(value, boundary, around)
    if around.get("type") != "bind" or (boundary.sockets and str(value) == boundary.sockets):
        return ""
    return boundary.outside_path(str(value), bool(around.get("read_only")))


def stack_mount(value: Any, boundary: Boundary, around: Mapping[str, Any]) -> str:
    """Allow volumes and memory, and of a node's paths the environment's own sockets for its front door."""
    if value in ("volume", "tmpfs") or (boundary.sockets and str(around.get("source")) == boundary.sockets):
        return ""
    return f"{around.get('source') or value} is a path of one node, and a task may run on any"


def image(value: Any, _boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow names of images: an id names whatever image of the machine has it, another environment's too."""
    text = str(value)
    hidden = IMAGE_ID.fullmatch(text)
    return f"{text} is the id of an image, which does not say whose it is" if hidden else ""


def own_path(value: Any, boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow paths of the environment's own, and neutral ones that are mounted read-only."""
    return boundary.outside_path(str(value))


def own_domain(value: Any, boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow names without a dot, and those of the environment's domains."""
    name = str(value)
    own = "." not in name.strip(".") or boundary.owns_domain(name)
    return "" if own else f"{name} is not a domain of {boundary.prefix}"


def resolver(value: Any, boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow addresses of resolvers on the internet; private ones are shared."""
    try:
        address = ipaddress.ip_address(str(value))
    except ValueError:
        return f"{value} is not an address"
    if address.is_global or boundary.shares("address", str(value)):
        return ""
    return f"{value} is an address of the machine or of its network"


def own_server(value: Any, boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow to follow a server of the environment's own; another is shared on purpose, or not followed."""
    host = str(value).split(maxsplit=1)[0].strip("[]") if str(value).strip() else ""
    known = not host or host in boundary.hosts or boundary.owns_name(host) or boundary.owns_domain(host)
    if known or boundary.shares("address", host):
        return ""
    return f"{host} is not a server of {boundary.prefix}"


def primary(value: Any, boundary: Boundary, around: Mapping[str, Any]) -> str:
    """Allow a connection string or URL whose hosts are servers of the environment's own."""
    text = str(value)
    found = re.findall(r"\bhost(?:addr)?\s*=\s*'?([^\s']+)", text) or re.findall(r"://(?:[^/@]*@)?([^/:?]+)", text)
    hosts = [host for part in found for host in part.split(",")]
    if text.strip() and not hosts:
        return f"it does not say which server of {boundary.prefix} is meant"
    return next(filter(None, (own_server(host, boundary, around) for host in hosts)), "")


def redis_primary(value: Any, boundary: Boundary, around: Mapping[str, Any]) -> str:
    """Allow ``no one``, and a server of the environment's own."""
    return "" if str(value).lower().split() == ["no", "one"] else own_server(value, boundary, around)


def oom_scores(value: Any, _boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow scores that make none of the container's processes die after those of others."""
    scores = str(value).split()
    return "" if all(re.fullmatch(r"\d{1,4}", score) for score in scores) else f"{value} is not from 0 to 1000"


def server_name(value: Any, boundary: Boundary, around: Mapping[str, Any]) -> str:
    """Allow the environment's domains and names without a dot; a regular expression has a rule of its own."""
    names = (name.removeprefix("*.").lstrip(".") for name in str(value).lower().split() if not name.startswith("~"))
    return next(filter(None, (own_domain(name, boundary, around) for name in names)), "")


def resolvers(value: Any, boundary: Boundary, around: Mapping[str, Any]) -> str:
    """Allow the engine's resolver, which each container has for itself, and public ones."""
    given = (word.removesuffix(":53") for word in str(value).split() if "=" not in word)
    return next(filter(None, (resolver(word, boundary, around) for word in given if word != "127.0.0.11")), "")


def log_target(value: Any, boundary: Boundary, around: Mapping[str, Any]) -> str:
    """Allow files of the container, its output, and the syslog of a server of the environment's own."""
    first = (str(value).split() or [""])[0]
    if not first.startswith("syslog:"):
        return ""
    host = re.sub(r":\d+\Z", "", first.removeprefix("syslog:server=").partition(",")[0])
    return "" if host.startswith("unix:") else own_server(host, boundary, around)


def included(value: Any, _boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow the files that nginx itself has, and those beside the own configuration."""
    good = re.fullmatch(r"(?:/etc/nginx/)?(?:mime\.types|(?:fastcgi|proxy|scgi|uwsgi)_params|fastcgi\.conf|"
                        r"(?:conf\.d|snippets)/(?!\.\.)[\w.*-]+)|(?!\.\.)[\w*][\w.*-]*", str(value))  # fmt: skip
    return "" if good else f"what {value} contains is not proved"


def extra_host(value: Any, boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow to name an own or a public address; ``host-gateway`` is the machine, whose ports are anybody's."""
    host, _equals, address = str(value).partition("=")
    if boundary.shares("address", address) or boundary.shares("address", host):
        return ""
    if address == "host-gateway":
        return f"{host} becomes the address of the machine, on which every environment publishes its ports"
    try:
        number = ipaddress.ip_address(canonical_host(str(ipaddress.ip_address(address))))
    except ValueError:
        return f"{address} is not an address"
    return "" if number.is_global else f"{host} becomes {address}, an address of the machine or of another network"


def upstream(value: Any, boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow servers of the environment's own, and names and addresses on the internet."""
    written = str(value)
    if is_disguised(written):
        return f"{written} is an address in a form that hides which"
    host = canonical_host(written)
    if host in boundary.hosts or boundary.owns_name(host) or boundary.shares("address", host):
        return ""
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        known = "." in host and not host.endswith((".internal", ".local", ".localhost"))
        return "" if known else f"{host} is not a service of {boundary.prefix}"
    return "" if number.is_global else f"{host} is an address of the machine or of another network"


def url(value: Any, boundary: Boundary, around: Mapping[str, Any]) -> str:
    """Allow URLs of servers of the environment's own, and of the internet."""
    authority = str(value).rpartition("://")[2].partition("/")[0].rpartition("@")[2]
    return upstream(re.sub(r":\d+\Z", "", authority), boundary, around)


def capability(value: Any, _boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow capabilities that act inside the container only."""
    name = str(value).upper().removeprefix("CAP_")
    return "" if name in CAPABILITIES else f"{value} gives power over the machine or over what others send"


def security_option(value: Any, _boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow what narrows; a profile is a file of the machine, and ``unconfined`` takes the engine's own away."""
    text = str(value).replace("=", ":")
    if text in ("no-new-privileges", "no-new-privileges:true") or text.startswith("label:type:"):
        return ""
    return f"{value} replaces or removes what confines the container"


def namespace(*allowed: str) -> Check:
    """Allow these modes and the namespace of a service of the same file."""

    def check(value: Any, boundary: Boundary, _around: Mapping[str, Any]) -> str:
        mode = str(value)
        kind, _colon, service = mode.partition(":")
        if mode in allowed or (kind == "service" and service in boundary.services):
            return ""
        return f"{mode} is the namespace of the machine or of a container outside of the file"

    return check


def own_service(value: Any, boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow services of the same file."""
    name = str(value).partition(":")[0]
    return "" if name in boundary.services else f"{name} is not a service of this file"


def size(value: Any, _boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow amounts of memory from one byte to a tebibyte: 0 and -1 mean unlimited."""
    try:
        number = parse_size(value)
    except (ReaderError, OverflowError):
        return f"{value} is not a size"
    return "" if 0 < number <= _LARGEST else f"{value} is not a limit"


def sysctl(value: Any, _boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow kernel settings that each container has for itself."""
    name = str(value).partition("=")[0]
    return "" if _SYSCTLS.match(name) else f"{name} is a setting of the whole machine"


def storage_option(value: Any, _boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow to limit the size of the container's own layer."""
    return "" if str(value).startswith("size=") else f"{value} is not a size"


def ulimit(value: Any, _boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow limits but those of real-time and of other priority, which take from everybody."""
    name, _equals, number = str(value).partition("=")
    if name in ("rtprio", "nice", "rttime", "sigpending", "msgqueue"):
        return f"{name} takes from every process of the machine"
    unlimited = name == "nproc" and re.search(r"-1\b|unlimited", number)
    return f"{name}: {number} is not a limit" if unlimited else ""


def logging_driver(value: Any, _boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow the drivers that keep a container's log with the container."""
    return "" if str(value) in _LOGGING else f"{value} sends the log to something that others use too"


def logging_option(value: Any, boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow the options of those drivers, and a tag that says whose log it is."""
    name, _equals, given = str(value).partition("=")
    if name == "tag":
        known = bool(_OWN_TAG.match(given)) or boundary.owns_name(given)
        return "" if known else f"the tag {given} does not begin with {boundary.prefix}"
    return "" if _is_logging_option(name) else f"{name} names something outside of the container"


@lru_cache(maxsize=1 << 8)
def _is_logging_option(name: str) -> bool:
    return any(options.fullmatch(name) for options in (*_LOGGING.values(), _LOGGING_ANY))


def subnet(value: Any, boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow private subnets that are not the engine's own."""
    return "" if boundary.shares("subnet", str(value)) else outside_subnet(value)


def bridge_option(value: Any, boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow options of an own bridge. Its interface's name begins with the prefix, as far as there is room."""
    name, _equals, given = str(value).partition("=")
    if name in _BRIDGE_OPTIONS:
        return ""
    if name == "com.docker.network.bridge.name":
        return "" if boundary.owns_name(given) else f"the interface {given} does not begin with {boundary.prefix}"
    return f"{name} reaches outside of the network"


def overlay_option(value: Any, _boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow to encrypt an overlay network, and the size of its packets."""
    name = str(value).partition("=")[0]
    known = name in ("encrypted", "com.docker.network.driver.mtu")
    return "" if known else f"{name} reaches outside of the network"


def volume_options(options: Any, boundary: Boundary, _around: Mapping[str, Any]) -> str:
    """Allow memory, and a bind of a path of the environment's own, as options of the driver local."""
    kind = str(options.get("type", "")).strip()
    unknown = set(options) - {"type", "device", "o"}
    if unknown:
        return f"{', '.join(sorted(unknown))} is unknown"
    flags = set(str(options.get("o", "")).replace(" ", "").split(","))
    spreading = sorted(flags & _SPREADING)
    if spreading:
        return f"{spreading[0]} makes a mount of the one side appear on the other"
    if flags & {"bind", "rbind"}:
        # The kernel then looks at the device and not at the type, whatever that says.
        return boundary.outside_path(str(options.get("device", "")), "ro" in flags)
    if kind == "tmpfs":
        return ""
    return f"type {kind or 'none'} mounts something that others can mount too"
