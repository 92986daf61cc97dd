# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where nginx passes requests: to own servers and the internet, not to the machine or where a request says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Environment, Fleet
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules.upstreams import outside_upstream
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules.variables import foreign_variable
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules.web_redirects import redirect_drops_port
from unit.rendered import rendered_environment

DEPLOYED = {"bulkhead_environment": "staging"}


def environment(name: str, nginx: str, variables: Mapping[str, Any]) -> Environment:
    """An environment with nginx and a service ``web``, whose nginx has these lines in its server."""
    web = {"image": "web:1", "container_name": f"aiia_{name}_web"}
    text = f"server {{ listen 443 ssl; server_name {name}.aiia.example; {nginx} }}\n"
    return rendered_environment(name, {"nginx": {"image": "nginx:1.28"}, "web": web}, variables, nginx=text)


@pytest.mark.parametrize(
    "target",
    [
        "http://web:8000",
        "http://web:8000$request_uri",
        "http://web$is_args$args",
        "http://aiia_staging_web:8000",
        "http://127.0.0.1:8081",
        "http://unix:/run/app.sock:/",
        "https://api.stripe.example/v1/",
        "https://93.184.215.14/",
        "http://$app:8000",
        "http://$deep",
    ],
)
def test_own_servers_and_the_internet(target: str) -> None:
    """A variable counts for what ``set`` gives it, also through another variable."""
    nginx = f"set $app web; set $deep $app; location /x {{ proxy_pass {target}; }}"
    assert not list(outside_upstream(Fleet((environment("staging", nginx, DEPLOYED),))))


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest",
        "http://10.0.0.5:8080",
        "http://[fd00::1]:80",
        "http://host.docker.internal:2375",
        "http://metadata.google.internal/",
        "http://0x7f000001:9000",
        "http://2130706433:9000",
        "http://0251.254.169.254/",
        "http://somebody:8000",
        "http://$arg_host",
        "http://$http_host/x",
        "http://web$arg_more",
        "http://$loop",
        "http://$unknown:8000",
        "http://$pool",
    ],
)
def test_everything_else(target: str) -> None:
    """Private and hidden addresses, names that are nobody's here, and hosts that a request decides."""
    nginx = f"set $loop $again; set $again $loop; set $pool $arg_x; location /x {{ proxy_pass {target}; }}"
    found = list(outside_upstream(Fleet((environment("staging", nginx, DEPLOYED),))))
    assert len(found) == 1, found
    assert found[0].environments == ("aiia_staging",)


def test_every_server_of_a_pool_counts() -> None:
    """An ``upstream`` block is followed, and so are the other protocols."""
    nginx = "location /x { grpc_pass grpc://10.0.0.7:50051; } location /y { fastcgi_pass 10.0.0.8:9000; }"
    found = [hit.resource for hit in outside_upstream(Fleet((environment("staging", nginx, DEPLOYED),)))]
    assert found == ["upstream 10.0.0.7:50051", "upstream 10.0.0.8:9000"]


def test_an_address_that_is_shared_on_purpose() -> None:
    """It is declared with a reason; files of strangers are not judged."""
    nginx = "location /x { proxy_pass http://10.0.0.5:8080; }"
    shared = {**DEPLOYED, "bulkhead_shared": [{"kind": "address", "name": "10.0.0.5", "reason": "the search cluster"}]}
    for variables in (shared, {}):
        assert not list(outside_upstream(Fleet((environment("staging", nginx, variables),))))


def test_an_error_page_is_a_redirect_too() -> None:
    """``error_page`` with a URL sends users there, as ``return`` does."""
    nginx = "error_page 404 https://prod.aiia.example/lost;"
    fleet = Fleet((environment("prod", "", DEPLOYED), environment("staging", nginx, DEPLOYED)))
    assert [hit.environments for hit in redirect_drops_port(fleet)] == [("aiia_staging", "aiia_prod")]


@pytest.mark.parametrize("key", ["on_change", "validate", "retire", "manage", "prepare_status"])
def test_own_commands_are_searched(key: str) -> None:
    """What stands under x-bulkhead is in no Compose file, and is searched all the same."""
    said = {"web": {"x-bulkhead": {key: ["sh", "-c", "nc aiia_prod_redis 6379"]}}}
    variables = {**DEPLOYED, "bulkhead_services": said}
    fleet = Fleet((environment("prod", "", DEPLOYED), environment("staging", "", variables)))
    assert [hit.resource for hit in foreign_variable(fleet)] == [f"bulkhead_services.web.x-bulkhead.{key}"]
    said["web"]["x-bulkhead"][key] = ["sh", "-c", "nc aiia_staging_redis 6379"]
    assert not list(foreign_variable(fleet))


def test_a_short_name_is_shown_in_full() -> None:
    """Who writes what a service is called in the inventory learns what it is called on its network."""
    app = {"image": "app:1", "networks": {"default": {"aliases": ["aiia_staging_app"]}}}
    nginx = "server { listen 443 ssl; location / { proxy_pass http://app:1; } }"
    fleet = Fleet((rendered_environment("staging", {"app_staging": app}, DEPLOYED, nginx=nginx),))
    assert ["(here aiia_staging_app)" in hit.fix for hit in outside_upstream(fleet)] == [True]
