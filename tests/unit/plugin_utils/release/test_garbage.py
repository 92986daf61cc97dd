# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A value with something in it that could end a word is refused, or reaches the artefacts in quotes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.forms import FORMS
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.resolve import declare
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.variables import optional, specification
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Release, Renderer
from unit.fleets import environment, read, write

#: What ends a word, a line, a quote or a block somewhere: in nginx, YAML, .env, a shell, SQL or an INI file.
EVIL = (
    ";",
    "{",
    "}",
    "$x",
    '"',
    "'",
    "\\",
    "#",
    "\n",
    "\t",
    " ",
    "|",
    "<",
    ">",
    "&",
    "%",
    "*",
    "?",
    "`",
    ",",
    ":",
    "(",
    "=",
)

#: Valid values of variables that have none by default.
VALID = {
    "bulkhead_acme_webroot": "/srv/acme",
    "bulkhead_backup_schedule": "daily",
    "bulkhead_bind_address": "127.0.0.1",
    "bulkhead_build_target": "runtime",
    "bulkhead_database_name": "app",
    "bulkhead_database_user": "app",
    "bulkhead_database_admin": "admin",
    "bulkhead_domains": ["prod.example.com"],
    "bulkhead_environment": "prod",
    "bulkhead_prefix": "app_prod",
    "bulkhead_project": "app",
}
#: A file of the controller, and the name of a template: which file is read is not what is written.
READ = {"bulkhead_nginx_template"}


def skeleton(release: Release) -> dict[str, list[str]]:
    """The first word of each line, directive and block of each file: one more or another one shows."""
    found = {}
    for file in release.files:
        parts = re.split(r"[\n;{}]", file.content)
        found[file.path] = [re.split(r"\W", part.strip())[0] for part in parts]
    return found


def test_the_skeleton_shows_what_a_value_adds(tmp_path: Path) -> None:
    """The control: with the same means, a template that quotes nothing is seen."""
    groups = {name: environment(name, 80, bulkhead_nginx_template="own.j2") for name in ("one", "two")}
    inventory = read(write(tmp_path / "inventory", groups))
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "own.j2").write_text("client_max_body_size {{ '1m' if inventory_hostname == 'one-host' else '1m; x' }};")
    renderer = Renderer(inventory.loader, [folder])
    found = []
    for group in groups:
        release = renderer.render(declare(inventory.environment(group, True), inventory.loader, renderer.templates))
        assert isinstance(release, Release)
        found.append(skeleton(release)[f"docker/nginx/{group}.conf"])
    assert found == [["client_max_body_size", ""], ["client_max_body_size", "x", ""]]


def damaged(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [[item] for item in damaged(value[0])]
    middle = len(value) // 2
    return [value[:middle] + evil + value[middle:] for evil in EVIL] + [f"{value}\n"]


def test_garbage_is_refused_or_in_quotes(tmp_path: Path) -> None:
    clean = {**environment("prod"), **VALID}
    groups: dict[str, Any] = {"clean": clean}
    for name, spec in specification().items():
        value = clean.get(name, "" if name in optional() else "app")
        if name in FORMS and name not in READ and spec["type"] in ("str", "path", "list") and value:
            for wrong in damaged(value):
                if FORMS[name].problem(wrong[0] if isinstance(wrong, list) else wrong) == "":
                    groups[f"g{len(groups)}"] = {**clean, name: wrong}
    assert 20 < len(groups) < 400
    inventory = read(write(tmp_path, groups))
    renderer = Renderer(inventory.loader)
    made = {}
    for group in groups:
        declaration = declare(inventory.environment(group, True), inventory.loader, renderer.templates)
        if not declaration.usable:
            assert all(problem.fix for problem in declaration.problems)
            continue
        release = renderer.render(declaration)
        assert isinstance(release, Release), (groups[group], declaration.problems)
        made[group] = skeleton(release)
    assert len(made) > len(groups) // 2
    for group, found in made.items():
        assert found == made["clean"], {key: value for key, value in groups[group].items() if clean.get(key) != value}
