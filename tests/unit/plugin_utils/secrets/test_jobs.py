# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each verb on a vault file: what it changes, what it refuses, and that a refusal changes nothing."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.vault import VaultSecret
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.fingerprints import recorded
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets import files, jobs, vault
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.editing import SecretsProblem, SecretsText

PASSWORD, OTHER = VaultSecret(b"password of staging"), VaultSecret(b"another")
NEEDED = ["SECRET_KEY", "DB_PASSWORD"]
TOKEN = "Zx9-k3mQ_7vB2nL5tR8wY1cF4gH6jD0s"


def job(directory: Path, **more: Any) -> jobs.SecretsJob:
    """A run on the secrets of staging."""
    usual = {"group": "staging", "needed": NEEDED, "passwords": [("staging", PASSWORD)], "salt": "0" * 32}
    return jobs.SecretsJob(directory=directory / "staging", **{**usual, **more})


def run(directory: Path, verb: str, **more: Any) -> jobs.JobDone:
    """Do a job."""
    return jobs.run(verb, job(directory, **more))


def values(directory: Path, password: VaultSecret = PASSWORD) -> dict[str, str]:
    """The secrets as they stand in the vault file now."""
    text = (directory / "staging" / "vault.yml").read_text()
    return dict(SecretsText(vault.opened(text, [("staging", password)], "staging")[0]).values)


def committed(directory: Path) -> set[str]:
    """The names that have a fingerprint."""
    text = (directory / "staging" / "fingerprints.yml").read_text()
    return set(recorded(yaml.safe_load(text)["bulkhead_fingerprints"]))


def state(directory: Path) -> dict[str, bytes]:
    """Every file of the environment."""
    return {path.name: path.read_bytes() for path in (directory / "staging").iterdir()}


def refused(directory: Path, verb: str, **more: Any) -> str:
    """Why a job is refused; it has changed nothing."""
    before = state(directory) if (directory / "staging").is_dir() else {}
    with pytest.raises(SecretsProblem) as caught:
        run(directory, verb, **more)
    assert state(directory) == before
    return str(caught.value)


def test_init_makes_what_is_missing_and_nothing_else(tmp_path: Path) -> None:
    done = run(tmp_path, "init")
    made = values(tmp_path)
    assert done.changed and list(made) == NEEDED and all(made.values())
    assert committed(tmp_path) == set(NEEDED)
    assert not any(value in str(done) for value in made.values())
    before = state(tmp_path)
    again = run(tmp_path, "init")
    assert not again.changed and state(tmp_path) == before
    assert run(tmp_path, "init", needed=[*NEEDED, "REDIS_PASSWORD"]).changed
    assert {**values(tmp_path), **made} == values(tmp_path)
    assert committed(tmp_path) == {*NEEDED, "REDIS_PASSWORD"}


def test_init_of_another_kind(tmp_path: Path) -> None:
    run(tmp_path, "init", name="JWT_PRIVATE_KEY", kind="ed25519")
    assert "BEGIN PRIVATE KEY" in values(tmp_path)["JWT_PRIVATE_KEY"]
    assert "BEGIN PUBLIC KEY" in values(tmp_path)["JWT_PUBLIC_KEY"]
    assert committed(tmp_path) == {*NEEDED, "JWT_PRIVATE_KEY"}


def test_no_plain_text_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    real = files._write

    def spy(temporary: Path, content: bytes, *rest: Any) -> None:
        written.append(content)
        real(temporary, content, *rest)

    monkeypatch.setattr(files, "_write", spy)
    run(tmp_path, "set", name="TOKEN", value=lambda: TOKEN)
    assert len(written) == 2 and written[0].startswith(b"$ANSIBLE_VAULT;1.2;AES256;staging")
    assert not any(TOKEN.encode() in content for content in written)


def test_set(tmp_path: Path) -> None:
    run(tmp_path, "set", name="TOKEN", value=lambda: TOKEN)
    assert values(tmp_path) == {"TOKEN": TOKEN} and committed(tmp_path) == {"TOKEN"}
    assert not run(tmp_path, "set", name="TOKEN", value=lambda: TOKEN).changed
    run(tmp_path, "set", name="TOKEN", value=lambda: "a\nb {{ c }}\n")
    assert values(tmp_path) == {"TOKEN": "a\nb {{ c }}\n"} and committed(tmp_path) == set()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TOKEN", "", "its value is empty"),
        ("TOKEN", "canary\0canary", "NUL"),
        ("TOKEN", "canary" * 200_000, "128 KiB or longer"),
        ("", "canary", "there is no name"),
        ("TO-KEN", "canary", "'TO-KEN' is not a name"),
        ("COMPOSE_FILE", "canary", "are reserved"),
        ("DB_HOST", "canary", "DB_HOST is set by bulkhead_env already"),
    ],
)
def test_what_cannot_be_set(tmp_path: Path, name: str, value: str, said: str) -> None:
    run(tmp_path, "init")
    message = refused(tmp_path, "set", name=name, value=lambda: value, taken={"DB_HOST": "bulkhead_env"})
    assert said in message and "canarycanary" not in message


