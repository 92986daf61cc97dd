# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fingerprints of the secrets that this run reads, in place of those that are recorded, and what is untrue of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ..declaration.model import Declaration
from ..isolation.model import Environment, Finding, Severity
from ..isolation.readers.fingerprints import RECORD, recorded
from ..isolation.wording import listing
from ..secrets.fingerprints import fingerprints, record
from .secrets import finding_on, readable_secrets, salt_for, usual_salt
from .shared_work import in_parts, processes_for, share


class _Secret(NamedTuple):
    """A secret of the environment with this prefix, and the salt of that environment's fingerprints."""

    prefix: str
    name: str
    value: str
    salt: str


class LiveFingerprints:
    """Fingerprints made anew of the selected environments' secrets; none in an inventory without fingerprints."""

    def __init__(
        self, selected: Sequence[Declaration], fleet: Sequence[Declaration], first: Callable[[], None] = lambda: None
    ) -> None:
        """Make them on all processors. This process does ``first`` before it takes part."""
        salt = usual_salt(fleet)
        made_anew = [declaration for declaration in selected if salt and RECORD not in declaration.sealed]
        self._selected = {declaration.prefix: declaration for declaration in made_anew}
        self._salts = {declaration.prefix: salt_for(declaration, salt) for declaration in made_anew}
        self._made: dict[str, dict[str, str]] = {prefix: {} for prefix in self._selected}
        asked = [
            _Secret(prefix, name, value, self._salts[prefix])
            for prefix, declaration in self._selected.items()
            for name, value in readable_secrets(declaration).items()
        ]
        processes = processes_for(len(asked), 1)
        for made in share(_make, in_parts(asked, processes), processes, first):
            for prefix, found in made:
                self._made[prefix].update(found)

    def put_into(self, environments: Sequence[Environment]) -> tuple[tuple[Environment, ...], list[Finding]]:
        """The environments with these fingerprints, and findings on those that are recorded."""
        found: list[Environment] = []
        findings: list[Finding] = []
        for environment in environments:
            declaration = self._selected.get(environment.prefix)
            if declaration is None:
                found.append(environment)
                continue
            live, salt = self._made[environment.prefix], self._salts[environment.prefix]
            values, own = readable_secrets(declaration), environment.variables.get(RECORD)
            findings += _untrue(declaration, recorded(own), recorded(record(live, salt)), values)
            # What is sealed in this run cannot be made anew: there the record counts.
            kept = own.get("secrets") if _some_sealed(declaration) and isinstance(own, Mapping) else None
            known = kept if isinstance(kept, Mapping) else {}
            old = {str(name): text for name, text in known.items() if name not in values}
            variables = {**environment.variables, RECORD: record({**old, **live}, salt)}
            found.append(replace(environment, variables=variables))
        return tuple(found), findings


def _make(part: Sequence[_Secret]) -> list[tuple[str, dict[str, str]]]:
    """The fingerprint of each secret that has one, with the prefix of its environment."""
    return [(secret.prefix, fingerprints({secret.name: secret.value}, secret.salt)) for secret in part]


def _some_sealed(declaration: Declaration) -> bool:
    return any(name.partition(".")[0] == "bulkhead_secrets" for name in declaration.sealed)


def _untrue(
    declaration: Declaration, told: Mapping[str, str], live: Mapping[str, str], values: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield fingerprints that are not those of the secrets, and secrets without one."""
    gone = [] if _some_sealed(declaration) else [name for name in told if name not in values]
    stale = [name for name in told if name in values and told[name] != live.get(name)] + gone
    missing = [name for name in live if name not in told]
    again = "write them anew: aiia.bulkhead.secrets -e bulkhead_secret=fingerprint, and commit fingerprints.yml"
    if stale:
        yield finding_on(
            declaration,
            "stale-fingerprint",
            Severity.MEDIUM,
            listing(stale),
            f"the fingerprints of {listing(stale)} are not those of the secrets in the vault: other environments are "
            "compared with values that are no longer in use",
            again,
        )
    if missing:
        yield finding_on(
            declaration,
            "missing-fingerprint",
            Severity.LOW,
            listing(missing),
            f"{listing(missing)} {'have' if len(missing) > 1 else 'has'} no fingerprint, so deployments of other "
            f"environments cannot compare {'them' if len(missing) > 1 else 'it'}",
            again,
        )
