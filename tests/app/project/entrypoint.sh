#!/bin/sh
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# entrypoint.sh web | worker | beat | prepare | COMMAND…
set -eu

prepare() {
  python3 manage.py migrate --noinput
  # Without --clear: pages of the release before still ask for their files.
  python3 manage.py collectstatic --noinput --verbosity 0
}

case ${1:-web} in
  web)
    # PREPARE_ON_START=0 is for deployments that run `prepare` as a step of their own.
    if [ "${PREPARE_ON_START:-1}" != 0 ]; then prepare; fi
    exec gunicorn config.asgi:application \
      --worker-class uvicorn.workers.UvicornWorker \
      --workers "${WEB_WORKERS:-2}" \
      --bind "0.0.0.0:${PORT:-8000}" \
      --graceful-timeout "${WEB_GRACEFUL_SECONDS:-25}" \
      --worker-tmp-dir /dev/shm \
      --access-logfile - \
      --error-logfile -
    ;;
  worker) exec celery --app config worker --concurrency "${WORKER_PROCESSES:-1}" --loglevel INFO ;;
  beat) exec celery --app config beat --schedule /tmp/celerybeat-schedule --pidfile= --loglevel INFO ;;
  prepare) prepare ;;
  *) exec "$@" ;;
esac
