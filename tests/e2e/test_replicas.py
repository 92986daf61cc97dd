# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service of one's own with several containers, behind an nginx template of one's own: replaced without a gap."""

from __future__ import annotations

import re
from typing import Any

from guide_stack import IMAGES, self_signed
from interruption import Visitor
from observe import ask, running
from support import IMAGE, ROOT, SERVER, Place, Run, Site, free_port, health_check, only

#: Where the role's own template says where requests go.
WAY = re.compile(r"^ *set \$bulkhead_application .*\n *if \(-f .*\n.*\n *}\n", re.MULTILINE)


def documented(prefix: str) -> str:
    """What the documentation tells to write for a service of one's own, for an environment."""
    (lines,) = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs/releases.md").read_text(), re.DOTALL)
    assert lines.count("aiia_staging_api") == 2
    return str(lines).replace("aiia_staging", prefix)


def own_template(prefix: str) -> str:
    """The role's template as somebody changes it for a service called api."""
    text = (ROOT / "roles/environment/templates/nginx.conf.j2").read_text()
    text, count = WAY.subn(lambda _found: documented(prefix), text)
    assert count == 2
    return text.replace("$bulkhead_application", "$api")


def api(replicas: int) -> dict[str, Any]:
    """A service that is no default one."""
    return {
        "image": IMAGE,
        "command": ["python3", "-u", "-c", SERVER],
        "env_file": [".env"],
        "init": True,
        "stop_grace_period": "0s",
        "healthcheck": health_check(interval=1),
        "deploy": {"replicas": replicas},
        "x-bulkhead": {"rolling": True},
    }


def replicated(site: Site, replicas: int) -> Place:
    """nginx with the documented lines, and what they are about behind it."""
    certificate, key = self_signed(["replicas.example"])
    project = site.directory / "project"
    (project / "templates").mkdir(parents=True)
    (project / "deploy.yml").write_text("- name: Deploy\n  ansible.builtin.import_playbook: aiia.bulkhead.deploy\n")
    made = site.small(
        services=only(nginx={**IMAGES["nginx"], "healthcheck": {"interval": "1s"}}, api=api(replicas)),
        env={"SAY": "one"},
        domains=["replicas.example"],
        nginx_template="own.conf.j2",
        bind_address="127.0.0.1",
        http_port=free_port(),
        https_port=free_port(),
        drain_timeout=30,  # ends with the last request
        wait_timeout=60,
    )
    made.secrets.update({"bulkhead_tls_certificate": certificate, "bulkhead_tls_key": key})
    (project / "templates/own.conf.j2").write_text(own_template(made.prefix))
    return made


def deploy(place: Place) -> Run:
    """Deploy with the playbook that has the template beside it."""
    return place.deploy(playbook=place.site.directory / "project/deploy.yml")


def test_several_containers(site: Site) -> None:
    """A new version, then one container in place of two: under requests, of which none fails."""
    place = replicated(site, 2)
    single, nginx = f"{place.prefix}_api", f"{place.prefix}_nginx"
    several = [f"{place.prefix}-api-{number}" for number in (1, 2)]
    deploy(place).succeeded()
    before = running(place.prefix)
    assert sorted(before) == sorted([*several, nginx])
    with Visitor(place) as visitor:
        place.variables["bulkhead_env"] = {"SAY": "two"}
        deploy(place).succeeded()
        after = running(place.prefix)
        assert ask(place, "/").body == b"two"
        place.variables["bulkhead_services"]["api"] = api(1)
        deploy(place).succeeded()
    visitor.was_served(["one", "two"])
    assert {"one", "two"} == set(visitor.answers)
    assert sorted(after) == sorted(before) and not [name for name in several if after[name] == before[name]]
    assert sorted(running(place.prefix)) == sorted([single, nginx])
    assert {before[nginx], after[nginx]} == {running(place.prefix)[nginx]}
    assert not list((place.directory / ".bulkhead/traffic").iterdir())
    assert deploy(place).succeeded().changed == 0
