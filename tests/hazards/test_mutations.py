# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clean inventory is clean; change one value so that isolation breaks, and it is refused with the right names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from checkout import ROOT
from hazards.mutants import BOTH, NOBODY, PROD, SECRETS, STAGING, Mutant, prove, values, write

BACKUPS = "/var/lib/bulkhead/backups"
MAIN = "/home/ubuntu/main/ai-ia-backend"
PRODUCTION = values("production")
#: An authority issues the certificate of staging, which brings none.
ISSUED = {
    "bulkhead_acme": True,
    "bulkhead_acme_email": "ops@example.com",
    "bulkhead_tls_certificate_path": "",
    "bulkhead_tls_key_path": "",
}
WILDCARD = {
    "bulkhead_tls_certificate_path": "/etc/tls/eduaiia.pem",
    "bulkhead_tls_key_path": "/etc/tls/eduaiia.key",
}

#: Somebody who approves deployments.
SIGNER = {"principal": "a@example.com", "key": f"ssh-ed25519 {'A' * 68}", "until": "2099-01-31"}

#: A stack of a swarm, of which its host is the only node.
STACKED = {"bulkhead_engine": "swarm", "bulkhead_swarm": "main", "bulkhead_registry": "registry.example.com/shop"}

#: Behind the front door, on its usual ports.
BEHIND = {"bulkhead_edge": True, "bulkhead_http_port": 80, "bulkhead_https_port": 443}


def variable(name: str, refused: frozenset[str], *changed: Any) -> list[Mutant]:
    """Staging with each of these values of one variable."""
    return [Mutant(f"{name} = {value!r}"[:70], refused, {name: value}) for value in changed]


def services(title: str, refused: frozenset[str], **definitions: Any) -> Mutant:
    """Staging with something else in its stack."""
    return Mutant(title, refused, {"bulkhead_services": definitions})


def apart(**staging: Any) -> dict[str, Any]:
    """Hosts of which staging's is reached on another port, through the same address, unless it is said otherwise."""
    own = {"ansible_host": "eduaiia.com", "ansible_port": 2222, **staging}
    hosts = {"production": {"ansible_host": "eduaiia.com"}, "staging": own}
    groups = {name: {"hosts": {f"eduaiia-{name}": variables}} for name, variables in hosts.items()}
    return {"all": {"children": groups, "vars": {"ansible_user": "ubuntu"}}}


def setting(refused: frozenset[str], **settings: str) -> Mutant:
    """Staging with another setting in its .env."""
    return Mutant(f".env: {', '.join(f'{key}={value}' for key, value in settings.items())}"[:70], refused,
                  {"bulkhead_env": settings})  # fmt: skip


