# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of one environment as a document that a person can approve.

It is made of what everybody reads: no vault is opened and no lookup evaluated, whoever makes it. So a pull request and
a deployment make the same document of the same inventory. Secrets are in it as the digests of their encrypted texts.
What can still change although the document does not is named in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible import constants as C
from ansible.errors import AnsibleActionFail
from ansible.parsing.vault import EncryptedString, VaultHelper

from ...module_utils.source.values import split_credentials
from ..declaration.command_line import MAY_SET, TypedAs, is_credential
from ..declaration.inventory import Inventory
from ..declaration.loading import LOCKED, UNREADABLE
from ..declaration.model import Declaration
from ..declaration.settings import plain
from ..declaration.swarm import of_swarm
from ..declaration.templates import is_template
from ..declaration.variables import ROLE
from ..isolation.live.registered import entry_of
from ..isolation.model import SEAL, Environment, Finding, Fleet
from ..isolation.wording import listing, number
from ..release.render import Release, with_commit
from ..secrets.fingerprints import STRONG, bits
from .secrets import readable_secrets

#: The form of the document; another one is refused.
FORMAT = 1

#: What ``-e`` may give a deployment beside what its plan was given: it changes nothing that is deployed.
FREE = frozenset(("bulkhead_plan", "bulkhead_plan_group", "bulkhead_report", "bulkhead_receipt", "bulkhead_lock_wait"))
#: What ``-e`` gives and a plan shows; of all else it has digests.
_SHOWN = ("bulkhead_image", "bulkhead_source_commit")

#: How many ports a plan lists; ``files`` has the digest of them all.
_MOST_PORTS = 100

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?\Z")
_PINNED = re.compile(r"@sha256:[0-9a-f]{64}\Z")


class Unplannable(AnsibleActionFail):
    """No plan of the environment would say what is deployed."""


def document(
    own: Declaration,
    release: Release | None,
    fleet: Fleet,
    findings: Iterable[Finding],
    inventory: Inventory,
    templates: Sequence[Path],
) -> dict[str, Any]:
    """The plan of an environment: plain data that is equal as long as the same would be deployed beside the same.

    ``own`` and ``release`` are the environment as it reads without secrets, ``templates`` the directories that are
    searched for templates. Raises Unplannable, with every reason.
    """
    if release is None:
        raise Unplannable(
            f"{own.prefix} cannot be rendered without its secrets or lookups, so no plan can show what it would be: "
            + ("; ".join(problem.message for problem in own.problems) or listing([*own.sealed]))
        )
    reasons = list(_unplannable(own))
    if reasons:
        raise Unplannable(f"no plan of {own.prefix} can be made: {'; '.join(reasons)}")
    values, commit = own.values, str(own.values["bulkhead_source_commit"] or "").lower()
    release = with_commit(release, own, commit) if values["bulkhead_source_repository"] else release
    environment = fleet.by_prefix[own.prefix]
    names = ("prefix", "project", "environment", "machine", "directory", "domains")
    return {
        "format": FORMAT,
        "collection": {"name": "aiia.bulkhead", "version": _version(), "digest": _code()},
        "environment": {**{name: values[f"bulkhead_{name}"] for name in names}, "group": own.group},
        "source": {
            "repository": split_credentials(values["bulkhead_source_repository"])[0],
            "branch": values["bulkhead_source_branch"],
            "commit": commit,
            "image": values["bulkhead_image"],
        },
        "images": {key: str(service.get("image") or "") for key, service in _services(release)},
        "ports": sorted({f"{address or '*'}:{port}" for _service, address, port in release.ports})[:_MOST_PORTS],
        "files": {file.path: _digest([file.content, file.mode, file.source]) for file in release.files},
        "given": _given(inventory.extra_variables),
        "variables": dict(as_written(own.hosts[0], inventory)),
        "encrypted": {_below(path, inventory): _of_file(Path(path)) for path in own.locked},
        "templates": _templates(templates),
        "not_read": sorted(_not_read(own, inventory)),
        "not_pinned": sorted(_not_pinned(release)),
        "findings": sorted(_finding(finding) for finding in findings),
        "bystanders": {
            other.prefix: _claims(other) for other in fleet.environments if other.prefix != environment.prefix
        },
    }


