# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose names occur in a text: prefixes, real names, directories, domains, and ports in URLs.

A match belongs to the longest identifier, which must end at a word's end: ``aiia_prod_eu_db`` belongs to
``aiia_prod_eu``, not to ``aiia_prod``; ``staging.eduaiia.com`` is not ``eduaiia.com``. An identifier that several
environments own is ignored here; other rules report the sharing. The prefix of an environment that Bulkhead deploys is
found in other spellings as well: ``aiia-prod``, ``AIIA_PRODUCTION``, and where a name takes no separator ``aiiaprod``
and ``aiiaprodmedia``.
"""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from functools import lru_cache
from typing import TypeVar

from ..hosts import as_read
from ..model import Environment, Fleet
from ..numbers import number_of
from .ownership import is_common, spellings

_Key = TypeVar("_Key", bound=Hashable)

#: Namespaces of names that Docker and PostgreSQL use.
_NAMED = ("container", "network", "volume", "project", "hostname")

_WORD = re.compile(r"[A-Za-z0-9]+(?:[_-]+[A-Za-z0-9]+)*")
_SEPARATORS = re.compile(r"[_-]+")
_PART = re.compile(r"[A-Za-z0-9]+")
#: A path behind a host's name is on that host; behind these schemes it is on this one. The slash comes first, as
#: others than that are then passed over at once.
_PATH = re.compile(
    r"/(?:(?<![\w.~:/-]/)|(?<=\bfile:/)|(?<=\bunix:/)|(?<=\bfile:///)|(?<=\bunix:///)|(?<=\bsqlite:////))"
    r"[\w.@+-]+(?:/+[\w.@+-]+)+/*"
)
#: The most ends of domains for which a text is searched before its host names are.
_MOST_ENDS = 16
#: What a file of a domain is called behind its name: ``eduaiia.com.key``.
_FILE_OF_DOMAIN = re.compile(r"\.(?:key|pem|crt|cer|csr|p12|pfx|conf)\Z", re.IGNORECASE)
_HOST = re.compile(r"(?<![\w.@*-])[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?![\w-])")
#: A host behind a user is that of a mail address, but in a URL.
_HOST_OF_USER = re.compile(r"(?<=@)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?![\w-])")
_LONGEST_USER = 256
_USER_OF_URL = re.compile(r"://[^\s/@]*@\Z")
#: The scheme is bounded, or each letter of a long word would be tried as its beginning.
_URL_PORT = re.compile(
    r"[a-z][a-z0-9+.-]{0,31}://(?:[^/@\s'\"]*@)?([A-Za-z0-9_.-]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})(?!\d)"
)
_MACHINE_ITSELF = frozenset({"localhost", "127.0.0.1", "[::1]", "0.0.0.0", "host.docker.internal", "172.17.0.1"})

#: What an account or bucket without separators holds, after whose it is.
_CONTENT = re.compile(
    r"(?<=.)(?:archive|assets?|backups?|cdn|data|files?|images?|logs?|media|public|static|storage|store|uploads?)\d*\Z"
)

#: Which environments a text names: none, and what stands for one that depends on the machine that it is read on.
_NOBODY: frozenset[str] = frozenset()
_PERHAPS = ""

#: (owner, the matching text, its position)
Token = tuple[str, str, int]


class TokenIndex:
    """An index of a fleet's identifiers, so that a text is read once, however many environments there are."""

    def __init__(self, fleet: Fleet) -> None:
        environments = fleet.environments
        self._machines = {environment.prefix: environment.machine for environment in environments}
        prefixes = {environment.prefix for environment in environments if environment.prefix}
        # A word that other prefixes begin with is the product's name, and says nothing about the environment.
        begun = {re.split("[_-]", prefix, maxsplit=1)[0] for prefix in prefixes if re.search("[_-]", prefix)}
        self._prefixes = prefixes - begun
        # In files that others wrote, a prefix of one word is a mere word: the product's or a program's name.
        self._bare = {item.prefix for item in environments if not item.variables and not re.search("[_-]", item.prefix)}
        self._bare |= {item.prefix for item in environments if item.named_by_directory}
        own_words = _own_words(environments)
        self._names = _single(
            (claim.key, claim.owner)
            for namespace in _NAMED
            for claims in fleet.claims(namespace).values()
            for claim in claims
            if own_words.get(claim.owner, frozenset()) & set(re.split(r"[_-]", claim.key)) and not is_common(claim.key)
        )
        deployed = [item for item in environments if item.variables and re.search("[_-]", item.prefix)]
        self._spelled = _spelled(deployed)
        self._longest = max(map(len, (*self._prefixes, *self._names, *self._spelled)), default=0)
        self._directories = _single(
            ((machine, posixpath.normpath(environment.directory)), environment.prefix)
            for environment in environments
            if environment.directory.count("/") > 1
            for machine in fleet.places(environment)
        )
        self._domains = _single(
            (domain.lower().rstrip("."), environment.prefix)
            for environment in environments
            for domain in environment.domains
        )
        self._ports = _single(
            (scoped, claim.owner) for scoped, claims in fleet.claims("host-port").items() for claim in claims
        )
        self._published = {port for _machine, port in self._ports}
        self._addressed = frozenset(self._machines.values())

        self._may_name_domain = _may_name(self._domains)
        # Cached, as a fleet's files repeat the same words; an environment's own words are soon of no use.
        self._in_word = lru_cache(maxsize=1 << 10)(lambda word: tuple(self._read_word(word)))
        self._owners_of_word = lru_cache(maxsize=1 << 12)(
            lambda word: frozenset(owner for owner, _token, _position in self._read_word(word))
        )
        self._owners_of_path = lru_cache(maxsize=1 << 10)(self._possible_owners_of_path)
        self._owners = lru_cache(maxsize=1 << 13)(self._possible_owners)
        self._by_path: dict[str, str] = {}
        for (_machine, path), owner in self._directories.items():
            self._by_path[path] = owner if self._by_path.get(path, owner) == owner else _PERHAPS

    def owners_in(self, text: str, reader_prefix: str) -> list[Token]:
        """The identifiers of other environments in a text of ``reader_prefix``, by position."""
        if len(text) < 2 or self._owners(text) <= {reader_prefix}:
            return []
        text = as_read(text)
        foreign = {token for token in self._tokens(text, reader_prefix) if token[0] != reader_prefix}
        return sorted(foreign, key=lambda token: (token[2], -len(token[1])))

    def are_free(self, texts: Collection[str], reader_prefix: str) -> bool:
        """Whether texts contain no identifier of another environment; faster than :meth:`owners_in`."""
        own = frozenset((reader_prefix,))
        if all(map(own.issuperset, map(self._owners, texts))):
            return True
        return all(self._owners(text) <= own or not self.owners_in(text, reader_prefix) for text in texts)

    def _possible_owners(self, text: str) -> frozenset[str]:
        """The environments whose identifiers a text contains on any machine, and :data:`_PERHAPS` where the machine
        decides: of a port, or a directory of several. Most of what a fleet repeats names no environment."""
        text = as_read(text)
        found: set[str] = set().union(*map(self._owners_of_word, _WORD.findall(text)))
        if "/" in text:
            found.update(*map(self._owners_of_path, _PATH.findall(text)))
        if self._may_name_domain(text):
            found.update(filter(None, (self._owner_of_host(match[0]) for match in _hosts(text))))
        if "://" in text and any(self._may_be_port(host, port) for host, port in _URL_PORT.findall(text)):
            found.add(_PERHAPS)
        return frozenset(found) if found else _NOBODY

    def _possible_owners_of_path(self, written: str) -> frozenset[str]:
        """In whose directories a path lies, on any machine."""
        return frozenset(self._by_path[path] for path in _upwards(written) if path in self._by_path)

    def _may_be_port(self, host: str, port: str) -> bool:
        """Whether a host and port of a URL are published by an environment on some machine."""
        at_all = host.lower() in _MACHINE_ITSELF or host in self._addressed
        return at_all and f"{number_of(port)}/tcp" in self._published

    def _owner_of_host(self, written: str) -> str:
        """The environment whose domain a host name is, or the name of a file that belongs to a domain."""
        host = written.lower()
        return self._domains.get(host) or self._domains.get(_FILE_OF_DOMAIN.sub("", host), "")

    def _tokens(self, text: str, reader: str) -> Iterator[Token]:
        for match in _WORD.finditer(text):
            for owner, token, position in self._in_word(match[0]):
                yield owner, token, match.start() + position
        yield from self._in_places(text, reader)

    def _in_places(self, text: str, reader: str) -> Iterator[Token]:
        machine = self._machines.get(reader, "")
        if "/" in text:
            yield from self._in_paths(text, machine)
        for match in _hosts(text):
            owner = self._owner_of_host(match[0])
            if owner:
                yield owner, match[0], match.start()
        if "://" in text:
            yield from self._in_urls(text, machine)

    def _read_word(self, word: str) -> Iterator[Token]:
        """Yield the longest prefix or name at each part of a word; a one-part prefix only at the word's start."""
        parts = [match.span() for match in _PART.finditer(word)]
        ends = [end for _start, end in parts]
        done = 0
        for index, (start, _end) in enumerate(parts):
            if start < done:
                continue
            shortest = index + 1 if start else index
            # Nothing longer than the longest identifier can be one, so a word takes time linear in its length.
            for end in reversed(ends[shortest : bisect_right(ends, start + self._longest)]):
                part = word[start:end]
                known = part in self._prefixes
                owner = part if known else self._names.get(part, "") or self._owner_as_spelled(part, word)
                if known and part == word and part in self._bare:
                    continue
                if owner:
                    # A word that begins with a prefix is a single name.
                    done = len(word) if known else end
                    yield owner, word[start:done], start
                    break

    def _owner_as_spelled(self, part: str, word: str) -> str:
        """The environment whose prefix a part of a word is, in another spelling."""
        if not self._spelled:
            return ""
        name = part.lower()
        if "-" in name or "__" in name:
            name = _SEPARATORS.sub("_", name)
        if part != word or "_" in name:
            return self._spelled.get(name, "") if "_" in name else ""
        return self._spelled.get(_CONTENT.sub("", name), "")

    def _in_paths(self, text: str, machine: str) -> Iterator[Token]:
        for match in _PATH.finditer(text):
            for path in _upwards(match[0]):
                owner = self._directories.get((machine, path))
                if owner:
                    yield owner, path, match.start()
                    break

    def _in_urls(self, text: str, machine: str) -> Iterator[Token]:
        for match in _URL_PORT.finditer(text):
            if match[1].lower() in _MACHINE_ITSELF or match[1] == machine:
                owner = self._ports.get((machine, f"{number_of(match[2])}/tcp"))
                if owner:
                    yield owner, f"{match[1]}:{match[2]}", match.start(1)


