# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The form of each variable: what its value may look like, whatever it is then used for.

A value ends up in configurations of nginx, in commands and in file names. One that has the form of what it stands for
can say nothing else there. A variable without a form fails a test.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from ...module_utils.docker.reference import reference_problem
from ...module_utils.source.values import branch_problem, commit_problem, repository_problem
from ..isolation import naming
from ..isolation.errors import ReaderError
from ..isolation.readers.nginx.parser import read_nginx
from .domains import domain_problem
from .guarded_ports import allowed_port
from .schedules import times


@dataclass(frozen=True, slots=True)
class Form:
    """A form. ``problem`` says what is wrong with a value, as a predicate (``is not a port``), empty if nothing is;
    ``fix`` is what to write instead. A value that may be a secret is not ``shown``. A problem that is ``whole`` names
    the value itself."""

    problem: Callable[[Any], str]
    fix: str
    shown: bool = True
    whole: bool = False


def _form(what: str, holds: Callable[[Any], bool], fix: str) -> Form:
    return Form(lambda value: "" if holds(value) else f"is not {what}", fix)


def _pattern(what: str, pattern: str, fix: str) -> Form:
    compiled = re.compile(pattern)
    return _form(what, lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None, fix)


def _number(what: str, low: int, high: int, fix: str = "") -> Form:
    def holds(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return _form(f"{what} from {low} to {high}", holds, fix or f"write a whole number from {low} to {high}")


def _told(problem: Callable[[str], Any], fix: str) -> Form:
    """A form whose check is written elsewhere, for all who use such values: it returns or raises the problem."""

    def judge(value: Any) -> str:
        if not isinstance(value, str):
            return "a value that is not text"
        try:
            said = problem(value)
        except ValueError as error:
            said = str(error)
        return said if isinstance(said, str) else ""

    return Form(judge, fix, whole=True)


def is_plain(value: Any) -> bool:
    """Whether a value is one line of text that shows all that it has."""
    return isinstance(value, str) and bool(value) and value.isprintable()


def _is_path(value: Any) -> bool:
    return is_plain(value) and value.startswith("/") and posixpath.normpath(value) == (value.rstrip("/") or "/")


def _is_inside(value: Any) -> bool:
    shaped = is_plain(value) and not value.startswith(("/", "-", "~")) and "://" not in value
    return shaped and ".." not in value.split("/")


#: A line of known_hosts (sshd(8)): names, the kind of key, the key.
_HOST_KEY = re.compile(
    r"(?:@(?:cert-authority|revoked) +)?[^\s#@]\S* +(?:ssh|ecdsa|sk)-[\w@.-]+ +[A-Za-z0-9+/]+=*(?: .*)?"
)


def _are_host_keys(value: Any) -> bool:
    lines = str(value).splitlines() if _is_text(value) else [""]
    found = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    return bool(found) and all(map(_HOST_KEY.fullmatch, found))


def _is_network(value: Any) -> bool:
    """Whether a text is an address, or a network that does not hold everybody."""
    try:
        return ipaddress.ip_network(str(value)).prefixlen > 0
    except ValueError:
        return False


#: Locations that our own nginx configuration has itself.
_OWN_LOCATIONS = ("/", "/static/", "/media/")


def _is_day(value: Any) -> bool:
    try:
        return len(str(value)) == 10 and bool(date.fromisoformat(str(value)))
    except ValueError:
        return False


def _is_location(value: Any) -> bool:
    found = isinstance(value, str) and re.fullmatch(r"/[\w.~/-]*", value, re.ASCII)
    return bool(found) and value not in _OWN_LOCATIONS


#: Directives of a server that follow from other variables.
_OF_OTHERS = {
    "listen": "bulkhead_http_port and bulkhead_https_port",
    "server_name": "bulkhead_domains",
    "ssl_certificate": "bulkhead_tls_certificate or bulkhead_tls_certificate_path",
    "ssl_certificate_key": "bulkhead_tls_key or bulkhead_tls_key_path",
}


def _directives_problem(value: Any) -> str:
    """What is wrong with a text of nginx: directives that are complete and do not leave the block around them."""
    if not _is_text(value):
        return "is not text"
    try:
        found = read_nginx(value, "")
    except ReaderError as error:
        return f"is not nginx's: line {error.line}: {error.message}"
    for directive in found:
        if directive.name in _OF_OTHERS:
            return (
                f"has {directive.name} in line {directive.where.line}, which follows from {_OF_OTHERS[directive.name]}"
            )
    return "" if found else "has no directive"


def _is_address(value: Any) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return isinstance(value, str) and "%" not in value


#: Directories of the system itself: no environment may have one, or anything in one.
SYSTEM = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/lost+found", "/proc", "/run", "/sbin"),
    *("/sys", "/usr", "/var/cache", "/var/lib/containerd", "/var/lib/docker", "/var/log", "/var/run", "/var/spool"),
    "/var/lib/systemd",
)
#: Directories that others use too: no environment may have one to itself.
SHARED = frozenset(["/", "/home", "/media", "/mnt", "/opt", "/root", "/srv", "/tmp", "/var", "/var/lib", "/var/tmp"])

