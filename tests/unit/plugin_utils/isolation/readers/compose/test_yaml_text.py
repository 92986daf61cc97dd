# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""YAML with places and bounds, and Compose's short forms."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.errors import ReaderError
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.compose.short_forms import (
    duration_text,
    parse_command,
    parse_duration,
    parse_ports,
    parse_size,
    parse_volume,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.compose.yaml_text import (
    MAX_CHARACTERS,
    read_yaml,
)
from hypothesis import given
from hypothesis import strategies as st

#: Nine lines that expand to a thousand million values.
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("22:22", "22:22"),
        ("on", "on"),
        ("yes", "yes"),
        ("true", True),
        ("~", None),
        ("", None),
        ("0644", 420),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b11", 3),
        ("1_000", 1000),
        ("08", 8.0),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("-5", -5),
        ("1.2.3", "1.2.3"),
        ("2024-01-02", "2024-01-02 00:00:00 +0000 UTC"),
    ],
)
def test_scalars_as_compose_reads_them(text: str, value: Any) -> None:
    found = read_yaml(f"a: {text}\n", "f")[0].value["a"]
    assert (found, type(found)) == (value, type(value))


def test_places_and_resets() -> None:
    document = read_yaml(
        "a:\n  b: 1\n  c:\n    - x\n    - y\nd: !reset null\ne: !override {f: !reset 1, g: 2}\n", "f.yml"
    )[0]
    value = document.value
    assert (value.at["a"], value["a"].at["c"]) == (("f.yml", 1), ("f.yml", 3))
    assert value["a"]["c"].at == [("f.yml", 4), ("f.yml", 5)]
    assert value["e"] == {"g": 2} and "d" not in value
    assert document.resets == [("d",), ("e",), ("e", "f")]


def test_merge_keys() -> None:
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], a: 0}\n"
    assert read_yaml(text, "f")[0].value["z"] == {"a": 0, "b": 1, "c": 2}


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        ("a: [\n", "not-yaml", 2),
        ("a:\n\tb: 1\n", "not-yaml", 2),
        ("a: *x\n", "not-yaml", 1),
        ("a: 1\nb: 2\na: 3\n", "not-yaml", 3),
        ("<<: 1\n", "not-yaml", 1),
        ("? [a]\n: 1\n", "not-compose", 1),
        ("1: 2\n", "not-compose", 1),
        ("a: &a [*a]\n", "cycle", 1),
        ("a: " + "[" * 100, "too-large", 1),
        (BOMB, "too-large", 1),
        ("\0\1", "not-yaml", 0),
        ("a: \ud800", "not-yaml", 0),
        ("x" * (MAX_CHARACTERS + 1), "too-large", 0),
    ],
)
def test_what_cannot_be_read(text: str, rule: str, line: int) -> None:
    started = time.process_time()
    with pytest.raises(ReaderError) as caught:
        read_yaml(text, "f")
    assert (caught.value.rule, caught.value.line) == (rule, line)
    assert time.process_time() - started < 5


@given(st.text(max_size=300) | st.text(alphabet="ab:-[]{}&*!<>|\n '\"#,", max_size=120))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_yaml(text, "f")
    except ReaderError as error:
        assert error.rule in ("not-yaml", "not-compose", "cycle", "too-large")


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("80:80", [("", "80", 80, "tcp")]),
        ("8000", [("", "", 8000, "tcp")]),
        ("127.0.0.1:5000-5001:80-81/udp", [("127.0.0.1", "5000", 80, "udp"), ("127.0.0.1", "5001", 81, "udp")]),
        ("8000-8009:80", [("", "8000-8009", 80, "tcp")]),
        ("[::1]:80:80", [("::1", "80", 80, "tcp")]),
        ("127.0.0.1::80", [("127.0.0.1", "", 80, "tcp")]),
    ],
)
def test_ports(text: str, entries: list[tuple[str, str, int, str]]) -> None:
    made = [
        (port.get("host_ip", ""), port.get("published", ""), port["target"], port["protocol"])
        for port in parse_ports(text)
    ]
    assert made == entries


@pytest.mark.parametrize(
    "text", ["", "x", "80:", "80:0", "70000:80", "82-80:82-80", "80-81:80-82", "::1:80:80", "80/icmp"]
)
def test_ports_that_compose_refuses(text: str) -> None:
    with pytest.raises(ReaderError):
        parse_ports(text)


@pytest.mark.parametrize(
    ("text", "kind", "source", "target", "read_only"),
    [
        ("data:/data", "volume", "data", "/data", False),
        ("./a:/a:ro", "bind", "./a", "/a", True),
        ("/anon", "volume", "", "/anon", False),
        ("~/x:/x/", "bind", "~/x", "/x", False),
        ("C:/x:/y", "bind", "C:/x", "/y", False),
        ("/a:/b:z,ro", "bind", "/a", "/b", True),
    ],
)
def test_volumes(text: str, kind: str, source: str, target: str, read_only: bool) -> None:
    volume = parse_volume(text)
    found = (volume["type"], volume.get("source", ""), volume["target"], bool(volume.get("read_only")))
    assert found == (kind, source, target, read_only)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('a  \'b c\' "d\\"e" f\\ g', ["a", "b c", 'd"e', "f g"]),
        ("", []),
        ("''", [""]),
        ("a; b", ["a"]),
        ("sh -c 'a && b'", ["sh", "-c", "a && b"]),
        ("a $(b c) d", ["a", "$(b c)", "d"]),
    ],
)
def test_commands(text: str, words: list[str]) -> None:
    assert parse_command(text) == words


@pytest.mark.parametrize("text", ["'a", '"a', "a\\", "(a)"])
def test_commands_that_compose_refuses(text: str) -> None:
    with pytest.raises(ReaderError):
        parse_command(text)


@pytest.mark.parametrize(
    ("text", "size"), [("64m", 64 << 20), ("1.5gb", 3 << 29), (512, 512), ("10 KiB", 10240), ("7", 7)]
)
def test_sizes(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "printed"),
    [("90s", "1m30s"), ("1h", "1h0m0s"), ("500ms", "500ms"), ("1.5s", "1.5s"), ("0", "0s"), ("100us", "100µs")],
)
def test_durations(text: str, printed: str) -> None:
    assert duration_text(parse_duration(text)) == printed


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_a_printed_duration_is_the_same_duration(nanoseconds: int) -> None:
    assert abs(parse_duration(duration_text(nanoseconds)) - nanoseconds) <= abs(nanoseconds) * 1e-12
