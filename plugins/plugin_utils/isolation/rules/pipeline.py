# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From branch to environment: which ref may deploy what, and what the runs of two environments share."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
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
    repository,
    workflows,
)
from ..model import Document, Environment, Fleet, Severity, Where
from ..readers.documents import commands
from ..readers.frameworks import is_mode
from ..readers.shell.scripts import Command
from ..readers.workflow import ConcurrencyGroup, Job, Workflow, WorkflowStep
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


_TELLS_APART = re.compile(r"github\.(?:ref|ref_name|head_ref|sha|run_id)\b|inputs\.|matrix\.|\benv\.")


def _told_by(text: str, listed: Listed) -> Sequence[Environment]:
    """The environments that a name names, or all that use its workflow if it names none."""
    words = set(re.split(r"[^a-z0-9]+", text.lower()))
    return [item for item in listed.environments if words & short_names(item)] or listed.environments


@rule("shared-concurrency", "CI-04", severity=Severity.MEDIUM)
def shared_concurrency(fleet: Fleet) -> Judgement:
    """Deployments of two environments wait in one concurrency group, where one cancels the other."""
    groups: dict[tuple[str, str], dict[str, tuple[Where, bool]]] = {}
    for workflow, listed in workflows(fleet):
        for group, members in _groups(fleet, workflow, listed):
            if not _TELLS_APART.search(group.name):
                told = _told_by(group.name, listed)
                for environment in (member for member in members if member in told):
                    key = (repository(environment), group.name.casefold())
                    groups.setdefault(key, {}).setdefault(environment.prefix, (group.where, group.cancel))
    for (_repository, name), places in groups.items():
        if len(places) > 1:
            cancels = any(cancel for _where, cancel in places.values())
            harm = (
                "a push to one kills the other's deployment half-way"
                if cancels
                else "GitHub keeps only the newest waiting deployment, whichever environment it is for"
            )
            yield Hit(
                tuple(places),
                f"concurrency group {name}",
                f"{listing(places)} deploy in the same concurrency group, '{name}' (GitHub ignores case): {harm}.",
                "Name the group after the environment, without cancel-in-progress, and take a lock on the machine "
                "for what must not run at once.",
                tuple(where for where, _cancel in places.values()),
                severity=Severity.HIGH if cancels else None,
            )


def _groups(
    fleet: Fleet, workflow: Workflow, listed: Listed
) -> Iterator[tuple[ConcurrencyGroup, Sequence[Environment]]]:
    """The concurrency groups of what a workflow deploys, each with the environments that wait in it.

    A job with a GitHub environment deploys that one.
    """
    deploying = [job for job in workflow.jobs if deploys(job)]
    if workflow.group is not None and deploying:
        yield workflow.group, listed.environments
    for job in deploying:
        if job.group is not None:
            own = [item for item in listed.environments if named(fleet, item, job.environment) == item.prefix]
            yield job.group, own or listed.environments


#: Secrets that every job may share, as they give no access to an environment.
_COMMON_SECRETS = re.compile(
    r"GITHUB_TOKEN|.*(?:DOCKERHUB|DOCKER_HUB|DOCKER_(?:USER|PASS|TOKEN|LOGIN)|GHCR|REGISTRY|NPM|PYPI|CODECOV|SLACK|DISCORD|SONAR|SENTRY_AUTH).*",
    re.IGNORECASE,
)


@rule("secret-falls-through", "CI-05", severity=Severity.LOW)
def secret_falls_through(fleet: Fleet) -> Judgement:
    """A secret that the GitHub environment lacks is silently taken from the repository."""
    for _workflow, job, listed in deployment_jobs(fleet):
        names = [name for name in job.secrets if not _COMMON_SECRETS.fullmatch(name) and not _is_own(name, listed)]
        if job.environment and names and len(fleet.environments) > 1:
            yield Hit(
                listed.prefixes,
                f"secrets of job {job.id}",
                f"Job {job.id} reads {listing(names)} in the GitHub environment {job.environment}. GitHub takes a "
                "secret that is missing there from the repository or the organisation without a word, and that is "
                "often production's.",
                "Keep an environment's secrets out of the repository's, or begin their names with the environment's: "
                "a missing one is then empty, and the deployment fails.",
                (job.where,),
            )


