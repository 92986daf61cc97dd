# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Steps: data until somebody reads them, and what older versions kept."""

from __future__ import annotations

import json

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import Step, as_dicts, sentence, sentences

DOWN = Step("recreate", "p_db", "container", "its image changed", at_most=300)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Step("write", ".env", "file"), "write .env"),
        (Step("remove", "p_web", "container", "its service is gone"), "remove container p_web: its service is gone"),
        (Step("prepare", "p_web", "container", detail="migrate 100%"), "prepare p_web: migrate 100%"),
        (Step("prepare again", "p_web", reason="its data was restored"), "prepare p_web again: its data was restored"),
        (Step("make", kind="backup"), "make a backup"),
        (Step("make", "b", "backup", detail="no files yet"), "make the backup b; no files yet"),
        (Step("guard", "C", "firewall chain", detail="p"), "guard other environments' ports from p (firewall chain C)"),
        (DOWN, "recreate p_db: it is down until it is healthy again, for at most 300 s (its image changed)"),
        (DOWN._replace(seconds=0.0), "recreate p_db: it was down for 0.0 s"),
        (Step("rotate", "p_key"), "rotate p_key"),
    ],
)  # fmt: skip
def test_a_step_travels_as_data_and_is_worded_at_the_end(step: Step, said: str) -> None:
    travelled = json.loads(json.dumps(step.as_dict()))
    assert Step.read(travelled) == step and sentence(step) == said
    assert sentences(as_dicts([step])) == [said]


def test_only_what_is_set_travels() -> None:
    assert Step("write", ".env", "file").as_dict() == {"verb": "write", "target": ".env", "kind": "file"}


@pytest.mark.parametrize("kept", ["write .env", "recreate p_db: it was away for 1.2 s", "make 5% of it", ""])
def test_what_an_older_version_kept_is_said_as_it_was(kept: str) -> None:
    assert sentences([kept, {"verb": "start", "target": "p_web"}]) == [kept, "start p_web"]


def test_a_newer_version_may_have_kept_more() -> None:
    assert Step.read({"verb": "write", "target": ".env", "by": "somebody"}) == Step("write", ".env")
