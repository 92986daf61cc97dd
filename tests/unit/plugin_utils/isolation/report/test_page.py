# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page of the report: what it says, and that no value can write into it."""

from __future__ import annotations

from html.parser import HTMLParser

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import (
    SEAL,
    Claim,
    Environment,
    Finding,
    Fleet,
    Severity,
    Where,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.page import JudgedFleet, page

HOSTILE = "<script>alert(1)</script>\"'&\x1b\u202e"


def environment(prefix: str, *keys: tuple[str, str], machine: str = "one", shared: object = ()) -> Environment:
    claims = tuple(Claim(namespace, machine, key, prefix, Where(item=key)) for namespace, key in keys)
    return Environment(prefix, machine=machine, variables={"bulkhead_shared": shared}, claims=claims)


PROD = environment("app_prod", ("domain", "example.com"), ("volume", "app_prod_data"), ("cron", "app-prod"))
STAGING = environment("app_staging", ("domain", "staging.example.com"))


class Read(HTMLParser):
    """The texts of a page, and the tags that are open at its end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def test_nothing_crosses() -> None:
    """Verdict, compartments and, for each namespace, who owns what."""
    read = Read(page(JudgedFleet(Fleet((PROD, STAGING)), [], [], made="Made today.")))
    assert read.open == []
    assert "Proved on paper: of 4 names in namespaces that environments share, none has two owners." in read.text
    assert "Machine one" in read.text and "Nothing crosses from one of them to another." in read.text
    assert "Domains: 2, of 2 environments" in read.text and "Cron: 1, of 1 environment" in read.text
    assert read.text.endswith("Made today.")


def test_what_was_proved() -> None:
    """With its own line, which knows what is waived, the page says nothing else."""
    read = Read(page(JudgedFleet(Fleet((PROD, STAGING)), [], [], proved="proved on paper: all but <one>, waived")))
    assert "proved on paper: all but <one>, waived" in read.text and "has two owners" not in read.text


def test_what_crosses() -> None:
    """Findings that stop the run stand first and in the drawing; what is shared on purpose has its reason."""
    shared = [{"kind": "network", "name": "monitoring", "reason": "one Prometheus"}]
    fleet = Fleet((environment("app_prod", shared=shared), environment("app_staging", shared=shared)))
    stops = Finding("shared-port", Severity.HIGH, ("app_prod", "app_staging"), "80/tcp", "Both have 80.", "Change one.")
    read = Read(page(JudgedFleet(fleet, [stops], [stops], ["A token was not compared."], ["app_staging"])))
    assert "Refused: 1 finding to mend before anything is deployed." in read.text
    assert read.text.index("Both have 80.") < read.text.index("Machine one") < read.text.index("What crosses:")
    assert "network monitoring , by app_prod , app_staging : one Prometheus" in read.text
    assert "app_staging has values that cannot be read here" in read.text and "A token was not compared." in read.text
    assert "Nothing crosses" not in read.text


def test_alone_on_a_machine() -> None:
    """There is nobody to meet."""
    read = Read(page(JudgedFleet(Fleet((PROD, environment("other_prod", machine="two"))), [], [])))
    assert read.text.count("It is alone on its machine.") == 2


def test_no_value_writes_into_the_page() -> None:
    """Whatever a name, a message or a reason holds is shown as text; sealed names and control characters are not."""
    shared = [{"kind": HOSTILE, "name": HOSTILE, "reason": HOSTILE}, HOSTILE]
    odd = environment(
        HOSTILE, ("domain", HOSTILE), (HOSTILE, HOSTILE), ("volume", f"x{SEAL}"), machine=HOSTILE, shared=shared
    )
    found = Finding(
        HOSTILE, Severity.HIGH, (HOSTILE, "b"), HOSTILE, HOSTILE, HOSTILE, (Where(HOSTILE),), HOSTILE, (HOSTILE,)
    )
    text = page(
        JudgedFleet(Fleet((odd, environment("b", machine=HOSTILE))), [found], [found], [HOSTILE], [HOSTILE], HOSTILE)
    )
    read = Read(text)
    assert read.open == [] and "script" not in read.tags
    assert SEAL not in text and "\x1b" not in text and "\u202e" not in text
    assert "sealed" in read.text and "<script>alert(1)</script>" in read.text
