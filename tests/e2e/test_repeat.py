# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deploying again, in check mode, and beside another environment, on the guide's stack."""

from __future__ import annotations

from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import sentences
from guide_stack import SERVICES, Guide
from observe import moment


def test_check_mode_before_the_first_deployment(guide: Guide) -> None:
    """Says what it would do, in words and as a diff, and makes nothing: no directory, object or image."""
    run = guide.check_before.succeeded()
    before, after = guide.nothing_there
    assert before == after
    assert after.files == {} and after.containers == {} and after.images == []
    assert run.changed == 2
    steps = sentences(run.result("converge")["steps"])
    assert {f"start {guide.production.prefix}_{service}" for service in SERVICES} <= set(steps)
    assert "write .env" in steps and "write docker-compose.prod.yml" in steps
    assert "server_name eduaiia.com www.eduaiia.com;" in run.output


def test_the_first_deployment_shows_its_files_and_no_secret(guide: Guide) -> None:
    """The diff of the first deployment is of whole files; those with secrets are only named."""
    for place, run in zip(guide.both, (guide.first, guide.second), strict=True):
        assert "(its content is secret and not shown)" in run.output
        assert "POSTGRES_PASSWORD_FILE" in run.output
        for secret in (*place.secrets["bulkhead_secrets"].values(), place.secrets["bulkhead_tls_key"].splitlines()[1]):
            assert secret not in run.output


def test_the_other_environment_is_untouched(guide: Guide) -> None:
    """Deploying staging left production as it was, to the container id, start time, restart count and file."""
    alone, beside = guide.bystander
    assert len(alone.containers) == len(SERVICES)
    assert beside == alone


def test_a_second_run_changes_nothing(guide: Guide) -> None:
    """Neither a deployment nor a check finds anything to do."""
    before = [moment(place, without=()) for place in guide.both]
    run = guide.production.deploy(passwords=["production"]).succeeded()
    check = guide.production.deploy("--check", "--diff", passwords=["production"]).succeeded()
    assert run.changed == 0 and "changed=0" in run.output
    assert check.changed == 0
    assert run.result("converge")["containers"] == dict.fromkeys(before[0].containers, "healthy")
    assert _without_fetch(guide) == [
        {path: what for path, what in earlier.files.items() if not path.startswith("code/.git/")} for earlier in before
    ]
    assert [moment(place).containers for place in guide.both] == [earlier.containers for earlier in before]


def _without_fetch(guide: Guide) -> list[dict[str, tuple[str, str]]]:
    """Files now; fetching rewrites git's own notes even where nothing is new."""
    return [
        {path: what for path, what in moment(place, without=()).files.items() if not path.startswith("code/.git/")}
        for place in guide.both
    ]


def test_check_mode_after_a_change(guide: Guide) -> None:
    """A changed setting and a changed nginx value are shown as what they would do, and nothing happens."""
    place = guide.staging
    before = moment(place, without=())
    kept = dict(place.variables)
    place.variables |= {"bulkhead_env": {"GREETING": "between us"}, "bulkhead_nginx_body_size": "33m"}
    try:
        run = place.deploy("--check", "--diff").succeeded()
    finally:
        place.variables = kept
    assert moment(place, without=()) == before
    assert run.changed == 1
    assert "+    client_max_body_size 33m;" in run.output
    assert "-    client_max_body_size 20m;" in run.output
    assert "+GREETING (another value, which is not shown)" in run.output
    assert "between us" not in run.output, "settings may be as private as secrets: their values are never shown"
    steps = sentences(run.result("converge")["steps"])
    assert {"write .env", "write docker/nginx/staging.conf"} <= set(steps)
    assert f"bring changed files to {place.prefix}_nginx" in steps
