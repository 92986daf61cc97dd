# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Role environment: its variables are declared once, and documented as they are."""

from __future__ import annotations

from unit.roles.variables_table import README, defaults, specification, with_table


def test_every_variable_is_required_or_has_a_default() -> None:
    required = {name for name, spec in specification().items() if spec.get("required")}
    without = set(specification()) - set(defaults())
    conditional = {"bulkhead_http_port", "bulkhead_https_port"}  # required unless the service nginx is left out
    assert without == required | conditional
    assert set(defaults()) <= set(specification())


def test_all_variables_are_public_and_described() -> None:
    for name, spec in specification().items():
        assert name.startswith("bulkhead_")
        assert spec["type"]
        text = spec["description"] if isinstance(spec["description"], str) else spec["description"][0]
        assert text.endswith("."), name


def test_the_readme_is_not_stale() -> None:
    """`.venv/bin/python tests/unit/roles/variables_table.py` writes its table anew."""
    text = README.read_text(encoding="utf-8")
    assert text == with_table(text)
