#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: isolation_check
short_description: Prove on paper that environments on shared machines do not touch each other
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
description:
  - Reads the files of two or more environments, such as Compose files, C(.env) files, nginx configurations, workflows
    and scripts, and finds where one environment would reach into another.
  - The files need not come from this collection. Compose files are read exactly as Compose reads them.
  - Contacts no host and changes nothing, except for writing a report if O(report) is set, and C(check.yml) if O(path)
    is set and there is none yet.
  - Reports all findings at once, worst first.
notes:
  - This is an action. It runs on the controller and reads files there.
  - Paths are relative to the directory of O(config) if it is set, otherwise to the directory of the playbook. O(report)
    as an argument of the task is always relative to the directory of the playbook.
  - Settings that look like secrets are compared but never shown.
options:
  path:
    description:
      - A directory, usually the root of a repository. Compose files, environment files, nginx files, workflows and
        scripts below it are found, and it is guessed from their names which environment each belongs to.
      - What was guessed is returned as RV(open) and written to C(check.yml) in that directory, for you to correct. If
        there is such a file already, it is used as O(config), and nothing is guessed.
      - Mutually exclusive with O(config) and O(environments).
    type: path
  config:
    description:
      - A YAML file with the other options as keys.
      - Options of the task take precedence over the file.
      - Mutually exclusive with O(environments).
    type: path
  environments:
    description:
      - The environments that share machines.
      - Required unless O(path) or O(config) is set.
    type: list
    elements: dict
    suboptions:
      prefix:
        description: The prefix of every name in the environment. Findings refer to the environment by it.
        type: str
        required: true
      name:
        description: The name of the environment for people. Defaults to the prefix.
        type: str
      directory:
        description:
          - The environment's directory on the machine, as an absolute path.
          - Without it, a checkout of its own is assumed for each environment, and RV(open) says so.
        type: path
      machine:
        description: The machine. All environments without this option share one machine.
        type: str
      compose_project:
        description:
          - The name of the Compose project, if commands that are not in O(environments[].files) give it, such as the
            C(-p) that is typed by hand or the stack of a web interface.
          - Defaults to the C(-p) of the commands in these files, else to what Compose itself takes.
        type: str
      swarm:
        description:
          - The name of the Docker Swarm on which the Compose files are deployed as a stack. It takes the place of
            O(environments[].machine), and O(environments[].compose_project) is the stack's name.
        type: str
      nodes:
        description:
          - The machines of O(environments[].swarm). Environments of Compose on one of them are compared with the stack.
        type: list
        elements: str
      compose_files:
        description: The Compose files, in the order in which Compose receives them.
        type: list
        elements: path
      env_files:
        description:
          - The environment files, for interpolation and for services.
          - Defaults to C(.env) beside the first Compose file, as in Compose itself.
        type: list
        elements: path
      nginx_files:
        description: The nginx configurations.
        type: list
        elements: path
      files:
        description:
          - Everything else that acts on the machine, such as workflows, scripts, cron files, systemd units,
            Dockerfiles, SQL, playbooks and inventories.
          - The type of a file is determined from its name and content.
        type: list
        elements: path
      waivers:
        description: Findings that this environment accepts, as in O(waivers).
        type: list
        elements: dict
  fail_on:
    description: Fail if a finding of this severity or higher is not waived.
    type: str
    choices: [critical, high, medium, low, never]
    default: medium
  waivers:
    description:
      - Findings that all environments accept on purpose. They are shown but do not fail the task.
      - A finding is waived if every environment that it names accepts it.
      - A malformed or expired waiver is a finding of severity medium; a waiver that matches nothing is one of severity
        low.
    type: list
    elements: dict
    suboptions:
      rule:
        description: The rule of the finding.
        type: str
        required: true
      resource:
        description: The resource of the finding.
        type: str
        required: true
      reason:
        description: Why the finding is accepted. Every report shows it.
        type: str
        required: true
      until:
        description: The last day of the waiver, such as V(2026-12-31).
        type: str
        required: true
  report:
    description: A file on the controller to write all findings to.
    type: path
  report_format:
    description: >-
      The format of O(report). V(sarif) is SARIF 2.1.0 for code scanning, V(junit) is for test reports, V(markdown) for
      the summary of a pipeline.
    type: str
    choices: [json, sarif, junit, markdown]
    default: json
  compose_cli:
    description:
      - Whether to compare the result with that of C(docker compose config), if it is installed on the controller.
      - A difference is a finding of severity low. Compose does not contact an engine for this.
    type: str
    choices: [auto, never]
    default: auto
