# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a step does is shown while it runs: which container is waited for, and what it logged last. No secret is in it,
and nothing of it is left on the machine."""

from __future__ import annotations

import re

from observe import running
from support import SERVER, Site, health_check, only, web

SECRET = "hidden-in-this-test-4b1f"
#: A server that loads something first, says so, and says more than it should.
SLOW = f"""
import os, time
for number in range(24):
    print("loading part", number, os.environ["TOKEN"], "\\x1b[2J::error::forged", flush=True)
    time.sleep(0.5)
{SERVER}
"""
STORY = {"ANSIBLE_STDOUT_CALLBACK": "aiia.bulkhead.story", "BULKHEAD_STORY_INTERVAL": "1", "COLUMNS": "200"}


def test_a_container_that_is_slow_to_start(site: Site) -> None:
    """With the story somebody watches. What the container says cannot act on the screen."""
    slow = web(command=["python3", "-u", "-c", SLOW], healthcheck=health_check())
    place = site.small(services=only(web=slow), secrets={"bulkhead_secrets": {"TOKEN": SECRET}})
    run = place.deploy(environment=STORY).succeeded()
    waited = [line for line in run.output.splitlines() if re.match(r"… Converge to the release: \d+ s, ", line)]
    assert any(f"waiting for {place.prefix}_web: loading part" in line for line in waited), run.output
    assert "********" in " ".join(waited) and SECRET not in run.output and "\x1b" not in run.output
    assert list((site.directory / "machine-state").rglob("meanwhile/*.json")) == []
    assert running(place.prefix)
