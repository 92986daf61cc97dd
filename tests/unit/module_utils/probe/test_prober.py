# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The targets of probes: the placeholder for the machine becomes its addresses in the environment's networks."""

from __future__ import annotations

from ansible_collections.aiia.bulkhead.plugins.module_utils.probe.prober import MACHINE, targets
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live import probes as judged


def test_the_machine_is_every_gateway_of_the_own_networks() -> None:
    """Of both families, and only of networks that the containers are on."""
    ours = {"gateways": ["172.18.0.1", "fd00:1::1"]}
    own = [{"networks": {"ours": ours}}, {"networks": {"ours": ours, "data": {"gateways": []}}}]
    networks = [
        {"name": "ours", "gateways": ["172.18.0.1"]},
        {"name": "data", "gateways": ["172.20.0.1"]},
        {"name": "theirs", "gateways": ["172.19.0.1"]},
    ]
    connect = [{"address": "172.19.0.5", "port": 5432}, {"address": "machine", "port": 5433}]
    assert targets(connect, own, networks) == [
        ["172.19.0.5", 5432], ["172.18.0.1", 5433], ["172.20.0.1", 5433], ["fd00:1::1", 5433],
    ]  # fmt: skip
    assert targets(connect, [], networks) == [["172.19.0.5", 5432]]


def test_controller_and_machine_call_it_the_same() -> None:
    """The two share no code in which the value could be written once."""
    assert MACHINE == judged.MACHINE