#: Every variable in turn: what breaks isolation, and what is its owner's own business.
VARIABLES = [
    *variable("bulkhead_project", NOBODY, "school"),
    *variable("bulkhead_environment", PROD, "prod"),
    *variable("bulkhead_environment", frozenset({"aiia_prod", "aiia_prod_eu"}), "prod_eu"),
    *variable("bulkhead_environment", NOBODY, "qa"),
    *variable("bulkhead_prefix", PROD, "aiia_prod"),
    *variable("bulkhead_prefix", NOBODY, "aiia_qa", "aiia_production"),
    *variable("bulkhead_machine", BOTH, "second.example.org"),
    Mutant("bulkhead_machine of a machine of its own", NOBODY, {"bulkhead_machine": "second"}, hosts=apart()),
    Mutant("bulkhead_machine of one machine", BOTH, {"bulkhead_machine": "second"}, hosts=apart(ansible_port=22)),
    Mutant("bulkhead_machine for both", NOBODY, everybody={"bulkhead_machine": "app1"}),
    Mutant("bulkhead_engine: a stack on production's machine", NOBODY, STACKED),
    Mutant("bulkhead_engine: a stack with production's port", BOTH, {**STACKED, "bulkhead_https_port": 443}),
    *variable("bulkhead_engine", STAGING, "kubernetes"),
    *variable("bulkhead_swarm", STAGING, "main"),
    Mutant("bulkhead_swarm without a name", STAGING, {**STACKED, "bulkhead_swarm": ""}),
    Mutant("bulkhead_swarm: one for both", NOBODY, everybody=STACKED),
    *variable("bulkhead_registry", STAGING, "registry.example.com/shop"),
    Mutant("bulkhead_registry with a scheme", STAGING, {**STACKED, "bulkhead_registry": "https://r.example.com"}),
    Mutant("bulkhead_swarm_ports: ingress", NOBODY, {**STACKED, "bulkhead_swarm_ports": "ingress"}),
    Mutant("bulkhead_swarm_ports: open", STAGING, {**STACKED, "bulkhead_swarm_ports": "open"}),
    *variable("bulkhead_protected", NOBODY, True),
    *variable("bulkhead_owner", NOBODY, "deploy"),
    *variable("bulkhead_docker_host", NOBODY, "unix:///run/user/1000/docker.sock"),
    *variable("bulkhead_directory", BOTH, MAIN, f"{MAIN}/staging", "/home/ubuntu/main", f"{MAIN}/../ai-ia-backend"),
    *variable("bulkhead_directory", STAGING, "/etc/ssh", "/var/lib/bulkhead/deployed", "/home/ubuntu/.ssh/staging"),
    *variable("bulkhead_directory", STAGING, "/etc/cron.d", "/srv/staging\n/x", "/proc/self/root/srv"),
    *variable("bulkhead_directory", NOBODY, "/home/ubuntu/main2/ai-ia-backend", f"{MAIN}2"),
    *variable("bulkhead_source_repository", STAGING, "ext::sh -c id", "fd::17", "--upload-pack=id"),
    *variable("bulkhead_source_repository", NOBODY, "git@github.com:eduaiia/other.git"),
    *variable("bulkhead_source_branch", BOTH, "main"),
    *variable("bulkhead_source_branch", STAGING, "--upload-pack=touch"),
    *variable("bulkhead_source_branch", NOBODY, "main2", "release/2"),
    *(
        Mutant(f"bulkhead_image = {image}", refused, {"bulkhead_image": image, "bulkhead_source_repository": ""})
        for image, refused in (("shop/app:1.4", NOBODY), ("shop/app", STAGING), ("app:1; reboot", STAGING))
    ),
    *variable("bulkhead_env_names", NOBODY, {"SECRET_KEY": "DJANGO_SECRET_KEY", "DATABASE_URL": "DATABASE_URL"}),
    *variable("bulkhead_env_names", STAGING, {"SECRET_KEY": "DB_NAME"}, {"REDIS": "X"}, {"REDIS_URL": "COMPOSE_FILE"}),
    *variable("bulkhead_secret_files", NOBODY, {"SECRET_KEY": ["django"]}),
    *variable(
        "bulkhead_secret_files", STAGING, {"SECRET_KEY": ["djagno"]}, {"SECRET_KEY": "django"}, {"A-B": ["django"]}
    ),
    *variable("bulkhead_adopted_volumes", NOBODY, {"pgdata": "ai-ia-backend_pgdata_staging"}),
    *variable("bulkhead_adopted_volumes", STAGING, {"pgdatas": "old_pgdata"}, {"pgdata": "old pgdata"}),
    *variable("bulkhead_adopted_volumes", BOTH, {"pgdata": "aiia-prod_pgdata"}, {"pgdata": "AIIA_PRODUCTION_db"}),
    *variable("bulkhead_adopted_volumes", NOBODY, {"pgdata": "aiia-staging_pgdata"}),
    *variable("bulkhead_adopted_volumes", BOTH, {"pgdata": "aiia_prod_pgdata_prod"}, {"redis_data": "aiia_prod_x"}),
    Mutant("one adopted volume for both", BOTH, everybody={"bulkhead_adopted_volumes": {"pgdata": "old_pgdata"}}),
    *variable("bulkhead_image", STAGING, "shop/app:1.4"),  # beside a repository
    *variable("bulkhead_image_user", STAGING, "a\nb"),
    *variable("bulkhead_image_user", NOBODY, "pipeline"),
    *variable("bulkhead_source_commit", NOBODY, "4f2a91c07b1d3e5f60718293a4b5c6d7e8f90a1b"),
    *variable("bulkhead_source_known_hosts", NOBODY, "git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5"),
    *variable("bulkhead_source_shared", NOBODY, True),
    *variable("bulkhead_build_dockerfile", BOTH, f"{MAIN}/Dockerfile"),
    *variable("bulkhead_build_dockerfile", NOBODY, "docker/Dockerfile"),
    *variable("bulkhead_build_context", BOTH, MAIN, "../../../main/ai-ia-backend/code"),
    *variable("bulkhead_build_context", NOBODY, "backend"),
    *variable("bulkhead_build_target", NOBODY, "runtime"),
    *variable("bulkhead_build_arguments", BOTH, {"DB_HOST": "aiia_prod_postgresql"}),
    *variable("bulkhead_build_arguments", NOBODY, {"PYTHON_VERSION": "3.13"}),
    *variable("bulkhead_build_egress", BOTH, ["eduaiia.com:443"]),
    *variable("bulkhead_build_egress", NOBODY, ["proxy.example.com:3128"], ["169.254.169.253:53"]),
    *variable(
        "bulkhead_build_egress",
        STAGING,
        *(["169.254.169.254:80"], ["2852039166:80"], ["metadata.google.internal:80"], ["[fd00:ec2::254]:80"]),
        *(["172.17.0.1:2375"], ["localhost:2375"]),
    ),
    *variable("bulkhead_build_engine", NOBODY, "own"),
    *variable("bulkhead_build_memory", STAGING, "much"),
    *variable("bulkhead_build_memory", NOBODY, "2g"),
    *variable("bulkhead_build_cpus", NOBODY, 1),
    *variable("bulkhead_build_disk", STAGING, "20 bananas"),
    *variable("bulkhead_build_disk", NOBODY, "10g"),
    *variable("bulkhead_build_timeout", NOBODY, 60),
    *variable("bulkhead_cpu_weight", NOBODY, 100),
    *variable("bulkhead_disk_alarm", NOBODY, 20),
    *variable("bulkhead_machine_memory", NOBODY, "8G"),
    *variable("bulkhead_reserved_memory", STAGING, "6 potatoes"),
    *variable("bulkhead_reserved_memory", NOBODY, "1G"),
    *variable("bulkhead_reserved_disk", NOBODY, "20G"),
    *variable("bulkhead_build_ca_bundle", NOBODY, "/etc/ssl/certs/ca-certificates.crt"),
    *variable("bulkhead_domains", BOTH, ["eduaiia.com"], ["staging.eduaiia.com", "WWW.eduaiia.com"], ["*.eduaiia.com"]),
    *variable(
        "bulkhead_domains", STAGING, ["staging.eduaiia.com; include /etc/passwd"], ["https://staging.eduaiia.com"]
    ),
    *variable("bulkhead_domains", NOBODY, ["qa.eduaiia.com"], ["staging.eduaiia.com", "noteduaiia.com"]),
    *variable("bulkhead_http_port", BOTH, 80, 443),
    *variable("bulkhead_http_port", NOBODY, 8081),
    *variable("bulkhead_https_port", BOTH, 443, 80),
    *variable("bulkhead_https_port", NOBODY, 8444),
    *variable("bulkhead_bind_address", NOBODY, "127.0.0.1"),
    *variable("bulkhead_tls_certificate_path", BOTH, PRODUCTION["bulkhead_tls_certificate_path"]),
    *variable("bulkhead_tls_key_path", BOTH, PRODUCTION["bulkhead_tls_key_path"]),
    *variable("bulkhead_tls_key_path", STAGING, "/etc/shadow", "/etc/letsencrypt/keys/0000_key-certbot.pem"),
    *variable("bulkhead_tls_key_path", BOTH, "/etc/ssl/private/eduaiia.com.key"),
    *variable("bulkhead_tls_key_path", NOBODY, "/etc/ssl/private/staging.eduaiia.com.key"),
    *variable("bulkhead_tls_key_path", STAGING, "/root/key.pem", "/home/mallory/key.pem", "/etc/ssh/ssh_host_rsa_key"),
    Mutant(
        "production's key, in a neutral place",
        BOTH,
        {"bulkhead_tls_key_path": "/etc/tls/eduaiia.key"},
        {"bulkhead_tls_key_path": "/etc/tls/eduaiia.key"},
    ),
    Mutant(
        "a wildcard certificate that both declare as shared",
        NOBODY,
        WILDCARD,
        WILDCARD,
        {"bulkhead_shared": [{"kind": "path", "name": path, "reason": "a wildcard"} for path in WILDCARD.values()]},
    ),
    Mutant(
        "production's own certificate, which both declare as shared",
        NOBODY,
        {name: PRODUCTION[name] for name in WILDCARD},
        {},
        {
            "bulkhead_shared": [
                {"kind": "path", "name": PRODUCTION[name], "reason": "a wildcard for all subdomains"}
                for name in WILDCARD
            ]
        },
    ),
    Mutant(
        "bulkhead_tls_certificate and bulkhead_tls_key of its own",
        NOBODY,
        {
            "bulkhead_tls_certificate": "-----BEGIN CERTIFICATE-----\nc3RhZ2luZw==\n-----END CERTIFICATE-----\n",
            "bulkhead_tls_key": "-----BEGIN PRIVATE KEY-----\nc3RhZ2luZw==\n-----END PRIVATE KEY-----\n",
            "bulkhead_tls_certificate_path": "",
            "bulkhead_tls_key_path": "",
        },
    ),
    *variable("bulkhead_nginx_body_size", STAGING, "50m; include /etc/passwd"),
    *variable("bulkhead_nginx_body_size", NOBODY, "50m"),
    *variable("bulkhead_nginx_timeout", NOBODY, "30s"),
    *variable("bulkhead_acme", STAGING, True),
    Mutant("a certificate of its own over a port that is production's", BOTH, {**ISSUED, "bulkhead_http_port": 8080}),
    Mutant(
        "a certificate of its own behind a balancer", NOBODY, {**ISSUED, "bulkhead_trusted_proxies": ["192.0.2.10"]}
    ),
    *variable("bulkhead_acme_email", STAGING, "ops@example.com, root", "ops"),
    *variable("bulkhead_acme_email", NOBODY, "ops@eduaiia.com"),
    *variable("bulkhead_acme_directory", STAGING, "http://ca.example.com/dir", "https://ca.example.com/dir --staging"),
    *variable("bulkhead_acme_directory", NOBODY, "https://ca.example.com:9000/acme/acme/directory"),
    *variable("bulkhead_acme_ca_bundle", STAGING, "/home/mallory/ca.pem", "/root/ca.pem", "/etc/ssl/../ca.pem"),
    *variable("bulkhead_acme_ca_bundle", NOBODY, "/etc/ssl/certs/ca-certificates.crt"),
    *variable("bulkhead_acme_image", STAGING, "certbot/certbot", "certbot/certbot:latest", "--privileged"),
    *variable("bulkhead_acme_image", STAGING, f"sha256:{'a' * 64}"),
    *variable("bulkhead_acme_image", NOBODY, "registry.example.com:5000/certbot:v5"),
    *variable("bulkhead_acme_check", NOBODY, False),
    *variable("bulkhead_acme_webroot", BOTH, f"{MAIN}/acme"),
    *variable("bulkhead_acme_webroot", NOBODY, "/home/ubuntu/staging/ai-ia-backend/acme"),
    *variable("bulkhead_environment_header", NOBODY, "X-Env"),
    *variable("bulkhead_hsts_max_age", NOBODY, 300),
    *variable("bulkhead_app_service", NOBODY, "django"),
    *variable("bulkhead_app_port", NOBODY, 8000, 9000),
    *variable("bulkhead_health_path", NOBODY, "/healthz/"),
    *variable("bulkhead_app_user", STAGING, "root ALL", "0:0:0"),
    *variable("bulkhead_app_user", NOBODY, "10001:10001"),
    *variable("bulkhead_storage_path", STAGING, "/srv/storage:/etc", ""),
    *variable("bulkhead_storage_path", NOBODY, "/app/storage"),
    *variable("bulkhead_static_root", STAGING, "/srv/elsewhere/static", "/srv/storage/../../etc"),
    *variable("bulkhead_static_root", NOBODY, "/srv/storage/assets", ""),
    *variable("bulkhead_media_root", STAGING, "/srv/storages/media", "/srv/storage/x; include /etc/passwd"),
    *variable("bulkhead_media_root", NOBODY, "/srv/storage/uploads", "/srv/storage", ""),
    *variable("bulkhead_database_name", BOTH, "aiia_prod"),
    *variable("bulkhead_database_name", NOBODY, "application"),
    *variable("bulkhead_database_user", BOTH, "aiia_prod"),
    *variable("bulkhead_database_user", NOBODY, "application"),
    *variable("bulkhead_database_login", BOTH, "aiia_prod"),
    *variable("bulkhead_database_login", NOBODY, "aiia_staging", "application"),
    *variable("bulkhead_database_admin", BOTH, "aiia_prod"),
    *variable("bulkhead_database_admin", NOBODY, "administrator"),
    *variable("bulkhead_pgbouncer_pool_size", NOBODY, 5),
    *variable("bulkhead_pgbouncer_max_clients", NOBODY, 50),
    *variable("bulkhead_pgbouncer_settings", STAGING, {"auth_query": "SELECT 1"}),
    *variable("bulkhead_pgbouncer_settings", NOBODY, {"pool_mode": "session"}),
    *variable("bulkhead_postgresql_settings", STAGING, {"archive_command": "cp %p /elsewhere"}),
    *variable("bulkhead_postgresql_settings", NOBODY, {"statement_timeout": "5s", "timezone": "Europe/Vienna"}),
    *variable("bulkhead_redis_settings", STAGING, {"replicaof": "aiia_prod_redis 6379"}),
    *variable("bulkhead_redis_settings", NOBODY, {"maxmemory": "100mb"}),
    *variable("bulkhead_redis_use", STAGING, "queue"),
    *variable("bulkhead_redis_use", NOBODY, "cache"),
    *variable("bulkhead_nginx_header_size", STAGING, "16k; include /etc/passwd"),
    *variable("bulkhead_nginx_header_size", NOBODY, "32k"),
    *variable("bulkhead_nginx_streaming", STAGING, ["/ { } location /x"]),
    *variable("bulkhead_nginx_streaming", NOBODY, ["/events/"]),
    Mutant("bulkhead_edge beside an environment that has the front door's ports", BOTH, BEHIND),
    Mutant("bulkhead_edge of both", NOBODY, BEHIND, BEHIND),
    Mutant("bulkhead_edge on other ports", NOBODY, {"bulkhead_edge": True}),
    Mutant("a domain of another behind the front door", BOTH, {**BEHIND, "bulkhead_domains": ["eduaiia.com"]}, BEHIND),
    Mutant(
        "sockets of another environment",
        BOTH,
        {**BEHIND, "bulkhead_services": {"nginx": {"volumes": ["/run/bulkhead/edge/aiia_prod:/run/edge"]}}},
        BEHIND,
    ),
    Mutant(
        "the sockets of all",
        STAGING,
        {**BEHIND, "bulkhead_services": {"nginx": {"volumes": ["/run/bulkhead/edge:/run/edge"]}}},
        BEHIND,
    ),
    Mutant(
        "sockets without bulkhead_edge",
        STAGING,
        {"bulkhead_services": {"nginx": {"volumes": ["/run/bulkhead/edge/aiia_staging:/run/edge"]}}},
    ),
    Mutant("a stack behind the front door of a machine", NOBODY, {**STACKED, **BEHIND}, BEHIND),
    Mutant(
        "a domain of another behind the front door of a node",
        BOTH,
        {**STACKED, **BEHIND, "bulkhead_domains": ["eduaiia.com"]},
        BEHIND,
    ),
    Mutant(
        "sockets of another environment on a node",
        STAGING,
        {
            **STACKED,
            **BEHIND,
            "bulkhead_services": {"relay": {"volumes": ["/run/bulkhead/edge/aiia_prod:/run/edge"]}},
        },
        BEHIND,
    ),
    *variable("bulkhead_edge_nodes", STAGING, ["eduaiia-staging"]),
    Mutant("bulkhead_edge_nodes: nowhere", STAGING, {**STACKED, **BEHIND, "bulkhead_edge_nodes": ["nowhere"]}, BEHIND),
    Mutant(
        "bulkhead_edge_nodes: its only node",
        NOBODY,
        {**STACKED, **BEHIND, "bulkhead_edge_nodes": ["eduaiia-staging"]},
        BEHIND,
    ),
    Mutant("an address behind the front door", STAGING, {**BEHIND, "bulkhead_bind_address": "127.0.0.1"}, BEHIND),
    Mutant("bulkhead_edge_connections = 0", STAGING, {**BEHIND, "bulkhead_edge_connections": 0}, BEHIND),
    Mutant("bulkhead_edge_connections = 10", NOBODY, {**BEHIND, "bulkhead_edge_connections": 10}, BEHIND),
    Mutant("bulkhead_edge_rate = 'fast'", STAGING, {**BEHIND, "bulkhead_edge_rate": "fast"}, BEHIND),
    Mutant("bulkhead_edge_rate = 10", NOBODY, {**BEHIND, "bulkhead_edge_rate": 10}, BEHIND),
    *variable("bulkhead_nginx_server", STAGING, "} server { listen 8443;", "load_module /srv/storage/any.so;"),
    *variable("bulkhead_nginx_server", BOTH, "location /old/ { proxy_pass http://aiia_prod_django:8000; }"),
    *variable("bulkhead_nginx_server", NOBODY, "gzip on;\nlocation = /robots.txt { return 404; }"),
    *variable("bulkhead_nginx_locations", STAGING, [{"path": "/old/", "directives": "include /etc/passwd;"}]),
    *variable("bulkhead_nginx_locations", NOBODY, [{"path": "/upload/", "directives": "client_max_body_size 2g;"}]),
    *variable("bulkhead_trusted_proxies", STAGING, ["0.0.0.0/0"], ["0.0.0.0/1", "128.0.0.0/1"], ["10.0.0.0/8"]),
    *variable("bulkhead_trusted_proxies", NOBODY, ["192.0.2.10"], ["10.20.0.0/16"], ["173.245.48.0/20"]),
    *variable("bulkhead_wait_timeout", NOBODY, 60),
    *variable("bulkhead_readiness_delay", NOBODY, 0),
    *variable("bulkhead_keep_releases", NOBODY, 2),
    *variable("bulkhead_state_directory", BOTH, "/srv/bulkhead"),
    Mutant("bulkhead_state_directory for both", NOBODY, everybody={"bulkhead_state_directory": "/srv/bulkhead"}),
    *variable("bulkhead_lock_wait", NOBODY, 60),
    *variable("bulkhead_probe_timeout", NOBODY, 5),
    *variable("bulkhead_firewall", NOBODY, True),
    *variable("bulkhead_firewall_allow", BOTH, ["443"], ["eduaiia.com:80"]),
    *variable("bulkhead_firewall_allow", STAGING, ["2375"], ["2376/tcp"], ["172.17.0.1:2375"]),
    *variable("bulkhead_firewall_allow", NOBODY, ["25", "8125/udp"], ["10.0.0.5:2376"]),
    *variable("bulkhead_internal_network", NOBODY, True),
    *variable("bulkhead_receipt", NOBODY, "receipts/staging.json"),
    *variable("bulkhead_receipt", STAGING, "group_vars/production/main", "inventory/hosts.yml"),
    *variable("bulkhead_lock_takeover", NOBODY, True),
    *variable("bulkhead_fail_on", NOBODY, "high"),
    *variable("bulkhead_fail_on_bystanders", NOBODY, True),
    *variable("bulkhead_allow_many", NOBODY, True),
    *variable("bulkhead_report", NOBODY, "", "report.html,report.sarif"),
    *variable("bulkhead_report", STAGING, "report.html, inventory/host_vars/production.json"),
    *variable("bulkhead_report_live", NOBODY, True),
    *variable("bulkhead_plan", STAGING, "plan.json"),
    *variable("bulkhead_plan", NOBODY, ""),
    *variable("bulkhead_plan_group", STAGING, "staging"),
    *variable("bulkhead_plan_expires", STAGING, 0),
    *variable("bulkhead_plan_expires", NOBODY, 24),
    *variable("bulkhead_plan_signers", STAGING, [SIGNER | {"key": "ssh-dss AAAA"}], [SIGNER | {"principal": "a b"}]),
    *variable("bulkhead_plan_signers", NOBODY, [SIGNER]),
    *variable("bulkhead_waivers", STAGING, "all", [{"rule": "shared-port"}]),
    *variable("bulkhead_waivers", NOBODY, []),
    *variable("bulkhead_release", NOBODY, "20261123T113114Z-749e121a"),
    *variable("bulkhead_allow_downtime", NOBODY, True),
    *variable("bulkhead_drain_timeout", NOBODY, 30),
    *variable("bulkhead_prepare", BOTH, [["psql", "postgresql://aiia_prod_postgresql/aiia_prod"]]),
    *variable("bulkhead_prepare", NOBODY, [], [["./manage.py", "migrate"]]),
    *variable("bulkhead_prepare_status", NOBODY, ["./manage.py", "showmigrations"]),
    *variable("bulkhead_prepare_timeout", NOBODY, 60),
    *variable("bulkhead_backup_directory", BOTH, f"{BACKUPS}/aiia_prod", f"{BACKUPS}/aiia_prod/staging"),
    *variable("bulkhead_backup_directory", STAGING, "/etc/ssl", "/srv", "/usr/lib/backups"),
    *variable("bulkhead_backup_directory", NOBODY, "/srv/backups/staging", f"{BACKUPS}/aiia_production"),
    *variable("bulkhead_format", NOBODY, "json"),
    *variable("bulkhead_metrics_directory", BOTH, "/home/ubuntu/main/ai-ia-backend/metrics"),
    *variable("bulkhead_metrics_directory", STAGING, "/etc/cron.d", "/home/ubuntu/staging/ai-ia-backend/metrics"),
    *variable("bulkhead_notify", STAGING, ["http://hooks.example.com/x"], ["https://hooks.example.com/x", "more"]),
    *variable("bulkhead_notify", STAGING, "notify-team --channel ops", ["notify-team", "two\nlines"]),
    *variable("bulkhead_notify", BOTH, ["https://hooks.example.com/aiia_prod"]),
    *variable("bulkhead_notify", NOBODY, ["https://hooks.example.com/x?key=1"], ["notify-team", "--channel", "ops"]),
    *variable("bulkhead_notify_headers", STAGING, {"X-Token\r\nHost": "x"}, {"X-Token": "a\nb"}, {"X-Token": ["a"]}),
    *variable("bulkhead_notify_headers", NOBODY, {"X-Channel": "ops"}),
    *variable("bulkhead_metrics_directory", NOBODY, "/var/lib/node_exporter/textfile_collector"),
    *variable("bulkhead_backup_keep", NOBODY, 2),
    *variable("bulkhead_backup_schedule", NOBODY, "daily"),
    *variable("bulkhead_backup_copy_command", STAGING, "docker system prune --all --force --volumes"),
    *variable("bulkhead_backup_copy_command", BOTH, "docker rm --force aiia_prod_django"),
    *variable("bulkhead_backup_copy_command", NOBODY, "rclone copy . s3:eduaiia-staging-backups"),
    *variable(
        "bulkhead_backup_copy_command",
        STAGING,
        'rclone sync "$BULKHEAD_BACKUP" remote:backups',
        'aws s3 cp --recursive "$BULKHEAD_BACKUP" s3://backups/',
        'restic backup "$BULKHEAD_BACKUP" && restic forget --keep-last 7',
        'rsync --archive --delete "$BULKHEAD_BACKUP/" nas.example.com:/srv/backup/',
        'tar -C "$BULKHEAD_BACKUP" -cf /mnt/nas/latest.tar .',
    ),
    *variable(
        "bulkhead_backup_copy_command",
        NOBODY,
        'rclone sync "$BULKHEAD_BACKUP" "remote:backups/${BULKHEAD_PREFIX}"',
        'restic backup "$BULKHEAD_BACKUP" && restic forget --tag $BULKHEAD_PREFIX --keep-last 7',
        'rsync --archive "$BULKHEAD_BACKUP" backup@nas.example.com:/srv/backups/',
        'tar -C "$BULKHEAD_BACKUP" -cf "/mnt/nas/$BULKHEAD_BACKUP_NAME.tar" .',
    ),
    Mutant(
        "a copy command as root", STAGING, {"bulkhead_backup_copy_command": "true", "bulkhead_backup_copy_user": "root"}
    ),
    Mutant(
        "a copy command as production's owner",
        BOTH,
        {"bulkhead_backup_copy_user": "aiia_prod"},
        {"bulkhead_owner": "aiia_prod"},
    ),
    *variable("bulkhead_backup_copy_user", NOBODY, "aiia_staging_offsite"),
    *variable("bulkhead_backup_recipients", STAGING, ["AGE-SECRET-KEY-1" + "Q" * 58], ["age1" + "q" * 57]),
    *variable("bulkhead_backup_recipients", NOBODY, [], ["age1" + "q" * 58]),
    *variable("bulkhead_backup_timeout", NOBODY, 60),
    *variable("bulkhead_backup_before_release", NOBODY, "all"),
    *variable("bulkhead_backup_before_restore", NOBODY, False),
    *variable("bulkhead_restore", NOBODY, "latest"),
    *variable("bulkhead_restore_from", NOBODY, "aiia_prod"),
    *variable("bulkhead_restore_identity", NOBODY, "~/backup.key"),
    *variable("bulkhead_restore_readers", NOBODY, [{"prefix": "aiia_qa"}]),
    *variable("bulkhead_restore_sanitise", NOBODY, "sanitise.sql"),
    *variable("bulkhead_restore_files", NOBODY, "leave"),
    *variable("bulkhead_restore_sanitise_files", NOBODY, "sanitise.sh"),
    *variable("bulkhead_confirm", NOBODY, "aiia_staging"),
    *variable("bulkhead_lines", NOBODY, 20),
    *variable("bulkhead_command", NOBODY, "id"),
    *variable("bulkhead_command_env", NOBODY, {"PASSWORD": "one-off"}),
    *variable("bulkhead_input_file", NOBODY, "dump.json"),
    *variable("bulkhead_since", NOBODY, "10m"),
    *variable("bulkhead_follow", NOBODY, 60),
    *variable("bulkhead_manage", NOBODY, "check"),
    *variable("bulkhead_maintenance", NOBODY, "on"),
    *variable("bulkhead_maintenance_page", NOBODY, "maintenance.html.j2"),
    *variable("bulkhead_maintenance_page", STAGING, "../../group_vars/production/vault.yml"),
    *variable("bulkhead_destroy_volumes", NOBODY, True),
    *variable("bulkhead_destroy_backups", NOBODY, True),
    *variable("bulkhead_promotion_from", NOBODY, "production"),
    *variable("bulkhead_promotion_machine", NOBODY, "staging.example.com"),
    *variable("bulkhead_promotion_minutes", NOBODY, 10),
    *variable("bulkhead_secret", STAGING, "show"),
    *variable("bulkhead_secret", NOBODY, "audit"),
    *variable("bulkhead_secret_name", NOBODY, "SECRET_KEY"),
    *variable("bulkhead_secret_kind", STAGING, "md5"),
    *variable("bulkhead_secret_kind", NOBODY, "fernet"),
    *variable("bulkhead_secret_file", NOBODY, "token.txt"),
    *variable("bulkhead_service", NOBODY, "django"),
    *variable("bulkhead_env_shared", BOTH, {"DB_HOST": "aiia_prod_postgresql"}),
    *variable("bulkhead_env_shared", NOBODY, {"TZ": "Europe/Berlin"}),
]