def test_rotate_one_and_all(tmp_path: Path) -> None:
    run(tmp_path, "init")
    run(tmp_path, "set", name="TOKEN", value=lambda: TOKEN)
    first = values(tmp_path)
    run(tmp_path, "rotate", name="DB_PASSWORD")
    second = values(tmp_path)
    assert {name for name in first if first[name] != second[name]} == {"DB_PASSWORD"}
    done = run(tmp_path, "rotate", name="all")
    third = values(tmp_path)
    assert {name for name in second if second[name] != third[name]} == set(NEEDED)
    assert "TOKEN: left as it is; -e bulkhead_secret_name=TOKEN replaces it" in "\n".join(done.steps)
    assert not any(value in str(done) for value in (*first.values(), *third.values()))


def test_djangos_old_key_is_accepted_until_it_is_retired(tmp_path: Path) -> None:
    run(tmp_path, "init")
    old = values(tmp_path)["SECRET_KEY"]
    run(tmp_path, "rotate", name="SECRET_KEY")
    assert values(tmp_path)["SECRET_KEY_FALLBACKS"] == old != values(tmp_path)["SECRET_KEY"]
    assert committed(tmp_path) == {*NEEDED, "SECRET_KEY_FALLBACKS"}
    assert run(tmp_path, "retire").changed and "SECRET_KEY_FALLBACKS" not in values(tmp_path)
    assert committed(tmp_path) == set(NEEDED) and not run(tmp_path, "retire").changed


