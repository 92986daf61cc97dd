# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No input whatever ends in a traceback or does not end: texts of every kind, from the cases and from nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
import yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Finding, Fleet
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.assemble import assemble
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.text import arrange, text
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import judge
from hazards.cases import arguments, classify, entries, reader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

#: Far beyond what any of these texts takes; a text of a few kilobytes that takes longer would hang when it is larger.
SECONDS = 10

FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))

OTHER = {
    "prefix": "aiia_staging",
    "directory": "/home/ubuntu/staging/ai-ia-backend",
    "files": {
        "docker-compose.yml": "name: aiia_staging\nservices: {django: {image: 'aiia_staging:1', ports: ['8080:80']}}\n",
        ".env": "DB_HOST=aiia_staging_postgresql\nSECRET_KEY=abcdefghijklmnop\n",
        "docker/nginx/staging.conf": "server { listen 80; server_name staging.eduaiia.com; }\n",
    },
}

#: A path for each kind of file that a reader knows.
PATHS = (
    "docker-compose.yml", ".env", "docker/nginx/prod.conf", ".github/workflows/deploy.yml", "bin/deploy.sh",
    "etc/cron.d/aiia", "etc/systemd/system/aiia.service", "Makefile", "Dockerfile", ".dockerignore", "init/01.sql",
    "pgbouncer.ini", "redis.conf", "users.acl", "logrotate.d/aiia", "deploy.yml", "hosts.yml", "hosts.ini",
    "group_vars/all.yml", "roles/app/tasks/main.yml", "roles/app/vars/main.yml", "ansible.cfg", "README.md",
    "strange",
)  # fmt: skip


def corpus() -> list[tuple[str, str]]:
    """The files of all cases: path and text, each text once."""
    found = {
        content: path
        for entry in entries()
        for case in entry.cases
        for environment in case.environments
        if isinstance(environment.get("files"), dict)
        for path, content in environment["files"].items()
        if isinstance(content, str)
    }
    return sorted((path, content) for content, path in found.items())


CORPUS = corpus()


def survive(path: str, content: str) -> Sequence[Finding]:
    """Read, judge and report an environment that has this file beside one that is as it should be."""
    files = {path: content}
    if classify(path) != "compose_files":
        files["docker-compose.yml"] = "name: aiia_prod\nservices: {django: {image: 'aiia_prod:1', env_file: .env}}\n"
    environments = ({"prefix": "aiia_prod", "directory": "/home/ubuntu/main/ai-ia-backend", "files": files}, OTHER)
    start = time.process_time()
    fleet = Fleet(
        tuple(assemble(**arguments(environment, reader(environment, environments))) for environment in environments)
    )
    findings = arrange(judge(fleet))
    text(findings).encode("utf-8", "backslashreplace")
    took = time.process_time() - start
    assert took < SECONDS, f"{path} took {took:.1f} s"
    return findings


PIECES = (
    "", "\t", "${", "}}", "{{", "'", '"', "\x00", "\\\n", ": ", "- ", "&a *a", "\u2028", "\ud7ff",
    "0x7fffffffffffffffffff", "-1", "!!python/object:os.system", "\r", "[", "\ufeff",
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, str]:
    """A file of a case with pieces taken out, doubled, swapped for odd ones, or under another file's name."""
    path, content = draw(st.sampled_from(CORPUS))
    for _unused in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 40)))
        piece = draw(st.sampled_from([*PIECES, content[start:end] * 2]))
        content = content[:start] + piece + content[end:]
    return (draw(st.sampled_from(PATHS)) if draw(st.integers(0, 4)) == 0 else path), content


