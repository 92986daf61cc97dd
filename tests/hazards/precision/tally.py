# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write docs/precision.md from the tally of findings about public repositories.

python tests/hazards/precision/tally.py --write         write the page
python tests/hazards/precision/tally.py --check         exit with 1 if the page does not match the tally
python tests/hazards/precision/tally.py --second FILE   write a third of the findings without verdicts, to be judged
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import yaml
from checkout import ROOT
from hazards.pages import keep, options

HERE = Path(__file__).resolve().parent
TALLY = HERE / "tally.yml"
#: The verdicts of a second reader, by repository, place and rule; there is none before somebody has read.
SECOND = HERE / "second.yml"
PAGE = ROOT / "docs" / "precision.md"

VERDICTS = ("true", "arguable", "false")
#: At least this share of all findings is to be true, and of those of each rule.
GOAL, GOAL_OF_RULE = 0.90, 0.75
_SEED = 12

_INTRODUCTION = """\
# Precision

How often `isolation_check` is right about files that nobody deployed with Bulkhead. It was run as a user would run it
(`path=.`) on {repositories} public repositories that hold files for two environments. Someone read the files for each
finding at medium or above and judged it:

- **true**: the files say what the finding says, and what it warns of would happen if both environments share a machine;
- **arguable**: it depends on something that the files do not say;
- **false**: the files do not say it, or it could not happen.

`isolation_check` assumes one machine unless the configuration names several, and says so; the verdicts share that
assumption. An arguable finding counts as half. The repositories were drawn from lists of those with a file such as
`docker-compose.staging.yml`. The rules were mended on the same repositories that they were measured on, so expect fewer
true findings on others.

The verdicts are in `tests/hazards/precision/tally.yml`, with repository, commit, file and line. This page is generated
from them by `python tests/hazards/precision/tally.py --write`, and a test fails if it is out of date.
"""

#: What the second reader found false is mended, so it is in the tally no more; the page must not hide it.
_BEFORE = """\
These are the shares after the rules were mended once more. Before, the second reader had judged 78 findings: 62 true,
9 arguable and **7 false (85%)**; the first reader had called 6 of these 7 true and one arguable. Five of them took a
Compose file's own directory for its project where a command, guide or pipeline says otherwise. What had one cause with
the 7 is gone as well: 16 findings in all, of which the first reader had called 15 true. No second reader has judged
the 3 findings that took their place."""


@dataclass(frozen=True)
class Judged:
    """A finding at medium or above and its verdict."""

    repository: str
    commit: str
    rule: str
    severity: str
    at: str
    verdict: str
    why: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it apart from all others, but for several of one rule at one place."""
        return (self.repository, self.at, self.rule)


def repositories() -> list[Mapping[str, Any]]:
    """The tally as it is written."""
    found: list[Mapping[str, Any]] = yaml.safe_load(TALLY.read_text(encoding="utf-8"))
    return found


def judged() -> list[Judged]:
    """All findings of the tally."""
    return [
        Judged(item["repository"], item["commit"], **finding) for item in repositories() for finding in item["findings"]
    ]


def share(findings: Iterable[Judged]) -> float:
    """The share of findings that are true; an arguable one counts as half."""
    return _share(Counter(finding.verdict for finding in findings))


def _share(counts: Counter[str]) -> float:
    return (counts["true"] + counts["arguable"] / 2) / sum(counts.values())


def by_rule(findings: Iterable[Judged]) -> dict[str, list[Judged]]:
    """The findings of each rule, the most frequent rule first."""
    found: dict[str, list[Judged]] = {}
    for finding in findings:
        found.setdefault(finding.rule, []).append(finding)
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def third() -> list[Judged]:
    """The random third that a second reader judges, always the same for one tally."""
    findings = sorted(judged(), key=lambda finding: (*finding.key, finding.severity))
    return random.Random(_SEED).sample(findings, (len(findings) + 2) // 3)


def both() -> list[tuple[str, str]]:
    """The verdicts of the first and the second reader about what both have judged."""
    second = yaml.safe_load(SECOND.read_text(encoding="utf-8")) if SECOND.exists() else []
    verdicts = {finding.key: finding.verdict for finding in judged()}
    return [(verdicts[item["repository"], item["at"], item["rule"]], item["verdict"]) for item in second]


def _second_reader() -> str:
    """What the second reader thought, beside the first's verdicts about the same findings."""
    pairs = both()
    if not pairs:
        return "No second reader has judged a third of them yet."
    first, second = (Counter(verdicts) for verdicts in zip(*pairs, strict=True))
    agreed = sum(one == other for one, other in pairs)
    return (
        f"A second reader judged {len(pairs)} of them without seeing the verdicts: {second['true']} true, "
        f"{second['arguable']} arguable, {second['false']} false ({_share(second):.0%}).\nThe first reader's verdicts "
        f"about the same {len(pairs)}: {first['true']} true, {first['arguable']} arguable, {first['false']} false "
        f"({_share(first):.0%}). They agree on {agreed} ({agreed / len(pairs):.0%}).\n\n{_BEFORE}"
    )


def page() -> str:
    """The whole page."""
    findings = judged()
    total = Counter(finding.verdict for finding in findings)
    lines = [_INTRODUCTION.format(repositories=len(repositories()))]
    lines.append(
        f"**{len(findings)} findings: {total['true']} true, {total['arguable']} arguable, {total['false']} false. "
        f"{share(findings):.0%} are true.**"
    )
    lines += [
        "",
        _second_reader(),
        "",
        "| rule | findings | true | arguable | false | share |",
        "|---|---|---|---|---|---|",
    ]
    for rule, found in by_rule(findings).items():
        counts = Counter(finding.verdict for finding in found)
        cells = (f"`{rule}`", len(found), *(counts[verdict] for verdict in VERDICTS), f"{share(found):.0%}")
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def questions() -> str:
    """The random third without verdicts, with all that a reader needs."""
    lines = [
        "# For a second reader",
        "",
        "Judge each finding by the files of the repository at the commit: true, arguable or false. Both environments",
        "are taken to live on one machine. Write the verdict behind `verdict:`, and save the list as second.yml.",
        "",
    ]
    for finding in third():
        lines += [
            f"- repository: {finding.repository}  # commit {finding.commit}, severity {finding.severity}",
            f"  at: {finding.at!r}",
            f"  rule: {finding.rule}",
            "  verdict:",
        ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the page, check whether it is out of date, or write the list for a second reader."""
    parser, action = options("Generate docs/precision.md from tests/hazards/precision/tally.yml.")
    action.add_argument("--second", metavar="FILE", type=Path, help="write the list for a second reader")
    given = parser.parse_args(arguments)
    if given.second:
        given.second.write_text(questions(), encoding="utf-8")
        return 0
    return keep(PAGE, page(), given.write, "python tests/hazards/precision/tally.py --write")


if __name__ == "__main__":
    sys.exit(main())
