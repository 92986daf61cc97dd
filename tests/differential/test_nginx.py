# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our reader of nginx files against crossplane, nginx's own parser in Python: over real and over generated files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import crossplane
import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.errors import ReaderError
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Directive
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.nginx.parser import read_nginx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CORPUS = {
    "empty": "",
    "only comments": "# nothing\n   # here\n",
    "one line": "events{}http{server{listen 80;return 200 ok;}}",
    "quotes": """log_format main '$remote_addr - "$request" ' "it's" '#no comment';\nadd_header X "a;b{c}d";""",
    "comment in the middle": "server { # here\n listen 80; # and here\n # alone\n server_name a#b.example;\n}",
    "variables in braces": "set $a ${b}c;\nproxy_pass http://${upstream}:8000/x;\nreturn 200 '{3}';",
    "regular expressions": r"location ~* \.(?:css|js)$ { expires 30d; }"
    + "\n"
    + r"server_name ~^(?<sub>.+)\.example\.com$;",
    "escaped quotes": r"""return 200 "say \"hi\"";""",
    "if": (
        'if ($http_user_agent ~ "MSIE (\\d+)") {\n  return 403;\n}\n'
        'if ( $a = "b" ) { return 1; }\nif (!-f $request_filename) {break;}'
    ),
    "map": "map $http_upgrade $connection_upgrade {\n  default upgrade;\n  '' close;\n  ~*x$ y;\n}",
    "several lines": "log_format x\n  'one'\n  'two'\n;\nserver\n{\n  listen\n  80\n  ;\n}",
    "carriage returns": "server {\r\n  listen 80;\r\n}\r\n",
    "nested": "http { upstream a { server b:1 weight=2; } server { location / { location /x { deny all; } } } }",
    "types": "types {\n  text/html html htm;\n  application/vnd.openxmlformats-officedocument docx;\n}",
}

BROKEN = {
    "brace that is not closed": "server {\n listen 80;\n",
    "brace too many": "server { listen 80; }\n}\n",
    "semicolon forgotten": "server { listen 80 }",
    "end without semicolon": "server { listen 80; }\nuser nobody",
    "only a semicolon": ";",
    "block without a name": "{ }",
}

#: What nginx refuses and crossplane reads.
LAX = ("semicolon forgotten", "block without a name")


def theirs(text: str, directory: Path) -> list[Any] | None:
    """What crossplane reads, or ``None`` where it finds a fault."""
    path = directory / "nginx.conf"
    path.write_bytes(text.encode())
    payload = crossplane.parse(str(path), single=True, check_ctx=False, check_args=False, combine=False)
    return None if payload["errors"] else plain(payload["config"][0]["parsed"])


def plain(parsed: Iterable[dict[str, Any]]) -> list[Any]:
    """Crossplane's tree as lists."""
    return [
        [item["directive"], item["line"], item["args"], plain(item["block"]) if "block" in item else None]
        for item in parsed
    ]


def ours(directives: Iterable[Directive]) -> list[Any]:
    """Our tree as lists."""
    return [
        [
            item.name,
            item.where.line,
            condition(item.name, list(item.args)),
            None if item.block is None else ours(item.block),
        ]
        for item in directives
    ]


def condition(name: str, args: list[str]) -> list[str]:
    """The words of an ``if`` without its parentheses, which crossplane takes off."""
    if name != "if":
        return args
    words = list(args)
    if words:
        words[0] = words[0].removeprefix("(")
        words[-1] = words[-1].removesuffix(")")
    return [word for word in words if word]


@pytest.mark.parametrize("name", CORPUS)
def test_corpus(name: str, tmp_path: Path) -> None:
    """Same directives, arguments and lines."""
    assert ours(read_nginx(CORPUS[name], "nginx.conf")) == theirs(CORPUS[name], tmp_path)


@pytest.mark.parametrize("name", BROKEN)
def test_broken(name: str, tmp_path: Path) -> None:
    """Both refuse the same files, or nginx does and crossplane is lax."""
    assert name in LAX or theirs(BROKEN[name], tmp_path) is None
    with pytest.raises(ReaderError) as caught:
        read_nginx(BROKEN[name], "nginx.conf")
    assert caught.value.rule == "nginx-syntax"
    assert caught.value.line >= 1


WORD = st.text(st.sampled_from("abz019.-_/:$~^*=%@()|?+#'\""), min_size=1, max_size=12).filter(
    lambda text: text[0] not in "#'\"()" and "${" not in text and text != "if"
)
QUOTED = st.builds(
    lambda text, quote: quote + text.replace(quote, "\\" + quote) + quote,
    st.text(st.sampled_from("ab \t;{}#'\"$/\n"), max_size=10),
    st.sampled_from("'\""),
)
SPACE = st.sampled_from([" ", "\n", "\t ", "\r\n"])
#: Not between the words of a directive: there crossplane makes a directive of the comment.
GAP = st.sampled_from([" ", "\n", "  # a comment; { }\n", "\r\n"])
NAME = st.text(st.sampled_from("abcdefgh_"), min_size=1, max_size=8).filter(lambda text: text not in ("if", "include"))


@st.composite
def directives(draw: st.DrawFn, depth: int = 0) -> str:
    """A file of directives and blocks."""
    parts = []
    for _unused in range(draw(st.integers(0, 4))):
        words = [draw(NAME), *(draw(st.one_of(WORD, QUOTED)) for _unused in range(draw(st.integers(0, 3))))]
        line = "".join(word + draw(SPACE) for word in words)
        if depth < 3 and draw(st.booleans()):
            line += "{" + draw(GAP) + draw(directives(depth + 1)) + "}"
        else:
            line += ";"
        parts.append(line + draw(GAP))
    return "".join(parts)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(directives())
def test_generated(tmp_path: Path, text: str) -> None:
    """The same over files that nobody would write."""
    assert ours(read_nginx(text, "nginx.conf")) == theirs(text, tmp_path)
