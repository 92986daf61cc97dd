# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as one page of HTML: what each environment owns, why none meets another, and what crosses.

It needs no network and no script, and shows no value of a setting. The style is in :mod:`page_style`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..model import SEAL, Claim, Environment, Finding, Fleet, Severity
from ..rules import address_of
from ..wording import listing, number
from .markup import code_list, names, plain
from .page_style import STYLE
from .present import Seen, present
from .text import FindingGroup, arrange, fold

#: The shared namespaces in a reader's order: how each is called, and who sees that two names in it are one thing.
#: What is not listed comes after them under its own name.
_NAMESPACES: Mapping[str, tuple[str, str]] = {
    "domain": ("Domains", "the whole internet"),
    "host-port": ("Published ports", "the machine"),
    "path": ("Directories and files", "the machine"),
    "container": ("Containers", "the engine"),
    "project": ("Compose projects", "the engine"),
    "network": ("Networks", "the engine"),
    "subnet": ("Subnets", "the machine"),
    "volume": ("Volumes", "the engine"),
    "image": ("Images that are built or pushed", "the engine, or the registry"),
    "database-server": ("Database servers", "the machine"),
    "database": ("Databases", "their server"),
    "database-role": ("Database roles", "their server"),
    "redis-server": ("Redis servers", "the machine"),
    "redis-db": ("Redis databases", "their server"),
    "bucket": ("Buckets", "their account"),
}
#: What the drawing shows of an environment.
_DRAWN = ("domain", "host-port", "network", "container", "volume", "database")
#: The same name twice, said once.
_LEFT_OUT = ("bare-project",)


@dataclass(frozen=True, slots=True)
class JudgedFleet:
    """A fleet and what was said of it. ``unread`` are prefixes of environments that were not proved, ``open`` sentences
    on what was not judged, ``made`` says when and by what the page was made. ``proved`` is what was proved, in one line
    that knows what is waived and shared. ``seen`` is what the machines said of environments, by prefix, if they were
    asked."""

    fleet: Fleet
    findings: Sequence[Finding]
    stopping: Sequence[Finding]
    open: Sequence[str] = ()
    unread: Sequence[str] = ()
    made: str = ""
    proved: str = ""
    seen: Mapping[str, Seen] = field(default_factory=dict)


def page(judged: JudgedFleet) -> str:
    """The whole page."""
    fleet = judged.fleet
    title = f"Isolation of {number(len(fleet.environments), 'environment')}"
    parts = [
        f"<h1>{title}</h1>",
        _verdict(judged),
        _findings(judged, "To mend", judged.stopping),
        *(_machine(judged, machine, list(members)) for machine, members in fleet.machines.items()),
        present(fleet, judged.seen) if judged.seen else "",
        _why(fleet),
        _findings(judged, "Advice and waivers", [found for found in judged.findings if found not in judged.stopping]),
        _not_proved(judged),
    ]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{title}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            "<main>",
            *filter(None, parts),
            "</main>",
            f"<footer><p>{plain(judged.made)}</p></footer>" if judged.made else "",
            "</body>",
            "</html>",
            "",
        ]
    )


def _verdict(judged: JudgedFleet) -> str:
    claims = sum(len(environment.claims) for environment in judged.fleet.environments)
    if judged.stopping:
        kind = "refused"
        said = f"Refused: {number(len(judged.stopping), 'finding')} to mend before anything is deployed."
    else:
        left = f" Not proved: {names(judged.unread)}." if judged.unread else ""
        kind = "proved"
        said = plain(judged.proved) or (
            f"Proved on paper: of {number(claims, 'name')} in namespaces that environments share, none has two owners."
            f"{left}"
        )
    return f'<p class="verdict {kind}"><strong>{said}</strong></p>'


def _findings(judged: JudgedFleet, title: str, findings: Iterable[Finding]) -> str:
    """Findings in full, those of one cause together."""
    groups, stopping = fold(arrange(findings)), arrange(judged.stopping)
    if not groups:
        return ""
    identifier = title.lower().replace(" ", "-")
    rows = "\n".join(_group(group, group.first in stopping) for group in groups)
    return (
        f'<section aria-labelledby="{identifier}">\n<h2 id="{identifier}">{title}</h2>\n'
        f'<ol class="findings">\n{rows}\n</ol>\n</section>'
    )


def _group(group: FindingGroup, stops: bool) -> str:
    finding = group.first
    times = f" ({len(group.findings)} times)" if len(group.findings) > 1 else ""
    notes = [
        ("Environments", names(group.environments)),
        ("What to do", plain(finding.fix)),
        ("Where", ", ".join(f"<code>{plain(str(place))}</code>" for place in group.where)),
        ("Waived", plain(finding.waived)),
        ("Rule", f"{_rule(finding.rule)} {plain(', '.join(finding.hazards))}"),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in notes if text)
    return (
        f'<li class="{"stops" if stops else "told"}"><p><span class="severity">{finding.severity.label}</span> '
        f"{plain(finding.message)}{times}</p><dl>{listed}</dl></li>"
    )


def _rule(rule_id: str) -> str:
    """A rule's id, as a link to the page that explains it."""
    page = address_of(rule_id)
    shown = f"<code>{plain(rule_id)}</code>"
    return f'<a href="{plain(page)}">{shown}</a>' if page else shown


