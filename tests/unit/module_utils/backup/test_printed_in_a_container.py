# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What psql and pg_restore print: they are programs of the container, and whoever is root there may have his own."""

from __future__ import annotations

import io
import resource
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup import postgresql
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.decryption import StoredFile
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.postgresql import ArchiveError, PostgreSQLServer
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.process import stream

#: Prints 256 MiB without a line's end. Kept, they would be the test's own memory.
ENDLESS = "import sys; [sys.stdout.write('x' * (1 << 20)) for _ in range(1 << 8)]"
HEAD = "print(';     dbname: aiia\\n; Dumped from database version: 17.5'); "
STAMP = "print('ALTER DATABASE aiia SET \"bulkhead.prefix\" TO \\'aiia_prod\\';'); "


class Container:
    """An engine in whose container ``pg_restore`` and ``psql`` are what a test wants."""

    def __init__(self, program: str = "", printed: str = "") -> None:
        self.program = program
        self.printed = printed

    def stream(self, what: str, *_args: str, **streams: Any) -> Any:
        return stream([sys.executable, "-c", self.program], what, **streams)

    def docker(self, *_args: str, **_options: Any) -> tuple[int, str, str]:
        return 0, self.printed, ""


def test_a_listing_without_an_end(tmp_path: Path) -> None:
    """It is read to its end, and not kept."""
    path = tmp_path / "dump"
    path.write_bytes(b"PGDMP")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    server = PostgreSQLServer(Container(HEAD + STAMP + ENDLESS), "c1", "admin")
    assert server.head(StoredFile(str(path))) == {"database": "aiia", "server": "17.5", "stamp": "aiia_prod"}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10, "KiB"


def test_tables_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "_MOST_TABLES", 2)
    script = b"".join(b"COPY public.t%d (a) FROM stdin;\n1\n\\.\n" % number for number in range(3))
    with pytest.raises(ArchiveError, match="more than 2 tables"):
        postgresql.rows_of(io.BytesIO(script))
    assert len(postgresql.rows_of(io.BytesIO(script.partition(b"COPY public.t2")[0]))) == 2


@pytest.mark.parametrize("sign", ["\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_a_name_with_what_python_takes_for_the_end_of_a_line(sign: str) -> None:
    """One role is not taken for two, of which the second could be anybody's."""
    printed = f'"made{sign}aiia_prod",1\nother,2\n'
    server = PostgreSQLServer(Container(printed=printed), "c1", "admin")
    assert server.query("postgres", "SELECT") == [[f"made{sign}aiia_prod", "1"], ["other", "2"]]
    unquoted = printed.replace('"', "") if "\n" not in sign else printed
    server = PostgreSQLServer(Container(printed=unquoted), "c1", "admin")
    assert len(server.query("postgres", "SELECT")) == 2
