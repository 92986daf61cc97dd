# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The user who owns an environment's directory cannot lead root out of it, nor make root believe what he wrote."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.sources import backup_directory
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.directory import DesiredFile
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.errors import Failure
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.handles import PathError
from ansible_collections.aiia.bulkhead.plugins.module_utils.host import facts
from ansible_collections.aiia.bulkhead.plugins.module_utils.host.mounts import Mounted, strays
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.inputs import bring
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.mounts import refuse_links
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.service import Service
from ansible_collections.aiia.bulkhead.plugins.module_utils.source.checkout import Checkout
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.home import Home
from attackers import NOBODY, as_user, meanwhile, public_directory, within
from support import IMAGE, Place, Site, docker, only, web

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="acting as another user needs root")

SECRET = "production-7d1c2a"

#: Seconds of each attack that must fail, and at most of each control, which must succeed.
ATTACK, CONTROL = 1.5, 20


class Two:
    """Production's directory, which is another user's, and staging's, which is the attacker's."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.production = folder / "production"
        self.staging = folder / "staging"
        self.production.mkdir(mode=0o700)
        self.env = self.production / ".env"
        self.env.write_text(f'SECRET="{SECRET}"\n')
        self.env.chmod(0o600)
        self.home = Home(str(self.staging), "aiia_staging", str(self.state), owner="nobody")
        self.home.make_directory("docker/nginx")

    def is_untouched(self) -> bool:
        """Whether production's directory is as it was: modes, owners, names."""
        kept = [(path.name, path.stat().st_mode & 0o777, path.stat().st_uid) for path in (self.production, self.env)]
        wanted = [("production", 0o700, 0), (".env", 0o600, 0)]
        return kept == wanted and [path.name for path in self.production.iterdir()] == [".env"]


@pytest.fixture
def two() -> Iterator[Two]:
    with public_directory() as folder:
        yield Two(folder)


# ---- writing ---------------------------------------------------------------------------------------------------------


def exchange_temporary(two: Two) -> Callable[[], None]:
    """Put a link to production's ``.env`` in the place of whatever file is being written."""
    folder = str(two.staging / "docker/nginx")

    def work() -> None:
        for name in os.listdir(folder):
            if ".bulkhead-" in name:
                os.unlink(f"{folder}/{name}")
                os.symlink(two.env, f"{folder}/{name}")

    return work


def naive_write(path: Path) -> None:
    """Write a file by its path, as is usual."""
    temporary = path.parent / f".{path.name}.bulkhead-{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(b"content")
        os.fsync(descriptor)
    os.lchown(temporary, NOBODY.pw_uid, NOBODY.pw_gid)
    os.chmod(temporary, 0o644)
    os.rename(temporary, path)


def test_a_file_that_is_exchanged_while_it_is_written(two: Two) -> None:
    """Root changes the mode of what it wrote, by its handle, and of nothing else."""
    wanted = DesiredFile("docker/nginx/staging.conf", b"content", 0o644)
    with meanwhile(exchange_temporary(two)):
        assert not within(ATTACK, lambda: two.home.write(wanted), lambda: not two.is_untouched())
        naive = two.staging / wanted.path
        assert within(CONTROL, lambda: naive_write(naive), lambda: not two.is_untouched()), "the control"


def test_a_directory_that_is_exchanged_for_a_link(two: Two) -> None:
    """Root never writes behind a link that the owner can make, at whatever moment he makes it."""
    docker_folder = two.staging / "docker"

    def work() -> None:
        os.rename(docker_folder, two.staging / secrets.token_hex(8))
        os.symlink(two.production, docker_folder)
        os.unlink(docker_folder)
        os.mkdir(docker_folder)

    def naive() -> None:
        (docker_folder / "file").write_text("content")

    with meanwhile(work):
        wanted = DesiredFile("docker/file", b"content", 0o644)
        assert not within(ATTACK, lambda: two.home.write(wanted), lambda: not two.is_untouched())
        assert within(CONTROL, naive, lambda: not two.is_untouched()), "the control"


