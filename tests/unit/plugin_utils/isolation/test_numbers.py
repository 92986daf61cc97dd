# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Numbers without end, which Python does not read: they are wrong in one environment and end no other one's proof."""

from __future__ import annotations

import time

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.errors import ReaderError
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Fleet
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.numbers import number_of
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.compose import short_forms
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import judge
from unit.rendered import rendered_environment

ENDLESS = "1" * 5000
#: What ``isdigit`` takes for a digit and ``int`` does not.
SUPERSCRIPT = "²"

SETTINGS = ("DATABASE_URL", "DB_PORT", "DB_POOL_SIZE", "SITE_URL", "REDIS_URL")
TEXTS = (
    "postgres://a:b@c:%s/d",
    "host=a port=%s dbname=x",
    "https://a.example:%s/",
    "redis://a:%s/1",
    "%s",
)
SERVICES = (
    {"ports": ["%s"]},
    {"ports": ["%s:80"]},
    {"ports": [{"target": 80, "published": "%s"}]},
    {"mem_limit": "%sg"},
    {"scale": "%s"},
    {"deploy": {"replicas": "%s"}},
    {"command": "celery -A a beat", "deploy": {"replicas": "%s"}},
    {"stop_grace_period": "%ss"},
    {"logging": {"driver": "json-file", "options": {"max-size": "%sg", "max-file": "%s"}}},
    {"command": "postgres -c max_connections=%s"},
)
NGINX = ("listen %s;", "listen 10.0.0.1:%s;", "location / { proxy_pass http://web:%s; }")


def filled(value: object, number: str) -> object:
    """A value with the number in the place of each ``%s``."""
    if isinstance(value, dict):
        return {key: filled(item, number) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, number) for item in value]
    return value.replace("%s", number) if isinstance(value, str) else value


@pytest.mark.parametrize("digits", ["0", "80", "00080", "65535", "9" * 30, "٣", "0" * 5000 + "7"])
def test_a_number_is_read_as_it_is(digits: str) -> None:
    assert number_of(digits) == int(digits.lstrip("0") or "0")


def test_a_number_without_end_is_beyond_every_limit() -> None:
    with pytest.raises(ValueError, match="limit"):
        int(ENDLESS)
    assert number_of(ENDLESS) > 2**64


@pytest.mark.parametrize("number", [ENDLESS, SUPERSCRIPT])
def test_settings_services_and_servers(number: str) -> None:
    """All rules judge them, beside an environment that has nothing to do with them."""
    production = rendered_environment("prod", {"web": {"image": "nginx:1"}}, {})
    settings = {f"{key}_{place}": text.replace("%s", number) for key in SETTINGS for place, text in enumerate(TEXTS)}
    settings.update(dict.fromkeys(SETTINGS, number))
    lines = "".join(line.replace("%s", number) for line in NGINX)
    servers = f"server {{ server_name staging.aiia.example; {lines} }}"
    for definition in SERVICES:
        services = {"web": {"image": "nginx:1", **filled(definition, number)}}  # type: ignore[dict-item]
        judge(Fleet((production, rendered_environment("staging", services, {}, settings, servers))))


@pytest.mark.parametrize("text", ["9" * 400, "9" * 400 + "g"])
def test_a_size_without_end(text: str) -> None:
    assert short_forms.parse_size("9" * 20) > 2**63
    with pytest.raises(ReaderError, match="invalid size"):
        short_forms.parse_size(text)


def test_a_duration_without_end() -> None:
    with pytest.raises(ReaderError, match="invalid duration"):
        short_forms.parse_duration("9" * 400 + "h")


def test_a_url_of_many_hosts_takes_no_time() -> None:
    """Each of them is asked once, and not once for each of them."""
    production = rendered_environment("prod", {"web": {"image": "nginx:1"}}, {})
    hosts = ",".join(f"host{number}" for number in range(3000))
    names: list[int] = []
    for text in ("https://host1", f"https://{hosts},prod.aiia.example"):
        fleet = Fleet((production, rendered_environment("staging", {}, {}, {"SITE_URL": text})))
        names.append(len([found for found in judge(fleet) if found.rule == "foreign-url"]))
    assert names == [0, 1]


@pytest.mark.parametrize("repeated", ["celery -A a ", "celery worker ", "PASSWORD", "redis-cli -n 1 "])
def test_a_command_of_many_words_takes_no_time(repeated: str) -> None:
    """Twenty thousand characters: the square of that would be minutes."""
    production = rendered_environment("prod", {"web": {"image": "nginx:1"}}, {})
    text = repeated * (20_000 // len(repeated))
    services = {"web": {"image": "nginx:1", "command": text}, "postgresql": {"image": "postgres:16", "command": text}}
    began = time.process_time()
    judge(Fleet((production, rendered_environment("staging", services, {}))))
    assert time.process_time() - began < 2
