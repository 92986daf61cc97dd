# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of settings, patterns that meet, and whose a domain is."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.facts.domains import (
    domains,
    origins,
    safe_expression,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.facts.path_patterns import (
    Pattern,
    absolute,
    generalised,
    meet,
    meetings,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Environment, Fleet, Setting, Where
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers import frameworks
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.frameworks import (
    claims_settings,
    items,
    kind_of,
    patterns,
)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("ALLOWED_HOSTS", frameworks.HOSTS),
        ("DJANGO_ALLOWED_HOSTS", frameworks.HOSTS),
        ("allowed_hosts", frameworks.HOSTS),
        ("CSRF_TRUSTED_ORIGINS", frameworks.ORIGINS),
        ("CORS_ALLOWED_ORIGIN_REGEXES", frameworks.CORS_PATTERNS),
        ("CORS_ALLOWED_ORIGINS", frameworks.CORS_ORIGINS),
        ("SESSION_COOKIE_DOMAIN", frameworks.COOKIE_DOMAIN),
        ("CSRF_COOKIE_DOMAIN", frameworks.COOKIE_DOMAIN),
        ("SESSION_COOKIE_NAME", frameworks.COOKIE_NAME),
        ("AWS_STORAGE_BUCKET_NAME", frameworks.BUCKET),
        ("FRONTEND_URL", frameworks.BASE_URL),
        ("NOT_ALLOWED_HOSTS_AT_ALL", ""),
        ("TZ", ""),
    ],
)
def test_kinds(key: str, kind: str) -> None:
    """A setting means what its whole name says."""
    assert kind_of(key) == kind


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b, c", ["a", "b", "c"]),
        ('["a", "b"]', ["a", "b"]),
        ("['a', 'b']", ["a", "b"]),
        ("('a', 'b',)", ["a", "b"]),
        ("a b;c", ["a", "b", "c"]),
        ("", []),
        ("[", []),
    ],
)
def test_lists(text: str, expected: list[str]) -> None:
    """Lists as people write them."""
    assert items(text) == expected


def test_lists_of_expressions() -> None:
    """Expressions hold commas and brackets themselves."""
    assert patterns(r"^https://a{1,2}\.b$,^https://[cd]$") == [r"^https://a{1,2}\.b$", "^https://[cd]$"]
    assert patterns('[r"^a$", "^b$"]') == ["^a$", "^b$"]


def test_claims_of_settings() -> None:
    """Cookies, buckets and URLs; a bucket on a server of one's own is one's own."""
    settings = [
        Setting("SESSION_COOKIE_DOMAIN", ".A.example", Where(".env", 1)),
        Setting("AWS_STORAGE_BUCKET_NAME", "media", Where(".env", 2)),
        Setting("AWS_LOCATION", "prod/", Where(".env", 3)),
        Setting("FRONTEND_URL", "https://a.example:8443/x", Where(".env", 4)),
    ]
    claims, references = claims_settings(settings, owner="p", machine="m")
    assert {(claim.namespace, claim.key) for claim in claims} == {
        ("cookie", "a.example/SESSION_COOKIE_DOMAIN"),
        ("bucket", "/media/prod"),
    }
    assert [(reference.target, reference.attributes["host"]) for reference in references] == [
        ("https://a.example:8443/x", "a.example:8443")
    ]
    own = [*settings, Setting("AWS_S3_ENDPOINT_URL", "http://minio:9000", Where(".env", 5))]
    namespaces = {claim.namespace for claim in claims_settings(own, owner="p", machine="m", services={"minio"})[0]}
    assert "bucket" not in namespaces


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("/a/*.sql", "/a/b.sql", True),
        ("/a/*.sql", "/a/b.gz", False),
        ("/a/*", "/a/b/c", False),
        ("/*/x", "/a/x", True),
        ("/a/p_*", "/a/p_eu_*", True),
        ("/a/p-*", "/a/p_eu_*", False),
        ("/a/?b", "/a/ab", True),
        ("/a/[xy]b", "/a/xb", True),
        ("/a/a*b*c", "/a/*bb*", True),
        ("/a/a*", "/a/*b", True),
        ("/a/a", "/a/a", True),
        ("/a/", "/a/a", False),
    ],
)
def test_patterns_meet(one: str, other: str, expected: bool) -> None:
    """Both ways, and a star covers no slash."""
    for pair in ((one, other), (other, one)):
        assert meet(*pair) is expected


