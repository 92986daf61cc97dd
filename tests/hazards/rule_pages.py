# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write docs/rules: a page for each rule, from the rule and its cases. What a page says was found is found here.

python tests/hazards/rule_pages.py --write    write the pages
python tests/hazards/rule_pages.py --check    exit with 1 if they do not match the rules and cases
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from checkout import ROOT, install
from hazards.cases import Case, Entry, catalogue, entries, fleet_of
from hazards.pages import cell, keep_folder, options

PAGES = ROOT / "docs" / "rules"
COMMAND = "python tests/hazards/rule_pages.py --write"

_INDEX = """\
# Rules

{count} rules judge a fleet on paper, before any host is contacted. Each has a page: what it finds and why that matters,
an input in which it finds something, a similar one that it accepts, and how to live with a finding. A finding names its
page. What only shows on the machine is in [live gates](../live-gates.md), and which hazard is handled where in
[hazards](../hazards.md).

The pages are generated from the rules and their cases by `{command}`.

| rule | severity | finds |
|---|---|---|
"""

_WAIVER = """\
Change what it found, if you can: the finding says how. To live with it for a while, accept it with a reason and an end
in the group variables of the environment, by the name of what it found:

```yaml
bulkhead_waivers:
  - rule: {rule}
    resource: {resource}
    reason: why this is no danger here
    until: "2027-06-30"
```

An environment accepts only for itself: a finding that names two needs the waiver in both. Once the waiver ends, or
matches nothing any more, the plan says so."""


class _Dumper(yaml.SafeDumper):
    """Writes a case as a person would: texts of several lines as blocks, no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """The same text twice is written twice."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


@cache
def pages() -> Mapping[str, str]:
    """The texts of all pages, by file name."""
    from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import rules

    known = rules()
    titles = {"README.md": _INDEX.format(count=len(known), command=COMMAND)}
    titles["README.md"] += "".join(
        f"| [{name}]({name}.md) | {rule.severity.label} | {cell(rule.summary)} |\n" for name, rule in known.items()
    )
    by_rule: dict[str, list[Entry]] = {name: [] for name in known}
    for entry in entries():
        for name in entry.rules:
            by_rule[name].append(entry)
    return titles | {f"{name}.md": _page(rule, by_rule[name]) for name, rule in known.items()}


def _page(rule: Any, of_rule: list[Entry]) -> str:
    hazards = catalogue()
    parts = [f"# {rule.id}", rule.summary, f"Severity: {rule.severity.label}."]
    if rule.of_machine:
        parts[-1] += " It is advice where the environment has a machine of its own."
    if of_rule:
        lines = [f"- {entry.hazard}, {hazards[entry.hazard].name}: {_line(entry.reason)}" for entry in of_rule]
        parts += ["## Why", "\n".join(lines)]
    found = _example(rule, of_rule)
    if found:
        case, finding = found
        said = f"> {_line(finding.message)}\n>\n> {_line(finding.fix)}"
        parts += ["## What it finds", f"{_title(case)}:", _yaml(case), said]
    near = next((case for case in _shortest(of_rule, "near") if not _findings(rule, case)), None)
    if near:
        parts += ["## What it accepts", f"{_title(near)}:", _yaml(near)]
    resource = json.dumps(found[1].resource, ensure_ascii=False) if found else '"…"'
    parts += ["## How to live with it", _WAIVER.format(rule=rule.id, resource=resource)]
    return "\n\n".join(parts) + "\n"


def _example(rule: Any, of_rule: list[Entry]) -> tuple[Case, Any] | None:
    """The shortest input in which the rule finds something, and the finding."""
    found = ((case, _findings(rule, case)) for case in _shortest(of_rule, "bad"))
    return next(((case, findings[0]) for case, findings in found if findings), None)


def _shortest(of_rule: list[Entry], kind: str) -> list[Case]:
    """The cases of a rule's own entries of a kind, the shortest first."""
    return sorted((case for entry in of_rule for case in entry.cases if case.kind == kind), key=_length)


def _length(case: Case) -> int:
    return len(repr(case.environments))


def _findings(rule: Any, case: Case) -> Any:
    """What a rule finds in a case as its page shows it."""
    from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.text import arrange

    environments = tuple(yaml.safe_load(_shown(case)))
    return arrange(rule.findings(fleet_of(replace(case, environments=environments))))


def _title(case: Case) -> str:
    return case.title[:1].upper() + case.title[1:]


def _yaml(case: Case) -> str:
    return f"```yaml\n{_shown(case)}```"


def _shown(case: Case) -> str:
    shown = [_plain(environment) | _files(environment) for environment in case.environments]
    return yaml.dump(shown, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def _files(environment: Mapping[str, Any]) -> dict[str, Any]:
    """The files, those of YAML that the case has on one line as blocks."""
    files = environment.get("files")
    if not isinstance(files, Mapping):
        return {}
    return {"files": {path: _block(_plain(text)) for path, text in files.items()}}


def _block(text: Any) -> Any:
    if not isinstance(text, str) or "\n" in text or text[:1] + text[-1:] != "{}":
        return text
    try:
        return yaml.dump(yaml.safe_load(text), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
    except yaml.YAMLError:
        return text


def _plain(value: Any) -> Any:
    """The value without blanks at the ends of lines, with which YAML could not write a block."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, str) and "\n" in value:
        return "\n".join(line.rstrip() for line in value.expandtabs(4).split("\n"))
    return value


def _line(text: str) -> str:
    return " ".join(text.split())


def main(arguments: list[str] | None = None) -> int:
    """Write the pages, or check whether they are out of date."""
    given = options("Generate docs/rules from the rules and their cases.")[0].parse_args(arguments)
    install()
    return keep_folder(PAGES, pages(), given.write, COMMAND)


if __name__ == "__main__":
    sys.exit(main())
