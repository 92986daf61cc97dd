# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups: which are complete, which are removed, what is read back, and what a failure leaves behind."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup import create
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.create import Backups
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.encryption import Encryption
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.files import rerooted
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.manifest import (
    FORMAT,
    MANIFEST,
    PARTIAL,
    complete_backups,
    next_serial,
    read_manifest,
    surplus,
    write_manifest,
)
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.postgresql import (
    ArchiveError,
    identifier,
    literal,
    rows_of,
)
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.recovery import Recovered
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.restore import find_backup
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.json_with_digest import encode_with_digest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.process import CHUNK, StreamError, stream
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import backup_step, sentence
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.deployed import save_state
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.home import Home
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.metrics import Metrics

DUMP = b"PGDMP and more"


class Engine:
    """An engine with one database server, whose programs answer as a test needs."""

    def __init__(self) -> None:
        self.tables = 1
        self.size = 1000
        self.said = "aiia_prod"
        self.warned = ""
        self.fails: dict[str, str] = {}
        self.docker_host = "unix:///var/run/docker.sock"
        #: The answer of ``find`` for the files, and the services without a container.
        self.found = (0, "", "")
        self.without: list[str] = []

    def containers(self, *filters: str) -> list[dict[str, Any]]:
        assert "io.bulkhead.prefix=aiia_prod" in filters and "com.docker.compose.project=aiia_prod" in filters
        if any(f"com.docker.compose.service={service}" in filters for service in self.without):
            return []
        return [{"Id": "c1", "Image": "i1", "State": {"Running": True}, "Config": {"Labels": {}}}]

    def docker(self, *args: str, **options: Any) -> tuple[int, str, str]:
        if "find" in args:
            return self.found
        if "pg_database_size" in options.get("data", ""):
            return 0, f'17.5,{self.size},aiia_prod,{self.tables},"[""aiia_prod""]"\n', self.warned
        return 0, "aiia_prod\n", ""

    def stream(self, what: str, *args: str, **streams: Any) -> Any:
        if args[0] == "cp":
            with tarfile.open(fileobj=streams["target"], mode="w|") as archive:
                archive.addfile(member("media/", tarfile.DIRTYPE))
            return None
        program = "pg_dump" if "pg_dump" in args else args[-1]
        if program in self.fails:
            if streams.get("target"):
                streams["target"].write(DUMP[:4])
            raise StreamError(f"{what} failed", self.fails[program])
        if program == "pg_dump" or "--format=custom" in args:
            streams["target"].write(DUMP)
            return None
        if "--list" in args:
            return streams["read"](io.BytesIO(f";     dbname: {self.said}\n".encode()))
        if "--schema-only" in args:
            return streams["read"](io.BytesIO(b"ALTER DATABASE aiia_prod SET \"bulkhead.prefix\" TO 'aiia_prod';\n"))
        return streams["read"](io.BytesIO(b"COPY public.note (id) FROM stdin;\n1\n2\n\\.\n"))

    def find(self, name: str) -> str | None:
        return shutil.which(name)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def make(tmp_path: Path, engine: Engine) -> Callable[..., dict[str, Any]]:
    """Make a backup with the default settings, or with others."""

    def run(reason: str = "by hand", **more: Any) -> dict[str, Any]:
        arguments = {key: more.pop(key) for key in ("release", "commit", "trigger", "spare") if key in more}
        return Backups(engine, parameters(tmp_path, **more)).make(reason, **arguments)

    return run


def parameters(tmp_path: Path, **more: Any) -> dict[str, Any]:
    return {
        "prefix": "aiia_prod",
        "project": "aiia_prod",
        "environment": "prod",
        "protected": True,
        "directory": str(tmp_path / "backups"),
        "state_directory": str(tmp_path / "state"),
        "home": str(tmp_path / "home"),
        "keep": 2,
        "timeout": 60,
        "copy_command": "",
        "copy_user": "",
        "owner": "nobody" if os.getuid() == 0 else "",
        "kinds": ["postgresql", "files"],
        "parts": [
            {
                "service": "postgresql",
                "name": "postgresql",
                "key": "postgresql",
                "kind": "postgresql",
                "database": "aiia_prod",
                "user": "aiia_prod",
                "admin": "aiia",
                "wiring": [],
            }
        ],
        **more,
    }


