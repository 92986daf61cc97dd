# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last line of a report says no more than what was proved."""

from __future__ import annotations

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Finding, Severity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.proved import Scope, proved

CLEAN = "2 environments, 40 claims, none shared"
NAMES = "every name is its environment's own"
REACH = "nothing in a stack or its programs' settings reaches outside"


def finding(rule: str, severity: Severity = Severity.HIGH, waived: str = "") -> Finding:
    """A finding that does not stop."""
    return Finding(rule, severity, ("aiia_prod",), "x", "x.", "x.", waived=waived)


def test_all_of_it() -> None:
    """Nothing waived, nothing sealed, nothing shared; advice takes nothing away."""
    found = proved(Scope(2, 40), [finding("advice", Severity.LOW)])
    assert found == f"proved on paper: {CLEAN}; {NAMES}; {REACH}"


def test_what_was_accepted_is_no_proof() -> None:
    """A waiver or a threshold takes from the sentence that it is about, and from no other."""
    waived = [finding("outside-name", waived="x"), finding("outside-reach", waived="x"), finding("unclassified-key")]
    said = proved(Scope(2, 40), waived)
    assert f"{CLEAN};" in said
    assert f"{NAMES} but for 1 waived finding;" in said
    assert f"{REACH} but for 1 waived and 1 listed findings" in said
    assert f"{CLEAN} but for 1 listed finding;" in proved(Scope(2, 40), [finding("shared-port")])


def test_what_was_not_seen_is_said() -> None:
    """What is shared on purpose, sealed or unread stands in the same line."""
    said = proved(Scope(2, 40, ["network monitoring (aiia_prod and aiia_staging)"], ["aiia_prod"], ["aiia_qa"]), [])
    assert said.endswith(
        "; shared on purpose: network monitoring (aiia_prod and aiia_staging); sealed, so not compared: values of "
        "aiia_prod; not proved, for lack of values: aiia_qa"
    )
