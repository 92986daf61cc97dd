# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One finding for each cause: what a rule says of many lines of the same files, or of one line for each environment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ..isolation.model import Finding
from ..isolation.wording import listing


def folded(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, of which those with one rule, severity and place, or one rule, severity and files, are one."""
    return _merge(_merge(findings, _place, _for_others), _files, _also_there)


def _place(finding: Finding) -> Any:
    """What is the same if one line, used by several environments, is found for each of them."""
    return finding.where or finding


def _files(finding: Finding) -> Any:
    """What is the same if one cause shows at several lines."""
    files = frozenset(place.file for place in finding.where if place.file)
    return (frozenset(finding.environments), files) if files else finding


def _merge(findings: Iterable[Finding], key: Any, merged: Any) -> list[Finding]:
    groups: dict[Any, list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.rule, finding.severity, finding.waived, key(finding)), []).append(finding)
    return [merged(group) if len(group) > 1 else group[0] for group in groups.values()]


def _for_others(group: Sequence[Finding]) -> Finding:
    """One finding for all environments that use the file."""
    first = group[0]
    environments = tuple(dict.fromkeys(name for finding in group for name in finding.environments))
    others = [name for name in environments if name not in first.environments]
    more = f" {listing(others)} {'use' if len(others) > 1 else 'uses'} the same file." if others else ""
    return replace(first, environments=environments, message=first.message + more)


def _also_there(group: Sequence[Finding]) -> Finding:
    """One finding for all lines, with what the others are about."""
    first = group[0]
    where = tuple(dict.fromkeys(place for finding in group for place in finding.where))
    others = list(dict.fromkeys(finding.resource for finding in group if finding.resource != first.resource))
    lines = sorted({finding.where[0].line for finding in group[1:]} - {first.where[0].line})
    more = f" The same holds for {listing(others)}." if others else ""
    if not others and lines:
        more = f" The same holds for line{'s' if len(lines) > 1 else ''} {listing(map(str, lines))}."
    return replace(first, where=where, message=first.message + more)
