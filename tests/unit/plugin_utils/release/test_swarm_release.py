# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release of a stack as a manager takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Release, with_commit
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.swarm_files import UNREAD
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.swarm_release import (
    data_label,
    images,
    pinned,
    shipped,
    sources,
)
from unit.plugin_utils.release.test_swarm import COMMIT, attempted, one, rendered


def pins(release: Release) -> dict[str, str]:
    return {image: f"{image}@sha256:{'5' * 64}" for image in images(release)}


def ready(tmp_path: Path, **variables: Any) -> Release:
    """A whole release with its images pinned."""
    declaration, release = attempted(tmp_path, **variables)
    release = with_commit(release, declaration, COMMIT)
    return pinned(release, pins(release), {})


def test_the_default_stack(tmp_path: Path) -> None:
    """Its database comes first, its migration is a job without ports or names of its service."""
    release = ready(tmp_path)
    found = shipped(release)
    assert set(found["foundation"]) == {"pgbouncer", "postgresql", "redis"}
    assert set(yaml.safe_load(found["foundation_text"])["services"]) == set(found["foundation"])
    (job, *_others) = found["jobs"]
    (definition,) = yaml.safe_load(job["text"])["services"].values()
    assert definition["deploy"]["mode"] == "replicated-job" and definition["command"] == job["command"]
    assert "ports" not in definition and "healthcheck" not in definition
    assert "update_config" not in definition["deploy"] and definition["networks"] == ["default"]
    assert definition["deploy"]["labels"]["io.bulkhead.prefix"] == "app_prod"
    assert data_label(release, "app_prod") == "io.bulkhead.data.app_prod"


def test_only_digests_are_shipped(tmp_path: Path) -> None:
    services = yaml.safe_load(shipped(ready(tmp_path))["text"])["services"].values()
    assert all("@sha256:" in service["image"] for service in services)


def test_what_is_kept_needs_no_file(tmp_path: Path) -> None:
    """Configs and secrets are those of the swarm; the same ones that were made."""
    found = shipped(ready(tmp_path))
    kept, made = yaml.safe_load(found["kept_text"]), yaml.safe_load(found["text"])
    for section in ("configs", "secrets"):
        assert all(entry["external"] is True and "file" not in entry for entry in kept[section].values())
        assert sorted(entry["name"] for entry in made[section].values()) == found[section]
    assert kept["services"] == made["services"]


def test_a_setting_changes_who_reads_it(tmp_path: Path) -> None:
    before, after = (
        shipped(ready(tmp_path / name, bulkhead_env={"GREETING": name}))["definitions"] for name in ("a", "b")
    )
    assert [key for key in before if before[key] != after[key]] == ["django_prod"]


def test_files_that_only_the_manager_has(tmp_path: Path) -> None:
    tls = {f"bulkhead_tls_{what}_path": f"/etc/tls/{what}.pem" for what in ("certificate", "key")}
    release = ready(tmp_path, **tls)
    paths = [file["path"] for file in sources(release)]
    assert len(paths) == 2
    found = pinned(release, {}, dict.fromkeys(paths, "0123456789"))
    assert UNREAD in release.file(release.compose_file).content
    assert UNREAD not in found.file(found.compose_file).content
    stack = yaml.safe_load(found.file(found.compose_file).content)
    mounted = {mount["source"] for mount in stack["services"]["nginx"]["secrets"]}
    assert mounted <= set(stack["secrets"]) and any(name.endswith("0123456789") for name in mounted)


def test_a_stack_without_data(tmp_path: Path) -> None:
    release = rendered(tmp_path, **one())
    assert data_label(release, "app_prod") == "" and shipped(release)["jobs"] == []
