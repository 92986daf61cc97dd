# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of one environment's variables, and of the environments of a fleet beside each other."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..isolation.declared import STATE
from ..isolation.wording import in_words
from .formed import check_forms
from .inventory import holds_seal
from .model import Declaration
from .settings import REGISTRY_PASSWORD, setting_problem, setting_text, texts
from .swarm import check_swarm, is_swarm
from .variables import SETTINGS, of_machines, purpose, specification

#: The fix for a name that resembles none of ours.
_UNKNOWN = "remove it, or choose a name that does not begin with bulkhead_"

#: The address of a webhook, and the value of a header for it.
_WEBHOOK = re.compile(r"https://(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?:[/?][!-~]*)?", re.ASCII)
_VALUE = re.compile(r"[ -~]*")

#: The template of nginx's configuration that is ours.
_NGINX = "nginx.conf.j2"


def check(
    declaration: Declaration, mine: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]], usual: Mapping[str, Any]
) -> None:
    """Note all problems of a declaration. ``mine`` are the variables that the inventory sets, ``others`` those of each
    further host of its group. ``usual`` are the role's own defaults, as far as they are the same for everybody."""
    _check_unknown(declaration, mine)
    _check_required(declaration)
    _check_values(declaration, usual)
    check_swarm(declaration, mine, others)
    for name in ("bulkhead_plan", "bulkhead_plan_group"):
        if mine.get(name) and declaration.can_judge(name):
            message = f"{name} belongs to one run, and the inventory sets it, where it has no effect"
            declaration.problem("invalid-variable", name, message, f"give it to the run: -e {name}=…")


def unknown(name: str) -> tuple[str, str]:
    """The message and the fix for a variable that Bulkhead does not have."""
    # The common prefix would make any two names similar.
    known = {name.removeprefix("bulkhead_"): name for name in (*specification(), *of_machines())}
    near = difflib.get_close_matches(name.removeprefix("bulkhead_"), known, n=1, cutoff=0.6)
    fix = f"did you mean {known[near[0]]}?" if near else _UNKNOWN
    return f"Bulkhead has no variable {name}, so it would have no effect", fix


def check_setting(declaration: Declaration, variable: str, key: Any, value: Any) -> None:
    """Note a problem where a setting cannot travel through ``.env`` into a process."""
    resource = f"{variable}.{key}"
    if not isinstance(key, str):
        message = f"{variable} has the key {key!r}: YAML read an unquoted word as a value, not as a name"
        declaration.problem("invalid-setting", variable, message, 'quote the name, such as "YES"', resource=resource)
        return
    try:
        problem = setting_problem(key, setting_text(value))
    except TypeError as error:
        message = f"{resource} is {error}, but a setting is one string"
        fix = "write it as one string, for example with | to_json"
        declaration.problem("invalid-setting", variable, message, fix, resource=resource)
        return
    if problem:
        fix = "rename the setting or change its value"
        declaration.problem("invalid-setting", variable, f"{key} cannot be set: {problem}", fix, resource=resource)


def _check_unknown(declaration: Declaration, mine: Mapping[str, Any]) -> None:
    for name in sorted(set(mine) - {*specification(), *of_machines()}):
        declaration.problem("unknown-variable", name, *unknown(name))


def _check_required(declaration: Declaration) -> None:
    values = declaration.values
    required = [name for name, spec in specification().items() if spec.get("required")]
    if values["bulkhead_services"].get("nginx", {}) is not None:
        required += ["bulkhead_http_port", "bulkhead_https_port", "bulkhead_domains"]
    if values["bulkhead_source_repository"]:
        required += ["bulkhead_source_branch"]
    for name in required:
        if values.get(name) in (None, "", []) and declaration.can_judge(name):
            hint = f" (it may be in {declaration.locked[0]}, which is locked here)" if declaration.locked else ""
            declaration.problem(
                "missing-variable",
                name,
                f"{name} is not set{hint}: {purpose(name)}",
                f"set {name} in group_vars/{declaration.group}",
            )


def _check_values(declaration: Declaration, usual: Mapping[str, Any]) -> None:
    values = declaration.values
    for variable in SETTINGS:
        for key, value in values[variable].items():
            check_setting(declaration, variable, key, value)
    for key, value in values["bulkhead_build_arguments"].items():
        if isinstance(value, (Mapping, list)):
            message = f"bulkhead_build_arguments.{key} is {in_words(value)}, but an argument is one string"
            fix = "write it as one string, for example with | to_json"
            declaration.problem("invalid-variable", "bulkhead_build_arguments", message, fix)
    check_forms(declaration, usual)
    _check_image(declaration)
    _check_addresses(declaration)
    _check_acme(declaration)
    _check_storage(declaration)
    _check_copy_user(declaration)
    _check_place(declaration)
    _check_metrics(declaration)
    _check_notify(declaration)
    if len(declaration.hosts) > 1 and not is_swarm(declaration):
        declaration.problem(
            "several-hosts",
            "bulkhead_environment",
            f"group {declaration.group} has {len(declaration.hosts)} hosts ({', '.join(declaration.hosts[:4])}), but "
            "an environment lives on one machine: on two, each would have its own database",
            f"keep one host in group {declaration.group}, declare a second environment, or set bulkhead_engine: swarm "
            "for one environment on several machines",
        )


