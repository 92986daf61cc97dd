# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Patterns: name filters, wildcards and prefix tests that match more environments than intended."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from ..facts.code_lines import code_lines
from ..facts.compose_calls import docker_calls, filters
from ..facts.effects import printed_lines, reading_lines, removing_files
from ..facts.ownership import short_names
from ..facts.service_kinds import texts
from ..model import Document, Environment, Fleet, Severity, Where
from ..wording import listing
from . import Hit, Judgement, rule


@rule("name-filter", "NM-01", "OP-14", severity=Severity.CRITICAL, of_machine=True)
def name_filter(fleet: Fleet) -> Judgement:
    """A script looks for containers, volumes or networks by a part of their name."""
    for environment in fleet.environments:
        acting = removing_files(environment)
        for call, reference in docker_calls(environment):
            for value in filters(call):
                key, _unused, pattern = value.partition("=")
                if key != "name" or "$" in pattern.rstrip("$") or re.fullmatch(r"\^/?[^*.|]+\$", pattern):
                    continue
                stem = re.split(r"[.*$\[(|?+]", pattern.lstrip("^/"))[0]
                others = tuple(
                    other
                    for other in matched(fleet, environment, stem, anchored=pattern.startswith("^"))
                    if _has_named(fleet.by_prefix[other], stem)
                )
                yield Hit(
                    (environment.prefix, *others),
                    f"filter {value}",
                    f"'{' '.join((*call.verb, value))}' of {environment.prefix} finds every name that "
                    f"{'begins with' if pattern.startswith('^') else 'contains'} '{stem}'"
                    + (f", those of {listing(others)} included." if others else "."),
                    f"Filter by the exact label: --filter label=com.docker.compose.project={environment.prefix}; or "
                    "by one exact name: --filter 'name=^/<name>$'.",
                    (reference.where,),
                    environment.machine,
                    severity=None if others and reference.where.file in acting else Severity.LOW,
                )


def _has_named(environment: Environment, stem: str) -> bool:
    """Whether an environment has a thing with this in its name; in others' files its prefix is a guess."""
    names = [claim.key for claim in environment.claims if claim.namespace in ("container", "volume", "network")]
    return bool(environment.variables) or not names or any(stem.lower() in name.lower() for name in names)


#: Text that every test of a word contains; most lines do not.
_TEST = re.compile(r"\sin\s|\b(?:contains|match|search|\w*[wW]ith)\(|\[\[|\*\)")
_QUOTED = r"[\"']([\w-]+)[\"']"
_TESTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("contains", re.compile(_QUOTED + r"\s+(?:not\s+)?in\s+(?![\[(])(\w[\w.]*\w)(?!\s*\.(?:split|keys))")),
    ("contains", re.compile(r"\bcontains\(\s*([\w.]+)\s*,\s*" + _QUOTED)),
    ("begins", re.compile(r"\b(?:is\s+)?match\(\s*" + _QUOTED)),
    ("contains", re.compile(r"\b(?:is\s+)?search\(\s*" + _QUOTED)),
    ("begins", re.compile(r"\bstart[sS]?[wW]ith\((?:[\w.]+\s*,\s*)?\s*" + _QUOTED)),
    ("begins", re.compile(r"\[\[\s*[\"']?\$\{?\w+\}?[\"']?\s*==?\s*([\w-]+)\*")),
    ("contains", re.compile(r"\[\[\s*[\"']?\$\{?\w+\}?[\"']?\s*==?\s*\*([\w-]+)\*")),
    ("begins", re.compile(r"\[\[\s*[\"']?\$\{?\w+\}?[\"']?\s*=~\s*\^([\w-]+)(?!\S*\$)")),
    ("contains", re.compile(r"\[\[\s*[\"']?\$\{?\w+\}?[\"']?\s*=~\s*([\w-]+)(?!\S)")),
    ("begins", re.compile(r"^\s*\(?([\w-]+)\*\)\s*")),
)


@rule("inexact-environment-test", "NM-09", severity=Severity.HIGH)
def inexact_environment_test(fleet: Fleet) -> Judgement:
    """A test of an environment's name that others pass as well: 'prod' is in 'preprod'."""
    for environment in fleet.environments:
        for word, how, line, where in tests(environment):
            passed = passing(fleet, word, how)
            if not passed:
                continue
            names = tuple(dict.fromkeys((environment.prefix, *passed)))
            told = "begins with" if how == "begins" else how
            yield Hit(
                names if len(passed) > 1 else (environment.prefix,),
                f"test for '{word}'",
                f"'{line.strip()[:80]}' of {environment.prefix} is true for every environment whose name {told} "
                f"'{word}'" + (f": {listing(passed)}." if len(passed) > 1 else ", today only for one."),
                f"Compare the whole name: == '{word}'.",
                (where,),
                environment.machine,
                severity=None if len(passed) > 1 else Severity.LOW,
            )


_WILDCARD = re.compile(r"(?<![\w.-])([A-Za-z][\w.-]*?)([_:/.-]?)(?:\*|%)(?![A-Za-z(])")


