# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ports of a swarm: what nodes must reach of each other. The same on the controller and on the targets."""

from __future__ import annotations

#: Managers are asked here (TCP).
CONTROL = 2377
#: Nodes tell each other about networks here (TCP and UDP).
GOSSIP = 7946
#: The containers' own traffic between nodes (UDP, VXLAN).
DATA = 4789

#: What each is for, in the words of an error.
PURPOSE = {
    ("tcp", CONTROL): "managers are asked there",
    ("tcp", GOSSIP): "nodes tell each other about networks there",
    ("udp", GOSSIP): "nodes tell each other about networks there",
    ("udp", DATA): "the containers' own traffic passes there",
}


def needed(manager: bool) -> list[tuple[str, int]]:
    """What a node must be reached at: (protocol, port)."""
    return [each for each in PURPOSE if manager or each != ("tcp", CONTROL)]
