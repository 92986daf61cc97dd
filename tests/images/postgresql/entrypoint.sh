#!/usr/bin/env bash
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The interface of docker.io/library/postgres: the same variables, paths and order of events.
# Like there, a first start that fails half way leaves a data directory behind, and the next start uses it as it is.
set -Eeuo pipefail

say() { printf 'entrypoint: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# setting NAME [DEFAULT]: the value of NAME, or the content of the file that NAME_FILE names.
setting() {
  local name=$1 file_name=$1_FILE
  if [[ -n ${!name:-} && -n ${!file_name:-} ]]; then
    die "set $name or $file_name, not both"
  fi
  if [[ -n ${!file_name:-} ]]; then
    [[ -r ${!file_name} ]] || die "$file_name: ${!file_name} cannot be read by user $(id -un)"
    cat -- "${!file_name}"
  else
    printf '%s' "${!name:-${2:-}}"
  fi
}

make_cluster() {
  local method=$1 arguments=()
  read -r -a arguments <<<"${POSTGRES_INITDB_ARGS:-}"
  initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") \
    --auth-local=trust --auth-host="$method" --set=listen_addresses='*' "${arguments[@]}" >&2
  # initdb writes rules for loopback only; containers come from elsewhere.
  printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

sql() { psql --no-psqlrc --no-password --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" "$@"; }

run_scripts() {
  local script
  for script in /docker-entrypoint-initdb.d/*; do
    case $script in
      *.sh)
        say "running $script"
        # A file without the executable bit is sourced: it may have come through a mount that has none.
        # shellcheck source=/dev/null
        if [[ -x $script ]]; then "$script"; else . "$script"; fi
        ;;
      *.sql)
        say "running $script"
        sql --dbname "$POSTGRES_DB" --file "$script" >&2
        ;;
      *.sql.gz)
        say "running $script"
        gunzip --stdout "$script" | sql --dbname "$POSTGRES_DB" >&2
        ;;
      */'*') ;;
      *) say "ignoring $script" ;;
    esac
  done
}

first_start() {
  local method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  POSTGRES_USER=$(setting POSTGRES_USER postgres)
  POSTGRES_DB=$(setting POSTGRES_DB "$POSTGRES_USER")
  POSTGRES_PASSWORD=$(setting POSTGRES_PASSWORD)
  export POSTGRES_USER POSTGRES_DB POSTGRES_PASSWORD
  unset POSTGRES_USER_FILE POSTGRES_DB_FILE POSTGRES_PASSWORD_FILE
  if [[ -z $POSTGRES_PASSWORD && $method != trust ]]; then
    die "a new database needs POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE"
  fi

  make_cluster "$method"
  # Nobody but these scripts may connect before they are done: no TCP, and a health check over TCP must fail.
  pg_ctl --pgdata="$PGDATA" --options="-c listen_addresses='' -p 5432" --wait start >&2
  if [[ $POSTGRES_DB != postgres ]]; then
    sql --dbname postgres --set name="$POSTGRES_DB" >&2 <<<'CREATE DATABASE :"name";'
  fi
  run_scripts
  pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop >&2
  unset POSTGRES_PASSWORD
  say "first start is complete"
}

[[ ${1:-} != -* ]] || set -- postgres "$@"
if [[ ${1:-} != postgres ]]; then
  exec "$@"
fi
for argument in "$@"; do
  case $argument in
    # A question to the program needs no database.
    --help | '-?' | --version | -V | --describe-config) exec "$@" ;;
  esac
done

if [[ $(id -u) == 0 ]]; then
  mkdir -p "$PGDATA"
  chown -R postgres:postgres "$PGDATA" /var/run/postgresql
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

mkdir -p "$PGDATA"
chmod 0700 "$PGDATA"
if [[ ! -s $PGDATA/PG_VERSION ]]; then
  # In a subshell: what a sourced script sets stays out of the server's environment.
  (first_start)
fi
exec "$@"
