# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pull request shows the plan, a person signs it, and the pipeline deploys exactly that or nothing."""

from __future__ import annotations

import json

from observe import say
from people import Person
from support import Place, Site, docker


def containers(place: Place) -> str:
    return docker("ps", "--all", "--quiet", "--filter", f"label=io.bulkhead.prefix={place.prefix}")


def test_a_plan_is_signed_and_deployed(site: Site) -> None:
    alice, mallory = Person(site.directory, "alice"), Person(site.directory, "mallory")
    staging = site.small("staging", "staging", plan_signers=[alice.signer()])
    staging.secrets = {"bulkhead_secrets": {"TOKEN": "a token of staging's own"}}
    production = site.small("production", "prod")
    production.secrets = {"bulkhead_secrets": {"TOKEN": "a token of production's own"}}
    plan = site.directory / "plan.json"

    site.write()  # once: encrypting the same secrets again gives another vault file

    def deploy(*arguments: str) -> str:
        """Deploy by the plan; returns the output in one line."""
        run = staging.deploy("-e", f"bulkhead_plan={plan}", *arguments, write=False)
        return f"exit {run.code}: {' '.join(run.output.split())}"

    # Without any password, as in a pull request.
    site.play(
        *("-e", f"bulkhead_plan={plan}", "-e", "bulkhead_plan_group=staging"),
        playbook="playbooks/plan.yml",
        passwords=[],
    ).succeeded()
    assert "a token of" not in plan.read_text()
    assert "is deployed with an approved plan only" in staging.deploy(write=False).output
    mallory.signs(plan)
    assert "its signature is not by a key of bulkhead_plan_signers (alice@example.com)" in deploy()
    assert containers(staging) == ""

    # What happens beside it does not void the approval.
    production.deploy(write=False).succeeded()
    alice.signs(plan)
    said = deploy()
    assert said.startswith("exit 0:") and "signed by alice@example.com" in said
    assert say(staging.prefix) == "hello" and say(production.prefix) == "hello"
    registered = site.directory / "machine-state/environments"
    entries = {path.parent.name: json.loads(path.read_text()) for path in registered.glob("*/environment.json")}
    assert [prefix for prefix, entry in entries.items() if "plan" in entry] == [staging.prefix]

    # Then a setting is another one than what she signed.
    staging.variables["bulkhead_env"] = {"SAY": "something else"}
    site.write()
    before = containers(staging)
    assert "not as planned: variables.bulkhead_env was planned as" in deploy()
    assert containers(staging) == before and say(staging.prefix) == "hello"
