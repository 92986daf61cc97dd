# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The naming filters and tests, through Ansible's own template engine."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.aiia.bulkhead.plugins.filter.naming import FilterModule
from ansible_collections.aiia.bulkhead.plugins.test.naming import TestModule as NamingTests

FILTERS = FilterModule().filters()
TESTS = NamingTests().tests()


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("project_name", ("aiia_prod",), "aiia_prod"),
        ("container_name", ("aiia_prod", "django"), "aiia_prod_django"),
        ("network_name", ("aiia_prod",), "aiia_prod_network"),
        ("network_name", ("aiia_prod", "metrics"), "aiia_prod_metrics"),
        ("volume_name", ("aiia_prod", "prod", "pgdata"), "aiia_prod_pgdata_prod"),
        ("database_name", ("aiia_prod",), "aiia_prod"),
        ("role_name", ("aiia_prod", "reports"), "aiia_prod_reports"),
        ("image_name", ("aiia_prod", "Django"), "aiia_prod_django"),
        ("assert_prefixed", ("aiia_prod_db", "aiia_prod"), "aiia_prod_db"),
    ],
)
def test_filters(name: str, arguments: tuple[str, ...], result: str) -> None:
    """Each filter makes the name of its kind."""
    assert FILTERS[name](*arguments) == result


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("container_name", ("Aiia", "x"), "must begin with a letter"),
        ("container_name", ("aiia", 5), "takes text, but this is a number"),
        ("container_name", ("aiia",), "missing"),
        ("database_name", (None,), "takes text, but this is empty"),
        ("assert_prefixed", ("aiia_staging_db", "aiia_prod"), "another environment"),
        ("assert_prefixed", ("aiia_production", "aiia_prod"), "does not begin with the prefix 'aiia_prod'"),
        ("assert_prefixed", ("aiia_prod", ""), "empty"),
    ],
)
def test_filters_refuse(name: str, arguments: tuple[Any, ...], says: str) -> None:
    """What is wrong is the error of the template."""
    with pytest.raises(AnsibleFilterError, match=says):
        FILTERS[name](*arguments)


def test_tests() -> None:
    """Tests answer with booleans, also for what is no string."""
    assert TESTS["prefixed_by"]("aiia_prod_db", "aiia_prod") is True
    assert TESTS["prefixed_by"]("aiia_production", "aiia_prod") is False
    assert TESTS["prefixed_by"](None, "aiia_prod") is False
    assert TESTS["valid_prefix"]("aiia_prod") is True
    assert TESTS["valid_prefix"]("aiia.prod") is False
    assert TESTS["valid_prefix"](7) is False
    with pytest.raises(AnsibleFilterError, match="not empty"):
        TESTS["prefixed_by"]("x", "")
