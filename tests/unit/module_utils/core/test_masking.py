# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets in what comes back from a host."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus, unquote_plus

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.masking import (
    HIDDEN,
    mask,
    possible_secrets,
    texts_to_hide,
    typed_secrets,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.writers import dump_settings
from hypothesis import given
from hypothesis import strategies as st

values = st.recursive(
    st.text("ab", max_size=8) | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xy", max_size=2), inner, max_size=3),
)


def test_wherever_it_stands() -> None:
    answer = {"msg": "password hunter2 refused", "diff": [{"after": "hunter2"}], "changed": True, "rc": 1, "none": None}
    expected = {
        "msg": f"password {HIDDEN} refused",
        "diff": [{"after": HIDDEN}],
        "changed": True,
        "rc": 1,
        "none": None,
    }
    assert mask(answer, ["hunter2"]) == expected


def test_in_keys_and_tuples() -> None:
    """What names things in a result stays, even where a secret is such a word: whoever reads the result needs it."""
    answer = {
        "env": {"TOKEN=hunter2-x": 1, ("a", "hunter2-x"): 2},
        "pair": ("hunter2-x", ["hunter2-x"]),
        "changed": "a",
    }
    assert mask(answer, ["hunter2-x", "changed"]) == {
        "env": {f"TOKEN={HIDDEN}": 1, ("a", HIDDEN): 2},
        "pair": (HIDDEN, [HIDDEN]),
        "changed": "a",
    }


def test_the_longest_first() -> None:
    assert mask("hunter2hunter2", ["hunter2hunter2", "hunter2"]) == HIDDEN


def test_more_than_once() -> None:
    assert mask("a hunter2 and a hunter2", ["hunter2"]) == f"a {HIDDEN} and a {HIDDEN}"


@given(values)
def test_nothing_stays(value: object) -> None:
    assert "ab" not in repr(mask(value, ["ab"]))


@given(values)
def test_without_secrets_nothing_is_changed(value: object) -> None:
    assert mask(value, []) == value


def test_each_line_of_a_secret_and_a_file_as_a_whole() -> None:
    hidden = texts_to_hide(["one-1\n  two-2\n", "abc", "    "], ["user: three-3\n"])
    whole = {"one-1\n  two-2\n", "one-1\n  two-2", "one-1\\n  two-2\\n", "one-1\\n  two-2"}
    assert set(hidden) >= {*whole, "one-1", "two-2", "user: three-3\n", "user: three-3"}
    assert not {"abc", "    ", "user:", "three-3"} & set(hidden)
    assert hidden == sorted(hidden, key=len, reverse=True)
    assert mask("two-2, user: three-3, user:", hidden) == f"{HIDDEN}, {HIDDEN}, user:"


@pytest.mark.parametrize(
    "secret",
    ["correct horse", 'say "$HOME" \\ twice', "first line\n  second line", "line-one\r\nline-two", "  padded  "],
)
def test_a_secret_is_hidden_in_every_form(secret: str) -> None:
    """As it is, line by line, and as ``.env`` has it."""
    hidden = texts_to_hide([secret])
    for output in (secret, *secret.splitlines(), dump_settings([("KEY", secret)])):
        shown = mask(f"before {output} after", hidden)
        assert HIDDEN in shown
        assert not any(line.strip() in shown for line in secret.splitlines())


#: How tools write a value that they print.
ENCODINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": json.dumps,
    "JSON of today": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "JSON of PHP": lambda text: json.dumps(text).replace("/", "\\/"),
    "Python": repr,
    "Python's bytes": lambda text: repr(text.encode()),
    "a URL's part": lambda text: quote(text, safe=""),
    "a path": quote,
    "a form": quote_plus,
    "lower percents": lambda text: (
        "".join(f"%{byte:02x}" if chr(byte) in "/?#[]@%" else chr(byte) for byte in text.encode())
        if text.isascii()
        else quote(text, safe="")
    ),
    "a URL with a password": lambda text: f"postgres://user:{quote(text, safe='')}@host/db",
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "basic authentication": lambda text: base64.b64encode(b"user:" + text.encode()).decode(),
    "within base64": lambda text: base64.b64encode(b"x" + text.encode() + b" and more").decode(),
    "wrapped base64": lambda text: base64.encodebytes(text.encode() * 3).decode(),
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
    "a shell": shlex.quote,
    "single quotes": lambda text: "'" + text.replace("'", "'\\''") + "'",
    "XML": html.escape,
    "dotenv": lambda text: dump_settings([("KEY", text)]),
}

