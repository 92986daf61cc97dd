# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which listening addresses conflict."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.addresses import overlap


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("", "127.0.0.1", True),
        ("127.0.0.1", "", True),
        ("0.0.0.0", "10.0.0.1", True),
        ("::", "10.0.0.1", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "::1", False),
        ("2001:db8::1", "2001:0db8:0000:0000:0000:0000:0000:0001", True),
        ("2001:DB8::1", "2001:db8::2", False),
        ("[::]", "127.0.0.1", True),
        ("[::1]", "::1", True),
        ("*", "10.0.0.1", True),
        ("not an address", "127.0.0.1", False),
    ],
)
def test_overlap(first: str, second: str, expected: bool) -> None:
    for pair in ((first, second), (second, first)):
        assert overlap(*pair) is expected
