# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse calls of ``docker``, ``docker compose`` and ``docker-compose``: options, verb, flags, arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_DOCKER_VALUES = frozenset(
    ("-H", "--host", "-c", "--context", "--config", "-l", "--log-level", "--tlscacert", "--tlscert", "--tlskey")
)
_COMPOSE_VALUES = frozenset(
    (
        *("-f", "--file", "-p", "--project-name", "--project-directory", "--env-file", "--profile", "--ansi"),
        *("--progress", "--parallel", "-H", "--host", "-c", "--context", "--log-level", "--tlscacert", "--tlscert"),
        "--tlskey",
    )
)
#: Options after the verb that take a value; any other option is a flag.
_VERB_VALUES = frozenset(
    (
        *("--filter", "--format", "-t", "--timeout", "--tag", "--scale", "--rmi", "--tail", "--user", "-u", "-e"),
        *("--env", "-w", "--workdir", "--name", "--build-arg", "--network", "--net", "--volumes-from", "--mount"),
        *("--label", "--entrypoint", "--exit-code-from", "--target", "--pull", "--index", "--since", "--until"),
        *("--publish", "-p", "--expose", "--hostname", "-h", "--ip", "--file", "-f", "--cache-from", "--secret"),
        *("--keep-storage", "--signal", "-s", "--platform", "--env-file", "--restart", "--driver", "-d", "--subnet"),
        *(
            "-c",
            "--compose-file",
            "--wait-timeout",
            "--node",
            "--opt",
            "-o",
            "--output",
            "--progress",
            "--project-name",
            "--pid",
            "--link",
        ),
    )
)
#: For each verb, the letters that are flags although they take a value elsewhere.
_FLAG_LETTERS: Mapping[str, frozenset[str]] = {
    "up": frozenset(("-d",)),
    "run": frozenset(("-d",)),
    "exec": frozenset(("-d", "-p")),
    "rm": frozenset(("-f", "-s")),
    "rmi": frozenset(("-f",)),
    "prune": frozenset(("-f",)),
    "logs": frozenset(("-f", "-t")),
}
#: A word that is only a variable, whose value is unknown.
_UNKNOWN = re.compile(r"\$(?:\w+|[@*]|\{[^{}]+\}|\(.*\)|\{\{.*\}\})", re.DOTALL)
_IMAGE = re.compile(r"IMAGE|IMG|TAG|CONTAINER", re.IGNORECASE)
_MANAGEMENT = frozenset(
    ("system", "volume", "network", "container", "image", "builder", "buildx", "stack", "service", "swarm", "context")
)


@dataclass(frozen=True, slots=True)
class DockerCall:
    """A call. ``verb`` is ``("up",)`` or ``("system", "prune")``; combined short flags are split.

    ``opaque`` means that options stand in a variable whose value is unknown, so that others may be given as well.
    """

    compose: bool
    verb: tuple[str, ...]
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    flags: frozenset[str] = frozenset()
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    arguments: tuple[str, ...] = ()
    opaque: bool = False

    @property
    def files(self) -> tuple[str, ...]:
        """The Compose files that ``-f`` names."""
        return (*self.options.get("-f", ()), *self.options.get("--file", ()))

    @property
    def project(self) -> str:
        """The project that ``-p`` names, or the empty string."""
        named = (*self.options.get("-p", ()), *self.options.get("--project-name", ()))
        return named[-1] if named else ""

    @property
    def project_directory(self) -> str:
        """The value of ``--project-directory``, or the empty string."""
        named = self.options.get("--project-directory", ())
        return named[-1] if named else ""

    @property
    def env_files(self) -> tuple[str, ...]:
        """The files that ``--env-file`` names before the verb."""
        return tuple(self.options.get("--env-file", ()))

    def has(self, *flags: str) -> bool:
        """Whether one of the options is present, as a flag or with a value."""
        return any(flag in self.flags or flag in self.values for flag in flags)

    @property
    def filters(self) -> tuple[str, ...]:
        """The values of ``--filter``."""
        return (*self.values.get("--filter", ()), *self.values.get("-f", ())) if not self.compose else ()


