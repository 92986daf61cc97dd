# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a repository says about how its Compose files are run: in scripts, documentation, pipelines and comments."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from ..isolation.errors import ReaderError
from ..isolation.model import Document
from ..isolation.naming import words_of
from ..isolation.readers.compose_location import Location, location
from ..isolation.readers.documents import kind_of, read_document

#: What may say how Compose is called.
_NAMES = re.compile(
    r"[\w.-]+\.(?:md|rst|adoc|txt|sh|bash|mk|ya?ml|json)|README|(?:GNU)?Makefile|[\w.-]+\.Makefile|justfile|Procfile",
    re.IGNORECASE,
)
_RUNS = re.compile(r"docker[ -]compose\b|docker stack deploy|ecs-cli compose|com\.docker\.compose\.project")
#: A command in a text that is no script, to the end of its line, its quotation or its sentence.
_SPOKEN = re.compile(r"(?:docker[ -]compose|docker stack deploy|ecs-cli compose)\s(?:\\\r?\n|[^`\n])*")
_MARKS = re.compile(r"^[ \t]*(?:#+|//|>|\*)[ \t]?", re.MULTILINE)
#: ``-f one.yml -f two.yml`` of a command: the files that make up a project.
_TOGETHER = re.compile(r"(?:(?:\s-f|\s--file)[\s=]\s*[\"']?[\w./${}-]+\.ya?ml[\"']?(?:\s*\\\n)?){2,}")
_FILE = re.compile(r"(?:-f|--file)[\s=]\s*[\"']?([\w./${}-]+\.ya?ml)")
_VARIABLE = re.compile(r"\$\{\w+\}|\$\w+")
#: Where an environment is assumed to live while its files are being looked for.
_SOMEWHERE = "/srv/somewhere"


def telling(
    paths: Iterable[PurePosixPath], read: Callable[[PurePosixPath], str]
) -> Iterator[tuple[PurePosixPath, str]]:
    """The texts that say how Compose is called."""
    for path in paths:
        text = read(path) if _NAMES.fullmatch(path.name) else ""
        if _RUNS.search(text):
            yield path, text


def together(text: str) -> Iterator[list[str]]:
    """The files that each command of a text gives to Compose together, as they are written."""
    return (_FILE.findall(call) for call in _TOGETHER.findall(text))


def meant(written: str, own: str) -> str:
    """A path as written, or with an environment's own file name if a variable in it stands for the environment."""
    path = PurePosixPath(written)
    parts = _VARIABLE.split(path.name)
    stands = len(parts) > 1 and re.fullmatch(r"[\w-]+".join(map(re.escape, parts)), own)
    return str(path.with_name(own)) if stands else written


def _commands(text: str) -> str:
    """The commands in a text that is no script, one a line, without the quotation marks around them."""
    lines = []
    for spoken in _SPOKEN.findall(_MARKS.sub("", text)):
        closed = min((spoken.rfind(mark) for mark in "\"'" if spoken.count(mark) % 2), default=len(spoken))
        lines.append(spoken[:closed])
    return "\n".join(lines)


def documents(told: Iterable[tuple[PurePosixPath, str]]) -> Iterator[Document]:
    """The texts as documents whose commands are known, those in prose included."""
    for path, text in told:
        try:
            if kind_of(str(path), text) in ("shell", "workflow", "ansible"):
                yield read_document(str(path), text)
            else:
                yield replace(read_document(f"{path}.sh", _commands(text)), path=str(path), text=text)
        except ReaderError:
            continue  # the check says so if the file is an environment's


def project_told(
    told: Sequence[Document], own: Collection[str], compose_files: Sequence[str], prefix: str, name: str
) -> tuple[str, str]:
    """The project that other texts than an environment's ``own`` files give to its Compose files, and the path of the
    first that does; empty if its own files call Compose."""

    def among(some: Iterable[Document]) -> Location:
        return location(some, compose_files, _SOMEWHERE, prefix, words=words_of(prefix, name))

    inside = among(document for document in told if document.path in own)
    others = [document for document in told if document.path not in own]
    found = among(others)
    if inside.called or inside.project or not found.project:
        return "", ""
    return found.project, next((document.path for document in others if among([document]).project), others[0].path)


#: Pipelines of other services than GitHub, whose own syntax is not read.
_UNREAD = frozenset(
    (".gitlab-ci.yml", "bitbucket-pipelines.yml", "azure-pipelines.yml", "Jenkinsfile", ".drone.yml", ".woodpecker.yml")
)


def unread(paths: Iterable[PurePosixPath]) -> list[str]:
    """Say which pipelines were found and not judged, so that their silence is not taken for a proof."""
    found = [str(path) for path in paths if path.name in _UNREAD]
    return [
        f"{path} was not judged: of pipelines, only GitHub's are read. Put its commands into a script, and list that "
        "in files."
        for path in dict.fromkeys(found)
    ]