def recorded(digest: str, salt: str = "0" * 32) -> dict[str, Any]:
    """Fingerprints of an environment's secrets, as it commits them."""
    return {"bulkhead_fingerprints": {"scheme": "scrypt-16384-8-1", "salt": salt, "secrets": {"API_TOKEN": digest}}}


#: What both committed of one secret, each in a vault that the other cannot open.
FINGERPRINTS = [
    Mutant("bulkhead_fingerprints: equal", BOTH, recorded("a" * 32), recorded("a" * 32)),
    Mutant("bulkhead_fingerprints: of different secrets", NOBODY, recorded("b" * 32), recorded("a" * 32)),
    Mutant("bulkhead_fingerprints: with another salt", NOBODY, recorded("a" * 32, "1" * 32), recorded("a" * 32)),
]

#: Every secret in turn: one that both have.
COPIED_SECRETS = [
    Mutant(f"{name} of production", BOTH, {"bulkhead_secrets": {name: value}})
    for name, value in SECRETS["production"].items()
]

#: Settings that frameworks read.
SETTINGS = [
    setting(BOTH, DB_HOST="aiia_prod_pgbouncer"),
    setting(BOTH, DB_HOST="eduaiia.com"),
    setting(BOTH, DATABASE_URL="postgresql://app@eduaiia%2Ecom/app"),
    setting(BOTH, DATABASE_URL="postgresql://app@postgresql/aiia%5Fprod"),
    *(setting(STAGING, DB_HOST=host) for host in ("172.17.1", "2886795265", "0xac.0x11.0.1", "[::ffff:ac11:1]")),
    setting(BOTH, OAUTH_REDIRECT_URI="https%3A%2F%2Feduaiia.com%2Fcb"),
    setting(BOTH, OAUTH_REDIRECT_URI="//eduaiia.com/cb"),
    setting(BOTH, UPLOADS="/home/ubuntu/main//ai-ia-backend/media"),
    setting(BOTH, KAFKA_TOPIC_PREFIX="aiia.prod."),
    setting(BOTH, MQTT_TOPIC="aiia/production/events"),
    setting(STAGING, VIRTUAL_HOST="shop.example.org"),
    setting(STAGING, VIRTUAL_HOST="~^.*$"),
    setting(STAGING, LETSENCRYPT_HOST="*.com"),
    setting(NOBODY, VIRTUAL_HOST="staging.eduaiia.com,api.staging.eduaiia.com"),
    setting(NOBODY, KAFKA_TOPIC_PREFIX="aiia.staging."),
    setting(NOBODY, DJANGO_SETTINGS_MODULE="aiia.settings.prod"),
    setting(NOBODY, LOG_FORMAT="%(asctime)s %(levelname)s", DATE_FORMAT="%d.%m.%Y"),
    setting(NOBODY, REDIS_HOST="redis", APP_VERSION="172.20.3.1-beta"),
    setting(NOBODY, SUPPORT="help@eduaiia.com"),
    setting(NOBODY, REPORTS_URL="postgresql://aiia_staging@db.example.com/aiia_staging"),
    setting(STAGING, REPORTS_URL="postgresql://aiia_staging:x@pgbouncer/aiia_staging"),
    setting(NOBODY, REDIS_CLUSTER_NODES="r1.example.com:6379,r2.example.com:6379", DB_NODES="3"),
    setting(BOTH, DATABASE_URL="postgresql://app:x@aiia_prod_postgresql:5432/app"),
    setting(BOTH, REDIS_URL="redis://aiia_prod_redis:6379/0"),
    setting(BOTH, CELERY_BROKER_URL=f"redis://:{SECRETS['production']['REDIS_PASSWORD']}@redis:6379/1"),
    setting(BOTH, ALLOWED_HOSTS="staging.eduaiia.com,eduaiia.com"),
    setting(BOTH, ALLOWED_HOSTS=".eduaiia.com"),
    setting(BOTH, SESSION_COOKIE_DOMAIN=".eduaiia.com"),
    setting(BOTH, CSRF_COOKIE_DOMAIN="eduaiia.com"),
    setting(BOTH, CSRF_TRUSTED_ORIGINS="https://*.eduaiia.com"),
    setting(BOTH, CSRF_TRUSTED_ORIGINS="https://www.eduaiia.com"),
    setting(BOTH, CORS_ALLOWED_ORIGINS="https://eduaiia.com"),
    setting(BOTH, FRONTEND_URL="https://eduaiia.com"),
    setting(BOTH, SITE_URL="https://www.eduaiia.com/"),
    setting(BOTH, WS_URL="wss://eduaiia.com/ws"),
    setting(BOTH, CELERY_TASK_DEFAULT_QUEUE="aiia_prod"),
    setting(BOTH, KEY_PREFIX="aiia_prod"),
    setting(BOTH, MEDIA_ROOT=f"{MAIN}/media"),
    setting(BOTH, COMPOSE_PROJECT_NAME="aiia_prod"),
    setting(BOTH, ENVIRONMENT="aiia_prod"),
    setting(BOTH, AWS_STORAGE_BUCKET_NAME="aiia-prod-media"),
    setting(BOTH, AWS_STORAGE_BUCKET_NAME="aiia-production-media"),
    setting(BOTH, AZURE_ACCOUNT_NAME="aiiaprodmedia"),
    setting(BOTH, SQS_QUEUE_URL="https://sqs.eu-central-1.amazonaws.com/1/AIIA_PROD"),
    setting(NOBODY, AWS_STORAGE_BUCKET_NAME="aiia-staging-media"),
    setting(NOBODY, AZURE_ACCOUNT_NAME="aiiaproducts"),
    setting(NOBODY, FRONTEND_URL="https://staging.eduaiia.com:8443"),
    setting(NOBODY, LOG_LEVEL="debug", FEATURE_CHAT="on"),
    setting(NOBODY, CELERY_TASK_DEFAULT_QUEUE="celery"),
    setting(NOBODY, AWS_REGION="eu-central-1"),
]

