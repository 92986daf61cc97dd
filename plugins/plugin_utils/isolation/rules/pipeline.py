# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From branch to environment: which ref may deploy what."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase

from ..facts.effects import only_prints, printed_lines
from ..facts.guards import checked_variables
from ..facts.job_conditions import can_deploy, looks_at_ref, pins_branch, takes_code
from ..facts.ownership import short_names
from ..facts.production import is_production
from ..facts.workflows import (
    Listed,
    branches_of,
    deployment_jobs,
    deploys,
    is_deployment,
    listed_documents,
    named,
    workflows,
)
from ..model import Document, Fleet, Severity, Where
from ..readers.documents import commands
from ..readers.frameworks import is_mode
from ..readers.shell.scripts import Command
from ..readers.workflow import Job, Workflow
from ..wording import listing
from . import Hit, Judgement, rule

_CHOICE = re.compile(r"&&\s*'([^']*)'\s*\|\|\s*(?:[^'{}]*&&\s*'[^']*'\s*\|\|\s*)*'([^']*)'")
_DEFAULT = re.compile(r"\$\{\w+:?-([\w./-]+)\}")
_DEFAULT_OF = re.compile(r"\$\{(\w+):?-([\w./-]+)\}")
_SHELL_KEYS = frozenset(("run", "script"))
#: Keys of a workflow whose text is shown to people, those of actions that send messages included.
_FOR_PEOPLE = frozenset(
    (
        "name",
        "run-name",
        "description",
        "title",
        "text",
        "message",
        "body",
        "payload",
        "slack-message",
        "status",
        "color",
    )
)


@rule("default-environment", "CI-01", severity=Severity.CRITICAL)
def default_environment(fleet: Fleet) -> Judgement:
    """Whatever is not one environment is deployed to another."""
    for listed in listed_documents(fleet):
        for target, text, where, severity in _defaults(fleet, listed):
            environments = dict.fromkeys((*listed.prefixes, target))
            if len(environments) > 1:
                yield Hit(
                    tuple(environments),
                    f"default {text}",
                    f"{listed.document.path}, which deploys {listing(listed.prefixes)}, falls back to {target}: any "
                    f"other branch, a tag, a misspelt name or an unset variable is deployed to {target}.",
                    "List every environment explicitly, and let everything else stop the run: 'case $REF in …) ;; *) "
                    "exit 1 ;; esac'.",
                    (where,),
                    severity=severity,
                )


def _defaults(fleet: Fleet, listed: Listed) -> Iterator[tuple[str, str, Where, Severity | None]]:
    """Yield the defaults of a document: (environment, word, where, severity)."""
    environment = listed.environments[0]
    data = listed.document.data
    if isinstance(data, Workflow):
        # If only pushes to two named branches start it, the default is for the second of them.
        closed = data.branches is not None and len(data.branches) == 2 and data.events == ("push",)
        for text, where in _effective(listed.document, data):
            for match in _CHOICE.finditer(text):
                target = named(fleet, environment, match[2])
                if target:
                    harmless = not is_production(fleet.by_prefix[target])
                    yield target, match[2], where, Severity.LOW if harmless else Severity.MEDIUM if closed else None
    told: set[str] = set()
    checked = checked_variables(listed.document)
    for command in commands(listed.document) if _may_deploy(listed.document) else ():
        if only_prints(command):
            continue
        values = [
            value
            for name, value in command.assignments.items()
            if command.default and name not in checked and not is_mode(name)
        ]
        for word in (*values, *_given_by_default(command, checked)):
            target = named(fleet, environment, word)
            if target and word not in told:
                told.add(word)
                # Whoever forgets the word gets staging: harmless, unlike the other way round.
                harmless = word not in values and not is_production(fleet.by_prefix[target])
                yield target, word, command.where, Severity.LOW if harmless else None


def _may_deploy(document: Document) -> bool:
    """Whether a document deploys, by its commands or its name."""
    return (
        document.kind != "shell"
        or "deploy" in document.path.rpartition("/")[2].lower()
        or any(map(is_deployment, commands(document)))
    )


def _effective(document: Document, workflow: Workflow) -> Iterator[tuple[str, Where]]:
    """Yield the expressions of a workflow, without the text that is only shown to people."""
    shown = printed_lines(document)
    for text, where in workflow.expressions:
        if where.item in _SHELL_KEYS:
            first = where.line + ("\n" in text)
            lines = enumerate(text.splitlines(), start=first)
            yield "\n".join(line for number, line in lines if number not in shown), where
        elif where.item not in _FOR_PEOPLE:
            yield text, where


