# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of docs/application.md, from the defaults and from a rendered environment.

.venv/bin/python tests/unit/plugin_utils/release/contract_page.py     # writes them anew
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = next(parent for parent in Path(__file__).resolve().parents if (parent / "galaxy.yml").is_file())
sys.path.insert(0, str(ROOT / "tests"))

import checkout  # noqa: E402

checkout.install()

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.model import Declaration  # noqa: E402
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Release, Renderer  # noqa: E402
from hazards.pages import cell  # noqa: E402
from unit.fleets import declared, read  # noqa: E402

PAGE = ROOT / "docs" / "application.md"

#: What stands for a secret.
_HIDDEN = "…"

#: What the application has to do, by the variable that says it otherwise: what, why, and what happens without it.
EXPECTED: Mapping[str, tuple[str, str, str]] = {
    "bulkhead_app_port": (
        "a server on all addresses (`0.0.0.0`) of this port, which is `PORT` in `.env`",
        "nginx reaches it over the environment's network",
        'the health check fails with "Connection refused"',
    ),
    "bulkhead_health_path": (
        "an answer with status 200 at this path",
        "it decides when a release gets requests",
        "the release never gets healthy, and the one before goes on serving; or set a `healthcheck` of your own",
    ),
    "bulkhead_static_root": (
        "static files in this directory, put there by `bulkhead_prepare` (`collectstatic`)",
        "nginx serves `/static/` from there",
        "`/static/` answers 404, which a deployment and `verify` report; empty for an application that serves them "
        "itself",
    ),
    "bulkhead_media_root": (
        "uploads in this directory",
        "nginx serves `/media/` from there to everybody, the volume outlives releases, and backups have it",
        "uploads stay in the container, go with the next release, and are in no backup, which `verify` reports; empty "
        "for uploads that not everybody may read",
    ),
    "bulkhead_storage_path": (
        "this directory in the image, owned by the user who runs it",
        "the volume of both is here, and a new volume takes owner and mode from the image",
        "the application cannot write: `RUN mkdir -p /srv/storage && chown app /srv/storage`",
    ),
    "bulkhead_app_user": (
        "a user who needs no capability (any, root included)",
        "every service drops all capabilities",
        '"Operation not permitted" ([below](#images-with-a-health-check-or-an-entry-point-of-their-own))',
    ),
    "bulkhead_prepare": (
        "commands that bring a database and files to this version",
        "they run once for each image, before it gets requests",
        "empty for an application that has none",
    ),
}

#: What each name of `.env` is, in the order of the page.
GIVEN: Mapping[str, str] = {
    "ENVIRONMENT": "`bulkhead_environment`",
    "PORT": "`bulkhead_app_port`: where the application listens",
    "WEB_CONCURRENCY": "the number of worker processes that the [limits of the service](tuning.md) have room for",
    "ALLOWED_HOSTS": "`bulkhead_domains`",
    "CSRF_TRUSTED_ORIGINS": "the same as origins, with the port that browsers show",
    "STATIC_ROOT": "`bulkhead_static_root`; absent where that is empty",
    "MEDIA_ROOT": "`bulkhead_media_root`; absent where that is empty",
    "SECRET_KEY": "from `bulkhead_secrets`, as every other name there",
    "DB_HOST": "the database, by way of pgbouncer",
    "DB_PORT": "",
    "DB_NAME": "`bulkhead_database_name`",
    "DB_USER": "another one with each password, so take it from here ([why](secrets.md#what-the-deployment-does))",
    "DB_PASSWORD": "from `bulkhead_secrets`",
    "REDIS_URL": "Redis, with its password",
    "REDIS_HOST": "",
    "REDIS_PORT": "",
    "REDIS_PASSWORD": "from `bulkhead_secrets`",
    "COMPOSE_PROJECT_NAME": "for `docker compose` typed by hand; the application does not need it",
}


def example(directory: Path) -> tuple[Declaration, Release]:
    """The environment that the page shows: staging of a shop, with nothing but what must be set."""
    declaration = declared(
        directory,
        everyone={"bulkhead_project": "shop"},
        bulkhead_environment="staging",
        bulkhead_domains=["staging.shop.example.com"],
        bulkhead_http_port=8080,
        bulkhead_https_port=8443,
        bulkhead_database_login="{{ bulkhead_database_user }}",
    )
    release = Renderer(read(directory / "inventory").loader).render(declaration)
    if release is None:
        raise ValueError(declaration.problems)
    return declaration, release


def expected(declaration: Declaration) -> str:
    """What the application has to do, each with its variable and default. Raises KeyError for an unknown one."""
    lines = ["| variable | default | it expects | why | otherwise |", "|---|---|---|---|---|"]
    for name, words in EXPECTED.items():
        value = declaration.values[name]
        shown = "the image's own" if value == "" else "Django's" if isinstance(value, list) else f"`{value}`"
        lines.append(f"| `{name}` | {shown} | {' | '.join(map(cell, words))} |")
    return "\n".join(lines) + "\n"


def given(release: Release) -> str:
    """What is in `.env`. Raises KeyError for a name that nobody described, and ValueError for one that is not there."""
    settings = {line.key: line for line in release.settings}
    if absent := GIVEN.keys() - settings.keys():
        raise ValueError(f".env has no {', '.join(sorted(absent))}")
    order = list(GIVEN)
    lines = ["| name | for example | what it is |", "|---|---|---|"]
    for key in sorted(settings, key=order.index):
        value = settings[key].value
        shown = "redis://:…@redis:6379/0" if key == "REDIS_URL" else _HIDDEN if settings[key].secret else value
        lines.append(f"| `{key}` | `{cell(shown)}` | {cell(GIVEN[key])} |")
    return "\n".join(lines) + "\n"


def with_tables(text: str) -> str:
    """The page with its tables as they must be."""
    with tempfile.TemporaryDirectory() as scratch:
        declaration, release = example(Path(scratch))
    for name, table in (("expected", expected(declaration)), ("given", given(release))):
        before, begin, rest = text.partition(f"<!-- {name}: begin -->\n")
        _old, end, after = rest.partition(f"<!-- {name}: end -->\n")
        if not (begin and end):
            raise ValueError(f"{PAGE} has lost the marks of its table {name}")
        text = f"{before}{begin}\n{table}\n{end}{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
