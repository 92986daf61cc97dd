# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One spelling for each host: what a resolver, a browser or a driver makes of the others."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.hosts import as_read, canonical_host


@pytest.mark.parametrize(
    "written",
    ["172.17.0.1", "172.17.1", "2886795265", "0xac.0x11.0.1", "0254.021.0.01", "0xAC110001", "::ffff:172.17.0.1",
     "[::ffff:ac11:1]", "64:ff9b::ac11:1", "2002:ac11:1::", "172%2E17.0.1"],
)  # fmt: skip
def test_spellings_of_an_address(written: str) -> None:
    """The forms that the C library and translators read."""
    assert canonical_host(written) == "172.17.0.1"


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("EduAIIA.com.", "eduaiia.com"),
        ("eduaiia%2Ecom", "eduaiia.com"),
        ("\uff45duaiia\u3002com", "eduaiia.com"),
        ("2001:DB8:0::1%eth0", "2001:db8::1"),
        ("/run/postgresql", "/run/postgresql"),
        ("6379", "6379"),
        ("1.2.3.4.5", "1.2.3.4.5"),
        ("09.1.1.1", "09.1.1.1"),
        ("256.1.1.1", "256.1.1.1"),
        ("v1.2", "v1.2"),
        ("", ""),
    ],
)
def test_other_hosts(written: str, host: str) -> None:
    """Names in small letters, without a last dot; what is no address stays a name."""
    assert canonical_host(written) == host


@pytest.mark.parametrize("text", ["%(asctime)s %(message)s", "%d.%m.%Y", "100%", "50 % of", "Gr\u00fc\u00dfe"])
def test_texts_that_hide_nothing(text: str) -> None:
    """A percent sign alone is none of an escape."""
    assert as_read(text) == text
