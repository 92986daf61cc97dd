# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores: files that are swapped and swapped back, the script that runs over them, and the final messages."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup import files as media
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup import recovery
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup import restore as restores
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.decryption import StoredFile
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.files import ContainerFiles
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.postgresql import PostgreSQLServer
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.restore import Restore
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.sources import server_of
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.process import StreamError
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.deployed import load_state, save_state
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.home import Home

STAMP = "20260725031500"
LABELS = {
    "com.docker.compose.project": "aiia_prod",
    "com.docker.compose.project.working_dir": "/srv/aiia",
    "com.docker.compose.service": "web",
    "io.bulkhead.prefix": "aiia_prod",
}
WEB = {
    "Id": "web",
    "Image": "i1",
    "Config": {"Labels": LABELS},
    "Mounts": [{"Type": "volume", "Name": "v", "Source": "/host/v", "Destination": "/srv"}],
}


# ---- files that change places ------------------------------------------------------------------------------------


@pytest.fixture
def step(tmp_path: Path) -> Callable[..., list[str]]:
    """Run one step on a directory as the container does. Returns the words that it prints."""
    (tmp_path / "media").mkdir()
    script = media._REARRANGE.replace("/bulkhead/", f"{tmp_path}/")

    def run(name: str) -> list[str]:
        command = ["sh", "-c", script, "-", name, "media", STAMP]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()

    return run


def put(directory: Path, **files: str) -> None:
    directory.mkdir(exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text)


