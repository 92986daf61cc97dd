# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first inventory of an application: production and staging on one server, from a few answers."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: What an answer is where there is none. The questions are in ``playbooks/new.yml``.
DEFAULTS: Mapping[str, str] = {"bulkhead_server_user": "root", "bulkhead_kind": "django", "bulkhead_port": "8000"}
KINDS = ("django", "container")
#: The groups of the environments that it makes.
GROUPS = ("production", "staging")

_FORMS: Mapping[str, tuple[str, str]] = {
    "bulkhead_project": (r"[a-z][a-z0-9]{1,20}", "lower-case letters and digits, beginning with a letter: shop"),
    "bulkhead_source_repository": (
        r"(?:https://|ssh://|file://|[\w.-]+@[\w.-]+:)[\w./~@:+-]+",
        "a URL of git: git@github.com:example/shop.git or https://github.com/example/shop.git",
    ),
    "bulkhead_domain": (
        r"(?=.{4,253}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+",
        "a host name in lower case, without scheme, port or path: shop.example.com",
    ),
    "bulkhead_server": (r"[A-Za-z0-9][A-Za-z0-9.:-]*", "a host name or an address: 203.0.113.5"),
    "bulkhead_server_user": (r"[a-z_][a-z0-9_-]{0,31}", "the name of a user: root"),
    "bulkhead_kind": ("|".join(KINDS), f"one of {', '.join(KINDS)}"),
    "bulkhead_port": (r"[1-9][0-9]{0,4}", "a port from 1 to 65535: 8000"),
}


def problems(answers: Mapping[str, str]) -> list[str]:
    """Everything that is wrong with the answers, at once."""
    found = []
    for variable, (form, example) in _FORMS.items():
        answer = answers.get(variable, "")
        if not answer:
            found.append(f"{variable} is not set. Give -e {variable}=…: {example}")
        elif not re.fullmatch(form, answer) or (variable == "bulkhead_port" and int(answer) > 65535):
            found.append(f"{variable} is {answer!r}. Write {example}")
    return found


def files(answers: Mapping[str, str]) -> dict[str, str]:
    """The files of an inventory for an application, by their paths in it. The answers have no problems."""
    project, domain, server = (answers[name] for name in ("bulkhead_project", "bulkhead_domain", "bulkhead_server"))
    local = server in ("localhost", "127.0.0.1")
    connection = "ansible_connection: local" if local else f"ansible_host: {server}"
    interpreter = '\n    ansible_python_interpreter: "{{ ansible_playbook_python }}"' if local else ""
    become = "" if answers["bulkhead_server_user"] == "root" else "\n    ansible_become: true"
    user = "" if local else f"\n    ansible_user: {answers['bulkhead_server_user']}"
    shared = f"{user}{become}{interpreter}"
    variables = f"\n  vars:{shared}" if shared else ""
    hosts = f"""# One server, two environments: each has its own group with its own host.
---
all:
  children:
    production:
      hosts:
        {project}-production:
          {connection}
    staging:
      hosts:
        {project}-staging:
          {connection}{variables}
"""
    return {
        "hosts.yml": hosts,
        "group_vars/all/main.yml": _everyone(answers),
        "group_vars/production/main.yml": _environment(project, "prod", "main", domain, (80, 443), protected=True),
        "group_vars/staging/main.yml": _environment(project, "staging", "staging", f"staging.{domain}", (8080, 8443)),
    }


def _everyone(answers: Mapping[str, str]) -> str:
    port = answers["bulkhead_port"]
    text = f"""# What all environments share. Nothing here may identify an environment.
---
bulkhead_project: {answers["bulkhead_project"]}
bulkhead_source_repository: {answers["bulkhead_source_repository"]}
bulkhead_app_port: {port}

# Settings that are not secret, for the application's environment.
bulkhead_env_shared:
  LOG_LEVEL: info
"""
    if answers["bulkhead_kind"] == "django":
        return f"""{text}
# The path that answers 200 while the application is well.
bulkhead_health_path: /health/
"""
    return f"""{text}
# The application's container, behind nginx. The image is built from the repository's Dockerfile. Complete variables for
# Rails, Node, Go and PHP, with a database and a worker: docs/profiles.md of Bulkhead.
bulkhead_app_service: web
# The application itself answers every path, /static/ and /media/ as well.
bulkhead_static_root: ""
bulkhead_media_root: ""
bulkhead_prepare: []
bulkhead_prepare_status: []
bulkhead_services:
  web:
    expose: ["{port}"]
    networks:
      default:
        aliases: ["{{{{ bulkhead_prefix }}}}_web"]
    # A command that the image has, and that fails while the application is not well, such as
    #   test: [CMD, curl, -fsS, "http://127.0.0.1:{port}/"]
    healthcheck:
      test: [CMD-SHELL, "bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}'"]
      interval: 15s
      start_period: 60s
      start_interval: 1s
    x-bulkhead: {{rolling: true}}
  django: null
  pgbouncer: null
  postgresql: null
  redis: null
"""


def _environment(
    project: str, name: str, branch: str, domain: str, ports: tuple[int, int], protected: bool = False
) -> str:
    return f"""---
bulkhead_environment: {name}
bulkhead_protected: {str(protected).lower()}
bulkhead_directory: /srv/{project}/{name}
bulkhead_source_branch: {branch}
bulkhead_domains: [{domain}]
bulkhead_http_port: {ports[0]}
bulkhead_https_port: {ports[1]}
bulkhead_tls_certificate_path: /etc/letsencrypt/live/{domain}/fullchain.pem
bulkhead_tls_key_path: /etc/letsencrypt/live/{domain}/privkey.pem

# Settings of this environment that are not secret.
bulkhead_env: {{}}
"""