def _is_own(name: str, listed: Listed) -> bool:
    words = set(name.lower().split("_"))
    return any(words & set(environment.prefix.lower().split("_")[-1:]) for environment in listed.environments)


@rule("job-without-environment", "CI-06", severity=Severity.HIGH)
def job_without_environment(fleet: Fleet) -> Judgement:
    """A job deploys without a GitHub environment: no rule protects it, and it sees the repository's secrets."""
    found: dict[str, tuple[Listed, list[Job]]] = {}
    for _workflow, job, listed in deployment_jobs(fleet):
        if not job.environment and len(fleet.environments) > 1:
            found.setdefault(f"{listed.prefixes} {listed.document.path}", (listed, []))[1].append(job)
    for listed, jobs in found.values():
        several = len(jobs) > 1
        names = listing(job.id for job in jobs)
        secrets = [name for job in jobs for name in job.secrets if not _COMMON_SECRETS.fullmatch(name)]
        reads = "read" if several else "reads"
        seen = (
            f" and {reads} {listing(secrets)} of the repository, which any branch's workflow can read"
            if secrets
            else ""
        )
        yield Hit(
            listed.prefixes,
            f"job{'s' if several else ''} {names} of {listed.document.path}",
            f"{'Jobs' if several else 'Job'} {names} {'deploy' if several else 'deploys'} {listing(listed.prefixes)} "
            f"without 'environment:'{seen}: no rule about branches or reviewers applies.",
            f"Add 'environment: {_only_name(listed)}' and keep the secrets there.",
            tuple(job.where for job in jobs),
            severity=_unprotected(listed, secrets),
        )


def _unprotected(listed: Listed, secrets: Sequence[str]) -> Severity:
    if any(map(is_production, listed.environments)):
        return Severity.HIGH if secrets else Severity.MEDIUM
    return Severity.MEDIUM if secrets else Severity.LOW


def _only_name(listed: Listed) -> str:
    """The name of the environment that alone uses a document, or a placeholder."""
    return (listed.environments[0].name if len(listed.environments) == 1 else "") or "<name>"


_KEY_INPUTS = ("key", "ssh_key", "ssh-key", "private_key", "ssh-private-key", "ssh_private_key", "password")
_SECRET = re.compile(r"secrets\.(\w+)")


@rule("shared-deploy-key", "CI-07", severity=Severity.HIGH)
def shared_deploy_key(fleet: Fleet) -> Judgement:
    """One key of the repository opens the machine for the deployments of several environments."""
    keys: dict[tuple[str, str], dict[str, Where]] = {}
    for workflow, job, listed in deployment_jobs(fleet):
        if job.environment:
            continue  # the environment may have its own key under the same name
        names = {name: step.where for step in job.steps for name in _keys(job, step)}
        for name, where in names.items():
            for environment in _deployed_by(workflow, job, listed):
                keys.setdefault((repository(environment), name), {}).setdefault(environment.prefix, where)
    for (_repository, name), members in keys.items():
        if len(members) > 1:
            yield Hit(
                tuple(members),
                f"secret {name}",
                f"Deployments of {listing(members)} log in with the same key, the repository's secret {name}: a "
                "workflow of one can write into the other's directory and use its containers.",
                "Give each environment its own key and user, as a secret of its GitHub environment, and bind the key "
                'to one command (command="…" in authorized_keys).',
                tuple(dict.fromkeys(members.values())),
            )


#: What makes runs of one job differ.
_CHOOSES = re.compile(r"\b(?:inputs|matrix|needs|github\.(?:ref\w*|head_ref|event\w*|base_ref)|GITHUB_REF\w*)\b")


def _deployed_by(workflow: Workflow, job: Job, listed: Listed) -> Sequence[Environment]:
    """The environments that a job of one branch names, or else all that use its workflow and that it can tell apart.

    A job that has nothing to choose by logs in to one place.
    """
    if len(workflow.branches or ()) > 1:
        return listed.environments
    named = [
        environment
        for environment in listed.environments
        if any(re.search(rf"(?<![^\W_]){name}(?![^\W_])", job.text, re.IGNORECASE) for name in short_names(environment))
    ]
    chooses = len(listed.environments) == 1 or _CHOOSES.search(job.text)
    return named or (listed.environments if chooses else ())


