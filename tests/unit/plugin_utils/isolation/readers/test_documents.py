# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is neither Compose nor nginx: which kind of document it is, and what each kind says."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.errors import ReaderError
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.facts.certbot_calls import (
    CertbotCall,
    certbot_calls,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Document, Environment
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.ansible.plays import read_playbook
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.documents import (
    claims_document,
    commands,
    kind_of,
    read_document,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.logrotate import read_logrotate
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.pgbouncer import read_pgbouncer
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.redis import read_redis
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.sql import read_sql
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.workflow import read_workflow


@pytest.mark.parametrize(
    ("path", "text", "kind"),
    [
        (".github/workflows/deploy.yml", "on: push", "workflow"),
        ("ci/deploy.yaml", "on: push\njobs:\n  a: {}\n", "workflow"),
        ("deploy.yml", "- hosts: all\n  tasks: []\n", "ansible"),
        ("values.yml", "a: 1\n", "text"),
        ("deploy.yml", "---\n# of all\n  -\n    'hosts': all\n", "ansible"),
        ("deploy.yml", "[{hosts: all}]", "ansible"),
        ("deploy.yml", "- &a\n  remote_user: x\n", "ansible"),
        ("values.yml", "a:\n  - b: c\n", "text"),
        ("values.yml", "- a\n- b\n", "text"),
        ("Makefile", "a:\n\tb\n", "shell"),
        ("GNUmakefile", "", "shell"),
        ("Makefile.prod", "", "shell"),
        (".justfile", "", "shell"),
        ("bin/deploy.zsh", "", "shell"),
        ("bin/run", "#!/usr/bin/env -S bash -e\nx\n", "shell"),
        ("bin/run", "#!/usr/bin/env bash\nx\n", "shell"),
        ("bin/run", "#!/usr/bin/env python3\nx\n", "text"),
        ("scripts/backup.sh", "", "shell"),
        ("/etc/cron.d/app", "", "cron"),
        ("jobs", "# every night\n0 3 * * * /x\n", "cron"),
        ("jobs", "@midnight /x\n", "cron"),
        ("jobs", "0 3 1 jan * /x\n", "cron"),
        ("app.service", "", "systemd"),
        ("logrotate.d/app", "", "logrotate"),
        ("init/01-roles.sql", "", "sql"),
        ("pgbouncer.ini", "", "pgbouncer"),
        ("pooler.conf", "[databases]\n", "pgbouncer"),
        ("redis/redis.conf", "", "redis"),
        ("docker/Dockerfile.prod", "", "dockerfile"),
        (".dockerignore", "", "dockerignore"),
        ("README.md", "Run ./deploy.sh", "text"),
    ],
)
def test_kinds(path: str, text: str, kind: str) -> None:
    """A file is what its name says, else what it says itself."""
    assert kind_of(path, text) == kind


def test_workflow() -> None:
    """Triggers, groups, jobs, environments, secrets, and commands with their lines."""
    found = read_workflow(
        """name: Deploy
on:
  push: {branches: [main]}
  workflow_dispatch:
concurrency: {group: "Deploy", cancel-in-progress: true}
env: {ROOT: /srv/a}
jobs:
  deploy:
    runs-on: [self-hosted, linux]
    environment: {name: production}
    if: github.ref == 'refs/heads/main'
    concurrency: inner
    steps:
      - run: |
          cd $ROOT
          a ${{ secrets.ONE }}
      - uses: appleboy/ssh-action@v1
        with:
          key: ${{ secrets['TWO'] }}
          script: b
      - run: c
        working-directory: /srv/w
        shell: sh {0}
""",
        "w.yml",
    )
    assert (found.name, found.events, found.branches) == ("Deploy", ("push", "workflow_dispatch"), ("main",))
    assert [(group.name, group.cancel) for group in found.groups()] == [("Deploy", True), ("inner", False)]
    job = found.jobs[0]
    assert (job.id, job.environment, job.runs_on) == ("deploy", "production", ("self-hosted", "linux"))
    assert (job.condition, job.secrets) == ("github.ref == 'refs/heads/main'", ("ONE", "TWO"))
    assert [(command.text, command.where.line, command.directory, command.errexit) for command in found.commands] == [
        ("cd /srv/a", 15, "", True),
        ("a ${{ secrets.ONE }}", 16, "/srv/a", True),
        ("b", 20, "", False),
        ("c", 21, "/srv/w", False),
    ]
    assert any("secrets.ONE" in text for text, _where in found.expressions)


@pytest.mark.parametrize(
    ("text", "branches"),
    [("on: push", None), ("on: [push]", None), ("on: {push: {branches: a}}", ("a",)), ("on: {}", None)],
)
def test_workflow_branches(text: str, branches: tuple[str, ...] | None) -> None:
    """A push without branches is one to any."""
    assert read_workflow(text).branches == branches


@pytest.mark.parametrize("text", ["", "- a", "a", "on: [", "jobs: {a: [1], b: null, c: {steps: 1}}\non: 1"])
def test_odd_workflows(text: str) -> None:
    """No workflow is a fault with a place, an odd one is read as far as it goes."""
    try:
        assert read_workflow(text).commands == ()
    except ReaderError as error:
        assert error.rule in ("not-a-workflow", "not-yaml")


def test_playbook() -> None:
    """Plays and blocks are unfolded; modules that stand for a command have it."""
    found = read_playbook(
        """- hosts: all
  tasks:
    - name: one
      ansible.builtin.shell: |
        cd /a
        b
    - block:
        - ansible.builtin.command: {argv: [docker, ps]}
      rescue:
        - service: name=docker state=restarted
    - community.docker.docker_prune: {volumes: true, images: true}
    - cron: {name: x, hour: 3, job: cd /b && c}
    - name: none
      debug: {msg: x}
""",
        "p.yml",
    )
    assert found is not None
    assert [(command.text, command.where.line) for command in found.commands] == [
        ("cd /a", 5),
        ("b", 6),
        ("docker ps", 8),
        ("systemctl restart docker", 10),
        ("docker system prune --images --volumes", 11),
        ("cd /b", 12),
        ("c", 12),
    ]
    assert found.commands[-1].schedule == "* 3 * * *"
    assert [task.module for task in found.tasks] == ["shell", "command", "service", "docker_prune", "cron", "debug"]


def test_sql() -> None:
    """Statements end at semicolons that are not in quotes, dollar quotes or comments, which nest."""
    found = read_sql(
        "-- a;\nCREATE  ROLE \"a;b\"\n PASSWORD 'c;''d'; /* x; /* y; */ z; */ DO $f$ a; b $f$;\n"
        "\\connect other\nSELECT E'\\';';\ndrop database x"
    )
    assert [(statement.text, statement.where.line) for statement in found] == [
        ("CREATE ROLE \"a;b\" PASSWORD 'c;''d'", 2),
        ("DO $f$ a; b $f$", 3),
        ("\\connect other", 4),
        ("SELECT E'\\';'", 5),
        ("drop database x", 6),
    ]
    assert found[-1].verb == "DROP"
    assert found[0].words == ("CREATE", "ROLE", '"a;b"', "PASSWORD", "'c;''d'")


def test_pgbouncer() -> None:
    """Databases with their servers; what is not said is libpq's default."""
    found = read_pgbouncer(
        "; a\n[databases]\n* = host=db port=6543\n\"a b\" = host=x dbname='c d' user=u password='it''s'\n"
        "plain = host=y\n[pgbouncer]\npool_mode = transaction\n"
    )
    assert [
        (database.name, database.host, database.port, database.database, database.user) for database in found.databases
    ] == [
        ("*", "db", 6543, "", ""),
        ("a b", "x", 5432, "c d", "u"),
        ("plain", "y", 5432, "plain", ""),
    ]
    assert found.databases[1].password == "it's"
    assert "it's" not in repr(found)
    assert found.settings == {"pool_mode": "transaction"}
    with pytest.raises(ReaderError) as caught:
        read_pgbouncer("[databases]\nnothing\n")
    assert caught.value.line == 2


def test_redis() -> None:
    """Quoted words and the last of several directives."""
    found = read_redis('# a\nport 1\nport 2\nrequirepass "a \\"b\\" \\x41"\nuser x on ~a:* >p\nsave ""\n')
    assert (found.get("port"), found.get("requirepass"), found.get("none", "d")) == ("2", 'a "b" A', "d")
    assert next(found.all("user")).args == ("x", "on", "~a:*", ">p")
    assert next(found.all("save")).args == ("",)


def test_logrotate() -> None:
    """Paths of a block, quoted ones and those on lines of their own."""
    found = read_logrotate('compress\n# /no/*.log {}\n/a/*.log "/b c/x.log"\n/d.log {\n daily\n}\n/e { }\n')
    assert [(rotation.patterns, rotation.where.line) for rotation in found] == [
        (("/a/*.log", "/b c/x.log", "/d.log"), 3),
        (("/e",), 7),
    ]


def certbot(text: str) -> list[CertbotCall]:
    """The calls of certbot in a script."""
    return list(certbot_calls(Environment("a", documents=(read_document("x.sh", text),))))


@pytest.mark.parametrize(
    ("text", "verb", "lineage", "by_http"),
    [
        ("certbot certonly --standalone -d A.example,b.example", "certonly", "a.example", True),
        ("certbot certonly --dns-route53 -d *.a.example", "certonly", "a.example", False),
        ("certbot --nginx --cert-name=n -d a.example", "run", "n", True),
        ("docker run certbot/certbot:v3 renew --webroot -w /w", "renew", "", True),
        ("certbot certonly --manual --preferred-challenges dns -d a.example", "certonly", "a.example", False),
    ],
)
def test_certbot(text: str, verb: str, lineage: str, by_http: bool) -> None:
    """Verb, certificate and proof of a call."""
    call = certbot(text)[0]
    assert (call.verb, call.lineage, call.by_http) == (verb, lineage, by_http)


def test_no_certbot() -> None:
    """Installing it is not calling it."""
    assert certbot("apt-get install certbot") == []


def test_claims() -> None:
    """Units, cron files, groups and locks are claimed; commands are referred to."""

    def keys(document: Document) -> list[tuple[str, str]]:
        return [(claim.namespace, claim.key) for claim in claims_document(document, owner="a", machine="m")[0]]

    assert keys(read_document("x/app.service", "[Service]\nExecStart=/bin/a\n")) == [("unit", "app.service")]
    assert keys(read_document("cron.d/app", "0 3 * * * root flock /l/a.lock b\n")) == [
        ("cron", "/etc/cron.d/app"),
        ("lock", "/l/a.lock"),
    ]
    workflow = read_document(
        ".github/workflows/a.yml", "on: push\nconcurrency: Deploy\njobs: {a: {steps: [{run: b}]}}\n"
    )
    assert keys(workflow) == [("concurrency", "deploy")]
    assert [reference.target for reference in claims_document(workflow, owner="a", machine="m")[1]] == ["b"]
    assert commands(read_document("a.md", "docker ps")) == ()
