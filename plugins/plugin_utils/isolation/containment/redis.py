# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Redis's directives may say, in ``redis.conf`` or on its command line: Redis 6 to 8, Valkey's own excluded.

The server runs in a container of its own, so nearly everything stays inside. Names are in lower case; Redis does not
distinguish. A directive's arguments are one text, separated by blanks.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import checks
from .classes import INSIDE, TEXT, Class, Entry, bounded, one_of, refused, rows

_PRIMARY = Entry(Class.ADDRESS, checks.redis_primary, "a server of the environment's own, or no one")

REDIS: Mapping[str, Entry] = {
    **rows(
        TEXT,
        """
        bind bind-source-addr cluster-announce-hostname cluster-announce-human-nodename cluster-announce-ip
        proc-title-template replica-announce-ip slave-announce-ip syslog-ident
        """,
    ),
    **rows(_PRIMARY, "replicaof slaveof"),
    "include": refused("what it reads is not proved: write the directives themselves"),
    "oom-score-adj": bounded(one_of("no", "relative"), "no, relative: absolute values say who dies first"),
    "oom-score-adj-values": bounded(checks.oom_scores, "0 to 1000, three times: below, others die first"),
    "socket-mark-id": refused("marks steer what the machine does with packets"),
    **rows(
        INSIDE,
        """
        acl-pubsub-default aclfile acllog-max-len active-defrag-cycle-max active-defrag-cycle-min
        active-defrag-ignore-bytes active-defrag-max-scan-fields active-defrag-threshold-lower
        active-defrag-threshold-upper active-expire-effort activedefrag activerehashing always-show-logo
        aof-load-truncated aof-rewrite-cpulist aof-rewrite-incremental-fsync aof-timestamp-enabled
        aof-use-rdb-preamble aof_rewrite_cpulist appenddirname appendfilename appendfsync appendonly
        auto-aof-rewrite-min-size auto-aof-rewrite-percentage availability-zone bgsave-cpulist bgsave_cpulist
        bio-cpulist bio_cpulist busy-reply-threshold client-output-buffer-limit client-query-buffer-limit
        cluster-allow-pubsubshard-when-down cluster-allow-reads-when-down cluster-allow-replica-migration
        cluster-announce-bus-port cluster-announce-port cluster-announce-tls-port
        cluster-compatibility-sample-ratio cluster-config-file cluster-enabled cluster-link-sendbuf-limit
        cluster-migration-barrier cluster-node-timeout cluster-port cluster-preferred-endpoint-type
        cluster-replica-no-failover cluster-replica-validity-factor cluster-require-full-coverage
        cluster-slave-no-failover cluster-slave-validity-factor cluster-slot-migration-handoff-max-lag-bytes
        crash-log-enabled crash-memcheck-enabled daemonize databases dbfilename dir disable-thp dynamic-hz
        enable-debug-command enable-module-command enable-protected-configs gopher-enabled
        hash-max-listpack-entries hash-max-listpack-value hash-max-ziplist-entries hash-max-ziplist-value
        hash-seed hide-user-data-from-log hll-sparse-max-bytes hz ignore-warnings io-threads
        io-threads-do-reads jemalloc-bg-thread latency-monitor-threshold latency-tracking
        latency-tracking-info-percentiles lazyfree-lazy-eviction lazyfree-lazy-expire lazyfree-lazy-server-del
        lazyfree-lazy-user-del lazyfree-lazy-user-flush lfu-decay-time lfu-log-factor list-compress-depth
        list-max-listpack-size list-max-ziplist-entries list-max-ziplist-size list-max-ziplist-value
        loadmodule locale-collate logfile loglevel lua-enable-deprecated-api lua-enable-insecure-api
        lua-time-limit masterauth masteruser max-new-connections-per-cycle max-new-tls-connections-per-cycle
        maxclients maxmemory maxmemory-clients maxmemory-eviction-tenacity maxmemory-policy maxmemory-samples
        min-replicas-max-lag min-replicas-to-write min-slaves-max-lag min-slaves-to-write
        no-appendfsync-on-rewrite notify-keyspace-events pidfile port propagation-error-behavior
        protected-mode proto-max-bulk-len rdb-del-sync-files rdb-save-incremental-fsync rdbchecksum
        rdbcompression rename-command repl-backlog-size repl-backlog-ttl repl-disable-tcp-nodelay
        repl-diskless-load repl-diskless-sync repl-diskless-sync-delay repl-diskless-sync-max-replicas
        repl-ping-replica-period repl-ping-slave-period repl-timeout replica-announce-port replica-announced
        replica-full-sync-buffer-limit replica-ignore-disk-write-errors replica-ignore-maxmemory
        replica-lazy-flush replica-priority replica-read-only replica-serve-stale-data requirepass
        sanitize-dump-payload save server-cpulist server_cpulist set-max-intset-entries
        set-max-listpack-entries set-max-listpack-value set-proc-title shutdown-on-sigint shutdown-on-sigterm
        shutdown-timeout slave-announce-port slave-ignore-maxmemory slave-lazy-flush slave-priority
        slave-read-only slave-serve-stale-data slowlog-log-slower-than slowlog-max-len
        stop-writes-on-bgsave-error stream-node-max-bytes stream-node-max-entries supervised syslog-enabled
        syslog-facility tcp-backlog tcp-keepalive timeout tls-auth-clients tls-ca-cert-dir tls-ca-cert-file
        tls-cert-file tls-ciphers tls-ciphersuites tls-client-cert-file tls-client-key-file
        tls-client-key-file-pass tls-cluster tls-dh-params-file tls-key-file tls-key-file-pass tls-port
        tls-prefer-server-ciphers tls-protocols tls-replication tls-session-cache-size
        tls-session-cache-timeout tls-session-caching tracking-table-max-keys unixsocket unixsocketperm user
        vset-force-single-threaded-execution zset-max-listpack-entries zset-max-listpack-value
        zset-max-ziplist-entries zset-max-ziplist-value
        """,
    ),
}
