# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of pgbouncer, PostgreSQL and Redis that an inventory may choose: each acts inside of its own server, and
a running server takes it without losing a connection (PostgreSQL takes some with its next start).

What is not named here is refused: programs that a server would run, files that it would read, where it listens.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..declaration.inventory import holds_seal
from ..declaration.model import Declaration
from ..isolation.wording import in_words
from .tuning import beyond, text_of

SETTABLE: Mapping[str, frozenset[str]] = {
    "pgbouncer": frozenset(
        """
        application_name_add_host client_idle_timeout client_login_timeout default_pool_size idle_transaction_timeout
        ignore_startup_parameters log_connections log_disconnections log_pooler_errors max_client_conn
        max_db_connections max_packet_size max_prepared_statements max_user_connections min_pool_size pool_mode
        query_timeout query_wait_timeout reserve_pool_size reserve_pool_timeout server_check_delay
        server_connect_timeout server_idle_timeout server_lifetime server_login_retry server_reset_query_always
        server_round_robin stats_period tcp_keepalive tcp_keepcnt tcp_keepidle tcp_keepintvl
        track_extra_parameters transaction_timeout verbose
        """.split()  # noqa: SIM905 - as a list it would be 33 lines
    ),
    "postgresql": frozenset(
        """
        autovacuum autovacuum_analyze_scale_factor autovacuum_analyze_threshold autovacuum_max_workers
        autovacuum_naptime autovacuum_vacuum_cost_delay autovacuum_vacuum_cost_limit
        autovacuum_vacuum_insert_scale_factor autovacuum_vacuum_insert_threshold autovacuum_vacuum_scale_factor
        autovacuum_vacuum_threshold autovacuum_work_mem bgwriter_delay bgwriter_lru_maxpages
        checkpoint_completion_target checkpoint_timeout checkpoint_warning client_min_messages commit_delay
        commit_siblings datestyle deadlock_timeout
        default_statistics_target default_text_search_config default_transaction_isolation effective_cache_size
        effective_io_concurrency enable_partitionwise_aggregate enable_partitionwise_join from_collapse_limit
        geqo_threshold hash_mem_multiplier idle_in_transaction_session_timeout idle_session_timeout intervalstyle
        io_workers jit join_collapse_limit lc_messages lc_monetary lc_numeric lc_time lock_timeout
        log_autovacuum_min_duration log_checkpoints log_connections log_disconnections log_duration
        log_line_prefix log_lock_waits log_min_duration_statement log_min_messages log_temp_files log_timezone
        logical_decoding_work_mem maintenance_io_concurrency maintenance_work_mem max_connections
        max_locks_per_transaction max_parallel_maintenance_workers max_parallel_workers max_parallel_workers_per_gather
        max_wal_size max_worker_processes min_parallel_table_scan_size min_wal_size random_page_cost seq_page_cost
        shared_buffers statement_timeout synchronous_commit tcp_keepalives_count tcp_keepalives_idle
        tcp_keepalives_interval temp_buffers temp_file_limit timezone track_activity_query_size track_functions
        track_io_timing transaction_timeout vacuum_cost_limit wal_buffers wal_compression work_mem
        """.split()  # noqa: SIM905
    ),
    "redis": frozenset(
        """
        active-expire-effort activedefrag appendfsync appendonly auto-aof-rewrite-min-size auto-aof-rewrite-percentage
        hash-max-listpack-entries hash-max-listpack-value hz latency-monitor-threshold lazyfree-lazy-eviction
        lazyfree-lazy-expire lazyfree-lazy-server-del lazyfree-lazy-user-del lazyfree-lazy-user-flush lfu-decay-time
        lfu-log-factor list-max-listpack-size lua-time-limit maxclients maxmemory maxmemory-clients maxmemory-policy
        maxmemory-samples no-appendfsync-on-rewrite notify-keyspace-events proto-max-bulk-len set-max-intset-entries
        slowlog-log-slower-than slowlog-max-len stop-writes-on-bgsave-error stream-node-max-bytes
        stream-node-max-entries tcp-keepalive timeout tracking-table-max-keys zset-max-listpack-entries
        zset-max-listpack-value
        """.split()  # noqa: SIM905
    ),
}

#: A value that ends no line, opens no section and closes no quote.
_VALUE = re.compile(r"[\w .,:;%*/+@<>=()\[\]-]*\Z", re.ASCII)


def check_program_settings(
    declaration: Declaration, definitions: Mapping[str, Mapping[str, Any]], settings: Mapping[str, Mapping[str, str]]
) -> None:
    """Note what ``bulkhead_<program>_settings`` must not have. ``settings`` are what each program would get."""
    for program, settable in SETTABLE.items():
        variable = f"bulkhead_{program}_settings"
        for name, value in declaration.values[variable].items():
            for message, fix in _problems(program, settable, name, value):
                resource = f"{variable}.{name}"
                declaration.problem("invalid-setting", variable, f"{resource} {message}", fix, resource=resource)
    for which in beyond(definitions, settings):
        program, _dot, name = which.partition(".")
        variable = f"bulkhead_{program}_settings"
        message = (
            f"{variable}.{name} is {settings[program][name]}, which is not below its container's memory limit: the "
            f"kernel would kill {program} where it could have refused a write"
        )
        fix = f"leave {name} out, or raise bulkhead_services.{program}.deploy.resources.limits.memory"
        declaration.problem("invalid-setting", variable, message, fix, resource=f"{variable}.{name}")


def _problems(program: str, settable: frozenset[str], name: Any, value: Any) -> Iterator[tuple[str, str]]:
    """(message, fix) of each problem of one setting."""
    if holds_seal(value):
        yield "is a secret, and these settings are no place for one", "write the value in the open"
    elif name not in settable:
        close = difflib.get_close_matches(str(name).lower(), sorted(settable), 1, 0.85)
        known = f"write {close[0]}" if close else "leave it out"
        yield (
            "is not among the settings that stay inside of this server and that it takes while it runs",
            f"{known}; docs/tuning.md lists the settings of {program} that an inventory may choose",
        )
    elif not isinstance(value, (str, int, float)):
        yield f"is {in_words(value)}, but a setting is one value", "write a text, a number or a truth value"
    elif not _VALUE.match(text_of(program, value)):
        yield "has a character that could end its line or quote", "use letters, digits, blanks and . , : ; % / + - = @"
