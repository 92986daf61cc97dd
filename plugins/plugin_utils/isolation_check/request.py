# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The request of ``isolation_check``, from its configuration file or from its arguments."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..isolation.errors import ReaderError
from ..isolation.model import Severity, Where
from ..isolation.readers.compose.yaml_text import read_yaml
from ..isolation.wording import in_words
from .discovery import CONFIG, discover

FORMATS = ("json", "sarif", "junit", "markdown")
FAIL_ON = (*(level.label for level in reversed(Severity)), "never")
COMPOSE_CLI = ("auto", "never")

#: What findings call a machine that was not named: the files' own, and not the one that reads them.
UNNAMED = "the machine"

_FILES = ("compose_files", "env_files", "nginx_files", "files")
_LISTS = (*_FILES, "nodes")
_WORDS = ("name", "prefix", "directory", "machine", "compose_project", "swarm")
_ENVIRONMENT = (*_WORDS, *_LISTS, "waivers")
_CHOICES = {"fail_on": FAIL_ON, "report_format": FORMATS, "compose_cli": COMPOSE_CLI}
_TOP = ("environments", "waivers", "report", *_CHOICES)


class RequestError(Exception):
    """All errors of a request, one message each in ``errors``."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = tuple(errors)


@dataclass(frozen=True, slots=True)
class RequestedEnvironment:
    """One environment of a request."""

    prefix: str
    name: str
    directory: str
    machine: str
    compose_files: tuple[str, ...]
    env_files: tuple[str, ...]
    nginx_files: tuple[str, ...]
    files: tuple[str, ...]
    waivers: Any
    where: Where
    #: Where in an assumed checkout the Compose files lie; ``None`` if the directory was given.
    checkout: str | None = None
    #: The name that commands give to the Compose project, or to the stack.
    compose_project: str = ""
    #: The swarm on which the files are deployed as a stack, and its machines.
    swarm: str = ""
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """A request. File paths are relative to ``base``, a directory on the controller."""

    base: Path
    environments: tuple[RequestedEnvironment, ...]
    waivers: Any = None
    fail_on: Severity | None = Severity.MEDIUM
    report: str = ""
    report_format: str = "json"
    compose_cli: str = "auto"
    #: What was guessed about files that are not listed, one sentence each.
    guesses: tuple[str, ...] = ()
    #: The configuration that was guessed, as the text of a file to correct.
    proposal: str = ""


def parse(given: Mapping[str, Any], playbook_directory: Path) -> Request:
    """A request from a task's arguments. Raises :class:`RequestError` with all errors."""
    own = {key: value for key, value in given.items() if key not in ("config", "path") and value is not None}
    config = given.get("config")
    if given.get("path") is not None:
        if config is not None or "environments" in own:
            raise RequestError(["set only one of path, config and environments"])
        root = playbook_directory / Path(str(given["path"])).expanduser()
        if not (root / CONFIG).is_file():
            return _guessed(root, own, playbook_directory)
        config = str(root / CONFIG)
    if config is None:
        return _request(own, playbook_directory, "")
    if not isinstance(config, str) or not config.strip():
        raise RequestError([f"config must be a path, not {config!r}"])
    if "environments" in own:
        raise RequestError(["set either config or environments, not both"])
    path = playbook_directory / Path(config).expanduser()
    # The task's arguments override the file, which other tasks may use too.
    request = _request({**_load(path, config), **own}, path.parent, config)
    # A report path from the task is relative to the playbook, like the task's other paths.
    return replace(request, report=str(playbook_directory / request.report)) if own.get("report") else request


def _guessed(root: Path, own: Mapping[str, Any], playbook_directory: Path) -> Request:
    """A request for the files of a repository, with what was guessed."""
    if not root.is_dir():
        raise RequestError([f"path: {root} is not a directory"])
    guess = discover(root)
    if not guess.given["environments"]:
        raise RequestError([
            f"path: no Compose file below {root} names an environment, such as docker-compose.prod.yml. List the files "
            f"of each environment in a file, and set config."
        ])  # fmt: skip
    request = _request({**guess.given, **own}, root, CONFIG)
    report = str(playbook_directory / request.report) if own.get("report") else request.report
    return replace(request, report=report, guesses=guess.sentences, proposal=guess.text)


