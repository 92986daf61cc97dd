# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask the machines of many environments from the controller: each place once, without secrets, and without stopping at
one that gives no answer.

A play over all hosts would need the password of every vault. So this one runs on the controller, and opens connections
as :mod:`..gate.other_machine` does: only with what runs nothing here.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ansible import constants as C
from ansible import context
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.utils.display import Display

from ...module_utils.core.permit import permit
from ..declaration.command_line import typed
from ..declaration.inventory import holds_seal
from ..declaration.model import Declaration
from ..declaration.swarm import of_swarm
from ..gate.connection import declared_variables
from ..gate.environments import build_environment
from ..gate.forks import in_parallel
from ..gate.other_machine import connection_variables, module_elsewhere
from ..gate.plan import Gate
from ..gate.questions import questions
from ..isolation.live.probes import own_request, own_requests
from ..isolation.model import Environment
from ..isolation.report import text

#: How what was found is shown (``bulkhead_format``).
FORMATS = ("text", "json")

#: Seconds that a machine has for its answer, its connection included.
_PATIENCE = 300

#: What must be read here to ask for an environment.
_NEEDED = ("bulkhead_directory", "bulkhead_docker_host", "bulkhead_state_directory")


@dataclass
class AskedPlace:
    """One way to one machine and engine, the environments that are reached by it, and what each is asked."""

    variables: dict[str, Any]
    left: list[str]
    values: Mapping[str, Any]
    environments: list[Environment] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    more: Mapping[str, bool] = field(default_factory=dict)

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of module ``status``."""
        return {
            "docker_host": self.values["bulkhead_docker_host"],
            "state_directory": self.values["bulkhead_state_directory"],
            "directories": sorted({environment.directory for environment in self.environments} - {""}),
            "timeout": self.values["bulkhead_probe_timeout"],
            "environments": self.asked,
            **self.more,
        }


@dataclass(frozen=True)
class Answer:
    """What a machine said of one environment.

    ``began`` and ``ended`` are when it was asked and had answered, in seconds since 1970 by the controller's clock.
    """

    place: AskedPlace
    environment: Environment
    said: Mapping[str, Any]
    began: float
    ended: float

    @property
    def prefix(self) -> str:
        """The environment's prefix."""
        return self.environment.prefix

    @property
    def observation(self) -> Mapping[str, Any]:
        """The machine's observation."""
        found: Mapping[str, Any] = self.said["observation"]
        return found

    @property
    def watched(self) -> Mapping[str, Any]:
        """What is watched of the environment."""
        return self.said["watched"].get(self.prefix) or {}

    @property
    def history(self) -> Mapping[str, Any]:
        """What became of the environment over time, if that was asked for."""
        return (self.said.get("history") or {}).get(self.prefix) or {}


def begin(action: Any, task_vars: Mapping[str, Any]) -> tuple[Gate, list[Declaration], str]:
    """The gate of a look at many machines, the environments to look at, and the format in which it is shown.

    Raises AnsibleActionFail where ``-e`` sets what it may not, or there is nothing to look at.
    """
    gate = Gate(action, task_vars)
    extra = gate.inventory.extra_variables
    findings = typed(extra)
    if findings:
        raise AnsibleActionFail(text.refusal(findings))
    wanted = str(extra.get("bulkhead_format") or FORMATS[0])
    if wanted not in FORMATS:
        raise AnsibleActionFail(f"bulkhead_format is {wanted!r}: use {' or '.join(FORMATS)}")
    found = chosen(gate, bool(str(context.CLIARGS.get("subset") or "").strip()))
    if not found:
        raise AnsibleActionFail("the inventory declares no environment that -l selects: see bulkhead_environment")
    return gate, found, wanted


def live_report(gate: Gate) -> bool:
    """Whether ``-e bulkhead_report_live`` asks for what the machines say. Raises AnsibleActionFail for another word."""
    wanted = gate.inventory.extra_variables.get("bulkhead_report_live", False)
    try:
        return bool(boolean(wanted))
    except TypeError:
        raise AnsibleActionFail(f"bulkhead_report_live is {str(wanted)!r}: use true or false") from None


def chosen(gate: Gate, limited: bool) -> list[Declaration]:
    """The environments that ``-l`` selects; without it all of the inventory."""
    running = set(gate.task_vars.get("ansible_play_hosts_all") or ())
    return [own for own in gate.declarations if not limited or running & set(own.hosts)]


def look(
    action: Any, gate: Gate, declarations: Sequence[Declaration], **more: bool
) -> tuple[list[Answer], dict[str, str]]:
    """Ask every machine of these environments once, several at a time. Returns the answers, in the order of the
    environments, and by prefix why there is none.

    ``more`` are options of module ``status``: ``examine`` and ``history``.
    """
    asked, lost = places(gate, declarations, **more)
    found: dict[str, Answer] = {}
    for place, (answer, began, ended) in zip(asked, _ask_all(action, asked), strict=True):
        for environment in place.environments:
            if answer.get("failed"):
                lost[environment.prefix] = str(answer["msg"])
            else:
                found[environment.prefix] = Answer(place, environment, answer, began, ended)
    return [found[own.prefix] for own in declarations if own.prefix in found], lost


def _ask_all(action: Any, asked: Sequence[AskedPlace]) -> list[tuple[dict[str, Any], float, float]]:
    def timed(place: AskedPlace) -> tuple[dict[str, Any], float, float]:
        began = time.time()
        answer = ask(action, place, "status")
        return answer, began, time.time()

    silent = {"failed": True, "msg": f"its machine gave no answer within {_PATIENCE} s"}
    answers = in_parallel([partial(timed, place) for place in asked], _at_once(), _PATIENCE)
    return [answer or (silent, 0.0, 0.0) for answer in answers]


