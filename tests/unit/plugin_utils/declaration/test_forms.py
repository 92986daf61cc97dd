# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each variable has one form; what does not have it is refused with the right one, and its near miss is not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.domains import domain_problem
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.formed import check_forms
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.forms import FORMS
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.variables import (
    ROLE,
    SETTINGS,
    optional,
    specification,
)
from hypothesis import example, given
from hypothesis import strategies as st
from unit.fleets import declared, only


def test_every_variable_has_exactly_one_form() -> None:
    governed: dict[str, list[str]] = {}
    for name, spec in specification().items():
        for key, entry in {
            name: spec,
            **{f"{name}.{key}": entry for key, entry in spec.get("options", {}).items()},
        }.items():
            by = governed.setdefault(key, [])
            by += ["choices"] * ("choices" in entry) + ["bool"] * (entry["type"] == "bool")
            by += ["form"] * (key in FORMS) + ["settings"] * (key in SETTINGS) + ["entries"] * ("options" in entry)
    assert {name: by for name, by in governed.items() if len(by) != 1} == {}
    assert set(FORMS) <= set(governed)


def test_the_defaults_have_the_form_of_their_variables() -> None:
    values: Mapping[str, Any] = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    judged = 0
    for name, value in values.items():
        if name not in FORMS or name in optional() or (isinstance(value, str) and "{{" in value):
            continue
        for item in value if isinstance(value, list) else [value]:
            assert FORMS[name].problem(item) == "", (name, item)
            judged += 1
    assert judged > 20


def test_nothing_is_wrong_with_defaults_that_are_not_judged_again(tmp_path: Path) -> None:
    own = declared(tmp_path)
    assert own.problems == []
    check_forms(own, {})
    assert own.problems == []


#: Somebody who approves deployments, and a security key of theirs.
SIGNER = {"principal": "a@example.com", "key": f"ssh-ed25519 {'A' * 68}", "until": "2099-01-31"}
SK = f"sk-ssh-ed25519@openssh.com {'A' * 90}= a@example.com"

