# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file for node_exporter: what Prometheus reads in it, who writes it, and who is not hindered by it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates.store import Store
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.metrics import HELP, Metrics, exposition
from prometheus_client.parser import text_string_to_metric_families
from unit.module_utils.certificates.issuer import Issuer

OURS = "aiia_staging"
KNOWN = {
    "project": "aiia",
    "environment": "staging",
    "release": "20260110T000000Z-1",
    "commit": "a" * 40,
    "bulkhead_release_timestamp_seconds": 1768003200,
    "bulkhead_healthy": 1,
    "bulkhead_drift": 0,
    "bulkhead_observed_timestamp_seconds": 1768003200.5,
    "bulkhead_backup_timestamp_seconds": 1768000000,
    "bulkhead_certificate_expiry_timestamp_seconds": 1775000000,
}


def parsed(text: str) -> dict[str, tuple[dict[str, str], float]]:
    """The samples by name, as Prometheus's own parser reads them."""
    families = list(text_string_to_metric_families(text))
    assert [family.type for family in families] == ["gauge"] * len(families)
    return {sample.name: (dict(sample.labels), sample.value) for family in families for sample in family.samples}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "collector").mkdir()
    return tmp_path / "collector"


@pytest.fixture
def metrics(tmp_path: Path) -> Metrics:
    return Metrics(OURS, str(tmp_path / "state"))


def test_prometheus_reads_all_of_it() -> None:
    found = parsed(exposition(OURS, KNOWN))
    assert set(found) == set(HELP)
    for name, (labels, value) in found.items():
        assert labels["prefix"] == OURS
        assert value == (1 if name == "bulkhead_environment_info" else KNOWN[name])
    labels = found["bulkhead_environment_info"][0]
    assert labels == {"prefix": OURS, **{name: KNOWN[name] for name in ("project", "environment", "release", "commit")}}


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\nb", 'a\\"} 1\nforged_metric{x="', "ü€😀", "\\n"])
def test_a_label_says_what_it_is_given_and_nothing_else(text: str) -> None:
    found = parsed(exposition(OURS, {**KNOWN, "release": text}))
    assert set(found) == set(HELP)
    assert found["bulkhead_environment_info"][0]["release"] == text


@pytest.mark.parametrize("value", [None, "12", "1\nforged 2", True, [1]])
def test_what_is_not_a_number_is_left_out(value: object) -> None:
    found = parsed(exposition(OURS, {**KNOWN, "bulkhead_healthy": value}))
    assert set(found) == set(HELP) - {"bulkhead_healthy"}


def test_a_deployment_writes_and_others_bring_up_to_date(metrics: Metrics, place: Path, tmp_path: Path) -> None:
    assert metrics.note(bulkhead_backup_timestamp_seconds=1) == "" and not metrics.exists
    assert list(place.iterdir()) == []
    (place / "bulkhead_aiia_prod.prom").write_text("# another environment's\n")
    assert metrics.bring(str(place), KNOWN) == "" and metrics.exists
    file = place / f"bulkhead_{OURS}.prom"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert Metrics(OURS, str(tmp_path / "state")).note(bulkhead_backup_timestamp_seconds=1769000000) == ""
    found = parsed(file.read_text())
    assert found["bulkhead_backup_timestamp_seconds"][1] == 1769000000
    assert found["bulkhead_healthy"][1] == 1
    assert sorted(path.name for path in place.iterdir()) == ["bulkhead_aiia_prod.prom", file.name]
    assert (place / "bulkhead_aiia_prod.prom").read_text() == "# another environment's\n"


def test_it_moves_and_goes(metrics: Metrics, place: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    metrics.bring(str(place), KNOWN)
    metrics.bring(str(other), KNOWN)
    assert list(place.iterdir()) == [] and [path.name for path in other.iterdir()] == [f"bulkhead_{OURS}.prom"]
    assert metrics.remove() == "" and list(other.iterdir()) == [] and not metrics.exists


def test_a_place_where_it_cannot_be_is_told_and_fails_nobody(metrics: Metrics, place: Path) -> None:
    (place / "file").write_text("")
    assert "the metrics of aiia_staging cannot be written" in metrics.bring(str(place / "file"), KNOWN)


def test_a_link_in_its_place_is_replaced_and_not_followed(metrics: Metrics, place: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("untouched")
    (place / f"bulkhead_{OURS}.prom").symlink_to(tmp_path / "victim")
    metrics.bring(str(place), KNOWN)
    assert (tmp_path / "victim").read_text() == "untouched"
    assert not (place / f"bulkhead_{OURS}.prom").is_symlink()


@pytest.mark.parametrize("content", ["", "[]", "{}", "{", json.dumps({"directory": 1}), json.dumps({"directory": ""})])
def test_what_is_kept_may_be_damaged(metrics: Metrics, place: Path, tmp_path: Path, content: str) -> None:
    metrics.bring(str(place), KNOWN)
    (tmp_path / "state/metrics" / f"{OURS}.json").write_text(content)
    assert not metrics.exists and metrics.note(bulkhead_drift=1) == ""
    assert metrics.bring(str(place), KNOWN) == "" and metrics.exists


def test_a_new_certificate_says_until_when(metrics: Metrics, place: Path, tmp_path: Path) -> None:
    metrics.bring(str(place), {})
    store = Store(OURS, str(tmp_path / "state"))
    store.keep(Issuer().text("staging.example.com"))
    found = parsed((place / f"bulkhead_{OURS}.prom").read_text())
    assert found["bulkhead_certificate_expiry_timestamp_seconds"][1] > 1768003200
