# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An approved plan: written to a file, signed by a person, and at the deployment applied exactly or refused.

The plan is made anew from what is deployed and compared with the file, so a file that says anything else is refused,
whoever wrote or signed it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ...module_utils.core.json_with_digest import decode_with_digest, dump, encode_with_digest
from ...module_utils.core.timestamps import seconds, text
from ..declaration.model import Declaration
from ..isolation.model import Finding, Severity
from ..isolation.wording import number
from .kept import write_private
from .paper import FORMAT, Unplannable
from .signing import NAMESPACE, NotSigned, signer_of

SIGNERS = "bulkhead_plan_signers"

_LONGEST = 64 * 1024 * 1024
#: How many differences are shown one by one.
_SHOWN = 20
#: How far the clocks of two controllers may differ, in seconds.
_CLOCKS = 300

_AGAIN = "make the plan anew, have it approved, and deploy with that one"


@dataclass(frozen=True)
class Approval:
    """The plan that a run applies: the digest of its file, when it was made, and who signed it, if anybody had to."""

    digest: str
    made: str
    signer: str = ""

    def __str__(self) -> str:
        by = f", signed by {self.signer}" if self.signer else ""
        return f"as planned at {self.made} (sha256 {self.digest[:16]}{by})"


class Refused(Exception):
    """A plan is not applied; the text says why."""


def write(path: Path, document: Mapping[str, Any]) -> dict[str, Any]:
    """Write a plan, and return what was written. Raises AnsibleActionFail where that is not possible."""
    plan = {**document, "made": text(datetime.now(UTC).timestamp())}
    try:
        write_private(path, encode_with_digest(plan))
        path.with_name(f"{path.name}.sig").unlink(missing_ok=True)  # of another plan
    except OSError as error:
        raise AnsibleActionFail(f"cannot write the plan to {path} (bulkhead_plan): {error.strerror}") from error
    return plan


def how_to_sign(path: Path) -> str:
    """What a person types to approve a plan."""
    return f"to approve it: ssh-keygen -Y sign -n {NAMESPACE} -f ~/.ssh/id_ed25519 {path}"


def is_demanded(declaration: Declaration) -> bool:
    """Whether an environment is deployed with a signed plan only. It is where its signers cannot be read."""
    named = [*(problem.resource for problem in declaration.problems), *declaration.sealed]
    return bool(declaration.values[SIGNERS]) or any(name.startswith(SIGNERS) for name in named)


def approve(
    path: str, targets: Mapping[str, Declaration], demanded: bool, document: Callable[[str], dict[str, Any]]
) -> tuple[dict[str, Approval], list[Finding]]:
    """Compare the plan in a file with what a run would deploy. ``targets`` are its environments by prefix, ``document``
    makes the plan of a group anew. With ``demanded``, environments that ask for a signed plan are refused without.

    Returns the approval of each group, and findings that no waiver accepts.
    """
    if not path:
        return {}, [_missing(own) for own in targets.values() if demanded and is_demanded(own)]
    if len(targets) != 1:
        message = f"{path} is the plan of one environment, and this run deploys {len(targets)}"
        return {}, [_finding(prefix, path, message, "deploy one environment at a time") for prefix in targets]
    (own,) = targets.values()
    try:
        content = _read(Path(path))
        plan = _decoded(content)
        _check_age(plan, int(own.values["bulkhead_plan_expires"] or 0), datetime.now(UTC).timestamp())
        signer = _signer(Path(path), content, own, demanded) if is_demanded(own) else ""
        changed = list(differences(plan, document(own.group)))
    except (Refused, NotSigned) as refusal:
        return {}, [_finding(own.prefix, path, f"{path} is not applied: {refusal}", _AGAIN)]
    except Unplannable as error:
        return {}, [_finding(own.prefix, path, str(error.message), _AGAIN)]
    if changed:
        more = [f"{number(len(changed) - _SHOWN, 'more difference')}"] if len(changed) > _SHOWN else []
        shown = [*changed[:_SHOWN], *more]
        return {}, [_finding(own.prefix, path, f"not as planned: {change}", _AGAIN, "plan-changed") for change in shown]
    return {own.group: Approval(hashlib.sha256(content).hexdigest(), plan["made"], signer)}, []