def tree(directory: Path) -> dict[str, str]:
    return {str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*") if path.is_file()}


def test_files_take_their_places_and_what_was_there_is_kept_until_the_next_restore(
    tmp_path: Path, step: Callable[..., list[str]]
) -> None:
    place = tmp_path / "media"
    put(place, one="1", two="2")
    put(place / f".bulkhead-restore-{STAMP}", one="restored")
    put(place / ".bulkhead-before-20250101000000", one="0")
    put(place / ".bulkhead-undone-20250101000000", one="0")
    assert step("look") == ["exists", "staged"]
    kept = f".bulkhead-before-{STAMP}"
    assert step("swap") == [kept] and step("swap") == [kept]
    assert step("look") == ["exists", "staged", "swapped"]
    assert (place / "one").read_text() == "restored" and tree(place / kept) == {"one": "1", "two": "2"}
    assert step("clean") == [] and tree(place) == {"one": "restored"} and step("look") == ["exists"]


def test_what_came_after_files_had_taken_their_places_survives_their_going_back(
    tmp_path: Path, step: Callable[..., list[str]]
) -> None:
    place = tmp_path / "media"
    put(place, one="1")
    put(place / f".bulkhead-restore-{STAMP}", one="restored")
    step("swap")
    put(place, upload="new")
    kept = f".bulkhead-undone-{STAMP}"
    assert step("swap-back") == [kept] and step("swap-back") == [kept]
    assert tree(place) == {"one": "1", f"{kept}/one": "restored", f"{kept}/upload": "new"}


def test_files_that_were_only_put_beside_leave_nothing(tmp_path: Path, step: Callable[..., list[str]]) -> None:
    place = tmp_path / "media"
    put(place, one="1")
    put(place / f".bulkhead-restore-{STAMP}", one="restored")
    assert step("swap-back") == [] and tree(place) == {"one": "1"}


# ---- the script that runs over files -----------------------------------------------------------------------------


class Engine:
    """An engine whose containers take archives and give them back; a script writes ``seen`` into what it gets."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.held: dict[str, dict[str, str]] = {}
        self.modes: dict[str, tuple[int, int]] = {}
        self.scripts: list[str] = []
        self.fails = ""
        self.free = 1 << 40

    def docker(self, *args: str, **_options: Any) -> tuple[int, str, str]:
        self.calls.append(args)
        if "df" in args:
            return 0, f"Filesystem\n/dev/x 1 1 {self.free >> 10} 1% /\n", ""
        return 0, "exists\n" if "look" in args else "", ""

    def docker_ok(self, *args: str, **_options: Any) -> str:
        self.calls.append(args)
        return "alone\n"

    def stream(self, what: str, *args: str, **streams: Any) -> Any:
        self.calls.append(args)
        if args[0] == "start":
            data = io.BytesIO()
            streams["write"](data)
            self.scripts.append(data.getvalue().decode())
            if self.fails:
                raise StreamError(f"{what} {self.fails}")
            self.held["alone:/"]["files/seen"] = "yes"
            return None
        if args[1] == "-":
            data = io.BytesIO()
            streams["write"](data)
            data.seek(0)
            with tarfile.open(fileobj=data) as archive:
                self.modes.update({entry.name: (entry.mode, entry.uid) for entry in archive})
                self.held[args[2]] = {
                    entry.name: archive.extractfile(entry).read().decode()  # type: ignore[union-attr]
                    for entry in archive
                    if entry.isfile()
                }
            return None
        return streams["read"](archive_of(self.held["alone:/"]))


def archive_of(files: dict[str, str]) -> io.BytesIO:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        root = tarfile.TarInfo("files")
        root.type, root.mode, root.uid = tarfile.DIRTYPE, 0o751, 10001
        archive.addfile(root)
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    data.seek(0)
    return data


@pytest.fixture
def backup(tmp_path: Path) -> str:
    path = tmp_path / "web.tar"
    path.write_bytes(archive_of({"files/one": "secret"}).getvalue())
    return str(path)


def test_a_script_sees_a_volume_of_its_own_and_its_result_is_put_beside(backup: str) -> None:
    """Nothing is mounted by a path that the service's container could redirect."""
    engine = Engine()
    ContainerFiles(engine, WEB, "/srv/media", 60).stage(StoredFile(backup), STAMP, "rm x")
    (create,) = [call for call in engine.calls if call[0] == "create"]
    assert "/host/v" not in " ".join(create) and "type=volume,target=/files,volume-nocopy" in create
    assert engine.scripts == ["rm x"] and not any("rm x" in " ".join(call) for call in engine.calls)
    side = f"media/.bulkhead-restore-{STAMP}"
    assert engine.held["web:/srv"] == {f"{side}/one": "secret", f"{side}/seen": "yes"}
    assert engine.modes["files"] == (0o751, 10001) and engine.modes[side] == (0o700, 0)
    assert engine.calls[-1] == ("rm", "--force", "--volumes", "alone")


@pytest.mark.parametrize("how", ["failed (exit code 1)", "was stopped"])
def test_a_script_that_fails_puts_nothing_beside(backup: str, how: str) -> None:
    engine = Engine()
    engine.fails = how
    with pytest.raises(StreamError) as caught:
        ContainerFiles(engine, WEB, "/srv/media").stage(StoredFile(backup), STAMP, "false")
    assert caught.value.message == f"bulkhead_restore_sanitise_files on the files of /srv/media {how}"
    assert "web:/srv" not in engine.held and engine.calls[-1] == ("rm", "--force", "--volumes", "alone")


def test_without_a_script_files_are_only_put_beside(backup: str) -> None:
    engine = Engine()
    ContainerFiles(engine, WEB, "/srv/media").stage(StoredFile(backup), STAMP)
    assert engine.held == {"web:/srv": {f"media/.bulkhead-restore-{STAMP}/one": "secret"}}
    assert not any(call[0] == "create" for call in engine.calls)


def test_files_that_another_user_could_exchange_are_left_alone(tmp_path: Path, backup: str) -> None:
    """A bind mount whose owner can put a link in its place: the engine would look for it anew, as root."""
    if os.geteuid() != 0:
        pytest.skip("gives a directory to another user, as root")
    for place, owner in ((tmp_path / "roots", 0), (tmp_path / "owners", 65534)):
        (place / "media").mkdir(parents=True)
        os.chown(place, owner, owner)
    for place, refused in ((tmp_path / "roots", False), (tmp_path / "owners", True), (tmp_path / "none", True)):
        engine = Engine()
        mount = {"Type": "bind", "Source": str(place / "media"), "Destination": "/srv"}
        files = ContainerFiles(engine, {**WEB, "Mounts": [mount]}, "/srv/media")
        work = (
            lambda files=files: files.stage(StoredFile(backup), STAMP),
            lambda files=files: files.rearrange("swap", STAMP),
            lambda files=files: files.archive(io.BytesIO()),
        )
        for step in work if refused else work[:2]:
            with pytest.raises(EngineError, match="Keep them in a named volume") if refused else nullcontext():
                step()
        assert bool(engine.calls) is not refused


def test_a_container_that_moves_files_is_known_as_its_projects() -> None:
    """A killed one must not look like a project of that name in another directory."""
    engine = Engine()
    ContainerFiles(engine, WEB, "/srv/media").rearrange("look", STAMP)
    labels = {argument for argument in engine.calls[0] if "=" in argument}
    assert {
        "com.docker.compose.project=aiia_prod",
        "com.docker.compose.project.working_dir=/srv/aiia",
        "com.docker.compose.oneoff=True",
        f"io.bulkhead.restore={STAMP}",
    } <= labels
    assert "com.docker.compose.service=web" not in labels


def test_a_script_in_a_database_does_not_run_for_ever() -> None:
    class Late(Engine):
        def stream(self, what: str, *_args: str, **streams: Any) -> None:
            raise StreamError(f"{what} was stopped after {streams['limit']} s")

    with pytest.raises(StreamError, match="bulkhead_restore_sanitise was stopped after 60 s"):
        PostgreSQLServer(Late(), "c1", "admin", 60).script("new", "SELECT 1", "postgresql")


class Listed:
    """An engine that returns these containers for every filter."""

    def __init__(self, *containers: dict[str, Any]) -> None:
        self.found = list(containers)

    def containers(self, *_labels: str) -> list[dict[str, Any]]:
        return list(self.found)


@pytest.mark.parametrize(
    ("containers", "words"),
    [
        ([], "aiia_prod is not deployed here: service db has no container. Deploy first"),
        (
            [{**WEB, "State": {"Running": True, "Paused": True}}],
            "the container of service db is not running (paused): deploy, or start it with aiia.bulkhead.restart",
        ),
    ],
)
def test_a_server_that_is_not_there_is_not_one_that_stands_still(containers: list[dict[str, Any]], words: str) -> None:
    params: dict[str, Any] = {"prefix": "aiia_prod", "project": "aiia_prod", "timeout": 1}
    engine: Any = Listed(*containers)
    with pytest.raises(EngineError) as refused:
        server_of(engine, params, {"service": "db", "key": "db_prod", "admin": "a"})
    assert str(refused.value) == words


# ---- the whole ---------------------------------------------------------------------------------------------------


class Database:
    """One database of a server that is replaced; ``trouble`` says which step the server fails at."""

    trouble = ""

    def __init__(self, server: PostgreSQLServer, database: str, _stamp: str) -> None:
        self.server, self.database = server, database
        self.staged_name, self.previous_name = f"{database}_new", f"{database}_old"

    def __getattr__(self, step: str) -> Callable[..., list[str]]:
        def run(*_args: object) -> list[str]:
            if step == self.trouble:
                raise EngineError("the database server reported an error", f"cannot {step}")
            return []

        return run


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A backup of two databases of one server and of files, and its environment."""
    dump = {"kind": "postgresql", "size": 100 << 20, "rows": {"t": 3}, "roles": [], "file": "x.dump"}
    files = {"kind": "files", "absent": False, "size": 100 << 20, "files": 2, "file": "web.tar", "name": "web"}
    kept = {"parts": [{**dump, "name": "one"}, {**dump, "name": "two"}, files], "path": str(tmp_path), "name": "b"}
    own = {"kind": "postgresql", "service": "db", "user": "u", "wiring": []}
    parts = [
        {**own, "name": "one", "database": "one"},
        {**own, "name": "two", "database": "two"},
        {"kind": "files", "service": "web", "name": "web", "path": "/srv/media"},
    ]

    class Whole:
        engine = Engine()
        container = WEB
        free: int | None = None
        recovered: Any = None
        switched: list[object]
        home = Home(str(tmp_path / "home"), "aiia_prod", str(tmp_path / "state"))

        def run(self) -> dict[str, Any]:
            params = {
                "prefix": "aiia_prod",
                "directory": str(tmp_path / "backups"),
                "home": str(self.home.directory),
                "parts": parts,
            }
            restore = Restore(self.engine, {**params, "state_directory": self.home.state}, "latest")
            return restore.run(backup_first=False)

        def journal(self) -> bool:
            return (tmp_path / "backups" / recovery.JOURNAL).exists()

    found = Whole()
    tar = archive_of({"files/one": "x"}).getvalue()
    (tmp_path / "web.tar").write_bytes(tar)
    monkeypatch.setattr(restores, "find_backup", lambda *_args: kept)
    monkeypatch.setattr(Restore, "_check_digests", lambda _self: None)
    monkeypatch.setattr(PostgreSQLServer, "free", lambda _self: found.free)
    server = PostgreSQLServer(found.engine, "c1", "admin")
    monkeypatch.setattr(restores, "server_of", lambda *_args: server)
    monkeypatch.setattr(
        restores, "files_of", lambda engine, *_args: ContainerFiles(engine, found.container, "/srv/media")
    )
    monkeypatch.setattr(restores, "StagedDatabase", Database)
    monkeypatch.setattr(restores, "swaps_by_server", lambda _replacements: [])
    monkeypatch.setattr(Database, "trouble", "")
    monkeypatch.setattr(recovery, "recover", lambda *_args: found.recovered)
    return found


def test_a_restore(whole: Any) -> None:
    done = whole.run()
    assert (done["rows"], done["files"], done["kept"], done["notes"]) == (6, 2, ["one_old", "two_old"], [])
    assert not whole.journal()


@pytest.mark.parametrize(
    ("restored", "said"),
    [
        (True, "It could not be undone, so it was finished: the restored data serves now"),
        (False, "The previous data still serves"),
    ],
)
def test_a_restore_that_fails_says_which_data_serves(
    whole: Any, monkeypatch: pytest.MonkeyPatch, restored: bool, said: str
) -> None:
    outcome = iter([None, recovery.Recovered(restored, ["/srv/media/.bulkhead-before-1"])])
    monkeypatch.setattr(recovery, "recover", lambda *_args: next(outcome))
    Database.trouble = "fill"
    with pytest.raises(EngineError, match=rf"an error\. {said}.*kept until the next restore: /srv/media/\.bulkhead"):
        whole.run()
    assert whole.journal()


def test_what_was_prepared_for_other_data_is_prepared_again(whole: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is forgotten before the data changes, so that a run killed in between does not leave it."""
    save_state(whole.home, {"release": "r1", "prepared": {"web": "key"}})
    seen: list[Any] = []
    monkeypatch.setattr(Restore, "_swap", lambda *_args: seen.append(load_state(whole.home)))
    for _again in range(2):
        (note,) = whole.run()["notes"]
        assert "deploy now" in note and "prepares web again" in note
    assert seen == 2 * [{"release": "r1", "prepared": {"web": ""}}]


def test_a_restore_that_ends_before_the_data_changes_leaves_what_was_prepared(whole: Any) -> None:
    save_state(whole.home, {"release": "r1", "prepared": {"web": "key"}})
    Database.trouble = "fill"
    with pytest.raises(EngineError):
        whole.run()
    assert load_state(whole.home)["prepared"] == {"web": "key"}


def test_what_cannot_be_tidied_up_is_a_note(whole: Any) -> None:
    """The restored data serves, and the message must not suggest otherwise."""
    Database.trouble = "drop_older"
    done = whole.run()
    assert done["notes"] == [
        f"databases kept by earlier restores of {name} were not dropped: the database server reported an error: "
        "cannot drop_older"
        for name in ("one", "two")
    ]
    assert done["kept"] == ["one_old", "two_old"] and not whole.journal()


def test_a_directory_on_no_volume_is_refused_before_anything(whole: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ContainerFiles, "free", lambda _self: None)
    whole.container = {**WEB, "Name": "/web", "Mounts": []}
    with pytest.raises(EngineError, match="/srv/media of service container web is on no volume"):
        whole.run()
    assert not whole.journal()


def test_files_that_still_wait_for_a_container_come_first(whole: Any) -> None:
    whole.recovered = recovery.Recovered(True, waiting=["web"])
    with pytest.raises(EngineError, match="Its files are waiting for a container of service web"):
        whole.run()
    assert not whole.journal()


def test_room_is_looked_for_of_all_databases_of_a_server_together(whole: Any) -> None:
    reserve = restores.RESERVE
    whole.free = reserve + (219 << 20)
    with pytest.raises(
        EngineError, match=r"the disk of the database has 475 MiB free, .* about 221 MiB .* a reserve of 256 MiB"
    ):
        whole.run()
    whole.free = reserve + (221 << 20)
    whole.engine.free = reserve + (99 << 20)
    with pytest.raises(EngineError, match="the disk of /srv/media has 355 MiB free"):
        whole.run()
    whole.engine.free = reserve + (101 << 20)
    assert whole.run()["files"] == 2