def test_a_deploy_key_is_shown_by_its_public_half(tmp_path: Path) -> None:
    done = run(tmp_path, "init", name="BULKHEAD_DEPLOY_KEY")
    made = values(tmp_path)
    assert made["BULKHEAD_DEPLOY_KEY"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert made["BULKHEAD_DEPLOY_KEY_PUBLIC"] in str(done) and made["BULKHEAD_DEPLOY_KEY"][50:90] not in str(done)
    assert "BULKHEAD_DEPLOY_KEY" in committed(tmp_path), "so that the same key of another environment is found"


def test_a_rotated_pair_stays_a_pair(tmp_path: Path) -> None:
    run(tmp_path, "init", name="SIGNER", kind="rsa")
    before = values(tmp_path)
    assert "SIGNER: replaced (rsa)" in run(tmp_path, "rotate", name="SIGNER").steps
    after = values(tmp_path)
    assert before["SIGNER"] != after["SIGNER"] and before["SIGNER_PUBLIC"] != after["SIGNER_PUBLIC"]


def test_what_is_not_there_is_not_rotated(tmp_path: Path) -> None:
    run(tmp_path, "init")
    assert "no secret TOKEN to replace. There are: SECRET_KEY, DB_PASSWORD" in refused(tmp_path, "rotate", name="TOKEN")
    assert "say which secret" in refused(tmp_path, "rotate")


def test_names(tmp_path: Path) -> None:
    run(tmp_path, "init", needed=["SECRET_KEY"])
    assert run(tmp_path, "show-names").steps == ["SECRET_KEY", "DB_PASSWORD: missing"]


def test_fingerprints_of_values_from_elsewhere(tmp_path: Path) -> None:
    done = run(tmp_path, "fingerprint", evaluated={"TOKEN": TOKEN, "SHORT": "word"})
    assert done.changed and committed(tmp_path) == {"TOKEN"} and list(state(tmp_path)) == ["fingerprints.yml"]
    assert not run(tmp_path, "fingerprint", evaluated={"TOKEN": TOKEN, "SHORT": "word"}).changed


def test_rekey(tmp_path: Path) -> None:
    run(tmp_path, "init")
    before, both = values(tmp_path), [("staging", PASSWORD), ("new", OTHER)]
    assert "--vault-id new@prompt" in refused(tmp_path, "rekey")
    assert "is the present one" in refused(tmp_path, "rekey", passwords=[("staging", PASSWORD), ("new", PASSWORD)])
    run(tmp_path, "rekey", passwords=both)
    assert values(tmp_path, OTHER) == before
    assert "password of staging does not open it" in refused(tmp_path, "show-names")


def test_a_typed_password_is_confirmed_before_it_locks(tmp_path: Path) -> None:
    def differ(_password: Any) -> None:
        raise SecretsProblem("the two passwords differ. Nothing was changed")

    assert "differ" in refused(tmp_path, "init", confirm=differ)
    run(tmp_path, "init")
    assert "differ" in refused(tmp_path, "rekey", confirm=differ, passwords=[("staging", PASSWORD), ("new", OTHER)])


@pytest.mark.parametrize("verb", ["init", "set", "rotate", "retire", "show-names", "rekey"])
def test_a_file_that_cannot_be_opened_is_left_alone(tmp_path: Path, verb: str) -> None:
    run(tmp_path, "init")
    path = tmp_path / "staging" / "vault.yml"
    whole = path.read_text()
    usual: dict[str, Any] = {"name": "DB_PASSWORD", "value": lambda: TOKEN}
    for text, password, said in (
        (whole, OTHER, "does not open it"),
        (whole[:400], PASSWORD, "damaged"),
        (f"{whole}=======\n{whole}>>>>>>> theirs\n", PASSWORD, "merge conflict"),
        ("bulkhead_secrets: {A: canary}\n", PASSWORD, "not encrypted"),
    ):
        path.write_text(text)
        message = refused(tmp_path, verb, passwords=[("staging", password), ("new", VaultSecret(b"n"))], **usual)
        assert said in message and str(path) in message and "canary" not in message


def test_a_number_that_yaml_changed_is_said_before_anything_is_written(tmp_path: Path) -> None:
    run(tmp_path, "init")
    plain = "bulkhead_secrets:\n  PIN: 0123\n  DB_PASSWORD: word\n"
    (tmp_path / "staging" / "vault.yml").write_text(vault.closed(plain, PASSWORD, "staging"))
    message = refused(tmp_path, "set", name="TOKEN", value=lambda: TOKEN)
    assert "PIN stands there without quotes" in message
    run(tmp_path, "set", name="PIN", value=lambda: "0123")
    assert values(tmp_path)["PIN"] == "0123"


def _rotating(directory: Path, barrier: Barrier, results: Any) -> None:
    barrier.wait()
    try:
        run(directory, "rotate", name="all")
        results.put("done")
    except SecretsProblem as problem:
        results.put(str(problem))


def test_two_people_rotate_at_once(tmp_path: Path) -> None:
    run(tmp_path, "init")
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(2), context.Queue()
    people = [context.Process(target=_rotating, args=(tmp_path, barrier, results)) for _unused in range(2)]
    for person in people:
        person.start()
    said = sorted(results.get(timeout=60) for _unused in people)
    for person in people:
        person.join()
    assert "done" in said
    # Either one was refused, or they came one after the other: never a mixture of both.
    assert all(text == "done" or "somebody else is changing the secrets" in text for text in said)
    assert committed(tmp_path) == set(values(tmp_path))


def killing(at: int) -> Callable[..., Any]:
    """A replacement of a file that ends the process before the nth one."""
    real, count = files.replace, 0

    def replace(path: Path, text: str, mode: int = 0o600) -> None:
        nonlocal count
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        real(path, text, mode)

    return replace


def killed(directory: Path, monkeypatch: pytest.MonkeyPatch, at: int, verb: str, **more: Any) -> None:
    """A job in a process that is killed before it replaces the nth file."""
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(files, "replace", killing(at))
        run(directory, verb, **more)
        os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("at", [1, 2])
def test_a_kill_between_the_files_is_mended_by_init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    run(tmp_path, "init")
    before = values(tmp_path)
    killed(tmp_path, monkeypatch, at, "set", name="TOKEN", value=lambda: TOKEN)
    assert values(tmp_path) == ({**before, "TOKEN": TOKEN} if at == 2 else before)
    assert committed(tmp_path) == set(before)
    assert run(tmp_path, "init").changed is (at == 2)
    assert committed(tmp_path) == set(values(tmp_path))


@pytest.mark.parametrize("at", [1, 2])
def test_a_rotation_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """All of the secrets are the earlier ones or the new ones, never some of each."""
    run(tmp_path, "init")
    before = values(tmp_path)
    killed(tmp_path, monkeypatch, at, "rotate", name="all")
    now = values(tmp_path)
    assert {name for name in NEEDED if now[name] != before[name]} == (set(NEEDED) if at == 2 else set())
    assert run(tmp_path, "init").changed is (at == 2) and committed(tmp_path) == set(values(tmp_path))


def test_another_vault_password_and_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file opens with the present password as before, and the next run locks it anew."""
    run(tmp_path, "init")
    before, both = state(tmp_path), [("staging", PASSWORD), ("new", OTHER)]
    killed(tmp_path, monkeypatch, 1, "rekey", passwords=both)
    assert {name: text for name, text in state(tmp_path).items() if name in before} == before
    words = values(tmp_path)
    run(tmp_path, "rekey", passwords=both)
    assert values(tmp_path, OTHER) == words