def _at_once() -> int:
    """How many machines are asked at the same time: as many as Ansible would."""
    return int(context.CLIARGS.get("forks") or C.DEFAULT_FORKS)


def places(
    gate: Gate, declarations: Sequence[Declaration], examine: bool = False, history: bool = False
) -> tuple[list[AskedPlace], dict[str, str]]:
    """Where to ask for these environments, and by prefix why one cannot be asked for.

    With ``examine`` their servers and domains are asked as well, with ``history`` what became of them over time.
    """
    shared = _shared(gate)
    found: dict[str, AskedPlace] = {}
    lost: dict[str, str] = {}
    prefixes = Counter(own.prefix for own in gate.declarations)
    for own in declarations:
        why = of_swarm(own, "aiia.bulkhead.services and aiia.bulkhead.verify show it") or _unreadable(own)
        if prefixes[own.prefix] > 1:
            why = "two environments of the inventory have this prefix"
        if why:
            lost[own.prefix] = why
            continue
        try:
            trusted = _of(own, gate) if own.group in gate.selected else {**shared, **_privileges(own, gate)}
            variables, left = connection_variables(own, gate.renderer.inert, trusted)
        except AnsibleError as error:
            lost[own.prefix] = f"its connection cannot be read here: {error.message}"
            continue
        way = {name: value for name, value in variables.items() if name != "inventory_hostname"}
        way |= {name: own.values[name] for name in _NEEDED[1:]}
        way["machine"] = own.values["bulkhead_machine"]
        place = found.setdefault(json.dumps(way, sort_keys=True, default=str), AskedPlace(variables, left, own.values))
        release = gate.render(own)
        environment = build_environment(own, release)
        place.environments.append(environment)
        backups = own.values["bulkhead_backup_directory"]
        place.asked.append(
            {
                "prefix": own.prefix,
                "backups": "" if holds_seal(backups) else backups,
                "request": own_request(environment) or {},
                **({"questions": questions(release), "requests": own_requests(environment)} if examine else {}),
            }
        )
        place.more = {"examine": examine, "history": history}
    return list(found.values()), lost


def ask(action: Any, place: AskedPlace, name: str) -> dict[str, Any]:
    """Call a module at a place. Returns its answer, ``failed`` with a ``msg`` where there is none."""
    try:
        answer = module_elsewhere(action, place.variables, place.left, name, place.arguments)
    except AnsibleError as error:
        return {"failed": True, "msg": error.message}
    if answer.get("failed") or "observation" not in answer:
        return {"failed": True, "msg": str(answer.get("msg") or "its machine gave no answer").partition("\n")[0]}
    return answer


def refresh(action: Any, wanted: Iterable[tuple[Answer, Mapping[str, Any]]]) -> None:
    """Bring environments' files for node_exporter up to date. Where each is, only its machine knows."""
    calls = {answer.prefix: partial(_record, action, answer, known) for answer, known in wanted}
    answers = in_parallel(list(calls.values()), _at_once(), _PATIENCE)
    for prefix, problem in zip(calls, answers, strict=True):
        if problem != "":
            Display().warning(f"{prefix}: its metrics were not written: {problem or 'its machine gave no answer'}")


def _record(action: Any, answer: Answer, known: Mapping[str, Any]) -> str:
    """Record what is known. Returns why that failed, if it did."""
    place, prefix = answer.place, answer.prefix
    arguments = {
        "prefix": prefix,
        "state_directory": place.values["bulkhead_state_directory"],
        "metrics": {"known": dict(known)},
        "permit": permit("record", prefix, ""),
    }
    try:
        said = module_elsewhere(action, place.variables, place.left, "record", arguments)
    except AnsibleError as error:
        return str(error.message)
    return str((said.get("msg") if said.get("failed") else said.get("told")) or "")


def _unreadable(own: Declaration) -> str:
    faults = [problem.message for problem in own.problems] if not own.usable else []
    sealed = [name for name in _NEEDED if name in own.sealed or holds_seal(own.values[name])]
    return "; ".join([*faults, *(f"{name} is locked here" for name in sealed)])


def _shared(gate: Gate) -> dict[str, Any]:
    """How machines are reached as far as all environments of the inventory agree: none can say it for the others."""
    all_of_them = [_of(own, gate) for own in gate.declarations]
    first = all_of_them[0] if all_of_them else {}
    return {name: value for name, value in first.items() if all(each.get(name) == value for each in all_of_them)}


def _of(own: Declaration, gate: Gate) -> dict[str, Any]:
    """How an environment's own host is reached. What cannot be evaluated without effects is left out."""
    found: dict[str, Any] = {}
    for name, value in _evaluated(own, gate):
        if not holds_seal(value):
            found[name] = value
    return found


def _evaluated(own: Declaration, gate: Gate) -> Iterator[tuple[str, Any]]:
    try:
        yield from declared_variables(own, gate.renderer.inert).items()
    except AnsibleError:
        for name, value in own.available.items():
            if name.startswith("ansible_") and "{{" not in str(value):
                yield name, value


def _privileges(own: Declaration, gate: Gate) -> dict[str, Any]:
    """How to become root on an environment's own machine, by sudo and as root alone: nothing of it runs here."""
    said = _of(own, gate)
    method = str(said.get("ansible_become_method", "sudo")).removeprefix("ansible.builtin.")
    if method != "sudo" or str(said.get("ansible_become_user", "root")) != "root":
        return {}
    wanted = boolean(said.get("ansible_become", False), strict=False)
    return {"ansible_become": wanted, "ansible_become_method": "sudo", "ansible_become_user": "root"}
