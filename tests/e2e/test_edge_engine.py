# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The front door while its engine restarts: it goes on where the engine keeps containers, and else comes back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import Engine
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.door import Door
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.routes import DoorSettings
from door import IMAGE, Module, Stage, contexts, free_ports
from observe import eventually
from private_engine import PrivateEngine, private_engine


@pytest.fixture(params=[True, False], ids=["live-restore", "default"])
def keeps(request: pytest.FixtureRequest) -> bool:
    """Whether the engine keeps containers running while it is away, as the role ``engine`` sets it up."""
    return bool(request.param)


@pytest.fixture
def engine(keeps: bool) -> Iterator[PrivateEngine]:
    with private_engine([IMAGE], **{"live-restore": keeps}) as made:
        yield made


@contextlib.contextmanager
def staged(folder: Path, engine: PrivateEngine) -> Iterator[Stage]:
    """A door of this engine, before two environments."""
    http, https = free_ports(2)
    made = Stage(folder / "state", DoorSettings(http, https, ("127.0.0.1",)), *contexts(folder))
    made.engine = Engine(Module(), engine.address)
    made.door = Door(made.engine, str(made.state))
    try:
        made.machine().bring()
        for prefix in ("production", "staging"):
            made.stand(prefix)
            made.door.publish(made.route(prefix))
        yield made
    finally:
        made.end()


def test_an_engine_that_restarts(engine: PrivateEngine, keeps: bool, tmp_path: Path) -> None:
    """A deployment afterwards finds the door as it was; the first connection that is taken is answered."""
    # One thread stays where the engine's ports are.
    with staged(tmp_path, engine) as tested, ThreadPoolExecutor(1, initializer=engine.enter_network) as inside:

        def said(name: str) -> str:
            with contextlib.suppress(ConnectionRefusedError):
                return inside.submit(tested.https, f"{name}.test").result()
            return ""

        assert said("production") == "production/0123456789ab 127.0.0.1"
        engine.stop()
        assert said("staging").startswith("staging") is keeps
        engine.start()
        assert eventually(lambda: said("staging"), 30).startswith("staging")
        assert said("production").startswith("production")
        assert tested.door.live() == tested.door.routes() != {}
        assert tested.machine().bring() == []
        tested.stand("third")
        assert tested.door.publish(tested.route("third")) and said("third").startswith("third")