_LOGS_IN = re.compile(r"ssh|scp|rsync|sftp|ftp|deploy", re.IGNORECASE)
_KEY_NAME = re.compile(
    r"(?:SSH|DEPLOY|SERVER|HOST|MACHINE|VPS)\w*(?:KEY|PASS|PASSWORD)|PRIVATE_?KEY|\bKEY\b", re.IGNORECASE
)
_REMOTE = re.compile(r"\b(?:ssh|scp|rsync|sftp|sshpass|ansible-playbook)\b")


def _keys(job: Job, step: WorkflowStep) -> Iterator[str]:
    """Yield the secrets with which a step logs in to a server: given to an action, or in a variable of a script."""
    if _LOGS_IN.search(step.uses) or not step.uses:
        for option in _KEY_INPUTS:
            yield from _machine_secrets(step.inputs.get(option, ""))
    if _REMOTE.search(job.text):
        for name, value in ({**job.variables, **step.variables} if step.run else {}).items():
            if _KEY_NAME.search(name) and re.search(rf"\b{name}\b", step.run):
                yield from _machine_secrets(value)


def _machine_secrets(text: str) -> Iterator[str]:
    """The secrets in an expression, without those that are made for each job or belong to a registry."""
    return (name for name in _SECRET.findall(text) if not _COMMON_SECRETS.fullmatch(name))


@rule("shared-runner", "CI-08", severity=Severity.HIGH)
def shared_runner(fleet: Fleet) -> Judgement:
    """Jobs of two environments run on the same self-hosted runner."""
    runners: dict[tuple[str, frozenset[str]], dict[str, Where]] = {}
    for workflow, listed in workflows(fleet):
        for job in workflow.jobs:
            labels = frozenset(label.lower() for label in job.runs_on)
            if "self-hosted" in labels and not any("${{" in label for label in labels) and deploys(job):
                for environment in listed.environments:
                    runners.setdefault((repository(environment), labels), {}).setdefault(environment.prefix, job.where)
    for (_repository, labels), members in runners.items():
        if len(members) > 1:
            yield Hit(
                tuple(members),
                f"runner {', '.join(sorted(labels))}",
                f"The same self-hosted runner deploys {listing(members)}: they share its work directory, its Docker "
                "login, the files that a run leaves behind and the engine's socket.",
                "Give each environment its own runner with its own label ('[self-hosted, staging]'), ideally one "
                "that lives for a single job.",
                tuple(dict.fromkeys(members.values())),
            )


_DOWNLOADS = re.compile(
    r"\.cache/(?:pip|uv|pypoetry|poetry|yarn|go-build|composer|ms-playwright|deno|bun)|\.npm|\.pnpm-store|\.m2|\.cargo"
    r"|go/pkg|\.gradle|node_modules|\.nuget|\.bun|vendor/bundle|\.venv|STORE_PATH|cache-dir|pnpm-cache"
)


@rule("cache-without-environment", "CI-11", severity=Severity.MEDIUM)
def cache_without_environment(fleet: Fleet) -> Judgement:
    """What one environment's run builds is taken up by another's from a cache or artifact."""
    for workflow, listed in workflows(fleet):
        several = len(listed.environments) > 1 or workflow.branches is None or len(workflow.branches) > 1
        if not several or len(fleet.environments) < 2:
            continue
        for job in workflow.jobs:
            for step in job.steps:
                action = step.uses.partition("@")[0]
                key = ""
                if action in ("actions/cache", "actions/cache/restore", "actions/cache/save"):
                    key = "" if _DOWNLOADS.search(step.inputs.get("path", "")) else step.inputs.get("key", "")
                elif "download-artifact" in action and "workflow_run" in workflow.events:
                    key = step.inputs.get("name", "artifact")
                if key and not _TELLS_APART.search(key) and not re.search(r"github\.event\.workflow_run", key):
                    yield Hit(
                        listed.prefixes,
                        f"{action.rpartition('/')[2]} {key}",
                        f"The cache key '{key}' is the same for every branch: what was built for one of "
                        f"{listing(listed.prefixes)}, with its settings baked in, is deployed to another.",
                        "Put the branch or the environment into the key: '${{ github.ref_name }}-…'.",
                        (step.where,),
                    )