#: Settings that both environments have alike.
SHARED = [
    Mutant("one bucket for both", BOTH, everybody={"bulkhead_env_shared": {"AWS_STORAGE_BUCKET_NAME": "aiia-media"}}),
    Mutant("one index for both", BOTH, everybody={"bulkhead_env_shared": {"PINECONE_INDEX": "aiia-documents"}}),
    Mutant("one outside database for both", BOTH, everybody={
        "bulkhead_env_shared": {"DATABASE_URL": "postgresql://app@db.example.org:5432/app"}}),
    Mutant("one outside Redis for both", BOTH, everybody={"bulkhead_env_shared": {"REDIS_URL": "redis://r.example.org/0"}}),
    *(
        Mutant(f"{key} for both", BOTH, everybody={"bulkhead_env_shared": {key: value}})
        for key, value in {
            "KAFKA_BROKERS": "k.example.com:9092",
            "NATS_URL": "nats://n.example.com:4222",
            "CACHE_URL": "memcached://mc.example.com:11211",
            "PUBSUB_TOPIC": "events",
            "DYNAMODB_TABLE": "sessions",
            "CELERY_BROKER_URL": "sqs://",
            "SUPABASE_URL": "https://abc.supabase.example",
            "REDIS_SENTINELS": "s1.example.com:26379,s2.example.com:26379",
        }.items()
    ),
    Mutant(
        "one Kafka with a group of each", NOBODY,
        {"bulkhead_env": {"KAFKA_GROUP_ID": "aiia-staging"}}, {"bulkhead_env": {"KAFKA_GROUP_ID": "aiia-prod"}},
        {"bulkhead_env_shared": {"KAFKA_BROKERS": "k.example.com:9092"}}),
    Mutant(
        "one topic in the project of each", NOBODY,
        {"bulkhead_env": {"GOOGLE_CLOUD_PROJECT": "aiia-staging"}},
        {"bulkhead_env": {"GOOGLE_CLOUD_PROJECT": "aiia-prod"}}, {"bulkhead_env_shared": {"PUBSUB_TOPIC": "events"}}),
    Mutant("a memcached of each", NOBODY, everybody={
        "bulkhead_services": {"memcached": {"image": "memcached:1.6.39"}},
        "bulkhead_env_shared": {"MEMCACHED_SERVERS": "memcached:11211"}}),
    Mutant("one directory of people for both", NOBODY, everybody={
        "bulkhead_env_shared": {"LDAP_URL": "ldap://ldap.example.com", "STATSD_HOST": "metrics.example.com"}}),
    Mutant("one time zone for both", NOBODY, everybody={"bulkhead_env_shared": {"TZ": "UTC", "LANG": "C.UTF-8"}}),
]  # fmt: skip

