# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last line of a report: what was proved, in words that stay true whatever was waived, sealed or left unread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..model import Finding, Severity
from ..wording import listing, number

_NAMES = frozenset(("outside-name", "unmarked-name"))
_REACH = frozenset(("outside-reach", "unclassified-key"))


@dataclass(frozen=True)
class Scope:
    """What a proof was about: how many environments were read, and what they claim.

    ``shared`` is what several declare in ``bulkhead_shared``, ``sealed`` are the environments of which something was
    not compared, ``unread`` those of which something that others could run into is not known here.
    """

    environments: int
    claims: int
    shared: Sequence[str] = ()
    sealed: Sequence[str] = ()
    unread: Sequence[str] = ()


def proved(scope: Scope, findings: Sequence[Finding]) -> str:
    """What a fleet without findings that stop has proved. ``findings`` are those that do not stop."""
    left = [finding for finding in findings if finding.waived or finding.severity > Severity.LOW]
    names = [finding for finding in left if finding.rule in _NAMES]
    reach = [finding for finding in left if finding.rule in _REACH]
    others = [finding for finding in left if finding.rule not in _NAMES | _REACH]
    parts = [
        f"{number(scope.environments, 'environment')}, {number(scope.claims, 'claim')}, none shared{_but(others)}",
        f"every name is its environment's own{_but(names)}",
        f"nothing in a stack or its programs' settings reaches outside{_but(reach)}",
    ]
    if scope.shared:
        parts.append(f"shared on purpose: {listing(scope.shared)}")
    if scope.sealed:
        parts.append(f"sealed, so not compared: values of {listing(scope.sealed)}")
    if scope.unread:
        parts.append(f"not proved, for lack of values: {', '.join(scope.unread)}")
    return f"proved on paper: {'; '.join(parts)}"


def _but(findings: Sequence[Finding]) -> str:
    """The exceptions: findings that were accepted, or are below what stops the run."""
    waived = sum(bool(finding.waived) for finding in findings)
    words = [f"{count} {how}" for count, how in ((waived, "waived"), (len(findings) - waived, "listed")) if count]
    return f" but for {listing(words)} finding{'' if len(findings) == 1 else 's'}" if words else ""
