# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brokers: each Redis or AMQP connection leads to the environment's own server, and no work is mixed up."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..facts.compose_calls import commands
from ..facts.servers import Placed, in_documents, of_family, shared, shared_outside
from ..facts.service_kinds import command_text, replicas_of
from ..model import Environment, Fleet, Setting, Severity, Where
from ..wording import listing
from . import Hit, Judgement, rule

_BROKER = re.compile(r"BROKER|CELERY(?!.*(?:RESULT|CACHE))|(?:\A|_)RQ_|QUEUE|DRAMATIQ|HUEY|AMQP|RABBIT", re.IGNORECASE)
_CACHE = re.compile(r"CACHE|SESSION|LOCK|RATELIMIT|THROTTL", re.IGNORECASE)
_CHANNEL = re.compile(r"CHANNEL|PUBSUB|WEBSOCKET|SOCKETIO", re.IGNORECASE)
_RESULT = re.compile(r"RESULT", re.IGNORECASE)
_NAMES_QUEUE = re.compile(r"(?:\w+_)?(?:TASK_DEFAULT_QUEUE|DEFAULT_QUEUE|TASK_QUEUES?|RQ_QUEUES?|QUEUE_NAMES?)\Z", re.I)
_DEFAULT_QUEUE = re.compile(r"(?:\w+_)?DEFAULT_QUEUE\Z", re.IGNORECASE)
_ROUTE = re.compile(r"[\"']?\bqueue[\"']?\s*[:=]\s*[\"']([\w.-]+)[\"']")
_WORKER_QUEUES = re.compile(r"(?:\s-Q\s*|\s--queues[= ])([\w.,-]+)")
_KEYPREFIX = re.compile(r"global_keyprefix[\"']?\s*[:=]\s*[\"']?([\w:.-]+)", re.IGNORECASE)
#: The consequence of a shared server, whatever its queues and keys are called.
_SHARING = {
    "redis": "FLUSHALL, eviction, full memory or a restart caused by one hits the other, and pub/sub reaches both, "
    "whatever database numbers they use.",
    "amqp": "a purged queue, full memory or a restart caused by one hits the other, which is in the same virtual host.",
}

#: The most other environments that a finding names.
_NAMED = 5
#: Words of a command, each searched for behind the one before: one expression of them all takes the square of the time.
_CELERY, _PURGE, _BEAT, _WORKER = (re.compile(rf"\b{word}\b") for word in ("celery", "purge", "beat", "worker"))
_WITH_BEAT = re.compile(r"\s(?:-B\b|--beat\b)")


@rule("foreign-broker", "RC-12", "RC-03", severity=Severity.CRITICAL)
def foreign_broker(fleet: Fleet) -> Judgement:
    """A connection leads to another environment's Redis or message broker."""
    leading: dict[tuple[str, str], list[Placed]] = {}
    for family in ("redis", "amqp"):
        for use in (*of_family(fleet, family), *in_documents(fleet, family)):
            if use.server.owner not in ("", use.owner):
                leading.setdefault((use.owner, use.server.owner), []).append(use)
    for (prefix, owner), uses in leading.items():
        keys = listing(use.use.key for use in uses)
        yield Hit(
            (prefix, owner),
            keys,
            f"{prefix} connects to a broker of {owner} ({uses[0].server.how}) because of {keys}: it takes the tasks, "
            f"sessions and messages of {owner}, and FLUSHALL empties both.",
            f"Point {keys} at {prefix}'s own server, such as redis:6379 on its own network.",
            tuple(use.use.where for use in uses),
        )


@rule("shared-broker", "RC-03", "RC-01", severity=Severity.CRITICAL)
def shared_broker(fleet: Fleet) -> Judgement:
    """Two environments use one Redis or broker that belongs to neither."""
    for family in ("redis", "amqp"):
        for identity, uses in shared_outside(of_family(fleet, family)):
            # Virtual hosts are isolated from each other; database numbers are not.
            for _unused, group in _by_name(uses) if family == "amqp" else [("", uses)]:
                yield Hit(
                    _owners(group),
                    identity,
                    f"{listing(_owners(group))} use the same server, {identity}: {_SHARING[family]}",
                    "Give each environment its own server.",
                    tuple(use.use.where for use in group),
                )


@rule("shared-queue", "RC-01", "RC-10", severity=Severity.CRITICAL)
def shared_queue(fleet: Fleet) -> Judgement:
    """Workers of one environment take the tasks of another."""
    yield from _cloud_queues(fleet)
    for place, uses in _one_database(fleet, _BROKER):
        by_queue: dict[tuple[str, str], dict[str, Where]] = {}
        places = {use.owner: use.use.where for use in uses}
        for prefix, where in places.items():
            environment = fleet.by_prefix[prefix]
            for queue in _queues(environment):
                by_queue.setdefault((_key_prefix(environment), queue), {})[prefix] = where
        for (_unused, queue), prefixes in by_queue.items():
            if len(prefixes) > 1:
                yield Hit(
                    tuple(prefixes),
                    f"{place}: queue {queue}",
                    f"{listing(prefixes)} put their tasks into the same queue, {queue} on {place}: any free worker "
                    "takes them and runs them with its own database and code.",
                    "Give each environment its own server, or at least a global_keyprefix or queue names with its "
                    "prefix (the same in task_default_queue, routes and -Q).",
                    tuple(prefixes.values()),
                )


