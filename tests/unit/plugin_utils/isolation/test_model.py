# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The prover's data: what is derived of it once, and what another process gets of it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import (
    Claim,
    Directive,
    Document,
    Environment,
    Reference,
    Setting,
    Where,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.shell.scripts import Command

HERE = Where("compose.yml", 3, "services.web")
RECORDS: list[Any] = [
    HERE,
    Claim("port", "app1", "80/tcp", "shop_prod", HERE, True, {"address": "::"}),
    Reference("command", "docker", "shop_prod", HERE, {"argv": ("docker", "ps")}),
    Setting("DB_HOST", "db", HERE, "web", True),
    Directive("server", ("a",), HERE, (Directive("listen", ("80",), HERE),)),
    Command(("docker", "ps"), HERE, assignments={"A": "1"}, hosted=True),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_another_process_gets_an_equal_record(record: Any) -> None:
    passed_on = pickle.loads(pickle.dumps(record, pickle.HIGHEST_PROTOCOL))
    assert repr(passed_on) == repr(record)
    assert passed_on == record
    with pytest.raises(FrozenInstanceError):
        setattr(passed_on, fields(record)[0].name, None)


def test_what_is_derived_is_derived_once() -> None:
    asked: list[str] = []

    def words(document: Document) -> Iterator[str]:
        asked.append(document.text)
        yield from document.text.split()

    one, other = Document("a", "text", "x y"), Document("a", "text", "z")
    assert [tuple(one.derived(words)) for _turn in range(3)] == [("x", "y")] * 3
    assert tuple(other.derived(words)) == ("z",)
    assert asked == ["x y", "z"]


def test_an_environment_without_files_keeps_nothing() -> None:
    """There is nothing to look for, and ten thousand of them need not much memory. Control: one with files does."""

    def names(environment: Environment) -> Iterator[str]:
        yield environment.prefix

    bare, full = Environment("shop_prod"), Environment("shop_prod", documents=(Document("a", "text", ""),))
    for environment in (bare, full):
        assert environment.derived(names) == ("shop_prod",)
    assert "_derived" not in vars(bare)
    assert "_derived" in vars(full)


def test_an_environment_with_other_files_has_other_directives() -> None:
    server = Directive("server", (), HERE, (Directive("listen", ("80",), HERE),))
    environment = Environment("shop_prod", nginx=(server,))
    assert [directive.name for directive in environment.directives] == ["server", "listen"]
    assert list(replace(environment, nginx=()).directives) == []