def test_meetings_are_between_owners() -> None:
    """Each pattern with those of others; one's own do not count."""
    one, two, three = (
        Pattern(owner, text, Where(text)) for owner, text in (("a", "/x/*"), ("b", "/x/b*"), ("a", "/x/c"))
    )
    found = dict(meetings([one, two, three], [one, two, three]))
    assert found == {one: [two], two: [one]}


def test_absolute() -> None:
    """Unknown parts are patterns; an unknown directory is unknown."""
    assert absolute("x-$(date +%F).sql", "/b") == "/b/x-*.sql"
    assert absolute("/b/../c/$A", "") == "/c/*"
    assert absolute("x", "") == ""
    assert absolute("x", None) == ""
    assert generalised("a-${B:-c}-{{ d }}") == "a-*-*"


def fleet(**names: str) -> Fleet:
    """Environments with one domain each."""
    return Fleet(tuple(Environment(prefix, domains=(domain,)) for prefix, domain in names.items()))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("*.eduaiia.com", {"staging"}),
        (".eduaiia.com", {"staging"}),
        ("staging.*", {"staging"}),
        (r"~^.+\.eduaiia\.com$", {"staging"}),
        (r"~^(?<x>.+)\.com$", {"staging", "other"}),
        (r"~^(.+\.)?xeduaiia\.com$", {"other"}),
        ("*.com", {"staging", "other"}),
        ("*.taging.eduaiia.com", set()),
        (r"~^((a+)+)+$", set()),
        ("~(", set()),
    ],
)
def test_patterns_of_server_name(name: str, expected: set[str]) -> None:
    """Labels, not letters; an expression that cannot be tried takes nothing."""
    known = domains(fleet(prod="eduaiia.com", staging="staging.eduaiia.com", other="xeduaiia.com"))
    assert {owner for _domain, owner in known.by_name_pattern(name, "prod")} == expected


def test_coverage_is_by_label() -> None:
    """The domain itself and what lies below it, and nothing that only ends alike."""
    known = domains(fleet(prod="eduaiia.com", staging="staging.eduaiia.com", other="xeduaiia.com"))
    assert known.covered("eduaiia.com", "other") == [("eduaiia.com", "prod"), ("staging.eduaiia.com", "staging")]
    assert known.exactly("eduaiia.com", "prod") == []


@pytest.mark.parametrize(
    "expression",
    [
        r"(a+)+$",
        r"(a|a)*$",
        r"(\w+\.)*x",
        r"((a+)b?)*$",
        r"(?:a*){2,}$",
        ".*.*.*.*x",
        "(",
        "[",
        r"(a)\1",
        "a" * 1001,
    ],
)
def test_unsafe_expressions(expression: str) -> None:
    """What could run for ever, or is broken, is not tried."""
    assert safe_expression(expression) is None


@pytest.mark.parametrize(
    "expression",
    [
        r"^https://(\w+\.)?eduaiia\.com$",
        r"^(www|app)\.x$",
        r"^(?<sub>.+)\.x$",
        r"^pr-\d{1,4}\.[a(+*)]+\.x$",
        r"^(?:\d)*x",
    ],
)
def test_safe_expressions(expression: str) -> None:
    """What people write is tried."""
    assert safe_expression(expression) is not None


def test_origins() -> None:
    """Usual ports are left out, others are part of the origin."""
    assert origins(Environment("a", http_port=80, https_port=443), "x") == ("https://x", "http://x")
    assert origins(Environment("a", http_port=8080, https_port=8443), "x") == ("https://x:8443", "http://x:8080")
    assert origins(Environment("a"), "x") == ("https://x", "http://x")