def _machine(judged: JudgedFleet, machine: str, members: Sequence[Environment]) -> str:
    """A machine with a compartment for each environment, and what crosses the walls between them."""
    own = {environment.prefix for environment in members}
    crossing = [
        finding
        for finding in arrange(judged.findings)
        if finding.severity > Severity.LOW and len(own.intersection(finding.environments)) > 1
    ]
    hull = "\n".join(_compartment(environment, environment.prefix in judged.unread) for environment in members)
    identifier = f"machine-{list(judged.fleet.machines).index(machine) + 1}"
    return "\n".join(
        [
            f'<section aria-labelledby="{identifier}">',
            f'<h2 id="{identifier}">Machine <code>{plain(machine)}</code></h2>',
            f'<div class="hull">\n{hull}\n</div>',
            *_crossing(judged.fleet, own, crossing),
            "</section>",
        ]
    )


def _compartment(environment: Environment, unread: bool) -> str:
    marks = [mark for mark, wanted in (("protected", environment.protected), ("not proved", unread)) if wanted]
    shown = "".join(f' <span class="mark">{mark}</span>' for mark in marks)
    rows = []
    for namespace in _DRAWN:
        keys = _keys(environment, namespace)
        if keys:
            rows.append(f"<dt>{_NAMESPACES[namespace][0]}</dt><dd>{code_list(keys)}</dd>")
    directory = f"<p><code>{plain(environment.directory)}</code></p>" if environment.directory else ""
    return (
        f'<article class="compartment"><h3><code>{plain(environment.prefix)}</code>{shown}</h3>'
        f"{directory}<dl>{''.join(rows)}</dl></article>"
    )


def _crossing(fleet: Fleet, own: set[str], findings: Sequence[Finding]) -> Iterator[str]:
    """What is in the hands of several environments of a machine: on purpose, or as findings say."""
    if len(own) < 2:
        yield '<p class="between">It is alone on its machine.</p>'
        return
    shared = list(_shared(fleet, own))
    if not findings and not shared:
        yield '<p class="between"><strong>Nothing crosses</strong> from one of them to another.</p>'
    if shared:
        yield f'<p class="between">Shared on purpose:</p>\n<ul>{"".join(f"<li>{line}</li>" for line in shared)}</ul>'
    if findings:
        lines = "".join(
            f'<li class="{"told" if finding.waived else "stops"}">{names(finding.environments)}: '
            f"<code>{plain(finding.resource)}</code> ({_rule(finding.rule)})</li>"
            for finding in findings
        )
        yield f'<p class="between">What crosses:</p>\n<ul class="findings">{lines}</ul>'


def _shared(fleet: Fleet, own: set[str]) -> Iterator[str]:
    """What all who share it declare in ``bulkhead_shared``, with the reasons."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for environment in fleet.environments:
        listed = environment.variables.get("bulkhead_shared")
        for item in listed if environment.prefix in own and isinstance(listed, (list, tuple)) else ():
            if isinstance(item, Mapping):
                key = (str(item.get("kind", "")), str(item.get("name", "")))
                found.setdefault(key, {})[environment.prefix] = str(item.get("reason", ""))
    for (kind, name), reasons in found.items():
        why = plain("; ".join(dict.fromkeys(filter(None, reasons.values()))))
        yield f"{plain(kind)} <code>{plain(name)}</code>, by {names(reasons)}: {why}"


def _why(fleet: Fleet) -> str:
    """For each namespace, who owns what in it: that no line stands twice is the proof."""
    found: dict[str, dict[str, list[Claim]]] = {}
    for environment in fleet.environments:
        for claim in environment.claims:
            if claim.namespace not in _LEFT_OUT:
                found.setdefault(claim.namespace, {}).setdefault(claim.owner, []).append(claim)
    ordered = [*(name for name in _NAMESPACES if name in found), *sorted(found.keys() - _NAMESPACES.keys())]
    tables = "\n".join(_namespace(name, found[name]) for name in ordered)
    return (
        '<section aria-labelledby="why">\n<h2 id="why">Why nothing meets</h2>\n'
        "<p>Each kind of name that environments could have in common, and who owns which.</p>\n"
        f"{tables}\n</section>"
    )


def _namespace(namespace: str, claims: Mapping[str, Sequence[Claim]]) -> str:
    title, seen_by = _NAMESPACES.get(namespace, (plain(namespace.replace("-", " ").capitalize()), "the machine"))
    count = sum(len({(claim.scope, claim.key) for claim in owned}) for owned in claims.values())
    rows = "\n".join(
        f'<tr><th scope="row"><code>{plain(owner)}</code></th><td>{code_list(_shown(owned))}</td></tr>'
        for owner, owned in claims.items()
    )
    return (
        f"<details><summary>{title}: {count}, of {number(len(claims), 'environment')}</summary>\n"
        f"<table>\n<caption>{title}, as {seen_by} sees them</caption>\n"
        '<thead><tr><th scope="col">Environment</th><th scope="col">Owns</th></tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n</table>\n</details>"
    )


def _not_proved(judged: JudgedFleet) -> str:
    sentences = list(judged.open)
    if judged.unread:
        verb = "has" if len(judged.unread) == 1 else "have"
        sentences.insert(
            0, f"{listing(judged.unread)} {verb} values that cannot be read here, so what they own is not known."
        )
    if not sentences:
        return ""
    listed = "".join(f"<li>{plain(sentence)}</li>" for sentence in sentences)
    return f'<section aria-labelledby="open">\n<h2 id="open">What was not judged</h2>\n<ul>{listed}</ul>\n</section>'


def _keys(environment: Environment, namespace: str) -> list[str]:
    return _shown([claim for claim in environment.claims if claim.namespace == namespace])


def _shown(claims: Iterable[Claim]) -> list[str]:
    return list(dict.fromkeys("sealed" if SEAL in claim.key else claim.key for claim in claims))
