# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An engine that goes away in the middle of a deployment and comes back; a private one, so that nobody else is hurt."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from guide_stack import IMAGES
from interruption import STEPS, Visitor, assert_whole, interrupted, rolling_place
from observe import running
from private_engine import PrivateEngine, private_engine
from sabotage import Meanwhile, done, idle, is_held, let_time_pass, words
from support import IMAGE, Site, only

#: An address that nobody has (RFC 5737). Ports of 127.0.0.1 go with the engine, whose own proxy serves those.
ADDRESS = "192.0.2.1"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateEngine]:
    """A private engine that keeps its containers when it goes away, as role engine sets it up."""
    with private_engine([IMAGE, IMAGES["nginx"]["image"]], **{"live-restore": True}) as made:
        subprocess.run([*made.inside, "ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"], check=True)
        monkeypatch.setenv("DOCKER_HOST", made.address)
        yield made


def within(engine: PrivateEngine, do: Callable[[], Any]) -> None:
    """Do something where the engine publishes ports."""

    def act() -> None:
        engine.enter_network()
        do()

    with Meanwhile(lambda: True, act):
        pass


@pytest.mark.parametrize(
    "steps", [pytest.param(("preparing", "replaced"), id="two"), pytest.param(STEPS, id="each", marks=pytest.mark.full)]
)
def test_kill_9_of_the_engine_in_steps(site: Site, engine: PrivateEngine, steps: Sequence[str]) -> None:
    """Requests wait until it is back, and none fails. The run that met it ends with one error and without its lock;
    each has to cope with what the one before left."""
    site.everyone["bulkhead_docker_host"] = engine.address
    theirs = site.small("production", "prod", services=only(web=idle()))
    ours = rolling_place(site, bind_address=ADDRESS)
    theirs.deploy(before=engine.inside).succeeded()
    ours.deploy(before=engine.inside).succeeded()
    bystander = running(theirs.prefix)
    with Visitor(ours, engine.enter_network) as visitor:
        for number, step in enumerate(steps, 1):
            with interrupted(ours, str(number), step, engine.inside) as process:
                engine.kill()
                time.sleep(2)  # as systemd does
                engine.start()
                code = process.wait(180)
            log = (site.directory / "killed.log").read_text()
            assert code != 0 and log.count("fatal: ") == 1 and "Traceback" not in log, log
            assert "cannot be reached" in log and "The previous release serves again" in log, log
            assert not is_held(ours), step
        ours.variables["bulkhead_env"] = {"SAY": "last"}
        ours.deploy(before=engine.inside).succeeded()
    visitor.was_served([*range(len(steps) + 1), "last"])
    assert len(visitor.answers) > 8 * len(steps)
    assert running(theirs.prefix) == bystander
    within(engine, lambda: assert_whole(ours, "last"))
    assert ours.deploy(before=engine.inside).succeeded().changed == 0


@pytest.mark.full
def test_the_engine_is_started_again_between_two_steps(site: Site, engine: PrivateEngine) -> None:
    """A bystander that comes up again with the engine is no change; the next run puts right what was cut short."""
    site.everyone["bulkhead_docker_host"] = engine.address
    theirs = site.small("production", "prod", services=only(web=idle(volumes=["data:/data"])))
    ours = site.small("staging", "staging", services=only(web=idle()))
    theirs.deploy().succeeded()
    ours.deploy().succeeded()
    engine.docker("exec", f"{theirs.prefix}_web", "sh", "-c", "echo kept > /data/word")
    ours.variables["bulkhead_services"] = only(web=idle(labels={"changed": "yes"}))

    def again() -> None:
        engine.stop()
        engine.start()

    with Meanwhile(lambda: done(site, "preflight"), again):
        run = ours.deploy()
    said = words(run.output)
    assert "BYSTANDERS CHANGED" not in said and "changed: " + theirs.prefix not in said, run.output
    if run.code != 0:
        assert "cannot be reached" in said or "did not get healthy" in said or "docker" in said, run.output
        assert "Traceback" not in run.output
    if is_held(ours):
        let_time_pass(ours)
    after = ours.deploy().succeeded()
    assert after.result("verify")["receipt"]["bystanders"] == [theirs.prefix]
    assert engine.docker("exec", f"{theirs.prefix}_web", "cat", "/data/word") == "kept"
    assert engine.docker("inspect", "--format", '{{index .Config.Labels "changed"}}', f"{ours.prefix}_web") == "yes"