NOTHING = "there are no tables and no files yet"


def names(tmp_path: Path) -> list[str]:
    return [backup["name"] for backup in complete_backups(str(tmp_path / "backups"), "aiia_prod")]


def there(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "backups").iterdir()]


def manifest(name: str, trigger: str = "hand", prefix: str = "aiia_prod") -> dict[str, Any]:
    return {"format": FORMAT, "name": name, "created": name, "trigger": trigger, "prefix": prefix, "parts": []}


def place(directory: Path, entry: dict[str, Any]) -> Path:
    folder = directory / entry["name"]
    folder.mkdir(parents=True)
    write_manifest(str(folder), entry)
    return folder


def test_a_backup_says_what_it_is_and_is_for_its_user_alone(
    tmp_path: Path, make: Callable[..., dict[str, Any]]
) -> None:
    home = Home(str(tmp_path / "home"), "aiia_prod", str(tmp_path / "state"))
    save_state(home, {"release": "r1", "commit": "abc"})
    metrics = Metrics("aiia_prod", str(tmp_path / "state"))
    metrics.bring(str(tmp_path / "collector"), {})
    made = make()
    assert "bulkhead_backup_timestamp_seconds{" in (tmp_path / "collector/bulkhead_aiia_prod.prom").read_text()
    found = read_manifest(made["path"])
    assert (found["prefix"], found["protected"], found["trigger"]) == ("aiia_prod", True, "hand")
    assert (found["release"], found["commit"]) == ("r1", "abc")
    (part,) = found["parts"]
    assert (part["rows"], part["bytes"], part["stamp"]) == ({"public.note": 2}, len(DUMP), "aiia_prod")
    modes = {path.name: path.stat().st_mode & 0o777 for path in [tmp_path / "backups", *Path(made["path"]).iterdir()]}
    assert modes == {"backups": 0o700, "postgresql.dump": 0o600, MANIFEST: 0o600}


@pytest.mark.parametrize("program", ["pg_dump", "--list", "--file=-"])
def test_a_backup_that_fails_leaves_nothing(
    tmp_path: Path, engine: Engine, make: Callable[..., dict[str, Any]], program: str
) -> None:
    engine.fails[program] = "no more"
    with pytest.raises(EngineError, match=r"no backup was made: .* failed") as caught:
        make()
    assert caught.value.detail == "no more"
    assert names(tmp_path) == [] and there(tmp_path) == [".lock"]


def test_a_dump_of_another_database_is_none(engine: Engine, make: Callable[..., dict[str, Any]]) -> None:
    engine.said = "aiia_staging"
    with pytest.raises(EngineError, match="the dump of aiia_prod contains database aiia_staging"):
        make()


def test_what_a_killed_backup_left_counts_for_nothing_and_goes(
    tmp_path: Path, make: Callable[..., dict[str, Any]]
) -> None:
    left = tmp_path / "backups" / f"{PARTIAL}aiia_prod-20260101T000000Z"
    left.mkdir(parents=True)
    (left / "postgresql.dump").write_bytes(b"half")
    headless = tmp_path / "backups" / "aiia_prod-20260101T000000Z"
    headless.mkdir()
    assert names(tmp_path) == []
    made = make()
    assert names(tmp_path) == [made["name"]] and not left.exists()