#: Values that were seen to pass, or that say more than their variable stands for, each with a near miss.
CASES: list[tuple[str, Any, Any]] = [
    ("bulkhead_directory", "/srv/app\nroot", "/srv/app root"),
    ("bulkhead_directory", "/etc/cron.d", "/srv/etc/cron.d"),
    ("bulkhead_directory", "/etc/cron.d/app", "/opt/etc"),
    ("bulkhead_directory", "/proc/self/root/srv/app", "/process/app"),
    ("bulkhead_directory", "/var/spool/cron", "/var/spooler/app"),
    ("bulkhead_directory", "/var/lib/docker/volumes", "/var/lib/dockerized"),
    ("bulkhead_directory", "/srv/app$(id)", "/srv/app-(id)"),
    ("bulkhead_directory", "/srv/a:b", "/srv/a,b"),
    ("bulkhead_directory", "/home/ubuntu/main/../staging", "/home/ubuntu/main..staging"),
    ("bulkhead_state_directory", "/run/bulkhead", "/srv/run/bulkhead"),
    ("bulkhead_backup_directory", "/boot", "/srv/boot"),
    ("bulkhead_source_branch", "--upload-pack=touch /tmp/x", "upload-pack"),
    ("bulkhead_source_branch", "a..b", "a.b"),
    ("bulkhead_source_repository", "ext::sh -c touch% /tmp/x", "https://example.com/ext/app.git"),
    ("bulkhead_source_repository", "fd::17", "git@example.com:app.git"),
    ("bulkhead_source_repository", "--upload-pack=x", "/srv/app.git"),
    ("bulkhead_source_commit", "v1 0 0", "deadbeef"),
    ("bulkhead_nginx_body_size", "20m; include /etc/passwd", "20m"),
    ("bulkhead_nginx_timeout", "60s;", "500ms"),
    ("bulkhead_nginx_template", "/etc/passwd", "own/nginx.conf.j2"),
    ("bulkhead_environment_header", "X-Env a; add_header B", "X-Env"),
    ("bulkhead_acme_webroot", "/srv/acme; autoindex on", "/srv/acme/"),
    ("bulkhead_acme_webroot", "/srv/../etc", "/srv/..etc"),
    ("bulkhead_acme_email", "ops", "ops@example.com"),
    ("bulkhead_acme_email", "ops@example.com,root@example.com", "first.last+acme@a-b.example.com"),
    ("bulkhead_acme_email", "-ops@example.com", "ops-@example.com"),
    ("bulkhead_acme_directory", "http://ca.example.com/directory", "https://ca.example.com/directory"),
    ("bulkhead_acme_directory", "https://ca.example.com/a b", "https://[fd00::1]:14000/dir"),
    ("bulkhead_acme_image", "certbot/certbot", "certbot/certbot:v5.1.0"),
    ("bulkhead_acme_image", "certbot/certbot:latest", "registry.example.com:5000/certbot/certbot:latest-5"),
    ("bulkhead_acme_image", "--volume=/:/host", f"certbot@sha256:{'a' * 64}"),
    ("bulkhead_acme_ca_bundle", "ca.pem", "/etc/ca.pem"),
    ("bulkhead_health_path", "/health/ HTTP/1.1", "/health/?full=1&x=%20"),
    ("bulkhead_health_path", "health", "/"),
    ("bulkhead_app_user", "app:app:app", "app:1000"),
    ("bulkhead_app_user", "-1", "10001:10001"),
    ("bulkhead_storage_path", "/srv/storage:ro", "/var/www/html/storage"),
    ("bulkhead_storage_path", "/srv/../etc", "/srv/..storage"),
    ("bulkhead_static_root", "/srv/storage/static/", "/srv/storage/static"),
    ("bulkhead_media_root", "/srv/storage/media; autoindex on", ""),
    ("bulkhead_owner", "root ALL=(ALL)", "aiia-prod"),
    ("bulkhead_owner", "-u", "_apt"),
    ("bulkhead_docker_host", "unix:///var/run/docker.sock -v", "tcp://[::1]:2376"),
    ("bulkhead_bind_address", "localhost", "::1"),
    ("bulkhead_bind_address", "127.0.0.1:80", "127.0.0.1"),
    ("bulkhead_build_egress", ["proxy.example.com"], ["proxy.example.com:3128", "[fd00::1]:22", "10.0.0.1:8080"]),
    ("bulkhead_build_egress", ["a b:1"], ["a_b:1"]),
    ("bulkhead_build_egress", ["proxy:70000"], ["proxy:7000"]),
    ("bulkhead_build_target", "a b", "runtime"),
    ("bulkhead_build_context", "../other", "..other"),
    ("bulkhead_build_context", "https://example.com/app.git", "backend"),
    ("bulkhead_build_arguments", {"A B": "x"}, {"A_B": "x"}),
    ("bulkhead_build_memory", "2g;", "2g"),
    ("bulkhead_build_cpus", -1, 2),
    ("bulkhead_build_timeout", 0, 1),
    ("bulkhead_build_ca_bundle", "/etc/ssl/../passwd", "/etc/ssl/certs/ca.crt"),
    ("bulkhead_tls_key_path", "etc/tls.key", "/etc/tls.key"),
    ("bulkhead_database_name", 'x"; DROP', "x_1.y-z"),
    ("bulkhead_database_user", "a" * 64, "a" * 63),
    ("bulkhead_disk_alarm", 100, 99),
    ("bulkhead_cpu_weight", -5, 0),
    ("bulkhead_app_port", 0, 65535),
    ("bulkhead_hsts_max_age", -1, 63072000),
    ("bulkhead_pgbouncer_pool_size", 0, 1),
    ("bulkhead_lines", -1, 0),
    ("bulkhead_app_service", "django; reboot", "django"),
    ("bulkhead_services", {"a b": {"image": "x"}}, {"a-b": {"image": "x"}}),
    ("bulkhead_compose", {"Volumes ": {}}, {"x-mine": {}}),
    ("bulkhead_machine", "app1; id", "fe80::1%eth0"),
    ("bulkhead_prepare", [["sh", "a\0b"]], [["sh", "a b", 1]]),
    ("bulkhead_prepare", [[]], [["sh"]]),
    ("bulkhead_backup_copy_command", "a\nb", "a; b"),
    (
        "bulkhead_backup_recipients",
        ["age1" + "b" * 58],
        ["age1" + "q" * 58, "ssh-ed25519 " + "AAAAC3NzaC1lZDI1NTE5AAAAI" + "q" * 43],
    ),
    ("bulkhead_backup_recipients", ["ssh-rsa AAAAB3NzaC1yc2E"], []),
    ("bulkhead_backup_schedule", "* * * * *", "03:30"),
    ("bulkhead_restore", "../other", "/srv/back/aiia_prod-20260725T031500Z"),
    ("bulkhead_restore_from", "aiia prod", "aiia_prod"),
    ("bulkhead_restore_identity", "a\nb", "~/.age/backup key"),
    ("bulkhead_release", "../1", "previous"),
    ("bulkhead_service", "-it", "web"),
    ("bulkhead_promotion_from", "a:b", "staging"),
    ("bulkhead_report", "a\tb", "reports/a b.json"),
    ("bulkhead_plan_expires", 0, 24),
    ("bulkhead_plan_signers", [{**SIGNER, "until": "tomorrow"}], [SIGNER]),
    ("bulkhead_plan_signers", [{**SIGNER, "until": "2099-02-30"}], [{**SIGNER, "until": "2099-02-28"}]),
    ("bulkhead_plan_signers", [{**SIGNER, "key": "ssh-rsa AAAA"}], [{**SIGNER, "key": f"{SIGNER['key']} a@b"}]),
    ("bulkhead_plan_signers", [{**SIGNER, "key": f"{SIGNER['key']}\n*"}], [{**SIGNER, "key": SK}]),
    ("bulkhead_plan_signers", [{**SIGNER, "principal": "a,*"}], [{**SIGNER, "principal": "alice"}]),
    ("bulkhead_firewall", "sometimes", "Auto"),
    ("bulkhead_firewall_allow", ["25;"], ["25", "8125/udp", "10.0.0.5:25"]),
    ("bulkhead_firewall_allow", ["169.254.169.254:80"], ["169.254.169.254:53"]),
    ("bulkhead_restore_readers", [{"prefix": "a", "file": "take"}], [{"prefix": "a", "files": "take"}]),
    ("bulkhead_restore_readers", [{"prefix": "a", "files": "all"}], [{"prefix": "a"}]),
    (
        "bulkhead_shared",
        [{"kind": "network", "name": "monitoring"}],
        [{"kind": "network", "name": "monitoring", "reason": "Prometheus"}],
    ),
    (
        "bulkhead_shared",
        [{"kind": "netwrok", "name": "monitoring", "reason": "Prometheus"}],
        [{"kind": "path", "name": "/etc/app", "reason": "one for all"}],
    ),
]