#: Secrets as generators and people make them, long enough to be found in any form.
passwords = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=12, max_size=60) | st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=12, max_size=60
).filter(lambda text: len("".join(text.split())) >= 12)


@given(passwords, st.sampled_from(sorted(ENCODINGS)), st.text(" a:=/\n", max_size=5))
def test_no_encoding_shows_a_secret(secret: str, encoding: str, around: str) -> None:
    """Neither the form itself, nor anything from which four bytes of the secret could be read."""
    written = ENCODINGS[encoding](secret)
    shown = mask(f"before{around}{written}{around}after", texts_to_hide([secret]))
    assert HIDDEN in shown and secret not in shown and secret.encode().hex() not in shown.lower()
    left = shown.split(HIDDEN)
    decoded = [unquote_plus(piece) for piece in left] + [html.unescape(piece) for piece in left]
    assert not any(secret[:6] in text for text in decoded)
    raw = secret.encode()
    windows = {raw[at : at + 4] for at in range(len(raw) - 3)}
    for piece in left if "base64" in encoding or "basic" in encoding else ():
        assert not any(window in text for text in read_base64(piece) for window in windows), (piece, written)


def read_base64(text: str) -> Iterator[bytes]:
    """What a text could be in base64, from each of its first characters on."""
    letters = re.sub(r"[^A-Za-z0-9+/]", "", text.translate(str.maketrans("-_", "+/")))
    for start in range(4):
        whole = letters[start:]
        yield base64.b64decode(whole[: len(whole) // 4 * 4])


@given(passwords, st.lists(st.integers(1, 11), min_size=1, max_size=4), st.sampled_from(["\n", "\r\n", "\n    "]))
def test_a_secret_that_is_broken_over_lines(secret: str, places: list[int], wrap: str) -> None:
    """As a screen, a log or YAML wraps it. Blanks at its ends are not known from those around it."""
    secret = secret.strip()
    broken = "".join(wrap * (at in places) + character for at, character in enumerate(secret))
    shown = mask(f"error: {broken}.", texts_to_hide([secret]))
    assert shown == f"error: {HIDDEN}."


def test_only_blanks_remain_of_a_secret_with_blanks_at_its_ends() -> None:
    assert mask("error: 0\n00000000000 .", texts_to_hide(["000000000000 "])) == f"error: {HIDDEN} ."


def test_what_is_short_is_not_looked_for_over_lines_nor_encoded() -> None:
    """It would hide ordinary words."""
    hidden = texts_to_hide(["abcdef"])
    assert mask("abc\ndef", hidden) == "abc\ndef"
    assert mask("abcdef", hidden) == HIDDEN
    assert mask("two lines\nthat say ab cd ef gh", texts_to_hide(["abcdefgh"])) == "two lines\nthat say ab cd ef gh"


@pytest.mark.parametrize(
    ("command", "secrets"),
    [
        (["createuser", "--password", "hunter22", "--email", "a@b"], {"hunter22"}),
        (["createuser", "--password=hunter22", "--noinput"], {"hunter22"}),
        (["env", "DB_PASSWORD=hunter22", "LEVEL=debug", "run"], {"hunter22", "debug"}),
        (["psql", "postgres://app:hunter22@db/app"], {"hunter22"}),
        (["call", "--api-key", "k1", "--auth-token=t2", "-v"], {"k1", "t2"}),
        (["mysql", "-phunter22", "-e", "select 1"], {"hunter22"}),
        (["redis-cli", "-a", "hunter22", "ping"], {"hunter22"}),
        (["curl", "-u", "me:hunter22", "http://web"], {"hunter22", "me:hunter22"}),
        (["curl", "-H", "Authorization: Bearer hunter22"], {"Bearer hunter22", "hunter22"}),
        (["curl", "-HX-Auth-Token: hunter22"], {"hunter22"}),
        (["curl", "--header=X-Api-Key:hunter22"], {"hunter22"}),
        (["curl", "https://web/?token=hunter22&page=2"], {"hunter22"}),
        (["curl", "-d", '{"password": "hunter22", "user": "me"}'], {"hunter22"}),
        (["sh", "-c", "mysql --password=hunter22 -e 'select 1'"], {"hunter22"}),
        (["psql", "host=db password=hunter22"], {"hunter22"}),
        (["psql", "postgres://app:hunter/2@2@db/app"], {"hunter/2@2"}),
        (["git", "clone", "https://0123456789abcdef@git.example/app"], {"0123456789abcdef"}),
        (["migrate", "--fake", "accounts", "0003"], set()),
        (["manage.py", "check", "--deploy", "-v", "2"], set()),
        (["find", "/srv", "-name", "*.py", "-print0"], set()),
        (["curl", "http://web:8000/health"], set()),
        (["ls", "-l", "/srv"], set()),
        (["psql", "-c", "ALTER ROLE x WITH ENCRYPTED PASSWORD 'hunter2'"], {"hunter2"}),
        (["mysql", "-e", "create user x identified by 'hunter2'"], {"hunter2"}),
        (["python", "-c", "user.set_password('hunter2')"], {"hunter2"}),
        (["shell", "-c", 'connect(host="db", password = "hunter2")'], {"hunter2"}),
        (["shell", "-c", "U.objects.create_superuser('admin', 'a@b.c', 'hunter2')"], {"hunter2"}),
        (["curl", "--user", "ann:hunter2", "https://x"], {"hunter2"}),
        (["curl", "--proxy-user=ann:hunter2", "https://x"], {"hunter2"}),
        (["psql", "--user", "ann"], set()),
        (["redis-cli", "AUTH", "ann", "hunter2"], {"hunter2"}),
        (["redis-cli", "GET", "author"], set()),
        (["/usr/sbin/rabbitmqctl", "add_user", "ann", "hunter2"], {"hunter2"}),
        (["htpasswd", "-nbB", "ann", "hunter2"], {"hunter2"}),
        (["mc", "alias", "set", "x", "https://h", "ann", "hunter2"], {"hunter2"}),
        (["ldapsearch", "-x", "-w", "hunter2"], {"hunter2"}),
        (["sh", "-c", "echo hunter2 | docker login -u ann --password-stdin"], {"hunter2"}),
        (["psql", "-c", "SELECT name FROM users WHERE name = 'ann'"], set()),
    ],
)
def test_what_a_typed_command_may_hold(command: list[str], secrets: set[str]) -> None:
    assert typed_secrets(command) == secrets


@pytest.mark.parametrize("secret", ["correct horse", 'say "$HOME" \\ twice', "a line\nanother line", "p@ss=word="])
def test_a_machine_hides_what_the_controller_knows(secret: str) -> None:
    """It has only the files of a kept release, and hides more rather than less."""
    settings = dump_settings([("KEY", secret), ("PROJECT", "aiia_prod")], "written by Bulkhead")
    found = possible_secrets([settings], "name: aiia_prod\n# written by Bulkhead")
    assert secret in found
    assert not found & {"aiia_prod", "# written by Bulkhead"}, "open files show them"


def test_short_texts_hide_no_words() -> None:
    assert {text.lower() for text in texts_to_hide(["42", "abc", "    ", "word"])} == {"word", "776f7264"}
    assert possible_secrets(['LEVEL="INFO"\n', "sevench\n"], "") == {'LEVEL="INFO"'}
