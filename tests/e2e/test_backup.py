# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups of a real database and real files, restored; what is refused or goes wrong leaves everything as it was."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.create import Backups
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.database_swap import DatabaseSwap
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.encryption import Encryption
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.files import ContainerFiles
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.postgresql import PostgreSQLServer
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.recovery import recover
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.restore import Restore
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.scheduled_run import Runner
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.errors import Failure
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import Engine, EngineError
from attackers import public_directory
from debian import have_programs
from guide_stack import IMAGES
from observe import ProcessArguments, cron_file, eventually, may_schedule, moment, say
from support import Place, Run, Site, docker, remove_project, web

MEDIA = "/srv/storage/media"
ROWS = "SELECT md5(string_agg(note::text, '|' ORDER BY id)) || ' ' || count(*) FROM note"
TABLES = """
CREATE TABLE note (id serial PRIMARY KEY, text text);
INSERT INTO note (text) SELECT 'of {0} ' || number || E'\\n\\\\.\\t' FROM generate_series(1, 500) number;
CREATE TABLE "Odd ""one"" name" (id int);
INSERT INTO "Odd ""one"" name" VALUES (1), (2);
CREATE TABLE django_site (domain text);
INSERT INTO django_site VALUES ('{0}.example.com');
ALTER TABLE note OWNER TO {0};
ALTER TABLE django_site OWNER TO {0};
ALTER DATABASE {0} SET search_path TO public, extra;
"""

#: Changes a file that has two names, and writes down what it sees: files, networks, settings of the service.
FILES_SCRIPT = """
text=$(cat a/one)
echo "of $text" > a/one
{ ls; ls /sys/class/net; env | grep -c SAY || echo none; cat; } > seen
"""


@dataclass
class Pair:
    """Production, which is protected, and staging, on one machine."""

    site: Site
    production: Place
    staging: Place


def sql(place: Place, statement: str, database: str = "") -> str:
    """Ask an environment's server, as its administrator."""
    return docker(*psql(place, database)[1:], statement).strip()


def psql(place: Place, database: str = "") -> list[str]:
    """The command that a statement is given to."""
    admin = ["--username", place.site.project, "--dbname", database or place.prefix]
    server = f"{place.prefix}_postgresql"
    return ["docker", "exec", server, "psql", *admin, "-qAt", "-v", "ON_ERROR_STOP=1", "-c"]


def databases(place: Place) -> list[str]:
    """The databases that are not PostgreSQL's own."""
    names = "SELECT datname FROM pg_database WHERE datname !~ '^(template|postgres$)' ORDER BY 1"
    return sql(place, names, "postgres").split()


def media(place: Place) -> str:
    """Every file with mode, owner, size and content."""
    look = f"cd {MEDIA} && find . -printf '%p %m %U %G %l\\n' | sort && find . -type f -exec md5sum {{}} + | sort"
    return docker("exec", f"{place.prefix}_web", "sh", "-c", look)


def put(place: Place, script: str) -> None:
    """Change files below the directory of media, with every right."""
    volume = f"{place.prefix}_storage_{place.name}"
    shell = ["run", "--rm", "--network", "none", "--volume", f"{volume}:/srv/storage", "--entrypoint", "sh"]
    docker(*shell, "bulkhead-demo/base:trixie", "-c", f"mkdir -p {MEDIA} && cd {MEDIA} && {script}")


def parameters(place: Place, **more: Any) -> dict[str, Any]:
    """What the modules get from the controller."""
    state = str(place.site.directory / "machine-state")
    own = {"prefix": place.prefix, "project": place.prefix, "environment": place.name, "protected": False}
    dump = {"kind": "postgresql", "database": place.prefix, "user": place.prefix, "admin": place.site.project}
    wiring = [{"what": "sites", "table": "django_site", "query": "SELECT domain FROM django_site"}]
    return {
        **own,
        "directory": "",
        "state_directory": state,
        "home": str(place.directory),
        "keep": 0,
        "timeout": 120,
        "copy_command": "",
        "copy_user": "nobody" if os.geteuid() == 0 else "",
        "owner": "",
        "kinds": ["postgresql", "files"],
        "parts": [
            {**dump, "service": "postgresql", "name": "postgresql", "key": "postgresql", "wiring": wiring},
            {"kind": "files", "service": "web", "name": "web", "key": "web", "path": MEDIA},
        ],
        **more,
    }


