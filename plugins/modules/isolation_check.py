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
    and scripts, and reports where one environment would interfere with another.
  - The files need not come from this collection. Compose files are interpreted as Compose interprets them.
  - No host is contacted and nothing is changed, except that a report is written if O(report) is set.
  - All problems are reported at once, worst first.
notes:
  - This is an action plugin. It runs on the controller and reads files there.
  - Paths are relative to the directory of O(config), or else to the directory of the playbook. If O(report) is set in
    the task, it is relative to the directory of the playbook.
  - Values of settings that look like secrets are compared but never shown.
options:
  config:
    description:
      - A YAML file with the other options as keys.
      - Options set in the task override those in the file.
      - Mutually exclusive with O(environments).
    type: path
  environments:
    description:
      - The environments that share machines.
      - Required unless O(config) is set.
    type: list
    elements: dict
    suboptions:
      prefix:
        description: The prefix of every name in the environment. Findings identify the environment by it.
        type: str
        required: true
      name:
        description: The display name of the environment. Defaults to its prefix.
        type: str
      directory:
        description:
          - The absolute path of the environment's directory on the machine.
          - Defaults to the directory of the first file on the controller.
        type: path
      machine:
        description: The machine. Environments without this option share one machine.
        type: str
      compose_files:
        description: The Compose files, in the order in which they are passed to Compose.
        type: list
        elements: path
      env_files:
        description:
          - The environment files, for interpolation and for services.
          - Defaults to C(.env) next to the first Compose file, as in Compose itself.
        type: list
        elements: path
      nginx_files:
        description: The nginx configurations.
        type: list
        elements: path
      files:
        description:
          - All other files that affect the machine, such as workflows, scripts, cron files, systemd units, Dockerfiles,
            SQL, playbooks and inventories.
          - The type of a file is detected from its name and content.
        type: list
        elements: path
      waivers:
        description: Findings that this environment accepts, as in O(waivers).
        type: list
        elements: dict
  fail_on:
    description: The lowest severity of an unwaived finding that fails the task.
    type: str
    choices: [critical, high, medium, low, never]
    default: medium
  waivers:
    description:
      - Findings that all environments accept on purpose. They are shown but do not fail the task.
      - A finding is waived if every environment that it names accepts it.
      - A malformed or expired waiver is a finding of severity medium. A waiver that matches no finding is a finding of
        severity low.
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
        description: Why the finding is accepted. Every report shows the reason.
        type: str
        required: true
      until:
        description: The last day on which the waiver applies, such as V(2026-12-31).
        type: str
        required: true
  report:
    description: The file on the controller to write all findings to.
    type: path
  report_format:
    description: The format of O(report). V(sarif) is SARIF 2.1.0 for code scanning, V(junit) is for test reports.
    type: str
    choices: [json, sarif, junit]
    default: json
  compose_cli:
    description:
      - Whether to compare the result with C(docker compose config) if Compose is installed on the controller.
      - A difference is a finding of severity low. Compose contacts no engine for this.
    type: str
    choices: [auto, never]
    default: auto
attributes:
  check_mode:
    support: full
    description: Changes nothing in either mode. The report is written in check mode, too.
  diff_mode:
    support: none
    description: Changes nothing, so there is no difference to show.
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

- name: Check the environments of a configuration file and write a report for code scanning
  aiia.bulkhead.isolation_check:
    config: check.yml
    report: isolation.sarif
    report_format: sarif

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
  description: All findings, worst first, with waived findings last.
  returned: always
  type: list
  elements: dict
  contains:
    rule:
      description: The rule that reported the finding.
      returned: always
      type: str
      sample: shared-project
    hazards:
      description: The hazards in the catalogue that the finding relates to.
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
      description: The machine, if the finding concerns one.
      returned: always
      type: str
      sample: localhost
    resource:
      description: The resource that the environments share or reach.
      returned: always
      type: str
      sample: ai-ia-backend
    where:
      description: The places to look at, as file and line or as variable.
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
      description: Why the finding is accepted. Empty if it is not waived.
      returned: always
      type: str
      sample: ""
msg:
  description: The report as text. If there are many findings, it shows the worst ones.
  returned: always
  type: str
  sample: No findings.
report:
  description: The report file.
  returned: when O(report) is set
  type: str
  sample: /home/ci/isolation.sarif
"""
