# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The doctor's own checks: what no gate judges. Each is a function from a :class:`Look` to what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ....module_utils.docker.labels import ONE_OFF, SERVICE
from .health import own_containers, unwell
from .look import FAULT, HINT, UNKNOWN, Look, Said
from .status import age, span

#: Seconds by which a clock may be wrong before tokens and certificates fail, and before it is worth a word.
_CLOCK_FAULT, _CLOCK_HINT = 60, 5

#: The share of memory below which the kernel soon kills, and of swap in use above which everything is slow.
_MEMORY_LOW, _SWAP_USED = 0.03, 0.5

#: The age in periods at which a scheduled job did not run, and in days at which a backup by hand is old.
_MISSED, _OLD_BACKUP = 2.2, 8
_PERIODS = {"hourly": 3600, "6h": 6 * 3600, "daily": 86400, "weekly": 7 * 86400}
_CERTIFICATE_PERIOD = 12 * 3600

_RESTARTS = 5

_DEPLOY = "ansible-playbook aiia.bulkhead.deploy -l <environment>"


def _logs(service: str) -> str:
    return f"ansible-playbook aiia.bulkhead.logs -l <environment> -e bulkhead_service={service}"


def clock(look: Look) -> Iterator[Said]:
    """Clocks that disagree."""
    if "clock" not in look.examined:
        return
    off = abs(float(look.examined["clock"]) - look.now)
    if off > _CLOCK_HINT:
        kind = FAULT if off > _CLOCK_FAULT else HINT
        yield (
            kind,
            f"the machine's clock differs from this controller's by {span(off) if off > 120 else f'{off:.0f} s'}",
            "certificates, tokens and sessions count as expired or not yet valid, and backups get wrong dates",
            "timedatectl set-ntp true on the machine that is wrong, then timedatectl to see it",
        )


def names(look: Look) -> Iterator[Said]:
    """Domains without an address."""
    for domain in look.own.get("nameless") or ():
        yield (
            HINT,
            f"{domain} has no address, as the machine's resolver says",
            "visitors whose resolver says the same reach nothing",
            f"dig +short {domain}, there and where your visitors are; then correct the record at your registrar",
        )


def versions(look: Look) -> Iterator[Said]:
    """Engine or Compose missing or too old."""
    if look.examined.get("versions"):
        yield (
            FAULT,
            str(look.examined["versions"]),
            "no deployment works without them",
            "ansible-playbook aiia.bulkhead.provision -l <environment>",
        )


def memory(look: Look) -> Iterator[Said]:
    """Memory that is used up, and swap in use."""
    memory: Mapping[str, int] = look.examined.get("memory") or {}
    if memory and memory["available"] < memory["total"] * _MEMORY_LOW:
        yield (
            FAULT,
            f"{memory['available'] / memory['total']:.0%} of the machine's memory is available",
            "the kernel kills the largest process next, which is often a database",
            "docker stats --no-stream; lower deploy.resources.limits.memory, or move an environment",
        )
    swap = memory.get("swap", 0)
    if swap and (swap - memory["swap_free"]) > swap * _SWAP_USED:
        yield (
            HINT,
            f"{(swap - memory['swap_free']) / swap:.0%} of the machine's swap is in use",
            "a machine that swaps is slow for every environment",
            "docker stats --no-stream; lower deploy.resources.limits.memory",
        )


def database(look: Look) -> Iterator[Said]:
    """Which hop fails: PostgreSQL, pgbouncer, the name, the credentials, the pool."""
    for kind, serves in (("postgresql", "the application has no data"), ("pgbouncer", "no connection gets through")):
        for container in look.containers(kind):
            if not container["running"]:
                yield (
                    FAULT,
                    f"hop {kind}: {container['name']} is {container['condition']}",
                    serves,
                    f"docker logs --tail 50 {container['name']}, then {_restart(container)}",
                )
    for reply in look.own.get("replies") or ():
        if reply["kind"] == "database" and reply["code"]:
            yield (
                FAULT,
                f"hop postgresql: the server in {reply['container']} does not answer a query",
                "it runs, but refuses or is still recovering",
                f"docker logs --tail 50 {reply['container']}",
            )
    signs = look.signs()
    for sign, hop, why, what in _HOPS:
        if signs.get(sign):
            yield FAULT, f"hop {hop}: {signs[sign]} times in the logs of the last hour", why, what