def _given_by_default(command: Command, checked: Collection[str]) -> Iterator[str]:
    """Yield the defaults of variables that a command uses without a comparison before."""
    for name, value in command.assignments.items():
        yield from (match[1] for match in _DEFAULT.finditer(value) if name not in checked and not is_mode(name))
    for word in command.words:
        yield from (match[2] for match in _DEFAULT_OF.finditer(word) if not is_mode(match[1]))


@rule("deployed-from-any-ref", "CI-02", severity=Severity.HIGH)
def deployed_from_any_ref(fleet: Fleet) -> Judgement:
    """A workflow deploys whatever ref it was started from."""
    if len(fleet.environments) < 2:
        return
    found: dict[str, tuple[Listed, dict[str, None], list[Job]]] = {}
    for workflow, job, listed in deployment_jobs(fleet):
        triggers = [event for event in workflow.events if event in _ANY_REF and can_deploy(job, event)]
        if "push" in workflow.events and workflow.branches is None and can_deploy(job, "push"):
            triggers.append("push without branches")
        if set(triggers) <= _BY_HAND and not takes_code(workflow, job):
            continue
        if triggers and not looks_at_ref(workflow, job) and not pins_branch(job):
            _listed, known, jobs = found.setdefault(f"{listed.prefixes} {listed.document.path}", (listed, {}, []))
            known.update(dict.fromkeys(triggers))
            jobs.append(job)
    for listed, known, jobs in found.values():
        names = f"job{'s' if len(jobs) > 1 else ''} {listing(job.id for job in jobs)}"
        yield Hit(
            listed.prefixes,
            f"{names} of {listed.document.path}",
            f"{listing(known)} {'start' if len(known) > 1 else 'starts'} {names} from any branch or tag, and nothing "
            f"checks which: the code of any branch can be deployed to {listing(listed.prefixes)}.",
            "Add \"if: github.ref == 'refs/heads/<branch>'\" to the job, and a rule for deployment branches to the "
            "GitHub environment; compare the branch on the server as well.",
            tuple(job.where for job in jobs),
            # Trying a branch in staging is what staging is for; a GitHub environment may have rules that no file says.
            severity=None
            if any(map(is_production, listed.environments))
            and not (set(known) <= _BY_HAND and all(_is_named(job, listed) for job in jobs))
            else Severity.LOW,
        )


def _is_named(job: Job, listed: Listed) -> bool:
    """Whether a job has the GitHub environment of an environment of files that others wrote."""
    return any(
        not environment.variables and job.environment.lower() in short_names(environment)
        for environment in listed.environments
    )


_BY_HAND = frozenset(("workflow_dispatch", "repository_dispatch"))
#: A called workflow has the ref of its caller, which is judged itself.
_ANY_REF = frozenset(("workflow_dispatch", "repository_dispatch", "pull_request", "release", "create"))


@rule("branch-pattern", "CI-03", severity=Severity.MEDIUM)
def branch_pattern(fleet: Fleet) -> Judgement:
    """A deploying workflow is started by every branch that fits a pattern."""
    for workflow, listed in workflows(fleet):
        globs = [branch for branch in workflow.branches or () if _is_too_wide(fleet, listed, branch)]
        jobs = [job for job in workflow.jobs if deploys(job) and not looks_at_ref(workflow, job)]
        if globs and len(fleet.environments) > 1 and jobs:
            yield Hit(
                listed.prefixes,
                f"branches {', '.join(globs)}",
                f"{listed.document.path} deploys {listing(listed.prefixes)} from every branch that matches "
                f"{listing(globs)}: a branch of another team or environment that begins alike is deployed too.",
                "Name the branch in full: 'branches: [main]'.",
                (workflow.branches_where,),
            )


#: Patterns of branches that are made for a release, as in git-flow, and of versions.
_RELEASES = re.compile(r"(?:releases?|hotfix(?:es)?|rc|support)[/-].*|v?\d.*|v\*.*|v?\[0-9\].*")


def _is_too_wide(fleet: Fleet, listed: Listed, pattern: str) -> bool:
    """Whether a pattern of branches deploys production, or takes the branch of another environment as well."""
    if not re.search(r"[*?+\[]", pattern) or pattern.startswith("!"):
        return False
    others = [environment for environment in fleet.environments if environment.prefix not in listed.prefixes]
    if any(fnmatchcase(branch, pattern) for environment in others for branch in branches_of(fleet, environment)):
        return True
    return any(map(is_production, listed.environments)) and not _RELEASES.fullmatch(pattern)