SCALARS = (
    "aiia_staging", "aiia_staging_django", "/", "..", "host", "container:x", "8080:80", "1-70000:2", "${X:-y}", "${X",
    "$$", "eduaiia.com", "redis://h:1/0", "1.2.3.4/33", "service:x", "::1", "*",
)  # fmt: skip
KEYS = (
    "source", "target", "type", "name", "external", "limits", "resources", "test", "published", "file", "service",
    "hosts", "vars", "children", "run", "with", "uses", "steps", "environment", "ipam", "config", "subnet",
    "driver_opts",
)  # fmt: skip
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(SCALARS),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)

SERVICE_KEYS = (
    "image", "build", "container_name", "hostname", "command", "entrypoint", "environment", "env_file", "ports",
    "expose", "volumes", "volumes_from", "networks", "network_mode", "depends_on", "extends", "healthcheck", "labels",
    "logging", "deploy", "extra_hosts", "links", "external_links", "dns", "pid", "ipc", "uts", "userns_mode",
    "cgroup_parent", "privileged", "cap_add", "security_opt", "devices", "tmpfs", "secrets", "configs", "profiles",
    "restart", "mem_limit", "pids_limit", "cpus", "ulimits", "sysctls", "user", "scale", "stop_signal", "init",
    "pull_policy", "domainname",
)  # fmt: skip
TOP_KEYS = ("name", "networks", "volumes", "secrets", "configs", "include", "x-more", "version")
TASK_KEYS = (
    "hosts", "tasks", "roles", "run_once", "delegate_to", "tags", "when", "block", "serial", "vars",
    "ansible.builtin.cron", "template", "shell", "command", "blockinfile", "lineinfile", "include_vars", "set_fact",
    "service", "name",
)  # fmt: skip
JOB_KEYS = ("on", "env", "jobs", "concurrency", "name", "permissions", "defaults")
JOB = ("runs-on", "environment", "steps", "if", "env", "concurrency", "needs", "strategy", "defaults", "uses")


def dump(value: Any) -> str:
    """Values as YAML."""
    return yaml.safe_dump(value, allow_unicode=True)


def compose(service: dict[str, Any], top: dict[str, Any]) -> str:
    """A Compose file with these keys."""
    return dump({**top, "services": {"django": {"image": "aiia_prod:1", **service}, "db": {"image": "postgres:17"}}})