@pytest.mark.parametrize("what", ["make", "remove", "unlink", "names", "read"])
def test_a_private_directory_that_is_a_link(two: Two, what: str) -> None:
    """``.bulkhead`` as a link to production's directory: nothing there is made, read, changed or removed."""
    assert as_user(lambda: os.symlink(two.production, two.staging / ".bulkhead"))
    work: dict[str, Callable[[], object]] = {
        "make": lambda: two.home.make_directory(".bulkhead/build"),
        "remove": lambda: two.home.remove_all(".bulkhead/x"),
        "unlink": lambda: two.home.unlink(".bulkhead/.env"),
        "names": lambda: two.home.names(".bulkhead"),
        "read": lambda: two.home.read(".bulkhead/.env"),
    }
    with pytest.raises(PathError, match=r"is a link that nobody|is a link that whoever"):
        work[what]()
    assert two.is_untouched()
    os.makedirs(two.staging / ".bulkhead/build")  # the control: by its path the directory is production's
    assert not two.is_untouched()


def test_a_parent_that_the_owner_exchanges(two: Two) -> None:
    """The environment's directory itself is walked to from ``/``."""
    parent = two.staging / "parent"
    assert as_user(lambda: os.mkdir(parent))
    below = Home(str(parent / "production"), "aiia_staging", str(two.state), owner="nobody")
    below.write(DesiredFile("file", b""))
    assert as_user(lambda: shutil.rmtree(parent), lambda: os.symlink(two.production.parent, parent))
    with pytest.raises(PathError, match="Remove the link"):
        below.write(DesiredFile("file", b"x"))
    with pytest.raises(PathError):
        below.read(".env")
    assert two.is_untouched() and (parent / "production/.env").exists(), "the control: the path leads there"


def test_parents_that_others_will_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """staging comes first, in ``<new>/staging``: its owner cannot prepare ``<new>/production``."""

    def prepares(new: Path) -> bool:
        return as_user(lambda: os.mkdir(new / "production"), lambda: os.symlink("/etc", new / "production/docker"))

    with public_directory() as folder:
        home = Home(str(folder / "new/apps/staging"), "aiia_staging", str(tmp_path), owner="nobody")
        home.write(DesiredFile("docker/file", b""))
        kept = [folder / "new", folder / "new/apps", folder / "new/apps/staging", folder / "new/apps/staging/docker"]
        assert [path.stat().st_uid for path in kept] == [0, 0, NOBODY.pw_uid, NOBODY.pw_uid]
        assert {path.stat().st_mode & 0o777 for path in kept} == {0o755}
        assert not prepares(folder / "new/apps") and not prepares(folder / "new")
        # A directory of root's that is somebody's home on paper only is shared with others.
        monkeypatch.setattr(pwd, "getpwnam", lambda _name: nobody_at(folder))
        Home(str(folder / "two/staging"), "aiia_staging", str(tmp_path), owner="nobody").make_directory()
        assert (folder / "two").stat().st_uid == 0
        # In the owner's real home, which others do not use, parents are the owner's; the control for the attack.
        (folder / "home").mkdir()
        os.chown(folder / "home", NOBODY.pw_uid, -1)
        monkeypatch.setattr(pwd, "getpwnam", lambda _name: nobody_at(folder / "home"))
        Home(str(folder / "home/apps/staging"), "aiia_staging", str(tmp_path), owner="nobody").make_directory()
        assert prepares(folder / "home/apps")


def nobody_at(home: Path) -> pwd.struct_passwd:
    """The user nobody with a home."""
    return pwd.struct_passwd((*NOBODY[:5], str(home), NOBODY.pw_shell))


@pytest.mark.parametrize("where", ["", ".bulkhead"])
def test_a_directory_that_a_stranger_prepared(two: Two, where: str) -> None:
    """A user who is neither root nor the owner made the directory, or the closed one in it, and could exchange all."""
    stranger = pwd.getpwnam("daemon").pw_uid
    place = two.staging / where
    place.mkdir(exist_ok=True)
    os.chown(place, stranger, -1)
    with pytest.raises(Failure, match=r"belongs to daemon, and bulkhead_owner is nobody: .*chown -R nobody: "):
        two.home.write(DesiredFile("docker/nginx/staging.conf", b"x"))
    assert list(two.staging.rglob("*.conf")) == []
    # The control: as the owner's, or root's, it can be written.
    for uid in (NOBODY.pw_uid, 0):
        os.chown(place, uid, -1)
        two.home.write(DesiredFile("docker/nginx/staging.conf", b"x"))