#: Settings that name a queue of AWS, and those that tell whose it is, by the part of their name behind the prefix.
_SQS = re.compile(
    r"(?:\w+_)?SQS_(?:\w+_)?(?:QUEUE|QUEUE_NAME|QUEUE_URL|URL)(?:_\w+)?|(?:\w+_)?QUEUE_URL|SQS_QUEUE", re.I
)
_AWS_QUEUE = re.compile(r"https?://(?:sqs\.[\w-]+|[\w-]+\.queue)\.amazonaws\.com(?:\.cn)?/\d+/\S+")
_ACCOUNTS = ("AWS_ACCOUNT_ID", "AWS_ACCESS_KEY_ID")
_PLACES = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SQS_REGION", "SQS_REGION")
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "SQS_ENDPOINT", "SQS_ENDPOINT_URL", "AWS_SQS_ENDPOINT")


def cloud_queues(environment: Environment) -> Sequence[tuple[tuple[str, ...], Setting]]:
    """The queues of AWS that settings name: where each is, its name or URL last, and the setting."""
    return environment.derived(_queues_of_aws)


def _queues_of_aws(environment: Environment) -> Iterator[tuple[tuple[str, ...], Setting]]:
    known = {setting.key.upper(): setting.text for setting in environment.settings if setting.text}
    if any(key in known and "amazonaws" not in known[key] for key in _ENDPOINTS):
        return  # a server of its own that speaks the same protocol
    account, region = _cloud_place(environment)
    for setting in environment.settings:
        text = setting.text
        if "amazonaws" in text and _AWS_QUEUE.fullmatch(text):
            yield (text.rstrip("/"),), setting
        elif text and "/" not in text and "SQS" in setting.key.upper() and _SQS.fullmatch(setting.key):
            yield (account, region, text), setting


def _celery_queues(environment: Environment) -> Iterator[tuple[tuple[str, ...], Setting]]:
    """Yield the queues of AWS that Celery's workers use: they are named by no URL, and else all have its default."""
    for setting in environment.settings:
        if setting.text.startswith("sqs://") and re.match(r"sqs://[^/]*/?\Z", setting.text):
            for queue in sorted(_queues(environment)):
                yield (*_cloud_place(environment), queue), setting


def _cloud_place(environment: Environment) -> tuple[str, str]:
    """The account and region of AWS that settings name, as far as they can be read."""
    known = {setting.key.upper(): setting.text for setting in environment.settings if setting.text}
    account = next((known[key] for key in _ACCOUNTS if key in known), "")
    return account, next((known[key] for key in _PLACES if key in known), "")


def _cloud_queues(fleet: Fleet) -> Iterator[Hit]:
    """Yield queues of one AWS account that several environments name."""
    found: dict[tuple[str, ...], dict[str, Setting]] = {}
    for environment in fleet.environments:
        for place, setting in (*cloud_queues(environment), *_celery_queues(environment)):
            found.setdefault(place, {}).setdefault(environment.prefix, setting)
    for place, uses in found.items():
        if len(uses) > 1:
            unknown = len(place) > 1 and not place[0]
            yield Hit(
                tuple(uses),
                f"SQS queue {place[-1].rpartition('/')[2]}",
                f"{listing(uses)} use the same SQS queue, {place[-1].rpartition('/')[2]}"
                + (", if they share an account" if unknown else "")
                + ": any free worker takes the messages and handles them with its own database and code.",
                "Give each environment its own queue, with credentials for that queue only.",
                tuple(setting.where for setting in uses.values()),
                severity=Severity.MEDIUM if unknown else None,
            )


@rule("shared-worker-control", "RC-09", severity=Severity.HIGH)
def shared_worker_control(fleet: Fleet) -> Judgement:
    """Commands to workers reach the workers of two environments."""
    for place, uses in _one_database(fleet, _BROKER):
        yield Hit(
            _owners(uses),
            f"{place}: remote control",
            f"The workers of {listing(_owners(uses))} listen for commands in the same database, {place}: 'celery "
            "control shutdown', 'celery inspect' and flower of one act on all of them, whatever their queues are "
            "called.",
            "Give each environment its own server, or at least its own database number.",
            tuple(use.use.where for use in uses),
        )


@rule("queue-purge", "RC-02", severity=Severity.CRITICAL)
def queue_purge(fleet: Fleet) -> Judgement:
    """A script empties a queue that holds another environment's tasks."""
    mixed: dict[str, Hit] = {}
    for hit in shared_queue(fleet):
        for prefix in hit.environments:
            mixed.setdefault(prefix, hit)
    for prefix, hit in mixed.items():
        for text, where in _purges(fleet.by_prefix[prefix]):
            others = [name for name in hit.environments[:_NAMED] if name != prefix]
            yield Hit(
                (prefix, *others),
                text,
                f"{prefix} runs `{text}` and shares {hit.resource} with {listing(others)}: that deletes the waiting "
                f"tasks of {listing(others)} too.",
                f"Give {prefix} its own server, or leave the purge out: a deployment does not need it.",
                (where,),
            )


