# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers that a person set up: Compose files in directories, typed up by hand, with data in them."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from certificate import self_signed
from make_repository import make_repository
from support import IMAGE, Run, Site, docker, free_port, without_terminal
from work_repository import Repository

#: A line that pgbouncer's image needs to be told by a file, as the guide's people do it.
_POOLER = """\
[databases]
* = host=postgresql port=5432
[pgbouncer]
listen_addr = *
listen_port = 6432
auth_type = plain
auth_file = /etc/pgbouncer/userlist.txt
pool_mode = transaction
ignore_startup_parameters = extra_float_digits
"""


@dataclass
class Handwork:
    """One environment that was set up by hand: how it is started, and what is in it."""

    project: str
    directory: Path
    compose_file: str
    names: list[str]
    volumes: list[str]
    http_port: int
    domain: str
    database: tuple[str, str, str] = ("", "", "")
    https_port: int = 0

    def up(self) -> None:
        """What the guide types: cd to the directory, and up."""
        command = ["docker", "compose", "-f", self.compose_file, "up", "-d", "--wait", "--wait-timeout", "240"]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def sql(self, query: str, container: str = "") -> str:
        """Ask the database."""
        server, user, name = self.database
        return docker("exec", container or server, "psql", "-U", user, "-d", name, "-XAtqc", query).strip()

    def wait_for(self, query: str) -> None:
        """Wait until the database answers ``t``: an application prepares it when it starts."""
        for _attempt in range(120):
            if self.sql(query) == "t":
                return
            time.sleep(0.5)
        raise AssertionError(f"{self.names[0]} was not prepared: {docker('logs', '--tail', '20', self.names[1])}")

    def asked(self) -> str:
        """What the environment answers over TLS."""
        command = ["curl", "--silent", "--insecure", "--max-time", "10", "--location"]
        where = ["--connect-to", f"{self.domain}:443:127.0.0.1:{self.https_port}", f"https://{self.domain}/"]
        return subprocess.run([*command, *where], capture_output=True, text=True, check=False).stdout

    def remove(self) -> None:
        """Remove what the hand made, whatever is left of it, by name."""
        docker("rm", "--force", *self.names, check=False)
        docker("volume", "rm", "--force", *self.volumes, check=False)
        networks = docker("network", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={self.project}")
        if networks.split():
            docker("network", "rm", *networks.split(), check=False)


@dataclass
class Server:
    """A server with its environments, and the directory from which they are adopted."""

    directory: Path
    environments: dict[str, Handwork] = field(default_factory=dict)

    def play(
        self, name: str, *arguments: str, inventory: str = "localhost,", passwords: list[str] | None = None
    ) -> Run:
        """Run one of the collection's playbooks as an administrator does, on an inventory of theirs."""
        site = Site(self.directory / "admin", "unused")
        every = []
        for group in self.environments:
            path = self.directory / f"{group}.password"
            path.write_text(f"the vault password of {group}")
            every += ["--vault-id", f"{group}@{path}"]
        passwords = every if passwords is None else passwords
        local = ["-c", "local", "-e", "ansible_python_interpreter={{ ansible_playbook_python }}"]
        record = self.directory / "record.jsonl"
        command = ["ansible-playbook", f"aiia.bulkhead.{name}", "-i", inventory, *passwords, *arguments]
        began = time.monotonic()
        more = {"BULKHEAD_E2E_RECORD": str(record), "ANSIBLE_LOCALHOST_WARNING": "false"}
        done = without_terminal(
            [*command, *(local if inventory == "localhost," else [])], Path.cwd(), site.environment(more)
        )
        return Run(done.returncode, done.stdout, [], time.monotonic() - began)

    def adopt(self, *arguments: str, passwords: list[str] | None = None) -> Run:
        """Adopt the environments of this server, and nothing else that the machine runs."""
        projects = sorted({own.project for own in self.environments.values()})
        return self.play(
            "adopt",
            "-e", yaml.safe_dump({"bulkhead_adopt_projects": projects}, default_flow_style=True).strip(),
            "-e", f"bulkhead_inventory={self.inventory}",
            "-e", f"bulkhead_adopt_homes={self.directory / 'srv'}",
            *arguments,
            passwords=passwords,
        )  # fmt: skip

    @property
    def inventory(self) -> Path:
        """Where the inventory is written."""
        return self.directory / "inventory"

    def everyone(self, **variables: Any) -> None:
        """What only the tests need: places of their own, and less waiting."""
        path = self.inventory / "group_vars/all/tests.yml"
        given = {
            "bulkhead_state_directory": str(self.directory / "state"),
            "bulkhead_readiness_delay": 0,
            "bulkhead_firewall": False,
            **variables,
        }
        path.write_text(yaml.safe_dump(given))

    def remove(self) -> None:
        """Remove what the hands made."""
        for own in self.environments.values():
            own.remove()


def sections(guide: str) -> dict[str, list[tuple[str, bool, str]]]:
    """The steps of a guide: {group: [(console or sh, whether nothing answers, its lines)]}."""
    found: dict[str, list[tuple[str, bool, str]]] = {}
    group, down = "", False
    for match in re.finditer(
        r"^## (\w+): \S+$|^\d+\. (.*)$|^   ```(console|sh)\n((?:   .*\n)*?)   ```$", guide, re.MULTILINE
    ):
        if match[1]:
            group = match[1]
        elif match[2]:
            down = match[2].endswith("nothing answers)")
        else:
            lines = "\n".join(line[3:].removeprefix("$ ") for line in match[4].splitlines())
            found.setdefault(group, []).append((match[3], down, lines))
    return found


def stated(guide: str, group: str) -> int:
    """The seconds that a guide states for a group."""
    match = re.search(rf"^## {group}: \S+\n\nNothing answers for \*\*at most (\d+) seconds\*\*", guide, re.MULTILINE)
    assert match, guide
    return int(match[1])


def shell(text: str, root: Path) -> str:
    """Type lines of a guide on the server, where a directory of the test stands for root's home."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text.replace("/root/", f"{root}/")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout


class Outage:
    """Asks an environment ten times a second, and knows for how long it did not answer."""

    def __init__(self, own: Handwork) -> None:
        self._own = own
        self.down: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self._ended.is_set():
            at = time.monotonic()
            command = [
                "curl", "--silent", "--output", "/dev/null", "--max-time", "3", "--write-out", "%{http_code}",
                "--header", f"Host: {self._own.domain}", f"http://127.0.0.1:{self._own.http_port}/",
            ]  # fmt: skip
            code = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            if code not in ("200", "301", "302", "308"):
                self.down.append(at)
            self._ended.wait(0.1)

    def __enter__(self) -> Outage:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def seconds(self) -> float:
        """From the first request without an answer to the last one."""
        return self.down[-1] - self.down[0] + 0.2 if self.down else 0.0


def guide_server(directory: Path, word: str) -> Server:
    """The guide, to the letter: two directories called ai-ia-backend, and so one Compose project for both.

    ``word`` stands for ``aiia`` in every name, so that nobody else has them.
    """
    server = Server(directory)
    # Its repository is called like the directories, as it is in the guide.
    repository = directory / f"{word}-backend.git"
    make_repository(repository)
    for group, name, branch, port, domains in (
        ("production", "prod", "main", 8000, [f"{word}.example.com", f"www.{word}.example.com"]),
        ("staging", "staging", "staging", 8001, [f"staging.{word}.example.com"]),
    ):
        home = directory / "home/ubuntu" / branch / f"{word}-backend"
        home.mkdir(parents=True)
        subprocess.run(["git", "clone", "--quiet", "--branch", branch, str(repository), str(home / "code")], check=True)
        http, https = free_port(), free_port()
        _write_guide(home, word, name, port, (http, https), domains)
        volumes = [f"{word}-backend_{base}_{name}" for base in ("storage", "pgdata", "redis_data")]
        server.environments[group] = Handwork(
            f"{word}-backend",
            home,
            f"docker-compose.{name}.yml",
            [f"{word}_{name}_{service}" for service in ("nginx", "django", "pgbouncer", "postgresql", "redis")],
            volumes,
            http,
            domains[0],
            (f"{word}_{name}_postgresql", word, f"{word}_{name}"),
            https,
        )
    return server


def _write_guide(home: Path, word: str, name: str, port: int, ports: tuple[int, int], domains: list[str]) -> None:
    prefix = f"{word}_{name}"
    password, key = f"{name}-{secrets.token_hex(8)}", secrets.token_urlsafe(50)
    certificate, private = self_signed(domains)
    (home / "certs").mkdir()
    (home / "certs/fullchain.pem").write_text(certificate)
    (home / "certs/privkey.pem").write_text(private)
    (home / "docker/nginx").mkdir(parents=True)
    (home / "docker/nginx" / f"{name}.conf").write_text(
        f"""server {{
    listen 80;
    listen 443 ssl;
    server_name {" ".join(domains)};
    ssl_certificate /etc/nginx/certs/fullchain.pem;
    ssl_certificate_key /etc/nginx/certs/privkey.pem;
    client_max_body_size 20m;
    location /static/ {{ alias /srv/storage/static/; }}
    location /media/ {{ alias /srv/storage/media/; }}
    location / {{
        proxy_pass http://{prefix}_django:{port};
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-Proto https;
    }}
}}
"""
    )
    (home / "pgbouncer").mkdir()
    (home / "pgbouncer/pgbouncer.ini").write_text(_POOLER)
    (home / "pgbouncer/userlist.txt").write_text(f'"{word}" "{password}"\n')
    (home / ".env").write_text(
        f"SECRET_KEY={key}\nALLOWED_HOSTS={','.join(domains)}\nENVIRONMENT={name}\nPORT={port}\n"
        f"DB_HOST=pgbouncer\nDB_PORT=6432\nDB_NAME={prefix}\nDB_USER={word}\nDB_PASSWORD={password}\n"
        f"REDIS_URL=redis://redis:6379/0\nGREETING=hello from {name}\n"
        f"CSRF_TRUSTED_ORIGINS={','.join('https://' + domain for domain in domains)}\n"
    )
    network = f"{prefix}_network"

    def on(*aliases: str) -> dict[str, Any]:
        return {network: {"aliases": list(aliases)}}

    services: dict[str, Any] = {
        f"django_{name}": {
            "build": "./code",
            "container_name": f"{prefix}_django",
            "env_file": [".env"],
            "volumes": [f"storage_{name}:/srv/storage"],
            "depends_on": [f"pgbouncer_{name}", f"redis_{name}"],
            "networks": on(f"{prefix}_django"),
            "stop_grace_period": "3s",
            "restart": "unless-stopped",
        },
        f"pgbouncer_{name}": {
            "image": "bulkhead-demo/pgbouncer:1.24",
            "container_name": f"{prefix}_pgbouncer",
            "volumes": ["./pgbouncer:/etc/pgbouncer:ro"],
            "depends_on": {f"postgresql_{name}": {"condition": "service_healthy"}},
            "networks": on("pgbouncer"),
            "stop_grace_period": "3s",
        },
        f"postgresql_{name}": {
            "image": "bulkhead-demo/postgresql:17",
            "container_name": f"{prefix}_postgresql",
            "environment": {"POSTGRES_USER": word, "POSTGRES_DB": prefix, "POSTGRES_PASSWORD": password},
            "volumes": [f"pgdata_{name}:/var/lib/postgresql/data"],
            "healthcheck": {
                "test": ["CMD", "pg_isready", "-q", "-h", "127.0.0.1", "-U", word],
                "interval": "1s",
                "retries": 60,
            },
            "networks": on("postgresql"),
        },
        f"redis_{name}": {
            "image": "bulkhead-demo/redis:8",
            "container_name": f"{prefix}_redis",
            "command": ["redis-server", "--protected-mode", "no"],
            "volumes": [f"redis_data_{name}:/data"],
            "networks": on("redis"),
        },
        f"nginx_{name}": {
            "image": "bulkhead-demo/nginx:1.26",
            "container_name": f"{prefix}_nginx",
            "ports": [f"127.0.0.1:{ports[0]}:80", f"127.0.0.1:{ports[1]}:443"],
            "volumes": [
                f"./docker/nginx/{name}.conf:/etc/nginx/conf.d/default.conf:ro",
                "./certs:/etc/nginx/certs:ro",
                f"storage_{name}:/srv/storage:ro",
            ],
            "depends_on": [f"django_{name}"],
            "networks": on(f"{prefix}_nginx"),
        },
    }
    compose = {
        "services": services,
        "networks": {network: {"name": network}},
        "volumes": {f"{base}_{name}": {} for base in ("storage", "pgdata", "redis_data")},
    }
    (home / f"docker-compose.{name}.yml").write_text(yaml.safe_dump(compose, sort_keys=False))


_ORDERS = """
import http.server, os
import psycopg
def rows():
    names = {"host": "HOST", "dbname": "DB", "user": "USER", "password": "PASSWORD"}
    with psycopg.connect(**{key: os.environ["POSTGRES_" + name] for key, name in names.items()}) as connection:
        return connection.execute("SELECT count(*) FROM orders").fetchone()[0]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (b"up" if self.path == "/up" else ("%d orders of %s" % (rows(), os.environ["SHOP"])).encode())
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


def orders_server(directory: Path, word: str) -> Server:
    """A server with other names and no Django: one environment, its database in a directory, nginx's files "
    "elsewhere."""
    server = Server(directory)
    repository = Repository(directory / "shop.git-work")
    dockerfile = f'FROM {IMAGE}\nCOPY server.py /srv/server.py\nCMD ["python3", "-u", "/srv/server.py"]\n'
    repository.commit({"Dockerfile": dockerfile, "server.py": _ORDERS})
    home, sites = directory / "opt/orders", directory / "etc/web/sites"
    home.mkdir(parents=True)
    sites.mkdir(parents=True)
    subprocess.run(["git", "clone", "--quiet", str(repository), str(home / "src")], check=True)
    domain, http, https = f"{word}.example.org", free_port(), free_port()
    certificate, private = self_signed([domain])
    (directory / "etc/web/tls").mkdir()
    (directory / "etc/web/tls/shop.crt").write_text(certificate)
    (directory / "etc/web/tls/shop.key").write_text(private)
    (sites / "shop.conf").write_text(
        f"upstream shop {{ server backend:8080; }}\nserver "
        f"{{\n  listen 80;\n  listen 443 ssl;\n  server_name {domain};\n"
        "  ssl_certificate /etc/web-tls/shop.crt;\n  ssl_certificate_key /etc/web-tls/shop.key;\n"
        "  location / { proxy_pass http://shop; }\n}\n"
    )
    password = secrets.token_urlsafe(24)
    (home / "pg").mkdir()
    os.chown(home / "pg", 999, 999)
    health = "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/up')"
    services = {
        "backend": {
            "build": {"context": "./src"},
            "environment": {
                "POSTGRES_HOST": "db", "POSTGRES_DB": "orders", "POSTGRES_USER": "orders", "SHOP": word,
                "POSTGRES_PASSWORD": password, "CACHE_URL": f"redis://:{password}-c@cache:6379/1",
            },
            "healthcheck": {"test": ["CMD", "python3", "-c", health], "interval": "1s", "retries": 60},
            "depends_on": {"db": {"condition": "service_healthy"}},
            "stop_grace_period": "2s",
        },
        "db": {
            "image": "bulkhead-demo/postgresql:17",
            "environment": {"POSTGRES_USER": "orders", "POSTGRES_PASSWORD": password},
            "user": "postgres",
            "volumes": ["./pg:/var/lib/postgresql/data"],
            "healthcheck": {
                "test": ["CMD", "pg_isready", "-q", "-h", "127.0.0.1", "-U", "orders"], "interval": "1s", "retries": 60,
            },
        },
        "cache": {
            "image": "bulkhead-demo/redis:8",
            "command": ["redis-server", "--requirepass", f"{password}-c"],
            "environment": {"REDIS_PASSWORD": f"{password}-c"},
            "volumes": ["cache:/data"],
        },
        "web": {
            "image": "bulkhead-demo/nginx:1.26",
            "ports": [f"127.0.0.1:{http}:80", f"127.0.0.1:{https}:443"],
            "volumes": [f"{sites}:/etc/nginx/conf.d:ro", f"{directory}/etc/web/tls:/etc/web-tls:ro"],
            "depends_on": {"backend": {"condition": "service_healthy"}},
        },
    }  # fmt: skip
    (home / "compose.yml").write_text(yaml.safe_dump({"name": word, "services": services, "volumes": {"cache": {}}}))
    names = [f"{word}-{service}-1" for service in services]
    server.environments["production"] = Handwork(
        word,
        home,
        "compose.yml",
        names,
        [f"{word}_cache", f"{word}_prod_pgdata_moved"],
        http,
        domain,
        (f"{word}-db-1", "orders", "orders"),
        https,
    )
    return server


__all__ = ("Handwork", "Outage", "Server", "guide_server", "orders_server", "sections", "shell", "stated")
