# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The names of an environment, derived from its prefix: the only place where names are made.

Every name made here is the prefix alone, or begins with the prefix and ``_``. So two environments whose prefixes do
not conflict (:func:`prefixes_conflict`) share no name. Functions raise ``ValueError`` for a name that is invalid or
too long.
"""

from __future__ import annotations

import re
from hashlib import sha256

from ...module_utils.docker.labels import swarm_service
from .wording import in_words

#: PostgreSQL truncates longer identifiers, with only a notice.
IDENTIFIER_BYTES = 63
#: A longer DNS label cannot be resolved, but Docker accepts it as a container name.
DNS_LABEL = 63
#: Linux refuses longer interface names.
INTERFACE_NAME = 15
#: iptables refuses longer chain names.
FIREWALL_CHAIN = 28
#: Docker refuses longer volume names (they are directories).
FILE_NAME = 255
#: Docker refuses longer names of a swarm's configs and secrets.
SWARM_NAME = 64
#: A DNS label must have room for the prefix and the longest service name of the default stack.
LONGEST_PREFIX = DNS_LABEL - len("_postgresql")

#: Different words for the same environment of a project.
SYNONYMS = (
    frozenset({"prod", "production", "live"}),
    frozenset({"staging", "stage", "stg"}),
    frozenset({"dev", "devel", "development"}),
    frozenset({"test", "testing"}),
)

_PREFIX = re.compile(r"[a-z][a-z0-9_-]*\Z")
_SERVICE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*\Z")
_ENVIRONMENT = re.compile(r"[a-z0-9][a-z0-9_-]*\Z")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*\Z")
_PROJECT_CHARACTERS = re.compile(r"[^a-z0-9_-]")
_SWARM_CHARACTERS = re.compile(r"[^a-zA-Z0-9._-]+")
_SEPARATORS = "_-"


def words_of(*names: str) -> frozenset[str]:
    """The last word of each name of an environment, with its synonyms: what tells it from the project's others.

    A single word tells that only if it is a usual one: ``shop`` may be the project.
    """
    usual = frozenset().union(*SYNONYMS)
    split = [re.split("[_ -]", name.lower()) for name in names]
    last = {words[-1] for words in split if len(words) > 1 or words[-1] in usual}
    return frozenset(last.union(*(words for words in SYNONYMS if words & last)))


def check_prefix(prefix: object) -> list[str]:
    """The problems of a prefix, one message each; empty if it is valid."""
    if not isinstance(prefix, str):
        return [f"a prefix is text, but this is {in_words(prefix)}"]
    if not prefix:
        return ["the prefix is empty"]
    problems = []
    if not _PREFIX.match(prefix):
        problems.append(f"prefix {prefix!r} must begin with a letter and contain only a-z, 0-9, '_' and '-'")
    elif not _REPOSITORY.match(prefix):
        problems.append(
            f"prefix {prefix!r} must end with a letter or digit and separate its words by '_', '__' or '-', "
            "as image names allow nothing else"
        )
    if len(prefix) > LONGEST_PREFIX:
        problems.append(
            f"prefix {prefix!r} has {len(prefix)} characters; at most {LONGEST_PREFIX} are allowed, so that container "
            f"names fit into {DNS_LABEL}"
        )
    return problems


def check_environment(name: object) -> list[str]:
    """The problems of an environment's name, such as ``prod`` or ``pr-123``; empty if it is valid."""
    if not isinstance(name, str):
        return [f"the name of an environment is text, but this is {in_words(name)}"]
    if not _ENVIRONMENT.match(name):
        return [f"environment {name!r} must begin with a letter or digit and contain only a-z, 0-9, '_' and '-'"]
    return []


def project_name(prefix: str) -> str:
    """The Compose project: the prefix."""
    return _valid_prefix(prefix)


def container_name(prefix: str, service: str) -> str:
    """The container of a service, which is also its host name on the environment's network."""
    return _fits(f"{_valid_prefix(prefix)}_{_valid_service(service)}", DNS_LABEL, "container name", "a DNS label")


def network_name(prefix: str, base: str = "network") -> str:
    """A network of the environment."""
    return _fits(f"{_valid_prefix(prefix)}_{_valid_service(base)}", FILE_NAME, "network name", "a network name")


def volume_name(prefix: str, environment: str, base: str) -> str:
    """A volume, such as ``aiia_prod_pgdata_prod``: the prefix, and the name that the guide gives it."""
    _raise(check_environment(environment))
    name = f"{_valid_prefix(prefix)}_{_valid_service(base)}_{environment}"
    return _fits(name, FILE_NAME, "volume name", "a volume name")


def swarm_scope(swarm: str) -> str:
    """What stands for a whole swarm where others have a machine: in claims, and in what people read."""
    return f"swarm {swarm}"


def swarm_service_name(prefix: str, key: str) -> str:
    """A service of a stack on its swarm: the stack's name, which is the prefix, and the key in its file."""
    name = swarm_service(_valid_prefix(prefix), _valid_service(key))
    return _fits(name, DNS_LABEL, "service name", "a service of a swarm")


