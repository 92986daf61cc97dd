# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image that was built elsewhere: taken from a real registry with a password, by its digest."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from container_registry import USER, ContainerRegistry, container_registry
from observe import ProcessArguments, moment, say
from support import IMAGE, SERVER, Place, Site, docker, health_check, only

SERVICES = only(web={"stop_grace_period": "0s", "healthcheck": health_check()})


def built(site: Site, release: str) -> str:
    """An application's image, as a pipeline builds it."""
    name = f"{site.project}:{release}"
    recipe = f"FROM {IMAGE}\nENV RELEASE={release}\nCMD {json.dumps(['python3', '-u', '-c', SERVER])}\n"
    subprocess.run(["docker", "build", "--quiet", "--tag", name, "-"], input=recipe, text=True, check=True)
    return name


def add(registry: ContainerRegistry, site: Site, group: str, name: str, image: str, **more: object) -> Place:
    """An environment that runs an image of the registry."""
    place = site.small(group, name, image=image, image_user=USER, app_service="web", services=SERVICES, **more)
    place.secrets = {"bulkhead_secrets": {"REGISTRY_PASSWORD": registry.password}}
    return place


def running(place: Place) -> dict[str, object]:
    """The container that serves."""
    found: dict[str, object] = json.loads(docker("container", "inspect", f"{place.prefix}_web"))[0]
    return found


def names(place: Place) -> list[str]:
    """The images that carry the environment's name."""
    return sorted(docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"{place.prefix}_web").split())


def test_an_image_that_was_built_elsewhere(site: Site, tmp_path: Path) -> None:
    """Fetched once, by digest, under the environment's own name; the password is nowhere; then promoted by digest."""
    with container_registry(tmp_path / "registry") as registry:
        name = f"{registry.address}/shop/app"
        first = registry.push(built(site, "one"), "shop/app:main")
        staging = add(registry, site, "staging", "staging", f"{name}:main")
        seen = staging.deploy("--check").succeeded()
        assert names(staging) == [] and f"pull {name}:main" in " ".join(seen.output.split())
        with ProcessArguments([registry.password]) as shown:
            run = staging.deploy().succeeded()
        own = f"{staging.prefix}_web:{first.partition(':')[2]}-pulled"
        assert names(staging) == [own] and running(staging)["Config"]["Image"] == own  # type: ignore[index]
        assert docker("image", "ls", "--quiet", name) == "", "no name of the registry stays"
        assert say(staging.prefix) == "hello"
        assert shown.seen == set() and registry.password not in run.output
        kept = subprocess.run(
            ["grep", "-rlF", registry.password, site.directory / "machine", site.directory / "machine-state"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert kept.stdout == ""
        assert staging.deploy().succeeded().changed == 0

        # The same digest in production, once it was healthy in staging; another one is refused.
        second = registry.push(built(site, "two"), "shop/app:main")
        production = add(registry, site, "production", "prod", f"{name}@{second}", promotion_from="staging")
        production.variables["bulkhead_promotion_minutes"] = 0
        for arguments in (["--check"], []):
            error = production.deploy(*arguments).error
            assert f"{staging.prefix} does not run the image with the digest {second}" in error
        assert names(production) == []
        production.variables["bulkhead_image"] = f"{name}@{first}"
        production.deploy().succeeded()
        assert running(production)["Image"] == running(staging)["Image"]

        # A tag that moved is another release, to which and from which one can go.
        staging.deploy().succeeded()
        assert running(staging)["Image"] != running(production)["Image"]
        assert len(names(staging)) == 2
        site.play("-l", "staging", playbook="playbooks/rollback.yml").succeeded()
        assert running(staging)["Image"] == running(production)["Image"]

        # What the registry does not give changes nothing. On loopback the engine tries without TLS at the end, and
        # tells of that alone; what it says of other registries is judged in unit tests.
        before = moment(staging)
        staging.variables["bulkhead_image"] = f"{name}:nowhere"
        assert f"{name}:nowhere cannot be had from {registry.address} (bulkhead_image)" in staging.deploy().error
    staging.variables["bulkhead_image"] = f"{name}@sha256:{'0' * 64}"
    assert "the machine does not reach the registry" in staging.deploy().error
    assert moment(staging) == before
    site.play("-l", "staging", "-e", f"bulkhead_confirm={staging.prefix}", playbook="playbooks/destroy.yml").succeeded()
    assert names(staging) == []
