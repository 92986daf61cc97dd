# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Production takes what Bulkhead itself built from the same files, and believes no label about it."""

from __future__ import annotations

import json
import subprocess

from ansible_collections.aiia.bulkhead.plugins.module_utils.image.tag import build_inputs
from support import IMAGE, Place, Site, docker, health_check, only, web
from work_repository import Repository

DOCKERFILE = 'FROM bulkhead-demo/python:3.13\nCOPY . /srv\nCMD ["sleep", "infinity"]\n'
HEALTHY = {"stop_grace_period": "0s", "healthcheck": {**health_check(), "test": ["CMD", "true"]}}


def pair(site: Site) -> tuple[Repository, Place, Place]:
    """Staging and production of the same files on two branches; production takes staging's images only."""
    repository = Repository(site.directory / "origin")
    repository.commit({"Dockerfile": DOCKERFILE})
    repository.git("branch", "staging")
    site.everyone = {"bulkhead_source_repository": str(repository)}
    shared = {"app_service": "web", "services": only(web=HEALTHY), "promotion_minutes": 0}
    staging = site.small("staging", "staging", source_branch="staging", **shared)
    production = site.small("production", "prod", source_branch="main", promotion_from="staging", **shared)
    return repository, staging, production


def labels_of_an_honest_image(repository: Repository) -> dict[str, str]:
    """What earlier versions believed: the files and the other inputs of production's commit."""
    return {
        "io.bulkhead.tree": repository.git("rev-parse", "main^{tree}"),
        "io.bulkhead.inputs": build_inputs(str(repository), "Dockerfile", ".", "", {}),
    }


def test_an_image_that_claims_to_be_productions_commit(site: Site) -> None:
    """Any image, with labels by its Dockerfile, runs healthily in staging: production does not take it. What staging
    builds from the same files it takes."""
    repository, staging, production = pair(site)
    labels = labels_of_an_honest_image(repository)
    forged = f"{site.project}_forged:1"
    lines = [f"FROM {IMAGE}", f"LABEL io.bulkhead.project={site.project}", 'CMD ["sleep", "infinity"]']
    lines += [f"LABEL {name}={value}" for name, value in labels.items()]
    subprocess.run(["docker", "build", "--quiet", "--tag", forged, "-"], input="\n".join(lines), text=True, check=True)
    staging.variables["bulkhead_services"] = only(web={**HEALTHY, "image": forged})
    staging.deploy().succeeded()
    container = json.loads(docker("container", "inspect", f"{staging.prefix}_web"))[0]
    # The control: the container shows what used to be taken for the truth.
    assert labels.items() <= container["Config"]["Labels"].items()
    error = production.deploy().error
    assert f"the machine of {staging.prefix} has no record of what the images" in error
    assert docker("image", "ls", "--quiet", f"{production.prefix}_web") == ""

    staging.variables["bulkhead_services"] = only(web=HEALTHY)
    staging.deploy().succeeded()
    record = site.directory / f"machine-state/images/{staging.prefix}.json"
    assert record.stat().st_mode & 0o777 == 0o600
    ((identity, facts),) = json.loads(record.read_text()).items()
    assert facts["tree"] == labels["io.bulkhead.tree"]
    production.deploy().succeeded()
    taken = json.loads(docker("container", "inspect", f"{production.prefix}_web"))[0]
    assert taken["Image"] == identity != container["Image"]


def test_labels_of_ours_are_refused_on_paper(site: Site) -> None:
    """In a service, and in a network that the stack makes."""
    place = site.small(services=only(web=web(labels=["io.bulkhead.tree=x"])))
    place.variables["bulkhead_compose"] = {"networks": {"default": {"labels": {"io.bulkhead.prefix": "other"}}}}
    run = place.deploy()
    assert run.code != 0 and run.ran == ["plan"]
    for where in ("bulkhead_services.web sets the label io.bulkhead.tree", "networks.default sets the label"):
        assert where in run.output, run.output


def test_an_image_of_an_earlier_version(site: Site) -> None:
    """It has no record: one deployment of staging builds it once more, and production takes it then. A commit whose
    Dockerfile sets a label that means something to Bulkhead is not deployed at all."""
    repository, staging, production = pair(site)
    staging.deploy().succeeded()
    (site.directory / f"machine-state/images/{staging.prefix}.json").unlink()
    assert "has no record of what the images" in production.deploy().error
    assert staging.deploy().succeeded().result("source")["built"] is True
    assert "was healthy in" in production.deploy("--check").succeeded().result("source")["promoted"]

    repository.git("checkout", "--quiet", "staging")
    repository.commit({"Dockerfile": f"{DOCKERFILE}LABEL io.bulkhead.restore=now\n"})
    assert "sets the label io.bulkhead.restore" in staging.deploy().error
