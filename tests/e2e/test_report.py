# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report's page beside the guide's real servers: from the plan alone, with what the machine says, and with one that
gives no answer. It needs no password of a vault and changes nothing."""

from __future__ import annotations

from guide_stack import Guide
from observe import containers, moment


def page(guide: Guide, *options: str, code: int = 0) -> str:
    """The page that a run writes."""
    path = guide.site.directory / "page.html"
    path.unlink(missing_ok=True)
    given = ("-e", f"bulkhead_report={path}", *options)
    run = guide.site.play(*given, playbook="playbooks/report.yml", passwords=[])
    assert run.code == code, run.output
    assert run.changed == 0
    return path.read_text(encoding="utf-8")


def test_the_plan_alone_and_with_the_machine(guide: Guide) -> None:
    before = [moment(place, without=()) for place in guide.both]
    paper = page(guide)
    assert "The machines now" not in paper and "no machine was contacted" in paper
    shown = page(guide, "-e", "bulkhead_report_live=true")
    assert "no machine was contacted" not in shown
    section = shown[shown.index("The machines now") :]
    for place in guide.both:
        assert all(f"<code>{name}</code>" in section for name in containers(place.prefix)), section[:3000]
        assert f'<code>{place.prefix}</code> <span class="good">well</span>' in section, section[:3000]
        mine = section[section.index(f"<summary><code>{place.prefix}</code>") :]
        mine = mine[: mine.index("</details>")]
        assert "in force" in mine and "Deployment" in mine and 'class="done"' in mine
    commit = guide.commits[guide.staging.variables["bulkhead_source_branch"]]
    assert commit[:12] in section
    words = [word for place in guide.both for word in place.secrets["bulkhead_secrets"].values()]
    assert words and not any(word in shown for word in words)
    assert [moment(place, without=()) for place in guide.both] == before


def test_an_engine_that_gives_no_answer(guide: Guide) -> None:
    """Staging's engine is elsewhere: its own line says so, and production is shown all the same."""
    staging = guide.staging
    staging.variables["bulkhead_docker_host"] = "unix:///nowhere/docker.sock"
    try:
        shown = page(guide, "-e", "bulkhead_report_live=true")
    finally:
        del staging.variables["bulkhead_docker_host"]
        guide.site.write()
    assert f'<code>{staging.prefix}</code> <span class="bad">unreachable</span>' in shown
    assert f'<code>{guide.production.prefix}</code> <span class="good">well</span>' in shown
