# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the runs of two environments share: a queue, a runner, a cache."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..facts.ownership import short_names
from ..facts.workflows import (
    Listed,
    deploys,
    named,
    repository,
    workflows,
)
from ..model import Environment, Fleet, Severity, Where
from ..readers.workflow import ConcurrencyGroup, Workflow
from ..wording import listing
from . import Hit, Judgement, rule

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
