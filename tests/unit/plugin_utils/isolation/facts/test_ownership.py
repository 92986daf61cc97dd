# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose a name, a path and a word is: by parts and components, never by leading letters alone."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.facts.ownership import (
    called,
    foreign_owner_of_path,
    inside,
    owner_of_name,
    sharers,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Document, Environment, Fleet, Where

PROD = Environment("aiia_prod", name="prod", project="aiia", directory="/home/ubuntu/main/ai-ia-backend")
EU = Environment("aiia_prod_eu", name="prod_eu", project="aiia", directory="/home/ubuntu/main2/ai-ia-backend")
STAGING = Environment("aiia_staging", name="staging", project="aiia", directory="/home/ubuntu/staging/ai-ia-backend")
OTHER = Environment("shop_prod", name="prod", project="shop", directory="/srv/shop", machine="app2")
FLEET = Fleet((PROD, EU, STAGING, OTHER))


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("aiia_prod_db", "aiia_prod"),
        ("aiia_prod", "aiia_prod"),
        ("aiia_prod_eu_db", "aiia_prod_eu"),
        ("aiia_prod_eu", "aiia_prod_eu"),
        ("aiia_prod_europe", "aiia_prod"),
        ("aiia_production_db", ""),
        ("x_aiia_prod_db", ""),
        ("", ""),
    ],
)
def test_a_name_is_of_the_longest_prefix_that_ends_at_a_word(name: str, owner: str) -> None:
    """``aiia_production`` does not begin with the prefix ``aiia_prod``."""
    assert owner_of_name(FLEET, name) == owner


@pytest.mark.parametrize(
    ("path", "directory", "expected"),
    [
        ("/srv/main", "/srv/main", True),
        ("/srv/main/x/y", "/srv/main", True),
        ("/srv/main2/x", "/srv/main", False),
        ("/srv/main/../main2/x", "/srv/main", False),
        ("/srv/x/../main/y", "/srv/main", True),
        ("/srv", "/srv/main", False),
        ("/srv/main", "/", True),
        ("/srv/main", "", False),
    ],
)
def test_paths_are_compared_by_component(path: str, directory: str, expected: bool) -> None:
    """Leading letters that are equal are not a directory in common."""
    assert inside(path, directory) is expected


def test_a_path_is_of_another_environment_on_the_same_machine_only() -> None:
    """One path on two machines is two paths."""
    assert foreign_owner_of_path(FLEET, STAGING, "/home/ubuntu/main/ai-ia-backend/.env") == "aiia_prod"
    assert foreign_owner_of_path(FLEET, STAGING, "/home/ubuntu/main2/ai-ia-backend/.env") == "aiia_prod_eu"
    assert foreign_owner_of_path(FLEET, STAGING, "/home/ubuntu/staging/ai-ia-backend/.env") == ""
    assert foreign_owner_of_path(FLEET, STAGING, "/home/ubuntu/main/other") == ""
    assert foreign_owner_of_path(FLEET, OTHER, "/home/ubuntu/main/ai-ia-backend/.env") == ""


@pytest.mark.parametrize(
    ("reader", "word", "other"),
    [
        (STAGING, "prod", "aiia_prod"),
        (STAGING, "production", "aiia_prod"),
        (STAGING, "PROD", "aiia_prod"),
        (STAGING, "prod_eu", "aiia_prod_eu"),
        (STAGING, "staging", ""),
        (STAGING, "stage", ""),
        (STAGING, "info", ""),
        (PROD, "production", ""),
        (OTHER, "production", ""),
        (OTHER, "staging", "aiia_staging"),
    ],
)
def test_a_word_names_an_environment_of_ones_own_project_first(reader: Environment, word: str, other: str) -> None:
    """Two projects may both have a ``prod``; synonyms of one's own name are one's own."""
    assert called(FLEET, reader, word) == other


def test_a_document_that_two_have_word_for_word_is_of_both() -> None:
    """One workflow for two environments; a path with two different texts is shared by nobody."""
    same, own, others = (Document("deploy.yml", "workflow", text) for text in ("both", "mine", "yours"))
    prod = Environment("aiia_prod", documents=(same, Document("check.sh", "shell", own.text)))
    staging = Environment("aiia_staging", documents=(same, Document("check.sh", "shell", others.text)))
    fleet = Fleet((prod, staging))
    assert sharers(fleet, Where("deploy.yml", 3)) == {"aiia_prod", "aiia_staging"}
    assert sharers(fleet, Where("check.sh", 3)) == frozenset()
    assert sharers(fleet, Where("missing.sh")) == frozenset()
