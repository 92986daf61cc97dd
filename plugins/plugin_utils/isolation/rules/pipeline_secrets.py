# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The secrets and keys of a pipeline: which job can read them, and what they open."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..facts.ownership import short_names
from ..facts.production import is_production
from ..facts.workflows import (
    Listed,
    deployment_jobs,
    repository,
)
from ..model import Environment, Fleet, Severity, Where
from ..readers.workflow import Job, Workflow, WorkflowStep
from ..wording import listing
from . import Hit, Judgement, rule

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
