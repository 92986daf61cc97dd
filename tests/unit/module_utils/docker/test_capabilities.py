# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which capability a program lacks, by its own last words."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.capabilities import capability_hint


@pytest.mark.parametrize(
    ("said", "added"),
    [
        ("chown: changing ownership of '/data': Operation not permitted", "[CHOWN]"),
        ('failed switching to "redis": operation not permitted\nsetgid: not allowed', "[SETGID, SETUID]"),
        ("nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)", "[NET_BIND_SERVICE, DAC_OVERRIDE]"),
        ("mkdir: cannot create directory '/var/lib/x': Permission denied", "[DAC_OVERRIDE]"),
        ("su: cannot set groups: Operation not permitted", "[SETGID, SETUID]"),
        ("runuser: cannot set groups: Operation not permitted", "[SETGID, SETUID]"),
        ('error: failed switching to "redis": operation not permitted', "[SETGID, SETUID]"),
        ("s6-applyuidgid: fatal: unable to set supplementary group list: Operation not permitted", "[SETGID, SETUID]"),
        ("sudo: unable to change to root gid: Operation not permitted", "[SETGID, SETUID]"),
        ("Unable to drop privileges: Operation not permitted", "[SETGID, SETUID]"),
        ("chpst: fatal: unable to setgroups: access denied", "[SETGID, SETUID, DAC_OVERRIDE]"),
        ("install: cannot change owner and permissions of '/x': Operation not permitted", "[CHOWN, FOWNER]"),
        ("tar: x: Cannot change ownership to uid 1000, gid 1000: Operation not permitted", "[CHOWN]"),
        ("cp: failed to preserve ownership for '/x': Operation not permitted", "[CHOWN]"),
        ('rsync: [generator] chgrp "/x" failed: Operation not permitted (1)', "[CHOWN]"),
        ('initdb: error: could not change permissions of directory "/x": Operation not permitted', "[FOWNER]"),
        ('chroot("/run/sshd"): Operation not permitted', "[SYS_CHROOT]"),
        ("mlockall failed: Operation not permitted", "[IPC_LOCK]"),
    ],
)
def test_what_to_add(said: str, added: str) -> None:
    container = {"HostConfig": {"CapDrop": ["ALL"], "CapAdd": None}}
    assert f"cap_add: {added}," in capability_hint(container, f"starting\n{said}\n")


def test_what_it_has_already_stays() -> None:
    container = {"HostConfig": {"CapDrop": ["ALL"], "CapAdd": ["CAP_CHOWN"]}}
    said = "setgid: Operation not permitted"
    assert "cap_add: [CHOWN, SETGID, SETUID]," in capability_hint(container, said)


@pytest.mark.parametrize("user", ["", "caddy"])
def test_a_program_file_with_capabilities(user: str) -> None:
    container = {"Config": {"User": user}, "HostConfig": {"CapDrop": ["ALL"]}}
    hint = capability_hint(container, "exec /usr/bin/caddy: operation not permitted")
    assert "getcap shows which" in hint and "cap_add: [NET_BIND_SERVICE]" in hint


@pytest.mark.parametrize("user", ["", "root", "0", "0:0", "app", "1000:1000"])
def test_capabilities_are_for_root(user: str) -> None:
    container = {"Config": {"User": user}, "HostConfig": {"CapDrop": ["ALL"]}}
    hint = capability_hint(container, "mkdir: cannot create directory '/data': Permission denied")
    name = user.partition(":")[0]
    assert (f"runs as {name}," in hint) == ("cap_add" not in hint) == (name in ("app", "1000"))


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ({"CapDrop": ["ALL"]}, "ModuleNotFoundError: no module named x"),
        ({"CapDrop": ["ALL"]}, "psycopg.errors.InsufficientPrivilege: permission denied for schema public"),
        ({"CapDrop": ["ALL"]}, 'ERROR:  permission denied to create extension "postgis"'),
        ({"CapDrop": ["ALL"]}, "Access denied for user 'app'@'10.0.0.2' (using password: YES)"),
        ({"CapDrop": ["ALL"]}, "Method Not Allowed (GET): /webhook/"),
        ({"CapDrop": ["ALL"]}, "git@git.example.com: Permission denied (publickey)."),
        ({"CapDrop": None}, "chown: Operation not permitted"),
        ({"CapDrop": ["ALL"], "CapAdd": ["ALL"]}, "chown: Operation not permitted"),
        ({}, "chown: Operation not permitted"),
    ],
)
def test_another_reason(host: dict[str, object], said: str) -> None:
    assert capability_hint({"HostConfig": host}, said) == ""