@rule("open-pattern", "NM-10", severity=Severity.HIGH)
def open_pattern(fleet: Fleet) -> Judgement:
    """A wildcard right behind an environment's prefix: it matches every longer prefix too."""
    for environment in fleet.environments:
        for text, where, document in patterns_of(environment):
            for stem, end in _wildcards(text):
                owner = fleet.by_prefix.get(stem)
                others = [p for p in beginning_with(fleet, stem + end) if p not in (environment.prefix, stem)]
                closed = end not in ("", "_", "-")
                if closed or not (owner or (others and len(stem) > 2)):
                    continue
                if document and where.line in reading_lines(document) | printed_lines(document):
                    continue
                own = stem if owner else environment.prefix
                yield Hit(
                    tuple(dict.fromkeys((environment.prefix, *([stem] if owner else []), *others))),
                    f"pattern {stem}{end}*",
                    f"The pattern '{stem}{end}*' of {environment.prefix} matches every name that begins with "
                    f"{stem}{end}"
                    + (f", those of {listing(others)} included." if others else f", so those of a later {stem}_eu."),
                    f"End the prefix with a character that no prefix contains: '{own}:*' in Redis, '{own}/*' in a "
                    "bucket or directory; in SQL compare the whole name ('_' is a wildcard there).",
                    (where,),
                    environment.machine,
                    severity=None if others else Severity.LOW if end else Severity.MEDIUM,
                )


@lru_cache(maxsize=1 << 12)  # a fleet's files repeat the same lines
def _wildcards(text: str) -> Sequence[tuple[str, str]]:
    """Each wildcard in a text: what is before it, and the character between them."""
    return _WILDCARD.findall(text)


def patterns_of(environment: Environment) -> Iterator[tuple[str, Where, Document | None]]:
    """Yield texts in which '*' or '%' is a wildcard for names, with the document that they are a line of."""
    for document in environment.documents:
        if document.kind in ("shell", "cron", "systemd", "sql", "redis", "ansible", "workflow", "pgbouncer", "text"):
            yield from ((line, where, document) for where, line in code_lines(document, "*", "%"))
    for project, name, service in environment.services():
        for key in ("command", "entrypoint"):
            text = " ".join(texts(service.get(key)))
            if "*" in text or "%" in text:
                yield text, project.where("services", name, key), None
    for setting in environment.settings:
        if "*" in setting.text and not setting.secret:
            yield setting.text, setting.where, None


def tests(environment: Environment) -> Iterator[tuple[str, str, str, Where]]:
    """Yield inexact tests of a word: (word, kind of test, line, where)."""
    for document in environment.documents:
        for where, line in code_lines(document):
            for word, how in _tests_in(line):
                yield word, how, line, where


@lru_cache(maxsize=1 << 12)  # a fleet's files repeat the same lines
def _tests_in(line: str) -> Sequence[tuple[str, str]]:
    """The inexact tests in a line: each word, and the kind of test."""
    tests_found = []
    for how, pattern in _TESTS if _TEST.search(line) else ():
        for found in pattern.finditer(line):
            subject, word = ("", found[1]) if pattern.groups == 1 else (found[2], found[1])
            if "contains(" in found[0]:
                subject, word = found[1], found[2]
            if not subject.rstrip(")").endswith("s"):  # a list or mapping contains whole words
                tests_found.append((word, how))
    return tests_found


def passing(fleet: Fleet, word: str, how: str) -> Sequence[str]:
    """The environments whose short name passes an inexact test."""
    word = word.lower()
    index = fleet.derived(_name_index)
    if not any(name == word for name, _unused in index.get(word, ())):
        return []  # the tested word is not an environment's name, but for example the project's
    found = [prefix for name, prefix in index.get(word, ()) if how == "contains" or name.startswith(word)]
    return list(dict.fromkeys(found))


def _name_index(fleet: Fleet) -> Mapping[str, list[tuple[str, str]]]:
    """The short names by each of their substrings; names are short, so this is linear."""
    found: dict[str, list[tuple[str, str]]] = {}
    for environment in fleet.environments:
        names = {environment.prefix.lower(), *(n for n in short_names(environment) if n in environment.prefix.lower())}
        names.update({environment.name.lower()} if environment.name else ())
        for name in names:
            for part in {name[start:end] for start in range(len(name)) for end in range(start + 2, len(name) + 1)}:
                found.setdefault(part, []).append((name, environment.prefix))
    return found


def beginning_with(fleet: Fleet, stem: str) -> Sequence[str]:
    """The prefixes that begin with a text."""
    known = fleet.derived(_sorted_prefixes)
    first = bisect_left(known, stem)
    last = bisect_left(known, stem + "\U0010ffff")
    return known[first:last][:50]


def _sorted_prefixes(fleet: Fleet) -> list[str]:
    return sorted(fleet.by_prefix)


def matched(fleet: Fleet, environment: Environment, stem: str, *, anchored: bool) -> tuple[str, ...]:
    """The other environments whose names a filter by substring matches."""
    stem = stem.lower()
    if anchored:
        found = [*beginning_with(fleet, stem)]
    else:
        found = [prefix for _unused, prefix in fleet.derived(_name_index).get(stem.rstrip("_-"), ())]
        if stem.endswith(("_", "-")):
            found = [prefix for prefix in found if stem in f"{prefix}_"]
    return tuple(dict.fromkeys(prefix for prefix in found if prefix != environment.prefix))
