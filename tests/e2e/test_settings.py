# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Any value that an environment variable can hold reaches the process in its container byte for byte."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support import Place, Site, docker, only, remove_project, web

#: What is known to go wrong somewhere: in YAML, in templates, in .env files, in Compose, in shells.
NASTY = [
    '', ' ', '  both sides  ', '\t', '\n', '\r', '\r\n', 'a\nb\n', '\n\n', "'", '"', "''", '""', '\'"\'', '\\',
    '\\\\', '\\n', '\\$', '\\"', 'a\\', '$', '$$', '$$$', '${HOME}', '$HOME', '${X:-y}', '$(id)', '`id`', '%s',
    '%HOME%', '#', 'a #b', 'a#b', '=', 'a=b', '==', ':', 'a: b', '- a', '{a: b}', '[a]', '!vault x', '&a *a', '|',
    '>', '---', '...', 'yes', 'no', 'true', 'null', '~', '~/x', '1', '1.0', '01', '0x1', '1e3', '1:30',
    '2026-01-01', '{{ x }}', '{% x %}', '{# x #}', '{{', '}}', 'é', '日本語', '🙂', '\u0301a', '\ufeff', '\u2028',
    '\x85', '\xa0', '\x01', '\x1b[31m', '\x7f', '\ud7ff', '\U0010ffff', '\ufffd', ';', '&&', '|', '*', '?', '!',
    'a b', 'export A=b', '# a', "'a' 'b'", '"a" "b"', 'a\'b"c\\d$e\nf', "x" * 100_000, "$" * 1000, "\\" * 1001,
    '"' * 1000, "\n" * 1000,
]  # fmt: skip

TEXTS = st.text(
    st.one_of(
        st.sampled_from("\"'\\$#{}%`= \t\n\r:!~"),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    ),
    max_size=60,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Iterator[Place]:
    """An environment that does nothing but have variables."""
    site = Site(tmp_path_factory.mktemp("settings"), projects())
    yield site.small(services=only(web=web(command=["sleep", "infinity"], healthcheck={"disable": True})))
    remove_project(site.project)


def seen(place: Place) -> dict[bytes, bytes]:
    """The variables of the container's first process, as the kernel has them."""
    ids = docker("ps", "--quiet", "--filter", f"label=io.bulkhead.prefix={place.prefix}").split()
    content = base64.b64decode(docker("exec", ids[0], "base64", "-w0", "/proc/1/environ"))
    return dict(entry.split(b"=", 1) for entry in content.split(b"\0") if entry)


def survive(place: Place, values: list[str]) -> None:
    """Deploy these values, half of them as settings and half as secrets, and compare."""
    wanted = {f"VALUE_{number}": value for number, value in enumerate(values)}
    half = len(values) // 2
    place.variables["bulkhead_env"] = {key: wanted[key] for key in list(wanted)[:half]}
    place.secrets = {"bulkhead_secrets": {key: wanted[key] for key in list(wanted)[half:]}}
    place.deploy().succeeded()
    found = seen(place)
    different = {
        key: (value, found.get(key.encode()))
        for key, value in wanted.items()
        if found.get(key.encode()) != value.encode()
    }
    assert not different


def test_known_trouble(place: Place) -> None:
    """Every value that is known to go wrong somewhere, at once, as settings and then as secrets."""
    survive(place, NASTY)
    survive(place, NASTY[::-1])


@settings(
    max_examples=3,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[*HealthCheck],
)
@given(values=st.lists(TEXTS, min_size=200, max_size=200))
def test_any_value(place: Place, values: list[str]) -> None:
    """Hundreds of values for each start of a container: starting is what takes time."""
    survive(place, values)


def test_the_longest_value(place: Place) -> None:
    """One byte less than what is refused still starts the process."""
    longest = 128 * 1024 - len("VALUE_0=") - 1
    survive(place, ["x" * longest, "x" * longest])
    assert len(seen(place)[b"VALUE_1"]) == longest


def test_types(place: Place) -> None:
    """Numbers and truth values have one text each, also where a service's own environment is made of them."""
    place.secrets = {}
    own = {"PRICE": "5$$each-day", "COPY": "${INT}/${FLOAT:-x}/${LEFT:-$YES}", "LONE": "a $ b"}
    service = web(command=["sleep", "infinity"], healthcheck={"disable": True}, environment=own)
    place.variables["bulkhead_services"] = only(web=service)
    place.variables["bulkhead_env"] = {"INT": 7, "FLOAT": 1.5, "YES": True, "NO": False, "NONE": None}
    place.deploy().succeeded()
    found = seen(place)
    assert [found[key.encode()] for key in ("INT", "FLOAT", "YES", "NO", "NONE")] == [
        b"7",
        b"1.5",
        b"true",
        b"false",
        b"",
    ]
    assert [found[key.encode()] for key in own] == [b"5$each-day", b"7/1.5/true", b"a $ b"]
