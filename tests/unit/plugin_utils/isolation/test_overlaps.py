# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports and paths that overlap without being equal, against the plain definition of overlap."""

from __future__ import annotations

import itertools

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.facts.ownership import inside
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Claim, Environment, Fleet, Where
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules.paths import overlapping
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules.ports import port_clashes, same_address
from hypothesis import given
from hypothesis import strategies as st


def port(owner: str, number: int, ip: str = "", protocol: str = "tcp") -> Claim:
    """A published port."""
    return Claim("host-port", "app1", f"{number}/{protocol}", owner, Where(owner), attributes={"ip": ip})


def fleet_of(claims: list[Claim]) -> Fleet:
    """A fleet in which each owner has its claims."""
    owners = sorted({claim.owner for claim in claims})
    return Fleet(
        tuple(Environment(owner, claims=tuple(claim for claim in claims if claim.owner == owner)) for owner in owners)
    )


ADDRESSES = st.sampled_from(["", "0.0.0.0", "::", "127.0.0.1", "127.0.0.2"])


@given(st.lists(st.tuples(st.sampled_from("abc"), ADDRESSES), max_size=6))
def test_addresses_exclude_each_other_as_the_kernel_says(taken: list[tuple[str, str]]) -> None:
    """Every address excludes every other; one address excludes itself."""
    wild = {"", "0.0.0.0", "::"}
    expected = {
        owner
        for (owner, ip), (other, other_ip) in itertools.permutations(taken, 2)
        if owner != other and (ip == other_ip or ip in wild or other_ip in wild)
    }
    groups = [group for group in same_address([port(owner, 80, ip) for owner, ip in taken]) if len(group) > 1]
    assert {claim.owner for group in groups for claim in group} == expected


def test_a_run_of_ports_is_one_clash() -> None:
    """A hundred ports of two ranges are told once; a gap and another protocol begin anew."""
    claims = [port(owner, number) for owner in "ab" for number in (*range(8000, 8100), 9000)]
    claims += [port(owner, 8000, protocol="udp") for owner in "ab"]
    assert sorted(ports for _machine, ports, _group in port_clashes(fleet_of(claims))) == [
        "8000-8099/tcp",
        "8000/udp",
        "9000/tcp",
    ]


PATHS = st.lists(st.sampled_from(["a", "a2", "b"]), min_size=1, max_size=3).map(
    lambda parts: "/data/" + "/".join(parts)
)


@given(st.lists(st.tuples(st.sampled_from("abcd"), PATHS, st.booleans()), max_size=8))
def test_paths_overlap_where_one_contains_the_other_and_one_writes(mounts: list[tuple[str, str, bool]]) -> None:
    """The sweep finds exactly the environments that a comparison of all pairs finds."""
    expected = {
        owner
        for (owner, path, reads), (other, other_path, other_reads) in itertools.permutations(mounts, 2)
        if owner != other and not (reads and other_reads) and (inside(path, other_path) or inside(other_path, path))
    }
    claims = [
        Claim("path", "app1", path, owner, Where(owner), attributes={"kind": "bind", "read_only": reads})
        for owner, path, reads in mounts
    ]
    found = {claim.owner for _machine, _path, clashing in overlapping(fleet_of(claims)) for claim in clashing}
    assert found == expected