def _missing(own: Declaration) -> Finding:
    return _finding(
        own.prefix,
        SIGNERS,
        f"{own.prefix} is deployed with an approved plan only ({SIGNERS}), and this run has none",
        f"ansible-playbook aiia.bulkhead.plan -e bulkhead_plan=plan.json -e bulkhead_plan_group={own.group}, have it "
        "signed, and deploy with -e bulkhead_plan=plan.json",
    )


def _finding(prefix: str, resource: str, message: str, fix: str, rule: str = "unapproved-plan") -> Finding:
    return Finding(rule, Severity.CRITICAL, (prefix,), resource, message, fix)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
    except OSError as error:
        raise Refused(f"it cannot be read: {error.strerror}") from None
    if len(content) > _LONGEST:
        raise Refused("it is too long for a plan")
    return content


def _decoded(content: bytes) -> dict[str, Any]:
    """What a plan says. Every byte counts: what a person read and signed has one meaning only."""
    try:
        plan = decode_with_digest(content)
    except RecursionError:
        raise Refused("it cannot be read") from None
    except ValueError as error:
        raise Refused(str(error)) from None
    if encode_with_digest(plan) != content:
        raise Refused("it was edited by hand")
    if plan.get("format") != FORMAT:
        raise Refused(f"it has the format {plan.get('format')}, and this version of Bulkhead writes {FORMAT}")
    return plan


def _check_age(plan: Mapping[str, Any], hours: int, now: float) -> None:
    try:
        made = seconds(str(plan.get("made")))
    except (ValueError, OverflowError):
        made = -1
    if made < 0 or text(made) != plan["made"]:
        raise Refused("it does not say when it was made")
    if made > now + _CLOCKS:
        raise Refused(f"it was made at {plan['made']}, which is in the future; the clock here says {text(now)}")
    if made + hours * 3600 < now:
        raise Refused(f"it was made at {plan['made']} and counts for {number(hours, 'hour')} (bulkhead_plan_expires)")


def _signer(path: Path, content: bytes, own: Declaration, demanded: bool) -> str:
    """Who signed a plan; empty where nobody did whose signature counts. With ``demanded`` that raises Refused or
    NotSigned."""
    try:
        signers = own.values[SIGNERS]
        if not signers or any(problem.resource.startswith(SIGNERS) for problem in own.problems):
            raise Refused(f"{SIGNERS} cannot be read, so nobody's signature counts")
        try:
            signature = path.with_name(f"{path.name}.sig").read_bytes()
        except OSError as error:
            raise Refused(f"it is not signed: {path}.sig: {error.strerror} ({how_to_sign(path)})") from None
        return signer_of(content, signature, signers, datetime.now(UTC).date())
    except (Refused, NotSigned):
        if demanded:
            raise
        return ""


def differences(plan: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield in words where a plan differs from what would be deployed now. When it was made is not compared."""
    planned = {key: value for key, value in plan.items() if key != "made"}
    for key in ("environment", "collection"):
        if dump(plan.get(key)) != dump(now[key]):
            # Everything else differs as well, and says nothing more.
            planned, now = {key: plan.get(key)}, {key: now[key]}
            break
    if dump(planned) != dump(now):
        # What is not told one by one is the order of a list, or an item that it has twice.
        yield from [*_told(planned, now)] or ["a list has other items, or another order"]


def _told(plan: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    planned, found = dict(_leaves(plan)), dict(_leaves(json.loads(dump(now))))
    for name in sorted({*planned, *found}):
        before, after = planned.get(name), found.get(name)
        if name not in found:
            yield f"{name} is gone (planned: {_shown(before)})"
        elif name not in planned:
            yield f"{name} is new ({_shown(after)})"
        elif before != after or type(before) is not type(after):
            yield f"{name} was planned as {_shown(before)} and is {_shown(after)}"


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a plan by their dotted names. A list is a set of texts."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value:
        for item in value:
            yield f"{name}: {item if isinstance(item, str) else repr(item)}", item
    else:
        yield name, value


def _shown(value: Any) -> str:
    found = repr(value) if not isinstance(value, str) or not value.isprintable() else value
    return f"{found[:12]}…" if len(found) == 64 else found[:100] or "nothing"