def engine() -> Engine:
    """The engine as the machine's own program has it."""
    return Engine(Runner(), "unix:///var/run/docker.sock")


def restore(pair: Pair, *arguments: str, group: str = "staging") -> Run:
    """Run the playbook."""
    return pair.site.play("-l", group, *arguments, playbook="playbooks/restore.yml")


def add(site: Site, group: str, name: str, pooler: dict[str, Any] | None = None, **variables: Any) -> Place:
    """An environment of a database, perhaps its pooler, and a service with a volume."""
    keeps = {"backup": {"kind": "files", "path": MEDIA}}
    services = {
        **dict.fromkeys(("nginx", "django", "redis")),
        "postgresql": {**IMAGES["postgresql"], "stop_grace_period": "5s"},
        "pgbouncer": pooler,
        "web": web(volumes=["storage:/srv/storage"], **{"x-bulkhead": keeps}),
    }
    words = {"POSTGRES_PASSWORD": f"admin'{name}", "DB_PASSWORD": f"app'{name}$"}
    return site.add(group, name, {"bulkhead_secrets": words}, services=services, wait_timeout=90, **variables)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Iterator[Pair]:
    """Both, deployed and filled; staging with a schedule, where this machine's may be written."""
    site = Site(tmp_path_factory.mktemp("backup"), projects())
    scheduled = {"backup_schedule": "daily"} if may_schedule() else {}
    production = add(site, "production", "prod", protected=True)
    pooler = {**IMAGES["pgbouncer"], "stop_grace_period": "0s"}
    staging = add(site, "staging", "staging", pooler, **scheduled)
    try:
        for place in (production, staging):
            place.deploy().succeeded()
            sql(place, TABLES.format(place.prefix))
            put(place, f"mkdir a && echo {place.name} > a/one && ln a/one two && ln -s a/one 'a link' && chmod 751 a")
            put(place, "chown -hR 10001:10002 .")
        yield Pair(site, production, staging)
    finally:
        for place in (production, staging):
            cron_file(place).unlink(missing_ok=True)
        remove_project(site.project)


def application(place: Place) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Asks the database as the application does at this moment, by its login and through the pooler."""
    user = docker("exec", f"{place.prefix}_web", "printenv", "DB_USER").strip()
    password = place.secrets["bulkhead_secrets"]["DB_PASSWORD"]
    address = f"host=pgbouncer port=6432 user={user} dbname={place.prefix}"
    inside = ["exec", "--env", f"PGPASSWORD={password}", f"{place.prefix}_postgresql"]
    command = ["docker", *inside, "psql", address, "-qAt", "-v", "ON_ERROR_STOP=1", "-c"]
    return lambda statement: subprocess.run([*command, statement], capture_output=True, text=True, check=False)


class Writer:
    """Writes through the pooler all the while; knows which rows were acknowledged, and when they were begun."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._over = threading.Event()
        self.acknowledged: list[tuple[float, str]] = []
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _write(self) -> None:
        number, ask = 0, application(self._place)
        while not self._over.is_set():
            number += 1
            began = time.monotonic()
            if ask(f"INSERT INTO note (text) VALUES ('written {number}')").returncode == 0:
                self.acknowledged.append((began, f"written {number}"))
            time.sleep(0.1)