@pytest.mark.parametrize(("name", "wrong", "right"), CASES, ids=lambda value: str(value)[:40])
def test_a_value_of_another_form_is_refused_and_its_near_miss_is_not(
    tmp_path: Path, name: str, wrong: Any, right: Any
) -> None:
    found = only(declared(tmp_path / "wrong", **{name: wrong}).problems)
    assert (found.rule, found.resource) == ("invalid-variable", name)
    assert name in found.message and found.fix
    assert found.where[0].file.endswith("group_vars/production/main.yml") and found.where[0].line > 0
    assert declared(tmp_path / "right", **{name: right}).problems == []


@pytest.mark.parametrize(
    ("domain", "said"),
    [
        ("staging.eduaiia.com; include /etc/passwd", "is not a host name"),
        ("https://staging.eduaiia.com/x", "is a URL, and a domain is a host name alone: write staging.eduaiia.com"),
        ("staging.eduaiia.com:8443", "has a port: write staging.eduaiia.com here, and the port as bulkhead_http_port"),
        ("staging.eduaiia.com/app", "has a path, and a domain is a host name alone: write staging.eduaiia.com"),
        ("staging eduaiia.com", "is not a host name"),
        ("bücher.example", "is not ASCII: write xn--bcher-kva.example"),
        ("Staging.eduaiia.com", "has upper-case letters: write staging.eduaiia.com"),
        ("staging.eduaiia.com.", "ends with a dot: write staging.eduaiia.com"),
        ("-a.example.com", "is not a host name"),
        ("a_b.example.com", "is not a host name"),
        ("a.*.example.com", "is not a host name"),
        ("a..example.com", "is not a host name"),
        ("$host", "is not a host name"),
        ("a" * 64 + ".com", "is not a host name"),
        ("", "is not a host name"),
        (5, "is not text"),
    ],
)
def test_a_domain_that_is_none(domain: Any, said: str) -> None:
    assert domain_problem(domain).startswith(said)


