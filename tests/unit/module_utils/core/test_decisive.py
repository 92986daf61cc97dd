# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines that say why a tool failed stay, however much it says afterwards."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.decisive import decisive_lines, is_decisive
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.errors import last_lines

#: One failure of each tool as it prints it: the line that says why, and how many lines follow.
SAID = {
    "git": ("fatal: couldn't find remote ref refs/heads/main", 3),
    "ssh host key": ("Host key verification failed.", 4),
    "ssh key": ("git@git.example.com: Permission denied (publickey).", 4),
    "ssh port": ("ssh: connect to host git.example.com port 22: Connection refused", 4),
    "git-lfs": ("git-lfs smudge -- 'a.bin': line 1: git-lfs: command not found", 4),
    "docker": ("Error response from daemon: all predefined address pools have been fully subnetted", 6),
    "compose": ("dependency failed to start: container aiia_prod_db is unhealthy", 6),
    "compose file": ("validating /srv/docker-compose.yml: services.web.ports must be a array", 6),
    "buildkit": ("#9 12.31 E: Unable to locate package libpq", 20),
    "buildkit step": (
        'ERROR: failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 2',
        20,
    ),
    "npm": ("npm error code ERESOLVE", 20),
    "npm in a build": ("#9 12.31 npm ERR! code ERESOLVE", 20),
    "yarn": ('error An unexpected error occurred: "https://registry.example.com"', 20),
    "compiler": ("#9 12.31 psycopg.h:1:10: fatal error: libpq-fe.h: No such file or directory", 20),
    "go": ("main.go:5:2: no required module provides package example.com/x", 20),
    "cargo": ("error[E0432]: unresolved import", 20),
    "registry": ("toomanyrequests: You have reached your pull rate limit", 6),
    "registry login": ("denied: requested access to the resource is denied", 6),
    "registry CA": ('Get "https://registry.example.com/v2/": tls: x509: certificate signed by unknown authority', 6),
    "no such image": ("manifest for x:1 not found: manifest unknown: manifest unknown", 6),
    "another processor": ("no matching manifest for linux/arm64 in the manifest list entries", 6),
    "runc": ("OCI runtime create failed: runc create failed: unable to start container process", 6),
    "entry point": ("exec /entrypoint.sh: no such file or directory", 15),
    "django": ("notes.Note.author: (fields.E300) Field defines a relation with model 'User'", 15),
    "celery": ("[2026-01-01 10:00:00,000: CRITICAL/MainProcess] Unrecoverable error: x", 15),
    "uwsgi": ("unable to load app 0 (mountpoint='') (callable not found or import error)", 15),
    "node": ("Unhandled Rejection at: Promise", 15),
    "ruby": ("ActiveRecord::ConnectionNotEstablished: could not connect", 15),
    "java": ("Caused by: java.net.ConnectException: Connection refused", 15),
    "go at run time": ("panic: runtime error: invalid memory address", 15),
    "rust": ("thread 'main' panicked at src/main.rs:1:1", 15),
    "curl": ("curl: (7) Failed to connect to localhost port 8000", 3),
    "JSON": ('{"level":"fatal","msg":"cannot connect"}', 15),
    "crash": ("Segmentation fault (core dumped)", 15),
    "postgresql": ("2026-01-01 10:00:00.000 UTC [1] FATAL:  could not open lock file: No space left on device", 15),
    "psql": ('ERROR:  relation "notes" does not exist', 15),
    "psql connection": ('psql: error: connection to server at "db" failed', 15),
    "pgbouncer": ("2026-01-01 10:00:00.000 UTC [1] FATAL cannot load config file", 15),
    "redis": ("*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***", 15),
    "nginx": ('nginx: [emerg] unknown directive "servr" in /etc/nginx/conf.d/a.conf:3', 15),
    "nginx log": ("2026/01/01 10:00:00 [emerg] 1#1: bind() to 0.0.0.0:80 failed (98: Address already in use)", 15),
    "haproxy": ("[ALERT]    (1) : config : parsing [/etc/haproxy/haproxy.cfg:3] : unknown keyword", 15),
    "gunicorn": ("[2026-01-01 10:00:00 +0000] [7] [ERROR] Exception in worker process", 15),
    "python": ("django.core.exceptions.ImproperlyConfigured: The SECRET_KEY setting must not be empty.", 15),
    "systemd": ("Failed to start app.service: Unit app.service not found.", 15),
    "capabilities": ("chown: changing ownership of '/data': Operation not permitted", 15),
}


@pytest.mark.parametrize("tool", SAID)
def test_the_decisive_line_of_each_tool_stays(tool: str) -> None:
    line, count = SAID[tool]
    said = "\n".join([*(f"before {number}" for number in range(9)), line, *(f"after {number}" for number in range(40))])
    shown = last_lines(said, count).splitlines()
    assert shown == [line, *(f"after {number}" for number in range(40 - count, 40))]


@pytest.mark.parametrize(
    "line",
    [
        "Please make sure you have the correct access rights",
        "fatal: Could not read from remote repository.",
        "LOG:  database system is ready to accept connections",
        " Container aiia_prod_web  Started",
        '10.0.0.1 - - [01/Jan/2026] "GET /error HTTP/1.1" 200',
        "INFO: no error",
        "#9 12.31 Setting up liberror-perl",
        "#9 12.31 Compiling error v1.0",
        '{"level":"info","msg":"no error"}',
        "level=info msg=ready",
        "Uncaughted exceptions are sent to Sentry",
        "denied requests are counted",
        "GET /errors: 200",
        "see main.go for options",
    ],
)
def test_other_lines_are_not(line: str) -> None:
    assert not is_decisive(line)


def test_of_many_the_first_and_the_last_stay() -> None:
    errors = [f"ERROR:  relation {number} is missing" for number in range(50)]
    shown = decisive_lines("\n".join([*errors, *["more"] * 15]), 15)
    assert [line.split()[2] for line in shown[:4]] == ["0", "47", "48", "49"] and len(shown) == 19


def test_what_says_nothing_takes_no_place() -> None:
    said = (
        "Host key verification failed.\nfatal: Could not read from remote repository.\n\nPlease make sure you have the "
    )
    said += "correct access rights\nand the repository exists.\n"
    assert last_lines(said, 3) == "Host key verification failed."
    assert last_lines("and the repository exists.", 3) == "and the repository exists.", "better than nothing"
