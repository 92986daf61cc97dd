# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose names stand in a text."""

from __future__ import annotations

import time

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.facts.names_in_text import TokenIndex
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Environment, Fleet
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.assemble import assemble


def environment(prefix: str, name: str, directory: str, domain: str, port: int, machine: str = "app1") -> Environment:
    """An environment with one of everything that can be named."""
    text = (
        f"name: {prefix}\n"
        f"services: {{web: {{image: x, container_name: web_{name}, ports: ['{port}:80'], volumes: ['data:/d']}}}}\n"
        f"volumes: {{data: {{name: storage_{name}}}}}\n"
    )
    files = {"docker-compose.yml": text}
    return assemble(
        prefix=prefix,
        name=name,
        machine=machine,
        directory=directory,
        domains=[domain],
        compose_files=list(files),
        read=files.get,
    )


INDEX = TokenIndex(
    Fleet(
        (
            environment("aiia_prod", "prod", "/home/ubuntu/main/app", "eduaiia.com", 80),
            environment("aiia_prod_eu", "prod_eu", "/home/ubuntu/eu/app", "eu.eduaiia.com", 81),
            environment("aiia_staging", "staging", "/home/ubuntu/staging/app", "staging.eduaiia.com", 8080),
            environment("other", "other", "/home/ubuntu/main2/app", "other.example", 9000, "app2"),
        )
    )
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("psql -h aiia_prod_db", [("aiia_prod", "aiia_prod_db", 8)]),
        ("aiia_prod_eu_db", [("aiia_prod_eu", "aiia_prod_eu_db", 0)]),
        ("aiia_prod", [("aiia_prod", "aiia_prod", 0)]),
        ("backup-aiia_prod.sql", [("aiia_prod", "aiia_prod", 7)]),
        ("aiia_production aiia_prod2 xaiia_prod", []),
        ("aiia_staging_db", []),
        ("docker exec web_prod_x storage_prod", []),
        ("storage_other", [("other", "storage_other", 0)]),
        ("/home/ubuntu/main/app/.env", [("aiia_prod", "/home/ubuntu/main/app", 0)]),
        ("cd /home/ubuntu/main/app2", []),
        ("/home/ubuntu/main2/app", []),
        ("x/home/ubuntu/main/app", []),
        ("file:///home/ubuntu/main/app/code", [("aiia_prod", "/home/ubuntu/main/app", 7)]),
        ("unix:/home/ubuntu/main/app/x.sock", [("aiia_prod", "/home/ubuntu/main/app", 5)]),
        ("sqlite:////home/ubuntu/main/app/db", [("aiia_prod", "/home/ubuntu/main/app", 10)]),
        ("backup.example:/home/ubuntu/main/app https://backup.example//home/ubuntu/main/app", []),
        ("https://eduaiia.com/x", [("aiia_prod", "eduaiia.com", 8)]),
        ("EDUAIIA.com", [("aiia_prod", "EDUAIIA.com", 0)]),
        ("staging.eduaiia.com www.eduaiia.com", []),
        (".eduaiia.com *.eduaiia.com admin@eduaiia.com", []),
        ("http://localhost:80/ http://127.0.0.1:8080", [("aiia_prod", "localhost:80", 7)]),
        ("http://web:80 port 80 localhost:80", []),
        ("", []),
    ],
)
def test_owners(text: str, found: list[tuple[str, str, int]]) -> None:
    """As ``aiia_staging`` reads them."""
    assert INDEX.owners_in(text, "aiia_staging") == found


def test_what_several_own_is_nobodys() -> None:
    """That they share it is for other rules to say."""
    one = environment("aiia_prod", "prod", "/srv/app", "eduaiia.com", 80)
    two = environment("aiia_staging", "staging", "/srv/app", "eduaiia.com", 80)
    index = TokenIndex(Fleet((one, two)))
    assert index.owners_in("/srv/app https://eduaiia.com http://localhost:80", "aiia_staging") == []


def test_a_long_word_beside_a_url() -> None:
    """A scheme is short: not every letter of a word is the beginning of one."""
    started = time.process_time()
    assert INDEX.are_free(["canary" * 100_000 + " redis://elsewhere:6379"], "aiia_staging")
    assert time.process_time() - started < 20


def test_long_texts_and_large_fleets() -> None:
    """One pass over the text, one look-up for a word."""
    fleet = Fleet(tuple(Environment(prefix=f"aiia_e{n}", domains=(f"e{n}.example",)) for n in range(5000)))
    index = TokenIndex(fleet)
    text = " ".join(f"aiia_e{n}_db e{n}.example /srv/a/b" for n in range(0, 5000, 5))
    started = time.process_time()
    assert len(index.owners_in(text, "aiia_e1")) == 2000
    index.owners_in("a" * 200_000 + "-b" * 200 + "." * 10_000 + "/" * 10_000, "aiia_e1")
    assert time.process_time() - started < 5