@pytest.mark.parametrize("domain", ["a", "localhost", "a-b.example.com", "1.2.3.4", "xn--bcher-kva.example", "*.a.b"])
def test_a_domain(domain: str) -> None:
    assert domain_problem(domain) == ""


def test_domains_that_cannot_be_together(tmp_path: Path) -> None:
    found = only(declared(tmp_path / "twice", bulkhead_domains=["a.example.com", "b.c", "a.example.com"]).problems)
    assert found.message == "bulkhead_domains has a.example.com twice"
    wildcard: dict[str, Any] = {"bulkhead_domains": ["*.example.com"]}
    found = only(declared(tmp_path / "default", **wildcard).problems)
    assert found.rule == "wildcard-domain" and "the default stack answers for host names" in found.message
    with_own_nginx: list[dict[str, Any]] = [
        {**wildcard, "bulkhead_nginx_template": "own.j2"},
        {**wildcard, "bulkhead_services": {"nginx": None}},
    ]
    for number, variables in enumerate(with_own_nginx):
        assert declared(tmp_path / str(number), **variables).problems == []


def test_one_port_for_http_and_https(tmp_path: Path) -> None:
    found = only(declared(tmp_path, bulkhead_http_port=8443, bulkhead_https_port="8443").problems)
    assert found.resource == "bulkhead_https_port"
    assert "bulkhead_http_port and bulkhead_https_port are both 8443" in found.message


@pytest.mark.parametrize("name", sorted(set(specification()) - optional()))
def test_what_may_not_be_empty(tmp_path: Path, name: str) -> None:
    spec = specification()[name]
    empty: dict[str, Any] = {name: ""}
    problems = declared(tmp_path, **empty).problems
    assert spec["type"] == "bool" or name in [problem.resource for problem in problems]


def test_a_wrong_value_that_may_be_a_secret_is_not_shown(tmp_path: Path) -> None:
    wrong: dict[str, Any] = {"bulkhead_backup_copy_command": "curl -u me:hunter2\n", "bulkhead_command": "hunter2\0"}
    declaration = declared(tmp_path, **wrong, bulkhead_source_repository="https://me:hunter2@host")
    assert len(declaration.problems) == 3 and "hunter2" not in str(declaration.problems)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
#: What no word of nginx's configuration, of a unit or of a shell script may hold.
_UNSAFE = set(";{}$`\"'\\\n\r\t #<>|")
_WORDS = ("domains", "nginx_body_size", "nginx_timeout", "acme_webroot", "environment_header", "app_service", "owner")


@given(anything)
@example("a\u2028b")
@example("²")
def test_garbage_is_judged_in_words(value: Any) -> None:
    for name, form in FORMS.items():
        problem = form.problem(value)
        assert isinstance(problem, str), name
        for word in _WORDS:
            if name == f"bulkhead_{word}" and not problem:
                assert not _UNSAFE & set(value), name
