# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role's own templates give the same whether Jinja itself or Ansible's engine evaluates them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration import own_templates, templates
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.variables import ROLE, defaults
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Renderer, with_commit
from unit.fleets import declarations, environment, read, write

SWARM = {
    "bulkhead_engine": "swarm",
    "bulkhead_swarm": "main",
    "bulkhead_registry": "registry.example.com/shop",
}
KINDS: dict[str, dict[str, Any]] = {
    "default": {},
    "several domains": {"bulkhead_domains": ["prod.example.com", "www.prod.example.com"]},
    "front door": {"bulkhead_edge": True, "bulkhead_http_port": 80, "bulkhead_https_port": 443},
    "acme": {"bulkhead_acme": True, "bulkhead_acme_email": "ops@example.com"},
    "internal network": {"bulkhead_internal_network": True, "bulkhead_app_user": "1000:1000"},
    "swarm": SWARM,
    "protected": {"bulkhead_protected": True, "bulkhead_http_port": 80, "bulkhead_https_port": 443},
    "no nginx": {"bulkhead_services": {"nginx": None}},
    "no files": {"bulkhead_static_root": "", "bulkhead_media_root": ""},
    "empty": {"bulkhead_prepare": [], "bulkhead_environment_header": "", "bulkhead_database_user": ""},
    "odd secrets": {
        "bulkhead_secrets": {
            "SECRET_KEY": "{{ not a template }} {% raw %}",
            "DB_PASSWORD": 'it\'s "quoted" \\ back/slash',
            "POSTGRES_PASSWORD": "zwölf\u00a0und ☃",
            "REDIS_PASSWORD": "a b%/+?#",
        }
    },
    "made of others": {"bulkhead_database_name": "{{ bulkhead_project }}_{{ bulkhead_environment }}_x"},
    "wrong": {"bulkhead_project": ["a", None], "bulkhead_http_port": "eighty"},
    "seldom": {"bulkhead_storage_path": "/srv/x", "bulkhead_health_path": "/up?a=1&b='2'", "bulkhead_hsts_max_age": 5},
}


def written(directory: Path, **variables: Any) -> Path:
    """The inventory of one environment with these variables."""
    return write(directory, {"production": environment("prod", 8080, **{"bulkhead_project": "shop", **variables})})


def everything(directory: Path, opened: bool) -> Any:
    """The values, the problems and the files of an environment."""
    inventory = read(directory)
    declaration = declarations(inventory, opened)["production"]
    release = Renderer(inventory.loader).render(declaration, inert=not opened) if declaration.usable else None
    return declaration.values, declaration.problems, release and release.files


@pytest.mark.parametrize("opened", [True, False], ids=["to deploy", "others"])
@pytest.mark.parametrize("kind", KINDS)
def test_both_engines_agree(kind: str, opened: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory = written(tmp_path / "inventory", **KINDS[kind])
    ours = everything(inventory, opened)
    monkeypatch.setattr(templates, "evaluated", lambda *_given: own_templates.UNKNOWN)
    assert everything(inventory, opened) == ours


def test_only_the_roles_own_texts_go_without_ansibles_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: each of them does, and gives a result."""
    seen: dict[str, Any] = {}

    def note(text: str, variables: Any) -> Any:
        seen[str(text)] = own_templates.evaluated(text, variables)
        return seen[str(text)]

    monkeypatch.setattr(templates, "evaluated", note)
    theirs = {"bulkhead_owner": "{{ bulkhead_project }}-owner", "bulkhead_env": {"A": "{{ bulkhead_prefix }}"}}
    everything(written(tmp_path / "inventory", **theirs), False)
    files = {path.read_text() for path in (ROLE / "templates").glob("*.j2")}
    usual = {
        str(value) for value in defaults(read(tmp_path / "inventory").loader).values() if templates.is_template(value)
    }
    assert {*seen} <= files | usual
    assert usual <= {*seen}
    assert len(files & {*seen}) > 5
    assert own_templates.UNKNOWN not in seen.values()


def test_a_users_template_of_the_same_name_goes_through_ansibles_engine(tmp_path: Path) -> None:
    """Only there is a lookup refused by name."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "redis.conf.j2").write_text("{{ lookup('env', 'HOME') }}")
    inventory = read(written(tmp_path / "inventory"))
    declaration = declarations(inventory, opened=False)["production"]
    Renderer(inventory.loader, [tmp_path / "templates"]).render(declaration, inert=True)
    assert "lookup" in declaration.sealed["template redis.conf.j2"]


@pytest.mark.parametrize("text", ["{{ missing }}", "{{ a | missing }}", "{{ 1 // 0 }}", "{{ a.b }}"])
def test_an_error_is_left_to_ansibles_engine(text: str) -> None:
    assert own_templates.evaluated(text, {"a": {}}) is own_templates.UNKNOWN


def test_defaults_that_are_no_templates_stay_as_they_are(tmp_path: Path) -> None:
    """All environments of a fleet share them."""
    inventory = read(written(tmp_path / "inventory"))
    declaration = declarations(inventory)["production"]
    before = repr(declaration.values)
    release = Renderer(inventory.loader).render(declaration)
    assert release is not None
    assert with_commit(release, declaration, "4f2a91c0" * 5).files
    again = declarations(inventory)["production"]
    assert repr(again.values) == before
    assert again.values["bulkhead_compose"] is declaration.values["bulkhead_compose"]