_HOPS = (
    (
        "name",
        "name: the host could not be resolved",
        "the application and the server are not on one network, or DB_HOST names another service",
        "docker network inspect <prefix>_network; compare DB_HOST in .env with the service's key; then deploy",
    ),
    (
        "credentials",
        "credentials: a password was refused",
        "the role's password is another one than the application's",
        "ansible-playbook aiia.bulkhead.secrets -l <environment> -e bulkhead_secret=audit; then deploy",
    ),
    (
        "no-database",
        "database: it does not exist",
        "the volume is new or of another environment, or bulkhead_database_name changed",
        "ansible-playbook aiia.bulkhead.backups -l <environment>, and restore if the data is gone",
    ),
    (
        "pool-full",
        "pool: pgbouncer has no free connection",
        "requests wait for a connection until they fail",
        f"{_logs('pgbouncer')}; raise bulkhead_pgbouncer_pool_size or _max_clients",
    ),
    (
        "slots-full",
        "pool: PostgreSQL has no free connection",
        "pgbouncer's pools together are larger than max_connections",
        f"{_logs('postgresql')}; lower bulkhead_pgbouncer_pool_size, or raise max_connections in "
        "bulkhead_postgresql_settings",
    ),
    (
        "no-table",
        "schema: a table is missing",
        "migrations did not run, or data of an older release was restored",
        "ansible-playbook aiia.bulkhead.manage -l <environment> -e bulkhead_manage=showmigrations",
    ),
)


def redis(look: Look) -> Iterator[Said]:
    """A Redis that is down, full or cannot save."""
    for container in look.containers("redis"):
        if not container["running"]:
            yield (
                FAULT,
                f"{container['name']} is {container['condition']}",
                "sessions, caches and queues are gone while it is",
                f"docker logs --tail 50 {container['name']}, then {_restart(container)}",
            )
    signs = look.signs()
    if signs.get("redis-full"):
        yield (
            FAULT,
            f"Redis refused {signs['redis-full']} writes in the last hour because its memory is full",
            "queues take no new work",
            "docker stats --no-stream; raise its memory limit in bulkhead_services, or let it evict "
            "(bulkhead_redis_use)",
        )
    if signs.get("redis-unsaved"):
        yield (
            FAULT,
            "Redis refuses writes because it cannot save",
            "its disk is full or not writable",
            f"df -h; {_logs('redis')}",
        )


def restarting(look: Look) -> Iterator[Said]:
    """Containers that the engine starts again and again."""
    for container in own_containers(look.environment, look.observation):
        if container["restarts"] >= _RESTARTS or container["condition"] == "restarting":
            yield (
                FAULT,
                f"{container['name']} was restarted {container['restarts']} times by the engine",
                "its program ends again and again",
                f"docker logs --tail 50 {container['name']}",
            )


def workers(look: Look) -> Iterator[Said]:
    """Workers of the queue that are down or reach no broker."""
    for container in look.containers("worker"):
        if not container["running"]:
            yield (
                FAULT,
                f"the queue's worker {container['name']} is {container['condition']}",
                "tasks pile up and nobody does them",
                f"docker logs --tail 50 {container['name']}, then {_restart(container)}",
            )
    refused = look.signs("worker").get("refused")
    if refused:
        yield (
            FAULT,
            f"the queue's workers were refused a connection {refused} times in the last hour",
            "they cannot reach the broker, so tasks pile up",
            "docker ps --filter name=redis; compare REDIS_URL or CELERY_BROKER_URL in .env with the service's key",
        )


def web_server(look: Look) -> Iterator[Said]:
    """An nginx that is down, or may not read what it serves."""
    for container in look.containers("nginx"):
        if not container["running"]:
            yield (
                FAULT,
                f"{container['name']} is {container['condition']}",
                "nothing answers the environment's domains",
                f"docker logs --tail 50 {container['name']}, then {_restart(container)}",
            )
    for sign, saw in (("permission", "may not read a file"), ("upstream-slow", "waited for the application in vain")):
        count = look.signs("nginx").get(sign)
        if count:
            yield (
                FAULT if sign == "permission" else HINT,
                f"nginx {saw} ({count} times in the last hour)",
                "those requests fail: static files and media with 403, pages with 504",
                f"{_logs('nginx')} names the file or page",
            )