def _unplannable(own: Declaration) -> Iterator[str]:
    """Why a plan of an environment would not say what is deployed, or would say too much."""
    values = own.values
    unapproved = of_swarm(own, "its plan cannot be approved yet, because it does not name its images' digests")
    if unapproved:
        yield unapproved
    commit, image = str(values["bulkhead_source_commit"] or "").lower(), str(values["bulkhead_image"] or "")
    if values["bulkhead_source_repository"] and not _COMMIT.match(commit):
        said = f"bulkhead_source_commit is {commit}" if commit and SEAL not in commit else "it names no commit"
        yield (
            f"{said}, and a branch, a tag or the beginning of an id can be another commit by the time of the "
            "deployment: give the whole id, in group_vars or with -e bulkhead_source_commit=$(git rev-parse HEAD)"
        )
    if image and not _PINNED.search(image):
        yield (
            f"bulkhead_image is {image}, and a tag can be another image by the time of the deployment: write "
            "name@sha256:…"
        )
    weak = [name for name, value in readable_secrets(own).items() if bits(value) < STRONG]
    if weak:
        yield (
            f"{listing(weak)} of bulkhead_secrets can be read without a vault password and can be guessed, and whoever "
            "has the plan could try guesses on its digests: move it to the environment's vault"
        )


def _services(release: Release) -> list[tuple[str, Mapping[str, Any]]]:
    return list(release.stack.compose["services"].items())


def _given(extra: Mapping[str, Any]) -> dict[str, Any]:
    """What ``-e`` gives the run and decides what it does."""
    found = {}
    for name, use in MAY_SET.items():
        if name in extra and name not in FREE and use is not TypedAs.STRICTER:
            shown = use is TypedAs.PERMISSION or name in _SHOWN
            found[name] = str(plain(extra[name])) if shown else _digest(_canonical(extra[name]))
    return found


def as_written(host: str, inventory: Inventory) -> Iterator[tuple[str, str]]:
    """Yield the digest of each variable that the inventory has for a host, as it is written there.

    An encrypted one counts as encrypted. Credentials of a connection decide whether it succeeds, not where it leads;
    those of the repository likewise.
    """
    for name, value in sorted(inventory.host_variables(host).items()):
        if name in C.INTERNAL_STATIC_VARS or name.startswith((LOCKED, UNREADABLE)) or is_credential(name):
            continue
        if name == "bulkhead_source_repository" and isinstance(value, str):
            value = split_credentials(value)[0]
        yield name, _digest(_canonical(value))


def _below(path: str, inventory: Inventory) -> str:
    """A file's path below the inventory that has it: checkouts of a repository lie in different places."""
    for source in map(Path, inventory.manager._sources):
        base = source if source.is_dir() else source.parent
        if Path(path).is_relative_to(base.absolute()):
            return str(Path(path).relative_to(base.absolute()))
    return os.path.relpath(path)


def _templates(directories: Sequence[Path]) -> dict[str, list[str]]:
    """The digests of the user's own templates, by their paths below ``templates``, in the order of the search."""
    found: dict[str, list[str]] = {}
    own = ROLE.resolve()
    for directory in dict.fromkeys(directory.resolve() for directory in directories):
        if directory.is_dir() and not directory.is_relative_to(own):
            for path in sorted(directory.rglob("*")):
                if path.is_file():
                    found.setdefault(str(path.relative_to(directory)), []).append(_of_file(path))
    return found


def _not_read(own: Declaration, inventory: Inventory) -> Iterator[str]:
    """What only the deployment reads, and what it needs for that. Whatever is encrypted is in ``encrypted``; a lookup's
    answer is nowhere in the plan."""
    written = inventory.host_variables(own.hosts[0])
    for name, why in own.sealed.items():
        of_a_file = own.locked and name == "bulkhead_secrets" and name not in written
        if not of_a_file and not isinstance(_at(written, name), EncryptedString):
            yield f"{name} needs {why}"