#: What a directory's name may hold: nothing that a shell, a unit of systemd or a mount of Compose reads otherwise.
_DIRECTORY = re.compile(r"(?:/[\w .,@+=~()-]+)+/?")


def _is_own_directory(value: Any) -> bool:
    if not _is_path(value) or not _DIRECTORY.fullmatch(value):
        return False
    path = value.rstrip("/")
    if {".ssh", ".gnupg"} & {*path.split("/")}:
        return False
    return path not in SHARED and not any(f"{path}/".startswith(f"{system}/") for system in SYSTEM)


def _is_egress(value: Any) -> bool:
    found = re.fullmatch(
        r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?|\[([0-9A-Fa-f:.]+)\]):([0-9]{1,5})", str(value)
    )
    return found is not None and (not found[1] or _is_address(found[1])) and 0 < int(found[2]) < 65536


def _is_command(value: Any) -> bool:
    words = isinstance(value, (list, tuple)) and bool(value) and not any(isinstance(word, bool) for word in value)
    if not words or not all(isinstance(word, (str, int, float)) for word in value):
        return False
    return value[0] != "" and "\0" not in "".join(map(str, value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_restorable(value: Any) -> bool:
    return NAME.problem(value) == "" or _is_path(value)


PORT = _number("a port", 1, 65535, "use a port from 1 to 65535")
COUNT = _number("a number", 0, 1_000_000)
POSITIVE = _number("a number", 1, 1_000_000)
WAIT = _number("a number of seconds", 0, 31 * 86400, "write whole seconds, at most 31 days (2678400)")
TIMEOUT = _number("a number of seconds", 1, 31 * 86400, "write whole seconds, from 1 to 31 days (2678400)")
PATH = _form("an absolute path", _is_path, "write the whole path, without '..' or '//', such as /srv/app/file")
INSIDE = _form(
    "a path inside",
    _is_inside,
    "name it relative to the root, without '..', such as backend or backend/Dockerfile",
)
DIRECTORY = _form(
    "a directory that the environment can have to itself, as an absolute path",
    _is_own_directory,
    "name a directory that holds this environment and nothing else, outside the system's own (/etc, /usr, /run), such "
    "as /home/ubuntu/main/ai-ia-backend",
)
LINE = _form("one line of text", is_plain, "write one line, without tabs and other control characters")
TEXT = _form("text", _is_text, "write text without NUL characters")
WORD = _form("a word of a command", _is_text, "write text without NUL characters")
COMMAND = _form(
    "a command", _is_command, "write each command as a list of words, such as [python3, manage.py, migrate]"
)
USER = _pattern(
    "the name of a user",
    r"[A-Za-z_][A-Za-z0-9_.-]{0,31}",
    "write the name of a user of the machine, such as deploy",
)
IDENTIFIER = _pattern(
    "a name for PostgreSQL",
    rf"[A-Za-z_][A-Za-z0-9_.-]{{0,{naming.IDENTIFIER_BYTES - 1}}}",
    f"begin with a letter or '_', and use at most {naming.IDENTIFIER_BYTES} letters, digits, '_', '.' and '-'",
)
SERVICE = _pattern(
    "the name of a service",
    r"[A-Za-z0-9][A-Za-z0-9._-]*",
    "write the name of a service of the stack, such as django; it may have letters, digits, '.', '_' and '-'",
)
SIZE = _pattern(
    "a size",
    r"0*[1-9]\d*(?:\.\d+)? ?[kKmMgGtT]?(?:[iI]?[bB])?",
    "write a number of bytes, or one with K, M, G or T, such as 20G",
)
NGINX_SIZE = _pattern("a size for nginx", r"\d{1,9}[kKmMgG]?", "write a number with k, m or g, such as 20m")
NGINX_TIME = _pattern("a duration for nginx", r"\d{1,6}(?:ms|s|m|h|d)?", "write a number with s, m or h, such as 60s")
HEADER = _pattern(
    "the name of a header", r"[A-Za-z0-9][A-Za-z0-9-]{0,63}", "use letters, digits and '-', such as X-Environment"
)
URL_PATH = _pattern(
    "the path of a URL",
    r"/(?:[A-Za-z0-9._~!&()*+,=:@/?-]|%[0-9A-Fa-f]{2})*",
    "begin with '/', and write no spaces, quotes, '$', '#' or ';', such as /health/",
)
#: nginx reads it as one word of its configuration.
NGINX_PATH = _pattern(
    "a path for nginx",
    r"(?!.*/\.\.?(?:/|\Z))(?:/[A-Za-z0-9._@+=~-]+)+/?",
    "write the whole path in the container, without spaces, quotes or ';', such as /srv/acme",
)
#: Compose splits a volume at colons, and nginx reads the path as one word.
CONTAINER_PATH = _pattern(
    "a directory in the container",
    r"(?!.*/\.\.?(?:/|\Z))(?:/[A-Za-z0-9._@+=~-]+)+",
    "write its whole path, without spaces and without '/' at the end, such as /srv/storage",
)
CONTAINER_USER = _pattern(
    "a user in the container",
    r"(?:[A-Za-z_][A-Za-z0-9_.-]{0,31}|\d{1,10})(?::(?:[A-Za-z_][A-Za-z0-9_.-]{0,31}|\d{1,10}))?",
    "write a name that the image knows or a number, such as 1000:1000",
)
EMAIL = _pattern(
    "an e-mail address",
    r"[A-Za-z0-9_][A-Za-z0-9._%+=-]*@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}",
    "write the address of a person or a list, such as ops@example.com",
)
HTTPS = _pattern(
    "the https address of an authority's directory",
    r"https://(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?:/[A-Za-z0-9._~%/-]*)?",
    "write https://host/path, such as https://acme-v02.api.letsencrypt.org/directory; a private authority's "
    "certificate is trusted by bulkhead_acme_ca_bundle",
)
PINNED_IMAGE = _pattern(
    "an image with a version",
    r"[a-z0-9][\w.-]*(?::\d+)?(?:/[\w.-]+)*(?::(?!latest\Z)[\w][\w.-]*|(?::[\w][\w.-]*)?@sha256:[0-9a-f]{64})",
    "write a name with a version other than latest, or with a digest, such as certbot/certbot:v5.1.0",
)
ADDRESS = _form("an IP address", _is_address, "write an IPv4 or IPv6 address, such as 127.0.0.1")
HOST_KEYS = _form(
    "the host keys of a server",
    _are_host_keys,
    "write lines of known_hosts, as `ssh-keyscan <host>` prints them, compared with the server's own keys",
)
#: A public key that age encrypts for without a plugin. Not shown: a private key could stand there by mistake.
RECIPIENT = replace(
    _pattern(
        "a public key for age",
        r"age1[02-9ac-hj-np-z]{58}|ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43}",
        "write the public key of age-keygen (age1…), or the first two words of an Ed25519 key's .pub file; the private "
        "key belongs on no server and in no inventory",
    ),
    shown=False,
)
NETWORK = _form(
    "the address or network of a load balancer",
    _is_network,
    "write an address, or a network whose host bits are zero, such as 10.0.0.0/24; not everybody's (0.0.0.0/0)",
)
LOCATION = _form(
    "the path of a location of its own",
    _is_location,
    "write a path such as /events/, of letters, digits and . ~ / _ -; /, /static/ and /media/ are taken",
)
DIRECTIVES = Form(
    _directives_problem,
    "write whole directives, each with its ';' and each block with its '}', such as client_max_body_size 2g;",
)
NGINX_HEADER_SIZE = _pattern("a size for nginx", r"[1-9]\d{0,8}[kKmM]?", "write a number with k or m, such as 16k")
SINCE = _pattern(
    "a time",
    r"\d{1,6}[smhd]|\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d)?)?",
    "write how long ago, such as 10m or 2h, or a time such as 2026-11-23T10:00:00Z",
)
MACHINE = _pattern(
    "the name of a machine", r"[\w\[][\w.:%@\[\]-]*", "write a host name or an address, such as app1.example.com"
)
ENGINE = _pattern(
    "the address of an engine",
    r"unix:///[A-Za-z0-9._/@:+~-]+|(?:tcp|ssh)://[A-Za-z0-9_\[][A-Za-z0-9._@:\[\]-]*",
    "write unix:///var/run/docker.sock, or tcp:// or ssh:// with a host and a port",
)
STAGE = _pattern(
    "the name of a stage", r"[A-Za-z0-9][A-Za-z0-9._-]*", "write the name of a stage of the Dockerfile (FROM … AS name)"
)
PREFIX = _pattern("a prefix", r"[a-z][a-z0-9_-]*", "write the prefix of an environment, such as aiia_prod")
GROUP = _pattern("the name of a group", r"[\w][\w.-]*", "write the name of an inventory group")
NAME = _pattern("a name", r"[A-Za-z0-9][A-Za-z0-9._-]*", "use letters, digits, '.', '_' and '-'")
SETTING = _pattern(
    "the name of a setting", r"[A-Za-z_][A-Za-z0-9_]*", "use letters, digits and '_', and do not begin with a digit"
)
SECTION = _pattern(
    "a key of a Compose file", r"[a-z]+|x-\S+", "write a key of a Compose file, such as volumes or networks"
)

#: The form of each variable: of a list that of each item, of a mapping that of each key, and of a list of mappings
#: that of each value (``variable.key``). What has choices, is true or false, or holds settings has no other form.
FORMS: Mapping[str, Form] = {
    "bulkhead_project": NAME,
    "bulkhead_environment": _told(lambda name: "; ".join(naming.check_environment(name)), "choose another name"),
    "bulkhead_prefix": _told(lambda prefix: "; ".join(naming.check_prefix(prefix)), "choose another bulkhead_prefix"),
    "bulkhead_machine": MACHINE,
    "bulkhead_swarm": NAME,
    "bulkhead_registry": _pattern(
        "a registry",
        r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\.[a-z0-9.-]*[a-z0-9]|localhost|[a-z0-9.-]+:\d{1,5})(?::\d{1,5})?"
        r"(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*",
        "write a host, its port if it has one, and a path, such as registry.example.com/shop",
    ),
    "bulkhead_owner": USER,
    "bulkhead_docker_host": ENGINE,
    "bulkhead_state_directory": DIRECTORY,
    "bulkhead_directory": DIRECTORY,
    "bulkhead_source_repository": _told(repository_problem, "write git@host:path or https://host/path"),
    "bulkhead_source_branch": _told(branch_problem, "write the name of a branch, such as main or release/1.2"),
    "bulkhead_source_commit": _told(commit_problem, "write the id of a commit, or a tag"),
    **dict.fromkeys(("bulkhead_env_names", "bulkhead_secret_files"), SETTING),
    "bulkhead_image": _told(reference_problem, "write registry.example.com/shop/app@sha256:…"),
    "bulkhead_image_user": LINE,
    **dict.fromkeys(("bulkhead_build_dockerfile", "bulkhead_build_context"), INSIDE),
    "bulkhead_build_target": STAGE,
    "bulkhead_build_arguments": SETTING,
    "bulkhead_build_ca_bundle": PATH,
    "bulkhead_build_memory": SIZE,
    "bulkhead_build_cpus": _number("a number of processors", 0, 1024),
    "bulkhead_build_disk": SIZE,
    "bulkhead_build_timeout": TIMEOUT,
    "bulkhead_build_egress": _form("a host and a port", _is_egress, "write host:port, such as proxy.example.com:3128"),
    "bulkhead_domains": Form(domain_problem, "write host names only, such as staging.example.com"),
    **dict.fromkeys(("bulkhead_http_port", "bulkhead_https_port", "bulkhead_app_port"), PORT),
    "bulkhead_bind_address": ADDRESS,
    "bulkhead_edge_nodes": LINE,
    **dict.fromkeys(("bulkhead_edge_connections", "bulkhead_edge_rate"), POSITIVE),
    **dict.fromkeys(("bulkhead_tls_certificate", "bulkhead_tls_key"), replace(TEXT, shown=False)),
    **dict.fromkeys(("bulkhead_tls_certificate_path", "bulkhead_tls_key_path"), PATH),
    "bulkhead_nginx_template": _form(
        "the name of a template", _is_inside, "name a file below templates/, without '..', such as nginx.conf.j2"
    ),
    "bulkhead_nginx_body_size": NGINX_SIZE,
    "bulkhead_nginx_timeout": NGINX_TIME,
    "bulkhead_acme_email": EMAIL,
    "bulkhead_acme_directory": HTTPS,
    "bulkhead_acme_ca_bundle": PATH,
    "bulkhead_acme_image": PINNED_IMAGE,
    "bulkhead_acme_webroot": NGINX_PATH,
    "bulkhead_environment_header": HEADER,
    "bulkhead_hsts_max_age": _number("a number of seconds", 0, 2**31 - 1),
    "bulkhead_services": SERVICE,
    "bulkhead_compose": SECTION,
    "bulkhead_adopted_volumes": NAME,
    **dict.fromkeys(("bulkhead_machine_memory", "bulkhead_reserved_memory", "bulkhead_reserved_disk"), SIZE),
    "bulkhead_disk_alarm": _number("a percentage", 0, 99),
    "bulkhead_cpu_weight": _number("a weight", 0, 262144),
    "bulkhead_app_service": SERVICE,
    "bulkhead_health_path": URL_PATH,
    "bulkhead_app_user": CONTAINER_USER,
    **dict.fromkeys(("bulkhead_storage_path", "bulkhead_static_root", "bulkhead_media_root"), CONTAINER_PATH),
    "bulkhead_nginx_header_size": NGINX_HEADER_SIZE,
    **dict.fromkeys(("bulkhead_nginx_streaming", "bulkhead_nginx_locations.path"), LOCATION),
    **dict.fromkeys(("bulkhead_nginx_server", "bulkhead_nginx_locations.directives"), DIRECTIVES),
    "bulkhead_trusted_proxies": NETWORK,
    **dict.fromkeys((f"bulkhead_{program}_settings" for program in ("pgbouncer", "postgresql", "redis")), LINE),
    **dict.fromkeys(
        (f"bulkhead_database_{role}" for role in ("name", "user", "login", "admin")),
        IDENTIFIER,
    ),
    **dict.fromkeys(("bulkhead_pgbouncer_pool_size", "bulkhead_pgbouncer_max_clients"), POSITIVE),
    **dict.fromkeys(("bulkhead_shared.name", "bulkhead_shared.reason"), LINE),
    "bulkhead_backup_directory": DIRECTORY,
    "bulkhead_notify": replace(LINE, shown=False),
    "bulkhead_notify_headers": HEADER,
    "bulkhead_metrics_directory": _form(
        "the directory of a collector",
        _is_own_directory,
        "name the directory that node_exporter's --collector.textfile.directory names, outside the system's own (/etc, "
        "/usr, /run), such as /var/lib/node_exporter/textfile_collector",
    ),
    "bulkhead_backup_keep": COUNT,
    "bulkhead_backup_schedule": _told(lambda text: times(text, "") and "", "use one of these words"),
    "bulkhead_backup_copy_user": USER,
    "bulkhead_backup_recipients": RECIPIENT,
    "bulkhead_fingerprints": NAME,
    "bulkhead_secret_name": NAME,
    "bulkhead_secret_file": LINE,
    "bulkhead_backup_copy_command": replace(LINE, shown=False),
    "bulkhead_backup_timeout": TIMEOUT,
    "bulkhead_restore": _form(
        "a backup", _is_restorable, "write latest, the name of a backup, or its directory on the machine"
    ),
    **dict.fromkeys(("bulkhead_restore_from", "bulkhead_restore_readers.prefix"), PREFIX),
    **dict.fromkeys(("bulkhead_restore_sanitise", "bulkhead_restore_sanitise_files"), LINE),
    "bulkhead_restore_identity": replace(LINE, shown=False),
    "bulkhead_wait_timeout": TIMEOUT,
    "bulkhead_readiness_delay": WAIT,
    "bulkhead_drain_timeout": WAIT,
    "bulkhead_keep_releases": POSITIVE,
    "bulkhead_release": NAME,
    "bulkhead_prepare": replace(COMMAND, shown=False),
    "bulkhead_prepare_status": replace(WORD, shown=False),
    "bulkhead_prepare_timeout": TIMEOUT,
    **dict.fromkeys(("bulkhead_waivers.rule", "bulkhead_waivers.resource"), LINE),
    **dict.fromkeys(("bulkhead_waivers.reason", "bulkhead_waivers.until"), LINE),
    **dict.fromkeys(("bulkhead_report", "bulkhead_receipt", "bulkhead_plan"), LINE),
    "bulkhead_plan_group": GROUP,
    "bulkhead_plan_expires": POSITIVE,
    "bulkhead_plan_signers.principal": _pattern(
        "a name", r"[A-Za-z0-9][A-Za-z0-9._+@-]{0,99}", "write a mail address or another name without blanks"
    ),
    "bulkhead_plan_signers.key": _pattern(
        "a public key that may sign",
        r"(?:(?:sk-)?ssh-ed25519(?:@openssh\.com)?|(?:sk-)?ecdsa-sha2-nistp(?:256|384|521)(?:@openssh\.com)?)"
        r" +[A-Za-z0-9+/]{40,}={0,2}(?: [^\x00-\x1f\x7f]*)?",
        "write the line of the person's .pub file, of an Ed25519 or ECDSA key, without options before it",
    ),
    "bulkhead_plan_signers.until": _form("a day", _is_day, "write the last day on which it counts, as '2027-01-31'"),
    "bulkhead_lock_wait": WAIT,
    "bulkhead_probe_timeout": TIMEOUT,
    "bulkhead_firewall": _form(
        "auto, true or false",
        lambda value: str(value).lower() in ("auto", "true", "false"),
        "use auto (the guard wherever the machine can have it), true (refuse to deploy without it) or false",
    ),
    "bulkhead_firewall_allow": _told(
        lambda entry: allowed_port(str(entry)) and "", "write 25, 8125/udp or 10.0.0.5:25"
    ),
    "bulkhead_confirm": LINE,
    "bulkhead_service": SERVICE,
    "bulkhead_lines": COUNT,
    **dict.fromkeys(("bulkhead_command", "bulkhead_manage"), replace(TEXT, shown=False)),
    "bulkhead_command_env": SETTING,
    "bulkhead_input_file": LINE,
    "bulkhead_since": SINCE,
    "bulkhead_follow": WAIT,
    "bulkhead_maintenance": _pattern("a word", r"\w+", "use on or off"),
    "bulkhead_maintenance_page": LINE,
    "bulkhead_promotion_from": GROUP,
    "bulkhead_promotion_minutes": COUNT,
    "bulkhead_promotion_machine": LINE,
    "bulkhead_source_known_hosts": HOST_KEYS,
}