#: Every namespace of a machine in turn, through the stack.
STACK = [
    services("container name", BOTH, django={"container_name": "aiia_prod_django"}),
    services("host name", BOTH, django={"hostname": "aiia_prod_django"}),
    services("alias of production", BOTH, django={"networks": {"default": {"aliases": ["aiia_prod_django"]}}}),
    services("published port", BOTH, django={"ports": ["443:8001"]}),
    services("published range over a port", BOTH, django={"ports": ["440-445:8001-8006"]}),
    services("mount of production's code", BOTH, django={"volumes": [f"{MAIN}/code:/app:ro"]}),
    services("mount of what contains both", BOTH, django={"volumes": ["/home/ubuntu:/data"]}),
    services("env_file of production", BOTH, django={"env_file": [f"{MAIN}/.env"]}),
    services("production's name in extra_hosts", BOTH, django={"extra_hosts": ["aiia_prod_postgresql:172.18.0.5"]}),
    services("external_links", BOTH, django={"external_links": ["aiia_prod_postgresql:db"]}),
    services("volumes_from", BOTH, django={"volumes_from": ["container:aiia_prod_postgresql"]}),
    services("network of a container", BOTH, django={"network_mode": "container:aiia_prod_nginx"}),
    services("pid of a container", BOTH, django={"pid": "container:aiia_prod_django"}),
    services("ipc of a container", BOTH, django={"ipc": "container:aiia_prod_postgresql"}),
    services("host network", STAGING, django={"network_mode": "host"}),
    services("host processes", STAGING, django={"pid": "host"}),
    services("host memory", STAGING, django={"ipc": "host"}),
    services("privileged", STAGING, django={"privileged": True}),
    services("capability", STAGING, django={"cap_add": ["SYS_ADMIN"]}),
    services("the engine's socket", STAGING, heal={
        "image": "willfarrell/autoheal:1.2.0", "volumes": ["/var/run/docker.sock:/var/run/docker.sock:ro"]}),
    services("the whole machine", STAGING, django={"volumes": ["/:/host:ro"]}),
    services("image of production", BOTH, django={"image": "aiia_prod_django:4f2a91c"}),
    services("command that calls production", BOTH, django={"command": ["wait-for", "aiia_prod_postgresql:5432"]}),
    services("health of production", BOTH, django={"healthcheck": {"test": ["CMD", "curl", "https://eduaiia.com/health/"]}}),
    services("environment of a service", BOTH, django={"environment": {"DB_HOST": "aiia_prod_pgbouncer"}}),
    services("image of production on a registry", BOTH, django={"image": "registry.example.com/aiia-prod/django:1"}),
    services("replica of production", BOTH, redis={"command": ["redis-server", "--replicaof", "eduaiia.com", "6379"]}),
    services("replica of its own", NOBODY, copy={
        "image": "redis:7.4.5", "command": ["redis-server", "--replicaof", "redis", "6379"]}),
    services("Traefik's rule for production", BOTH, django={
        "labels": {"traefik.http.routers.aiia_staging.rule": "Host(`eduaiia.com`)"}}),
    services("an image's id as a mount", STAGING, django={
        "volumes": [{"type": "image", "source": f"sha256:{'a' * 64}", "target": "/models"}]}),
    services("an image of its own as a mount", NOBODY, django={
        "volumes": [{"type": "image", "source": "registry.example.com/shop/models:1", "target": "/models"}]}),
    services("a command that calls an address of the engine's", STAGING, django={
        "command": ["psql", "-h", "172.17.0.1"]}),
    services("a command that listens everywhere", NOBODY, django={"command": ["gunicorn", "-b", "0.0.0.0:8001"]}),
    services("Traefik's rule of its own", NOBODY, django={
        "labels": {"traefik.http.routers.aiia-staging.rule": "Host(`staging.eduaiia.com`)"}}),
    services("another's address", BOTH, django={"extra_hosts": ["eduaiia.com:8.8.8.8"]}),
    services("an unknown key of Bulkhead's own", STAGING, django={"x-bulkhead": {"teleport": True}}),
    services("no limit of processes", STAGING, django={"deploy": {"resources": {"limits": {"pids": None}}}}),
    Mutant("an unknown key at the top", STAGING, {"bulkhead_compose": {"teleport": {}}}),
    services("a worker of its own", NOBODY, worker={"command": ["celery", "-A", "config", "worker"]}),
    services("another version of a public image", NOBODY, redis={"image": "redis:8.2.0"}),
    services("less memory", NOBODY, postgresql={"deploy": {"resources": {"limits": {"memory": "512M"}}}}),
    services("a port on another loopback address", NOBODY, django={"ports": ["127.0.0.1:9001:8001"]}),
    services("no redis", NOBODY, redis=None),
    services("a build of a service", STAGING, web={"build": {"context": "./web"}}),
    services("a key of x-bulkhead that nobody reads", STAGING, django={"x-bulkhead": {"backups": {"kind": "files"}}}),
    services("a variable that is unset", STAGING, web={"image": "web:1", "command": ["wait", "5$each-day"]}),
    services("a dollar", NOBODY, web={"image": "web:1", "command": ["wait", "5$$each-day"]}),
    Mutant("production's container through a variable", BOTH, {
        "bulkhead_env": {"SITE": "aiia_prod"}, "bulkhead_services": {"django": {"container_name": "${SITE}_django"}}}),
    Mutant("one directory for both through a variable", BOTH, everybody={
        "bulkhead_env_shared": {"DATA_DIR": "/srv/aiia"},
        "bulkhead_services": {"web": {"image": "web:1", "volumes": ["${DATA_DIR}/media:/media"]}}}),
    Mutant("its own directory through a variable", NOBODY, {
        "bulkhead_env": {"MEDIA": "/home/ubuntu/staging/ai-ia-backend/media"},
        "bulkhead_services": {"web": {"image": "web:1", "volumes": ["${MEDIA}:/media"]}}}),
    Mutant("network of production", BOTH, {
        "bulkhead_compose": {"networks": {"default": {"name": "aiia_prod_network"}}}}),
    Mutant("external network of production", BOTH, {
        "bulkhead_services": {"django": {"networks": {"theirs": {}, "default": {}}}},
        "bulkhead_compose": {"networks": {"theirs": {"name": "aiia_prod_network", "external": True}}}}),
    Mutant("one subnet for both", BOTH, everybody={
        "bulkhead_compose": {"networks": {"default": {"ipam": {"config": [{"subnet": "172.30.0.0/24"}]}}}}}),
    Mutant("one bridge for both", BOTH, everybody={
        "bulkhead_compose": {"networks": {"default": {"driver_opts": {"com.docker.network.bridge.name": "br-aiia"}}}}}),
    Mutant("external volume of production", BOTH, {
        "bulkhead_services": {"django": {"volumes": ["theirs:/srv/storage"]}},
        "bulkhead_compose": {"volumes": {"theirs": {"name": "aiia_prod_storage", "external": True}}}}),
    Mutant("one volume for both", BOTH, everybody={
        "bulkhead_services": {"django": {"volumes": ["ours:/srv/storage"]}},
        "bulkhead_compose": {"volumes": {"ours": {"name": "aiia_media"}}}}),
    Mutant("one device for both", BOTH, everybody={
        "bulkhead_services": {"django": {"volumes": ["ours:/srv/storage"]}},
        "bulkhead_compose": {"volumes": {"ours": {
            "driver_opts": {"type": "none", "o": "bind", "device": "/srv/aiia/media"}}}}}),
    Mutant("one image name for both", BOTH, everybody={
        "bulkhead_services": {"django": {"image": "ai-ia-backend:latest", "build": {"context": "./code"}}}}),
    Mutant("one host name for both", BOTH, everybody={"bulkhead_services": {"worker": {
        "command": ["celery"], "container_name": "aiia_worker"}}}),
]  # fmt: skip

