# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each example of variables in the documentation is one that Bulkhead takes and renders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Renderer
from checkout import ROOT
from unit.fleets import declared, read

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

#: What a reader has elsewhere or puts in the place of "…": the page, and the variable that cannot be judged without.
OF_THE_READER = {
    ("approval.md", "bulkhead_plan_signers"),
    ("backups.md", "bulkhead_backup_recipients"),
    ("operations.md", "bulkhead_command_env.DJANGO_SUPERUSER_PASSWORD"),
    ("secrets.md", "bulkhead_secret_files.STRIPE_KEY"),
    ("secrets.md", "bulkhead_secrets.SECRET_KEY"),
    ("secrets.md", "bulkhead_secrets.STRIPE_KEY"),
    ("watching.md", "bulkhead_notify_headers.Authorization"),
}


def examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each text of a page that sets variables of ours, with the page's name."""
    for page in PAGES:
        for text in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            found = yaml.safe_load(text) if re.search(r"^bulkhead_", text, re.MULTILINE) else None
            if isinstance(found, dict):
                yield page.name, found


EXAMPLES = list(examples())


def wrong(directory: Path, page: str, variables: dict[str, Any]) -> list[str]:
    """What is wrong with an example in an environment that has everything else."""
    base: dict[str, Any] = {"bulkhead_source_repository": None} if "bulkhead_image" in variables else {}
    if "bulkhead_acme" in variables:
        base |= {"bulkhead_tls_certificate_path": None, "bulkhead_tls_key_path": None}
    declaration = declared(directory, **{**base, **variables})
    rendered = Renderer(read(directory / "inventory").loader).render(declaration)
    problems = [found for found in declaration.problems if (page, found.resource) not in OF_THE_READER]
    return [f"{found.resource}: {found.message}" for found in problems] + ["not rendered"] * (rendered is None)


@pytest.mark.parametrize(
    ("page", "variables"), EXAMPLES, ids=[f"{page}-{next(iter(found))}" for page, found in EXAMPLES]
)
def test_an_example_is_taken(page: str, variables: dict[str, Any], tmp_path: Path) -> None:
    assert wrong(tmp_path, page, variables) == []


def test_there_are_examples(tmp_path: Path) -> None:
    """The control: they are found, and a name that has no meaning is."""
    assert len(EXAMPLES) > 20
    [found] = wrong(tmp_path, "tuning.md", {"bulkhead_postgres_settings": {}})
    assert "Bulkhead has no variable bulkhead_postgres_settings" in found
