# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names from prefixes: what they look like, what they refuse, and that they never meet."""

from __future__ import annotations

import re

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation import naming
from hypothesis import assume, given
from hypothesis import strategies as st

PREFIXES = st.from_regex(r"[a-z][a-z0-9]{0,3}(?:[_-][a-z0-9]{1,3}){0,3}", fullmatch=True)
WORDS = st.from_regex(r"[a-z0-9]{1,4}(?:[_-][a-z0-9]{1,4}){0,2}", fullmatch=True)
SERVICES = st.lists(WORDS, min_size=1, max_size=6, unique=True)


#: Two prefixes that look alike, because prefixes that have nothing in common prove nothing.
PAIRS = PREFIXES.flatmap(
    lambda prefix: st.tuples(
        st.just(prefix),
        st.one_of(
            PREFIXES,
            WORDS.map(lambda word: prefix + word),
            WORDS.map(lambda word: f"{prefix}_{word}"),
            WORDS.map(lambda word: f"{prefix}-{word}"),
            st.just(prefix.replace("_", "-")),
            st.just(prefix[:-1] or "a"),
        ),
    )
)


def names(prefix: str, environment: str, services: list[str]) -> set[tuple[str, str]]:
    """Everything that naming makes for an environment, by the namespace that it goes into."""
    made = {
        ("project", naming.project_name(prefix)),
        ("database", naming.database_name(prefix)),
        ("role", naming.role_name(prefix)),
    }
    for service in services:
        made |= {
            ("container", naming.container_name(prefix, service)),
            ("network", naming.network_name(prefix, service)),
            ("volume", naming.volume_name(prefix, environment, service)),
            ("image", naming.image_name(prefix, service)),
            ("swarm file", naming.stack_file_name(prefix, f"{service}/x.conf", "0" * 10)),
            ("role", naming.role_name(prefix, service)),
            # What Compose makes for a service that has no name of its own.
            ("container", f"{naming.project_name(prefix)}-{service}-1"),
            ("network", f"{naming.project_name(prefix)}_{service}"),
            ("volume", f"{naming.project_name(prefix)}_{service}"),
        }
    return made


@given(pair=PAIRS, words=st.tuples(WORDS, WORDS), services=st.tuples(SERVICES, SERVICES))
def test_two_environments_share_no_name_unless_their_prefixes_conflict(
    pair: tuple[str, str], words: tuple[str, str], services: tuple[list[str], list[str]]
) -> None:
    one, other = pair
    assume(not naming.check_prefix(one) and not naming.check_prefix(other))
    shared = names(one, words[0], services[0]) & names(other, words[1], services[1])
    assert naming.prefixes_conflict(one, other) or not shared


@given(prefix=PREFIXES, more=WORDS, separator=st.sampled_from("_-"))
def test_a_prefix_with_more_behind_it_conflicts(prefix: str, more: str, separator: str) -> None:
    assert naming.prefixes_conflict(prefix, prefix)
    assert naming.prefixes_conflict(prefix, prefix + separator + more)
    assert naming.prefixes_conflict(prefix + separator + more, prefix)
    assert not naming.prefixes_conflict(prefix, f"{prefix}x{separator}{more}")


@given(pair=PAIRS, services=SERVICES)
def test_nobody_owns_a_name_of_another(pair: tuple[str, str], services: list[str]) -> None:
    one, other = pair
    assume(not naming.prefixes_conflict(one, other) and not naming.check_prefix(one))
    for _unused, name in names(one, "prod", services):
        assert naming.owns(one, name)
        assert not naming.owns(other, name)


@pytest.mark.parametrize(
    ("prefix", "path", "name"),
    [
        ("aiia_prod", "nginx/prod.conf", "aiia_prod_nginx_prod.conf_0123456789"),
        ("aiia_prod", "./a b/ü.conf", "aiia_prod_a_b_.conf_0123456789"),
        ("a" * 52, "nginx/prod.conf", "a" * 52 + "_0123456789"),
        ("a" * 45, "nginx/prod.conf", "a" * 45 + "_od.conf_0123456789"),
    ],
)
def test_files_of_a_swarm(prefix: str, path: str, name: str) -> None:
    """As much of the path as there is room for, and always the version."""
    made = naming.stack_file_name(prefix, path, "0123456789")
    assert made == name
    assert len(made) <= naming.SWARM_NAME


def test_the_names_of_the_guide() -> None:
    assert naming.project_name("aiia_prod") == "aiia_prod"
    assert naming.container_name("aiia_prod", "postgresql") == "aiia_prod_postgresql"
    assert naming.network_name("aiia_prod") == "aiia_prod_network"
    assert naming.volume_name("aiia_prod", "prod", "redis_data") == "aiia_prod_redis_data_prod"
    assert naming.database_name("aiia_staging") == "aiia_staging"
    assert naming.image_name("aiia_prod", "django") == "aiia_prod_django"