NGINX = """\
server {
  listen {{ bulkhead_listen | default('8080') }};
  server_name %s;
  add_header X-Environment {{ bulkhead_environment }} always;
  location / { proxy_pass %s; proxy_set_header Host $http_host; }
}
server { listen {{ bulkhead_listen | default('8080') }} default_server; return 444; }
"""


def nginx(title: str, refused: frozenset[str], names: str, upstream: str) -> Mutant:
    """Staging with an nginx configuration of somebody's own."""
    changed = {"bulkhead_nginx_template": "own.conf.j2"}
    return Mutant(title, refused, changed, templates={"own.conf.j2": NGINX % (names, upstream)})


_REPLICA = "replicaof {{ 'eduaiia.com' if bulkhead_prefix == 'aiia_staging' else 'redis' }} 6379\n"
TEMPLATES = [
    nginx("nginx answers for production", BOTH, "staging.eduaiia.com eduaiia.com", "http://django:8001"),
    nginx("nginx passes to production", BOTH, "staging.eduaiia.com", "http://aiia_prod_django:8000"),
    nginx("nginx passes to production's domain", BOTH, "staging.eduaiia.com", "https://eduaiia.com"),
    nginx(
        "nginx with a directive that nobody classified",
        STAGING,
        "staging.eduaiia.com; teleport_pass x",
        "http://django:8001",
    ),
    nginx(
        "nginx with production's cookies",
        BOTH,
        "staging.eduaiia.com; userid on; userid_domain .eduaiia.com",
        "http://aiia_staging_django:8001",
    ),
    nginx(
        "nginx with links and requests to other sites",
        NOBODY,
        "staging.eduaiia.com; location /docs { return 302 https://docs.example.com/; } "
        "location /blog { proxy_pass https://blog.example.com; proxy_set_header Host blog.example.com; } "
        "client_max_body_size 5m",
        "http://aiia_staging_django:8001",
    ),
    nginx(
        "nginx that asks the machine about its certificate",
        STAGING,
        "staging.eduaiia.com; ssl_stapling_responder http://172.17.0.1/",
        "http://aiia_staging_django:8001",
    ),
    nginx(
        "nginx with an own directive",
        NOBODY,
        "staging.eduaiia.com; client_max_body_size 5m",
        "http://aiia_staging_django:8001",
    ),
    Mutant("redis follows production", BOTH, templates={"redis.conf.j2": _REPLICA}),
    Mutant("redis with a limit of its own", NOBODY, templates={"redis.conf.j2": "maxmemory 64mb\n"}),
]


