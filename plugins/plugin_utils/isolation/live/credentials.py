# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an environment's secrets are also another environment's, as the containers on the machine hold them.

This reads the digests of settings in an observation, keyed with a key that never leaves the machine. No secret
is sent to any server to see whether it is accepted: anything could listen there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ....module_utils.docker.labels import PREFIX
from ..model import Environment, Finding, Where
from ..rules import rules
from ..rules.secrets import named_secrets, rule_of
from ..wording import listing


def shared_credentials(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the secrets that containers of other environments hold too, under the rules that the plan has for them.

    The plan compares what the inventory shows it; this finds what was sealed there, and environments of other
    inventories.
    """
    own = named_secrets(environment)
    known: dict[str, set[str]] = {}
    held: dict[str, set[tuple[str, str]]] = {}
    for container in observation["containers"]:
        prefix = container["labels"].get(PREFIX, "")
        for name, digest in container["settings"].items():
            if prefix == environment.prefix and name in own and digest:
                known.setdefault(name, set()).add(digest)
            elif prefix not in ("", environment.prefix) and digest:
                held.setdefault(digest, set()).add((prefix, name))
    for name, digests in sorted(known.items()):
        for other, theirs in sorted(set().union(*(held.get(digest, set()) for digest in digests))):
            rule = rules().get(rule_of(own[name], theirs))
            if rule is None:
                continue
            yield Finding(
                rule.id,
                rule.severity,
                (environment.prefix, other),
                listing(dict.fromkeys((name, theirs))),
                f"{name} of {environment.prefix} and {theirs} of {other} have the same value on the machine: whoever "
                "has the secrets of one also has the other's access.",
                "Give each environment its own secret, or waive the sharing with a reason.",
                (Where(item="seen on the machine (keyed digests were compared)"),),
                environment.machine,
                rule.hazards,
            )
