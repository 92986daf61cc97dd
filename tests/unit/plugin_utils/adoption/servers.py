# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is seen on servers that were set up by hand, written by hand."""

from __future__ import annotations

from typing import Any

PROJECT = "com.docker.compose.project"

#: A value that nobody may see: it is in settings, commands and files of every server here.
SECRET = "f3a9c1d27b6e48f0a5d2c7b91e603f84aa17"


def container(
    name: str, image: str, project: str, service: str, directory: str = "/srv/old", **more: Any
) -> dict[str, Any]:
    """A running container of a Compose project."""
    file = more.pop("file", "docker-compose.yml")
    labels = {
        PROJECT: project,
        "com.docker.compose.service": service,
        "com.docker.compose.project.working_dir": directory,
        "com.docker.compose.project.config_files": f"{directory}/{file}" if file else "",
        "com.docker.compose.oneoff": "False",
        **more.pop("labels", {}),
    }
    return {
        "name": name,
        "image": image,
        "image_id": f"sha256:{image}",
        "labels": labels if project else {},
        "running": True,
        "condition": "running",
        "policy": "unless-stopped",
        "stop_seconds": 10,
        "ports": [],
        "networks": {f"{project}_default": [service, name]},
        "mounts": [],
        "reach": [],
        "memory": 0,
        "settings": {},
        "command": [],
        "entrypoint": [],
        "health": [],
        "user": "",
        "exposed": [],
        **more,
    }


def volume(source: str, target: str, writable: bool = True, kind: str = "volume") -> dict[str, Any]:
    """A mount."""
    return {"type": kind, "source": source, "target": target, "writable": writable}


def bind(source: str, target: str) -> dict[str, Any]:
    """A directory or file of the machine in a container."""
    return volume(source, target, False, "bind")


def port(published: int, target: int, address: str = "") -> dict[str, Any]:
    """A published port."""
    return {"target": target, "protocol": "tcp", "address": address, "published": str(published)}


def file(kind: str, path: str, text: str = "", problem: str = "") -> dict[str, Any]:
    """A file that was read, or could not be."""
    return {"kind": kind, "path": path, "text": text, "problem": problem}


def seen(*containers: dict[str, Any], files: tuple[dict[str, Any], ...] = (), **more: Any) -> dict[str, Any]:
    """What the machine says."""
    volumes = {
        mount["source"]: {"name": mount["source"], "driver": "local", "options": [], "labels": {}, "holds": {}}
        for item in containers
        for mount in item["mounts"]
        if mount["type"] == "volume"
    }
    for name in volumes:
        if "pg" in name:
            volumes[name]["holds"] = {"postgresql": "17", "below": ""}
        if "redis" in name:
            volumes[name]["holds"] = {"redis": "rdb"}
    networks = {name for item in containers for name in item["networks"]}
    found: dict[str, Any] = {
        "engine": {"rootless": False},
        "containers": list(containers),
        "managed": [],
        "left_out": 0,
        "images": {item["image_id"]: {"digests": [], "tags": []} for item in containers},
        "volumes": list(volumes.values()),
        "networks": [{"name": name, "labels": {PROJECT: "any"}} for name in sorted(networks)],
        "files": list(files),
        "files_left_out": 0,
        "checkouts": {},
        "schedules": [],
        "sockets": [],
    }
    return found | more


def guide() -> dict[str, Any]:
    """The guide's server: two directories called ai-ia-backend, and so one Compose project for both environments."""
    containers: list[dict[str, Any]] = []
    files: list[dict[str, Any]] = []
    checkouts = {}
    for name, branch, app_port, http, domains in (
        ("prod", "main", 8000, 80, "eduaiia.com www.eduaiia.com"),
        ("staging", "staging", 8001, 8080, "staging.eduaiia.com"),
    ):
        home, prefix, compose = f"/home/ubuntu/{branch}/ai-ia-backend", f"aiia_{name}", f"docker-compose.{name}.yml"
        network = f"{prefix}_network"

        def add(service: str, image: str, *aliases: str, **more: Any) -> None:
            networks = {network: [*aliases, f"{prefix}_{service}"]}  # noqa: B023
            containers.append(
                container(
                    f"{prefix}_{service}", image, "ai-ia-backend", f"{service}_{name}", home,  # noqa: B023
                    file=compose, networks=networks, **more,  # noqa: B023
                )
            )  # fmt: skip

        password = f"{name}-{SECRET}"
        add(
            "nginx", "nginx:1.28",
            ports=[port(http, 80), port(http + 363, 443)],
            mounts=[
                bind(f"{home}/docker/nginx/{name}.conf", "/etc/nginx/conf.d/default.conf"),
                bind("/etc/letsencrypt", "/etc/letsencrypt"),
                volume(f"storage_{name}", "/app/storage"),
            ],
        )  # fmt: skip
        settings = {
            "DB_HOST": "pgbouncer", "DB_NAME": prefix, "DB_USER": "aiia", "DB_PASSWORD": password, "DB_PORT": "6432",
            "REDIS_URL": "redis://redis:6379/0", "SECRET_KEY": f"only-{name}-{SECRET}", "ALLOWED_HOSTS": domains,
            "EMAIL_HOST_PASSWORD": f"mail-{name}-{SECRET}", "GREETING": "costs $5 {{ lookup('pipe', 'id') }}",
        }  # fmt: skip
        add("django", "ai-ia-backend-django", settings=settings, mounts=[volume(f"storage_{name}", "/app/storage")],
            command=["gunicorn", "config.wsgi", "--bind", f"0.0.0.0:{app_port}"])  # fmt: skip
        add("pgbouncer", "bitnami/pgbouncer:1.24.1", "pgbouncer")
        add("postgresql", "postgres:17.5", "postgresql", mounts=[volume(f"pgdata_{name}", "/var/lib/postgresql/data")],
            settings={"POSTGRES_USER": "aiia", "POSTGRES_DB": prefix, "POSTGRES_PASSWORD": password})  # fmt: skip
        add("redis", "redis:8.0", "redis", mounts=[volume(f"redis_data_{name}", "/data")])
        live = f"/etc/letsencrypt/live/{domains.split(maxsplit=1)[0]}"
        files += [
            file("compose", f"{home}/{compose}", f"services:\n  django_{name}:\n    build: ./code\n"),
            file("env", f"{home}/.env", f"DB_PASSWORD={password}\n"),
            file(
                "nginx",
                f"{home}/docker/nginx/{name}.conf",
                f"server {{ listen 443 ssl; server_name {domains}; ssl_certificate {live}/fullchain.pem; "
                f"ssl_certificate_key {live}/privkey.pem; location / "
                f"{{ proxy_pass http://{prefix}_django:{app_port}; }} }}",
            ),
        ]
        checkouts[f"{home}/code"] = {
            "branch": branch,
            "commit": "4f2a91c07b1d3e5f60718293a4b5c6d7e8f90a1b",
            "origin": "git@github.com:eduaiia/ai-ia-backend.git",
        }
    cron = {"path": "/etc/cron.d/backup", "lines": ["0 3 * * * root docker exec aiia_prod_postgresql pg_dump -U aiia"]}
    return seen(*containers, files=tuple(files), checkouts=checkouts, schedules=[cron])