attributes:
  check_mode:
    support: full
    description: The report is also written in check mode, C(check.yml) is not.
  diff_mode:
    support: none
    description: Nothing is changed, so there is no diff.
  action:
    support: full
    description: Runs on the controller.
  async:
    support: none
    description: Cannot be run in the background.
"""

EXAMPLES = r"""
- name: Prove that production and staging do not touch each other
  aiia.bulkhead.isolation_check:
    environments:
      - name: production
        prefix: aiia_prod
        directory: /home/ubuntu/main/ai-ia-backend
        compose_files: [main/docker-compose.prod.yml]
        nginx_files: [main/docker/nginx/prod.conf]
        files: [main/.github/workflows/deploy.yml]
      - name: staging
        prefix: aiia_staging
        directory: /home/ubuntu/staging/ai-ia-backend
        compose_files: [staging/docker-compose.staging.yml]
        nginx_files: [staging/docker/nginx/staging.conf]

- name: Check the environments in a configuration file, and write a report for code scanning
  aiia.bulkhead.isolation_check:
    config: check.yml
    report: isolation.sarif
    report_format: sarif

- name: Find the files of a repository, guess the environments, and write check.yml
  aiia.bulkhead.isolation_check:
    path: .

- name: Accept one finding for a limited time
  aiia.bulkhead.isolation_check:
    config: check.yml
    waivers:
      - rule: docker-socket
        resource: aiia_prod/autoheal
        reason: replaced by the engine's own health checks in March
        until: "2027-03-31"
"""

RETURN = r"""
environments:
  description: The prefixes of the checked environments.
  returned: always
  type: list
  elements: str
  sample: [aiia_prod, aiia_staging]
findings:
  description: All findings, worst first, waived findings last.
  returned: always
  type: list
  elements: dict
  contains:
    rule:
      description: The rule that made the finding.
      returned: always
      type: str
      sample: shared-project
    hazards:
      description: The hazards of the catalogue that the finding covers.
      returned: always
      type: list
      elements: str
      sample: [CP-01]
    severity:
      description: The severity. One of V(critical), V(high), V(medium), V(low).
      returned: always
      type: str
      sample: critical
    environments:
      description: The prefixes of the environments involved.
      returned: always
      type: list
      elements: str
      sample: [aiia_prod, aiia_staging]
    machine:
      description: The machine, if the finding concerns one; C(the machine) where the environments name none.
      returned: always
      type: str
      sample: app1
    resource:
      description: What the environments share or reach.
      returned: always
      type: str
      sample: ai-ia-backend
    where:
      description: The locations, as file and line, or variable.
      returned: always
      type: list
      elements: str
      sample: ["main/docker-compose.prod.yml:1 (name)"]
    message:
      description: What would happen, and why it matters.
      returned: always
      type: str
      sample: aiia_prod and aiia_staging are both the Compose project ai-ia-backend.
    fix:
      description: What to change.
      returned: always
      type: str
      sample: "Write `name: aiia_staging` at the top of the file."
    waived:
      description: The reason why the finding is waived. Empty if it is not.
      returned: always
      type: str
      sample: ""
msg:
  description: The report for the screen. If there are many findings, it shows only the worst.
  returned: always
  type: str
  sample: No findings.
open:
  description:
    - What could not be judged, because no listed file says it, such as the values of an C(.env) that is in no
      repository.
    - With O(path), what was guessed.
  returned: always
  type: list
  elements: str
  sample: ["aiia_prod: no .env was given, so DB_PASSWORD is not known here."]
config:
  description: The file with what was guessed.
  returned: when O(path) is set and the directory had no C(check.yml)
  type: str
  sample: /home/ci/project/check.yml
report:
  description: The report file.
  returned: when O(report) is set
  type: str
  sample: /home/ci/isolation.sarif
"""
