# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls of Ansible in scripts and workflows name one environment and use only its vault password."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..facts.ownership import short_names
from ..facts.playbooks import IDENTITY, codes
from ..model import Environment, Fleet, Reference, Severity, Where
from ..readers.shell.scripts import Command
from ..wording import listing
from . import Hit, Judgement, rule

_VARIABLE = re.compile(r"\$\{\{\s*(?:github\.event\.)?inputs\.(\w+)\s*\}\}|\$\{(\w+)\}|\$(\w+)|\$\{\{.*?\}\}")
_CHOSEN = re.compile(r"\btype:\s*(?:choice|environment)\b")


@rule("empty-limit", "AN-04", severity=Severity.CRITICAL)
def empty_limit(fleet: Fleet) -> Judgement:
    """A run is limited to what may be empty, and an empty limit means every host."""
    for environment, command, words in fleet.derived(_runs):
        for limit in _values(words, "-l", "--limit", "--subset"):
            variable = _VARIABLE.search(limit)
            empty = not limit.strip(" ,:'\"")
            if empty or (variable and not _checked(environment, command.where.file, variable)):
                yield Hit(
                    _concerned(fleet, environment),
                    f"--limit {limit!r}",
                    f"`{_short(words)}` runs on every host of {listing(_concerned(fleet, environment))} when "
                    f"{variable[0] if variable else 'the limit'} is empty, and Ansible says nothing.",
                    'Write -l "${NAME:?}", which stops the script when the name is empty, or name the environment.',
                    (command.where,),
                )


def _checked(environment: Environment, file: str, variable: re.Match[str]) -> bool:
    """Whether the same text refuses an empty value or offers a fixed choice."""
    text = next((document.text for document in environment.documents if document.path == file), "")
    name = re.escape(variable[1] or variable[2] or variable[3] or "")
    if not name:
        return False
    if variable[1]:
        block = re.search(rf"^(\s*){name}:\s*\n((?:\1\s+.*\n?)+)", text, re.MULTILINE)
        return bool(block and _CHOSEN.search(block[2]) and re.search(r"required:\s*true|default:\s*\S", block[2]))
    tests = (
        rf"\$\{{{name}:\?",
        rf"-[zn]\s+\"?\$\{{?{name}\b",
        rf"^\s*(?:export\s+|readonly\s+)?{name}=[\"']?[A-Za-z0-9]",
        rf"^\s*{name}:\s*[\"']?[A-Za-z0-9]",
    )
    return any(re.search(test, text, re.MULTILINE) for test in tests)


@rule("pattern-limit", "AN-05", severity=Severity.HIGH)
def pattern_limit(fleet: Fleet) -> Judgement:
    """A run is limited by a pattern, which also matches environments that come later."""
    for environment, command, words in fleet.derived(_runs):
        for limit in _values(words, "-l", "--limit", "--subset"):
            plain = _VARIABLE.sub("", limit).strip(" '\"")
            if re.search(r"[*?~!&,:\[]", plain) and not plain.startswith(("{", "@")) and plain.strip(",: "):
                yield Hit(
                    _concerned(fleet, environment),
                    f"--limit {limit!r}",
                    f"`{_short(words)}` is not limited to one fixed group: it can deploy any of "
                    f"{listing(_concerned(fleet, environment))}, or an environment that is added later.",
                    "Name exactly one group, for example -l staging.",
                    (command.where,),
                )


@rule("identity-as-extra-variable", "AN-10", severity=Severity.HIGH)
def identity_as_extra_variable(fleet: Fleet) -> Judgement:
    """A run is told which environment it is by -e, which beats the inventory on every host."""
    for environment, command, words in fleet.derived(_runs):
        for given in _values(words, "-e", "--extra-vars"):
            keys = re.findall(r"(?:^|[\s{,])[\"']?([A-Za-z_]\w*)[\"']?\s*[=:]", given)
            for key in keys:
                if IDENTITY.search(key):
                    yield Hit(
                        _concerned(fleet, environment),
                        f"--extra-vars {key}",
                        f"`{_short(words)}` sets {key} with -e, which beats the inventory on every host of the run: "
                        f"one of {listing(_concerned(fleet, environment))} is deployed with a part of another's "
                        "values.",
                        f"Leave {key} to the inventory, and choose the environment with -l alone.",
                        (command.where,),
                    )


