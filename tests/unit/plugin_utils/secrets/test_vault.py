# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A vault file belongs to one vault id, and to the password of that id."""

from __future__ import annotations

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.editing import SecretsProblem
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.vault import (
    closed,
    label_of,
    opened,
    openers,
    opens,
)

STAGING, PRODUCTION = VaultSecret(b"staging's password"), VaultSecret(b"production's password")
FILE = closed("bulkhead_secrets: {A: canary}\n", STAGING, "staging")


def refused(text: str, *passwords: tuple[str, VaultSecret]) -> str:
    """Why a file of staging is not opened."""
    with pytest.raises(SecretsProblem) as caught:
        opened(text, passwords or [("staging", STAGING)], "staging")
    assert "canary" not in str(caught.value)
    return str(caught.value)


def test_it_is_ansibles_own_format_under_its_id() -> None:
    assert FILE.startswith("$ANSIBLE_VAULT;1.2;AES256;staging\n") and label_of(FILE) == "staging"
    assert opened(FILE, [("staging", STAGING)], "staging") == ("bulkhead_secrets: {A: canary}\n", STAGING)
    assert VaultLib([("any", STAGING)]).decrypt(FILE.encode()).decode() == "bulkhead_secrets: {A: canary}\n"


def test_a_password_without_an_id_and_a_file_without_one() -> None:
    assert opened(FILE, [("default", STAGING)], "staging")[1] is STAGING
    unnamed = VaultLib([("default", STAGING)]).encrypt(b"a: b\n", secret=STAGING).decode()
    assert label_of(unnamed) == ""
    assert opened(unnamed, [("staging", STAGING)], "staging")[0] == "a: b\n"


def test_bad_passwords() -> None:
    assert "password of staging does not open it" in refused(FILE, ("staging", PRODUCTION))
    # Ansible itself would take it: to it, the id is a hint.
    assert "no password for the vault id staging" in refused(FILE, ("production", STAGING))
    assert "no password for the vault id staging" in refused(FILE, ("production", PRODUCTION))


def test_a_file_under_the_id_of_another_environment() -> None:
    foreign = closed("a: b\n", STAGING, "production")
    assert "encrypted with the vault id production, but belongs to staging" in refused(foreign)


LINES = FILE.splitlines(keepends=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("".join(LINES[:1]), "damaged"),
        ("".join(LINES[:3]), "damaged"),
        (FILE[: len(FILE) // 2], "damaged"),
        (FILE.replace(LINES[2][:4], "zz!!"), "damaged"),
        ("".join(LINES[:-1]), "damaged"),
        (LINES[0] + "<<<<<<< HEAD\n" + "".join(LINES[1:]) + "=======\n", "marks of a merge conflict"),
        ("<<<<<<< HEAD\n" + FILE, "marks of a merge conflict"),
        ("bulkhead_secrets: {A: canary}\n", "not encrypted"),
    ],
)
def test_a_damaged_file(text: str, said: str) -> None:
    assert said in refused(text)


def test_a_changed_digit_is_noticed() -> None:
    """The file is whole, but its checksum is not that of its content."""
    digit = "1" if FILE.rstrip()[-1] != "1" else "2"
    assert "damaged" in refused(FILE.rstrip()[:-1] + digit + "\n")


def test_whose_password_opens_it() -> None:
    assert opens(FILE, STAGING) and not opens(FILE, PRODUCTION)
    assert [identity for identity, _secret in openers(FILE, [("a", PRODUCTION), ("b", STAGING)])] == ["b"]
    assert not opens("not encrypted", STAGING)
