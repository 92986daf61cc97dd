# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The load on environments of the guide's stack: who is asked, what rows there are, and commits to release."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from load import Load
from make_repository import Changes, Git, commit
from observe import trust
from support import Place, docker
from wire import Peer

_HEADER = """
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notes", "{after}")]
    operations = [{operation}]
""".lstrip()

ADD_COLUMN = 'migrations.AddField("note", "{name}", models.CharField(max_length=20, null=True))'
FAIL = 'migrations.RunSQL("ALTER TABLE notes_nothing ADD COLUMN colour text")'


def peer(place: Place) -> Peer:
    """An environment as somebody who asks it."""
    domain = place.variables["bulkhead_domains"][0]
    return Peer(place.prefix, place.variables["bulkhead_https_port"], domain, trust(place))


def rows(place: Place, load: Load) -> Counter[str]:
    """The notes of a load that are in the environment's own database, asked of the server itself."""
    sql = f"SELECT text FROM notes_note WHERE text LIKE '{load.token}-%'"
    arguments = ["psql", "-U", place.site.project, "-d", place.prefix, "-Atc", sql]
    return Counter(docker("exec", f"{place.prefix}_postgresql", *arguments).split())


def faults_of_rows(load: Load, *places: Place) -> list[str]:
    """Acknowledged writes that are lost, and rows that should not be."""
    return [
        f"{place.prefix}: {fault}"
        for place in places
        for fault in load.targets[place.prefix].writes.faults(rows(place, load))
    ]


def migration(name: str, after: str, operation: str) -> dict[str, str | None]:
    """A migration as a change of files."""
    return {f"notes/migrations/{name}.py": _HEADER.format(after=after, operation=operation)}


def project_file(repository: Path, branch: str, path: str) -> str:
    """A file of the project as it is on a branch."""
    return Git(repository)("show", f"{branch}:{path}") + "\n"


def with_headline(text: str) -> Changes:
    """The smallest change that a release can make."""
    return {"notes/headline.py": f'"""The line on top of the first page."""\n\nHEADLINE = "{text}"\n'}


def with_broken_health(repository: Path, branch: str) -> Changes:
    """A version whose health page answers 500, while all other pages are as they were."""
    views = project_file(repository, branch, "notes/views.py")
    broken = views.replace("status=200 if healthy else 503", "status=500")
    assert broken != views
    return {"notes/views.py": broken}


def release(repository: Path, branch: str, changes: Changes, message: str) -> str:
    """Put a commit on a branch."""
    return commit(repository, branch, changes, message)


def put_back(repository: Path, branch: str, sha: str) -> None:
    """Have a branch end where it ended before."""
    Git(repository)("update-ref", f"refs/heads/{branch}", sha)
