# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names outside of the machine say whose they are: buckets and queues always, databases where others use the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Environment, Fleet
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules.accounts import shared_bucket
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules.names import prefix_of_prefix
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules.unmarked_names import unmarked_name
from unit.rendered import rendered_environment

DEPLOYED = {"bulkhead_environment": "any"}
SERVER = "postgres://{}@db.example.net/{}"


def environment(name: str, settings: Mapping[str, str], variables: Mapping[str, Any]) -> Environment:
    """An environment with these settings in its ``.env`` and one service, ``minio``."""
    return rendered_environment(name, {"minio": {"image": "minio/minio:1"}}, variables, settings)


def found(settings: Mapping[str, str], other: Mapping[str, str] | None = None, **variables: Any) -> list[str]:
    """What is found of staging, beside production with ``other``."""
    known = {**DEPLOYED, **variables}
    fleet = Fleet((environment("prod", other or {}, known), environment("staging", settings, known)))
    return [hit.resource for hit in unmarked_name(fleet) if hit.environments == ("aiia_staging",)]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"AWS_STORAGE_BUCKET_NAME": "media"}, ["bucket media"]),
        ({"GS_BUCKET_NAME": "acme-uploads"}, ["bucket acme-uploads"]),
        # Another word that begins alike, and the project without the environment.
        ({"AWS_STORAGE_BUCKET_NAME": "aiia-stagings"}, ["bucket aiia-stagings"]),
        ({"AWS_STORAGE_BUCKET_NAME": "aiia-media"}, ["bucket aiia-media"]),
        # Each bucket counts, not the last one only.
        ({"AWS_STORAGE_BUCKET_NAME": "aiia-staging-media", "BACKUP_BUCKET": "dumps"}, ["bucket dumps"]),
        ({"BACKUP_BUCKET": "dumps", "AWS_STORAGE_BUCKET_NAME": "aiia-staging-media"}, ["bucket dumps"]),
        ({"BACKUP_URL": "s3://dumps/nightly"}, ["bucket dumps"]),
        ({"SQS_QUEUE": "jobs"}, ["queue jobs"]),
        ({"QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs"}, ["queue jobs"]),
        ({"AWS_STORAGE_BUCKET_NAME": "acme-aiia-staging-media"}, []),
        ({"AWS_STORAGE_BUCKET_NAME": "aiiastagingmedia"}, []),
        ({"AWS_STORAGE_BUCKET_NAME": "media.staging.aiia.example"}, []),
        ({"AWS_STORAGE_BUCKET_NAME": "aiia-media", "AWS_LOCATION": "aiia_staging/"}, []),
        ({"BACKUP_URL": "s3://dumps/aiia-staging"}, []),
        ({"SQS_QUEUE": "aiia-staging-jobs"}, []),
        ({"AZURE_CONTAINER": "media"}, ["bucket media"]),
        ({"CONTAINER_NAME": "web", "RATE_LIMIT_BUCKET": "login", "UPLOAD_BUCKET": "3"}, []),
        # A server of its own.
        ({"AWS_STORAGE_BUCKET_NAME": "media", "AWS_S3_ENDPOINT_URL": "http://minio:9000"}, []),
    ],
)
def test_names_in_the_world(settings: dict[str, str], expected: list[str]) -> None:
    """A bucket or queue carries the environment's name, in any spelling, or is on a server of its own."""
    assert found(settings) == expected


@pytest.mark.parametrize(
    ("url", "other", "expected"),
    [
        (SERVER.format("app", "app"), SERVER.format("prod", "prod"), ["database app", "role app"]),
        (SERVER.format("aiia_staging", "app"), SERVER.format("prod", "prod"), ["database app"]),
        (SERVER.format("aiia_staging", "aiia_staging"), SERVER.format("prod", "prod"), []),
        # Nobody else uses the server.
        (SERVER.format("app", "app"), "", []),
        ("amqp://app@mq.example.net/jobs", "amqp://prod@mq.example.net/prod", ["virtual host jobs", "role app"]),
        ("amqp://aiia-staging@mq.example.net/aiia-staging", "amqp://prod@mq.example.net/prod", []),
    ],
)
def test_names_on_a_server_that_others_use_too(url: str, other: str, expected: list[str]) -> None:
    """Databases, roles and virtual hosts collide on such a server only."""
    assert found({"REPORTING_URL": url}, {"REPORTING_URL": other}) == expected


def test_a_bucket_that_is_shared_on_purpose() -> None:
    """bulkhead_shared names it, and is then compared with the others' by its own rule."""
    share = [{"kind": "bucket", "name": "media", "reason": "one library of stock photographs"}]
    assert not found({"AWS_STORAGE_BUCKET_NAME": "media"}, bulkhead_shared=share)
    share[0]["name"] = "another"
    assert found({"AWS_STORAGE_BUCKET_NAME": "media"}, bulkhead_shared=share) == ["bucket media"]


def test_environments_that_share_a_bucket_all_say_so() -> None:
    """Who does not declare it is told whose files he overwrites."""
    share = {"bulkhead_shared": [{"kind": "bucket", "name": "stock", "reason": "one library of photographs"}]}
    settings = {"AWS_STORAGE_BUCKET_NAME": "stock"}
    for others, count in ((share, 0), (DEPLOYED, 1)):
        fleet = Fleet((environment("prod", settings, others), environment("staging", settings, share)))
        assert len(list(shared_bucket(fleet))) == count


def test_prefixes_that_differ_in_their_separators_only() -> None:
    """A bucket called aiia-prod-media would be either's."""
    one, other = environment("prod", {}, DEPLOYED), environment("staging", {}, DEPLOYED)
    for prefix, count in (("aiia-prod", 1), ("aiiaprod", 1), ("aiia_prod2", 0)):
        assert len(list(prefix_of_prefix(Fleet((one, replace(other, prefix=prefix)))))) == count
    strangers = (replace(one, variables={}), replace(other, variables={}, prefix="aiia-prod"))
    assert not list(prefix_of_prefix(Fleet(strangers)))


def test_files_of_strangers_are_not_judged() -> None:
    """What isolation_check reads follows no discipline: there a collision counts."""
    fleet = Fleet((environment("staging", {"AWS_STORAGE_BUCKET_NAME": "media"}, {}),))
    assert not list(unmarked_name(fleet))