def test_an_encrypted_copy_needs_as_much_room_again(
    engine: Engine, make: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result([4096, 4096, *[1 << 20] * 8]))  # 4 GiB free
    monkeypatch.setattr(Encryption, "check", lambda _self: None)
    engine.size = 3 << 30
    with pytest.raises(EngineError, match="has 4096 MiB free, but the backup needs about 6145 MiB"):
        make(copy_command="true", recipients=["age1" + "q" * 58])
    # Without a command there is no such copy.
    assert make(recipients=["age1" + "q" * 58])["recipients"] == 0


def test_a_backup_tells_of_the_restore_that_it_brought_to_its_end(
    tmp_path: Path, make: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = "/srv/media/.bulkhead-before-20260725031500"
    monkeypatch.setattr(create, "recover", lambda *_args: Recovered(True, [kept]))
    make("on schedule")
    (entry,) = complete_backups(str(tmp_path / "backups"), "aiia_prod")
    assert entry["reason"].startswith("on schedule; an earlier restore that was interrupted has been finished")
    assert kept in entry["reason"]


def test_room_is_looked_for_before_anything_is_written(
    tmp_path: Path, engine: Engine, make: Callable[..., dict[str, Any]]
) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    engine.size = free
    with pytest.raises(EngineError, match=r"MiB free, but the backup needs about \d+ MiB .*bulkhead_backup_directory"):
        make()
    assert there(tmp_path) == [".lock"]
    place(tmp_path / "backups", {**manifest("a"), "parts": [{"file": "postgresql.dump", "bytes": 100}]})
    make()  # the last dump was small: a database is larger than its dump


def test_a_backup_at_a_time(tmp_path: Path, engine: Engine, make: Callable[..., dict[str, Any]]) -> None:
    with (
        Backups(engine, parameters(tmp_path))._locked(),
        pytest.raises(EngineError, match="another backup is being written"),
    ):
        make()


def test_nothing_to_back_up_before_the_first_release(
    engine: Engine, tmp_path: Path, make: Callable[..., dict[str, Any]]
) -> None:
    engine.tables = 0
    said = make("before release r1", release="r1")
    assert said == {"unneeded": "there are no tables and no files yet"} and names(tmp_path) == []
    assert sentence(backup_step(said)) == "make no backup: there are no tables and no files yet"
    assert make()["bytes"] > 0


FILES = {"service": "web", "name": "web", "key": "web", "kind": "files", "path": "/srv/media"}


@pytest.mark.parametrize("databases", [[], ["postgresql"]])
@pytest.mark.parametrize(
    ("found", "needed"), [((0, "/srv/media/a\n", ""), True), ((0, "", ""), False), ((1, "", ""), True)]
)
def test_files_are_data(
    engine: Engine, tmp_path: Path, make: Callable[..., dict[str, Any]],
    databases: list[str], found: tuple[int, str, str], needed: bool,
) -> None:  # fmt: skip
    """Alone and beside a database without tables; also in a container that cannot list them."""
    engine.tables, engine.found = 0, found
    parts = [part for part in parameters(tmp_path)["parts"] if part["name"] in databases] + [FILES]
    made = make("before release r1", release="r1", parts=parts)
    assert names(tmp_path) == ([made["name"]] if needed else [])
    assert sentence(backup_step(made)) == (
        f"make the backup {made['name']}" if needed else f"make no backup: {NOTHING}"
    )


def test_another_collation_is_told(engine: Engine, tmp_path: Path, make: Callable[..., dict[str, Any]]) -> None:
    """With what to do: indexes of the data that comes back would miss rows as well."""
    assert make("by hand")["notes"] == []
    engine.warned = 'WARNING:  database "aiia_prod" has a collation version mismatch\n'
    made = make("before release r1", release="r1")
    assert "; PostgreSQL's image sorts texts otherwise" in sentence(backup_step(made))
    assert "REINDEX DATABASE aiia_prod, then ALTER DATABASE aiia_prod REFRESH" in made["notes"][0]


def test_what_is_left_out_is_told(engine: Engine, tmp_path: Path, make: Callable[..., dict[str, Any]]) -> None:
    """The volume of the files may outlive their container."""
    engine.without = ["web"]
    parts = [*parameters(tmp_path)["parts"], FILES]
    made = make("before release r1", release="r1", parts=parts)
    assert sentence(backup_step(made)).endswith("Z; service web has no container to copy /srv/media from")
    said = make("before release r1", release="r1", parts=[FILES])
    assert (
        sentence(backup_step(said))
        == f"make no backup: {NOTHING}; service web has no container to copy /srv/media from"
    )
    with pytest.raises(EngineError, match="service web has no container to copy /srv/media from"):
        make(parts=parts)


def test_retention_counts_each_trigger_and_spares(tmp_path: Path, make: Callable[..., dict[str, Any]]) -> None:
    for number in range(4):
        place(tmp_path / "backups", manifest(f"2026-0{number}", "schedule"))
    foreign = place(tmp_path / "backups", manifest("2026-09", "hand", "aiia_staging"))
    place(tmp_path / "backups", manifest("2025-01"))
    place(tmp_path / "backups", manifest("2025-02"))
    made = make(spare=["2025-01"])
    assert made["removed"] == ["2026-00", "2026-01"]
    assert names(tmp_path) == ["2025-01", "2025-02", "2026-02", "2026-03", made["name"]] and foreign.exists()


def test_a_clock_that_was_ahead_makes_no_backup_the_newest(
    tmp_path: Path, make: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Backups made after the clock is corrected are kept, count as the latest, and push out the others."""
    directory = tmp_path / "backups"
    for number in range(3):  # as they were written before backups had numbers
        place(directory, {**manifest(f"2099-0{number}"), "created": f"2099-0{number}-01T00:00:00Z"})
    made = [make()["name"]]
    monkeypatch.setattr(create.time, "time", lambda: 4_000_000_000.0)
    made.append(make()["name"])
    monkeypatch.undo()
    made += [make()["name"], make()["name"]]
    assert names(tmp_path) == made[-2:]
    assert find_backup("latest", str(directory), "aiia_prod")["name"] == made[-1]
    assert [backup["serial"] for backup in complete_backups(str(directory), "aiia_prod")] == [3, 4]
    assert next_serial([]) == next_serial([manifest("a")]) == 1


def test_surplus() -> None:
    found = [manifest(str(number)) for number in range(5)]
    assert [backup["name"] for backup in surplus(found, 3)] == ["0", "1"]
    assert surplus(found, 0) == [] and surplus(found, 9) == []


def test_the_copy_command_gets_the_backup(make: Callable[..., dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        names = 'echo "$BULKHEAD_BACKUP_NAME $BULKHEAD_PREFIX" > names'
        made = make(copy_command=f'cd {folder}; cp -r "$BULKHEAD_BACKUP" .; {names}')
        assert (Path(folder) / "names").read_text() == f"{made['name']} aiia_prod\n"
        copied = Path(folder) / made["name"]
        assert {path.name: path.read_bytes() for path in copied.iterdir()} == {
            path.name: path.read_bytes() for path in Path(made["path"]).iterdir()
        }


def test_a_copy_that_fails_fails_the_run_and_the_backup_stays(
    tmp_path: Path, make: Callable[..., dict[str, Any]]
) -> None:
    with pytest.raises(EngineError, match="is complete, but was not copied off the machine"):
        make(copy_command="false")
    assert len(names(tmp_path)) == 1


def test_only_a_whole_manifest_counts(tmp_path: Path) -> None:
    folder = place(tmp_path, manifest("a"))
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace("aiia_prod", "aiia_mine"))
    with pytest.raises(EngineError, match="cannot be trusted: it was edited by hand"):
        read_manifest(str(folder))
    with pytest.raises(EngineError, match="there is no backup"):
        read_manifest(str(tmp_path / "b"))
    assert (
        complete_backups(str(tmp_path), "aiia_prod") == []
        and complete_backups(str(tmp_path / "none"), "aiia_prod") == []
    )


def test_a_manifest_of_somebody_else_is_left_out(tmp_path: Path) -> None:
    folder = place(tmp_path, manifest("a"))
    (folder / MANIFEST).write_bytes(encode_with_digest({"format": FORMAT}))
    assert complete_backups(str(tmp_path), "aiia_prod") == []


def test_a_backup_under_another_name_is_not_the_environments(tmp_path: Path) -> None:
    place(tmp_path, manifest("a")).rename(tmp_path / "b")
    assert complete_backups(str(tmp_path), "aiia_prod") == []


# ---- reading back ------------------------------------------------------------------------------------------------


def test_rows_are_counted_from_the_data_alone() -> None:
    script = (
        b"SET x = 1;\nSELECT setval('a', 1);\n"
        b'COPY public."a ""b"".c" (id, "x y") FROM stdin;\n1\tCOPY public.no (a) FROM stdin;\n2\t\\\\.\n\\.\n\n'
        b"COPY s.empty  FROM stdin;\n\\.\n"
    )
    assert rows_of(io.BytesIO(script)) == {'public."a ""b"".c"': 2, "s.empty": 0}


def test_a_row_may_be_longer_than_what_is_read_at_once() -> None:
    script = b"COPY public.t (a) FROM stdin;\n" + b"x" * (CHUNK * 2 + 5) + b"\ny\n\\.\n"
    assert rows_of(io.BytesIO(script)) == {"public.t": 2}


def test_data_without_an_end_is_damage() -> None:
    with pytest.raises(ArchiveError, match=r"public\.t is cut off"):
        rows_of(io.BytesIO(b"COPY public.t (a) FROM stdin;\n1\n"))


@pytest.mark.parametrize(("text", "written"), [("a", "'a'"), ("a'b", "'a''b'"), ("a\\'b", " E'a\\\\''b'"), ("", "''")])
def test_literals(text: str, written: str) -> None:
    assert literal(text) == written


def test_identifiers() -> None:
    assert identifier('a"b') == '"a""b"'


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, link
    return found


def test_members_move_below_another_root() -> None:
    def moved(*args: Any) -> str | None:
        found = rerooted(member(*args), "side")
        return found and f"{found.name} {found.linkname}".strip()

    assert moved("media/") == "side"
    assert moved("media/a/b") == "side/a/b"
    assert moved("media/l", tarfile.SYMTYPE, "../x") == "side/l ../x"
    assert moved("media/h", tarfile.LNKTYPE, "media/a") == "side/h side/a"
    assert moved("media/../../etc/passwd") is None
    assert moved("media/h", tarfile.LNKTYPE, "media/../x") is None
    assert moved("media/.bulkhead-before-1/a") is None


# ---- streams -----------------------------------------------------------------------------------------------------


def test_a_program_is_fed_and_read() -> None:
    def write(target: Any) -> None:
        target.write(b"x" * 300)

    assert (
        stream(["/bin/sh", "-c", "head -c 5; cat >/dev/null"], "it", write=write, read=lambda out: out.read())
        == b"xxxxx"
    )


def test_a_program_that_fails_says_why() -> None:
    with pytest.raises(StreamError, match=r"it failed \(exit code 3\)") as caught:
        stream(
            ["/bin/sh", "-c", "echo no >&2; exit 3"], "it", write=lambda target: target.write(b"x" * (1 << 20)) and None
        )
    assert caught.value.detail == "no"


def test_a_program_that_does_not_end_is_stopped() -> None:
    with pytest.raises(StreamError, match="it was stopped after 1 s"):
        stream(["/bin/sleep", "60"], "it", limit=1)


def test_an_error_while_feeding_ends_the_program() -> None:
    def write(_target: Any) -> None:
        raise OSError("torn")

    with pytest.raises(OSError, match="torn"):
        stream(["/bin/sleep", "60"], "it", write=write)