def test_what_is_restored_is_what_was_backed_up(pair: Pair) -> None:
    """Rows, files, owner and rights; the application goes on by itself, and no acknowledged row is lost."""
    place = pair.staging
    rows, files = sql(place, ROWS), media(place)
    made = pair.site.play("-l", "staging", playbook="playbooks/backup.yml").succeeded().result("backup")["backup"]
    sql(place, 'DELETE FROM note WHERE id > 7; DROP TABLE "Odd ""one"" name"')
    put(place, "rm a/one && echo three > three")
    with Writer(place) as writer:
        run = restore(pair, "-e", f"bulkhead_restore={made['name']}").succeeded()
        ended = time.monotonic()
        while not any(at > ended for at, _text in writer.acknowledged) and time.monotonic() < ended + 120:
            time.sleep(0.2)
    kept = run.result("restore")["restored"]["kept"][0]
    since = {text for at, text in writer.acknowledged if at > ended}
    assert since, "the application cannot write after the restore"
    now = set(sql(place, "SELECT text FROM note WHERE text LIKE 'written%'").splitlines())
    sql(place, f"ALTER DATABASE {kept} ALLOW_CONNECTIONS true", "postgres")
    before = set(sql(place, "SELECT text FROM note WHERE text LIKE 'written%'", kept).splitlines())
    sql(place, f"ALTER DATABASE {kept} ALLOW_CONNECTIONS false", "postgres")
    assert {text for _at, text in writer.acknowledged} <= now | before and since <= now and not now & before
    sql(place, "DELETE FROM note WHERE text LIKE 'written%'")
    assert sql(place, ROWS) == rows and sql(place, 'SELECT count(*) FROM "Odd ""one"" name"') == "2"
    assert media(place) == files
    assert databases(place) == [place.prefix, kept]
    owner = sql(place, f"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{place.prefix}'")
    assert owner == place.prefix
    assert sql(place, f"SELECT has_database_privilege('public', '{place.prefix}', 'CONNECT')") == "f"
    assert sql(place, "SHOW search_path") == "public, extra" and sql(place, "SHOW bulkhead.prefix") == place.prefix
    pair.site.play("-l", "staging", playbook="playbooks/verify.yml").succeeded()


def test_production_is_restored_into_staging_only_sanitised(pair: Pair, tmp_path: Path) -> None:
    """Rows and files; and nothing in staging's server speaks of production afterwards."""
    production, staging = pair.production, pair.staging
    made(production, protected=True)
    rows, files = sql(staging, ROWS), media(staging)
    wanted = ["-e", "bulkhead_restore=latest", "-e", f"bulkhead_restore_from={production.prefix}"]
    production.variables["bulkhead_restore_readers"] = [{"prefix": staging.prefix}]
    error = restore(pair, *wanted).error
    assert "is protected, and so is its data" in error and "so is what web holds (3 files)" in error
    assert sql(staging, ROWS) == rows
    script = tmp_path / "sanitise.sql"
    change = "UPDATE note SET text = 'removed ' || id; UPDATE django_site SET domain = 'example.com';"
    script.write_text(f"SELECT :'bulkhead_part' = 'postgresql' AS own \\gset\n\\if :own\n{change}\n\\endif\n")
    given = parameters(staging)
    given["parts"][0]["wiring"] = []
    one = Restore(engine(), given, "latest", production.prefix)
    assert one.run(script.read_text(), foreign=True, files=False, backup_first=False)["files"] is None
    assert media(staging) == files and sql(staging, ROWS) != rows
    (tmp_path / "files.sh").write_text(FILES_SCRIPT)
    scripts = {"sanitise": str(script), "sanitise_files": str(tmp_path / "files.sh")}
    production.variables.update({f"bulkhead_restore_{name}": path for name, path in scripts.items()})
    run = restore(pair, *wanted).succeeded()
    assert "3 files, sanitised" in run.output
    assert sql(staging, "SELECT count(*) FROM note WHERE text = 'removed ' || id") == "500"
    assert sql(staging, "SELECT tableowner FROM pg_tables WHERE tablename = 'note'") == staging.prefix
    assert production.prefix not in sql(staging, "SELECT string_agg(rolname, ' ') FROM pg_roles")
    assert docker("exec", f"{staging.prefix}_web", "cat", f"{MEDIA}/two") == "of prod\n"
    found = docker("exec", f"{staging.prefix}_web", "cat", f"{MEDIA}/seen").splitlines()
    assert found == ["a", "a link", "seen", "two", "lo", "0", "none"], (
        "its input is empty, and nothing else is to be seen"
    )
    assert len(databases(staging)) == 2, "what an earlier restore kept goes with the next"
    error = restore(pair, "-e", "bulkhead_restore=latest", group="production").error
    assert f"-e bulkhead_confirm={production.prefix}" in error


