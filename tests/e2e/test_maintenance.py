# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The maintenance page: up and away without a reload, seen before it is said, and in nobody's way."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from guide_stack import behind_nginx
from observe import ask, moment, running
from support import Place, Run, Site, docker, remove_project


def switch(place: Place, *arguments: str) -> Run:
    """Run the playbook; arguments are variables."""
    more = [word for argument in arguments for word in (("-e", argument) if "=" in argument else (argument,))]
    return place.site.play("-l", place.group, *more, playbook="playbooks/maintenance.yml")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Iterator[Place]:
    """nginx before the small server."""
    site = Site(tmp_path_factory.mktemp("maintenance"), projects())
    made = behind_nginx(site)
    made.deploy().succeeded()
    yield made
    remove_project(site.project)


def test_up_and_away(place: Place) -> None:
    """Every request gets 503 and the page, a POST too; verification and a deployment only mention it."""
    before = running(place.prefix)
    checked = switch(place, "bulkhead_maintenance=on", "--check").succeeded()
    assert checked.result("maintenance")["changed"] is True
    assert f"{place.prefix}: would do:\n  put the maintenance page up" in checked.output
    assert ask(place, "/").body == b"hello"
    run = switch(place, "bulkhead_maintenance=on").succeeded()
    assert f"{place.prefix} answers with its maintenance page" in run.output
    assert f"receipt of {place.prefix}, maintenance on" in run.output
    for method, path in (("GET", "/"), ("POST", "/form"), ("GET", "/static/x")):
        answer = ask(place, path, method)
        assert (answer.status, b"Back soon" in answer.body) == (503, True)
        assert answer.headers["X-Environment"] == place.prefix and answer.headers["Retry-After"] == "60"
    assert switch(place, "bulkhead_maintenance=on").succeeded().changed == 0
    verified = place.site.play("-l", place.group, playbook="playbooks/verify.yml").succeeded()
    assert "in-maintenance" in verified.output
    place.variables["bulkhead_env"] = {"SAY": "new"}
    deployed = place.deploy().succeeded()
    assert "in-maintenance" in deployed.output
    assert ask(place, "/").status == 503
    run = switch(place, "bulkhead_maintenance=off").succeeded()
    assert run.result("maintenance")["changed"] is True
    assert "maintenance off" in run.output and "in-maintenance" not in run.output
    assert ask(place, "/").body == b"new"
    assert running(place.prefix)[f"{place.prefix}_nginx"] == before[f"{place.prefix}_nginx"]


@pytest.mark.full
def test_a_page_of_ones_own_that_nobody_answers_with(place: Place) -> None:
    """Said only when it was seen: with nginx stopped it fails, and the page is not left behind."""
    page = place.site.directory / "own.html.j2"
    page.write_text("{{ bulkhead_environment }} rests\n")
    place.variables["bulkhead_maintenance_page"] = str(page)
    switch(place, "bulkhead_maintenance=on").succeeded()
    assert ask(place, "/").body == b"test rests\n"
    switch(place, "bulkhead_maintenance=off").succeeded()
    docker("stop", f"{place.prefix}_nginx")
    before = moment(place)
    try:
        assert (
            "does not answer: check whether the nginx container is healthy"
            in switch(place, "bulkhead_maintenance=on").error
        )
        assert moment(place) == before
    finally:
        docker("start", f"{place.prefix}_nginx")


def test_on_or_off(place: Place) -> None:
    """Nothing is guessed."""
    assert "bulkhead_maintenance is 'yes'" in switch(place, "bulkhead_maintenance=yes").error
