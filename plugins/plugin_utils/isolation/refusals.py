# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the gates say by themselves, beside the rules: what each of their findings means, and how it is mended.

The finding itself has the names; this is what stays the same. docs/refusals.md is made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Refusal(NamedTuple):
    """What a finding of a gate means and how it is mended: whole sentences."""

    means: str
    mend: str


#: Before any host is contacted: the run, the inventory, its variables and secrets.
ON_PAPER: Mapping[str, Refusal] = {
    "compose-variable": Refusal(
        "A stack uses a variable of Compose that nothing fills in, or that would write a secret into the Compose file.",
        "Use bulkhead_env or an expression of the inventory; give a secret by a file or by .env."),
    "cycle": Refusal(
        "Files, templates or services refer to each other in a circle.", "Remove one of the references."),
    "compose-disagrees": Refusal(
        "Docker Compose reads a file differently from Bulkhead, so what was judged is not what would run.",
        "Write the file in the form that both read alike, and report the difference as a fault of Bulkhead."),
    "damaged-vault": Refusal(
        "A vault file is cut off, edited by hand or in conflict, so no password opens it.",
        "Take it back from the last commit (git checkout -- <file>), then set what changed since."),
    "environment-twice": Refusal(
        "Two environments of a check are one: the same name, prefix or project.", "Name each once."),
    "expired-waiver": Refusal(
        "The last day of a waiver is past, so the finding that it accepted counts again.",
        "Mend the finding and remove the waiver, or extend it if its reason is still valid."),
    "extra-variable": Refusal(
        "-e applies to every environment of a run and leaves no trace, so only a closed list may come by it.",
        "Write the variable into the group variables of the environment."),
    "foreign-file": Refusal(
        "A file of the machine that root would copy to the environment belongs to another environment or to Bulkhead.",
        "Name a file of the environment's own."),
    "foreign-vault-id": Refusal(
        "A vault file of one environment is locked with the vault id of another.",
        "Lock it anew with the environment's own id: -e bulkhead_secret=rekey."),
    "identity-overridden": Refusal(
        "A host, play or role sets a variable that says which environment this is, so another one would run.",
        "Set it in the environment's group variables only."),
    "incomplete-waiver": Refusal(
        "A finding about several environments is accepted by only some of them, so it counts.",
        "Add the waiver to the others, or set it once in group_vars/all."),
    "invalid-setting": Refusal(
        "A program's setting has a name that it does not know or a value that it does not take.",
        "Write a value of the form that the finding names."),
    "invalid-variable": Refusal(
        "A variable's value has not the form that it needs.", "Write a value of the form that the finding names."),
    "malformed-waiver": Refusal(
        "A waiver has not the keys rule, resource, reason and until, so it is ignored.",
        "Write rule and resource as the report shows them."),
    "missing-fingerprint": Refusal(
        "A locked secret has no fingerprint, so it cannot be compared with those of other environments.",
        "Write the fingerprints: -e bulkhead_secret=fingerprint."),
    "missing-secret": Refusal(
        "The stack needs a secret that the environment does not have.",
        "Make it (-e bulkhead_secret=init) or set it (-e bulkhead_secret=set)."),
    "missing-variable": Refusal(
        "A variable that an environment cannot do without is empty.", "Set it in the environment's group variables."),
    "nested-environment": Refusal(
        "The group of one environment contains that of another, so it sets the other's variables too.",
        "Make the two groups siblings."),
    "nginx-syntax": Refusal(
        "A configuration of nginx cannot be read, so it was not judged, and nginx would not start with it.",
        "Correct the line."),
    "no-environment": Refusal(
        "No group of the inventory sets bulkhead_environment, so there is nothing to prove.",
        "Set it in the group variables of one group for each environment."),
    "no-limit": Refusal(
        "Without -l, or with an empty one, a run would mean every environment of the inventory.",
        "Name one environment with -l."),
    "not-a-workflow": Refusal(
        "A file that should be a pipeline's workflow is none, so it was not judged.", "Correct it, or leave it out."),
    "not-an-environment": Refusal(
        "-l selects hosts that belong to no environment.", "Name the group of one environment."),
    "not-compose": Refusal(
        "A Compose file says something that Compose rejects.", "Correct it; docker compose config says the same."),
    "not-dotenv": Refusal(
        "A line of a .env file is none that Compose reads.", "Write NAME=value, one on a line, quotes closed."),
    "not-on-swarm": Refusal(
        "Something of a stack means one machine, and a swarm would refuse or ignore it.",
        "Write it as the finding says."),
    "not-pgbouncer": Refusal(
        "A configuration of pgbouncer cannot be read, so it was not judged.", "Correct the line."),
    "not-yaml": Refusal("A file is no valid YAML, so it was not judged.", "Correct the line."),
    "owner-login": Refusal(
        "A service logs in to the database as its owner, which cannot log in: each password has a login of its own.",
        "Let it take DB_USER from its settings, or set bulkhead_database_login."),
    "partial-environment": Refusal(
        "-l selects some hosts of an environment and not the others, which would then run another release.",
        "Name the environment's group."),
    "placeholder-secret": Refusal(
        "A secret is a placeholder from an example, or what the environment is called: everybody can guess it.",
        "Replace it: -e bulkhead_secret=rotate, or set where another service issued it."),
    "plain-secret": Refusal(
        "A secret is not encrypted: everybody who can read the inventory and its history has it.",
        "Move it to the environment's vault, with a new value."),
    "plan-changed": Refusal(
        "A deployment with an approved plan would do something else than the plan says.",
        "Make a new plan, have it approved, and deploy that."),
    "reserved-label": Refusal(
        "A service sets a label by which Bulkhead or Compose know what belongs to whom.", "Give it another name."),
    "reused-secret": Refusal(
        "Two secrets of one environment have one value, so whoever learns one has the other.", "Rotate one of them."),
    "sealed-value": Refusal(
        "A value that a deployment needs is locked here.", "Give this run the vault password for it (--vault-id)."),
    "setting-twice": Refusal(
        "Two sources give the application one setting, and only one of them would count.", "Remove one of the two."),
    "several-environments": Refusal(
        "-l selects several environments, so a mistake would reach all of them at once.",
        "Deploy them one by one, or set bulkhead_allow_many in each."),
    "several-hosts": Refusal(
        "A group has several hosts, and an environment lives on one machine: each would have a database of its own.",
        "Leave one host in the group, or declare a second environment."),
    "shared-vault-password": Refusal(
        "One password opens the vaults of two environments, so a pipeline for one has the secrets of the other.",
        "Lock each with a password of its own: -e bulkhead_secret=rekey."),
    "stale-fingerprint": Refusal(
        "A fingerprint is not that of the secret as it is now, so what was compared is another value.",
        "Write the fingerprints anew: -e bulkhead_secret=fingerprint."),
    "template-error": Refusal(
        "A template or an expression cannot be evaluated.", "Correct it at the place that the finding names."),
    "test-key": Refusal(
        "A protected environment has a key of its provider's test mode.", "Set the live key: -e bulkhead_secret=set."),
    "too-large": Refusal("A file is larger than any that is written by hand.", "Name the right file."),
    "unapproved-plan": Refusal(
        "An environment is deployed with an approved plan only, and there is none, or it is too old or not signed by "
        "one of its signers.",
        "Make a plan (aiia.bulkhead.plan -e bulkhead_plan=…), have it signed, and deploy with it."),
    "unknown-setting": Refusal(
        "bulkhead_env_names renames a setting that is not in .env.", "Correct the name, or take the line away."),
    "unknown-reference": Refusal(
        "A service names a service, network, config or secret that its stack does not have.",
        "Write the name of one that it has, or add it to the stack."),
    "unknown-variable": Refusal(
        "Bulkhead has no variable of that name, so it would have no effect.", "Write the name that the finding gives."),
    "unknown-volume": Refusal(
        "bulkhead_adopted_volumes takes over a volume that no service mounts, so its data would be left behind.",
        "Name a volume of the stack, or mount it in bulkhead_services."),
    "unproved-file": Refusal(
        "A stack brings in a file that is not part of what is proved, and may change with each commit.",
        "Let the service bring the file along (x-bulkhead.files)."),
    "unquoted-value": Refusal(
        "YAML makes another value of what is written, such as a number of 012 or a truth value of no.", "Quote it."),
    "unreadable-file": Refusal(
        "A file cannot be read here, so it was not judged.", "Name a file that can be read, or leave it out."),
    "unreadable-name": Refusal(
        "A name by which others could run into the environment is locked or computed, so it cannot be compared.",
        "Write it plainly into the environment's group variables."),
    "unset-variable": Refusal(
        "A Compose file uses a variable that nothing sets, so Compose rejects it and its place was not compared.",
        "Set it in the environment's .env, and name that file."),
    "unused-waiver": Refusal(
        "A waiver matches no finding; it would hide the finding if it came back.", "Remove the waiver."),
    "variable-rewritten": Refusal(
        "A play, role or fact gives a variable another value than the one that was proved.",
        "Remove that; the inventory's group variables are the only place."),
    "weak-secret": Refusal(
        "A secret is short or easy to guess, so it has no fingerprint and cannot be compared.", "Rotate it."),
    "wildcard-domain": Refusal(
        "The default stack answers for host names that are written out, and a domain has a *.",
        "Name each host, or bring a template of your own (bulkhead_nginx_template)."),
}  # fmt: skip