def made(place: Place, **more: Any) -> dict[str, Any]:
    """One more backup."""
    return Backups(engine(), parameters(place, **more)).make("by hand")


def whole(place: Place) -> tuple[str, str, list[str]]:
    """Everything that a restore could change."""
    return sql(place, ROWS), media(place), databases(place)


def age_key(path: Path) -> tuple[Path, str]:
    """A new key of age: the file with the private one, and the public one."""
    subprocess.run(["age-keygen", "-o", path], check=True, capture_output=True)
    return path, subprocess.run(["age-keygen", "-y", path], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("damage", ["truncated", "changed", "missing", "no manifest", "no backup"])
def test_a_damaged_backup(pair: Pair, damage: str) -> None:
    place = pair.staging
    path = Path(made(place)["path"])
    before = whole(place)
    dump = path / "postgresql.dump"
    content = dump.read_bytes()
    if damage == "truncated":
        dump.write_bytes(content[: len(content) // 2])
    elif damage == "changed":
        dump.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "missing":
        dump.unlink()
    elif damage == "no manifest":
        (path / "manifest.json").unlink()
    else:
        shutil.rmtree(path)
    words = {
        "truncated": "bytes, but the manifest says",
        "changed": "the digest of postgresql.dump differs",
        "missing": r"postgresql\.dump is missing",
        "no manifest": r"is not a complete backup",
        "no backup": r"there is no backup .*; complete backups: ",
    }
    with pytest.raises(EngineError, match=words[damage]):
        Restore(engine(), parameters(place), path.name).run(backup_first=False)
    assert whole(place) == before
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.parametrize(
    ("script", "files", "said"),
    [
        ("SELECT no_such_thing();", "", "bulkhead_restore_sanitise failed.*previous data still serves, unchanged"),
        ("SELECT 1;", "", "the data still points at .*: sites"),
        (
            "DELETE FROM django_site;",
            "rm two; false",
            r"sanitise_files on the files of .* failed \(exit code 1\).*still serves",
        ),
    ],
)
def test_a_sanitising_that_does_not_do(pair: Pair, script: str, files: str, said: str) -> None:
    place = pair.staging
    sql(place, "INSERT INTO django_site SELECT 'left' WHERE NOT EXISTS (SELECT FROM django_site)")
    made(place)
    before = whole(place)
    with pytest.raises(Failure, match=said):
        Restore(engine(), parameters(place), "latest").run(script, files, foreign=True, backup_first=False)
    assert whole(place) == before


def test_no_room_for_a_second_database(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    place = pair.staging
    made(place)
    before = whole(place)
    monkeypatch.setattr(PostgreSQLServer, "free", lambda _self: 9)
    with pytest.raises(EngineError, match="the disk of the database has 0 MiB free"):
        Restore(engine(), parameters(place), "latest").run(backup_first=False)
    assert whole(place) == before


def dying(at: tuple[type, str]) -> None:
    """Let this process end where it would swap databases or files."""
    original = getattr(*at)

    def die(self: Any, *arguments: Any) -> Any:
        return os._exit(9) if arguments[:1] in ((), ("swap",)) else original(self, *arguments)

    setattr(*at, die)


@pytest.mark.parametrize(
    ("at", "restored"),
    [((DatabaseSwap, "swap"), False), ((ContainerFiles, "rearrange"), True)],
    ids=["before", "after"],
)
def test_a_restore_that_is_killed(pair: Pair, at: tuple[type, str], restored: bool) -> None:
    """Before the databases are swapped the next run undoes it, and from then on it finishes it.

    What was uploaded in between is lost neither way.
    """
    place = pair.staging
    made(place)
    backed_up = whole(place)
    sql(place, "DELETE FROM note WHERE id > 5")
    put(place, "echo four > four")
    before = whole(place)
    child = os.fork()
    if not child:
        dying(at)
        try:
            Restore(engine(), parameters(place), "latest").run(backup_first=False)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert sql(place, ROWS) == (backed_up if restored else before)[0], "one of the two serves at any time"
    put(place, "echo five > five")
    done = recover(engine(), parameters(place))
    assert done is not None and done.restored == restored
    assert [Path(kept).parent for kept in done.kept] == [Path(MEDIA)] * restored
    if restored:
        put(place, f"grep four {done.kept[0]}/four && mv {done.kept[0]}/five . && rm -r {done.kept[0]}")
    put(place, "grep five five && rm five")
    rows, files, names = whole(place)
    assert (rows, files) == (backed_up if restored else before)[:2]
    assert not any("restore" in name for name in names)
    assert recover(engine(), parameters(place)) is None


#: An age that kills who runs it, in the midst of decrypting a part for the second time: first its digest is compared.
#: What it decrypts goes on for a while, as that of age would.
KILLING = """\
#!/bin/sh
for file; do :; done
[ "${{file##*/}}" = {part}.age ] && echo >> {calls}
[ -e {calls} ] && [ "$(wc -l < {calls})" = 2 ] || exec {age} "$@"
{age} "$@" | {{ dd bs=2048 count=1 iflag=fullblock; kill -9 $PPID; sleep 2; exec cat; }}
"""


def decrypting(path: Path) -> list[bytes]:
    """The programs that decrypt something below a directory."""
    seen = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            seen.append(process.read_bytes())
    return [command for command in seen if b"--decrypt" in command and os.fsencode(path) in command]


@pytest.mark.parametrize(
    ("part", "at", "restored"),
    [
        ("postgresql.dump", None, False),
        # It is taken back as the database is.
        pytest.param("web.tar", None, False, marks=pytest.mark.full),
        ("", (ContainerFiles, "rearrange"), True),
    ],
    ids=["while the database is filled", "while the files are copied", "after the swap"],
)
def test_a_restore_of_an_encrypted_backup_that_is_killed(
    pair: Pair,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    part: str,
    at: tuple[type, str] | None,
    restored: bool,
) -> None:
    """What was there is there again, or what was restored is finished, without the key. Nothing goes on decrypting,
    no file has the key or half a database; and with the key the backup can be restored again."""
    have_programs(age="age")
    place, (key, recipient) = pair.staging, age_key(tmp_path / "backup.key")
    plain = made(place)
    backed_up = whole(place)
    path = pair.site.directory / "killed" / plain["name"]
    Encryption(engine(), [recipient], 60).encrypt(plain["path"], str(path))
    path.parent.chmod(0o700)
    private = key.read_text()
    sql(place, "DELETE FROM note WHERE id % 3 = 0")
    put(place, "echo six > six")
    before = whole(place)
    program, calls = tmp_path / "age", tmp_path / "calls"
    program.write_text(KILLING.format(part=part or "none", calls=calls, age=shutil.which("age")))
    program.chmod(0o755)
    child = os.fork()
    if not child:
        find = Engine.find
        monkeypatch.setattr(Engine, "find", lambda own, name: str(program) if name == "age" else find(own, name))
        if at:
            dying(at)
        try:
            Restore(engine(), parameters(place), str(path), private=private).run(backup_first=False)
        finally:
            os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.waitstatus_to_exitcode(status) == (9 if at else -9)
    assert bool(decrypting(path)) is (at is None), "age is still at work, as it would be"
    assert sql(place, ROWS) == (backed_up if restored else before)[0]
    done = recover(engine(), parameters(place))
    assert done is not None and done.restored == restored
    if restored:
        put(place, f"rm -r {done.kept[0]}")
    rows, files, names = whole(place)
    assert (rows, files) == (backed_up if restored else before)[:2]
    assert not any("restore" in name for name in names)
    assert eventually(lambda: not decrypting(path))
    secret = private.splitlines()[-1].encode()
    everything = [file for file in pair.site.directory.rglob("*") if file.is_file()]
    assert [file for file in everything if secret in file.read_bytes()] == []
    Restore(engine(), parameters(place), str(path), private=private).run(backup_first=False)
    assert whole(place)[:2] == backed_up[:2]
    shutil.rmtree(path.parent)


def test_databases_of_one_server_change_names_together(pair: Pair) -> None:
    """While the second one's name is held nothing is seen of the first one's change, and without it both stay."""
    place = pair.staging
    names = [place.prefix, f"{place.prefix}_extra"]
    given = parameters(place)
    own = given["parts"][0]
    given["parts"] = [own, {**own, "name": "extra", "database": names[1], "wiring": []}]
    sql(place, f"CREATE DATABASE {names[1]} OWNER {names[0]}", "postgres")
    try:
        for name in names:
            sql(place, "CREATE TABLE moment AS SELECT 'backed up' AS text", name)
        Backups(engine(), given).make("by hand")
        for name in names:
            sql(place, "UPDATE moment SET text = 'later'", name)
        there = databases(place)
        holding = f"BEGIN; COMMENT ON DATABASE {names[1]} IS 'held'; SELECT pg_sleep(600)"
        held = "FROM pg_stat_activity WHERE query LIKE 'BEGIN; COMM%'"
        with ThreadPoolExecutor(2) as pool:
            holder = pool.submit(subprocess.run, [*psql(place, "postgres"), holding], capture_output=True, check=False)
            blocked = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DO %RENAME%'"
            try:
                eventually(lambda: sql(place, f"SELECT count(*) {held} AND wait_event = 'PgSleep'", "postgres") == "1")
                restoring = pool.submit(Restore(engine(), given, "latest").run, backup_first=False)
                eventually(lambda: sql(place, f"SELECT count(*) {blocked}", "postgres") == "1", 120)
                assert {*there} <= {*databases(place)} and not any(
                    "before" in name for name in {*databases(place)} - {*there}
                )
                sql(place, f"SELECT pg_terminate_backend(pid) {blocked}", "postgres")
            finally:
                sql(place, f"SELECT pg_terminate_backend(pid) {held}", "postgres")
            holder.result()
            with pytest.raises(EngineError, match=f"still serve: {', '.join(names)}"):
                restoring.result()
        assert [sql(place, "SELECT text FROM moment", name) for name in names] == ["later", "later"]
        assert databases(place) == there
        done = Restore(engine(), given, "latest").run(backup_first=False)
        assert [sql(place, "SELECT text FROM moment", name) for name in names] == ["backed up", "backed up"]
        assert done["kept"] == [f"{name}_before_{done['kept'][0][-14:]}" for name in names]
    finally:
        for name in databases(place):
            if name.startswith(names[1]):
                sql(place, f"DROP DATABASE {name} WITH (FORCE)", "postgres")
        sql(place, "DROP TABLE IF EXISTS moment")


def test_retention_deletes_this_environments_own(pair: Pair) -> None:
    folder = pair.site.directory / "machine-state/backups" / pair.staging.prefix
    names = [made(pair.staging)["name"] for _number in range(2)]
    foreign = Path(made(pair.production, directory=str(folder))["path"])
    last = made(pair.staging, keep=1)
    assert set(names) <= set(last["removed"]) and foreign.is_dir()
    assert not any((folder / name).exists() for name in names) and Path(last["path"]).is_dir()
    shutil.rmtree(foreign)


def test_no_room_for_a_backup(pair: Pair, tmp_path: Path) -> None:
    """Nothing is written; and where a release wants one, nothing is prepared, and what serves goes on serving."""
    if os.geteuid() != 0:
        pytest.skip("mounts a file system, as root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], check=True)
    try:
        with pytest.raises(EngineError, match="MiB free, but the backup needs about"):
            made(pair.staging, directory=str(tmp_path / "backups"))
        assert [path.name for path in (tmp_path / "backups").iterdir()] == [".lock"]
        _a_release_that_cannot_be_backed_up(pair, tmp_path / "backups")
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def _a_release_that_cannot_be_backed_up(pair: Pair, full: Path) -> None:
    place, kept = pair.staging, dict(pair.staging.variables)
    services = dict(kept["bulkhead_services"])
    own = {**services["web"]["x-bulkhead"], "prepare": [["touch", "/srv/storage/prepared"]]}
    services["web"] = {**services["web"], "x-bulkhead": own, "environment": {"SAY": "changed"}}
    before = moment(place)
    place.variables |= {"bulkhead_backup_directory": str(full), "bulkhead_services": services}
    try:
        error = place.deploy().error
    finally:
        place.variables = kept
    assert f"no backup was made: {full} has " in error and "MiB free, but the backup needs about" in error
    assert error.count("bulkhead_backup_directory") == 1 and "The previous release serves again" in error
    assert moment(place) == before and say(place.prefix) == ""
    docker("exec", f"{place.prefix}_web", "test", "!", "-e", "/srv/storage/prepared")


def test_a_copy_is_taken_off_the_machine(pair: Pair, tmp_path: Path) -> None:
    with public_directory() as folder:
        target = folder / "target"
        target.mkdir()
        target.chmod(0o777)
        copied = made(pair.staging, copy_command=f'cp -r "$BULKHEAD_BACKUP" {shlex.quote(str(target))}/')
        elsewhere = Path(shutil.copytree(target / copied["name"], tmp_path / copied["name"]))
    look = Restore(engine(), parameters(pair.staging), str(elsewhere)).look()
    assert look["manifest"]["path"] == str(elsewhere) and look["seen"]["postgresql"]["stamp"] == pair.staging.prefix
    with pytest.raises(Failure, match="was not copied off the machine"):
        made(pair.staging, copy_command="exit 4")


@pytest.mark.skipif(os.geteuid() != 0, reason="running the copy command as another user needs root")
def test_an_encrypted_copy_is_restored_with_its_key(pair: Pair, tmp_path: Path) -> None:
    """By the playbook, as loud as it gets. A wrong key and none change nothing; the key is nowhere afterwards."""
    have_programs(age="age")
    place, (key, recipient) = pair.staging, age_key(tmp_path / "backup.key")
    other, _stranger = age_key(tmp_path / "other.key")
    sql(place, "DELETE FROM note; INSERT INTO note (text) SELECT 'canary ' || n FROM generate_series(1, 20000) n")
    rows, files = sql(place, ROWS), media(place)
    with public_directory() as folder:
        target = folder / "target"
        target.mkdir()
        target.chmod(0o777)
        command = f'cp -r "$BULKHEAD_BACKUP" {shlex.quote(str(target))}/'
        copied = made(place, copy_command=command, recipients=[recipient])
        back = pair.site.directory / "back" / copied["name"]
        shutil.copytree(target / copied["name"], back, copy_function=shutil.copyfile)
    for path in (back.parent, back):
        path.chmod(0o700)
    shutil.rmtree(copied["path"])
    sql(place, "DELETE FROM note WHERE id % 2 = 0")
    put(place, "rm -r a && echo late > late")
    before = whole(place)
    wanted = ["-e", f"bulkhead_restore={back}"]
    assert "is encrypted. Name the file" in restore(pair, *wanted).error
    wrong = restore(pair, *wanted, "-e", f"bulkhead_restore_identity={other}").error
    assert "does not open" in wrong and "was encrypted for others" in wrong
    foreseen = restore(pair, *wanted, "--check", "-e", f"bulkhead_restore_identity={key}").succeeded()
    assert foreseen.changed and whole(place) == before
    private = key.read_text().splitlines()[-1]
    with ProcessArguments([private]) as arguments:
        run = restore(pair, "-vvv", *wanted, "-e", f"bulkhead_restore_identity={key}").succeeded()
    assert sql(place, ROWS) == rows and media(place) == files
    assert arguments.rounds > 5 and arguments.seen == set()
    assert private not in run.output
    left = [path for path in pair.site.directory.rglob("*") if path.is_file() and private.encode() in path.read_bytes()]
    assert left == []
    # In the directory of backups it is listed, and with its key like any other.
    shutil.move(back, Path(copied["path"]))
    book = "playbooks/backups.yml"
    listed = pair.site.play("-l", "staging", playbook=book).succeeded().output
    assert f"{copied['name']}  encrypted: -e bulkhead_restore_identity=<file>" in listed
    listed = pair.site.play("-l", "staging", "-e", f"bulkhead_restore_identity={key}", playbook=book).succeeded().output
    assert f"{copied['name']}  20" in listed and "encrypted" not in listed
    shutil.rmtree(copied["path"])


def test_an_encrypted_backup_from_before_a_rotation(pair: Pair, tmp_path: Path) -> None:
    """The key of the backup opens it as before; its data belongs to the owner, and to the new login as to the old."""
    have_programs(age="age")
    place, (key, recipient) = pair.staging, age_key(tmp_path / "backup.key")
    before = application(place)
    assert before("CREATE TABLE of_a_login (id int); INSERT INTO of_a_login VALUES (1), (2)").returncode == 0
    plain, path = made(place), pair.site.directory / "rotated" / "backup"
    Encryption(engine(), [recipient], 60).encrypt(plain["path"], str(path))
    path.parent.chmod(0o700)
    place.secrets["bulkhead_secrets"]["DB_PASSWORD"] = "another'one\"$"
    place.deploy().succeeded()
    after = application(place)
    assert after("DELETE FROM of_a_login; DROP TABLE IF EXISTS django_site").returncode == 0
    assert before("SELECT 1").returncode != 0
    Restore(engine(), parameters(place), str(path), private=key.read_text()).run(backup_first=False)
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE tablename IN ('note', 'of_a_login', 'django_site')"
    assert sql(place, owners) == place.prefix
    assert after("INSERT INTO of_a_login VALUES (3); SELECT count(*) FROM of_a_login").stdout.strip() == "3"
    assert before("SELECT 1").returncode != 0, "a restore brings no earlier login back"
    after("DROP TABLE of_a_login")
    shutil.rmtree(path.parent)


def test_the_machine_backs_up_by_itself_and_no_more(pair: Pair) -> None:
    """What cron would run, run by hand, without Ansible; it waits for nobody who is gone."""
    place, cron = pair.staging, cron_file(pair.staging)
    if not may_schedule():
        pytest.skip("writes to /etc/cron.d, as root and without systemd")
    line = cron.read_text().splitlines()[-1]
    fields = line.split(None, 6)
    assert 1 <= int(fields[1]) < 5 and fields[2:6] == ["*", "*", "*", "root"]
    done = subprocess.run(["env", "-i", "/bin/sh", "-c", fields[6]], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    path = Path(done.stdout.split(": ")[1].strip())
    manifest = json.loads((path / "manifest.json").read_text())
    assert (manifest["trigger"], manifest["prefix"]) == ("schedule", place.prefix)
    assert manifest["parts"][0]["rows"]["public.note"] == int(sql(place, "SELECT count(*) FROM note"))
    listed = pair.site.play("-l", "staging", playbook="playbooks/backups.yml").succeeded()
    assert f"{path.name}  " in listed.output and "on schedule" in listed.output
    place.variables["bulkhead_backup_schedule"] = ""
    place.deploy().succeeded()
    folder = pair.site.directory / "machine-state/schedules" / place.prefix
    assert not cron.exists() and [path.name for path in folder.iterdir()] == ["last.json"]