def _check_storage(declaration: Declaration) -> None:
    """Note a directory that the volume does not hold: nginx has nothing but the volume, and so has a backup."""
    storage = str(declaration.values["bulkhead_storage_path"])
    for name in ("bulkhead_static_root", "bulkhead_media_root"):
        root = str(declaration.values[name])
        known = storage and root and all(map(declaration.can_judge, ("bulkhead_storage_path", name)))
        if known and not f"{root}/".startswith(f"{storage}/"):
            declaration.problem(
                "invalid-variable",
                name,
                f"{name} is {root}, which is not on the volume at {storage} (bulkhead_storage_path): nginx cannot "
                "serve files that only the application's container has, and the next release takes them away",
                f"name a directory below {storage}, or leave {name} empty if the application serves these files itself",
            )


def _check_image(declaration: Declaration) -> None:
    """Note what does not go together with an image that was built elsewhere."""
    values = declaration.values
    known = all(map(declaration.can_judge, ("bulkhead_image", "bulkhead_source_repository")))
    if known and values["bulkhead_image"] and values["bulkhead_source_repository"]:
        declaration.problem(
            "invalid-variable",
            "bulkhead_image",
            "bulkhead_image and bulkhead_source_repository are both set, and an application comes from one of them",
            "remove bulkhead_source_repository to run an image that was built elsewhere, or bulkhead_image to build it "
            "on the machine",
        )
    if values["bulkhead_image_user"] and not texts(values["bulkhead_secrets"]).get(REGISTRY_PASSWORD):
        declaration.lacks(
            "missing-secret",
            f"bulkhead_secrets.{REGISTRY_PASSWORD}",
            f"bulkhead_secrets has no {REGISTRY_PASSWORD}, and {values['bulkhead_image_user']} logs in to the registry "
            "with it (bulkhead_image_user)",
            f"add {REGISTRY_PASSWORD} to bulkhead_secrets, in the vault file of group {declaration.group}",
        )


def _check_addresses(declaration: Declaration) -> None:
    """Note ports and domains that cannot be together."""
    values = declaration.values
    if values["bulkhead_edge"] and values["bulkhead_bind_address"] and declaration.can_judge("bulkhead_bind_address"):
        declaration.problem(
            "invalid-variable",
            "bulkhead_bind_address",
            "bulkhead_bind_address has no effect behind the front door: an environment with bulkhead_edge publishes no "
            "port",
            "remove it; the front door's own addresses are bulkhead_edge_addresses of its machine",
        )
    http, https, domains = (values[f"bulkhead_{what}"] for what in ("http_port", "https_port", "domains"))
    if http is not None and http == https and declaration.can_judge("bulkhead_https_port"):
        declaration.problem(
            "invalid-variable",
            "bulkhead_https_port",
            f"bulkhead_http_port and bulkhead_https_port are both {http}, and one port can have only one of them",
            "give each its own port, such as 8080 and 8443",
        )
    for domain in dict.fromkeys(domain for domain in domains if domains.count(domain) > 1):
        if not holds_seal(domain):
            message, fix = f"bulkhead_domains has {domain} twice", "name each domain once"
            declaration.problem("invalid-variable", "bulkhead_domains", message, fix)
    if values["bulkhead_services"].get("nginx", {}) is None or values["bulkhead_nginx_template"] != _NGINX:
        return
    for domain in domains:
        if domain.startswith("*.") and not holds_seal(domain):
            declaration.problem(
                "wildcard-domain",
                "bulkhead_domains",
                f"bulkhead_domains has {domain}: the default stack answers for host names that are written out, and "
                "its health check asks for the first of them",
                "name each host that the environment answers for, or bring your own template (bulkhead_nginx_template)",
            )


#: What an environment brings that has its certificate from elsewhere.
_GIVEN = (
    *("bulkhead_tls_certificate", "bulkhead_tls_key", "bulkhead_tls_certificate_path", "bulkhead_tls_key_path"),
    "bulkhead_acme_webroot",
)


