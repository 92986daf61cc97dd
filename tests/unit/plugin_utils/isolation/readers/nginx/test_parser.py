# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nginx files: how they are cut, what they mean, and what cannot be read."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.errors import ReaderError
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Directive
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.nginx.meaning import (
    claims_nginx,
    servers,
    upstreams,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.nginx.parser import (
    read_nginx,
)


def read(text: str, **files: str) -> tuple[Directive, ...]:
    """A file with others beside it."""
    return read_nginx(text, "nginx/site.conf", {f"nginx/{name}": body for name, body in files.items()}.get)


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("x a b;", ("a", "b")),
        ("x 'a b' \"c;d\";", ("a b", "c;d")),
        (r'x "a\"b" c\ d;', ('a"b', r"c\ d")),
        (r'x "tab\there" "\\d";', ("tab\there", r"\d")),
        ("x a#b # c;\n d;", ("a#b", "d")),
        ("x ${a}b c{d;}", ("${a}b", "c")),
        ("x a}b;", ("a}b",)),
        ("x '';", ("",)),
        ('x ("a");', ('("a")',)),
        ('if ($a = "b") { y; }', ("($a", "=", "b", ")")),
    ],
)
def test_words(text: str, arguments: tuple[str, ...]) -> None:
    """Words are cut as nginx cuts them: a brace ends a word, a quote inside of one is nothing special."""
    assert read(text)[0].args == arguments


def test_lines_and_blocks() -> None:
    """Each directive knows its line; a block is empty, not absent."""
    http = read("# one\nhttp {\n  server {\n    listen\n      80;\n  }\n  upstream a {}\n}\n")[0]
    assert [(directive.name, directive.where.line) for directive in http.walk()] == [
        ("http", 2),
        ("server", 3),
        ("listen", 4),
        ("upstream", 7),
    ]
    assert next(http.find("upstream")).block == ()


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a;\nb {\n c;\n", 4, 'block "b" of line 2'),
        ("a;\n}\n", 2, 'unexpected "}"'),
        ("a {\n b\n}\n", 2, 'directive "b" is not terminated'),
        ("a;\nb c", 2, 'directive "b" lacks'),
        ("\n\na 'b\n", 3, "a quote is not closed"),
        ("a 'b'c;", 1, "after a closing quote"),
        ("a;\n;", 2, 'unexpected ";"'),
        ("a\0b;", 1, "not a text file"),
        ("a {" * 100 + "}" * 100, 1, "deeper than"),
        ("content_by_lua_block {\n if x then {", 1, "a block of Lua"),
    ],
)
def test_errors(text: str, line: int, message: str) -> None:
    """A fault says what and where."""
    with pytest.raises(ReaderError) as caught:
        read(text)
    assert (caught.value.line, caught.value.rule) == (line, "nginx-syntax")
    assert message in caught.value.message


def test_lua_is_left_alone() -> None:
    """Braces and quotes of Lua are not nginx's."""
    block = 'content_by_lua_block {\n local a = "}" -- it\'s }\n if a then b = {1} end\n}\nlisten 80;'
    found = read(block)
    assert [(directive.name, directive.where.line) for directive in found] == [
        ("content_by_lua_block", 1),
        ("listen", 5),
    ]


def test_includes() -> None:
    """A relative file is read in place; what lies in the container stays as it is."""
    found = read(
        "include mime.types;\ninclude /etc/nginx/x.conf;\ninclude conf.d/*.conf;\n", **{"mime.types": "types { a b; }"}
    )
    assert [(directive.name, directive.where.file) for directive in found] == [
        ("types", "nginx/mime.types"),
        ("include", "nginx/site.conf"),
        ("include", "nginx/site.conf"),
    ]


def test_include_of_nothing() -> None:
    """A file that is not there is the container's."""
    assert read("include proxy_params;")[0].name == "include"


