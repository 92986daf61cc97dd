# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guard's fingerprint changes with everything that a deployment would repair, and with nothing else."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.host.firewall_fingerprints import fingerprint
from ansible_collections.aiia.bulkhead.plugins.module_utils.host.firewall_rules import parse_save

CHAIN = "BULKHEAD-aiia_prod-1"
TABLE = f"""*filter
:INPUT ACCEPT [0:0]
:DOCKER-USER - [0:0]
:{CHAIN} - [0:0]
-A INPUT -i br-1 -m comment --comment "aiia_prod: bulkhead" -j {CHAIN}
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A DOCKER-USER -i br-1 -m comment --comment "aiia_prod: bulkhead" -j {CHAIN}
-A {CHAIN} -m comment --comment "aiia_prod: bulkhead 1 ab" -j RETURN
-A {CHAIN} -m comment --comment "aiia_prod: bulkhead 2 ab" -j REJECT
COMMIT
"""
JUMP = f'-A INPUT -i br-1 -m comment --comment "aiia_prod: bulkhead" -j {CHAIN}\n'


def number(table: str) -> str:
    return fingerprint(parse_save(table), CHAIN)


@pytest.mark.parametrize(
    "table",
    [
        TABLE.replace(f'-A {CHAIN} -m comment --comment "aiia_prod: bulkhead 2 ab" -j REJECT\n', ""),
        TABLE.replace("-j REJECT", "-j ACCEPT"),
        TABLE.replace(JUMP, ""),
        TABLE.replace(JUMP, JUMP.replace("br-1", "br-2")),
        TABLE.replace(JUMP, "-A INPUT -p udp -j ACCEPT\n" + JUMP),
        TABLE.replace(JUMP, "-A INPUT -i br-1 -j ACCEPT\n" + JUMP),
        TABLE.replace(JUMP, "-A INPUT -i br-+ -j ACCEPT\n" + JUMP),
        TABLE.replace(JUMP, "-A INPUT ! -i br-2 -j ACCEPT\n" + JUMP),
    ],
    ids=[
        "a rule less",
        "another target",
        "no jump",
        "another bridge",
        "somebody else's rule above the jump",
        "such a rule for the bridge",
        "such a rule for many bridges",
        "such a rule for all but one other bridge",
    ],
)
def test_what_shows(table: str) -> None:
    """A deployment would repair each of these."""
    assert table != TABLE and number(table) != number(TABLE)


@pytest.mark.parametrize(
    "table",
    [
        TABLE.replace("[0:0]", "[12:3456]"),
        TABLE.replace("--dport 22", "--dport 2222"),
        TABLE.replace(JUMP, JUMP.replace(CHAIN, "BULKHEAD-other-2").replace("aiia_prod", "other") + JUMP),
        TABLE.replace(JUMP, "-A INPUT -i br-2 -j ACCEPT\n" + JUMP),
    ],
    ids=[
        "counters",
        "somebody else's rule below",
        "another environment's jump above",
        "a rule above for one other interface",
    ],
)
def test_what_does_not_show(table: str) -> None:
    """Near misses."""
    assert table != TABLE and number(table) == number(TABLE)
