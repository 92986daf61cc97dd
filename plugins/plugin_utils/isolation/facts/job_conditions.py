# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Conditions of workflows: for which events a job or step runs, and whether the branch decides where it deploys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..readers.workflow import Job, Workflow, WorkflowStep
from .workflows import is_deployment, mentions_ref

#: Conditions deeper than this are not followed.
_DEPTH = 12
_WRITTEN = re.compile(r"(\w+)=.*>>\s*[\"']?\$\{?GITHUB_(?:ENV|OUTPUT)\b|::set-output name=(\w+)::")
#: A test, as opposed to a mere use of the branch's name.
_TESTS = re.compile(r"\[\[?\s|\bcase\b|\btest\s|[=!]=|&&|=~")
_MERGED = re.compile(r"pull_request\.merged\b|pull_request\.base\.ref\b")
_LITERAL_BRANCH = re.compile(r"\b(?:pull|reset|checkout|switch)\b(?=.*\s(?:origin[/ ])?[A-Za-z][\w./-]*\Z)(?!.*[$`])")
_IGNORES_NEEDS = re.compile(r"\b(?:always|failure|cancelled)\(\)")


def may_run(condition: str, event: str, depth: int = 0) -> bool | None:
    """Whether a condition holds for runs that this event starts; ``None`` if that depends on something else."""
    text = condition.strip()
    if text.startswith("${{") and text.endswith("}}") and text.count("${{") == 1:
        text = text[3:-2].strip()
    if not text or depth > _DEPTH:
        return None
    for operator, decides in (("||", True), ("&&", False)):
        parts = list(_split(text, operator))
        if len(parts) > 1:
            values = [may_run(part, event, depth + 1) for part in parts]
            return decides if decides in values else None if None in values else not decides
    if text.startswith("!") and not text.startswith("!="):
        value = may_run(text[1:], event, depth + 1)
        return None if value is None else not value
    if text.startswith("(") and _closes(text):
        return may_run(text[1:-1], event, depth + 1)
    match = re.fullmatch(r"github\.event_name\s*([=!]=)\s*['\"]([\w-]+)['\"]", text)
    if match:
        return (event == match[2]) == (match[1] == "==")
    match = re.fullmatch(r"contains\(\s*(?:fromJSON\()?['\"](.*)['\"]\)?\s*,\s*github\.event_name\s*\)", text)
    return event in re.findall(r"[\w-]+", match[1]) if match else None


def _split(text: str, operator: str) -> Iterator[str]:
    """Split at an operator that stands outside of parentheses and quotes."""
    level, quote, start = 0, "", 0
    for index, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "()":
            level += 1 if letter == "(" else -1
        elif level == 0 and text.startswith(operator, index):
            yield text[start:index]
            start = index + len(operator)
    yield text[start:]


def _closes(text: str) -> bool:
    """Whether the first parenthesis is closed by the last character."""
    level = 0
    for index, letter in enumerate(text):
        level += (letter == "(") - (letter == ")")
        if level == 0:
            return index == len(text) - 1
    return False


def can_deploy(job: Job, event: str) -> bool:
    """Whether a run that this event starts can reach a step of the job that deploys."""
    if may_run(job.condition, event) is False:
        return False
    return any(may_run(step.condition, event) is not False for step in _deploying(job))


def pins_branch(job: Job) -> bool:
    """Whether a job deploys one branch whatever it was started from: the server, or each checkout, names it."""
    checkouts = [step for step in job.steps if step.uses.startswith("actions/checkout")]
    if any("$" in step.inputs.get("ref", "$") for step in checkouts):
        return False
    named = any(
        command.program == "git" and not command.hosted and _LITERAL_BRANCH.search(command.text)
        for command in job.commands
    )
    return bool(checkouts) or named


def takes_code(workflow: Workflow, job: Job) -> bool:
    """Whether what a job deploys may come from the branch: it, or a job that it needs, checks out or calls git."""
    by_id = {other.id: other for other in workflow.jobs}
    jobs = [job, *(by_id[name] for name in job.needs if name in by_id)]
    return any(
        any(step.uses.startswith("actions/checkout") for step in each.steps)
        or any(
            command.program == "git" or "git " in command.text or mentions_ref(command.text)
            for command in each.commands
        )
        for each in jobs
    ) or any(mentions_ref(each.text) for each in jobs)


def _deploying(job: Job) -> Sequence[WorkflowStep]:
    return [step for step in job.steps if any(map(is_deployment, step.commands))]


def looks_at_ref(workflow: Workflow, job: Job) -> bool:
    """Whether a job, or one that must succeed before it, asks which branch or tag it was started from."""
    by_id = {other.id: other for other in workflow.jobs}
    known, pending = {job.id}, [job]
    while pending:
        current = pending.pop()
        if _asks(current) or (current is not job and _hands_over(current, job)):
            return True
        if not _IGNORES_NEEDS.search(current.condition):
            needed = [name for name in current.needs if name in by_id and name not in known]
            known.update(needed)
            pending += map(by_id.__getitem__, needed)
    return False


def _asks(job: Job) -> bool:
    """Whether a job's own conditions, or its steps, ask for the branch."""
    conditions = (job.condition, *(step.condition for step in _deploying(job)))
    return any(mentions_ref(text) or _MERGED.search(text) for text in conditions) or _stops(job) or _chooses(job)


def _stops(job: Job) -> bool:
    """Whether a step asks for the branch, and ends the job or is skipped for others."""
    stops = any(command.argv[:1] == ("exit",) and command.argv[1:2] != ("0",) for command in job.commands)
    return any(mentions_ref(step.condition) for step in job.steps) or (
        stops and any(mentions_ref(step.run) or mentions_ref(step.inputs.get("script", "")) for step in job.steps)
    )


def _chooses(job: Job) -> bool:
    """Whether the branch decides where the job deploys, by an expression or by a variable of an earlier step."""
    chosen = [name for name, value in job.variables.items() if mentions_ref(value) and _TESTS.search(value)]
    if mentions_ref(job.environment) and _TESTS.search(job.environment):
        return True
    for step in job.steps:
        if any(re.search(rf"\b{name}\b", step.run + " ".join(step.inputs.values())) for name in chosen) and any(
            map(is_deployment, step.commands)
        ):
            return True
        chosen += _decided(step)
    return False


def _decided(step: WorkflowStep) -> list[str]:
    """The variables and outputs that a step sets after it has looked at the branch."""
    tests = any(mentions_ref(line) and _TESTS.search(line) for line in step.run.splitlines())
    return [dotted or old for dotted, old in _WRITTEN.findall(step.run)] if tests else []


def _hands_over(other: Job, job: Job) -> bool:
    """Whether a job uses an output that another one sets after it has looked at the branch."""
    names = [name for step in other.steps for name in _decided(step)]
    return any(re.search(rf"\bneeds\.[\w-]+\.outputs\.[\w-]*{name}\b", job.text, re.IGNORECASE) for name in names)