@pytest.mark.parametrize("prefix", ["aiia_prod", "a", "aiia-pr-12", "aiia__prod", "a" * 52])
def test_good_prefixes(prefix: str) -> None:
    assert naming.check_prefix(prefix) == []


@pytest.mark.parametrize(
    ("prefix", "says"),
    [
        ("", "empty"),
        ("1prod", "begin with a letter"),
        ("aiia.prod", "begin with a letter"),
        ("Aiia", "begin with a letter"),
        ("aiia prod", "begin with a letter"),
        ("aiia_prod\n", "begin with a letter"),
        ("aiia_", "end with a letter or digit"),
        ("aiia_-prod", "separate its words"),
        ("aiia___prod", "separate its words"),
        ("a" * 53, "52"),
        (None, "this is empty"),
        (12, "this is a number"),
    ],
)
def test_bad_prefixes_say_why(prefix: object, says: str) -> None:
    assert any(says in problem for problem in naming.check_prefix(prefix))


@pytest.mark.parametrize(
    ("make", "arguments", "says"),
    [
        (naming.container_name, ("a" * 52, "postgresqlx"), "64 bytes"),
        (naming.role_name, ("a" * 52, "b" * 11), "64 bytes"),
        (naming.volume_name, ("aiia", "prod", "x" * 250), "can have 255 at most"),
        (naming.image_name, ("aiia", "a__.b"), "is not a valid Docker repository"),
        (naming.container_name, ("aiia", "a b"), "letters, digits"),
        (naming.container_name, ("aiia", ""), "letters, digits"),
        (naming.volume_name, ("aiia", "Prod", "x"), "environment 'Prod'"),
        (naming.project_name, ("Aiia",), "begin with a letter"),
    ],
)
def test_names_that_do_not_fit_are_refused(make: object, arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        make(*arguments)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("prefix", "name", "owned"),
    [
        ("aiia_prod", "aiia_prod", True),
        ("aiia_prod", "aiia_prod_db", True),
        ("aiia_prod", "aiia_prod-db-1", True),
        ("aiia_prod", "aiia_prod:cache", True),
        ("aiia_prod", "aiia_production", False),
        ("aiia_prod", "aiia_prod2", False),
        ("aiia_prod", "xaiia_prod", False),
        ("", "anything", False),
    ],
)
def test_owns_ends_at_a_word(prefix: str, name: str, owned: bool) -> None:
    assert naming.owns(prefix, name) is owned


@pytest.mark.parametrize(
    ("text", "project"),
    [
        ("ai-ia.backend", "ai-iabackend"),
        ("HZ_ai-ia-Backend", "hz_ai-ia-backend"),
        ("hz_é_x", "hz__x"),
        ("__hidden", "hidden"),
        ("...", ""),
    ],
)
def test_projects_as_compose_makes_them(text: str, project: str) -> None:
    assert naming.normalise_project(text) == project


@given(st.text())
def test_truncation_is_what_postgresql_does(text: str) -> None:
    cut = naming.truncate_identifier(text)
    assert len(cut.encode()) <= 63
    assert text.startswith(cut)
    assert cut == text or len(text[: len(cut) + 1].encode()) > 63


@pytest.mark.parametrize(
    ("reference", "full"),
    [
        ("redis", "docker.io/library/redis:latest"),
        ("redis:7", "docker.io/library/redis:7"),
        ("library/redis", "docker.io/library/redis:latest"),
        ("docker.io/redis", "docker.io/library/redis:latest"),
        ("index.docker.io/library/redis:7", "docker.io/library/redis:7"),
        ("aiia/web", "docker.io/aiia/web:latest"),
        ("localhost/web", "localhost/web:latest"),
        ("registry.example.com:5000/aiia/web", "registry.example.com:5000/aiia/web:latest"),
        ("GHCR.io/aiia/web:1", "ghcr.io/aiia/web:1"),
        ("redis@sha256:00", "docker.io/library/redis@sha256:00"),
        ("redis:7@sha256:00", "docker.io/library/redis:7@sha256:00"),
        ("", ""),
    ],
)
def test_images_in_full(reference: str, full: str) -> None:
    assert naming.normalise_image(reference) == full
    assert naming.normalise_image(full) == full


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("aiia_prod", ""), {"prod", "production", "live"}),
        (("shop", "Staging"), {"staging", "stage", "stg"}),
        (("shop-client-b", "shop"), {"b"}),
        (("shop",), set()),
    ],
)
def test_words_of(names: tuple[str, ...], words: set[str]) -> None:
    """The project's own name tells nothing about the environment."""
    assert naming.words_of(*names) == words