# ---- reading ---------------------------------------------------------------------------------------------------------


def test_files_that_compose_reads(two: Two) -> None:
    """Compose runs as root. Linked to production's, ``.env`` would put production's secrets into a container."""
    text = "services:\n  web:\n    image: x\n    env_file:\n    - .env\n"
    files = [DesiredFile("docker-compose.staging.yml", text.encode()), DesiredFile(".env", b'OWN="1"\n', 0o600)]
    service = Service("web", "web", "web", env_files=(".env",))
    two.home.install(files)
    bring(two.home, "docker-compose.staging.yml", files, [service])
    assert as_user(lambda: os.unlink(two.staging / ".env"), lambda: os.symlink(two.env, two.staging / ".env"))

    def read(inputs: Path) -> str:
        command = ["docker", "compose", "-p", "x", "--project-directory", str(two.staging)]
        command += ["--env-file", str(inputs / ".env"), "-f", str(inputs / "docker-compose.staging.yml"), "config"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    inputs = Path(two.home.in_force.directory)
    assert "OWN" in read(inputs) and SECRET not in read(inputs)
    assert not as_user(lambda: os.listdir(inputs)), "the owner cannot even look there"
    assert SECRET in read(two.staging), "the control"


@pytest.mark.parametrize("how", ["a named pipe", "a huge file", "a link"])
def test_files_that_stop_whoever_reads_them(two: Two, how: str) -> None:
    """An observation for production's deployment reads staging's files too."""
    path = two.staging / ".env"
    make: dict[str, Callable[[], object]] = {
        "a named pipe": lambda: os.mkfifo(path),
        "a huge file": lambda: os.truncate(os.open(path, os.O_WRONLY | os.O_CREAT), 1 << 40),
        "a link": lambda: os.symlink("/dev/zero", path),
    }
    assert as_user(make[how])

    def late(*_args: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    try:
        signal.alarm(5)
        assert facts.files_digest(str(two.staging), b"key").get(".env") in (None, "unreadable")
        signal.alarm(0)
        if how == "a named pipe":
            signal.alarm(1)
            with pytest.raises(TimeoutError):
                path.read_bytes()  # the control
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_repository_whose_head_is_production_s_secrets(two: Two) -> None:
    """What root reads of a checkout ends in findings on the controller's screen."""
    repository = two.staging / "code/.git"
    assert as_user(lambda: os.makedirs(repository), lambda: os.symlink(two.env, repository / "HEAD"))
    assert SECRET not in json.dumps(facts.checkout(str(two.staging / "code")))
    assert as_user(lambda: os.unlink(repository / "HEAD"), lambda: (repository / "HEAD").write_text(f"x {SECRET}"))
    assert SECRET not in json.dumps(facts.checkout(str(two.staging / "code")))
    assert as_user(lambda: (repository / "HEAD").write_text("a" * 40))
    assert facts.checkout(str(two.staging / "code"))["commit"] == "a" * 40


# ---- programs --------------------------------------------------------------------------------------------------------


class Module:
    """The part of Ansible's module that git needs."""

    def run_command(self, command: list[str], **_options: Any) -> tuple[int, str, str]:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def get_bin_path(self, name: str) -> str | None:
        return shutil.which(name)


def test_programs_that_a_repository_names(two: Two) -> None:
    """git runs what the configuration of a repository says, as the user who runs git: the owner, never root."""
    seen = two.staging / "seen"
    program = two.staging / "monitor"

    def prepare() -> None:
        program.write_text(f"#!/bin/sh\nid -u > {seen}\n")
        program.chmod(0o755)
        code = str(two.staging / "code")
        environment = {"PATH": os.environ["PATH"], "HOME": str(two.staging)}
        for arguments in (["init", "-q", code], ["-C", code, "config", "core.fsmonitor", str(program)]):
            subprocess.run(["git", *arguments], check=True, env=environment, capture_output=True)

    assert as_user(prepare)
    checkout = Checkout(Module(), str(two.staging), "/r", "main", "nobody")
    checkout.git("status", "--porcelain")
    assert seen.read_text().strip() == str(NOBODY.pw_uid)
    seen.unlink()
    command = ["git", "-c", "safe.directory=*", "-C", str(two.staging / "code"), "status"]
    subprocess.run(command, check=True, capture_output=True)
    assert seen.read_text().strip() == "0", "the control"


def test_what_a_container_mounts(two: Two, projects: Callable[[], str]) -> None:
    """The engine follows links as root. They are refused before a start, and what was exchanged meanwhile is seen."""
    data = two.staging / "data"
    assert as_user(lambda: os.mkdir(data))
    name = f"{projects()}_mounts"
    service = Service("web", "web", "web", mounts=("./data:/data",))
    refuse_links(two.home, [service])

    def mounted() -> dict[str, list[str]]:
        label = f"io.bulkhead.project={name.removesuffix('_mounts')}"
        docker("run", "--detach", "--name", name, "--label", label, "--volume", f"{data}:/data", IMAGE, "sleep", "60")
        try:
            (found,) = json.loads(docker("inspect", name))
            binds = tuple((mount["Source"], mount["Destination"]) for mount in found["Mounts"])
            seen = docker("exec", name, "ls", "-A", "/data").split()
            assert (".env" in seen) is data.is_symlink(), "the control: the engine follows the link"
            return strays([Mounted(name, found["State"]["Pid"], binds)], str(two.staging))
        finally:
            docker("rm", "--force", name)

    assert mounted() == {}
    assert as_user(lambda: os.rmdir(data), lambda: os.symlink(two.production, data))
    with pytest.raises(Failure, match="is a link"):
        refuse_links(two.home, [service])
    (said,) = mounted()[name]
    assert said.endswith("production")


# ---- believing -------------------------------------------------------------------------------------------------------


def test_a_directory_of_backups_that_the_owner_can_write(two: Two) -> None:
    """A manifest there would say what root restores."""
    params = {"directory": str(two.staging / "backups"), "state_directory": str(two.state), "prefix": "aiia_staging"}
    with pytest.raises(PathError, match="bulkhead_backup_directory"):
        backup_directory(params)
    assert backup_directory({**params, "directory": ""}).startswith(str(two.state))


def forge(place: Place, own: str) -> None:
    """Write, as the owner, what an older version would have believed: a release with a mount of the host, in force."""
    folder = place.directory / ".bulkhead/releases" / own
    folder.mkdir(parents=True)
    compose = f"name: {place.prefix}\nservices:\n  web:\n    image: {IMAGE}\n    privileged: true\n"
    (folder / f"docker-compose.{place.name}.yml").write_text(compose)
    manifest = {"release": own, "files": [], "services": [], "images": {}, "environment": {}, "follows": ""}
    (folder / "release.json").write_text(json.dumps(manifest))
    (place.directory / ".bulkhead/state.json").write_text(json.dumps({"release": own, "files": ["../../x"]}))


def test_a_forged_release(site: Site) -> None:
    """A rollback starts what root kept: what the owner wrote since is not looked at."""
    place = site.small("staging", "staging", services=only(web=web()), owner="nobody")
    site.directory.chmod(0o755)
    place.deploy().succeeded()
    first = {path.name for path in (place.directory / ".bulkhead").glob("releases/*")}
    assert first == set(), "nothing that root believes is in the owner's directory"
    place.variables["bulkhead_env"] = {"SAY": "two"}
    place.deploy().succeeded()
    forge(place, "20990101T000000Z-forged00")
    (place.directory / ".env").unlink()
    (place.directory / ".env").symlink_to(site.directory / "staging.password")
    back = site.play("-l", "staging", playbook="playbooks/rollback.yml").succeeded()
    assert "forged00" not in back.output
    (found,) = json.loads(docker("inspect", f"{place.prefix}_web"))
    assert not found["HostConfig"]["Privileged"] and "SAY=hello" in found["Config"]["Env"]
    state = site.directory / "machine-state"
    assert not [path for path in (state, *state.iterdir()) if path.stat().st_mode & 0o077 and path.is_dir()]
    assert not as_user(lambda: os.listdir(state))