def _check_acme(declaration: Declaration) -> None:
    """Note why no authority could issue a certificate."""
    values = declaration.values
    if not values["bulkhead_acme"]:
        return
    wildcards = [str(domain) for domain in values["bulkhead_domains"] if str(domain).startswith("*.")]
    given = [name for name in _GIVEN if values[name]]
    engine = values["bulkhead_docker_host"]
    if wildcards:
        declaration.problem(
            "invalid-variable",
            "bulkhead_acme",
            f"bulkhead_domains has {', '.join(wildcards)}, and an authority issues no wildcard over HTTP, which is how "
            "bulkhead_acme proves domains",
            "name each host, or bring a certificate (bulkhead_tls_certificate_path, bulkhead_tls_key_path)",
        )
    if given:
        declaration.problem(
            "invalid-variable",
            given[0],
            f"bulkhead_acme has a certificate issued, and {' and '.join(given)} would bring another one",
            f"remove {' and '.join(given)}, or set bulkhead_acme: false",
        )
    if not values["bulkhead_acme_email"] and declaration.can_judge("bulkhead_acme_email"):
        declaration.problem(
            "missing-variable",
            "bulkhead_acme_email",
            "bulkhead_acme_email is not set: an authority needs a contact for the account of this environment",
            f"set bulkhead_acme_email in group_vars/{declaration.group}",
        )
    if values["bulkhead_services"].get("nginx", {}) is None:
        declaration.problem(
            "invalid-variable",
            "bulkhead_acme",
            "bulkhead_acme needs the service nginx, which answers the authority, and bulkhead_services leaves it out",
            "set bulkhead_acme: false",
        )
    if not str(engine).startswith("unix://") and not holds_seal(engine):
        declaration.problem(
            "invalid-variable",
            "bulkhead_acme",
            f"bulkhead_acme needs an engine on the machine itself, and bulkhead_docker_host is {engine}",
            "set bulkhead_acme: false, and bring a certificate (bulkhead_tls_certificate_path, bulkhead_tls_key_path)",
        )


def _check_place(declaration: Declaration) -> None:
    """Note an environment's directory that is below what root keeps of all environments."""
    values = declaration.values
    directory, state = values["bulkhead_directory"], values["bulkhead_state_directory"]
    for kept in dict.fromkeys(filter(None, [STATE, state])):
        if declaration.can_judge("bulkhead_directory") and f"{directory}/".startswith(f"{str(kept).rstrip('/')}/"):
            declaration.problem(
                "invalid-variable",
                "bulkhead_directory",
                f"bulkhead_directory is {directory}, below {kept}, where Bulkhead keeps what it knows of all "
                "environments",
                "name a directory that holds this environment alone, such as /home/ubuntu/main/ai-ia-backend",
            )


def _check_metrics(declaration: Declaration) -> None:
    """Note a directory of metrics where the environment's owner, or Bulkhead alone, decides what a path leads to."""
    values, variable = declaration.values, "bulkhead_metrics_directory"
    if not values[variable] or not declaration.can_judge(variable) or not declaration.can_judge("bulkhead_directory"):
        return
    for kept in filter(None, [values["bulkhead_directory"], values["bulkhead_state_directory"], STATE]):
        if f"{values[variable]}/".startswith(f"{str(kept).rstrip('/')}/"):
            declaration.problem(
                "invalid-variable",
                variable,
                f"{variable} is {values[variable]}, below {kept}: root writes there for all environments",
                "name the directory that node_exporter reads, such as /var/lib/node_exporter/textfile_collector",
            )
            return


def _check_notify(declaration: Declaration) -> None:
    """Note a receiver of notifications that is neither one webhook nor a command, and headers that break out."""
    words, headers = declaration.values["bulkhead_notify"], declaration.values["bulkhead_notify_headers"]
    if words and declaration.can_judge("bulkhead_notify") and not holds_seal(words):
        fix = "write [https://host/path], or a command as a list of words, such as [notify-team, --channel, ops]"
        # A whole command as one text would be the name of a program with spaces in it.
        if (
            not words[0]
            or re.search(r"\s", words[0])
            or ("://" in words[0] and (len(words) > 1 or not _WEBHOOK.fullmatch(words[0])))
        ):
            message = "bulkhead_notify is neither the https address of a webhook alone nor a command"
            declaration.problem("invalid-variable", "bulkhead_notify", message, fix)
    for name, value in headers.items():
        if not holds_seal(value) and not (isinstance(value, (str, int)) and _VALUE.fullmatch(str(value))):
            message = f"bulkhead_notify_headers.{name} is not the value of a header, which is one line of ASCII"
            declaration.problem("invalid-variable", "bulkhead_notify_headers", message, "write one line of ASCII")


def _check_copy_user(declaration: Declaration) -> None:
    """Note a copy command that would run as root."""
    values = declaration.values
    user = "bulkhead_backup_copy_user" if values["bulkhead_backup_copy_user"] else "bulkhead_owner"
    if values["bulkhead_backup_copy_command"] and str(values[user]) in ("root", "0"):
        declaration.problem(
            "invalid-variable",
            user,
            f"bulkhead_backup_copy_command would run as root ({user}): whoever may write it would be root on the "
            "machine, and so over every environment there",
            "set bulkhead_backup_copy_user to an unprivileged user of the machine",
        )


def check_promotion(fleet: Sequence[Declaration]) -> None:
    """Note where an environment takes its images from one that the inventory does not have."""
    groups = {declaration.group for declaration in fleet}
    for own in fleet:
        group = own.values["bulkhead_promotion_from"]
        if not group or holds_seal(group) or (group != own.group and group in groups):
            continue
        others = sorted(groups - {own.group})
        near = difflib.get_close_matches(group, others, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else "name the group of another environment."
        own.problem(
            "invalid-variable",
            "bulkhead_promotion_from",
            f"bulkhead_promotion_from is {group}, but the inventory has no other environment of that group, so no "
            "image would be accepted",
            f"{hint} The inventory has: {', '.join(others) or 'none'}",
        )
