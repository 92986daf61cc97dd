# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which images of a node go when no kept release runs them, and which name is none."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.stack import images
from ansible_collections.aiia.bulkhead.plugins.module_utils.stack.images import StackImages, remove_unneeded_images

REPOSITORY = "registry.example.com/shop/app_prod_django"


def digest(number: int) -> str:
    return f"sha256:{number:064d}"


def image(number: int, *tags: str, repository: str = REPOSITORY) -> dict[str, Any]:
    return {"Id": f"id-{number}", "RepoTags": list(tags), "RepoDigests": [f"{repository}@{digest(number)}"]}


class Node:
    """A node's engine with some images, of which one is a container's."""

    def __init__(self, images: list[dict[str, Any]], used: str = "", refuses: str = "", looks: int = 1000) -> None:
        """``looks`` is how often the container is found before it is gone."""
        self.images = images
        self.used = used
        self.looks = looks
        self.refuses = refuses
        self.removed: list[tuple[str, ...]] = []
        self.listed: tuple[str, ...] = ()

    def docker_ok(self, *args: str) -> str:
        if args[0] == "ps":
            return "c1"
        self.listed = args
        return "\n".join(image["Id"] for image in self.images)

    def inspect(self, _ids: list[str]) -> list[dict[str, Any]]:
        self.looks -= 1
        return [{"Image": self.used, "Name": "/app_prod_django.1.x"}] if self.looks >= 0 else []

    def docker(self, *args: str, **_options: Any) -> tuple[int, str, str]:
        if args[1] == "inspect":
            return 0, json.dumps([image for image in self.images if image["Id"] in args]), ""
        self.removed.append(args[2:])
        return (1, "", self.refuses) if self.refuses else (0, "", "")

    def forget(self, *kept: str, limit: float = 0) -> list[str]:
        engine: Any = self
        return remove_unneeded_images(engine, "app_prod", REPOSITORY, kept, limit)


def test_what_is_kept_or_used_stays() -> None:
    """A kept release names its image by tag and digest; any container keeps the one that it has."""
    node = Node([image(1), image(2), image(3), image(4, f"{REPOSITORY}:c4")], used="id-2")
    assert node.forget(f"{REPOSITORY}:c1@{digest(1)}") == []
    assert node.removed == [(f"{REPOSITORY}@{digest(3)}",), (f"{REPOSITORY}:c4",)]
    assert "label=io.bulkhead.prefix=app_prod" in node.listed and node.listed[-1] == REPOSITORY


def test_names_of_others_stay() -> None:
    """An image that somebody tagged loses our name alone; one that has none of ours is not touched."""
    mine = image(1, f"{REPOSITORY}:c1", "backup/of-this:1")
    node = Node([mine, image(2, repository=f"{REPOSITORY}2")])
    assert node.forget() == [] and node.removed == [(f"{REPOSITORY}:c1",)]


def test_what_the_engine_keeps_is_told() -> None:
    assert Node([image(1)], refuses="conflict: in use").forget() == ["conflict: in use"]
    assert Node([]).forget() == []


def test_the_containers_of_a_destroyed_stack_end_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit it waits for them, and one that stays is named."""
    clock = iter(range(100))
    monkeypatch.setattr(images, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _seconds: None))
    node = Node([image(1)], used="id-1", looks=3)
    assert node.forget(limit=10) == [] and node.removed == [(f"{REPOSITORY}@{digest(1)}",)]
    node = Node([image(1)], used="id-1")
    assert node.forget(limit=10) == ["id-1: container app_prod_django.1.x has it"] and node.removed == []


def test_an_image_that_no_engine_takes() -> None:
    """A service's own image is its author's, so the message says where it stands."""
    engine: Any = SimpleNamespace(docker_host="unix:///nowhere")
    with pytest.raises(EngineError, match=r"'Shop/App:1' is not a reference to an image. Correct the image of that"):
        StackImages(engine, "", "", "").resolve(["Shop/App:1"], {})