def _hosts(text: str) -> Iterator[re.Match[str]]:
    """The host names in a text."""
    if "." in text:
        yield from _HOST.finditer(text)
        if "@" in text and "://" in text:
            for match in _HOST_OF_USER.finditer(text):
                if _USER_OF_URL.search(text, max(0, match.start() - _LONGEST_USER), match.start()):
                    yield match


def _may_name(domains: Iterable[str]) -> Callable[[str], object]:
    """Says fast of most texts that they name none of these domains: a host has a dot before its last label, or behind
    its only one if it stands in the name of a file."""
    ends = {f".{last}" if dot else f"{last}." for _rest, dot, last in (name.rpartition(".") for name in domains)}
    if len(ends) > _MOST_ENDS:
        return lambda text: "." in text
    return re.compile("|".join(map(re.escape, sorted(ends))) or "(?!)", re.IGNORECASE).search


def _upwards(path: str) -> Iterator[str]:
    """A path with one way to write it, as a kernel reads several slashes as one, and the directories above it."""
    path = posixpath.normpath(re.sub("/+", "/", path) if "//" in path else path)
    while path not in ("/", ""):
        yield path
        path = path.rpartition("/")[0]


def _single(pairs: Iterable[tuple[_Key, str]]) -> dict[_Key, str]:
    """Owners by identifier, without identifiers that several environments own."""
    owners: dict[_Key, str] = {}
    several: set[_Key] = set()
    for key, owner in pairs:
        if owners.setdefault(key, owner) != owner:
            several.add(key)
    for key in several:
        del owners[key]
    return owners


def _spelled(environments: Iterable[Environment]) -> dict[str, str]:
    """Owners by each spelling of a prefix, as one word too; the prefix itself counts before another's synonym."""
    owners = _single((spelling, item.prefix) for item in environments for spelling in spellings(item))
    owners.update(_single((next(spellings(item)), item.prefix) for item in environments))
    joined = _single((spelling.replace("_", ""), owner) for spelling, owner in owners.items())
    return {**joined, **owners}


def _own_words(environments: Iterable[Environment]) -> dict[str, frozenset[str]]:
    """For each environment, the words of its prefix and name that no other has; names without one are ambiguous."""
    words = {
        environment.prefix: frozenset(re.split(r"[_-]", f"{environment.prefix}_{environment.name}".lower()))
        for environment in environments
    }
    count = Counter(word for own in words.values() for word in own if word)
    return {prefix: frozenset(word for word in item if count[word] == 1) for prefix, item in words.items()}