def _at(written: Any, name: str) -> Any:
    """What is written under a dotted name; None where that is nothing."""
    for key in name.split("."):
        written = written.get(key) if isinstance(written, Mapping) else None
    return written


def _not_pinned(release: Release) -> Iterator[str]:
    """What a deployment takes from elsewhere under a name that may stand for something else by then."""
    for file in release.files:
        if file.source:
            yield f"{file.path} is copied from {file.source} on the machine"
    application = {service.image for service in release.stack.services if service.application}
    for key, service in _services(release):
        image = str(service.get("image") or "")
        if image and image not in application and not _PINNED.search(image):
            yield f"{key} runs {image}, and a tag can name another image on the machine"


def _finding(finding: Finding) -> str:
    named = ", ".join(finding.environments)
    accepted = f" (accepted: {finding.waived})" if finding.waived else ""
    return f"{finding.severity.label} {finding.rule} [{named}] {finding.resource}{accepted}"


def _claims(environment: Environment) -> dict[str, str]:
    """What another environment is and claims, as one digest for each namespace. Its secrets are not in it."""
    entry = entry_of(environment)
    spaces: dict[str, list[str]] = {"itself": []}
    for claim in entry.pop("claims"):
        spaces.setdefault(str(claim["namespace"]), []).append(json.dumps(claim, sort_keys=True))
    spaces["itself"].append(json.dumps(entry, sort_keys=True))
    return {space: _digest(sorted(claims)) for space, claims in spaces.items()}


def _version() -> str:
    """The collection's version; a checkout has no manifest."""
    root = ROLE.parents[1]
    try:
        return str(json.loads((root / "MANIFEST.json").read_text(encoding="utf-8"))["collection_info"]["version"])
    except FileNotFoundError:
        return str(yaml.safe_load((root / "galaxy.yml").read_text(encoding="utf-8"))["version"])


def _code() -> str:
    """One digest of the rules, the templates, the defaults and everything else that decides what is deployed."""
    root = ROLE.parents[1]
    files = [*(root / "plugins").rglob("*.py"), *(path for path in ROLE.rglob("*") if path.is_file())]
    return _digest([[str(path.relative_to(root)), _of_file(path)] for path in sorted(files)])


def _of_file(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return f"not read: {error.strerror}"


def _canonical(value: Any) -> Any:
    """A value as JSON that differs wherever the value or its type does; encrypted texts stay encrypted."""
    if isinstance(value, EncryptedString):
        return ["vault", "".join(VaultHelper.get_ciphertext(value, with_tags=False).split())]
    if isinstance(value, Mapping):
        return ["mapping", sorted(([_canonical(key), _canonical(item)] for key, item in value.items()), key=json.dumps)]
    if isinstance(value, (list, tuple)):
        return ["list", [_canonical(item) for item in value]]
    if isinstance(value, str) and is_template(value):
        return ["template", str(value)]
    return [next((kind.__name__ for kind in (str, bool, int, float) if isinstance(value, kind)), "other"), str(value)]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def shown(plan: Mapping[str, Any]) -> str:
    """A plan in words, for whoever approves it."""
    source = plan["source"]
    what = source["image"] or (f"commit {source['commit']} of {source['branch']}" if source["commit"] else "no source")
    lines = [
        f"plan of {plan['environment']['prefix']} on {plan['environment']['machine']}, made at {plan['made']}:",
        f"  {what}",
        *(f"  {key}: {image}" for key, image in plan["images"].items()),
        f"  ports: {', '.join(plan['ports']) or 'none'}",
        "  with the digests of "
        + ", ".join(
            number(len(plan[part]), name)
            for part, name in (("files", "file"), ("variables", "variable"), ("encrypted", "vault file"))
        ),
        *(f"  given by -e: {name}={value}" for name, value in plan["given"].items()),
        f"  beside: {', '.join(plan['bystanders']) or 'no other environment'}",
        *(f"  {finding}" for finding in plan["findings"]),
        *(f"  read by the deployment only: {what}" for what in plan["not_read"]),
        *(f"  not part of the plan: {what}" for what in plan["not_pinned"]),
    ]
    return "\n".join(lines)
