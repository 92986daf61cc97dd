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
  - The files need not have been made by this collection. Compose files are read with Compose's own meaning.
  - No host is contacted and nothing is changed, except that a report is written where O(report) asks for one.
  - Everything that is wrong is reported at once, worst first.
notes:
  - This is an action. All files are on the controller, and so is the work.
  - Paths are relative to the directory of O(config), else to the directory of the playbook. O(report) given as an
    argument of the task is relative to the directory of the playbook.
  - Values of settings that look like secrets are compared and never shown.
options:
  config:
    description:
      - A YAML file with the other options as keys.
      - Options that are given to the task as well are taken from the task.
      - Mutually exclusive with O(environments).
    type: path
  environments:
    description:
      - The environments that share machines.
      - Required without O(config).
    type: list
    elements: dict
    suboptions:
      prefix:
        description: What every name of the environment starts with. Findings call the environment by it.
        type: str
        required: true
      name:
        description: What people call the environment. The default is its prefix.
        type: str
      directory:
        description:
          - The directory in which the environment will live on the machine, as an absolute path.
          - The default is the directory of the first file on the controller.
        type: path
      machine:
        description: The machine. Environments without one are all on one machine.
        type: str
      compose_files:
        description: The Compose files, in the order in which they are given to Compose.
        type: list
        elements: path
      env_files:
        description:
          - The environment files, for interpolation and for services.
          - The default is C(.env) beside the first Compose file, as in Compose itself.
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
          - What a file is, is told from its name and its text.
        type: list
        elements: path
      waivers:
        description: Findings that this environment accepts, as in O(waivers).
        type: list
        elements: dict
  fail_on:
    description: The task fails when there is a finding as bad as this or worse that is not waived.
    type: str
    choices: [critical, high, medium, low, never]
    default: medium
  waivers:
    description:
      - Findings that all environments accept on purpose. They are shown and do not fail the task.
      - A finding is waived when every environment that it names accepts it.
      - A waiver that is malformed or past its day is a finding of severity medium, one that accepts nothing is of
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
        description: Why it is accepted. It is shown in every report.
        type: str
        required: true
      until:
        description: The last day on which it is accepted, such as V(2026-12-31).
        type: str
        required: true
  report:
    description: A file on the controller that is written with all findings.
    type: path
  report_format:
    description: The form of O(report). V(sarif) is SARIF 2.1.0 for code scanning, V(junit) is for test reports.
    type: str
    choices: [json, sarif, junit]
    default: json
  compose_cli:
    description:
      - Whether C(docker compose config) is asked for its own reading where it is installed on the controller.
      - A difference is a finding of severity low. Compose needs no engine for this and contacts none.
    type: str
    choices: [auto, never]
    default: auto
attributes:
  check_mode:
    support: full
    description: Can run in check mode without changing anything. The report is written then too.
  diff_mode:
    support: none
    description: Nothing is changed, so there is no difference to show.
  action:
    support: full
    description: Works on the controller.
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

- name: Check what a file describes, and write a report for code scanning
  aiia.bulkhead.isolation_check:
    config: check.yml
    report: isolation.sarif
    report_format: sarif

- name: Accept one finding until the front door is there
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
  description: The prefixes of the environments that were checked.
  returned: always
  type: list
  elements: str
  sample: [aiia_prod, aiia_staging]
findings:
  description: Everything that was found, worst first, waived findings last.
  returned: always
  type: list
  elements: dict
  contains:
    rule:
      description: The rule that found it.
      returned: always
      type: str
      sample: shared-project
    hazards:
      description: The hazards of the catalogue that the finding is about.
      returned: always
      type: list
      elements: str
      sample: [CP-01]
    severity:
      description: How bad it is. One of V(critical), V(high), V(medium), V(low).
      returned: always
      type: str
      sample: critical
    environments:
      description: The prefixes of the environments that are involved.
      returned: always
      type: list
      elements: str
      sample: [aiia_prod, aiia_staging]
    machine:
      description: The machine, where it is about one.
      returned: always
      type: str
      sample: localhost
    resource:
      description: What they share or reach.
      returned: always
      type: str
      sample: ai-ia-backend
    where:
      description: The places to look at, as file and line, or variable.
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
      description: The reason for which it is accepted. Empty where it is not.
      returned: always
      type: str
      sample: ""
msg:
  description: The report for the screen. It shows the worst findings when there are many.
  returned: always
  type: str
  sample: No findings.
report:
  description: The file that was written.
  returned: when O(report) is given
  type: str
  sample: /home/ci/isolation.sarif
"""