def test_include_cycle() -> None:
    """Files that include each other end with the place."""
    with pytest.raises(ReaderError) as caught:
        read("include a.conf;", **{"a.conf": "x;\ninclude b.conf;", "b.conf": "include a.conf;"})
    assert (caught.value.rule, caught.value.file) == ("cycle", "nginx/b.conf")


def test_includes_that_fan_out_end() -> None:
    """Ten files that include the next one ten times would be ten thousand million."""
    files = {f"{level}.conf": f"include {level + 1}.conf;\n" * 10 for level in range(10)}
    with pytest.raises(ReaderError) as caught:
        read("include 0.conf;", **files)
    assert caught.value.rule == "too-large"


def test_error_in_an_include_names_the_file() -> None:
    """The fault is where it is, not where it was included."""
    with pytest.raises(ReaderError) as caught:
        read("include a.conf;", **{"a.conf": "x;\ny"})
    assert (caught.value.file, caught.value.line) == ("nginx/a.conf", 2)


def test_servers() -> None:
    """Listens with addresses, ports and flags; names in lower case; the default port."""
    one, other = servers(
        read(
            "http { server { listen [::]:8443 ssl default_server; listen 127.0.0.1:81; listen unix:/x;"
            " server_name A.B ~^C$; } server { return 444; } }"
        )
    )
    assert [(listen.address, listen.port, listen.tls, listen.default) for listen in one.listens] == [
        ("", 8443, True, True),
        ("127.0.0.1", 81, False, False),
    ]
    assert one.names == ("a.b", "~^C$")
    assert [listen.port for listen in other.listens] == [80]
    assert (one.rejects(), other.rejects()) == (False, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("proxy_pass http://web:8000;", [("web", 8000, True)]),
        ("proxy_pass http://WEB;", [("web", 80, True)]),
        ("proxy_pass https://web/x$uri;", [("web", 443, True)]),
        ("proxy_pass http://web:8000$request_uri;", [("web", 8000, False)]),
        ("set $u http://web:8000; proxy_pass $u;", [("web", 8000, False)]),
        ("set $u web; proxy_pass http://$u:8000/x;", [("web", 8000, False)]),
        ("proxy_pass http://pool;", [("a", 8000, True), ("b", 80, False)]),
        ("fastcgi_pass php:9000;", [("php", 9000, True)]),
        ("proxy_pass http://unix:/run/x.sock;", []),
        ("proxy_pass http://[fd00::1]:8000;", [("fd00::1", 8000, True)]),
        ("proxy_pass $unknown;", []),
    ],
)
def test_upstreams(text: str, expected: list[tuple[str, int, bool]]) -> None:
    """Pools, variables and default ports are followed; a variable is resolved at the request."""
    pool = "upstream pool { server a:8000 weight=2; server b resolve; server unix:/x; } "
    found = upstreams(read(f"{pool} server {{ server_name x.example; location / {{ {text} }} }}"))
    assert [(upstream.host, upstream.port, upstream.static) for upstream in found] == expected
    assert all(upstream.server_names == ("x.example",) for upstream in found)


def test_map_as_upstream() -> None:
    """Every value of a map may be where a request goes."""
    found = upstreams(
        read("map $host $u { default http://a:1; x.y http://b:2; } server { location / { proxy_pass $u; } }")
    )
    assert [upstream.target for upstream in found] == ["a:1", "b:2"]


def test_claims() -> None:
    """Domains with their ports, patterns as such; a server that refuses claims nothing."""
    claims, references = claims_nginx(
        read(
            "server { listen 80; listen 443 ssl; server_name a.example *.b.example _;"
            " location / { proxy_pass http://w:1; } }"
            "server { server_name c.example; return 444; }"
        ),
        owner="app_prod",
        machine="m",
    )
    assert {
        (claim.key, claim.attributes["ports"], claim.attributes["https"], claim.attributes["pattern"])
        for claim in claims
    } == {
        ("a.example", (80, 443), True, False),
        ("*.b.example", (80, 443), True, True),
    }
    assert [(reference.kind, reference.target) for reference in references] == [("upstream", "w:1")]