def health(look: Look) -> Iterator[Said]:
    """Services that do not work, whatever they are."""
    for resource, problem in unwell(look.environment, look.observation, look.entry.get("services") or {}):
        name = resource.partition(" ")[2]
        yield (
            FAULT,
            problem.rstrip("."),
            "what it serves is not there",
            f"docker logs --tail 50 {name}" if resource.startswith("container") else _DEPLOY,
        )


def backups(look: Look) -> Iterator[Said]:
    """Backups that are missing, old, or were never tried."""
    if not any(claim.attributes.get("kind") == "backup" for claim in look.environment.claims):
        return
    created = str((look.watched.get("backup") or {}).get("created") or "")
    old = age(created, str(look.observation["engine"].get("time") or ""))
    period = _period(look)
    make = "ansible-playbook aiia.bulkhead.backup -l <environment>"
    if look.watched.get("unread"):
        yield UNKNOWN, str(look.watched["unread"]), "whether there is a backup is not known", make
    elif not created:
        yield FAULT, "there is no complete backup", "a lost disk or a wrong command loses everything", make
    elif old is not None and old > (period * _MISSED if period else _OLD_BACKUP * 86400):
        yield FAULT, f"the newest backup is {span(old)} old", "what came since would be lost", make
    if created and look.own.get("restored") is False:
        yield (
            HINT,
            "no backup was ever restored here, as far as the receipts reach",
            "only a restored backup is known to be one",
            "ansible-playbook aiia.bulkhead.restore -l <another environment>, as docs/backups.md has it",
        )


def timers(look: Look) -> Iterator[Said]:
    """Scheduled jobs that failed or did not run."""
    periods = {"backup": _period(look)}
    if look.environment.variables.get("bulkhead_acme") is True:
        periods["certificates"] = _CERTIFICATE_PERIOD
    for job, period in periods.items():
        last = (look.watched.get("schedule") or {}).get(job) or {}
        now = str(look.observation["engine"].get("time") or "")
        since = age(str(last.get("began") or look.entry.get("deployed") or ""), now)
        if last.get("succeeded") is False:
            yield (
                FAULT,
                f"the last scheduled run of {job} failed",
                "it fails again until its cause is mended",
                f"journalctl -u bulkhead-{look.prefix}-{job}, or last.json in the schedule's directory",
            )
        elif period and since is not None and since > period * _MISSED:
            yield (
                FAULT,
                f"the timer of {job} did not fire for {span(since)}, and its period is {span(period)}",
                "nothing runs on schedule while nobody notices",
                f"systemctl list-timers bulkhead-{look.prefix}-{job}.timer, or the log of cron",
            )


def leftovers(look: Look) -> Iterator[Said]:
    """What killed runs left."""
    if look.own.get("left") and look.prefix not in look.observation["locks"]:
        yield (
            FAULT,
            f"a killed run left a release half in force ({', '.join(look.own['left'][:4])})",
            "old and new containers may serve together",
            f"{_DEPLOY}, which goes on from there",
        )
    strays = [
        container["name"]
        for container in own_containers(look.environment, look.observation)
        if container["labels"].get(ONE_OFF) == "True"
    ]
    if strays and look.prefix not in look.observation["locks"]:
        yield (
            HINT,
            f"one-off containers are still there: {', '.join(strays[:4])}",
            "a killed command leaves its container, with its memory",
            f"docker rm {strays[0]}, once it is not needed",
        )


def drifted(look: Look) -> Iterator[Said]:
    """Manual changes."""
    count = sum(finding.rule == "drift" for finding in look.findings)
    if count:
        yield (
            HINT,
            f"{count} thing{'s were' if count > 1 else ' was'} changed by hand since the last deployment",
            "the next deployment reverts that",
            "ansible-playbook aiia.bulkhead.verify -l <environment> shows what",
        )


def _period(look: Look) -> int:
    """Seconds between scheduled backups; 0 where there are none."""
    schedule = look.environment.variables.get("bulkhead_backup_schedule")
    return _PERIODS.get(str(schedule), 86400) if isinstance(schedule, str) and schedule else 0


def _restart(container: Mapping[str, Any]) -> str:
    key = container["labels"].get(SERVICE, "<service>")
    return f"ansible-playbook aiia.bulkhead.restart -l <environment> -e bulkhead_service={key}"