@rule("double-beat", "RC-11", severity=Severity.HIGH)
def double_beat(fleet: Fleet) -> Judgement:
    """Two schedulers put the same tasks into one broker."""
    beats = {environment.prefix: list(_beats(environment)) for environment in fleet.environments}
    for prefix, found in beats.items():
        if sum(count for _name, count, _where in found) > 1:
            names = listing(name for name, _count, _where in found)
            yield Hit(
                (prefix,),
                f"beat: {names}",
                f"{prefix} runs more than one Celery beat ({names}): every scheduled task runs once for each.",
                "Run beat in one service only, with one replica.",
                tuple(where for _name, _count, where in found),
            )
    for place, uses in _one_database(fleet, _BROKER):
        running = [prefix for prefix in _owners(uses) if beats[prefix]]
        if len(running) > 1:
            yield Hit(
                tuple(running),
                f"beat: {place}",
                f"{listing(running)} each run a Celery beat on {place}: scheduled tasks run twice, or on the wrong "
                "environment's data.",
                "Give each environment its own broker.",
                tuple(where for prefix in running for _name, _count, where in beats[prefix]),
            )


def _one_database(fleet: Fleet, role: re.Pattern[str]) -> Iterator[tuple[str, Sequence[Placed]]]:
    """Yield broker databases that several environments use in a role, or by a neutral name such as REDIS_URL."""
    for family in ("redis", "amqp"):
        for identity, uses in shared(of_family(fleet, family)):
            for name, group in _by_name(uses):
                acting = [use for use in group if role.search(use.use.key) or is_neutral(use.use.key)]
                if len(_owners(acting)) > 1:
                    yield f"{identity}/{name.lstrip('/')}", acting


def is_neutral(key: str) -> bool:
    """Whether a setting's name does not tell what the server is used for."""
    return not any(role.search(key) for role in (_BROKER, _CACHE, _CHANNEL, _RESULT))


def is_cache(key: str) -> bool:
    """Whether a setting is about a cache."""
    return bool(_CACHE.search(key)) and not _BROKER.search(key)


def is_channel(key: str) -> bool:
    """Whether a setting is about channels or pub/sub."""
    return bool(_CHANNEL.search(key))


def _by_name(uses: Sequence[Placed]) -> Iterator[tuple[str, Sequence[Placed]]]:
    groups: dict[str, list[Placed]] = {}
    for use in uses:
        groups.setdefault(use.use.endpoint.name, []).append(use)
    for name, group in groups.items():
        if len(_owners(group)) > 1:
            yield name, group


def _owners(uses: Sequence[Placed]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(use.owner for use in uses))


def _queues(environment: Environment) -> set[str]:
    """The queues that an environment's workers and senders name, or else Celery's default."""
    found: set[str] = set()
    default = False
    for setting in environment.settings:
        if _NAMES_QUEUE.match(setting.key):
            default = default or bool(_DEFAULT_QUEUE.match(setting.key))
            found.update(re.findall(r"[\w.-]+", setting.text))
        elif "ROUTES" in setting.key.upper():
            found.update(_ROUTE.findall(setting.text))
    for _project, _name, service in environment.services():
        for names in _WORKER_QUEUES.findall(command_text(service)):
            found.update(names.split(","))
    for document in environment.documents:
        if document.path.endswith(".py"):
            found.update(_ROUTE.findall(document.text))
    return found | (set() if default else {"celery"})


def _key_prefix(environment: Environment) -> str:
    """The prefix of all keys of an environment's broker, if it has one."""
    for setting in environment.settings:
        if "GLOBAL_KEYPREFIX" in setting.key.upper() and setting.text:
            return setting.text
        match = _KEYPREFIX.search(setting.text)
        if match:
            return match[1]
    return ""


def _purges(environment: Environment) -> Iterator[tuple[str, Where]]:
    for reference in commands(environment):
        argv = [str(word) for word in reference.attributes.get("argv") or ()]
        if "purge" in argv and any(word.rpartition("/")[2] == "celery" for word in argv):
            yield " ".join(argv), reference.where
    for project, name, service in environment.services():
        if any(_in_turn(line, _CELERY, _PURGE) for line in command_text(service).split("\n")):
            yield command_text(service), project.where("services", name, "command")


def _in_turn(text: str, *words: re.Pattern[str]) -> bool:
    """Whether a text has all of these, each behind the one before."""
    place = 0
    for word in words:
        found = word.search(text, place)
        if found is None:
            return False
        place = found.end()
    return True


def _beats(environment: Environment) -> Iterator[tuple[str, int, Where]]:
    """Yield the services that schedule, with their numbers of replicas."""
    for project, name, service in environment.services():
        command = command_text({**service, "healthcheck": None})
        if _in_turn(command, _CELERY, _BEAT) or _in_turn(command, _CELERY, _WORKER, _WITH_BEAT):
            yield name, replicas_of(service), project.where("services", name)
