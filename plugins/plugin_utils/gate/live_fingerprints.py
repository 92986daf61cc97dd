# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fingerprints of the secrets that this run reads, in place of those that are recorded, and what is untrue of these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ..declaration.model import Declaration
from ..isolation.model import Environment, Finding, Severity
from ..isolation.readers.fingerprints import RECORD, recorded
from ..isolation.wording import listing
from ..secrets.fingerprints import fingerprints, record
from .forks import Meanwhile
from .secrets import finding_on, readable_secrets, salt_for, usual_salt

#: Seconds for a fork: a fingerprint takes a twentieth, and this process makes those that are late.
_PATIENCE = 60.0


class LiveFingerprints:
    """Fingerprints of the selected environments' secrets, which a fork makes while this process does something else.

    None are made in an inventory without fingerprints.
    """

    def __init__(self, selected: Sequence[Declaration], fleet: Sequence[Declaration]) -> None:
        self._salt = usual_salt(fleet)
        made_anew = [declaration for declaration in selected if self._salt and RECORD not in declaration.sealed]
        self._selected = {declaration.prefix: declaration for declaration in made_anew}
        self._making: Meanwhile | None = None

    def __enter__(self) -> LiveFingerprints:
        if self._selected:
            self._making = Meanwhile(self._make, _PATIENCE)
        return self

    def __exit__(self, *_unused: object) -> None:
        if self._making:
            self._making.end()

    def put_into(self, environments: Sequence[Environment]) -> tuple[tuple[Environment, ...], list[Finding]]:
        """The environments with the fingerprints that were made, and findings on those that are recorded."""
        made = self._making.answer() if self._making else {}
        found: list[Environment] = []
        findings: list[Finding] = []
        for environment in environments:
            if environment.prefix not in made:
                found.append(environment)
                continue
            declaration, live = self._selected[environment.prefix], made[environment.prefix]
            values, salt = readable_secrets(declaration), salt_for(declaration, self._salt)
            own = environment.variables.get(RECORD)
            findings += _untrue(declaration, recorded(own), recorded(record(live, salt)), values)
            # What is sealed in this run cannot be made anew: there the record counts.
            kept = own.get("secrets") if _some_sealed(declaration) and isinstance(own, Mapping) else None
            known = kept if isinstance(kept, Mapping) else {}
            old = {str(name): text for name, text in known.items() if name not in values}
            variables = {**environment.variables, RECORD: record({**old, **live}, salt)}
            found.append(replace(environment, variables=variables))
        return tuple(found), findings

    def _make(self) -> dict[str, dict[str, str]]:
        return {
            prefix: fingerprints(readable_secrets(declaration), salt_for(declaration, self._salt))
            for prefix, declaration in self._selected.items()
        }


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