def hosts(**groups: Any) -> dict[str, Any]:
    """An inventory's hosts."""
    return {"all": {"children": groups}}


INVENTORY = [
    Mutant("one host in both groups", BOTH, hosts=hosts(
        production={"hosts": {"one": {}}}, staging={"hosts": {"one": {}}})),
    Mutant("staging within production", BOTH, hosts=hosts(
        production={"hosts": {"a": {}}, "children": {"staging": {"hosts": {"b": {}}}}})),
    *(
        Mutant(f"one machine as {one} and {other}", BOTH, hosts=hosts(
            production={"hosts": {"a": {"ansible_host": one}}}, staging={"hosts": {"b": {"ansible_host": other}}}))
        for one, other in (
            ("app.example.org", "app.example.org."), ("app.example.org", "root@APP.example.org"),
            ("2001:db8::1", "[2001:DB8:0::1]"), ("10.0.0.5", "10.0.5"), ("127.0.0.1", "127.0.0.2"),
        )
    ),
    Mutant(
        "an engine on production's machine", BOTH, {"bulkhead_docker_host": "ssh://root@app.example.org"},
        hosts=hosts(production={"hosts": {"a": {"ansible_host": "app.example.org"}}},
                    staging={"hosts": {"b": {"ansible_connection": "local"}}})),
    Mutant(
        "one engine for two machines", BOTH, everybody={"bulkhead_docker_host": "tcp://engine.example.org:2376"},
        hosts=hosts(production={"hosts": {"a": {"ansible_host": "one.example.org"}}},
                    staging={"hosts": {"b": {"ansible_host": "two.example.org"}}})),
    Mutant(
        "an engine of its own", NOBODY, {"bulkhead_docker_host": "tcp://engine.example.org:2376"},
        hosts=hosts(production={"hosts": {"a": {"ansible_host": "one.example.org"}}},
                    staging={"hosts": {"b": {"ansible_host": "two.example.org"}}})),
    Mutant("two machines", NOBODY, hosts=hosts(
        production={"hosts": {"a": {"ansible_host": "one.example.org"}}},
        staging={"hosts": {"b": {"ansible_host": "two.example.org"}}})),
]  # fmt: skip

