# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may restore a protected environment's backup, and how it is sanitised, only that environment's variables say."""

from __future__ import annotations

from pathlib import Path

from support import Site


def test_staging_cannot_help_itself_to_production(site: Site, tmp_path: Path) -> None:
    """By ``-e`` or by its own variables. Control: with production's permission the backup itself is looked for."""
    production, staging = site.small("production", "prod", protected=True), site.small("staging", "staging")
    script = tmp_path / "nothing.sql"
    script.write_text("SELECT 1;")
    wanted = ["-l", "staging", "-e", "bulkhead_restore=latest", "-e", f"bulkhead_restore_from={production.prefix}"]
    wanted += ["-e", "bulkhead_restore_files=take"]

    def said(*more: str) -> str:
        return " ".join(site.play(*wanted, *more, playbook="playbooks/restore.yml").error.split())

    permission = (
        f"add {{prefix: {staging.prefix}}} to bulkhead_restore_readers in the group_vars of {production.prefix}"
    )
    assert permission in said()
    staging.variables["bulkhead_restore_readers"] = [{"prefix": staging.prefix, "files": "take"}]
    staging.variables["bulkhead_restore_sanitise"] = str(script)
    assert permission in said()
    for name, value in (("readers", f"[{{prefix: {staging.prefix}}}]"), ("sanitise", str(script))):
        assert f"-e sets bulkhead_restore_{name}" in said("-e", f"bulkhead_restore_{name}={value}")
    production.variables["bulkhead_restore_readers"] = [{"prefix": staging.prefix}]
    assert "lets" in said() and "take its files unchanged" in said()
    production.variables["bulkhead_restore_readers"] = [{"prefix": staging.prefix, "files": "take"}]
    assert "there is no backup" in said()