#: On the machine, before anything is changed.
ON_THE_MACHINE: Mapping[str, Refusal] = {
    "absent-front-door": Refusal(
        "The environment is to be behind the front door of a machine, and there is none, or its routes cannot be read.",
        "Run aiia.bulkhead.edge for the machine first."),
    "adopted-volume": Refusal(
        "A volume that the environment takes over is not there, or belongs to another environment.",
        "Correct its name in bulkhead_adopted_volumes (docker volume ls)."),
    "away-on-network": Refusal(
        "A container of the environment is on another environment's network.", "Disconnect it."),
    "certificate-expiring": Refusal(
        "The certificate has ended or soon will.", "Renew it; the finding says for which domains."),
    "damaged-registry": Refusal(
        "An entry of the machine's registry is damaged, so that environment is judged by what runs.",
        "Deploy that environment again."),
    "damaged-route": Refusal(
        "An environment's route at the front door is damaged on disk.", "Deploy that environment again."),
    "data-node": Refusal(
        "The volumes of a stack are on exactly one node, and none, several, another or one that cannot run tasks has "
        "the label.",
        "Give the label to the node with the volumes, and bring that node back."),
    "disk-filling": Refusal(
        "A disk has less room than its alarm. A full one stops every environment's database.", "Free some space."),
    "disk-full": Refusal(
        "A deployment needs more room than a disk has.", "Free some space, or move the directory to a larger disk."),
    "drift": Refusal(
        "Something was changed by hand since the last deployment.", "Deploy: that takes it back."),
    "foreign-mount": Refusal(
        "A container of somebody else has a volume or files of the environment mounted.", "Stop that container."),
    "foreign-project": Refusal(
        "Containers of the environment's Compose project were started from another directory, and would be replaced.",
        "Stop that project, or give it another name."),
    "foreign-stack": Refusal(
        "The swarm has a stack of the environment's name that Bulkhead did not deploy, and would update its services.",
        "Remove that stack, or choose another bulkhead_prefix."),
    "in-maintenance": Refusal(
        "The environment answers with its maintenance page, and a deployment does not change that.",
        "aiia.bulkhead.maintenance -e bulkhead_maintenance=off"),
    "kernel-limit": Refusal(
        "Something of the kernel's that all environments share is nearly used up.", "Raise the limit (sysctl)."),
    "linked-checkout": Refusal(
        "The environment's checkout is a link to somewhere else, where a deployment would change files.",
        "Remove the link."),
    "missing-age": Refusal(
        "The machine has no age, with which the environment's backups are to be encrypted.",
        "Install it: ansible-playbook aiia.bulkhead.provision."),
    "moved-checkout": Refusal(
        "Somebody pulled or switched a checkout by hand. Builds never use it.", "Deploy that environment again."),
    "no-live-restore": Refusal(
        "A restart of the engine stops the containers of every environment.", "Run aiia.bulkhead.provision."),
    "not-a-node": Refusal(
        "A host of the environment's group is no node of its swarm.",
        "Let it join (aiia.bulkhead.swarm), or take it out of the group."),
    "open-engine": Refusal(
        "The engine's unprotected port is open: every container can become root.", "Let it listen on its socket only."),
    "other-directory": Refusal(
        "The prefix was deployed here to another directory, probably by another inventory.",
        "Give one of the two another prefix."),
    "other-machine": Refusal(
        "This is another machine or engine than the one that has the environment's data.",
        "Check ansible_host and bulkhead_docker_host."),
    "overcommitted-machine": Refusal(
        "Limits of memory add up to more than there is beside what is reserved.", "Lower limits, or move one away."),
    "placeholder-certificate": Refusal(
        "A domain answers with a certificate that no browser accepts, or that is for other domains.",
        "Run aiia.bulkhead.certificates, and mend what it says."),
    "privileged-owner": Refusal(
        "The owner of the environment's directory is in the group docker, and so root.", "Take the user out of it."),
    "reachable-loopback": Refusal(
        "This version of the engine lets neighbours on the link reach ports of the loopback address.",
        "Upgrade the engine."),
    "rebuilt-registry": Refusal(
        "An entry of the registry was lost or edited, and was rebuilt from its copy.",
        "Deploy that environment again."),
    "renewal-failed": Refusal(
        "The last renewal of the certificate failed. What serves, serves on.", "Mend what the finding quotes."),
    "scheduled-prune": Refusal(
        "A scheduled job removes whatever no container uses at that moment, of every environment.", "Remove the job."),
    "shared-repository": Refusal(
        "Two environments' checkouts share one git repository.", "Remove the checkout; a deployment makes its own."),
    "stranger-on-network": Refusal(
        "A container of somebody else is on the environment's network.", "Disconnect it."),
    "taken-port": Refusal(
        "A port that the environment publishes is taken.", "Stop what holds it, or choose another port."),
    "unknown-service": Refusal(
        "A container of the environment's project was made by no deployment, and the next would remove it.",
        "Give it a project of its own, or declare its service."),
    "unseen-node": Refusal(
        "A node of the swarm is up and could not be looked at, so tasks may come to run beside something unknown.",
        "Add its host to the environment's group, or make it reachable."),
    "unlimited-swap": Refusal(
        "The kernel cannot limit a container's swap, so one that swaps slows all.", "Use cgroup v2, or no swap."),
    "unregistered-environment": Refusal(
        "An environment runs here without an entry in the registry, so its domains and databases are not known.",
        "Deploy it again, with the same bulkhead_state_directory."),
    "zombie-project": Refusal(
        "Containers run from the environment's directory under another project's name, with old code.",
        "Stop that project, and keep its volumes."),
}  # fmt: skip

