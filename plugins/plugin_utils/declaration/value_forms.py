# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Forms: what a value may look like, whatever it is then used for.

A value ends up in configurations of nginx, in commands and in file names. One that has the form of what it stands for
can say nothing else there. ``forms`` says which variable has which.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from ..isolation import naming
from ..isolation.errors import ReaderError
from ..isolation.readers.nginx.parser import read_nginx
from .guarded_ports import egress


@dataclass(frozen=True, slots=True)
class Form:
    """A form. ``problem`` says what is wrong with a value, as a predicate (``is not a port``), empty if nothing is;
    ``fix`` is what to write instead. A value that may be a secret is not ``shown``. A problem that is ``whole`` names
    the value itself."""

    problem: Callable[[Any], str]
    fix: str
    shown: bool = True
    whole: bool = False


def form(what: str, holds: Callable[[Any], bool], fix: str) -> Form:
    return Form(lambda value: "" if holds(value) else f"is not {what}", fix)


def pattern(what: str, pattern: str, fix: str) -> Form:
    compiled = re.compile(pattern)
    return form(what, lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None, fix)


def number(what: str, low: int, high: int, fix: str = "") -> Form:
    def holds(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return form(f"{what} from {low} to {high}", holds, fix or f"write a whole number from {low} to {high}")


def judged_by(problem: Callable[[str], Any], fix: str) -> Form:
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


def _is_inventory(path: str) -> bool:
    """Whether a path of the controller is a file that holds an inventory's variables."""
    parts = posixpath.normpath(path.strip()).split("/")
    return bool({"group_vars", "host_vars"} & {*parts[:-1]}) or parts[-1].endswith((".yml", ".yaml"))


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


def _is_command(value: Any) -> bool:
    words = isinstance(value, (list, tuple)) and bool(value) and not any(isinstance(word, bool) for word in value)
    if not words or not all(isinstance(word, (str, int, float)) for word in value):
        return False
    return value[0] != "" and "\0" not in "".join(map(str, value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_egress(value: Any) -> bool:
    found = re.fullmatch(
        r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?|\[([0-9A-Fa-f:.]+)\]):([0-9]{1,5})", str(value)
    )
    return found is not None and (not found[1] or _is_address(found[1])) and 0 < int(found[2]) < 65536


def _is_day(value: Any) -> bool:
    try:
        return len(str(value)) == 10 and bool(date.fromisoformat(str(value)))
    except ValueError:
        return False


def _is_restorable(value: Any) -> bool:
    return NAME.problem(value) == "" or _is_path(value)


PORT = number("a port", 1, 65535, "use a port from 1 to 65535")
COUNT = number("a number", 0, 1_000_000)
POSITIVE = number("a number", 1, 1_000_000)
WAIT = number("a number of seconds", 0, 31 * 86400, "write whole seconds, at most 31 days (2678400)")
TIMEOUT = number("a number of seconds", 1, 31 * 86400, "write whole seconds, from 1 to 31 days (2678400)")
PATH = form("an absolute path", _is_path, "write the whole path, without '..' or '//', such as /srv/app/file")
INSIDE = form(
    "a path inside",
    _is_inside,
    "name it relative to the root, without '..', such as backend or backend/Dockerfile",
)
DIRECTORY = form(
    "a directory that the environment can have to itself, as an absolute path",
    _is_own_directory,
    "name a directory that holds this environment and nothing else, outside the system's own (/etc, /usr, /run), such "
    "as /home/ubuntu/main/ai-ia-backend",
)
LINE = form("one line of text", is_plain, "write one line, without tabs and other control characters")
OUTPUT = form(
    "a path to write to",
    lambda value: is_plain(value) and not any(map(_is_inventory, value.split(","))),
    "write a path outside of group_vars and host_vars that does not end in .yml, such as receipt.json: a run replaces "
    "that file",
)
PAGE = form(
    "the template of a page",
    lambda value: is_plain(value) and not _is_inventory(value),
    "name a template, such as maintenance.html.j2: everybody reads it",
)
TEXT = form("text", _is_text, "write text without NUL characters")
WORD = form("a word of a command", _is_text, "write text without NUL characters")
COMMAND = form("a command", _is_command, "write each command as a list of words, such as [python3, manage.py, migrate]")
USER = pattern(
    "the name of a user",
    r"[A-Za-z_][A-Za-z0-9_.-]{0,31}",
    "write the name of a user of the machine, such as deploy",
)
IDENTIFIER = pattern(
    "a name for PostgreSQL",
    rf"[A-Za-z_][A-Za-z0-9_.-]{{0,{naming.IDENTIFIER_BYTES - 1}}}",
    f"begin with a letter or '_', and use at most {naming.IDENTIFIER_BYTES} letters, digits, '_', '.' and '-'",
)
SERVICE = pattern(
    "the name of a service",
    r"[A-Za-z0-9][A-Za-z0-9._-]*",
    "write the name of a service of the stack, such as django; it may have letters, digits, '.', '_' and '-'",
)
SIZE = pattern(
    "a size",
    r"0*[1-9]\d*(?:\.\d+)? ?[kKmMgGtT]?(?:[iI]?[bB])?",
    "write a number of bytes, or one with K, M, G or T, such as 20G",
)
NGINX_SIZE = pattern("a size for nginx", r"\d{1,9}[kKmMgG]?", "write a number with k, m or g, such as 20m")
NGINX_TIME = pattern("a duration for nginx", r"\d{1,6}(?:ms|s|m|h|d)?", "write a number with s, m or h, such as 60s")
HEADER = pattern(
    "the name of a header", r"[A-Za-z0-9][A-Za-z0-9-]{0,63}", "use letters, digits and '-', such as X-Environment"
)
URL_PATH = pattern(
    "the path of a URL",
    r"/(?:[A-Za-z0-9._~!&()*+,=:@/?-]|%[0-9A-Fa-f]{2})*",
    "begin with '/', and write no spaces, quotes, '$', '#' or ';', such as /health/",
)
#: nginx reads it as one word of its configuration.
NGINX_PATH = pattern(
    "a path for nginx",
    r"(?!.*/\.\.?(?:/|\Z))(?:/[A-Za-z0-9._@+=~-]+)+/?",
    "write the whole path in the container, without spaces, quotes or ';', such as /srv/acme",
)
#: Compose splits a volume at colons, and nginx reads the path as one word.
CONTAINER_PATH = pattern(
    "a directory in the container",
    r"(?!.*/\.\.?(?:/|\Z))(?:/[A-Za-z0-9._@+=~-]+)+",
    "write its whole path, without spaces and without '/' at the end, such as /srv/storage",
)
CONTAINER_USER = pattern(
    "a user in the container",
    r"(?:[A-Za-z_][A-Za-z0-9_.-]{0,31}|\d{1,10})(?::(?:[A-Za-z_][A-Za-z0-9_.-]{0,31}|\d{1,10}))?",
    "write a name that the image knows or a number, such as 1000:1000",
)
EMAIL = pattern(
    "an e-mail address",
    r"[A-Za-z0-9_][A-Za-z0-9._%+=-]*@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}",
    "write the address of a person or a list, such as ops@example.com",
)
HTTPS = pattern(
    "the https address of an authority's directory",
    r"https://(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?:/[A-Za-z0-9._~%/-]*)?",
    "write https://host/path, such as https://acme-v02.api.letsencrypt.org/directory; a private authority's "
    "certificate is trusted by bulkhead_acme_ca_bundle",
)
PINNED_IMAGE = pattern(
    "an image with a version",
    r"(?!sha256:)[a-z0-9][\w.-]*(?::\d+)?(?:/[\w.-]+)*(?::(?!latest\Z)[\w][\w.-]*|(?::[\w][\w.-]*)?@sha256:[0-9a-f]{64})",
    "write a name with a version other than latest, or with a digest, such as certbot/certbot:v5.1.0",
)
ADDRESS = form("an IP address", _is_address, "write an IPv4 or IPv6 address, such as 127.0.0.1")
HOST_KEYS = form(
    "the host keys of a server",
    _are_host_keys,
    "write lines of known_hosts, as `ssh-keyscan <host>` prints them, compared with the server's own keys",
)
#: A public key that age encrypts for without a plugin. Not shown: a private key could stand there by mistake.
RECIPIENT = replace(
    pattern(
        "a public key for age",
        r"age1[02-9ac-hj-np-z]{58}|ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43}",
        "write the public key of age-keygen (age1…), or the first two words of an Ed25519 key's .pub file; the private "
        "key belongs on no server and in no inventory",
    ),
    shown=False,
)
NETWORK = form(
    "the address or network of a load balancer",
    _is_network,
    "write an address, or a network whose host bits are zero, such as 10.0.0.0/24; not everybody's (0.0.0.0/0)",
)
LOCATION = form(
    "the path of a location of its own",
    _is_location,
    "write a path such as /events/, of letters, digits and . ~ / _ -; /, /static/ and /media/ are taken",
)
DIRECTIVES = Form(
    _directives_problem,
    "write whole directives, each with its ';' and each block with its '}', such as client_max_body_size 2g;",
)
NGINX_HEADER_SIZE = pattern("a size for nginx", r"[1-9]\d{0,8}[kKmM]?", "write a number with k or m, such as 16k")
SINCE = pattern(
    "a time",
    r"\d{1,6}[smhd]|\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d)?)?",
    "write how long ago, such as 10m or 2h, or a time such as 2026-11-23T10:00:00Z",
)
MACHINE = pattern(
    "the name of a machine", r"[\w\[][\w.:%@\[\]-]*", "write a host name or an address, such as app1.example.com"
)
ENGINE = pattern(
    "the address of an engine",
    r"unix:///[A-Za-z0-9._/@:+~-]+|(?:tcp|ssh)://[A-Za-z0-9_\[][A-Za-z0-9._@:\[\]-]*",
    "write unix:///var/run/docker.sock, or tcp:// or ssh:// with a host and a port",
)
STAGE = pattern(
    "the name of a stage", r"[A-Za-z0-9][A-Za-z0-9._-]*", "write the name of a stage of the Dockerfile (FROM … AS name)"
)
PREFIX = pattern("a prefix", r"[a-z][a-z0-9_-]*", "write the prefix of an environment, such as aiia_prod")
GROUP = pattern("the name of a group", r"[\w][\w.-]*", "write the name of an inventory group")
NAME = pattern("a name", r"[A-Za-z0-9][A-Za-z0-9._-]*", "use letters, digits, '.', '_' and '-'")
SETTING = pattern(
    "the name of a setting", r"[A-Za-z_][A-Za-z0-9_]*", "use letters, digits and '_', and do not begin with a digit"
)
SECTION = pattern(
    "a key of a Compose file", r"[a-z]+|x-\S+", "write a key of a Compose file, such as volumes or networks"
)
EGRESS = Form(
    lambda value: egress(str(value)) if _is_egress(value) else f"{value} is not a host and a port",
    "write host:port, such as proxy.example.com:3128",
    whole=True,
)
BACKUP = form("a backup", _is_restorable, "write latest, the name of a backup, or its directory on the machine")
DAY = form("a day", _is_day, "write the last day on which it counts, as '2027-01-31'")
METRICS_DIRECTORY = form(
    "the directory of a collector",
    _is_own_directory,
    "name the directory that node_exporter's --collector.textfile.directory names, outside the system's own (/etc, "
    "/usr, /run), such as /var/lib/node_exporter/textfile_collector",
)
TEMPLATE = form(
    "the name of a template", _is_inside, "name a file below templates/, without '..', such as nginx.conf.j2"
)