@rule("vault-passwords-together", "AN-15", severity=Severity.MEDIUM)
def vault_passwords_together(fleet: Fleet) -> Judgement:
    """A run has the vault passwords of several environments, and Ansible tries each on every file."""
    for environment, command, words in fleet.derived(_runs):
        strict = any("VAULT_ID_MATCH" in word for word in (*words, *command.assignments))
        labels = [value.partition("@")[0] for value in _values(words, "--vault-id") if "@" in value]
        yield from _together(fleet, environment, labels, strict, f"`{_short(words)}`", command.where)
    for code in codes(fleet):
        identities, where = code.settings.get(("defaults", "vault_identity_list"), ("", Where()))
        strict = str(code.settings.get(("defaults", "vault_id_match"), ("", None))[0]).lower() in ("true", "yes", "1")
        labels = [part.strip().partition("@")[0] for part in identities.split(",") if "@" in part]
        owner = fleet.by_prefix[code.owners[0]]
        yield from _together(fleet, owner, labels, strict, "vault_identity_list", where)


def _together(
    fleet: Fleet, environment: Environment, labels: Sequence[str], strict: bool, what: str, where: Where
) -> Iterator[Hit]:
    known = {
        name: environment.prefix
        for environment in fleet.environments
        for name in (*short_names(environment), environment.prefix)
    }
    owners = {known.get(label.lower(), "") for label in labels} - {""}
    if len(owners) > 1 and not strict:
        yield Hit(
            tuple(sorted(owners)),
            "vault passwords",
            f"{what} brings the vault passwords of {listing(sorted(owners))} together. A vault id is only a label: "
            "Ansible tries every password on every file, so a run for one can read the other's secrets.",
            "Give each run only its own environment's password, and set ANSIBLE_VAULT_ID_MATCH=1.",
            (where,),
        )


_ANSIBLE = ("ansible-playbook", "ansible")


def _runs(fleet: Fleet) -> Iterator[tuple[Environment, Command, Sequence[str]]]:
    """Every call of ansible-playbook in scripts and workflows, once for each place."""
    seen: set[tuple[Where, Sequence[str]]] = set()
    for reference in fleet.references("command"):
        words = _words(reference)
        if not words:
            continue
        command = reference.attributes["command"]
        if (command.where, words) not in seen:
            seen.add((command.where, words))
            yield fleet.by_prefix[reference.owner], command, words


def _words(reference: Reference) -> tuple[str, ...]:
    argv = tuple(reference.attributes.get("argv") or ())
    for index, word in enumerate(argv[:6]):
        if word.endswith(_ANSIBLE) and word.rpartition("/")[2] in _ANSIBLE:
            return argv[index:]
    return ()


def _values(words: Sequence[str], *options: str) -> Iterator[str]:
    """The values of an option, as ``-l x``, ``-lx`` and ``--limit=x``."""
    for index, word in enumerate(words):
        if word in options:
            yield words[index + 1] if index + 1 < len(words) else ""
        for option in options:
            if option.startswith("--") and word.startswith(option + "="):
                yield word[len(option) + 1 :]
            elif not option.startswith("--") and word.startswith(option) and len(word) > 2:
                yield word[2:]


def _concerned(fleet: Fleet, environment: Environment) -> tuple[str, ...]:
    """The environments that a run without a limit would reach: the caller and those on its machine."""
    others = (neighbour.prefix for neighbour in fleet.machines[environment.machine])
    return tuple(dict.fromkeys((environment.prefix, *others)))


def _short(words: Sequence[str]) -> str:
    return " ".join(words)[:120]