def some_of(keys: Sequence[str]) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping with a few of these keys and anything below them."""
    return st.dictionaries(st.sampled_from(keys), VALUES, max_size=3)


SHELL_WORDS = (
    "docker", "compose", "-f", "-p", "down", "up", "-d", "--remove-orphans", "$(", ")", "`", "'", '"', "|", "&&", ";",
    "\n", "cd", "..", "/home/ubuntu/main", "for x in", "do", "done", "if", "fi", "case", "esac", "{", "}", "<<EOF",
    "EOF", "$X", "${X:-y}", "${X", "#", "\\", "sudo", "ssh", "bash -c", "prune", ">", ">>", "2>&1", "*", "((", "))",
    "rm -rf", "--filter", "name=aiia", "ansible-playbook", "-l", "-e", "env=prod", "eval", "xargs", "\t",
)  # fmt: skip
SHELL = st.lists(st.sampled_from(SHELL_WORDS), max_size=60).map(" ".join)
NGINX_WORDS = (
    "server", "location", "upstream", "map", "http", "{", "}", ";", "listen", "80", "[::]:443", "ssl", "server_name",
    "~^.*$", "*.eduaiia.com", "_", "proxy_pass", "http://django:8000", "http://$x", "include", "*.conf", "prod.conf",
    "'", '"', "\\", "#", "\n", "if", "($host = a)", "return", "301", "https://$host$request_uri", "add_header",
    "lua_block", "content_by_lua_block", "default_server", "resolver", "set", "$x", "\ufeff",
)  # fmt: skip
NGINX = st.lists(st.sampled_from(NGINX_WORDS), max_size=60).map(" ".join)


def fuzz(*strategies: Any, **named: Any) -> Any:
    """A test in two lengths: every time, and for long runs."""

    def decorate(function: Any) -> Any:
        wrapped = given(*strategies, **named)

        class Both:
            test = staticmethod(FUZZ(wrapped(function)))
            test_long = staticmethod(pytest.mark.full(LONG(wrapped(function))))

        return Both

    return decorate


@fuzz(damaged())
def TestDamaged(item: tuple[str, str]) -> None:
    """Files of the cases, damaged."""
    survive(*item)


@fuzz(st.sampled_from(PATHS), st.text(max_size=300))
def TestAnything(path: str, content: str) -> None:
    """Any text under any name."""
    survive(path, content)


@fuzz(some_of(SERVICE_KEYS), some_of(TOP_KEYS))
def TestCompose(service: dict[str, Any], top: dict[str, Any]) -> None:
    """Any value under any key of a Compose file."""
    survive("docker-compose.yml", compose(service, top))


@fuzz(st.sampled_from(["deploy.yml", "roles/app/tasks/main.yml"]), st.lists(some_of(TASK_KEYS), max_size=4))
def TestPlaybook(path: str, items: list[dict[str, Any]]) -> None:
    """Any value under any key of a play or task."""
    survive(path, dump(items))


@fuzz(st.sampled_from(["hosts.yml", "group_vars/all.yml", "host_vars/a.yml", "roles/app/defaults/main.yml"]),
      st.dictionaries(st.text(max_size=6) | st.sampled_from(["all", "prod", "staging", "hosts", "domain"]), VALUES,
      max_size=4))  # fmt: skip
def TestInventory(path: str, items: dict[str, Any]) -> None:
    """Any value in an inventory or a file of variables."""
    survive(path, dump(items))


@fuzz(
    some_of(JOB_KEYS),
    some_of(JOB),
    st.lists(some_of(("run", "uses", "with", "if", "env", "name", "shell")), max_size=3),
)
def TestWorkflow(top: dict[str, Any], job: dict[str, Any], steps: list[dict[str, Any]]) -> None:
    """Any value under any key of a workflow."""
    survive(".github/workflows/deploy.yml", dump({"on": "push", **top, "jobs": {"deploy": {"steps": steps, **job}}}))


@fuzz(
    st.sampled_from(["bin/deploy.sh", "Makefile", "etc/cron.d/aiia", "Dockerfile", ".env", "a.service", "a.sql"]), SHELL
)
def TestShell(path: str, content: str) -> None:
    """Words of a shell in any order."""
    survive(path, content)


@fuzz(NGINX)
def TestNginx(content: str) -> None:
    """Words of nginx in any order."""
    survive("docker/nginx/prod.conf", content)


#: Texts whose reading takes longer than their length when a reader goes back over what it has read.
REPEATED = {
    "open brackets": "(" * 4000,
    "open braces": "{" * 4000,
    "dollars": "$" * 8000,
    "open variables": "${a:-" * 1500,
    "open expressions": "{{ a | default('" * 1500,
    "quotes": "'\"" * 4000,
    "backslashes": "\\" * 8000,
    "spaces": " " * 20000 + "x",
    "equals": "a=" * 6000,
    "dots": "a." * 6000,
    "slashes": "/a" * 6000,
    "at signs": "redis://" + "a:@" * 4000,
    "lines": "a\n" * 4000,
    "blank lines": "\n" * 20000,
    "comments": "# a\n" * 4000,
    "pipes": "a | " * 4000,
    "substitutions": "$(" * 3000,
    "here documents": "cat <<A\n" * 1500,
    "hyphens": "-" * 20000,
    "words": "prefix_" * 4000,
    "stars": "*" * 8000,
}


@pytest.mark.parametrize("path", PATHS)
def test_repeated(path: str) -> None:
    """No reader takes longer than its share for what is only long."""
    for content in REPEATED.values():
        survive(path, content)
        survive(path, f'a: "{content}"\n' if path.endswith("yml") else f"A={content}\n")