#: Afterwards, from inside and outside of the containers.
AFTERWARDS: Mapping[str, Refusal] = {
    "answers-foreign-host": Refusal(
        "The environment answers a host name that is not its own.", "Give its nginx a default server that refuses."),
    "application-superuser": Refusal(
        "The application's database role may do everything on its server.", "Take SUPERUSER from it."),
    "collation-changed": Refusal(
        "The database's indexes were made under another version of its collation.", "REINDEX the database."),
    "cookie-reaches-others": Refusal(
        "A cookie that the environment sets is sent to other environments as well.", "Set it without a domain."),
    "foreign-name-resolves": Refusal(
        "A name of another environment resolves inside of a container: they share a network.", "Disconnect them."),
    "foreign-port-connects": Refusal(
        "A container can connect to a port of another environment.",
        "Publish it on 127.0.0.1 only, or guard the environment (bulkhead_firewall)."),
    "foreign-server-lets-in": Refusal(
        "A container reaches another environment's server, which asks for no password.", "Close the port."),
    "lost-route": Refusal(
        "A node's front door has lost the route of a stack, or has another one, so visitors there do not reach it.",
        "Deploy the environment: that puts the route back."),
    "memory-full": Refusal(
        "Redis refused commands or dropped keys early, because its memory was full.",
        "Raise its limit, give keys an expiry, or let it evict (bulkhead_redis_use)."),
    "not-saved": Refusal("Redis cannot save its data.", "Read its log; most often the disk is full."),
    "out-of-memory": Refusal(
        "The kernel killed a process of a container for want of memory.", "Raise the service's limit."),
    "own-domain-elsewhere": Refusal(
        "A domain of the environment is answered by something else.", "Find what listens on that port (ss -ltnp)."),
    "own-domain-unanswered": Refusal(
        "A domain of the environment does not answer.", "Read the log of its nginx."),
    "probe-failed": Refusal(
        "A container or a node of a swarm could not be probed, or not wholly, so its isolation is not proved.",
        "Run verify again; python3 is needed on the machine."),
    "redirect-leaves-ports": Refusal(
        "The environment sends visitors to a port that another environment has.", "Name its own port in redirects."),
    "setting-waits": Refusal(
        "A setting of PostgreSQL takes effect at a restart only.", "Restart the service when it suits you."),
    "static-missing": Refusal(
        "The first static file of the start page is not served.", "Check collectstatic and the mount of nginx."),
    "unhealthy": Refusal(
        "A service of the environment is down or unwell.", "aiia.bulkhead.logs and aiia.bulkhead.doctor say why."),
    "uploads-in-container": Refusal(
        "The application writes uploads into its container, and the next release would lose them.",
        "Let it write to its volume."),
}  # fmt: skip

#: All of them, by their id.
REFUSALS: Mapping[str, Refusal] = {**ON_PAPER, **ON_THE_MACHINE, **AFTERWARDS}
