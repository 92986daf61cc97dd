# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which lines of a tool's output say why it failed. Runs on the targets: Python 3.8, standard library only.

Tools end with what was the case for each failure alike: git's advice about access rights, BuildKit's excerpt of the
Dockerfile, a server's "database system is shut down". The reason stands above, where a mere tail cuts it off.
"""

from __future__ import annotations

import re

#: What a decisive line looks like, by the tool that writes it.
DECISIVE: dict[str, str] = {
    "git": r"(?:fatal|error|remote: error|remote: fatal|ERROR): |hint: Updates were rejected",
    "git-lfs": r"Smudge error|batch response: |.*git-lfs.*(?:not found|is not a git command)|.*smudge filter .* failed",
    "ssh": (
        r"ssh: |kex_exchange_identification|Host key verification failed|.*: Permission denied \(|Permission denied \("
        r"|Connection (?:closed|refused|reset|timed out)|Load key |Bad owner or permissions"
        r"|@\s+WARNING: .* HOST IDENTIFICATION|Too many authentication failures|Unable to negotiate"
    ),
    "docker": r"Error response from daemon: |docker: |Error: |error during connect|Cannot connect to the Docker daemon",
    "compose": (
        r"dependency failed to start|.*no such service|validating |.*(?:must be a|additional propert)|yaml: "
        r"|(?:Container|Network|Volume|Image) \S+ +Error|error while interpolating"
    ),
    "buildkit": r"ERROR: |#\d+ ERROR|#\d+ [0-9.]+ (?:E: |ERROR|error|fatal)|.*failed to solve|.*did not complete",
    "package managers": r"(?:[0-9.]+ )?(?:E: |npm (?:ERR!|error) |(?:yarn )?error [A-Z]|ERROR: |error: )",
    "compilers": r".*\bfatal error: |\S+: error: |error\[E\d+\]|\S+\.go:\d+:\d+: |.*dockerfile parse error",
    "registries": (
        r".*toomanyrequests: |denied: |.*manifest for \S+ not found|.*manifest unknown|unauthorized: "
        r"|no matching manifest|.*x509: |.*: no such host|.*TLS handshake timeout"
    ),
    "runc": r".*OCI runtime create failed|.*exec /\S+: |standard_init_linux|.*executable file not found",
    "postgresql": r".*\b(?:FATAL|PANIC|ERROR): |psql: error|pg_(?:dump|restore|dumpall): error|.*\bHINT: ",
    "pgbouncer": r".*\b(?:FATAL|ERROR) |.*closing because: ",
    "redis": r".*(?:FATAL CONFIG|Bad directive|Fatal error|Can't (?:open|save|handle)|OOM command not allowed)",
    "nginx": r".*\[(?:emerg|alert|crit|error)\]",
    "haproxy": r".*\[(?:ALERT|EMERG)\]",
    "gunicorn": r".*\[(?:ERROR|CRITICAL)\]",
    "python": r"(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Configured|DoesNotExist|Interrupt|Exit)\b",
    "django": r".*\(\w+\.E\d{3}\) ",
    "celery": r"\[[^]]*: (?:ERROR|CRITICAL)/",
    "uwsgi": r".*unable to load app|\*\*\* no app loaded",
    "node": r"(?:Uncaught |Unhandled )",
    "ruby": r"rails aborted!|bundler: failed|(?:[A-Z]\w*::)+[A-Z]\w*: ",
    "java": r"Exception in thread|Caused by: ",
    "go and rust": r"panic: |thread '.*' panicked",
    "curl and wget": r"curl: \(\d+\)|wget: ",
    "logs in JSON and logfmt": r".*\"level\": ?\"(?:error|fatal|panic|critical)\"|.*\blevel=(?:error|fatal|panic)\b",
    "systemd": r"Failed to |.*: Failed at step",
    "the operating system": (
        r".*(?:No space left on device|Out of memory|Cannot allocate memory|Operation not permitted|Permission denied"
        r"|exec format error|Read-only file system|Too many open files|Killed\Z|Segmentation fault|Bus error"
        r"|Address already in use|not found\Z)"
    ),
}

#: What tools say after every failure of a kind, whatever its reason.
_SAYS_NOTHING = re.compile(
    r"Please make sure you have the correct access rights\Z|and the repository exists\.\Z"
    r"|fatal: Could not read from remote repository\.\Z|Run 'docker .*--help' for more information\Z"
    r"|See '?docker .*--help'?\.?\Z|View build details: "
)

_DECISIVE = re.compile("|".join("(?:%s)" % pattern for pattern in DECISIVE.values()))

#: What BuildKit writes before what the program of a step says.
_OF_A_STEP = re.compile(r"#\d+ [0-9.]+ ")

#: How many decisive lines from before the tail are kept.
_MOST = 4


def is_decisive(line: str) -> bool:
    """Whether a line says why a tool failed."""
    said = line.strip()
    step = _OF_A_STEP.match(said)
    found = _DECISIVE.match(said) or (step and _DECISIVE.match(said, step.end()))
    return bool(found) and not _SAYS_NOTHING.match(said)


def decisive_lines(text: str, count: int) -> list[str]:
    """The last ``count`` lines of a tool's output that say something, after decisive ones from before them.

    Of these, the first stays (what failed first made the rest fail), and the last ones.
    """
    lines = [line.rstrip() for line in text.strip().splitlines() if line.strip()]
    telling = [line for line in lines if not _SAYS_NOTHING.match(line.strip())]
    lines = telling or lines
    tail, before = lines[-count:], list(dict.fromkeys(filter(is_decisive, lines[:-count])))
    before = [line for line in before if line not in tail]
    return [*before[:1], *before[1:][-(_MOST - 1) :], *tail]