def stack_file_name(prefix: str, path: str, version: str) -> str:
    """The config or secret of a swarm that holds a version of a file: it cannot be changed, only replaced.

    ``version`` is a short digest of path and content, so that the name is one even where the path has no room in it.
    """
    room = SWARM_NAME - len(_valid_prefix(prefix)) - len(version) - 2
    shown = _SWARM_CHARACTERS.sub("_", path).strip("_")[-room:].lstrip("_.-") if room > 0 else ""
    return _fits("_".join(filter(None, (prefix, shown, version))), SWARM_NAME, "name", "a config of a swarm")


def database_name(prefix: str) -> str:
    """The environment's database: the prefix."""
    return _fits(_valid_prefix(prefix), IDENTIFIER_BYTES, "database name", "a PostgreSQL identifier")


def role_name(prefix: str, base: str = "") -> str:
    """The application's database role: the prefix. With ``base``, another role of the environment."""
    name = f"{_valid_prefix(prefix)}_{_valid_service(base)}" if base else _valid_prefix(prefix)
    return _fits(name, IDENTIFIER_BYTES, "role name", "a PostgreSQL identifier")


def image_name(prefix: str, service: str) -> str:
    """The repository of an image that the environment builds, without tag."""
    name = f"{_valid_prefix(prefix)}_{_valid_service(service).lower()}"
    if not _REPOSITORY.match(name):
        raise ValueError(
            f"image name {name!r} is not a valid Docker repository: separate its words by '.', '_', '__' or '-'"
        )
    return _fits(name, FILE_NAME, "image name", "a repository name")


def firewall_chain(prefix: str) -> str:
    """The environment's chain in the machine's firewall. The digest distinguishes prefixes that begin alike."""
    digest = sha256(_valid_prefix(prefix).encode()).hexdigest()[:8]
    return _fits(f"BULKHEAD-{prefix[:10]}-{digest}", FIREWALL_CHAIN, "chain", "an iptables chain")


def owns(prefix: str, name: str) -> bool:
    """Whether a name begins with the prefix as whole words: ``aiia_prod`` owns ``aiia_prod`` and ``aiia_prod_db``,
    but not ``aiia_production``."""
    return bool(prefix) and name.startswith(prefix) and not name[len(prefix) : len(prefix) + 1].isalnum()


def assert_prefixed(name: str, prefix: str) -> str:
    """Return the name if it starts with the prefix as whole words. Raises ``ValueError`` otherwise."""
    problems = check_prefix(prefix)
    if problems:
        raise ValueError("; ".join(problems))
    if not owns(prefix, name):
        raise ValueError(
            f"{name!r} does not begin with the prefix {prefix!r}, so it may be the name of another environment, and "
            f"deploying this one would then change that one. Build the name from bulkhead_prefix, "
            f"for example {container_name(prefix, 'web')!r} with the filter aiia.bulkhead.container_name"
        )
    return str(name)


def prefixes_conflict(prefix: str, other: str) -> bool:
    """Whether two prefixes cannot coexist: they are equal, or one is the other followed by ``_`` or ``-``."""
    short, long = sorted((prefix.casefold(), other.casefold()), key=len)
    return long.startswith(short) and (len(long) == len(short) or long[len(short)] in _SEPARATORS)


def normalise_project(text: str) -> str:
    """The project name that Compose derives from a directory's name."""
    return _PROJECT_CHARACTERS.sub("", text.lower()).lstrip(_SEPARATORS)


def truncate_identifier(text: str) -> str:
    """An identifier as PostgreSQL truncates it: to 63 bytes, without a partial character at the end."""
    return text.encode("utf-8", "surrogatepass")[:IDENTIFIER_BYTES].decode("utf-8", "ignore")


def normalise_image(reference: str) -> str:
    """The full form of an image reference: registry, path, and ``:latest`` if it has neither tag nor digest."""
    name, at, digest = reference.strip().partition("@")
    if not name:
        return reference.strip()
    first, slash, rest = name.partition("/")
    if not slash:
        first, rest = "docker.io", f"library/{name}"
    elif not ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        first, rest = "docker.io", name
    registry = first.lower()
    if registry in ("index.docker.io", "registry-1.docker.io"):
        registry = "docker.io"
    if registry == "docker.io" and "/" not in rest:
        rest = f"library/{rest}"
    tagged = ":" in rest.rpartition("/")[2]
    return f"{registry}/{rest}{'' if tagged or at else ':latest'}{at}{digest}"


def _valid_prefix(prefix: str) -> str:
    _raise(check_prefix(prefix))
    return str(prefix)


def _valid_service(service: str) -> str:
    if not isinstance(service, str) or not _SERVICE.match(service):
        raise ValueError(
            f"{service!r} must begin with a letter or digit and contain only letters, digits, '.', '_' and '-'"
        )
    return str(service)


def _raise(problems: list[str]) -> None:
    if problems:
        raise ValueError("; ".join(problems))


def _fits(name: str, limit: int, what: str, place: str) -> str:
    length = len(name.encode())
    if length > limit:
        raise ValueError(f"{what} {name!r} has {length} bytes; {place} can have {limit} at most")
    return name
