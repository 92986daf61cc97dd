# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What backups and their files are called."""

from __future__ import annotations

from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.naming import file_of, new_name

MOMENT = 1781493300.0


def test_prefix_and_moment() -> None:
    """The moment is given in UTC."""
    assert new_name("aiia_prod", MOMENT, []) == "aiia_prod-20260615T031500Z"


def test_two_in_one_second() -> None:
    """The second and the third get a number."""
    taken = ["aiia_prod-20260615T031500Z", "aiia_prod-20260615T031500Z-2"]
    assert new_name("aiia_prod", MOMENT, taken[:1]) == taken[1]
    assert new_name("aiia_prod", MOMENT, taken) == "aiia_prod-20260615T031500Z-3"


def test_files_of_parts() -> None:
    """The ending says what is in it."""
    assert file_of({"name": "postgresql", "kind": "postgresql"}) == "postgresql.dump"
    assert file_of({"name": "media", "kind": "files"}) == "media.tar"