def _load(path: Path, shown: str) -> dict[str, Any]:
    try:
        with path.open(encoding="utf-8") as stream:
            documents = read_yaml(stream.read(1 << 23), shown)
    except OSError as error:
        raise RequestError([f"{shown}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise RequestError([f"{shown}: is not valid UTF-8: {error.reason}"]) from error
    except ReaderError as error:
        raise RequestError([f"{shown}{f':{error.line}' if error.line else ''}: {error.message}"]) from error
    value = documents[0].value if documents else None
    if not isinstance(value, Mapping):
        raise RequestError([f"{shown}: must be a mapping with the key environments"])
    return dict(value)


def _request(given: Mapping[str, Any], base: Path, config: str) -> Request:
    errors = [f"{config}: {fault}" if config else fault for fault in _faults(given)]
    if errors:
        raise RequestError(errors)
    lines = getattr(given["environments"], "at", ())
    fail_on = str(given.get("fail_on", "medium"))
    return Request(
        base=base,
        environments=tuple(
            _declared(item, Where(config, lines[number][1] if lines else 0, f"environments[{number}]"))
            for number, item in enumerate(given["environments"])
        ),
        waivers=given.get("waivers"),
        fail_on=None if fail_on == "never" else Severity.parse(fail_on),
        report=str(given.get("report") or ""),
        report_format=str(given.get("report_format", "json")),
        compose_cli=str(given.get("compose_cli", "auto")),
    )


def _declared(item: Mapping[str, Any], where: Where) -> RequestedEnvironment:
    words = {key: str(item.get(key) or "").strip() for key in _WORDS}
    return RequestedEnvironment(
        prefix=words["prefix"],
        name=words["name"] or words["prefix"],
        directory=words["directory"],
        machine=words["machine"] or UNNAMED,
        compose_files=tuple(item.get("compose_files") or ()),
        env_files=tuple(item.get("env_files") or ()),
        nginx_files=tuple(item.get("nginx_files") or ()),
        files=tuple(item.get("files") or ()),
        waivers=item.get("waivers"),
        where=where,
        compose_project=words["compose_project"],
        swarm=words["swarm"],
        nodes=tuple(item.get("nodes") or ()),
    )


def _faults(given: Mapping[str, Any]) -> list[str]:
    """All errors in the keys and their values."""
    faults = _unknown(given, _TOP)
    for key, choices in _CHOICES.items():
        if given.get(key) is not None and given[key] not in choices:
            faults.append(f"{key} must be one of {', '.join(choices)}, not {given[key]!r}")
    if given.get("report") is not None and not isinstance(given["report"], str):
        faults.append(f"report must be a path, not {given['report']!r}")
    environments = given.get("environments")
    if not environments:
        return [*faults, "environments is empty: there is nothing to check"]
    if not isinstance(environments, Sequence) or isinstance(environments, (str, bytes)):
        return [*faults, f"environments must be a list, but is {in_words(environments)}"]
    for number, item in enumerate(environments):
        label = f"environments[{number}]"
        if isinstance(item, Mapping):
            faults += [f"{label}: {fault}" for fault in _environment_faults(item)]
        else:
            faults.append(f"{label} must be a mapping with prefix and compose_files, not {item!r}")
    return faults


def _environment_faults(item: Mapping[str, Any]) -> list[str]:
    faults = _unknown(item, _ENVIRONMENT)
    if not item.get("prefix"):
        faults.append("prefix is missing: the start of every name of the environment, such as aiia_prod")
    faults += [f"{key} must be a string, not {item[key]!r}" for key in _WORDS
               if item.get(key) is not None and not isinstance(item[key], str)]  # fmt: skip
    directory = item.get("directory")
    if isinstance(directory, str) and directory and not directory.startswith("/"):
        faults.append(f"directory must be an absolute path on the machine, not {directory!r}")
    for key in _LISTS:
        value = item.get(key)
        if value is None:
            continue
        if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
            faults.append(f"{key} must be a list of {'machines' if key == 'nodes' else 'paths'}, not {value!r}")
        else:
            one = "machine" if key == "nodes" else "path"
            faults += [f"{key} contains {path!r}, which is not a {one}" for path in value
                       if not isinstance(path, str) or not path or "\0" in path]  # fmt: skip
    if not any(item.get(key) for key in _FILES):
        faults.append(f"there is no file to check: set at least one of {', '.join(_FILES)}")
    return [*faults, *_swarm_faults(item)]


def _swarm_faults(item: Mapping[str, Any]) -> list[str]:
    """What is missing of a stack, or does not go together with one."""
    if not item.get("swarm"):
        return ["nodes has no meaning without swarm, the name of the swarm that they form"] if item.get("nodes") else []
    faults = []
    if item.get("machine"):
        faults.append("machine and swarm are both set: a stack is on the nodes of its swarm, so name those in nodes")
    if not item.get("nodes"):
        faults.append("nodes is missing: the machines of the swarm, as other environments call them in machine")
    if not item.get("compose_project"):
        faults.append("compose_project is missing: the stack's name, as docker stack deploy gets it")
    return faults


def _unknown(given: Mapping[str, Any], known: Sequence[str]) -> list[str]:
    faults = []
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known keys are {', '.join(known)}"
            faults.append(f"unknown key {key}; {hint}")
    return faults