#: The programs whose calls these are.
DOCKER = ("docker-compose", "docker", "podman")


def docker_call(argv: Sequence[str]) -> DockerCall | None:
    """The call in ``argv``, or ``None`` if it does not call Docker or Compose."""
    if not argv:
        return None
    program = argv[0].rpartition("/")[2]
    if program not in DOCKER:
        return None
    rest = list(argv[1:])
    if program == "docker-compose":
        return _compose(rest, {})
    options, rest, opaque = _options(rest, _DOCKER_VALUES)
    if rest[:1] == ["compose"]:
        return _compose(rest[1:], options, opaque)
    count = 2 if rest[:1] and rest[0] in _MANAGEMENT else 1
    verb = tuple(rest[:count])
    flags, values, arguments, unknown = _verb_options(verb, rest[count:])
    return DockerCall(False, verb, _frozen(options), flags, values, arguments, opaque or unknown)


def _compose(words: list[str], outer: dict[str, list[str]], opaque: bool = False) -> DockerCall:
    options, rest, unknown = _options(words, _COMPOSE_VALUES)
    opaque = opaque or unknown
    for name, values_before in outer.items():
        options.setdefault(name, values_before)
    verb = tuple(rest[:1])
    flags, values, arguments, unknown = _verb_options(verb, rest[1:])
    return DockerCall(True, verb, _frozen(options), flags, values, arguments, opaque or unknown)


def _options(words: list[str], valued: frozenset[str]) -> tuple[dict[str, list[str]], list[str], bool]:
    """Split words into the options before the verb, and the rest; also whether some options are in a variable."""
    options: dict[str, list[str]] = {}
    index, opaque = 0, False
    while index < len(words) and (words[index].startswith("-") or _is_variable(words, index)):
        if not words[index].startswith("-"):
            opaque = True
            index += 1
            continue
        name, equals, value = words[index].partition("=")
        index += 1
        if name in valued and not equals:
            value = words[index] if index < len(words) else ""
            index += 1
        elif name not in valued and name[:2] in valued and not name.startswith("--"):
            name, value = name[:2], words[index - 1][2:]  # -fdocker-compose.yml
        options.setdefault(name, []).append(value)
    return options, words[index:], opaque


def _stands_for_options(words: list[str], index: int) -> bool:
    """Whether a word is a variable with options, not the image: ``docker run $OPTIONS --rm image``."""
    return _is_variable(words, index) and words[index + 1].startswith("-") and not _IMAGE.search(words[index])


def _is_variable(words: list[str], index: int) -> bool:
    """Whether a word is a variable and not the last word, so that a verb or an image follows."""
    return index + 1 < len(words) and bool(_UNKNOWN.fullmatch(words[index]))


def _verb_options(
    verb: tuple[str, ...], words: list[str]
) -> tuple[frozenset[str], dict[str, tuple[str, ...]], tuple[str, ...], bool]:
    flags: set[str] = set()
    values: dict[str, list[str]] = {}
    arguments: list[str] = []
    last = verb[-1] if verb else ""
    letters = _FLAG_LETTERS.get(last, frozenset())
    index, opaque = 0, False
    while index < len(words):
        word = words[index]
        index += 1
        if last == "run" and not arguments and _stands_for_options(words, index - 1):
            opaque = True
            continue
        if not word.startswith("-") or word == "-" or (arguments and last in ("exec", "run")):
            arguments.append(word)
            continue
        name, equals, value = word.partition("=")
        if equals:
            values.setdefault(name, []).append(value)
        elif name in _VERB_VALUES and name not in letters:
            values.setdefault(name, []).append(words[index] if index < len(words) else "")
            index += 1
        elif re.fullmatch(r"-[A-Za-z]{2,}", name):
            flags.update("-" + letter for letter in name[1:])
        else:
            flags.add(name)
    return frozenset(flags), _frozen(values), tuple(arguments), opaque


def _frozen(options: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(values) for name, values in options.items()}
