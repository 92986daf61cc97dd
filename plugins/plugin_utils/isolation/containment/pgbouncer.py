# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pgbouncer's settings may say: ``[pgbouncer]``, and the options of a database, a user and a peer.

An option of a line of ``[databases]`` is ``databases.*.host``. Names are in lower case.
"""

from __future__ import annotations

from collections.abc import Mapping

from .classes import INSIDE, TEXT, Entry, inside_because, refused, rows

_CONNECTED = inside_because("the rules about poolers judge which server and database it connects to")
_LIMITS = (
    "pool_size min_pool_size reserve_pool reserve_pool_size pool_mode max_db_connections max_db_client_connections "
    "max_user_connections max_user_client_connections query_timeout idle_transaction_timeout transaction_timeout "
    "client_idle_timeout server_lifetime"
)

PGBOUNCER: Mapping[str, Entry] = {
    **rows(
        TEXT,
        """
        admin_users auth_dbname auth_ldap_options auth_query auth_user job_name server_check_query
        server_reset_query service_name stats_users syslog_ident
        """,
    ),
    "%include": refused("what it reads is not proved: write the settings themselves"),
    **{
        f"databases.*.{option}": entry
        for option, entry in {
            **rows(_CONNECTED, "host port dbname user password auth_user auth_query auth_dbname load_balance_hosts"),
            **rows(INSIDE, f"{_LIMITS} client_encoding datestyle timezone"),
            **rows(TEXT, "connect_query application_name"),
        }.items()
    },
    **{f"users.*.{option}": INSIDE for option in _LIMITS.split()},
    **{f"peers.*.{option}": _CONNECTED for option in ("host", "port", "pool_size")},
    **rows(
        INSIDE,
        """
        application_name_add_host auth_file auth_hba_file auth_ident_file auth_type autodb_idle_timeout
        cancel_wait_timeout client_idle_timeout client_login_timeout client_tls13_ciphers client_tls_ca_file
        client_tls_cert_file client_tls_ciphers client_tls_dheparams client_tls_ecdhcurve client_tls_key_file
        client_tls_protocols client_tls_sslmode conffile default_pool_size disable_pqexec dns_max_ttl
        dns_nxdomain_ttl dns_zone_check_period idle_transaction_timeout ignore_startup_parameters listen_addr
        listen_backlog listen_port log_connections log_disconnections log_pooler_errors log_stats logfile
        max_client_conn max_db_client_connections max_db_connections max_packet_size max_prepared_statements
        max_user_client_connections max_user_connections min_pool_size peer_id pidfile pkt_buf pool_mode
        query_timeout query_wait_timeout reserve_pool_size reserve_pool_timeout resolv_conf sbuf_loopcnt
        scram_iterations server_check_delay server_connect_timeout server_fast_close server_idle_timeout
        server_lifetime server_login_retry server_reset_query_always server_round_robin server_tls13_ciphers
        server_tls_ca_file server_tls_cert_file server_tls_ciphers server_tls_key_file server_tls_protocols
        server_tls_sslmode so_reuseport stats_period suspend_timeout syslog syslog_facility tcp_defer_accept
        tcp_keepalive tcp_keepcnt tcp_keepidle tcp_keepintvl tcp_socket_buffer tcp_user_timeout
        track_extra_parameters transaction_timeout unix_socket_dir unix_socket_group unix_socket_mode user
        verbose
        """,
    ),
}