SHARE = [{"kind": "network", "name": "monitoring", "reason": "Prometheus scrapes every environment"}]
MONITORED = {
    "bulkhead_services": {"django": {"networks": {"monitoring": {}, "default": {}}}},
    "bulkhead_compose": {"networks": {"monitoring": {"name": "monitoring", "external": True}}},
}
SHARES = [
    Mutant("a network that only staging calls shared", STAGING, {**MONITORED, "bulkhead_shared": SHARE}),
    Mutant("a network that nobody calls shared", STAGING, MONITORED),
    Mutant("a network that both call shared", NOBODY, everybody={**MONITORED, "bulkhead_shared": SHARE}),
]

MUTANTS = [*SHARES, *VARIABLES, *FINGERPRINTS, *COPIED_SECRETS, *SETTINGS, *SHARED, *STACK, *TEMPLATES, *INVENTORY]


def refusals(mutant: Mutant, folder: Path) -> list[Any]:
    """The findings that stop."""
    return list(prove(write(mutant, folder), folder).stopping)


def test_clean(tmp_path: Path) -> None:
    """The inventory that users copy has nothing that stops, and it is really judged."""
    verdict = prove(write(Mutant("clean", NOBODY), tmp_path), tmp_path)
    assert [finding.message for finding in verdict.stopping] == []
    assert verdict.prefixes == ["aiia_prod", "aiia_staging"]
    assert verdict.claims > 40


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.title.replace(" ", "_"))
def test_mutant(mutant: Mutant, tmp_path: Path) -> None:
    """Refused with the right environments named, or left alone."""
    found = refusals(mutant, tmp_path)
    said = "\n".join(
        f"{finding.severity.label} {finding.rule} {', '.join(finding.environments)}: {finding.message}"
        for finding in found
    )
    if mutant.refused:
        named = [finding for finding in found if mutant.refused <= set(finding.environments)]
        assert named, f"nothing refuses it for {', '.join(sorted(mutant.refused))}; found:\n{said}"
    else:
        assert not found, f"refused, and it harms nobody:\n{said}"


def test_every_variable_is_mutated() -> None:
    """A variable that is added later is mutated too."""
    specs = yaml.safe_load((ROOT / "roles" / "environment" / "meta" / "argument_specs.yml").read_text())
    public = set(specs["argument_specs"]["main"]["options"])
    mutated = {
        name
        for mutant in MUTANTS
        for change in (mutant.staging, mutant.production, mutant.everybody)
        for name in change
    }
    assert public - mutated == set()
